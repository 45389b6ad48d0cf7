//! How good a strip is: a few figures, and a verdict with its reason.
//!
//! Sources: `agreement` (bSQI), `kurtosis` (kSQI) and `baseline` (basSQI) after Q. Li, R. G. Mark, G. D. Clifford, "Robust heart
//! rate estimation from multiple asynchronous noisy sources ..", Physiol. Meas. 29(1), 2008, and G. D. Clifford et al.,
//! "Signal quality indices and data fusion ..", Physiol. Meas. 33(9), 2012; flat lines and saturation as in the PhysioNet/CinC
//! Challenge 2011 on the quality of mobile ECGs; `likeness` after C. Orphanidou et al., "Signal-Quality Indices for the
//! Electrocardiogram and Photoplethysmogram ..", IEEE J. Biomed. Health Inform. 19(3), 2015. `noise` and `hum` are ours.
//! The limits are ours, set on synthetic noise and checked on recordings (docs/performance.md).

use serde::Serialize;

use crate::filter::{band, below, power};

/// What a strip is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Beats can be counted.
    Usable,
    /// Beats can be counted, perhaps not all; somebody should look before believing a single one.
    Doubtful,
    /// Nothing may be concluded from it.
    Unusable,
}

impl Verdict {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Doubtful => "doubtful",
            Self::Unusable => "unusable",
        }
    }
}

/// Why a strip is not simply usable; the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Slower than 100 Hz: beats are not looked for.
    Rate,
    /// Shorter than 5 s in one piece.
    Short,
    /// The recorder has no samples, or the input stands at its end stop.
    LeadOff,
    /// A line without the least movement: electrode off, cable broken. No living body draws it, but no heart that stands does
    /// either: one lead alone cannot tell.
    Flat,
    /// The input's range is exceeded.
    Clipped,
    /// Muscle, motion, mains: the two detectors find different beats, or what lies between the beats is as high as they are.
    Noise,
    /// The baseline wanders more than the heart moves it.
    Baseline,
    /// A quiet, living line, and no beat in it.
    NoBeats,
    /// Of a pulse wave: next to no blood moves under the sensor.
    Weak,
}

impl Reason {
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Short => "short",
            Self::LeadOff => "lead_off",
            Self::Flat => "flat",
            Self::Clipped => "clipped",
            Self::Noise => "noise",
            Self::Baseline => "baseline",
            Self::NoBeats => "no_beats",
            Self::Weak => "weak",
        }
    }
}

/// The figures behind a verdict, 0 to 1 unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Samples that are there.
    pub present: f64,
    /// Seconds that do not move.
    pub flat: f64,
    /// Samples at an end stop.
    pub clipped: f64,
    /// Beats both detectors found, of all.
    pub agreement: f64,
    /// Kurtosis of the strip from 1 to 40 Hz; 3 is noise, 5 and more is an ECG.
    pub kurtosis: f64,
    /// Power above 1 Hz, of all up to 40 Hz.
    pub baseline: f64,
    /// Correlation of the beats with their mean, on average.
    pub likeness: f64,
    /// Root mean square between the beats over the beats' height, 5 to 15 Hz.
    pub noise: f64,
    /// The same above 40 Hz, of the whole strip: mains, muscles.
    pub hum: f64,
    /// Height of the beats from 5 to 15 Hz, mV.
    pub height_mv: f64,
}

