//! ThingsBoard's telemetry dialect, so that existing devices connect unchanged: `{k:v}`, `{ts,values}`, arrays of both.
//!
//! Keys go through a table of slugs and common aliases, without regard to case, `_`, `-` and blanks. Values are numbers,
//! numbers as text, or null. There is no unit on this wire: a value is in the metric's own unit, and ingest's guard of
//! plausible ranges is what catches another one.

use std::borrow::Cow;
use std::fmt;

use model::entry::{EVENTS_MAX, SAMPLES_MAX};
use model::{Event, EventKind, Metric, Quality, Sample, Time};
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::wire::{Malformed, PAYLOAD_MAX};

/// What a telemetry message says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telemetry {
    pub samples: Vec<Sample>,
    pub events: Vec<Event>,
    /// Keys that are in no table: skipped.
    pub unknown_keys: u32,
    /// Values of known keys that are neither number nor null: skipped.
    pub unreadable: u32,
}

/// Normalised alias -> metric, beside every metric's own slug.
const ALIASES: &[(&str, Metric)] = &[
    ("hr", Metric::HeartRate),
    ("heartbeat", Metric::HeartRate),
    ("pulse", Metric::PulseRate),
    ("pr", Metric::PulseRate),
    ("bloodoxygen", Metric::Spo2),
    ("oxygen", Metric::Spo2),
    ("oxygensaturation", Metric::Spo2),
    ("sao2", Metric::Spo2),
    ("rr", Metric::RespiratoryRate),
    ("resp", Metric::RespiratoryRate),
    ("respiration", Metric::RespiratoryRate),
    ("breathrate", Metric::RespiratoryRate),
    ("breathingrate", Metric::RespiratoryRate),
    ("sys", Metric::Systolic),
    ("sbp", Metric::Systolic),
    ("systolicpressure", Metric::Systolic),
    ("bloodpressuresystolic", Metric::Systolic),
    ("highpressure", Metric::Systolic),
    ("dia", Metric::Diastolic),
    ("dbp", Metric::Diastolic),
    ("diastolicpressure", Metric::Diastolic),
    ("bloodpressurediastolic", Metric::Diastolic),
    ("lowpressure", Metric::Diastolic),
    ("map", Metric::MeanArterialPressure),
    ("temp", Metric::BodyTemperature),
    ("temperature", Metric::BodyTemperature),
    ("bodytemp", Metric::BodyTemperature),
    ("bloodglucose", Metric::Glucose),
    ("bloodsugar", Metric::Glucose),
    ("glu", Metric::Glucose),
    ("bodyweight", Metric::Weight),
    ("bodyheight", Metric::Height),
    ("fat", Metric::BodyFat),
    ("step", Metric::Steps),
    ("stepcount", Metric::Steps),
    ("batterylevel", Metric::Battery),
    ("bat", Metric::Battery),
    ("pi", Metric::PerfusionIndex),
];

const EVENT_ALIASES: &[(&str, EventKind)] = &[
    ("help", EventKind::Sos),
    ("emergency", EventKind::Sos),
    ("panic", EventKind::Sos),
    ("falldetected", EventKind::Fall),
    ("falldown", EventKind::Fall),
    ("removed", EventKind::DeviceRemoved),
];

/// Decodes one telemetry payload. A time missing in it is `received`.
pub fn decode(payload: &[u8], received: Time) -> Result<Telemetry, Malformed> {
    if payload.is_empty() {
        return Err(Malformed::Empty);
    }
    if payload.len() > PAYLOAD_MAX {
        return Err(Malformed::TooLong(payload.len()));
    }
    let blocks = match serde_json::from_slice(payload) {
        Ok(Blocks::One(fields)) => vec![fields],
        Ok(Blocks::Many(blocks)) => blocks.into_iter().map(|block| block.0).collect(),
        Err(error) if error.is_eof() => return Err(Malformed::Truncated),
        Err(error) => {
            return Err(Malformed::Shape { what: "telemetry is an object or an array of objects", at: error.column() });
        }
    };
    let mut out = Telemetry::default();
    for block in blocks {
        take_block(block, received, &mut out)?;
    }
    Ok(out)
}

