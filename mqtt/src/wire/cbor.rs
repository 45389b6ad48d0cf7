//! CBOR form of a frame (RFC 8949): definite or indefinite lengths, text keys as in JSON.

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};
use model::entry::Flags;
use model::{EventKind, Origin, Quality};

use super::extra::{Block, ENCODING};
use super::{ClockPair, Draft, Key, Malformed, Row, VERSION, check_sum, time_of_millis};

/// RFC 8949 tag of a decimal fraction `[exponent, mantissa]`.
const TAG_DECIMAL: u64 = 4;
/// Largest power of ten whose product or quotient with a 53-bit integer is correctly rounded.
const POWER_EXACT: i64 = 22;
const MANTISSA_EXACT: u64 = 1 << 53;

pub(super) fn decode(payload: &[u8], draft: &mut Draft<'_>) -> Result<(), Malformed> {
    let mut d = Decoder::new(payload);
    let mut left = Length::new(d.map().shape(&d, "a map is expected")?);
    while left.another(&mut d)? {
        let key_at = d.position();
        let key = Key::parse(d.str().shape(&d, "a text key is expected")?);
        draft.enter(key)?;
        field(&mut d, key, key_at, draft)?;
    }
    let rest = d.position();
    if rest == payload.len() { Ok(()) } else { Err(Malformed::Shape { what: "bytes are left over", at: rest }) }
}

fn field(d: &mut Decoder<'_>, key: Key, key_at: usize, draft: &mut Draft<'_>) -> Result<(), Malformed> {
    match key {
        Key::Version => match d.u64().shape(d, "a version is expected")? {
            VERSION => {}
            other => return Err(Malformed::Version(other)),
        },
        Key::Epoch => draft.frame.epoch = d.u32().shape(d, "an epoch is expected")?,
        Key::Seq => draft.frame.seq = d.u64().shape(d, "a sequence number is expected")?,
        Key::GatewayTime => {
            draft.frame.gateway_time = time_of_millis(d.i64().shape(d, "milliseconds are expected")?)?;
        }
        Key::Flags => draft.frame.flags = Flags(d.u8().shape(d, "flags are expected")?),
        Key::Binding => {
            draft.frame.binding = if null(d)? { None } else { Some(d.u64().shape(d, "a binding number is expected")?) };
        }
        Key::Clock => draft.frame.clock = clock(d)?,
        Key::Samples => {
            let mut left = Length::new(d.array().shape(d, "samples are expected")?);
            while left.another(d)? {
                let row = row(d)?;
                draft.push(&row)?;
            }
        }
        Key::Events => {
            let mut left = Length::new(d.array().shape(d, "events are expected")?);
            while left.another(d)? {
                let (kind, dt_ms, n) = event(d)?;
                draft.push_event(kind, dt_ms, n)?;
            }
        }
        Key::Waveform => {
            let (start, whole) = (d.position(), d.input());
            d.skip().shape(d, "a waveform is expected")?;
            waveforms(whole.get(start..d.position()).unwrap_or_default(), draft);
        }
        Key::Person => {
            let key = text(d)?;
            draft.person(key)?;
        }
        Key::Origins => {
            let mut left = Length::new(d.array().shape(d, "origins are expected")?);
            while left.another(d)? {
                let origin = origin(d)?;
                draft.origin(origin)?;
            }
        }
        Key::Notes => {
            let mut left = Length::new(d.array().shape(d, "notes are expected")?);
            while left.another(d)? {
                let note = d.str().shape(d, "a note is a text")?.to_owned();
                draft.note(note)?;
            }
        }
        Key::Checksum => {
            let found = d.u32().shape(d, "a checksum is expected")?;
            check_sum(d.input(), key_at, found)?;
        }
        Key::Other => d.skip().shape(d, "a value is expected")?,
    }
    Ok(())
}

fn row(d: &mut Decoder<'_>) -> Result<Row, Malformed> {
    let mut left = Length::new(d.array().shape(d, "a sample is an array")?);
    let mut row = Row::default();
    let mut at = 0_u32;
    while left.another(d)? {
        match at {
            0 => row.mdc = d.u32().shape(d, "an MDC code is expected")?,
            1 => row.dt_ms = d.i64().shape(d, "milliseconds are expected")?,
            2 => row.value = number(d)?,
            3 if !null(d)? => row.unit = d.u32().shape(d, "a unit code is expected")?,
            4 if !null(d)? => row.quality = Some(quality(d)?),
            5 if !null(d)? => row.n = d.u64().shape(d, "n is expected")?,
            3..=5 => {}
            _ => d.skip().shape(d, "a value is expected")?,
        }
        at = at.saturating_add(1);
    }
    if at < 2 {
        return Err(Malformed::Shape { what: "a sample needs a code and a time", at: d.position() });
    }
    Ok(row)
}