const PRESENT_MIN: f64 = 0.5;
const FLAT_MAX: f64 = 0.9;
const FLAT_DOUBT: f64 = 0.3;
const CLIPPED_MAX: f64 = 0.15;
const CLIPPED_DOUBT: f64 = 0.01;
const AGREEMENT_MIN: f64 = 0.8;
const AGREEMENT_DOUBT: f64 = 0.9;
const LIKENESS_DOUBT: f64 = 0.8;
const NOISE_MAX: f64 = 0.25;
const NOISE_DOUBT: f64 = 0.18;
const NOISE_UNLIKE: f64 = 0.14;
const HUM_DOUBT: f64 = 0.5;
/// No heart is so strong on the skin: monitors are made for 5 mV (IEC 60601-2-27).
const HEIGHT_MV_MAX: f64 = 10.0;
const KURTOSIS_MIN: f64 = 3.5;
const BASELINE_DOUBT: f64 = 0.1;
/// Fewer beats have no mean worth the name.
const LIKE_BEATS_MIN: usize = 4;
/// A line moves when it does so by more than this within a second, mV.
const FLAT_MV: f64 = 0.01;
/// Around a beat, seconds before and after, is beat.
const BEAT_S: (f64, f64) = (0.12, 0.12);

/// Verdict of figures of a strip in which `beats` were found.
pub(crate) fn verdict(figures: &Figures, beats: usize) -> (Verdict, Option<Reason>) {
    let told = |verdict, reason| (verdict, Some(reason));
    let unusable = |reason| told(Verdict::Unusable, reason);
    let doubtful = |reason| told(Verdict::Doubtful, reason);
    match figures {
        f if f.present < PRESENT_MIN => unusable(Reason::LeadOff),
        f if f.flat >= FLAT_MAX => unusable(if f.clipped > 0.5 { Reason::LeadOff } else { Reason::Flat }),
        f if f.clipped > CLIPPED_MAX => unusable(Reason::Clipped),
        f if f.agreement < AGREEMENT_MIN || f.noise > NOISE_MAX => unusable(Reason::Noise),
        _ if beats == 0 => unusable(Reason::NoBeats),
        f if f.height_mv > HEIGHT_MV_MAX => unusable(Reason::Noise),
        // Beats that differ may be a sick heart's. Beats that differ in a restless line are none.
        f if beats >= LIKE_BEATS_MIN && f.likeness < LIKENESS_DOUBT && f.noise > NOISE_UNLIKE => {
            unusable(Reason::Noise)
        }
        f if f.kurtosis < KURTOSIS_MIN && f.noise > NOISE_DOUBT => unusable(Reason::Noise),
        f if f.agreement < AGREEMENT_DOUBT || f.noise > NOISE_DOUBT || f.hum > HUM_DOUBT => doubtful(Reason::Noise),
        f if beats >= LIKE_BEATS_MIN && f.likeness < LIKENESS_DOUBT => doubtful(Reason::Noise),
        f if f.clipped > CLIPPED_DOUBT => doubtful(Reason::Clipped),
        f if f.flat > FLAT_DOUBT => doubtful(Reason::Flat),
        f if f.present < 0.9 => doubtful(Reason::LeadOff),
        f if f.baseline < BASELINE_DOUBT => doubtful(Reason::Baseline),
        _ => (Verdict::Usable, None),
    }
}

/// Share of whole seconds in which a signal does not move. `step` is the value of one count, mV.
pub(crate) fn flat(values: &[f64], rate: f64, step: f64) -> f64 {
    let second = (rate.round() as usize).max(1);
    let least = f64::max(FLAT_MV, 1.01 * step);
    let seconds: Vec<bool> = values.chunks_exact(second).map(|values| spread(values) <= least).collect();
    seconds.iter().filter(|still| **still).count() as f64 / seconds.len().max(1) as f64
}

/// Share of samples that stand at the highest or lowest value, far from the line at rest, for 16 ms or longer; or at the
/// ends of 16 bits.
pub(crate) fn clipped(counts: &[i16], rate: f64) -> f64 {
    let (Some(low), Some(high)) = (counts.iter().min(), counts.iter().max()) else { return 0.0 };
    let mut sorted = counts.to_vec();
    let middle = *sorted.select_nth_unstable(counts.len() / 2).1;
    let reach = f64::from(*high) - f64::from(*low);
    let is_stop = |count: i16| {
        let far = (f64::from(count) - f64::from(middle)).abs() > 0.3 * reach && (count == *low || count == *high);
        far && reach > 8.0 || count.unsigned_abs() >= 32_700
    };
    let least = ((0.016 * rate) as usize).max(4);
    let stops = counts.chunk_by(|a, b| a == b).filter(|run| run.len() >= least && is_stop(run[0]));
    stops.map(<[i16]>::len).sum::<usize>() as f64 / counts.len() as f64
}

