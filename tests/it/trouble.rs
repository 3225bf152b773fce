//! An engine in trouble: it fails, answers half, or takes a hundred times as long.

use engine::EngineError;
use protocol::{AppView, Confidence, Phase};
use std::time::Duration;
use tests::{SHOP, SimNode, shop};
use tokio::time::{Instant, sleep};

/// Everything that the node asks of an engine while nothing is wanted of it.
const LOOKS: &[&str] = &["info", "list", "inspect", "events", "exec"];

async fn installed() -> SimNode {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t
}

fn runs(app: &AppView, confidence: Confidence) -> bool {
    (app.phase, app.confidence, app.containers.len()) == (Phase::Running, confidence, 2)
}

/// Waits for that long and sees that the app's row stays as it is and nothing is done to a container.
async fn nothing_happens(t: &SimNode, confidence: Confidence, long: Duration) {
    let before = t.app("shop").unwrap();
    let end = Instant::now() + long;
    while Instant::now() < end {
        sleep(Duration::from_secs(1)).await;
        let app = t.app("shop").unwrap();
        assert!(runs(&app, confidence), "{app:#?}");
        if confidence == Confidence::LastKnown {
            assert_eq!(app.observed_at, before.observed_at, "its date is that of the last look");
        }
    }
    assert_eq!(t.sim.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_fails_or_answers_half_leaves_what_was_known_with_its_date() {
    for error in [
        EngineError::Broken { subject: "it".into(), message: "500".into() },
        EngineError::Protocol { call: "list", message: "EOF while parsing a list".into() },
    ] {
        let t = installed().await;
        t.sim.fail_all(LOOKS, Some(&error));
        t.wait_app("shop", |app| runs(app, Confidence::LastKnown)).await;
        nothing_happens(&t, Confidence::LastKnown, Duration::from_secs(600)).await;
        // The same for the streams, and for actors that begin anew meanwhile.
        t.sim.outage(true);
        t.sim.outage(false);
        for actor in ["container/shop/db", "app/shop", "observer"] {
            assert!(t.node.kill_actor(actor), "{actor}");
        }
        nothing_happens(&t, Confidence::LastKnown, Duration::from_secs(600)).await;
        t.sim.fail_all(LOOKS, None);
        t.wait_app("shop", |app| runs(app, Confidence::Live)).await;
        assert_eq!(t.sim.calls(), [], "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_that_a_failing_engine_cannot_explain_is_mended_when_it_can() {
    let t = installed().await;
    let error = EngineError::Broken { subject: "it".into(), message: "500".into() };
    t.sim.fail_all(LOOKS, Some(&error));
    t.sim.crash("shop-db", 137);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(t.sim.calls(), []);
    let app = t.app("shop").unwrap();
    assert_eq!((app.phase, app.containers.len()), (Phase::Restarting, 2), "{app:#?}");
    t.sim.fail_all(LOOKS, None);
    t.wait_app("shop", |app| app.restarts == 1 && runs(app, Confidence::Live)).await;
    assert_eq!(t.sim.count("start", "shop-db"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_a_hundred_times_slower_is_waited_for() {
    let t = installed().await;
    // Calls take milliseconds otherwise; a list of many containers comes near its deadline.
    for (call, millis) in [
        ("inspect", 200),
        ("list", 5_000),
        ("info", 500),
        ("events", 500),
        ("create", 5_000),
        ("start", 20_000),
        ("stop", 10_000),
        ("remove", 3_000),
    ] {
        t.sim.delay(call, Duration::from_millis(millis));
    }
    nothing_happens(&t, Confidence::Live, Duration::from_secs(600)).await;
    t.sim.crash("shop-db", 137);
    t.wait_app("shop", |app| app.restarts == 1 && runs(app, Confidence::Live)).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(t.sim.calls().len(), 1, "one start and nothing else: {:?}", t.sim.calls());
    t.sim.forget_calls();
    t.perform(shop::stop()).await;
    t.perform(shop::start()).await;
    // Beyond its deadlines: what was known stays, and it comes back by itself.
    t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    t.sim.delay("list", Duration::from_secs(15));
    t.sim.delay("inspect", Duration::from_secs(15));
    t.wait_app("shop", |app| runs(app, Confidence::LastKnown)).await;
    nothing_happens(&t, Confidence::LastKnown, Duration::from_secs(600)).await;
    t.sim.delay("list", Duration::from_millis(100));
    t.sim.delay("inspect", Duration::from_millis(2));
    t.wait_app("shop", |app| runs(app, Confidence::Live)).await;
    assert_eq!(t.sim.calls(), []);
}
