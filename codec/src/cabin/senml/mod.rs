//! `senml`: Sensor Measurement Lists (RFC 8428), JSON and CBOR: what a kiosk or a small sensor can send by itself.
//!
//! Base fields are resolved; a record becomes a reading when the last part of its name is a metric's word (`heart_rate`) and
//! its unit one of the metric's. Everything else stands resolved in `device.other.records`. The rest of the name is the
//! device's id; a pack with readings of two devices is refused. Without a time a record is "now"; an age in seconds is placed
//! by the gateway.

mod cbor;
mod json;

use model::Metric;
use serde_json::{Map, Value as Json, json as made};

use super::result::{Told, doubt_pressures, put};
use crate::{Decoded, Malformed, Settings, Stamp};

/// Records of one pack.
const RECORDS_MAX: usize = 1_000;
/// The version of RFC 8428.
const VERSION_MAX: f64 = 10.0;
/// Times below are relative to now (RFC 8428, 4.5.3).
const ABSOLUTE_FROM: f64 = 268_435_456.0;

/// 2000-07-01, seconds since 1970: no clock that was ever set stands there.
const TICKS_FROM: f64 = 962_409_600.0;
/// Oldest age that is placed, seconds: 90 days.
const AGE_MAX: f64 = 90.0 * 86_400.0;

/// A field's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    BaseVersion,
    BaseName,
    BaseTime,
    BaseUnit,
    BaseValue,
    BaseSum,
    Name,
    Unit,
    Number,
    Text,
    Boolean,
    Sum,
    Time,
    Update,
    Data,
}

/// Labels with their names in JSON and numbers in CBOR (RFC 8428, table 4).
const LABELS: [(Label, &str, i64); 15] = [
    (Label::BaseVersion, "bver", -1),
    (Label::BaseName, "bn", -2),
    (Label::BaseTime, "bt", -3),
    (Label::BaseUnit, "bu", -4),
    (Label::BaseValue, "bv", -5),
    (Label::BaseSum, "bs", -6),
    (Label::Name, "n", 0),
    (Label::Unit, "u", 1),
    (Label::Number, "v", 2),
    (Label::Text, "vs", 3),
    (Label::Boolean, "vb", 4),
    (Label::Sum, "s", 5),
    (Label::Time, "t", 6),
    (Label::Update, "ut", 7),
    (Label::Data, "vd", 8),
];

#[derive(Clone, Debug)]
enum Value {
    Number(f64),
    Text(String),
    Boolean(bool),
}

/// One record as it was written.
#[derive(Debug, Default)]
struct Record(Vec<(Label, Value)>);

impl Record {
    fn get(&self, wanted: Label) -> Option<&Value> {
        self.0.iter().find(|(label, _)| *label == wanted).map(|(_, value)| value)
    }

    fn number(&self, wanted: Label) -> Result<Option<f64>, Malformed> {
        match self.get(wanted) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(*number)),
            Some(_) => Err(Malformed::shape("a number that is none")),
        }
    }

    fn text(&self, wanted: Label) -> Result<Option<&str>, Malformed> {
        match self.get(wanted) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(Malformed::shape("a text that is none")),
        }
    }

    /// Takes a field, or nothing when its label is not known. A label that ends in `_` must be understood.
    fn add(&mut self, label: Option<Label>, name: &str, value: Option<Value>) -> Result<(), Malformed> {
        match (label, value) {
            (Some(label), Some(value)) => self.0.push((label, value)),
            (Some(_), None) => return Err(Malformed::shape("a field of another type")),
            (None, _) if name.ends_with('_') => return Err(Malformed::Unsupported("a SenML extension".into())),
            (None, _) => {}
        }
        Ok(())
    }
}

/// The base fields in force.
#[derive(Debug, Default)]
struct Base {
    name: String,
    unit: String,
    time: f64,
    value: f64,
    sum: f64,
}

pub(super) fn decode(frame: &[u8], settings: &Settings) -> Result<Decoded, Malformed> {
    let records = match frame.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'[' | b'{') => json::records(frame)?,
        _ => cbor::records(frame)?,
    };
    let (mut base, mut out) = (Base::default(), Decoded::default());
    for record in &records {
        base.renew(record)?;
        one(record, &base, &mut out, settings)?;
    }
    if records.is_empty() {
        return Err(Malformed::shape("an empty pack"));
    }
    doubt_pressures(&mut out.readings);
    Ok(out)
}

