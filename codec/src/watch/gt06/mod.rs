//! GT06 pendants and trackers (binary, `7878`/`7979`), port 5023. Forms: docs/devices.md.
//!
//! The id comes with the login alone: the connection remembers it. Alarms stand in the status byte and in an alarm byte; both
//! are looked at.

mod frame;
mod location;

use model::{EventKind, Metric};

use super::place::{bcd_clock, bcd_digits};
use super::{now, scan};
use crate::{Codec, Decoded, Framing, Happened, Malformed, Measured, Settings};

use frame::Parts;

pub(super) const CODEC: Codec = Codec {
    name: "gt06",
    about: "GT06 pendants and trackers over TCP (binary, 7878 and 7979)",
    framing: Framing::Stream(scan::framer::<frame::Counted>),
    decode,
};

const LOGIN: u8 = 0x01;
const STATUS: u8 = 0x13;
const HEARTBEAT: u8 = 0x23;
const TIME_REQUEST: u8 = 0x8A;
/// Kinds that the device repeats until they are answered: with their own kind and serial.
const ANSWERED: &[u8] =
    &[LOGIN, STATUS, HEARTBEAT, 0x16, CELL_STATUS, 0x26, 0x27, 0x32, 0x33, 0x95, 0xA3, 0xA4, CELL_ALARM];
/// Status and alarm of a device that has a cell and no place: it is indoors.
const CELL_STATUS: u8 = 0x19;
const CELL_ALARM: u8 = 0xA5;

/// Alarm byte: what it means for a person who wears the device. Codes of driving (acceleration, doors) are no alarms here.
const ALARMS: &[(u8, EventKind)] = &[
    (0x01, EventKind::Sos),
    (0x02, EventKind::PowerCut),
    (0x03, EventKind::Vibration),
    (0x04, EventKind::FenceEntered),
    (0x05, EventKind::FenceLeft),
    (0x06, EventKind::Overspeed),
    (0x09, EventKind::Vibration),
    (0x0C, EventKind::DeviceRemoved),
    (0x0E, EventKind::LowBattery),
    (0x0F, EventKind::LowBattery),
    (0x11, EventKind::PowerCut),
    (0x13, EventKind::DeviceRemoved),
    (0x23, EventKind::Fall),
    (0x2C, EventKind::Collision),
];
/// Doors, ignition, acceleration, braking, turns; FE and FF are ignition on and off.
const NO_ALARMS: &[u8] = &[0x00, 0x14, 0x29, 0x2A, 0x2B, 0x30, 0xFE, 0xFF];
/// Bits 3-5 of the status byte. 6 is a fence in some models and stands in every heartbeat of others: the alarm byte tells fences.
const STATES: &[(u8, EventKind)] = &[
    (1, EventKind::Vibration),
    (2, EventKind::PowerCut),
    (3, EventKind::LowBattery),
    (4, EventKind::Sos),
    (7, EventKind::DeviceRemoved),
];

fn decode(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let parts = frame::parts(bytes).ok_or(Malformed::shape("no 7878 or 7979"))?;
    let mut told = Decoded::default();
    let other = &mut told.device.other;
    other.insert("command", crate::hex(&[parts.kind]).into());
    let networks = !parts.long && !parts.sound && frame::WIFI.contains(&parts.kind);
    if networks {
        return list(told, bytes, settings);
    }
    other.insert("serial", parts.serial.into());
    if !parts.sound {
        other.insert("checksum", "wrong".into());
    }
    understand(&mut told, parts, settings)?;
    told.reply = match parts.kind {
        TIME_REQUEST => now::utc(settings).map(|now| {
            let two = |part: i8| part.unsigned_abs();
            let year = u8::try_from(now.year() - 2000).unwrap_or_default();
            let clock = [year, two(now.month()), two(now.day()), two(now.hour()), two(now.minute()), two(now.second())];
            answer(parts, &clock)
        }),
        kind if ANSWERED.contains(&kind) => Some(answer(parts, &[])),
        _ => None,
    };
    Ok(told)
}

