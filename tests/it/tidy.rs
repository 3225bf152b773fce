//! The repository itself: dependency arrows, names of apps, the catalog.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// What every crate may depend on; an arrow that is not here is a mistake in the design.
const ARROWS: &[(&str, &[&str])] = &[
    ("supervisor", &[]),
    ("protocol", &[]),
    ("apps", &["protocol"]),
    ("engine", &["apps", "protocol"]),
    ("actors", &["supervisor", "engine", "apps", "protocol"]),
    ("server", &["actors", "protocol", "supervisor"]),
    ("archy", &["apps", "protocol"]),
    ("archipelago", &["supervisor", "protocol", "apps", "engine", "actors", "server"]),
    ("tests", &["supervisor", "protocol", "apps", "engine", "actors", "server"]),
];

/// Crates that only one crate may name.
const OWNED: &[(&str, &[&str])] = &[
    ("podman-api", &["engine"]),
    ("rusqlite", &["actors", "tests"]),
    ("axum", &["server"]),
    ("tokio-tungstenite", &["protocol", "server", "tests"]),
];

/// Names under `[dependencies]` of a crate's manifest.
fn dependencies(krate: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
    let section = text.split("\n[").find(|part| part.starts_with("dependencies]")).unwrap_or_default();
    section
        .lines()
        .skip(1)
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn arrows_between_crates_point_one_way() {
    let ours: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for (krate, allowed) in ARROWS {
        for dependency in dependencies(krate).iter().filter(|name| ours.contains_key(name.as_str())) {
            assert!(allowed.contains(&dependency.as_str()), "{krate} must not depend on {dependency}");
        }
    }
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.lines().find(|line| line.starts_with("members")).unwrap();
    assert_eq!(members.matches('"').count() / 2, ARROWS.len(), "every member has its arrows here");
}

#[test]
fn libraries_at_the_edges_have_one_owner() {
    for (library, owners) in OWNED {
        for (krate, _) in ARROWS {
            let uses = dependencies(krate).contains(*library);
            assert!(!uses || owners.contains(krate), "{krate} must not name {library}");
        }
    }
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target" && name != "node_modules") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Apps whose ids are ordinary words of code: these are looked for in texts only.
const ORDINARY: &[&str] = &["router"];

#[test]
fn no_app_of_the_catalog_is_named_in_rust() {
    let (apps, errors) = apps::load_catalog(&root().join("apps/catalog")).unwrap();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut files = Vec::new();
    for (krate, _) in ARROWS.iter().filter(|(krate, _)| *krate != "tests") {
        rust_files(&root().join(krate).join("src"), &mut files);
    }
    assert!(files.len() > 30);
    for file in files.iter().filter(|file| !file.to_string_lossy().contains("tests")) {
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (i, part) in line.split('"').enumerate() {
                let is_text = i % 2 == 1;
                for word in part.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
                    let named = apps.keys().any(|id| id.as_str() == word);
                    let ordinary = !is_text && ORDINARY.contains(&word);
                    assert!(!named || ordinary, "{}: {line}", file.display());
                }
            }
        }
    }
}

#[test]
fn every_crate_forbids_unsafe_code() {
    for (krate, _) in ARROWS {
        let text = fs::read_to_string(root().join(krate).join("Cargo.toml")).unwrap();
        let inherits = text.contains("[lints]\nworkspace = true");
        assert!(inherits || text.contains("unsafe_code = \"forbid\""), "{krate}");
    }
}
