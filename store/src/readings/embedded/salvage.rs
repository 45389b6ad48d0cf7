//! A file with damaged pages: its indexes are made anew, or what can be read of it is copied to a new file. The old one is kept.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Statement, params_from_iter, types::Value};

use super::{Config, Error, schema};

/// Tables and the columns by which their rows are ordered.
const TABLES: [(&str, &str); 8] = [
    ("meta", "id"),
    ("series", "series"),
    ("log", "seq"),
    ("block", "id"),
    ("bad_block", "rowid"),
    ("bad_log", "rowid"),
    ("waveform", "id"),
    ("origin", "series, at"),
];

/// Leaves a sound file in the place of a damaged one and says what was done.
pub(super) fn rewrite(db: &mut Connection, path: &Path, config: &Config) -> Result<String, Error> {
    let kept = keep_copy(db, path)?;
    let kept_name = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if db.execute_batch("REINDEX").is_ok() && super::care::integrity(db, 1).is_ok_and(|defects| defects.is_empty()) {
        return Ok(format!("indexes were made anew; the file as it was is kept as {kept_name}"));
    }
    let new = path.with_extension("db.new");
    remove(&new)?;
    let fresh = schema::open_writer(&new, config)?;
    let mut lost = Vec::new();
    for (table, order) in TABLES {
        if !copy_table(db, &fresh, table, order)? {
            lost.push(table);
        }
    }
    let _mode: String = fresh.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    fresh.close().map_err(|(_, error)| Error::from(error))?;
    // The damaged file is the copy; it is not used any more.
    let old = std::mem::replace(db, Connection::open_in_memory()?);
    old.close().map_err(|(_, error)| Error::from(error))?;
    for end in ["db-wal", "db-shm"] {
        remove(&path.with_extension(end))?;
    }
    std::fs::rename(&new, path).map_err(|e| Error::io(path, e))?;
    *db = schema::open_writer(path, config)?;
    let lost = if lost.is_empty() { "none".to_owned() } else { lost.join(", ") };
    Ok(format!(
        "what can be read was copied to a new file, tables with a loss: {lost}; the old one is kept as {kept_name}"
    ))
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

/// A copy of the bytes under the first free name.
fn keep_copy(db: &Connection, path: &Path) -> Result<PathBuf, Error> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let free = (1..1_000).map(|i| path.with_extension(format!("db.damaged-{i}"))).find(|copy| !copy.exists());
    let copy = free.ok_or(Error::BackupExists { path: path.to_owned() })?;
    std::fs::copy(path, &copy).map_err(|e| Error::io(&copy, e))?;
    std::fs::File::open(&copy).and_then(|file| file.sync_all()).map_err(|e| Error::io(&copy, e))?;
    Ok(copy)
}

/// Copies a table forwards up to the first page that cannot be read, then backwards. True when all of it could be.
fn copy_table(from: &Connection, to: &Connection, table: &str, order: &str) -> Result<bool, Error> {
    let columns = from.prepare(&format!("SELECT * FROM {table} LIMIT 0")).map(|select| select.column_count());
    let Ok(columns) = columns else { return Ok(false) };
    let places = vec!["?"; columns].join(",");
    let backwards = order.split(',').map(|column| format!("{column} DESC")).collect::<Vec<_>>().join(",");
    let tx = to.unchecked_transaction()?;
    if table == "meta" {
        tx.execute("DELETE FROM meta", [])?;
    }
    let mut put = tx.prepare(&format!("INSERT OR IGNORE INTO {table} VALUES({places})"))?;
    let whole = copy_rows(from, &format!("SELECT * FROM {table} NOT INDEXED ORDER BY {order}"), &mut put, None)?;
    if !whole {
        // As many rows as there can be; those that are there already are passed over, the first unreadable one ends it.
        copy_rows(from, &format!("SELECT * FROM {table} NOT INDEXED ORDER BY {backwards}"), &mut put, Some(()))?;
    }
    drop(put);
    if table == "meta" {
        tx.execute("INSERT OR IGNORE INTO meta(id, cursor, seq) VALUES(1, 0, 0)", [])?;
    }
    tx.commit()?;
    Ok(whole)
}

/// False when it ended at something that cannot be read.
fn copy_rows(from: &Connection, sql: &str, put: &mut Statement<'_>, again: Option<()>) -> Result<bool, Error> {
    let Ok(mut select) = from.prepare(sql) else { return Ok(false) };
    let columns = select.column_count();
    let Ok(mut rows) = select.query([]) else { return Ok(false) };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        };
        let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|i| row.get(i)).collect();
        let Ok(values) = values else { return Ok(false) };
        let stored = put.execute(params_from_iter(values)).unwrap_or(0);
        if stored == 0 && again.is_some() {
            // Met what came the other way.
            return Ok(true);
        }
    }
}
