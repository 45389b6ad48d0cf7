//! `astm`: laboratory analysers over serial lines and TCP (CLSI LIS1-A and LIS2-A2, earlier ASTM E1381 and E1394).
//!
//! Records: H header with the delimiters, P patient, O order and specimen, R result, C comment, L end. A result becomes a
//! reading when its test is known ([`analyte`]), its value a number and its unit one of the metric's; everything else stands
//! in `device.other.results`. Names of people are not taken over.

mod framer;
mod records;

use records::Record;
use serde_json::Value;

use super::framing::STX;
use super::result::{Told, doubt_pressures, keep, put};
use super::{analyte, clock, text};
use crate::{Decoded, Framed, Framer, Malformed, Settings, Stamp};

pub(super) fn framer() -> Box<dyn Framer> {
    Box::new(framer::LineFramer::default())
}

/// The records of one frame as JSON arrays, as they were written: for people and for tests. Personal data may be in them.
pub fn astm_records(frame: &[u8], settings: &Settings) -> Result<Value, Malformed> {
    Ok(records::to_json(&text::decode(&unframed(frame)?, settings.text)))
}

/// Takes what the framer gives, or the bytes of a line with exactly one person's message.
pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let text = text::decode(&unframed(frame)?, settings.text);
    let records = records::parse(&text);
    if records.len() >= records::RECORDS_MAX {
        return Err(Malformed::Limit { what: "records", found: records.len(), max: records::RECORDS_MAX - 1 });
    }
    let mut out = Decoded::default();
    let mut order = Order::default();
    let (mut named, mut unknown) = (false, 0);
    for record in &records {
        match record.kind() {
            "H" => {
                out.device.id = filled(record.field(5)).map(str::to_owned);
                out.device.clock = clock::compact(record.field(14), settings.offset_min).time();
            }
            "P" => named |= person(record, &mut out)?,
            "O" => order = Order::of(record, named, &mut out)?,
            "R" => result(record, &order, &mut out, settings)?,
            "C" | "L" | "Q" | "S" | "M" => {}
            _ => unknown += 1,
        }
    }
    if unknown == records.len() {
        return Err(Malformed::shape("no record of LIS2-A2"));
    }
    if unknown > 0 {
        out.device.other.insert("records_not_read", unknown.into());
    }
    doubt_pressures(&mut out.readings);
    Ok(out)
}

/// Text of records from what the framer gives or from the bytes of a line.
fn unframed(frame: &[u8]) -> Result<Vec<u8>, Malformed> {
    if !frame.contains(&STX) {
        return Ok(frame.to_vec());
    }
    let mut found = Vec::new();
    let mut line = framer::LineFramer::default();
    line.push(frame, &mut found);
    // EOT, in case it was not there.
    line.push(&[0x04], &mut found);
    let mut messages = found.iter().filter_map(|part| match part {
        Framed::Frame(message) => Some(message),
        _ => None,
    });
    match (messages.next(), messages.next()) {
        (Some(message), None) => Ok(message.clone()),
        (Some(_), Some(_)) => Err(Malformed::Unsupported("several people in one frame".into())),
        (None, _) => {
            let cause = found.iter().find_map(|part| match part {
                Framed::Skipped { cause, .. } => Some(*cause),
                _ => None,
            });
            Err(Malformed::shape(cause.unwrap_or("no frame")))
        }
    }
}

fn filled(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// The patient's id: practice's, laboratory's or third. True when there is one.
fn person(record: &Record<'_>, out: &mut Decoded) -> Result<bool, Malformed> {
    let id = (3..=5).find_map(|field| filled(&record.components(field)[0]).map(str::to_owned));
    let named = id.is_some();
    name(out, id)?;
    Ok(named)
}

/// A frame has one person. The framer sees to it; a frame from elsewhere is refused.
fn name(out: &mut Decoded, id: Option<String>) -> Result<(), Malformed> {
    match (&out.device.person, id) {
        (Some(known), Some(id)) if *known != id => Err(Malformed::Unsupported("several people in one frame".into())),
        (None, Some(id)) => {
            out.device.person = Some(id);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What an order says about the results that follow it.
#[derive(Default)]
struct Order {
    collected: String,
    urine: bool,
}

impl Order {
    fn of(record: &Record<'_>, named: bool, out: &mut Decoded) -> Result<Self, Malformed> {
        let specimen = filled(&record.components(3)[0]).map(str::to_owned);
        if let Some(specimen) = &specimen {
            out.device.other.insert("specimen", specimen.as_str().into());
        }
        if !named {
            name(out, specimen)?;
        }
        Ok(Self { collected: record.field(8).to_owned(), urine: analyte::is_urine(&record.components(16)[0]) })
    }
}

/// Field 3 is the test: `^^^code^name`, or a name alone. 4 value, 5 unit, 9 status, 12 and 13 start and end of the test.
fn result(record: &Record<'_>, order: &Order, out: &mut Decoded, settings: &Settings) -> Result<(), Malformed> {
    let test = record.components(3);
    let words: Vec<&str> = test.iter().filter_map(|part| filled(part)).collect();
    let metric = words.iter().find_map(|word| {
        if analyte::looks_like_loinc(word) {
            analyte::loinc(word)
        } else {
            analyte::name(word).filter(|_| !order.urine)
        }
    });
    let offset = settings.offset_min;
    let stamp = [record.field(13), record.field(12), &order.collected]
        .into_iter()
        .map(|text| clock::compact(text.split('^').next().unwrap_or_default(), offset))
        .find(|stamp| *stamp != Stamp::Silent)
        .unwrap_or(Stamp::Silent);
    let (value, unit) = (record.components(4), record.field(5));
    let told = Told {
        metric,
        code: words.first().copied().unwrap_or_default(),
        name: words.get(1).copied().unwrap_or_default(),
        value: &value.join("^"),
        unit,
        stamp,
    };
    match record.field(9) {
        // Cannot be done, or withdrawn: the line says so, but it is no value.
        "X" | "W" | "D" | "I" | "S" => keep(out, &told),
        _ => put(out, &told, settings),
    }
}
