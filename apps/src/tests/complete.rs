//! The whole format: every key is read, short forms are the full ones, and nothing else changes what is read.

use super::context;
use crate::{
    Facts, LABEL_FILES, Manifest, MountSource, RenderContext, Variable,
    manifest::{Condition, Owner, RestartPolicy},
};
use serde_json::Value;
use std::collections::BTreeSet;

const COMPLETE: &str = include_str!("../../tests/complete.yml");
/// Keys that are there to be refused.
const NEVER: &[&str] = &["cgroup_parent", "env"];

#[test]
fn the_complete_manifest_is_valid_and_has_every_key_of_the_schema() {
    if let Err(problems) = Manifest::parse(COMPLETE) {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    let mut keys = BTreeSet::new();
    let mut open = vec![crate::schema()];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(properties)) = map.get("properties") {
                    keys.extend(properties.keys().cloned());
                }
                open.extend(map.into_iter().map(|(_, value)| value));
            }
            Value::Array(list) => open.extend(list),
            _ => {}
        }
    }
    assert!(keys.len() > 120, "{}", keys.len());
    let words: BTreeSet<&str> =
        COMPLETE.split(|c: char| !(c.is_ascii_alphanumeric() || "_-:".contains(c))).collect();
    for key in keys.iter().filter(|key| !NEVER.contains(&key.as_str())) {
        assert!(words.contains(format!("{key}:").as_str()), "the complete manifest has no {key}");
    }
}

const SHORT: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1.0"
secrets: {key: {generate: {bytes: 24}}}
configs: {conf: {content: a}}
volumes: {data: }
networks: {inner: }
services:
  db: {image: localhost/db:1}
  web:
    build: images/web
    entrypoint: /bin/web --name "two words"
    command: serve 'it''s'
    environment: [MODE=fast, "EMPTY=", PORT=80]
    user: 1000
    labels: [a.b=c]
    secrets: [key]
    configs: [conf]
    ports: ["8080:80", "127.0.0.1:3478:3478/udp", "[::1]:9000:90/tcp"]
    expose: [80]
    volumes: ["data:/data:ro", "./conf/web:/etc/conf", "cache/x:/cache:rw,U"]
    tmpfs: /tmp
    networks: [inner]
    depends_on: [db]
    sysctls: [net.core.somaxconn=1024]
    ulimits: {nofile: 4096}
    devices: ["/dev/ttyUSB0:/dev/ttyACM0:rw", /dev/net/tun]
    shm_size: 134217728
    deploy: {resources: {limits: {cpus: 0.5}}}
    probes: {readiness: {tcpSocket: {port: 80}}}
"#;

const LONG: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1.0"
secrets: {key: {generate: {bytes: 24, encoding: hex}, external: false}}
configs: {conf: {content: a, overwrite: true}}
volumes: {data: }
networks: {inner: }
services:
  db: {image: localhost/db:1}
  web:
    build: {context: images/web, dockerfile: Containerfile}
    entrypoint: [/bin/web, --name, two words]
    command: [serve, its]
    environment: {MODE: fast, EMPTY: "", PORT: "80"}
    user: "1000"
    labels: {a.b: c}
    secrets: [{source: key}]
    configs: [{source: conf}]
    ports:
      - {target: 80, published: 8080, protocol: tcp, host_ip: ""}
      - {target: 3478, published: 3478, protocol: udp, host_ip: 127.0.0.1}
      - {target: 90, published: 9000, host_ip: "::1"}
    expose: ["80"]
    volumes:
      - {type: volume, source: data, target: /data, read_only: true}
      - {type: bind, source: conf/web, target: /etc/conf}
      - {type: bind, source: cache/x, target: /cache, chown: true}
    tmpfs: [/tmp]
    networks: {inner: }
    depends_on: {db: {condition: service_started, restart: false, required: true}}
    sysctls: {net.core.somaxconn: "1024"}
    ulimits: {nofile: {soft: 4096, hard: 4096}}
    devices:
      - {source: /dev/ttyUSB0, target: /dev/ttyACM0, permissions: rw}
      - {source: /dev/net/tun}
    shm_size: 128m
    deploy: {resources: {limits: {cpus: "0.5"}}}
    probes: {readiness: {tcpSocket: {port: "80"}}}
