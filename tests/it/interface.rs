//! The node's interface over the whole tree: the journal, and a client that is not ours.

use protocol::{Event, EventActor, Severity, StreamId};
use server::{Limits, Server, ServerConfig};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tests::{SHOP, SimNode, shop};
use tokio::{process::Command, time::timeout};

const TOKEN: &str = "a-token-for-tests";

/// Serves a node; its address.
async fn serve(t: &SimNode) -> String {
    let server = Server::new(&ServerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        node: Arc::new(t.node.clone()),
        setup_token_hash: *blake3::hash(TOKEN.as_bytes()).as_bytes(),
        allowed_hosts: vec![],
        local_socket: None,
        tls: None,
        limits: Limits::default(),
    });
    t.node.root().start_child(server.child_spec()).await.unwrap();
    format!("http://{}", server.address().unwrap())
}

/// The journal, oldest first, once it has an event of this kind.
async fn journal(t: &SimNode, kind: &str) -> Vec<Event> {
    let mut head = t.node.board().journal().watch();
    let find = async {
        loop {
            let mut all = t.node.events(None, None, 500).await.unwrap().items;
            if all.iter().any(|event| event.kind == kind) {
                all.reverse();
                return all;
            }
            head.changed().await.unwrap();
        }
    };
    timeout(Duration::from_secs(900), find).await.unwrap_or_else(|_| panic!("no {kind}"))
}

/// All files below a folder, and the folders.
fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    found.push(folder.to_owned());
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn files_that_the_node_writes_are_nobody_elses_and_secrets_are_in_no_row_and_no_event() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.sim.crash("shop-db", 137);
    journal(&t, "child_restarted").await;
    let mut found = Vec::new();
    walk(&t.data_dir(), &mut found);
    for path in &found {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
    let secret = found.iter().find(|path| path.ends_with("secrets/shop/pass")).expect("the secret is a file");
    let secret = std::fs::read_to_string(secret).unwrap();
    assert!(secret.len() >= 24, "{} bytes", secret.len());
    let rows = StreamId::ALL.map(|stream| t.node.board().snapshot(stream));
    let told = t.node.events(None, None, 500).await.unwrap();
    let calls = format!("{:?}", t.sim.calls());
    for text in [format!("{rows:?}"), format!("{told:?}"), calls] {
        assert!(text.contains("shop") && !text.contains(&secret), "{text}");
    }
}

#[tokio::test]
async fn the_journal_tells_commands_operations_and_what_supervisors_did_and_why() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    let told = journal(&t, "op_succeeded").await;
    let kinds: Vec<(&str, EventActor)> =
        told.iter().map(|event| (event.kind.as_str(), event.actor)).collect();
    assert!(kinds.contains(&("command", EventActor::User)), "{kinds:?}");
    let begun = told.iter().find(|event| event.kind == "op_started").unwrap();
    let ended = told.iter().find(|event| event.kind == "op_succeeded").unwrap();
    assert!(begun.op.is_some() && begun.op == ended.op && begun.seq < ended.seq);
    t.sim.crash("shop-db", 137);
    let told = journal(&t, "child_restarted").await;
    let died = told.iter().find(|event| event.kind == "child_died").unwrap();
    assert_eq!((died.severity, died.app.as_ref().unwrap().as_str()), (Severity::Warning, "shop"));
    assert!(died.cause[0].contains("137"), "{died:?}");
    let again = told.iter().find(|event| event.kind == "child_restarted").unwrap();
    assert!(again.cause[0].contains("137"), "{again:?}");
    let restarts = t.node.counters().restarts();
    assert_eq!(restarts.get(&("shop".to_owned(), "exited")), Some(&1), "{restarts:?}");

    // An actor's failure is told as what it is: the container is not restarted.
    t.kill(("container/shop/web", "node/stacks/shop/containers/web")).await;
    let told = journal(&t, "actor_restarted").await;
    let count = |kind: &str| told.iter().filter(|event| event.kind == kind).count();
    let kinds = ["actor_died", "actor_restarted", "child_died", "child_restarted"];
    assert_eq!(kinds.map(count), [1, 1, 1, 1], "{told:#?}");

    let last = told.last().unwrap().seq;
    let t = t.restart().await;
    t.perform(shop::stop()).await;
    let after = journal(&t, "op_succeeded").await;
    assert!(after.last().unwrap().seq > last, "numbers go on");
    let installs =
        after.iter().filter(|event| event.kind == "op_succeeded" && event.message.contains("install"));
    assert_eq!(installs.count(), 1, "what has ended is not told again");
}

/// The secret of the app, wherever it might have leaked to.
#[tokio::test]
async fn secrets_are_in_no_row_and_no_event() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    let mut secrets = Vec::new();
    collect(&t.data_dir().join("secrets"), &mut secrets);
    assert!(!secrets.is_empty());
    let mut shown: Vec<String> = Vec::new();
    for stream in protocol::StreamId::ALL {
        shown.extend(t.node.board().snapshot(stream).1.iter().map(ToString::to_string));
    }
    let events = journal(&t, "op_succeeded").await;
    shown.push(serde_json::to_string(&events).unwrap());
    for secret in secrets {
        assert!(shown.iter().all(|text| !text.contains(&secret)), "a secret is shown");
    }
}

fn collect(dir: &Path, into: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.push(std::fs::read_to_string(path).unwrap().trim().to_owned());
        }
    }
}

/// Needs Python with the package `websockets`, which `make test` installs; where only a developer's own run lacks it,
/// it says so and passes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_in_python_installs_an_app_and_sees_it_run() {
    // The system's own first: another one in the path does not have its packages.
    let mut python = None;
    for candidate in ["/usr/bin/python3", "python3"] {
        let has = Command::new(candidate).args(["-c", "import websockets"]).stderr(Stdio::null()).status();
        if python.is_none() && has.await.is_ok_and(|status| status.success()) {
            python = Some(candidate);
        }
    }
    let Some(python) = python else {
        assert!(std::env::var_os("ARCHIPELAGO_PYTHON").is_none(), "install python3-websockets");
        println!("left out: no python3 has the package websockets");
        return;
    };
    let t = SimNode::start(&[SHOP]).await;
    let address = serve(&t).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/watch.py");
    let run = Command::new(python)
        .arg(script)
        .args([&address, "shop"])
        .env("ARCHY_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(Duration::from_secs(60), run).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{error}");
    assert!(text.contains("install succeeded"), "{text}");
    assert!(text.contains("shop installing"), "{text}");
    assert!(text.contains("shop running"), "{text}");
}
