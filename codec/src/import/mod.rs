//! Recordings of waveforms, whole files: WFDB (PhysioNet) and EDF+ (most ECG and Holter devices). Pure functions over the
//! files' bytes.
//!
//! What holds for both: every size is checked against the bytes at hand before it is believed; counts stay the recorder's
//! own, beside the factor and offset that make them the metric's unit; a channel that is neither ECG nor PPG is left out
//! and named in [`Record::skipped`]. Patient fields of the files are not read.

pub mod edf;
mod fields;
pub mod wfdb;

use jiff::civil::DateTime;
use model::{Metric, Rate, lead};

/// Signals of one recording, at most. Twelve leads, a pulse wave and room for the rest.
pub const SIGNALS_MAX: usize = 64;
/// Samples of one recording, all signals together, at most (128 MiB of counts): 12 leads of 250 Hz for 6 hours.
pub const SAMPLES_MAX: usize = 64 << 20;
/// Samples per second of one signal, at most.
pub const RATE_MAX: f64 = 20_000.0;
/// Recorders that have a mark for "invalid" write their own lowest number; here it is this one.
pub use model::extra::NO_SAMPLE;

/// One recording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// The recorder's wall clock at the first sample; no zone is known.
    pub start: Option<DateTime>,
    pub signals: Vec<Signal>,
    /// Labels of channels that are neither ECG nor PPG.
    pub skipped: Vec<String>,
}

/// One channel. `counts * scale + offset` is in the metric's unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// As the file names it.
    pub label: String,
    pub metric: Metric,
    /// Lead code (`model::lead`).
    pub lead: u32,
    /// In lowest terms.
    pub rate: Rate,
    pub scale: f64,
    pub offset: f64,
    /// [`NO_SAMPLE`] where the recorder had none.
    pub counts: Vec<i16>,
}

/// What a channel's label and unit make it: metric, lead and the factor from its unit to the metric's. `None` for what is
/// neither ECG nor PPG (blood pressure, breathing, brain waves).
fn channel(label: &str, unit: &str, index: usize) -> Option<(Metric, u32, f64)> {
    let words: Vec<&str> = label.split([' ', '-', '_', '.', ':']).filter(|word| !word.is_empty()).collect();
    let said = |known: &[&str]| words.iter().any(|word| known.iter().any(|one| one.eq_ignore_ascii_case(word)));
    if said(&["PPG", "PLETH", "PLETHYSMOGRAM"]) {
        return Some((Metric::Ppg, 0, 1.0));
    }
    let to_mv = match unit {
        "mV" | "mv" | "MV" => 1.0,
        "uV" | "µV" | "μV" | "UV" => 1e-3,
        "V" => 1e3,
        "nV" => 1e-6,
        _ => return None,
    };
    let named = words.iter().rev().find_map(|word| lead::from_label(word));
    let is_ecg = words.is_empty() || named.is_some() || said(&["ECG", "EKG", "LEAD"]);
    is_ecg.then(|| (Metric::Ecg, named.unwrap_or_else(|| lead::channel(index as u32)), to_mv))
}

/// Two channels of one lead are kept apart: the second becomes a channel of its own.
fn part_leads(signals: &mut [Signal]) {
    for i in 1..signals.len() {
        let (before, rest) = signals.split_at_mut(i);
        let Some(this) = rest.first_mut() else { continue };
        if before.iter().any(|one| (one.metric, one.lead) == (this.metric, this.lead)) {
            this.lead = lead::channel((SIGNALS_MAX + i) as u32);
        }
    }
}

/// `samples` in `seconds`, in lowest terms; `None` when it is no rate a recorder has.
fn rate(samples: u64, seconds: u64) -> Option<Rate> {
    let (mut a, mut b) = (samples, seconds);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let (samples, seconds) = (samples.checked_div(a)?, seconds.checked_div(a)?);
    let rate = Rate::new(u32::try_from(samples).ok()?, u32::try_from(seconds).ok()?)?;
    (f64::from(rate.samples) / f64::from(rate.seconds) <= RATE_MAX).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_told_apart_by_label_and_unit() {
        assert_eq!(channel("MLII", "mV", 0), Some((Metric::Ecg, lead::from_label("MLII").unwrap(), 1.0)));
        assert_eq!(channel("ECG Lead-V5", "uV", 0), Some((Metric::Ecg, lead::from_label("V5").unwrap(), 1e-3)));
        assert_eq!(channel("EKG", "mV", 3), Some((Metric::Ecg, lead::channel(3), 1.0)));
        assert_eq!(channel("PLETH", "NU", 1), Some((Metric::Ppg, 0, 1.0)));
        for (label, unit) in [("ABP", "mmHg"), ("EEG Fpz-Cz", "uV"), ("RESP", "pm"), ("II", "kg")] {
            assert_eq!(channel(label, unit, 0), None, "{label}");
        }
    }

    #[test]
    fn rates_are_in_lowest_terms() {
        assert_eq!(rate(3_600, 10), Rate::new(360, 1));
        assert_eq!(rate(1_285, 10), Rate::new(257, 2));
        assert_eq!((rate(0, 1), rate(1, 0), rate(0, 0), rate(30_000, 1)), (None, None, None, None));
    }
}
