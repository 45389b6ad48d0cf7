//! A strip as a whole: beats, intervals, rate, pauses, quality.

use model::extra::NO_SAMPLE;
use model::{Metric, Rate, Waveform};

use crate::quality::{self, Figures, Reason, Verdict};
use crate::{Detector, RATE_HZ_MAX, RATE_HZ_MIN, rhythm, second};

/// Longest strip looked at, samples after averaging: two minutes. What follows is left out.
const SAMPLES_MAX: usize = 60_000;
/// Missing samples up to this time are bridged, seconds.
const BRIDGE_S: f64 = 0.1;
/// A shorter piece between gaps is not looked at, seconds.
const PIECE_S_MIN: f64 = 2.0;
/// A strip whose pieces are all shorter says nothing, seconds.
const STRIP_S_MIN: f64 = 5.0;

/// What a strip says.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub verdict: Verdict,
    /// Why it is not [`Verdict::Usable`].
    pub reason: Option<Reason>,
    /// Beats as indices into the strip's counts, also of a strip that is not usable: somebody may want to see why.
    pub peaks: Vec<usize>,
    /// RR intervals, seconds; none across a gap.
    pub intervals: Vec<f64>,
    /// Beats a minute, pauses at the ends included. `None` of a strip that is unusable.
    pub heart_rate: Option<f64>,
    /// Longest time without a beat when that is [`rhythm::PAUSE_S`] or more, seconds. `None` of a strip that is unusable for
    /// another reason than that it has no beats.
    pub pause_s: Option<f64>,
    /// Where it has no beats, of any strip: what of a pause lies across the end of a strip is put together from two of them.
    pub quiet: Quiet,
    pub figures: Figures,
}

/// Seconds without a beat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quiet {
    /// Before the first beat, at least; the whole length when there is none. `None` when samples are missing at the beginning.
    pub before: Option<f64>,
    /// The longest one neither at the beginning nor at the end.
    pub between: f64,
    /// After the last beat, as `before`.
    pub after: Option<f64>,
}

/// A piece without gaps, in mV.
pub(crate) struct Piece {
    /// Index of its first value, after averaging.
    pub(crate) from: usize,
    pub(crate) values: Vec<f64>,
}

/// Reads counts of a lead; `scale` is mV of one count.
pub fn read(rate: Rate, scale: f64, counts: &[i16]) -> Finding {
    let hz = f64::from(rate.samples) / f64::from(rate.seconds.max(1));
    if hz < RATE_HZ_MIN {
        return nothing(Reason::Rate, Figures::default());
    }
    let fold = (hz / RATE_HZ_MAX).ceil().max(1.0) as usize;
    let hz = hz / fold as f64;
    let counts = &counts[..counts.len().min(SAMPLES_MAX * fold)];
    let scale = if scale.is_finite() { scale.clamp(-1e3, 1e3) } else { 0.0 };
    let values = averaged(counts, fold, scale);
    let there: Vec<i16> = counts.iter().copied().filter(|count| *count != NO_SAMPLE).collect();
    let figures = Figures {
        present: there.len() as f64 / counts.len().max(1) as f64,
        clipped: quality::clipped(&there, hz * fold as f64),
        ..Figures::default()
    };
    let pieces = pieces(&values, hz);
    let seconds = values.len() as f64 / hz;
    match pieces.iter().map(|piece| piece.values.len()).max() {
        Some(longest) if longest as f64 / hz >= STRIP_S_MIN => {}
        _ if seconds >= STRIP_S_MIN && figures.present < 0.5 => return nothing(Reason::LeadOff, figures),
        _ => return nothing(Reason::Short, figures),
    }
    let mut found = judged(&pieces, values.len(), hz, scale.abs(), figures);
    let last = counts.len().saturating_sub(1);
    for peak in &mut found.peaks {
        *peak = (*peak * fold + fold / 2).min(last);
    }
    found
}

/// Reads the ECG blocks of one lead that follow each other; `None` when there are none, or they differ in rate or scale.
pub fn read_blocks<'a>(blocks: impl IntoIterator<Item = &'a Waveform>) -> Option<Finding> {
    let mut blocks = blocks.into_iter().filter(|block| block.metric == Metric::Ecg);
    let first = blocks.next()?;
    let mut counts = first.counts.clone();
    for block in blocks {
        if (block.rate, block.scale.to_bits()) != (first.rate, first.scale.to_bits()) {
            return None;
        }
        counts.extend_from_slice(&block.counts);
    }
    Some(read(first.rate, first.scale, &counts))
}

/// The lead to believe: the best verdict, then the best agreement, then the least noise, then the first.
pub fn best(found: impl IntoIterator<Item = Finding>) -> Option<Finding> {
    found.into_iter().reduce(|best, next| {
        let key = |one: &Finding| (one.verdict, -(20.0 * one.figures.agreement).round() as i32);
        let better =
            key(&next) < key(&best) || key(&next) == key(&best) && next.figures.noise + 0.05 < best.figures.noise;
        if better { next } else { best }
    })
}

