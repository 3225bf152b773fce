//! Seven real programs in one app, with all that the manifest knows: probes, hooks, secrets, a certificate, aliases, UDP,
//! a migration that ends for good; installed, broken one by one, left alone by a new node, made anew, and taken away.

use crate::{
    fault::support::{Facts, Rig, Stack, kill_all, of, skipped},
    node::support::{BOUND, podman, variable},
};
use protocol::{AppView, Command, ContainerPhase, ErrorCode, OpState, Phase, client::ClientError};
use std::{
    fs,
    io::Write,
    net::UdpSocket,
    process::{self, Stdio},
    time::Duration,
};
use tokio::time::timeout;

const STACK: &str = include_str!("stack/stack.yml");
const IMAGE: &str = include_str!("stack/base.sh");
const SERVICES: [&str; 7] = ["api", "cache", "db", "echo", "migrate", "stats", "web"];

/// Runs a program with this on its standard input.
fn fed(program: &str, args: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = process::Command::new(program);
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stdout).trim().to_owned())
}

/// What a client that trusts the app's certificate and no other is served, once it is.
async fn served(rig: &Rig, stack: &Stack, path: &str) -> String {
    let certificate = podman(&["exec", &stack.container("web"), "cat", "/etc/tls/tls.crt"]);
    let certificate = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_built_in_root_certs(false);
    let http = http.add_root_certificate(certificate).pool_max_idle_per_host(0).build().unwrap();
    let url = format!("https://127.0.0.1:{}{path}", stack.port);
    let mut last = String::new();
    let asked = async {
        loop {
            match http.get(&url).timeout(Duration::from_secs(5)).send().await {
                Ok(answer) if answer.status() == 200 => return answer.text().await.unwrap(),
                Ok(answer) => {
                    last = format!("{}: {}", answer.status(), answer.text().await.unwrap_or_default())
                }
                Err(error) => last = error.to_string(),
            }
            tokio::task::yield_now().await;
        }
    };
    match timeout(BOUND, asked).await {
        Ok(text) => text,
        Err(_) => panic!("{path} is answered with {last:?}\n{:#?}\n{}", rig.app(stack), rig.log()),
    }
}

/// A figure of what the API says.
async fn figure(rig: &Rig, stack: &Stack, name: &str) -> u64 {
    let said = served(rig, stack, "/").await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    said[name].as_u64().unwrap_or_else(|| panic!("{name}: {said}"))
}

fn echoes(stack: &Stack) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 64];
    let answer = (0..30).find_map(|_| {
        socket.send_to(b"hi", ("127.0.0.1", stack.udp)).unwrap();
        socket.recv(&mut buffer).ok()
    });
    assert_eq!(answer.map(|length| buffer[..length].to_vec()).as_deref(), Some(&b"echo hi"[..]));
}

/// All that lasts runs and is ready, and the migration has done its work.
fn is_whole(app: &AppView) -> bool {
    app.phase == Phase::Running
        && app.containers.len() == SERVICES.len()
        && of(app, "migrate").ended == Some(0)
        && app.containers.iter().all(|c| c.phase == ContainerPhase::Running || c.ended == Some(0))
}

fn runs(facts: &Facts, container: &str) -> (String, String) {
    let fact = &facts[container];
    (fact.id.clone(), fact.started_at.clone())
}

