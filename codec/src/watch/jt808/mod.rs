//! JT/T 808 terminals of 2011/2013 and 2019 over TCP, port 5015. Forms: docs/devices.md.
//!
//! The devices of elders that speak it are pendants and locators; what is about cars is left in the raw frame.

mod frame;
mod location;

use model::Metric;

use super::place::{bcd_clock, bcd_digits};
use super::{now, scan};
use crate::{Codec, Decoded, Framing, Malformed, Measured, Settings};

use frame::Parts;
pub(super) use location::report;

pub(super) const CODEC: Codec = Codec {
    name: "jt808",
    about: "JT/T 808 terminals over TCP, 2013 and 2019 (binary, 7E)",
    framing: Framing::Stream(scan::framer::<frame::Delimited>),
    decode,
};

/// China's time is the protocol's.
const OFFSET_MIN: i16 = 480;
const REGISTER: u16 = 0x0100;
const HEARTBEAT: u16 = 0x0002;
const LOCATION: u16 = 0x0200;
const LOCATION_ASKED: u16 = 0x0201;
const BATCH: u16 = 0x0704;
const BATCH_SHORT: u16 = 0x0210;
const TIME_REQUEST: u16 = 0x0004;
const TEXT: u16 = 0x6006;
/// Answered with 8001: logout, heartbeat, authentication, attributes, place, batches, transparent data, text.
const ANSWERED: &[u16] = &[0x0003, HEARTBEAT, 0x0102, 0x0107, LOCATION, BATCH, BATCH_SHORT, 0x0900, TEXT];
/// Bodies without anything for us: authentication holds a secret.
const QUIET: &[u16] = &[0x0003, 0x0102, TIME_REQUEST];
/// Their bodies are not as long as their headers say: the serial has one byte, or a maker counts otherwise.
const MISCOUNTED: &[u16] = &[0x5501, 0x5502, 0x0900];
/// Longest text kept.
const TEXT_CHARS_MAX: usize = 128;

fn decode(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let bytes = bytes.trim_ascii();
    if let Some(text) = bytes.strip_prefix(b"(") {
        return in_parentheses(text);
    }
    let parts = frame::parts(bytes).ok_or(Malformed::shape("no header between delimiters"))?;
    if parts.body.len() < parts.declared() && !MISCOUNTED.contains(&parts.kind) {
        return Err(Malformed::Short("the body that the header declares"));
    }
    if !parts.sound && parts.body.len() != parts.declared() {
        return Err(Malformed::shape("length and checksum are wrong"));
    }
    if parts.part.is_some_and(|(_, total)| total > 1) {
        return Err(Malformed::Unsupported("a message in several packets".into()));
    }
    let mut told = Decoded::default();
    told.device.id = Some(id(&parts.id));
    let other = &mut told.device.other;
    other.insert("command", format!("{:04x}", parts.kind).into());
    other.insert("serial", parts.serial.into());
    if !parts.sound {
        other.insert("checksum", "wrong".into());
    }
    understand(&mut told, &parts, settings)?;
    told.reply = answer(&parts, told.device.id.as_deref().unwrap_or_default(), settings);
    Ok(told)
}

/// Digits as sent, with leading zeros; an id that is no digits is the number of an IMEI without its check digit.
fn id(bytes: &[u8]) -> String {
    bcd_digits(bytes).unwrap_or_else(|| {
        let number = bytes.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        format!("{number}{}", luhn(number))
    })
}

fn luhn(number: u128) -> u128 {
    let digits = std::iter::successors(Some(number), |rest| (*rest >= 10).then_some(rest / 10)).map(|rest| rest % 10);
    let sum: u128 =
        digits.enumerate().map(|(at, digit)| if at % 2 == 0 { digit * 2 / 10 + digit * 2 % 10 } else { digit }).sum();
    (10 - sum % 10) % 10
}

