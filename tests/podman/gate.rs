//! The gate of a real bitcoind: an app waits for its initial download, starts by itself, and follows it through a
//! restart, its warming up, and a fall back into the download. Each transition is seen on the WebSocket.

mod chain;

use crate::{
    fault::support::{Rig, Stack, kill_all, of, skipped},
    node::support::podman,
    owner,
};
use chain::{BLOCKS, Chain, Rpc};
use protocol::{ContainerPhase, ErrorCode, GateState, GateView, Phase, client::ClientError};
use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

const CHAIN: &str = include_str!("gate/chain.yml");
const WALLET: &str = include_str!("gate/wallet.yml");
const IMAGE: &str = include_str!("gate/bitcoin.sh");

/// Builds the image of bitcoind, or says why this machine cannot.
fn image() -> Result<(), String> {
    let mut script =
        Command::new("bash").arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    script.stdin.take().unwrap().write_all(IMAGE.as_bytes()).unwrap();
    let ended = script.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).trim().to_owned();
    match ended.status.code() {
        Some(0) => Ok(()),
        Some(3) => Err(said),
        other => panic!("the image of bitcoind could not be built ({other:?}): {said}"),
    }
}

fn gate_of(stack: &Stack) -> String {
    format!("{}/synced", stack.id)
}

fn says(gate: &GateView, words: &str) -> bool {
    gate.detail.as_ref().is_some_and(|detail| detail.contains(words))
}

/// Kills bitcoind; the node starts it again.
fn kill_bitcoind(rig: &Rig, stack: &Stack) {
    kill_all([&rig.facts(stack)[&stack.container("node")].pid]);
}

async fn real_bitcoind() {
    if let Err(reason) = image() {
        return skipped(&reason);
    }
    let (mut rig, stacks) = Rig::start(&[("chain", CHAIN), ("wallet", WALLET)]).await;
    let (chain_app, wallet) = (&stacks[0], &stacks[1]);
    let id = gate_of(chain_app);

    let refused = rig.submit(wallet, "install").await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.code, ErrorCode::Conflict, "{refused:?}");
    assert_eq!(refused.hint, Some(format!("install {} first", chain_app.id)));

    rig.install(chain_app).await;
    let secret = rig.dir.path().join("data/secrets").join(&chain_app.id).join("rpc-password");
    let secret = fs::read_to_string(secret).unwrap();
    let mut chain = Chain::mine(Rpc::new(chain_app.udp, &secret), Rpc::new(chain_app.port, &secret)).await;
    rig.until_gate(&id, |gate| gate.state == GateState::Progressing && gate.current == Some(0)).await;

    // It waits visibly, and nothing of it runs.
    rig.operate(wallet, "install").await;
    let app = rig.until(wallet, |app| app.phase == Phase::Waiting).await;
    assert_eq!((app.wait[0].on.as_str(), of(&app, "web").phase), (id.as_str(), ContainerPhase::Waiting));
    let state = |rig: &Rig| rig.facts(wallet)[&wallet.container("web")].state.clone();
    assert_eq!(state(&rig), "created");

    chain.give_headers().await;
    rig.until_gate(&id, |gate| gate.target == Some(BLOCKS)).await;
    for height in 1..BLOCKS {
        chain.give(height, height).await;
        // Every third one is waited for, so that there is a pace to be seen.
        if height % 3 == 0 {
            let gate = rig.until_gate(&id, |gate| gate.current == Some(height)).await;
            assert_eq!(gate.state, GateState::Progressing, "{gate:?}");
            let percent = format!("({} %)", height * 100 / BLOCKS);
            rig.until(wallet, |app| app.reason.as_ref().is_some_and(|why| why.contains(&percent))).await;
        }
    }
    let gate = rig.until_gate(&id, |gate| gate.current == Some(BLOCKS - 1)).await;
    assert_eq!((gate.state, gate.unit.as_deref()), (GateState::Progressing, Some("blocks")));
    let paces = rig.gate_rows(&id).iter().filter(|gate| gate.rate.is_some_and(|rate| rate > 0.0)).count();
    assert!(paces > 0, "how fast it went was shown");
    assert_eq!(state(&rig), "created");

    // The last block ends the download.
    chain.give(BLOCKS, BLOCKS).await;
    rig.until_gate(&id, |gate| gate.state == GateState::Open).await;
    let app = rig.until(wallet, |app| app.phase == Phase::Running).await;
    assert_eq!(of(&app, "web").restarts, 0);
    let running = rig.facts(wallet);

    chain.flush().await;

    // Killed, it warms up: who runs is left alone.
    let control = rig.control_dir(chain_app);
    fs::write(control.join("hold"), "").unwrap();
    kill_bitcoind(&rig, chain_app);
    let gate = rig.until_gate(&id, |gate| says(gate, "is starting")).await;
    assert_eq!(gate.state, GateState::Progressing, "{gate:?}");
    fs::remove_file(control.join("hold")).unwrap();
    let release = "echo '{\"banned_nets\": []}' >/data/regtest/banlist.json";
    podman(&["exec", &chain_app.container("node"), "sh", "-c", release]);
    rig.until_gate(&id, |gate| gate.state == GateState::Open).await;
    let web = wallet.container("web");
    assert!(rig.facts(wallet)[&web].same_run(&running[&web]), "its provider's restart is no loss");

    // Restarted so that its last block counts as old, it is back in the download: the wallet is stopped and waits.
    fs::write(control.join("args"), "-maxtipage=1").unwrap();
    kill_bitcoind(&rig, chain_app);
    rig.until_gate(&id, |gate| gate.state == GateState::Lost).await;
    rig.until(wallet, |app| app.phase == Phase::Waiting).await;
    assert_eq!(state(&rig), "exited");
    chain.mine_now().await;
    chain.give(BLOCKS + 1, BLOCKS + 1).await;
    rig.until_gate(&id, |gate| gate.state == GateState::Open).await;
    let app = rig.until(wallet, |app| app.phase == Phase::Running).await;
    assert_eq!(of(&app, "web").restarts, 0, "waiting uses no restarts");

    let mut seen: Vec<GateState> = rig.gate_rows(&id).iter().map(|gate| gate.state).collect();
    seen.dedup();
    let mut left = seen.iter();
    for state in [
        GateState::Progressing,
        GateState::Open,
        GateState::Progressing,
        GateState::Open,
        GateState::Lost,
        GateState::Open,
    ] {
        assert!(left.any(|seen| *seen == state), "{state:?} is missing in {seen:?}");
    }

    for shown in [
        podman(&["inspect", &chain_app.container("node")]),
        rig.log(),
        format!("{:?}", rig.history),
        arguments_of_all(),
    ] {
        assert!(!shown.contains(&secret), "the secret is in {shown}");
    }

    let refused = rig.submit(chain_app, "uninstall").await.unwrap_err();
    let ClientError::Refused(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.message, format!("{} is needed by {}", chain_app.id, wallet.id));
    rig.operate(wallet, "uninstall").await;
    rig.operate(chain_app, "uninstall").await;
}

/// The command lines of all processes on this machine.
fn arguments_of_all() -> String {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let lines = folders.filter_map(|folder| fs::read(folder.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_app_waits_for_a_real_bitcoind_and_follows_it() {
    owner::run(concat!(module_path!(), "::an_app_waits_for_a_real_bitcoind_and_follows_it"), real_bitcoind());
}
