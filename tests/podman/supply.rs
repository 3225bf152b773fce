//! What the node makes for an app, as the app's own user finds it, and a purge that leaves nothing of it.

use crate::{
    fault::support::{Rig, Stack},
    node::support::podman,
};
use protocol::{Command, ErrorCode, OpState, Phase, client::ClientError};
use std::{fs, path::Path};

const SUPPLY: &str = include_str!("supply.yml");

/// What a client that trusts this certificate and no other is served.
async fn get(stack: &Stack, certificate: &str, path: &str) -> String {
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_built_in_root_certs(false);
    let http = http.add_root_certificate(certificate).build().unwrap();
    let answer = http.get(format!("https://127.0.0.1:{}{path}", stack.port)).send().await.unwrap();
    answer.error_for_status().unwrap().text().await.unwrap()
}

/// A file of the app, as its own user sees it.
fn inside(stack: &Stack, path: &str) -> String {
    podman(&["exec", &stack.container("server"), "cat", path])
}

async fn supplied() {
    let (mut rig, stacks) = Rig::start(&[("supply", SUPPLY)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    let data = rig.dir.path().join("data");
    let secrets = data.join("secrets").join(&stack.id);
    let secret = fs::read_to_string(secrets.join("pass")).unwrap();
    let certificate = inside(stack, "/etc/supply/tls.crt");
    assert_eq!(get(stack, &certificate, "/page.txt").await, format!("it is {secret}\n"));
    assert_eq!(get(stack, &certificate, "/data/greeting").await, "hello\n");
    for shown in [
        podman(&["inspect", &stack.container("server")]),
        rig.log(),
        format!("{:?}", rig.app(stack)),
        String::from_utf8_lossy(&fs::read(data.join("node.sqlite")).unwrap()).into_owned(),
    ] {
        assert!(!shown.contains(&secret), "the secret is in {shown}");
    }

    // A file that was changed is written anew, one that is there and good stays: the container's user owns them now.
    podman(&["exec", &stack.container("server"), "sh", "-c", "echo mine >/data/mine"]);
    rig.operate(stack, "restart").await;
    rig.until(stack, |app| app.phase == Phase::Running).await;
    assert_eq!(inside(stack, "/etc/supply/tls.crt"), certificate);
    assert_eq!(get(stack, &certificate, "/page.txt").await, format!("it is {secret}\n"));
    assert_eq!(get(stack, &certificate, "/data/mine").await, "mine\n");

    let app = stack.id.parse().unwrap();
    let purge = Command::Uninstall { app, purge: true };
    let refused = rig.client.command(&purge, None).await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.code, ErrorCode::ConfirmRequired);
    let confirm = refused.confirm.unwrap();
    assert!(confirm.plan.removes.iter().any(|it| it.contains(&format!("{}_store", stack.id))), "{confirm:?}");
    let accepted = rig.client.command_confirmed(&purge, &confirm.token).await.unwrap();
    let op = rig.ended(&accepted.op_id).await;
    assert_eq!(op.state, OpState::Succeeded, "{op:#?}");
    rig.until(stack, |app| app.phase == Phase::NotInstalled).await;
    let there = |path: &Path| path.exists().then(|| path.to_owned());
    assert_eq!(there(&secrets).or(there(&data.join("data").join(&stack.id))), None);
    for list in [["ps", "-aq"], ["volume", "ls"], ["network", "ls"]] {
        let left = podman(&[list.as_slice(), &["--filter", &stack.label()]].concat());
        assert!(!left.contains(&stack.id), "{left}");
    }
    assert!(!podman(&["secret", "ls"]).contains(&stack.id));
}

#[test]
fn an_app_finds_its_files_and_its_certificate_and_a_purge_leaves_nothing() {
    crate::owner::run(
        concat!(module_path!(), "::an_app_finds_its_files_and_its_certificate_and_a_purge_leaves_nothing"),
        supplied(),
    );
}
