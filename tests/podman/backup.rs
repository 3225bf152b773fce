//! Backup and restore of a real redis, into a repository that the standard `restic` reads, through `kill -9` of the
//! daemon; and a repository that is damaged, or whose password is gone.

mod support;

use crate::{fault::support::Rig, node::support::podman, owner};
use protocol::{OpState, Phase};
use std::{collections::BTreeSet, fs};
use support::{Hand, KEPT, archy, arguments_of_all, backups, begin, done, listing, redis, until_stage};

/// Files that are hard to keep: rights, links, holes, attributes, odd names.
const AWKWARD: &str = "mkdir -p /files/deep/er /files/cache && cd /files && \
    echo one >deep/er/one && chmod 640 deep/er/one && chmod 2750 deep && ln -s ../nowhere deep/link && \
    ln deep/er/one hard && echo odd >'od d
name' && truncate -s 8M sparse && echo end >>sparse && echo no >cache/no && mkfifo pipe && touch -d '2020-01-02 03:04:05' hard";

async fn kept() {
    let (mut rig, stacks) =
        Rig::start(&[("kept", KEPT), ("online", &KEPT.replace("mode: stop", "mode: online"))]).await;
    let (app, online) = (&stacks[0], &stacks[1]);
    rig.install(app).await;
    let hand = Hand::new(&rig);
    let secret = fs::read_to_string(rig.dir.path().join("data/secrets").join(&app.id).join("pass")).unwrap();
    redis(app, &["set", "count", "41"]);
    redis(app, &["incr", "count"]);
    podman(&["exec", &app.container("db"), "sh", "-c", AWKWARD]);
    let (files, volume) = (rig.control_dir(app).with_file_name("files"), hand.volume(app));
    hand.attribute(&files.join("hard"));
    let before = listing(&files);
    let mut shown = BTreeSet::new();

    // Taken by the command-line tool; nobody sees the secret meanwhile.
    let op = begin(&rig, app, "backup").await;
    let view = rig.watched(&op, || shown.extend(arguments_of_all())).await;
    assert_eq!(view.state, OpState::Succeeded, "{view:#?}\n{}", rig.log());
    rig.until(app, |row| row.phase == Phase::Running && row.backup.is_some()).await;
    assert_eq!(listing(&files), before, "the command after has taken the dump away");
    let listed = archy(&rig, &["backups", &app.id, "--json"]);
    let first = backups(&listed).remove(0);
    assert_eq!((first.app.as_str(), first.version.as_str()), (app.id.as_str(), "1, first"));

    // By hand, without the node: the same files.
    hand.restic(&["check", "--read-data"]);
    let out = hand.restored(first.id.as_str());
    let by_hand = listing(&out.join("data/files"));
    let lacking: Vec<_> = before.iter().filter(|line| !by_hand.contains(line)).collect();
    assert!(lacking.iter().all(|line| line.contains("./cache")), "{lacking:#?}");
    assert!(by_hand.iter().any(|line| line.contains("dump.rdb")), "{by_hand:#?}");
    assert_eq!(fs::read_to_string(out.join("secrets/pass")).unwrap(), secret);
    assert!(fs::read_to_string(out.join("app/manifest.yml")).unwrap().contains("name: Kept"));

    // Changed and deleted, then restored: what was written is back, bit by bit.
    redis(app, &["set", "count", "0"]);
    redis(app, &["set", "other", "1"]);
    podman(&["exec", &app.container("db"), "sh", "-c", "rm -rf /files/deep && echo two >/files/hard"]);
    let refused = archy(&rig, &["restore", &app.id]);
    assert!(!refused.status.success(), "not without a confirmation");
    let id = app.id.clone();
    let restored = archy(&rig, &["restore", &app.id, "latest", "--confirm", &id, "--json"]);
    assert!(restored.status.success(), "{}\n{}", String::from_utf8_lossy(&restored.stdout), rig.log());
    rig.until(app, |row| row.phase == Phase::Running).await;
    assert_eq!((redis(app, &["get", "count"]), redis(app, &["exists", "other"])), ("42".into(), "0".into()));
    let after = listing(&files);
    assert_eq!(after, by_hand, "owners, rights, links, attributes and content");
    assert!(hand.blocks(&files.join("sparse")) < 2 << 20, "holes are kept");
    // Of one that is stopped, also what its program would change at once.
    done(&rig, &["stop", &app.id]);
    rig.until(app, |row| row.phase == Phase::Stopped).await;
    done(&rig, &["restore", &app.id, "--confirm", &id]);
    assert_eq!(listing(&volume), listing(&out.join("volumes/db")));
    assert_eq!(rig.app(app).phase, Phase::Stopped);
    done(&rig, &["start", &app.id]);

    // Online, nothing is restarted.
    done(&rig, &["install", &online.id]);
    redis(online, &["set", "live", "1"]);
    let running = rig.facts(online);
    done(&rig, &["backup", &online.id]);
    assert!(rig.facts(online).iter().all(|(name, fact)| fact.same_run(&running[name])));

    let events = archy(&rig, &["events", "-n", "500", "--json"]);
    shown.extend([
        rig.log(),
        String::from_utf8_lossy(&events.stdout).into_owned(),
        format!("{:?}", rig.history),
    ]);
    shown.insert(podman(&["inspect", &app.container("db")]));
    assert!(shown.iter().all(|text| !text.contains(&secret)), "the secret is shown");
    for app in [online, app] {
        done(&rig, &["uninstall", &app.id]);
    }
    assert_eq!(backups(&archy(&rig, &["backups", "--json"])).len(), 2, "they outlive the apps");
}

