//! Values that are kept and not judged, found by their quality: whole hours without any are known from their rollups and not looked at.

use deadpool_postgres::ClientWrapper;
use model::{Metric, Quality, Subject};

use super::Error;
use super::answer::Doubtful;
use super::ask::Asker;
use super::digest::{HOUR, MINUTE};
use super::memory::row_at;
use super::plan::{Source, spans, whole_hours};
use super::read::numbers;
use super::trends::{ONE_MOMENT, late};
use super::types::Micros;

/// Hours with rows that are neither judged nor without a value, among the whole hours of the range.
const HOURS: &str = "SELECT h.bucket FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s(a, b)
  JOIN hour h ON h.subject = $1 AND h.metric = $2 AND h.bucket >= s.a AND h.bucket < s.b
    AND h.bucket >= $5 AND h.bucket < $6 AND h.rows > h.n + h.absent";
const ROWS: &str =
    "SELECT r.ts, r.value, r.device, r.quality FROM unnest($3::timestamptz[], $4::timestamptz[]) AS s(a, b)
  JOIN reading r ON r.subject = $1 AND r.metric = $2 AND r.ts >= s.a AND r.ts < s.b
    AND r.ts >= $5 AND r.ts < $6 AND r.quality = ANY($7) ORDER BY r.ts LIMIT $8";

/// The first `rows_max` of them in the range.
pub(super) async fn doubtful(
    db: &ClientWrapper,
    of: (Subject, Metric),
    range: (i64, i64),
    rows_max: usize,
) -> Result<Doubtful, Error> {
    db.batch_execute(ONE_MOMENT).await?;
    let (subject, metric) = numbers(of);
    let places = places(db, of, range).await?;
    let (from, to) = ends(&places);
    let wanted: Vec<i16> = Quality::ALL
        .iter()
        .filter(|quality| quality.has_value() && !quality.is_judged())
        .map(|quality| i16::from(quality.id()))
        .collect();
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX).saturating_add(1);
    let (first, last) = span(&places);
    let found = db.query(ROWS, &[&subject, &metric, &from, &to, &first, &last, &wanted, &limit]).await?;
    db.batch_execute("COMMIT").await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        rows.push(row_at(row, 0)?.reading(of.0, of.1));
    }
    let until = rows.get(rows_max).map(|row| row.sample.taken_at);
    rows.truncate(rows_max);
    Ok(Doubtful { scanned: rows.len(), rows, until })
}

/// Stretches of the range in which there may be some.
async fn places(db: &ClientWrapper, of: (Subject, Metric), range: (i64, i64)) -> Result<Vec<(i64, i64)>, Error> {
    let edges = Asker::edges(db, of.1).await?;
    let subjects = [of.0];
    let asker = Asker { db, subjects: &subjects, metric: of.1 };
    let late = late(&asker, range).await?.pop().unwrap_or_default();
    let (mut places, mut whole) = (Vec::new(), Vec::new());
    // What is gone is not looked for.
    for span in spans((range.0.max(edges.rows_from), range.1), MINUTE, edges, &late) {
        match whole_hours(span).filter(|_| span.source == Source::Minutes) {
            Some((from, to)) => {
                places.push((span.from, from));
                whole.push((from, to));
                places.push((to, span.to));
            }
            None => places.push((span.from, span.to)),
        }
    }
    let ((subject, metric), (from, to), (first, last)) = (numbers(of), ends(&whole), span(&whole));
    for row in db.query(HOURS, &[&subject, &metric, &from, &to, &first, &last]).await? {
        let hour = row.try_get::<_, Micros>(0)?.0;
        places.push((hour, hour.saturating_add(HOUR)));
    }
    places.retain(|(from, to)| from < to);
    Ok(places)
}

/// Where they begin, and where they end.
fn ends(places: &[(i64, i64)]) -> (Vec<Micros>, Vec<Micros>) {
    places.iter().map(|(from, to)| (Micros(*from), Micros(*to))).unzip()
}

/// From the first to the last, so that the planner can leave out chunks.
fn span(places: &[(i64, i64)]) -> (Micros, Micros) {
    let first = places.iter().map(|(from, _)| *from).min().unwrap_or(0);
    (Micros(first), Micros(places.iter().map(|(_, to)| *to).max().unwrap_or(0)))
}
