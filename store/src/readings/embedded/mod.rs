//! The embedded readings store: one SQLite file.
//!
//! A write becomes one row of a log and one sync. The rows also go to the *head* of their series in memory; a head that
//! is long or old is sealed into compressed blocks with summaries and rollups, inside a later write, a few series at a
//! time. Start-up reads the log rows that are not sealed yet.
//!
//! Invariants:
//! 1. A row is in the file exactly once: in the log or in a block of its series, keyed by (subject, metric, taken_at).
//! 2. `write` returns after the sync; its rows and its cursor are there together or not at all.
//! 3. Blocks of a series do not overlap, and one is replaced only by blocks that hold all its rows.
//! 4. Memory follows the file, never leads it: heads change only after the commit.
//!
//! Of the progress only [`Progress::done`] is kept: what was stored beyond it is written again after a restart, which changes nothing.

mod admit;
pub(super) mod bench;
mod block;
mod care;
mod column;
mod commit;
pub(super) mod doctor;
mod forget;
mod heads;
mod kept;
mod marks;
mod moves;
mod origins;
mod read;
mod recover;
mod retain;
pub(super) mod salvage;
mod schema;
mod seal;
mod side;
mod state;
mod traces;
mod trends;
mod waves;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use model::{Metric, Origin, Reading, Seq, Subject, Time};

use super::answer::{Forgotten, Page, Proof, Series, Stats, Trend, Written};
use super::backend::Backend;
use super::row::{MOVED, Row, key_of};
use super::wave::{Stretches, Wave, WavePlace};
use super::{Bring, Config, Error, FILE, Moved, Original, Placed, Progress, Readings};
use super::{answer, config, digest, limits, row, stretch, trend, wave};

use forget::Forgetting;
use heads::Heads;
use read::{Pool, View};
use state::Totals;
use traces::Traces;
use writer::Writer;

/// The readings of one data directory.
#[derive(Debug)]
pub(super) struct Embedded {
    path: PathBuf,
    trend_marks_max: usize,
    /// Whoever waits for the writer holds it: work in many pieces lets a write in between two.
    turn: Mutex<()>,
    writer: Mutex<Writer>,
    heads: RwLock<Heads>,
    pool: Pool,
    cursor: Mutex<Seq>,
    totals: Mutex<Totals>,
    /// Last, so that the lock goes when everything else is closed.
    _guard: schema::Guard,
}

impl Embedded {
    /// Opens `readings.db` in an existing directory, or creates it. One process at a time.
    pub(super) fn open(dir: &Path, config: &Config) -> Result<Self, Error> {
        let guard = schema::lock(dir)?;
        let path = dir.join(FILE);
        let db = schema::open_writer(&path, config)?;
        let mut heads = Heads::default();
        let writer = Writer::recover(db, config.clone(), &mut heads)?;
        Ok(Self {
            pool: Pool::new(path.clone()),
            path,
            trend_marks_max: config.trend_marks_max,
            cursor: Mutex::new(Seq(writer.cursor())),
            totals: Mutex::new(writer.totals()),
            turn: Mutex::new(()),
            writer: Mutex::new(writer),
            heads: RwLock::new(heads),
            _guard: guard,
        })
    }

    fn newest_present(&self, key: row::Key) -> Option<Row> {
        let found =
            read::view(&self.pool, &self.heads, &self.writer, key, (i64::MIN, i64::MAX), |view| read::newest(&view));
        found.unwrap_or_else(|error| {
            tracing::error!(%error, "the newest reading of a series cannot be found");
            None
        })?
    }

    /// Rows of a series, when unsealed ones lie where sealed ones are: one that changed its state stands in both.
    fn rows_of(&self, key: row::Key, unsealed: (i64, i64)) -> Result<Option<u64>, Error> {
        let view = |range, work: fn(View<'_>) -> u64| {
            read::view(&self.pool, &self.heads, &self.writer, key, range, |view| Ok(work(view)))
        };
        match view(unsealed, |view| view.places.len() as u64)? {
            None | Some(0) => Ok(None),
            Some(_) => view((i64::MIN, i64::MAX), |view| read::count(&view)),
        }
    }

    fn totals(&self) -> Totals {
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing<T>(&self, work: impl FnOnce(&mut Writer, &RwLock<Heads>) -> Result<T, Error>) -> Result<T, Error> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer: MutexGuard<'_, Writer> = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        let answer = work(&mut writer, &self.heads);
        *self.totals.lock().unwrap_or_else(PoisonError::into_inner) = writer.totals();
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Seq(writer.cursor());
        answer
    }
}

impl Backend for Embedded {
    fn write(&self, bring: Bring<'_>, progress: &Progress) -> Result<Written, Error> {
        self.writing(|writer, heads| writer.write(heads, bring, progress.done()))
    }