"#;

#[test]
fn composes_short_forms_mean_what_the_full_ones_do() {
    assert_eq!(Manifest::parse(SHORT).unwrap(), Manifest::parse(LONG).unwrap());
}

#[test]
fn what_is_read_can_be_written_and_read_again() {
    for text in [COMPLETE, SHORT, super::GOOD] {
        let manifest = Manifest::parse(text).unwrap();
        let json = serde_json::to_value(&manifest).unwrap();
        assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), manifest);
    }
}

#[test]
fn line_ends_and_the_order_of_keys_change_nothing() {
    let manifest = Manifest::parse(LONG).unwrap();
    assert_eq!(Manifest::parse(&LONG.replace('\n', "\r\n")).unwrap(), manifest);
    // Block texts, too: what a file holds does not depend on who saved the manifest.
    let complete = Manifest::parse(COMPLETE).unwrap();
    assert_eq!(Manifest::parse(&COMPLETE.replace('\n', "\r\n")).unwrap(), complete);
    let (head, services) = LONG.split_once("services:").unwrap();
    let head: Vec<&str> = head.lines().rev().collect();
    let turned = format!("services:{services}{}\n", head.join("\n"));
    let turned = Manifest::parse(&turned).unwrap();
    assert_eq!(turned, manifest);
    assert_eq!(turned.render(&context()), manifest.render(&context()));
}

#[test]
fn every_restart_policy_of_compose_is_known_to_the_model() {
    let read = |text: &str| RestartPolicy::try_from(text.to_owned());
    assert_eq!(read("always"), Ok(RestartPolicy::Always));
    assert_eq!(read("unless-stopped"), Ok(RestartPolicy::UnlessStopped));
    assert_eq!(read("on-failure"), Ok(RestartPolicy::OnFailure));
    assert_eq!(read("on-failure:3"), Ok(RestartPolicy::OnFailure));
    assert_eq!(read("no"), Ok(RestartPolicy::No));
    assert!(read("on-failure:").is_err() && read("never").is_err());
}