async fn killed() {
    let (mut rig, stacks) = Rig::start(&[("killed", KEPT)]).await;
    let app = &stacks[0];
    rig.install(app).await;
    redis(app, &["set", "count", "1"]);
    let hand = Hand::new(&rig);
    let noise = "head -c 60000000 /dev/urandom >/files/noise";
    podman(&["exec", &app.container("db"), "sh", "-c", noise]);
    for stage in ["backup", "verify"] {
        let op = begin(&rig, app, "backup").await;
        until_stage(&mut rig, &op, stage).await;
        rig.kill_daemon();
        rig.start_daemon();
        let view = rig.ended(&op).await;
        assert_eq!(view.state, OpState::Succeeded, "{stage}: {view:#?}\n{}", rig.log());
        rig.until(app, |row| row.phase == Phase::Running).await;
        hand.restic(&["check"]);
    }
    assert!(!hand.restic(&["snapshots", "--json"]).contains("pending"), "what was never confirmed is gone");
    assert_eq!(hand.restic(&["list", "locks"]), "");
    let files = rig.control_dir(app).with_file_name("files");
    let good = listing(&files);
    for stage in ["restore", "replace", "ready"] {
        redis(app, &["set", "count", "2"]);
        podman(&["exec", &app.container("db"), "sh", "-c", "echo changed >/files/noise"]);
        let op = begin(&rig, app, "restore").await;
        until_stage(&mut rig, &op, stage).await;
        rig.kill_daemon();
        rig.start_daemon();
        let view = rig.ended(&op).await;
        assert_eq!(view.state, OpState::Succeeded, "{stage}: {view:#?}\n{}", rig.log());
        rig.until(app, |row| row.phase == Phase::Running).await;
        assert_eq!(redis(app, &["get", "count"]), "1", "{stage}");
        // The dump of the moment of the backup is in it; it is all that is more.
        let lines: Vec<_> = listing(&files).into_iter().filter(|line| !line.contains("dump.rdb")).collect();
        assert_eq!(lines, good, "{stage}");
    }
    assert_eq!(hand.beside(app), Vec::<String>::new());
}

async fn damaged() {
    let (mut rig, stacks) = Rig::start(&[("damaged", KEPT)]).await;
    let app = &stacks[0];
    rig.install(app).await;
    let fails = async |rig: &mut Rig, code: &str| {
        let op = begin(rig, app, "backup").await;
        let view = rig.ended(&op).await;
        let error = view.error.unwrap_or_else(|| panic!("{code}: it succeeded"));
        assert_eq!(error.code, code, "{error:?}\n{}", rig.log());
        rig.until(app, |row| row.phase == Phase::Running).await;
    };
    done(&rig, &["backup", &app.id]);
    let dir = rig.dir.path().join("data/backups");
    // Another password opens nothing, and no second repository is made.
    let password = fs::read_to_string(dir.join("password")).unwrap();
    fs::write(dir.join("password"), "another\n").unwrap();
    fails(&mut rig, "repository_password").await;
    fs::remove_file(dir.join("password")).unwrap();
    fails(&mut rig, "repository_password").await;
    fs::write(dir.join("password"), password).unwrap();
    // A lock whose owner lives is respected, and one whose owner is dead is taken away.
    let hand = Hand::new(&rig);
    hand.leave_a_lock();
    done(&rig, &["backup", &app.id]);
    // A byte that fell over is found before anybody counts on it.
    hand.spoil_a_pack();
    fails(&mut rig, "repository_damaged").await;
    let last = rig.app(app).backup.clone();
    assert_eq!(last, backups(&archy(&rig, &["backups", &app.id, "--json"])).pop());
}

#[test]
fn a_real_database_comes_back_as_it_was_and_restic_by_hand_agrees() {
    owner::run(
        concat!(module_path!(), "::a_real_database_comes_back_as_it_was_and_restic_by_hand_agrees"),
        kept(),
    );
}

#[test]
fn a_backup_and_a_restore_survive_kill_9_of_the_daemon() {
    owner::run(concat!(module_path!(), "::a_backup_and_a_restore_survive_kill_9_of_the_daemon"), killed());
}

#[test]
fn a_repository_that_is_damaged_locked_or_shut_is_told_apart() {
    owner::run(
        concat!(module_path!(), "::a_repository_that_is_damaged_locked_or_shut_is_told_apart"),
        damaged(),
    );
}
