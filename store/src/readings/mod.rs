//! The embedded readings store: every measurement of every elder, in one SQLite file.
//!
//! A write becomes one row of a log and one sync. The rows also go to the *head* of their series in memory; a head that
//! is long or old is sealed into compressed blocks with summaries and rollups, inside a later write, a few series at a
//! time. Start-up reads the log rows that are not sealed yet.
//!
//! Invariants:
//! 1. A row is in the file exactly once: in the log or in a block of its series, keyed by (subject, metric, taken_at).
//! 2. `write` returns after the sync; its rows and its cursor are there together or not at all.
//! 3. The first value of an instant stays. Writing anything again changes nothing, sealed or not, late or not. The one
//!    exception is a measurement that changes its subject (`moving.rs`).
//! 4. Blocks of a series do not overlap, and one is replaced only by blocks that hold all its rows.
//! 5. Memory follows the file, never leads it: heads change only after the commit.
//! 6. Answers do not depend on what is sealed.
//!
//! Waveforms are not readings: their blocks, and the origins of readings, are tables of their own in the same transaction.
//!
//! What is deliberately absent: retention (nothing is deleted), SQL for outsiders, a thread of its own. Writes seal; an idle owner calls [`Readings::maintain`] now and then.

mod admit;
mod answer;
mod bench;
mod block;
mod care;
mod column;
mod config;
mod digest;
mod error;
mod heads;
mod moving;
mod origin;
mod read;
mod row;
mod schema;
mod seal;
mod trend;
mod wave;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::{Metric, Origin, Reading, Seq, Subject, Time};

pub use answer::{Bucket, Stats, Trend, Written};
pub use bench::{bench_rows, bench_write_rate};
pub use config::Config;
pub use error::Error;
pub use moving::Moved;
pub use origin::Original;
pub use wave::{BLOCK_US_MAX, Stretch, Stretches, Wave, WavesWritten, problem};

use heads::Heads;
use read::Pool;
use row::{MOVED, Row, key_of};
use writer::{Bring, Totals, Writer};

/// Name of the database file in the data directory.
pub const FILE: &str = "readings.db";

/// What one write may bring. Cleared and filled again by its owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub rows: Vec<Reading>,
    pub waves: Vec<Wave>,
    /// Each is stored only if its reading is in `rows` and new.
    pub originals: Vec<Original>,
    /// Carried out in their order, after the rows.
    pub moves: Vec<Moved>,
}

/// The readings of one data directory. Cheap to clone. All calls block on the disk; async code uses `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Readings(Arc<Store>);

#[derive(Debug)]
struct Store {
    path: PathBuf,
    trend_marks_max: usize,
    writer: Mutex<Writer>,
    heads: RwLock<Heads>,
    pool: Pool,
    paused: AtomicBool,
    cursor: AtomicU64,
    totals: Mutex<Totals>,
    /// Last, so that the lock goes when everything else is closed.
    _guard: schema::Guard,
}

