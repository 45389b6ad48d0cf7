//! R peaks of a running stream.
//!
//! J. Pan, W. J. Tompkins, "A Real-Time QRS Detection Algorithm", IEEE Trans. Biomed. Eng. 32(3), 1985: band 5-15 Hz, slope,
//! square, integral over 150 ms, two adaptive thresholds, search back after 1.66 RR, T waves told by their slope. Ours:
//! - the thresholds sink by half every 2 s without a beat, so that one large artefact does not make the heart stop for long;
//!   never below a sixteenth (in height: a quarter) of the last beats, so that a pause is not filled with what noise there is;
//! - a peak teaches the thresholds at most four times the level they have: an artefact of 50 mV is not a measure of beats;
//! - what is lower than 0.1 mV in the band is no beat (a QRS of 0.15 mV: a heart-rate meter of ANSI/AAMI EC13 must not count it);
//! - the place of a beat is the farthest point of the unfiltered signal around the peak in the band.

use std::collections::VecDeque;

use crate::filter::Band;
use crate::{RATE_HZ_MIN, REFRACTORY_S};

/// Time in which the thresholds are learnt, seconds.
const LEARN_S: f64 = 2.0;
/// The integral's window, seconds.
const WINDOW_S: f64 = 0.15;
/// A peak of the integral has passed when nothing higher came for this long, seconds.
const PASSED_S: f64 = 0.1;
/// Lowest beat in the band 5-15 Hz, mV from trough to crest.
const BEAT_MV_MIN: f64 = 0.1;
/// A peak so soon after a beat may be its T wave, seconds.
const T_WAVE_S: f64 = 0.36;
/// Without a beat for so many mean RR intervals the lower threshold is tried.
const SEARCH_RR: f64 = 1.66;
/// Without a beat for so long the thresholds sink, seconds.
const SINK_S: f64 = 2.0;
/// The signal level is not below this share of the last beats.
const SINK_SHARE_MIN: f64 = 1.0 / 16.0;
/// One peak counts for at most so many times the level of the beats so far.
const LESSON_MAX: f64 = 4.0;
/// RR interval assumed before there are two beats, seconds.
const RR_S: f64 = 1.0;
/// RR intervals and beats that are remembered.
const BEATS_KEPT: usize = 8;
/// Peaks below the threshold that are remembered for the search back: four seconds of the densest possible.
const CANDIDATES_MAX: usize = 48;
/// Signal kept to place a beat, seconds.
const KEPT_S: f64 = 0.6;

/// Peak of the integral that is a beat, or is not.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// Sample of the R wave.
    at: u64,
    /// Height of the integral.
    height: f64,
    /// Steepest slope under it.
    slope: f64,
    /// High enough in millivolts.
    counts: bool,
}

/// Finds R peaks in a stream. Memory is bounded by the sampling rate, whatever comes.
#[derive(Clone, Debug)]
pub struct Detector {
    rate: f64,
    band: Band,
    /// Distance of the points of the slope: 5 ms, as at 200 Hz.
    step: usize,
    /// Samples taken.
    taken: u64,
    /// Unfiltered and band-passed, the last [`KEPT_S`].
    kept: VecDeque<(f64, f64)>,
    squares: VecDeque<f64>,
    sum: f64,
    slopes: VecDeque<f64>,
    /// The highest integral since the last peak passed, and where.
    rising: Option<(f64, u64)>,
    learnt: bool,
    signal: f64,
    noise: f64,
    last: Option<Candidate>,
    intervals: VecDeque<f64>,
    heights: VecDeque<f64>,
    candidates: VecDeque<Candidate>,
    sunk_at: u64,
}

impl Detector {
    /// For a sampling rate in Hz; `None` for one below [`RATE_HZ_MIN`] or beyond 10 kHz.
    pub fn new(rate: f64) -> Option<Self> {
        (RATE_HZ_MIN..=10_000.0).contains(&rate).then(|| Self {
            rate,
            band: Band::new(rate, 5.0, 15.0),
            step: ((rate * 0.005).round() as usize).max(1),
            taken: 0,
            kept: VecDeque::new(),
            squares: VecDeque::new(),
            sum: 0.0,
            slopes: VecDeque::new(),
            rising: None,
            learnt: false,
            signal: 0.0,
            noise: 0.0,
            last: None,
            intervals: VecDeque::new(),
            heights: VecDeque::new(),
            candidates: VecDeque::new(),
            sunk_at: 0,
        })
    }

