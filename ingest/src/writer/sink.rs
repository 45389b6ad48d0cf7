//! The readings store as the writer sees it: it takes a batch with its progress, or says why not.

use store::readings::{Batch, Error, Progress, Readings, Store, Written};

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same again, later.
    Wait,
    /// Later, and less at once.
    #[allow(dead_code, reason = "the second store is being added")]
    Fewer,
    /// Something in the batch can never be stored; everything else can.
    #[allow(dead_code, reason = "the second store is being added")]
    Without,
}

/// Why a batch is not stored.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) remedy: Remedy,
    /// One of few words, for counters.
    pub(crate) cause: &'static str,
    pub(crate) text: String,
}

/// Where readings go.
pub(crate) trait Sink {
    fn kind(&self) -> Store;
    fn progress(&self) -> Result<Progress, Refusal>;
    fn write(&self, batch: &Batch, progress: &Progress) -> Result<Written, Refusal>;
}

impl Sink for Readings {
    fn kind(&self) -> Store {
        self.store()
    }

    fn progress(&self) -> Result<Progress, Refusal> {
        Self::progress(self).map_err(|error| Refusal::of(&error))
    }

    fn write(&self, batch: &Batch, progress: &Progress) -> Result<Written, Refusal> {
        self.write_batch(batch, progress).map_err(|error| Refusal::of(&error))
    }
}

impl Refusal {
    fn of(error: &Error) -> Self {
        let (remedy, cause) = remedy(error);
        Self { remedy, cause, text: chain(error) }
    }
}

const fn remedy(error: &Error) -> (Remedy, &'static str) {
    match error {
        Error::Paused => (Remedy::Wait, "paused"),
        Error::Locked { .. } => (Remedy::Wait, "locked"),
        Error::ReadOnly { .. } => (Remedy::Wait, "read_only"),
        Error::DiskFull => (Remedy::Wait, "disk_full"),
        Error::Corrupt { .. } => (Remedy::Wait, "damaged"),
        Error::TooManySeries { .. } => (Remedy::Wait, "too_many_series"),
        Error::Sqlite(_) | Error::Io { .. } => (Remedy::Wait, "file"),
        _ => (Remedy::Wait, "other"),
    }
}

/// The error with what is behind it, in one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
