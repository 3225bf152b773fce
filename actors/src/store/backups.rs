//! Confirmed backups, as the repository had them when it was last asked: they are shown without asking it.

use super::{Store, StoreError, at};
use protocol::{AppId, BackupView};
use rusqlite::params;

impl Store {
    /// Writes the backups of an app, in place of those that were known.
    pub(crate) async fn set_backups(&self, app: &AppId, all: Vec<BackupView>) -> Result<(), StoreError> {
        let app = app.to_string();
        self.query(move |c| {
            let step = c.transaction().map_err(at("backups"))?;
            step.execute("DELETE FROM backups WHERE app = ?1", [&app]).map_err(at("backups"))?;
            for view in all {
                let taken_at = i64::try_from(view.at).unwrap_or(i64::MAX);
                let json = serde_json::to_string(&view)
                    .map_err(|source| StoreError::Row { table: "backups", source })?;
                let values = params![view.id.as_str(), app, taken_at, json];
                step.execute("INSERT OR REPLACE INTO backups VALUES (?1, ?2, ?3, ?4)", values)
                    .map_err(at("backups"))?;
            }
            step.commit().map_err(at("backups"))
        })
        .await
    }

    /// The backups of an app, or of all, oldest first.
    pub(crate) async fn backups(&self, app: Option<&AppId>) -> Result<Vec<BackupView>, StoreError> {
        let app = app.map(AppId::to_string);
        self.query(move |c| {
            let sql = "SELECT view FROM backups WHERE ?1 IS NULL OR app = ?1 ORDER BY taken_at, id";
            let mut select = c.prepare(sql).map_err(at("backups"))?;
            let rows = select.query_map([app], |row| row.get(0)).map_err(at("backups"))?;
            let rows: Vec<String> = rows.collect::<Result<_, _>>().map_err(at("backups"))?;
            // One that another version wrote and this one cannot read is still in the repository.
            Ok(rows.iter().filter_map(|json| serde_json::from_str(json).ok()).collect())
        })
        .await
    }
}