fn understand(told: &mut Decoded, parts: Parts<'_>, settings: &Settings) -> Result<(), Malformed> {
    match (parts.long, parts.kind, parts.content) {
        (false, LOGIN, content) => login(told, content)?,
        (false, STATUS, [state, _, _, alarm, _, battery, ..]) if parts.content.len() >= 14 => {
            states(told, *state);
            alarms(told, *alarm);
            told.readings.push(percent(*battery));
        }
        (false, STATUS, [state, level, gsm, rest @ ..]) => {
            states(told, *state);
            // Above 4 bars and 6 steps the layout is another one.
            if *level <= 6 && *gsm <= 4 {
                told.readings.extend(sixths(*level));
                told.device.other.insert("gsm_rssi", (*gsm).into());
                // A heartbeat is no alarm: a code that is not known says nothing here.
                if let Some(code) = rest.first().filter(|code| ALARMS.iter().any(|(known, _)| known == *code)) {
                    alarms(told, *code);
                }
            }
        }
        (false, HEARTBEAT, [state, ..]) => states(told, *state),
        (_, 0x95, content) => location::alarm(told, content, settings)?,
        (true, 0x32 | 0x33, content) => location::optional(told, parts.kind, content, settings)?,
        (_, kind, content) if location::KINDS.contains(&kind) => location::plain(told, kind, content, settings)?,
        (_, CELL_STATUS, content) => location::indoors(told, content),
        (_, CELL_ALARM, content) => {
            // How the alarm is written is not known; that it is one is.
            happened(told, EventKind::UnspecifiedAlarm, CELL_ALARM.into());
            told.device.other.insert("undecoded_bytes", content.len().into());
        }
        (_, _, []) | (_, TIME_REQUEST, _) => {}
        // Said, so that nobody takes it for read.
        (_, _, content) => _ = told.device.other.insert("undecoded_bytes", content.len().into()),
    }
    Ok(())
}

/// Eight bytes of id with a leading zero, and from some makers the device's offset from UTC.
fn login(told: &mut Decoded, content: &[u8]) -> Result<(), Malformed> {
    let id = content.get(..8).ok_or(Malformed::Short("the id"))?;
    let digits = bcd_digits(id).ok_or(Malformed::shape("the id has other than digits"))?;
    told.device.id = Some(digits.strip_prefix('0').unwrap_or(&digits).to_owned());
    if let [high, low] = content.get(10..12).unwrap_or_default() {
        let zone = u16::from_be_bytes([*high, *low]);
        let hhmm = i32::from(zone >> 4);
        let minutes = hhmm / 100 * 60 + hhmm % 100;
        let west = zone & 8 != 0;
        told.device.other.insert("login_offset_min", if west { -minutes } else { minutes }.into());
    }
    Ok(())
}

/// A list of networks. Its time is binary-coded, and the device waits for that time as the answer.
fn list(mut told: Decoded, bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let time = bytes.get(4..10).ok_or(Malformed::Short("the time"))?;
    told.device.clock = bcd_clock(time, 0, true, settings).time();
    let head = bytes.get(..2).unwrap_or_default();
    let kind = bytes.get(3..4).unwrap_or_default();
    told.reply = Some([head, &[0], kind, time, frame::END].concat());
    Ok(told)
}

fn answer(parts: Parts<'_>, content: &[u8]) -> Vec<u8> {
    let length = (content.len() + 5) as u8;
    let mut counted = if parts.long { vec![0, length] } else { vec![length] };
    counted.push(parts.kind);
    counted.extend_from_slice(content);
    counted.extend(parts.serial.to_be_bytes());
    let crc = frame::checksum(&counted).to_be_bytes();
    let head: &[u8] = if parts.long { &[0x79, 0x79] } else { &[0x78, 0x78] };
    [head, &counted, &crc, frame::END].concat()
}

/// The alarm of the status byte.
fn states(told: &mut Decoded, state: u8) {
    let code = state >> 3 & 7;
    if let Some((_, kind)) = STATES.iter().find(|(known, _)| *known == code) {
        happened(told, *kind, u32::from(state));
    }
    told.device.other.insert("charging", (state & 4 != 0).into());
}

/// The alarm byte. A code that is not known is still an alarm.
fn alarms(told: &mut Decoded, code: u8) {
    if NO_ALARMS.contains(&code) {
        return;
    }
    let kind = ALARMS.iter().find(|(known, _)| *known == code).map_or(EventKind::UnspecifiedAlarm, |row| row.1);
    happened(told, kind, u32::from(code));
}

fn happened(told: &mut Decoded, kind: EventKind, code: u32) {
    if !told.events.iter().any(|event| event.kind == kind) {
        told.events.push(Happened { kind, at: told.device.clock, code: Some(code) });
    }
}

fn percent(value: u8) -> Measured {
    if value > 100 {
        Measured::absent(Metric::Battery, model::Quality::Absent).raw(value, "%")
    } else {
        Measured::new(Metric::Battery, f64::from(value)).raw(value, "%")
    }
}

/// Battery as 0 to 6; from some makers as percent.
fn sixths(level: u8) -> Option<Measured> {
    match level {
        0..=6 => Some(Measured::new(Metric::Battery, f64::from(u16::from(level) * 100 / 6)).raw(level, "/6")),
        7..=100 => Some(percent(level)),
        _ => None,
    }
}
