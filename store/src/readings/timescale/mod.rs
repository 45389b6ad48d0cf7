//! The readings in a PostgreSQL database, best with TimescaleDB: for a county or a district.
//!
//! Invariants:
//! 1. A row is in table `reading` once, by its unique key; the first stays. Rows, waveforms, origins, moves and progress of a write
//!    are one transaction.
//! 2. One process writes into a schema: it holds a session's advisory lock, and takes it again after every reconnect.
//! 3. What is answered from memory is loaded under that lock and changes only after a commit; when a commit's outcome is not known,
//!    it is loaded again.
//! 4. No call panics or waits without a limit when the server is away, slow, read-only or full. Starting does not need it.
//!
//! `sql/` has the tables. Without the extension readings are in native partitions of a day and rollups are tables of our own.

mod ask;
pub(super) mod bench;
mod beside;
mod check;
mod chunk;
mod columns;
mod compress;
pub(super) mod config;
mod doubtful;
mod dsn;
mod failure;
mod forget;
mod link;
mod marks;
mod memory;
mod migrate;
mod moves;
mod part;
mod partitions;
mod plan;
mod raw;
mod read;
mod retention;
mod rollup;
mod session;
mod stats;
mod tls;
mod trends;
mod types;
mod upkeep;
mod version;
mod waves;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Metric, Origin, Reading, Subject, Time};

use super::answer::{Forgotten, Page, Series, Stats, Trend, Written};
use super::backend::Backend;
use super::wave::{Stretches, Wave, WavePlace, WavesWritten};
use super::{Bring, Config, Error, Moved, Original, Placed, Progress, Retention};
use super::{answer, backend, digest, limits, row, stretch, trend, wave};

use columns::Parcel;
use link::Link;
use trends::Question;
use upkeep::Upkeep;

/// Threads of the driver's runtime: it waits for the network and packs what it sends.
const THREADS: usize = 2;
/// Giving the writer's lock back at the end may take so long.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// The readings in one schema of a database.
#[derive(Debug)]
pub(super) struct Timescale {
    link: Arc<Link>,
    upkeep: Arc<Upkeep>,
    trend_marks_max: usize,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Timescale {
    /// Checks the settings and begins to make contact. The server need not be there.
    pub(super) fn open(config: &Config) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("readings.db")
            .enable_all()
            .build()
            .map_err(|source| Error::io("the database driver's threads", source))?;
        let link = Link::new(config, runtime.handle().clone())?;
        runtime.spawn(Arc::clone(&link).introduce());
        let upkeep = Arc::new(Upkeep::new(config.retention.clone()));
        Ok(Self { link, upkeep, trend_marks_max: config.trend_marks_max, runtime: Some(runtime) })
    }
}

impl Timescale {
    fn question(&self, metric: Metric, (from, to): (Time, Time), buckets: u32) -> Question {
        Question { metric, range: (from.0, to.0), buckets, marks_max: self.trend_marks_max }
    }
}

impl Drop for Timescale {
    fn drop(&mut self) {
        let link = Arc::clone(&self.link);
        let left = self.link.wait_at_most(LEAVE_LIMIT, async move {
            link.leave().await;
            Ok(())
        });
        if let Err(error) = left {
            tracing::debug!(%error, "the writer's lock was not given back; it ends with the connection");
        }
        if let Some(runtime) = self.runtime.take() {
            // Dropping it would wait, and panic where waiting is not allowed.
            runtime.shutdown_background();
        }
    }
}

impl Backend for Timescale {
    fn write(&self, bring: Bring<'_>, progress: &Progress) -> Result<Written, Error> {
        let parcel = Parcel::of(bring)?;
        let (link, progress) = (Arc::clone(&self.link), progress.clone());
        self.link.wait(write::write(link, parcel, progress))
    }

    fn progress(&self) -> Result<Progress, Error> {
        if !self.link.memory().loaded {
            self.link.ask(async |_| Ok(()))?;
        }
        Ok(self.link.memory().progress.clone())
    }

    fn latest(&self, subject: Subject) -> Vec<Reading> {
        self.link.memory().latest(subject)
    }

