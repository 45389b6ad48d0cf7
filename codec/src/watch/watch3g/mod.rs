//! 3G / SeTracker watches (`[3G*ID*LEN*CMD,..]`, makers 3G, SG, CS, ZJ), port 5093. Forms: docs/devices.md.
//!
//! Every status bit is looked at by itself: a low battery never hides a call for help. An alarm is answered with `AL`, or the
//! watch repeats it every half minute.

mod frame;

use model::{EventKind, Metric};
use serde_json::Value;

use super::place::{clock, degrees, position, two};
use super::{scan, vitals};
use crate::{Codec, Decoded, Framing, Happened, Malformed, Measured, Settings, Stamp};

use frame::Head;

pub(super) const CODEC: Codec = Codec {
    name: "watch3g",
    about: "3G / SeTracker watches over TCP: [3G*ID*LEN*CMD,..]",
    framing: Framing::Stream(scan::framer::<frame::Brackets>),
    decode,
};

/// Longest command, characters. `ALCUSTOMER1` has 11.
const COMMAND_CHARS_MAX: usize = 24;

/// Meaning of the status bits. Bit 3 is worn or not worn in some firmware, bit 4 is moving: neither is an alarm.
const ALARMS: &[(u32, EventKind)] = &[
    (16, EventKind::Sos),
    (21, EventKind::Fall),
    (22, EventKind::Fall),
    (0, EventKind::LowBattery),
    (17, EventKind::LowBattery),
    (1, EventKind::FenceLeft),
    (18, EventKind::FenceLeft),
    (2, EventKind::FenceEntered),
    (19, EventKind::FenceEntered),
    (14, EventKind::PowerCut),
    (20, EventKind::DeviceRemoved),
];
const MOVING: u32 = 1 << 4;

fn decode(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let bytes = bytes.trim_ascii();
    let head = frame::head(bytes).ok_or(Malformed::shape("no header [MM*ID*LEN*"))?;
    let body = bytes.strip_suffix(b"]").ok_or(Malformed::Short("the closing bracket"))?;
    let content = frame::unescaped(body.get(head.content..).unwrap_or_default());
    let mut fields = content.split(|byte| *byte == b',').map(|field| std::str::from_utf8(field).unwrap_or_default());
    let command = fields.next().unwrap_or_default();
    let named = !command.is_empty() && command.len() <= COMMAND_CHARS_MAX;
    if !named || !command.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Malformed::shape("no command"));
    }
    let fields: Vec<&str> = fields.collect();
    let mut told = Decoded::default();
    introduce(&mut told, head, command, content.len());
    understand(&mut told, command, &fields, settings);
    told.reply = answer(command).map(|text| reply(head, text));
    Ok(told)
}

fn introduce(told: &mut Decoded, head: Head<'_>, command: &str, length: usize) {
    told.device.id = Some(head.id.to_owned());
    let other = &mut told.device.other;
    other.insert("manufacturer", head.maker.into());
    other.insert("command", command.into());
    other.insert("content_len", length.into());
    if let Some(index) = head.index {
        other.insert("index", index.into());
    }
    if let Some(declared) = head.declared {
        other.insert("declared_len", declared.into());
    }
}

fn understand(told: &mut Decoded, command: &str, fields: &[&str], settings: &Settings) {
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let name = command.to_ascii_uppercase();
    match name.as_str() {
        "LK" => {
            told.readings.extend(vitals::number(Metric::Steps, field(0)));
            told.readings.extend(vitals::battery(field(2)));
            note(told, "rolls", field(1));
        }
        "HEART" | "PULSE" => told.readings.extend(vitals::worn(Metric::HeartRate, field(0))),
        "BLOOD" | "BPHRT" => {
            let (readings, failed) = vitals::pressure(field(0), field(1));
            told.readings.extend(readings);
            told.events.extend(failed);
            told.readings.extend(vitals::worn(Metric::HeartRate, field(2)));
        }
        "OXYGEN" => told.readings.extend(vitals::worn(Metric::Spo2, field(1))),
        "TEMP" => told.readings.extend(vitals::wrist_temperature(field(0))),
        // The first field is the watch's own verdict: 0 means that it does not trust the value.
        "BTEMP2" if field(0).trim() != "0" => told.readings.extend(vitals::wrist_temperature(field(1))),
        "BTEMP2" => {
            let untrusted = Measured::absent(Metric::SkinTemperature, model::Quality::MeasurementFailed);
            told.readings.push(untrusted.raw(short(field(1)), "Cel"));
        }
        _ if name.starts_with("AL") => {
            place(told, fields, settings);
            let status = status(fields);
            let known = status.is_some_and(|status| alarms(status).next().is_some());
            if !known {
                told.events.push(Happened { code: status, ..Happened::new(EventKind::UnspecifiedAlarm) });
            }
            let at = told.device.clock;
            told.events.iter_mut().for_each(|event| event.at = at);
        }
        _ if name.starts_with("UD") || name == "WT" => {
            told.stored = name.starts_with("UD2");
            place(told, fields, settings);
            if told.stored {
                told.device.clock = None;
            }
        }
        _ if fields.is_empty() => {}
        // Voices, settings, lists of numbers. Said, so that nobody takes it for read.
        _ => _ = told.device.other.insert("undecoded_fields", fields.len().into()),
    }
}