impl Readings {
    /// Opens `readings.db` in an existing directory, or creates it. One process at a time.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, Error> {
        if let Some(problem) = config.problem() {
            return Err(Error::Config(problem));
        }
        let guard = schema::lock(dir)?;
        let path = dir.join(FILE);
        let db = schema::open_writer(&path, config)?;
        let mut heads = Heads::default();
        let writer = Writer::recover(db, config.clone(), &mut heads)?;
        Ok(Self(Arc::new(Store {
            pool: Pool::new(path.clone()),
            path,
            trend_marks_max: config.trend_marks_max,
            cursor: AtomicU64::new(writer.cursor()),
            totals: Mutex::new(writer.totals()),
            writer: Mutex::new(writer),
            heads: RwLock::new(heads),
            paused: AtomicBool::new(false),
            _guard: guard,
        })))
    }

    /// Stores rows and the cursor in one durable transaction; returns after the sync. Any number of rows, best some
    /// thousands. Rows already stored are counted and left as they are, so any write may be repeated, in whole, in part
    /// or in another order. The cursor only grows. After an error nothing has changed.
    pub fn write(&self, rows: &[Reading], cursor: Seq) -> Result<Written, Error> {
        self.writing(|writer, heads| writer.write(heads, Bring { readings: rows, ..Bring::default() }, cursor))
    }

    /// As [`write`](Self::write), with blocks of waveforms, origins, and measurements that change their subject: all of it and
    /// the cursor, or nothing.
    pub fn write_batch(&self, batch: &Batch, cursor: Seq) -> Result<Written, Error> {
        let Batch { rows, waves, originals, moves } = batch;
        let bring = Bring { readings: rows, waves, originals, moves };
        self.writing(|writer, heads| writer.write(heads, bring, cursor))
    }

    /// Cursor of the last committed write; 0 before the first.
    pub fn cursor(&self) -> Seq {
        Seq(self.0.cursor.load(Ordering::Acquire))
    }

    /// Newest reading of every metric of a subject, absent ones included, by metric. From memory, but for a series whose newest
    /// reading was moved to another subject.
    pub fn latest(&self, subject: Subject) -> Vec<Reading> {
        let newest: Vec<(Metric, Row)> = {
            let heads = self.0.heads.read().unwrap_or_else(PoisonError::into_inner);
            let newest = |metric: &Metric| Some((*metric, heads.get(key_of(subject, *metric))?.latest?));
            Metric::ALL.iter().filter_map(newest).collect()
        };
        let present = |(metric, row): (Metric, Row)| {
            let row = if row.quality == MOVED { self.newest_present(key_of(subject, metric))? } else { row };
            Some(row.reading(subject, metric))
        };
        newest.into_iter().filter_map(present).collect()
    }

    fn newest_present(&self, key: row::Key) -> Option<Row> {
        let store = &*self.0;
        let found =
            read::view(&store.pool, &store.heads, &store.writer, key, (i64::MIN, i64::MAX), |view| read::newest(&view));
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "the newest reading of a series cannot be found");
            None
        })?
    }

    /// The judged values with `from <= taken_at < to` in about `buckets` buckets (at most 20,000; widths are rounded up
    /// to whole seconds, minutes or hours), with absent marks and gaps. See `trend.rs` for what counts.
    pub fn trend(&self, subject: Subject, metric: Metric, from: Time, to: Time, buckets: u32) -> Result<Trend, Error> {
        let store = &*self.0;
        let range = (from.0, to.0);
        let found = read::view(&store.pool, &store.heads, &store.writer, key_of(subject, metric), range, |view| {
            trend::trend(&view, from.0, to.0, buckets, store.trend_marks_max)
        })?;
        Ok(found.unwrap_or_else(|| trend::nothing(from.0, to.0, buckets)))
    }

    /// The first `limit` readings with `from <= taken_at < to` in time order, of every quality. At most 1,000,000.
    pub fn raw(
        &self,
        subject: Subject,
        metric: Metric,
        from: Time,
        to: Time,
        limit: usize,
    ) -> Result<Vec<Reading>, Error> {
        let store = &*self.0;
        let range = (from.0, to.0);
        let found = read::view(&store.pool, &store.heads, &store.writer, key_of(subject, metric), range, |view| {
            read::raw(&view, (subject, metric), range, limit)
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Where there are samples of a waveform with `from <= time < to`: at most `limit` stretches,
    /// the latest first.
    pub fn stretches(
        &self,
        subject: Subject,
        metric: Metric,
        from: Time,
        to: Time,
        limit: usize,
    ) -> Result<Stretches, Error> {
        self.0.pool.with(|db| wave::stretches(db, (subject, metric), (from, to), limit))
    }

    /// The blocks that hold a sample with `from <= time < to`, whole, by start; they may overlap. At most 1,000,000 samples.
    pub fn waves(&self, subject: Subject, metric: Metric, from: Time, to: Time) -> Result<Vec<Wave>, Error> {
        self.0.pool.with(|db| wave::window(db, (subject, metric), (from, to)))
    }

    /// Blocks of waveforms and samples in them. Reads all blocks' rows, so not for every request.
    pub fn wave_totals(&self) -> Result<(u64, u64), Error> {
        self.0.pool.with(wave::totals)
    }

    /// What the device itself wrote of the reading of this instant; `None` when that is not known.
    pub fn origin(&self, subject: Subject, metric: Metric, at: Time) -> Result<Option<Origin>, Error> {
        self.0.pool.with(|db| origin::get(db, key_of(subject, metric), at.0))
    }

    /// Readings stored, absent ones included.
    pub fn count(&self) -> u64 {
        self.totals().rows
    }

    /// Figures about the store. Reads all series, so not for every request.
    pub fn stats(&self) -> Result<Stats, Error> {
        let (series, sealed_rows, block_bytes) = {
            let heads = self.0.heads.read().unwrap_or_else(PoisonError::into_inner);
            let sealed: u64 = heads.series.iter().map(|head| head.sealed_rows).sum();
            let bytes: i64 = heads.series.iter().map(|head| head.block_bytes).sum();
            (heads.series.len() as u64, sealed, bytes.max(0) as u64)
        };
        let totals = self.totals();
        let file_bytes = self.0.pool.with(care::file_bytes)?;
        let ratio = |bytes: u64, rows: u64| if rows == 0 { 0.0 } else { bytes as f64 / rows as f64 };
        Ok(Stats {
            rows: totals.rows,
            sealed_rows,
            head_rows: totals.head_rows,
            series,
            log_bytes: totals.log_bytes,
            block_bytes,
            file_bytes,
            bytes_per_sealed_reading: ratio(block_bytes, sealed_rows),
            bytes_per_reading: ratio(file_bytes, totals.rows),
            duplicates: totals.duplicates,
            conflicts: totals.conflicts,
            blocks_sealed: totals.blocks_sealed,
            bad_blocks: totals.bad_blocks,
        })
    }

    /// Seals what is due and trims the log, as every write does. For an owner that has nothing to write.
    pub fn maintain(&self) -> Result<(), Error> {
        self.writing(Writer::maintain)
    }

    /// Seals everything, for instance before a backup. Takes as long as it takes.
    pub fn seal_all(&self) -> Result<(), Error> {
        self.writing(Writer::seal_all)
    }

    /// The operator's switch for maintenance, and the tests' way to stop the store: while paused, `write`, `maintain`
    /// and `seal_all` answer [`Error::Paused`] and reading goes on. Not kept over a restart.
    pub fn pause_writes(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Release);
    }

    /// Writes a compact, synced copy of one moment to a new file, while writing goes on.
    pub fn backup_to(&self, path: &Path) -> Result<(), Error> {
        care::backup(&self.0.path, path)
    }

    /// Reads everything once. One sentence per defect, at most about 100; empty when sound.
    pub fn integrity_check(&self) -> Result<Vec<String>, Error> {
        self.0.pool.with(care::check)
    }

    fn totals(&self) -> Totals {
        *self.0.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing<T>(&self, work: impl FnOnce(&mut Writer, &RwLock<Heads>) -> Result<T, Error>) -> Result<T, Error> {
        if self.0.paused.load(Ordering::Acquire) {
            return Err(Error::Paused);
        }
        let mut writer: MutexGuard<'_, Writer> = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = work(&mut writer, &self.0.heads);
        *self.0.totals.lock().unwrap_or_else(PoisonError::into_inner) = writer.totals();
        self.0.cursor.store(writer.cursor(), Ordering::Release);
        answer
    }
}
