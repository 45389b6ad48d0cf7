//! What stays of readings when they are too old to be kept one by one: a block without rows, with their rollup and digest.
//!
//! Such a block covers the time of its rows, so that nothing late can come back into it. Neighbours of the same kind are joined
//! until they are as long as a block of rows: a series measured once a second would otherwise leave dozens a day.

use model::Quality;
use rusqlite::Connection;

use super::Error;
use super::block::{self, Place};
use super::digest::{Cell, Digest, HOUR, MINUTE, cells, floor, is_stream};
use super::limits::Keep;
use super::row::{Key, Row, Rows};
use super::side;

/// Cells, and runs and pauses, beyond which a kept block is not made longer.
const CELLS_MAX: usize = 2_048;

/// The rollup of one stretch of a series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    /// First and last row of any quality, microseconds.
    pub(super) t0: i64,
    pub(super) t1: i64,
    pub(super) keep: Keep,
    pub(super) digest: Digest,
    /// Of one minute or of one hour, as `keep` says.
    pub(super) cells: Vec<Cell>,
}

/// Width of the cells that are kept, microseconds.
pub(super) fn width(keep: Keep) -> i64 {
    if keep == Keep::Minutes { MINUTE } else { HOUR }
}

impl Kept {
    /// `None` when none of the rows is in any answer.
    pub(super) fn of(key: Key, rows: Rows, keep: Keep) -> Option<Self> {
        let rows = rows.present();
        let (t0, t1) = (rows.first_at()?, rows.last_at()?);
        let digest = Digest::of(&rows, is_stream(key));
        Some(Self { t0, t1, keep, digest, cells: cells(&rows, width(keep)) })
    }

    /// Reads a block that has no rows any more.
    pub(super) fn load(db: &Connection, place: &Place) -> Result<Self, Error> {
        let (digest, side) = block::kept(db, place)?;
        let (digest, cells) = side::decode_kept(&side, digest, width(place.kept))?;
        Ok(Self { t0: place.t0, t1: place.t1, keep: place.kept, digest, cells })
    }

    /// Minutes become hours.
    pub(super) fn coarser(mut self, keep: Keep) -> Self {
        if self.keep < keep {
            self.keep = keep;
            let fine = std::mem::take(&mut self.cells);
            add_cells(&mut self.cells, &fine, width(keep));
        }
        self
    }

    /// Whether the next stretch may go into the same block.
    pub(super) fn has_room_for(&self, next: &Self) -> bool {
        let marks = |kept: &Self| kept.digest.runs.len() + kept.digest.pauses.len();
        self.keep == next.keep
            && self.cells.len() + next.cells.len() <= CELLS_MAX
            && marks(self) + marks(next) <= CELLS_MAX
    }

    /// Takes the stretch that follows.
    pub(super) fn append(&mut self, key: Key, next: &Self) {
        self.digest.append(&next.digest, next.t0, is_stream(key));
        add_cells(&mut self.cells, &next.cells, width(self.keep));
        self.t1 = next.t1;
    }

    /// The newest row, as far as it is known: its value when it is the last one judged, else why there is none.
    pub(super) fn newest(&self) -> Row {
        let at = self.t1;
        // No device: which one it was is not kept.
        match (self.digest.last.filter(|last| last.at == at), self.digest.runs.last().filter(|run| run.to == at)) {
            (Some(last), _) => Row { at, value: last.value, device: 0, quality: Quality::Ok.id() },
            (None, run) => {
                let quality = run.map_or(Quality::Absent.id(), |run| run.quality);
                Row { at, value: 0.0, device: 0, quality }
            }
        }
    }

    /// The cells that touch `from <= time < to`, and what the digest says of that time. A minute or an hour cannot be cut: at the
    /// edges of a range it is taken whole, and a run of absent values that the range cuts reaches to its edge.
    pub(super) fn within(mut self, from: i64, to: i64) -> Self {
        if from <= self.t0 && self.t1 < to {
            return self;
        }
        let width = width(self.keep);
        self.cells.retain(|cell| cell.start.saturating_add(width) > from && cell.start < to);
        let digest = &mut self.digest;
        digest.runs.retain(|run| run.to >= from && run.from < to);
        for run in &mut digest.runs {
            run.from = run.from.max(from);
            run.open |= run.to >= to;
            run.to = run.to.min(to.saturating_sub(1));
        }
        digest.pauses.retain(|(start, end)| *start >= from && *end < to);
        digest.first = digest.first.filter(|first| first.at >= from && first.at < to);
        digest.last = digest.last.filter(|last| last.at >= from && last.at < to);
        (self.t0, self.t1) = (self.t0.max(from), self.t1.min(to.saturating_sub(1)));
        self
    }
}

/// Puts cells into wider ones, or of the same width, that follow those there.
fn add_cells(to: &mut Vec<Cell>, fine: &[Cell], width: i64) {
    for cell in fine {
        let cell = Cell { start: floor(cell.start, width), ..*cell };
        match to.last_mut() {
            Some(last) if last.start == cell.start => last.add(&cell),
            _ => to.push(cell),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{ElderId, Metric, Quality, Subject};

    use super::*;
    use crate::readings::row::{Row, key_of};

    fn key() -> Key {
        key_of(Subject::Elder(ElderId(1)), Metric::HeartRate)
    }

    fn rows(range: std::ops::Range<i64>) -> Rows {
        let mut rows = Rows::default();
        for i in range {
            let quality = if i % 400 > 380 { Quality::SensorOff } else { Quality::Ok };
            let pause = if i > 2_500 { 9 * MINUTE } else { 0 };
            rows.insert(Row { at: i * 1_500_000 + pause, value: (i % 40) as f64, device: 1, quality: quality.id() });
        }
        rows
    }

    #[test]
    fn stretches_put_together_are_one_stretch() {
        let whole = Kept::of(key(), rows(0..4_000), Keep::Minutes).unwrap();
        // Cut within a minute, within a run of absent values, and in the long pause.
        for cut in [1_000, 1_190, 2_501] {
            let mut joined = Kept::of(key(), rows(0..cut), Keep::Minutes).unwrap();
            joined.append(key(), &Kept::of(key(), rows(cut..4_000), Keep::Minutes).unwrap());
            assert_eq!(joined, whole, "{cut}");
            let hours = Kept::of(key(), rows(0..4_000), Keep::Hours).unwrap();
            assert_eq!(joined.coarser(Keep::Hours), hours);
        }
    }

    #[test]
    fn kept_bytes_come_back() {
        for keep in [Keep::Minutes, Keep::Hours] {
            let kept = Kept::of(key(), rows(0..4_000), keep).unwrap();
            let side = side::encode_kept(&kept.digest, &kept.cells, width(keep)).unwrap();
            let (digest, cells) = side::decode_kept(&side, Digest::default(), width(keep)).unwrap();
            assert_eq!((digest.runs, digest.pauses), (kept.digest.runs.clone(), kept.digest.pauses.clone()));
            assert_eq!((digest.distances, cells), (kept.digest.distances.clone(), kept.cells.clone()));
            for end in 0..side.len() {
                assert!(side::decode_kept(&side[..end], Digest::default(), width(keep)).is_err());
            }
        }
    }
}
