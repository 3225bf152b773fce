//! Every rule fires at its place; what is valid renders as it should.

mod advice;
mod catalog;
mod complete;
mod docs;
mod errors;
mod export;
mod fuzz;
mod hostile;
mod import;
mod lint;
mod real;
mod schema;
mod template;
mod value;

use super::*;
use std::{path::Path, time::Duration};

const GOOD: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1.0"
secrets: {db-pass: {generate: {bytes: 24, encoding: hex}}}
volumes: {db: {}}
networks: {inner: {}}
services:
  web:
    image: localhost/web:1
    user: "1000:1000"
    ports: [{target: 80, published: 8080, name: http, host_ip: 127.0.0.1}]
    networks: {inner: {aliases: [front]}}
    depends_on: {db: {condition: service_healthy}}
    probes: {readiness: {httpGet: {path: /, port: http}}}
    secrets: [{source: db-pass}]
  db:
    build: {context: images/db}
    volumes: [{type: volume, source: db, target: /data}, {type: bind, source: conf, target: /conf, read_only: true}]
    networks: {inner: }
    stop_grace_period: 1m30s
    probes: {readiness: {exec: {command: [ping]}}}
interfaces: {main: {service: web, port: http}}
"#;

fn context() -> RenderContext {
    RenderContext {
        node_id: "n1".into(),
        data_dir: "/data/shop".into(),
        manifest_dir: "/catalog/shop".into(),
        facts: Facts::default(),
    }
}

#[test]
fn a_good_manifest_is_accepted_and_rendered_in_dependency_order() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let rendered = manifest.render(&context());
    let order: Vec<&str> = rendered.services.iter().map(|s| s.service.as_str()).collect();
    assert_eq!(order, ["db", "web"]);
    let (db, web) = (&rendered.services[0].spec, &rendered.services[1].spec);
    assert_eq!(db.name, "shop-db");
    assert_eq!(db.image, "localhost/archipelago/shop-db:1.0");
    assert_eq!(db.stop_grace, Duration::from_secs(90));
    assert_eq!(db.mounts[1].source, MountSource::Bind("/data/shop/conf".into()));
    let anchor = rendered.services[1].anchor.as_ref().unwrap();
    assert_eq!(anchor.name, "shop-web_net");
    assert_eq!(anchor.networks["shop_inner"], ["front", "web", "shop-web"]);
    assert_eq!(web.network_of.as_deref(), Some("shop-web_net"));
    assert!(web.networks.is_empty() && web.ports.is_empty() && !anchor.ports.is_empty());
    assert_ne!(anchor.labels.get(LABEL_ROLE), web.labels.get(LABEL_ROLE));
    assert_eq!((web.secrets[0].uid, web.secrets[0].mode), (1000, 0o400));
    assert_eq!(web.labels[LABEL_DIGEST], web.digest());
    assert_eq!(rendered, manifest.render(&context()), "rendering is a function of its input");
}

#[test]
fn the_digest_follows_every_change_but_not_its_own_label() {
    let rendered = Manifest::parse(GOOD).unwrap().render(&context());
    let spec = &rendered.services[0].spec;
    let mut changed = spec.clone();
    changed.environment.insert("A".into(), "b".into());
    assert_ne!(spec.digest(), changed.digest());
    changed = spec.clone();
    changed.labels.insert(LABEL_DIGEST.into(), "other".into());
    assert_eq!(spec.digest(), changed.digest());
}

