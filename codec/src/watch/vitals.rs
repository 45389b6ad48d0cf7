//! Vital signs as watches write them: text, with 0 or nothing when the watch is not worn.

use model::{EventKind, Metric, Quality};

use crate::pressure::contradiction;
use crate::{Decimal, GlucoseUnit, Happened, Measured, Settings, Site, unit};

/// No meter reads so much in mmol/L: such a number was mg/dL.
const GLUCOSE_MMOL_SUSPECT: f64 = 33.4;
/// Digits of a number that cannot be read, kept as evidence.
const WORD_CHARS_MAX: usize = 16;

/// One number of a metric, in the metric's unit. Empty is nothing; what is no number is a special value; what no living person
/// shows is kept and doubted.
pub(super) fn number(metric: Metric, text: &str) -> Option<Measured> {
    written(metric, text).map(Measured::plausible)
}

/// A number as it stands.
fn written(metric: Metric, text: &str) -> Option<Measured> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let Some(value) = Decimal::parse(text) else {
        let word: String = text.chars().take(WORD_CHARS_MAX).collect();
        return Some(Measured::absent(metric, Quality::SpecialValue).raw(word, ""));
    };
    Some(Measured::new(metric, value.to_f64()).raw(value, metric.info().unit))
}

/// A number for which 0 means that the watch is off the wrist.
pub(super) fn worn(metric: Metric, text: &str) -> Option<Measured> {
    let off = |measured: &Measured| measured.value == Some(0.0);
    number(metric, text).map(|measured| {
        if off(&measured) {
            Measured::absent(metric, Quality::SensorOff).raw("0", metric.info().unit)
        } else {
            measured
        }
    })
}

/// Percent of the battery; above 100 it says nothing.
pub(super) fn battery(text: &str) -> Option<Measured> {
    number(Metric::Battery, text).map(|measured| {
        if measured.quality == Quality::OutOfRange {
            Measured { value: None, quality: Quality::Absent, ..measured }
        } else {
            measured
        }
    })
}

/// A temperature of the wrist: never a core temperature.
pub(super) fn wrist_temperature(text: &str) -> Option<Measured> {
    worn(Metric::SkinTemperature, text).map(|measured| Measured { site: Some(Site::Wrist), ..measured })
}

/// A blood pressure. 0 means that the watch could not measure; a lower pressure that is not lower is kept and doubted.
pub(super) fn pressure(systolic: &str, diastolic: &str) -> (Vec<Measured>, Option<Happened>) {
    let read = |metric, text| {
        written(metric, text).map(|measured| {
            if measured.value == Some(0.0) {
                Measured::absent(metric, Quality::MeasurementFailed).raw("0", metric.info().unit)
            } else {
                measured
            }
        })
    };
    let both = [read(Metric::Systolic, systolic), read(Metric::Diastolic, diastolic)];
    let failed = both.iter().flatten().any(|one| one.quality == Quality::MeasurementFailed);
    let doubt = match &both {
        [Some(upper), Some(lower)] => contradiction(upper, lower),
        _ => None,
    };
    // A unit that is not what was said explains more than a number that nobody has.
    let doubted = |one: Measured| doubt.into_iter().fold(one, Measured::doubted).plausible();
    (both.into_iter().flatten().map(doubted).collect(), failed.then(|| Happened::new(EventKind::MeasurementFailed)))
}

/// A glucose value without a unit: its unit is a setting of the device. Without the setting, or when the number does not fit
/// it, the value is kept and never judged.
pub(super) fn glucose(text: &str, settings: &Settings) -> Option<Measured> {
    let read = number(Metric::Glucose, text)?;
    let raw = Decimal::parse(text.trim()).filter(|raw| raw.mantissa != 0);
    let measured = match (raw, settings.glucose_unit) {
        (None, _) if read.value.is_some() => Measured { value: None, quality: Quality::SensorOff, ..read },
        (None, _) => read,
        (Some(raw), Some(GlucoseUnit::MgPerDl)) => unit::MG_PER_DL.of(Metric::Glucose, raw),
        (Some(raw), Some(GlucoseUnit::MmolPerL)) => unit::same("mmol/L").of(Metric::Glucose, raw),
        (Some(raw), None) => unit::same("").of(Metric::Glucose, raw).doubted(Quality::UnitSuspect),
    };
    let mmol = measured.value.unwrap_or_default();
    let measured = if mmol >= GLUCOSE_MMOL_SUSPECT { measured.doubted(Quality::UnitSuspect) } else { measured };
    let measured = if Metric::Glucose.is_plausible(mmol) { measured } else { measured.doubted(Quality::OutOfRange) };
    Some(Measured { site: Some(Site::Wrist), ..measured })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_worn_is_no_zero() {
        let heart = worn(Metric::HeartRate, "0").unwrap();
        assert_eq!((heart.value, heart.quality), (None, Quality::SensorOff));
        assert_eq!(worn(Metric::HeartRate, ""), None);
        assert_eq!(worn(Metric::HeartRate, "?").unwrap().quality, Quality::SpecialValue);
        assert_eq!(number(Metric::Steps, "0").unwrap().value, Some(0.0));
        assert_eq!(battery("101").unwrap().value, None);
    }

    #[test]
    fn a_pressure_that_failed_is_an_event() {
        let (readings, event) = pressure("0", "0");
        assert!(readings.iter().all(|one| one.quality == Quality::MeasurementFailed && one.value.is_none()));
        assert_eq!(event.unwrap().kind, EventKind::MeasurementFailed);
        let (readings, event) = pressure("80", "120");
        assert!(event.is_none() && readings.iter().all(|one| one.quality == Quality::OutOfRange));
        let (readings, _) = pressure("18.9", "11");
        assert!(readings.iter().all(|one| one.quality == Quality::UnitSuspect), "kilopascals: {readings:?}");
        let (readings, _) = pressure("120", "999");
        assert!(readings.iter().all(|one| !one.quality.is_judged()));
    }

    #[test]
    fn glucose_needs_its_unit() {
        let with = |unit| Settings { glucose_unit: unit, ..Settings::default() };
        let read = |text, unit| glucose(text, &with(unit)).unwrap();
        assert_eq!(read("90", None).quality, Quality::UnitSuspect);
        assert_eq!(read("90", Some(GlucoseUnit::MmolPerL)).quality, Quality::UnitSuspect);
        let mg = read("90", Some(GlucoseUnit::MgPerDl));
        assert!(mg.quality == Quality::Ok && (mg.value.unwrap() - 4.9957).abs() < 1e-3);
        assert_eq!(read("5.4", Some(GlucoseUnit::MmolPerL)).quality, Quality::Ok);
    }
}
