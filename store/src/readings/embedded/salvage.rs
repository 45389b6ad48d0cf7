//! A file with damaged pages: its indexes are made anew, or what can be read of it is copied to a new file. The old one is kept.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, Statement, params_from_iter};

use super::{Config, Error, FILE, schema};

/// Tables whose rows have a number, and its column.
const NUMBERED: [(&str, &str); 7] = [
    ("meta", "id"),
    ("series", "series"),
    ("log", "seq"),
    ("block", "id"),
    ("bad_block", "rowid"),
    ("bad_log", "rowid"),
    ("waveform", "id"),
];
/// Its rows are ordered by series and instant.
const ORIGINS: &str = "origin";

/// What was done about damaged pages.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// In a sentence.
    pub(super) said: String,
    /// Tables of which rows cannot be read any more.
    pub(super) lost: Vec<&'static str>,
    /// Name of the damaged file.
    pub(super) kept: String,
}

/// What repairs left beside the readings of a directory: damaged files as they were, and a new one that was not finished. Each holds
/// readings of everybody.
pub fn damaged_copies(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let (damaged, new) = (format!("{FILE}.damaged-"), format!("{FILE}.new"));
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&damaged) || name.starts_with(&new) {
            copies.push(entry.path());
        }
    }
    copies.sort();
    Ok(copies)
}

