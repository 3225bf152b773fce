//! A gate that closes again.

use super::support::*;
use protocol::{GateState, Phase};

async fn running(on_lost: &str) -> Rig {
    Rig::running(&WALLET.replace("degrade", on_lost)).await
}

#[tokio::test(start_paused = true)]
async fn degraded_it_runs_on_and_says_what_is_gone() {
    let rig = running("degrade").await;
    rig.says(Says::At(90));
    rig.wait_state(GateState::Lost).await;
    let app = rig.t.wait_phase("wallet", Phase::Degraded).await;
    let reason = app.reason.unwrap();
    assert!(reason.starts_with("chain/synced is not there any more"), "{reason}");
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.t.sim.crash("wallet-web", 1);
    rig.t.wait_app("wallet", |app| app.restarts == 1 && app.phase == Phase::Degraded).await;
    rig.says(Says::Synced);
    rig.t.wait_phase("wallet", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn ignored_it_runs_on_as_if_nothing_was() {
    let rig = running("ignore").await;
    rig.says(Says::At(90));
    rig.wait_state(GateState::Lost).await;
    rig.looks(5).await;
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Running);
    assert_eq!(rig.calls(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn stopped_it_waits_until_the_gate_opens_again_and_no_restart_is_counted() {
    let rig = running("stop").await;
    rig.says(Says::At(90));
    let app = rig.t.wait_phase("wallet", Phase::Waiting).await;
    assert_eq!((waits_for(&app), app.wait[0].state), ("chain/synced", Some(GateState::Lost)));
    assert_eq!(rig.t.sim.count("stop", "wallet-web"), 1);
    rig.wait_gate(|gate| gate.waiters.len() == 1).await;
    rig.says(Says::Synced);
    let app = rig.t.wait_phase("wallet", Phase::Running).await;
    assert_eq!((app.restarts, rig.t.sim.count("start", "wallet-web")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn restarted_it_runs_on_and_is_restarted_once_when_the_gate_opens_again() {
    let rig = running("restart").await;
    rig.says(Says::At(90));
    rig.t.wait_phase("wallet", Phase::Degraded).await;
    rig.looks(3).await;
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.says(Says::Synced);
    rig.t
        .wait_app("wallet", |app| app.phase == Phase::Running && rig.t.sim.count("start", "wallet-web") == 1)
        .await;
    rig.looks(5).await;
    assert_eq!((rig.t.sim.count("stop", "wallet-web"), rig.t.sim.count("start", "wallet-web")), (1, 1));
    assert_eq!(rig.t.app("wallet").unwrap().restarts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_by_the_user_wins_over_a_gate_that_is_lost_and_opens_again() {
    for on_lost in ["stop", "restart"] {
        let rig = running(on_lost).await;
        rig.says(Says::At(90));
        rig.t.wait_app("wallet", |app| app.phase != Phase::Running).await;
        rig.t.perform(stop("wallet")).await;
        rig.t.sim.forget_calls();
        rig.says(Says::Synced);
        rig.wait_state(GateState::Open).await;
        rig.looks(3).await;
        assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Stopped, "{on_lost}");
        assert_eq!(rig.calls(), [] as [&str; 0], "{on_lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_does_not_answer_is_not_lost_unless_its_manifest_says_so() {
    let rig = running("stop").await;
    rig.says(Says::Nothing);
    rig.wait_state(GateState::Unreachable).await;
    rig.looks(10).await;
    assert_eq!(rig.calls(), [] as [&str; 0]);
    let chain = CHAIN.replace("skippable", "failure: closed\n    skippable");
    let rig = Rig::start(&[&chain, &WALLET.replace("degrade", "stop")]).await;
    rig.says(Says::Synced);
    rig.wait_state(GateState::Open).await;
    rig.t.perform(install("wallet")).await;
    rig.says(Says::Nothing);
    rig.wait_state(GateState::Lost).await;
    rig.t.wait_phase("wallet", Phase::Waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_dies_and_comes_back_synced_is_no_loss_and_one_that_falls_back_is() {
    let rig = running("stop").await;
    rig.t.sim.crash("chain-node", 1);
    let gate = rig.wait_state(GateState::Unreachable).await;
    assert_eq!(gate.detail.as_deref(), Some("Chain does not run yet"));
    rig.wait_state(GateState::Open).await;
    assert_eq!(rig.calls(), [] as [&str; 0]);
    rig.says(Says::At(99));
    rig.t.sim.crash("chain-node", 1);
    rig.wait_state(GateState::Lost).await;
    rig.t.wait_phase("wallet", Phase::Waiting).await;
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_the_user_stops_is_lost_and_its_start_opens_the_gate_again() {
    let rig = running("stop").await;
    rig.t.perform(stop("chain")).await;
    let gate = rig.wait_state(GateState::Lost).await;
    assert_eq!(gate.detail.as_deref(), Some("Chain is stopped"));
    rig.t.wait_phase("wallet", Phase::Waiting).await;
    rig.t.perform(start("chain")).await;
    rig.t.wait_phase("wallet", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn an_optional_gate_keeps_nobody_waiting_and_its_loss_is_shown() {
    let rig =
        Rig::start(&[CHAIN, &WALLET.replace("on_lost: degrade", "on_lost: degrade, optional: true")]).await;
    rig.t.perform(install("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Running).await;
    rig.says(Says::Synced);
    rig.wait_state(GateState::Open).await;
    rig.says(Says::At(99));
    rig.t.wait_phase("wallet", Phase::Degraded).await;
}
