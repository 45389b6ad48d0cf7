//! Values that are kept and not judged, found by their quality: whole hours without any are known from their rollups and not looked at.
//! However many hours have some, the rows that are looked at are bounded: from the beginning of the range as far as that goes.

use deadpool_postgres::ClientWrapper;
use model::{Metric, Quality, Subject};

use super::answer::Doubtful;
use super::ask::Asker;
use super::backend::SCANNED_MAX;
use super::digest::{HOUR, MINUTE};
use super::memory::row_at;
use super::plan::{Source, spans, whole_hours};
use super::read::numbers;
use super::trends::{ONE_MOMENT, late};
use super::types::Micros;
use super::{Error, Time};

/// Rows of any quality that one question looks at. A limit of work: at one a second about three and a half days.
const LOOKED_AT_MAX: usize = SCANNED_MAX;

/// Hours with rows that are neither judged nor without a value, among the whole hours of the range.
const HOURS: &str = "SELECT h.bucket, h.rows FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s(a, b)
  JOIN hour h ON h.subject = $1 AND h.metric = $2 AND h.bucket >= s.a AND h.bucket < s.b
    AND h.bucket >= $5 AND h.bucket < $6 AND h.rows > h.n + h.absent
  ORDER BY h.bucket LIMIT $7";
/// How many rows a place has, at most so many, and the last of these.
const COUNT: &str = "SELECT count(*), max(ts) FROM (SELECT ts FROM reading
  WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 ORDER BY ts LIMIT $5) AS first";
const ROWS: &str =
    "SELECT r.ts, r.value, r.device, r.quality FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s(a, b)
  JOIN reading r ON r.subject = $1 AND r.metric = $2 AND r.ts >= s.a AND r.ts < s.b
    AND r.ts >= $5 AND r.ts < $6 AND r.quality = ANY($7) ORDER BY r.ts LIMIT $8";

/// A stretch in which there may be some: `from <= time < to`.
#[derive(Clone, Copy, Debug)]
struct Place {
    from: i64,
    to: i64,
    /// Rows in it, where a rollup tells.
    rows: Option<u64>,
}

/// The first `rows_max` of them in the range.
pub(super) async fn doubtful(
    db: &ClientWrapper,
    of: (Subject, Metric),
    range: (i64, i64),
    rows_max: usize,
) -> Result<Doubtful, Error> {
    db.batch_execute(ONE_MOMENT).await?;
    let (subject, metric) = numbers(of);
    let (places, end) = within_limit(db, of, places(db, of, range).await?).await?;
    let wanted: Vec<i16> = Quality::ALL
        .iter()
        .filter(|quality| quality.has_value() && !quality.is_judged())
        .map(|quality| i16::from(quality.id()))
        .collect();
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX).saturating_add(1);
    let ((from, to), (first, last)) = (ends(&places), span(&places));
    let found = db.query(ROWS, &[&subject, &metric, &from, &to, &first, &last, &wanted, &limit]).await?;
    db.batch_execute("COMMIT").await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        rows.push(row_at(row, 0)?.reading(of.0, of.1));
    }
    let until = rows.get(rows_max).map(|row| row.sample.taken_at).or(end.map(Time));
    rows.truncate(rows_max);
    Ok(Doubtful { scanned: rows.len(), rows, until })
}

/// What was found when there was no time to look: nothing.
pub(super) fn not_looked(from: Time) -> Doubtful {
    Doubtful { until: Some(from), ..Doubtful::default() }
}

/// Stretches of the range in which there may be some, in order. Beyond so many that no more can be looked at, some are left out.
async fn places(db: &ClientWrapper, of: (Subject, Metric), range: (i64, i64)) -> Result<Vec<Place>, Error> {
    let edges = Asker::edges(db, of.1).await?;
    let subjects = [of.0];
    let asker = Asker { db, subjects: &subjects, metric: of.1 };
    let late = late(&asker, range).await?.pop().unwrap_or_default();
    let (mut places, mut whole) = (Vec::new(), Vec::new());
    let unknown = |from, to| Place { from, to, rows: None };
    // What is gone is not looked for.
    for span in spans((range.0.max(edges.rows_from), range.1), MINUTE, edges, &late) {
        match whole_hours(span).filter(|_| span.source == Source::Minutes) {
            Some((from, to)) => {
                places.push(unknown(span.from, from));
                whole.push(unknown(from, to));
                places.push(unknown(to, span.to));
            }
            None => places.push(unknown(span.from, span.to)),
        }
    }
    let ((subject, metric), (from, to), (first, last)) = (numbers(of), ends(&whole), span(&whole));
    // Each has a row at least.
    let most = LOOKED_AT_MAX as i64 + 1;
    for row in db.query(HOURS, &[&subject, &metric, &from, &to, &first, &last, &most]).await? {
        let (hour, rows) = (row.try_get::<_, Micros>(0)?.0, row.try_get::<_, i64>(1)?);
        places.push(Place { from: hour, to: hour.saturating_add(HOUR), rows: Some(rows.max(0) as u64) });
    }
    places.retain(|place| place.from < place.to);
    places.sort_unstable_by_key(|place| place.from);
    Ok(places)
}

/// As many of them, the last perhaps in part, as have so many rows; and where that ends, if not all are among them.
async fn within_limit(
    db: &ClientWrapper,
    of: (Subject, Metric),
    mut places: Vec<Place>,
) -> Result<(Vec<Place>, Option<i64>), Error> {
    let ((subject, metric), mut left) = (numbers(of), LOOKED_AT_MAX as u64);
    for i in 0..places.len() {
        let Some(place) = places.get_mut(i) else { break };
        if let Some(rows) = place.rows.filter(|rows| *rows <= left) {
            left -= rows;
            continue;
        }
        let most = left as i64 + 1;
        let row = db.query_one(COUNT, &[&subject, &metric, &Micros(place.from), &Micros(place.to), &most]).await?;
        let rows = row.try_get::<_, i64>(0)?.max(0) as u64;
        if let Some(end) = row.try_get::<_, Option<Micros>>(1)?.filter(|_| rows > left) {
            place.to = end.0;
            places.truncate(i + 1);
            return Ok((places, Some(end.0)));
        }
        left -= rows.min(left);
    }
    Ok((places, None))
}

/// Where they begin, and where they end.
fn ends(places: &[Place]) -> (Vec<Micros>, Vec<Micros>) {
    places.iter().map(|place| (Micros(place.from), Micros(place.to))).unzip()
}

/// From the first to the last, so that the planner can leave out chunks.
fn span(places: &[Place]) -> (Micros, Micros) {
    let first = places.iter().map(|place| place.from).min().unwrap_or(0);
    (Micros(first), Micros(places.iter().map(|place| place.to).max().unwrap_or(0)))
}
