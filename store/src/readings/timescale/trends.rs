//! Trends from the database: numbers of the buckets are summed up there, from rollups where they serve; what a trend says about gaps and
//! absent values comes from hours, looked at closer by the minute and by the row where an hour does not tell.
//!
//! All questions of one trend see one moment of the database.

use std::collections::BTreeMap;

use deadpool_postgres::ClientWrapper;
use model::{Metric, Subject};

use super::Error;
use super::answer::Trend;
use super::ask::{Asker, Level, Stretches};
use super::digest::{Cell, Digest, HOUR, MINUTE, cells, is_stream};
use super::plan::{Edges, Source, Span, spans, whole_hours};
use super::row::{Row, Rows, key_of};
use super::trend::{Builder, bucket_width};

/// Subjects asked about at once: bounds what is in memory.
const SUBJECTS_AT_ONCE: usize = 128;
/// Rows of longer stretches are asked for one stretch at a time, in order. Microseconds.
const LONG: i64 = 2 * HOUR;
/// One day (UTC), microseconds.
const DAY: i64 = 24 * HOUR;
/// Begins reading one moment of the database. A plan for all chunks costs more than planning again for the few that matter.
const ONE_MOMENT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL plan_cache_mode = force_custom_plan";

/// What is asked of every subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    pub(super) metric: Metric,
    pub(super) range: (i64, i64),
    pub(super) buckets: u32,
    pub(super) marks_max: usize,
}

/// One trend for each subject, in their order.
pub(super) async fn trends(db: &ClientWrapper, subjects: &[Subject], question: Question) -> Result<Vec<Trend>, Error> {
    db.batch_execute(ONE_MOMENT).await?;
    let edges = Asker::edges(db, question.metric).await?;
    let mut trends = Vec::with_capacity(subjects.len());
    for some in subjects.chunks(SUBJECTS_AT_ONCE) {
        let mut asked = Asked::new(db, some, question, edges).await?;
        asked.ask().await?;
        trends.extend(
            asked.known.into_iter().map(|known| known.trend(asked.bucket_us, asked.stream, question.marks_max)),
        );
    }
    db.batch_execute("COMMIT").await?;
    Ok(trends)
}

/// What was learned of one subject so far, in any order.
#[derive(Debug, Default)]
struct Known {
    spans: Vec<Span>,
    cells: Vec<Cell>,
    /// By the instant of the first row.
    digests: BTreeMap<i64, Digest>,
}

impl Known {
    fn trend(mut self, bucket_us: i64, stream: bool, marks_max: usize) -> Trend {
        let mut builder = Builder::new(bucket_us, stream);
        for (first_at, digest) in &self.digests {
            builder.add_digest(digest, *first_at);
        }
        self.cells.sort_by_key(|cell| cell.start);
        builder.add_cells(&self.cells);
        builder.finish(marks_max)
    }
}

