//! Brings the database to the version this program knows: numbered SQL files, embedded, each applied once in one
//! transaction and remembered with its checksum. A newer database is refused and left untouched.

use model::Time;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use sha2::{Digest, Sha256};

use super::error::{Error, Result};

/// Number and text of every migration, ascending. Applied files never change; add a new one.
pub(super) const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("schema/0001_init.sql")),
    (2, include_str!("schema/0002_custody.sql")),
    (3, include_str!("schema/0003_care.sql")),
    (4, include_str!("schema/0004_person_key.sql")),
    (5, include_str!("schema/0005_layers.sql")),
    (6, include_str!("schema/0006_handling.sql")),
    (7, include_str!("schema/0007_rota.sql")),
    (8, include_str!("schema/0008_escalation.sql")),
    (9, include_str!("schema/0009_channels.sql")),
    (10, include_str!("schema/0010_numbers.sql")),
    (11, include_str!("schema/0011_asked_again.sql")),
];

/// Refuses a database this program must not touch. Reads only.
fn check(conn: &Connection, migrations: &[(i64, &str)]) -> Result<i64> {
    let exists: bool = conn
        .query_row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'", [], |_| Ok(true))
        .optional()?
        .unwrap_or(false);
    if !exists {
        return Ok(0);
    }
    let mut done = 0;
    let known = migrations.last().map_or(0, |(version, _)| *version);
    let mut rows = conn.prepare("SELECT version, sha256 FROM migration ORDER BY version")?;
    for row in rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))? {
        let (version, sha256) = row?;
        let Some((_, text)) = migrations.iter().find(|(known, _)| *known == version) else {
            return Err(Error::Newer { found: version, known });
        };
        if checksum(text) != sha256 {
            return Err(Error::MigrationChanged(version));
        }
        done = version;
    }
    Ok(done)
}

/// Applies what is missing. Returns the version the database has afterwards.
pub(super) fn run(conn: &mut Connection, migrations: &[(i64, &str)], now: Time) -> Result<i64> {
    let found = check(conn, migrations)?;
    let mut done = found;
    for (version, text) in migrations.iter().filter(|(version, _)| *version > found).copied() {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (version BIGINT PRIMARY KEY, sha256 TEXT NOT NULL, at BIGINT NOT NULL)",
        )?;
        tx.execute_batch(text)?;
        tx.execute(
            "INSERT INTO migration (version, sha256, at) VALUES (?1, ?2, ?3)",
            (version, checksum(text), now.micros()),
        )?;
        tx.commit()?;
        done = version;
    }
    Ok(done)
}

fn checksum(text: &str) -> String {
    super::hex(&Sha256::digest(text.as_bytes()))
}
