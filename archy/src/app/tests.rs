//! `archy app` from its commands to what it prints, as the guide has it.

use super::run;
use crate::{
    cli::{Cli, Command},
    fail::Failure,
    out::tests::Shared,
};
use clap::Parser;
use serde_json::Value;
use std::{fs, path::Path};

fn archy(dir: &Path, line: &str) -> (Result<(), Failure>, String) {
    let line = line.replace("DIR", dir.to_str().unwrap());
    let cli = Cli::try_parse_from(format!("archy {line}").split(' ')).unwrap();
    let Command::App { command } = &cli.command else { panic!("{line}") };
    let shared = Shared::default();
    let result = run(command, &mut shared.out(cli.json, false));
    (result, shared.text().replace(dir.to_str().unwrap(), "DIR"))
}

fn good(dir: &Path, line: &str) -> String {
    let (result, text) = archy(dir, line);
    assert!(result.is_ok(), "{line}: {text}");
    text
}

fn bad(dir: &Path, line: &str) -> String {
    let (result, text) = archy(dir, line);
    assert!(matches!(result, Err(Failure::Told)), "{line}: {result:?} {text}");
    text
}

const COMPOSE: &str = "services:\n  web:\n    image: docker.io/example/web:1.2\n    restart: always\n    ports: [\"8080:80\"]\n    \
    depends_on: [db]\n  db:\n    image: docker.io/library/postgres:17\n    restart: always\n    volumes: [\"data:/var/lib/postgresql/data\"]\n\
    volumes: {data: {}}\n";

#[test]
fn a_new_app_is_valid_clean_and_climbs_as_far_as_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    good(dir, "app new my-notes --dir DIR");
    assert_eq!(good(dir, "app validate DIR/my-notes/manifest.yml"), "DIR/my-notes/manifest.yml: valid\n");
    assert_eq!(good(dir, "app lint DIR/my-notes"), "1 manifests: 0 errors, 0 warnings, 0 notes\n");
    assert!(archy(dir, "app new my-notes --dir DIR").0.is_err(), "what is there is not written over");
    let first = good(dir, "app test DIR/my-notes");
    assert!(first.contains("L2 not run") && first.ends_with("verdict: L1\n"), "{first}");
    good(dir, "app test DIR/my-notes --update");
    let second = good(dir, "app test DIR/my-notes");
    assert!(second.contains("L3 not run") && second.ends_with("verdict: L2\n"), "{second}");
    let report: Value = serde_json::from_str(&good(dir, "app test DIR/my-notes --json")).unwrap();
    assert_eq!(report["verdict"], 2);
    assert_eq!(report["rungs"].as_array().unwrap().len(), 9);
    let passed = |rung: &&Value| rung["outcome"] == "passed";
    assert_eq!(report["rungs"].as_array().unwrap().iter().filter(passed).count(), 3);
}

#[test]
fn a_broken_app_stops_at_its_rung() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    good(dir, "app new notes --dir DIR");
    good(dir, "app test DIR/notes --update");
    let file = dir.join("notes/manifest.yml");
    let whole = fs::read_to_string(&file).unwrap();
    for (from, to, verdict) in [
        ("target: 8080", "target: 0", "none"),
        (
            "nginx-unprivileged:1.29@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "nginx-unprivileged:latest",
            "L0",
        ),
        ("published: 8180", "published: 8181", "L1"),
    ] {
        fs::write(&file, whole.replace(from, to)).unwrap();
        let text = bad(dir, "app test DIR/notes");
        assert!(text.ends_with(&format!("verdict: {verdict}\n")), "{text}");
    }
}

#[test]
fn a_compose_file_becomes_an_app() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::write(dir.join("compose.yml"), COMPOSE).unwrap();
    good(dir, "app new wiki --from DIR/compose.yml --dir DIR");
    good(dir, "app validate DIR/wiki/manifest.yml");
    let told = bad(dir, "app lint DIR/wiki");
    assert!(told.contains("[no_health]") && told.contains("[no_dump]"), "{told}");
    let json: Value =
        serde_json::from_str(&good(dir, "app import DIR/compose.yml --id wiki --json")).unwrap();
    assert_eq!(json["convention"], "compose");
    fs::write(dir.join("compose.yml"), COMPOSE.replace("restart: always", "privileged: true")).unwrap();
    let refused: Value = serde_json::from_str(&bad(dir, "app import DIR/compose.yml --json")).unwrap();
    assert!(refused["manifest"].is_null() && refused["notes"].as_array().unwrap().len() > 1);
    bad(dir, "app new other --from DIR/compose.yml --dir DIR");
    assert!(!dir.join("other").exists(), "what is refused leaves nothing behind");
}

#[test]
fn lint_mends_and_speaks_sarif() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    good(dir, "app new notes --dir DIR");
    let file = dir.join("notes/manifest.yml");
    let short = fs::read_to_string(&file).unwrap().replace("docker.io/nginxinc/nginx", "nginxinc/nginx");
    fs::write(&file, short).unwrap();
    bad(dir, "app lint DIR/notes");
    let log: Value = serde_json::from_str(&bad(dir, "app lint DIR/notes --sarif")).unwrap();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    let result = &run["results"][0];
    assert!(rules.contains(&result["ruleId"].as_str().unwrap()));
    assert_eq!(result["level"], "warning");
    assert!(result["message"]["text"].is_string());
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert!(region["startLine"].as_u64().unwrap() > 1 && region["startColumn"].as_u64().unwrap() >= 1);
    let change = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
    assert!(change["insertedContent"]["text"].as_str().unwrap().starts_with("docker.io/nginxinc/nginx"));
    let mended = good(dir, "app lint DIR/notes --fix");
    assert!(mended.ends_with(", 1 mended\n"), "{mended}");
}

#[test]
fn a_diff_tells_privileges_first() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    good(dir, "app new notes --dir DIR");
    let text = fs::read_to_string(dir.join("notes/manifest.yml")).unwrap();
    let text = text
        .replace("tagline: One", "tagline: Another")
        .replace("    ports:", "    cap_add: [CHOWN]\n    ports:");
    fs::write(dir.join("new.yml"), text).unwrap();
    let told = good(dir, "app diff DIR/notes DIR/new.yml");
    let (privileges, words) = (told.find("privileges").unwrap(), told.find("words").unwrap());
    assert!(privileges < words && told.contains("+ services.web.cap_add: [\"CHOWN\"]"), "{told}");
    assert_eq!(good(dir, "app diff DIR/notes DIR/notes"), "nothing changes\n");
}

#[test]
fn every_format_is_printed_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    good(dir, "app new notes --dir DIR");
    for (format, sign) in [
        ("podman", "\"containers\""),
        ("quadlet", "\n[Container]\n"),
        ("compose", "x-archipelago:"),
        ("kube", "kind: Pod"),
    ] {
        let text = good(dir, &format!("app render DIR/notes --format {format}"));
        assert!(text.contains(sign), "{text}");
        good(dir, &format!("app render DIR/notes --format {format} --out DIR/{format}"));
        assert!(fs::read_dir(dir.join(format)).unwrap().count() >= 1);
    }
}

#[test]
fn the_whole_catalog_is_clean() {
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("../apps/catalog");
    let paths: Vec<String> =
        fs::read_dir(&catalog).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect();
    let told = good(&catalog, &format!("app lint {}", paths.join(" ")));
    assert!(told.contains("0 errors, 0 warnings"), "{told}");
}
