//! Objects inside a MiBeacon payload: `type u16, length u8, data`.
//!
//! Source: object definitions of iot.mi.com and miot-spec.org as read in Bluetooth-Devices/xiaomi-ble (Apache-2.0).
//! An object that is not in the table, or has another length than its row, is kept as it came under `objects`.

mod body;
mod button;
mod home;
mod lock;

use model::Quality;
use serde_json::Value;

use super::products::Buttons;
use super::{put, put_number};
use crate::{Decimal, Decoded, Malformed, Measured, hex};

/// One object.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    kind: u16,
    data: &'a [u8],
}

/// The first object of what is left, and the rest. Fewer than three bytes are padding.
pub(super) fn next(rest: &[u8]) -> Result<Option<(Object<'_>, &[u8])>, Malformed> {
    let Some((&[k0, k1, length], rest)) = rest.split_first_chunk::<3>() else { return Ok(None) };
    let (data, rest) = rest.split_at_checked(length.into()).ok_or(Malformed::Short("the end of an object"))?;
    Ok(Some((Object { kind: u16::from_le_bytes([k0, k1]), data }, rest)))
}

/// The payload is objects of known types and nothing else: what a wrong key does not give.
pub(super) fn lengths_fit(payload: &[u8]) -> bool {
    let mut rest = payload;
    while let Ok(Some((object, after))) = next(rest) {
        if !OBJECTS.iter().any(|(kind, _)| *kind == object.kind) {
            return false;
        }
        rest = after;
    }
    rest.is_empty() && !payload.is_empty()
}

/// Reads one object.
pub(super) fn object(object: Object<'_>, buttons: Buttons, out: &mut Decoded) {
    let form = OBJECTS.iter().find(|(kind, _)| *kind == object.kind).map(|(_, form)| *form);
    let read = form.and_then(|form| read(form, object.data, buttons, out));
    if read.is_none() {
        put(out, "objects", format!("{:04X}:{}", object.kind, hex(object.data)));
    }
}

/// `None`: the data do not have the form.
fn read(form: Form, data: &[u8], buttons: Buttons, out: &mut Decoded) -> Option<()> {
    match form {
        Form::Number { word, unit, bytes, signed, power } => {
            let value = (data.len() == usize::from(bytes)).then(|| integer(data, signed))?;
            put_number(out, word, unit, Decimal::new(value, power));
        }
        Form::Float { word, unit, places } => {
            put_float(out, word, unit, f32::from_le_bytes(data.try_into().ok()?), places);
        }
        Form::Means(word, state) => put(out, word, state),
        Form::Flag(word) => put(out, word, *data.first()? != 0),
        Form::Says(words) => {
            let (_, said) = words.iter().find(|(byte, _)| data.first() == Some(byte))?;
            said.iter().for_each(|(word, value)| put(out, word, *value));
        }
        Form::Press(press) => button::pressed(out, buttons, data.first().copied().unwrap_or_default(), press)?,
        Form::Own(read) => read(data, buttons, out)?,
    }
    Some(())
}

fn integer(data: &[u8], signed: bool) -> i64 {
    let value = data.iter().rev().fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
    let shift = 64 - 8 * data.len().clamp(1, 8) as u32;
    if signed { value << shift >> shift } else { value }
}

fn put_float(out: &mut Decoded, word: &'static str, unit: &'static str, value: f32, places: i8) {
    let scaled = (f64::from(value) * 10_f64.powi(places.into())).round();
    if scaled.abs() < 1e15 {
        put_number(out, word, unit, Decimal::new(scaled as i64, -places));
    } else if let Some((metric, _)) = super::metric(word, unit) {
        out.readings.push(Measured::absent(metric, Quality::SpecialValue));
    } else {
        put(out, word, Value::Null);
    }
}