fn quality(d: &mut Decoder<'_>) -> Result<Quality, Malformed> {
    if d.datatype().shape(d, "a quality is expected")? == Type::String {
        let slug = d.str().shape(d, "a quality is expected")?;
        return Quality::parse(slug).ok_or_else(|| Malformed::Quality(slug.into()));
    }
    let id = d.u8().shape(d, "a quality is expected")?;
    Quality::from_id(id).ok_or_else(|| Malformed::Quality(id.to_string().into()))
}

fn event(d: &mut Decoder<'_>) -> Result<(Option<EventKind>, i64, u64), Malformed> {
    let mut left = Length::new(d.array().shape(d, "an event is an array")?);
    let (mut kind, mut dt_ms, mut n) = (None, 0, 0);
    let mut at = 0_u32;
    while left.another(d)? {
        match at {
            0 if d.datatype().shape(d, "an event is expected")? == Type::String => {
                kind = EventKind::parse(d.str().shape(d, "an event is expected")?);
            }
            0 => kind = u8::try_from(d.u64().shape(d, "an event is expected")?).ok().and_then(EventKind::from_id),
            1 => dt_ms = d.i64().shape(d, "milliseconds are expected")?,
            2 if !null(d)? => n = d.u64().shape(d, "n is expected")?,
            2 => {}
            _ => d.skip().shape(d, "a value is expected")?,
        }
        at = at.saturating_add(1);
    }
    if at < 2 {
        return Err(Malformed::Shape { what: "an event needs a kind and a time", at: d.position() });
    }
    Ok((kind, dt_ms, n))
}

fn clock(d: &mut Decoder<'_>) -> Result<Option<ClockPair>, Malformed> {
    if null(d)? {
        return Ok(None);
    }
    let mut left = Length::new(d.map().shape(d, "a clock pair is a map")?);
    let mut pair = ClockPair::default();
    while left.another(d)? {
        match d.str().shape(d, "a text key is expected")? {
            "d" => pair.device = d.i64().shape(d, "a clock reading is expected")?,
            "g" => pair.gateway = time_of_millis(d.i64().shape(d, "milliseconds are expected")?)?,
            "q" => pair.sync = d.u32().shape(d, "a sync code is expected")?,
            "u" => pair.uncertainty_ms = d.u32().shape(d, "milliseconds are expected")?,
            _ => d.skip().shape(d, "a value is expected")?,
        }
    }
    Ok(Some(pair))
}

fn text(d: &mut Decoder<'_>) -> Result<Option<String>, Malformed> {
    if null(d)? { Ok(None) } else { Ok(Some(d.str().shape(d, "a text is expected")?.to_owned())) }
}

fn origin(d: &mut Decoder<'_>) -> Result<Origin, Malformed> {
    let mut left = Length::new(d.array().shape(d, "an origin is an array")?);
    let (mut origin, mut raw, mut unit) = (Origin::default(), None, None);
    let mut at = 0_u32;
    while left.another(d)? {
        match at {
            0 => origin.index = d.u16().shape(d, "a place is expected")?,
            1 => raw = text(d)?,
            2 => unit = text(d)?,
            3 if !null(d)? => origin.device_ms = Some(d.i64().shape(d, "milliseconds are expected")?),
            4 if !null(d)? => origin.uncertainty_ms = Some(d.u32().shape(d, "milliseconds are expected")?),
            3 | 4 => {}
            _ => d.skip().shape(d, "a value is expected")?,
        }
        at = at.saturating_add(1);
    }
    if at == 0 {
        return Err(Malformed::Shape { what: "an origin needs a place", at: d.position() });
    }
    origin.raw = raw.map(|raw| (raw, unit.unwrap_or_default()));
    Ok(origin)
}

/// `w` alone: one block or several. What cannot be read here stays here.
fn waveforms(bytes: &[u8], draft: &mut Draft<'_>) {
    let d = &mut Decoder::new(bytes);
    let mut read = || -> Result<(), Malformed> {
        match d.datatype().shape(d, "a waveform is expected")? {
            Type::Array | Type::ArrayIndef => {
                let mut left = Length::new(d.array().shape(d, "waveforms are expected")?);
                while left.another(d)? {
                    draft.block(Ok(block(d)?));
                }
            }
            _ if null(d)? => {}
            _ => draft.block(Ok(block(d)?)),
        }
        Ok(())
    };
    if read().is_err() {
        draft.block(Err("a field has another type or range"));
    }
}

