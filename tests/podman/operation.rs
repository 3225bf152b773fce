//! Operations on real Podman: an app that is cancelled, updated, rolled back, and comes and goes many times.

use crate::{
    fault::support::{Rig, Stack},
    node::support::podman,
    owner,
};
use protocol::{Command, OpState, Phase};
use std::{fs, net::TcpListener, path::PathBuf, time::Duration};
use tokio::time::Instant;

/// Two containers that do nothing, see the file.
const TINY: &str = include_str!("operation/tiny.yml");
/// Times that the app comes and goes, and the time after which fewer are enough.
const CYCLES: (u32, Duration) = (100, Duration::from_secs(120));

macro_rules! operation_test {
    ($name:ident, $body:expr) => {
        #[test]
        fn $name() {
            owner::run(concat!(module_path!(), "::", stringify!($name)), $body);
        }
    };
}

/// Puts another version of the app into the catalog.
fn offer(rig: &Rig, stack: &Stack, change: impl Fn(&str) -> String) {
    let path = rig.dir.path().join("catalog").join(&stack.id).join("manifest.yml");
    let text = fs::read_to_string(&path).unwrap();
    let changed = change(&text);
    assert_ne!(text, changed);
    fs::write(path, changed).unwrap();
}

fn canary(rig: &Rig, stack: &Stack) -> PathBuf {
    rig.dir.path().join("data/data").join(&stack.id).join("files/canary")
}

/// What there is of the app: containers, networks, volumes, secrets.
fn there(stack: &Stack) -> [Vec<String>; 4] {
    let list = |args: &[&str], format: &str| {
        let text = podman(&[args, &["--format", format]].concat());
        let mut names: Vec<String> =
            text.lines().filter(|name| name.starts_with(&stack.id)).map(str::to_owned).collect();
        names.sort();
        names
    };
    [
        list(&["ps", "-a"], "{{.Names}}"),
        list(&["network", "ls"], "{{.Name}}"),
        list(&["volume", "ls"], "{{.Name}}"),
        list(&["secret", "ls"], "{{.Name}}"),
    ]
}

operation_test!(an_update_exchanges_one_container_and_one_that_does_not_work_goes_back, async {
    let (mut rig, stacks) = Rig::start(&[("update", TINY)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    fs::write(canary(&rig, stack), "1").unwrap();
    let before = rig.facts(stack);
    let environment = || {
        podman(&["inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", &stack.container("one")])
    };
    offer(&rig, stack, |text| {
        text.replace("version: \"1\"", "version: \"2\"").replace("VERSION: \"1\"", "VERSION: \"2\"")
    });
    rig.operate(stack, "update").await;
    let app = rig.until(stack, |app| app.phase == Phase::Running && app.op.is_none()).await;
    assert_eq!((app.version.as_str(), app.update.as_deref()), ("2", None));
    assert!(environment().contains("VERSION=2"));
    let second = rig.facts(stack);
    let same = stack.container("same");
    assert!(second[&same].same_run(&before[&same]), "what is the same is not touched");
    assert_ne!(second[&stack.container("one")].id, before[&stack.container("one")].id);

    offer(&rig, stack, |text| {
        text.replace("version: \"2\"", "version: \"3\"")
            .replace("VERSION: \"2\"", "VERSION: \"3\"")
            .replace("command: [\"true\"]", "command: [\"false\"]")
    });
    let op = rig.submit(stack, "update").await.unwrap();
    let view = rig.ended(&op).await;
    let error = view.error.clone().unwrap();
    assert_eq!(view.state, OpState::Failed);
    assert!(error.message.ends_with("it was rolled back to version 2"), "{error:?}");
    let app = rig.until(stack, |app| app.phase == Phase::Running && app.op.is_none()).await;
    assert_eq!((app.version.as_str(), app.update.as_deref()), ("2", Some("3")));
    assert!(environment().contains("VERSION=2"));
    assert!(rig.facts(stack)[&same].same_run(&before[&same]));
    assert_eq!(fs::read_to_string(canary(&rig, stack)).unwrap(), "1");

    // The daemon is killed in the middle of an update, and goes on with it.
    offer(&rig, stack, |text| text.replace("command: [\"false\"]", "command: [\"true\"]"));
    let op = rig.submit(stack, "update").await.unwrap();
    rig.until(stack, |app| app.version == "3").await;
    rig.kill_daemon();
    rig.start_daemon();
    let view = rig.ended(&op).await;
    assert_eq!(view.state, OpState::Succeeded, "{view:#?}\n{}", rig.log());
    assert!(environment().contains("VERSION=3"));
    assert!(rig.facts(stack)[&same].same_run(&before[&same]));
    rig.operate(stack, "uninstall").await;
});

operation_test!(a_pull_that_hangs_is_cancelled_and_leaves_nothing, async {
    // It takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let image = format!("127.0.0.1:{}/nothing:1", silent.local_addr().unwrap().port());
    let manifest = TINY.replacen("localhost/archipelago/demo-base:1", &image, 1);
    let (mut rig, stacks) = Rig::start(&[("cancel", &manifest)]).await;
    let stack = &stacks[0];
    let op = rig.submit(stack, "install").await.unwrap();
    // The engine has asked for it.
    let asked = tokio::task::spawn_blocking(move || silent.accept().unwrap()).await.unwrap();
    let begin = Instant::now();
    let cancel = Command::Cancel { app: stack.id.parse().unwrap(), op: op.clone() };
    assert_eq!(rig.client.command(&cancel, None).await.unwrap().op_id, op);
    let view = rig.ended(&op).await;
    println!("cancelled after {:?}", begin.elapsed());
    assert_eq!((view.state, view.error), (OpState::Cancelled, None));
    rig.until(stack, |app| app.phase == Phase::NotInstalled).await;
    assert_eq!(there(stack), [const { Vec::<String>::new() }; 4]);
    assert!(!rig.dir.path().join("data/data").join(&stack.id).exists());
    drop(asked);
});

operation_test!(an_app_that_comes_and_goes_leaves_nothing_and_loses_nothing, async {
    let (mut rig, stacks) = Rig::start(&[("cycle", TINY)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    fs::write(canary(&rig, stack), "1").unwrap();
    rig.operate(stack, "uninstall").await;
    let begin = Instant::now();
    let mut made = 0;
    while made < CYCLES.0 && begin.elapsed() < CYCLES.1 {
        rig.operate(stack, "install").await;
        rig.operate(stack, "uninstall").await;
        made += 1;
    }
    println!("{made} cycles in {:?}", begin.elapsed());
    let [containers, networks, volumes, secrets] = there(stack);
    assert!(containers.is_empty() && networks.is_empty() && secrets.is_empty());
    assert_eq!(volumes, [format!("{}_data", stack.id)]);
    assert_eq!(fs::read_to_string(canary(&rig, stack)).unwrap(), "1");
});
