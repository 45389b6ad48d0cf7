//! Places of JT/T 808: alarm bits, status bits, coordinates, time, and what makers add behind them.

use model::{EventKind, Metric};

use super::{OFFSET_MIN, frame::word, percent};
use crate::watch::place::{bcd_clock, position};
use crate::{Decoded, Happened, Malformed, Measured, Settings};

/// Alarm bits that concern a person who carries the device. All are looked at.
const ALARMS: &[(u32, EventKind)] = &[
    (0, EventKind::Sos),
    (1, EventKind::Overspeed),
    (7, EventKind::LowBattery),
    (18, EventKind::LowBattery),
    (8, EventKind::PowerCut),
    (15, EventKind::Vibration),
    (16, EventKind::DeviceRemoved),
    (17, EventKind::DeviceRemoved),
    (29, EventKind::Collision),
    (30, EventKind::Collision),
];
/// In or out of an area: which of both, the addition 12 says.
const FENCE: u32 = 20;
const DEGREE: f64 = 1e6;
/// Alarm, status, latitude, longitude, altitude, speed, course, time.
const PLACE_BYTES: usize = 28;

/// One place. Its events and readings are added to what is there already.
pub(in crate::watch) fn report(told: &mut Decoded, bytes: &[u8], settings: &Settings) -> Result<(), Malformed> {
    let short = Malformed::Short("a location");
    let (head, additions) = bytes.split_first_chunk::<PLACE_BYTES>().ok_or(short)?;
    let long = |at: usize| head.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |four| u32::from_be_bytes(*four));
    let [alarm, status] = [long(0), long(4)];
    let [lat, lon] = [8, 12].map(|at| f64::from(long(at)) / DEGREE);
    let fix = status & 1 << 1 != 0;
    let lat = if status & 1 << 2 != 0 { -lat } else { lat };
    let lon = if status & 1 << 3 != 0 { -lon } else { lon };
    let [.., high, low, speed_high, speed_low, course_high, course_low, _, _, _, _, _, _] = *head;
    let stamp = bcd_clock(head.get(22..).unwrap_or_default(), OFFSET_MIN, fix, settings);
    told.device.clock = stamp.time();
    told.device.position = position(lat, lon, fix, stamp);
    let other = &mut told.device.other;
    other.insert("gps_valid", fix.into());
    other.insert("altitude", i16::from_be_bytes([high, low]).into());
    other.insert("speed_kph", (f64::from(u16::from_be_bytes([speed_high, speed_low])) / 10.0).into());
    other.insert("course", u16::from_be_bytes([course_high, course_low]).into());
    let mut seen = Seen { readings: Vec::new(), events: Vec::new(), entered: None };
    add(told, &mut seen, additions);
    let fence = (alarm & 1 << FENCE != 0).then_some(if seen.entered == Some(true) {
        (FENCE, EventKind::FenceEntered)
    } else {
        (FENCE, EventKind::FenceLeft)
    });
    let bits = ALARMS.iter().copied().filter(|(bit, _)| alarm >> bit & 1 == 1).chain(fence);
    for (code, kind) in bits.chain(seen.events) {
        let event = Happened { kind, at: stamp.time(), code: Some(code) };
        if !told.events.iter().any(|known| known.kind == kind && known.at == event.at) {
            told.events.push(event);
        }
    }
    told.readings.extend(seen.readings.into_iter().map(|reading| reading.stamped(stamp)));
    Ok(())
}

/// What stands in the additions of one place.
struct Seen {
    readings: Vec<Measured>,
    events: Vec<(u32, EventKind)>,
    /// Into the area (true) or out of it.
    entered: Option<bool>,
}

/// `number, length, value`. One that is longer than what is left ends the list: makers put other things behind it.
fn add(told: &mut Decoded, seen: &mut Seen, additions: &[u8]) {
    let mut rest = additions;
    while let [number, length, tail @ ..] = rest {
        let Some((value, next)) = tail.split_at_checked(usize::from(*length)) else { return };
        addition(told, seen, *number, value);
        rest = next;
    }
}

fn addition(told: &mut Decoded, seen: &mut Seen, number: u8, value: &[u8]) {
    let other = &mut told.device.other;
    match (number, value) {
        (0x01, [a, b, c, d]) => {
            other.insert("odometer_m", (u64::from(u32::from_be_bytes([*a, *b, *c, *d])) * 100).into());
        }
        (0x12, [.., direction]) => seen.entered = Some(*direction == 0),
        (0x30, [signal]) => _ = other.insert("gsm_rssi", (*signal).into()),
        (0x31, [count]) => _ = other.insert("satellites", (*count).into()),
        // Tenths of the battery.
        (0x56, [tenths @ 0..=10, _]) => seen.battery(percent(tenths * 10)),
        (0xD4 | 0xE1 | 0xE9 | 0xFE, [battery @ 0..=100]) | (0xE3, [_, battery, _, _]) | (0xE4, [_, battery]) => {
            seen.battery(percent(*battery));
        }
        // Alarms of pendants, in a word of their own: bits 1-3 are buttons, bit 0 is vibration.
        (0xE7, [high, low, _, _, _, _, _, _]) => {
            let word = u16::from_be_bytes([*high, *low]);
            if word & 0b1110 != 0 {
                seen.events.push((word.into(), EventKind::Sos));
            }
            if word & 1 != 0 {
                seen.events.push((word.into(), EventKind::Vibration));
            }
        }
        (0xEB, value) => nested(seen, value),
        _ => {}
    }
}

/// `length u16, kind u16, value`; the length counts the kind. Alarm bits here are inverted: 0 is active.
fn nested(seen: &mut Seen, value: &[u8]) {
    let mut rest = value;
    while let Some((length, tail)) = word(rest) {
        let Some((item, next)) = tail.split_at_checked(usize::from(length)) else { return };
        match word(item) {
            Some((0x0089, [.., b, c, d])) => {
                let bits = u32::from_be_bytes([0, *b, *c, *d]);
                if bits & 1 << 12 == 0 {
                    seen.events.push((12, EventKind::DeviceRemoved));
                }
                if bits & 1 == 0 {
                    seen.events.push((0, EventKind::PowerCut));
                }
            }
            Some((0x00C5, [.., low])) if low & 1 << 6 == 0 => seen.events.push((6, EventKind::Vibration)),
            Some((0x00C6, [3 | 4, ..])) => seen.events.push((0xC6, EventKind::LowBattery)),
            Some((0x00A8 | 0x00E1, [battery, ..])) => seen.battery(percent(*battery)),
            _ => {}
        }
        rest = next;
    }
}

impl Seen {
    /// One battery a place.
    fn battery(&mut self, battery: Measured) {
        if !self.readings.iter().any(|known| known.metric == Metric::Battery) {
            self.readings.push(battery);
        }
    }
}
