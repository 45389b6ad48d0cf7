//! BTHome v2 advertisements, UUID FCD2: an open format that many room, door, motion and button sensors speak.
//!
//! Source: bthome.io/format; object table and words read in Bluetooth-Devices/bthome-ble (MIT), vectors of its tests.
//! ```text
//! info (bit 0 encrypted, 1 address included, 2 sent on events, 5-7 version = 2) [address, reversed] object*
//! encrypted: .. cipher text, counter u32, check 4; nonce = address, D2 FC, info, counter
//! object = id u8, data of a length that the id tells; id 0 is the packet id
//! ```

use serde_json::{Value, json};

use super::{address, address_text, cipher, put, put_number};
use crate::{Decimal, Decoded, DeviceTime, Malformed, Settings, Stamp, hex};

/// Service UUID in the order it takes in the nonce.
const UUID: [u8; 2] = [0xD2, 0xFC];

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let (&info, rest) = frame.split_first().ok_or(Malformed::Short("the info byte"))?;
    if info >> 5 != 2 {
        return Err(Malformed::Unsupported("BTHome of a version that is not 2".into()));
    }
    let (told, rest) = if info & 2 == 0 {
        (None, rest)
    } else {
        let (told, rest) = rest.split_first_chunk::<6>().ok_or(Malformed::Short("the address"))?;
        (Some(*told), rest)
    };
    let address = address(told, settings)?;
    let mut out = Decoded::default();
    out.device.id = address.map(address_text);
    if info & 1 == 0 {
        if settings.key.is_some() {
            return Err(Malformed::Key("the device has a key and this frame is in clear text"));
        }
        objects(rest, &mut out)?;
        return Ok(out);
    }
    let key = settings.key.as_ref().ok_or(Malformed::Key("no key is set"))?;
    let address = address.ok_or(Malformed::Key("the address is not known"))?;
    let (rest, check) = rest.split_last_chunk::<4>().ok_or(Malformed::Short("the check value"))?;
    let (covered, counter) = rest.split_last_chunk::<4>().ok_or(Malformed::Short("the counter"))?;
    let mut nonce = [0; 13];
    nonce[..6].copy_from_slice(&address);
    nonce[6..8].copy_from_slice(&UUID);
    nonce[8] = info;
    nonce[9..].copy_from_slice(counter);
    let clear = cipher::open_bthome(key, nonce, &[covered, check].concat())?;
    objects(&clear, &mut out)?;
    // Never starts again at 256 as the packet id does.
    out.device.counter = Some(u32::from_le_bytes(*counter));
    Ok(out)
}

fn objects(mut rest: &[u8], out: &mut Decoded) -> Result<(), Malformed> {
    while let Some((&id, after)) = rest.split_first() {
        let Some((_, word, form)) = OBJECTS.iter().find(|(known, ..)| *known == id) else {
            // Its length is not known: what follows cannot be read. What came before stands.
            put(out, "not_read", hex(rest));
            return Ok(());
        };
        let (data, after) = data(*form, after)?;
        object(out, word, *form, data);
        rest = after;
    }
    Ok(())
}

fn data(form: Form, rest: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    const SHORT: Malformed = Malformed::Short("the end of an object");
    let (length, rest) = match form {
        Form::Unsigned { bytes, .. } | Form::Signed { bytes, .. } => (bytes, rest),
        Form::Packet | Form::Flag | Form::Button => (1, rest),
        Form::Dimmer => (2, rest),
        Form::Time => (4, rest),
        Form::Text | Form::Raw => rest.split_first().map(|(length, rest)| (*length, rest)).ok_or(SHORT)?,
    };
    rest.split_at_checked(length.into()).ok_or(SHORT)
}

