//! Operations: every one ends exactly once, and its end stays as a row.

use super::{Store, StoreError, apps::desired_text, at};
use crate::operation::Course;
use protocol::{AppId, Command, Desired, OpId, OpView};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::PathBuf;

/// Ended operations that are kept.
pub(crate) const KEPT: u32 = 200;

fn encode(view: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(view).map_err(|source| StoreError::Row { table: "operations", source })
}

fn course(c: &Connection, id: &str) -> Result<Course, StoreError> {
    let sql = "SELECT course FROM operations WHERE id = ?1";
    let found: Option<String> = c.query_row(sql, [id], |row| row.get(0)).optional().map_err(at("course"))?;
    let read = |json: String| serde_json::from_str(&json);
    found
        .map_or_else(|| Ok(Course::default()), read)
        .map_err(|source| StoreError::Row { table: "operations", source })
}

fn put_course(c: &Connection, id: &str, course: &Course) -> Result<(), StoreError> {
    c.execute("UPDATE operations SET course = ?2 WHERE id = ?1", params![id, encode(course)?])
        .map(drop)
        .map_err(at("course"))
}

impl Store {
    /// What an operation has to remember.
    pub(crate) async fn course(&self, op: &OpId) -> Result<Course, StoreError> {
        let id = op.to_string();
        self.query(move |c| course(c, &id)).await
    }

    /// Changes what an operation has to remember, and returns it.
    pub(crate) async fn note(
        &self,
        op: &OpId,
        change: impl FnOnce(&mut Course) + Send + 'static,
    ) -> Result<Course, StoreError> {
        let id = op.to_string();
        self.query(move |c| {
            let step = c.transaction().map_err(at("note"))?;
            let mut course = course(&step, &id)?;
            change(&mut course);
            put_course(&step, &id, &course)?;
            step.commit().map_err(at("note"))?;
            Ok(course)
        })
        .await
    }

    /// Gives an app another manifest and notes that in the operation that does it, both or neither. What the app had
    /// is kept beside it.
    pub(crate) async fn exchange(
        &self,
        app: &AppId,
        op: &OpId,
        (manifest, dir): (String, PathBuf),
        change: impl FnOnce(&mut Course) + Send + 'static,
    ) -> Result<(), StoreError> {
        let (app, id) = (app.to_string(), op.to_string());
        self.query(move |c| {
            let step = c.transaction().map_err(at("exchange"))?;
            let sql = "UPDATE apps SET previous = manifest, manifest = ?2, manifest_dir = ?3 WHERE id = ?1";
            step.execute(sql, params![app, manifest, dir.to_string_lossy()]).map_err(at("exchange"))?;
            let mut course = course(&step, &id)?;
            change(&mut course);
            put_course(&step, &id, &course)?;
            step.commit().map_err(at("exchange"))
        })
        .await
    }

    /// Records an accepted operation and what the user wants from now on, both or neither.
    pub(crate) async fn accept(
        &self,
        view: &OpView,
        command: &Command,
        idempotency_key: Option<String>,
        (desired, anyway): (Desired, bool),
        course: &Course,
    ) -> Result<(), StoreError> {
        let (id, app, json, command) =
            (view.id.to_string(), view.app.to_string(), encode(view)?, encode(command)?);
        let course = encode(course)?;
        self.query(move |c| {
            let step = c.transaction().map_err(at("accept"))?;
            let values = params![id, app, json, idempotency_key, command, course];
            step.execute("INSERT INTO operations VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)", values)
                .map_err(at("accept"))?;
            let sql = "UPDATE apps SET desired = ?2, anyway = ?3 WHERE id = ?1";
            step.execute(sql, params![app, desired_text(desired), anyway]).map_err(at("accept"))?;
            step.commit().map_err(at("accept"))
        })
        .await
    }

    /// Records how far an operation is. A terminal state is never overwritten: false where there is one.
    pub(crate) async fn update_op(&self, view: &OpView) -> Result<bool, StoreError> {
        let (id, json, terminal) = (view.id.to_string(), encode(view)?, view.state.is_terminal());
        self.query(move |c| {
            let sql = "UPDATE operations SET view = ?2, terminal = ?3 WHERE id = ?1 AND terminal = 0";
            let written = c.execute(sql, params![id, json, terminal]).map_err(at("update_op"))?;
            let old = "DELETE FROM operations WHERE terminal = 1 AND id NOT IN \
                       (SELECT id FROM operations WHERE terminal = 1 ORDER BY id DESC LIMIT ?1)";
            c.execute(old, [KEPT]).map_err(at("update_op"))?;
            Ok(written > 0)
        })
        .await
    }

    /// All operations that are kept, each with its command, oldest first.
    pub(crate) async fn ops(&self) -> Result<Vec<(OpView, Command)>, StoreError> {
        self.query(|c| {
            let mut select =
                c.prepare("SELECT view, command FROM operations ORDER BY id").map_err(at("ops"))?;
            let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(at("ops"))?;
            let rows: Vec<(String, String)> = rows.collect::<Result<_, _>>().map_err(at("ops"))?;
            let read = |(view, command): &(String, String)| {
                let decoded =
                    serde_json::from_str(view).and_then(|v| serde_json::from_str(command).map(|c| (v, c)));
                // One that another version wrote and this one cannot read harms no other.
                decoded.inspect_err(|error| tracing::warn!(%error, "recorded operation left out")).ok()
            };
            Ok(rows.iter().filter_map(read).collect())
        })
        .await
    }

    /// One operation.
    pub(crate) async fn op(&self, op: &OpId) -> Result<Option<OpView>, StoreError> {
        let id = op.to_string();
        self.query(move |c| {
            let sql = "SELECT view FROM operations WHERE id = ?1";
            let found: Option<String> =
                c.query_row(sql, [id], |row| row.get(0)).optional().map_err(at("op"))?;
            let wrong = |source| StoreError::Row { table: "operations", source };
            found.map(|view| serde_json::from_str(&view).map_err(wrong)).transpose()
        })
        .await
    }

    /// The operation and command that were accepted under an idempotency key.
    pub(crate) async fn op_by_key(&self, key: String) -> Result<Option<(OpId, Command)>, StoreError> {
        self.query(move |c| {
            let sql = "SELECT id, command FROM operations WHERE idempotency_key = ?1";
            let found: Option<(String, String)> = c
                .query_row(sql, [key], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .map_err(at("op_by_key"))?;
            let wrong = |source| StoreError::Row { table: "operations", source };
            found
                .map(|(id, command)| Ok((OpId(id.into()), serde_json::from_str(&command).map_err(wrong)?)))
                .transpose()
        })
        .await
    }
}
