//! What people are told: all of it, at its place, in plain words.

use super::GOOD;
use crate::Manifest;

fn told(text: &str) -> Vec<String> {
    let problems = Manifest::parse(text).unwrap_err();
    let place =
        |p: &protocol::Problem| format!("{}:{} {} {}", p.line.unwrap(), p.column.unwrap(), p.rule, p.field);
    problems.iter().map(place).collect()
}

#[test]
fn all_wrong_types_are_told_at_once() {
    let text = GOOD
        .replace("id: shop", "id: [shop]")
        .replace("bytes: 24", "bytes: many")
        .replace("read_only: true", "read_only: 1")
        .replace("1m30s", "soon")
        .replace("port: http}}}", "port: http, scheme: htps}}}")
        .replace("target: 80,", "");
    assert_eq!(
        told(&text),
        [
            "2:1 wrong_type id",
            "5:32 wrong_type secrets.db-pass.generate.bytes",
            "12:13 missing_key services.web.ports[0].target",
            "15:57 invalid_value services.web.probes.readiness.httpGet.scheme",
            "19:100 wrong_type services.db.volumes[1].read_only",
            "21:5 invalid_value services.db.stop_grace_period",
        ]
    );
}

#[test]
fn what_was_probably_meant_is_named() {
    let message = |from: &str, to: &str| {
        let problems = Manifest::parse(&GOOD.replace(from, to)).unwrap_err();
        let found = problems.iter().find(|p| ["unknown_key", "invalid_value"].contains(&p.rule.as_str()));
        found.unwrap().message.clone()
    };
    assert_eq!(message("    user:", "    usr:"), "this key is not known here, did you mean user?");
    assert_eq!(message("services:", "service:"), "this key is not known here, did you mean services?");
    assert_eq!(message("name: Shop", "name: Shop\ncolour: red"), "this key is not known here");
    let scheme = message("port: http}}}", "port: http, scheme: htps}}}");
    assert_eq!(scheme, "\"htps\" is not known here, did you mean https?");
    let number = Manifest::parse(&GOOD.replace("\"1.0\"", "1.0")).unwrap_err();
    assert_eq!(number[0].message, "this is a number, it has to be a text");
    assert_eq!(number[0].remedy, "put it in quotes");
}

#[test]
fn a_wrong_part_of_a_short_form_is_told_at_the_short_form() {
    let text = GOOD.replace("[{target: 80, published: 8080, name: http, host_ip: 127.0.0.1}]", "[\"80:80\"]");
    let text = text.replace("port: http", "port: 80");
    assert_eq!(told(&text), ["12:13 privileged_port services.web.ports[0].published"]);
}

#[test]
fn a_key_with_dots_is_found_at_its_place() {
    let text =
        GOOD.replace("    stop_grace_period: 1m30s", "    labels:\n      a.b: c\n      archipelago.app: x");
    assert_eq!(told(&text), ["23:7 label services.db.labels.archipelago.app"]);
}

#[test]
fn nobody_is_told_more_than_a_hundred_things() {
    let many: String = (0..500).map(|i| format!("wrong{i}: 1\n")).collect();
    let problems = Manifest::parse(&format!("{GOOD}{many}")).unwrap_err();
    assert_eq!(problems.len(), 101);
    assert_eq!(problems[100].rule, "too_many");
}
