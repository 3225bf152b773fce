//! Exports say the same in other words, and nothing that a manifest holds can break out of its line.

use crate::{
    ExportFile, Facts, Manifest, RenderContext,
    import::{Source, import},
    load_catalog,
};
use proptest::prelude::*;
use protocol::AppId;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

const COMPLETE: &str = include_str!("../../tests/complete.yml");

pub(super) fn catalog() -> Vec<(AppId, Manifest)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog");
    load_catalog(&dir).unwrap().0.into_iter().map(|(id, app)| (id, app.manifest)).collect()
}

pub(super) fn facts() -> Facts {
    Facts {
        host_ip: Some("192.0.2.7".into()),
        host_mdns: Some("node.local".into()),
        network_gateway: Some("10.89.0.1".into()),
    }
}

fn quadlet(manifest: &Manifest) -> Vec<ExportFile> {
    let context = RenderContext {
        node_id: "node".into(),
        data_dir: Path::new("/data").join(manifest.id.as_str()),
        manifest_dir: Path::new("/catalog").join(manifest.id.as_str()),
        facts: facts(),
    };
    manifest.to_quadlet(&manifest.render(&context))
}

/// A manifest for comparison with what was exported and imported. What may differ, and is documented in
/// `docs/apps/import.md`: `cap_drop` and `security_opt`, which hold always; `{{config:name}}`, which becomes the path.
pub(super) fn normal(manifest: &Manifest) -> Value {
    let mut value = serde_json::to_value(manifest).unwrap();
    for part in ["volumes", "networks"] {
        nulls(&mut value[part]);
    }
    for (name, service) in &manifest.services {
        let one = &mut value["services"][name.as_str()];
        one["cap_drop"] = json!([]);
        one["security_opt"] = json!([]);
        places(&mut one["networks"]);
        let mut text = one.to_string();
        for config in &service.configs {
            text = text.replace(&format!("{{{{config:{}}}}}", config.source), &config.path());
        }
        *one = serde_json::from_str(&text).unwrap();
    }
    value
}

/// The paths at which two values differ, with both.
pub(super) fn differences(one: &Value, other: &Value) -> Vec<String> {
    fn walk(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
        match (one, other) {
            (Value::Object(a), Value::Object(b)) => {
                for key in a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))) {
                    let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                    walk(&format!("{path}.{key}"), a, b, found);
                }
            }
            // A whole number is a number.
            (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
            (a, b) if a == b => {}
            (a, b) => found.push(format!("{path}: {a} | {b}")),
        }
    }
    let mut found = Vec::new();
    walk("", one, other, &mut found);
    found
}

fn nulls(value: &mut Value) {
    for (_, value) in value.as_object_mut().into_iter().flatten() {
        if value.is_null() {
            *value = json!({});
        }
    }
}

/// A place on a network without a word is one without aliases.
fn places(value: &mut Value) {
    for (_, value) in value.as_object_mut().into_iter().flatten() {
        if value.is_null() {
            *value = json!({"aliases": []});
        }
    }
}

#[test]
fn a_manifest_as_text_is_the_same_manifest() {
    let mut all: Vec<Manifest> = catalog().into_iter().map(|(_, manifest)| manifest).collect();
    all.push(Manifest::parse(COMPLETE).unwrap());
    for manifest in all {
        let text = manifest.to_yaml();
        let again = Manifest::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        let nulls = |manifest: &Manifest| {
            let mut value = serde_json::to_value(manifest).unwrap();
            for part in ["volumes", "networks"] {
                super::export::nulls(&mut value[part]);
            }
            for name in manifest.services.keys() {
                places(&mut value["services"][name.as_str()]["networks"]);
            }
            value
        };
        assert_eq!(differences(&nulls(&again), &nulls(&manifest)), [""; 0], "{}", manifest.id);
        assert_eq!(again.to_yaml(), text, "{}", manifest.id);
    }
}

#[test]
fn the_complete_manifest_survives_compose() {
    let manifest = Manifest::parse(COMPLETE).unwrap();
    let exported = manifest.to_compose();
    let result = import(&Source { text: &exported.text, id: "explorer", ..Source::default() });
    let again = result.manifest.unwrap_or_else(|| panic!("{:#?}\n{}", result.notes, exported.text));
    assert_eq!(differences(&normal(&again), &normal(&manifest)), [""; 0]);
}

#[test]
fn no_export_holds_a_secret_or_a_label_of_the_node() {
    for (id, manifest) in catalog() {
        for file in quadlet(&manifest) {
            assert!(!file.text.contains("archipelago.app"), "{id} {}", file.name);
            assert!(!file.text.contains("{{secret:"), "{id} {}", file.name);
        }
    }
}

