//! The SQLite file: its schema, how it is opened, and how two processes are kept apart.
//!
//! ```text
//! log(first INTEGER PRIMARY KEY, count, total, blob)   one row a group
//!     first  seq of the group's first entry
//!     total  bytes of all blobs ever stored, this one included: the size kept is a subtraction, not a scan
//! cursor(name TEXT PRIMARY KEY, seq)                   last entry each reader is done with
//! beyond(cursor, first, last)                          entries after it that the reader is done with too
//! ```
//! The newest row is never trimmed, so the end of the log is known even when everything was read.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Seq;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use crate::config::OpenOptions;
use crate::cursors::Ranges;
use crate::tail::Block;
use crate::{Error, record};

/// "VGJL": tells a journal from any other SQLite file.
const APPLICATION_ID: i64 = 0x5647_4A4C;
/// The schema's version. Raise it with every change of the tables or the record format.
const FORMAT: i64 = 1;
/// How long a connection waits for another one's short lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Page cache of the writing connection. It must hold a whole group, else SQLite writes parts of it early.
const CACHE_KIB: i64 = 16 * 1024;
/// The write-ahead log is cut back to this size, in bytes, when it has grown beyond (during a backup, say).
const WAL_BYTES_KEPT: i64 = 64 * 1024 * 1024;
/// Newest groups whose checksums are looked at when opening.
const GROUPS_CHECKED_AT_OPEN: i64 = 16;

const SCHEMA: &str = "
CREATE TABLE log (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, total INTEGER NOT NULL, blob BLOB NOT NULL) STRICT;
CREATE TABLE cursor (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Came later than the rest, and only ever spares work: an older program that does not know it reads these entries again.
const SCHEMA_BEYOND: &str = "
CREATE TABLE IF NOT EXISTS beyond (cursor TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (cursor, first)) STRICT, WITHOUT ROWID;
";

/// An open journal file with what is known about its content.
pub(crate) struct Opened {
    pub(crate) conn: Connection,
    pub(crate) place: Place,
    /// Held for as long as the writer lives; the system releases it however the process ends.
    pub(crate) lock: File,
    pub(crate) first: Seq,
    pub(crate) head: Seq,
    /// `log.total` of the newest row.
    pub(crate) total: u64,
    pub(crate) kept_bytes: u64,
    pub(crate) cursors: Vec<(String, Seq, Ranges)>,
}

/// Where the file is, and how to reach it once more.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) path: PathBuf,
    vfs: Option<String>,
}

impl Place {
    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = match &self.vfs {
            None => Connection::open_with_flags(&self.path, flags),
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str()),
        }?;
        conn.busy_timeout(BUSY_WAIT)?;
        Ok(conn)
    }

    /// A connection that cannot change anything.
    pub(crate) fn connect_to_read(&self) -> Result<Connection, Error> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|source| self.error("read", source))
    }

    /// Says in our words what SQLite reported.
    pub(crate) fn error(&self, doing: &'static str, source: rusqlite::Error) -> Error {
        let path = self.path.clone();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Error::Foreign(path),
            Some(ErrorCode::DatabaseCorrupt) => Error::Damaged { path, detail: source.to_string() },
            Some(ErrorCode::DiskFull) => Error::DiskFull,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Error::ReadOnly(self.dir.clone()),
            _ => Error::Sqlite { doing, path, source },
        }
    }

    fn damaged(&self, detail: impl Into<String>) -> Error {
        Error::Damaged { path: self.path.clone(), detail: detail.into() }
    }
}

pub(crate) fn open(dir: &Path, name: &str, options: &OpenOptions) -> Result<Opened, Error> {
    if !dir.is_dir() {
        return Err(Error::Missing(dir.to_owned()));
    }
    let place = Place { dir: dir.to_owned(), path: dir.join(format!("{name}.db")), vfs: options.vfs.clone() };
    let lock = lock(dir, name)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let conn = place.connect(flags).map_err(|source| place.error("open", source))?;
    // Without the right to write SQLite opens it to read, and would only say so at the first append.
    if conn.is_readonly("main").map_err(|source| place.error("open", source))? {
        return Err(Error::ReadOnly(dir.to_owned()));
    }
    recognise(&conn, &place)?;
    prepare(&conn, options).map_err(|source| place.error("prepare", source))?;
    // The new file's name has to survive a power cut as its content does.
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| Error::Io { doing: "sync the directory", path: dir.to_owned(), source })?;
    read_ends(conn, place, lock)
}

