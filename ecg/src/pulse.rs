//! PPG: the pulse in a strip of a pulse wave, and whether the strip is good enough to count it.
//!
//! - Beats: M. Elgendi et al., "Systolic Peak Detection in Acceleration Photoplethysmograms ..", PLoS ONE 8(10): e76585, 2013: band 0.5
//!   to 8 Hz, the positive half squared, a moving average as long as a systolic peak (111 ms) over one as long as a beat (667 ms) plus
//!   2 % of the mean.
//! - `skewness`: M. Elgendi, "Optimal Signal Quality Index for Photoplethysmogram Signals", Bioengineering 3(4): 21, 2016, who found it
//!   the best of eight indices: a pulse is a narrow peak over a broad valley, noise is as often above its mean as below. `perfusion` is
//!   the first of the eight: the swing over the light that does not pulse.
//! - `likeness`: correlation of the beats with their mean beat, C. Orphanidou et al., "Signal-Quality Indices for the Electrocardiogram
//!   and Photoplethysmogram ..", IEEE J. Biomed. Health Inform. 19(3), 2015, with their limit 0.86. Their limits for rates and
//!   intervals are left out: fibrillation is irregular and no noise.
//!
//! The other limits are ours: no paper names one for a single strip. They are set on made waves and checked on recordings
//! (`tests/it/pulse.rs`).

use model::Rate;
use model::extra::NO_SAMPLE;
use serde::Serialize;

use crate::filter::band;
use crate::quality::{clipped, correlation, flat};
use crate::second::mean;
use crate::strip::{averaged, pieces};
use crate::{Figures, Finding, Quiet, Reason, Verdict, rhythm};

/// Slowest sampling that is looked at, Hz: the band reaches to 8 Hz.
pub const PULSE_HZ_MIN: f64 = 20.0;
/// Faster sampling is averaged down to at most this, Hz.
const PULSE_HZ_MAX: f64 = 200.0;
/// Longest strip looked at, samples after averaging: two minutes.
const SAMPLES_MAX: usize = 24_000;
/// A strip without a piece of this length says nothing, seconds.
const STRIP_S_MIN: f64 = 5.0;
const PEAK_S: f64 = 0.111;
const BEAT_S: f64 = 0.667;
const OFFSET: f64 = 0.02;
/// Peaks closer than this are one, seconds: 200 a minute.
const APART_S: f64 = 0.3;
/// Skewness is taken of windows of this length, seconds: a jerk spoils its own only.
const WINDOW_S: f64 = 5.0;

const PRESENT_MIN: f64 = 0.5;
const PRESENT_DOUBT: f64 = 0.9;
const FLAT_MAX: f64 = 0.9;
const FLAT_DOUBT: f64 = 0.1;
const CLIPPED_MAX: f64 = 0.15;
const CLIPPED_DOUBT: f64 = 0.01;
/// Counts between valley and peak: below, the steps of the converter are the shape.
const SWING_MIN: f64 = 4.0;
/// Percent: the lowest that pulse oximeters show.
const PERFUSION_MIN: f64 = 0.02;
const LIKENESS_MIN: f64 = 0.8;
const LIKENESS_DOUBT: f64 = 0.86;
/// Fewer beats have no mean worth the name.
const BEATS_MIN: usize = 4;

/// What a strip of a pulse wave says.
#[derive(Clone, Debug, PartialEq)]
pub struct Pulse {
    pub verdict: Verdict,
    /// Why it is not [`Verdict::Usable`].
    pub reason: Option<Reason>,
    /// Systolic peaks as indices into the strip's counts; of its longest piece without a gap.
    pub peaks: Vec<usize>,
    /// Seconds between them.
    pub intervals: Vec<f64>,
    /// Beats a minute; `None` of a strip that is unusable.
    pub rate: Option<f64>,
    pub figures: PulseFigures,
}

