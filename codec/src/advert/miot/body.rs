//! MiBeacon objects of thermometers and scales for people.

use model::{Metric, Quality};

use crate::advert::products::Buttons;
use crate::advert::{put, put_number};
use crate::{Decimal, Decoded, Measured, Site, Stamp, unit};

/// Object 000A: what a worn thermometer feels. It is the skin's temperature, not the body's: it is below 35 ℃ on a healthy
/// person, and near the room's when the sensor lies on a table.
pub(super) fn worn_temperature(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let hundredths = i16::from_le_bytes(data.try_into().ok()?);
    let mut skin = match hundredths {
        0 => Measured::absent(Metric::SkinTemperature, Quality::SensorOff),
        _ => unit::CELSIUS.of(Metric::SkinTemperature, Decimal::new(hundredths.into(), -2)),
    };
    skin.site = Some(Site::Armpit);
    out.readings.push(skin);
    Some(())
}

/// Object 2000: two probes of an armpit thermometer, and the battery. The body temperature is the upstream's fit to what the
/// maker's app shows between 36.5 and 37.8 ℃.
#[allow(clippy::approx_constant, reason = "fitted numbers, not constants of nature")]
pub(super) fn body_temperature(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let [a0, a1, b0, b1, battery] = *<&[u8; 5]>::try_from(data).ok()?;
    let [one, two] = [[a0, a1], [b0, b1]].map(|probe| f64::from(i16::from_le_bytes(probe)) / 100.0);
    let body = 3.719_34e-11 * (0.693_14 * one).exp() - 1.028_01e-8 * (0.538_71 * two).exp() + 36.413;
    let mut reading = Measured::new(Metric::BodyTemperature, body).raw(format!("{one}/{two}"), "Cel");
    reading.site = Some(Site::Armpit);
    out.readings.push(reading.plausible());
    put_number(out, "battery", "%", Decimal::whole(battery.into()));
    Some(())
}

/// Object 6E16 of the S400 scale: weight, pulse and one impedance first, the second impedance in another frame.
pub(super) fn body_composition(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let [profile, d0, d1, d2, d3, t0, t1, t2, t3] = *<&[u8; 9]>::try_from(data).ok()?;
    let bits = u32::from_le_bytes([d0, d1, d2, d3]);
    let (mass, pulse, ohm) = (i64::from(bits & 0x7FF), i64::from(bits >> 11 & 0x7F), i64::from(bits >> 18));
    let first = out.readings.len();
    if mass != 0 {
        put_number(out, "mass", "kg", Decimal::new(mass, -1));
    }
    if (1..127).contains(&pulse) {
        put_number(out, "heart_rate", "/min", Decimal::whole(pulse + 50));
    }
    if ohm != 0 {
        let word = if mass == 0 { "impedance_high" } else { "impedance_low" };
        put_number(out, word, "Ohm", Decimal::new(ohm, -1));
    }
    put(out, "profile_id", profile);
    // More follows after a frame that has weight and impedance; nobody stands there when all are zero.
    put(out, "stabilized", (mass == 0) != (ohm == 0));
    let stamp = Stamp::unix(f64::from(u32::from_le_bytes([t0, t1, t2, t3])));
    for reading in out.readings.iter_mut().skip(first) {
        *reading = reading.clone().stamped(stamp);
    }
    Some(())
}
