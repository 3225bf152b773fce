//! Advice on a manifest that is valid: what somebody should look at before it is published.

use crate::{
    Manifest,
    manifest::{Service, VolumeType},
    rule::Rule,
};
use protocol::{Problem, ServiceName};
use std::collections::BTreeMap;

/// Words in the names of variables that hold something secret.
const SECRET_WORDS: &[&str] = &["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
/// Programs whose whole purpose is to keep data, by the names of their images.
const DATABASES: &[&str] =
    &["couchdb", "influxdb", "mariadb", "mongo", "mysql", "postgis", "postgres", "redis", "valkey"];

/// Everything that is worth a look.
pub(crate) fn lint(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut writers: BTreeMap<&str, Vec<&ServiceName>> = BTreeMap::new();
    for (name, service) in &manifest.services {
        one(&mut problems, &format!("services.{name}"), service);
        for volume in &service.volumes {
            if volume.r#type == VolumeType::Volume && !volume.read_only {
                writers.entry(&volume.source).or_default().push(name);
            }
        }
    }
    for (volume, mut services) in writers {
        services.dedup();
        if let [first, second, ..] = services.as_slice() {
            let message = format!("{first} and {second} both write this volume");
            let remedy = "check that the programs are made for it; mount it read_only where they only read";
            problems.push(Rule::SharedVolume.problem(&format!("volumes.{volume}"), message, remedy));
        }
    }
    problems
}

fn one(problems: &mut Vec<Problem>, at: &str, service: &Service) {
    let mut say = |rule: Rule, field: String, message: &str, remedy: &str| {
        problems.push(rule.problem(&field, message, remedy));
    };
    for (key, value) in &service.environment {
        let upper = key.to_ascii_uppercase();
        let secret = SECRET_WORDS.iter().any(|word| upper.contains(word));
        // A variable that ends so names a file.
        if secret && !upper.ends_with("_FILE") && !value.is_empty() && !value.starts_with('/') {
            let remedy = "let the node generate it: secrets: {name: {generate: {bytes: 24}}}";
            say(
                Rule::LiteralPassword,
                format!("{at}.environment.{key}"),
                "this looks like a secret that is the same on every node",
                remedy,
            );
        }
    }
    if let Some(image) = &service.image {
        let local = image.starts_with("localhost/");
        let (name, digest) = image.split_once('@').map_or((image.as_str(), None), |(n, d)| (n, Some(d)));
        let last = name.rsplit('/').next().unwrap_or_default();
        let (program, tag) = last.split_once(':').unwrap_or((last, "latest"));
        if digest.is_none() && !local {
            let remedy = "add @sha256:... behind the tag; signed catalogs ask for it";
            say(Rule::ImageDigest, format!("{at}.image"), "the image is not pinned by its digest", remedy);
        }
        if digest.is_none() && tag == "latest" {
            let message = "this tag means another image every other week";
            say(Rule::LatestTag, format!("{at}.image"), message, "name a version");
        }
        if DATABASES.contains(&program) && service.volumes.is_empty() {
            let message = "this program keeps data, and nothing keeps them beyond its container";
            say(Rule::NoVolume, format!("{at}.volumes"), message, "mount a volume where it writes");
        }
    }
    if service
        .healthcheck
        .as_ref()
        .and_then(|check| check.test.as_ref())
        .is_some_and(|test| test.needs_shell())
    {
        let message = "this check needs a shell, which small images do not have";
        say(Rule::ShellProbe, format!("{at}.healthcheck.test"), message, "write it as [CMD, program, ...]");
    }
}