impl Base {
    fn renew(&mut self, record: &Record) -> Result<(), Malformed> {
        if record.number(Label::BaseVersion)?.is_some_and(|version| version > VERSION_MAX) {
            return Err(Malformed::Unsupported("SenML of a later version".into()));
        }
        for (field, label) in [(&mut self.name, Label::BaseName), (&mut self.unit, Label::BaseUnit)] {
            if let Some(text) = record.text(label)? {
                text.clone_into(field);
            }
        }
        for (field, label) in
            [(&mut self.time, Label::BaseTime), (&mut self.value, Label::BaseValue), (&mut self.sum, Label::BaseSum)]
        {
            if let Some(number) = record.number(label)? {
                *field = number;
            }
        }
        Ok(())
    }
}

fn one(record: &Record, base: &Base, out: &mut Decoded, settings: &Settings) -> Result<(), Malformed> {
    let measured = [Label::Number, Label::Text, Label::Boolean, Label::Data, Label::Sum];
    if measured.iter().all(|label| record.get(*label).is_none()) {
        // Only base fields.
        return Ok(());
    }
    let name = format!("{}{}", base.name, record.text(Label::Name)?.unwrap_or_default());
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '/' | '_');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(legal) {
        return Err(Malformed::shape("a name that SenML does not allow"));
    }
    let unit = record.text(Label::Unit)?.unwrap_or(&base.unit);
    let time = base.time + record.number(Label::Time)?.unwrap_or_default();
    let value = record.number(Label::Number)?.map(|number| base.value + number);
    let (device, last) = name.rsplit_once(['/', ':', '.']).unwrap_or(("", &name));
    if let (Some(metric), Some(value)) = (Metric::from_slug(last), value) {
        identify(out, device.trim_end_matches(['/', ':', '.']))?;
        let written = value.to_string();
        let told = Told { metric: Some(metric), code: &name, name: "", value: &written, unit, stamp: stamp(time, out) };
        return put(out, &told, settings);
    }
    let resolved = resolved(record, base, &name, unit, time, value)?;
    let kept = out.device.other.entry("records").or_insert_with(|| Json::Array(Vec::new()));
    if let Json::Array(records) = kept {
        records.push(resolved);
    }
    Ok(())
}

fn identify(out: &mut Decoded, device: &str) -> Result<(), Malformed> {
    match &out.device.id {
        Some(known) if known != device => Err(Malformed::Unsupported("readings of two devices in one pack".into())),
        Some(_) => Ok(()),
        None => {
            out.device.id = (!device.is_empty()).then(|| device.to_owned());
            Ok(())
        }
    }
}

/// The time of a record. An age ("five minutes ago") is told against a clock that was never set and stands at [`TICKS_FROM`]
/// now: whoever knows when the pack came in takes the age from the two.
fn stamp(time: f64, out: &mut Decoded) -> Stamp {
    if time >= ABSOLUTE_FROM {
        return Stamp::unix(time);
    }
    if time == 0.0 {
        return Stamp::Silent;
    }
    if !(-AGE_MAX..0.0).contains(&time) {
        return Stamp::Impossible;
    }
    out.device.clock = Stamp::unix(TICKS_FROM).time();
    Stamp::unix(TICKS_FROM + time)
}

/// The record with nothing left to its base, as RFC 8428 resolves it, but for "now".
fn resolved(
    record: &Record,
    base: &Base,
    name: &str,
    unit: &str,
    time: f64,
    value: Option<f64>,
) -> Result<Json, Malformed> {
    let mut out = Map::from_iter([("n".to_owned(), made!(name))]);
    if !unit.is_empty() {
        out.insert("u".to_owned(), made!(unit));
    }
    if time != 0.0 {
        out.insert("t".to_owned(), made!(time));
    }
    if let Some(value) = value {
        out.insert("v".to_owned(), made!(value));
    }
    if let Some(sum) = record.number(Label::Sum)? {
        out.insert("s".to_owned(), made!(base.sum + sum));
    }
    for (key, label) in [("vs", Label::Text), ("vd", Label::Data)] {
        if let Some(text) = record.text(label)? {
            out.insert(key.to_owned(), made!(text));
        }
    }
    if let Some(Value::Boolean(state)) = record.get(Label::Boolean) {
        out.insert("vb".to_owned(), made!(state));
    }
    Ok(Json::Object(out))
}
