//! What is kept beside a block so that trends need not decode it: a summary, one-minute and one-hour rollups, runs of
//! absent values, long pauses, and a histogram of the distances between judged values.
//!
//! Everything here can be put together from parts in time order, so a trend over blocks gives the same answer as one
//! over rows.

use model::Metric;
use model::metric::Shape;

use super::row::{Key, Kind, Rows, kind};

/// One minute in microseconds.
pub(super) const MINUTE: i64 = 60_000_000;
/// One hour in microseconds.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// A distance between judged values of a stream beyond this may be a gap. Microseconds.
pub(super) const PAUSE: i64 = 5 * MINUTE;
/// Distances are counted in quarter octaves: 63 * 4 classes cover all of `i64`.
pub(super) const CLASSES: usize = 252;

/// Statistics of the judged values of one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    /// Start of the minute, hour or bucket, microseconds.
    pub(super) start: i64,
    pub(super) n: u64,
    pub(super) sum: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Cell {
    pub(super) fn one(start: i64, value: f64) -> Self {
        Self { start, n: 1, sum: value, min: value, max: value }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.n += other.n;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

/// Start of the stretch of `width` microseconds that holds `at`.
pub(super) fn floor(at: i64, width: i64) -> i64 {
    at.saturating_sub(at.rem_euclid(width.max(1)))
}

/// The judged values summed up by stretches of `width`.
pub(super) fn cells(rows: &Rows, width: i64) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    for row in rows.iter().filter(|row| kind(row.quality) == Kind::Judged) {
        let one = Cell::one(floor(row.at, width), row.value);
        match cells.last_mut() {
            Some(last) if last.start == one.start => last.add(&one),
            _ => cells.push(one),
        }
    }
    cells
}

/// Successive rows without a value, all for the same cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) from: i64,
    /// The next row after the run; the run's own last row when nothing follows in this part.
    pub(super) to: i64,
    pub(super) quality: u8,
    /// Nothing follows in this part: the run may go on in the next one.
    pub(super) open: bool,
}

/// One judged value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at: i64,
    pub(super) value: f64,
}

/// Everything a trend wants to know of some rows, apart from the rollups.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Digest {
    /// All judged values; `start` is unused. `None` when there are none.
    pub(super) total: Option<Cell>,
    pub(super) first: Option<Point>,
    pub(super) last: Option<Point>,
    pub(super) runs: Vec<Run>,
    /// Distances between judged values longer than [`PAUSE`].
    pub(super) pauses: Vec<(i64, i64)>,
    pub(super) distances: Distances,
    /// The rows cannot stand for the answer: some were moved away.
    pub(super) has_moved: bool,
}

/// How often which distance between judged values occurs: (class, count), ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Distances(pub(super) Vec<(u8, u64)>);

impl Distances {
    pub(super) fn add(&mut self, us: i64, count: u64) {
        self.add_class(class_of(us), count);
    }

    fn add_class(&mut self, class: u8, count: u64) {
        match self.0.binary_search_by_key(&class, |(class, _)| *class) {
            Ok(i) => self.0[i].1 += count,
            Err(i) => self.0.insert(i, (class, count)),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(class, count)| self.add_class(*class, *count));
    }

    /// The lower edge of the class that holds the median; at most a fifth below the median. Microseconds, 0 if empty.
    pub(super) fn median(&self) -> i64 {
        let total: u64 = self.0.iter().map(|(_, count)| count).sum();
        let mut seen = 0;
        for (class, count) in &self.0 {
            seen += count;
            if seen * 2 >= total {
                return class_floor(*class);
            }
        }
        0
    }
}

fn class_of(us: i64) -> u8 {
    let us = us.max(1) as u64;
    let octave = us.ilog2();
    let quarter = if octave >= 2 { us >> (octave - 2) & 3 } else { 0 };
    (octave * 4) as u8 + quarter as u8
}

fn class_floor(class: u8) -> i64 {
    let (octave, quarter) = (u32::from(class / 4), i64::from(class % 4));
    if octave >= 2 { (4 + quarter) << (octave - 2) } else { 1 << octave }
}

impl Digest {
    /// `stream`: distances matter, because a pause of this metric is a gap.
    pub(super) fn of(rows: &Rows, stream: bool) -> Self {
        let mut digest = Self { has_moved: rows.has_moved(), ..Self::default() };
        for row in rows.iter() {
            let kind = kind(row.quality);
            if kind == Kind::Moved {
                continue;
            }
            digest.end_run(row.at, (kind == Kind::Absent).then_some(row.quality));
            if kind != Kind::Judged {
                continue;
            }
            if let Some(last) = digest.last.filter(|_| stream) {
                let distance = row.at.saturating_sub(last.at);
                digest.distances.add(distance, 1);
                if distance > PAUSE {
                    digest.pauses.push((last.at, row.at));
                }
            }
            let point = Point { at: row.at, value: row.value };
            digest.first.get_or_insert(point);
            digest.last = Some(point);
            let one = Cell::one(0, row.value);
            match &mut digest.total {
                Some(total) => total.add(&one),
                None => digest.total = Some(one),
            }
        }
        digest
    }

    /// Takes the digest of the rows that follow, whose first row of any quality is at `first_at`.
    pub(super) fn append(&mut self, next: &Self, first_at: i64, stream: bool) {
        let mut runs = next.runs.iter();
        if let Some(run) = self.runs.last_mut().filter(|run| run.open) {
            run.to = first_at;
            run.open = false;
            if let Some(next) = next.runs.first().filter(|next| next.from == first_at && next.quality == run.quality) {
                (run.to, run.open) = (next.to, next.open);
                runs.next();
            }
        }
        self.runs.extend(runs);
        if let (Some(last), Some(first), true) = (self.last, next.first, stream) {
            let distance = first.at.saturating_sub(last.at);
            self.distances.add(distance, 1);
            if distance > PAUSE {
                self.pauses.push((last.at, first.at));
            }
        }
        self.distances.merge(&next.distances);
        self.pauses.extend(&next.pauses);
        self.first = self.first.or(next.first);
        self.last = next.last.or(self.last);
        match (&mut self.total, next.total) {
            (Some(total), Some(next)) => total.add(&next),
            (total, next) => *total = total.or(next),
        }
        self.has_moved |= next.has_moved;
    }

    /// A row at `at`: the last run goes on, or it ends here and perhaps another begins.
    fn end_run(&mut self, at: i64, absent: Option<u8>) {
        if let Some(run) = self.runs.last_mut().filter(|run| run.open) {
            run.to = at;
            if absent == Some(run.quality) {
                return;
            }
            run.open = false;
        }
        if let Some(quality) = absent {
            self.runs.push(Run { from: at, to: at, quality, open: true });
        }
    }
}

/// The metric of a series pauses only when something is wrong.
pub(super) fn is_stream(key: Key) -> bool {
    Metric::from_id(key as u16).is_some_and(|metric| metric.info().shape == Shape::Stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_and_contain_their_floor() {
        for us in [1_i64, 2, 3, 4, 5, 7, 8, 1_000, 999_999, 60_000_000, i64::MAX] {
            let floor = class_floor(class_of(us));
            assert!(floor <= us && us - floor <= us / 4 + 1, "{us} {floor}");
        }
    }
}
