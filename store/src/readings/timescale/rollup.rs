//! Makes the rollups, hour by hour behind the clock, and makes days anew that got late rows.
//!
//! `state.rollup_claimed` goes first: a writer looks at it under the lock of that row, so once it is raised every row below it is either
//! there to be seen or leaves a mark in `late`. Then rollups are made below it, a window at a time, and `state.rollup_done` follows.
//! A late day is made anew for its series alone, from its rows, and then its mark goes unless it was set again meanwhile.

use deadpool_postgres::ClientWrapper;
use tokio::time::Instant;

use super::Error;
use super::chunk;
use super::digest::{HOUR, floor};
use super::link::Contact;
use super::migrate::Kind;
use super::types::Micros;

/// Rollups follow the clock at this distance: what comes later than that costs a late day. Microseconds.
const BEHIND: i64 = HOUR / 2;
/// While a backlog is stored rollups stay behind, so that its rows are not late; at most so far. Microseconds.
const HELD: i64 = 6 * HOUR;
/// Time rolled up in one transaction. Microseconds.
const WINDOW: i64 = 6 * HOUR;
/// Late days looked at in one go.
const LATE_AT_ONCE: i64 = 1_000;
/// One day (UTC), microseconds.
const DAY: i64 = 24 * HOUR;
/// Spans of partitions. Microseconds.
const MINUTE_PARTITION: i64 = 7 * DAY;
const HOUR_PARTITION: i64 = 70 * DAY;
/// From this version on a refresh cuts its window into batches of ten buckets unless told otherwise.
const BATCHES_FROM: (u32, u32) = (2, 28);

const MINUTES: &str = "
INSERT INTO minute_rows (bucket, subject, metric, n, sum, min, max, first_at, last_at, rows, first_row, last_row,
  absent, cause_low, cause_high)
SELECT date_bin('1 minute', ts, timestamptz 'epoch'), subject, metric,
  count(*) FILTER (WHERE quality IN (0, 2)),
  sum(least(greatest(value, -1e300), 1e300)) FILTER (WHERE quality IN (0, 2)),
  min(value) FILTER (WHERE quality IN (0, 2)), max(value) FILTER (WHERE quality IN (0, 2)),
  min(ts) FILTER (WHERE quality IN (0, 2)), max(ts) FILTER (WHERE quality IN (0, 2)),
  count(*), min(ts), max(ts),
  count(*) FILTER (WHERE quality >= 16), min(quality) FILTER (WHERE quality >= 16), max(quality) FILTER (WHERE quality >= 16)
FROM reading WHERE quality <> 255 AND ts >= $1 AND ts < $2";

const HOURS: &str = "
INSERT INTO hour_rows (bucket, subject, metric, n, sum, min, max, first_at, last_at, rows, first_row, last_row,
  absent, cause_low, cause_high, minutes, first_late, last_early)
SELECT date_bin('1 hour', bucket, timestamptz 'epoch'), subject, metric,
  sum(n)::int8, sum(least(greatest(sum, -1e300), 1e300)) FILTER (WHERE n > 0), min(min), max(max), min(first_at), max(last_at),
  sum(rows)::int8, min(first_row), max(last_row), sum(absent)::int8, min(cause_low), max(cause_high),
  count(*) FILTER (WHERE n > 0), max(first_at - bucket), min(last_at - bucket)
FROM minute_rows WHERE bucket >= $1 AND bucket < $2";

/// Makes what is due, until there is nothing left (true) or the time is up.
pub(super) async fn make(
    db: &ClientWrapper,
    contact: &Contact,
    (now, is_draining): (i64, bool),
    until: Instant,
) -> Result<bool, Error> {
    let behind = if is_draining { HELD } else { BEHIND };
    let goal = floor(now.saturating_sub(behind), HOUR);
    let raise = "UPDATE state SET rollup_claimed = $1 WHERE rollup_claimed < $1";
    db.execute(raise, &[&Micros(goal)]).await?;
    let state = db.query_one("SELECT rollup_done, rollup_claimed FROM state", &[]).await?;
    let (mut done, claimed) = (state.try_get::<_, Micros>(0)?.0, state.try_get::<_, Micros>(1)?.0);
    if done >= claimed {
        return Ok(true);
    }
    let chunks = chunk::list(db, contact.kind, "reading").await?;
    while done < claimed && Instant::now() < until {
        // Nothing can be before the next chunk.
        let next = chunks.iter().find(|chunk| chunk.to > done).map_or(claimed, |chunk| floor(chunk.from, HOUR));
        let start = next.max(done).min(claimed);
        let end = floor(start, WINDOW).saturating_add(WINDOW).min(claimed);
        if start < end {
            window(db, contact, (start, end)).await?;
        }
        set_done(db, end).await?;
        done = end;
    }
    Ok(done >= claimed)
}

async fn set_done(db: &ClientWrapper, done: i64) -> Result<(), Error> {
    db.execute("UPDATE state SET rollup_done = $1 WHERE rollup_done < $1", &[&Micros(done)]).await?;
    Ok(())
}

