//! One result as a laboratory or a device writes it: a reading where it is a number of a metric, otherwise kept in
//! `device.other.results` as it was written.

use model::{EventKind, Metric, Quality};
use serde_json::{Value, json};

use super::unit;
use crate::{Bound, Decimal, Decoded, Happened, Malformed, Measured, Settings, Stamp};

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
    let found = out.readings.len() + 1;
    if found > RESULTS_MAX {
        return Err(Malformed::Limit { what: "results", found, max: RESULTS_MAX });
    }
    match told.metric.and_then(|metric| reading(metric, told, settings)) {
        Some(reading) => out.readings.push(reading),
        None => keep(out, told),
    }
    Ok(())
}

/// `None`: the value is no number, or its unit is none of this measurement.
fn reading(metric: Metric, told: &Told<'_>, settings: &Settings) -> Option<Measured> {
    let (bound, number) = number(told.value)?;
    let unit = unit::find(metric, told.unit, settings)?;
    let mut reading = Measured::converted(metric, number, unit.ucum, |number| unit.convert(number));
    if bound.is_some() {
        // The comparator belongs to what was written.
        reading = reading.raw(told.value.trim(), unit.ucum);
    }
    reading.bound = bound.or_else(|| clipped(metric, &reading));
    if unit.guessed {
        reading = reading.doubted(Quality::UnitSuspect);
    }
    // Pressures are looked at in pairs, when both are there.
    let is_pressure = matches!(metric, Metric::Systolic | Metric::Diastolic | Metric::MeanArterialPressure);
    if !is_pressure && reading.value.is_some_and(|value| !metric.is_plausible(value)) {
        reading = reading.doubted(Quality::OutOfRange);
    }
    Some(reading.stamped(told.stamp))
}

/// A sensor under the skin prints 40 and 400 mg/dL for everything below and above: bounds, not values.
fn clipped(metric: Metric, reading: &Measured) -> Option<Bound> {
    let raw = reading.raw.as_ref().filter(|raw| metric == Metric::GlucoseInterstitial && raw.unit == "mg/dL")?;
    match raw.text.as_str() {
        "40" => Some(Bound::AtMost),
        "400" => Some(Bound::AtLeast),
        _ => None,
    }
}

/// A result that is no reading.
pub(super) fn keep(out: &mut Decoded, told: &Told<'_>) {
    let mut entry = json!({ "value": told.value });
    for (key, text) in [("code", told.code), ("name", told.name), ("unit", told.unit)] {
        if !text.is_empty() {
            entry[key] = text.into();
        }
    }
    let kept = out.device.other.entry("results").or_insert_with(|| json!([]));
    if let Value::Array(results) = kept
        && results.len() < RESULTS_MAX
    {
        results.push(entry);
    }
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

/// Pressures that cannot be: the cuff's unit is not what it seems (18.9/11.0), or the two are exchanged. Kept, and not judged.
pub(super) fn doubt_pressures(readings: &mut [Measured]) {
    let mut systolic: Option<usize> = None;
    for index in 0..readings.len() {
        match readings[index].metric {
            Metric::Systolic => systolic = Some(index),
            Metric::Diastolic => {
                let Some(first) = systolic.take() else { continue };
                let (Some(sys), Some(dia)) = (readings[first].value, readings[index].value) else { continue };
                let doubt = match () {
                    () if sys < 30.0 && dia < 20.0 => Quality::UnitSuspect,
                    () if dia >= sys => Quality::OutOfRange,
                    () => continue,
                };
                for index in [first, index] {
                    readings[index] = readings[index].clone().doubted(doubt);
                }
            }
            _ => {}
        }
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
        (Metric::Systolic, Some(cuff.systolic), "mm[Hg]"),
        (Metric::MeanArterialPressure, cuff.mean, "mm[Hg]"),
        (Metric::Diastolic, Some(cuff.diastolic), "mm[Hg]"),
        (Metric::PulseRate, Some(cuff.pulse), "/min"),
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
            Some(value) => Measured::converted(metric, value, unit, |value| value),
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
