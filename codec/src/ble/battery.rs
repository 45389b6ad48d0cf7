//! `ble:2a19`, Battery Level (read, notify). Battery Service 1.0.

use model::{Metric, Quality};

use crate::{Decimal, Decoded, Malformed, Settings, unit};

pub(super) fn decode(frame: &[u8], _: &Settings) -> Result<Decoded, Malformed> {
    let [level] = frame else { return Err(Malformed::shape("a battery level is one octet")) };
    let reading = unit::PERCENT.of(Metric::Battery, Decimal::whole(i64::from(*level)));
    let reading = if *level > 100 { reading.withheld(Quality::Absent) } else { reading };
    Ok(Decoded { readings: vec![reading], ..Decoded::default() })
}
