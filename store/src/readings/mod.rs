//! The readings store: every measurement of every elder. One face, two back ends that answer alike:
//!
//! - [`embedded`]: one SQLite file in the data directory, for a cabin, a community or a county on one box;
//! - [`timescale`]: a PostgreSQL server, best with TimescaleDB, for a county or a district.
//!
//! What holds for both:
//! 1. A row is stored exactly once, keyed by (subject, metric, taken_at). The first value of an instant stays; writing anything
//!    again changes nothing, late or not, however it is packed. The one exception is a measurement that changes its subject
//!    (`moving.rs`).
//! 2. `write` returns when its rows and its progress are durable, together or not at all.
//! 3. Answers do not depend on what is sealed, compressed or rolled up.
//!
//! Waveforms are not readings: their blocks, and the origins of readings, are tables of their own in the same transaction.

mod answer;
mod backend;
mod config;
mod digest;
mod embedded;
mod error;
mod limits;
mod moving;
mod origin;
mod progress;
mod row;
mod stretch;
mod timescale;
mod trend;
mod wave;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::{Metric, Origin, Reading, Seq, Subject, Time};

pub use answer::{Bucket, Doubtful, Forgotten, Page, Proof, Series, Stats, Stored, Trend, Written};
pub use config::{Config, Retention, Store};
pub use embedded::bench::{bench_rows, bench_write_rate};
pub use embedded::doctor::{Examination, Finding, Telling, examine};
pub use embedded::salvage::damaged_copies;
pub use error::{Again, Error};
pub use moving::{Moved, Placed};
pub use origin::Original;
pub use progress::Progress;
pub use timescale::bench::{bench_bare_unnest, bench_detour, bench_drop_schema, bench_server};
pub use timescale::config::{Dsn, Extension, Timescale as TimescaleConfig, Tls};
pub use wave::{BLOCK_US_MAX, Stretch, Stretches, Wave, WavePlace, WavesWritten, problem};

use backend::Backend;
use embedded::Embedded;
use timescale::Timescale;

/// Name of the embedded store's file in the data directory.
pub const FILE: &str = "readings.db";
/// Blocks one [`Readings::wave_page`] returns at most.
const WAVE_PAGE_MAX: usize = 1_000;

/// What one write may bring. Cleared and filled again by its owner.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub rows: Vec<Reading>,
    pub waves: Vec<Wave>,
    /// Each is stored only if its reading is in `rows` and new.
    pub originals: Vec<Original>,
    /// Carried out in their order, after the rows.
    pub moves: Vec<Moved>,
    /// Rows of another store that are not ordinary there or here; after the moves.
    pub placed: Vec<Placed>,
}

/// A borrowed [`Batch`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bring<'a> {
    pub(crate) readings: &'a [Reading],
    pub(crate) waves: &'a [Wave],
    pub(crate) originals: &'a [Original],
    pub(crate) moves: &'a [Moved],
    pub(crate) placed: &'a [Placed],
}

/// The readings of one installation. Cheap to clone. Calls block on a disk or a network; async code uses `spawn_blocking`.
#[derive(Clone, Debug)]
pub struct Readings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    backend: Box<dyn Backend>,
    store: Store,
    paused: AtomicBool,
    /// Newest known [`Progress::done`].
    done: AtomicU64,
}

impl Readings {
    /// Opens the store that the settings name: the file in an existing directory, which is created when it is missing, one
    /// process at a time; or the server, which need not be there yet.
    pub fn open(dir: &Path, config: &Config) -> Result<Self, Error> {
        if let Some(problem) = config.problem() {
            return Err(Error::Config(problem));
        }
        let backend: Box<dyn Backend> = match config.store {
            Store::Embedded => Box::new(Embedded::open(dir, config)?),
            Store::Timescale => Box::new(Timescale::open(config)?),
        };
        let done = backend.progress().map_or(0, |progress| progress.done().0);
        let (store, paused, done) = (config.store, AtomicBool::new(false), AtomicU64::new(done));
        Ok(Self(Arc::new(Shared { backend, store, paused, done })))
    }

    /// Which store this is.
    pub fn store(&self) -> Store {
        self.0.store
    }

