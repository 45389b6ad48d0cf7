//! SenML packs in JSON.

use serde_json::Value as Json;

use super::{LABELS, RECORDS_MAX, Record, Value};
use crate::Malformed;

pub(super) fn records(frame: &[u8]) -> Result<Vec<Record>, Malformed> {
    let pack: Json = serde_json::from_slice(frame).map_err(|_| Malformed::shape("not JSON"))?;
    let Json::Array(pack) = pack else { return Err(Malformed::shape("a pack is an array of records")) };
    if pack.len() > RECORDS_MAX {
        return Err(Malformed::Limit { what: "records", found: pack.len(), max: RECORDS_MAX });
    }
    pack.iter().map(record).collect()
}

fn record(told: &Json) -> Result<Record, Malformed> {
    let fields = told.as_object().ok_or(Malformed::shape("a record is an object"))?;
    let mut record = Record::default();
    for (name, value) in fields {
        let label = LABELS.iter().find(|(_, known, _)| known == name).map(|(label, ..)| *label);
        let value = match value {
            Json::Number(number) => number.as_f64().map(Value::Number),
            Json::String(text) => Some(Value::Text(text.clone())),
            Json::Bool(state) => Some(Value::Boolean(*state)),
            _ => None,
        };
        record.add(label, name, value)?;
    }
    Ok(record)
}
