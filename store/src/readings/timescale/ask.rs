//! The questions a trend puts to the database, each for many stretches of time of many series at once.

use std::pin::pin;

use deadpool_postgres::ClientWrapper;
use futures_util::TryStreamExt as _;
use model::{Metric, Subject};
use tokio_postgres::Row as Found;
use tokio_postgres::types::ToSql;

use super::Error;
use super::digest::Cell;
use super::part::Part;
use super::plan::{Edges, Source};
use super::row::Row;
use super::types::Micros;

/// Rows handed over at once where there may be many.
const ROWS_AT_ONCE: usize = 8_192;

const EDGES: &str = "
SELECT state.rollup_done,
  coalesce((SELECT until FROM swept WHERE what = 'reading' AND metric = $1), '-infinity'),
  coalesce((SELECT until FROM swept WHERE what = 'minute' AND metric = 0), '-infinity')
FROM state";

const LATE: &str = "
SELECT s.i, late.day FROM unnest($1::int8[]) WITH ORDINALITY AS s(subject, i)
JOIN late ON late.subject = s.subject AND late.metric = $2 AND late.day BETWEEN $3 AND $4 ORDER BY 1, 2";

/// Where rows of several series come from; `$6` and `$7` let the planner leave out chunks.
const STRETCHES: &str =
    "FROM unnest($1::int4[], $2::int8[], $3::timestamptz[], $4::timestamptz[]) AS s(i, subject, a, b)";

const SUMS: &str = "sum(n)::int8 AS n, sum(sum) AS sum, min(min) AS min, max(max) AS max";

/// Numbers of buckets by the source they are summed up from.
fn cells_of(source: Source) -> String {
    let (table, at, sums, only) = match source {
        Source::Rows => (
            "reading",
            "ts",
            "count(*) AS n, sum(least(greatest(value, -1e300), 1e300)) AS sum, min(value) AS min, max(value) AS max",
            "quality IN (0, 2)",
        ),
        Source::Minutes => ("minute", "bucket", SUMS, "n > 0"),
        Source::Hours => ("hour", "bucket", SUMS, "n > 0"),
    };
    format!(
        "SELECT s.i, r.start, r.n, r.sum, r.min, r.max {STRETCHES} CROSS JOIN LATERAL (
           SELECT date_bin($8::int8 * interval '1 microsecond', {at}, timestamptz 'epoch') AS start, {sums}
           FROM {table} WHERE subject = s.subject AND metric = $5 AND {at} >= s.a AND {at} < s.b
             AND {at} >= $6 AND {at} < $7 AND {only} GROUP BY 1) r"
    )
}

fn parts_of(table: &str, dense: &str) -> String {
    format!(
        "SELECT bucket, n, first_at, last_at, first_row, last_row, rows, absent, cause_low, cause_high, {dense} {STRETCHES}
         JOIN {table} r ON r.subject = s.subject AND r.metric = $5 AND r.bucket >= s.a AND r.bucket < s.b
           AND r.bucket >= $6 AND r.bucket < $7"
    )
}

const ROWS: &str = "JOIN reading r ON r.subject = s.subject AND r.metric = $5 AND r.ts >= s.a AND r.ts < s.b
  AND r.ts >= $6 AND r.ts < $7 AND r.quality <> 255";

const ROWS_IN_ORDER: &str = "SELECT ts, value, quality FROM reading
WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 AND quality <> 255 ORDER BY ts";

/// Rollups of which length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Minute,
    Hour,
}

/// Stretches of time of some of the asked subjects.
#[derive(Debug, Default)]
pub(super) struct Stretches {
    /// Index among the asked subjects.
    of: Vec<i32>,
    from: Vec<Micros>,
    to: Vec<Micros>,
}

impl Stretches {
    pub(super) fn add(&mut self, of: usize, from: i64, to: i64) {
        if from < to {
            self.of.push(i32::try_from(of).unwrap_or(i32::MAX));
            self.from.push(Micros(from));
            self.to.push(Micros(to));
        }
    }
}

/// One metric of some subjects, seen in the transaction that is open on the connection.
pub(super) struct Asker<'a> {
    pub(super) db: &'a ClientWrapper,
    pub(super) subjects: &'a [Subject],
    pub(super) metric: Metric,
}

