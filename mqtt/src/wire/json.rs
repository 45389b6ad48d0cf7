//! JSON form of a frame: one pass over the text into the reused frame, no tree in between.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use model::entry::Flags;
use model::{EventKind, Origin, Quality};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::extra::{Block, ENCODING};
use super::{ClockPair, Draft, Key, Malformed, Row, VERSION, check_sum, time_of_millis};

pub(super) fn decode(payload: &[u8], draft: &mut Draft<'_>) -> Result<(), Malformed> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let mut top = Top { draft, fault: None, checksum: None };
    let read = json.deserialize_map(&mut top).and_then(|()| json.end());
    if let Some(fault) = top.fault {
        return Err(fault);
    }
    if let Err(error) = read {
        return Err(if error.is_eof() {
            Malformed::Truncated
        } else {
            let what = if error.is_data() { "a field has another type or range" } else { "this is not JSON" };
            Malformed::Shape { what, at: place(payload, &error) }
        });
    }
    let Some(found) = top.checksum else { return Ok(()) };
    // `x` is the last field and its value a number, so the last `"x"` of the text is its key.
    let key_at = payload.windows(3).rposition(|window| window == b"\"x\"").unwrap_or(0);
    check_sum(payload, key_at, found)
}

/// Byte offset of an error that has a line and a column.
fn place(payload: &[u8], error: &serde_json::Error) -> usize {
    let lines = payload.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1));
    lines.map(<[u8]>::len).sum::<usize>() + error.column().saturating_sub(1)
}

/// The frame being read, and our own reason when we stop the reader.
struct Top<'a, 'f> {
    draft: &'a mut Draft<'f>,
    fault: Option<Malformed>,
    checksum: Option<u32>,
}

impl Top<'_, '_> {
    fn keep<T, E: Error>(&mut self, result: Result<T, Malformed>) -> Result<T, E> {
        result.map_err(|fault| {
            self.fault = Some(fault);
            E::custom("malformed")
        })
    }
}

impl<'de> Visitor<'de> for &mut Top<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            let entered = self.draft.enter(key);
            self.keep(entered)?;
            match key {
                Key::Version => match map.next_value()? {
                    VERSION => {}
                    other => return self.keep(Err(Malformed::Version(other))),
                },
                Key::Epoch => self.draft.frame.epoch = map.next_value()?,
                Key::Seq => self.draft.frame.seq = map.next_value()?,
                Key::GatewayTime => {
                    let time = time_of_millis(map.next_value()?);
                    self.draft.frame.gateway_time = self.keep(time)?;
                }
                Key::Flags => self.draft.frame.flags = Flags(map.next_value()?),
                Key::Binding => self.draft.frame.binding = map.next_value()?,
                Key::Clock => {
                    if let Some(clock) = map.next_value::<Option<Clock>>()? {
                        let gateway = self.keep(time_of_millis(clock.g))?;
                        self.draft.frame.clock =
                            Some(ClockPair { device: clock.d, gateway, sync: clock.q, uncertainty_ms: clock.u });
                    }
                }
                Key::Samples => map.next_value_seed(Rows(self))?,
                Key::Events => map.next_value_seed(Events(self))?,
                Key::Waveform => match map.next_value()? {
                    Value::Null => {}
                    Value::Array(blocks) => blocks.into_iter().for_each(|block| self.draft.block(one_block(block))),
                    block => self.draft.block(one_block(block)),
                },
                Key::Person => {
                    let taken = self.draft.person(map.next_value()?);
                    self.keep(taken)?;
                }
                Key::Origins => {
                    for row in map.next_value::<Vec<OriginRow>>()? {
                        let taken = self.draft.origin(row.into());
                        self.keep(taken)?;
                    }
                }
                Key::Notes => {
                    for note in map.next_value::<Vec<String>>()? {
                        let taken = self.draft.note(note);
                        self.keep(taken)?;
                    }
                }
                Key::Checksum => self.checksum = Some(map.next_value()?),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Key;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
                Ok(Key::parse(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// `ck`. A missing part is 0, as in CBOR.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Clock {
    d: i64,
    g: i64,
    q: u32,
    u: u32,
}

/// One row of `o`: `[i, raw, unit, device_ms, uncertainty_ms]`.
#[derive(Deserialize)]
struct OriginRow(
    u16,
    #[serde(default)] Option<String>,
    #[serde(default)] Option<String>,
    #[serde(default)] Option<i64>,
    #[serde(default)] Option<u32>,
);

impl From<OriginRow> for Origin {
    fn from(OriginRow(index, raw, unit, device_ms, uncertainty_ms): OriginRow) -> Self {
        Self { index, raw: raw.map(|raw| (raw, unit.unwrap_or_default())), device_ms, uncertainty_ms }
    }
}

/// One block of `w`.
fn one_block(value: Value) -> Result<Block, &'static str> {
    JsonBlock::deserialize(value).map(Block::from).map_err(|_| "a field has another type or range")
}

#[derive(Deserialize)]
#[serde(default)]
struct JsonBlock {
    mdc: u32,
    lead: u32,
    t0: Option<i64>,
    hz: (u32, u32),
    scale: Option<f64>,
    offset: f64,
    enc: Option<String>,
    data: Option<String>,
}

impl Default for JsonBlock {
    fn default() -> Self {
        Self { mdc: 0, lead: 0, t0: None, hz: (0, 0), scale: None, offset: 0.0, enc: None, data: None }
    }
}

impl From<JsonBlock> for Block {
    fn from(json: JsonBlock) -> Self {
        Self {
            mdc: json.mdc,
            lead: json.lead,
            t0: json.t0,
            hz: json.hz,
            scale: json.scale,
            offset: json.offset,
            enc: json.enc.map(|enc| enc == ENCODING),
            // Not base64: the block is refused for want of data.
            data: json.data.and_then(|text| BASE64_STANDARD.decode(text).ok()),
        }
    }
}

/// The array `m`.
struct Rows<'t, 'a, 'f>(&'t mut Top<'a, 'f>);

