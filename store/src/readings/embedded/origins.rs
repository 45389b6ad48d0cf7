//! Origins of readings: one row beside a reading, stored with it or not at all.

use model::Origin;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::Key;
use super::{Error, Original};

pub(super) const TABLES: &str = "
CREATE TABLE origin(series INTEGER NOT NULL, at INTEGER NOT NULL, raw TEXT, unit TEXT, device_ms INTEGER,
  uncertainty_ms INTEGER, PRIMARY KEY(series, at)) WITHOUT ROWID;
";

/// Stores the origins whose reading is new; returns how many.
pub(super) fn put(db: &Connection, originals: &[Original], is_new: impl Fn(Key, i64) -> bool) -> Result<u64, Error> {
    let mut insert = db.prepare_cached(
        "INSERT INTO origin(series, at, raw, unit, device_ms, uncertainty_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO NOTHING",
    )?;
    let mut stored = 0;
    for original in originals {
        let key = original.key();
        if !is_new(key, original.at.0) {
            continue;
        }
        let Origin { raw, device_ms, uncertainty_ms, .. } = &original.origin;
        let (raw, unit) = raw.as_ref().map(|(raw, unit)| (raw, unit)).unzip();
        stored += insert.execute(params![key as i64, original.at.0, raw, unit, device_ms, uncertainty_ms])? as u64;
    }
    Ok(stored)
}

/// The origin of the reading of this instant, if it had one.
pub(super) fn get(db: &Connection, key: Key, at: i64) -> Result<Option<Origin>, Error> {
    let mut select =
        db.prepare_cached("SELECT raw, unit, device_ms, uncertainty_ms FROM origin WHERE series = ?1 AND at = ?2")?;
    let found = select.query_row(params![key as i64, at], |row| {
        let raw: Option<String> = row.get(0)?;
        let unit: Option<String> = row.get(1)?;
        Ok(Origin {
            index: 0,
            raw: raw.map(|raw| (raw, unit.unwrap_or_default())),
            device_ms: row.get(2)?,
            uncertainty_ms: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// A reading left its series: its origin goes along to the series `to`, or for good.
pub(super) fn give(db: &Connection, from: Key, at: i64, to: Option<Key>) -> Result<(), Error> {
    if let Some(to) = to {
        let mut update = db.prepare_cached("UPDATE OR IGNORE origin SET series = ?3 WHERE series = ?1 AND at = ?2")?;
        update.execute(params![from as i64, at, to as i64])?;
    }
    db.prepare_cached("DELETE FROM origin WHERE series = ?1 AND at = ?2")?.execute(params![from as i64, at])?;
    Ok(())
}
