//! `ble:2a9c`, Body Composition Measurement (indicate). Body Composition Service 1.0.

use model::{EventKind, Metric, Quality};

use super::fields::{Fields, bit, tell_user};
use super::weight::{UNSUCCESSFUL, length, mass};
use crate::unit::{self, Unit};
use crate::{Decimal, Decoded, Happened, Malformed, Measured, Settings};

/// Percentages, energy and resistance: flag, metric, unit, power of ten.
type Plain = (u8, Metric, Unit, i8);
const METABOLISM: Plain = (3, Metric::BasalMetabolism, unit::KILOJOULE, 0);
const MUSCLE: Plain = (4, Metric::MusclePercentage, unit::PERCENT, -1);
const IMPEDANCE: Plain = (9, Metric::BodyImpedance, unit::OHM, -1);
/// Masses between muscle percentage and impedance, in the order of their flags.
const MASSES: [(u8, Metric); 4] =
    [(5, Metric::MuscleMass), (6, Metric::FatFreeMass), (7, Metric::SoftLeanMass), (8, Metric::BodyWater)];

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u16("the flags")?;
    let imperial = bit(flags, 0);
    let fat = fields.u16("the body fat")?;
    let stamp = fields.stamp(bit(flags, 1), settings)?;
    let user = fields.when(bit(flags, 2), |f| f.u8("the user"))?;
    let mut readings = vec![percent(fat)];
    readings.extend(plain(&mut fields, flags, METABOLISM)?);
    readings.extend(plain(&mut fields, flags, MUSCLE)?);
    for (number, metric) in MASSES {
        readings.extend(fields.when(bit(flags, number), |f| f.u16("a mass"))?.map(|m| mass(metric, m, imperial)));
    }
    readings.extend(plain(&mut fields, flags, IMPEDANCE)?);
    let weight = fields.when(bit(flags, 10), |f| f.u16("the weight"))?;
    readings.extend(weight.map(|weight| mass(Metric::Weight, weight, imperial)));
    let height = fields.when(bit(flags, 11), |f| f.u16("the height"))?;
    readings.extend(height.map(|height| length(height, imperial)));

    let readings = readings.into_iter().map(|reading| reading.plausible().stamped(stamp)).collect();
    let mut out = Decoded { readings, ..Decoded::default() };
    if fat == UNSUCCESSFUL {
        out.events.push(Happened { at: stamp.time(), ..Happened::new(EventKind::MeasurementFailed) });
    }
    tell_user(&mut out.device, user);
    if bit(flags, 12) {
        // The rest of this measurement comes in the next frame, which stands for itself: its metrics are others.
        out.device.other.insert("multi_packet", true.into());
    }
    Ok(out)
}

fn percent(fat: u16) -> Measured {
    let reading = unit::PERCENT.of(Metric::BodyFat, Decimal::new(i64::from(fat), -1));
    if fat == UNSUCCESSFUL { reading.withheld(Quality::MeasurementFailed) } else { reading }
}

fn plain(fields: &mut Fields<'_>, flags: u16, row: Plain) -> Result<Option<Measured>, Malformed> {
    let (number, metric, unit, exponent) = row;
    let steps = fields.when(bit(flags, number), |f| f.u16(metric.slug()))?;
    Ok(steps.map(|steps| unit.of(metric, Decimal::new(i64::from(steps), exponent))))
}
