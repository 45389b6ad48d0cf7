//! `ble:2a5f`, PLX Continuous Measurement (notify). Pulse Oximeter Service 1.0.

use serde_json::{Value, json};

use super::fields::{Fields, bit};
use super::ieee11073::Number;
use super::oximeter::Status;
use crate::{Decoded, Malformed, Settings};

pub(super) fn decode(frame: &[u8], _: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let [spo2, pulse] = pair(&mut fields)?;
    let fast = fields.when(bit(flags, 0), pair)?;
    let slow = fields.when(bit(flags, 1), pair)?;
    let status = Status {
        measurement: fields.when(bit(flags, 2), |f| f.u16("the measurement status"))?,
        sensor: fields.when(bit(flags, 3), |f| f.u24("the device and sensor status"))?,
    };
    let amplitude = fields.when(bit(flags, 4), |f| f.sfloat("the pulse amplitude index"))?;

    let readings = status.readings(spo2, pulse, amplitude);
    let mut out = Decoded { readings, stored: status.is_stored(), ..Decoded::default() };
    // Other averages of the same values: for people who look into the device, not second readings of the person.
    out.device.other.extend(fast.map(|pair| ("fast", shown(pair))));
    out.device.other.extend(slow.map(|pair| ("slow", shown(pair))));
    status.tell(&mut out.device);
    Ok(out)
}

fn pair(fields: &mut Fields<'_>) -> Result<[Number; 2], Malformed> {
    Ok([fields.sfloat("a saturation")?, fields.sfloat("a pulse rate")?])
}

fn shown([spo2, pulse]: [Number; 2]) -> Value {
    let number = |number: Number| number.value().map(crate::Decimal::to_f64);
    json!({ "spo2": number(spo2), "pulse_rate": number(pulse) })
}
