//! Trends: judged values by buckets, and where there is nothing to draw.
//!
//! Per block the cheapest source that is exact is taken: the summary when the block lies in one bucket, the one-hour or
//! one-minute rollup when the bucket is a multiple of it, else the rows. Blocks cut by the range, or with unsealed rows
//! in their middle, are always decoded. The answer does not depend on what is sealed.
//!
//! What counts: values whose quality is judged. Doubtful values (motion, out of range, suspect clock or unit) are kept
//! and come back from `raw`, but are in no bucket. Absent values are in no bucket and are listed as marks.
//!
//! What is a gap: for a streaming metric, a distance between judged values of more than five minutes and more than five
//! times the usual distance in the range (median, to a fifth); for any metric, a run of absent values, from its first
//! row to the next row that has a value or another cause.

use model::{Quality, Time};

use super::Error;
use super::answer::{Bucket, Trend};
use super::block::{self, Place};
use super::digest::{Cell, Digest, Distances, HOUR, Level, MINUTE, PAUSE, Point, Run, cells, floor};
use super::read::View;
use super::row::Rows;
use super::seal::is_stream;

/// A distance of this many usual ones is a gap.
const GAP_FACTOR: i64 = 5;
/// Buckets one trend returns at most.
pub(super) const BUCKETS_MAX: u32 = 20_000;
/// Bucket widths below a minute, microseconds; from there on whole minutes, and whole hours beyond an hour.
const NARROW: [i64; 9] = [1_000, 10_000, 100_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 15_000_000, 30_000_000];

/// Width of a bucket: at least a `buckets`-th of the range, rounded up to a width that rollups can serve. Microseconds.
pub(super) fn bucket_width(from: i64, to: i64, buckets: u32) -> i64 {
    let buckets = i64::from(buckets.clamp(1, BUCKETS_MAX));
    let span = to.saturating_sub(from).max(1);
    let exact = span / buckets + i64::from(span % buckets != 0);
    let up = |unit: i64| exact.div_euclid(unit).saturating_add(i64::from(exact % unit != 0)).saturating_mul(unit);
    match exact {
        _ if exact > HOUR => up(HOUR),
        _ if exact > 30_000_000 => up(MINUTE),
        _ => NARROW.into_iter().find(|width| *width >= exact).unwrap_or(MINUTE),
    }
}

/// Puts parts together in time order.
#[derive(Debug)]
struct Builder {
    bucket_us: i64,
    stream: bool,
    buckets: Vec<Cell>,
    last: Option<Point>,
    distances: Distances,
    pauses: Vec<(i64, i64)>,
    runs: Vec<Run>,
}

impl Builder {
    fn add_rows(&mut self, rows: &Rows) {
        if let Some(first_at) = rows.first_at() {
            self.add_digest(&Digest::of(rows, self.stream), first_at);
            self.add_cells(&cells(rows, self.bucket_us));
        }
    }

    fn add_cells(&mut self, cells: &[Cell]) {
        for cell in cells {
            let cell = Cell { start: floor(cell.start, self.bucket_us), ..*cell };
            match self.buckets.last_mut() {
                Some(last) if last.start == cell.start => last.add(&cell),
                _ => self.buckets.push(cell),
            }
        }
    }

    /// `first_at`: the part's first row of any quality.
    fn add_digest(&mut self, digest: &Digest, first_at: i64) {
        let mut runs = digest.runs.iter();
        if let Some(run) = self.runs.last_mut().filter(|run| run.open) {
            run.to = first_at;
            run.open = false;
            if let Some(next) = digest.runs.first().filter(|next| next.from == first_at && next.quality == run.quality)
            {
                (run.to, run.open) = (next.to, next.open);
                runs.next();
            }
        }
        self.runs.extend(runs);
        if let (Some(last), Some(first), true) = (self.last, digest.first, self.stream) {
            let distance = first.at.saturating_sub(last.at);
            self.distances.add(distance, 1);
            if distance > PAUSE {
                self.pauses.push((last.at, first.at));
            }
        }
        self.distances.merge(&digest.distances);
        self.pauses.extend(&digest.pauses);
        self.last = digest.last.or(self.last);
    }

