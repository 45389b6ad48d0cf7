//! `ble:2a36`, Intermediate Cuff Pressure (notify): the pressure while the cuff works. Blood Pressure Service 1.1.

use model::Metric;

use super::blood_pressure::Cuff;
use crate::{Decoded, Malformed, Settings};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let cuff = Cuff::read(frame, settings)?;
    let [now, _unused, _unused_too] = cuff.pressures;
    let mut out = Decoded::default();
    out.readings.push(cuff.marked(now.measured(Metric::CuffPressure, cuff.unit)));
    out.readings.extend(cuff.pulse());
    cuff.tell(&mut out);
    Ok(out)
}