/// `ddmmyy,hhmmss,A|V,lat,N|S,lon,E|W,speed,course,altitude,satellites,gsm,battery,steps,rolls,STATUS,..`
fn place(told: &mut Decoded, fields: &[&str], settings: &Settings) {
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    if fields.iter().all(|field| field.trim().is_empty()) {
        return;
    }
    let fix = field(2).trim() == "A";
    let stamp = stamp(field(0), field(1), fix, settings);
    told.device.clock = stamp.time();
    if let (Some(lat), Some(lon)) = (degrees(field(3), field(4)), degrees(field(5), field(6))) {
        told.device.position = position(lat, lon, fix, stamp);
    }
    told.device.other.insert("gps_valid", fix.into());
    for (at, word) in
        [(7, "speed_kph"), (8, "course"), (9, "altitude"), (10, "satellites"), (11, "gsm_rssi"), (14, "rolls")]
    {
        note(told, word, field(at));
    }
    told.readings.extend(vitals::battery(field(12)).map(|battery| battery.stamped(stamp)));
    told.readings.extend(vitals::number(Metric::Steps, field(13)).map(|steps| steps.stamped(stamp)));
    let Some(status) = status(fields) else { return };
    told.device.other.insert("status_hex", short(field(15)).into());
    told.device.other.insert("moving", (status & MOVING != 0).into());
    for (bit, kind) in alarms(status) {
        if !told.events.iter().any(|event| event.kind == kind) {
            told.events.push(Happened { kind, at: stamp.time(), code: Some(bit) });
        }
    }
}

/// `ddmmyy` and `hhmmss`. A watch without a clock leaves both empty; what else it says holds.
fn stamp(date: &str, time: &str, fix: bool, settings: &Settings) -> Stamp {
    if date.trim().is_empty() && time.trim().is_empty() {
        return Stamp::Silent;
    }
    let part = |text, at| two(text, at).unwrap_or(-1);
    let parts = [2000 + part(date, 4), part(date, 2), part(date, 0), part(time, 0), part(time, 2), part(time, 4)];
    clock(parts, 0, fix, settings)
}

fn status(fields: &[&str]) -> Option<u32> {
    fields.get(15).and_then(|text| u32::from_str_radix(text.trim(), 16).ok())
}

fn alarms(status: u32) -> impl Iterator<Item = (u32, EventKind)> {
    ALARMS.iter().copied().filter(move |(bit, _)| status >> bit & 1 == 1)
}

/// A number that has no metric, under its own word.
fn note(told: &mut Decoded, word: &'static str, text: &str) {
    if let Some(number) = crate::Decimal::parse(text.trim()).map(crate::Decimal::to_f64) {
        told.device.other.insert(word, Value::from(number));
    }
}

/// A word of the device, bounded.
fn short(text: &str) -> String {
    text.trim().chars().take(COMMAND_CHARS_MAX).collect()
}

/// What the watch waits for, in whatever case it asks.
fn answer(command: &str) -> Option<&'static str> {
    let command = command.to_ascii_uppercase();
    match command.as_str() {
        "LK" => Some("LK"),
        "INIT" => Some("INIT,1"),
        "TKQ" => Some("TKQ"),
        "TKQ2" => Some("TKQ2"),
        _ if command.starts_with("AL") => Some("AL"),
        _ => None,
    }
}

fn reply(head: Head<'_>, text: &str) -> Vec<u8> {
    let index = head.index.map(|index| format!("{index}*")).unwrap_or_default();
    format!("[{}*{}*{index}{:04X}*{text}]", head.maker, head.id, text.len()).into_bytes()
}
