//! Units as they are written in the field.

use model::Metric;

use crate::unit::{self, Unit};
use crate::{Decimal, GlucoseUnit, Measured, Settings};

/// A unit that fits a metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    pub(super) unit: Unit,
    /// The device did not say it, and nobody has set it.
    pub(super) guessed: bool,
}

/// The unit `written` for `metric`. `None`: no unit of this measurement.
pub(super) fn find(metric: Metric, written: &str, settings: &Settings) -> Option<Fit> {
    let folded = fold(written);
    let own = metric.info().unit;
    if folded.is_empty() {
        return Some(unsaid(metric, settings));
    }
    let is_own = folded == fold(own) || (metric.info().unit_mdc != 0 && folded == metric.info().unit_mdc.to_string());
    let unit = match own {
        _ if is_own => unit::same(own),
        "mm[Hg]" => pressure(&folded)?,
        "Cel" => temperature(&folded)?,
        "kg" => mass(&folded)?,
        "cm" => length(&folded)?,
        "/min" => rate(&folded)?,
        "%" => share(metric, &folded)?,
        "mmol/L" | "umol/L" => concentration(metric, &folded)?,
        "kg/m2" if matches!(folded.as_str(), "kg/m^2" | "kg/m²" | "kg/㎡") => unit::KG_PER_M2,
        "kcal/d" if matches!(folded.as_str(), "kcal" | "kcal/day" | "大卡") => unit::same(own),
        "Ohm" if matches!(folded.as_str(), "ω" | "欧姆") => unit::OHM,
        _ => return None,
    };
    Some(Fit { unit, guessed: false })
}

/// A number in the unit `written` beside it (UCUM, a code, or as people write it), converted once, the original kept. Without a unit
/// it is the metric's own. `None`: no unit of this measurement.
pub fn measured(metric: Metric, written: &str, number: Decimal) -> Option<Measured> {
    if fold(written).is_empty() {
        return Some(unit::same(metric.info().unit).of(metric, number));
    }
    Some(find(metric, written, &Settings::default())?.unit.of(metric, number))
}

/// Case and spaces do not matter, and µ has two code points.
fn fold(written: &str) -> String {
    let letters = written.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase);
    letters.map(|c| if matches!(c, 'µ' | 'μ') { 'u' } else { c }).collect()
}

/// A unit that was not written: no doubt where there is only one, a setting for glucose, doubt for the rest.
fn unsaid(metric: Metric, settings: &Settings) -> Fit {
    let unit = match (metric, settings.glucose_unit) {
        (Metric::Glucose | Metric::GlucoseInterstitial, Some(GlucoseUnit::MmolPerL)) => unit::same("mmol/L"),
        (Metric::Glucose | Metric::GlucoseInterstitial, Some(GlucoseUnit::MgPerDl)) => unit::MG_PER_DL,
        _ => unit::same(""),
    };
    let several = matches!(metric.info().unit, "mm[Hg]" | "Cel" | "kg" | "cm" | "mmol/L" | "umol/L");
    Fit { unit, guessed: several && unit.ucum.is_empty() }
}

fn pressure(folded: &str) -> Option<Unit> {
    Some(match folded {
        "mmhg" | "mdc_dim_mmhg" | "毫米汞柱" => unit::MMHG,
        "kpa" | "265987" | "mdc_dim_kilo_pascal" => unit::KPA,
        "hpa" => unit::HPA,
        "pa" => unit::PA,
        _ => return None,
    })
}

fn temperature(folded: &str) -> Option<Unit> {
    Some(match folded {
        "c" | "°c" | "℃" | "degc" | "mdc_dim_degc" => unit::CELSIUS,
        "[degf]" | "f" | "°f" | "℉" | "degf" | "266560" | "mdc_dim_fahr" => unit::FAHRENHEIT,
        "k" => unit::KELVIN,
        _ => return None,
    })
}

fn mass(folded: &str) -> Option<Unit> {
    Some(match folded {
        "公斤" | "千克" | "mdc_dim_kilo_g" => unit::KG,
        "g" | "克" => unit::GRAM,
        "lb" | "lbs" | "[lb_av]" | "磅" | "263904" | "mdc_dim_lb" => unit::POUND,
        "jin" | "{jin}" | "斤" => unit::JIN,
        _ => return None,
    })
}

