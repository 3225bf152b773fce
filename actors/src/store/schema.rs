//! Opening the database, and its numbered migrations.

use super::{StoreError, at};
use rusqlite::Connection;
use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};

/// Migration N brings a database of version N to N + 1.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE apps (
        id TEXT PRIMARY KEY,
        manifest TEXT NOT NULL,
        manifest_dir TEXT NOT NULL,
        desired TEXT NOT NULL,
        installed INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE operations (
        id TEXT PRIMARY KEY,
        app TEXT NOT NULL,
        view TEXT NOT NULL,
        terminal INTEGER NOT NULL,
        idempotency_key TEXT UNIQUE,
        command TEXT NOT NULL
    ) STRICT;
    CREATE TABLE sessions (hash BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;
",
    "
    DROP TABLE sessions;
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        created_at INTEGER NOT NULL,
        seen_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        address TEXT NOT NULL,
        agent TEXT NOT NULL
    ) STRICT;
    CREATE TABLE tokens (
        id TEXT PRIMARY KEY,
        hash BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        scope TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        used_at INTEGER,
        expires_at INTEGER
    ) STRICT;
    CREATE TABLE attempts (
        source TEXT PRIMARY KEY,
        failures INTEGER NOT NULL,
        last_at INTEGER NOT NULL,
        until_at INTEGER NOT NULL,
        trusted_until INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE owner (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        password TEXT,
        totp TEXT,
        totp_pending TEXT,
        totp_step INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE events (seq INTEGER PRIMARY KEY, app TEXT, json TEXT NOT NULL) STRICT;
    CREATE INDEX events_of_app ON events (app, seq);
",
    "ALTER TABLE apps ADD COLUMN anyway INTEGER NOT NULL DEFAULT 0",
    "
    ALTER TABLE apps ADD COLUMN previous TEXT;
    ALTER TABLE operations ADD COLUMN course TEXT NOT NULL DEFAULT '{}';
",
    "
    CREATE TABLE backups (
        id TEXT PRIMARY KEY,
        app TEXT NOT NULL,
        taken_at INTEGER NOT NULL,
        view TEXT NOT NULL
    ) STRICT;
    CREATE INDEX backups_of_app ON backups (app, taken_at);
",
];

/// Opens the database in a folder, and sets one aside that is broken.
///
/// # Errors
///
/// When it is from a newer node, or the disk refuses.
pub(super) fn open(dir: &Path) -> Result<Connection, StoreError> {
    let path = dir.join("node.sqlite");
    match try_open(&path) {
        Err(StoreError::Database { what, source }) if is_broken(&source) => {
            let now = crate::clock::now_ms();
            tracing::error!(error = %source, what, "database is broken, set aside");
            for suffix in ["", "-wal", "-shm"] {
                let old = dir.join(format!("node.sqlite{suffix}"));
                let aside = dir.join(format!("node.sqlite{suffix}.broken-{now}"));
                if old.exists() && fs::rename(&old, &aside).is_err() {
                    return Err(StoreError::Database { what, source });
                }
            }
            try_open(&path)
        }
        other => other,
    }
}

fn is_broken(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

fn try_open(path: &Path) -> Result<Connection, StoreError> {
    // It holds secrets, whatever the umask is; SQLite gives the files beside it the same mode. That it cannot be made
    // is told by SQLite, which knows why.
    let _ = fs::File::options().create(true).append(true).mode(0o600).open(path);
    let mut connection = Connection::open(path).map_err(at("open"))?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(at("journal_mode"))?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(at("synchronous"))?;
    let version = |c: &Connection| c.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0));
    let found = version(&connection).map_err(at("user_version"))?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        let step = connection.transaction().map_err(at("migration"))?;
        step.execute_batch(migration).map_err(at("migration"))?;
        step.pragma_update(None, "user_version", number as u32).map_err(at("migration"))?;
        step.commit().map_err(at("migration"))?;
    }
    Ok(connection)
}
