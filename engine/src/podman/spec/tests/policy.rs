//! From a manifest's text to the request: whatever a valid manifest says, no request takes a confinement away.

use super::create_body;
use apps::{Facts, Manifest, RenderContext};
use proptest::{collection::hash_set, prelude::*};
use serde_json::Value;
use std::{fs, path::Path};

/// Lines of a service, allowed ones and refused ones. Any set of them is tried; what validation lets through must
/// still be a request that policy would sign.
const LINES: &[&str] = &[
    "privileged: true",
    "privileged: false",
    "network_mode: host",
    "network_mode: none",
    "network_mode: bridge",
    "pid: host",
    "pid: private",
    "ipc: host",
    "ipc: shareable",
    "uts: host",
    "userns_mode: host",
    "userns_mode: \"keep-id\"",
    "cgroup: host",
    "cgroup_parent: /",
    "cap_add: [SYS_ADMIN]",
    "cap_add: [ALL]",
    "cap_add: [CAP_CHOWN, SETUID]",
    "cap_drop: []",
    "cap_drop: [NET_RAW]",
    "security_opt: [\"seccomp=unconfined\"]",
    "security_opt: [\"no-new-privileges:false\"]",
    "security_opt: [no-new-privileges]",
    "devices: [/dev/sda]",
    "devices: [/dev/mem]",
    "devices: [/dev/ttyUSB0]",
    "devices: [\"/dev/net/tun:/dev/net/tun:rw\"]",
    "volumes: [\"/:/host\"]",
    "volumes: [\"/run/user/1000/podman/podman.sock:/s\"]",
    "volumes: [\"../x:/x\"]",
    "volumes: [\"./conf:/conf\"]",
    "volumes: [{type: bind, source: a, target: /a, chown: true}, \"./b:/b:ro\"]",
    "sysctls: {kernel.core_pattern: x}",
    "sysctls: {net.core.somaxconn: 1024}",
    "ulimits: {nofile: 4096}",
    "user: root",
    "user: \"1000:1000\"",
    "read_only: true",
    "init: true",
    "tmpfs: /tmp",
    "labels: {io.podman.annotations.privileged: \"TRUE\"}",
    "labels: {a: b}",
    "environment: {KEY: \"{{secret:key}}\"}",
    "environment: {A: b}",
    "command: [\"--password={{secret:key}}\"]",
    "secrets: [key]",
    "secrets: [{source: key, env: KEY}]",
    "shm_size: 64m",
    "deploy: {resources: {limits: {cpus: \"0.5\", memory: 64M, pids: 10}}}",
    "podman_args: [--privileged]",
    "restart: always",
    "restart: on-failure",
];

fn context() -> RenderContext {
    RenderContext {
        node_id: "n1".into(),
        data_dir: "/data/app".into(),
        manifest_dir: "/catalog/app".into(),
        facts: Facts::default(),
    }
}

fn bodies(text: &str) -> Option<Vec<Value>> {
    let manifest = Manifest::parse(text).ok()?;
    let services = manifest.render(&context()).services;
    let containers = services.iter().flat_map(|service| service.containers());
    Some(containers.map(|spec| create_body(spec).unwrap()).collect())
}

/// Everything that has to hold of every request.
fn confined(body: &Value) {
    assert_eq!(body["cap_drop"], serde_json::json!(["ALL"]));
    assert_eq!(body["no_new_privileges"], true);
    assert_eq!(body["restart_policy"], "no");
    let allowed = [
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "NET_BIND_SERVICE",
        "SETGID",
        "SETUID",
        "SETPCAP",
    ];
    for cap in body["cap_add"].as_array().into_iter().flatten() {
        assert!(allowed.contains(&cap.as_str().unwrap()), "{cap}");
    }
    let never = [
        "privileged",
        "pidns",
        "ipcns",
        "utsns",
        "userns",
        "cgroupns",
        "cgroup_parent",
        "seccomp_profile_path",
        "seccomp_policy",
        "apparmor_profile",
        "selinux_opts",
        "unmask",
        "volumes_from",
        "idmappings",
        "annotations",
        "device_cgroup_rule",
        "rootfs",
        "env_host",
        "raw_image_name_",
    ];
    for key in never {
        assert!(body.get(key).is_none_or(|value| *value == Value::Bool(false)), "{key}: {}", body[key]);
    }
    let mode = body.pointer("/netns/nsmode").and_then(Value::as_str).unwrap_or("bridge");
    assert!(["bridge", "none", "container"].contains(&mode), "{mode}");
    if mode == "container" {
        // Nobody's network but the one of its own anchor.
        let own = format!("{}_net", body["name"].as_str().unwrap());
        assert_eq!(body["netns"]["value"], Value::from(own));
    }
    for mount in body["mounts"].as_array().into_iter().flatten().filter(|mount| mount["type"] == "bind") {
        let source = mount["source"].as_str().unwrap();
        assert!(source.starts_with("/data/app/") && !source.contains(".."), "{source}");
    }
    for device in body["devices"].as_array().into_iter().flatten() {
        let path = device["path"].as_str().unwrap();
        assert!(path.starts_with("/dev/ttyUSB0:") || path.starts_with("/dev/net/tun:"), "{path}");
    }
    for name in body["sysctl"].as_object().into_iter().flat_map(|map| map.keys()) {
        assert!(name.starts_with("net."), "{name}");
    }
    assert!(!body.to_string().contains("{{secret"), "{body}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_valid_manifest_becomes_a_request_without_confinement(picked in hash_set(0..LINES.len(), 0..7)) {
        let mut text = "manifest_version: 1\nid: shop\nname: Shop\nversion: \"1\"\n\
                        secrets: {key: {generate: {bytes: 24}}}\nservices:\n  web:\n    image: localhost/web:1\n"
            .to_owned();
        let mut keys = Vec::new();
        for line in picked.into_iter().map(|i| LINES[i]) {
            let key = line.split(':').next();
            // A key that stands twice is refused for that alone.
            if !keys.contains(&key) {
                keys.push(key);
                text.push_str(&format!("    {line}\n"));
            }
        }
        bodies(&text).into_iter().flatten().for_each(|body| confined(&body));
    }
}

#[test]
fn each_allowed_line_gets_through_alone() {
    let head = "manifest_version: 1\nid: shop\nname: Shop\nversion: \"1\"\n\
                secrets: {key: {generate: {bytes: 24}}}\nservices:\n  web:\n    image: localhost/web:1\n";
    let through = LINES.iter().filter(|line| bodies(&format!("{head}    {line}\n")).is_some()).count();
    assert_eq!(through, 26, "the others are refused");
}

/// Writes the files anew when this is set: `UPDATE_GOLDEN=1 cargo test -p engine golden`.
const UPDATE: &str = "UPDATE_GOLDEN";

#[test]
fn golden_requests_are_what_they_were() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifests =
        [("complete", "../apps/tests/complete.yml"), ("counter", "../apps/catalog/demo/manifest.yml")];
    for (name, manifest) in manifests {
        let text = fs::read_to_string(here.join(manifest)).unwrap();
        let all = bodies(&text).expect("a valid manifest");
        all.iter().for_each(confined);
        let path = here.join(format!("src/podman/spec/tests/{name}.json"));
        let json = format!("{}\n", serde_json::to_string_pretty(&all).unwrap());
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &json).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap();
        assert!(
            golden == json,
            "{name} has changed; {UPDATE}=1 cargo test -p engine golden writes it anew: {json}"
        );
    }
}
