//! `ble:2a9d`, Weight Measurement (indicate). Weight Scale Service 1.0.

use model::{EventKind, Metric, Quality};

use super::fields::{Fields, bit, tell_user};
use crate::unit::{self, Unit};
use crate::{Decimal, Decoded, Happened, Malformed, Measured, Settings};

/// "Measurement unsuccessful", in this service and in Body Composition.
pub(super) const UNSUCCESSFUL: u16 = 0xFFFF;

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let imperial = bit(flags, 0);
    let weight = fields.u16("the weight")?;
    let stamp = fields.stamp(bit(flags, 1), settings)?;
    let user = fields.when(bit(flags, 2), |f| f.u8("the user"))?;
    let build = fields.when(bit(flags, 3), |f| Ok((f.u16("the BMI")?, f.u16("the height")?)))?;

    let mut out = Decoded::default();
    out.readings.push(mass(Metric::Weight, weight, imperial));
    if let Some((bmi, height)) = build {
        out.readings.push(unit::KG_PER_M2.of(Metric::Bmi, Decimal::new(i64::from(bmi), -1)));
        out.readings.push(length(height, imperial));
    }
    out.readings = out.readings.into_iter().map(|reading| reading.plausible().stamped(stamp)).collect();
    if weight == UNSUCCESSFUL {
        out.events.push(Happened { at: stamp.time(), ..Happened::new(EventKind::MeasurementFailed) });
    }
    tell_user(&mut out.device, user);
    Ok(out)
}

/// Steps of 5 g or of 1/100 lb.
pub(super) fn mass(metric: Metric, steps: u16, imperial: bool) -> Measured {
    let (unit, raw): (Unit, Decimal) = if imperial {
        (unit::POUND, Decimal::new(i64::from(steps), -2))
    } else {
        (unit::KG, Decimal::new(i64::from(steps) * 5, -3))
    };
    let reading = unit.of(metric, raw);
    if steps == UNSUCCESSFUL { reading.withheld(Quality::MeasurementFailed) } else { reading }
}

/// Steps of 1 mm or of 1/10 inch.
pub(super) fn length(steps: u16, imperial: bool) -> Measured {
    if imperial {
        unit::INCH.of(Metric::Height, Decimal::new(i64::from(steps), -1))
    } else {
        unit::METRE.of(Metric::Height, Decimal::new(i64::from(steps), -3))
    }
}
