//! What is kept beside a block so that trends need not decode it: a summary, one-minute and one-hour rollups, runs of
//! absent values, long pauses, and a histogram of the distances between judged values.
//!
//! Everything here can be put together from parts in time order, so a trend over blocks gives the same answer as one
//! over rows. Rollups are kept only where they are at least [`WORTH`] times shorter than the rows.

use model::Quality;

use super::Error;
use super::column::{put_floats, put_ints, put_varint, take_byte, take_count, take_floats, take_ints, take_varint};
use super::config::Config;
use super::row::{Kind, Rows, kind};

/// One minute in microseconds.
pub(super) const MINUTE: i64 = 60_000_000;
/// One hour in microseconds.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// A distance between judged values of a stream beyond this may be a gap. Microseconds.
pub(super) const PAUSE: i64 = 5 * MINUTE;
/// A rollup is stored when the rows are at least this many times as many.
const WORTH: usize = 4;
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
pub(super) struct Distances(Vec<(u8, u64)>);

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

/// A rollup the reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Minute,
    Hour,
}

/// Form of a `side` column, and the same for a block with moved rows: its first and last instant may be nobody's.
const PLAIN: u8 = 1;
const WITH_MOVED: u8 = 2;

/// Writes digest and rollups of a block: the `side` column.
pub(super) fn encode(rows: &Rows, digest: &Digest) -> Result<Vec<u8>, Error> {
    let mut out = vec![if rows.has_moved() { WITH_MOVED } else { PLAIN }];
    put_varint(&mut out, digest.runs.len() as u64);
    if !digest.runs.is_empty() {
        put_ints(&mut out, &digest.runs.iter().map(|run| run.from).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.runs.iter().map(|run| run.to).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.runs.iter().map(|run| i64::from(run.quality)).collect::<Vec<_>>())?;
        out.push(u8::from(digest.runs.last().is_some_and(|run| run.open)));
    }
    put_varint(&mut out, digest.pauses.len() as u64);
    if !digest.pauses.is_empty() {
        put_ints(&mut out, &digest.pauses.iter().map(|(from, _)| *from).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.pauses.iter().map(|(_, to)| *to).collect::<Vec<_>>())?;
    }
    put_varint(&mut out, digest.distances.0.len() as u64);
    for (class, count) in &digest.distances.0 {
        out.push(*class);
        put_varint(&mut out, *count);
    }
    for width in [HOUR, MINUTE] {
        let cells = cells(rows, width);
        let worth = !cells.is_empty() && cells.len() * WORTH <= rows.len();
        put_varint(&mut out, if worth { cells.len() as u64 } else { 0 });
        if worth {
            put_ints(&mut out, &cells.iter().map(|cell| cell.start / width).collect::<Vec<_>>())?;
            put_ints(&mut out, &cells.iter().map(|cell| cell.n as i64).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.sum).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.min).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.max).collect::<Vec<_>>())?;
        }
    }
    Ok(out)
}

/// Reads a `side` column: runs, pauses and distances (the summary is in columns of its own), and the rollup of
/// `level` when it was stored.
pub(super) fn decode(mut input: &[u8], level: Option<Level>) -> Result<(Digest, Option<Vec<Cell>>), Error> {
    let input = &mut input;
    let has_moved = match take_byte(input)? {
        PLAIN => false,
        WITH_MOVED => true,
        _ => return Err(Error::corrupt("a digest of unknown form")),
    };
    let mut digest = Digest { runs: take_runs(input)?, has_moved, ..Digest::default() };
    let pauses = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if pauses > 0 {
        let from = take_ints(input, pauses)?;
        digest.pauses = from.into_iter().zip(take_ints(input, pauses)?).collect();
    }
    for _ in 0..take_count(input, CLASSES)? {
        digest.distances.0.push((take_byte(input)?.min(CLASSES as u8 - 1), take_varint(input)?));
    }
    let Some(level) = level else { return Ok((digest, None)) };
    let hours = take_cells(input, HOUR)?;
    let found = match level {
        Level::Hour if hours.is_some() => hours,
        _ => take_cells(input, MINUTE)?,
    };
    Ok((digest, found))
}

fn take_runs(input: &mut &[u8]) -> Result<Vec<Run>, Error> {
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if n == 0 {
        return Ok(Vec::new());
    }
    let (from, to, quality) = (take_ints(input, n)?, take_ints(input, n)?, take_ints(input, n)?);
    let open = take_byte(input)? == 1;
    let rows = from.into_iter().zip(to).zip(quality).enumerate();
    rows.map(|(i, ((from, to), quality))| {
        let quality = u8::try_from(quality).ok().filter(|id| Quality::from_id(*id).is_some());
        let quality = quality.ok_or_else(|| Error::corrupt("an unknown quality code"))?;
        Ok(Run { from, to, quality, open: open && i + 1 == n })
    })
    .collect()
}

fn take_cells(input: &mut &[u8], width: i64) -> Result<Option<Vec<Cell>>, Error> {
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if n == 0 {
        return Ok(None);
    }
    let (starts, counts) = (take_ints(input, n)?, take_ints(input, n)?);
    let (sums, mins, maxs) = (take_floats(input, n)?, take_floats(input, n)?, take_floats(input, n)?);
    let cell = |i: usize| Cell {
        start: starts[i].saturating_mul(width),
        n: counts[i].max(0) as u64,
        sum: sums[i],
        min: mins[i],
        max: maxs[i],
    };
    Ok(Some((0..n).map(cell).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::row::Row;

    #[test]
    fn classes_are_ordered_and_contain_their_floor() {
        for us in [1_i64, 2, 3, 4, 5, 7, 8, 1_000, 999_999, 60_000_000, i64::MAX] {
            let floor = class_floor(class_of(us));
            assert!(floor <= us && us - floor <= us / 4 + 1, "{us} {floor}");
        }
    }

    #[test]
    fn a_digest_comes_back_with_its_rollups() {
        let mut rows = Rows::default();
        for i in 0..2_000_i64 {
            let quality = if i % 500 > 490 { Quality::SensorOff } else { Quality::Ok };
            let jump = if i > 1_000 { 2 * HOUR } else { 0 };
            rows.insert(Row { at: i * 1_000_000 + jump, value: (i % 40) as f64, device: 1, quality: quality.id() });
        }
        let digest = Digest::of(&rows, true);
        assert_eq!((digest.runs.len(), digest.pauses.len()), (4, 1));
        let side = encode(&rows, &digest).unwrap();
        for (level, width) in [(Level::Minute, MINUTE), (Level::Hour, HOUR)] {
            let (back, found) = decode(&side, Some(level)).unwrap();
            assert_eq!((&back.runs, &back.pauses, &back.distances), (&digest.runs, &digest.pauses, &digest.distances));
            assert_eq!(found, Some(cells(&rows, width)));
        }
    }
}
