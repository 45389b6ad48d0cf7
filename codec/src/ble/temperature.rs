//! `ble:2a1c`, Temperature Measurement (indicate). Health Thermometer Service 1.0.

use model::Metric;

use super::fields::{Fields, bit};
use crate::{Decoded, Malformed, Measured, Settings, Site, unit};

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let mut fields = Fields::new(frame);
    let flags = fields.u8("the flags")?;
    let temperature = fields.float("the temperature")?;
    let stamp = fields.stamp(bit(flags, 1), settings)?;
    let kind = fields.when(bit(flags, 2), |f| f.u8("the temperature type"))?;

    let unit = if bit(flags, 0) { unit::FAHRENHEIT } else { unit::CELSIUS };
    let (metric, site) = kind.map_or((Metric::BodyTemperature, None), place);
    let reading = Measured { site, ..temperature.measured(metric, unit) }.plausible();
    let mut out = Decoded { readings: vec![reading.stamped(stamp)], ..Decoded::default() };
    out.device.other.extend(kind.map(|kind| ("temperature_type", kind.into())));
    Ok(out)
}

/// Temperature Type (2A1D). Finger and toe follow the room, not the body's core.
fn place(kind: u8) -> (Metric, Option<Site>) {
    match kind {
        1 => (Metric::BodyTemperature, Some(Site::Armpit)),
        3 | 9 => (Metric::BodyTemperature, Some(Site::Ear)),
        4 => (Metric::SkinTemperature, Some(Site::Finger)),
        6 => (Metric::BodyTemperature, Some(Site::Mouth)),
        7 => (Metric::BodyTemperature, Some(Site::Rectum)),
        8 => (Metric::SkinTemperature, None),
        _ => (Metric::BodyTemperature, None),
    }
}