#[test]
fn the_complete_manifest_renders_to_what_it_says() {
    let facts = Facts { host_ip: Some("10.0.0.7".into()), ..Facts::default() };
    let rendered = Manifest::parse(COMPLETE).unwrap().render(&RenderContext { facts, ..context() });
    let [db, api, web] = rendered.services.as_slice() else { panic!("{:?}", rendered.services) };
    assert_eq!(rendered.networks, ["explorer_inner"]);
    assert_eq!(rendered.shared_networks, ["archy-net"]);
    assert_eq!(rendered.external_secrets["api-key"], "explorer_api-key");
    assert_eq!(rendered.secrets.len(), 4);
    assert_eq!(rendered.owners.values().next(), Some(&Owner { uid: 999, gid: 999 }));
    assert_eq!(rendered.directories.len(), 1, "the node's own files are no folders of the app");
    assert_eq!(rendered.configs.len(), 3);
    assert_eq!(rendered.certs[0].sans.len(), 3);
    assert!(rendered.unresolved.is_empty(), "{:?}", rendered.unresolved);

    let files: Vec<&str> = db.spec.secrets.iter().map(|secret| secret.target.as_str()).collect();
    assert_eq!(files, ["password", "root", "cookie"]);
    assert_eq!(db.readiness.as_ref().unwrap().exec.as_ref().unwrap().command[0], "healthcheck.sh");
    assert_eq!(db.readiness.as_ref().unwrap().failure_threshold, 5);
    assert_eq!(db.spec.environment["MYSQL_PORT"], "3306");
    assert_eq!(db.spec.shm_size, Some(128 << 20));
    let chown: Vec<bool> = db.spec.mounts.iter().map(|mount| mount.chown).collect();
    assert_eq!(chown, [true, false, true], "as asked; not where an owner is named; what the node wrote");
    assert!(db.spec.mounts[2].read_only);

    assert_eq!(api.depends_on[0].1, Condition::ServiceHealthy);
    assert_eq!(api.spec.command.as_ref().unwrap().last().unwrap(), "/nginx");
    assert_eq!(api.spec.environment["PUBLIC_URL"], "http://10.0.0.7:4080");
    assert_eq!(api.spec.cap_add, ["CHOWN", "SETUID"]);
    assert_eq!(api.spec.devices, ["/dev/ttyUSB0:/dev/ttyUSB0:rw"]);
    assert_eq!(api.spec.ulimits["nproc"], (512, 512));
    assert_eq!(api.spec.cpu_millis, Some(1500));
    assert_eq!(api.published()[1].protocol, crate::PortProtocol::Udp);
    assert_eq!(api.spec.labels["org.example.role"], "backend");
    let networks = &api.anchor.as_ref().unwrap().networks;
    assert_eq!(networks["archy-net"], ["api", "explorer-api"]);
    assert_eq!(networks["explorer_inner"], ["api", "explorer-api"]);
    let known: Vec<&str> = api.ports.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(known, ["rpc", "8999"]);
    assert!(api.startup.is_some() && api.liveness.is_some());
    assert!(web.spec.mounts[0].source == MountSource::Bind("/data/shop/.archipelago/certs/tls".into()));
}

#[test]
fn a_variable_that_nothing_is_known_for_stays_and_is_told() {
    let rendered = Manifest::parse(COMPLETE).unwrap().render(&context());
    assert_eq!(rendered.unresolved.into_iter().collect::<Vec<_>>(), [Variable::HostIp]);
    assert_eq!(rendered.services[1].spec.environment["PUBLIC_URL"], "http://{{HOST_IP}}:4080");
}

#[test]
fn a_changed_file_is_a_changed_configuration() {
    let digest = |text: &str| Manifest::parse(text).unwrap().render(&context()).services[1].spec.digest();
    let label = |text: &str| {
        let rendered = Manifest::parse(text).unwrap().render(&context());
        rendered.services[1].spec.labels[LABEL_FILES].clone()
    };
    let changed = COMPLETE.replace("resolver {{", "resolver  {{");
    assert_ne!(changed, COMPLETE);
    assert_ne!(digest(COMPLETE), digest(&changed));
    assert_ne!(label(COMPLETE), label(&changed));
}

/// What runs on nodes today was made from these digests: another one is a recreation of every such container.
#[test]
fn digests_are_what_they_were() {
    let text = include_str!("../../catalog/demo/manifest.yml");
    let rendered = Manifest::parse(text).unwrap().render(&context());
    let containers = rendered.services.iter().flat_map(|service| service.containers());
    let digests: Vec<String> = containers.map(|spec| spec.digest()).collect();
    let expected = [
        "c14f70dfdaed8586435f82e3a1fdc6087b29b69cf9f498aa7809aebe9fcbbbc7",
        "edd6ca8298096209cbb0fdeeeea79a38b8992a9223fb6fe82ec5c7d213adf0ec",
        "cc1290c8bd340d529e03afa9a8201901e1f6df2ba8e125ddce5c926995dd5221",
        "83f4fa504b0f9e6cef2cb2a1dd29b14a4f33b127cf3f083dd74e7f739ac183f9",
        "2c77a25a48020b3c6ff85d8c7dab1c8ab807bc32d10fb8198ba1401b22d89016",
        "31dd0201f3163e310c846c2d2ad3822a3be7117d35f38ed17f16a4a055947095",
    ];
    assert_eq!(digests, expected);
}
