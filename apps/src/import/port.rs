//! Ports.

use super::{Work, text_of};
use serde_yaml::{Mapping, Value};
use std::ops::RangeInclusive;

/// Longest range of ports that is written out.
const MAX_RANGE: usize = 32;
/// What is added to a port that needs root.
const ABOVE: u32 = 8000;

/// A port as compose writes it, ranges still whole.
struct Given {
    host_ip: String,
    published: Option<RangeInclusive<u32>>,
    target: RangeInclusive<u32>,
    protocol: String,
    rest: Mapping,
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && to <= 65_535).then_some(from..=to)
}

fn short(text: &str) -> Option<Given> {
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (host, target) = rest.rsplit_once(':').map_or(("", rest), |(host, target)| (host, target));
    let (host_ip, published) = host.rsplit_once(':').unwrap_or(("", host));
    Some(Given {
        host_ip: host_ip.trim_matches(['[', ']']).to_owned(),
        published: if published.is_empty() { None } else { Some(range(published)?) },
        target: range(target)?,
        protocol: protocol.to_owned(),
        rest: Mapping::new(),
    })
}

fn long(map: &Mapping) -> Option<Given> {
    let text = |key: &str| map.get(key).and_then(text_of).unwrap_or_default();
    let published = text("published");
    let kept =
        ["name", "app_protocol"].iter().filter_map(|key| Some((Value::from(*key), map.get(*key)?.clone())));
    Some(Given {
        host_ip: text("host_ip"),
        published: if published.is_empty() { None } else { Some(range(&published)?) },
        target: range(&text("target"))?,
        protocol: if text("protocol").is_empty() { "tcp".into() } else { text("protocol") },
        rest: kept.collect(),
    })
}

impl Work<'_> {
    pub(super) fn ports(&mut self, at: &str, value: &Value) -> Value {
        let mut ports = Vec::new();
        let Value::Sequence(list) = value else {
            self.refuse(at, "ports are a list");
            return Value::Null;
        };
        for (i, one) in list.iter().enumerate() {
            let at = format!("{at}[{i}]");
            let given = match one {
                Value::Mapping(map) => {
                    self.known_keys(
                        &at,
                        map,
                        &["target", "published", "host_ip", "protocol", "mode", "name", "app_protocol"],
                    );
                    long(map)
                }
                other => text_of(other).and_then(|text| short(&text)),
            };
            match given {
                Some(given) => self.port(&at, given, &mut ports),
                None => self.refuse(&at, "this is no port"),
            }
        }
        ports.into()
    }

    fn port(&mut self, at: &str, given: Given, ports: &mut Vec<Value>) {
        let targets: Vec<u32> = given.target.clone().take(MAX_RANGE + 1).collect();
        let published = given.published.clone().unwrap_or_else(|| {
            self.changed(
                at,
                "compose takes any free port of the host; here it is the same as in the container",
            );
            given.target.clone()
        });
        let published: Vec<u32> = published.take(MAX_RANGE + 1).collect();
        if targets.len() != published.len() || targets.len() > MAX_RANGE {
            return self.refuse(
                at,
                format!("both sides have to be ranges of one length, of at most {MAX_RANGE} ports"),
            );
        }
        if targets.len() > 1 {
            self.changed(at, "the range is written out, one entry per port");
        }
        for (target, wanted) in targets.into_iter().zip(published) {
            let published = if (1..1024).contains(&wanted) { wanted + ABOVE } else { wanted };
            if published != wanted {
                self.changed(
                    at,
                    format!("port {wanted} of the host needs root: {published} is published instead"),
                );
            }
            let mut port = given.rest.clone();
            port.insert("target".into(), target.into());
            port.insert("published".into(), published.into());
            if given.protocol != "tcp" {
                port.insert("protocol".into(), given.protocol.clone().into());
            }
            if !given.host_ip.is_empty() && given.host_ip != "0.0.0.0" {
                port.insert("host_ip".into(), given.host_ip.clone().into());
            }
            ports.push(port.into());
        }
    }

    /// Refuses keys that are none of these.
    pub(super) fn known_keys(&mut self, at: &str, map: &Mapping, known: &[&str]) {
        for key in map.keys().filter_map(Value::as_str) {
            if !known.contains(&key) && !key.starts_with("x-") {
                self.refuse(&format!("{at}.{key}"), "this key is not known here");
            }
        }
    }
}
