//! The examination of a store that nobody uses, and its repair: `vigil doctor`.
//!
//! Looked at: the pages of the file, every block's checksum and its summary and rollups against its rows, every row of the log, the
//! sums of every series, every waveform. Repair deletes nothing: damaged blocks go to `bad_block`, damaged rows of the log to `bad_log`,
//! a file with damaged pages is kept beside the one its readable rows were copied to. Rows that cannot be copied stay a finding that is
//! not mended, and the journal is read again.

use std::collections::HashMap;
use std::path::Path;

use model::{Seq, Time};
use rusqlite::{Connection, params};

use super::block::{self, PLACE, Place};
use super::care::integrity;
use super::commit::put_series;
use super::digest::{Digest, cells, is_stream};
use super::kept::Kept;
use super::limits::Keep;
use super::row::{Key, Rows};
use super::salvage::Rewritten;
use super::side::{self, Level};
use super::{Config, Error, FILE, digest, salvage, schema, waves};

/// Findings listed at most.
const FINDINGS_MAX: usize = 200;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    /// What the repair did about it; `None` when it did not try.
    pub done: Option<String>,
}

/// What an examination found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examination {
    pub findings: Vec<Finding>,
    /// Blocks and rows in them, rows in the log, blocks of waveforms that were looked at.
    pub blocks: u64,
    pub rows: u64,
    pub logged: u64,
    pub waves: u64,
    /// Rows that were set aside, or that nobody can read any more (as far as it is known how many).
    pub lost_rows: u64,
    /// Everything up to here is stored.
    pub cursor: Seq,
}

/// Told now and then what is looked at and how far it is: name, done, of how many.
pub type Telling<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// Looks at everything in the readings of a directory that no process uses. With `repair_from` it repairs, and the journal is read
/// again after that entry when rows were lost: what is stored already changes nothing.
pub fn examine(dir: &Path, config: &Config, repair_from: Option<Seq>, tell: Telling<'_>) -> Result<Examination, Error> {
    let _guard = schema::lock(dir)?;
    let path = dir.join(FILE);
    let mut db = schema::open_writer(&path, config)?;
    let mut found = Examination::default();
    tell("pages of readings.db", 0, 1);
    let defects = integrity(&db, FINDINGS_MAX).or_else(|error| match error {
        Error::Corrupt { what } => Ok(vec![what]),
        other => Err(other),
    })?;
    found.findings.extend(defects.into_iter().map(|what| Finding { what, done: None }));
    if !found.findings.is_empty() && repair_from.is_some() {
        let done = salvage::rewrite(&mut db, &path, config)?;
        for finding in &mut found.findings {
            finding.done = Some(done.said.clone());
        }
        found.add_lost(&db, &done)?;
    }
    // A damaged file is read as far as it can be; what cannot be read was said above.
    let repair = repair_from.is_some();
    let looked = blocks(&db, repair, &mut found, tell)
        .and_then(|()| log(&db, repair, &mut found, tell))
        .and_then(|()| series(&db, repair, &mut found))
        .and_then(|()| waveforms(&db, &mut found, tell));
    match looked {
        Err(Error::Corrupt { .. } | Error::Sqlite(_)) if !repair && !found.findings.is_empty() => {}
        other => other?,
    }
    if let Some(from) = repair_from.filter(|_| found.lost_rows > 0) {
        db.execute("UPDATE meta SET cursor = min(cursor, ?1)", [from.0 as i64])?;
        db.execute("UPDATE log SET cursor = min(cursor, ?1)", [from.0 as i64])?;
    }
    let cursor = "SELECT max(cursor, coalesce((SELECT max(cursor) FROM log), 0)) FROM meta";
    found.cursor = Seq(db.query_row(cursor, [], |row| row.get::<_, i64>(0))? as u64);
    Ok(found)
}

impl Examination {
    /// Rows that no page tells any more: as many as the series miss in their blocks, and at least one.
    fn add_lost(&mut self, db: &Connection, done: &Rewritten) -> Result<(), Error> {
        let missing = "SELECT coalesce(sum(max(0, s.rows - coalesce(b.n, 0))), 0) FROM series s
            LEFT JOIN (SELECT series, sum(n) AS n FROM block WHERE kept = 0 GROUP BY series) b ON b.series = s.series";
        let missing: i64 = db.query_row(missing, [], |row| row.get(0))?;
        if done.lost.is_empty() && missing == 0 {
            return Ok(());
        }
        self.lost_rows += missing.max(1) as u64;
        let tables = if done.lost.is_empty() { "block".to_owned() } else { done.lost.join(", ") };
        self.add(format!("rows of {tables} cannot be read any more; what is left of them is in {}", done.kept), None);
        Ok(())
    }

    fn add(&mut self, what: String, done: Option<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { what, done });
        }
    }
}

