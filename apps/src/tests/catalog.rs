//! The apps of `apps/catalog/`: every one is valid, clean, fits the others, and renders to what `tests/golden/` holds.

use crate::{
    CatalogApp, Facts, MountSource, PAUSE_IMAGE, RenderContext, check_catalog,
    lint::{Level, lint},
    load_catalog,
    manifest::Kind,
};
use protocol::AppId;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn catalog() -> BTreeMap<AppId, CatalogApp> {
    let (apps, errors) = load_catalog(&folder("catalog")).unwrap();
    assert!(errors.is_empty(), "{errors:#?}");
    apps
}

/// What every app is rendered with.
fn context(id: &AppId) -> RenderContext {
    RenderContext {
        node_id: "node".into(),
        data_dir: Path::new("/data").join(id.as_str()),
        manifest_dir: Path::new("/catalog").join(id.as_str()),
        facts: Facts {
            host_ip: Some("192.0.2.7".into()),
            host_mdns: Some("node.local".into()),
            network_gateway: Some("10.89.0.1".into()),
        },
    }
}

#[test]
fn every_app_is_there_once_and_nothing_is_left_to_mend() {
    let apps = catalog();
    assert!(apps.len() >= 45, "{}", apps.len());
    let folders =
        fs::read_dir(folder("catalog")).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), apps.len(), "every folder is an app");
    let mut wrong = Vec::new();
    for (id, app) in &apps {
        let found = lint(&app.text);
        let bad = found.iter().filter(|one| one.level != Level::Note);
        wrong.extend(bad.map(|one| format!("{id}: {}", one.problem)));
        // A digest can be known only with a registry at hand; the catalog says so.
        let undigested = found.iter().any(|one| one.problem.rule == "image_digest");
        if undigested && !app.text.contains("x-unverified:\n  - \"images:") {
            wrong.push(format!("{id}: images without digests and without a note on that"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_apps_fit_each_other() {
    let apps = catalog();
    let problems = check_catalog(apps.values().map(|app| &app.manifest));
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn every_app_is_described_and_has_a_harmless_icon() {
    for (id, app) in catalog() {
        let metadata = &app.manifest.metadata;
        assert!(!metadata.tagline.is_empty() && !metadata.description.is_empty(), "{id}");
        assert!(app.manifest.kind == Kind::Link || metadata.license.is_some(), "{id}");
        let icon = fs::read_to_string(app.dir.join(metadata.icon.as_ref().unwrap())).unwrap();
        assert!(icon.starts_with("<svg ") && icon.len() < 4096, "{id}");
        for active in ["<script", "href", "onload", "<foreignObject", "<image", "url("] {
            assert!(!icon.contains(active), "{id}: {active}");
        }
    }
}

#[test]
fn every_file_that_a_manifest_names_is_there() {
    for (id, app) in catalog() {
        let m = &app.manifest;
        let files = m.configs.values().filter_map(|config| config.file.as_ref());
        let copies = m.hooks.post_install.iter().filter_map(|hook| Some(&hook.copy_from_host.as_ref()?.src));
        let builds = m.services.values().filter_map(|service| service.build.as_ref());
        let builds = builds.map(|build| format!("{}/{}", build.context, build.dockerfile));
        for file in files.chain(copies).cloned().chain(builds) {
            assert!(app.dir.join(&file).is_file(), "{id}: {file}");
        }
    }
}

#[test]
fn what_the_engine_is_asked_for_is_what_it_was() {
    let dir = folder("tests/golden");
    fs::create_dir_all(&dir).unwrap();
    let mut seen = BTreeSet::new();
    let mut drifted = Vec::new();
    for (id, app) in catalog() {
        let rendered = app.manifest.render(&context(&id));
        assert!(rendered.unresolved.is_empty(), "{id}: {:?}", rendered.unresolved);
        let mut text = serde_json::to_string_pretty(&app.manifest.to_requests(&rendered)).unwrap();
        text.push('\n');
        let file = format!("{id}.json");
        if fs::read_to_string(dir.join(&file)).ok().as_deref() != Some(&text) {
            fs::write(dir.join(&file), &text).unwrap();
            drifted.push(file.clone());
        }
        seen.insert(file);
    }
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !seen.contains(&name) {
            fs::remove_file(dir.join(&name)).unwrap();
            drifted.push(name);
        }
    }
    assert!(
        drifted.is_empty(),
        "tests/golden was not current and has been written anew: {drifted:?}; look at the diff"
    );
}

#[test]
fn nothing_that_is_rendered_asks_for_more_than_policy_allows() {
    for (id, app) in catalog() {
        let rendered = app.manifest.render(&context(&id));
        for spec in rendered.services.iter().flat_map(|service| service.containers()) {
            for cap in &spec.cap_add {
                assert!(crate::policy::CAPABILITIES.contains(&cap.as_str()), "{id}: {cap}");
            }
            for mount in &spec.mounts {
                let MountSource::Bind(path) = &mount.source else { continue };
                assert!(path.starts_with(Path::new("/data").join(id.as_str())), "{id}: {}", path.display());
            }
            let digest_or_version = spec.image == PAUSE_IMAGE || !spec.image.ends_with(":latest");
            assert!(digest_or_version, "{id}: {}", spec.image);
            assert!(spec.environment.values().all(|value| !value.contains("{{")), "{id}");
        }
    }
}
