use super::*;
use ractor::{Actor, ActorCell};
use std::path::Path;

async fn open(dir: &Path) -> (Store, ActorCell) {
    let names = Names::default();
    let args = StoreArgs { dir: dir.to_owned(), names: names.clone() };
    let (actor, _) = Actor::spawn(None, StoreActor, args).await.unwrap();
    (Store::new(names), actor.get_cell())
}

fn row(id: &str) -> AppRow {
    AppRow {
        id: id.parse().unwrap(),
        manifest: "text".into(),
        manifest_dir: "/catalog/x".into(),
        desired: protocol::Desired::Running,
        installed: false,
        anyway: false,
        previous: None,
    }
}

#[tokio::test]
async fn what_is_written_is_there_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor) = open(dir.path()).await;
    let id = "shop".parse().unwrap();
    store.put_app(row("shop")).await.unwrap();
    store.set_desired(&id, protocol::Desired::Stopped).await.unwrap();
    store.set_installed(&id).await.unwrap();
    let node = store.node_id().await.unwrap();
    actor.kill_and_wait(None).await.unwrap();
    let (store, _) = open(dir.path()).await;
    let found = store.app(&id).await.unwrap().unwrap();
    assert_eq!(found, AppRow { desired: protocol::Desired::Stopped, installed: true, ..row("shop") });
    assert_eq!(store.node_id().await.unwrap(), node);
    store.delete_app(&id).await.unwrap();
    assert_eq!(store.apps().await.unwrap(), []);
}

#[tokio::test]
async fn a_broken_database_is_set_aside_and_never_deleted() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("node.sqlite"),
        "this is no database, and it is long enough to be read as one",
    )
    .unwrap();
    let (store, _) = open(dir.path()).await;
    assert_eq!(store.apps().await.unwrap(), []);
    let aside: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("broken"))
        .collect();
    assert_eq!(aside.len(), 1);
    assert!(std::fs::read_to_string(dir.path().join(&aside[0])).unwrap().starts_with("this is no database"));
}

#[tokio::test]
async fn a_database_of_a_newer_node_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("node.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let args = StoreArgs { dir: dir.path().to_owned(), names: Names::default() };
    let error = Actor::spawn(None, StoreActor, args).await.unwrap_err();
    assert!(error.to_string().contains("schema 99"), "{error}");
    let version: u32 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn the_database_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path()).await;
    store.node_id().await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        files += 1;
    }
    assert!(files >= 2, "the database and its log");
}

#[tokio::test]
async fn events_are_numbered_on_over_restarts_and_read_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let (store, actor) = open(dir.path()).await;
    let event = |app: Option<&str>| protocol::Event {
        seq: 0,
        at: 1,
        severity: protocol::Severity::Info,
        actor: protocol::EventActor::Node,
        kind: "test".into(),
        app: app.map(|app| app.parse().unwrap()),
        subject: None,
        op: None,
        message: "m".into(),
        cause: vec![],
        suppressed: 0,
    };
    let numbers = |rows: Vec<(u64, String)>| rows.into_iter().map(|(seq, _)| seq).collect::<Vec<_>>();
    let two = vec![event(Some("shop")), event(None)];
    assert_eq!(numbers(store.append_events(two.clone()).await.unwrap()), [1, 2]);
    actor.kill_and_wait(None).await.unwrap();
    let (store, _) = open(dir.path()).await;
    assert_eq!(numbers(store.append_events(two).await.unwrap()), [3, 4]);
    assert_eq!(numbers(store.events(None, None, 3).await.unwrap()), [4, 3, 2]);
    assert_eq!(numbers(store.events(Some(2), None, 3).await.unwrap()), [1]);
    let shop = store.events(None, Some("shop".parse().unwrap()), 9).await.unwrap();
    assert_eq!(serde_json::from_str::<protocol::Event>(&shop[0].1).unwrap().seq, 3);
    assert_eq!(numbers(shop), [3, 1]);
}

#[tokio::test]
async fn a_store_that_is_not_there_says_so() {
    let store = Store::new(Names::default());
    assert!(matches!(store.apps().await, Err(StoreError::Away)));
}
