//! Units as they are written in the field, and the way into a metric's unit.
//!
//! Sources: UCUM; ISO/IEEE 11073-10101 codes of units; molar masses glucose 180.156, cholesterol 386.65, triglycerides
//! (triolein) 885.43, uric acid 168.11 g/mol; HbA1c of IFCC to NGSP by the master equation (0.09148 x + 2.152).

use model::Metric;

use crate::{GlucoseUnit, Settings};

/// A unit that fits a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    /// UCUM, kept beside the value.
    pub(super) ucum: &'static str,
    /// value in the metric's unit = number x `factor` + `add`.
    factor: f64,
    add: f64,
    /// The device did not say it, and nobody has set it.
    pub(super) guessed: bool,
}

impl Unit {
    const fn times(ucum: &'static str, factor: f64) -> Self {
        Self { ucum, factor, add: 0.0, guessed: false }
    }

    pub(super) fn convert(self, number: f64) -> f64 {
        // Exactly the device's number where the unit is the metric's own.
        if self.factor.to_bits() == 1_f64.to_bits() && self.add == 0.0 {
            number
        } else {
            number * self.factor + self.add
        }
    }
}

/// mmHg in one kPa.
const KPA: f64 = 7.500_62;

/// The unit `written` for `metric`. `None`: no unit of this measurement.
pub(super) fn find(metric: Metric, written: &str, settings: &Settings) -> Option<Unit> {
    let folded = fold(written);
    let own = metric.info().unit;
    if folded.is_empty() {
        return Some(unsaid(metric, settings));
    }
    if folded == fold(own) || (metric.info().unit_mdc != 0 && folded == metric.info().unit_mdc.to_string()) {
        return Some(Unit::times(own, 1.0));
    }
    match own {
        "mm[Hg]" => pressure(&folded),
        "Cel" => temperature(&folded),
        "kg" => mass(&folded),
        "cm" => length(&folded),
        "/min" => rate(&folded),
        "%" => share(metric, &folded),
        "mmol/L" | "umol/L" => concentration(metric, &folded),
        "kg/m2" => matches!(folded.as_str(), "kg/m^2" | "kg/m²" | "kg/㎡").then_some(Unit::times(own, 1.0)),
        "kcal/d" => matches!(folded.as_str(), "kcal" | "kcal/day" | "大卡").then_some(Unit::times(own, 1.0)),
        "Ohm" => matches!(folded.as_str(), "ω" | "欧姆").then_some(Unit::times(own, 1.0)),
        _ => None,
    }
}

/// Case and spaces do not matter, and µ has two code points.
fn fold(written: &str) -> String {
    let letters = written.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase);
    letters.map(|c| if matches!(c, 'µ' | 'μ') { 'u' } else { c }).collect()
}

/// A unit that was not written: no doubt where there is only one, a setting for glucose, doubt for the rest.
fn unsaid(metric: Metric, settings: &Settings) -> Unit {
    let own = metric.info().unit;
    match (metric, settings.glucose_unit) {
        (Metric::Glucose | Metric::GlucoseInterstitial, Some(GlucoseUnit::MmolPerL)) => Unit::times("mmol/L", 1.0),
        (Metric::Glucose | Metric::GlucoseInterstitial, Some(GlucoseUnit::MgPerDl)) => {
            Unit::times("mg/dL", 1.0 / GLUCOSE)
        }
        _ => {
            let guessed = matches!(own, "mm[Hg]" | "Cel" | "kg" | "cm" | "mmol/L" | "umol/L");
            Unit { guessed, ..Unit::times("", 1.0) }
        }
    }
}

fn pressure(folded: &str) -> Option<Unit> {
    Some(match folded {
        "mmhg" | "mdc_dim_mmhg" | "毫米汞柱" => Unit::times("mm[Hg]", 1.0),
        "kpa" | "265987" | "mdc_dim_kilo_pascal" => Unit::times("kPa", KPA),
        "hpa" => Unit::times("hPa", KPA / 10.0),
        "pa" => Unit::times("Pa", KPA / 1000.0),
        _ => return None,
    })
}

fn temperature(folded: &str) -> Option<Unit> {
    Some(match folded {
        "c" | "°c" | "℃" | "degc" | "mdc_dim_degc" => Unit::times("Cel", 1.0),
        "[degf]" | "f" | "°f" | "℉" | "degf" | "266560" | "mdc_dim_fahr" => {
            Unit { add: -160.0 / 9.0, ..Unit::times("[degF]", 5.0 / 9.0) }
        }
        "k" => Unit { add: -273.15, ..Unit::times("K", 1.0) },
        _ => return None,
    })
}

fn mass(folded: &str) -> Option<Unit> {
    Some(match folded {
        "公斤" | "千克" | "mdc_dim_kilo_g" => Unit::times("kg", 1.0),
        "g" | "克" => Unit::times("g", 1e-3),
        "lb" | "lbs" | "[lb_av]" | "磅" | "263904" | "mdc_dim_lb" => Unit::times("[lb_av]", 0.453_592_37),
        "jin" | "{jin}" | "斤" => Unit::times("{jin}", 0.5),
        _ => return None,
    })
}

