//! IW and TRV watches (`IWAP01..#`, `TRVAP01..#`), port 5010. Forms: docs/devices.md.
//!
//! The id comes with the login (AP00) alone: the connection remembers it. An answer is the command with its first letter
//! raised by one (AP -> BP).

mod frame;

use model::{EventKind, Metric};

use super::place::{clock, minutes, position, two};
use super::{now, scan, vitals};
use crate::{Codec, Decimal, Decoded, Framing, Happened, Malformed, Settings};

pub(super) const CODEC: Codec = Codec {
    name: "iw",
    about: "IW and TRV watches over TCP: IWAP01..#, TRVAP01..#",
    framing: Framing::Stream(scan::framer::<frame::Hash>),
    decode,
};

/// Alarm words of AP10. Another word, or none, is still an alarm.
const ALARMS: &[(u32, EventKind)] = &[(1, EventKind::Sos), (5, EventKind::Fall), (6, EventKind::Fall)];
/// Commands that are not answered.
const SILENT: &[&str] = &["AP12", "AP33", "AP34", "AP40", "AP76", "AP77", "AP84", "AP85", "AP86", "AP87"];

fn decode(bytes: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let bytes = bytes.trim_ascii();
    let (maker, command, rest) = frame::parts(bytes).ok_or(Malformed::shape("no command after IW or TRV"))?;
    // Names of networks need not be UTF-8; what is read here is ASCII.
    let body = String::from_utf8_lossy(rest.strip_suffix(b"#").unwrap_or(rest));
    let mut told = Decoded::default();
    told.device.other.insert("manufacturer", maker.into());
    told.device.other.insert("command", command.into());
    let fields: Vec<&str> = body.strip_prefix(',').unwrap_or(&body).split(',').collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    match command {
        "AP00" => told.device.id = Some(login(field(0))?),
        "AP03" | "CP01" => {
            status(&mut told, field(0));
            // CP01 ends with its status word.
            told.readings.extend(vitals::number(Metric::Steps, field(1)));
            note(&mut told, "rolls", field(2));
        }
        "AP49" => told.readings.extend(vitals::worn(Metric::HeartRate, field(0))),
        "APHT" | "APHP" => {
            told.readings.extend(vitals::worn(Metric::HeartRate, field(0)));
            let (readings, failed) = vitals::pressure(field(1), field(2));
            told.readings.extend(readings);
            told.events.extend(failed);
            if command == "APHP" {
                told.readings.extend(vitals::worn(Metric::Spo2, field(3)));
                told.readings.extend(vitals::glucose(field(4), settings));
                told.readings.extend(vitals::wrist_temperature(field(5)));
            }
        }
        "AP50" => {
            told.readings.extend(vitals::wrist_temperature(field(0)));
            told.readings.extend(vitals::battery(field(1)));
        }
        "AP10" => alarm(&mut told, &body, &fields, settings),
        "AP01" | "YP03" | "YP14" => location(&mut told, &body, settings).ok_or(Malformed::Short("a location"))?,
        _ if body.is_empty() => {}
        // Cells, networks, lists of numbers. Said, so that nobody takes it for read.
        _ => _ = told.device.other.insert("undecoded_fields", fields.len().into()),
    }
    told.reply = reply(maker, command, settings).map(String::into_bytes);
    Ok(told)
}

fn login(id: &str) -> Result<String, Malformed> {
    let digits = (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    digits.then(|| id.to_owned()).ok_or(Malformed::shape("no id in the login"))
}

/// An alarm is an alarm even when the rest of its frame cannot be read.
fn alarm(told: &mut Decoded, body: &str, fields: &[&str], settings: &Settings) {
    if location(told, body, settings).is_none() {
        told.device.other.insert("unread", "location".into());
    }
    // After the location: mcc, mnc, lac, cid and the alarm.
    let code = fields.get(5).and_then(|word| word.trim().parse::<u32>().ok());
    let kind = ALARMS.iter().find(|(known, _)| Some(*known) == code).map_or(EventKind::UnspecifiedAlarm, |row| row.1);
    told.events.push(Happened { kind, at: told.device.clock, code });
}

/// `yymmdd A ddmm.mmmm N dddmm.mmmm E ddd.d hhmmss dddddd` and the status word. `None` when that is not there.
fn location(told: &mut Decoded, body: &str, settings: &Settings) -> Option<()> {
    let part = |from: usize, to: usize| body.get(from..to);
    let fix = part(6, 7)? == "A";
    let (lat, lon) = (minutes(part(7, 16)?, part(16, 17)?, 2), minutes(part(17, 27)?, part(27, 28)?, 3));
    let (speed, time, course, rest) = (part(28, 33)?, part(33, 39)?, part(39, 45)?, body.get(45..)?);
    let two = |text: &str, at: usize| two(text, at).unwrap_or(-1);
    let date = [2000 + two(body, 0), two(body, 2), two(body, 4)];
    let parts = [date[0], date[1], date[2], two(time, 0), two(time, 2), two(time, 4)];
    let stamp = clock(parts, 0, fix, settings);
    told.device.clock = stamp.time();
    told.device.position = lat.zip(lon).and_then(|(lat, lon)| position(lat, lon, fix, stamp));
    told.device.other.insert("gps_valid", fix.into());
    note(told, "speed_kph", speed);
    note(told, "course", course);
    let before = told.readings.len();
    status(told, rest);
    let read = told.readings.split_off(before);
    told.readings.extend(read.into_iter().map(|measured| measured.stamped(stamp)));
    Some(())
}

/// `gsm 3, satellites 3, battery 3`, then switches that have no meaning on a watch.
fn status(told: &mut Decoded, word: &str) {
    note(told, "gsm_rssi", word.get(..3).unwrap_or_default());
    note(told, "satellites", word.get(3..6).unwrap_or_default());
    told.readings.extend(vitals::battery(word.get(6..9).unwrap_or_default()));
}

fn note(told: &mut Decoded, word: &'static str, text: &str) {
    if let Some(number) = Decimal::parse(text.trim()) {
        told.device.other.insert(word, number.to_f64().into());
    }
}

/// The login of IW wants the time, in UTC; without one there is no answer.
fn reply(maker: &str, command: &str, settings: &Settings) -> Option<String> {
    let mut letters = command.chars();
    let raised = char::from_u32(u32::from(letters.next()?) + 1)?;
    let answer = format!("{maker}{raised}{}", letters.as_str());
    match (maker, command) {
        ("IW", "AP00") => Some(format!("{answer},{},0#", now::compact(settings)?)),
        ("TRV", "AP14") => Some(format!("{answer},0.000,0.000#")),
        ("IW", "AP14") => None,
        _ if SILENT.contains(&command) => None,
        _ => Some(format!("{answer}#")),
    }
}
