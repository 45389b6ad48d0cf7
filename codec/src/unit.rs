//! Units in which devices count, and what they are in the unit of the metric. Factors: SI, NIST SP 811; glucose by its molar
//! mass 180.156 g/mol, cholesterol 386.65, triglycerides (triolein) 885.43, uric acid 168.11; HbA1c of IFCC to NGSP by the master
//! equation.

use model::Metric;

use crate::{Decimal, Measured};

/// A unit as UCUM writes it, and the way from it to the metric's unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) ucum: &'static str,
    convert: fn(Decimal) -> f64,
}

/// The metric's own unit.
pub(crate) const fn same(ucum: &'static str) -> Unit {
    Unit { ucum, convert: Decimal::to_f64 }
}

/// Milligrams of glucose in a decilitre for one mmol/L.
const GLUCOSE_MG_DL: f64 = 18.0156;

pub(crate) const MMHG: Unit = same("mm[Hg]");
pub(crate) const KPA: Unit = Unit { ucum: "kPa", convert: |raw| raw.times(Decimal::new(750_062, -5)) };
pub(crate) const PERCENT: Unit = same("%");
pub(crate) const PER_MIN: Unit = same("/min");
pub(crate) const CELSIUS: Unit = same("Cel");
pub(crate) const FAHRENHEIT: Unit = Unit { ucum: "[degF]", convert: |raw| (raw.to_f64() - 32.0) * 5.0 / 9.0 };
pub(crate) const KG: Unit = same("kg");
pub(crate) const POUND: Unit = Unit { ucum: "[lb_av]", convert: |raw| raw.times(Decimal::new(45_359_237, -8)) };
/// To centimetres.
pub(crate) const METRE: Unit = Unit { ucum: "m", convert: |raw| raw.times(Decimal::whole(100)) };
pub(crate) const INCH: Unit = Unit { ucum: "[in_i]", convert: |raw| raw.times(Decimal::new(254, -2)) };
pub(crate) const KG_PER_M2: Unit = same("kg/m2");
pub(crate) const OHM: Unit = same("Ohm");
/// To kilocalories (thermochemical).
pub(crate) const KILOJOULE: Unit = Unit { ucum: "kJ", convert: |raw| raw.to_f64() / 4.184 };
pub(crate) const MG_PER_DL: Unit = Unit { ucum: "mg/dL", convert: |raw| raw.to_f64() / GLUCOSE_MG_DL };
pub(crate) const KG_PER_L: Unit =
    Unit { ucum: "kg/L", convert: |raw| raw.times(Decimal::whole(100_000)) / GLUCOSE_MG_DL };
pub(crate) const MOL_PER_L: Unit = Unit { ucum: "mol/L", convert: |raw| raw.times(Decimal::whole(1_000)) };
pub(crate) const HPA: Unit = Unit { ucum: "hPa", convert: |raw| raw.times(Decimal::new(750_062, -6)) };
pub(crate) const PA: Unit = Unit { ucum: "Pa", convert: |raw| raw.times(Decimal::new(750_062, -8)) };
pub(crate) const KELVIN: Unit = Unit { ucum: "K", convert: |raw| raw.to_f64() - 273.15 };
pub(crate) const GRAM: Unit = Unit { ucum: "g", convert: |raw| raw.times(Decimal::new(1, -3)) };
/// 斤. UCUM has no code for it; a customary unit stands in curly braces.
pub(crate) const JIN: Unit = Unit { ucum: "{jin}", convert: |raw| raw.times(Decimal::new(5, -1)) };
/// To centimetres.
pub(crate) const MILLIMETRE: Unit = Unit { ucum: "mm", convert: |raw| raw.times(Decimal::new(1, -1)) };
/// A share of 1, to percent.
pub(crate) const RATIO: Unit = Unit { ucum: "1", convert: |raw| raw.times(Decimal::whole(100)) };
/// Glucose.
pub(crate) const G_PER_L: Unit = Unit { ucum: "g/L", convert: |raw| raw.times(Decimal::whole(100)) / GLUCOSE_MG_DL };
pub(crate) const MG_PER_DL_CHOLESTEROL: Unit = Unit { ucum: "mg/dL", convert: |raw| raw.to_f64() / 38.665 };
pub(crate) const MG_PER_DL_TRIGLYCERIDES: Unit = Unit { ucum: "mg/dL", convert: |raw| raw.to_f64() / 88.543 };
/// To micromoles.
pub(crate) const MG_PER_DL_URIC_ACID: Unit = Unit { ucum: "mg/dL", convert: |raw| raw.to_f64() * 1000.0 / 16.811 };
pub(crate) const MMOL_PER_L_IN_UMOL: Unit = Unit { ucum: "mmol/L", convert: |raw| raw.times(Decimal::whole(1_000)) };
/// HbA1c of IFCC, to percent of NGSP.
pub(crate) const MMOL_PER_MOL_HBA1C: Unit = Unit { ucum: "mmol/mol", convert: |raw| raw.to_f64() * 0.091_48 + 2.152 };
/// To milliseconds.
pub(crate) const SECOND_1024: Unit = Unit { ucum: "1/1024.s", convert: |raw| raw.to_f64() * 1000.0 / 1024.0 };

impl Unit {
    /// A reading of a number in this unit, the original kept.
    pub(crate) fn of(self, metric: Metric, raw: Decimal) -> Measured {
        Measured::new(metric, (self.convert)(raw)).raw(raw, self.ucum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_out_as_the_tables_say() {
        let near = |unit: Unit, raw: Decimal, expected: f64| {
            let value = (unit.convert)(raw);
            assert!((value - expected).abs() < 0.005, "{}: {value}", unit.ucum);
        };
        near(KPA, Decimal::new(189, -1), 141.76);
        near(POUND, Decimal::new(1570, -1), 71.21);
        near(INCH, Decimal::whole(68), 172.72);
        near(METRE, Decimal::new(175, -2), 175.0);
        near(FAHRENHEIT, Decimal::new(986, -1), 37.0);
        near(MG_PER_DL, Decimal::whole(100), 5.55);
        near(MOL_PER_L, Decimal::new(56, -4), 5.6);
        near(KG_PER_L, Decimal::new(1, -3), 5.55);
        near(SECOND_1024, Decimal::whole(512), 500.0);
        near(KILOJOULE, Decimal::whole(6_276), 1_500.0);
    }
}
