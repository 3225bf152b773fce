//! A chain that has to be synced, and apps that wait for it.

use engine::ExecOutput;
use protocol::{AppView, Command, GateState, GateView, StreamId};
use serde_json::{from_str, json};
use std::sync::{Arc, Mutex};
use tests::SimNode;

pub(super) const CHAIN: &str = r#"manifest_version: 1
id: chain
name: Chain
version: "2.1"
provides: [coin]
supervisor: {intensity: 3, period: 10m}
gates:
  synced:
    title: the chain is synced
    probe: {exec: {command: [ask]}}
    ready: {pointer: /ibd, equals: false}
    count: {current: /blocks, target: /headers, unit: blocks}
    detail: /peers
    impossible: {when: {pointer: /pruned, equals: true}, reason: it is pruned, remedy: keep all blocks}
    interval: 15s
    timeout: 10s
    stalled_after: 2m
    skippable: true
services:
  node: {image: localhost/db:1}
"#;

/// Waits for the chain.
pub(super) const WALLET: &str = r#"manifest_version: 1
id: wallet
name: Wallet
version: "1"
supervisor: {intensity: 1, period: 10m}
requires: [{capability: coin, gate: synced, on_lost: degrade}]
services:
  web: {image: localhost/web:1}
"#;

/// What the chain answers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Says {
    /// So many of 100 blocks.
    At(u64),
    /// All of them.
    Synced,
    /// It keeps only the newest.
    Pruned,
    /// Its command fails.
    Nothing,
}

pub(super) struct Rig {
    pub(super) t: SimNode,
    says: Arc<Mutex<Says>>,
}

pub(super) fn install(app: &str) -> Command {
    Command::Install { app: app.parse().unwrap() }
}
pub(super) fn stop(app: &str) -> Command {
    Command::Stop { app: app.parse().unwrap() }
}
pub(super) fn start(app: &str) -> Command {
    Command::Start { app: app.parse().unwrap() }
}
pub(super) fn start_anyway(app: &str) -> Command {
    Command::StartAnyway { app: app.parse().unwrap() }
}
pub(super) fn uninstall(app: &str) -> Command {
    Command::Uninstall { app: app.parse().unwrap(), purge: false }
}

fn answer(t: &SimNode, says: &Arc<Mutex<Says>>) {
    let says = Arc::clone(says);
    t.sim.on_exec(move |_, _| {
        let (code, answer) = match *says.lock().unwrap() {
            Says::At(blocks) => (0, json!({"ibd": true, "blocks": blocks, "headers": 100, "peers": 8})),
            Says::Synced => (0, json!({"ibd": false, "blocks": 100, "headers": 100, "peers": 8})),
            Says::Pruned => (0, json!({"ibd": true, "blocks": 5, "headers": 100, "pruned": true})),
            Says::Nothing => (1, json!("it is busy")),
        };
        ExecOutput { code, output: answer.to_string() }
    });
}

impl Rig {
    /// A node whose gates are asked by other means.
    pub(super) fn of(t: SimNode) -> Self {
        Self { t, says: Arc::new(Mutex::new(Says::Nothing)) }
    }

    /// The chain is installed and at its 40th block of 100.
    pub(super) async fn start(manifests: &[&str]) -> Self {
        let t = SimNode::start(manifests).await;
        let says = Arc::new(Mutex::new(Says::At(40)));
        answer(&t, &says);
        t.perform(install("chain")).await;
        let rig = Self { t, says };
        rig.wait_gate(|gate| gate.state == GateState::Progressing).await;
        rig
    }

    /// The chain and its wallet, which waits.
    pub(super) async fn waiting(wallet: &str) -> Self {
        let rig = Self::start(&[CHAIN, wallet]).await;
        rig.t.perform(install("wallet")).await;
        rig.t.wait_phase("wallet", protocol::Phase::Waiting).await;
        rig
    }

    /// Both run.
    pub(super) async fn running(wallet: &str) -> Self {
        let rig = Self::start(&[CHAIN, wallet]).await;
        rig.says(Says::Synced);
        rig.wait_gate(|gate| gate.state == GateState::Open).await;
        rig.t.perform(install("wallet")).await;
        rig.t.wait_phase("wallet", protocol::Phase::Running).await;
        rig.t.sim.forget_calls();
        rig
    }

    pub(super) fn says(&self, what: Says) {
        *self.says.lock().unwrap() = what;
    }

    pub(super) async fn restart(self) -> Self {
        Self { t: self.t.restart().await, says: self.says }
    }

    pub(super) fn gate(&self) -> Option<GateView> {
        let row = self.t.node.board().row(StreamId::Gates, "chain/synced");
        row.map(|json| from_str(&json).unwrap())
    }

    pub(super) async fn wait_gate(&self, good: impl Fn(&GateView) -> bool) -> GateView {
        self.t.wait(StreamId::Gates, || self.gate().filter(&good)).await
    }

    pub(super) async fn wait_state(&self, state: GateState) -> GateView {
        self.wait_gate(|gate| gate.state == state).await
    }

    /// Looks of the gate from now on: each row of the gate is one.
    pub(super) async fn looks(&self, count: u64) {
        let head = self.t.node.board().head(StreamId::Gates);
        self.t
            .wait(StreamId::Gates, || {
                (self.t.node.board().head(StreamId::Gates) >= head + count).then_some(())
            })
            .await;
    }

    /// Changing calls to the engine on containers of the wallet.
    pub(super) fn calls(&self) -> Vec<String> {
        let calls = self.t.sim.calls();
        let of_wallet = calls.iter().filter(|call| call.name.starts_with("wallet"));
        of_wallet.map(|call| format!("{} {}", call.call, call.name)).collect()
    }
}

/// The first thing that an app waits for.
pub(super) fn waits_for(app: &AppView) -> &str {
    app.wait.first().map_or("", |wait| wait.on.as_str())
}
