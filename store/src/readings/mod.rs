//! The embedded readings store.

mod answer;
mod config;
mod error;

use std::path::Path;

use model::{Metric, Reading, Seq, Subject, Time};

pub use answer::{Bucket, Stats, Trend, Written};
pub use config::Config;
pub use error::Error;

/// The readings of one data directory. Cheap to clone; one writer at a time, readers beside it.
#[derive(Clone, Debug)]
pub struct Readings;

impl Readings {
    /// Opens or creates `readings.db` in `dir`.
    pub fn open(dir: &Path, _config: &Config) -> Result<Self, Error> {
        let _ = dir;
        Ok(Self)
    }
    /// Stores rows and the cursor in one durable transaction. Idempotent.
    pub fn write(&self, _rows: &[Reading], _cursor: Seq) -> Result<Written, Error> {
        Err(Error::Paused)
    }
    /// The cursor of the last committed write.
    pub fn cursor(&self) -> Seq {
        Seq(0)
    }
    /// Newest reading of every metric of a subject.
    pub fn latest(&self, _subject: Subject) -> Vec<Reading> {
        Vec::new()
    }
    pub fn trend(
        &self,
        _subject: Subject,
        _metric: Metric,
        _from: Time,
        _to: Time,
        _buckets: u32,
    ) -> Result<Trend, Error> {
        Ok(Trend::default())
    }
    pub fn raw(
        &self,
        _subject: Subject,
        _metric: Metric,
        _from: Time,
        _to: Time,
        _limit: usize,
    ) -> Result<Vec<Reading>, Error> {
        Ok(Vec::new())
    }
    pub fn count(&self) -> u64 {
        0
    }
    pub fn stats(&self) -> Result<Stats, Error> {
        Ok(Stats::default())
    }
    /// Seals what is due. Call it when idle.
    pub fn maintain(&self) -> Result<(), Error> {
        Ok(())
    }
    /// Operator switch: while paused, `write` answers [`Error::Paused`].
    pub fn pause_writes(&self, _paused: bool) {}
    pub fn backup_to(&self, _path: &Path) -> Result<(), Error> {
        Ok(())
    }
    /// One line per defect found; empty when sound.
    pub fn integrity_check(&self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }
}

/// Readings per second this machine stores in `dir`, in batches of 5,000, for about a second. For `vigil bench`.
pub fn bench_write_rate(_dir: &Path) -> Result<f64, Error> {
    Ok(0.0)
}
