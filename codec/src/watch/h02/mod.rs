//! H02 trackers and pendants: text (`*HQ,..#`) and binary (`$`), port 5013. Forms: docs/devices.md.
//!
//! Status bits are inverted: 0 is active. Every bit is looked at by itself: vibration never hides a call for help.

mod frame;

use model::{EventKind, Metric};

use super::place::{bcd_clock, clock, minutes, position, two};
use super::{now, scan, vitals};
use crate::{Codec, Decimal, Decoded, Framing, Happened, Malformed, Settings, Stamp};

pub(super) const CODEC: Codec = Codec {
    name: "h02",
    about: "H02 trackers and pendants over TCP: *HQ,..# and binary $",
    framing: Framing::Stream(scan::framer::<frame::Mixed>),
    decode,
};

/// Longest id and command, characters.
const WORD_CHARS_MAX: usize = 20;
/// Bits that are 0 when active.
const ALARMS: &[(u32, EventKind)] = &[
    (1, EventKind::Sos),
    (18, EventKind::Sos),
    (0, EventKind::Vibration),
    (2, EventKind::Overspeed),
    (19, EventKind::PowerCut),
];

fn decode(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    match bytes.trim_ascii_start() {
        [b'*', text @ ..] => sentence(text, settings),
        binary @ [b'$', ..] => packet(binary, settings),
        _ => Err(Malformed::shape("neither *HQ nor $")),
    }
}