impl<'de> DeserializeSeed<'de> for Rows<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of samples")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element_seed(OneRow(self.0))? {
            let pushed = self.0.draft.push(&row);
            self.0.keep(pushed)?;
        }
        Ok(())
    }
}

struct OneRow<'t, 'a, 'f>(&'t mut Top<'a, 'f>);

impl<'de> DeserializeSeed<'de> for OneRow<'_, '_, '_> {
    type Value = Row;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OneRow<'_, '_, '_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[mdc, dt_ms, value, unit, quality, n]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Row, A::Error> {
        let mdc = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let dt_ms = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let mut row = Row { mdc, dt_ms, ..Row::default() };
        let Some(value) = seq.next_element::<Number>()? else { return Ok(row) };
        row.value = value.0;
        let Some(unit) = seq.next_element::<Option<u32>>()? else { return Ok(row) };
        row.unit = unit.unwrap_or(0);
        let Some(quality) = seq.next_element::<Code>()? else { return Ok(row) };
        row.quality = match quality {
            Code::None => None,
            Code::Quality(quality) => Some(quality),
            Code::Unknown(text) => return self.0.keep(Err(Malformed::Quality(text))),
        };
        let Some(n) = seq.next_element::<Option<u64>>()? else { return Ok(row) };
        row.n = n.unwrap_or(0);
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(row)
    }
}

/// A number, the digits of one as text, or null.
struct Number(Option<f64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Number;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or null")
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Some(value as f64)))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(Some(value)))
            }
            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(|value| Number(Some(value))).map_err(|_| E::custom("not a number"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A quality as slug, id or null.
enum Code {
    None,
    Quality(Quality),
    Unknown(Box<str>),
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Code;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quality")
            }
            fn visit_u64<E: Error>(self, id: u64) -> Result<Code, E> {
                let known = u8::try_from(id).ok().and_then(Quality::from_id);
                Ok(known.map_or_else(|| Code::Unknown(id.to_string().into()), Code::Quality))
            }
            fn visit_str<E: Error>(self, slug: &str) -> Result<Code, E> {
                Ok(Quality::parse(slug).map_or_else(|| Code::Unknown(slug.into()), Code::Quality))
            }
            fn visit_unit<E: Error>(self) -> Result<Code, E> {
                Ok(Code::None)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The array `ev`.
struct Events<'t, 'a, 'f>(&'t mut Top<'a, 'f>);

impl<'de> DeserializeSeed<'de> for Events<'_, '_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Events<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(OneEvent { kind, dt_ms, n }) = seq.next_element()? {
            let pushed = self.0.draft.push_event(kind, dt_ms, n);
            self.0.keep(pushed)?;
        }
        Ok(())
    }
}

struct OneEvent {
    kind: Option<EventKind>,
    dt_ms: i64,
    n: u64,
}

impl<'de> Deserialize<'de> for OneEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = OneEvent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[event, dt_ms, n]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneEvent, A::Error> {
                let Kind(kind) = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
                let dt_ms = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
                let n = seq.next_element::<Option<u64>>()?.flatten().unwrap_or(0);
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(OneEvent { kind, dt_ms, n })
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

/// An event as slug or id; `None` when we do not know it.
struct Kind(Option<EventKind>);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Kind;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_u64<E: Error>(self, id: u64) -> Result<Kind, E> {
                Ok(Kind(u8::try_from(id).ok().and_then(EventKind::from_id)))
            }
            fn visit_str<E: Error>(self, slug: &str) -> Result<Kind, E> {
                Ok(Kind(EventKind::parse(slug)))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
