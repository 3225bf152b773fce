//! Lints and the checks across a catalog: what is told of manifests that are valid by themselves.

use super::{GOOD, context};
use crate::{Manifest, Rule, Severity, check_catalog};

fn lints(service: &str) -> Vec<String> {
    let text = format!(
        "manifest_version: 1\nid: shop\nname: Shop\nversion: \"1\"\nvolumes: {{data: }}\nservices:\n  web:\n{service}"
    );
    let report = Manifest::check(&text);
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    report.lints.into_iter().map(|problem| format!("{} {}", problem.rule, problem.field)).collect()
}

const PINNED: &str = "    image: docker.io/library/nginx:1@sha256:00\n";

#[test]
fn what_is_worth_a_look_is_told_and_refuses_nothing() {
    let with = |line: &str| lints(&format!("{PINNED}    {line}\n"));
    assert_eq!(lints(PINNED), [""; 0]);
    assert_eq!(lints("    image: docker.io/library/nginx:1\n"), ["image_digest services.web.image"]);
    let moving = ["image_digest services.web.image", "latest_tag services.web.image"];
    assert_eq!(lints("    image: docker.io/library/nginx\n"), moving);
    assert_eq!(lints("    image: localhost/nginx:1\n"), [""; 0]);
    assert_eq!(
        with("environment: {DB_PASSWORD: hunter2}"),
        ["literal_password services.web.environment.DB_PASSWORD"]
    );
    assert_eq!(with("environment: {DB_PASSWORD_FILE: /run/secrets/x, TOKEN: \"\"}"), [""; 0]);
    assert_eq!(with("healthcheck: {test: curl -f http://x}"), ["shell_probe services.web.healthcheck.test"]);
    assert_eq!(with("healthcheck: {test: [CMD, curl]}"), [""; 0]);
    let database = "    image: docker.io/library/postgres:16@sha256:00\n";
    assert_eq!(lints(database), ["no_volume services.web.volumes"]);
    assert_eq!(lints(&format!("{database}    volumes: [data:/x]\n")), [""; 0]);
}

#[test]
fn two_writers_of_one_volume_are_told() {
    let two = |mode: &str| {
        lints(&format!("{PINNED}    volumes: [data:/x]\n  cron:\n{PINNED}    volumes: [\"data:/y{mode}\"]\n"))
    };
    assert_eq!(two(""), ["shared_volume volumes.data"]);
    assert_eq!(two(":ro"), [""; 0]);
}

#[test]
fn lints_have_a_place_and_are_no_errors() {
    let report = Manifest::check(&GOOD.replace("localhost/web:1", "docker.io/web:1"));
    assert!(report.errors.is_empty() && report.manifest.is_some());
    let [lint] = report.lints.as_slice() else { panic!("{:?}", report.lints) };
    assert_eq!((lint.rule.as_str(), lint.line), ("image_digest", Some(10)));
    assert_eq!(Rule::by_id(&lint.rule).unwrap().severity(), Severity::Lint);
}

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