    /// Takes the next sample, mV. Beats found are appended to `out` as sample numbers, in order; a beat is told up to 0.3 s
    /// after it was (2.3 s at the beginning, or when it is found by search back: up to 4 s).
    pub fn push(&mut self, value: f64, out: &mut Vec<u64>) {
        let value = if value.is_finite() { value.clamp(-1e6, 1e6) } else { 0.0 };
        let band = self.band.run(value);
        let (kept, steep) = (self.samples(KEPT_S), self.samples(WINDOW_S + PASSED_S));
        keep(&mut self.kept, (value, band), kept);
        self.taken += 1;
        let slope = self.slope();
        keep(&mut self.slopes, slope.abs(), steep);
        let square = slope * slope;
        self.sum += square;
        self.squares.push_back(square);
        if self.squares.len() > self.samples(WINDOW_S) {
            self.sum -= self.squares.pop_front().unwrap_or_default();
        }
        let height = (self.sum / self.squares.len() as f64).max(0.0);
        self.follow(height, out);
        if !self.learnt && self.taken >= self.samples(LEARN_S) as u64 {
            self.learn(out);
        }
        if self.learnt {
            self.search_back(out);
        }
    }

    /// The stream was interrupted: `missing` samples are not there, and what follows is learnt anew.
    pub fn skip(&mut self, missing: u64, out: &mut Vec<u64>) {
        self.finish(out);
        let taken = self.taken.saturating_add(missing);
        if let Some(new) = Self::new(self.rate) {
            *self = Self { taken: 0, ..new };
            self.restart(taken);
        }
    }

    /// Nothing more comes: tells what is still open.
    pub fn finish(&mut self, out: &mut Vec<u64>) {
        if let Some((height, at)) = self.rising.take() {
            self.passed(height, at, out);
        }
        if !self.learnt {
            self.learn(out);
        }
    }

    fn restart(&mut self, taken: u64) {
        (self.taken, self.sunk_at) = (taken, taken);
    }

    fn samples(&self, seconds: f64) -> usize {
        (seconds * self.rate).round().max(1.0) as usize
    }

    /// Five-point derivative of the band, mV in 5 ms.
    fn slope(&self) -> f64 {
        let back = |steps: usize| {
            let index = self.kept.len().checked_sub(1 + steps * self.step)?;
            self.kept.get(index).map(|(_, band)| *band)
        };
        match (back(0), back(1), back(3), back(4)) {
            (Some(a), Some(b), Some(d), Some(e)) => (2.0 * a + b - d - 2.0 * e) / 8.0,
            _ => 0.0,
        }
    }

    /// Follows the integral to its peaks.
    fn follow(&mut self, height: f64, out: &mut Vec<u64>) {
        let now = self.taken;
        match self.rising {
            Some((top, at)) if height <= top => {
                let waited = now - at >= self.samples(PASSED_S) as u64;
                if waited || height < top / 2.0 {
                    self.passed(top, at, out);
                    // The next peak begins where this one has fallen to.
                    self.rising = None;
                }
            }
            None if height <= 0.0 => {}
            _ => self.rising = Some((height, now)),
        }
    }

    /// A peak of the integral has passed.
    fn passed(&mut self, height: f64, at: u64, out: &mut Vec<u64>) {
        let Some(candidate) = self.place(height, at) else { return };
        if self.learnt {
            self.judge(candidate, out);
        } else {
            keep(&mut self.candidates, candidate, CANDIDATES_MAX);
        }
    }

    /// Where the R wave under a peak of the integral is.
    fn place(&self, height: f64, at: u64) -> Option<Candidate> {
        // Index in `kept` of a sample by its number; numbers count from 1 here.
        let index = |number: u64| (number + self.kept.len() as u64).checked_sub(self.taken + 1);
        let reach = (self.samples(WINDOW_S) + 4 * self.step) as u64;
        let (from, to) = (index(at.saturating_sub(reach)).unwrap_or(0) as usize, index(at)? as usize);
        let farthest = |from: usize, to: usize, of: &dyn Fn(&(f64, f64)) -> f64| {
            let inside = self.kept.iter().enumerate().take(to + 1).skip(from);
            inside.map(|(i, pair)| (i, of(pair))).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
        };
        let crest = farthest(from, to, &|pair| pair.1.abs())?;
        let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
        for (_, band) in self.kept.iter().take(to + 1).skip(from) {
            (lowest, highest) = (lowest.min(*band), highest.max(*band));
        }
        // The band is about 30 ms behind the signal.
        let (before, after) = (crest.saturating_sub(self.samples(0.07)), crest + self.samples(0.01));
        let wide = before.saturating_sub(self.samples(0.08));
        let around = self.kept.iter().take(after + 1).skip(wide);
        let (count, sum) = around.fold((0.0, 0.0), |(count, sum), (raw, _)| (count + 1.0, sum + raw));
        let mean = sum / f64::max(count, 1.0);
        let peak = farthest(before, after.min(self.kept.len() - 1), &|pair| (pair.0 - mean).abs())?;
        let slope = self.slopes.iter().copied().fold(0.0, f64::max);
        let at = self.taken - self.kept.len() as u64 + peak as u64;
        Some(Candidate { at, height, slope, counts: highest - lowest >= BEAT_MV_MIN })
    }

