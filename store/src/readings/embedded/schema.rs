//! The database file: who may open it, its tables, and the log rows in it.
//!
//! - `log`: one row per write, with the rows accepted by that write and the cursor it moved to. Sequence numbers only
//!   grow. A log row goes when every series in it is sealed past its number.
//! - `block`: sealed rows (`block.rs`). `bad_block`: damaged ones, kept for rescue.
//! - `series`: per series, up to which log number its rows are sealed (this, never a time stamp, decides what start-up
//!   takes from the log), how many rows and bytes that is, and its newest row.
//! - `waveform`, `origin` (since format 2): see `waves.rs` and `origins.rs`; written in the transaction of their log row.
//! - `meta`: the cursor of the log rows already trimmed, and the last log number given; since format 3 the newest time that
//!   `maintain` was told, and whether all that was ever deleted from this file was overwritten (`clean`).
//! - `meta.blank` (since format 4): no mark of a row that was moved away holds a value any more (`marks.rs`).
//! - `block.kept` (since format 3): 0 rows, 1 or 2 only rollups of minutes or hours (`kept.rs`). `bad_log`: damaged rows of the log, put there by
//!   `vigil doctor --repair`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Row as SqlRow, params};

use super::config::Config;
use super::row::{Key, Kind, MOVED, Row, kind};
use super::{Error, FILE, origins, waves};

/// "VGRD": this file is a readings database of Vigil.
const APPLICATION: i64 = 0x5647_5244;
/// Format this program writes and reads.
const FORMAT: i64 = 4;
/// How long a statement waits for another connection of this process.
const BUSY: Duration = Duration::from_secs(10);
/// The write-ahead log is copied back after about this many bytes.
const CHECKPOINT_BYTES: u32 = 16 << 20;
/// Bytes of a row in the log: key 6, time 8, device 4, quality 1, value 8.
pub(super) const LOG_ROW: usize = 27;
/// Where in it the quality is; the value follows and is the rest.
const QUALITY_AT: usize = 18;

const TABLES: &str = "
CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK (id = 1), cursor INTEGER NOT NULL, seq INTEGER NOT NULL);
INSERT INTO meta VALUES(1, 0, 0);
CREATE TABLE log(seq INTEGER PRIMARY KEY, cursor INTEGER NOT NULL, crc INTEGER NOT NULL, rows BLOB NOT NULL);
CREATE TABLE series(series INTEGER PRIMARY KEY, sealed_seq INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
  at INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL, device INTEGER NOT NULL);
CREATE TABLE block(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL,
  n INTEGER NOT NULL, bytes INTEGER NOT NULL, judged INTEGER NOT NULL, sum REAL, lo REAL, hi REAL,
  first_at INTEGER, first REAL, last_at INTEGER, last REAL, crc INTEGER NOT NULL, side BLOB NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX block_place ON block(series, t0);
CREATE TABLE bad_block AS SELECT * FROM block;
";

/// What format 3 adds.
const RETENTION: &str = "
ALTER TABLE meta ADD COLUMN now INTEGER;
ALTER TABLE meta ADD COLUMN clean INTEGER NOT NULL DEFAULT 0;
ALTER TABLE block ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE bad_block ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
CREATE TABLE bad_log AS SELECT * FROM log;
";

/// What format 4 adds.
const MARKS: &str = "ALTER TABLE meta ADD COLUMN blank INTEGER NOT NULL DEFAULT 0;";

/// Keeps other processes out while it lives.
#[derive(Debug)]
pub(super) struct Guard(#[expect(dead_code, reason = "held for its lock")] File);

/// Takes the directory's lock. The lock ends with the process, also when it is killed.
pub(super) fn lock(dir: &Path) -> Result<Guard, Error> {
    let path = dir.join(format!("{FILE}.lock"));
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|e| opening(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(Guard(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: dir.join(FILE) }),
        Err(TryLockError::Error(e)) => Err(Error::io(path, e)),
    }
}

fn opening(path: &Path, error: std::io::Error) -> Error {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly { path: path.parent().unwrap_or(path).to_path_buf() }
        }
        _ => Error::io(path, error),
    }
}

