//! Places of GT06: `yy mm dd hh mm ss`, satellites, latitude and longitude in 1/30,000 minute, speed, course and flags.

use model::EventKind;

use super::{alarms, happened, sixths, states};
use crate::watch::place::{bcd_digits, clock, position};
use crate::{Decoded, Malformed, Settings, Stamp};

/// Kinds that begin with a place. X1 (34) has four bytes before it.
pub(super) const KINDS: &[u8] =
    &[0x10, 0x11, 0x12, 0x16, 0x1A, 0x1E, 0x22, 0x26, 0x27, 0x2D, 0x31, 0x32, 0x34, 0x37, 0x61, 0xA0, 0xA3, 0xA4];
const WITH_STATUS: &[u8] = &[0x16, 0x26, 0x27, 0x32, 0xA4];
const WITH_ARCHIVE: &[u8] = &[0x22, 0x2D, 0x37];
/// After the status: one byte more, the number of the fence.
const WITH_FENCE: &[u8] = &[0x27, 0xA4];
/// Some makers send it without a place.
const FENCE: u8 = 0xA3;
const X1: u8 = 0x34;
/// Counts of a degree: 60 minutes of 30,000.
const DEGREE: f64 = 1_800_000.0;
/// Date and time, satellites, two coordinates, speed, flags.
const PLACE_BYTES: usize = 18;
const ID_BYTES: usize = 8;
/// Network code and cell, in the usual form; in the longest.
const CELL_BYTES: usize = 8;
const LONGEST_CELL_BYTES: usize = 32;
/// Status, battery, signal, alarm, language.
const STATUS_BYTES: usize = 5;
const CELL_STATUS_BYTES: usize = CELL_BYTES + STATUS_BYTES;
const LENGTH_CELL_STATUS_BYTES: usize = 1 + CELL_STATUS_BYTES;
const DATE_BYTES: usize = 6;
/// The alarm among the long kinds.
const LONG_ALARM: u8 = 0x33;

fn date(bytes: &[u8], fix: bool, settings: &Settings) -> Option<Stamp> {
    let [year, month, day, hour, minute, second] = *bytes.first_chunk::<6>()?;
    let parts = [2000 + i16::from(year), month.into(), day.into(), hour.into(), minute.into(), second.into()];
    Some(clock(parts, 0, fix, settings))
}

/// Latitude and longitude, four bytes each.
fn coordinates(told: &mut Decoded, bytes: &[u8], flags: u16, stamp: Stamp) {
    let ([lat, lon], _) = bytes.as_chunks::<4>() else { return };
    let [lat, lon] = [lat, lon].map(|four| f64::from(u32::from_be_bytes(*four)) / DEGREE);
    let lat = if flags & 1 << 10 == 0 { -lat } else { lat };
    let lon = if flags & 1 << 11 != 0 { -lon } else { lon };
    told.device.position = position(lat, lon, flags & 1 << 12 != 0, stamp);
    told.device.other.insert("gps_valid", (flags & 1 << 12 != 0).into());
    told.device.other.insert("course", (flags & 0x3FF).into());
}

/// The place at the start of `bytes`: its time, and what follows it.
fn place<'a>(told: &mut Decoded, bytes: &'a [u8], settings: &Settings) -> Result<(Stamp, &'a [u8]), Malformed> {
    let (head, rest) = bytes.split_at_checked(PLACE_BYTES).ok_or(Malformed::Short("a location"))?;
    let [.., satellites, _, _, _, _, _, _, _, _, speed, high, low] = *head else {
        return Err(Malformed::Short("a location"));
    };
    let flags = u16::from_be_bytes([high, low]);
    let stamp = date(head, flags & 1 << 12 != 0, settings).ok_or(Malformed::Short("a date"))?;
    told.device.clock = stamp.time();
    coordinates(told, head.get(7..15).unwrap_or_default(), flags, stamp);
    told.device.other.insert("satellites", (satellites & 15).into());
    told.device.other.insert("speed_kph", speed.into());
    Ok((stamp, rest))
}

/// A place, and behind it the status and the alarm where the kind has them.
pub(super) fn plain(told: &mut Decoded, kind: u8, content: &[u8], settings: &Settings) -> Result<(), Malformed> {
    let content = if kind == X1 { content.get(4..).unwrap_or_default() } else { content };
    let content = identified(told, content, settings);
    if kind == FENCE && content.len() < PLACE_BYTES {
        return Ok(());
    }
    let (stamp, rest) = place(told, content, settings)?;
    if stamp == Stamp::Impossible {
        // Without a date in its place the layout is one that is not known here, and so are its coordinates.
        told.device.position = None;
        told.device.other.insert("undecoded_bytes", content.len().into());
    }
    // Behind the cell: ignition, cause, and 1 for what was kept through a blind spot.
    if WITH_ARCHIVE.contains(&kind) && rest.get(CELL_BYTES + 2) == Some(&1) {
        told.stored = true;
        told.device.clock = None;
    }
    if WITH_STATUS.contains(&kind) {
        status(told, rest, STATUS_BYTES + usize::from(WITH_FENCE.contains(&kind)), stamp);
    }
    Ok(())
}