impl Asker<'_> {
    /// How far the sources of this metric reach.
    pub(super) async fn edges(db: &ClientWrapper, metric: Metric) -> Result<Edges, Error> {
        let found = db.query_one(EDGES, &[&i32::from(metric.id())]).await?;
        let at = |i: usize| found.try_get::<_, Micros>(i).map(|at| at.0);
        Ok(Edges { done: at(0)?, rows_from: at(1)?, minutes_from: at(2)? })
    }

    /// Days (number since 1970) of the series whose rollups lack rows, in order: (index, day).
    pub(super) async fn late(&self, from_day: i32, to_day: i32) -> Result<Vec<(usize, i64)>, Error> {
        let subjects: Vec<i64> = self.subjects.iter().map(|subject| i64::from(subject.to_u32())).collect();
        let rows = self.db.query(LATE, &[&subjects, &self.metric(), &from_day, &to_day]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get::<_, i64>(0)? as usize - 1, i64::from(row.try_get::<_, i32>(1)?))))
            .collect()
    }

    /// Numbers of buckets, summed up. In no order.
    pub(super) async fn cells(&self, source: Source, of: &Stretches, width: i64) -> Result<Vec<(usize, Cell)>, Error> {
        let text = cells_of(source);
        let rows = self.stretches(&text, of, &[&width]).await?;
        rows.iter().map(|row| Ok((index(row)?, cell(row)?))).collect()
    }

    /// Rollups. In no order.
    pub(super) async fn parts(&self, level: Level, of: &Stretches) -> Result<Vec<Part>, Error> {
        let dense = match level {
            Level::Minute => "true",
            Level::Hour => "minutes = 60 AND first_late - last_early < interval '7 seconds'",
        };
        let rows = self.stretches(&parts_of(level.table(), dense), of, &[]).await?;
        rows.iter().map(part).collect()
    }

    /// Rows of short stretches, with the start of their stretch. In no order.
    pub(super) async fn rows(&self, of: &Stretches) -> Result<Vec<(i64, Row)>, Error> {
        let text = format!("SELECT s.a, r.ts, r.value, r.quality {STRETCHES} {ROWS}");
        let rows = self.stretches(&text, of, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get::<_, Micros>(0)?.0, self::row(row, 1)?))).collect()
    }

    /// Rows of one stretch of the first subject in order, some thousands at a time.
    pub(super) async fn each_rows(&self, (from, to): (i64, i64), mut take: impl FnMut(&[Row])) -> Result<(), Error> {
        let Some(subject) = self.subjects.first() else { return Ok(()) };
        let (subject, metric, from, to) = (i64::from(subject.to_u32()), self.metric(), Micros(from), Micros(to));
        let key: [&(dyn ToSql + Sync); 4] = [&subject, &metric, &from, &to];
        let mut found = pin!(self.db.query_raw(ROWS_IN_ORDER, key).await?);
        let mut some = Vec::with_capacity(ROWS_AT_ONCE);
        while let Some(one) = found.try_next().await? {
            some.push(row(&one, 0)?);
            if some.len() == ROWS_AT_ONCE {
                take(&some);
                some.clear();
            }
        }
        take(&some);
        Ok(())
    }

    fn metric(&self) -> i32 {
        i32::from(self.metric.id())
    }

    async fn stretches(&self, text: &str, of: &Stretches, more: &[&(dyn ToSql + Sync)]) -> Result<Vec<Found>, Error> {
        let (Some(from), Some(to)) = (of.from.iter().min(), of.to.iter().max()) else { return Ok(Vec::new()) };
        let number = |of: &i32| self.subjects.get(*of as usize).map_or(-1, |subject| i64::from(subject.to_u32()));
        let subjects: Vec<i64> = of.of.iter().map(number).collect();
        let metric = self.metric();
        let mut values: Vec<&(dyn ToSql + Sync)> = vec![&of.of, &subjects, &of.from, &of.to, &metric, from, to];
        values.extend(more);
        Ok(self.db.query(text, &values).await?)
    }
}

impl Level {
    fn table(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }
}

fn index(found: &Found) -> Result<usize, Error> {
    Ok(found.try_get::<_, i32>(0)?.max(0) as usize)
}

fn cell(found: &Found) -> Result<Cell, Error> {
    Ok(Cell {
        start: found.try_get::<_, Micros>(1)?.0,
        n: count(found, 2)?,
        sum: found.try_get(3)?,
        min: found.try_get(4)?,
        max: found.try_get(5)?,
    })
}

fn part(found: &Found) -> Result<Part, Error> {
    let at = |i: usize| found.try_get::<_, Option<Micros>>(i).map(|at| at.map(|at| at.0));
    let cause =
        |i: usize| found.try_get::<_, Option<i16>>(i).map(|cause| cause.and_then(|cause| u8::try_from(cause).ok()));
    let start = found.try_get::<_, Micros>(0)?.0;
    Ok(Part {
        start,
        n: count(found, 1)?,
        values: at(2)?.zip(at(3)?),
        rows: (at(4)?.unwrap_or(start), at(5)?.unwrap_or(start)),
        count: count(found, 6)?,
        absent: count(found, 7)?,
        causes: cause(8)?.zip(cause(9)?),
        dense: found.try_get::<_, Option<bool>>(10)?.unwrap_or(false),
    })
}

fn count(found: &Found, i: usize) -> Result<u64, Error> {
    Ok(found.try_get::<_, i64>(i)?.max(0) as u64)
}

/// Device is of no interest to a trend.
fn row(found: &Found, first: usize) -> Result<Row, Error> {
    let quality = found.try_get::<_, i16>(first + 2)?;
    Ok(Row {
        at: found.try_get::<_, Micros>(first)?.0,
        value: found.try_get(first + 1)?,
        device: 0,
        quality: u8::try_from(quality).map_err(|_| Error::corrupt("an impossible quality code"))?,
    })
}