fn length(folded: &str) -> Option<Unit> {
    Some(match folded {
        "厘米" | "公分" | "mdc_dim_centi_m" => unit::same("cm"),
        "m" | "米" => unit::METRE,
        "mm" | "毫米" => unit::MILLIMETRE,
        "in" | "inch" | "[in_i]" | "263776" | "mdc_dim_inch" => unit::INCH,
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
    known.contains(&folded).then_some(unit::PER_MIN)
}

fn share(metric: Metric, folded: &str) -> Option<Unit> {
    Some(match (metric, folded) {
        (Metric::RoomHumidity, "%rh")
        | (Metric::Battery, "%el")
        | (Metric::HbA1c, "%hb" | "%(ngsp)")
        | (_, "mdc_dim_percent") => unit::PERCENT,
        (Metric::HbA1c, "mmol/mol") => unit::MMOL_PER_MOL_HBA1C,
        // SenML's ratio.
        (_, "/") => unit::RATIO,
        _ => return None,
    })
}

fn concentration(metric: Metric, folded: &str) -> Option<Unit> {
    let is_mg_dl = matches!(folded, "mg/dl" | "mg%" | "mg/100ml" | "264274" | "mdc_dim_milli_g_per_dl");
    Some(match (metric, folded) {
        (Metric::UricAcid, "mmol/l") => unit::MMOL_PER_L_IN_UMOL,
        (Metric::UricAcid, _) if is_mg_dl => unit::MG_PER_DL_URIC_ACID,
        (Metric::UricAcid, _) => return None,
        (_, "mdc_dim_milli_mole_per_l") => unit::same("mmol/L"),
        (_, "mol/l") => unit::MOL_PER_L,
        (Metric::Cholesterol, _) if is_mg_dl => unit::MG_PER_DL_CHOLESTEROL,
        (Metric::Triglycerides, _) if is_mg_dl => unit::MG_PER_DL_TRIGLYCERIDES,
        (Metric::Glucose | Metric::GlucoseInterstitial, _) if is_mg_dl => unit::MG_PER_DL,
        (Metric::Glucose | Metric::GlucoseInterstitial, "g/l") => unit::G_PER_L,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_in_many_ways_it_is_one_value() {
        let settings = Settings::default();
        let value = |metric, number: &str, unit| {
            find(metric, unit, &settings).and_then(|fit| fit.unit.of(metric, Decimal::parse(number).unwrap()).value)
        };
        let near = |got: Option<f64>, wanted: f64| got.is_some_and(|got| (got - wanted).abs() < 0.01);
        for unit in ["mg/dl", "MG/DL", " mg / dL", "mg%", "264274"] {
            assert!(near(value(Metric::Glucose, "182.0", unit), 10.10), "{unit}");
        }
        for unit in ["mmol/L", "mmol/l", "266866"] {
            assert!(near(value(Metric::Glucose, "5.6", unit), 5.6), "{unit}");
        }
        assert!(near(value(Metric::UricAcid, "6.0", "mg/dL"), 356.9));
        assert!(near(value(Metric::UricAcid, "357.0", "μmol/L"), 357.0));
        assert!(near(value(Metric::UricAcid, "357.0", "µmol/L"), 357.0));
        assert!(near(value(Metric::Systolic, "18.9", "kPa"), 141.76));
        assert!(near(value(Metric::BodyTemperature, "98.6", "°F"), 37.0));
        assert!(near(value(Metric::Height, "1.68", "m"), 168.0));
        assert!(near(value(Metric::Weight, "145.0", "斤"), 72.5));
        assert!(near(value(Metric::HbA1c, "48.0", "mmol/mol"), 6.54));
        assert_eq!(value(Metric::Glucose, "5.6", "kPa"), None);
        assert_eq!(value(Metric::Weight, "5.6", "mmol/L"), None);
    }

    #[test]
    fn a_number_keeps_what_was_written() {
        let got = measured(Metric::Systolic, "kPa", Decimal::new(189, -1)).unwrap();
        assert_eq!(
            (got.value, got.raw.map(|raw| (raw.text, raw.unit))),
            (Some(141.761_718), Some(("18.9".into(), "kPa")))
        );
        assert_eq!(measured(Metric::Systolic, " ", Decimal::whole(120)).unwrap().value, Some(120.0));
        assert!(measured(Metric::Systolic, "kg", Decimal::whole(120)).is_none());
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
        let value = unit.unit.of(Metric::Glucose, Decimal::whole(90)).value.unwrap();
        assert!(!unit.guessed && (value - 4.9957).abs() < 1e-3);
    }
}