async fn stack() {
    match fed("bash", &["-s"], IMAGE) {
        (Some(0), _) => {}
        (Some(3), reason) => return skipped(&reason),
        other => panic!("the image could not be built: {other:?}"),
    }
    let (mut rig, stacks) = Rig::start(&[("stack", STACK)]).await;
    let stack = &stacks[0];
    fs::write(rig.dir.path().join("catalog").join(&stack.id).join("page.html"), "a page\n").unwrap();

    // Its owner's secret is asked for before anything is made, and given from a pipe.
    let refused = rig.submit(stack, "install").await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(
        (refused.code, refused.problems[0].field.as_str()),
        (ErrorCode::Invalid, "secrets.cache-pass")
    );
    assert!(rig.facts(stack).is_empty());
    let data = rig.dir.path().join("data");
    let archy = ["--data-dir", data.to_str().unwrap(), "secret", "set", &stack.id, "cache-pass"];
    assert_eq!(fed(&variable("ARCHY_BIN"), &archy, "open-sesame\n").0, Some(0));

    rig.install(stack).await;
    let app = rig.until(stack, is_whole).await;
    let order: Vec<String> = app.containers.iter().map(|c| c.service.to_string()).collect();
    assert_eq!((figure(&rig, stack, "visits").await, figure(&rig, stack, "hooked").await), (1, 1));
    assert_eq!(served(&rig, stack, "/pages/page.html").await, "a page\n");
    assert!(served(&rig, stack, "/stats").await.starts_with("keys "));
    echoes(stack);
    let greeted = || podman(&["exec", &stack.container("cache"), "cat", "/tmp/greeted"]).lines().count();
    assert_eq!(greeted(), 1);

    // Each is killed: it and those that start after it are restarted, and nobody else; what has completed stays so.
    for (i, service) in order.iter().enumerate().filter(|(_, service)| *service != "migrate") {
        let before = rig.facts(stack);
        let restarts = of(rig.app(stack), service).restarts;
        kill_all([&before[&stack.container(service)].pid]);
        rig.until(stack, |app| of(app, service).restarts > restarts && is_whole(app)).await;
        let after = rig.facts(stack);
        for (j, other) in order.iter().enumerate() {
            let name = stack.container(other);
            let same = runs(&before, &name) == runs(&after, &name);
            assert_eq!(same, j < i || other == "migrate", "{other} after the end of {service}: {order:?}");
            assert_eq!(
                before[&name].id,
                after[&name].id,
                "{other} is made anew after the end of {service}\n{}",
                rig.log()
            );
        }
        assert_eq!(
            (figure(&rig, stack, "visits").await, figure(&rig, stack, "hooked").await),
            (1, 1),
            "{service}"
        );
    }
    echoes(stack);
    assert!(greeted() > 1, "each run of the container is greeted");

    // A new node leaves all as it is.
    let before = rig.facts(stack);
    rig.kill_daemon();
    rig.start_daemon();
    rig.until(stack, is_whole).await;
    assert_eq!(rig.facts(stack), before);
    assert_eq!(figure(&rig, stack, "hooked").await, 1);

    // A container that is made anew gets again what belongs in it.
    for service in ["web", "db"] {
        let restarts = of(rig.app(stack), service).restarts;
        podman(&["rm", "-f", "-t", "0", &stack.container(service)]);
        rig.until(stack, |app| of(app, service).restarts > restarts && is_whole(app)).await;
        assert_eq!(served(&rig, stack, "/pages/page.html").await, "a page\n");
    }
    assert_eq!((figure(&rig, stack, "visits").await, figure(&rig, stack, "hooked").await), (1, 2));

    // A user's restart runs the migration again; the command before the stop has had its say.
    rig.operate(stack, "restart").await;
    rig.until(stack, is_whole).await;
    assert_eq!(figure(&rig, stack, "visits").await, 2);
    let bye = fs::read_to_string(data.join("data").join(&stack.id).join("keep/bye")).unwrap();
    assert!(bye.lines().count() >= 1, "{bye:?}");

    let purge = Command::Uninstall { app: stack.id.parse().unwrap(), purge: true };
    let refused = rig.client.command(&purge, None).await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    let accepted = rig.client.command_confirmed(&purge, &refused.confirm.unwrap().token).await.unwrap();
    let op = rig.ended(&accepted.op_id).await;
    assert_eq!(op.state, OpState::Succeeded, "{op:#?}");
    for list in [["ps", "-aq"], ["volume", "ls"], ["network", "ls"]] {
        let left = podman(&[list.as_slice(), &["--filter", &stack.label()]].concat());
        assert!(!left.contains(&stack.id), "{left}");
    }
    assert!(!podman(&["secret", "ls"]).contains(&stack.id));
    let left = ["data", "secrets", "notes"].map(|kind| data.join(kind).join(&stack.id).exists());
    assert_eq!(left, [false; 3]);
}

#[test]
fn seven_real_programs_live_as_their_manifest_says() {
    crate::owner::run(concat!(module_path!(), "::seven_real_programs_live_as_their_manifest_says"), stack());
}