/// One process at a time. SQLite's own locks would let a second writer in between two transactions.
fn lock(dir: &Path, name: &str) -> Result<File, Error> {
    let path = dir.join(format!("{name}.lock"));
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::ReadOnly(dir.to_owned()),
            _ => Error::Io { doing: "create", path: path.clone(), source },
        })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.join(format!("{name}.db")))),
        Err(TryLockError::Error(source)) => Err(Error::Io { doing: "lock", path, source }),
    }
}

/// Refuses a file that is not ours before changing anything in it.
fn recognise(conn: &Connection, place: &Place) -> Result<(), Error> {
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let id = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let format = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((id, format, conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?))
    };
    match read().map_err(|source| place.error("open", source))? {
        (0, 0, 0) | (APPLICATION_ID, FORMAT, _) => Ok(()),
        (APPLICATION_ID, found, _) if found > FORMAT => {
            Err(Error::Newer { path: place.path.clone(), found, known: FORMAT })
        }
        (APPLICATION_ID, found, _) => Err(place.damaged(format!("format {found} never existed"))),
        _ => Err(Error::Foreign(place.path.clone())),
    }
}

fn prepare(conn: &Connection, options: &OpenOptions) -> rusqlite::Result<()> {
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", if options.acks_early() { "OFF" } else { "FULL" })?;
    // The writer copies the log into the file itself, after it has answered.
    conn.pragma_update(None, "wal_autocheckpoint", 0)?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_KEPT)?;
    conn.pragma_update(None, "cache_size", -CACHE_KIB)?;
    let format: i64 = conn.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == 0 {
        conn.execute_batch(&format!(
            "BEGIN; {SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        ))?;
    }
    conn.execute_batch(SCHEMA_BEYOND)
}

/// first, count, total, blob length
type Row = (i64, i64, i64, i64);

fn read_ends(conn: Connection, place: Place, lock: File) -> Result<Opened, Error> {
    let row = |order: &str| -> Result<Option<Row>, Error> {
        let sql = format!("SELECT first, count, total, length(blob) FROM log ORDER BY first {order} LIMIT 1");
        let row = conn.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))).optional();
        row.map_err(|source| place.error("read", source))
    };
    let (first, head, total, kept_bytes) = match (row("ASC")?, row("DESC")?) {
        (Some((first, _, total_before, len)), Some((last, count, total, _))) => {
            let kept = total - (total_before - len);
            if first < 1 || last < first || count < 1 || kept < 0 {
                return Err(place.damaged("its first and last rows contradict each other"));
            }
            (first as u64, (last + count - 1) as u64, total as u64, kept as u64)
        }
        _ => (1, 0, 0, 0),
    };
    check_newest(&conn, &place)?;
    let cursors = read_cursors(&conn, Seq(head)).map_err(|source| place.error("read", source))?;
    Ok(Opened { conn, place, lock, first: Seq(first), head: Seq(head), total, kept_bytes, cursors })
}

/// Looks at the newest groups: they must follow each other (else the file is refused) and should be intact. A damaged
/// entry is only reported here: refusing to start would stop the alarms of everybody for one lost reading.
fn check_newest(conn: &Connection, place: &Place) -> Result<(), Error> {
    let mut after = None;
    let newest = "SELECT first, count, blob FROM log ORDER BY first DESC LIMIT ?";
    let mut newest = conn.prepare(newest).map_err(|source| place.error("read", source))?;
    let mut rows = newest.query([GROUPS_CHECKED_AT_OPEN]).map_err(|source| place.error("read", source))?;
    while let Some(row) = rows.next().map_err(|source| place.error("read", source))? {
        let block = block(row).map_err(|source| place.error("read", source))?;
        if after.is_some_and(|after| block.last.0 + 1 != after) {
            return Err(place.damaged(format!("entries are missing after {}", block.last)));
        }
        if block.last.0 + 1 != block.first.0 + u64::from(block.count) {
            tracing::error!(first = block.first.0, last = block.last.0, "journal entries are damaged on disk");
        }
        after = Some(block.first.0);
    }
    Ok(())
}