    fn finish(self, marks_max: usize) -> Trend {
        let usual = self.distances.median().saturating_mul(GAP_FACTOR);
        let pauses = self.pauses.into_iter().filter(|(from, to)| to.saturating_sub(*from) > usual);
        let mut gaps: Vec<(i64, i64)> = pauses.chain(self.runs.iter().map(|run| (run.from, run.to))).collect();
        gaps.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(gaps.len());
        for (from, to) in gaps.into_iter().filter(|(from, to)| to > from) {
            match joined.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        let bucket = |cell: &Cell| Bucket {
            start: Time(cell.start),
            n: cell.n,
            min: cell.min,
            mean: cell.sum / cell.n as f64,
            max: cell.max,
        };
        let absent = newest(&self.runs, marks_max).iter();
        Trend {
            bucket_us: self.bucket_us,
            points: self.buckets.iter().map(bucket).collect(),
            absent: absent.filter_map(|run| Some((Time(run.from), Quality::from_id(run.quality)?))).collect(),
            gaps: newest(&joined, marks_max).iter().map(|(from, to)| (Time(*from), Time(*to))).collect(),
        }
    }
}

fn newest<T>(all: &[T], max: usize) -> &[T] {
    &all[all.len().saturating_sub(max)..]
}

/// An empty trend for a series that is not known.
pub(super) fn nothing(from: i64, to: i64, buckets: u32) -> Trend {
    Trend { bucket_us: bucket_width(from, to, buckets), ..Trend::default() }
}

pub(super) fn trend(view: &View<'_>, from: i64, to: i64, buckets: u32, marks_max: usize) -> Result<Trend, Error> {
    let bucket_us = bucket_width(from, to, buckets);
    let mut builder = Builder {
        bucket_us,
        stream: is_stream(view.key),
        buckets: Vec::new(),
        last: None,
        distances: Distances::default(),
        pauses: Vec::new(),
        runs: Vec::new(),
    };
    let mut done = 0;
    for place in &view.places {
        let before = view.head.within(from, place.t0).end.max(done);
        builder.add_rows(&view.head.slice(done..before).present());
        let inside = view.head.within(from, place.t1.saturating_add(1)).end.max(before);
        done = inside;
        let whole = from <= place.t0 && place.t1 < to && inside == before;
        if !whole || !add_sealed(view, place, &mut builder)? {
            let rows = block::load(view.tx, place)?;
            let rows = rows.slice(rows.within(from, to));
            builder.add_rows(&rows.merged(&view.head.slice(before..inside)).present());
        }
    }
    builder.add_rows(&view.head.slice(done..view.head.len()).present());
    Ok(builder.finish(marks_max))
}

/// Adds a whole block without decoding its rows. False when that is not possible.
fn add_sealed(view: &View<'_>, place: &Place, builder: &mut Builder) -> Result<bool, Error> {
    let bucket_us = builder.bucket_us;
    let single = floor(place.t0, bucket_us) == floor(place.t1, bucket_us);
    let level = match () {
        () if single => None,
        () if bucket_us % HOUR == 0 => Some(Level::Hour),
        () if bucket_us % MINUTE == 0 => Some(Level::Minute),
        () => return Ok(false),
    };
    let (digest, rollup) = block::summary(view.tx, place.id, level)?;
    if digest.has_moved {
        return Ok(false);
    }
    match (single, digest.total, rollup) {
        (true, total, _) => {
            let cell = total.map(|total| Cell { start: place.t0, ..total });
            builder.add_cells(cell.as_slice());
        }
        (false, None, _) => {}
        (false, Some(_), Some(rollup)) => builder.add_cells(&rollup),
        (false, Some(_), None) => return Ok(false),
    }
    builder.add_digest(&digest, place.t0);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_widths_are_ones_that_rollups_serve() {
        let day = 24 * HOUR;
        assert_eq!(bucket_width(0, 30 * day, 720), HOUR);
        assert_eq!(bucket_width(0, 30 * day, 600), 2 * HOUR);
        assert_eq!(bucket_width(0, day, 720), 2 * MINUTE);
        assert_eq!(bucket_width(0, HOUR, 720), 5_000_000);
        assert_eq!(bucket_width(0, 0, 0), 1_000);
        for (from, to) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, 1)] {
            assert!(bucket_width(from, to, 100) > 0);
        }
    }
}
