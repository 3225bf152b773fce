//! What is shown is what is known: rows while nobody looks, while a group waits, and after actors have died.

use protocol::{
    AppView, Confidence, ContainerPhase, ContainerView, ErrorCode, Health, NodeView, OpState, Phase, StreamId,
};
use std::{sync::Mutex, time::Duration};
use tests::{SHOP, SimNode, phase_of, shop};
use tokio::time::sleep;

async fn installed(manifest: &str) -> SimNode {
    let t = SimNode::start(&[manifest]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t
}

fn of<'a>(app: &'a AppView, service: &str) -> &'a ContainerView {
    app.containers.iter().find(|c| c.service.as_str() == service).unwrap()
}

/// Lets a container die again and again until its row is in this phase.
async fn fail_until(t: &SimNode, service: &str, phase: ContainerPhase) -> AppView {
    loop {
        let app =
            t.wait_app("shop", |app| app.phase == Phase::Running || phase_of(app, service) == phase).await;
        if phase_of(&app, service) == phase {
            return app;
        }
        t.sim.crash(&format!("shop-{service}"), 3);
        t.wait_app("shop", |app| phase_of(app, service) != ContainerPhase::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_waits_or_is_given_up_is_not_shown_as_if_it_were_looked_after() {
    for (strategy, culprit, other) in [("rest_for_one", "db", "web"), ("one_for_all", "web", "db")] {
        let t = installed(&SHOP.replace("one_for_one", strategy)).await;
        for phase in [ContainerPhase::Backoff, ContainerPhase::Parked] {
            fail_until(&t, culprit, phase).await;
            let held = |app: &AppView| {
                let c = of(app, other);
                let known =
                    c.reason.as_ref().is_some_and(|reason| reason.contains("it ran when it was last"));
                (c.phase, c.health, c.started_at) == (phase, Health::None, None)
                    && c.wait.iter().any(|wait| wait.on == culprit)
                    && known
            };
            t.wait_app("shop", held).await;
        }
        let app = t.wait_phase("shop", Phase::CrashLooping).await;
        assert!(app.reason.as_ref().unwrap().starts_with(culprit), "{strategy}: {:?}", app.reason);
        assert!(app.next_retry.is_some());
        // A new incarnation of the app's actor knows it, too, and when the next attempt is.
        t.kill(("app/shop", "node/stacks/shop/app")).await;
        t.kill(("hub", "node/hub")).await; // rows are published anew, whatever they are
        let again = t
            .wait_app("shop", |app| {
                app.phase == Phase::CrashLooping && phase_of(app, other) == ContainerPhase::Parked
            })
            .await;
        assert_eq!(again.next_retry, app.next_retry, "{strategy}");
        t.perform(shop::start()).await;
        let app = t.wait_phase("shop", Phase::Running).await;
        assert!(app.wait.is_empty() && app.next_retry.is_none(), "{strategy}: {app:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_fails_names_the_one_that_does_not_stay_up() {
    let t = installed(&SHOP.replace("one_for_one", "one_for_all")).await;
    fail_until(&t, "web", ContainerPhase::Parked).await;
    t.perform(shop::stop()).await;
    for _ in 0..10 {
        let error = engine::EngineError::Refused { subject: "shop-web".into(), message: "no".into() };
        t.sim.fail_next("start", error);
    }
    t.sim.remove_behind("shop-web");
    let op = t.submit(shop::start()).await.unwrap();
    let error = t.ended(&op).await.error.unwrap();
    assert_eq!(error.code, "crash_looping");
    assert!(error.message.contains("no"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_not_acknowledged_by_the_word_of_a_dead_actor() {
    let t = installed(SHOP).await;
    t.perform(shop::stop()).await;
    t.sim.hang("inspect");
    assert!(t.node.kill_actor("container/shop/web"));
    // It cannot be looked at any more; it may have been started meanwhile.
    sleep(Duration::from_secs(30)).await;
    let stop = t.submit(shop::stop()).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert!(!t.op(&stop).state.is_terminal());
    t.sim.resume("inspect");
    assert_eq!(t.ended(&stop).await.state, OpState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_actor_restarts_still_has_one_operation_at_a_time() {
    for kill_operation in [false, true] {
        let t = SimNode::start(&[SHOP]).await;
        t.sim.hang("start");
        let install = t.submit(shop::install()).await.unwrap();
        t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Starting).await;
        assert!(t.node.kill_actor("app/shop"));
        if kill_operation {
            assert!(t.node.kill_actor(&format!("operation/shop/{install}")));
        }
        // As soon as anybody answers, it is known what runs.
        let refused = loop {
            match t.node.submit(shop::uninstall(), None).await {
                Err(error) if error.code == ErrorCode::Unavailable => tokio::task::yield_now().await,
                other => break other,
            }
        };
        let error = refused.unwrap_err();
        assert_eq!((error.code, error.op_id), (ErrorCode::OpInProgress, Some(install.clone())));
        t.sim.resume("start");
        assert_eq!(t.ended(&install).await.state, OpState::Succeeded, "{kill_operation}");
        t.wait_phase("shop", Phase::Running).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_whose_actor_restarts_while_the_engine_is_away_is_not_live() {
    let t = installed(SHOP).await;
    t.sim.outage(true);
    let before = t.wait_app("shop", |app| app.confidence == Confidence::LastKnown).await;
    sleep(Duration::from_secs(60)).await;
    t.kill(("app/shop", "node/stacks/shop/app")).await;
    t.kill(("hub", "node/hub")).await; // rows are published anew, whatever they are
    sleep(Duration::from_secs(1)).await;
    let after = t.app("shop").unwrap();
    assert_eq!((after.confidence, after.phase), (Confidence::LastKnown, Phase::Running), "{after:#?}");
    assert!(after.observed_at <= before.observed_at, "{} {}", after.observed_at, before.observed_at);
    t.sim.outage(false);
    t.wait_app("shop", |app| app.confidence == Confidence::Live && app.phase == Phase::Running).await;
    assert_eq!(t.sim.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn what_a_node_without_its_engine_has_never_looked_at_is_not_called_stopped() {
    let t = installed(SHOP).await;
    t.perform(shop::stop()).await;
    let sim = t.sim.clone();
    let t = t.restart_after(|| sim.outage(true)).await;
    sleep(Duration::from_secs(5)).await;
    let app = t.app("shop").unwrap();
    assert_eq!((app.phase, app.confidence), (Phase::Stopping, Confidence::LastKnown), "{app:#?}");
    t.sim.outage(false);
    t.wait_app("shop", |app| app.phase == Phase::Stopped && app.confidence == Confidence::Live).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_the_containers_that_are_still_to_come_are_counted_down() {
    let t = installed(SHOP).await;
    let sim = t.sim.clone();
    let t = t.restart_after(|| sim.reboot()).await;
    let counts = Mutex::new(Vec::new());
    let look = || {
        let row = t.node.board().row(StreamId::Node, "starts")?;
        let detail = serde_json::from_str::<NodeView>(&row).unwrap().detail;
        let count: usize = detail.split(' ').next().unwrap().parse().unwrap_or(0);
        let mut counts = counts.lock().unwrap();
        if counts.last() != Some(&count) {
            counts.push(count);
        }
        (count == 0 && counts.len() > 1).then_some(())
    };
    t.wait(StreamId::Node, look).await;
    t.wait_phase("shop", Phase::Running).await;
    let counts = counts.lock().unwrap().clone();
    let fall: Vec<_> = counts.iter().copied().skip_while(|count| *count < 2).collect();
    assert_eq!(fall, [2, 1, 0], "containers and nothing else, down only: {counts:?}");
}
