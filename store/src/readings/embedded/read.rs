//! Reading beside the writer: connections that only read, and a view in which head and blocks belong together.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};

use model::{Metric, Quality, Reading, Subject};
use rusqlite::{Connection, OptionalExtension, Transaction};

use super::Error;
use super::answer::{Page, Stored};
use super::block::{self, Place};
use super::heads::Heads;
use super::origins;
use super::row::{Key, MOVED, Row, Rows, key_of};
use super::schema;
use super::writer::Writer;

/// Idle read connections kept. More readers at once open their own.
const IDLE_MAX: usize = 4;
/// Tries to see head and blocks of one moment before the writer is asked to wait.
const TRIES: usize = 8;
/// Rows one `raw` call returns at most, whatever limit is asked.
pub(super) const RAW_ROWS_MAX: usize = 1_000_000;

/// Idle read connections.
#[derive(Debug)]
pub(super) struct Pool {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Pool {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let db = match idle {
            Some(db) => db,
            None => schema::open_reader(&self.path)?,
        };
        let answer = work(&db)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(db);
        }
        Ok(answer)
    }
}

/// One moment of one series: the head's rows in a range, and the database as it was then.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) tx: &'a Transaction<'a>,
    pub(super) key: Key,
    /// Unsealed rows of the range.
    pub(super) head: Rows,
    /// Blocks that hold some instant of the range, in time order.
    pub(super) places: Vec<Place>,
}

/// Runs `work` on one moment of a series: rows with `from <= at < to`. `None` for an unknown series.
///
/// The writer never waits for this. A sealing between copying the head and reading the blocks shows in `sealed_seq`,
/// and then the view is taken again.
pub(super) fn view<T>(
    pool: &Pool,
    heads: &RwLock<Heads>,
    writer: &Mutex<Writer>,
    key: Key,
    (from, to): (i64, i64),
    work: impl Fn(View<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    pool.with(|db| {
        for attempt in 0..=TRIES {
            let calm = (attempt == TRIES).then(|| writer.lock().unwrap_or_else(PoisonError::into_inner));
            let (head, sealed_seq) = {
                let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
                let Some(head) = heads.get(key) else { return Ok(None) };
                (head.rows.slice(head.rows.within(from, to)), head.sealed_seq)
            };
            let tx = db.unchecked_transaction()?;
            let stored: Option<i64> = {
                let mut select = tx.prepare_cached("SELECT sealed_seq FROM series WHERE series = ?1")?;
                select.query_row([key as i64], |row| row.get(0)).optional()?
            };
            if stored.unwrap_or(0) as u64 != sealed_seq {
                drop(tx);
                std::thread::yield_now();
                continue;
            }
            drop(calm);
            let places = block::overlapping(&tx, key, from, to)?;
            return work(View { tx: &tx, key, head, places }).map(Some);
        }
        Err(Error::corrupt(format!("series {key}: memory and file disagree about what is sealed")))
    })
}

/// The first `limit` rows of a view in time order.
pub(super) fn raw(
    view: &View<'_>,
    (subject, metric): (Subject, Metric),
    (from, to): (i64, i64),
    limit: usize,
) -> Result<Vec<Reading>, Error> {
    let limit = limit.min(RAW_ROWS_MAX);
    debug_assert_eq!(view.key, key_of(subject, metric));
    let mut out = Vec::new();
    let mut done = 0;
    for place in &view.places {
        if out.len() >= limit {
            break;
        }
        let stored = block::load(view.tx, place)?;
        let head_end = view.head.within(from, place.t1.saturating_add(1)).end;
        let merged = stored.slice(stored.within(from, to)).merged(&view.head.slice(done..head_end.max(done)));
        done = head_end.max(done);
        out.extend(merged.present().iter().map(|row| row.reading(subject, metric)));
    }
    if out.len() < limit {
        let rest = view.head.slice(done..view.head.len()).present();
        out.extend(rest.iter().map(|row| row.reading(subject, metric)));
    }
    out.truncate(limit);
    Ok(out)
}

/// The first `limit` rows of a view in time order, moved-away ones included, with their origins.
pub(super) fn page(view: &View<'_>, (from, to): (i64, i64), limit: usize) -> Result<Page, Error> {
    let limit = limit.clamp(1, RAW_ROWS_MAX);
    let mut page = Page::default();
    let mut done = 0;
    let mut take = |rows: &Rows| -> Result<bool, Error> {
        for row in rows.iter() {
            if page.rows.len() == limit {
                page.more = true;
                return Ok(false);
            }
            page.rows.push(stored(view, row)?);
        }
        Ok(true)
    };
    for place in &view.places {
        let blocks = block::load(view.tx, place)?;
        let head_end = view.head.within(from, place.t1.saturating_add(1)).end.max(done);
        let merged = blocks.slice(blocks.within(from, to)).merged(&view.head.slice(done..head_end));
        done = head_end;
        if !take(&merged)? {
            return Ok(page);
        }
    }
    take(&view.head.slice(done..view.head.len()))?;
    Ok(page)
}

fn stored(view: &View<'_>, row: Row) -> Result<Stored, Error> {
    let metric = Metric::from_id(view.key as u16).ok_or_else(|| Error::corrupt("a metric that is not known"))?;
    let moved = row.quality == MOVED;
    let shown = if moved { Row { quality: Quality::Ok.id(), ..row } } else { row };
    let Reading { device, sample, .. } = shown.reading(Subject::from_u32((view.key >> 16) as u32), metric);
    Ok(Stored { device, sample, moved, origin: origins::get(view.tx, view.key, row.at)? })
}

/// Rows of a view, each instant once. A block that cannot be read counts with what is written about it.
pub(super) fn count(view: &View<'_>) -> u64 {
    let mut rows = view.head.len();
    for place in &view.places {
        rows += place.n;
        let inside = view.head.slice(view.head.within(place.t0, place.t1.saturating_add(1)));
        if let Some(sealed) = (!inside.is_empty()).then(|| block::load(view.tx, place).ok()).flatten() {
            rows -= inside.times().iter().filter(|at| sealed.find(**at).is_some()).count();
        }
    }
    rows as u64
}

/// The newest row of a view that was not moved away.
pub(super) fn newest(view: &View<'_>) -> Result<Option<Row>, Error> {
    let mut left = view.head.len();
    for place in view.places.iter().rev() {
        let after = view.head.within(place.t1.saturating_add(1), i64::MAX).start.min(left);
        let row = last(&view.head.slice(after..left));
        if row.is_some() {
            return Ok(row);
        }
        let inside = view.head.within(place.t0, i64::MAX).start.min(after);
        let row = last(&block::load(view.tx, place)?.merged(&view.head.slice(inside..after)));
        if row.is_some() {
            return Ok(row);
        }
        left = inside;
    }
    Ok(last(&view.head.slice(0..left)))
}

fn last(rows: &Rows) -> Option<Row> {
    (0..rows.len()).rev().map(|i| rows.get(i)).find(|row| row.quality != MOVED)
}