fn object(out: &mut Decoded, word: &'static str, form: Form, data: &[u8]) {
    match form {
        Form::Packet => {
            let id = data.first().copied().unwrap_or_default();
            out.device.counter = Some(id.into());
            put(out, word, id);
        }
        Form::Unsigned { times, power, unit, .. } => {
            put_number(out, word, unit, Decimal::new(unsigned(data) * times, power));
        }
        Form::Signed { times, power, unit, .. } => {
            let shift = 64 - 8 * data.len() as u32;
            put_number(out, word, unit, Decimal::new((unsigned(data) << shift >> shift) * times, power));
        }
        Form::Flag => put(out, word, data != [0]),
        Form::Button => put(out, word, data.first().map_or(Value::Null, |code| press(*code))),
        Form::Dimmer => put(out, word, dimmer(data)),
        Form::Time => {
            let time = Stamp::unix(unsigned(data) as f64).time();
            put(out, word, time.map(DeviceTime::rfc3339));
        }
        Form::Text => put(out, word, String::from_utf8_lossy(data)),
        Form::Raw => put(out, word, hex(data)),
    }
}

fn unsigned(data: &[u8]) -> i64 {
    data.iter().rev().fold(0, |value, byte| value << 8 | i64::from(*byte))
}

/// Null: this button of several was not pressed. A code without a word stands as its number.
fn press(code: u8) -> Value {
    let words = ["press", "double_press", "triple_press", "long_press", "long_double_press", "long_triple_press"];
    match code {
        0 => Value::Null,
        0x80 => "hold_press".into(),
        _ => words.get(usize::from(code) - 1).map_or_else(|| code.into(), |word| (*word).into()),
    }
}

fn dimmer(data: &[u8]) -> Value {
    match data {
        [1, steps] => json!({ "type": "rotate_left", "steps": steps }),
        [2, steps] => json!({ "type": "rotate_right", "steps": steps }),
        _ => Value::Null,
    }
}

/// How an object is written.
#[derive(Clone, Copy)]
enum Form {
    Packet,
    /// value = whole number x `times` x 10^`power`.
    Unsigned {
        bytes: u8,
        times: i64,
        power: i8,
        unit: &'static str,
    },
    Signed {
        bytes: u8,
        times: i64,
        power: i8,
        unit: &'static str,
    },
    Flag,
    Button,
    Dimmer,
    /// Seconds since 1970 UTC. The format does not say whether it is the clock of now, so it is only told.
    Time,
    Text,
    Raw,
}

const fn u(bytes: u8, power: i8, unit: &'static str) -> Form {
    Form::Unsigned { bytes, times: 1, power, unit }
}

const fn s(bytes: u8, power: i8, unit: &'static str) -> Form {
    Form::Signed { bytes, times: 1, power, unit }
}