fn block(d: &mut Decoder<'_>) -> Result<Block, Malformed> {
    let mut left = Length::new(d.map().shape(d, "a waveform is a map")?);
    let mut block = Block::default();
    while left.another(d)? {
        match d.str().shape(d, "a text key is expected")? {
            "mdc" => block.mdc = d.u32().shape(d, "an MDC code is expected")?,
            "lead" => block.lead = d.u32().shape(d, "an MDC code is expected")?,
            "t0" => block.t0 = Some(d.i64().shape(d, "milliseconds are expected")?),
            "hz" => {
                let mut parts = Length::new(d.array().shape(d, "a rate is expected")?);
                let mut part = |d: &mut Decoder<'_>| {
                    if parts.another(d)? { d.u32().shape(d, "a rate is expected") } else { Ok(0) }
                };
                block.hz = (part(d)?, part(d)?);
                while parts.another(d)? {
                    d.skip().shape(d, "a rate is expected")?;
                }
            }
            "scale" => block.scale = number(d)?,
            "offset" => block.offset = number(d)?.unwrap_or(0.0),
            "enc" => block.enc = Some(d.str().shape(d, "an encoding is expected")? == ENCODING),
            "data" => block.data = Some(d.bytes().shape(d, "bytes are expected")?.to_owned()),
            _ => d.skip().shape(d, "a value is expected")?,
        }
    }
    Ok(block)
}

/// A number or null. Floats of any width are taken as they are: the widening is exact.
fn number(d: &mut Decoder<'_>) -> Result<Option<f64>, Malformed> {
    let value = match d.datatype().shape(d, "a value is expected")? {
        Type::Null | Type::Undefined => {
            d.skip().shape(d, "a value is expected")?;
            return Ok(None);
        }
        Type::F64 => d.f64().shape(d, "a value is expected")?,
        Type::F32 => f64::from(d.f32().shape(d, "a value is expected")?),
        Type::F16 => half(d)?,
        Type::Tag => decimal(d)?,
        Type::U64 => d.u64().shape(d, "a value is expected")? as f64,
        _ => d.i64().shape(d, "a number is expected")? as f64,
    };
    Ok(Some(value))
}

/// Tag 4: `[exponent, mantissa]` to the nearest f64.
fn decimal(d: &mut Decoder<'_>) -> Result<f64, Malformed> {
    if d.tag().shape(d, "a tag is expected")?.as_u64() != TAG_DECIMAL {
        return Err(Malformed::Shape { what: "only tag 4 is a number", at: d.position() });
    }
    if d.array().shape(d, "a decimal fraction is an array")? != Some(2) {
        return Err(Malformed::Shape { what: "a decimal fraction has two parts", at: d.position() });
    }
    let exponent = d.i64().shape(d, "an exponent is expected")?;
    let mantissa = d.i64().shape(d, "a mantissa is expected")?;
    if mantissa.unsigned_abs() <= MANTISSA_EXACT && exponent.abs() <= POWER_EXACT {
        let power = 10_f64.powi(exponent.unsigned_abs() as i32);
        return Ok(if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power });
    }
    // Rare and long: let the decimal parser round it.
    let exponent = exponent.clamp(-10_000, 10_000);
    format!("{mantissa}e{exponent}")
        .parse()
        .map_err(|_| Malformed::Shape { what: "a decimal fraction is expected", at: d.position() })
}

/// IEEE 754 binary16: encoders that shorten losslessly write 36.5 so.
fn half(d: &mut Decoder<'_>) -> Result<f64, Malformed> {
    let at = d.position();
    let Some(&[_, high, low]) = d.input().get(at..at + 3).and_then(|bytes| <&[u8; 3]>::try_from(bytes).ok()) else {
        return Err(Malformed::Truncated);
    };
    d.set_position(at + 3);
    let bits = u16::from_be_bytes([high, low]);
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1_024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    Ok(if bits & 0x8000 == 0 { magnitude } else { -magnitude })
}

/// Takes a null if one stands here.
fn null(d: &mut Decoder<'_>) -> Result<bool, Malformed> {
    let is_null = matches!(d.datatype().shape(d, "a value is expected")?, Type::Null | Type::Undefined);
    if is_null {
        d.skip().shape(d, "a value is expected")?;
    }
    Ok(is_null)
}

/// What is left of an array or map: a count, or until the break byte.
struct Length(Option<u64>);

impl Length {
    const fn new(length: Option<u64>) -> Self {
        Self(length)
    }

    fn another(&mut self, d: &mut Decoder<'_>) -> Result<bool, Malformed> {
        match &mut self.0 {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None if d.datatype().shape(d, "a value or the end is expected")? == Type::Break => {
                d.skip().shape(d, "the end is expected")?;
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

/// Turns the library's error into ours, with the place.
trait At<T> {
    fn shape(self, d: &Decoder<'_>, what: &'static str) -> Result<T, Malformed>;
}

impl<T> At<T> for Result<T, Error> {
    fn shape(self, d: &Decoder<'_>, what: &'static str) -> Result<T, Malformed> {
        self.map_err(|error| {
            if error.is_end_of_input() { Malformed::Truncated } else { Malformed::Shape { what, at: d.position() } }
        })
    }
}
