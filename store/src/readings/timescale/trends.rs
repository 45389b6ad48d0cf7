//! Trends from the database: numbers of the buckets are summed up there, from rollups where they serve; what a trend says about gaps and
//! absent values comes from hours, looked at closer by the minute and by the row where an hour does not tell.
//!
//! All questions of one trend see one moment of the database. What is looked at closer is looked at slice by slice of time, so that
//! memory does not grow with the range. Many subjects are asked for their numbers alone.

use std::collections::BTreeMap;

use deadpool_postgres::ClientWrapper;
use model::{Metric, Subject};

use super::Error;
use super::answer::Trend;
use super::ask::{Asker, Level, Stretches};
use super::digest::{Cell, Digest, HOUR, MINUTE, cells, floor, is_stream};
use super::plan::{Edges, Source, Span, spans, whole_hours};
use super::row::{Row, Rows, key_of};
use super::trend::{BUCKETS_MAX, Builder, bucket_width};

/// Hours asked for at once: 29,760. A multiple of an hour, microseconds.
const SLICE: i64 = 1_240 * DAY;
/// Of so many hours the minutes are in memory at once, 44,640 of them.
const HOURS_AT_ONCE: usize = 744;
/// Short stretches whose rows are asked for at once: as many minutes as a day has.
const STRETCHES_AT_ONCE: usize = 1_440;
/// Buckets asked for at once, of many subjects.
const CELLS_AT_ONCE: usize = 200_000;
/// Rows of longer stretches are asked for one stretch at a time, in order. Microseconds.
const LONG: i64 = 2 * HOUR;
/// One day (UTC), microseconds.
const DAY: i64 = 24 * HOUR;
/// Begins reading one moment of the database. A plan for all chunks costs more than planning again for the few that matter.
pub(super) const ONE_MOMENT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";

/// What is asked of every subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) metric: Metric,
    pub(super) range: (i64, i64),
    pub(super) buckets: u32,
    pub(super) marks_max: usize,
}

/// The trend of one subject.
pub(super) async fn trend(db: &ClientWrapper, subject: Subject, question: Question) -> Result<Trend, Error> {
    db.batch_execute(ONE_MOMENT).await?;
    let edges = Asker::edges(db, question.metric).await?;
    let subject = [subject];
    let asked = Asked::new(db, &subject, question, edges).await?;
    let mut cells = Vec::new();
    asked.sum_up(&mut |_, cell| cells.push(cell)).await?;
    let mut builder = Builder::new(asked.bucket_us, asked.stream);
    for slice in asked.spans.first().map(|spans| slices(spans)).unwrap_or_default() {
        let told = asked.look(&slice).await?;
        for (first_at, digest) in &told.digests {
            builder.add_digest(digest, *first_at);
        }
        cells.extend(told.cells);
    }
    db.batch_execute("COMMIT").await?;
    cells.sort_by_key(|cell| cell.start);
    builder.add_cells(&cells);
    Ok(builder.finish(question.marks_max))
}

/// The numbers of the buckets alone, one trend for each subject, in their order.
pub(super) async fn sparklines(
    db: &ClientWrapper,
    subjects: &[Subject],
    question: Question,
) -> Result<Vec<Trend>, Error> {
    db.batch_execute(ONE_MOMENT).await?;
    let edges = Asker::edges(db, question.metric).await?;
    let mut trends = Vec::with_capacity(subjects.len());
    let at_once = CELLS_AT_ONCE / question.buckets.clamp(1, BUCKETS_MAX) as usize;
    for some in subjects.chunks(at_once.max(1)) {
        let asked = Asked::new(db, some, question, edges).await?;
        let mut cells: Vec<Vec<Cell>> = vec![Vec::new(); some.len()];
        let mut take = |of: usize, cell| cells.get_mut(of).into_iter().for_each(|cells| cells.push(cell));
        asked.sum_up(&mut take).await?;
        asked.sum_up_rows(&mut take).await?;
        trends.extend(cells.into_iter().map(|mut cells| {
            let mut builder = Builder::new(asked.bucket_us, asked.stream);
            cells.sort_by_key(|cell| cell.start);
            builder.add_cells(&cells);
            builder.finish(0)
        }));
    }
    db.batch_execute("COMMIT").await?;
    Ok(trends)
}

/// Days with late rows of each subject.
pub(super) async fn late(asker: &Asker<'_>, (from, to): (i64, i64)) -> Result<Vec<Vec<(i64, i64)>>, Error> {
    let mut late = vec![Vec::new(); asker.subjects.len()];
    for (of, day) in asker.late(day_of(from), day_of(to)).await? {
        if let Some(late) = late.get_mut(of) {
            late.push((day * DAY, (day + 1) * DAY));
        }
    }
    Ok(late)
}