/// Id, word, form; units in UCUM. Where a state and a number share the upstream's word, the state's says what it means.
static OBJECTS: &[(u8, &str, Form)] = &[
    (0x00, "packet_id", Form::Packet),
    (0x01, "battery", u(1, 0, "%")),
    (0x02, "temperature", s(2, -2, "Cel")),
    (0x03, "humidity", u(2, -2, "%")),
    (0x04, "pressure", u(3, -2, "hPa")),
    (0x05, "illuminance", u(3, -2, "lx")),
    (0x06, "mass", u(2, -2, "kg")),
    (0x07, "mass", u(2, -2, "[lb_av]")),
    (0x08, "dew_point", s(2, -2, "Cel")),
    (0x09, "count", u(1, 0, "")),
    (0x0A, "energy", u(3, -3, "kW.h")),
    (0x0B, "power", u(3, -2, "W")),
    (0x0C, "voltage", u(2, -3, "V")),
    (0x0D, "pm25", u(2, 0, "ug/m3")),
    (0x0E, "pm10", u(2, 0, "ug/m3")),
    (0x0F, "generic", Form::Flag),
    (0x10, "power_on", Form::Flag),
    (0x11, "opening", Form::Flag),
    (0x12, "carbon_dioxide", u(2, 0, "[ppm]")),
    (0x13, "volatile_organic_compounds", u(2, 0, "ug/m3")),
    (0x14, "moisture", u(2, -2, "%")),
    (0x15, "battery_low", Form::Flag),
    (0x16, "battery_charging", Form::Flag),
    (0x17, "carbon_monoxide", Form::Flag),
    (0x18, "cold", Form::Flag),
    (0x19, "connectivity", Form::Flag),
    (0x1A, "door", Form::Flag),
    (0x1B, "garage_door", Form::Flag),
    (0x1C, "gas_detected", Form::Flag),
    (0x1D, "heat", Form::Flag),
    (0x1E, "light", Form::Flag),
    (0x1F, "lock", Form::Flag),
    (0x20, "moisture_detected", Form::Flag),
    (0x21, "motion", Form::Flag),
    (0x22, "moving", Form::Flag),
    (0x23, "occupancy", Form::Flag),
    (0x24, "plug", Form::Flag),
    (0x25, "presence", Form::Flag),
    (0x26, "problem", Form::Flag),
    (0x27, "running", Form::Flag),
    (0x28, "safety", Form::Flag),
    (0x29, "smoke", Form::Flag),
    (0x2A, "sound", Form::Flag),
    (0x2B, "tamper", Form::Flag),
    (0x2C, "vibration", Form::Flag),
    (0x2D, "window", Form::Flag),
    (0x2E, "humidity", u(1, 0, "%")),
    (0x2F, "moisture", u(1, 0, "%")),
    (0x3A, "button", Form::Button),
    (0x3C, "dimmer", Form::Dimmer),
    (0x3D, "count", u(2, 0, "")),
    (0x3E, "count", u(4, 0, "")),
    (0x3F, "rotation", s(2, -1, "deg")),
    (0x40, "distance", u(2, 0, "mm")),
    (0x41, "distance", u(2, -1, "m")),
    (0x42, "duration", u(3, -3, "s")),
    (0x43, "current", u(2, -3, "A")),
    (0x44, "speed", u(2, -2, "m/s")),
    (0x45, "temperature", s(2, -1, "Cel")),
    (0x46, "uv_index", u(1, -1, "")),
    (0x47, "volume", u(2, -1, "L")),
    (0x48, "volume", u(2, 0, "mL")),
    (0x49, "volume_flow_rate", u(2, -3, "m3/h")),
    (0x4A, "voltage", u(2, -1, "V")),
    (0x4B, "gas", u(3, -3, "m3")),
    (0x4C, "gas", u(4, -3, "m3")),
    (0x4D, "energy", u(4, -3, "kW.h")),
    (0x4E, "volume", u(4, -3, "L")),
    (0x4F, "water", u(4, -3, "L")),
    (0x50, "timestamp", Form::Time),
    (0x51, "acceleration", u(2, -3, "m/s2")),
    (0x52, "gyroscope", u(2, -3, "deg/s")),
    (0x53, "text", Form::Text),
    (0x54, "raw", Form::Raw),
    (0x55, "volume_storage", u(4, -3, "L")),
    (0x56, "conductivity", u(2, 0, "uS/cm")),
    (0x57, "temperature", s(1, 0, "Cel")),
    (0x58, "temperature", Form::Signed { bytes: 1, times: 35, power: -2, unit: "Cel" }),
    (0x59, "count", s(1, 0, "")),
    (0x5A, "count", s(2, 0, "")),
    (0x5B, "count", s(4, 0, "")),
    (0x5C, "power", s(4, -2, "W")),
    (0x5D, "current", s(2, -3, "A")),
    (0x5E, "direction", u(2, -2, "deg")),
    (0x5F, "precipitation", u(2, -1, "mm")),
    (0x60, "channel", u(1, 0, "")),
    (0x61, "rotational_speed", u(2, 0, "{revolutions}/min")),
    (0x62, "speed", s(4, -6, "m/s")),
    (0x63, "acceleration", s(4, -6, "m/s2")),
    (0x64, "light_level", u(1, 0, "")),
];