/// The figures behind a verdict; shares are 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PulseFigures {
    /// Samples that are there.
    pub present: f64,
    /// Seconds that do not move.
    pub flat: f64,
    /// Samples at an end stop.
    pub clipped: f64,
    /// Counts between the lowest and the highest of the band.
    pub swing: f64,
    /// The swing over the light that does not pulse, percent; `None` of a wave that comes without it.
    pub perfusion: Option<f64>,
    /// Mean skewness of the windows, the wave turned so that it is positive of the whole.
    pub skewness: f64,
    /// The least of a window.
    pub skewness_worst: f64,
    /// Mean correlation of the beats with their mean.
    pub likeness: f64,
}

/// Reads counts of a pulse wave, upright or upside down; `scale` and `offset` make a count the light, 0 where there is none.
pub fn read(rate: Rate, scale: f64, offset: f64, counts: &[i16]) -> Pulse {
    let hz = f64::from(rate.samples) / f64::from(rate.seconds.max(1));
    if hz < PULSE_HZ_MIN {
        return nothing(Reason::Rate, PulseFigures::default());
    }
    let fold = (hz / PULSE_HZ_MAX).ceil().max(1.0) as usize;
    let slow = hz / fold as f64;
    let counts = &counts[..counts.len().min(SAMPLES_MAX * fold)];
    let there: Vec<i16> = counts.iter().copied().filter(|count| *count != NO_SAMPLE).collect();
    let figures = PulseFigures {
        present: there.len() as f64 / counts.len().max(1) as f64,
        clipped: clipped(&there, hz),
        ..PulseFigures::default()
    };
    let values = averaged(counts, fold, 1.0);
    let pieces = pieces(&values, slow);
    let longest = pieces.iter().max_by_key(|piece| piece.values.len());
    let Some(piece) = longest.filter(|piece| piece.values.len() as f64 / slow >= STRIP_S_MIN) else {
        let off = values.len() as f64 / slow >= STRIP_S_MIN && figures.present < PRESENT_MIN;
        return nothing(if off { Reason::LeadOff } else { Reason::Short }, figures);
    };
    let mut found = judged(&piece.values, slow, offset / scale, figures);
    let last = counts.len().saturating_sub(1);
    for peak in &mut found.peaks {
        *peak = ((piece.from + *peak) * fold + fold / 2).min(last);
    }
    found
}

fn nothing(reason: Reason, figures: PulseFigures) -> Pulse {
    let (verdict, reason) = (Verdict::Unusable, Some(reason));
    Pulse { verdict, reason, peaks: Vec::new(), intervals: Vec::new(), rate: None, figures }
}

/// A piece in counts; `dark` is the light's zero, in counts below 0.
fn judged(values: &[f64], hz: f64, dark: f64, mut figures: PulseFigures) -> Pulse {
    let mut wave = band(values, hz, 0.5, 8.0);
    if skewness(&wave) < 0.0 {
        // More blood is less light: some devices send the one, some the other.
        for value in &mut wave {
            *value = -*value;
        }
    }
    let peaks = peaks(&wave, hz);
    let beats: Vec<f64> = peaks.iter().map(|peak| *peak as f64 / hz).collect();
    let intervals: Vec<f64> = beats.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (low, high) = wave.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
    let light = (values.iter().sum::<f64>() / values.len().max(1) as f64 + dark).abs();
    figures.swing = high - low;
    figures.perfusion = (light.is_finite() && light > figures.swing).then(|| 100.0 * figures.swing / light);
    figures.flat = flat(values, hz, 1.0);
    let windows: Vec<f64> = wave.chunks_exact((WINDOW_S * hz) as usize).map(skewness).collect();
    figures.skewness = windows.iter().sum::<f64>() / windows.len().max(1) as f64;
    figures.skewness_worst = windows.iter().copied().fold(figures.skewness, f64::min);
    figures.likeness = likeness(&wave, hz, &peaks, &intervals);
    let (verdict, reason) = verdict(&figures, peaks.len());
    let rate = rhythm::heart_rate(&intervals).filter(|_| verdict != Verdict::Unusable);
    Pulse { verdict, reason, peaks, intervals, rate, figures }
}

