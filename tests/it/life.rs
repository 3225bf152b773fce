//! An app's life: install, stop, start, restart, uninstall, and what a restart of the node makes of each.

use engine::{Engine, EngineError, EngineState};
use protocol::{ContainerPhase, Desired, ErrorCode, OpKind, OpState, Phase, StageState, StreamId};
use std::sync::atomic::Ordering;
use tests::{SHOP, SimNode, phase_of, shop};

#[tokio::test(start_paused = true)]
async fn an_app_is_installed_in_dependency_order_and_runs() {
    let t = SimNode::start(&[SHOP]).await;
    let before = t.wait_phase("shop", Phase::NotInstalled).await;
    assert!(!before.installed);
    let op = t.perform(shop::install()).await;
    assert_eq!(op.kind, OpKind::Install);
    assert!(op.stages.iter().all(|stage| stage.state == StageState::Done), "{op:#?}");
    let app = t.wait_phase("shop", Phase::Running).await;
    assert!(app.installed);
    assert_eq!(app.launch[0].port, 28080);
    let starts: Vec<String> =
        t.sim.calls().into_iter().filter(|call| call.call == "start").map(|call| call.name).collect();
    assert_eq!(starts, ["shop-db_net", "shop-web_net", "shop-db", "shop-web"], "anchors wait for nobody");
}

#[tokio::test(start_paused = true)]
async fn a_dependant_waits_visibly_until_its_dependency_is_healthy() {
    let t = SimNode::start(&[SHOP]).await;
    t.probes_succeed.store(false, Ordering::Relaxed);
    let op = t.submit(shop::install()).await.unwrap();
    let app = t.wait_app("shop", |app| !app.wait.is_empty()).await;
    assert_eq!(phase_of(&app, "web"), ContainerPhase::Waiting);
    assert_eq!((app.wait[0].on.as_str(), app.wait[0].condition.as_str()), ("db", "service_healthy"));
    assert_eq!(t.sim.count("start", "shop-web"), 0);
    t.probes_succeed.store(true, Ordering::Relaxed);
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_users_stop_stays_across_a_restart_of_the_node() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.perform(shop::stop()).await;
    t.wait_phase("shop", Phase::Stopped).await;
    let stops: Vec<String> =
        t.sim.calls().into_iter().filter(|call| call.call == "stop").map(|call| call.name).collect();
    assert_eq!(stops, ["shop-web", "shop-web_net", "shop-db", "shop-db_net"], "dependants end first");
    t.sim.forget_calls();
    let t = t.restart().await;
    t.wait_app("shop", |app| app.phase == Phase::Stopped && phase_of(app, "db") == ContainerPhase::Exited)
        .await;
    assert_eq!(t.sim.calls(), []);
    t.perform(shop::start()).await;
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_node_adopts_what_runs_and_touches_nothing() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    let before = t.wait_phase("shop", Phase::Running).await;
    t.sim.forget_calls();
    let t = t.restart().await;
    let after = t.wait_phase("shop", Phase::Running).await;
    assert_eq!(t.sim.calls(), []);
    let facts = |app: &protocol::AppView| {
        app.containers.iter().map(|c| (c.id.clone(), c.started_at)).collect::<Vec<_>>()
    };
    assert_eq!(facts(&before), facts(&after));
}