fn spread(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    high - values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Kurtosis, baseline and likeness of a piece whose beats are at `peaks`.
pub(crate) fn shape(values: &[f64], rate: f64, peaks: &[usize]) -> (f64, f64, f64) {
    let low = below(values, rate, 40.0);
    let slow = below(&low, rate, 1.0);
    let fast: Vec<f64> = low.iter().zip(&slow).map(|(all, slow)| all - slow).collect();
    let (whole, moved) = (power(&low), power(&fast));
    let mean = fast.iter().sum::<f64>() / fast.len().max(1) as f64;
    let fourth = fast.iter().map(|value| (value - mean).powi(4)).sum::<f64>() / fast.len().max(1) as f64;
    // Below, the square of a power is no number any more.
    let kurtosis = if moved > 1e-100 { fourth / (moved * moved) } else { 0.0 };
    (kurtosis, if whole > 1e-100 { (moved / whole).min(1.0) } else { 1.0 }, likeness(&fast, rate, peaks))
}

/// Mean correlation of the beats with their mean beat, a fifth of a second around each.
fn likeness(values: &[f64], rate: f64, peaks: &[usize]) -> f64 {
    let half = (0.1 * rate) as usize;
    let beat = |peak: &usize| values.get(peak.checked_sub(half)?..peak + half);
    let beats: Vec<&[f64]> = peaks.iter().filter_map(beat).collect();
    let mut mean = vec![0.0; 2 * half];
    for beat in &beats {
        mean.iter_mut().zip(*beat).for_each(|(sum, value)| *sum += value / beats.len() as f64);
    }
    beats.iter().map(|beat| correlation(beat, &mean)).sum::<f64>() / beats.len().max(1) as f64
}

pub(crate) fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let n = one.len().max(1) as f64;
    let (a, b) = (one.iter().sum::<f64>() / n, other.iter().sum::<f64>() / n);
    let both = one.iter().zip(other).map(|(x, y)| (x - a) * (y - b)).sum::<f64>() / n;
    let scale = (power(one) * power(other)).sqrt();
    if scale > 1e-100 { both / scale } else { 0.0 }
}

/// Noise, hum and height of a piece whose beats are at `peaks`.
pub(crate) fn noise(values: &[f64], rate: f64, peaks: &[usize]) -> [f64; 3] {
    if peaks.is_empty() {
        return [0.0; 3];
    }
    let narrow = band(values, rate, 5.0, 15.0);
    let samples = |seconds: f64| (seconds * rate).round() as usize;
    let (before, after) = (samples(BEAT_S.0), samples(BEAT_S.1));
    let mut is_beat = vec![false; values.len()];
    let mut heights = Vec::with_capacity(peaks.len());
    for peak in peaks {
        let span = peak.saturating_sub(before).min(values.len())..(peak + after).min(values.len());
        heights.push(narrow[span.clone()].iter().fold(0.0, |most, value| f64::max(most, value.abs())));
        is_beat[span].fill(true);
    }
    heights.sort_by(f64::total_cmp);
    let height = heights[heights.len() / 2].max(1e-9);
    let between: Vec<f64> = narrow.iter().zip(&is_beat).filter(|(_, beat)| !**beat).map(|(value, _)| *value).collect();
    let slow = below(values, rate, 40.0);
    let fast: Vec<f64> = values.iter().zip(&slow).map(|(all, slow)| all - slow).collect();
    [power(&between).sqrt() / height, power(&fast).sqrt() / height, height]
}
