//! Places of GT06: `yy mm dd hh mm ss`, satellites, latitude and longitude in 1/30,000 minute, speed, course and flags.

use model::EventKind;

use super::{alarms, happened, sixths, states};
use crate::watch::place::{bcd_digits, clock, position};
use crate::{Decoded, Malformed, Settings, Stamp};

/// Kinds that begin with a place. X1 (34) has four bytes before it.
pub(super) const KINDS: &[u8] =
    &[0x10, 0x11, 0x12, 0x16, 0x1A, 0x1E, 0x22, 0x26, 0x27, 0x2D, 0x31, 0x32, 0x34, 0x37, 0x61, 0xA0, 0xA3, 0xA4];
const WITH_STATUS: &[u8] = &[0x16, 0x26, 0x27, 0x32, 0xA4];
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
/// Network code and cell, in the usual form.
const CELL_BYTES: usize = 8;

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
    if !WITH_STATUS.contains(&kind) {
        return Ok(());
    }
    // The cell, with a length before it from most makers, then: status, battery, signal, alarm, language.
    let (rest, voltage) = match rest {
        [length @ 8..=0x20, tail @ ..] => {
            let cell = CELL_BYTES + usize::from(length.saturating_sub(9));
            let tail = tail.get(cell..).unwrap_or_default();
            (tail, tail.len() == 6 && !WITH_FENCE.contains(&kind))
        }
        tail => (tail.get(CELL_BYTES..).unwrap_or_default(), true),
    };
    let Some(state) = rest.first() else { return Ok(()) };
    states(told, *state);
    // A battery in hundredths of a volt takes two bytes instead of one.
    let (level, alarm) = if voltage { (None, rest.get(4)) } else { (rest.get(1), rest.get(3)) };
    told.readings.extend(level.copied().and_then(sixths).map(|battery| battery.stamped(stamp)));
    if let Some(code) = alarm {
        alarms(told, *code);
    }
    Ok(())
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

/// A place that may be missing (long 32 and 33): the date, then its length.
pub(super) fn optional(told: &mut Decoded, content: &[u8], settings: &Settings) -> Result<(), Malformed> {
    let (head, rest) = content.split_at_checked(6).ok_or(Malformed::Short("a date"))?;
    let (length, rest) = rest.split_first().ok_or(Malformed::Short("the length of the place"))?;
    if *length == 0 {
        told.device.clock = date(head, false, settings).and_then(Stamp::time);
        return Ok(());
    }
    place(told, &[head, rest].concat(), settings).map(|_| ())
}