#[tokio::test(start_paused = true)]
async fn uninstall_leaves_no_container_and_no_ghost_but_keeps_the_data() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.perform(shop::uninstall()).await;
    assert!(t.sim.states().is_empty());
    let app = t.app("shop").unwrap();
    assert_eq!((app.phase, app.installed, app.desired), (Phase::NotInstalled, false, Desired::Absent));
    assert!(t.data_dir().join("secrets/shop/pass").exists());
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_purge_says_what_goes_and_takes_all_of_it_also_at_the_second_try_and_after_an_uninstall() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    assert_eq!(t.node.plan(&shop::uninstall()).await.unwrap(), None);
    let plan = t.node.plan(&shop::purge()).await.unwrap().unwrap();
    assert_eq!(plan.type_to_confirm.as_deref(), Some("shop"));
    assert!(plan.removes.iter().any(|it| it.contains("volume shop_db")), "{plan:?}");

    let refused = EngineError::Broken { subject: "volume shop_db".into(), message: "busy".into() };
    t.sim.fail_next("remove_volume", refused);
    let op = t.submit(shop::purge()).await.unwrap();
    let op = t.ended(&op).await;
    assert_eq!(op.state, OpState::Failed, "{op:#?}");
    assert!(op.error.unwrap().message.contains("busy"));
    let volumes = async || t.sim.list_volumes(&[]).await.unwrap();
    assert_eq!(
        volumes().await,
        ["shop_db"],
        "the app can be seen and purged as long as something of it is there"
    );
    assert_ne!(t.app("shop").unwrap().phase, Phase::NotInstalled);
    t.perform(shop::purge()).await;
    let nothing_left = async || {
        t.wait_phase("shop", Phase::NotInstalled).await;
        assert!(volumes().await.is_empty() && t.sim.states().is_empty());
        assert!(!t.data_dir().join("secrets/shop").exists() && !t.data_dir().join("data/shop").exists());
        assert!(!t.sim.secret_exists("shop_pass").await.unwrap());
    };
    nothing_left().await;

    t.perform(shop::install()).await;
    t.perform(shop::uninstall()).await;
    assert!(t.data_dir().join("secrets/shop/pass").exists());
    t.perform(shop::purge()).await;
    nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn an_uninstall_that_keeps_the_data_is_not_joined_by_one_that_does_not() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.sim.hang("stop");
    let keeps = t.submit(shop::uninstall()).await.unwrap();
    assert_eq!(t.submit(shop::uninstall()).await.unwrap(), keeps);
    assert_eq!(t.submit(shop::purge()).await.unwrap_err(), ErrorCode::OpInProgress);
    t.sim.resume("stop");
    assert_eq!(t.ended(&keeps).await.state, OpState::Succeeded);
    assert!(t.data_dir().join("secrets/shop/pass").exists());
}

