//! An app with a volume, a folder and a secret.

use engine::vault::{Excludes, Part, digest_of};
use protocol::{BackupView, Command, OpId, OpState, OpView, Phase, SnapshotId};
use std::fs;
use tests::{SHOP, SimNode, shop};

/// The shop with a folder and commands before and after.
pub(crate) const KEPT: &str = "backup: {exclude: ['cache/*'], pre: [{service: db, command: [dump]}], post: [{service: db, command: [tidy]}]}\n";

pub(crate) fn manifest(backup: &str) -> String {
    SHOP.replace(
        "volumes: [{type: volume, source: db, target: /data}]",
        "volumes: [{type: volume, source: db, target: /data}, {type: bind, source: files, target: /files}]",
    ) + backup
}

pub(crate) async fn installed(backup: &str) -> SimNode {
    let t = SimNode::start(&[&manifest(backup)]).await;
    t.perform(shop::install()).await;
    t.wait_phase("shop", Phase::Running).await;
    write(&t, "first");
    t
}

/// Writes the app's data.
pub(crate) fn write(t: &SimNode, text: &str) {
    let files = t.data_dir().join("data/shop/files");
    fs::create_dir_all(files.join("cache")).unwrap();
    fs::write(t.volume("shop_db").join("rows"), text).unwrap();
    fs::write(files.join("page"), text).unwrap();
    fs::write(files.join("cache/page"), text).unwrap();
}

/// What the app has, its cache and the node's own files left out.
pub(crate) fn content(t: &SimNode) -> String {
    let part = |name: &str, path| Part { name: name.into(), path };
    let parts = [
        part("volume", t.volume("shop_db")),
        part("files", t.data_dir().join("data/shop/files")),
        part("secrets", t.data_dir().join("secrets/shop")),
    ];
    digest_of(&parts, &Excludes::parse(&["cache/*".to_owned()]).unwrap()).unwrap().hash
}

/// What is beside the app's data and should not be.
pub(crate) fn residue(t: &SimNode) -> Vec<String> {
    let names = |dir: std::path::PathBuf| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect::<Vec<_>>()
    };
    let volume = t.volume("shop_db").parent().unwrap().to_owned();
    let mut found = names(volume);
    found.extend(names(t.data_dir().join("data")));
    found.extend(names(t.data_dir().join("backups/restoring")));
    found.retain(|name| name != "_data" && name != "shop");
    found
}

pub(crate) fn backup() -> Command {
    Command::Backup { app: "shop".parse().unwrap() }
}

pub(crate) fn restore(snapshot: &SnapshotId) -> Command {
    Command::Restore { app: "shop".parse().unwrap(), snapshot: snapshot.clone() }
}

pub(crate) async fn backups(t: &SimNode) -> Vec<BackupView> {
    t.node.backups(Some(&"shop".parse().unwrap())).await.unwrap()
}

/// Takes a backup.
pub(crate) async fn taken(t: &SimNode) -> SnapshotId {
    t.perform(backup()).await;
    backups(t).await.pop().unwrap().id
}

/// Runs an operation and expects it to fail with this code.
pub(crate) async fn fails(t: &SimNode, command: Command, code: &str) -> OpView {
    let op: OpId = t.submit(command).await.unwrap();
    let view = t.ended(&op).await;
    assert_eq!(view.state, OpState::Failed, "{view:#?}");
    assert_eq!(view.error.as_ref().unwrap().code, code, "{view:#?}");
    view
}

pub(crate) fn stages(view: &OpView) -> Vec<(&str, protocol::StageState)> {
    view.stages.iter().map(|stage| (stage.key.as_str(), stage.state)).collect()
}
