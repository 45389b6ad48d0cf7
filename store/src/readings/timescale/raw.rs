//! Readings as they were measured.

use std::sync::Arc;

use super::link::Link;
use super::memory::row_at;
use super::types::Micros;
use super::{Error, Metric, Reading, Subject, Time};

/// Rows one call returns at most, whatever limit is asked.
pub(super) const RAW_ROWS_MAX: usize = 1_000_000;

const RAW: &str = "SELECT ts, value, device, quality FROM reading
  WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 AND quality <> 255 ORDER BY ts LIMIT $5";

/// The first `limit` readings with `from <= taken_at < to` in time order.
pub(super) fn raw(
    link: &Arc<Link>,
    (subject, metric): (Subject, Metric),
    (from, to): (Time, Time),
    limit: usize,
) -> Result<Vec<Reading>, Error> {
    let limit = limit.min(RAW_ROWS_MAX) as i64;
    link.ask(async move |db| {
        let statement = db.prepare_cached(RAW).await?;
        let (number, id) = (i64::from(subject.to_u32()), i32::from(metric.id()));
        let found = db.query(&statement, &[&number, &id, &Micros::from(from), &Micros::from(to), &limit]).await?;
        found.iter().map(|row| Ok(row_at(row, 0)?.reading(subject, metric))).collect()
    })
}
