//! A second detector that errs in other places than the first: what both find is a beat.
//!
//! M. Elgendi, "Fast QRS Detection with an Optimized Knowledge-Based Method", PLoS ONE 8(9), 2013: band 8-20 Hz, square, a
//! moving average as long as a QRS (97 ms) over one as long as a beat (611 ms) plus 8 % of the mean.

use crate::REFRACTORY_S;
use crate::filter::band;

const EVENT_S: f64 = 0.097;
const BEAT_S: f64 = 0.611;
const OFFSET: f64 = 0.08;
/// As the first detector's limit: what is lower in the band is no beat, mV.
const BEAT_MV_MIN: f64 = 0.1;

/// R peaks of a strip without gaps, as indices.
pub(crate) fn peaks(values: &[f64], rate: f64) -> Vec<usize> {
    let signal = band(values, rate, 8.0, 20.0);
    let squares: Vec<f64> = signal.iter().map(|value| value * value).collect();
    let offset = OFFSET * squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let samples = |seconds: f64| (seconds * rate).round().max(1.0) as usize;
    let (event, beat) = (mean(&squares, samples(EVENT_S)), mean(&squares, samples(BEAT_S)));
    let inside: Vec<bool> = event.iter().zip(&beat).map(|(event, beat)| *event > beat + offset).collect();
    let mut found: Vec<usize> = Vec::new();
    let mut at = 0;
    for run in inside.chunk_by(|a, b| a == b) {
        let (from, to) = (at, at + run.len());
        at = to;
        if run.first() != Some(&true) || run.len() < samples(EVENT_S) {
            continue;
        }
        let peak = (from..to).max_by(|a, b| signal[*a].abs().total_cmp(&signal[*b].abs())).unwrap_or(from);
        let near = &signal[peak.saturating_sub(samples(0.075))..(peak + samples(0.075)).min(signal.len())];
        let high = near.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let low = near.iter().copied().fold(f64::INFINITY, f64::min);
        let free = found.last().is_none_or(|last| peak - last >= samples(REFRACTORY_S));
        if high - low >= BEAT_MV_MIN && free {
            found.push(peak);
        }
    }
    found
}

/// Moving average, centred; at the ends over what there is.
pub(crate) fn mean(values: &[f64], width: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    let mut sum = 0.0;
    sums.push(sum);
    for value in values {
        sum += value;
        sums.push(sum);
    }
    let average = |at: usize| {
        let (from, to) = (at.saturating_sub(width / 2), (at + width.div_ceil(2)).min(values.len()));
        (sums[to] - sums[from]) / (to - from).max(1) as f64
    };
    (0..values.len()).map(average).collect()
}