/// How an object is written.
#[derive(Clone, Copy)]
enum Form {
    /// value = whole number x 10^`power`.
    Number {
        word: &'static str,
        unit: &'static str,
        bytes: u8,
        signed: bool,
        power: i8,
    },
    /// f32, rounded to `places` decimals.
    Float {
        word: &'static str,
        unit: &'static str,
        places: i8,
    },
    /// The object itself says it; its data do not matter.
    Means(&'static str, bool),
    /// First byte not zero.
    Flag(&'static str),
    /// What each value of the first byte says.
    Says(&'static [(u8, &'static [(&'static str, bool)])]),
    /// The press; the first byte is the button.
    Press(&'static str),
    Own(fn(&[u8], Buttons, &mut Decoded) -> Option<()>),
}

const fn number(word: &'static str, unit: &'static str, bytes: u8, power: i8) -> Form {
    Form::Number { word, unit, bytes, signed: false, power }
}

const fn float(word: &'static str, unit: &'static str, places: i8) -> Form {
    Form::Float { word, unit, places }
}

const BATTERY: Form = number("battery", "%", 1, 0);
const HUMIDITY: Form = number("humidity", "%", 1, 0);
const OPENED: &[(&str, bool)] = &[("opening", true)];
const CLOSED: &[(&str, bool)] = &[("opening", false), ("door_left_open", false)];
const LEFT_OPEN: &[(&str, bool)] = &[("opening", true), ("door_left_open", true)];
const DOOR: Form = Form::Says(&[
    (0, &[("door", true), ("door_stuck", false), ("knock_on_the_door", false)]),
    (1, &[("door", false), ("door_left_open", false), ("pry_the_door", false)]),
    (2, &[("door", true), ("door_left_open", true)]),
    (3, &[("door", false), ("knock_on_the_door", true)]),
    (4, &[("door", true), ("pry_the_door", true)]),
    (5, &[("door", false), ("door_stuck", true)]),
]);
const WATER: Form = Form::Says(&[
    (0, &[("bottom_submersion", true)]),
    (1, &[("bottom_submersion", false)]),
    (2, &[("top_splash", true)]),
    (3, &[("top_splash", false)]),
]);

static OBJECTS: &[(u16, Form)] = &[
    (0x0003, Form::Means("motion", true)),
    (0x0006, Form::Own(lock::fingerprint)),
    (0x0007, DOOR),
    (0x0008, Form::Says(&[(0, &[("armed", true)]), (1, &[("armed", false)])])),
    (0x000A, Form::Own(body::worn_temperature)),
    (0x000B, Form::Own(lock::lock)),
    (0x000F, Form::Own(home::motion_with_light)),
    (0x0010, Form::Own(home::toothbrush)),
    (0x1001, Form::Own(button::button)),
    (0x1004, Form::Number { word: "temperature", unit: "Cel", bytes: 2, signed: true, power: -1 }),
    (0x1005, Form::Own(home::kettle)),
    (0x1006, number("humidity", "%", 2, -1)),
    (0x1007, number("illuminance", "lx", 3, 0)),
    (0x1008, number("moisture", "%", 1, 0)),
    (0x1009, number("conductivity", "uS/cm", 2, 0)),
    (0x100A, BATTERY),
    (0x100D, Form::Own(home::climate)),
    (0x1010, number("formaldehyde", "mg/m3", 2, -2)),
    (0x1012, Form::Flag("power_on")),
    (0x1013, number("consumable", "%", 1, 0)),
    (0x1014, Form::Flag("moisture_detected")),
    (0x1015, Form::Flag("smoke")),
    (0x1017, Form::Own(home::still)),
    (0x1018, Form::Flag("light")),
    (0x1019, Form::Says(&[(0, OPENED), (1, CLOSED), (2, LEFT_OPEN)])),
    (0x101B, Form::Means("motion", false)),
    (0x2000, Form::Own(body::body_temperature)),
    (0x3003, Form::Own(home::brushing)),
    (0x4801, float("temperature", "Cel", 1)),
    (0x4802, HUMIDITY),
    (0x4803, BATTERY),
    (0x4804, Form::Says(&[(1, OPENED), (2, CLOSED)])),
    (0x4805, float("illuminance", "lx", 2)),
    (0x4806, Form::Flag("bottom_submersion")),
    (0x4808, float("humidity", "%", 1)),
    (0x4818, Form::Own(home::still)),
    (0x483C, Form::Flag("occupancy")),
    (0x483D, number("pressure_present_duration", "s", 4, 0)),
    (0x483E, number("pressure_not_present_duration", "s", 4, 0)),
    (0x484E, Form::Flag("occupancy")),
    (0x4851, number("duration_detected", "min", 1, 0)),
    (0x4852, number("duration_cleared", "min", 1, 0)),
    (0x4A01, Form::Flag("battery_low")),
    (0x4A08, Form::Own(home::motion_with_lux)),
    (0x4A0C, Form::Press("press")),
    (0x4A0D, Form::Press("double_press")),
    (0x4A0E, Form::Press("long_press")),
    (0x4A0F, Form::Says(&[(1, &[("opening", true), ("device_forcibly_removed", true)])])),
    (0x4A12, Form::Says(&[(1, OPENED), (2, CLOSED)])),
    (0x4A13, Form::Press("press")),
    (0x4A1A, Form::Says(&[(1, LEFT_OPEN)])),
    (0x4A68, WATER),
    (0x4C01, float("temperature", "Cel", 2)),
    (0x4C02, HUMIDITY),
    (0x4C03, BATTERY),
    (0x4C08, float("humidity", "%", 2)),
    (0x4C14, number("mode", "", 1, 0)),
    (0x4E01, Form::Flag("battery_low")),
    (0x4E0C, Form::Press("press")),
    (0x4E0D, Form::Press("double_press")),
    (0x4E0E, Form::Press("long_press")),
    (0x5003, BATTERY),
    (0x5413, Form::Flag("occupancy_close_range")),
    (0x5414, number("mode", "", 1, 0)),
    (0x5422, Form::Own(home::charging)),
    (0x560C, Form::Press("press")),
    (0x560D, Form::Press("double_press")),
    (0x560E, Form::Press("long_press")),
    (0x5810, Form::Says(&[(1, &[("asleep", false)])])),
    (0x6E16, Form::Own(body::body_composition)),
];
