//! The journal on the disk.

use super::{Store, StoreError, at};
use protocol::{AppId, Event};
use rusqlite::{OptionalExtension, params};

/// Events that are kept.
pub(crate) const KEPT: i64 = 20_000;

impl Store {
    /// Numbers events and appends them, all or none.
    pub(crate) async fn append_events(&self, mut new: Vec<Event>) -> Result<Vec<(u64, String)>, StoreError> {
        self.query(move |c| {
            let step = c.transaction().map_err(at("events"))?;
            let last: Option<i64> = step
                .query_row("SELECT max(seq) FROM events", [], |row| row.get(0))
                .optional()
                .map_err(at("events"))?
                .flatten();
            let mut seq = last.unwrap_or(0);
            let mut written = Vec::with_capacity(new.len());
            for event in &mut new {
                seq += 1;
                event.seq = u64::try_from(seq).unwrap_or(0);
                let json = serde_json::to_string(event)
                    .map_err(|source| StoreError::Row { table: "events", source })?;
                let app = event.app.as_ref().map(AppId::as_str);
                step.execute("INSERT INTO events VALUES (?1, ?2, ?3)", params![seq, app, json])
                    .map_err(at("events"))?;
                written.push((event.seq, json));
            }
            step.execute("DELETE FROM events WHERE seq <= ?1", [seq - KEPT]).map_err(at("events"))?;
            step.commit().map_err(at("events"))?;
            Ok(written)
        })
        .await
    }

    /// Events with a number below `before`, newest first.
    pub(crate) async fn events(
        &self,
        before: Option<u64>,
        app: Option<AppId>,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        self.query(move |c| {
            let sql = "SELECT seq, json FROM events WHERE seq < ?1 AND (?2 IS NULL OR app = ?2) \
                       ORDER BY seq DESC LIMIT ?3";
            let mut select = c.prepare(sql).map_err(at("events"))?;
            let before = before.and_then(|seq| i64::try_from(seq).ok()).unwrap_or(i64::MAX);
            let app = app.as_ref().map(AppId::as_str);
            let rows = select
                .query_map(params![before, app, limit], |row| {
                    Ok((u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0), row.get(1)?))
                })
                .map_err(at("events"))?;
            rows.collect::<Result<_, _>>().map_err(at("events"))
        })
        .await
    }
}
