//! Samples of one lead on their way to a strip: where they end, and where a strip is cut.

use model::{Rate, Time, Waveform};

use super::JOIN_US;

/// A strip, microseconds.
pub(super) const STRIP_US: i64 = 10_000_000;
/// Samples of one lead of a strip: ten seconds at 10 kHz. Beyond it a strip is shorter.
pub(super) const COUNTS_MAX: usize = 100_000;

/// Samples of one lead since the last strip.
#[derive(Debug)]
pub(super) struct Lead {
    pub(super) code: u32,
    pub(super) rate: Rate,
    pub(super) scale: f64,
    pub(super) offset: f64,
    pub(super) start: Time,
    pub(super) counts: Vec<i16>,
}

impl Lead {
    pub(super) fn new(block: &Waveform) -> Self {
        let Waveform { lead: code, rate, scale, offset, start, ref counts, .. } = *block;
        Self { code, rate, scale, offset, start, counts: counts.clone() }
    }

    pub(super) fn hz(&self) -> f64 {
        f64::from(self.rate.samples) / f64::from(self.rate.seconds.max(1))
    }

    pub(super) fn end(&self) -> Time {
        self.start.plus_us(self.rate.offset_us(self.counts.len()))
    }

    pub(super) fn length_us(&self) -> i64 {
        self.end().since_us(self.start)
    }

    /// The block begins where the samples end.
    pub(super) fn continues(&self, block: &Waveform) -> bool {
        let apart = block.start.since_us(self.end()).abs();
        apart <= JOIN_US && (self.rate, self.scale.to_bits()) == (block.rate, block.scale.to_bits())
    }

    /// Takes the block in. The newest block says what time it is: clocks drift, and nothing else sets them right again.
    pub(super) fn extend(&mut self, block: &Waveform) {
        self.start = block.start.plus_us(-self.rate.offset_us(self.counts.len()));
        self.counts.extend_from_slice(&block.counts);
    }

    /// When the strip is whole, if it is.
    pub(super) fn whole_at(&self) -> Option<Time> {
        let samples = (STRIP_US as f64 / 1e6 * self.hz()).ceil().clamp(1.0, COUNTS_MAX as f64) as usize;
        (self.counts.len() >= samples).then(|| self.start.plus_us(self.rate.offset_us(samples)))
    }

    /// Cuts at a time: what comes after it.
    pub(super) fn split(&mut self, at: Time) -> Self {
        let samples = (at.since_us(self.start) as f64 / 1e6 * self.hz()).round().max(0.0) as usize;
        let counts = self.counts.split_off(samples.min(self.counts.len()));
        Self { start: self.end(), counts, ..*self }
    }
}