/// `*HQ,id,COMMAND,..#`
fn sentence(text: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let text = text.trim_ascii_end();
    let text = std::str::from_utf8(text.strip_suffix(b"#").unwrap_or(text));
    let text = text.map_err(|_| Malformed::shape("not text"))?;
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [maker, id, rest @ ..] = fields.as_slice() else { return Err(Malformed::Short("the id")) };
    let id_fits = (1..=WORD_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
    if maker.len() != 2 || !id_fits {
        return Err(Malformed::shape("no maker and id"));
    }
    let mut told = Decoded::default();
    told.device.id = Some((*id).to_owned());
    let [command, rest @ ..] = rest else { return Ok(told) };
    let short: String = command.chars().take(WORD_CHARS_MAX).collect();
    told.device.other.insert("command", short.into());
    match *command {
        "HTBT" | "V0" => told.readings.extend(vitals::battery(rest.first().copied().unwrap_or_default())),
        "LINK" => link(&mut told, rest, settings),
        "V3" | "NBR" => _ = dated(&mut told, rest.first().copied(), rest, false, settings),
        _ => place(&mut told, rest, settings),
    }
    told.reply = answer(maker, id, command, settings).map(String::into_bytes);
    Ok(told)
}

/// `hhmmss,gsm,satellites,battery,steps,turns,ddmmyy,STATUS`
fn link(told: &mut Decoded, fields: &[&str], settings: &Settings) {
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let stamp = dated(told, Some(field(0)), fields, false, settings);
    note(told, "gsm_rssi", field(1));
    note(told, "satellites", field(2));
    note(told, "rolls", field(5));
    let readings = [vitals::battery(field(3)), vitals::number(Metric::Steps, field(4))];
    told.readings.extend(readings.into_iter().flatten().map(|one| one.stamped(stamp)));
}

/// A place, wherever it stands: answers to orders (V4) have words of their own before the time.
fn place(told: &mut Decoded, fields: &[&str], settings: &Settings) {
    let found = fields.windows(5).position(|window| {
        matches!(window, [fix, _, north, _, east]
            if matches!(*fix, "A" | "V" | "B") && matches!(*north, "N" | "S") && matches!(*east, "E" | "W"))
    });
    let Some(at) = found else {
        dated(told, fields.first().copied(), fields, false, settings);
        return;
    };
    let field = |nth: usize| fields.get(at + nth).copied().unwrap_or_default();
    let fix = field(0) == "A";
    // VP1 gives a date and no time of day.
    let time = at.checked_sub(1).and_then(|before| fields.get(before)).copied();
    let stamp = dated(told, time, fields.get(at + 7..).unwrap_or_default(), fix, settings);
    told.device.other.insert("gps_valid", fix.into());
    // Knots in the standard, kilometres an hour in some firmware: kept as sent.
    note(told, "speed", field(5));
    note(told, "course", field(6));
    if let (Some(lat), Some(lon)) = (minutes(field(1), field(2), 2), minutes(field(3), field(4), 3)) {
        told.device.position = position(lat, lon, fix, stamp);
    }
}

/// Date and status: a field of six digits, or an empty one, before one of eight hexadecimal digits; or the date alone.
fn dated(told: &mut Decoded, time: Option<&str>, fields: &[&str], fix: bool, settings: &Settings) -> Stamp {
    let is_date = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let status = |text: &str| (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten();
    let pair = fields.windows(2).find_map(|window| match window {
        [date, word] if date.is_empty() || is_date(date) => Some((*date, status(word)?)),
        _ => None,
    });
    // A date that cannot be read must not hide the status behind it.
    let pair = pair.or(match fields {
        [date, word, ..] => status(word).map(|word| (*date, word)),
        _ => None,
    });
    let date =
        pair.map_or_else(|| fields.iter().copied().find(|field| is_date(field)).unwrap_or_default(), |pair| pair.0);
    let time = time.filter(|time| is_date(time)).unwrap_or_default();
    let mut stamp = Stamp::Silent;
    if !date.is_empty() && !time.is_empty() {
        let part = |text, at| two(text, at).unwrap_or(-1);
        let parts = [2000 + part(date, 4), part(date, 2), part(date, 0), part(time, 0), part(time, 2), part(time, 4)];
        stamp = clock(parts, 0, fix, settings);
        told.device.clock = stamp.time();
    }
    if let Some((_, word)) = pair {
        alarms(told, word);
    }
    stamp
}

fn alarms(told: &mut Decoded, word: u32) {
    told.device.other.insert("status_hex", format!("{word:08X}").into());
    for (bit, kind) in ALARMS.iter().copied().filter(|(bit, _)| word >> bit & 1 == 0) {
        if !told.events.iter().any(|event| event.kind == kind) {
            told.events.push(Happened { kind, at: told.device.clock, code: Some(bit) });
        }
    }
}

/// `$`, id of 5 bytes (or 8), `hhmmss ddmmyy`, latitude 4, battery 1, longitude 4½, flags ½, speed 1½, course 1½, status 4.
fn packet(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let time_at = frame::time_at(bytes).ok_or(Malformed::shape("no time behind the id"))?;
    let body = bytes.get(time_at..).unwrap_or_default();
    let (body, _) = body.split_first_chunk::<23>().ok_or(Malformed::Short("the status"))?;
    let id = crate::hex(bytes.get(1..time_at).unwrap_or_default());
    let mut told = Decoded::default();
    // Of eight bytes the last half is filling.
    told.device.id = Some(id.chars().take(if time_at == 9 { 15 } else { 10 }).collect());
    told.device.other.insert("command", "binary".into());
    let [hour, minute, second, day, month, year, rest @ ..] = *body;
    let [l0, l1, l2, l3, battery, o0, o1, o2, o3, o4, _, _, _, s0, s1, s2, s3] = rest;
    let flags = o4 & 15;
    let fix = flags & 2 != 0;
    let stamp = bcd_clock(&[year, month, day, hour, minute, second], 0, fix, settings);
    told.device.clock = stamp.time();
    told.device.other.insert("gps_valid", fix.into());
    let digits = |bytes: &[u8], count: usize| crate::hex(bytes).chars().take(count).collect::<String>();
    let lat = minutes(&digits(&[l0, l1, l2, l3], 8), if flags & 4 == 0 { "S" } else { "N" }, 2);
    let lon = minutes(&digits(&[o0, o1, o2, o3, o4], 9), if flags & 8 == 0 { "W" } else { "E" }, 3);
    if let (Some(lat), Some(lon)) = (lat, lon) {
        told.device.position = position(lat, lon, fix, stamp);
    }
    told.readings.extend(level(battery).map(|reading| reading.stamped(stamp)));
    alarms(&mut told, u32::from_be_bytes([s0, s1, s2, s3]));
    Ok(told)
}

/// Battery: steps of 10 and 20 % up to 6, percent above, nothing for other values.
fn level(byte: u8) -> Option<crate::Measured> {
    let percent = match byte {
        1..=3 => (byte - 1) * 10,
        4..=6 => (byte - 1) * 20,
        7..=100 => byte,
        _ => return None,
    };
    Some(crate::Measured::new(Metric::Battery, f64::from(percent)).raw(byte, ""))
}

fn note(told: &mut Decoded, word: &'static str, text: &str) {
    if let Some(number) = Decimal::parse(text) {
        told.device.other.insert(word, number.to_f64().into());
    }
}

/// Heartbeats get themselves back; V1 and NBR wait for the time, in UTC.
fn answer(maker: &str, id: &str, command: &str, settings: &Settings) -> Option<String> {
    match command {
        "HTBT" | "V0" => Some(format!("*{maker},{id},{command}#")),
        "V1" | "NBR" => Some(format!("*{maker},{id},V4,{command},{}#", now::compact(settings)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vibration_does_not_hide_a_call_for_help() {
        let text = b"*HQ,4109179024,V1,104000,A,2235.1777,N,11357.8913,E,000.27,235,130726,FFFFFBFC,460,11#";
        let told = decode(text, &Settings::default()).unwrap();
        let kinds: Vec<_> = told.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [EventKind::Sos, EventKind::Vibration]);
        assert_eq!(told.reply, None, "without the time there is no answer");
        let settings = Settings { now: Some(model::Time::from_secs(1_784_000_000)), ..Settings::default() };
        let reply = decode(text, &settings).unwrap().reply.unwrap();
        assert_eq!(String::from_utf8(reply).unwrap(), "*HQ,4109179024,V4,V1,20260714033320#");
    }

    #[test]
    fn battery_in_steps_and_percent() {
        assert_eq!(level(0x60).unwrap().value, Some(96.0));
        assert_eq!(level(0), None);
    }
}
