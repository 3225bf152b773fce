//! What is refused before anything is made or taken away.

use super::support::*;
use protocol::{ApiError, ErrorCode, GateState, Phase, StreamId};
use tests::SimNode;

async fn refused(t: &SimNode, command: protocol::Command) -> ApiError {
    let error = t.node.submit(command, None).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict, "{error:?}");
    error
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_provider_is_not_there_is_refused_with_the_way_out() {
    let t = SimNode::start(&[CHAIN, WALLET]).await;
    let error = refused(&t, install("wallet")).await;
    assert_eq!(error.message, "wallet cannot be installed: it needs coin, which is not on this node");
    assert_eq!(error.hint.as_deref(), Some("install chain first"));
    assert_eq!(
        (error.problems[0].rule.as_str(), error.problems[0].field.as_str()),
        ("requires", "requires[0]")
    );
    assert_eq!(t.app("wallet").unwrap().phase, Phase::NotInstalled);
    assert_eq!(t.sim.calls(), []);
    t.perform(install("chain")).await;
    t.perform(install("wallet")).await;
}

#[tokio::test(start_paused = true)]
async fn versions_and_conflicts_are_refused_before_anything_is_made() {
    let newer = WALLET.replace("gate: synced", "version: '>=3'");
    let rival = WALLET.replace("wallet", "rival").replace("requires: [", "conflicts: [chain]\nx-none: [");
    let rig = Rig::start(&[CHAIN, &newer, &rival]).await;
    let error = refused(&rig.t, install("wallet")).await;
    assert_eq!(error.message, "wallet cannot be installed: it needs coin >=3, and chain 2.1 is on this node");
    let error = refused(&rig.t, install("rival")).await;
    assert_eq!(error.hint.as_deref(), Some("uninstall chain first"));
}

#[tokio::test(start_paused = true)]
async fn apps_that_need_each_other_are_told_so() {
    let one = WALLET
        .replace("wallet", "one")
        .replace("{capability: coin, gate: synced, on_lost: degrade}", "{app: two}");
    let two = WALLET
        .replace("wallet", "two")
        .replace("{capability: coin, gate: synced, on_lost: degrade}", "{app: one}");
    let t = SimNode::start(&[&one, &two]).await;
    let error = refused(&t, install("one")).await;
    assert_eq!(error.problems[0].rule, "requires_cycle");
    assert!(error.message.contains("two needs it in turn"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_gate_can_never_open_is_refused_with_the_way_out() {
    let rig = Rig::start(&[CHAIN, WALLET]).await;
    rig.says(Says::Pruned);
    let gate = rig.wait_state(GateState::Stalled).await;
    assert_eq!(gate.detail.as_deref(), Some("it is pruned: keep all blocks"));
    let error = refused(&rig.t, install("wallet")).await;
    assert!(
        error.message.ends_with("it waits for chain/synced, which cannot open: it is pruned"),
        "{error:?}"
    );
    assert_eq!(error.hint.as_deref(), Some("keep all blocks"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_others_need_stays_and_they_are_named() {
    let purse = WALLET.replace("wallet", "purse").replace("Wallet", "Purse");
    let rig = Rig::start(&[CHAIN, WALLET, &purse]).await;
    for app in ["wallet", "purse"] {
        rig.t.perform(install(app)).await;
    }
    let error = refused(&rig.t, uninstall("chain")).await;
    assert_eq!(error.message, "chain is needed by purse, wallet");
    assert_eq!(error.hint.as_deref(), Some("uninstall those first"));
    let purge = protocol::Command::Uninstall { app: "chain".parse().unwrap(), purge: true };
    let error = rig.t.node.plan(&purge).await.unwrap_err();
    assert_eq!(error.message, "chain is needed by purse, wallet", "nobody is asked to confirm it");
    assert_eq!(rig.t.app("chain").unwrap().phase, Phase::Running);
    for app in ["wallet", "purse"] {
        rig.t.perform(uninstall(app)).await;
    }
    rig.wait_gate(|gate| gate.waiters.is_empty()).await;
    rig.t.perform(uninstall("chain")).await;
    rig.t.wait(StreamId::Gates, || rig.gate().is_none().then_some(())).await;
    let tree = || rig.t.node.board().keys(StreamId::Tree);
    rig.t.wait(StreamId::Tree, || (!tree().iter().any(|path| path.contains("chain"))).then_some(())).await;
    assert!(rig.t.sim.states().is_empty());
    rig.t.perform(install("chain")).await;
    rig.wait_state(GateState::Progressing).await;
}

#[tokio::test(start_paused = true)]
async fn another_provider_takes_over_and_frees_the_first() {
    let other = CHAIN.replace("id: chain", "id: coins").replace("name: Chain", "name: Coins");
    let rig = Rig::running(WALLET).await;
    rig.t.add(&other);
    rig.t.perform(install("coins")).await;
    rig.t.wait_phase("coins", Phase::Running).await;
    rig.t.perform(uninstall("chain")).await;
    refused(&rig.t, uninstall("coins")).await;
    let app = rig.t.wait_phase("wallet", Phase::Running).await;
    assert_eq!(app.restarts, 0);
    assert_eq!(rig.calls(), [] as [&str; 0]);
}
