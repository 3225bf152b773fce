//! Waiting, and its end.

use super::support::*;
use engine::EngineState;
use protocol::{
    Command, ContainerPhase, ErrorCode, EventActor, GateState, OpState, Phase, StreamId, TreeView,
};
use serde_json::from_str;
use std::time::Duration;
use tests::{SimNode, phase_of};
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn an_app_waits_visibly_with_progress_and_starts_by_itself_when_the_gate_opens() {
    let rig = Rig::waiting(WALLET).await;
    let app = rig.t.app("wallet").unwrap();
    assert_eq!(waits_for(&app), "chain/synced");
    let wait = &app.wait[0];
    assert_eq!(
        (wait.condition.as_str(), wait.state, wait.may_skip),
        ("gate_open", Some(GateState::Progressing), true)
    );
    assert_eq!((wait.progress, wait.app.as_ref().map(|app| app.as_str())), (Some(0.4), Some("chain")));
    assert_eq!(app.reason.as_deref(), Some("waits for chain/synced (40 %): peers 8"));
    assert_eq!(phase_of(&app, "web"), ContainerPhase::Waiting);
    assert_eq!(rig.t.sim.states()["wallet-web"], EngineState::Created, "made, and not started");
    let gate = rig.wait_gate(|gate| !gate.waiters.is_empty()).await;
    assert_eq!(
        (gate.waiters[0].as_str(), gate.kind.as_str(), gate.unit.as_deref()),
        ("wallet", "exec", Some("blocks"))
    );
    for blocks in [50, 60, 70] {
        rig.says(Says::At(blocks));
        rig.wait_gate(|gate| gate.current == Some(blocks)).await;
        rig.t.wait_app("wallet", |app| app.wait[0].progress == Some(blocks as f32 / 100.0)).await;
    }
    let gate = rig.gate().unwrap();
    assert!(gate.rate.is_some_and(|rate| (0.5..1.0).contains(&rate)), "{gate:?}");
    assert!(gate.eta_s.unwrap() <= gate.eta_max_s.unwrap() && gate.eta_max_s.unwrap() < 120, "{gate:?}");
    rig.says(Says::Synced);
    let app = rig.t.wait_phase("wallet", Phase::Running).await;
    assert_eq!((app.restarts, app.wait.len()), (0, 0));
    let gate = rig.wait_gate(|gate| gate.waiters.is_empty()).await;
    assert_eq!((gate.state, gate.eta_s, gate.rate), (GateState::Open, None, None));
    let events = rig.t.node.events(None, Some("chain".parse().unwrap()), 100).await.unwrap().items;
    let kinds: Vec<&str> = events
        .iter()
        .filter(|event| event.actor == EventActor::Gate)
        .map(|event| event.kind.as_str())
        .collect();
    assert_eq!(kinds.first(), Some(&"gate_opened"), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_hours_uses_no_restart_budget_and_no_operation_waits_with_it() {
    let rig = Rig::start(&[CHAIN, WALLET]).await;
    let begin = Instant::now();
    let op = rig.t.perform(install("wallet")).await;
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(op.state, OpState::Succeeded);
    rig.t.sim.forget_calls();
    sleep(Duration::from_secs(7_200)).await;
    let app = rig.t.app("wallet").unwrap();
    assert_eq!((app.phase, app.restarts), (Phase::Waiting, 0));
    assert!(rig.calls().is_empty(), "{:?}", rig.calls());
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_stalls_or_does_not_answer_says_so_and_opens_all_the_same() {
    let rig = Rig::waiting(WALLET).await;
    rig.wait_state(GateState::Stalled).await;
    rig.t.wait_app("wallet", |app| app.wait[0].state == Some(GateState::Stalled)).await;
    rig.says(Says::Nothing);
    let gate = rig.wait_state(GateState::Unreachable).await;
    assert!(gate.detail.as_ref().is_some_and(|detail| detail.contains("ended with 1")), "{gate:?}");
    assert!(gate.last_ok.is_some() && gate.progress == Some(0.4), "what was last known stays: {gate:?}");
    let app = rig.t.wait_app("wallet", |app| app.wait[0].state == Some(GateState::Unreachable)).await;
    assert_eq!(app.phase, Phase::Waiting);
    rig.t.sim.hang("exec");
    rig.wait_gate(|gate| gate.detail.as_ref().is_some_and(|detail| detail.contains("10s"))).await;
    rig.t.sim.resume("exec");
    rig.says(Says::Synced);
    rig.t.wait_phase("wallet", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_user_who_stops_a_waiting_app_wins_over_the_gate_that_opens() {
    let rig = Rig::waiting(WALLET).await;
    rig.wait_gate(|gate| gate.waiters.len() == 1).await;
    rig.t.perform(stop("wallet")).await;
    rig.wait_gate(|gate| gate.waiters.is_empty()).await;
    rig.t.sim.forget_calls();
    rig.says(Says::Synced);
    rig.wait_state(GateState::Open).await;
    rig.looks(5).await;
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Stopped);
    assert!(rig.calls().is_empty(), "{:?}", rig.calls());
    rig.t.perform(start("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Running).await;
}

/// Kills an actor and waits for its next incarnation.
async fn kill(t: &SimNode, name: &str, path: &str) {
    let generation =
        || t.node.board().row(StreamId::Tree, path).map(|row| from_str::<TreeView>(&row).unwrap().generation);
    let before = generation();
    assert!(t.node.kill_actor(name), "{name}");
    t.wait(StreamId::Tree, || (generation() > before).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn killing_the_gates_actors_while_two_apps_wait_loses_nobody() {
    let actors = [
        ("gate/chain/synced", "node/gates/chain:synced"),
        ("gates", "node/gates"),
        ("app/wallet", "node/stacks/wallet/app"),
        ("app/chain", "node/stacks/chain/app"),
        ("stack/chain", "node/stacks/chain"),
        ("hub", "node/hub"),
        ("control", "node/control"),
        ("store", "node/store"),
    ];
    for (name, path) in actors {
        let purse = WALLET.replace("wallet", "purse").replace("Wallet", "Purse");
        let rig = Rig::start(&[CHAIN, WALLET, &purse]).await;
        for app in ["wallet", "purse"] {
            rig.t.perform(install(app)).await;
        }
        rig.wait_gate(|gate| gate.waiters.len() == 2).await;
        rig.t.sim.forget_calls();
        kill(&rig.t, name, path).await;
        rig.says(Says::At(55));
        let gate = rig.wait_gate(|gate| gate.current == Some(55)).await;
        assert_eq!(gate.waiters.len(), 2, "{name}");
        for app in ["wallet", "purse"] {
            rig.t.wait_app(app, |app| app.wait.first().is_some_and(|wait| wait.progress == Some(0.55))).await;
        }
        assert_eq!(rig.t.sim.calls(), [], "{name}");
        rig.says(Says::Synced);
        for app in ["wallet", "purse"] {
            let app = rig.t.wait_phase(app, Phase::Running).await;
            assert_eq!(app.restarts, 0, "{name}");
        }
        assert_eq!(rig.t.sim.count("start", "wallet-web"), 1, "{name}");
        assert_eq!(rig.t.sim.count("start", "chain-node"), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn killing_the_gates_actor_while_everything_runs_shows_it_open_all_the_time() {
    let rig = Rig::running(&WALLET.replace("degrade", "stop")).await;
    // A question takes a while, so that what a new incarnation shows before the answer is seen.
    rig.t.sim.delay("exec", Duration::from_secs(1));
    let (mut heads, begin) = (rig.t.node.board().watch(StreamId::Gates), Instant::now());
    assert!(rig.t.node.kill_actor("gate/chain/synced"));
    while begin.elapsed() < Duration::from_secs(60) {
        heads.changed().await.unwrap();
        assert_eq!(rig.gate().unwrap().state, GateState::Open);
    }
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Running);
    assert_eq!(rig.t.sim.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_restarted_while_an_app_waits_goes_on_waiting_and_starts_it() {
    let rig = Rig::waiting(WALLET).await.restart().await;
    let app =
        rig.t.wait_app("wallet", |app| app.wait.first().is_some_and(|wait| wait.progress == Some(0.4))).await;
    assert_eq!(app.phase, Phase::Waiting);
    rig.wait_gate(|gate| gate.waiters.len() == 1).await;
    rig.says(Says::Synced);
    rig.t.wait_phase("wallet", Phase::Running).await;
    assert_eq!(rig.t.sim.count("start", "wallet-web"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_restarted_while_all_runs_touches_nothing_also_when_the_gate_cannot_be_asked() {
    for on_lost in ["degrade", "stop", "restart", "ignore"] {
        let rig = Rig::running(&WALLET.replace("degrade", on_lost)).await;
        rig.says(Says::Nothing);
        let rig = rig.restart().await;
        rig.t.wait_phase("wallet", Phase::Running).await;
        rig.wait_state(GateState::Unreachable).await;
        rig.looks(5).await;
        rig.says(Says::Synced);
        rig.wait_state(GateState::Open).await;
        rig.looks(2).await;
        assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Running, "{on_lost}");
        assert_eq!(rig.t.sim.calls(), [], "{on_lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_restarted_does_not_take_an_app_for_lost_that_it_has_not_looked_at() {
    let wallet =
        WALLET.replace("{capability: coin, gate: synced, on_lost: degrade}", "{app: chain, on_lost: stop}");
    let rig = Rig::start(&[CHAIN, &wallet]).await;
    rig.t.perform(install("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Running).await;
    rig.t.sim.forget_calls();
    rig.t.sim.delay("inspect", Duration::from_secs(5));
    let rig = rig.restart().await;
    rig.t.wait_phase("wallet", Phase::Running).await;
    rig.t.wait_phase("chain", Phase::Running).await;
    rig.looks(3).await;
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Running);
    assert_eq!(rig.t.sim.calls(), []);
    rig.t.perform(stop("chain")).await;
    rig.t.wait_phase("wallet", Phase::Waiting).await;
}

#[tokio::test(start_paused = true)]
async fn an_app_is_started_anyway_where_the_manifest_allows_it_and_that_outlives_the_node() {
    let rig = Rig::waiting(&WALLET.replace("degrade", "stop")).await;
    rig.t.perform(start_anyway("wallet")).await;
    let app = rig.t.wait_phase("wallet", Phase::Degraded).await;
    assert!(
        app.reason.as_ref().is_some_and(|reason| reason.starts_with("started without chain/synced")),
        "{app:?}"
    );
    assert!(app.wait.is_empty());
    rig.t.sim.forget_calls();
    let rig = rig.restart().await;
    rig.t.wait_phase("wallet", Phase::Degraded).await;
    rig.wait_gate(|gate| gate.current == Some(40)).await;
    rig.looks(3).await;
    assert_eq!(rig.calls(), [] as [&str; 0], "what was never there is not lost");
    rig.says(Says::Synced);
    rig.t.wait_phase("wallet", Phase::Running).await;
    rig.says(Says::At(90));
    rig.t.wait_phase("wallet", Phase::Waiting).await;
    assert_eq!(rig.t.sim.count("stop", "wallet-web"), 1, "once it was there, its loss counts");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_app_is_started_anyway_at_once_and_a_stop_ends_that() {
    let rig = Rig::waiting(WALLET).await;
    rig.t.perform(stop("wallet")).await;
    rig.t.perform(start_anyway("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Degraded).await;
    rig.t.perform(stop("wallet")).await;
    rig.t.perform(start("wallet")).await;
    rig.t.wait_phase("wallet", Phase::Waiting).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_anyway_that_the_manifest_does_not_allow() {
    let chain = CHAIN.replace("skippable: true", "skippable: false");
    let rig = Rig::start(&[&chain, WALLET]).await;
    rig.t.perform(install("wallet")).await;
    let error = rig.t.node.submit(start_anyway("wallet"), None).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (ErrorCode::Conflict, "Wallet cannot be started without chain/synced")
    );
    assert_eq!(rig.t.app("wallet").unwrap().phase, Phase::Waiting);
}

#[tokio::test(start_paused = true)]
async fn an_app_without_a_gate_waits_until_the_other_is_healthy() {
    let wallet = WALLET.replace("{capability: coin, gate: synced, on_lost: degrade}", "{app: chain}");
    let chain =
        CHAIN.replace("localhost/db:1}", "localhost/db:1, probes: {readiness: {exec: {command: [ask]}}}}");
    let rig = Rig::start(&[&chain, &wallet]).await;
    rig.says(Says::Synced);
    rig.t.wait_phase("chain", Phase::Running).await;
    rig.t.perform(stop("chain")).await;
    rig.t.perform(install("wallet")).await;
    let app = rig.t.wait_phase("wallet", Phase::Waiting).await;
    assert_eq!((waits_for(&app), app.wait[0].condition.as_str()), ("chain", "service_healthy"));
    assert_eq!(app.reason.as_deref(), Some("waits for chain: it is stopped"));
    let Err(error) = rig.t.node.submit(Command::StartAnyway { app: "wallet".parse().unwrap() }, None).await
    else {
        panic!("only gates can be skipped")
    };
    assert_eq!(error.code, ErrorCode::Conflict);
    rig.t.perform(start("chain")).await;
    rig.t.wait_phase("wallet", Phase::Running).await;
}