/// Opens the file for writing; creates the tables in a new one.
pub(super) fn open_writer(path: &Path, config: &Config) -> Result<Connection, Error> {
    let read_only = std::fs::metadata(path).is_ok_and(|meta| meta.permissions().readonly());
    if read_only {
        return Err(Error::ReadOnly { path: path.to_path_buf() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(32);
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(not_ours(path))?;
    if tables == 0 {
        db.pragma_update(None, "page_size", config.page_bytes)?;
    } else {
        check_format(&db, path)?;
    }
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(Error::Config(format!(
            "the file system of {} does not support write-ahead logging",
            path.display()
        )));
    }
    // NORMAL may lose the last commits in a power cut; what was answered must stay.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -32_768)?;
    let page: u32 = db.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_BYTES / page)?;
    // What is deleted is overwritten: `forget` promises it.
    db.pragma_update(None, "secure_delete", "ON")?;
    bring_up_to_date(&db, tables == 0)?;
    Ok(db)
}

/// Adds what this program's format has and the file's has not, all of it or nothing.
fn bring_up_to_date(db: &Connection, is_new: bool) -> Result<(), Error> {
    let format = db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
    let steps = [(1, TABLES), (2, waves::TABLES), (2, origins::TABLES), (3, RETENTION), (4, MARKS)];
    let missing: String = steps.into_iter().filter(|(since, _)| format < *since).map(|(_, sql)| sql).collect();
    if format < FORMAT {
        let clean = if is_new { "UPDATE meta SET clean = 1, blank = 1;" } else { "" };
        db.execute_batch(&format!(
            "BEGIN IMMEDIATE; {missing} {clean}
             PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
    }
    Ok(())
}

fn not_ours(path: &Path) -> impl FnOnce(rusqlite::Error) -> Error + '_ {
    move |error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::Foreign { path: path.to_path_buf() },
        Some(rusqlite::ErrorCode::ReadOnly) => Error::ReadOnly { path: path.to_path_buf() },
        _ => error.into(),
    }
}

fn check_format(db: &Connection, path: &Path) -> Result<(), Error> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    if pragma("application_id")? != APPLICATION {
        return Err(Error::Foreign { path: path.to_path_buf() });
    }
    let found = pragma("user_version")?;
    if found > FORMAT {
        return Err(Error::Newer { path: path.to_path_buf(), found, known: FORMAT });
    }
    Ok(())
}

/// A connection that can only read.
pub(super) fn open_reader(path: &PathBuf) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "cache_size", -4_096)?;
    Ok(db)
}

/// Appends one log row.
pub(super) fn put_log(db: &Connection, seq: u64, cursor: u64, bytes: &[u8]) -> Result<(), Error> {
    let mut insert = db.prepare_cached("INSERT INTO log(seq, cursor, crc, rows) VALUES(?1, ?2, ?3, ?4)")?;
    insert.execute(params![seq as i64, cursor as i64, crc32c::crc32c(bytes), bytes])?;
    Ok(())
}

/// One row as it stands in the log.
pub(super) fn encode_row(out: &mut Vec<u8>, key: Key, row: &Row) {
    let mut bytes = [0_u8; LOG_ROW];
    bytes[..6].copy_from_slice(&key.to_le_bytes()[..6]);
    bytes[6..14].copy_from_slice(&row.at.to_le_bytes());
    bytes[14..18].copy_from_slice(&row.device.to_le_bytes());
    bytes[QUALITY_AT] = row.quality;
    bytes[QUALITY_AT + 1..].copy_from_slice(&row.value.to_le_bytes());
    out.extend_from_slice(&bytes);
}

fn decode_row(bytes: &[u8; LOG_ROW]) -> (Key, Row) {
    let [k0, k1, k2, k3, k4, k5, rest @ ..] = *bytes;
    let [a0, a1, a2, a3, a4, a5, a6, a7, d0, d1, d2, d3, quality, value @ ..] = rest;
    let row = Row {
        at: i64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]),
        value: f64::from_le_bytes(value),
        device: u32::from_le_bytes([d0, d1, d2, d3]),
        quality,
    };
    // Programs before format 4 left the value in a mark.
    let row = if row.quality == MOVED { row.mark() } else { row };
    (u64::from_le_bytes([k0, k1, k2, k3, k4, k5, 0, 0]), row)
}