fn understand(told: &mut Decoded, parts: &Parts, settings: &Settings) -> Result<(), Malformed> {
    let body = parts.body.as_slice();
    match parts.kind {
        REGISTER => {
            // Province and city, 4 bytes; maker and model, of lengths that differ by version.
            let [maker, model] = if parts.is_2019() { [11, 30] } else { [5, 20] };
            let model = body.get(4 + maker..4 + maker + model).unwrap_or_default();
            told.device.other.insert("model", text(model).into());
        }
        HEARTBEAT => {
            if let [battery, ..] = body {
                told.readings.push(percent(*battery));
            }
        }
        LOCATION => report(told, body, settings)?,
        LOCATION_ASKED => report(told, body.get(2..).unwrap_or_default(), settings)?,
        BATCH_SHORT if body.len() == 7 => {
            let stamp = bcd_clock(body.get(1..).unwrap_or_default(), OFFSET_MIN, false, settings);
            told.device.clock = stamp.time();
            told.readings.extend(body.first().map(|battery| percent(*battery).stamped(stamp)));
        }
        TEXT => {
            // An octet that names the encoding, which is GBK whatever it says.
            let text = encoding_rs::GB18030.decode_without_bom_handling(body.get(1..).unwrap_or_default()).0;
            let shown = text.trim().chars().filter(|sign| !sign.is_control()).take(TEXT_CHARS_MAX);
            told.device.other.insert("text", shown.collect::<String>().into());
        }
        BATCH => {
            let stored = body.get(2).ok_or(Malformed::Short("the kind of the batch"))?;
            told.stored = *stored == 1;
            batch(told, body.get(3..).unwrap_or_default(), 2, settings)?;
        }
        BATCH_SHORT => batch(told, body, 1, settings)?,
        _ if body.is_empty() || QUIET.contains(&parts.kind) => {}
        // Said, so that nobody takes it for read.
        _ => _ = told.device.other.insert("undecoded_bytes", body.len().into()),
    }
    Ok(())
}

/// Places one after the other, each with its length in one or two bytes. The newest is the device's place.
fn batch(told: &mut Decoded, items: &[u8], length_bytes: usize, settings: &Settings) -> Result<(), Malformed> {
    let (mut rest, mut count, mut newest) = (items, 0_u32, None);
    while !rest.is_empty() {
        let (length, tail) = rest.split_at_checked(length_bytes).ok_or(Malformed::Short("a length in the batch"))?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (item, tail) = tail.split_at_checked(length).ok_or(Malformed::Short("a place in the batch"))?;
        report(told, item, settings)?;
        let at = told.device.position.and_then(|place| place.at).map(|at| at.wall);
        if newest.is_none_or(|(wall, _)| at >= wall) {
            newest = Some((at, told.device.position));
        }
        (rest, count) = (tail, count + 1);
    }
    told.device.position = newest.and_then(|(_, place)| place);
    told.device.clock = None;
    told.device.other.insert("places", count.into());
    Ok(())
}

fn percent(value: u8) -> Measured {
    if value > 100 {
        Measured::absent(Metric::Battery, model::Quality::Absent).raw(value, "%")
    } else {
        Measured::new(Metric::Battery, f64::from(value)).raw(value, "%")
    }
}

/// Printable text of a field that is padded.
fn text(bytes: &[u8]) -> String {
    let printable = bytes.iter().filter(|byte| byte.is_ascii_graphic() || **byte == b' ').take(TEXT_CHARS_MAX);
    printable.map(|byte| char::from(*byte)).collect::<String>().trim().to_owned()
}

/// `(id,1,001,BASE,2,TIME)`: orders of locks. Nothing in them is for us.
fn in_parentheses(text: &[u8]) -> Result<Decoded, Malformed> {
    let text = text.strip_suffix(b")").and_then(|text| std::str::from_utf8(text).ok());
    let mut fields = text.ok_or(Malformed::shape("no text in parentheses"))?.split(',');
    let id =
        fields.next().filter(|id| !id.is_empty() && id.len() <= 20 && id.bytes().all(|byte| byte.is_ascii_digit()));
    let mut told = Decoded::default();
    told.device.id = Some(id.ok_or(Malformed::shape("no id"))?.to_owned());
    told.device.other.insert("command", "text".into());
    Ok(told)
}

/// What the terminal waits for: 8100 with a code for the register, 8004 for the time, 8001 for the rest.
fn answer(parts: &Parts, id: &str, settings: &Settings) -> Option<Vec<u8>> {
    let serial = parts.serial.to_be_bytes();
    match parts.kind {
        // The code is the id: whoever may speak is decided by the gateway's list of devices, not by this code.
        REGISTER => Some(frame::compose(parts, 0x8100, &[serial.as_slice(), &[0], id.as_bytes()].concat())),
        TIME_REQUEST => {
            let now = now::compact(settings)?;
            let digits: Vec<u8> = now.bytes().map(|byte| byte - b'0').collect();
            let clock: Vec<u8> = digits.as_chunks::<2>().0.iter().skip(1).map(|[high, low]| high << 4 | low).collect();
            Some(frame::compose(parts, 0x8004, &clock))
        }
        kind if ANSWERED.contains(&kind) => {
            Some(frame::compose(parts, 0x8001, &[serial.as_slice(), &kind.to_be_bytes(), &[0]].concat()))
        }
        _ => None,
    }
}