/// One slice of a question on its way.
struct Asked<'a> {
    asker: Asker<'a>,
    edges: Edges,
    bucket_us: i64,
    stream: bool,
    known: Vec<Known>,
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
        let mut late: Vec<Vec<(i64, i64)>> = vec![Vec::new(); subjects.len()];
        for (of, day) in asker.late(day_of(from), day_of(to)).await? {
            if let Some(late) = late.get_mut(of) {
                late.push((day * DAY, (day + 1) * DAY));
            }
        }
        let known =
            |late: &Vec<(i64, i64)>| Known { spans: spans((from, to), bucket_us, edges, late), ..Known::default() };
        let known = late.iter().map(known).collect();
        let stream = subjects.first().is_some_and(|subject| is_stream(key_of(*subject, metric)));
        Ok(Self { asker, edges, bucket_us, stream, known })
    }

    async fn ask(&mut self) -> Result<(), Error> {
        self.sum_up().await?;
        let (mut minutes, mut rows) = (Stretches::default(), Stretches::default());
        self.look_at_hours(&mut minutes).await?;
        self.look_at_minutes(&minutes, &mut rows).await?;
        self.look_at_rows(&rows, false).await?;
        let short = self.stretches(|span| span.source == Source::Rows && span.to.saturating_sub(span.from) < LONG);
        self.look_at_rows(&short, true).await?;
        self.read_rows().await
    }

    fn stretches(&self, wanted: impl Fn(&Span) -> bool) -> Stretches {
        let mut out = Stretches::default();
        for (of, known) in self.known.iter().enumerate() {
            known.spans.iter().filter(|span| wanted(span)).for_each(|span| out.add(of, span.from, span.to));
        }
        out
    }

    /// Stretches of rollups: (of minutes, of hours). `hourly`: whole hours are taken where there are both.
    fn rolled(&self, hourly: bool) -> (Stretches, Stretches) {
        let (mut minutes, mut hours) = (Stretches::default(), Stretches::default());
        for (of, known) in self.known.iter().enumerate() {
            for span in &known.spans {
                match (span.source, whole_hours(*span).filter(|_| hourly)) {
                    (Source::Rows, _) => {}
                    (Source::Hours, _) => hours.add(of, span.from, span.to),
                    (Source::Minutes, None) => minutes.add(of, span.from, span.to),
                    (Source::Minutes, Some((from, to))) => {
                        minutes.add(of, span.from, from);
                        hours.add(of, from, to);
                        minutes.add(of, to, span.to);
                    }
                }
            }
        }
        (minutes, hours)
    }

    /// The numbers of the buckets, as far as rollups tell them.
    async fn sum_up(&mut self) -> Result<(), Error> {
        let (minutes, hours) = self.rolled(self.bucket_us % HOUR == 0);
        for (level, of) in [(Level::Hour, hours), (Level::Minute, minutes)] {
            for (of, cell) in self.asker.cells(level, &of, self.bucket_us).await? {
                self.known[of].cells.push(cell);
            }
        }
        Ok(())
    }

    /// Asks about whole hours; those that do not tell are left for their minutes.
    async fn look_at_hours(&mut self, minutes: &mut Stretches) -> Result<(), Error> {
        let (around, hours) = self.rolled(true);
        *minutes = around;
        for (of, part) in self.asker.parts(Level::Hour, &hours).await? {
            match part.digest(self.stream) {
                Some(digest) => self.told(of, part.rows.0, digest),
                None if part.start < self.edges.minutes_from => self.told(of, part.rows.0, part.rough(self.stream)),
                None => minutes.add(of, part.start, part.start.saturating_add(HOUR)),
            }
        }
        Ok(())
    }

    /// Asks about minutes; those that do not tell are left for their rows, if there are any.
    async fn look_at_minutes(&mut self, minutes: &Stretches, rows: &mut Stretches) -> Result<(), Error> {
        for (of, part) in self.asker.parts(Level::Minute, minutes).await? {
            match part.digest(self.stream) {
                Some(digest) => self.told(of, part.rows.0, digest),
                None if part.start < self.edges.rows_from => self.told(of, part.rows.0, part.rough(self.stream)),
                None => rows.add(of, part.start, part.start.saturating_add(MINUTE)),
            }
        }
        Ok(())
    }

    /// `counted`: their values are not in the numbers yet.
    async fn look_at_rows(&mut self, of: &Stretches, counted: bool) -> Result<(), Error> {
        let mut found = self.asker.rows(of).await?;
        found.sort_by_key(|(of, start, row)| (*of, *start, row.at));
        for some in found.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let rows: Vec<Row> = some.iter().map(|(_, _, row)| *row).collect();
            self.add_rows(some[0].0, &rows, counted);
        }
        Ok(())
    }

    /// Long stretches of rows, in bounded memory.
    async fn read_rows(&mut self) -> Result<(), Error> {
        let long = |span: &&Span| span.source == Source::Rows && span.to.saturating_sub(span.from) >= LONG;
        for of in 0..self.known.len() {
            let spans: Vec<Span> = self.known[of].spans.iter().filter(long).copied().collect();
            for Span { from, to, .. } in spans {
                let (bucket_us, stream, known) = (self.bucket_us, self.stream, &mut self.known[of]);
                self.asker.each_rows(of, (from, to), |rows| known.add_rows(rows, bucket_us, stream, true)).await?;
            }
        }
        Ok(())
    }

    fn add_rows(&mut self, of: usize, rows: &[Row], counted: bool) {
        let (bucket_us, stream) = (self.bucket_us, self.stream);
        if let Some(known) = self.known.get_mut(of) {
            known.add_rows(rows, bucket_us, stream, counted);
        }
    }

    fn told(&mut self, of: usize, first_at: i64, digest: Digest) {
        if let Some(known) = self.known.get_mut(of) {
            known.digests.insert(first_at, digest);
        }
    }
}

impl Known {
    /// Rows in time order, none of them in what is known.
    fn add_rows(&mut self, rows: &[Row], bucket_us: i64, stream: bool, counted: bool) {
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
}

/// Number of the UTC day, within what the database keeps.
fn day_of(at: i64) -> i32 {
    let day = at.div_euclid(DAY);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}
