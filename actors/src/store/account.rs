//! The owner, logins, tokens and failed attempts. Secrets that somebody presents are kept as hashes only.

use super::{Store, StoreError, at};
use crate::accounts::{Attempts, Owner, Session, Token};
use protocol::Scope;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A login or token that was used within this time is not written anew.
const SEEN_EVERY_MS: u64 = 60_000;
/// Sources of failed attempts that are remembered, so that the table is bounded.
const MAX_SOURCES: u32 = 4_096;

/// SQLite's integers are signed.
fn sql(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|ms| u64::try_from(ms).unwrap_or(0))
}

fn optional_time(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(|ms| u64::try_from(ms).unwrap_or(0)))
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: row.get("id")?,
        created_at: time(row, "created_at")?,
        seen_at: time(row, "seen_at")?,
        expires_at: time(row, "expires_at")?,
        address: row.get("address")?,
        agent: row.get("agent")?,
    })
}

fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let scope: String = row.get("scope")?;
    Ok(Token {
        id: row.get("id")?,
        name: row.get("name")?,
        // Whatever another version wrote that this one does not know may do the least.
        scope: serde_json::from_value(scope.into()).unwrap_or(Scope::Read),
        created_at: time(row, "created_at")?,
        used_at: optional_time(row, "used_at")?,
        expires_at: optional_time(row, "expires_at")?,
    })
}

fn scope_text(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::Operate => "operate",
        Scope::Admin => "admin",
    }
}

/// Forgets logins that have ended.
fn expire(c: &Connection, now: u64, idle_ms: u64) -> Result<(), StoreError> {
    let sql_text = "DELETE FROM sessions WHERE expires_at <= ?1 OR seen_at <= ?2";
    c.execute(sql_text, [sql(now), sql(now) - sql(idle_ms)]).map(drop).map_err(at("sessions"))
}

