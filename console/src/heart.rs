//! What a strip says about the heart: beats, rate, pauses, and whether it is good enough to say so. For people who look at the
//! strip beside it; alarms come from the gateway's readings.

use ecg::{Finding, Verdict};
use model::extra::NO_SAMPLE;
use model::{Metric, Time};
use serde_json::{Value, json};

use crate::waveforms::{Lead, label};

/// Leads that are read, at most: the first usable one speaks.
const LEADS_READ_MAX: usize = 3;

/// The answer for the leads of one window; `null` where no lead is an ECG that can be looked at.
pub(crate) fn answer(metric: Metric, leads: &[Lead]) -> Value {
    if metric != Metric::Ecg {
        return Value::Null;
    }
    let mut best: Option<(&Lead, Time, Finding)> = None;
    for lead in leads.iter().take(LEADS_READ_MAX) {
        let Some((start, found)) = read(lead) else { continue };
        let is_usable = found.verdict == Verdict::Usable;
        if best.as_ref().is_none_or(|(.., best)| found.verdict < best.verdict) {
            best = Some((lead, start, found));
        }
        if is_usable {
            break;
        }
    }
    best.map_or(Value::Null, |(lead, start, found)| told(lead, start, &found))
}

/// One lead with its gaps as what they are: samples that are missing.
fn read(lead: &Lead) -> Option<(Time, Finding)> {
    let start = lead.parts.first()?.start;
    let mut counts: Vec<i16> = Vec::new();
    for part in &lead.parts {
        let behind = i128::from(part.start.since_us(start).max(0)) * i128::from(lead.rate.samples);
        let index = (behind / (1_000_000 * i128::from(lead.rate.seconds.max(1)))) as usize;
        counts.resize(index.max(counts.len()), NO_SAMPLE);
        counts.extend_from_slice(&part.counts);
    }
    Some((start, ecg::read(lead.rate, lead.scale, &counts)))
}

fn told(lead: &Lead, start: Time, found: &Finding) -> Value {
    let at = |peak: &usize| start.plus_us(lead.rate.offset_us(*peak)).0 as f64 / 1e3;
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    json!({
        "lead": lead.code, "label": label(lead.code), "verdict": found.verdict.slug(),
        "reason": found.reason.map(ecg::Reason::slug), "heart_rate": found.heart_rate.map(tenth),
        "pause_s": found.pause_s.map(tenth), "beats": found.peaks.iter().map(at).collect::<Vec<_>>(),
        "rr_ms": found.intervals.iter().map(|interval| (interval * 1e3).round()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use ecg::made::{self, Dice, Noise};
    use model::{DeviceId, Rate, lead};

    use super::*;
    use crate::waveforms::Part;

    const SCALE: f64 = 0.005;

    /// A lead that begins at second 100, with a gap of two seconds after six.
    fn lead(word: &str, values: &[f64]) -> Lead {
        let counts = made::counts(values, SCALE);
        let part = |from: usize, to: usize| Part {
            start: Time(100_000_000 + from as i64 * 4_000),
            counts: counts[from..to].to_vec(),
        };
        Lead {
            device: DeviceId(1),
            code: lead::from_label(word).unwrap(),
            rate: Rate { samples: 250, seconds: 1 },
            scale: SCALE,
            offset: 0.0,
            parts: vec![part(0, 1_500), part(2_000, counts.len())],
        }
    }

    #[test]
    fn the_first_lead_that_can_be_read_tells_beats_rate_and_verdict() {
        let mut dice = Dice::new(1);
        let beats = made::beats(30.0, 80.0, &mut dice);
        let clean = made::heart(&beats, 30.0, 250.0, &mut dice);
        let noisy = made::with_noise(&clean, Noise::Motion, -12.0, 250.0, &mut dice);
        let told = answer(Metric::Ecg, &[lead("I", &noisy), lead("II", &clean)]);
        assert_eq!((&told["label"], &told["verdict"], &told["reason"]), (&json!("II"), &json!("usable"), &Value::Null));
        assert!((told["heart_rate"].as_f64().unwrap() - 80.0).abs() < 4.0, "{told}");
        let at: Vec<f64> = serde_json::from_value(told["beats"].clone()).unwrap();
        // Every beat where it is drawn, also behind the gap; none in it.
        for beat in beats.iter().filter(|at| (0.5..5.5).contains(*at) || (8.5..29.5).contains(*at)) {
            assert!(at.iter().any(|at| (at - 100_000.0 - beat * 1e3).abs() < 20.0), "{beat}: {at:?}");
        }
        assert!(!at.iter().any(|at| (106_100.0..108_000.0).contains(at)));
        assert!(at.len() > told["rr_ms"].as_array().unwrap().len() + 1, "no interval across the gap");
        let told = answer(Metric::Ecg, &[lead("I", &noisy)]);
        assert_eq!(
            (&told["verdict"], &told["reason"], &told["heart_rate"]),
            (&json!("unusable"), &json!("noise"), &Value::Null)
        );
        assert_eq!((answer(Metric::Ppg, &[lead("I", &clean)]), answer(Metric::Ecg, &[])), (Value::Null, Value::Null));
    }
}