    fn progress(&self) -> Result<Progress, Error> {
        Ok(Progress::at(*self.cursor.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// From memory, but for a series whose newest reading was moved to another subject.
    fn latest(&self, subject: Subject) -> Vec<Reading> {
        let newest: Vec<(Metric, Row)> = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            let newest = |metric: &Metric| Some((*metric, heads.get(key_of(subject, *metric))?.latest?));
            Metric::ALL.iter().filter_map(newest).collect()
        };
        let present = |(metric, row): (Metric, Row)| {
            let row = if row.quality == MOVED { self.newest_present(key_of(subject, metric))? } else { row };
            Some(row.reading(subject, metric))
        };
        newest.into_iter().filter_map(present).collect()
    }

    fn trend(&self, of: (Subject, Metric), (from, to): (Time, Time), buckets: u32) -> Result<Trend, Error> {
        let range = (from.0, to.0);
        let found = read::view(&self.pool, &self.heads, &self.writer, key_of(of.0, of.1), range, |view| {
            trends::trend(&view, from.0, to.0, buckets, self.trend_marks_max)
        })?;
        Ok(found.unwrap_or_else(|| trend::nothing(from.0, to.0, buckets)))
    }

    fn raw(&self, of: (Subject, Metric), (from, to): (Time, Time), limit: usize) -> Result<Vec<Reading>, Error> {
        let range = (from.0, to.0);
        let found = read::view(&self.pool, &self.heads, &self.writer, key_of(of.0, of.1), range, |view| {
            read::raw(&view, of, range, limit)
        })?;
        Ok(found.unwrap_or_default())
    }

    fn stretches(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Stretches, Error> {
        self.pool.with(|db| waves::stretches(db, of, range, limit))
    }

    fn waves(&self, of: (Subject, Metric), range: (Time, Time)) -> Result<Vec<Wave>, Error> {
        self.pool.with(|db| waves::window(db, of, range))
    }

    fn wave_totals(&self) -> Result<(u64, u64), Error> {
        self.pool.with(waves::totals)
    }

    fn wave_series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        self.pool.with(|db| waves::series(db, after, limit))
    }

    fn wave_page(&self, of: (Subject, Metric), after: Option<WavePlace>, limit: usize) -> Result<Vec<Wave>, Error> {
        self.pool.with(|db| waves::page(db, of, after, limit))
    }

    fn origin(&self, of: (Subject, Metric), at: Time) -> Result<Option<Origin>, Error> {
        self.pool.with(|db| origins::get(db, key_of(of.0, of.1), at.0))
    }

    fn count(&self) -> u64 {
        self.totals().rows
    }

    fn rows_from(&self, (subject, metric): (Subject, Metric)) -> Time {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        Time(writer.limits().rows(key_of(subject, metric)))
    }

    fn stats(&self) -> Result<Stats, Error> {
        let (series, sealed_rows, block_bytes) = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            let sealed: u64 = heads.series.iter().map(|head| head.sealed_rows).sum();
            let bytes: i64 = heads.series.iter().map(|head| head.block_bytes).sum();
            (heads.len() as u64, sealed, bytes.max(0) as u64)
        };
        let totals = self.totals();
        let file_bytes = self.pool.with(care::file_bytes)?;
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

    fn series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        let after = after.map(|(subject, metric)| key_of(subject, metric));
        let mut listed = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            heads.list(after, limit)
        };
        for (one, unsealed) in &mut listed {
            if let Some(range) = unsealed {
                one.rows = self.rows_of(key_of(one.subject, one.metric), *range)?.unwrap_or(one.rows);
            }
        }
        Ok(listed.into_iter().map(|(one, _)| one).collect())
    }

    fn page(&self, of: (Subject, Metric), after: Time, limit: usize) -> Result<Page, Error> {
        let range = (after.0.saturating_add(1), i64::MAX);
        let found = read::view(&self.pool, &self.heads, &self.writer, key_of(of.0, of.1), range, |view| {
            read::page(&view, range, limit)
        })?;
        Ok(found.unwrap_or_default())
    }

    fn forget(&self, subject: Subject) -> Result<Forgotten, Error> {
        let mut forgetting = Forgetting::new(subject.to_u32());
        let mut is_done = false;
        while !is_done && !forgetting.is_nearly_done() {
            is_done = self.writing(|writer, heads| writer.forget_piece(heads, &mut forgetting))?;
        }
        self.writing(|writer, heads| {
            while !is_done {
                is_done = writer.forget_piece(heads, &mut forgetting)?;
            }
            writer.wipe()
        })?;
        Ok(forgetting.forgotten)
    }

    fn forget_with_proof(&self, subject: Subject) -> Result<(Forgotten, Proof), Error> {
        let (unsealed, marks) = {
            let heads = self.heads.read().unwrap_or_else(PoisonError::into_inner);
            let of_subject = heads.of_subject(subject.to_u32()).into_iter();
            let of_subject = of_subject.filter_map(|number| heads.series.get(number as usize));
            let unsealed: Vec<_> = of_subject.map(|head| (head.key, head.rows.clone())).collect();
            (unsealed, heads.marks())
        };
        let mut traces = self.pool.with(|db| Traces::of(db, subject.to_u32(), &unsealed, marks))?;
        let before = traces.search(&self.path, None)?;
        let forgotten = self.forget(subject)?;
        let after = self.pool.with(|db| traces.search(&self.path, Some(db)))?;
        let proof = Proof {
            patterns: traces.patterns(),
            bytes: after.bytes,
            found_before: before.places,
            found_after: after.places,
        };
        Ok((forgotten, proof))
    }

    fn maintain(&self, now: Time) -> Result<(), Error> {
        self.writing(|writer, heads| writer.maintain(heads, now))
    }

    fn seal_all(&self) -> Result<(), Error> {
        self.writing(Writer::seal_all)
    }

    fn backup_to(&self, path: &Path) -> Result<(), Error> {
        care::backup(&self.path, path)
    }

    fn integrity_check(&self) -> Result<Vec<String>, Error> {
        self.pool.with(care::check)
    }
}
