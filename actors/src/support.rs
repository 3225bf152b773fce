//! What the manifest knows and this node does not do yet.
//!
//! An app that needs such a thing is refused before anything is made: left out in silence, it would run and be wrong.

use apps::{
    Manifest, Rendered,
    manifest::{Condition, Kind, PullPolicy, Scheme},
};
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
    if !manifest.hooks.post_install.is_empty() {
        say("hooks".into(), "hooks");
    }
    for (key, commands) in [("pre", &manifest.backup.pre), ("post", &manifest.backup.post)] {
        if commands.iter().any(|command| command.user.is_some()) {
            say(format!("backup.{key}"), "commands of another user");
        }
    }
    for (name, gate) in &manifest.gates {
        if gate.probe.http_get.as_ref().is_some_and(|http| http.scheme == Scheme::Https) {
            say(format!("gates.{name}.probe.httpGet.scheme"), "probes with TLS");
        }
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
    for service in &rendered.services {
        let at = |what: &str| format!("services.{}.{what}", service.service);
        for (field, is_used, what) in [
            ("probes.startup", service.startup.is_some(), "startup probes"),
            ("probes.liveness", service.liveness.is_some(), "liveness probes"),
            ("post_start", !service.post_start.is_empty(), "commands after the start"),
            ("pre_stop", !service.pre_stop.is_empty(), "commands before the stop"),
            (
                "pull_policy",
                matches!(service.pull_policy, PullPolicy::Always | PullPolicy::Never),
                "this pull policy",
            ),
            (
                "depends_on",
                service.depends_on.iter().any(|(_, it)| *it == Condition::ServiceCompletedSuccessfully),
                "dependencies on the end of a service",
            ),
        ] {
            if is_used {
                say(at(field), what);
            }
        }
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
        let hooks = "hooks: {post_install: [{exec: {service: web, command: [x]}}]}\n";
        assert_eq!(fields(&format!("{PLAIN}{hooks}")), ["hooks"]);
        let dump = "backup: {pre: [{service: web, command: [x], user: '5'}]}\n";
        assert_eq!(fields(&format!("{PLAIN}{dump}")), ["backup.pre"]);
        let gate = "gates: {g: {probe: {httpGet: {port: web, scheme: https}}}}\n";
        let port = PLAIN.replace(":1'}", ":1', ports: [{name: web, target: 80, published: 8080}]}");
        assert_eq!(fields(&format!("{port}{gate}")), ["gates.g.probe.httpGet.scheme"]);
        let probes = PLAIN.replace(":1'}", ":1', probes: {liveness: {exec: {command: [x]}}}}");
        assert_eq!(fields(&probes), ["services.web.probes.liveness"]);
    }
}
