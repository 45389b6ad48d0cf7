//! Blocks of a waveform, latest first, joined into stretches without a gap: the same for every back end.

use std::collections::HashMap;

use model::{DeviceId, Time};

use super::wave::{Stretch, Stretches};

/// Blocks one question looks at, at most: a day of twelve leads in blocks of five seconds.
pub(super) const BLOCKS_MAX: usize = 250_000;
/// Blocks that follow each other within this time are one stretch, microseconds: half a millimetre on the paper.
const JOIN_US: i64 = 20_000;

/// Joins blocks as they come, those that start latest first.
#[derive(Debug)]
pub(super) struct Joiner {
    window: (Time, Time),
    limit: usize,
    answer: Stretches,
    open: HashMap<(DeviceId, u32), usize>,
    seen: usize,
}

impl Joiner {
    /// At most `limit` stretches, cut to the window.
    pub(super) fn new(window: (Time, Time), limit: usize) -> Self {
        Self { window, limit, answer: Stretches::default(), open: HashMap::new(), seen: 0 }
    }

    /// The next block: its start and end. False when no more are to be given.
    pub(super) fn add(&mut self, (start, end): (Time, Time), device: DeviceId, lead: u32) -> bool {
        self.seen += 1;
        if self.seen > BLOCKS_MAX {
            self.answer.cut = true;
            return false;
        }
        let (from, to) = (start.max(self.window.0), end.min(self.window.1));
        if let Some(next) = self.open.get(&(device, lead)).and_then(|at| self.answer.found.get_mut(*at))
            && next.from.since_us(to) <= JOIN_US
        {
            (next.from, next.to) = (from, next.to.max(to));
            return true;
        }
        if self.answer.found.len() == self.limit {
            // Go on: what was found may have begun earlier.
            self.answer.cut = true;
            return true;
        }
        self.open.insert((device, lead), self.answer.found.len());
        self.answer.found.push(Stretch { device, lead, from, to });
        true
    }

    pub(super) fn finish(self) -> Stretches {
        self.answer
    }
}