/// Cursors as stored. One beyond the log's end (edited by hand: both are in one file) is moved back to it.
fn read_cursors(conn: &Connection, head: Seq) -> rusqlite::Result<Vec<(String, Seq, Ranges)>> {
    let mut cursors = conn.prepare("SELECT name, seq FROM cursor")?;
    let rows = cursors.query_map([], |row| {
        let (name, seq): (String, i64) = (row.get(0)?, row.get(1)?);
        if seq as u64 > head.0 {
            tracing::warn!(cursor = name, seq, head = head.0, "a cursor stood beyond the journal's end; moved back");
        }
        Ok((name, Seq(seq as u64).min(head)))
    })?;
    let mut beyond = conn.prepare("SELECT first, last FROM beyond WHERE cursor = ? AND last <= ? ORDER BY first")?;
    let mut all = Vec::new();
    for row in rows {
        let (name, seq) = row?;
        let ranges = beyond.query_map((&name, head.0 as i64), |row| {
            let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok((Seq(first as u64), Seq(last as u64)))
        })?;
        let ranges: Vec<_> = ranges.collect::<rusqlite::Result<_>>()?;
        all.push((name, seq, ranges.into()));
    }
    Ok(all)
}

/// A row `first, count, blob` with its checksums verified.
fn block(row: &rusqlite::Row<'_>) -> rusqlite::Result<Block> {
    let (first, count): (i64, i64) = (row.get(0)?, row.get(1)?);
    let blob: Vec<u8> = row.get(2)?;
    let written = u32::try_from(count).unwrap_or(0).max(1);
    let count = record::intact(&blob).min(written);
    Ok(Block { first: Seq(first as u64), count, last: Seq(first as u64 + u64::from(written) - 1), blob })
}

/// Groups from the one that holds `from` on, up to `head` and about `bytes_max`, at least one if there is one.
pub(crate) fn load(conn: &Connection, from: Seq, head: Seq, bytes_max: usize) -> rusqlite::Result<Vec<Block>> {
    let mut statement = conn.prepare(
        "SELECT first, count, blob FROM log
         WHERE first >= (SELECT max(first) FROM log WHERE first <= ?1) AND first <= ?2 ORDER BY first",
    )?;
    let mut rows = statement.query([from.0 as i64, head.0 as i64])?;
    let mut blocks: Vec<Block> = Vec::new();
    let mut bytes = 0;
    while (blocks.is_empty() || bytes < bytes_max)
        && let Some(row) = rows.next()?
    {
        let block = block(row)?;
        bytes += block.blob.len();
        blocks.push(block);
    }
    Ok(blocks)
}

/// A consistent copy, made inside one read transaction, so appends going on do not disturb it.
pub(crate) fn backup(place: &Place, to: &Path) -> Result<(), Error> {
    let io = |doing| move |source| Error::Io { doing, path: to.to_owned(), source };
    if to.exists() {
        return Err(io("overwrite")(std::io::Error::from(ErrorKind::AlreadyExists)));
    }
    let conn = place.connect_to_read()?;
    let text = to.to_str().ok_or_else(|| io("name")(std::io::Error::from(ErrorKind::InvalidFilename)))?;
    let failed = |source| Error::Sqlite { doing: "write the backup", path: to.to_owned(), source };
    conn.execute("VACUUM INTO ?", [text]).map_err(failed)?;
    File::open(to).and_then(|file| file.sync_all()).map_err(io("sync"))?;
    let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync the directory of"))
}