    /// Stores rows and the cursor in one durable transaction; returns after the sync. Any number of rows, best some
    /// thousands. Rows already stored are counted and left as they are, so any write may be repeated, in whole, in part
    /// or in another order. The cursor only grows. After an error the same call may be made again.
    pub fn write(&self, rows: &[Reading], cursor: Seq) -> Result<Written, Error> {
        self.bring(Bring { readings: rows, ..Bring::default() }, &Progress::at(cursor))
    }

    /// As [`write`](Self::write), with blocks of waveforms, origins, and measurements that change their subject: all of it and
    /// the progress, or nothing.
    pub fn write_batch(&self, batch: &Batch, progress: impl Into<Progress>) -> Result<Written, Error> {
        let Batch { rows, waves, originals, moves, placed } = batch;
        self.bring(Bring { readings: rows, waves, originals, moves, placed }, &progress.into())
    }

    fn bring(&self, bring: Bring<'_>, progress: &Progress) -> Result<Written, Error> {
        self.writing(|backend| {
            let written = backend.write(bring, progress)?;
            self.0.done.fetch_max(progress.done().0, Ordering::AcqRel);
            Ok(written)
        })
    }

    /// How far the committed writes have come. An error while the store cannot be reached and was not reached before.
    pub fn progress(&self) -> Result<Progress, Error> {
        let progress = self.0.backend.progress()?;
        self.0.done.fetch_max(progress.done().0, Ordering::AcqRel);
        Ok(progress)
    }

    /// Everything up to here is stored, as far as is known: 0 before the first write, or before a server was reached.
    pub fn cursor(&self) -> Seq {
        Seq(self.0.done.load(Ordering::Acquire))
    }

    /// Newest reading of every metric of a subject, absent ones included, by metric. From memory.
    pub fn latest(&self, subject: Subject) -> Vec<Reading> {
        self.0.backend.latest(subject)
    }

    /// The judged values with `from <= taken_at < to` in about `buckets` buckets (at most 20,000; widths are rounded up
    /// to whole seconds, minutes or hours), with absent marks and gaps. See `trend.rs` for what counts.
    pub fn trend(&self, subject: Subject, metric: Metric, from: Time, to: Time, buckets: u32) -> Result<Trend, Error> {
        self.0.backend.trend((subject, metric), (from, to), buckets)
    }

    /// The points of [`trend`](Self::trend) of one metric of many subjects, in their order, without gaps and absent marks: for a
    /// team's list.
    pub fn sparklines(
        &self,
        subjects: &[Subject],
        metric: Metric,
        from: Time,
        to: Time,
        buckets: u32,
    ) -> Result<Vec<Trend>, Error> {
        self.0.backend.sparklines(subjects, metric, (from, to), buckets)
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
        self.0.backend.raw((subject, metric), (from, to), limit)
    }

    /// The values with `from <= taken_at < to` that are kept and never judged, in time order. Reads `rows_max` rows at most (300,000
    /// whatever is asked), of every quality when the store [has to](Self::scans_for_doubtful): see [`Doubtful::until`] and
    /// [`Doubtful::scanned`]. A server that finds them by their quality gives `rows_max` of them at most, looks at 300,000 rows, and
    /// says that it looked at none when it has no time.
    pub fn doubtful(
        &self,
        subject: Subject,
        metric: Metric,
        from: Time,
        to: Time,
        rows_max: usize,
    ) -> Result<Doubtful, Error> {
        self.0.backend.doubtful((subject, metric), (from, to), rows_max.min(backend::SCANNED_MAX))
    }

    /// Whether [`doubtful`](Self::doubtful) has to read every row of a range, or finds them by their quality.
    pub fn scans_for_doubtful(&self) -> bool {
        self.0.backend.scans_for_doubtful()
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
        self.0.backend.stretches((subject, metric), (from, to), limit)
    }

    /// The blocks that hold a sample with `from <= time < to`, whole, by start; they may overlap. At most 1,000,000 samples.
    pub fn waves(&self, subject: Subject, metric: Metric, from: Time, to: Time) -> Result<Vec<Wave>, Error> {
        self.0.backend.waves((subject, metric), (from, to))
    }

    /// Blocks of waveforms and samples in them. Reads all blocks' rows, so not for every request.
    pub fn wave_totals(&self) -> Result<(u64, u64), Error> {
        self.0.backend.wave_totals()
    }