    fn trend(&self, of: (Subject, Metric), range: (Time, Time), buckets: u32) -> Result<Trend, Error> {
        let question = self.question(of.1, range, buckets);
        self.link.ask(async move |db| trends::trend(&db, of.0, question).await)
    }

    fn sparklines(
        &self,
        subjects: &[Subject],
        metric: Metric,
        range: (Time, Time),
        buckets: u32,
    ) -> Result<Vec<Trend>, Error> {
        let (question, subjects) = (self.question(metric, range, buckets), subjects.to_vec());
        self.link.ask(async move |db| trends::sparklines(&db, &subjects, question).await)
    }

    fn raw(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Vec<Reading>, Error> {
        raw::raw(&self.link, of, range, limit)
    }

    fn doubtful(
        &self,
        of: (Subject, Metric),
        (from, to): (Time, Time),
        rows_max: usize,
    ) -> Result<answer::Doubtful, Error> {
        match self.link.ask(async move |db| doubtful::doubtful(&db, of, (from.0, to.0), rows_max).await) {
            // Whoever asks shows them beside a curve: a slow server costs them, not the curve.
            Err(Error::TimedOut { .. }) => Ok(doubtful::not_looked(from)),
            answer => answer,
        }
    }

    fn scans_for_doubtful(&self) -> bool {
        false
    }

    fn stretches(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Stretches, Error> {
        self.link.ask(async move |db| waves::stretches(&db, of, range, limit).await)
    }

    fn waves(&self, of: (Subject, Metric), range: (Time, Time)) -> Result<Vec<Wave>, Error> {
        self.link.ask(async move |db| waves::window(&db, of, range).await)
    }

    fn wave_totals(&self) -> Result<(u64, u64), Error> {
        Upkeep::ask(&self.link, async |db| waves::totals(&db).await)
    }

    fn wave_series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        Upkeep::ask(&self.link, async move |db| read::series(&db, "waveform", after, limit).await)
    }

    fn wave_page(&self, of: (Subject, Metric), after: Option<WavePlace>, limit: usize) -> Result<Vec<Wave>, Error> {
        self.link.ask(async move |db| waves::page(&db, of, after, limit).await)
    }

    fn series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        Upkeep::ask(&self.link, async move |db| read::series_of(&db, "reading", subject).await)
    }

    fn wave_series_of(&self, subject: Subject) -> Result<Vec<Series>, Error> {
        Upkeep::ask(&self.link, async move |db| read::series_of(&db, "waveform", subject).await)
    }

    fn origin(&self, of: (Subject, Metric), at: Time) -> Result<Option<Origin>, Error> {
        self.link.ask(async move |db| read::origin(&db, of, at).await)
    }

    fn count(&self) -> u64 {
        self.link.memory().rows.max(0) as u64
    }

    fn rows_from(&self, (subject, metric): (Subject, Metric)) -> Time {
        Time(self.link.limits().rows(row::key_of(subject, metric)))
    }

    fn stats(&self) -> Result<Stats, Error> {
        let link = Arc::clone(&self.link);
        self.link.ask(async move |db| {
            let known = link.memory().figures();
            stats::stats(&db, upkeep::contact(&link)?.kind, known).await
        })
    }

    fn series(&self, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
        Upkeep::ask(&self.link, async move |db| read::series(&db, "reading", after, limit).await)
    }

    fn page(&self, of: (Subject, Metric), after: Time, limit: usize) -> Result<Page, Error> {
        self.link.ask(async move |db| read::page(&db, of, after, limit).await)
    }

    fn forget(&self, subject: Subject) -> Result<Forgotten, Error> {
        self.upkeep.forget(&self.link, subject)
    }

    fn maintain(&self, now: Time) -> Result<(), Error> {
        self.upkeep.maintain(&self.link, now)
    }

    fn seal_all(&self) -> Result<(), Error> {
        self.upkeep.seal_all(&self.link)
    }

    fn backup_to(&self, _path: &Path) -> Result<(), Error> {
        Err(Error::Elsewhere("a copy in a file; back the database up with pg_dump or your server's own tools"))
    }

    fn integrity_check(&self) -> Result<Vec<String>, Error> {
        Upkeep::check(&self.link)
    }
}