/// Leaves a sound file in the place of a damaged one.
pub(super) fn rewrite(db: &mut Connection, path: &Path, config: &Config) -> Result<Rewritten, Error> {
    let kept = keep_copy(db, path)?;
    let kept = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if db.execute_batch("REINDEX").is_ok() && super::care::integrity(db, 1).is_ok_and(|defects| defects.is_empty()) {
        let said = format!("indexes were made anew; the file as it was is kept as {kept}");
        return Ok(Rewritten { said, lost: Vec::new(), kept });
    }
    let new = path.with_extension("db.new");
    for end in ["db.new", "db.new-wal", "db.new-shm"] {
        remove(&path.with_extension(end))?;
    }
    let fresh = schema::open_writer(&new, config)?;
    let mut lost = Vec::new();
    for (table, number) in NUMBERED {
        if !copy_numbered(db, &fresh, table, number)? {
            lost.push(table);
        }
    }
    if !copy_origins(db, &fresh)? {
        lost.push(ORIGINS);
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
    let said = format!("what can be read was copied to a new file; the old one is kept as {kept}");
    Ok(Rewritten { said, lost, kept })
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

/// Copies every row that can be read. True when all of them could be.
fn copy_numbered(from: &Connection, to: &Connection, table: &str, number: &str) -> Result<bool, Error> {
    let Some(mut columns) = columns(from, table) else { return Ok(false) };
    if number == "rowid" {
        // Not among the columns; with it a row that is read twice is put once.
        columns.insert(0, number.to_owned());
    }
    let tx = to.unchecked_transaction()?;
    if table == "meta" {
        tx.execute("DELETE FROM meta", [])?;
    }
    let mut put = tx.prepare(&insert(table, &columns))?;
    let whole = Copying {
        from,
        select: format!("SELECT {number}, {} FROM {table} NOT INDEXED", columns.join(",")),
        number,
        put: &mut put,
    }
    .all()?;
    drop(put);
    if table == "meta" {
        tx.execute("INSERT OR IGNORE INTO meta(id, cursor, seq) VALUES(1, 0, 0)", [])?;
    }
    tx.commit()?;
    Ok(whole)
}

fn columns(from: &Connection, table: &str) -> Option<Vec<String>> {
    let select = from.prepare(&format!("SELECT * FROM {table} LIMIT 0")).ok()?;
    Some(select.column_names().map(str::to_owned).collect())
}

fn insert(table: &str, columns: &[String]) -> String {
    format!("INSERT OR IGNORE INTO {table}({}) VALUES({})", columns.join(","), vec!["?"; columns.len()].join(","))
}

/// Copying a table by the numbers of its rows.
struct Copying<'a, 'b> {
    from: &'a Connection,
    /// Number and columns of all rows.
    select: String,
    number: &'a str,
    put: &'a mut Statement<'b>,
}

impl Copying<'_, '_> {
    /// Reads forwards. Where that ends at something unreadable it goes on behind it, a little further each time until there is
    /// something again, and then reads backwards to where it had ended. At last backwards from the end, in case a damaged
    /// number led too far.
    fn all(&mut self) -> Result<bool, Error> {
        let (mut whole, mut start) = (true, i64::MIN);
        loop {
            let (last, ended) = self.forwards(start)?;
            if ended {
                break;
            }
            whole = false;
            let known = last.map_or(start, |last| last.max(start)).max(-1);
            let Some(next) = self.beyond(known) else { break };
            self.backwards((known, next))?;
            start = next;
        }
        if !whole {
            self.backwards((i64::MIN, i64::MAX))?;
        }
        Ok(whole)
    }

    /// Copies rows from this number on; the last one, and whether it came to the end of the table.
    fn forwards(&mut self, start: i64) -> Result<(Option<i64>, bool), Error> {
        let Self { select, number, .. } = self;
        let sql = format!("{select} WHERE {number} >= {start} ORDER BY {number}");
        copy_rows(self.from, &sql, self.put, false)
    }

    /// Copies rows between two numbers, from the end, until something cannot be read or is there already.
    fn backwards(&mut self, (after, before): (i64, i64)) -> Result<(), Error> {
        let Self { select, number, .. } = self;
        let sql = format!("{select} WHERE {number} > {after} AND {number} < {before} ORDER BY {number} DESC");
        copy_rows(self.from, &sql, self.put, true).map(drop)
    }

    /// The number of a row behind what cannot be read after `known`, always greater than that.
    fn beyond(&self, known: i64) -> Option<i64> {
        let Self { select, number, .. } = self;
        let sql = format!("{select} WHERE {number} >= ?1 ORDER BY {number} LIMIT 1");
        let mut step = 1_i64;
        while let Some(at) = known.checked_add(step) {
            match self.from.query_row(&sql, [at], |row| row.get::<_, i64>(0)) {
                Ok(number) => return Some(number.max(at)),
                Err(rusqlite::Error::QueryReturnedNoRows) => return None,
                Err(_) => step = step.checked_mul(2)?,
            }
        }
        None
    }
}

/// Origins have no number: series by series, each forwards and backwards.
fn copy_origins(from: &Connection, to: &Connection) -> Result<bool, Error> {
    let Some(columns) = columns(from, ORIGINS) else { return Ok(false) };
    let tx = to.unchecked_transaction()?;
    let mut put = tx.prepare(&insert(ORIGINS, &columns))?;
    let (_, whole) = copy_rows(from, "SELECT series, * FROM origin ORDER BY series, at", &mut put, false)?;
    if !whole {
        copy_rows(from, "SELECT series, * FROM origin ORDER BY series DESC, at DESC", &mut put, true)?;
        let mut select = tx.prepare("SELECT series FROM series UNION SELECT series FROM block")?;
        let series: Vec<i64> = select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        for series in series {
            let of = format!("SELECT series, * FROM origin WHERE series = {series} ORDER BY at");
            if !copy_rows(from, &of, &mut put, false)?.1 {
                copy_rows(from, &format!("{of} DESC"), &mut put, true)?;
            }
        }
    }
    drop(put);
    tx.commit()?;
    Ok(whole)
}

/// Copies rows, all columns but the first, which is a number. The number of the last one, and false when it ended at something that
/// cannot be read. `again`: what is there already ends it, met from the other side. An error is one of the new file: a full disk.
fn copy_rows(from: &Connection, sql: &str, put: &mut Statement<'_>, again: bool) -> Result<(Option<i64>, bool), Error> {
    let mut last = None;
    let Ok(mut select) = from.prepare(sql) else { return Ok((last, false)) };
    let columns = select.column_count();
    let Ok(mut rows) = select.query([]) else { return Ok((last, false)) };
    loop {
        let row = match rows.next() {
            Ok(Some(row)) => row,
            Ok(None) => return Ok((last, true)),
            Err(_) => return Ok((last, false)),
        };
        let values: rusqlite::Result<Vec<Value>> = (1..columns).map(|i| row.get(i)).collect();
        let (Ok(values), Ok(number)) = (values, row.get(0)) else { return Ok((last, false)) };
        // A damaged page may tell numbers that are not in order.
        last = last.max(Some(number));
        let stored = match put.execute(params_from_iter(values)) {
            Ok(stored) => stored,
            // No row of ours: damage that can be read.
            Err(error) if is_refused(&error) => 0,
            Err(error) => return Err(error.into()),
        };
        if stored == 0 && again {
            return Ok((last, true));
        }
    }
}

fn is_refused(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch))
}
