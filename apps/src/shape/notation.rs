//! The notations that the schema names in `format`, each read by the type that holds it.

use crate::{
    manifest::{
        Device, NAME_PATTERN, Owner, Pointer, Port, RestartPolicy, Ulimit, Volume,
        form::{REMEDY, Short, pair},
        probe::check_command,
    },
    value::{Cpus, Size, Span},
    yaml::shown,
};
use protocol::ServiceName;

/// Checks a text against a notation. An unknown one is none of ours, for instance the width of a number.
pub(super) fn check(format: &str, text: &str) -> Result<(), (String, String)> {
    let result = match format {
        "span" => text.parse::<Span>().map(drop),
        "size" => text.parse::<Size>().map(drop),
        "cpus" => text.parse::<Cpus>().map(drop),
        "owner" => Owner::short(text).map(drop),
        "pointer" => Pointer::try_from(text.to_owned()).map(drop),
        "restart" => RestartPolicy::try_from(text.to_owned()).map(drop),
        "port" => Port::short(text).map(drop),
        "volume" => Volume::short(text).map(drop),
        "device" => Device::short(text).map(drop),
        "ulimit" => Ulimit::short(text).map(drop),
        "pair" => pair(text).map(drop),
        "command" => check_command(text),
        "name" => return name(text),
        _ => Ok(()),
    };
    result.map_err(|why| match why.split_once(REMEDY) {
        Some((message, remedy)) => (message.to_owned(), remedy.to_owned()),
        None => (why, format!("write it as {format}")),
    })
}

fn name(text: &str) -> Result<(), (String, String)> {
    match text.parse::<ServiceName>() {
        Ok(_) => Ok(()),
        Err(_) => Err((
            format!("{:?} is no name", shown(text)),
            format!(
                "use 1 to 40 of a-z, 0-9 and '-', with a letter or a digit at both ends ({NAME_PATTERN})"
            ),
        )),
    }
}
