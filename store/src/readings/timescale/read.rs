//! Questions about stored readings other than their trend: origins, series, and everything of a series page by page.

use deadpool_postgres::ClientWrapper;
use model::{Metric, Origin, Quality, Reading, Subject, Time};
use tokio_postgres::Row as Found;

use super::Error;
use super::answer::{Page, Series, Stored};
use super::memory::row_at;
use super::raw::RAW_ROWS_MAX;
use super::row::{MOVED, Row};
use super::types::Micros;

const ORIGIN: &str =
    "SELECT raw, unit, device_ms, uncertainty_ms FROM origin WHERE subject = $1 AND metric = $2 AND ts = $3";
/// `$1` and `$2`: the series before the first one.
const SERIES: &str = "SELECT subject, metric, count(*) FROM {table}
  WHERE subject >= $1 AND (subject > $1 OR metric > $2) GROUP BY subject, metric ORDER BY subject, metric LIMIT $3";
const SERIES_OF: &str =
    "SELECT subject, metric, count(*) FROM {table} WHERE subject = $1 GROUP BY subject, metric ORDER BY metric";
const PAGE: &str = "SELECT r.ts, r.value, r.device, r.quality, o.ts IS NOT NULL, o.raw, o.unit, o.device_ms, o.uncertainty_ms
  FROM (SELECT ts, value, device, quality FROM reading WHERE subject = $1 AND metric = $2 AND ts > $3 ORDER BY ts LIMIT $4) r
  LEFT JOIN origin o ON o.subject = $1 AND o.metric = $2 AND o.ts = r.ts ORDER BY r.ts";

/// The numbers of a series as the tables have them.
pub(super) fn numbers((subject, metric): (Subject, Metric)) -> (i64, i32) {
    (i64::from(subject.to_u32()), i32::from(metric.id()))
}

/// What the device itself wrote of the reading of this instant.
pub(super) async fn origin(db: &ClientWrapper, of: (Subject, Metric), at: Time) -> Result<Option<Origin>, Error> {
    let (subject, metric) = numbers(of);
    let statement = db.prepare_cached(ORIGIN).await?;
    let found = db.query_opt(&statement, &[&subject, &metric, &Micros::from(at)]).await?;
    found.map(|row| origin_at(&row, 0)).transpose()
}

fn origin_at(row: &Found, first: usize) -> Result<Origin, Error> {
    let raw: Option<String> = row.try_get(first)?;
    let unit: Option<String> = row.try_get(first + 1)?;
    let uncertainty: Option<i64> = row.try_get(first + 3)?;
    Ok(Origin {
        index: 0,
        raw: raw.map(|raw| (raw, unit.unwrap_or_default())),
        device_ms: row.try_get(first + 2)?,
        uncertainty_ms: uncertainty.and_then(|ms| u32::try_from(ms).ok()),
    })
}

/// Series of `reading` or `waveform` after this one, with the number of their rows. A metric that is not known is left out.
pub(super) async fn series(
    db: &ClientWrapper,
    table: &str,
    after: Option<(Subject, Metric)>,
    limit: usize,
) -> Result<Vec<Series>, Error> {
    let (subject, metric) = after.map_or((-1, -1), numbers);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    counted(&db.query(&SERIES.replace("{table}", table), &[&subject, &metric, &limit]).await?)
}

/// The series of one subject.
pub(super) async fn series_of(db: &ClientWrapper, table: &str, subject: Subject) -> Result<Vec<Series>, Error> {
    counted(&db.query(&SERIES_OF.replace("{table}", table), &[&i64::from(subject.to_u32())]).await?)
}

fn counted(found: &[Found]) -> Result<Vec<Series>, Error> {
    let one = |row: &Found| {
        let subject = u32::try_from(row.try_get::<_, i64>(0)?).map_err(|_| Error::corrupt("an impossible subject"))?;
        let metric = u16::try_from(row.try_get::<_, i32>(1)?).ok().and_then(Metric::from_id);
        let rows = row.try_get::<_, i64>(2)?.max(0) as u64;
        Ok(metric.map(|metric| Series { subject: Subject::from_u32(subject), metric, rows }))
    };
    found.iter().filter_map(|row| one(row).transpose()).collect()
}

/// Everything stored of a series after an instant, in time order.
pub(super) async fn page(db: &ClientWrapper, of: (Subject, Metric), after: Time, limit: usize) -> Result<Page, Error> {
    let (subject, metric) = numbers(of);
    let limit = limit.clamp(1, RAW_ROWS_MAX);
    let statement = db.prepare_cached(PAGE).await?;
    let found = db.query(&statement, &[&subject, &metric, &Micros::from(after), &(limit as i64 + 1)]).await?;
    let rows = found.iter().take(limit).map(|row| stored(row, of)).collect::<Result<_, Error>>()?;
    Ok(Page { rows, more: found.len() > limit })
}

fn stored(found: &Found, (subject, metric): (Subject, Metric)) -> Result<Stored, Error> {
    let row = row_at(found, 0)?;
    let moved = row.quality == MOVED;
    let shown = if moved { Row { quality: Quality::Ok.id(), ..row } } else { row };
    let Reading { device, sample, .. } = shown.reading(subject, metric);
    let origin = if found.try_get(4)? { Some(origin_at(found, 5)?) } else { None };
    Ok(Stored { device, sample, moved, origin })
}