fn nothing(reason: Reason, figures: Figures) -> Finding {
    Finding {
        verdict: Verdict::Unusable,
        reason: Some(reason),
        peaks: Vec::new(),
        intervals: Vec::new(),
        heart_rate: None,
        pause_s: None,
        quiet: Quiet::default(),
        figures,
    }
}

/// Values in mV, `fold` counts a value; NaN where a count is missing.
pub(crate) fn averaged(counts: &[i16], fold: usize, scale: f64) -> Vec<f64> {
    let average = |counts: &[i16]| {
        if counts.contains(&NO_SAMPLE) {
            return f64::NAN;
        }
        scale * counts.iter().map(|count| f64::from(*count)).sum::<f64>() / counts.len() as f64
    };
    counts.chunks(fold).map(average).collect()
}

/// Cuts at gaps; short ones are bridged with the last value.
pub(crate) fn pieces(values: &[f64], hz: f64) -> Vec<Piece> {
    let bridge = (BRIDGE_S * hz) as usize;
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    for run in values.chunk_by(|a, b| a.is_nan() == b.is_nan()) {
        let from = at;
        at += run.len();
        if run.first().is_some_and(|value| value.is_nan()) {
            continue;
        }
        match pieces.last_mut() {
            Some(last) if from - (last.from + last.values.len()) <= bridge => {
                let held = last.values.last().copied().unwrap_or_default();
                last.values.resize(from - last.from, held);
                last.values.extend_from_slice(run);
            }
            _ => pieces.push(Piece { from, values: run.to_vec() }),
        }
    }
    pieces.retain(|piece| piece.values.len() as f64 / hz >= PIECE_S_MIN);
    pieces
}

/// `whole` is the number of values of the strip, gaps included.
fn judged(pieces: &[Piece], whole: usize, hz: f64, step: f64, mut figures: Figures) -> Finding {
    let mut quiet = Quiet::default();
    let (mut peaks, mut intervals, mut open) = (Vec::new(), Vec::new(), Vec::new());
    let all: f64 = pieces.iter().map(|piece| piece.values.len() as f64).sum();
    for piece in pieces {
        let share = piece.values.len() as f64 / all;
        let (length, values) = (piece.values.len() as f64 / hz, &piece.values);
        let found = detected(values, hz);
        let seconds = |peaks: &[usize]| peaks.iter().map(|peak| *peak as f64 / hz).collect::<Vec<_>>();
        let beats = seconds(&found);
        let others = seconds(&second::peaks(values, hz));
        figures.agreement += share * rhythm::agreement(&beats, &others, length);
        figures.flat += share * quality::flat(values, hz, step);
        let [noise, hum, height] = quality::noise(values, hz, &found);
        let (kurtosis, baseline, likeness) = quality::shape(values, hz, &found);
        figures.noise += share * noise;
        figures.hum += share * hum;
        figures.height_mv += share * height;
        figures.kurtosis += share * kurtosis;
        figures.baseline += share * baseline;
        figures.likeness += share * likeness;
        quiet.add(&beats, length, piece.from == 0, piece.from + values.len() == whole);
        let (closed, ends) = rhythm::intervals(&beats, length);
        intervals.extend(closed);
        open.extend(ends);
        peaks.extend(found.into_iter().map(|peak| piece.from + peak));
    }
    let (verdict, reason) = quality::verdict(&figures, peaks.len());
    let readable = verdict != Verdict::Unusable;
    let longest = intervals.iter().chain(&open).copied().fold(0.0, f64::max);
    let pause = (readable || reason == Some(Reason::NoBeats)) && longest >= rhythm::PAUSE_S;
    let spans = [&intervals[..], &open[..]].concat();
    Finding {
        verdict,
        reason,
        heart_rate: rhythm::heart_rate(&spans).filter(|_| readable),
        pause_s: pause.then_some(longest),
        peaks,
        intervals,
        quiet,
        figures,
    }
}

impl Quiet {
    /// Takes in a piece of so many seconds, and whether it is the strip's beginning and its end.
    fn add(&mut self, beats: &[f64], length: f64, is_first: bool, is_last: bool) {
        let before = beats.first().copied().unwrap_or(length);
        let after = beats.last().map_or(length, |last| length - last);
        let inner = beats.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        self.between = self.between.max(inner);
        if is_first {
            self.before = Some(before);
        } else {
            self.between = self.between.max(before);
        }
        if is_last {
            self.after = Some(after);
        } else {
            self.between = self.between.max(after);
        }
    }
}

fn detected(values: &[f64], hz: f64) -> Vec<usize> {
    let mut found = Vec::new();
    if let Some(mut detector) = Detector::new(hz) {
        for value in values {
            detector.push(*value, &mut found);
        }
        detector.finish(&mut found);
    }
    found.into_iter().map(|at| (at as usize).min(values.len().saturating_sub(1))).collect()
}
