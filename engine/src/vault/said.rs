//! What restic says, understood. Its version 0.14 has no exit codes for causes.

use super::{Digest, Pending, Result, Snapshot, VaultError};
use protocol::{BackupView, SnapshotId};
use serde::Deserialize;
use std::path::Path;

/// Tag of snapshots that nobody has read back yet.
pub(super) const PENDING: &str = "pending";
/// Tag of those that count.
pub(super) const VERIFIED: &str = "verified";

/// A line of `restic backup --json`.
#[derive(Debug, Deserialize)]
#[serde(tag = "message_type", rename_all = "snake_case")]
pub(super) enum Line {
    Status {
        #[serde(default)]
        total_bytes: u64,
        #[serde(default)]
        bytes_done: u64,
    },
    Summary {
        snapshot_id: String,
    },
    #[serde(other)]
    Other,
}

/// A snapshot in `restic snapshots --json`.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) id: String,
    pub(super) time: String,
    #[serde(default)]
    pub(super) original: Option<String>,
    #[serde(default)]
    pub(super) tags: Option<Vec<String>>,
}

/// Text that can stand in a list of tags: commas part them.
pub(super) fn encode(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+-/ ".contains(c);
    let mut encoded = String::new();
    for c in text.chars() {
        if plain(c) {
            encoded.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| encoded.push_str(&format!("%{byte:02x}")));
        }
    }
    encoded
}

fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, others @ ..] = rest {
        rest = others;
        match (*first, others) {
            (b'%', [high, low, after @ ..]) => {
                let hex = [*high, *low];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?);
                rest = after;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The tags of a confirmed snapshot: all that a list of backups shows, so that the repository is enough for it.
pub(super) fn tags(pending: &Pending, digest: &Digest, parts: &[String]) -> Vec<String> {
    let own = [
        VERIFIED.to_owned(),
        format!("app:{}", pending.app),
        format!("version:{}", encode(&pending.version)),
        format!("files:{}", digest.files),
        format!("bytes:{}", digest.bytes),
        format!("content:{}", digest.hash),
    ];
    own.into_iter().chain(parts.iter().map(|part| format!("part:{}", encode(part)))).collect()
}

impl Listed {
    /// As a confirmed snapshot; `None` for one that this node did not write.
    pub(super) fn confirmed(&self) -> Option<Snapshot> {
        let tags = self.tags.as_deref().unwrap_or_default();
        let tag = |key: &str| tags.iter().find_map(|tag| tag.strip_prefix(key));
        let (files, bytes) = (tag("files:")?.parse().ok()?, tag("bytes:")?.parse().ok()?);
        let view = BackupView {
            id: self.id.parse().ok()?,
            app: tag("app:")?.parse().ok()?,
            version: decode(tag("version:")?)?,
            at: milliseconds(&self.time)?,
            files,
            bytes,
        };
        let parts = tags.iter().filter_map(|tag| decode(tag.strip_prefix("part:")?)).collect();
        let digest = Digest { hash: tag("content:")?.to_owned(), files, bytes };
        tags.iter().any(|tag| tag == VERIFIED).then_some(Snapshot { view, parts, digest })
    }
}

/// Milliseconds since the Unix epoch of a time like `2026-11-21T14:26:27.028939444Z` or with an offset.
fn milliseconds(time: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let rest = time.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?),
        None => ("", rest),
    };
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let offset = match (zone.get(..1)?, zone.get(1..)) {
        ("Z", _) => 0,
        (sign @ ("+" | "-"), Some(zone)) => {
            let (hours, minutes) = zone.split_once(':')?;
            let offset = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            if sign == "+" { offset } else { -offset }
        }
        _ => return None,
    };
    // Days since the epoch of the proleptic Gregorian calendar, counted in years that begin in March.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - offset;
    u64::try_from(seconds * 1000 + millis).ok()
}

/// The cause of a failure, from what was said about it.
pub(super) fn cause(what: &'static str, said: &str, password: &Path) -> VaultError {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let message = shortened(said);
    if has(&["wrong password or no key found"]) {
        VaultError::WrongPassword { file: password.to_owned() }
    } else if has(&["no space left on device", "No space left on device", "disk quota exceeded"]) {
        VaultError::NoSpace { message }
    } else if has(&["already locked", "unable to create lock"]) {
        VaultError::Locked { message }
    } else if has(&[
        "ciphertext verification failed",
        "repository contains errors",
        "invalid data returned",
        "hash does not match",
        "not found in index",
        "not found in repository",
        "unable to open config file",
        "unexpected end of JSON",
        "invalid header length",
        "load <",
        "<index/",
        "<data/",
        "<snapshot/",
    ]) {
        VaultError::Damaged { message }
    } else {
        VaultError::Failed { what, message }
    }
}

/// The last lines, which tell the cause, in not too many words.
fn shortened(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    last.join("; ").chars().take(500).collect()
}

/// The id of a snapshot.
pub(super) fn id(text: &str) -> Result<SnapshotId> {
    let message = || format!("{text:?} is no snapshot's id");
    text.parse().map_err(|_| VaultError::Failed { what: "restic", message: message() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_an_offset() {
        assert_eq!(milliseconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(milliseconds("2026-11-21T14:26:27.028939444Z"), Some(1_795_271_187_028));
        assert_eq!(milliseconds("2026-11-21T15:26:27.028939444+01:00"), Some(1_795_271_187_028));
        assert_eq!(milliseconds("2024-02-29T23:59:59.9-00:30"), Some(1_709_252_999_900));
        for wrong in ["", "2026-11-21", "2026-11-21T14:26:27", "x026-11-21T14:26:27Z"] {
            assert_eq!(milliseconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_version_with_commas_comes_back_from_its_tag() {
        for text in ["1.0", "a,b%", "ü:1 (2)", ""] {
            let encoded = encode(text);
            assert!(!encoded.contains(','), "{encoded}");
            assert_eq!(decode(&encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn causes_are_told_apart() {
        let cause = |said| cause("x", said, Path::new("/p"));
        assert_eq!(
            cause("Fatal: wrong password or no key found"),
            VaultError::WrongPassword { file: "/p".into() }
        );
        let locked = "unable to create lock in backend: repository is already locked by PID 7 on vm by root";
        assert!(matches!(cause(locked), VaultError::Locked { .. }));
        assert!(matches!(cause("write /r/data: no space left on device"), VaultError::NoSpace { .. }));
        assert!(matches!(cause("ciphertext verification failed"), VaultError::Damaged { .. }));
        assert!(matches!(cause("boom"), VaultError::Failed { .. }));
    }
}