/// Spans slice by slice, in their order. What is before 1970 is one slice: a server can hold much of nothing.
fn slices(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut out: Vec<(i64, Vec<Span>)> = Vec::new();
    for span in spans {
        let mut from = span.from;
        while from < span.to {
            let slice = floor(from, SLICE).max(-SLICE);
            let to = match span.source {
                // Asked for row by row.
                Source::Rows => span.to,
                _ => span.to.min(slice.saturating_add(SLICE)),
            };
            let part = Span { from, to, ..*span };
            match out.last_mut() {
                Some((last, parts)) if *last == slice => parts.push(part),
                _ => out.push((slice, vec![part])),
            }
            from = to;
        }
    }
    out.into_iter().map(|(_, parts)| parts).collect()
}

/// What was learned of one slice, in any order.
#[derive(Debug, Default)]
struct Told {
    cells: Vec<Cell>,
    /// By the instant of the first row.
    digests: BTreeMap<i64, Digest>,
}

/// A question to be put about some subjects.
struct Asked<'a> {
    asker: Asker<'a>,
    edges: Edges,
    bucket_us: i64,
    stream: bool,
    /// Of each subject.
    spans: Vec<Vec<Span>>,
}

impl<'a> Asked<'a> {
    async fn new(
        db: &'a ClientWrapper,
        subjects: &'a [Subject],
        question: Question,
        edges: Edges,
    ) -> Result<Self, Error> {
        let Question { metric, range: (from, to), buckets, .. } = question;
        let asker = Asker { db, subjects, metric };
        let bucket_us = bucket_width(from, to, buckets);
        let late = late(&asker, (from, to)).await?;
        let spans = late.iter().map(|late| spans((from, to), bucket_us, edges, late)).collect();
        let stream = subjects.first().is_some_and(|subject| is_stream(key_of(*subject, metric)));
        Ok(Self { asker, edges, bucket_us, stream, spans })
    }

    /// The numbers of the buckets, as far as rollups tell them.
    async fn sum_up(&self, take: &mut impl FnMut(usize, Cell)) -> Result<(), Error> {
        let (mut minutes, mut hours) = (Stretches::default(), Stretches::default());
        for (of, spans) in self.spans.iter().enumerate() {
            rolled(spans, self.bucket_us % HOUR == 0, |level, from, to| match level {
                Level::Minute => minutes.add(of, from, to),
                Level::Hour => hours.add(of, from, to),
            });
        }
        for (source, of) in [(Source::Hours, hours), (Source::Minutes, minutes)] {
            for (of, cell) in self.asker.cells(source, &of, self.bucket_us).await? {
                take(of, cell);
            }
        }
        Ok(())
    }

    /// The rest of the numbers, from rows.
    async fn sum_up_rows(&self, take: &mut impl FnMut(usize, Cell)) -> Result<(), Error> {
        let mut rows = Stretches::default();
        for (of, spans) in self.spans.iter().enumerate() {
            spans.iter().filter(|span| span.source == Source::Rows).for_each(|span| rows.add(of, span.from, span.to));
        }
        let found = self.asker.cells(Source::Rows, &rows, self.bucket_us).await?;
        for (of, cell) in found {
            take(of, cell);
        }
        Ok(())
    }

    /// Everything about a slice of the first subject that its sums do not tell.
    async fn look(&self, spans: &[Span]) -> Result<Told, Error> {
        let mut told = Told::default();
        let (mut minutes, mut hours) = (Vec::new(), Stretches::default());
        rolled(spans, true, |level, from, to| match level {
            Level::Minute => minutes.push((from, to)),
            Level::Hour => hours.add(0, from, to),
        });
        self.look_at_hours(&hours, &mut minutes, &mut told).await?;
        minutes.sort_unstable();
        for some in minutes.chunks(HOURS_AT_ONCE) {
            let mut near = Told::default();
            let mixed = self.look_at_minutes(&stretches(some), &mut near).await?;
            self.look_at_rows(&mixed, false, &mut near).await?;
            told.fold(near, self.stream);
        }
        let rows = spans.iter().filter(|span| span.source == Source::Rows).map(|span| (span.from, span.to));
        let (short, long): (Vec<_>, Vec<_>) = rows.partition(|(from, to)| to.saturating_sub(*from) < LONG);
        self.look_at_rows(&short, true, &mut told).await?;
        for range in long {
            let how = (self.bucket_us, self.stream);
            self.asker.each_rows(range, |rows| told.add_rows(rows, how, true)).await?;
        }
        Ok(told)
    }

    /// Asks about whole hours; those that do not tell are left for their minutes.
    async fn look_at_hours(
        &self,
        hours: &Stretches,
        minutes: &mut Vec<(i64, i64)>,
        told: &mut Told,
    ) -> Result<(), Error> {
        for part in self.asker.parts(Level::Hour, hours).await? {
            match part.digest(self.stream) {
                Some(digest) => drop(told.digests.insert(part.rows.0, digest)),
                None if part.start < self.edges.minutes_from => {
                    told.digests.insert(part.rows.0, part.rough(self.stream));
                }
                None => minutes.push((part.start, part.start.saturating_add(HOUR))),
            }
        }
        Ok(())
    }

