//! Compresses chunks that are old enough, and again those that got late rows. TimescaleDB's own policy does the same for readings where
//! its background workers run; this does it also where they do not, and for rollups.

use std::sync::{Mutex, PoisonError};

use deadpool_postgres::ClientWrapper;

use super::Error;
use super::chunk::{self, Chunk};
use super::digest::HOUR;
use super::link::Contact;
use super::migrate::Kind;

/// From this version on `compress_chunk` also takes a chunk with later rows beside what is compressed.
const AGAIN_FROM: (u32, u32) = (2, 14);
/// From this version on TimescaleDB's own functions are in a schema of their own.
const FUNCTIONS_FROM: (u32, u32) = (2, 12);
/// One day (UTC), microseconds.
const DAY: i64 = 24 * HOUR;

/// The day for which every chunk with late rows was compressed again: once a day is enough, since each time takes the whole chunk.
#[derive(Debug, Default)]
pub(super) struct Again(Mutex<i64>);

impl Again {
    fn is_done(&self, day: i64) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == day
    }

    fn set_done(&self, day: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = day;
    }
}

/// Sets the policy of readings to the configured age.
pub(super) async fn set_policy(db: &ClientWrapper, after_days: u32) -> Result<(), Error> {
    let days = i32::try_from(after_days).unwrap_or(i32::MAX);
    let same = "SELECT FROM timescaledb_information.jobs
                WHERE hypertable_schema = current_schema() AND hypertable_name = 'reading' AND proc_name = 'policy_compression'
                  AND (config->>'compress_after')::interval = make_interval(days => $1)";
    if db.query_opt(same, &[&days]).await?.is_none() {
        db.batch_execute(&format!(
            "BEGIN; SELECT remove_compression_policy('reading', if_exists => true);
             SELECT add_compression_policy('reading', make_interval(days => {days})); COMMIT"
        ))
        .await?;
    }
    Ok(())
}

/// Compresses at most one chunk. True when there may be another.
pub(super) async fn step(
    db: &ClientWrapper,
    contact: &Contact,
    after_days: u32,
    again: &Again,
    now: i64,
) -> Result<bool, Error> {
    if contact.kind == Kind::Plain {
        return Ok(false);
    }
    let before = now.saturating_sub(i64::from(after_days).saturating_mul(DAY));
    let today = now.div_euclid(DAY);
    let mut partial = None;
    for table in ["reading", "minute", "hour"] {
        for chunk in chunk::list(db, contact.kind, table).await? {
            if chunk.to > before {
                continue;
            }
            if !chunk.compressed {
                return compress(db, contact, &chunk.name, false).await;
            }
            if partial.is_none() && !again.is_done(today) && is_partial(db, contact, &chunk).await? {
                partial = Some(chunk.name);
            }
        }
    }
    if let Some(name) = partial {
        return compress(db, contact, &name, true).await;
    }
    again.set_done(today);
    Ok(false)
}

/// There are later rows beside what is compressed.
async fn is_partial(db: &ClientWrapper, contact: &Contact, chunk: &Chunk) -> Result<bool, Error> {
    let schema = if contact.server.timescale < Some(FUNCTIONS_FROM) {
        "_timescaledb_internal"
    } else {
        "_timescaledb_functions"
    };
    let sql = format!("SELECT {schema}.chunk_status(to_regclass($1::text)) & 8 <> 0");
    Ok(db.query_one(&sql, &[&chunk.name]).await?.try_get::<_, Option<bool>>(0)?.unwrap_or(false))
}

/// Compresses a chunk, also one that is already compressed and got later rows.
pub(super) async fn seal(db: &ClientWrapper, contact: &Contact, chunk: &Chunk) -> Result<(), Error> {
    if !chunk.compressed || is_partial(db, contact, chunk).await? {
        compress(db, contact, &chunk.name, chunk.compressed).await?;
    }
    Ok(())
}

/// True, so that the next step looks for another.
async fn compress(db: &ClientWrapper, contact: &Contact, name: &str, again: bool) -> Result<bool, Error> {
    if again && contact.server.timescale < Some(AGAIN_FROM) {
        db.batch_execute(&format!("CALL recompress_chunk('{name}', if_not_compressed => true)")).await?;
    } else {
        db.batch_execute(&format!("SELECT compress_chunk('{name}', if_not_compressed => true)")).await?;
    }
    tracing::debug!(chunk = name, again, "compressed");
    Ok(true)
}
