//! `kill -9` of the daemon at random moments of an operation.

use super::{
    fault_test,
    support::{Rig, SEVEN, Stack},
};
use crate::node::support::BOUND;
use protocol::{OpId, OpView, Phase, Row, StreamId};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};
use tokio::time::{Duration, Instant, timeout};

/// Times the daemon is killed in one test.
const KILLS: u64 = 3;

/// Numbers that follow from a seed (xorshift).
struct Dice(u64);

impl Dice {
    /// With the seed in `FAULT_SEED`, or a new one; printed, so that a run can be repeated.
    fn new() -> Self {
        let given = std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(std::process::id()) | 1);
        println!("FAULT_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// Kills the daemon after so many rows of the stream and starts it again.
async fn kill_after(rig: &mut Rig, rows: u64) {
    watch(rig, rows).await;
    rig.kill_daemon();
    rig.start_daemon();
}

/// Waits for so many rows; an operation that has ended meanwhile sends no more.
async fn watch(rig: &mut Rig, rows: u64) {
    for _ in 0..rows {
        if !rig.moved(Instant::now() + Duration::from_secs(2)).await {
            break;
        }
    }
}

/// Every operation's rows as a client saw them, over all lives of the daemon: the end of each is told once and stays.
#[derive(Default)]
struct Ends(BTreeMap<String, OpView>);

impl Ends {
    fn take(&mut self, rig: &Rig) {
        for (_, row) in &rig.history {
            let Row::Op(op) = row else { continue };
            let key = op.id.0.to_string();
            if let Some(end) = self.0.get(&key) {
                assert_eq!(end.state, op.state, "an operation ended twice: {end:#?} {op:#?}");
            } else if op.state.is_terminal() {
                self.0.insert(key, (**op).clone());
            }
        }
    }
}

/// The operation has its one terminal row, now and in the node's own list.
async fn has_one_end(rig: &mut Rig, ends: &mut Ends, op: &OpId) -> OpView {
    let end = rig.ended(op).await;
    ends.take(rig);
    let told = async {
        loop {
            let all = rig.client.snapshot(StreamId::Ops).await.unwrap();
            let rows = all.items.iter().filter(|row| matches!(row, Row::Op(row) if row.id == *op));
            match rows.count() {
                // A node that has just been started reads its list first.
                0 => tokio::task::yield_now().await,
                count => return count,
            }
        }
    };
    assert_eq!(timeout(BOUND, told).await.unwrap(), 1);
    end
}

/// No container that ran before the kill was started again by it.
fn untouched(rig: &Rig, stack: &Stack, before: &super::support::Facts) {
    let after = rig.facts(stack);
    for (name, fact) in before.iter().filter(|(_, fact)| fact.state == "running") {
        assert!(after[name].same_run(fact), "{name} was touched: {fact:?} {:?}", after[name]);
    }
}

async fn killed_during(what: &'static str) {
    let mut dice = Dice::new();
    let (mut rig, stacks) = Rig::start(&[(&format!("crash-{what}"), SEVEN)]).await;
    let stack = &stacks[0];
    let mut ends = Ends::default();
    for _ in 0..KILLS {
        if what != "install" {
            if rig.app(stack).phase == Phase::NotInstalled {
                rig.install(stack).await;
            }
            if what == "start" && rig.app(stack).phase == Phase::Running {
                rig.operate(stack, "stop").await;
            }
            if what == "stop" && rig.app(stack).phase == Phase::Stopped {
                rig.operate(stack, "start").await;
                rig.until(stack, |app| app.phase == Phase::Running).await;
            }
        }
        rig.history.clear();
        let op = rig.submit(stack, what).await.unwrap();
        let rows = dice.below(30);
        println!("{what}: daemon killed after {rows} rows");
        watch(&mut rig, rows).await;
        ends.take(&rig);
        rig.kill_daemon();
        let before = rig.facts(stack);
        rig.start_daemon();
        let end = has_one_end(&mut rig, &mut ends, &op).await;
        println!("{what}: {:?} {:?}", end.state, end.error);
        match what {
            "stop" => {
                rig.until(stack, |app| app.phase == Phase::Stopped).await;
                assert!(rig.facts(stack).values().all(|fact| fact.state != "running"));
                // Another life of the daemon changes nothing about it.
                kill_after(&mut rig, 1).await;
                rig.until(stack, |app| app.phase == Phase::Stopped).await;
                assert!(rig.facts(stack).values().all(|fact| fact.state != "running"));
            }
            "start" => {
                rig.until(stack, |app| app.phase == Phase::Running).await;
                untouched(&rig, stack, &before);
                rig.answers(stack).await;
            }
            _ => {
                let app =
                    rig.until(stack, |app| matches!(app.phase, Phase::Running | Phase::NotInstalled)).await;
                if app.phase == Phase::Running {
                    untouched(&rig, stack, &before);
                    rig.answers(stack).await;
                    rig.operate(stack, "uninstall").await;
                }
                rig.until(stack, |app| app.phase == Phase::NotInstalled).await;
                assert!(rig.facts(stack).is_empty());
            }
        }
    }
    if rig.app(stack).installed {
        rig.operate(stack, "uninstall").await;
    }
}

fault_test!(a_daemon_killed_during_an_install_leaves_no_half_app, killed_during("install"));
fault_test!(a_daemon_killed_during_a_start_restarts_nothing_that_ran, killed_during("start"));
fault_test!(a_daemon_killed_during_a_stop_leaves_it_stopped, killed_during("stop"));
