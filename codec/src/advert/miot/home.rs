//! MiBeacon objects of things at home: motion, climate, kettle, toothbrush.

use serde_json::json;

use super::{integer, put_float};
use crate::advert::products::Buttons;
use crate::advert::{put, put_number};
use crate::{Decimal, Decoded};

/// Only "full" is known; other states stand as their number.
pub(super) fn charging(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    match *data.first()? {
        2 => put(out, "charging_state", "Full"),
        state => put(out, "charging_state", state),
    }
    Some(())
}

/// Seconds without motion: up to 30 counts as motion.
pub(super) fn still(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    matches!(data.len(), 2 | 4).then_some(())?;
    put(out, "motion", integer(data, false) <= 30);
    Some(())
}

pub(super) fn motion_with_light(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let light = (data.len() == 3).then(|| integer(data, false))?;
    put(out, "motion", true);
    put(out, "light", light >= 100);
    Some(())
}

pub(super) fn motion_with_lux(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let lux = f32::from_le_bytes(data.try_into().ok()?);
    put(out, "motion", true);
    put_float(out, "illuminance", "lx", lux, 2);
    Some(())
}

pub(super) fn climate(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let [t0, t1, h0, h1] = *<&[u8; 4]>::try_from(data).ok()?;
    put_number(out, "temperature", "Cel", Decimal::new(i16::from_le_bytes([t0, t1]).into(), -1));
    put_number(out, "humidity", "%", Decimal::new(u16::from_le_bytes([h0, h1]).into(), -1));
    Some(())
}

/// A kettle's switch and water: not the room's temperature.
pub(super) fn kettle(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let [power, water] = *<&[u8; 2]>::try_from(data).ok()?;
    put(out, "power_on", power != 0);
    put(out, "water_temperature", json!({ "value": water, "unit": "Cel" }));
    Some(())
}

pub(super) fn toothbrush(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let (state, rest) = data.split_first()?;
    put(out, "toothbrush", *state == 0);
    match (state, rest) {
        (0, [seconds]) => put(out, "counter", *seconds),
        (1, [score]) => put(out, "score", *score),
        _ => {}
    }
    Some(())
}

pub(super) fn brushing(data: &[u8], _: Buttons, out: &mut Decoded) -> Option<()> {
    let (state, rest) = data.split_first()?;
    put(out, "toothbrush", *state == 0);
    if let [_, _, _, _, score] = rest {
        put(out, "score", *score);
    }
    Some(())
}