fn count(db: &Connection, table: &str) -> Result<u64, Error> {
    Ok(db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0))? as u64)
}

fn blocks(db: &Connection, repair: bool, found: &mut Examination, tell: Telling<'_>) -> Result<(), Error> {
    let total = count(db, "block")?;
    let mut last: Option<(i64, i64)> = None;
    let mut after = (i64::MIN, i64::MIN);
    loop {
        let page: Vec<(Place, i64)> = {
            let mut select = db.prepare_cached(&format!(
                "SELECT {PLACE}, series FROM block WHERE (series, t0) > (?1, ?2) ORDER BY series, t0 LIMIT 256"
            ))?;
            let page = select.query_map([after.0, after.1], |row| Ok((block::place(row)?, row.get(6)?)))?;
            page.collect::<rusqlite::Result<_>>()?
        };
        let Some((end, of)) = page.last() else { return Ok(()) };
        after = (*of, end.t0);
        for (place, series) in page {
            if last.is_some_and(|(of, t1)| of == series && place.t0 <= t1) {
                found.add(format!("block {} overlaps the one before it", place.id), None);
            }
            last = Some((series, place.t1));
            found.blocks += 1;
            found.rows += place.n as u64;
            match sound(db, series as Key, &place) {
                Ok(()) => {}
                Err(Error::Corrupt { what }) => {
                    let done = if repair { Some(mend(db, series as Key, &place, found)?) } else { None };
                    found.add(what, done);
                }
                Err(other) => return Err(other),
            }
        }
        tell("blocks", found.blocks, total);
    }
}

/// Checksum, rows, and whether summary and rollups are those of the rows.
fn sound(db: &Connection, key: Key, place: &Place) -> Result<(), Error> {
    if place.kept != Keep::Rows {
        return Kept::load(db, place).map(drop);
    }
    let rows = block::load(db, place)?;
    if summary_fits(db, key, place, &rows)? && rollups_fit(db, place, &rows)? {
        return Ok(());
    }
    Err(Error::corrupt(format!("block {}: summary or rollup differ from the rows", place.id)))
}

fn summary_fits(db: &Connection, key: Key, place: &Place, rows: &Rows) -> Result<bool, Error> {
    let made = Digest::of(rows, is_stream(key));
    let stored = block::columns_of(db, place.id)?;
    Ok((made.total, made.first, made.last) == (stored.total, stored.first, stored.last))
}

