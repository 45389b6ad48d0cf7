//! Systolic and diastolic against each other.

use model::Quality;

use crate::{Measured, unit};

/// Below these two a pressure in mmHg is a pressure in kPa under the wrong name: 18.9/11.0.
const KPA_LIKE_SYSTOLIC: f64 = 30.0;
const KPA_LIKE_DIASTOLIC: f64 = 20.0;

/// The doubt that two pressures of one measurement cast on each other: their unit is not what was said, or the lower one is
/// not lower. `None` when one is absent.
pub(crate) fn contradiction(systolic: &Measured, diastolic: &Measured) -> Option<Quality> {
    let (upper, lower) = (systolic.value?, diastolic.value?);
    let written_in = systolic.raw.as_ref().map_or("", |raw| raw.unit);
    let is_mmhg = written_in.is_empty() || written_in == unit::MMHG.ucum;
    if is_mmhg && upper < KPA_LIKE_SYSTOLIC && lower < KPA_LIKE_DIASTOLIC {
        return Some(Quality::UnitSuspect);
    }
    (lower >= upper).then_some(Quality::OutOfRange)
}
