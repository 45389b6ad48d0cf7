//! SenML packs in CBOR.

use minicbor::Decoder;
use minicbor::data::Type;

use super::{LABELS, RECORDS_MAX, Record, Value};
use crate::{Malformed, hex};

/// Fields of one record; there are 15 labels, and extensions.
const FIELDS_MAX: u64 = 32;

pub(super) fn records(frame: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut from = Decoder::new(frame);
    let length = from.array().map_err(bad)?;
    let mut records = Vec::new();
    while more(&mut from, length, records.len() as u64)? {
        if records.len() == RECORDS_MAX {
            return Err(Malformed::Limit { what: "records", found: records.len() + 1, max: RECORDS_MAX });
        }
        records.push(record(&mut from)?);
    }
    Ok(records)
}

fn bad(_: minicbor::decode::Error) -> Malformed {
    Malformed::shape("not CBOR of a SenML pack")
}

/// Whether an array or map of `length` (`None`: until a break) goes on after `read` items.
fn more(from: &mut Decoder<'_>, length: Option<u64>, read: u64) -> Result<bool, Malformed> {
    match length {
        Some(length) => Ok(read < length),
        None if from.datatype().map_err(bad)? == Type::Break => {
            from.skip().map_err(bad)?;
            Ok(false)
        }
        None => Ok(true),
    }
}

fn record(from: &mut Decoder<'_>) -> Result<Record, Malformed> {
    let length = from.map().map_err(bad)?;
    let (mut record, mut read) = (Record::default(), 0);
    while more(from, length, read)? {
        if read == FIELDS_MAX {
            return Err(Malformed::Limit { what: "fields of a record", found: 33, max: 32 });
        }
        read += 1;
        if from.datatype().map_err(bad)? == Type::String {
            let name = from.str().map_err(bad)?;
            from.skip().map_err(bad)?;
            record.add(None, name, None)?;
            continue;
        }
        let key = i64::try_from(from.int().map_err(bad)?).map_err(|_| Malformed::shape("a label out of range"))?;
        let label = LABELS.iter().find(|(.., known)| *known == key).map(|(label, ..)| *label);
        let value = value(from)?;
        record.add(label, "", value)?;
    }
    Ok(record)
}

fn value(from: &mut Decoder<'_>) -> Result<Option<Value>, Malformed> {
    Ok(match from.datatype().map_err(bad)? {
        Type::F16 => Some(Value::Number(half(from)?)),
        Type::F32 => Some(Value::Number(from.f32().map_err(bad)?.into())),
        Type::F64 => Some(Value::Number(from.f64().map_err(bad)?)),
        Type::String => Some(Value::Text(from.str().map_err(bad)?.to_owned())),
        Type::Bool => Some(Value::Boolean(from.bool().map_err(bad)?)),
        // In JSON this is base64; as text it is only for people.
        Type::Bytes => Some(Value::Text(hex(from.bytes().map_err(bad)?))),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let whole = i128::from(from.int().map_err(bad)?);
            Some(Value::Number(whole as f64))
        }
        _ => {
            from.skip().map_err(bad)?;
            None
        }
    })
}

/// IEEE 754 binary16, which the CBOR library reads only with one dependency more.
fn half(from: &mut Decoder<'_>) -> Result<f64, Malformed> {
    let at = from.position();
    from.skip().map_err(bad)?;
    let &[_, high, low] = from.input().get(at..from.position()).unwrap_or_default() else {
        return Err(Malformed::Short("a half number"));
    };
    let bits = u16::from_be_bytes([high, low]);
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    Ok(if bits >> 15 == 0 { size } else { -size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_numbers() {
        for (bytes, wanted) in
            [([0xF9, 0x4D, 0x00], 20.0), ([0xF9, 0xC4, 0x00], -4.0), ([0xF9, 0x00, 0x01], 5.960_464_477_539_063e-8)]
        {
            assert_eq!(half(&mut Decoder::new(&bytes)).unwrap().to_bits(), f64::to_bits(wanted));
        }
        assert!(half(&mut Decoder::new(&[0xF9, 0x7E, 0x00])).unwrap().is_nan());
    }
}
