//! Gives up what is older than the settings keep: whole chunks where everything in them is old enough, rows of those metrics that are kept
//! shorter than others. `swept` remembers how far that has come, because from there on rollups answer instead of rows.
//!
//! Rows never go before their rollups are made and nothing late is left to be put into them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use deadpool_postgres::ClientWrapper;
use model::Metric;

use super::digest::{HOUR, floor};
use super::migrate::Kind;
use super::rollup::unpack_without_limit;
use super::types::Micros;
use super::{Error, Retention, chunk};

/// One day (UTC), microseconds.
const DAY: i64 = 24 * HOUR;

/// The instant before which something may go that is kept for so many days; `None`: for ever.
fn cutoff(now: i64, days: u32) -> Option<i64> {
    (days > 0).then(|| floor(now.saturating_sub(i64::from(days).saturating_mul(DAY)), DAY))
}

/// Drops and deletes what is due. Does nothing when it was done for this day.
pub(super) async fn sweep(
    db: &ClientWrapper,
    kind: Kind,
    keep: &Retention,
    now: i64,
    gone: &Gone,
) -> Result<(), Error> {
    let settled = settled(db).await?;
    let limited = |days: u32| cutoff(now, days).map(|at| at.min(settled));
    sweep_readings(db, kind, keep, &limited, gone).await?;
    for (table, before) in [
        ("minute", limited(keep.minute_days)),
        ("hour", limited(keep.hour_days)),
        ("waveform", cutoff(now, keep.waveform_days)),
    ] {
        let Some(before) = before else { continue };
        let until = whole(db, kind, table, before).await?;
        if until > swept(db, table, &[0]).await? {
            drop_chunks(db, kind, (table, &[0]), until, gone).await?;
        }
    }
    Ok(())
}

/// Below this, rollups hold everything.
async fn settled(db: &ClientWrapper) -> Result<i64, Error> {
    let row = db.query_one("SELECT rollup_done, (SELECT min(day) FROM late) FROM state", &[]).await?;
    let late = row.try_get::<_, Option<i32>>(1)?.map_or(i64::MAX, |day| i64::from(day) * DAY);
    Ok(floor(row.try_get::<_, Micros>(0)?.0.min(late), DAY))
}

async fn sweep_readings(
    db: &ClientWrapper,
    kind: Kind,
    keep: &Retention,
    limited: &impl Fn(u32) -> Option<i64>,
    gone: &Gone,
) -> Result<(), Error> {
    let of = |metric: &Metric| limited(keep.raw_days(*metric));
    let all: Vec<i32> = Metric::ALL.iter().map(|metric| i32::from(metric.id())).collect();
    // Chunks go when even the metric that is kept longest is done with them; never when one is kept for ever.
    let longest = Metric::ALL.iter().map(of).try_fold(i64::MAX, |longest, at| Some(longest.min(at?)));
    if let Some(before) = longest {
        let until = whole(db, kind, "reading", before).await?;
        if until > swept(db, "reading", &all).await? {
            // Their index leads to them; nobody waits for this.
            db.execute("DELETE FROM origin WHERE ts < $1", &[&Micros(until)]).await?;
            drop_chunks(db, kind, ("reading", &all), until, gone).await?;
        }
    }
    let mut shorter: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
    for metric in Metric::ALL {
        if let Some(before) = of(metric).filter(|before| longest.is_none_or(|longest| *before > longest)) {
            shorter.entry(before).or_default().push(i32::from(metric.id()));
        }
    }
    for (before, metrics) in shorter {
        delete(db, kind, &metrics, before, gone).await?;
    }
    Ok(())
}

/// Drops the chunks that end at or before `until`, each in a transaction of its own with how far that has come: whoever reads in between
/// finds rows or is told that they are gone.
async fn drop_chunks(
    db: &ClientWrapper,
    kind: Kind,
    (table, metrics): (&str, &[i32]),
    until: i64,
    gone: &Gone,
) -> Result<(), Error> {
    let old: Vec<_> = chunk::list(db, kind, table).await?.into_iter().filter(|chunk| chunk.to <= until).collect();
    for chunk in &old {
        let mut count = 0;
        if table == "reading" {
            // Nothing comes any more before this instant. Counted first, so that the writer does not wait for it.
            let sql = "SELECT count(*) FROM reading WHERE ts >= $1 AND ts < $2";
            count = db.query_one(sql, &[&Micros(chunk.from), &Micros(chunk.to)]).await?.try_get(0)?;
        }
        db.batch_execute("BEGIN").await?;
        reach(db, table, chunk.to).await?;
        chunk::drop_one(db, kind, table, chunk).await?;
        set_swept(db, table, metrics, chunk.to).await?;
        gone.commit(db, count).await?;
    }
    // Between chunks there is nothing.
    reach(db, table, until).await?;
    set_swept(db, table, metrics, until).await?;
    if !old.is_empty() {
        tracing::info!(table, chunks = old.len(), "retention dropped what is older than it keeps");
    }
    Ok(())
}

