//! Trends: judged values by buckets, and where there is nothing to draw.
//!
//! Every back end feeds a [`Builder`] with parts in time order: rows, or what it keeps of them.
//!
//! What counts: values whose quality is judged. Doubtful values (motion, out of range, suspect clock or unit) are kept
//! and come back from `raw`, but are in no bucket. Absent values are in no bucket and are listed as marks.
//!
//! What is a gap: for a streaming metric, a distance between judged values of more than five minutes and more than five
//! times the usual distance in the range (median, to a fifth); for any metric, a run of absent values, from its first
//! row to the next row that has a value or another cause.

use model::{Quality, Time};

use super::answer::{Bucket, Trend};
use super::digest::{Cell, Digest, HOUR, MINUTE, cells, floor};
use super::row::Rows;

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
pub(super) struct Builder {
    bucket_us: i64,
    stream: bool,
    buckets: Vec<Cell>,
    digest: Digest,
}

impl Builder {
    pub(super) fn new(bucket_us: i64, stream: bool) -> Self {
        Self { bucket_us, stream, buckets: Vec::new(), digest: Digest::default() }
    }

    pub(super) fn bucket_us(&self) -> i64 {
        self.bucket_us
    }

    pub(super) fn add_rows(&mut self, rows: &Rows) {
        if let Some(first_at) = rows.first_at() {
            self.add_digest(&Digest::of(rows, self.stream), first_at);
            self.add_cells(&cells(rows, self.bucket_us));
        }
    }

    pub(super) fn add_cells(&mut self, cells: &[Cell]) {
        for cell in cells {
            let cell = Cell { start: floor(cell.start, self.bucket_us), ..*cell };
            match self.buckets.last_mut() {
                Some(last) if last.start == cell.start => last.add(&cell),
                _ => self.buckets.push(cell),
            }
        }
    }

    /// `first_at`: the part's first row of any quality.
    pub(super) fn add_digest(&mut self, digest: &Digest, first_at: i64) {
        self.digest.append(digest, first_at, self.stream);
    }

    pub(super) fn finish(self, marks_max: usize) -> Trend {
        let Digest { runs, pauses, distances, .. } = self.digest;
        let usual = distances.median().saturating_mul(GAP_FACTOR);
        let pauses = pauses.into_iter().filter(|(from, to)| to.saturating_sub(*from) > usual);
        let mut gaps: Vec<(i64, i64)> = pauses.chain(runs.iter().map(|run| (run.from, run.to))).collect();
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
        let absent = newest(&runs, marks_max).iter();
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
