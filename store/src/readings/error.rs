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
    #[error(
        "the database server cannot be reached ({what}); see that it runs and that timescale.dsn names it. What waits stays in the journal"
    )]
    Unreachable { what: String },
    #[error(
        "the database takes no writes just now: it is a standby or was set read-only; what waits stays in the journal until the primary is back or timescale.dsn names it"
    )]
    ServerReadOnly,
    #[error(
        "the database did not answer in time ({what}); it is tried again. If this stays, look for a slow disk or a lock that somebody holds"
    )]
    TimedOut { what: String },
    #[error("the database was busy with somebody else's locks ({code}); it is tried again")]
    Busy { code: String },
    #[error("the database refuses these rows for good (SQLSTATE {code}); the rest can be stored without them")]
    Refused { code: String },
    #[error("too much at once for compressed chunks of the database (SQLSTATE {code}); less at a time can be stored")]
    TooLarge { code: String },
    #[error(
        "another process writes into schema {schema} of this database; stop it, or choose another timescale.schema"
    )]
    WriterElsewhere { schema: String },
    #[error(
        "the database refuses this login or lacks a right (SQLSTATE {code}: {what}); check user, password, database and grants"
    )]
    Denied { code: String, what: String },
    #[error("PostgreSQL {found} is too old, {needed} or newer is needed; upgrade the server")]
    OldServer { found: String, needed: u32 },
    #[error("TimescaleDB is needed here and cannot be used: {what}")]
    NoExtension { what: String },
    #[error("schema {schema} of the database is not Vigil's; choose another timescale.schema, or empty it")]
    ForeignSchema { schema: String },
    #[error(
        "schema {schema} of the database has format {found}, this program knows up to {known}; start the newer program that made it"
    )]
    NewerSchema { schema: String, found: i32, known: i32 },
    #[error("the database answered with an error (SQLSTATE {code}: {what})")]
    Server { code: String, what: String },
    #[error("readings database")]
    Sqlite(#[source] rusqlite::Error),
    #[error("file {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What a writer does after an error. In every case nothing acknowledged is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// The same once more, after a pause.
    Later,
    /// The same in two halves; a single row that is refused alone can never be stored and is set aside.
    Smaller,
    /// Only after somebody has changed something; trying again now and then does no harm.
    Fixed,
}

impl Error {
    /// What to do with the write that failed.
    pub fn again(&self) -> Again {
        match self {
            Self::Refused { .. } | Self::TooLarge { .. } => Again::Smaller,
            Self::Paused
            | Self::DiskFull
            | Self::Unreachable { .. }
            | Self::ServerReadOnly
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::WriterElsewhere { .. } => Again::Later,
            _ => Again::Fixed,
        }
    }

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
