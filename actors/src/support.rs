//! What the manifest knows and this node does not do yet.
//!
//! An app that needs such a thing is refused before anything is made: left out in silence, it would run and be wrong.

use apps::{Manifest, Rendered, manifest::Kind};
use protocol::Problem;

/// Everything in a manifest that this node would have to leave out.
pub(crate) fn missing(manifest: &Manifest, rendered: &Rendered) -> Vec<Problem> {
    let mut missing = Vec::new();
    let mut say = |field: String, what: &str| {
        missing.push(Problem {
            rule: "unsupported".into(),
            message: format!("this node cannot do {what} yet"),
            remedy: "remove it, or wait for a newer version of the node".into(),
            field,
            line: None,
            column: None,
        });
    };
    if manifest.kind != Kind::App {
        say("kind".into(), "anything but apps");
    }
    for name in rendered.external_secrets.keys() {
        say(format!("secrets.{name}"), "secrets that the owner gives");
    }
    for variable in &rendered.unresolved {
        say(String::new(), &format!("{variable}"));
    }
    for network in &rendered.shared_networks {
        say(format!("networks.{network}"), "networks that apps share");
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use apps::{Facts, RenderContext};

    const PLAIN: &str =
        "manifest_version: 1\nid: a\nname: A\nversion: '1'\nservices:\n  web: {image: 'localhost/web:1'}\n";

    fn fields(manifest: &str) -> Vec<String> {
        let manifest = Manifest::parse(manifest).unwrap();
        let context = RenderContext {
            node_id: "n".into(),
            data_dir: "/data".into(),
            manifest_dir: "/catalog".into(),
            facts: Facts::default(),
        };
        let rendered = manifest.render(&context);
        missing(&manifest, &rendered).into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn what_would_be_left_out_is_named() {
        assert!(fields(PLAIN).is_empty());
        let more = "requires: [{app: b}]\nconflicts: [c]\n";
        assert!(fields(&format!("{PLAIN}{more}")).is_empty());
    }
}
