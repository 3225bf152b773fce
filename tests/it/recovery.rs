//! Containers that die, actors that die, and an engine that goes away.

use engine::EngineState;
use protocol::{Confidence, ContainerPhase, OpState, Phase, StreamId, TreeState, TreeView};
use tests::{SHOP, SimNode, phase_of, shop};

async fn installed(manifest: &str) -> SimNode {
    let t = SimNode::start(&[manifest]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t
}

#[tokio::test(start_paused = true)]
async fn a_dead_container_is_shown_and_comes_back_alone() {
    let t = installed(SHOP).await;
    t.sim.crash("shop-db", 137);
    let down = t.wait_app("shop", |app| app.phase != Phase::Running).await;
    assert_eq!(down.phase, Phase::Restarting);
    let up = t.wait_phase("shop", Phase::Running).await;
    let db = up.containers.iter().find(|c| c.service.as_str() == "db").unwrap();
    assert_eq!((db.restarts, db.last_exit.as_ref().unwrap().code), (1, Some(137)));
    assert_eq!(t.sim.count("start", "shop-db"), 1);
    assert_eq!(
        t.sim.count("start", "shop-web") + t.sim.count("stop", "shop-web"),
        0,
        "a healthy one is left alone"
    );
}

#[tokio::test(start_paused = true)]
async fn lack_of_memory_is_told_apart() {
    let t = installed(SHOP).await;
    t.sim.oom("shop-db");
    let up = t.wait_app("shop", |app| app.restarts == 1 && app.phase == Phase::Running).await;
    assert!(up.containers[0].last_exit.as_ref().unwrap().oom);
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_containers_behind_a_dead_one() {
    let t = installed(&SHOP.replace("one_for_one", "rest_for_one")).await;
    t.sim.crash("shop-db", 1);
    t.wait_app("shop", |app| app.phase == Phase::Running && app.restarts > 0).await;
    for name in ["shop-db", "shop-web"] {
        assert_eq!(t.sim.count("start", name), 1, "{name}");
    }
    assert_eq!(t.sim.count("stop", "shop-web"), 1);
    // Each was restarted, and says why as long as it runs.
    let app = t.wait_phase("shop", Phase::Running).await;
    let told: Vec<_> =
        app.containers.iter().map(|c| (c.restarts, c.last_restart.clone().unwrap().cause)).collect();
    let because = |words: &str| vec![words.to_owned()];
    assert_eq!(told, [(1, because("exited with code 1")), (1, because("db exited with code 1"))]);
    assert_eq!((app.restarts, &app.containers[1].last_exit), (2, &None));
}

/// Names of all actors of an installed app and of the node, with their paths in the tree.
const ACTORS: &[(&str, &str)] = &[
    ("container/shop/db", "node/stacks/shop/containers/db"),
    ("container/shop/web", "node/stacks/shop/containers/web"),
    ("app/shop", "node/stacks/shop/app"),
    ("containers/shop", "node/stacks/shop/containers"),
    ("stack/shop", "node/stacks/shop"),
    ("hub", "node/hub"),
    ("store", "node/store"),
    ("catalog", "node/catalog"),
    ("control", "node/control"),
    ("observer", "node/engine/observer"),
    ("stacks", "node/stacks"),
];

#[tokio::test(start_paused = true)]
async fn killing_any_actor_restarts_no_container_and_the_next_death_is_met() {
    for strategy in ["one_for_one", "rest_for_one", "one_for_all"] {
        for actor in ACTORS {
            let t = installed(&SHOP.replace("one_for_one", strategy)).await;
            t.kill(*actor).await;
            t.node.kill_actor("hub"); // the app publishes its row anew, whatever it is
            t.wait_app("shop", |app| {
                app.phase == Phase::Running && app.containers.iter().all(|c| c.id.is_some())
            })
            .await;
            assert_eq!(t.sim.calls(), [], "{strategy}: {actor:?}");
            // A death that nobody watched yet is found by the next look; it counts as no restart then.
            let before = t.app("shop").unwrap().containers[1].started_at;
            t.sim.crash("shop-web", 1);
            t.wait_app("shop", |app| app.phase == Phase::Running && app.containers[1].started_at > before)
                .await;
            assert_eq!(t.sim.count("start", "shop-web"), 1, "{strategy}: {actor:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_actors_are_killed_still_has_one_good_end() {
    for actor in ACTORS.iter().copied().filter(|(name, _)| !name.starts_with("container/")) {
        let t = SimNode::start(&[SHOP]).await;
        t.sim.hang("start");
        let op = t.submit(shop::install()).await.unwrap();
        t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Starting).await;
        t.kill(actor).await;
        t.sim.resume("start");
        let view = t.ended(&op).await;
        assert_eq!(view.state, OpState::Succeeded, "{actor:?}: {view:#?}");
        t.wait_phase("shop", Phase::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_actor_is_killed_is_taken_up_by_another_one() {
    let t = SimNode::start(&[SHOP]).await;
    t.sim.hang("start");
    let op = t.submit(shop::install()).await.unwrap();
    t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Starting).await;
    let name = format!("operation/shop/{op}");
    for _ in 0..3 {
        assert!(t.node.kill_actor(&name));
        t.wait(StreamId::Tree, || {
            let row = t.node.board().row(StreamId::Tree, &format!("node/stacks/shop/op-{op}"))?;
            (serde_json::from_str::<TreeView>(&row).unwrap().state == TreeState::Running).then_some(())
        })
        .await;
    }
    t.sim.resume("start");
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_holds_while_a_group_waits_for_its_restart() {
    for strategy in ["rest_for_one", "one_for_all"] {
        let t = installed(&SHOP.replace("one_for_one", strategy)).await;
        // The first restart is at once, the second waits.
        for _ in 1..=2 {
            t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Running).await;
            t.sim.crash("shop-db", 1);
            t.wait_app("shop", |app| phase_of(app, "db") != ContainerPhase::Running).await;
        }
        t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Backoff).await;
        t.perform(shop::stop()).await;
        t.wait_phase("shop", Phase::Stopped).await;
        assert!(t.sim.states().values().all(|state| *state == EngineState::Exited), "{:?}", t.sim.states());
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_actor_is_killed_still_knows_that_it_crash_loops() {
    let t = installed(SHOP).await;
    for _ in 0..4 {
        t.wait_app("shop", |app| phase_of(app, "web") == ContainerPhase::Running).await;
        t.sim.crash("shop-web", 3);
        t.wait_app("shop", |app| phase_of(app, "web") != ContainerPhase::Running).await;
    }
    t.wait_phase("shop", Phase::CrashLooping).await;
    t.kill(("app/shop", "node/stacks/shop/app")).await;
    t.node.kill_actor("hub");
    t.wait_phase("shop", Phase::CrashLooping).await;
    t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_parked_with_its_story_and_a_start_resets_it() {
    let t = installed(SHOP).await;
    for _ in 0..4 {
        t.wait_app("shop", |app| phase_of(app, "web") == ContainerPhase::Running).await;
        t.sim.crash("shop-web", 3);
        t.wait_app("shop", |app| phase_of(app, "web") != ContainerPhase::Running).await;
    }
    let app = t.wait_phase("shop", Phase::CrashLooping).await;
    let reason = app.reason.clone().unwrap();
    assert!(reason.contains("web") && reason.contains("code 3"), "{reason}");
    assert!(app.next_retry.is_some());
    assert_eq!(app.containers[1].restarts, 3, "the death that was one too many led to no restart");
    assert_eq!(phase_of(&app, "db"), ContainerPhase::Running, "its neighbour goes on");
    t.perform(shop::start()).await;
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_recovered_without_anybody_telling() {
    let t = installed(SHOP).await;
    t.sim.zombie("shop-db");
    t.wait_app("shop", |app| app.phase == Phase::Running && app.restarts == 1).await;
    assert_eq!(t.sim.count("create", "shop-db"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_container_removed_behind_our_back_is_made_again() {
    let t = installed(SHOP).await;
    t.sim.remove_behind("shop-db");
    t.wait_app("shop", |app| app.phase == Phase::Running && app.restarts == 1).await;
    assert_eq!(t.sim.count("create", "shop-db"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_leaves_the_last_known_apps_dated_and_untouched() {
    let t = installed(SHOP).await;
    t.sim.outage(true);
    let app = t.wait_app("shop", |app| app.confidence == Confidence::LastKnown).await;
    assert_eq!(app.phase, Phase::Running);
    t.sim.outage(false);
    t.wait_app("shop", |app| app.confidence == Confidence::Live).await;
    assert_eq!(t.sim.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_stopped_app_stays_stopped_when_its_container_actors_are_killed() {
    let t = installed(SHOP).await;
    t.perform(shop::stop()).await;
    t.sim.forget_calls();
    for actor in &ACTORS[..5] {
        t.kill(*actor).await;
    }
    t.wait_app("shop", |app| app.phase == Phase::Stopped && phase_of(app, "db") == ContainerPhase::Exited)
        .await;
    assert_eq!(t.sim.calls(), []);
}
