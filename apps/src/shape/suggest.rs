//! What was probably meant by a key that is not known.

use crate::rule::Rule;

/// Keys that are not part of the format on purpose, and what to do instead.
const REFUSED: &[(&str, Rule, &str, &str)] = &[
    ("podman_args", Rule::RawArguments, RAW, RAW_REMEDY),
    ("docker_args", Rule::RawArguments, RAW, RAW_REMEDY),
    ("custom_args", Rule::RawArguments, RAW, RAW_REMEDY),
    ("extra_args", Rule::RawArguments, RAW, RAW_REMEDY),
    ("run_args", Rule::RawArguments, RAW, RAW_REMEDY),
    ("links", Rule::UnknownKey, COMPOSE, "services of one network reach each other by their names"),
    ("extends", Rule::UnknownKey, COMPOSE, "write the service out"),
    ("include", Rule::UnknownKey, COMPOSE, "write everything into one file"),
    ("profiles", Rule::UnknownKey, COMPOSE, "remove it: every service of a manifest is used"),
    ("scale", Rule::UnknownKey, COMPOSE, "remove it: a service is one container"),
    ("volumes_from", Rule::UnknownKey, COMPOSE, "name the volumes under volumes:"),
    ("logging", Rule::UnknownKey, COMPOSE, "remove it: the node keeps the logs"),
    ("mem_limit", Rule::UnknownKey, COMPOSE, "use deploy.resources.limits.memory"),
    ("cpus", Rule::UnknownKey, COMPOSE, "use deploy.resources.limits.cpus"),
    ("pids_limit", Rule::UnknownKey, COMPOSE, "use deploy.resources.limits.pids"),
];

const RAW: &str = "arguments for the engine as they are, are refused by policy";
const RAW_REMEDY: &str = "say it with the keys of the manifest; what has none is not allowed";
const COMPOSE: &str = "compose has this key, a manifest has not";

/// Why a key is refused, where that is more than that it is not known.
pub(super) fn refused(key: &str) -> Option<(Rule, &'static str, &'static str)> {
    let found = REFUSED.iter().find(|(name, ..)| *name == key);
    found.map(|(_, rule, message, remedy)| (*rule, *message, *remedy))
}

/// The known word that is nearest to the given one, as the end of a message; empty if none is near.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> String {
    // Longer words are no slips of a key; and the distance costs the product of the lengths.
    if word.len() > 40 {
        return String::new();
    }
    let allowed = 1 + word.len() / 4;
    let near = known.map(|one| (strsim::damerau_levenshtein(word, one), one)).min();
    match near {
        Some((distance, one)) if distance <= allowed => format!(", did you mean {one}?"),
        _ => String::new(),
    }
}
