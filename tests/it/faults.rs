//! Faults of containers and of the engine that come from outside, one by one, over the simulated engine.

use apps::{ContainerSpec, LABEL_DIGEST};
use engine::{Engine, EngineError, EngineState};
use protocol::{AppView, Confidence, ContainerPhase, Health, OpState, Phase};
use std::time::Duration;
use tests::{SHOP, SimNode, phase_of, shop};
use tokio::time::{Instant, advance, sleep};

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
    t.sim.calls().iter().map(|call| format!("{} {}", call.call, call.name)).collect()
}

fn restarts(app: &AppView) -> Vec<u32> {
    app.containers.iter().map(|container| container.restarts).collect()
}

/// Waits until the app runs after so many restarts of `db` and `web`.
async fn recovered(t: &SimNode, counts: [u32; 2]) {
    t.wait_app("shop", |app| app.phase == Phase::Running && restarts(app) == counts).await;
}

#[tokio::test(start_paused = true)]
async fn a_zombie_is_replaced_within_a_second_and_alone() {
    let t = installed(SHOP).await;
    let begin = Instant::now();
    t.sim.zombie("shop-db");
    recovered(&t, [1, 0]).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(calls(&t), ["remove shop-db", "create shop-db", "start shop-db"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_whose_monitor_died_runs_on_and_is_replaced_when_it_dies() {
    let t = installed(SHOP).await;
    t.sim.kill_monitor("shop-db");
    let said = |app: &AppView| app.containers[0].reason.as_ref().is_some_and(|r| r.contains("monitor"));
    let app = t.wait_app("shop", said).await;
    assert_eq!(app.phase, Phase::Running);
    sleep(TWO_LISTS).await;
    assert!(calls(&t).is_empty(), "what is healthy is left alone: {:?}", calls(&t));
    t.sim.zombie("shop-db");
    recovered(&t, [1, 0]).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_lost_its_anchor_is_restarted_behind_it() {
    let t = installed(SHOP).await;
    t.sim.crash("shop-db_net", 137);
    recovered(&t, [1, 0]).await;
    assert_eq!(calls(&t), ["stop shop-db", "start shop-db_net", "start shop-db"]);
}

#[tokio::test(start_paused = true)]
async fn an_anchor_without_its_monitor_or_dead_unseen_is_made_anew_with_its_container() {
    for fault in [engine::sim::Sim::zombie, engine::sim::Sim::kill_monitor] {
        let t = installed(SHOP).await;
        fault(&t.sim, "shop-db_net");
        recovered(&t, [1, 0]).await;
        let anew = ["shop-db_net", "shop-db"].map(|name| [format!("create {name}"), format!("start {name}")]);
        assert_eq!(calls(&t)[..3], ["stop shop-db", "remove shop-db", "remove shop-db_net"]);
        assert_eq!(calls(&t)[3..], anew.concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_container_goes_on() {
    let t = installed(SHOP).await;
    t.sim.pause_behind("shop-db");
    sleep(TWO_LISTS).await;
    assert_eq!(t.sim.states()["shop-db"], EngineState::Running);
    assert_eq!(calls(&t), ["unpause shop-db"]);
}

#[tokio::test(start_paused = true)]
async fn a_renamed_container_is_known_by_its_labels() {
    let t = installed(SHOP).await;
    t.sim.rename_behind("shop-db", "stolen");
    sleep(TWO_LISTS).await;
    assert!(calls(&t).is_empty(), "{:?}", calls(&t));
    t.sim.crash("stolen", 1);
    recovered(&t, [1, 0]).await;
    assert_eq!(calls(&t), ["start stolen"]);
    t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty(), "{:?}", t.sim.states());
}

#[tokio::test(start_paused = true)]
async fn damaged_storage_is_repaired_once_and_then_given_up() {
    for damaged in ["shop-db", "shop-db_net"] {
        let t = installed(SHOP).await;
        t.sim.damage(damaged);
        t.sim.crash(damaged, 1);
        t.wait_app("shop", |app| app.phase == Phase::Running && app.restarts > 0).await;
        assert_eq!(
            (t.sim.count("remove", damaged), t.sim.count("create", damaged)),
            (1, 1),
            "{:?}",
            calls(&t)
        );
        t.sim.forget_calls();
        // Whatever is made is damaged again: no second repair, now or at any later attempt.
        t.sim.damage_new(damaged, true);
        t.sim.damage(damaged);
        t.sim.crash(damaged, 1);
        t.wait_phase("shop", Phase::CrashLooping).await;
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(
            (t.sim.count("remove", damaged), t.sim.count("create", damaged)),
            (1, 1),
            "{:?}",
            calls(&t)
        );
        let app = t.wait_phase("shop", Phase::CrashLooping).await;
        assert!(app.reason.as_ref().unwrap().contains("damaged"), "{:?}", app.reason);
        // Somebody mends the storage and asks for it.
        t.sim.damage_new(damaged, false);
        t.perform(shop::start()).await;
        t.wait_phase("shop", Phase::Running).await;
        assert_eq!(t.sim.count("remove", damaged), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_at_a_port_that_is_taken_grow_apart_and_are_counted() {
    let t = installed(&SHOP.replace("intensity: 3", "intensity: 5")).await;
    t.perform(shop::stop()).await;
    t.sim.forget_calls();
    t.sim.occupy_port(apps::PortProtocol::Tcp, 28080, true);
    let begin = Instant::now();
    let op = t.submit(shop::start()).await.unwrap();
    let attempts = std::sync::Mutex::new(Vec::new());
    let end = t
        .wait_app("shop", |app| {
            let mut attempts = attempts.lock().unwrap();
            let made = t.sim.count("start", "shop-web_net");
            while attempts.len() < made {
                attempts.push(begin.elapsed().as_secs());
            }
            app.phase == Phase::CrashLooping || phase_of(app, "web") == ContainerPhase::Parked
        })
        .await;
    let attempts = attempts.lock().unwrap().clone();
    assert_eq!(restarts(&end), [0, 5], "every attempt is counted");
    // At once, then after 1, 2, 4 and, that being the most, 4 s.
    assert_eq!(attempts.len(), 6, "{attempts:?}");
    let gaps: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]) && gaps[4] >= 4, "{attempts:?}");
    let error = t.ended(&op).await.error.unwrap();
    assert!(error.message.contains("28080"), "{error:?}");
    // From then on one round of attempts in five minutes, until the port is free.
    t.sim.forget_calls();
    sleep(Duration::from_secs(3600)).await;
    let made = t.sim.count("start", "shop-web_net");
    assert!((11..=6 * 12).contains(&made), "{made}");
    t.sim.occupy_port(apps::PortProtocol::Tcp, 28080, false);
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_everything_that_should_run_comes_back_in_order_and_nothing_else() {
    let other = SHOP.replace("id: shop", "id: kiosk").replace("28080", "28090");
    let t = SimNode::start(&[SHOP, &other]).await;
    let kiosk = "kiosk".parse::<protocol::AppId>().unwrap();
    t.perform(shop::install()).await;
    t.perform(protocol::Command::Install { app: kiosk.clone() }).await;
    t.perform(protocol::Command::Stop { app: kiosk }).await;
    t.wait_phase("shop", Phase::Running).await;
    let sim = t.sim.clone();
    let t = t.restart_after(|| sim.reboot()).await;
    t.sim.forget_calls();
    t.wait_phase("shop", Phase::Running).await;
    let started = calls(&t);
    assert_eq!(started, ["start shop-db_net", "start shop-web_net", "start shop-db", "start shop-web"]);
    assert_eq!(t.app("kiosk").unwrap().phase, Phase::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_acknowledged_only_when_a_late_start_is_known_to_have_ended() {
    for kill in [false, true] {
        let t = installed(SHOP).await;
        t.perform(shop::stop()).await;
        t.sim.hang("start");
        t.submit(shop::start()).await.unwrap();
        t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Starting).await;
        let stop = t.submit(shop::stop()).await.unwrap();
        if kill {
            assert!(t.node.kill_actor("container/shop/db"));
        }
        sleep(Duration::from_secs(60)).await;
        assert!(!t.op(&stop).state.is_terminal(), "the start may still land");
        t.sim.resume("start");
        assert_eq!(t.ended(&stop).await.state, OpState::Succeeded);
        assert!(t.sim.states().values().all(|state| *state == EngineState::Exited), "{:?}", t.sim.states());
        t.sim.forget_calls();
        sleep(TWO_LISTS).await;
        assert!(calls(&t).is_empty(), "nothing starts after the acknowledgement: {:?}", calls(&t));
    }
}

#[tokio::test(start_paused = true)]
async fn another_configuration_is_applied_at_the_next_start_and_once() {
    let t = installed(SHOP).await;
    t.sim.remake("shop-db", |spec| {
        spec.labels.insert(LABEL_DIGEST.into(), "old".into());
    });
    sleep(TWO_LISTS).await;
    assert!(calls(&t).is_empty(), "what runs is not touched: {:?}", calls(&t));
    t.sim.crash("shop-db", 1);
    recovered(&t, [1, 0]).await;
    assert_eq!(calls(&t), ["remove shop-db", "create shop-db", "start shop-db"]);
    t.sim.forget_calls();
    t.sim.crash("shop-db", 1);
    recovered(&t, [2, 0]).await;
    assert_eq!(calls(&t), ["start shop-db"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_was_made_with_its_own_network_keeps_it() {
    let t = installed(SHOP).await;
    let sim = t.sim.clone();
    let t = t
        .restart_after(|| {
            sim.remake("shop-db", |spec| {
                spec.network_of = None;
                spec.labels.remove(LABEL_DIGEST);
            });
        })
        .await;
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t.sim.crash("shop-db", 1);
    recovered(&t, [1, 0]).await;
    assert_eq!(calls(&t), ["start shop-db"]);
}

#[tokio::test(start_paused = true)]
async fn a_container_of_a_declared_name_is_adopted_as_it_runs_and_an_undeclared_one_is_in_the_way() {
    for (declared, adopts) in [("shop-db", true), ("other", false)] {
        let manifest = format!("{SHOP}adopt: {{names: [{declared}]}}\n");
        let t = SimNode::start(&[&manifest]).await;
        let theirs = ContainerSpec {
            name: "shop-db".into(),
            image: "localhost/db:1".into(),
            ..ContainerSpec::default()
        };
        let id = t.sim.create(&theirs).await.unwrap();
        t.sim.start("shop-db").await.unwrap();
        t.sim.forget_calls();
        let op = t.submit(shop::install()).await.unwrap();
        let end = t.ended(&op).await;
        if !adopts {
            assert_eq!(end.error.unwrap().code, "conflict");
        }
        assert!(calls(&t).iter().all(|call| !call.contains("shop-db")), "{:?}", calls(&t));
        if !adopts {
            continue;
        }
        assert_eq!(end.state, OpState::Succeeded);
        t.sim.forget_calls();
        t.sim.crash("shop-db", 1);
        recovered(&t, [1, 0]).await;
        assert_eq!(
            (calls(&t), t.sim.inspect("shop-db").await.unwrap().id),
            (vec!["start shop-db".into()], id)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_install_that_fails_leaves_what_it_adopted_and_an_uninstall_takes_it() {
    let manifest = format!("{SHOP}adopt: {{names: [shop-db]}}\n");
    let t = SimNode::start(&[&manifest]).await;
    let image = "localhost/db:1".into();
    let theirs = ContainerSpec { name: "shop-db".into(), image, ..ContainerSpec::default() };
    t.sim.create(&theirs).await.unwrap();
    t.sim.start("shop-db").await.unwrap();
    let before = t.sim.inspect("shop-db").await.unwrap();
    for _ in 0..5 {
        t.sim.fail_next("create", EngineError::Refused { subject: "x".into(), message: "no".into() });
    }
    let op = t.submit(shop::install()).await.unwrap();
    assert_eq!(t.ended(&op).await.state, OpState::Failed);
    assert_eq!(t.sim.states().into_keys().collect::<Vec<_>>(), ["shop-db"]);
    assert_eq!(t.sim.inspect("shop-db").await.unwrap(), before);
    t.perform(shop::install()).await;
    assert_eq!(t.sim.inspect("shop-db").await.unwrap().process, before.process);
    t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty(), "{:?}", t.sim.states());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_takes_connections_and_does_not_answer_leaves_what_was_known() {
    let t = installed(SHOP).await;
    for call in ["list", "inspect"] {
        t.sim.hang(call);
    }
    let app = t.wait_app("shop", |app| app.confidence == Confidence::LastKnown).await;
    assert_eq!(app.phase, Phase::Running);
    advance(Duration::from_secs(600)).await;
    for call in ["list", "inspect"] {
        t.sim.resume(call);
    }
    t.wait_app("shop", |app| app.confidence == Confidence::Live && app.phase == Phase::Running).await;
    assert!(calls(&t).is_empty(), "{:?}", calls(&t));
}

#[tokio::test(start_paused = true)]
async fn a_slow_app_does_not_delay_another() {
    let other = SHOP.replace("id: shop", "id: kiosk").replace("28080", "28090");
    let t = SimNode::start(&[SHOP, &other]).await;
    t.perform(shop::install()).await;
    t.perform(protocol::Command::Install { app: "kiosk".parse().unwrap() }).await;
    t.sim.ignore_term("kiosk-web");
    t.sim.delay("stop", Duration::from_secs(600));
    t.submit(protocol::Command::Stop { app: "kiosk".parse().unwrap() }).await.unwrap();
    t.wait_phase("kiosk", Phase::Stopping).await;
    let begin = Instant::now();
    t.sim.crash("shop-db", 1);
    recovered(&t, [1, 0]).await;
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(t.app("kiosk").unwrap().phase, Phase::Stopping);
}

/// One service on a network, without dependencies.
const ONE: &str = r#"manifest_version: 1
id: shop
name: Shop
version: "1"
networks: {inner: {}}
services:
  web:
    image: localhost/web:1
    networks: {inner: {}}
"#;

fn theirs(name: &str) -> ContainerSpec {
    ContainerSpec { name: name.into(), image: "localhost/db:1".into(), ..ContainerSpec::default() }
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_over_while_a_container_without_its_network_runs() {
    let t = installed(ONE).await;
    t.sim.delay("inspect", Duration::from_secs(5));
    t.sim.crash("shop-web_net", 137);
    // It runs, and nobody reaches it.
    let app = t.wait_app("shop", |app| app.phase == Phase::Unhealthy).await;
    assert_eq!(
        (phase_of(&app, "web"), app.containers[0].health),
        (ContainerPhase::Running, Health::Unhealthy)
    );
    assert!(app.reason.as_ref().unwrap().contains("its network is gone"), "{:?}", app.reason);
    t.perform(shop::stop()).await;
    assert_eq!(t.sim.states()["shop-web"], EngineState::Exited);
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_a_crash_loop_is_over_when_all_anchors_are_down() {
    let t = installed(SHOP).await;
    for _ in 0..4 {
        t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Running).await;
        t.sim.crash("shop-db", 3);
        t.wait_app("shop", |app| phase_of(app, "db") != ContainerPhase::Running).await;
    }
    t.wait_phase("shop", Phase::CrashLooping).await;
    t.perform(shop::stop()).await;
    assert!(t.sim.states().values().all(|state| *state == EngineState::Exited), "{:?}", t.sim.states());
}

#[tokio::test(start_paused = true)]
async fn a_strangers_damaged_container_survives_a_failed_install() {
    let t = SimNode::start(&[SHOP]).await;
    t.sim.create(&theirs("shop-db")).await.unwrap();
    t.sim.damage("shop-db");
    let op = t.submit(shop::install()).await.unwrap();
    assert_eq!(t.ended(&op).await.state, OpState::Failed);
    assert!(t.sim.states().contains_key("shop-db"));
}

#[tokio::test(start_paused = true)]
async fn a_running_container_whose_files_are_damaged_is_left_to_run() {
    let t = installed(SHOP).await;
    t.sim.damage("shop-db");
    assert!(t.node.kill_actor("container/shop/db"));
    sleep(TWO_LISTS).await;
    assert!(calls(&t).is_empty(), "{:?}", calls(&t));
    assert_eq!(t.app("shop").unwrap().phase, Phase::Running);
}

#[tokio::test(start_paused = true)]
async fn an_adopted_container_is_neither_replaced_for_its_monitor_nor_doubled_when_renamed() {
    let manifest = format!("{SHOP}adopt: {{names: [shop-web]}}\n");
    let t = SimNode::start(&[&manifest]).await;
    t.sim.create(&ContainerSpec { image: "localhost/web:1".into(), ..theirs("shop-web") }).await.unwrap();
    t.sim.start("shop-web").await.unwrap();
    t.perform(shop::install()).await;
    t.sim.forget_calls();
    t.sim.kill_monitor("shop-web");
    sleep(TWO_LISTS).await;
    t.sim.rename_behind("shop-web", "mine");
    sleep(TWO_LISTS).await;
    assert!(calls(&t).is_empty(), "{:?}", calls(&t));
    assert_eq!(t.sim.states()["mine"], EngineState::Running);
}

#[tokio::test(start_paused = true)]
async fn hanging_starts_of_one_app_do_not_stop_the_recovery_of_another() {
    let t = installed(SHOP).await;
    let many: String = (0..10).map(|i| format!("  s{i}: {{image: 'localhost/web:1'}}\n")).collect();
    let (head, _) = ONE.split_once("networks:").unwrap();
    let kiosk = format!("{}services:\n{many}", head.replace("shop", "kiosk"));
    t.add(&kiosk);
    t.sim.hang_for("start", "kiosk-");
    t.submit(protocol::Command::Install { app: "kiosk".parse().unwrap() }).await.unwrap();
    t.wait_app("kiosk", |app| app.containers.iter().all(|c| c.phase == ContainerPhase::Starting)).await;
    let begin = Instant::now();
    t.sim.crash("shop-db", 1);
    recovered(&t, [1, 0]).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_tried_ever_more_rarely_and_says_why() {
    let t = installed(SHOP).await;
    for _ in 0..1000 {
        let error = EngineError::Broken { subject: "x".into(), message: "busy".into() };
        t.sim.fail_next("remove", error);
    }
    t.sim.zombie("shop-db");
    sleep(Duration::from_secs(600)).await;
    assert!(t.sim.count("remove", "shop-db") < 40, "{}", t.sim.count("remove", "shop-db"));
    let app = t.app("shop").unwrap();
    assert!(app.containers[0].reason.as_ref().unwrap().contains("busy"), "{app:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_counts_as_failed_and_is_made_again() {
    for call in ["create", "start", "stop", "remove"] {
        let t = SimNode::start(&[SHOP]).await;
        t.sim.panic_next(call);
        t.perform(shop::install()).await;
        t.wait_phase("shop", Phase::Running).await;
        t.perform(shop::uninstall()).await;
        assert!(t.sim.states().is_empty(), "{call}: {:?}", t.sim.states());
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_could_not_be_watched_is_missed_by_the_next_list_and_watched_from_then_on() {
    let error = || EngineError::Broken { subject: "process 1".into(), message: "too many open files".into() };
    for failures in [2, 1000] {
        let t = SimNode::start(&[SHOP]).await;
        for _ in 0..failures {
            t.sim.fail_next("exit_of", error());
        }
        t.perform(shop::install()).await;
        t.wait_phase("shop", Phase::Running).await;
        sleep(TWO_LISTS).await;
        let begin = Instant::now();
        // Nobody tells of it: neither the engine nor, in the second round, the kernel.
        t.sim.zombie("shop-db");
        recovered(&t, [1, 0]).await;
        let bound = Duration::from_secs(if failures == 1000 { 35 } else { 1 });
        assert!(begin.elapsed() < bound, "{failures}: {:?}", begin.elapsed());
    }
}
