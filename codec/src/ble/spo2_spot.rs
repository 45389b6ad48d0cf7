//! `ble:2a5e`, PLX Spot-Check Measurement (indicate). Pulse Oximeter Service 1.0.

use super::fields::{Fields, bit};
use super::oximeter::Status;
use crate::{Decoded, Malformed, Settings};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let spo2 = fields.sfloat("the saturation")?;
    let pulse = fields.sfloat("the pulse rate")?;
    let stamp = fields.stamp(bit(flags, 0), settings)?;
    let status = Status {
        measurement: fields.when(bit(flags, 1), |f| f.u16("the measurement status"))?,
        sensor: fields.when(bit(flags, 2), |f| f.u24("the device and sensor status"))?,
    };
    let amplitude = fields.when(bit(flags, 3), |f| f.sfloat("the pulse amplitude index"))?;

    let stamp = if bit(flags, 4) { stamp.distrusted() } else { stamp };
    let readings = status.readings(spo2, pulse, amplitude).into_iter().map(|reading| reading.stamped(stamp)).collect();
    let mut out = Decoded { readings, stored: status.is_stored(), ..Decoded::default() };
    status.tell(&mut out.device);
    Ok(out)
}
