//! The checks across a catalog: what is told of manifests that are valid by themselves.

use super::context;
use crate::{Manifest, check_catalog};

fn app(id: &str, more: &str) -> Manifest {
    let text = format!("manifest_version: 1\nid: {id}\nname: A\nversion: \"1\"\n{more}\n");
    let service = if more.contains("services:") { "" } else { "services: {web: {image: localhost/a:1}}\n" };
    Manifest::parse(&format!("{text}{service}")).unwrap()
}

fn across(apps: &[Manifest]) -> Vec<String> {
    let problems = check_catalog(apps);
    problems.iter().map(|(app, problem)| format!("{app} {} {}", problem.rule, problem.field)).collect()
}

const GATE: &str = "gates: {synced: {probe: {exec: {command: [a]}}}}";

#[test]
fn what_one_app_requires_another_provides() {
    let provider = app("provider", &format!("provides: [bitcoin]\n{GATE}"));
    let asks = |require: &str| across(&[provider.clone(), app("user", &format!("requires: [{require}]"))]);
    assert_eq!(asks("{capability: bitcoin, gate: synced}"), [""; 0]);
    assert_eq!(asks("{app: provider, gate: synced}"), [""; 0]);
    assert_eq!(asks("{capability: bitcoin, gate: archival}"), ["user unknown_gate requires[0].gate"]);
    assert_eq!(asks("{capability: lightning}"), ["user unknown_capability requires[0].capability"]);
    assert_eq!(asks("{app: nobody}"), ["user unknown_app requires[0].app"]);
    assert_eq!(asks("{app: nobody, optional: true}"), [""; 0]);
}

#[test]
fn apps_that_need_each_other_are_told_and_those_behind_them_are_not() {
    let ring = [
        app("a", "requires: [{app: b}]"),
        app("b", "requires: [{app: a}]"),
        app("c", "requires: [{app: a}]"),
    ];
    assert_eq!(across(&ring), ["a requires_cycle requires"]);
    let open = [app("a", "requires: [{app: b}]"), app("b", "requires: [{app: a, optional: true}]")];
    assert_eq!(across(&open), [""; 0]);
}

#[test]
fn two_apps_that_can_be_installed_together_share_no_port() {
    let with = |id: &str, port: &str, more: &str| {
        app(id, &format!("{more}services: {{web: {{image: localhost/a:1, ports: [\"{port}\"]}}}}"))
    };
    let clash = ["b port_clash services.web.ports[0].published"];
    assert_eq!(across(&[with("a", "8080:80", ""), with("b", "8080:81", "")]), clash);
    assert_eq!(across(&[with("a", "8080:80", ""), with("b", "127.0.0.1:8080:81", "")]), clash);
    assert_eq!(across(&[with("a", "8080:80", ""), with("b", "8080:80/udp", "")]), [""; 0]);
    let apart = [with("a", "8080:80", ""), with("b", "8080:81", "conflicts: [a]\n")];
    assert_eq!(across(&apart), [""; 0]);
}

#[test]
fn names_that_only_look_different_are_told() {
    let a = app("a", "services: {b-c: {image: localhost/a:1}}");
    let b = app("a-b", "services: {c: {image: localhost/a:1}}");
    assert_eq!(across(&[a, b]), ["a-b name_clash services.c.container_name"]);
}

#[test]
fn the_anchor_answers_to_the_containers_name_once() {
    let text = "services: {web: {image: localhost/a:1, container_name: web, networks: [inner]}}\nnetworks: {inner: }";
    let rendered = app("shop", text).render(&context());
    assert_eq!(rendered.services[0].anchor.as_ref().unwrap().networks["shop_inner"], ["web"]);
}