/// The text to replace, its replacement, the rule that must fire, the field, the line.
#[rustfmt::skip]
const BAD: &[(&str, &str, &str, &str, u32)] = &[
    ("manifest_version: 1", "manifest_version: 2", "manifest_version", "manifest_version", 1),
    ("name: Shop", "name: Shop\ncolour: red", "unknown_key", "colour", 4),
    ("    user:", "    usr:", "unknown_key", "services.web.usr", 11),
    ("httpGet: {path", "httpGet: {pth", "unknown_key", "services.web.probes.readiness.httpGet.pth", 15),
    ("id: shop", "id: Shop", "name", "id", 2),
    ("published: 8080", "published: 99999", "port", "services.web.ports[0].published", 12),
    ("published: 8080", "published: http", "wrong_type", "services.web.ports[0].published", 12),
    ("published: 8080", "published: 80", "privileged_port", "services.web.ports[0].published", 12),
    ("target: 80,", "target: 0,", "port", "services.web.ports[0].target", 12),
    ("host_ip: 127.0.0.1", "host_ip: nowhere", "host_ip", "services.web.ports[0].host_ip", 12),
    ("name: http, host_ip: 127.0.0.1}", "name: http}, {target: 81, published: 8080}", "duplicate_port", "services.web.ports[1].published", 12),
    ("    image: localhost/web:1\n", "", "image_missing", "services.web.image", 9),
    ("image: localhost/web:1", "image: localhost/web:1\n    build: {context: x}", "image_or_build", "services.web.build", 11),
    ("image: localhost/web:1", "image: 'a b'", "image", "services.web.image", 10),
    ("context: images/db", "context: ../db", "path_traversal", "services.db.build.context", 18),
    ("source: conf", "source: ../../etc", "path_traversal", "services.db.volumes[1].source", 19),
    ("source: conf", "source: /etc", "path_absolute", "services.db.volumes[1].source", 19),
    ("target: /conf", "target: conf", "container_path", "services.db.volumes[1].target", 19),
    ("source: db, target", "source: bd, target", "unknown_volume", "services.db.volumes[0].source", 19),
    ("[{source: db-pass}]", "[{source: nope}]", "unknown_secret", "services.web.secrets[0].source", 16),
    ("{source: db-pass}", "{source: db-pass, target: ../x}", "container_path", "services.web.secrets[0].target", 16),
    ("bytes: 24", "bytes: 4", "secret_length", "secrets.db-pass.generate.bytes", 5),
    ("networks: {inner: }", "networks: {outer: }", "unknown_network", "services.db.networks.outer", 20),
    ("aliases: [front]", "aliases: [shop-web]", "alias_is_name", "services.web.networks.inner.aliases[0]", 13),
    ("depends_on: {db: {condition: service_healthy}}", "depends_on: {dbx: {}}", "unknown_dependency", "services.web.depends_on.dbx", 14),
    ("    probes: {readiness: {exec: {command: [ping]}}}\n", "", "no_probe", "services.web.depends_on.db", 14),
    ("stop_grace_period: 1m30s", "depends_on: {web: {}}", "cycle", "services.db.depends_on", 21),
    ("stop_grace_period: 1m30s", "stop_grace_period: soon", "invalid_value", "services.db.stop_grace_period", 21),
    ("stop_grace_period: 1m30s", "cap_add: [SYS_ADMIN]", "capability", "services.db.cap_add[0]", 21),
    ("stop_grace_period: 1m30s", "environment: {'A B': c}", "environment", "services.db.environment.A B", 21),
    ("stop_grace_period: 1m30s", "container_name: shop-web", "duplicate_name", "services.web.container_name", 9),
    ("stop_grace_period: 1m30s", "container_name: 'a/b'", "container_name", "services.db.container_name", 21),
    ("port: http}}}", "port: nope}}}", "probe_port", "services.web.probes.readiness.httpGet.port", 15),
    ("{exec: {command: [ping]}}", "{exec: {command: []}}", "command", "services.db.probes.readiness.exec.command", 22),
    ("{exec: {command: [ping]}}", "{}", "probe", "services.db.probes.readiness", 22),
    ("service: web, port: http", "service: web, port: nope", "interface", "interfaces.main.port", 23),
    ("service: web, port: http", "service: app, port: http", "unknown_service", "interfaces.main.service", 23),
    ("name: Shop\n", "", "missing_key", "name", 1),
    ("source: conf, ", "", "missing_key", "services.db.volumes[1].source", 19),
    ("httpGet: {path: /,", "httpGet: {path: healthz,", "probe", "services.web.probes.readiness.httpGet.path", 15),
    ("stop_grace_period: 1m30s", "stop_grace_period: 2h", "grace", "services.db.stop_grace_period", 21),
    ("stop_grace_period: 1m30s", "stop_signal: BANANA", "stop_signal", "services.db.stop_signal", 21),
    ("stop_grace_period: 1m30s", "hostname: a b", "name", "services.db.hostname", 21),
    ("stop_grace_period: 1m30s", "working_dir: x", "container_path", "services.db.working_dir", 21),
    ("user: \"1000:1000\"", "user: www", "secret_owner", "services.web.user", 11),
    ("name: Shop", "name: Shop\nname: Twice", "duplicate_key", "name", 4),
    ("name: Shop", "name: &a Shop", "no_anchors", "name", 3),
    ("name: Shop", "name: *a", "no_aliases", "name", 3),
    ("name: Shop", "name: !x Shop", "no_tags", "name", 3),
    ("name: Shop", "name: ''", "text", "name", 3),
    ("volumes: {db: {}}", "volumes: {<<: {a: {}}, db: {}}", "no_merge_keys", "volumes.<<", 6),
    ("id: shop", "id: shop\n---", "one_document", "", 3),
    ("name: Shop", "name: [", "syntax", "", 4),
];