fn length(folded: &str) -> Option<Unit> {
    Some(match folded {
        "厘米" | "公分" | "mdc_dim_centi_m" => Unit::times("cm", 1.0),
        "m" | "米" => Unit::times("m", 100.0),
        "mm" | "毫米" => Unit::times("mm", 0.1),
        "in" | "inch" | "[in_i]" | "263776" | "mdc_dim_inch" => Unit::times("[in_i]", 2.54),
        _ => return None,
    })
}

fn rate(folded: &str) -> Option<Unit> {
    let known = [
        "bpm",
        "1/min",
        "beat/min",
        "beats/min",
        "{beat}/min",
        "{beats}/min",
        "{breaths}/min",
        "breaths/min",
        "次/分",
        "次/分钟",
        "264864",
        "264928",
        "mdc_dim_beat_per_min",
        "mdc_dim_resp_per_min",
    ];
    known.contains(&folded).then_some(Unit::times("/min", 1.0))
}

fn share(metric: Metric, folded: &str) -> Option<Unit> {
    Some(match (metric, folded) {
        (Metric::RoomHumidity, "%rh")
        | (Metric::Battery, "%el")
        | (Metric::HbA1c, "%hb" | "%(ngsp)")
        | (_, "mdc_dim_percent") => Unit::times("%", 1.0),
        (Metric::HbA1c, "mmol/mol") => Unit { add: 2.152, ..Unit::times("mmol/mol", 0.091_48) },
        // SenML's ratio.
        (_, "/") => Unit::times("1", 100.0),
        _ => return None,
    })
}

/// mg/dL in one mmol/L.
const GLUCOSE: f64 = 18.015_6;

fn concentration(metric: Metric, folded: &str) -> Option<Unit> {
    let per_mmol = match metric {
        Metric::Glucose | Metric::GlucoseInterstitial => GLUCOSE,
        Metric::Cholesterol => 38.665,
        Metric::Triglycerides => 88.543,
        Metric::UricAcid => 16.811,
        _ => return None,
    };
    // Into mmol/L first; uric acid is kept in umol/L.
    let whole = if metric.info().unit == "umol/L" { 1000.0 } else { 1.0 };
    Some(match folded {
        "mmol/l" | "mdc_dim_milli_mole_per_l" => Unit::times("mmol/L", whole),
        "umol/l" => Unit::times("umol/L", whole / 1000.0),
        "mol/l" => Unit::times("mol/L", whole * 1000.0),
        "mg/dl" | "mg%" | "mg/100ml" | "264274" | "mdc_dim_milli_g_per_dl" => Unit::times("mg/dL", whole / per_mmol),
        "g/l" => Unit::times("g/L", whole * 100.0 / per_mmol),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_many_ways_it_is_one_value() {
        let settings = Settings::default();
        let value = |metric, number: f64, unit| find(metric, unit, &settings).map(|unit| unit.convert(number));
        let near = |got: Option<f64>, wanted: f64| got.is_some_and(|got| (got - wanted).abs() < 0.01);
        for unit in ["mg/dl", "MG/DL", " mg / dL", "mg%", "264274"] {
            assert!(near(value(Metric::Glucose, 182.0, unit), 10.10), "{unit}");
        }
        for unit in ["mmol/L", "mmol/l", "266866"] {
            assert!(near(value(Metric::Glucose, 5.6, unit), 5.6), "{unit}");
        }
        assert!(near(value(Metric::UricAcid, 6.0, "mg/dL"), 356.9));
        assert!(near(value(Metric::UricAcid, 357.0, "μmol/L"), 357.0));
        assert!(near(value(Metric::UricAcid, 357.0, "µmol/L"), 357.0));
        assert!(near(value(Metric::Systolic, 18.9, "kPa"), 141.76));
        assert!(near(value(Metric::BodyTemperature, 98.6, "°F"), 37.0));
        assert!(near(value(Metric::Height, 1.68, "m"), 168.0));
        assert!(near(value(Metric::Weight, 145.0, "斤"), 72.5));
        assert!(near(value(Metric::HbA1c, 48.0, "mmol/mol"), 6.54));
        assert_eq!(value(Metric::Glucose, 5.6, "kPa"), None);
        assert_eq!(value(Metric::Weight, 5.6, "mmol/L"), None);
    }

    #[test]
    fn a_unit_that_nobody_said_is_a_setting_or_a_doubt() {
        let settings = Settings::default();
        let guessed = |metric| find(metric, "", &settings).map(|unit| unit.guessed);
        assert_eq!(guessed(Metric::Glucose), Some(true));
        assert_eq!(guessed(Metric::Weight), Some(true));
        assert_eq!(guessed(Metric::HeartRate), Some(false));
        let set = Settings { glucose_unit: Some(GlucoseUnit::MgPerDl), ..Settings::default() };
        let unit = find(Metric::Glucose, "", &set).unwrap();
        assert!(!unit.guessed && (unit.convert(90.0) - 4.9957).abs() < 1e-3);
    }
}
