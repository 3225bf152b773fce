//! An app that comes and goes a hundred times, with cancels at random moments.

use super::support::*;
use protocol::{ErrorCode, OpState, Phase};
use std::{collections::BTreeSet, time::Duration};
use tests::{SimNode, shop};

/// Xorshift: the same seed tells the same story.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

async fn round(t: &SimNode, chance: &mut Chance, command: protocol::Command) -> OpState {
    let op = t.submit(command).await.unwrap();
    if chance.below(2) == 0 {
        // An install takes some two seconds here.
        tokio::time::sleep(Duration::from_millis(chance.below(2_500))).await;
        match t.submit(shop::cancel(&op)).await {
            Ok(same) => assert_eq!(same, op),
            Err(error) => assert_eq!(error, ErrorCode::Conflict, "too late"),
        }
    }
    let view = t.ended(&op).await;
    assert!(matches!(view.state, OpState::Succeeded | OpState::Cancelled), "{view:#?}");
    view.state
}

async fn story(seed: u64) {
    println!("seed {seed}");
    let mut chance = Chance(seed);
    let t = SimNode::start(&[V1, &kiosk()]).await;
    t.perform(install("kiosk")).await;
    let neighbour = t.wait_phase("kiosk", Phase::Running).await;
    t.perform(shop::install()).await;
    std::fs::write(canary(&t), "1").unwrap();
    t.perform(shop::uninstall()).await;
    let (mut ends, mut installed) = (BTreeSet::new(), false);
    for _ in 0..100 {
        let command = if installed { shop::uninstall() } else { shop::install() };
        let end = round(&t, &mut chance, command).await;
        ends.insert(format!("{end:?} {installed}"));
        installed ^= end == OpState::Succeeded;
        assert_eq!(t.app("shop").unwrap().installed, installed);
        assert_eq!(std::fs::read_to_string(canary(&t)).unwrap(), "1");
    }
    assert_eq!(ends.len(), 4, "each ended well and was cancelled at least once: {ends:?}");
    if installed {
        t.perform(shop::uninstall()).await;
    }
    t.wait_phase("shop", Phase::NotInstalled).await;
    let left = there(&t);
    assert!(left.containers.is_empty() && left.networks.is_empty());
    assert_eq!((left.volumes, left.secrets), (names(&["shop_db"]), names(&["shop_pass"])));
    let database = rusqlite::Connection::open(t.data_dir().join("node.sqlite")).unwrap();
    let rows = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(rows("SELECT count(*) FROM apps WHERE id = 'shop'"), 0);
    assert_eq!(rows("SELECT count(*) FROM operations WHERE terminal = 0"), 0);
    t.perform(shop::purge()).await;
    let left = there(&t);
    assert!(left.volumes.is_empty() && left.secrets.is_empty());
    assert!(!t.data_dir().join("data/shop").exists() && !t.data_dir().join("secrets/shop").exists());
    let kiosk = t.wait_phase("kiosk", Phase::Running).await;
    assert_eq!(facts(&kiosk), facts(&neighbour));
}

#[tokio::test(start_paused = true)]
async fn an_app_that_comes_and_goes_a_hundred_times_with_cancels_leaves_nothing_and_loses_nothing() {
    for seed in [0x5eed_0001, 0x5eed_0002, 0x5eed_0003] {
        story(seed).await;
    }
}