/// One log row read back.
#[derive(Debug)]
pub(super) struct Logged {
    pub(super) seq: u64,
    pub(super) cursor: u64,
    pub(super) bytes: usize,
    pub(super) rows: Vec<(Key, Row)>,
}

/// Reads the whole log in order, one write at a time.
pub(super) fn each_logged(db: &Connection, mut take: impl FnMut(Logged)) -> Result<(), Error> {
    let mut select = db.prepare("SELECT seq, cursor, crc, rows FROM log ORDER BY seq")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        take(logged(row)?);
    }
    Ok(())
}

/// A log row out of its columns: seq, cursor, crc, rows.
pub(super) fn logged(row: &SqlRow<'_>) -> Result<Logged, Error> {
    let seq = row.get::<_, i64>(0)? as u64;
    let bytes = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
    let (chunks, rest) = bytes.as_chunks::<LOG_ROW>();
    if !rest.is_empty() || crc32c::crc32c(bytes) != row.get::<_, u32>(2)? {
        return Err(Error::corrupt(format!("log row {seq}: the checksum differs")));
    }
    let rows: Vec<_> = chunks.iter().map(decode_row).collect();
    if rows.iter().any(|(_, row)| kind(row.quality) == Kind::Unknown) {
        return Err(Error::corrupt(format!("log row {seq}: an unknown quality code")));
    }
    Ok(Logged { seq, cursor: row.get::<_, i64>(1)? as u64, bytes: bytes.len(), rows })
}

/// Cuts the rows of one subject out of damaged rows of the log, which nobody checks any more, those that were moved away since
/// (`is_gone`), and the values out of marks.
pub(super) fn scrub_bad_log(
    db: &Connection,
    subject: u32,
    is_gone: impl Fn(Key, i64) -> Result<bool, Error>,
) -> Result<(), Error> {
    let found: Vec<(i64, Vec<u8>)> = {
        let mut select = db.prepare("SELECT rowid, rows FROM bad_log")?;
        select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?
    };
    for (rowid, bytes) in found {
        let (chunks, rest) = bytes.as_chunks::<LOG_ROW>();
        let mut left = Vec::with_capacity(bytes.len());
        for chunk in chunks {
            let (key, row) = decode_row(chunk);
            if (key >> 16) as u32 == subject || (row.quality != MOVED && is_gone(key, row.at)?) {
                continue;
            }
            left.extend_from_slice(chunk);
            if row.quality == MOVED {
                let value = left.len() - LOG_ROW + QUALITY_AT + 1;
                left[value..].fill(0);
            }
        }
        left.extend_from_slice(rest);
        if left != bytes {
            db.execute("UPDATE bad_log SET rows = ?2 WHERE rowid = ?1", params![rowid, left])?;
        }
    }
    Ok(())
}

/// Rewrites the log rows with `after < seq <= upto` without the rows of one subject; returns the bytes taken out. An error
/// when a row is damaged: it may hold rows of others, `vigil doctor` sees to it first.
pub(super) fn scrub_log(db: &Connection, (after, upto): (u64, u64), subject: u32) -> Result<u64, Error> {
    let mut select = db.prepare_cached("SELECT seq, crc, rows FROM log WHERE seq > ?1 AND seq <= ?2")?;
    let mut update = db.prepare_cached("UPDATE log SET crc = ?2, rows = ?3 WHERE seq = ?1")?;
    let found = select.query_map([after as i64, upto as i64], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get::<_, Vec<u8>>(2)?))
    })?;
    let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut freed = 0;
    for (seq, crc, bytes) in found {
        let (chunks, rest) = bytes.as_chunks::<LOG_ROW>();
        if !rest.is_empty() || crc32c::crc32c(&bytes) != crc {
            return Err(Error::corrupt(format!("log row {seq}: the checksum differs")));
        }
        let others = chunks.iter().filter(|chunk| (decode_row(chunk).0 >> 16) as u32 != subject);
        let left: Vec<u8> = others.flatten().copied().collect();
        if left.len() < bytes.len() {
            freed += (bytes.len() - left.len()) as u64;
            update.execute(params![seq, crc32c::crc32c(&left), left])?;
        }
    }
    Ok(freed)
}