impl Store {
    pub(crate) async fn owner(&self) -> Result<Owner, StoreError> {
        self.query(|c| {
            let read = |row: &Row<'_>| {
                Ok(Owner {
                    password: row.get("password")?,
                    totp: row.get("totp")?,
                    totp_pending: row.get("totp_pending")?,
                })
            };
            let found = c.query_row("SELECT * FROM owner", [], read).optional().map_err(at("owner"))?;
            Ok(found.unwrap_or_default())
        })
        .await
    }

    /// Sets the password; with `first` only where there is none. Says whether it did.
    pub(crate) async fn set_password(&self, hash: String, first: bool) -> Result<bool, StoreError> {
        self.query(move |c| {
            let sql_text = "INSERT INTO owner (one, password, totp_step) VALUES (1, ?1, 0) \
                            ON CONFLICT (one) DO UPDATE SET password = ?1 WHERE password IS NULL OR NOT ?2";
            c.execute(sql_text, params![hash, first]).map(|rows| rows == 1).map_err(at("owner"))
        })
        .await
    }

    pub(crate) async fn set_totp(
        &self,
        on: Option<String>,
        pending: Option<String>,
    ) -> Result<(), StoreError> {
        self.query(move |c| {
            let sql_text = "UPDATE owner SET totp = ?1, totp_pending = ?2";
            c.execute(sql_text, params![on, pending]).map(drop).map_err(at("owner"))
        })
        .await
    }

    /// Uses up a step of the second factor, and all before it. Says whether it was unused.
    pub(crate) async fn use_totp_step(&self, step: u64) -> Result<bool, StoreError> {
        self.query(move |c| {
            let sql_text = "UPDATE owner SET totp_step = ?1 WHERE totp_step < ?1";
            c.execute(sql_text, [sql(step)]).map(|rows| rows == 1).map_err(at("owner"))
        })
        .await
    }

    pub(crate) async fn create_session(
        &self,
        hash: [u8; 32],
        new: Session,
        idle_ms: u64,
    ) -> Result<(), StoreError> {
        self.query(move |c| {
            expire(c, new.created_at, idle_ms)?;
            let values = params![
                new.id,
                hash,
                sql(new.created_at),
                sql(new.seen_at),
                sql(new.expires_at),
                new.address,
                new.agent
            ];
            c.execute("INSERT INTO sessions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)
                .map(drop)
                .map_err(at("sessions"))
        })
        .await
    }

    /// The login that this hash belongs to, unless it has ended; notes that it was used.
    pub(crate) async fn session(
        &self,
        hash: [u8; 32],
        now: u64,
        idle_ms: u64,
    ) -> Result<Option<Session>, StoreError> {
        self.query(move |c| {
            let sql_text = "SELECT * FROM sessions WHERE hash = ?1 AND expires_at > ?2 AND seen_at > ?3";
            let found = c
                .query_row(sql_text, params![hash, sql(now), sql(now) - sql(idle_ms)], session)
                .optional()
                .map_err(at("sessions"))?;
            if let Some(found) = &found
                && found.seen_at + SEEN_EVERY_MS <= now
            {
                c.execute("UPDATE sessions SET seen_at = ?2 WHERE id = ?1", params![found.id, sql(now)])
                    .map_err(at("sessions"))?;
            }
            Ok(found)
        })
        .await
    }

    pub(crate) async fn sessions(&self, now: u64, idle_ms: u64) -> Result<Vec<Session>, StoreError> {
        self.query(move |c| {
            expire(c, now, idle_ms)?;
            let mut select =
                c.prepare("SELECT * FROM sessions ORDER BY created_at DESC").map_err(at("sessions"))?;
            let rows = select.query_map([], session).map_err(at("sessions"))?;
            rows.collect::<Result<_, _>>().map_err(at("sessions"))
        })
        .await
    }

    pub(crate) async fn delete_session(&self, id: String) -> Result<bool, StoreError> {
        self.query(move |c| {
            c.execute("DELETE FROM sessions WHERE id = ?1", [id])
                .map(|rows| rows == 1)
                .map_err(at("sessions"))
        })
        .await
    }

    pub(crate) async fn delete_sessions_but(&self, keep: Option<String>) -> Result<Vec<String>, StoreError> {
        self.query(move |c| {
            let sql_text = "DELETE FROM sessions WHERE ?1 IS NULL OR id <> ?1 RETURNING id";
            let mut delete = c.prepare(sql_text).map_err(at("sessions"))?;
            let rows = delete.query_map([keep], |row| row.get(0)).map_err(at("sessions"))?;
            rows.collect::<Result<_, _>>().map_err(at("sessions"))
        })
        .await
    }

    pub(crate) async fn create_token(&self, hash: [u8; 32], new: Token) -> Result<(), StoreError> {
        self.query(move |c| {
            let values = params![
                new.id,
                hash,
                new.name,
                scope_text(new.scope),
                sql(new.created_at),
                new.used_at.map(sql),
                new.expires_at.map(sql)
            ];
            c.execute("INSERT INTO tokens VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values)
                .map(drop)
                .map_err(at("tokens"))
        })
        .await
    }

    /// The token that this hash belongs to, unless it has ended; notes that it was used.
    pub(crate) async fn token(&self, hash: [u8; 32], now: u64) -> Result<Option<Token>, StoreError> {
        self.query(move |c| {
            let sql_text = "SELECT * FROM tokens WHERE hash = ?1 AND (expires_at IS NULL OR expires_at > ?2)";
            let found =
                c.query_row(sql_text, params![hash, sql(now)], token).optional().map_err(at("tokens"))?;
            if let Some(found) = &found
                && found.used_at.is_none_or(|used| used + SEEN_EVERY_MS <= now)
            {
                c.execute("UPDATE tokens SET used_at = ?2 WHERE id = ?1", params![found.id, sql(now)])
                    .map_err(at("tokens"))?;
            }
            Ok(found)
        })
        .await
    }

    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.query(|c| {
            let mut select =
                c.prepare("SELECT * FROM tokens ORDER BY created_at DESC").map_err(at("tokens"))?;
            let rows = select.query_map([], token).map_err(at("tokens"))?;
            rows.collect::<Result<_, _>>().map_err(at("tokens"))
        })
        .await
    }

    pub(crate) async fn delete_token(&self, id: String) -> Result<bool, StoreError> {
        self.query(move |c| {
            c.execute("DELETE FROM tokens WHERE id = ?1", [id]).map(|rows| rows == 1).map_err(at("tokens"))
        })
        .await
    }

    /// Changes what is known of some sources of attempts in one step, so that parallel attempts gain nothing.
    pub(crate) async fn attempts<T: Send + 'static>(
        &self,
        sources: Vec<String>,
        change: impl FnOnce(&mut [Attempts]) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        self.query(move |c| {
            let step = c.transaction().map_err(at("attempts"))?;
            let read = |row: &Row<'_>| {
                Ok(Attempts {
                    failures: row.get("failures")?,
                    last: time(row, "last_at")?,
                    until: time(row, "until_at")?,
                    trusted_until: time(row, "trusted_until")?,
                })
            };
            let mut all = Vec::new();
            for source in &sources {
                let sql_text = "SELECT * FROM attempts WHERE source = ?1";
                let found = step.query_row(sql_text, [source], read).optional().map_err(at("attempts"))?;
                all.push(found.unwrap_or_default());
            }
            let answer = change(&mut all);
            for (source, now) in sources.iter().zip(&all) {
                let values =
                    params![source, now.failures, sql(now.last), sql(now.until), sql(now.trusted_until)];
                step.execute("INSERT OR REPLACE INTO attempts VALUES (?1, ?2, ?3, ?4, ?5)", values)
                    .map_err(at("attempts"))?;
            }
            // Sources that are trusted go last.
            let old = "DELETE FROM attempts WHERE source NOT IN \
                       (SELECT source FROM attempts ORDER BY trusted_until DESC, last_at DESC LIMIT ?1)";
            step.execute(old, [MAX_SOURCES]).map_err(at("attempts"))?;
            step.commit().map_err(at("attempts"))?;
            Ok(answer)
        })
        .await
    }
}
