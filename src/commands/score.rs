//! `vigil score`: a clinical score as one JSON object, for people who want to see how a total comes about.

use engine::news2::{self, Consciousness, Inputs, Scale};
use model::Metric;
use serde::Deserialize;
use serde_json::json;

use crate::cli;
use crate::server::say;

/// Longest text of inputs, bytes.
const JSON_BYTES_MAX: usize = 4_096;

/// The inputs as a person writes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measured {
    respiratory_rate: Option<f64>,
    spo2: Option<f64>,
    spo2_scale: Option<u8>,
    on_oxygen: Option<bool>,
    systolic: Option<f64>,
    #[serde(alias = "pulse", alias = "pulse_rate")]
    heart_rate: Option<f64>,
    consciousness: Option<String>,
    #[serde(alias = "body_temperature")]
    temperature: Option<f64>,
}

/// True when there is a score; otherwise `{"error":..}` was printed.
pub fn score(what: &cli::Score) -> bool {
    let cli::Score::News2 { json } = what;
    match inputs(json) {
        Ok(inputs) => {
            // Plain data: writing it to memory cannot fail.
            say(&serde_json::to_string(&news2::score(&inputs)).unwrap_or_default());
            true
        }
        Err(error) => {
            say(&json!({ "error": error }).to_string());
            false
        }
    }
}

fn inputs(text: &str) -> Result<Inputs, String> {
    if text.len() > JSON_BYTES_MAX {
        return Err(format!("the object is longer than {JSON_BYTES_MAX} bytes"));
    }
    let measured: Measured = serde_json::from_str(text).map_err(|error| format!("not the inputs of NEWS2: {error}"))?;
    let number = |value: Option<f64>, metric: Metric, key: &str| match value {
        Some(value) if !metric.is_plausible(value) => {
            let (range, unit) = (&metric.info().plausible, metric.info().unit_shown);
            let (low, high) = (range.start(), range.end());
            Err(format!("{key} {value} is outside {low} to {high} {unit}: measure again, or leave it out"))
        }
        value => Ok(value),
    };
    Ok(Inputs {
        respiratory_rate: number(measured.respiratory_rate, Metric::RespiratoryRate, "respiratory_rate")?
            .map(news2::whole),
        spo2: number(measured.spo2, Metric::Spo2, "spo2")?.map(news2::whole),
        spo2_scale: scale(measured.spo2_scale)?,
        on_oxygen: measured.on_oxygen,
        systolic: number(measured.systolic, Metric::Systolic, "systolic")?.map(news2::whole),
        heart_rate: number(measured.heart_rate, Metric::HeartRate, "heart_rate")?.map(news2::whole),
        consciousness: measured.consciousness.as_deref().map(consciousness).transpose()?,
        temperature_tenths: number(measured.temperature, Metric::BodyTemperature, "temperature")?.map(news2::tenths),
    })
}

/// Without a word it is scale 1: scale 2 is a doctor's decision.
fn scale(number: Option<u8>) -> Result<Scale, String> {
    match number {
        None | Some(1) => Ok(Scale::One),
        Some(2) => Ok(Scale::Two),
        Some(other) => Err(format!(
            "spo2_scale {other} does not exist: 1, or 2 for hypercapnic respiratory failure with a prescribed target of 88-92 %"
        )),
    }
}

fn consciousness(letter: &str) -> Result<Consciousness, String> {
    Consciousness::parse(letter).ok_or_else(|| {
        let shown: String = letter.chars().take(16).collect();
        format!(
            "consciousness {shown:?} is not one of A (alert), C (new confusion), V (voice), P (pain), U (unresponsive)"
        )
    })
}