/// The cell, then status, battery, signal, alarm and language, in `wanted` bytes. Makers disagree whether the length of the
/// cell counts itself, and some send no length but a battery of two bytes: what leaves `wanted` bytes is right.
fn status(told: &mut Decoded, rest: &[u8], wanted: usize, stamp: Stamp) {
    let (length, cell) = rest.split_first().map_or((0, rest), |(length, cell)| (usize::from(*length), cell));
    let counted = CELL_BYTES + length.saturating_sub(CELL_BYTES + 1);
    let behind = |bytes: usize| cell.get(bytes..).filter(|status| status.len() == wanted);
    let has_length = (CELL_BYTES..=LONGEST_CELL_BYTES).contains(&length);
    match behind(counted).or(behind(length)).filter(|_| has_length) {
        Some([state, level, _, alarm, ..]) => {
            states(told, *state);
            told.readings.extend(sixths(*level).map(|battery| battery.stamped(stamp)));
            alarms(told, *alarm);
        }
        _ => match rest.get(CELL_BYTES..) {
            Some([state, _, _, _, alarm]) if !has_length => {
                states(told, *state);
                alarms(told, *alarm);
            }
            // A layout that is not known: nothing of it is believed but a call for help.
            _ => {
                let (state, alarm) = (cell.get(counted), cell.get(counted + 3));
                let call = match (alarm, state) {
                    (Some(0x01), _) => Some(EventKind::Sos),
                    (Some(0x23), _) => Some(EventKind::Fall),
                    (_, Some(state)) if state >> 3 & 7 == 4 => Some(EventKind::Sos),
                    _ => None,
                };
                if let Some(kind) = call {
                    happened(told, kind, alarm.copied().unwrap_or_default().into());
                }
                told.device.other.insert("undecoded_bytes", rest.len().into());
            }
        },
    }
}

/// Some send their id before the place: then the first six bytes are no date, and those after the id are.
fn identified<'a>(told: &mut Decoded, content: &'a [u8], settings: &Settings) -> &'a [u8] {
    let dated = |bytes: &[u8]| date(bytes, true, settings).is_some_and(|stamp| stamp.time().is_some());
    let Some((id, rest)) = content.split_at_checked(ID_BYTES) else { return content };
    if dated(content) || !dated(rest) {
        return content;
    }
    told.device.id = bcd_digits(id).map(|digits| digits.strip_prefix('0').unwrap_or(&digits).to_owned());
    rest
}

/// An alarm alone (95): date and code, or date, place and code. An alarm that cannot be read is still one.
pub(super) fn alarm(told: &mut Decoded, content: &[u8], settings: &Settings) -> Result<(), Malformed> {
    let content = identified(told, content, settings);
    let stamp = date(content, true, settings).ok_or(Malformed::Short("a date"))?;
    told.device.clock = stamp.time();
    let code = if content.len() > 7 {
        let flags = content.get(14..16).and_then(<[u8]>::first_chunk).map_or(0, |flags| u16::from_be_bytes(*flags));
        coordinates(told, content.get(6..14).unwrap_or_default(), flags, stamp);
        content.get(16)
    } else {
        content.get(6)
    };
    let long = content.len() > 7;
    let kind = match code.copied().unwrap_or_default() {
        1 if long => EventKind::Sos,
        0x80 => EventKind::Vibration,
        0x87 => EventKind::Overspeed,
        0x93 => EventKind::Collision,
        // Acceleration, braking, turns: of cars.
        code @ 0x90..=0x92 => {
            told.device.other.insert("alarm_code", code.into());
            return Ok(());
        }
        _ => EventKind::UnspecifiedAlarm,
    };
    happened(told, kind, code.copied().unwrap_or_default().into());
    Ok(())
}

/// Long 32 and, as an alarm, 33: the date, the place with its length (0: none), the cell with its length and its signal, more
/// cells and networks with theirs, then one byte that says what happened.
pub(super) fn optional(told: &mut Decoded, kind: u8, content: &[u8], settings: &Settings) -> Result<(), Malformed> {
    let (head, rest) = content.split_at_checked(DATE_BYTES).ok_or(Malformed::Short("a date"))?;
    let (length, rest) = rest.split_first().ok_or(Malformed::Short("the length of the place"))?;
    let behind = if *length == 0 {
        told.device.clock = date(head, false, settings).and_then(Stamp::time);
        Some(rest)
    } else {
        place(told, &[head, rest].concat(), settings)?;
        rest.get(PLACE_BYTES - DATE_BYTES..)
    };
    if kind == LONG_ALARM {
        let code = behind.and_then(cause);
        match code {
            // Watching and not watching, a door.
            Some(0xA0 | 0xA1 | 0xA5) => {}
            Some(code @ (0xA2 | 0xA3)) => happened(told, EventKind::LowBattery, code.into()),
            code => happened(told, EventKind::UnspecifiedAlarm, code.unwrap_or_default().into()),
        }
    }
    Ok(())
}

/// The byte behind the cell, the further cells and the networks.
fn cause(rest: &[u8]) -> Option<u8> {
    let (length, rest) = rest.split_first()?;
    let cell = if *length == 0 { 0 } else { CELL_BYTES + usize::from(*length).saturating_sub(CELL_BYTES + 1) + 1 };
    let (cells, rest) = rest.get(cell..)?.split_first()?;
    let (networks, rest) = rest.get(usize::from(*cells)..)?.split_first()?;
    rest.get(usize::from(*networks)).copied()
}

/// Status and alarm of a device that has no place to tell, behind a cell with its length or without.
pub(super) fn indoors(told: &mut Decoded, content: &[u8]) {
    let status = match content.len() {
        CELL_STATUS_BYTES => content.get(CELL_BYTES..),
        LENGTH_CELL_STATUS_BYTES => content.get(1 + CELL_BYTES..),
        _ => None,
    };
    let Some([state, level, _, alarm, _]) = status else {
        // Another layout: lists of cells of one maker.
        told.device.other.insert("undecoded_bytes", content.len().into());
        return;
    };
    states(told, *state);
    told.readings.extend(sixths(*level));
    alarms(told, *alarm);
}