#[test]
fn every_rule_names_its_field_and_its_place() {
    for (from, to, rule, field, line) in BAD {
        assert!(GOOD.contains(from), "the good manifest has no {from:?}");
        let text = GOOD.replacen(from, to, 1);
        let problems = Manifest::parse(&text).expect_err(to);
        let found = problems.iter().any(|p| p.rule == *rule && p.field == *field && p.line == Some(*line));
        assert!(found, "{to:?} should break {rule} at {field}:{line}, but: {problems:#?}");
        assert!(problems.iter().all(|p| !p.message.is_empty() && !p.remedy.is_empty()));
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = GOOD
        .replace("published: 8080", "published: 99999")
        .replace("bytes: 24", "bytes: 1")
        .replace("    user", "    usr");
    let problems = Manifest::parse(&text).unwrap_err();
    let rules: Vec<&str> = problems.iter().map(|p| p.rule.as_str()).collect();
    assert_eq!(rules, ["secret_length", "unknown_key", "port"]);
}

#[test]
fn keys_of_ones_own_are_kept_apart_by_their_prefix() {
    assert!(Manifest::parse(&GOOD.replace("name: Shop", "name: Shop\nx-note: {any: [thing]}")).is_ok());
}

#[test]
fn hostile_texts_are_refused_quickly_and_never_panic() {
    let laughs = (1..20).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
        text + &format!("a{i}: &a{i} [*a{0}, *a{0}, *a{0}, *a{0}]\n", i - 1)
    });
    let deep = "[".repeat(60_000);
    let wide = "a: 1\n".repeat(12_000);
    let long = "x".repeat(1 << 20);
    let nul = GOOD.replace("name: Shop", "name: \"a\\0b\"");
    for text in [
        laughs.as_str(),
        &deep,
        &wide,
        &long,
        &nul,
        "",
        "\u{feff}",
        "- a",
        "? [a]\n: b",
        "\t",
        "%YAML 9",
        "a: |",
    ] {
        let problems = Manifest::parse(text).expect_err("hostile text accepted");
        assert!(!problems.is_empty());
    }
}

#[test]
fn spans_and_sizes_read_composes_notation() {
    assert_eq!("1m30s".parse::<Span>().unwrap().0, Duration::from_secs(90));
    assert_eq!("250ms".parse::<Span>().unwrap().0, Duration::from_millis(250));
    for bad in ["", "10", "s", "1x", "99999999999999999999s", "1 s", "-1s"] {
        assert!(bad.parse::<Span>().is_err(), "{bad}");
    }
    assert_eq!("512M".parse::<Size>().unwrap().0, 512 << 20);
    for bad in ["", "M", "1Q", "99999999999999999999G", "18446744073709551615T"] {
        assert!(bad.parse::<Size>().is_err(), "{bad}");
    }
}

#[test]
fn the_catalog_tells_good_from_bad() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, text) in [("shop", GOOD.to_owned()), ("other", GOOD.to_owned()), ("broken", "x".to_owned())]
    {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        std::fs::write(dir.path().join(folder).join("manifest.yml"), text).unwrap();
    }
    std::fs::create_dir(dir.path().join("no-app")).unwrap();
    let (apps, errors) = load_catalog(dir.path()).unwrap();
    assert_eq!(apps.keys().map(ToString::to_string).collect::<Vec<_>>(), ["shop"]);
    assert_eq!(errors.len(), 2);
    assert!(load_catalog(Path::new("/nonexistent")).is_err());
}