    /// Series of waveforms in the order of (subject, metric), at most `limit`, after the given one; their `rows` are blocks.
    pub fn wave_series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        self.0.backend.wave_series(after, limit)
    }

    /// Blocks of one series after a place, in the order of places, at most `limit` (1,000 whatever is asked).
    pub fn wave_page(
        &self,
        subject: Subject,
        metric: Metric,
        after: Option<WavePlace>,
        limit: usize,
    ) -> Result<Vec<Wave>, Error> {
        self.0.backend.wave_page((subject, metric), after, limit.clamp(1, WAVE_PAGE_MAX))
    }

    /// What the device itself wrote of the reading of this instant; `None` when that is not known.
    pub fn origin(&self, subject: Subject, metric: Metric, at: Time) -> Result<Option<Origin>, Error> {
        self.0.backend.origin((subject, metric), at)
    }

    /// Readings stored, absent ones included, as far as is known: from memory.
    pub fn count(&self) -> u64 {
        self.0.backend.count()
    }

    /// Readings of this series before it are too old: a write counts them as expired and does not store them.
    pub fn rows_from(&self, subject: Subject, metric: Metric) -> Time {
        self.0.backend.rows_from((subject, metric))
    }

    /// Figures about the store. May look at all series, so not for every request.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.0.backend.stats()
    }

    /// Series in the order of (subject, metric), at most `limit`, after the given one.
    pub fn series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        self.0.backend.series(after, limit)
    }

    /// Series of one subject, in the order of their metrics.
    pub fn series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        self.0.backend.series_of(subject)
    }

    /// Series of waveforms of one subject; their `rows` are blocks.
    pub fn wave_series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        self.0.backend.wave_series_of(subject)
    }

    /// Everything stored of one series after an instant, in time order, at most `limit` rows: moved-away rows and origins too.
    pub fn page(&self, subject: Subject, metric: Metric, after: Time, limit: usize) -> Result<Page, Error> {
        self.0.backend.page((subject, metric), after, limit)
    }

    /// Deletes every reading, origin and waveform of one subject, for good: also from what was sealed, compressed or rolled up.
    pub fn forget(&self, subject: Subject) -> Result<Forgotten, Error> {
        self.writing(|backend| backend.forget(subject))
    }

    /// As [`forget`](Self::forget), then searches the raw bytes of the store's files for what may be left. Nothing else may write
    /// meanwhile, so it is for a store that no server uses. Only of the embedded store: a server's files are its own.
    pub fn forget_with_proof(&self, subject: Subject) -> Result<(Forgotten, Proof), Error> {
        self.writing(|backend| backend.forget_with_proof(subject))
    }

    /// Does a bounded piece of what waits for a quiet moment: sealing, rollups, what retention ends. For an owner that calls
    /// now and then.
    pub fn maintain(&self, now: Time) -> Result<(), Error> {
        self.writing(|backend| backend.maintain(now))
    }

    /// Seals everything, for instance before a backup. Takes as long as it takes.
    pub fn seal_all(&self) -> Result<(), Error> {
        self.writing(|backend| backend.seal_all())
    }

    /// The operator's switch for maintenance, and the tests' way to stop the store: while paused, whatever writes answers
    /// [`Error::Paused`] and reading goes on. Not kept over a restart.
    pub fn pause_writes(&self, paused: bool) {
        self.0.paused.store(paused, Ordering::Release);
    }

    /// Writes a compact, synced copy of one moment to a new file, while writing goes on. Only of the embedded store: a server
    /// has its own ways ([`Error::Elsewhere`] names them).
    pub fn backup_to(&self, path: &Path) -> Result<(), Error> {
        self.0.backend.backup_to(path)
    }

    /// Reads everything once. One sentence per defect, at most about 100; empty when sound.
    pub fn integrity_check(&self) -> Result<Vec<String>, Error> {
        self.0.backend.integrity_check()
    }

    fn writing<T>(&self, work: impl FnOnce(&dyn Backend) -> Result<T, Error>) -> Result<T, Error> {
        if self.0.paused.load(Ordering::Acquire) {
            return Err(Error::Paused);
        }
        work(&*self.0.backend)
    }
}