/// Podman's generator: given in the environment, or where Podman 5 installs it.
fn generator() -> Option<PathBuf> {
    let given = std::env::var_os("ARCHIPELAGO_QUADLET").map(PathBuf::from);
    let known = [
        "/usr/libexec/podman/quadlet",
        "/usr/lib/podman/quadlet",
        "/usr/lib/systemd/system-generators/podman-system-generator",
    ];
    given.into_iter().chain(known.map(PathBuf::from)).find(|path| path.is_file())
}

/// What the generator makes of units, or its complaint.
fn generated(generator: &Path, files: &[ExportFile]) -> Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(dir.path().join(&file.name), &file.text).unwrap();
    }
    let output = Command::new(generator)
        .args(["-dryrun", "-user", "-no-kmsg-log"])
        .env("QUADLET_UNIT_DIRS", dir.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaint = errors.lines().any(|line| {
        let line = line.to_lowercase();
        line.contains("error")
            || line.contains("unsupported")
            || line.contains("converting")
            || line.contains("invalid")
    });
    if output.status.success() && !complaint {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(errors)
    }
}

fn absent() {
    let message = "NOT CHECKED: Podman's generator for Quadlet is not on this machine; ARCHIPELAGO_QUADLET names one \
                   (see docs/apps/export.md)\n";
    std::io::stderr().write_all(message.as_bytes()).unwrap();
}

#[test]
fn podmans_generator_takes_the_units_of_every_app() {
    let Some(generator) = generator() else { return absent() };
    let mut all = catalog();
    let complete = Manifest::parse(COMPLETE).unwrap();
    all.push((complete.id.clone(), complete));
    for (id, manifest) in all.into_iter().filter(|(_, manifest)| !manifest.services.is_empty()) {
        let files = quadlet(&manifest);
        let units = generated(&generator, &files).unwrap_or_else(|why| panic!("{id}: {why}"));
        let containers = files.iter().filter(|file| file.name.ends_with(".container")).count();
        let started =
            units.lines().filter(|line| line.starts_with("ExecStart=") && line.contains(" run ")).count();
        assert_eq!(started, containers, "{id}: {units}");
    }
}

/// The key of every line, in order.
fn keys(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').map_or(line, |(key, _)| key)).collect()
}

fn hostile(text: &str) -> Manifest {
    let mut manifest = Manifest::parse(COMPLETE).unwrap();
    manifest.name = text.to_owned();
    for service in manifest.services.values_mut() {
        service.environment.insert("HOSTILE".into(), text.to_owned());
        service.labels.insert("hostile".into(), text.to_owned());
        service.command = Some(vec!["run".into(), text.to_owned()]);
        service.entrypoint = Some(vec!["/bin/run".into(), text.to_owned()]);
        service.working_dir = Some(format!("/{text}"));
        service.hostname = Some(text.to_owned());
    }
    manifest
}

#[test]
fn what_systemd_would_replace_stays_as_it_is() {
    let files = quadlet(&hostile("100%\\n$HOME \"x\"\nImage=evil\n[Service]\nExecStart=/bin/evil\\"));
    for file in files.iter().filter(|file| file.name.ends_with(".container")) {
        assert!(
            !file.text.lines().any(|line| line.starts_with("Image=evil") || line.starts_with("ExecStart="))
        );
        assert_eq!(file.text.matches("\n[Service]\n").count(), 1);
        let exec = file.text.lines().find(|line| line.starts_with("Exec=")).unwrap();
        assert_eq!(
            exec,
            r#"Exec="run" "100%%\\n$$HOME \"x\"\nImage=evil\n[Service]\nExecStart=/bin/evil\\""#
        );
        assert!(!file.text.lines().any(|line| line.ends_with('\\')), "{}", file.text);
    }
    let Some(generator) = generator() else { return absent() };
    let units = generated(&generator, &files).unwrap();
    assert!(
        !units.lines().any(|line| line.starts_with("ExecStart=/bin/evil") || line.trim() == "Image=evil"),
        "{units}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_begins_a_line_a_key_or_a_section(text in "[a-z%$\\\\\"'\n\r\t=\\[\\];# {}\u{0}-\u{1f}\u{85}\u{2028}é]{0,40}") {
        let expected: BTreeSet<(String, Vec<String>)> = quadlet(&hostile("harmless")).into_iter()
            .map(|file| (file.name, keys(&file.text).into_iter().map(str::to_owned).collect())).collect();
        let found: BTreeSet<(String, Vec<String>)> = quadlet(&hostile(&text)).into_iter()
            .map(|file| (file.name, keys(&file.text).into_iter().map(str::to_owned).collect())).collect();
        prop_assert_eq!(found, expected);
    }
}
