//! The node, or the operation, killed at every stage: one end, and data that are the old ones or the new ones.

use super::support::{KEPT, backup, backups, content, installed, residue, restore, taken, write};
use protocol::{OpState, OpView, Phase, StageState, StreamId};
use tests::SimNode;

/// Waits until this call of the repository or the engine is being made.
async fn stage(t: &SimNode, op: &protocol::OpId, key: &str) -> OpView {
    t.wait(StreamId::Ops, || {
        let view = t.op(op);
        let running = view.stages.iter().any(|it| it.key == key && it.state == StageState::Running);
        (running || view.state.is_terminal()).then_some(view)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_backup_is_taken_again_by_the_next_life_of_the_node() {
    for (call, key) in [
        ("open", "prepare"),
        ("snapshot", "backup"),
        ("read_back", "verify"),
        ("confirm", "verify"),
        ("prune", "verify"),
    ] {
        let t = installed(KEPT).await;
        let before = content(&t);
        t.vault.hang(call);
        let op = t.submit(backup()).await.unwrap();
        stage(&t, &op, key).await;
        let t = t.restart().await;
        t.vault.resume(call);
        assert_eq!(t.ended(&op).await.state, OpState::Succeeded, "{call}");
        t.wait_phase("shop", Phase::Running).await;
        assert_eq!((t.vault.pending(), content(&t)), (0, before), "{call}");
        assert!(!backups(&t).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_finished_by_the_next_life_of_the_node() {
    for (call, key) in [("open", "check"), ("restore", "restore"), ("digest", "verify")] {
        let t = installed("").await;
        let id = taken(&t).await;
        let first = content(&t);
        write(&t, "second");
        t.vault.hang(call);
        let op = t.submit(restore(&id)).await.unwrap();
        stage(&t, &op, key).await;
        let t = t.restart().await;
        t.vault.resume(call);
        assert_eq!(t.ended(&op).await.state, OpState::Succeeded, "{call}");
        t.wait_phase("shop", Phase::Running).await;
        assert_eq!((content(&t), residue(&t).len()), (first, 0), "{call}");
    }
}

/// The engine's changes of folders in a restore, counted from the exchange on: killed before each of them.
#[tokio::test(start_paused = true)]
async fn killed_between_any_two_changes_of_the_exchange_nobody_runs_on_a_mix() {
    let mut reached = 0;
    for change in 0..40 {
        let t = installed("").await;
        let id = taken(&t).await;
        let first = content(&t);
        write(&t, "second");
        t.sim.limit("move_folder", change, None);
        let op = t.submit(restore(&id)).await.unwrap();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(200), t.ended(&op)).await;
        let is_over = ended.is_ok();
        reached += usize::from(!is_over);
        t.sim.forget_calls();
        let t = t.restart_after(|| ()).await;
        t.sim.unlimited("move_folder");
        let view = t.ended(&op).await;
        assert_eq!(view.state, OpState::Succeeded, "{change}: {view:#?}");
        assert_eq!((content(&t), residue(&t).len()), (first, 0), "{change}");
        t.wait_phase("shop", Phase::Running).await;
        if is_over {
            break;
        }
    }
    assert!(reached >= 9, "three parts, each moved three times; {reached}");
}

#[tokio::test(start_paused = true)]
async fn an_operation_killed_in_the_exchange_is_resumed_and_the_app_not_started_before() {
    let t = installed("").await;
    let id = taken(&t).await;
    let first = content(&t);
    write(&t, "second");
    t.sim.limit("move_folder", 5, None);
    let op = t.submit(restore(&id)).await.unwrap();
    stage(&t, &op, "replace").await;
    t.wait(StreamId::Ops, || t.data_dir().join("backups/restoring/shop.json").exists().then_some(())).await;
    t.sim.forget_calls();
    assert!(t.node.kill_actor(&format!("operation/shop/{op}")));
    t.sim.unlimited("move_folder");
    assert_eq!(t.ended(&op).await.state, OpState::Succeeded);
    assert_eq!((content(&t), residue(&t).len()), (first, 0));
    let calls = t.sim.calls();
    let at = |call: &str| calls.iter().position(|it| it.call == call).unwrap();
    let last_move = calls.iter().rposition(|it| it.call == "move_folder").unwrap();
    assert!(at("start") > last_move, "{calls:?}");
}
