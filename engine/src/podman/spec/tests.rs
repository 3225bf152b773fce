//! What the engine is asked for, down to the JSON.

mod policy;

use super::*;
use crate::testing::spec;
use apps::SecretMount;

#[test]
fn what_holds_always_is_in_the_request() {
    let body = create_body(&spec("web", "localhost/web:1")).unwrap();
    assert_eq!(body["no_new_privileges"], true);
    assert_eq!(body["cap_drop"], json!(["ALL"]));
    assert_eq!(body["restart_policy"], "no");
    assert_eq!(body["log_configuration"], json!({"driver": "k8s-file", "size": 10_000_000}));
    assert_eq!(body["systemd"], "false");
    assert_eq!(body.get("resource_limits"), None);
    assert_eq!(body.get("netns"), None);
}

#[test]
fn networks_leave_out_the_alias_that_is_the_name() {
    let mut spec = spec("web", "localhost/web:1");
    spec.networks.insert("net".into(), vec!["web".into(), "front".into()]);
    let body = create_body(&spec).unwrap();
    assert_eq!(body["netns"]["nsmode"], "bridge");
    assert_eq!(body["Networks"]["net"]["aliases"], json!(["front"]));
}

#[test]
fn a_secret_on_a_read_only_root_gets_a_place_for_its_file() {
    let mut spec = spec("web", "localhost/web:1");
    spec.read_only = true;
    spec.secrets.push(SecretMount { source: "s".into(), target: "t".into(), uid: 0, gid: 0, mode: 0o400 });
    assert_eq!(create_body(&spec).unwrap()["mounts"][0]["destination"], "/run/secrets");
    spec.tmpfs.push("/run/secrets".into());
    assert_eq!(create_body(&spec).unwrap()["mounts"].as_array().unwrap().len(), 1);
}

#[test]
fn stop_signals_become_numbers() {
    assert_eq!(signal_number("SIGTERM"), Some(15));
    assert_eq!(signal_number("QUIT"), Some(3));
    assert_eq!(signal_number("SIGRTMIN+3"), Some(37));
    assert_eq!(signal_number("9"), Some(9));
    assert_eq!(signal_number("65"), None);
    assert_eq!(signal_number("SIGBOGUS"), None);
}

#[test]
fn what_is_asked_for_is_in_the_request() {
    let mut spec = spec("web", "localhost/web:1");
    spec.secret_env = [("KEY".to_owned(), "shop_key".to_owned())].into();
    spec.cpu_millis = Some(1500);
    spec.shm_size = Some(1 << 20);
    spec.devices = vec!["/dev/ttyUSB0:/dev/ttyUSB0:rw".into()];
    spec.sysctls = [("net.core.somaxconn".to_owned(), "1024".to_owned())].into();
    spec.ulimits = [("nofile".to_owned(), (1024, 4096))].into();
    let body = create_body(&spec).unwrap();
    assert_eq!(body["secret_env"], json!({"KEY": "shop_key"}));
    assert_eq!(body["resource_limits"]["cpu"], json!({"quota": 150_000, "period": 100_000}));
    assert_eq!(body["shm_size"], 1 << 20);
    assert_eq!(body["devices"], json!([{"path": "/dev/ttyUSB0:/dev/ttyUSB0:rw"}]));
    assert_eq!(body["sysctl"], json!({"net.core.somaxconn": "1024"}));
    assert_eq!(body["r_limits"], json!([{"type": "NOFILE", "soft": 1024, "hard": 4096}]));
}

#[test]
fn mounts_are_given_to_the_containers_user_where_they_are_asked_to() {
    let mut spec = spec("web", "localhost/web:1");
    let mount = |source, chown| Mount { source, target: "/data".to_owned(), read_only: false, chown };
    spec.mounts = vec![
        mount(MountSource::Volume("v".into()), true),
        mount(MountSource::Bind("/b".into()), true),
        mount(MountSource::Bind("/c".into()), false),
    ];
    let body = create_body(&spec).unwrap();
    assert_eq!(body["volumes"][0]["Options"], json!(["rw", "U"]));
    assert_eq!(body["mounts"][0]["options"], json!(["rbind", "rw", "U"]));
    assert_eq!(body["mounts"][1]["options"], json!(["rbind", "rw"]));
}

#[test]
fn a_container_without_a_network_is_on_none() {
    let mut spec = spec("web", "localhost/web:1");
    spec.no_network = true;
    let body = create_body(&spec).unwrap();
    assert_eq!(body["netns"]["nsmode"], "none");
    assert_eq!(body.get("Networks"), None);
}
