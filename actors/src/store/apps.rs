//! Apps: the installed manifest and what the user wants.

use super::{Store, StoreError, at};
use protocol::{AppId, Desired};
use rusqlite::{OptionalExtension, params};
use std::path::PathBuf;

/// An app that is on the node, or on its way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppRow {
    /// Id.
    pub(crate) id: AppId,
    /// Text of its manifest.
    pub(crate) manifest: String,
    /// Folder of the manifest.
    pub(crate) manifest_dir: PathBuf,
    /// What the user wants.
    pub(crate) desired: Desired,
    /// Whether its install has succeeded once.
    pub(crate) installed: bool,
    /// Whether the user wants it to run without what it waits for.
    pub(crate) anyway: bool,
    /// Text of the manifest that an update under way replaces, or is putting back.
    pub(crate) previous: Option<String>,
}

pub(super) fn desired_text(desired: Desired) -> &'static str {
    match desired {
        Desired::Running => "running",
        Desired::Stopped => "stopped",
        Desired::Absent => "absent",
    }
}

type Columns = (String, String, String, String, bool, bool, Option<String>);

/// The columns of a row in the order of `SELECT`.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

/// `None` for a row that no node wrote: an id or a state that is not ours.
fn row((id, manifest, dir, desired, installed, anyway, previous): Columns) -> Option<AppRow> {
    let desired = match desired.as_str() {
        "running" => Desired::Running,
        "stopped" => Desired::Stopped,
        "absent" => Desired::Absent,
        _ => return None,
    };
    let id = id.parse().ok()?;
    Some(AppRow { id, manifest, manifest_dir: dir.into(), desired, installed, anyway, previous })
}

const SELECT: &str = "SELECT id, manifest, manifest_dir, desired, installed, anyway, previous FROM apps";

impl Store {
    /// All apps.
    pub(crate) async fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        self.query(|c| {
            let mut select = c.prepare(&format!("{SELECT} ORDER BY id")).map_err(at("apps"))?;
            let rows = select.query_map([], read).map_err(at("apps"))?;
            let rows: Vec<_> = rows.collect::<Result<_, _>>().map_err(at("apps"))?;
            Ok(rows.into_iter().filter_map(row).collect())
        })
        .await
    }

    /// One app.
    pub(crate) async fn app(&self, id: &AppId) -> Result<Option<AppRow>, StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            let found =
                c.query_row(&format!("{SELECT} WHERE id = ?1"), [id], read).optional().map_err(at("app"))?;
            Ok(found.and_then(row))
        })
        .await
    }

    /// Writes an app, in place of an earlier row.
    pub(crate) async fn put_app(&self, app: AppRow) -> Result<(), StoreError> {
        self.query(move |c| {
            let dir = app.manifest_dir.to_string_lossy();
            let values = params![
                app.id.as_str(),
                app.manifest,
                dir,
                desired_text(app.desired),
                app.installed,
                app.anyway,
                app.previous
            ];
            c.execute("INSERT OR REPLACE INTO apps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)
                .map(drop)
                .map_err(at("put_app"))
        })
        .await
    }

    /// Writes what the user wants.
    pub(crate) async fn set_desired(&self, id: &AppId, desired: Desired) -> Result<(), StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            c.execute("UPDATE apps SET desired = ?2 WHERE id = ?1", params![id, desired_text(desired)])
                .map(drop)
                .map_err(at("set_desired"))
        })
        .await
    }

    /// Writes whether the user wants it to run without what it waits for.
    pub(crate) async fn set_anyway(&self, id: &AppId, anyway: bool) -> Result<(), StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            c.execute("UPDATE apps SET anyway = ?2 WHERE id = ?1", params![id, anyway])
                .map(drop)
                .map_err(at("set_anyway"))
        })
        .await
    }

    /// Writes that the install has succeeded.
    pub(crate) async fn set_installed(&self, id: &AppId) -> Result<(), StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            c.execute("UPDATE apps SET installed = 1 WHERE id = ?1", [id])
                .map(drop)
                .map_err(at("set_installed"))
        })
        .await
    }

    /// Lets go of the manifest that an update has replaced.
    pub(crate) async fn forget_previous(&self, id: &AppId) -> Result<(), StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            c.execute("UPDATE apps SET previous = NULL WHERE id = ?1", [id])
                .map(drop)
                .map_err(at("forget_previous"))
        })
        .await
    }

    /// Forgets an app.
    pub(crate) async fn delete_app(&self, id: &AppId) -> Result<(), StoreError> {
        let id = id.to_string();
        self.query(move |c| {
            c.execute("DELETE FROM apps WHERE id = ?1", [id]).map(drop).map_err(at("delete_app"))
        })
        .await
    }

    /// The node's own id, made at the first call.
    pub(crate) async fn node_id(&self) -> Result<String, StoreError> {
        let new = ulid::Ulid::new().to_string().to_lowercase();
        self.query(move |c| {
            c.execute("INSERT OR IGNORE INTO meta VALUES ('node_id', ?1)", [new]).map_err(at("node_id"))?;
            c.query_row("SELECT value FROM meta WHERE key = 'node_id'", [], |row| row.get(0))
                .map_err(at("node_id"))
        })
        .await
    }
}