/// Takes the lock of the state's row, before the chunks, in the order in which the writer takes its locks: neither can wait for the other in
/// a circle. Readings before this instant are given up.
async fn reach(db: &ClientWrapper, table: &str, until: i64) -> Result<(), Error> {
    let until = if table == "reading" { until } else { i64::MIN };
    db.execute("UPDATE state SET kept_from = greatest(kept_from, $1)", &[&Micros(until)]).await?;
    Ok(())
}

/// Rows of metrics that are kept shorter than others, chunk by chunk.
async fn delete(db: &ClientWrapper, kind: Kind, metrics: &[i32], before: i64, gone: &Gone) -> Result<(), Error> {
    let done = swept(db, "reading", metrics).await?;
    if done >= before {
        return Ok(());
    }
    for chunk in chunk::list(db, kind, "reading").await? {
        let (from, to) = (chunk.from.max(done), chunk.to.min(before));
        if from >= to {
            continue;
        }
        let delete = |table: &str| format!("DELETE FROM {table} WHERE metric = ANY($1) AND ts >= $2 AND ts < $3");
        db.execute(&delete("origin"), &[&metrics, &Micros(from), &Micros(to)]).await?;
        db.batch_execute("BEGIN; SET LOCAL plan_cache_mode = force_custom_plan").await?;
        unpack_without_limit(db, kind).await?;
        let count = db.execute(&delete("reading"), &[&metrics, &Micros(from), &Micros(to)]).await?;
        set_swept(db, "reading", metrics, to).await?;
        gone.commit(db, i64::try_from(count).unwrap_or(i64::MAX)).await?;
    }
    set_swept(db, "reading", metrics, before).await
}

/// The end of the last chunk that is wholly before this instant; the instant itself when no chunk holds it.
async fn whole(db: &ClientWrapper, kind: Kind, table: &str, before: i64) -> Result<i64, Error> {
    let chunks = chunk::list(db, kind, table).await?;
    Ok(chunks.iter().find(|chunk| chunk.from < before && chunk.to > before).map_or(before, |chunk| chunk.from))
}

/// How far retention has come for all of these.
async fn swept(db: &ClientWrapper, what: &str, metrics: &[i32]) -> Result<i64, Error> {
    let sql = "SELECT coalesce(min(coalesce(s.until, '-infinity')), '-infinity') FROM unnest($2::int4[]) AS m(metric)
               LEFT JOIN swept s ON s.what = $1 AND s.metric = m.metric";
    Ok(db.query_one(sql, &[&what, &metrics]).await?.try_get::<_, Micros>(0)?.0)
}

async fn set_swept(db: &ClientWrapper, what: &str, metrics: &[i32], until: i64) -> Result<(), Error> {
    let sql = "INSERT INTO swept (what, metric, until) SELECT $1, m.metric, $3 FROM unnest($2::int4[]) AS m(metric)
               ON CONFLICT (what, metric) DO UPDATE SET until = greatest(swept.until, excluded.until)";
    db.execute(sql, &[&what, &metrics, &Micros(until)]).await?;
    Ok(())
}

/// Counts readings that were deleted, also when what comes after fails.
#[derive(Debug, Default)]
pub(super) struct Gone(AtomicI64);

impl Gone {
    /// Commits the transaction in hand, which deleted so many readings.
    pub(super) async fn commit(&self, db: &ClientWrapper, count: i64) -> Result<(), Error> {
        db.execute("UPDATE state SET rows = rows - $1", &[&count]).await?;
        db.batch_execute("COMMIT").await?;
        self.0.fetch_add(count, Ordering::AcqRel);
        Ok(())
    }

    /// Readings known to be deleted.
    pub(super) fn total(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_younger_than_its_days_stays() {
        let now = 100 * DAY + 5 * HOUR;
        assert_eq!(cutoff(now, 90), Some(10 * DAY));
        assert_eq!(cutoff(now, 0), None);
        assert!(cutoff(i64::MIN, u32::MAX).is_some());
    }
}
