//! Stale addresses: a front end that looks its upstream's name up once and keeps the address.

use super::{
    fault_test,
    support::{PAIR, Rig, kill_all, of},
};
use crate::node::support::podman;
use std::time::Duration;
use tokio::time::Instant;

/// Kills the upstream twenty times; the front end answers again as soon as the upstream is ready.
async fn kill_twenty_times(strategy: &str) {
    let manifest = PAIR.replace("one_for_one", strategy);
    let (mut rig, stacks) = Rig::start(&[(&strategy.replace('_', "-"), &manifest)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    rig.answers(stack).await;
    let address = || {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}}";
        podman(&["inspect", "-f", format, &stack.anchor("api")])
    };
    let (at_first, mut waits) = (address(), vec![]);
    for round in 0..20 {
        let before = rig.facts(stack);
        let restarts = of(rig.app(stack), "api").restarts;
        kill_all([&before[&stack.container("api")].pid]);
        rig.recovered(stack, "api", restarts).await;
        waits.push(rig.answers(stack).await);
        let after = rig.facts(stack);
        let front = stack.container("front");
        let same = after[&front].same_run(&before[&front]);
        assert_eq!(same, strategy == "one_for_one", "{strategy}, round {round}: the front end's part");
        for service in ["api", "front"] {
            let anchor = stack.anchor(service);
            assert!(after[&anchor].same_run(&before[&anchor]), "{strategy}, round {round}: {anchor}");
        }
    }
    assert_eq!(address(), at_first, "{strategy}: address and hardware address stay");
    waits.sort();
    println!(
        "{strategy}: upstream ready -> front end answers: median {:?}, worst {:?}",
        waits[10], waits[19]
    );
    // One answer takes milliseconds; a stale address never answers, and another attempt of nginx takes a second.
    assert!(waits[19] < Duration::from_millis(900), "{strategy}: {waits:?}");
    rig.operate(stack, "uninstall").await;
}

fault_test!(no_address_is_stale_under_one_for_one, kill_twenty_times("one_for_one"));
fault_test!(no_address_is_stale_under_rest_for_one, kill_twenty_times("rest_for_one"));
fault_test!(no_address_is_stale_under_one_for_all, kill_twenty_times("one_for_all"));

/// The upstream was made by hand, with the node's labels and a network of its own, and has no anchor.
fn make_by_hand(rig: &Rig, stack: &super::support::Stack) {
    let db = rig.dir.path().join("data/node.sqlite");
    let node = rusqlite::Connection::open(db).unwrap();
    let node: String =
        node.query_row("SELECT value FROM meta WHERE key = 'node_id'", [], |row| row.get(0)).unwrap();
    let network = format!("{}_inner", stack.id);
    let app = format!("archipelago.app={}", stack.id);
    podman(&["network", "create", "--label", &app, &network]);
    let mut args = vec!["create", "--name"];
    let name = stack.container("api");
    let node = format!("archipelago.node={node}");
    let alias = ["--network", &network, "--network-alias", "api"];
    args.extend([&*name, "--init", "--cap-drop", "all"]);
    args.extend(alias);
    args.extend(["--label", &app, "--label", &node, "--label", "archipelago.service=api"]);
    args.extend(["localhost/archipelago/demo-base:1", "sh", "-c"]);
    args.push("mkdir -p /tmp/w && echo pong >/tmp/w/index.html && exec httpd -f -p 8081 -h /tmp/w");
    podman(&args);
}

fault_test!(an_adopted_upstream_without_an_anchor_is_back_within_five_seconds, async {
    let manifest = PAIR.replace("one_for_one", "rest_for_one");
    let (mut rig, stacks) = Rig::start(&[("adopted", &manifest)]).await;
    let stack = &stacks[0];
    make_by_hand(&rig, stack);
    let made = rig.facts(stack)[&stack.container("api")].id.clone();
    rig.install(stack).await;
    rig.answers(stack).await;
    let mut waits = vec![];
    for _ in 0..5 {
        let before = rig.facts(stack);
        assert_eq!(before[&stack.container("api")].id, made, "it was adopted, not made anew");
        assert!(!before.contains_key(&stack.anchor("api")), "it keeps the network that it has");
        let restarts = of(rig.app(stack), "api").restarts;
        let begun = Instant::now();
        kill_all([&before[&stack.container("api")].pid]);
        rig.recovered(stack, "api", restarts).await;
        rig.answers(stack).await;
        waits.push(begun.elapsed());
    }
    println!("without an anchor: kill -> front end answers: {waits:?}");
    assert!(waits.iter().all(|wait| *wait < Duration::from_secs(5)), "{waits:?}");
    rig.operate(stack, "uninstall").await;
});

fault_test!(an_anchor_that_dies_loses_its_address_and_rest_for_one_mends_that, async {
    let manifest = PAIR.replace("one_for_one", "rest_for_one");
    let (mut rig, stacks) = Rig::start(&[("lost", &manifest)]).await;
    let stack = &stacks[0];
    rig.install(stack).await;
    for _ in 0..3 {
        let before = rig.facts(stack);
        let restarts = of(rig.app(stack), "api").restarts;
        let begun = Instant::now();
        kill_all([&before[&stack.anchor("api")].pid]);
        rig.recovered(stack, "api", restarts).await;
        rig.answers(stack).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    rig.operate(stack, "uninstall").await;
});
