//! The good ends.

use super::support::{
    KEPT, backup, backups, content, fails, installed, residue, restore, stages, taken, write,
};
use engine::ExecOutput;
use protocol::{Phase, StageState};
use std::{
    fs,
    sync::{Arc, Mutex},
};
use tests::{SimNode, shop};

/// Notes the commands that run in containers.
fn noted(t: &SimNode, code: impl Fn(&str) -> i32 + Send + Sync + 'static) -> Arc<Mutex<Vec<String>>> {
    let ran: Arc<Mutex<Vec<String>>> = Arc::default();
    let notes = Arc::clone(&ran);
    t.sim.on_exec(move |name, argv| {
        if argv[0] != "ping" {
            notes.lock().unwrap().push(format!("{name} {}", argv[0]));
        }
        ExecOutput { code: code(&argv[0]), output: "it says so".into() }
    });
    ran
}

#[tokio::test(start_paused = true)]
async fn what_was_changed_after_a_backup_comes_back_with_a_restore() {
    let t = installed(KEPT).await;
    let ran = noted(&t, |_| 0);
    let first = content(&t);
    let id = taken(&t).await;
    assert_eq!(*ran.lock().unwrap(), ["shop-db dump", "shop-db tidy"]);
    assert_eq!(t.app("shop").unwrap().backup.map(|view| view.id), Some(id.clone()));
    assert_eq!(t.vault.pending(), 0);
    write(&t, "second");
    fs::write(t.volume("shop_db").join("more"), "more").unwrap();
    fs::write(t.data_dir().join("secrets/shop/pass"), "another").unwrap();
    assert_ne!(content(&t), first);
    t.sim.forget_calls();
    t.perform(restore(&id)).await;
    assert_eq!(content(&t), first);
    assert_eq!(residue(&t), [""; 0]);
    t.wait_phase("shop", Phase::Running).await;
    // The engine keeps copies of secrets, and so do containers.
    assert_eq!(t.sim.count("remove_secret", "shop_pass"), 1);
    assert_eq!(t.sim.count("create", "shop-db"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_is_stopped_for_a_backup_and_runs_again_only_where_it_ran() {
    let t = installed("").await;
    t.sim.forget_calls();
    t.perform(backup()).await;
    assert_eq!((t.sim.count("stop", "shop-db"), t.sim.count("start", "shop-db")), (1, 1));
    assert_eq!(t.wait_phase("shop", Phase::Running).await.restarts, 0);
    t.perform(shop::stop()).await;
    t.sim.forget_calls();
    let view = t.perform(backup()).await;
    assert_eq!(view.stages.last().unwrap().state, StageState::Skipped);
    let id = backups(&t).await.pop().unwrap().id;
    t.perform(restore(&id)).await;
    assert_eq!(t.sim.count("start", "shop-db"), 0);
    t.wait_phase("shop", Phase::Stopped).await;
}

#[tokio::test(start_paused = true)]
async fn online_nothing_is_stopped() {
    let t = installed("backup: {mode: online}\n").await;
    t.sim.forget_calls();
    let view = t.perform(backup()).await;
    assert_eq!((t.sim.count("stop", "shop-db"), t.sim.count("stop", "shop-web")), (0, 0));
    let skipped: Vec<_> =
        stages(&view).into_iter().filter(|(_, state)| *state == StageState::Skipped).collect();
    assert_eq!(skipped, [("stop", StageState::Skipped), ("ready", StageState::Skipped)]);
}

#[tokio::test(start_paused = true)]
async fn old_backups_go_and_an_uninstalled_app_keeps_its_own() {
    let t = installed("").await;
    let mut taken_ids = Vec::new();
    for _ in 0..9 {
        taken_ids.push(taken(&t).await);
    }
    let kept: Vec<_> = backups(&t).await.into_iter().map(|view| view.id).collect();
    assert_eq!(kept, taken_ids[2..], "seven days");
    t.perform(shop::uninstall()).await;
    let row = t.wait_phase("shop", Phase::NotInstalled).await;
    assert_eq!(row.backup.map(|view| view.id), taken_ids.last().cloned());
    assert_eq!(backups(&t).await.len(), 7);
    let plan = t.node.plan(&shop::purge()).await.unwrap().unwrap();
    assert!(plan.keeps.iter().any(|it| it.starts_with("its 7 backups")), "{plan:?}");
    t.perform(shop::purge()).await;
    assert_eq!(backups(&t).await.len(), 7);
    // A new install gets its data back.
    t.perform(shop::install()).await;
    t.perform(restore(&taken_ids[8])).await;
    assert_eq!(fs::read_to_string(t.volume("shop_db").join("rows")).unwrap(), "first");
}

#[tokio::test(start_paused = true)]
async fn a_restore_says_what_it_replaces_and_of_what_backup() {
    let t = installed("").await;
    let id = taken(&t).await;
    let plan = t.node.plan(&restore(&id)).await.unwrap().unwrap();
    assert_eq!(plan.type_to_confirm.as_deref(), Some("shop"));
    assert!(plan.removes[0].contains("data that shop has now"), "{plan:?}");
    let unknown = t.node.plan(&restore(&"00000000ffffffff".parse().unwrap())).await.unwrap_err();
    assert_eq!(unknown.code, protocol::ErrorCode::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_failed_command_before_is_followed_by_those_after_and_nothing_is_written() {
    let t = installed(KEPT).await;
    let ran = noted(&t, |program| i32::from(program == "dump"));
    let view = fails(&t, backup(), "hook").await;
    assert!(view.error.unwrap().message.contains("it says so"));
    assert_eq!(*ran.lock().unwrap(), ["shop-db dump", "shop-db tidy"]);
    assert!(!t.vault.calls().contains(&"snapshot"));
    t.wait_phase("shop", Phase::Running).await;
    t.perform(shop::stop()).await;
    fails(&t, backup(), "not_running").await;
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_came_from_elsewhere_is_listed() {
    let t = installed("").await;
    let id = taken(&t).await;
    let dir = t.data_dir();
    let t = t
        .restart_after(|| {
            let database = rusqlite::Connection::open(dir.join("node.sqlite")).unwrap();
            database.execute("DELETE FROM backups", []).unwrap();
        })
        .await;
    assert_eq!(backups(&t).await[0].id, id);
}
