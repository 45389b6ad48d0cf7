//! What can go wrong, each with what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

use model::Seq;

/// Why an append was not stored. Nothing of the append is on disk for certain; the caller keeps it and withholds its ack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Queue or disk is at its limit. Try again later; nothing that was accepted is ever discarded to make room.
    #[error("the journal is full: wait until its readers catch up, or raise journal.bytes_max")]
    Full,
    /// One append larger than the queue could ever take.
    #[error("an append of {bytes} bytes is larger than the journal takes at once ({max}): split it")]
    TooLarge { bytes: u64, max: u64 },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// A write or fsync failed. It is never tried again on the same file: the process has to be restarted once the disk is well.
    #[error("the disk failed the journal ({0}): check the disk, then restart")]
    Disk(Arc<str>),
}

/// Why a journal could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the data directory {} does not exist: create it", .0.display())]
    Missing(PathBuf),
    #[error("cannot write in the data directory {}: make it writable for this user", .0.display())]
    ReadOnly(PathBuf),
    #[error("{} is in use by another process: stop that one first", .0.display())]
    Locked(PathBuf),
    #[error("{} was written by a newer version (format {found}, this version knows {known}): run the newer version", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is not a journal: move it away or choose another data directory", .0.display())]
    Foreign(PathBuf),
    #[error("{} is damaged ({detail}): move it away and restore the last backup", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("journal.{key} is {value}: it must be at least {least}")]
    Config { key: &'static str, value: u64, least: u64 },
    /// Entries `seq..=last` do not carry the checksum they were written with. The rest of the journal is readable:
    /// restore a backup, or give these entries up with [`crate::Reader::seek`] to `last`.
    #[error(
        "entries {seq} to {last} of the journal are damaged on disk: restore a backup, or skip to {last} to give them up"
    )]
    Corrupt { seq: Seq, last: Seq },
    /// The reader wants entries that were trimmed; `first` is the oldest kept. Only a reader without a cursor can see this.
    #[error("these journal entries are gone, the oldest kept is {first}: start again from there")]
    Trimmed { first: Seq },
    /// The reader's position was never written to this file, so the file is older than what the reader has seen.
    #[error(
        "position {position} is beyond the journal's end {head}: an older journal was put back; restore its readers' data from the same backup"
    )]
    Ahead { position: Seq, head: Seq },
    #[error("the journal has no cursor named {0:?}: register it first")]
    UnknownCursor(String),
    #[error("the journal is closed")]
    Closed,
    /// As [`AppendError::Disk`].
    #[error("the disk failed the journal ({0}): check the disk, then restart")]
    Disk(Arc<str>),
    #[error("the disk is full: free some space")]
    DiskFull,
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {doing} {}", path.display())]
    Sqlite {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}