fn rollups_fit(db: &Connection, place: &Place, rows: &Rows) -> Result<bool, Error> {
    for (level, width) in [(Level::Hour, digest::HOUR), (Level::Minute, digest::MINUTE)] {
        let (_, stored) = block::summary(db, place.id, Some(level))?;
        let made = cells(rows, width);
        if stored.is_some_and(|stored| stored != made && stored != cells(rows, digest::MINUTE)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a block anew when its rows are proven to be right, by checksum or by the summary; else it is set aside.
fn mend(db: &Connection, key: Key, place: &Place, found: &mut Examination) -> Result<String, Error> {
    if place.kept == Keep::Rows
        && let Some(rows) = proven(db, key, place)?
    {
        let digest = Digest::of(&rows, is_stream(key));
        let (data, side) = (block::encode(&rows)?, side::encode(&rows, &digest)?);
        let tx = db.unchecked_transaction()?;
        block::delete(&tx, place.id)?;
        let bytes = (data.len() + side.len()) as i64;
        let (t0, t1) = (rows.first_at().unwrap_or(place.t0), rows.last_at().unwrap_or(place.t1));
        block::put(&tx, key, &Place { t0, t1, n: rows.len(), bytes, ..*place }, &digest, &side, &data)?;
        tx.commit()?;
        return Ok(format!("its {} rows are proven right; summary and rollups were made anew", rows.len()));
    }
    let tx = db.unchecked_transaction()?;
    block::move_aside(&tx, place.id)?;
    tx.commit()?;
    found.lost_rows += place.n as u64;
    let gone = match place.kept {
        Keep::Rows => format!("{} rows of it are no longer shown", place.n),
        // No journal goes back so far.
        _ => format!("the rollup of {} to {} is no longer shown, a backup may have it", Time(place.t0), Time(place.t1)),
    };
    Ok(format!("set aside in bad_block; {gone}"))
}

/// The rows, when the checksum says that they are right: with the `side` that is stored, or with the one that they make, when only
/// `side` is damaged.
fn proven(db: &Connection, key: Key, place: &Place) -> Result<Option<Rows>, Error> {
    if let Ok(rows) = block::load(db, place) {
        return Ok(Some(rows));
    }
    let (data, crc): (Vec<u8>, u32) =
        db.query_row("SELECT data, crc FROM block WHERE id = ?1", [place.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Ok(rows) = block::decode(&data) else { return Ok(None) };
    let side = side::encode(&rows, &Digest::of(&rows, is_stream(key)))?;
    Ok((block::checksum(&data, &side) == crc).then_some(rows))
}

fn log(db: &Connection, repair: bool, found: &mut Examination, tell: Telling<'_>) -> Result<(), Error> {
    let (total, mut after) = (count(db, "log")?, i64::MIN);
    let mut looked = 0;
    loop {
        let next = {
            let mut select =
                db.prepare_cached("SELECT seq, cursor, crc, rows FROM log WHERE seq > ?1 ORDER BY seq LIMIT 1")?;
            let mut rows = select.query([after])?;
            rows.next()?.map(|row| Ok::<_, Error>((row.get::<_, i64>(0)?, schema::logged(row)))).transpose()?
        };
        let Some((seq, row)) = next else { return Ok(()) };
        (after, looked) = (seq, looked + 1);
        match row {
            Ok(row) => found.logged += row.rows.len() as u64,
            Err(Error::Corrupt { what }) => {
                let done = if repair { Some(set_log_aside(db, seq, found)?) } else { None };
                found.add(what, done);
            }
            Err(other) => return Err(other),
        }
        tell("log", looked, total);
    }
}

/// The row stays with its number and cursor, empty; its bytes go to `bad_log`.
fn set_log_aside(db: &Connection, seq: i64, found: &mut Examination) -> Result<String, Error> {
    let tx = db.unchecked_transaction()?;
    let bytes: i64 = tx.query_row("SELECT length(rows) FROM log WHERE seq = ?1", [seq], |row| row.get(0))?;
    tx.execute("INSERT INTO bad_log SELECT * FROM log WHERE seq = ?1", [seq])?;
    tx.execute("UPDATE log SET rows = x'', crc = ?2 WHERE seq = ?1", params![seq, crc32c::crc32c(&[])])?;
    tx.commit()?;
    let rows = bytes.max(0) as u64 / schema::LOG_ROW as u64;
    found.lost_rows += rows.max(1);
    Ok(format!("set aside in bad_log; {rows} rows of it are no longer shown"))
}

/// Sums that do not agree with the blocks; and blocks of a series that has no row.
fn series(db: &Connection, repair: bool, found: &mut Examination) -> Result<(), Error> {
    // Also series of which only rollups are left.
    let sums = "SELECT series, sum(iif(kept = 0, n, 0)), sum(iif(kept = 0, bytes, 0)) FROM block GROUP BY series";
    let mut counted: HashMap<i64, (i64, i64)> = HashMap::new();
    {
        let mut select = db.prepare(sums)?;
        for row in select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))? {
            let (series, sums) = row?;
            counted.insert(series, sums);
        }
    }
    let told: Vec<(i64, (i64, i64))> = {
        let mut select = db.prepare("SELECT series, rows, bytes FROM series")?;
        let told = select.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        told.collect::<rusqlite::Result<_>>()?
    };
    for (series, told) in told {
        let sums = counted.remove(&series).unwrap_or_default();
        if told != sums {
            let mut done = None;
            if repair {
                let update = "UPDATE series SET rows = ?2, bytes = ?3 WHERE series = ?1";
                db.execute(update, params![series, sums.0, sums.1])?;
                done = Some("counted anew".to_owned());
            }
            found.add(format!("series {series}: its blocks do not hold what its row says"), done);
        }
    }
    for (series, (rows, bytes)) in counted {
        let done = if repair { Some(add_series(db, series, rows, bytes)?) } else { None };
        found.add(format!("series {series}: blocks without a row of their own"), done);
    }
    Ok(())
}

/// A row for a series that lost its own, with the newest row that its last block tells of. Sealed up to nothing, so the log counts.
fn add_series(db: &Connection, series: i64, rows: i64, bytes: i64) -> Result<String, Error> {
    let Some(last) = block::before(db, series as Key, i64::MAX, 1)?.first().copied() else {
        return Ok("nothing is left of it".to_owned());
    };
    let row = match last.kept {
        Keep::Rows => {
            let rows = block::load(db, &last)?;
            rows.len().checked_sub(1).map(|end| rows.get(end))
        }
        _ => Some(Kept::load(db, &last)?.newest()),
    };
    put_series(db, series as Key, 0, (rows, bytes), row)?;
    Ok("made anew from its blocks".to_owned())
}

fn waveforms(db: &Connection, found: &mut Examination, tell: Telling<'_>) -> Result<(), Error> {
    found.waves = count(db, "waveform")?;
    tell("waveforms", 0, found.waves);
    let mut defects = Vec::new();
    waves::check(db, FINDINGS_MAX, &mut defects)?;
    for what in defects {
        found.add(what, None);
    }
    tell("waveforms", found.waves, found.waves);
    Ok(())
}