fn verdict(figures: &PulseFigures, beats: usize) -> (Verdict, Option<Reason>) {
    let unusable = |reason| (Verdict::Unusable, Some(reason));
    let doubtful = |reason| (Verdict::Doubtful, Some(reason));
    match figures {
        f if f.present < PRESENT_MIN => unusable(Reason::LeadOff),
        f if f.flat >= FLAT_MAX => unusable(Reason::Flat),
        f if f.clipped > CLIPPED_MAX => unusable(Reason::Clipped),
        f if f.swing < SWING_MIN || f.perfusion.is_some_and(|share| share < PERFUSION_MIN) => unusable(Reason::Weak),
        _ if beats < BEATS_MIN => unusable(Reason::NoBeats),
        f if f.skewness <= 0.0 || f.likeness < LIKENESS_MIN => unusable(Reason::Noise),
        f if f.skewness_worst <= 0.0 || f.likeness < LIKENESS_DOUBT => doubtful(Reason::Noise),
        f if f.clipped > CLIPPED_DOUBT => doubtful(Reason::Clipped),
        f if f.flat > FLAT_DOUBT => doubtful(Reason::Flat),
        f if f.present < PRESENT_DOUBT => doubtful(Reason::LeadOff),
        _ => (Verdict::Usable, None),
    }
}

/// Systolic peaks of a wave that is turned upright.
fn peaks(wave: &[f64], hz: f64) -> Vec<usize> {
    let squares: Vec<f64> = wave.iter().map(|value| value.max(0.0).powi(2)).collect();
    let offset = OFFSET * squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let samples = |seconds: f64| (seconds * hz).round().max(1.0) as usize;
    let (peak, beat) = (mean(&squares, samples(PEAK_S)), mean(&squares, samples(BEAT_S)));
    let inside: Vec<bool> = peak.iter().zip(&beat).map(|(peak, beat)| *peak > beat + offset).collect();
    let (mut found, mut at): (Vec<usize>, usize) = (Vec::new(), 0);
    for run in inside.chunk_by(|a, b| a == b) {
        let (from, to) = (at, at + run.len());
        at = to;
        if run.first() != Some(&true) || run.len() < samples(PEAK_S) {
            continue;
        }
        let top = (from..to).max_by(|a, b| wave[*a].total_cmp(&wave[*b])).unwrap_or(from);
        if found.last().is_none_or(|last| top - last >= samples(APART_S)) {
            found.push(top);
        }
    }
    found
}

/// Third moment over the third power of the deviation; 0 of a line.
fn skewness(values: &[f64]) -> f64 {
    let n = values.len().max(1) as f64;
    let middle = values.iter().sum::<f64>() / n;
    let moment = |power| values.iter().map(|value| (value - middle).powi(power)).sum::<f64>() / n;
    let scale = moment(2).powf(1.5);
    if scale > 1e-100 { moment(3) / scale } else { 0.0 }
}

/// Mean correlation of the beats with their mean, each as long as the middle interval.
fn likeness(wave: &[f64], hz: f64, peaks: &[usize], intervals: &[f64]) -> f64 {
    let mut sorted = intervals.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(middle) = sorted.get(sorted.len() / 2) else { return 0.0 };
    let half = (middle * hz / 2.0) as usize;
    let beats: Vec<&[f64]> = peaks.iter().filter_map(|peak| wave.get(peak.checked_sub(half)?..peak + half)).collect();
    let mut typical = vec![0.0; 2 * half];
    for beat in &beats {
        for (sum, value) in typical.iter_mut().zip(*beat) {
            *sum += value / beats.len() as f64;
        }
    }
    beats.iter().map(|beat| correlation(beat, &typical)).sum::<f64>() / beats.len().max(1) as f64
}

/// As of an ECG strip, for whoever goes on with both alike. Of pauses a pulse wave says nothing.
impl From<Pulse> for Finding {
    fn from(pulse: Pulse) -> Self {
        let Pulse { verdict, reason, peaks, intervals, rate, figures } = pulse;
        let PulseFigures { present, flat, clipped, likeness, .. } = figures;
        let figures = Figures { present, flat, clipped, likeness, ..Figures::default() };
        Self { verdict, reason, peaks, intervals, heart_rate: rate, pause_s: None, quiet: Quiet::default(), figures }
    }
}
