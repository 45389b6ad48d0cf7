//! Looking after the file: figures, the integrity check and backups, all beside the running writer.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::Error;
use super::block::{self, PLACE, Place};
use super::kept::Kept;
use super::limits::Keep;
use super::schema;
use super::waves;

/// Defects listed by one integrity check at most.
const DEFECTS_MAX: usize = 100;

/// Bytes of the database file in use.
pub(super) fn file_bytes(db: &Connection) -> Result<u64, Error> {
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    Ok(((pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?).max(0) as u64)
}

/// What SQLite finds wrong with the pages of the file.
pub(super) fn integrity(db: &Connection, max: usize) -> Result<Vec<String>, Error> {
    let mut pragma = db.prepare(&format!("PRAGMA integrity_check({max})"))?;
    let lines = pragma.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}

/// Reads everything once and lists what is wrong, one sentence each.
pub(super) fn check(db: &Connection) -> Result<Vec<String>, Error> {
    let db = db.unchecked_transaction()?;
    let mut defects = integrity(&db, DEFECTS_MAX)?;
    let mut counted: HashMap<i64, (i64, i64)> = HashMap::new();
    {
        let mut select = db.prepare(&format!("SELECT {PLACE}, series FROM block ORDER BY series, t0"))?;
        let mut found = select.query([])?;
        let mut last: Option<(i64, i64)> = None;
        while let Some(row) = found.next()? {
            let (place, series): (Place, i64) = (block::place(row)?, row.get(6)?);
            if last.is_some_and(|(of, t1)| of == series && place.t0 <= t1) {
                defects.push(format!("block {} overlaps the one before it", place.id));
            }
            last = Some((series, place.t1));
            match sound(&db, &place) {
                Ok(()) => {}
                Err(Error::Corrupt { what }) => defects.push(what),
                Err(other) => return Err(other),
            }
            let sum = counted.entry(series).or_default();
            if place.kept == Keep::Rows {
                *sum = (sum.0 + place.n as i64, sum.1 + place.bytes);
            }
            if defects.len() >= DEFECTS_MAX {
                return Ok(defects);
            }
        }
    }
    check_sums(&db, counted, &mut defects)?;
    match schema::each_logged(&db, |_| {}) {
        Ok(()) => {}
        Err(Error::Corrupt { what }) => defects.push(what),
        Err(other) => return Err(other),
    }
    waves::check(&db, DEFECTS_MAX, &mut defects)?;
    let bad: i64 = db.query_row("SELECT count(*) FROM bad_block", [], |row| row.get(0))?;
    if bad > 0 {
        defects.push(format!("{bad} damaged blocks were moved aside"));
    }
    Ok(defects)
}

fn sound(db: &Connection, place: &Place) -> Result<(), Error> {
    if place.kept != Keep::Rows {
        return Kept::load(db, place).map(drop);
    }
    block::load(db, place).and_then(|_| block::summary(db, place.id, None)).map(drop)
}

fn check_sums(db: &Connection, mut counted: HashMap<i64, (i64, i64)>, defects: &mut Vec<String>) -> Result<(), Error> {
    let mut select = db.prepare("SELECT series, rows, bytes FROM series")?;
    for row in select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))? {
        let (series, sums): (i64, (i64, i64)) = row?;
        if counted.remove(&series).unwrap_or_default() != sums {
            defects.push(format!("series {series}: its blocks do not hold what its row says"));
        }
    }
    defects.extend(counted.keys().map(|series| format!("series {series}: blocks without a row of their own")));
    Ok(())
}

/// Writes a compact copy of one moment to a new file and syncs it. The writer goes on meanwhile.
pub(super) fn backup(from: &PathBuf, to: &Path) -> Result<(), Error> {
    if to.exists() {
        return Err(Error::BackupExists { path: to.to_path_buf() });
    }
    let target = to.to_str().ok_or_else(|| Error::Config("the backup's path must be valid UTF-8".to_owned()))?;
    let db = schema::open_reader(from)?;
    db.execute("VACUUM INTO ?1", [target])?;
    let sync = |path: &Path| File::open(path).and_then(|file| file.sync_all()).map_err(|e| Error::io(path, e));
    sync(to)?;
    match to.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => sync(dir),
        None => Ok(()),
    }
}
