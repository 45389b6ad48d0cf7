//! Everything that can go wrong with the records store, each with one sentence that says what to do.

use std::path::PathBuf;

use model::Time;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0} is in use by another process that blocks writing; stop that process or wait until it has finished")]
    Locked(PathBuf),
    #[error("{0} cannot be written; give this user write access to the directory and the files in it")]
    ReadOnly(PathBuf),
    #[error("{path} cannot be opened: {source}; check that the directory exists and is readable")]
    Io { path: PathBuf, source: std::io::Error },
    #[error(
        "the data are of version {found}, this program knows up to {known}; use the newer program (nothing was changed)"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "migration {0} was changed after it had been applied; use the program that wrote these data (nothing was changed)"
    )]
    MigrationChanged(i64),
    #[error("{0} is damaged or no database; move it away and restore the last backup")]
    Damaged(PathBuf),
    #[error("the disk is full; free space, then it goes on by itself")]
    Full,
    #[error("{0} is not known here")]
    NotFound(&'static str),
    /// The caller's input breaks a rule of the store.
    #[error("{0}")]
    Invalid(String),
    /// An escalation policy that must not be saved: where, and why.
    #[error(transparent)]
    Policy(#[from] model::policy::BadPolicy),
    #[error("the policy was changed meanwhile: it is at version {version}")]
    PolicyChanged { version: u32 },
    /// Rules or layers that do not fit, with layer, rule and level.
    #[error("{0}")]
    Rules(model::layer::Refused),
    #[error("a limit of {limit} {what} is reached")]
    TooMany { what: &'static str, limit: usize },
    #[error("the database answered: {0}")]
    Database(rusqlite::Error),
    #[error("a stored {what} does not decode: {value:?}; check the database with `integrity_check`")]
    Corrupt { what: &'static str, value: String },
}

impl From<model::layer::Refused> for Error {
    fn from(refused: model::layer::Refused) -> Self {
        Self::Rules(refused)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error() {
            Some(cause) if cause.code == rusqlite::ErrorCode::DiskFull => Self::Full,
            Some(cause) if cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => {
                Self::NotFound("what it refers to (team, person, elder or site)")
            }
            _ => Self::Database(error),
        }
    }
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    #[error("login or password is wrong")]
    BadCredentials,
    #[error("too many failures; locked until {until}")]
    Locked { until: Time },
    #[error(transparent)]
    Store(#[from] Error),
}

/// Why an action on an alarm or a page was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The person's name, for the other seat to read.
    #[error("{0} has it already")]
    AlreadyClaimedBy(String),
    #[error("it is resolved already")]
    AlreadyResolved,
    #[error("there is no such alarm or page")]
    Gone,
    #[error("this person may not do that")]
    NotAllowed,
    #[error("a P1 or P2 alarm needs an outcome")]
    NeedsOutcome,
    #[error("the idempotency key was used for another action, or is longer than 128 characters")]
    KeyReused,
    #[error("a note has at most {0} characters")]
    NoteTooLong(usize),
    #[error("a reason is needed")]
    NeedsReason,
    #[error("claim it first")]
    ClaimFirst,
    #[error("it is not offered to this person (any more)")]
    NotOffered,
    #[error("the receiver is not somebody who can take it")]
    NoReceiver,
    #[error("a P1 or a call for help cannot be parked")]
    NotParkable,
    /// In the past, or too far away.
    #[error("it may be parked for at most {minutes_max} minutes")]
    ParkTooLong { minutes_max: i64 },
    #[error("nobody is on the way")]
    NotEngaged,
    #[error("it is neither resolved nor closed")]
    NotDone,
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<rusqlite::Error> for ActionError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<rusqlite::Error> for LoginError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
