//! Updates: what is the same is not touched, what does not become ready goes back by itself.

use super::support::*;
use engine::ExecOutput;
use protocol::{ContainerPhase, Desired, ErrorCode, OpState, OpView, Phase, StageState};
use tests::{SimNode, shop};

async fn installed() -> SimNode {
    let t = SimNode::start(&[V1]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    std::fs::write(canary(&t), "1").unwrap();
    t.sim.forget_calls();
    t
}

/// `fresh` never becomes ready.
fn unready(t: &SimNode) {
    t.sim.on_exec(|name, _| ExecOutput { code: i32::from(name == "shop-fresh"), output: String::new() });
}

#[tokio::test(start_paused = true)]
async fn an_update_exchanges_what_is_another_thing_and_touches_nothing_else() {
    let t = installed().await;
    let before = t.wait_phase("shop", Phase::Running).await;
    assert_eq!(t.submit(shop::update()).await, Err(ErrorCode::Conflict), "there is nothing to do");
    t.add(&v2());
    let view = t.perform(shop::update()).await;
    assert!(view.stages.iter().all(|stage| stage.state == StageState::Done), "{view:#?}");
    runs_at(&t, "2").await;
    let after = t.app("shop").unwrap();
    assert_eq!(facts(&before)[0], facts(&after)[0]);
    let of_db: Vec<_> = t.sim.calls().into_iter().filter(|call| call.name.starts_with("shop-db")).collect();
    assert_eq!(of_db, []);
    assert_eq!(std::fs::read_to_string(canary(&t)).unwrap(), "1");
    let page = t.node.events(None, None, 100).await.unwrap();
    let told = page.items.iter().any(|event| event.message == "shop is at version 2 now, it was at 1");
    assert!(told, "{page:#?}");
    // As after any start of the node, what runs is taken up as it is.
    t.sim.forget_calls();
    let t = t.restart().await;
    runs_at(&t, "2").await;
    assert_eq!(t.sim.calls(), []);
    t.perform(shop::uninstall()).await;
    let left = there(&t);
    assert!(left.containers.is_empty() && left.networks.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_version_that_does_not_become_ready_goes_back_by_itself_and_says_so() {
    let t = installed().await;
    let before = t.wait_phase("shop", Phase::Running).await;
    unready(&t);
    t.add(&v2());
    let op = t.submit(shop::update()).await.unwrap();
    let view = t.ended(&op).await;
    let error = view.error.unwrap();
    assert_eq!((view.state, error.code.as_str()), (OpState::Failed, "deadline"));
    assert!(error.message.contains("fresh is not ready yet"), "{error:?}");
    assert!(error.message.ends_with("it was rolled back to version 1"), "{error:?}");
    runs_at(&t, "1").await;
    let after = t.app("shop").unwrap();
    assert_eq!((facts(&before)[0].clone(), after.desired), (facts(&after)[0].clone(), Desired::Running));
    assert_eq!(after.update.as_deref(), Some("2"));
    let page = t.node.events(None, None, 100).await.unwrap();
    let back = page.items.iter().find(|event| event.kind == "update_rolled_back").unwrap();
    assert_eq!(back.message, "shop goes back from version 2");
    assert!(back.cause[0].contains("fresh is not ready yet"), "{back:?}");
    t.sim.on_exec(|_, _| ExecOutput { code: 0, output: String::new() });
    t.perform(shop::update()).await;
    runs_at(&t, "2").await;
    assert_eq!(t.app("shop").unwrap().update, None);
}

/// Updates to a version that writes and never becomes ready.
async fn spoiled(v1: &str) -> (SimNode, OpView) {
    let t = SimNode::start(&[v1]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    std::fs::write(canary(&t), "1").unwrap();
    unready(&t);
    let more = v1.lines().find(|line| line.starts_with("backup:")).unwrap_or_default();
    t.add(&format!("{}{more}\n", v2_with_backup()));
    let op = t.submit(shop::update()).await.unwrap();
    t.wait_app("shop", |app| {
        app.containers.iter().any(|c| c.service.as_str() == "fresh" && c.phase == ContainerPhase::Running)
    })
    .await;
    std::fs::write(canary(&t), "2").unwrap();
    let view = t.ended(&op).await;
    assert_eq!(view.state, OpState::Failed, "{view:#?}");
    runs_at(&t, "1").await;
    (t, view)
}

#[tokio::test(start_paused = true)]
async fn what_a_version_has_written_that_goes_back_goes_with_it() {
    let (t, view) = spoiled(V1).await;
    assert_eq!(std::fs::read_to_string(canary(&t)).unwrap(), "1");
    assert!(view.residue.is_empty(), "{view:#?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_backup_leaves_out_is_deleted_by_an_update_that_goes_back() {
    let (t, view) = spoiled(&format!("{V1}backup: {{exclude: [files/cache]}}\n")).await;
    assert_eq!(std::fs::read_to_string(canary(&t)).unwrap(), "2");
    assert!(view.residue.iter().any(|it| it.contains("as the new version left them")), "{view:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_must_not_go_back_stays_and_says_so() {
    let t = installed().await;
    unready(&t);
    t.add(&v2().replace("verify_timeout: 1m", "verify_timeout: 1m, rollback: manual"));
    let op = t.submit(shop::update()).await.unwrap();
    let view = t.ended(&op).await;
    let error = view.error.unwrap();
    assert_eq!(view.state, OpState::Failed);
    assert!(error.message.contains("it stays at version 2"), "{error:?}");
    assert_eq!(t.app("shop").unwrap().version, "2");
    t.sim.on_exec(|_, _| ExecOutput { code: 0, output: String::new() });
    runs_at(&t, "2").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_was_stopped_is_updated_and_stays_stopped() {
    let t = installed().await;
    t.perform(shop::stop()).await;
    t.sim.forget_calls();
    t.add(&v2());
    let view = t.perform(shop::update()).await;
    let stage = |key: &str| view.stages.iter().find(|stage| stage.key == key).unwrap();
    assert_eq!(stage("ready").state, StageState::Skipped);
    assert!(stage("ready").detail.as_ref().unwrap().contains("the app is stopped"));
    let app = t.wait_phase("shop", Phase::Stopped).await;
    assert_eq!((app.version.as_str(), app.desired), ("2", Desired::Stopped));
    assert!(t.sim.calls().iter().all(|call| call.call != "start"), "{:?}", t.sim.calls());
    t.perform(shop::start()).await;
    runs_at(&t, "2").await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_to_be_had_leaves_the_old_version_alone() {
    let t = installed().await;
    t.add(&v2().replace("localhost/web:2", "localhost/none:2"));
    let op = t.submit(shop::update()).await.unwrap();
    let view = t.ended(&op).await;
    assert_eq!(view.error.unwrap().code, "image_missing");
    runs_at(&t, "1").await;
    let touched: Vec<_> =
        t.sim.calls().into_iter().filter(|call| ["stop", "remove", "start"].contains(&call.call)).collect();
    assert_eq!(touched, []);
}

#[tokio::test(start_paused = true)]
async fn an_update_is_refused_where_another_app_would_lose_what_it_needs() {
    let needy = "manifest_version: 1\nid: kiosk\nname: Kiosk\nversion: '1'\nrequires: [{app: shop, version: '<2'}]\n\
                 services:\n  one: {image: 'localhost/web:1'}\n";
    let t = SimNode::start(&[V1, needy]).await;
    t.perform(shop::install()).await;
    t.perform(install("kiosk")).await;
    t.add(&v2());
    let error = t.node.submit(shop::update(), None).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Conflict);
    assert!(error.message.contains("Kiosk: it needs shop <2"), "{error:?}");
    runs_at(&t, "1").await;
}

#[tokio::test(start_paused = true)]
async fn an_app_that_needs_the_updated_one_is_left_alone() {
    // `db` is what it needs, and it is the same in both versions.
    let needy = "manifest_version: 1\nid: kiosk\nname: Kiosk\nversion: '1'\n\
                 requires: [{app: shop, gate: up, on_lost: stop}]\nservices:\n  one: {image: 'localhost/web:1'}\n";
    let gate = "gates: {up: {service: db, probe: {exec: {command: [up]}}}}\nservices:\n";
    let t = SimNode::start(&[&V1.replace("services:\n", gate), needy]).await;
    t.perform(shop::install()).await;
    t.perform(install("kiosk")).await;
    let before = t.wait_phase("kiosk", Phase::Running).await;
    t.add(&v2().replace("services:\n", gate));
    t.sim.forget_calls();
    t.perform(shop::update()).await;
    runs_at(&t, "2").await;
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    let after = t.wait_phase("kiosk", Phase::Running).await;
    assert_eq!(facts(&before), facts(&after));
    assert!(t.sim.calls().iter().all(|call| !call.name.starts_with("kiosk")), "{:?}", t.sim.calls());
}

#[tokio::test(start_paused = true)]
async fn one_update_at_a_time_and_the_same_one_is_joined() {
    let t = installed().await;
    t.add(&v2());
    t.sim.hang("stop");
    let op = t.submit(shop::update()).await.unwrap();
    assert_eq!(t.submit(shop::update()).await.unwrap(), op);
    let error = t.node.submit(shop::stop(), None).await.unwrap_err();
    assert_eq!((error.code, error.op_id), (ErrorCode::OpInProgress, Some(op.clone())));
    t.sim.resume("stop");
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
}