    /// The first thresholds, and the beats of the time in which they were learnt.
    fn learn(&mut self, out: &mut Vec<u64>) {
        self.learnt = true;
        self.sunk_at = self.taken;
        let heights: Vec<f64> = self.candidates.iter().map(|one| one.height).collect();
        let highest = heights.iter().copied().fold(0.0, f64::max);
        let mean = heights.iter().sum::<f64>() / heights.len().max(1) as f64;
        // The first samples of a recording may be the step of an electrode put on: the median of what is high, not the top.
        let mut high: Vec<f64> = heights.iter().copied().filter(|height| *height > highest / 10.0).collect();
        high.sort_by(f64::total_cmp);
        self.signal = high.get(high.len() / 2).copied().unwrap_or(highest) * 0.6;
        self.noise = (mean * 0.1).min(self.signal * 0.3);
        for candidate in std::mem::take(&mut self.candidates) {
            self.judge(candidate, out);
        }
    }

    fn threshold(&self) -> f64 {
        self.noise + 0.25 * (self.signal - self.noise).max(0.0)
    }

    /// What a peak teaches.
    fn lesson(&self, candidate: Candidate) -> f64 {
        candidate.height.min(LESSON_MAX * self.signal.max(f64::MIN_POSITIVE))
    }

    /// A beat, a T wave, or noise.
    fn judge(&mut self, candidate: Candidate, out: &mut Vec<u64>) {
        if let Some(last) = self.last {
            let after = candidate.at.saturating_sub(last.at) as f64 / self.rate;
            if after < REFRACTORY_S {
                return;
            }
            if after < T_WAVE_S && candidate.slope < last.slope / 2.0 {
                self.noise = 0.125 * self.lesson(candidate) + 0.875 * self.noise;
                return;
            }
        }
        if candidate.counts && candidate.height > self.threshold() {
            self.signal = 0.125 * self.lesson(candidate) + 0.875 * self.signal;
            self.beat(candidate, out);
        } else {
            self.noise = 0.125 * self.lesson(candidate) + 0.875 * self.noise;
            keep(&mut self.candidates, candidate, CANDIDATES_MAX);
        }
    }

    fn beat(&mut self, candidate: Candidate, out: &mut Vec<u64>) {
        if let Some(last) = self.last {
            let interval = (candidate.at - last.at) as f64 / self.rate;
            // A pause says nothing about when the next beat is due.
            if interval < 3.0 {
                keep(&mut self.intervals, interval, BEATS_KEPT);
            }
        }
        let height = self.lesson(candidate);
        keep(&mut self.heights, height, BEATS_KEPT);
        self.candidates.retain(|one| one.at > candidate.at);
        self.sunk_at = self.sunk_at.max(candidate.at);
        self.last = Some(candidate);
        out.push(candidate.at);
    }

    /// No beat for long: perhaps one was lower than the others.
    fn search_back(&mut self, out: &mut Vec<u64>) {
        let Some(last) = self.last else { return self.sink() };
        let mean = if self.intervals.is_empty() {
            RR_S
        } else {
            self.intervals.iter().sum::<f64>() / self.intervals.len() as f64
        };
        if (self.taken - last.at) as f64 / self.rate > SEARCH_RR * mean {
            let lower = self.threshold() / 2.0;
            let free = last.at + self.samples(T_WAVE_S) as u64;
            let found = self.candidates.iter().filter(|one| one.counts && one.at > free && one.height > lower);
            if let Some(found) = found.max_by(|a, b| a.height.total_cmp(&b.height)).copied() {
                self.signal = 0.25 * found.height + 0.75 * self.signal;
                self.beat(found, out);
            }
        }
        self.sink();
    }

    /// The thresholds sink while nothing is found.
    fn sink(&mut self) {
        if self.taken.saturating_sub(self.sunk_at) < self.samples(SINK_S) as u64 {
            return;
        }
        self.sunk_at = self.taken;
        let mut heights: Vec<f64> = self.heights.iter().copied().collect();
        heights.sort_by(f64::total_cmp);
        let floor = heights.get(heights.len() / 2).map_or(0.0, |median| median * SINK_SHARE_MIN);
        self.signal = (self.signal / 2.0).max(floor);
        self.noise = self.noise.min(self.signal / 2.0);
    }
}

/// Appends; the oldest goes when there are more than `most`.
fn keep<T>(queue: &mut VecDeque<T>, item: T, most: usize) {
    queue.push_back(item);
    while queue.len() > most {
        queue.pop_front();
    }
}
