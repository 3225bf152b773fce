use super::*;
use crate::{
    ctx::Dirs,
    store::{StoreActor, StoreArgs},
};
use engine::{
    sim::{Sim, SimVault},
    vault::Retention,
};
use protocol::EventActor;
use std::path::Path;

fn ctx(dir: &Path) -> Ctx {
    let dirs = Dirs { data: dir.to_owned(), catalog: dir.to_owned() };
    let vault = (Arc::new(SimVault::default()) as _, Retention::default());
    Ctx::new(Arc::new(Sim::new()), vault, dirs, "e".into(), None)
}

async fn store(ctx: &Ctx, dir: &Path) -> ractor::ActorCell {
    let args = StoreArgs { dir: dir.to_owned(), names: ctx.names.clone() };
    Actor::spawn(None, StoreActor, args).await.unwrap().0.get_cell()
}

fn event(subject: &str) -> EventDraft {
    EventDraft::new(EventActor::Node, "test", subject).subject(subject)
}

async fn head(ctx: &Ctx, seq: u64) {
    let mut watch = ctx.board.journal().watch();
    tokio::time::timeout(Duration::from_secs(10), watch.wait_for(|head| *head >= seq))
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn events_outlive_the_journal_the_store_and_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let first = ctx(dir.path());
    // Nobody is there yet: it waits.
    first.record(event("a"));
    let database = store(&first, dir.path()).await;
    let (journal, _) = Actor::spawn(None, Journal, first.clone()).await.unwrap();
    head(&first, 1).await;
    journal.kill_and_wait(None).await.unwrap();
    first.record(event("b"));
    let (journal, _) = Actor::spawn(None, Journal, first.clone()).await.unwrap();
    head(&first, 2).await;
    journal.kill_and_wait(None).await.unwrap();
    database.kill_and_wait(None).await.unwrap();

    let second = ctx(dir.path());
    let _database = store(&second, dir.path()).await;
    let (_journal, _) = Actor::spawn(None, Journal, second.clone()).await.unwrap();
    head(&second, 2).await;
    second.record(event("c"));
    head(&second, 3).await;
    let run = second.board.journal().since(0, 100_000);
    let messages: Vec<String> =
        run.items.iter().map(|json| serde_json::from_str::<Event>(json).unwrap().message).collect();
    assert_eq!(messages, ["a", "b", "c"]);
}

#[tokio::test]
async fn too_many_that_wait_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let ctx = ctx(dir.path());
    for n in 0..MAX_WAITING + 7 {
        ctx.inbox.put(event("loop"), n as u64 * 1_000);
    }
    assert_eq!(ctx.inbox.batch().len(), BATCH);
    ctx.inbox.written(MAX_WAITING);
    ctx.inbox.put(event("after"), 0);
    assert_eq!(ctx.inbox.batch()[0].suppressed, 7);
}
