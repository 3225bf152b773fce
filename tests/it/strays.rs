//! Containers that nobody looks after, doubles, and those of strangers.

use apps::{ContainerSpec, LABEL_APP, LABEL_NODE, LABEL_SERVICE};
use engine::{Engine, EngineState};
use protocol::{NodeView, Phase, StreamId};
use serde_json::from_str;
use std::{collections::BTreeMap, time::Duration};
use tests::{SHOP, SimNode, shop};
use tokio::time::sleep;

/// Two lists and what follows from them.
const TWO_LISTS: Duration = Duration::from_secs(70);

async fn installed(manifest: &str) -> SimNode {
    let t = SimNode::start(&[manifest]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t
}

fn calls(t: &SimNode) -> Vec<String> {
    let mut calls: Vec<_> = t.sim.calls().iter().map(|call| format!("{} {}", call.call, call.name)).collect();
    calls.sort();
    calls
}

/// Makes a container as a person or another program would.
async fn make(t: &SimNode, name: &str, labels: &BTreeMap<String, String>, networks: &[&str]) {
    let spec = ContainerSpec {
        name: name.into(),
        image: "localhost/db:1".into(),
        labels: labels.clone(),
        networks: networks.iter().map(|network| ((*network).to_owned(), vec![])).collect(),
        ..ContainerSpec::default()
    };
    t.sim.create(&spec).await.unwrap();
    t.sim.forget_calls();
}

async fn labels(t: &SimNode, changed: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut labels = t.sim.inspect("shop-db").await.unwrap().labels;
    labels.extend(changed.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    labels
}

#[tokio::test(start_paused = true)]
async fn what_has_no_place_goes_when_lists_agree_and_strangers_stay() {
    let t = installed(SHOP).await;
    make(&t, "double", &labels(&t, &[]).await, &[]).await;
    make(&t, "orphan", &labels(&t, &[(LABEL_APP, "gone")]).await, &[]).await;
    make(&t, "worker", &labels(&t, &[(LABEL_SERVICE, "worker")]).await, &[]).await;
    make(&t, "unlabelled", &BTreeMap::new(), &[]).await;
    make(&t, "neighbour", &labels(&t, &[(LABEL_NODE, "other")]).await, &[]).await;
    let told = || {
        let row: NodeView = from_str(&t.node.board().row(StreamId::Node, "orphans")?).unwrap();
        (row.detail.contains("orphan") && row.detail.contains("worker") && !row.ok).then_some(row)
    };
    t.wait(StreamId::Node, told).await;
    assert!(calls(&t).is_empty(), "one list is not enough: {:?}", calls(&t));
    sleep(TWO_LISTS).await;
    assert_eq!(calls(&t), ["remove double", "remove orphan", "remove worker"]);
    assert_eq!(t.app("shop").unwrap().phase, Phase::Running);
    let told = || {
        let row: NodeView = from_str(&t.node.board().row(StreamId::Node, "orphans")?).unwrap();
        row.ok.then_some(())
    };
    t.wait(StreamId::Node, told).await;
}

#[tokio::test(start_paused = true)]
async fn lists_that_follow_each_other_at_once_are_one() {
    let t = installed(SHOP).await;
    make(&t, "double", &labels(&t, &[]).await, &[]).await;
    make(&t, "orphan", &labels(&t, &[(LABEL_APP, "gone")]).await, &[]).await;
    for _ in 0..4 {
        // The node lists as soon as it reaches the engine again.
        t.sim.outage(true);
        t.wait_app("shop", |app| app.confidence == protocol::Confidence::LastKnown).await;
        t.sim.outage(false);
        t.wait_app("shop", |app| app.confidence == protocol::Confidence::Live).await;
        sleep(Duration::from_secs(1)).await;
    }
    assert!(calls(&t).is_empty(), "{:?}", calls(&t));
    sleep(TWO_LISTS).await;
    assert_eq!(calls(&t), ["remove double", "remove orphan"]);
}

#[tokio::test(start_paused = true)]
async fn a_stray_that_runs_is_asked_to_end_first() {
    let t = installed(SHOP).await;
    make(&t, "double", &labels(&t, &[]).await, &[]).await;
    make(&t, "orphan", &labels(&t, &[(LABEL_APP, "gone")]).await, &[]).await;
    for name in ["double", "orphan"] {
        t.sim.start(name).await.unwrap();
    }
    t.sim.forget_calls();
    sleep(TWO_LISTS).await;
    assert_eq!(calls(&t), ["remove double", "remove orphan", "stop double", "stop orphan"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_containers_the_one_that_runs_is_kept_whatever_its_name() {
    let t = installed(SHOP).await;
    let before = t.sim.inspect("shop-db").await.unwrap();
    t.sim.rename_behind("shop-db", "ours");
    make(&t, "shop-db", &before.labels, &[]).await;
    // The next incarnation knows neither.
    t.kill(("container/shop/db", "node/stacks/shop/containers/db")).await;
    sleep(TWO_LISTS).await;
    assert_eq!(calls(&t), ["remove shop-db"]);
    assert_eq!(t.sim.inspect("ours").await.unwrap().process, before.process);
    assert_eq!(t.app("shop").unwrap().phase, Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_takes_what_carries_the_apps_label() {
    let t = installed(SHOP).await;
    make(&t, "double", &labels(&t, &[]).await, &[]).await;
    make(&t, "worker", &labels(&t, &[(LABEL_SERVICE, "worker")]).await, &[]).await;
    t.sim.start("worker").await.unwrap();
    t.sim.ignore_term("worker");
    let op = t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty(), "{:?}", t.sim.states());
    assert!(op.residue.is_empty(), "{op:#?}");
    assert_eq!((t.sim.count("stop", "worker"), t.sim.count("stop", "double")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_network_that_a_stranger_uses_is_named_and_left() {
    let t = installed(SHOP).await;
    make(&t, "stranger", &BTreeMap::new(), &["shop_inner"]).await;
    t.sim.start("stranger").await.unwrap();
    let op = t.perform(shop::uninstall()).await;
    assert!(op.residue.iter().any(|left| left.contains("shop_inner")), "{op:#?}");
    assert_eq!(t.sim.states(), BTreeMap::from([("stranger".to_owned(), EngineState::Running)]));
    assert_eq!(t.app("shop").unwrap().phase, Phase::NotInstalled);
    // It is in nobody's way.
    t.perform(shop::install()).await;
}
