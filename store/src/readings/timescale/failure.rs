//! What the driver's errors mean: each becomes one of the store's own, by its SQLSTATE. Messages of the server are passed on only
//! where they cannot hold anything of a row.

use tokio_postgres::error::{DbError, SqlState};

use super::Error;

/// Most bytes of a server's message that are passed on.
const WHAT_LEN_MAX: usize = 200;

/// The store's error for the driver's.
pub(super) fn of(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(answered) => of_answer(answered),
        None => Error::Unreachable { what: unanswered(error) },
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        of(&error)
    }
}

/// What the server itself said.
fn of_answer(answered: &DbError) -> Error {
    let code = answered.code();
    let text = code.code().to_owned();
    let gone = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    let crowd = [SqlState::TOO_MANY_CONNECTIONS, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT];
    let slow = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED];
    let clash = [SqlState::OUT_OF_MEMORY, SqlState::INSUFFICIENT_RESOURCES, SqlState::OBJECT_IN_USE];
    match code {
        code if gone.contains(code) || crowd.contains(code) || text.starts_with("08") => {
            Error::Unreachable { what: short(answered.message()) }
        }
        code if *code == SqlState::READ_ONLY_SQL_TRANSACTION => Error::ServerReadOnly,
        code if *code == SqlState::DISK_FULL => Error::DiskFull,
        code if slow.contains(code) => Error::TimedOut { what: format!("SQLSTATE {text}") },
        code if clash.contains(code) || text.starts_with("40") => Error::Busy { code: text },
        code if *code == SqlState::CONFIGURATION_LIMIT_EXCEEDED || is_decompression(answered) => {
            Error::TooLarge { code: text }
        }
        // Messages of these classes quote values.
        _ if text.starts_with("22") || text.starts_with("23") => Error::Refused { code: text },
        _ if text.starts_with("28") || text.starts_with("3D") || text == "42501" => {
            Error::Denied { code: text, what: short(answered.message()) }
        }
        _ => Error::Server { code: text, what: short(answered.message()) },
    }
}

/// TimescaleDB's limit of one transaction; its code was not always the same.
fn is_decompression(answered: &DbError) -> bool {
    answered.message().contains("tuple decompression limit")
}

/// Why no answer came, in a few words and without the DSN.
fn unanswered(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    short(&text)
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WHAT_LEN_MAX).collect()
}

/// The connection cannot be trusted after this: what was in hand may have been done or not, it is the wrong server, or somebody took
/// our tables away, which the next contact makes good.
pub(super) fn ends_session(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::ServerReadOnly => true,
        Error::Server { code, .. } => *code == *SqlState::UNDEFINED_TABLE.code(),
        _ => false,
    }
}

/// The same failure for the next caller, who comes before the next try.
pub(super) fn once_more(error: &Error) -> Error {
    match error {
        Error::Unreachable { what } => Error::Unreachable { what: what.clone() },
        Error::ServerReadOnly => Error::ServerReadOnly,
        Error::DiskFull => Error::DiskFull,
        Error::TimedOut { what } => Error::TimedOut { what: what.clone() },
        Error::Busy { code } => Error::Busy { code: code.clone() },
        Error::Denied { code, what } => Error::Denied { code: code.clone(), what: what.clone() },
        Error::OldServer { found, needed } => Error::OldServer { found: found.clone(), needed: *needed },
        Error::NoExtension { what } => Error::NoExtension { what: what.clone() },
        Error::ForeignSchema { schema } => Error::ForeignSchema { schema: schema.clone() },
        Error::NewerSchema { schema, found, known } => {
            Error::NewerSchema { schema: schema.clone(), found: *found, known: *known }
        }
        Error::Server { code, what } => Error::Server { code: code.clone(), what: what.clone() },
        other => Error::Unreachable { what: other.to_string() },
    }
}