/// `{ts, values:{..}}`, or plain `{k:v}`.
fn take_block(block: Fields<'_>, received: Time, out: &mut Telemetry) -> Result<(), Malformed> {
    let ts = block.iter().find(|(key, _)| key == "ts").map(|(_, value)| value);
    let at = match ts {
        None | Some(Value::Null) => received,
        Some(value) => {
            let ms = value.number().ok_or(Malformed::Time)?;
            let at = Time(if ms.abs() < 1e14 { (ms * 1_000.0).round() as i64 } else { i64::MAX });
            if !(Time::MIN..=Time::MAX).contains(&at) {
                return Err(Malformed::Time);
            }
            at
        }
    };
    for (key, value) in block {
        match value {
            Value::Object(values) if key == "values" => {
                for (key, value) in values {
                    take(&key, &value, at, out)?;
                }
            }
            _ if key == "ts" => {}
            value => take(&key, &value, at, out)?,
        }
    }
    Ok(())
}

fn take(key: &str, value: &Value<'_>, at: Time, out: &mut Telemetry) -> Result<(), Malformed> {
    let key: String = key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    if let Some(metric) = metric(&key) {
        let sample = if let Value::Null = value {
            Sample::absent(metric, at, Quality::Absent)
        } else if let Some(number) = value.number() {
            Sample::new(metric, at, number, Quality::Ok)
        } else {
            out.unreadable += 1;
            return Ok(());
        };
        if out.samples.len() == SAMPLES_MAX {
            return Err(Malformed::Samples);
        }
        out.samples.push(sample);
    } else if let Some(kind) = event(&key) {
        match value.truth() {
            Some(false) => {}
            Some(true) if out.events.len() == EVENTS_MAX => return Err(Malformed::Events),
            Some(true) => out.events.push(Event { kind, at }),
            None => out.unreadable += 1,
        }
    } else {
        out.unknown_keys += 1;
    }
    Ok(())
}

fn metric(key: &str) -> Option<Metric> {
    let own = |metric: &Metric| metric.slug().bytes().filter(|&byte| byte != b'_').eq(key.bytes());
    let alias = || ALIASES.iter().find(|(alias, _)| *alias == key).map(|(_, metric)| *metric);
    Metric::ALL.iter().copied().find(own).or_else(alias)
}

fn event(key: &str) -> Option<EventKind> {
    let own = |kind: &EventKind| kind.slug().bytes().filter(|&byte| byte != b'_').eq(key.bytes());
    let alias = || EVENT_ALIASES.iter().find(|(alias, _)| *alias == key).map(|(_, kind)| *kind);
    EventKind::ALL.iter().copied().find(own).or_else(alias)
}

type Fields<'a> = Vec<(Cow<'a, str>, Value<'a>)>;

/// A value as far as this dialect knows values.
enum Value<'a> {
    Null,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    Object(Fields<'a>),
    Other,
}

impl Value<'_> {
    /// Number, or text that is one. `1e999` and the like become a special value in [`Sample::new`].
    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Did the event happen? Devices say `true`, `1`, `"1"` or `"true"`.
    fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Null => Some(false),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Self::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            other => other.number().map(|number| number != 0.0),
        }
    }
}

/// Top level of a payload.
enum Blocks<'a> {
    One(Fields<'a>),
    Many(Vec<Block<'a>>),
}

struct Block<'a>(Fields<'a>);

impl<'de> Deserialize<'de> for Blocks<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Blocks<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array of objects")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Blocks<'de>, A::Error> {
                fields(map).map(Blocks::One)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Blocks<'de>, A::Error> {
                let mut blocks = Vec::new();
                while let Some(block) = seq.next_element()? {
                    blocks.push(block);
                }
                Ok(Blocks::Many(blocks))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Block<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Block<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Block<'de>, A::Error> {
                fields(map).map(Block)
            }
        }
        deserializer.deserialize_map(Object)
    }
}

fn fields<'de, A: MapAccess<'de>>(mut map: A) -> Result<Fields<'de>, A::Error> {
    let mut fields = Vec::new();
    while let Some(Key(key)) = map.next_key()? {
        fields.push((key, map.next_value()?));
    }
    Ok(fields)
}

/// A key, borrowed from the payload unless it holds an escape.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E: Error>(self) -> Result<Value<'de>, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E: Error>(self, truth: bool) -> Result<Value<'de>, E> {
                Ok(Value::Bool(truth))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'de>, E> {
                Ok(Value::Number(number as f64))
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'de>, E> {
                Ok(Value::Number(number as f64))
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'de>, E> {
                Ok(Value::Number(number))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Value<'de>, E> {
                Ok(Value::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
                fields(map).map(Value::Object)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests;
