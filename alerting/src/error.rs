//! Why alerting did not start.

use model::Seq;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("alerting cannot read or write its records: {0}")]
    Records(#[from] store::records::Error),
    #[error("alerting cannot follow the journal: {0}")]
    Journal(#[from] journal::Error),
    #[error("alerting cannot write rules to the journal: {0}")]
    Append(#[from] journal::AppendError),
    #[error(
        "the records have seen journal entry {records}, but the journal ends at {journal}: \
         the two are not of one backup; restore both from the same one"
    )]
    Ahead { records: Seq, journal: Seq },
    #[error("alerting.{key}: {reason}")]
    Config { key: &'static str, reason: String },
    #[error("a thread cannot be started: {0}")]
    Thread(std::io::Error),
}
