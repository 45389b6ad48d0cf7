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

mod beside;
mod columns;
pub(super) mod config;
mod dsn;
mod failure;
mod link;
mod memory;
mod migrate;
mod moves;
mod partitions;
mod raw;
mod session;
mod tls;
mod types;
mod version;
mod write;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{Metric, Origin, Reading, Subject, Time};

use super::answer::{Forgotten, Page, Series, Stats, Trend, Written};
use super::backend::Backend;
use super::wave::{Stretches, Wave, WavesWritten};
use super::{Bring, Config, Error, Moved, Original, Placed, Progress, row};

use columns::Parcel;
use link::Link;

/// Threads of the driver's runtime: it waits for the network and packs what it sends.
const THREADS: usize = 2;
/// Giving the writer's lock back at the end may take so long.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

/// The readings in one schema of a database.
#[derive(Debug)]
pub(super) struct Timescale {
    link: Arc<Link>,
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
        let link = Link::new(&config.timescale, runtime.handle().clone())?;
        runtime.spawn(Arc::clone(&link).introduce());
        Ok(Self { link, runtime: Some(runtime) })
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

/// What is still to be made.
fn missing<T>() -> Result<T, Error> {
    Err(Error::Elsewhere("this question"))
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

    fn trend(&self, _of: (Subject, Metric), _range: (Time, Time), _buckets: u32) -> Result<Trend, Error> {
        missing()
    }

    fn raw(&self, of: (Subject, Metric), range: (Time, Time), limit: usize) -> Result<Vec<Reading>, Error> {
        raw::raw(&self.link, of, range, limit)
    }

    fn stretches(&self, _of: (Subject, Metric), _range: (Time, Time), _limit: usize) -> Result<Stretches, Error> {
        missing()
    }

    fn waves(&self, _of: (Subject, Metric), _range: (Time, Time)) -> Result<Vec<Wave>, Error> {
        missing()
    }

    fn wave_totals(&self) -> Result<(u64, u64), Error> {
        missing()
    }

    fn origin(&self, _of: (Subject, Metric), _at: Time) -> Result<Option<Origin>, Error> {
        missing()
    }

    fn count(&self) -> u64 {
        self.link.memory().rows.max(0) as u64
    }

    fn stats(&self) -> Result<Stats, Error> {
        missing()
    }

    fn series(&self, _after: Option<(Subject, Metric)>, _limit: usize) -> Result<Vec<Series>, Error> {
        missing()
    }

    fn page(&self, _of: (Subject, Metric), _after: Time, _limit: usize) -> Result<Page, Error> {
        missing()
    }

    fn forget(&self, _subject: Subject) -> Result<Forgotten, Error> {
        missing()
    }

    fn maintain(&self, _now: Time) -> Result<(), Error> {
        missing()
    }

    fn seal_all(&self) -> Result<(), Error> {
        missing()
    }

    fn backup_to(&self, _path: &Path) -> Result<(), Error> {
        Err(Error::Elsewhere("a copy in a file; back the database up with pg_dump or your server's own tools"))
    }

    fn integrity_check(&self) -> Result<Vec<String>, Error> {
        missing()
    }
}
