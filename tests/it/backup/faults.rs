//! Every fault of the repository: the operation says so, and the app is as it was.

use super::support::{backup, backups, content, fails, installed, residue, restore, taken, write};
use engine::{EngineError, vault::VaultError};
use protocol::Phase;
use std::sync::atomic::Ordering;

fn errors() -> Vec<(VaultError, &'static str)> {
    let message = || "as it was told to".to_owned();
    vec![
        (VaultError::Missing { program: "restic" }, "restic_missing"),
        (VaultError::NoSpace { message: message() }, "no_space"),
        (VaultError::Locked { message: message() }, "repository_locked"),
        (VaultError::Damaged { message: message() }, "repository_damaged"),
        (VaultError::WrongPassword { file: "/p".into() }, "repository_password"),
        (VaultError::Incomplete { message: message() }, "incomplete"),
        (VaultError::Failed { what: "it", message: message() }, "backup_failed"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_fails_leaves_the_app_running_and_the_last_good_one() {
    let t = installed("").await;
    let good = taken(&t).await;
    let before = content(&t);
    for call in ["open", "tidy", "snapshot", "read_back", "confirm"] {
        for (error, code) in errors() {
            t.vault.fail_next(call, error);
            let view = fails(&t, backup(), code).await;
            assert!(view.error.unwrap().hint.is_some(), "{call} {code}");
            let app = t.wait_phase("shop", Phase::Running).await;
            assert_eq!((app.restarts, app.backup.map(|it| it.id)), (0, Some(good.clone())), "{call} {code}");
        }
    }
    assert_eq!(content(&t), before);
    // What the failed attempts left is gone with the next good one.
    let last = taken(&t).await;
    assert_eq!(t.vault.pending(), 0);
    assert_eq!(backups(&t).await.into_iter().map(|it| it.id).collect::<Vec<_>>(), [good, last]);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_reads_back_differently_does_not_count() {
    let t = installed("").await;
    t.vault.spoil_next("snapshot");
    fails(&t, backup(), "content_differs").await;
    assert_eq!((t.vault.pending(), backups(&t).await.len()), (0, 0));
    t.wait_phase("shop", Phase::Running).await;
}

#[tokio::test(start_paused = true)]
async fn a_repository_that_cannot_be_pruned_is_told_and_the_backup_counts() {
    let t = installed("").await;
    t.vault.fail_next("prune", VaultError::NoSpace { message: "x".into() });
    let view = t.perform(backup()).await;
    assert!(view.residue[0].contains("no space"), "{view:?}");
    assert_eq!(backups(&t).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_fails_changes_nothing_and_the_app_runs_on() {
    let t = installed("").await;
    let id = taken(&t).await;
    write(&t, "second");
    let before = content(&t);
    t.sim.forget_calls();
    for call in ["open", "list", "restore", "digest"] {
        for (error, code) in errors() {
            t.vault.fail_next(call, error);
            fails(&t, restore(&id), code).await;
            assert_eq!((content(&t), residue(&t).len()), (before.clone(), 0), "{call} {code}");
        }
    }
    t.vault.spoil_next("restore");
    fails(&t, restore(&id), "content_differs").await;
    t.vault.set_free(1 << 20);
    let view = fails(&t, restore(&id), "no_space").await;
    assert!(view.error.unwrap().message.contains("1.0 MiB are free"));
    assert_eq!((content(&t), residue(&t).len()), (before, 0));
    let touched = t.sim.count("stop", "shop-db") + t.sim.count("start", "shop-db");
    assert_eq!(touched, 0, "the app has not noticed");
    fails(&t, restore(&"00000000ffffffff".parse().unwrap()), "no_snapshot").await;
}

#[tokio::test(start_paused = true)]
async fn data_with_which_the_app_does_not_get_ready_are_taken_back() {
    let t = installed("").await;
    let id = taken(&t).await;
    write(&t, "second");
    let before = content(&t);
    t.probes_succeed.store(false, Ordering::Relaxed);
    let view = fails(&t, restore(&id), "deadline").await;
    assert!(view.error.unwrap().message.contains("the data are those from before the restore"));
    assert_eq!((content(&t), residue(&t).len()), (before, 0));
    t.probes_succeed.store(true, Ordering::Relaxed);
    t.wait_phase("shop", Phase::Running).await;
    t.perform(restore(&id)).await;
    assert_eq!(residue(&t).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_exchange_that_the_engine_refuses_is_finished_by_the_next_restore() {
    let t = installed("").await;
    let id = taken(&t).await;
    let first = content(&t);
    write(&t, "second");
    let no = || EngineError::Broken { subject: "folder".into(), message: "as it was told to".into() };
    let second = content(&t);
    let mut between = 0;
    // Four parts are moved to their places beside the live ones, and three are exchanged.
    for good in 0..10 {
        t.sim.limit("move_folder", good, Some(no()));
        let view = fails(&t, restore(&id), "engine_broken").await;
        let halfway = t.data_dir().join("backups/restoring/shop.json").exists();
        between += usize::from(halfway);
        if halfway {
            assert!(view.error.unwrap().hint.unwrap().contains("restore a backup"));
            assert_ne!(t.app("shop").unwrap().phase, Phase::Running, "{good}");
        } else {
            assert_eq!((content(&t), residue(&t).len()), (second.clone(), 0), "{good}");
            t.wait_phase("shop", Phase::Running).await;
        }
        t.sim.unlimited("move_folder");
        if halfway {
            t.perform(restore(&id)).await;
            assert_eq!((content(&t), residue(&t).len()), (first.clone(), 0), "{good}");
            t.wait_phase("shop", Phase::Running).await;
            write(&t, "second");
        }
    }
    assert_eq!(between, 5, "every move of the exchange but the first");
}