    /// Asks about minutes; returns those that do not tell and must be looked for by their rows, if there are any.
    async fn look_at_minutes(&self, minutes: &Stretches, told: &mut Told) -> Result<Vec<(i64, i64)>, Error> {
        let mut mixed = Vec::new();
        for part in self.asker.parts(Level::Minute, minutes).await? {
            match part.digest(self.stream) {
                Some(digest) => drop(told.digests.insert(part.rows.0, digest)),
                None if part.start < self.edges.rows_from => {
                    told.digests.insert(part.rows.0, part.rough(self.stream));
                }
                None => mixed.push((part.start, part.start.saturating_add(MINUTE))),
            }
        }
        Ok(mixed)
    }

    /// `counted`: their values are not in the numbers yet.
    async fn look_at_rows(&self, of: &[(i64, i64)], counted: bool, told: &mut Told) -> Result<(), Error> {
        for some in of.chunks(STRETCHES_AT_ONCE) {
            let mut found = self.asker.rows(&stretches(some)).await?;
            found.sort_by_key(|(start, row)| (*start, row.at));
            for some in found.chunk_by(|a, b| a.0 == b.0) {
                let rows: Vec<Row> = some.iter().map(|(_, row)| *row).collect();
                told.add_rows(&rows, (self.bucket_us, self.stream), counted);
            }
        }
        Ok(())
    }
}

/// Of the first subject.
fn stretches(of: &[(i64, i64)]) -> Stretches {
    let mut out = Stretches::default();
    for (from, to) in of {
        out.add(0, *from, *to);
    }
    out
}

/// Stretches of rollups in the spans of one subject. `hourly`: whole hours are taken where there are both.
fn rolled(spans: &[Span], hourly: bool, mut put: impl FnMut(Level, i64, i64)) {
    for span in spans {
        match (span.source, whole_hours(*span).filter(|_| hourly)) {
            (Source::Rows, _) => {}
            (Source::Hours, _) => put(Level::Hour, span.from, span.to),
            (Source::Minutes, None) => put(Level::Minute, span.from, span.to),
            (Source::Minutes, Some((from, to))) => {
                put(Level::Minute, span.from, from);
                put(Level::Hour, from, to);
                put(Level::Minute, to, span.to);
            }
        }
    }
}

impl Told {
    /// Rows in time order, none of them in what is known.
    fn add_rows(&mut self, rows: &[Row], (bucket_us, stream): (i64, bool), counted: bool) {
        let Some(first) = rows.first() else { return };
        let mut columns = Rows::default();
        for row in rows {
            columns.insert(*row);
        }
        self.digests.insert(first.at, Digest::of(&columns, stream));
        if counted {
            self.cells.extend(cells(&columns, bucket_us));
        }
    }

    /// Takes what was learned of minutes: hour by hour together, since nothing else is between minutes of an hour.
    fn fold(&mut self, near: Self, stream: bool) {
        let mut hour: Option<(i64, Digest)> = None;
        for (first_at, digest) in near.digests {
            match &mut hour {
                Some((at, all)) if floor(*at, HOUR) == floor(first_at, HOUR) => all.append(&digest, first_at, stream),
                _ => {
                    if let Some((at, all)) = hour.replace((first_at, digest)) {
                        self.digests.insert(at, all);
                    }
                }
            }
        }
        self.digests.extend(hour);
        self.cells.extend(near.cells);
    }
}

/// Number of the UTC day, within what the database keeps.
fn day_of(at: i64) -> i32 {
    let day = at.div_euclid(DAY);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source() -> impl Strategy<Value = Source> {
        prop_oneof![Just(Source::Rows), Just(Source::Minutes), Just(Source::Hours)]
    }

    proptest! {
        #[test]
        fn slices_are_the_spans_in_their_order_and_bounded(
            start in prop_oneof![Just(i64::MIN), -3 * SLICE..20 * SLICE],
            parts in proptest::collection::vec((1..3 * SLICE, source()), 1..6),
        ) {
            let mut at = start;
            let next = |(long, source): &(i64, Source)| {
                let from = at;
                at = from.saturating_add(*long).max(if from == i64::MIN { -SLICE } else { from });
                Span { from, to: at, source: *source }
            };
            let spans: Vec<Span> = parts.iter().map(next).collect();
            let slices = slices(&spans);
            let mut at = start;
            for slice in &slices {
                for part in slice {
                    prop_assert!(part.from == at && part.to > at, "{part:?} at {at}");
                    at = part.to;
                }
                let rolled = slice.iter().filter(|part| part.source != Source::Rows && part.to > 0);
                prop_assert!(rolled.map(|part| part.to - part.from.max(0)).sum::<i64>() <= SLICE);
            }
            prop_assert_eq!(at, spans.last().map_or(start, |span| span.to));
            prop_assert!(slices.len() < 40);
        }
    }
}
