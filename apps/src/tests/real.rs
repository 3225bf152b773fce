//! What real apps need can be said: manifests after real ones, their images replaced.

use super::context;
use crate::{Manifest, check_catalog};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn manifests() -> Vec<Manifest> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps");
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let report = Manifest::check(&text);
        assert!(report.errors.is_empty(), "{}: {:#?}", path.display(), report.errors);
        report.manifest.unwrap()
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn manifests_after_real_apps_are_valid_and_fit_each_other() {
    let manifests = manifests();
    assert!(manifests.len() >= 7);
    assert_eq!(check_catalog(&manifests), []);
}

#[test]
fn no_rendering_of_them_holds_a_secret_or_leaves_the_apps_folder() {
    for manifest in manifests() {
        let rendered = manifest.render(&context());
        for service in &rendered.services {
            let spec = serde_json::to_string(&service.spec).unwrap();
            assert!(!spec.contains("{{secret"), "{spec}");
            assert_eq!(service.spec.labels[crate::LABEL_DIGEST], service.spec.digest());
        }
        let again = manifest.render(&context());
        assert_eq!(rendered, again, "rendering is a function of its input");
    }
}

#[test]
fn starts_are_in_the_order_of_what_is_waited_for() {
    for manifest in manifests() {
        let rendered = manifest.render(&context());
        let place = |name| rendered.services.iter().position(|service| service.service == name).unwrap();
        for service in &rendered.services {
            for (other, _) in &service.depends_on {
                assert!(place(other.clone()) < place(service.service.clone()));
            }
        }
    }
}