#[tokio::test(start_paused = true)]
async fn a_restart_stops_and_starts_every_container_once() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.sim.forget_calls();
    t.perform(shop::restart()).await;
    t.wait_phase("shop", Phase::Running).await;
    for name in ["shop-db", "shop-web"] {
        assert_eq!((t.sim.count("stop", name), t.sim.count("start", name)), (1, 1), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_install_says_why_and_is_undone() {
    let t = SimNode::start(&[SHOP]).await;
    t.sim.fail_next("create", EngineError::Refused { subject: "shop-db".into(), message: "no".into() });
    for _ in 0..10 {
        t.sim.fail_next("create", EngineError::Refused { subject: "shop-db".into(), message: "no".into() });
    }
    let op = t.submit(shop::install()).await.unwrap();
    let view = t.ended(&op).await;
    assert_eq!(view.state, OpState::Failed);
    let error = view.error.unwrap();
    assert_eq!(error.code, "crash_looping");
    assert!(error.message.contains("no"), "{error:?}");
    assert!(t.sim.states().is_empty());
    let app = t.app("shop").unwrap();
    assert_eq!((app.phase, app.installed), (Phase::NotInstalled, false));
}

#[tokio::test(start_paused = true)]
async fn a_port_in_use_fails_the_install_before_anything_is_made() {
    let t = SimNode::start(&[&SHOP.replace("28080", "28081")]).await;
    let _taken = std::net::TcpListener::bind((tests::host(), 28081)).unwrap();
    let op = t.submit(shop::install()).await.unwrap();
    let view = t.ended(&op).await;
    assert_eq!(view.error.unwrap().code, "port_in_use");
    assert!(t.sim.calls().iter().all(|call| call.call != "create"), "{:?}", t.sim.calls());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_ended_in_the_middle_of_an_install_goes_on_with_it() {
    let t = SimNode::start(&[SHOP]).await;
    t.sim.hang("start");
    let op = t.submit(shop::install()).await.unwrap();
    t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Starting).await;
    t.sim.resume("start");
    let t = t.restart().await;
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_command_joins_and_another_is_refused_with_the_running_id() {
    let t = SimNode::start(&[SHOP]).await;
    t.probes_succeed.store(false, Ordering::Relaxed);
    let first = t.submit(shop::install()).await.unwrap();
    assert_eq!(t.submit(shop::install()).await.unwrap(), first);
    let error = t.node.submit(shop::stop(), None).await.unwrap_err();
    assert_eq!((error.code, error.op_id), (ErrorCode::OpInProgress, Some(first.clone())));
    t.probes_succeed.store(true, Ordering::Relaxed);
    t.ended(&first).await;
    assert_eq!(t.submit(shop::install()).await, Err(ErrorCode::Conflict));
}

#[tokio::test(start_paused = true)]
async fn a_stop_cancels_a_start_that_does_not_get_ready() {
    let t = SimNode::start(&[SHOP]).await;
    t.perform(shop::install()).await;
    t.perform(shop::stop()).await;
    t.probes_succeed.store(false, Ordering::Relaxed);
    let start = t.submit(shop::start()).await.unwrap();
    t.wait_app("shop", |app| phase_of(app, "db") == ContainerPhase::Running).await;
    t.perform(shop::stop()).await;
    assert_eq!(t.ended(&start).await.state, OpState::Cancelled);
    t.wait_phase("shop", Phase::Stopped).await;
    assert!(
        t.sim.states().values().all(|state| *state == EngineState::Exited || *state == EngineState::Created)
    );
}

#[tokio::test(start_paused = true)]
async fn an_idempotency_key_means_one_operation() {
    let t = SimNode::start(&[SHOP]).await;
    let key = || Some("key-1".to_owned());
    let first = t.node.submit(shop::install(), key()).await.unwrap().op_id;
    t.ended(&first).await;
    assert_eq!(t.node.submit(shop::install(), key()).await.unwrap().op_id, first);
    assert_eq!(t.node.submit(shop::stop(), key()).await.unwrap_err().code, ErrorCode::Conflict);
}

#[tokio::test(start_paused = true)]
async fn unknown_and_invalid_apps_are_refused_and_leave_nothing() {
    let t = SimNode::start(&[SHOP, &SHOP.replace("id: shop", "id: bad").replace("28080", "99999")]).await;
    let install = |app: &str| protocol::Command::Install { app: app.parse().unwrap() };
    assert_eq!(t.submit(install("nope")).await, Err(ErrorCode::NotFound));
    let error = t.node.submit(install("bad"), None).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Invalid);
    assert_eq!(error.problems[0].field, "services.web.ports[0].published");
    assert_eq!(t.submit(shop::stop()).await, Err(ErrorCode::NotFound));
    assert!(t.app("bad").is_none());
    assert_eq!(t.node.board().snapshot(StreamId::Ops).1.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_was_written_but_never_begun_is_gone_after_a_restart() {
    let t = SimNode::start(&[SHOP]).await;
    t.wait_phase("shop", Phase::NotInstalled).await;
    let dir = t.data_dir();
    let t = t
        .restart_after(|| {
            let database = rusqlite::Connection::open(dir.join("node.sqlite")).unwrap();
            let row = (SHOP, "/nowhere");
            let sql = "INSERT INTO apps (id, manifest, manifest_dir, desired, installed) \
                       VALUES ('shop', ?1, ?2, 'running', 0)";
            database.execute(sql, row).unwrap();
        })
        .await;
    t.wait_phase("shop", Phase::NotInstalled).await;
    t.perform(shop::install()).await;
}
