//! What can go wrong in the readings store, each as one sentence that says what to do.

use std::path::PathBuf;

/// A failure of the readings store. A failed `write` has changed nothing and may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("writing readings is paused by the operator; resume it and the writer catches up")]
    Paused,
    #[error("{} is in use by another process; stop that process or choose another data directory", path.display())]
    Locked { path: PathBuf },
    #[error("{} cannot be written; make the directory writable for this user", path.display())]
    ReadOnly { path: PathBuf },
    #[error("{} has format {found}, this program knows up to {known}; start the newer program that wrote it", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is not a readings database of Vigil; move it away or choose another data directory", path.display())]
    Foreign { path: PathBuf },
    #[error("the disk that holds the readings is full; free space, nothing acknowledged is lost")]
    DiskFull,
    #[error("stored readings are damaged: {what}; run the integrity check and restore from the latest backup")]
    Corrupt { what: String },
    #[error("the store holds {max} series, its limit; raise series_max")]
    TooManySeries { max: usize },
    #[error("the window holds more than {max} samples; ask for less time")]
    TooMuch { max: usize },
    #[error("setting of the readings store: {0}")]
    Config(String),
    #[error("a backup needs a new file, {} exists; choose another name", path.display())]
    BackupExists { path: PathBuf },
    #[error("{0}: not in this store")]
    Elsewhere(&'static str),
    #[error("readings database")]
    Sqlite(#[source] rusqlite::Error),
    #[error("file {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }

    pub(super) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseCorrupt) => Self::corrupt("the database file itself"),
            _ => Self::Sqlite(error),
        }
    }
}
