//! The readings store as the writer sees it: it takes a batch with its progress, or says why not.

use store::readings::{Batch, Error, Progress, Readings, Store, Written};

/// What helps against an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// The same again, later.
    Wait,
    /// Later, and less at once.
    Fewer,
    /// Something in the batch can never be stored; everything else can.
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
    let cause = match error {
        Error::Refused { .. } => return (Remedy::Without, "refused"),
        Error::TooLarge { .. } => return (Remedy::Fewer, "too_large"),
        Error::TimedOut { .. } => return (Remedy::Fewer, "timed_out"),
        Error::Paused => "paused",
        Error::Locked { .. } | Error::WriterElsewhere { .. } => "locked",
        Error::ReadOnly { .. } | Error::ServerReadOnly => "read_only",
        Error::DiskFull => "disk_full",
        Error::Corrupt { .. } => "damaged",
        Error::TooManySeries { .. } => "too_many_series",
        Error::Unreachable { .. } => "unreachable",
        Error::Busy { .. } => "busy",
        Error::Denied { .. } => "denied",
        Error::OldServer { .. } | Error::NoExtension { .. } => "server_unfit",
        Error::Foreign { .. } | Error::ForeignSchema { .. } => "foreign",
        Error::Newer { .. } | Error::NewerSchema { .. } => "newer",
        Error::Server { .. } => "server",
        Error::Sqlite(_) | Error::Io { .. } => "file",
        _ => "other",
    };
    (Remedy::Wait, cause)
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