async fn window(db: &ClientWrapper, contact: &Contact, (from, to): (i64, i64)) -> Result<(), Error> {
    match contact.kind {
        Kind::Plain => {
            chunk::make(db, "minute", MINUTE_PARTITION, (from, to)).await?;
            chunk::make(db, "hour", HOUR_PARTITION, (from, to)).await?;
            db.batch_execute("BEGIN").await?;
            for table in ["minute_rows", "hour_rows"] {
                // There is something only after a crash of the server between this and `set_done`.
                let sql = format!("DELETE FROM {table} WHERE bucket >= $1 AND bucket < $2");
                db.execute(&sql, &[&Micros(from), &Micros(to)]).await?;
            }
            // In the order of reading: what belongs to a series lies together.
            for sql in [MINUTES, HOURS] {
                db.execute(&format!("{sql} GROUP BY 1, 2, 3 ORDER BY 2, 3, 1"), &[&Micros(from), &Micros(to)]).await?;
            }
            db.batch_execute("COMMIT").await?;
        }
        Kind::Timescale => {
            let batches = contact.server.timescale >= Some(BATCHES_FROM);
            let options = if batches { ", options => '{\"buckets_per_batch\": 0}'" } else { "" };
            let at = |us: i64| format!("to_timestamp({})", us.div_euclid(1_000_000));
            for view in ["minute", "hour"] {
                let (from, to) = (at(from), at(to));
                db.batch_execute(&format!("CALL refresh_continuous_aggregate('{view}', {from}, {to}{options})"))
                    .await?;
            }
        }
    }
    Ok(())
}

/// A series' day whose rollups lack rows.
#[derive(Clone, Copy, Debug)]
struct Late {
    subject: i64,
    metric: i32,
    day: i32,
    /// The mark as it was seen: it goes only if it is still the same.
    seq: i64,
}

/// Makes late days anew, the newest first, until there is none left (true) or the time is up.
pub(super) async fn make_late(db: &ClientWrapper, kind: Kind, until: Instant) -> Result<bool, Error> {
    let done = db.query_one("SELECT rollup_done FROM state", &[]).await?.try_get::<_, Micros>(0)?.0;
    let marks = "SELECT l.subject, l.metric, l.day, l.seq, coalesce(s.until, '-infinity') FROM late l
                 LEFT JOIN swept s ON s.what = 'reading' AND s.metric = l.metric
                 WHERE l.day <= $1 ORDER BY l.day DESC, l.subject, l.metric LIMIT $2";
    let last_day = i32::try_from(done.div_euclid(DAY)).unwrap_or(i32::MIN);
    let found = db.query(marks, &[&last_day, &LATE_AT_ONCE]).await?;
    for row in &found {
        if Instant::now() >= until {
            return Ok(false);
        }
        let (subject, metric, day, seq) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        let late = Late { subject, metric, day, seq };
        let start = i64::from(day) * DAY;
        let kept_from = row.try_get::<_, Micros>(4)?.0;
        again(db, kind, late, (start.max(kept_from), (start + DAY).min(done))).await?;
    }
    Ok((found.len() as i64) < LATE_AT_ONCE)
}

async fn again(db: &ClientWrapper, kind: Kind, late: Late, (from, to): (i64, i64)) -> Result<(), Error> {
    let Late { subject, metric, day, seq } = late;
    if from < to {
        if kind == Kind::Plain {
            chunk::make(db, "minute", MINUTE_PARTITION, (from, to)).await?;
            chunk::make(db, "hour", HOUR_PARTITION, (from, to)).await?;
        }
        db.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan").await?;
        unpack_without_limit(db, kind).await?;
        for (table, sql) in [("minute_rows", MINUTES), ("hour_rows", HOURS)] {
            let delete =
                format!("DELETE FROM {table} WHERE bucket >= $1 AND bucket < $2 AND subject = $3 AND metric = $4");
            let insert = format!("{sql} AND subject = $3 AND metric = $4 GROUP BY 1, 2, 3");
            for sql in [delete, insert] {
                db.execute(&sql, &[&Micros(from), &Micros(to), &subject, &metric]).await?;
            }
        }
        db.batch_execute("COMMIT").await?;
    }
    // A mark that a writer holds just now is set again by it.
    let sql = "DELETE FROM late WHERE ctid = ANY(ARRAY(SELECT ctid FROM late
               WHERE subject = $1 AND metric = $2 AND day = $3 AND seq = $4 FOR UPDATE SKIP LOCKED))";
    db.execute(sql, &[&subject, &metric, &day, &seq]).await?;
    Ok(())
}

/// Our own changes to compressed chunks are bounded by what they ask for, so TimescaleDB's limit is not needed. Versions that do not
/// know it refuse to hear of it.
pub(super) async fn unpack_without_limit(db: &ClientWrapper, kind: Kind) -> Result<(), Error> {
    if kind == Kind::Timescale {
        let limit = "timescaledb.max_tuples_decompressed_per_dml_transaction";
        let sql = "SELECT set_config($1, '0', true) WHERE current_setting($1, true) IS NOT NULL";
        db.query(sql, &[&limit]).await?;
    }
    Ok(())
}
