//! `ble:2a37`, Heart Rate Measurement (notify). Heart Rate Service 1.0.

use model::{Metric, Quality};

use super::fields::{Fields, bit};
use crate::{Decimal, Decoded, Malformed, Measured, Settings, unit};

/// Longest time between two beats that is taken for one, in 1/1024 s.
const LONGEST_RR: u16 = 3 * 1024;

pub(super) fn decode(frame: &[u8], _: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let rate = if bit(flags, 0) { fields.u16("the heart rate")? } else { u16::from(fields.u8("the heart rate")?) };
    let energy = fields.when(bit(flags, 3), |f| f.u16("the energy expended"))?;
    let intervals = if bit(flags, 4) { intervals(&mut fields)? } else { Vec::new() };

    let contact = bit(flags, 2).then(|| bit(flags, 1));
    let mut out = Decoded::default();
    let reading = unit::PER_MIN.of(Metric::HeartRate, Decimal::whole(i64::from(rate)));
    // 0 is what an unworn band counts; without contact any number is noise (255 among them), and so are its intervals.
    let off = contact == Some(false) || rate == 0;
    out.readings.push(if off { reading.withheld(Quality::SensorOff) } else { reading.plausible() });
    let kept: Vec<Measured> = intervals.iter().copied().filter(|rr| !off && *rr <= LONGEST_RR).map(interval).collect();
    let dropped = intervals.len() - kept.len();
    out.readings.extend(kept.into_iter().zip(0..).map(|(rr, n)| Measured { sequence: Some(n), ..rr }));

    let other = &mut out.device.other;
    other.extend(contact.map(|contact| ("sensor_contact", contact.into())));
    other.extend(energy.map(|energy| ("energy_kj", energy.into())));
    if dropped > 0 {
        other.insert("rr_dropped", dropped.into());
    }
    Ok(out)
}

fn intervals(fields: &mut Fields<'_>) -> Result<Vec<u16>, Malformed> {
    let mut all = vec![fields.u16("the RR interval")?];
    while let Ok(next) = fields.u16("a further RR interval") {
        all.push(next);
    }
    Ok(all)
}

fn interval(rr: u16) -> Measured {
    unit::SECOND_1024.of(Metric::RrInterval, Decimal::whole(i64::from(rr))).plausible()
}
