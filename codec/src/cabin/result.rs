//! One result as a laboratory or a device writes it: a reading where it is a number of a metric, otherwise kept in
//! `device.other.results` as it was written.

use model::{EventKind, Metric, Quality};
use serde_json::{Value, json};

use super::spelling;
use crate::interstitial;
use crate::pressure::contradiction;
use crate::{Bound, Decimal, Decoded, Happened, Malformed, Measured, Settings, Stamp, unit};

/// From here on a glucose value without a unit was not counted in mmol/L.
const GLUCOSE_MMOL_SUSPECT: f64 = 33.4;
/// Results of one frame.
pub(super) const RESULTS_MAX: usize = 1_000;

/// One result.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) metric: Option<Metric>,
    /// Code and name as written, for what is no reading.
    pub(super) code: &'a str,
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) unit: &'a str,
    pub(super) stamp: Stamp,
}

/// Puts one result where it belongs.
pub(super) fn put(out: &mut Decoded, told: &Told<'_>, settings: &Settings) -> Result<(), Malformed> {
    match told.metric.and_then(|metric| reading(metric, told, settings)) {
        Some(reading) => {
            within(out.readings.len())?;
            out.readings.push(reading);
            Ok(())
        }
        None => keep(out, told),
    }
}

/// One more result may be read.
fn within(before: usize) -> Result<(), Malformed> {
    let (what, found, max) = ("results", before + 1, RESULTS_MAX);
    if found > max { Err(Malformed::Limit { what, found, max }) } else { Ok(()) }
}

/// `None`: the value is no number, or its unit is none of this measurement.
fn reading(metric: Metric, told: &Told<'_>, settings: &Settings) -> Option<Measured> {
    let (bound, number) = number(told.value)?;
    let fit = spelling::find(metric, told.unit, settings)?;
    let mut reading = fit.unit.of(metric, number);
    if bound.is_some() {
        // The comparator belongs to what was written.
        reading = reading.raw(told.value.trim(), fit.unit.ucum);
    }
    reading.bound = bound.or_else(|| interstitial::clipped(&reading));
    let is_glucose = matches!(metric, Metric::Glucose | Metric::GlucoseInterstitial);
    if fit.guessed || (is_glucose && told.unit.is_empty() && reading.value >= Some(GLUCOSE_MMOL_SUSPECT)) {
        reading = reading.doubted(Quality::UnitSuspect);
    }
    // Pressures are looked at in pairs, when both are there.
    let is_pressure = matches!(metric, Metric::Systolic | Metric::Diastolic | Metric::MeanArterialPressure);
    let reading = if is_pressure { reading } else { reading.plausible() };
    Some(reading.stamped(told.stamp))
}

/// A result that is no reading.
pub(super) fn keep(out: &mut Decoded, told: &Told<'_>) -> Result<(), Malformed> {
    let mut entry = json!({ "value": told.value });
    for (key, text) in [("code", told.code), ("name", told.name), ("unit", told.unit)] {
        if !text.is_empty() {
            entry[key] = text.into();
        }
    }
    if let Value::Array(results) = out.device.other.entry("results").or_insert_with(|| json!([])) {
        within(results.len())?;
        results.push(entry);
    }
    Ok(())
}

/// A number with an optional comparator: `5.6`, `<0.5`, `>= 500`.
pub(super) fn number(text: &str) -> Option<(Option<Bound>, Decimal)> {
    let text = text.trim();
    let signs = [
        ("<=", Bound::AtMost),
        ("≤", Bound::AtMost),
        (">=", Bound::AtLeast),
        ("≥", Bound::AtLeast),
        ("<", Bound::Below),
        (">", Bound::Above),
    ];
    let bound = signs.iter().find_map(|(sign, bound)| Some((*bound, text.strip_prefix(sign)?)));
    match bound {
        Some((bound, rest)) => Some((Some(bound), Decimal::parse(rest.trim())?)),
        None => Some((None, Decimal::parse(text)?)),
    }
}

/// Each systolic pressure against the diastolic one that follows it, then each by itself: a wrong unit explains more than a
/// number that nobody has. What cannot be is kept, and not judged.
pub(super) fn doubt_pressures(readings: &mut [Measured]) {
    let mut systolic: Option<usize> = None;
    for index in 0..readings.len() {
        match readings[index].metric {
            Metric::Systolic => systolic = Some(index),
            Metric::Diastolic => {
                let Some(first) = systolic.take() else { continue };
                let Some(doubt) = contradiction(&readings[first], &readings[index]) else { continue };
                for index in [first, index] {
                    readings[index] = readings[index].clone().doubted(doubt);
                }
            }
            _ => {}
        }
    }
    for reading in readings {
        *reading = reading.clone().plausible();
    }
}

/// What a cuff measured, in mmHg as printed; a blank is a failure.
#[derive(Debug)]
pub(super) struct Cuff<'a> {
    pub(super) systolic: &'a str,
    pub(super) mean: Option<&'a str>,
    pub(super) diastolic: &'a str,
    pub(super) pulse: &'a str,
    /// The device's error number; 0 = none.
    pub(super) error: u32,
    pub(super) moved: bool,
    pub(super) stamp: Stamp,
}

/// The readings of one measurement of a cuff, or that it failed and why.
pub(super) fn put_cuff(out: &mut Decoded, cuff: &Cuff<'_>) -> Result<(), Malformed> {
    let wanted = [
        (Metric::Systolic, Some(cuff.systolic), unit::MMHG),
        (Metric::MeanArterialPressure, cuff.mean, unit::MMHG),
        (Metric::Diastolic, Some(cuff.diastolic), unit::MMHG),
        (Metric::PulseRate, Some(cuff.pulse), unit::PER_MIN),
    ];
    let mut failed = cuff.error != 0;
    for (metric, text, unit) in wanted {
        let Some(text) = text.map(str::trim) else { continue };
        let value = match text {
            "" => None,
            digits => Some(Decimal::parse(digits).ok_or(Malformed::shape("a pressure that is no number"))?),
        };
        // 0 is how cuffs print "nothing measured".
        let value = value.filter(|value| value.mantissa != 0 && cuff.error == 0);
        failed |= value.is_none() && metric != Metric::MeanArterialPressure && metric != Metric::PulseRate;
        let reading = match value {
            Some(value) => unit.of(metric, value),
            None => Measured::absent(metric, Quality::MeasurementFailed),
        };
        let reading = if cuff.moved { reading.doubted(Quality::Motion) } else { reading };
        out.readings.push(reading.stamped(cuff.stamp));
    }
    doubt_pressures(&mut out.readings);
    if failed {
        let code = (cuff.error != 0).then_some(cuff.error);
        out.events.push(Happened { kind: EventKind::MeasurementFailed, at: cuff.stamp.time(), code });
    }
    Ok(())
}
