//! `archy login`: remembers a node's address and a token for it.

use crate::{
    cli::Cli,
    fail::Failure,
    out::{Out, note},
};
use protocol::client::{Auth, Client};
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    io::{self, IsTerminal, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
};

/// What is remembered of a node.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remembered {
    url: String,
    token: String,
    /// PEM, for https.
    certificate: Option<String>,
}

impl Remembered {
    /// A client of that node.
    pub(crate) fn client(self) -> Result<Client, Failure> {
        let auth = Auth::Bearer(self.token);
        Ok(match self.certificate {
            Some(pem) => Client::with_certificate(&self.url, auth, pem.as_bytes())?,
            None => Client::new(&self.url, auth)?,
        })
    }
}

fn file() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(config.join("archy/login.json"))
}

/// The node of the last `archy login`, if there was one.
pub(crate) fn remembered() -> Result<Option<Remembered>, Failure> {
    let Some(file) = file() else { return Ok(None) };
    match fs::read_to_string(&file) {
        Ok(text) => {
            let wrong = |error: serde_json::Error| Failure::Unreadable(file, error.into());
            serde_json::from_str(&text).map(Some).map_err(wrong)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::Unreadable(file, error)),
    }
}

pub(crate) async fn run(cli: &Cli, address: &str, out: &mut Out) -> Result<(), Failure> {
    let certificate = match &cli.cert {
        Some(path) => {
            Some(fs::read_to_string(path).map_err(|error| Failure::Unreadable(path.clone(), error))?)
        }
        None => None,
    };
    let token = match &cli.token {
        Some(token) => token.clone(),
        None => secret("token (see `archy token create` on the node)")?,
    };
    let new = Remembered { url: address.into(), token: token.trim().into(), certificate };
    let text = serde_json::to_string(&new).map_err(|error| Failure::Output(error.into()))?;
    // What does not let in is not remembered.
    let _: serde_json::Value = new.client()?.get("/api/v1/session").await?;
    let file = file().ok_or(Failure::NoHome)?;
    let write = || {
        if let Some(dir) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let unfinished = file.with_extension("new");
        // Left behind by a crash.
        let _ = fs::remove_file(&unfinished);
        let mut to = fs::File::options().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        to.write_all(text.as_bytes())?;
        to.sync_all()?;
        fs::rename(&unfinished, &file)
    };
    write().map_err(|error| Failure::Unwritable(file.clone(), error))?;
    if out.json() { Ok(()) } else { out.line(&format!("archy talks to {address} from now on")) }
}

/// Asks for a secret without showing it; from a pipe its first line is taken.
pub(crate) fn secret(what: &str) -> Result<String, Failure> {
    let text = if io::stdin().is_terminal() {
        rpassword::prompt_password(format!("{what}: ")).map_err(Failure::Output)?
    } else {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map_err(Failure::Output)?;
        line
    };
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    if text.is_empty() {
        note(&format!("no {what} was given"));
        return Err(Failure::Nothing);
    }
    Ok(text)
}
