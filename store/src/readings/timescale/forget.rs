//! Deletes everything of one person: rows, also compressed ones, chunk by chunk, waveforms, origins, and all that was made of them;
//! also what the marks of rows that were moved here still tell of them.
//!
//! Each step is a transaction of its own, so that nobody waits long for it; when one fails, the same call goes on where it ended.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use model::Subject;
use tokio::time::Instant;

use super::Error;
use super::answer::Forgotten;
use super::chunk;
use super::marks;
use super::migrate::Kind;
use super::retention::Gone;
use super::rollup::{self, unpack_without_limit};
use super::types::Micros;

/// Making late days anew takes at most so long.
const LATE_LIMIT: Duration = Duration::from_mins(5);

const COUNTS: &str = "
SELECT (SELECT count(*) FROM (SELECT DISTINCT metric FROM reading WHERE subject = $1) m),
  (SELECT count(*) FROM waveform WHERE subject = $1), (SELECT count(*) FROM origin WHERE subject = $1)";

/// Deletes and counts. `gone`: readings to be subtracted from the count in memory.
pub(super) async fn forget(db: &ClientWrapper, kind: Kind, subject: Subject, gone: &Gone) -> Result<Forgotten, Error> {
    let subject = i64::from(subject.to_u32());
    marks::blank(db, kind).await?;
    // Rollups of days that held what was moved to this person; the upkeep makes what is left.
    let until = Instant::now() + LATE_LIMIT;
    while !rollup::make_late(db, kind, until).await? && Instant::now() < until {}
    let counts = db.query_one(COUNTS, &[&subject]).await?;
    let count = |i: usize| counts.try_get::<_, i64>(i).map(|count| count.max(0) as u64);
    let mut forgotten = Forgotten { series: count(0)?, rows: 0, waves: count(1)?, origins: count(2)? };
    for table in ["late", "latest", "origin", "waveform"] {
        clear(db, kind, table, subject).await?;
    }
    for chunk in chunk::list(db, kind, "reading").await? {
        begin(db, kind).await?;
        let (from, to) = (Micros(chunk.from), Micros(chunk.to));
        let sql = "SELECT count(*) FROM reading WHERE subject = $1 AND ts >= $2 AND ts < $3";
        let rows: i64 = db.query_one(sql, &[&subject, &from, &to]).await?.try_get(0)?;
        if rows > 0 {
            db.execute("DELETE FROM reading WHERE subject = $1 AND ts >= $2 AND ts < $3", &[&subject, &from, &to])
                .await?;
        }
        gone.commit(db, rows).await?;
        forgotten.rows += rows.max(0) as u64;
    }
    // Last: nothing can make them again now.
    for table in ["minute_rows", "hour_rows"] {
        clear(db, kind, table, subject).await?;
    }
    Ok(forgotten)
}

async fn begin(db: &ClientWrapper, kind: Kind) -> Result<(), Error> {
    db.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan").await?;
    unpack_without_limit(db, kind).await
}

async fn clear(db: &ClientWrapper, kind: Kind, table: &str, subject: i64) -> Result<(), Error> {
    begin(db, kind).await?;
    db.execute(&format!("DELETE FROM {table} WHERE subject = $1"), &[&subject]).await?;
    db.batch_execute("COMMIT").await?;
    Ok(())
}
