//! `senml`: the examples of RFC 8428 in JSON and CBOR, names and units, what is refused.

use model::{Metric, Quality};
use serde_json::{Value, json};
use vigil_codec::{Decoded, Malformed};

use super::{one, read, values};
use crate::vectors::{Known, Outcome, near, rows, shared, tally, unhex};

fn records(decoded: &Decoded) -> &[Value] {
    decoded.device.other.get("records").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Equal but for the unknown `now` and fields that are only links.
fn same(theirs: &Value, ours: &Value) -> bool {
    let number = |value: &Value, key: &str| value.get(key).and_then(Value::as_f64);
    let equal = |key: &str| match (number(theirs, key), number(ours, key)) {
        (Some(theirs), Some(ours)) => near(ours, theirs),
        _ => theirs.get(key) == ours.get(key),
    };
    // Without a time of its own a record is "now": theirs is when their tool ran, 2017.
    let now = number(ours, "t").is_none() && number(theirs, "t").is_none_or(|time| (1.49e9..1.51e9).contains(&time));
    ["n", "u", "v", "vs", "vb", "s"].iter().all(|key| equal(key)) && (now || equal("t"))
}

fn compare(pack: &[u8], resolved: &Value) -> Outcome {
    let decoded = match read("senml", pack) {
        Ok(decoded) => decoded,
        Err(why) => return Outcome::Disagrees(why.to_string()),
    };
    let (theirs, ours) = (resolved.as_array().unwrap(), records(&decoded));
    let agrees = theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(theirs, ours)| same(theirs, ours));
    if agrees { Outcome::Agrees } else { Outcome::Disagrees(format!("expected {theirs:?}, came {ours:?}")) }
}

#[test]
fn senml_vectors() {
    let known =
        [Known { supported: true, ids: &["ex7"], why: "wrong oracle: its resolved form leaves out the data value" }];
    tally("senml_rfc8428.jsonl", &known, |row| {
        let json = compare(row["senml"].to_string().as_bytes(), &row["resolved"]);
        match row["cbor_hex"].as_str() {
            Some(hex) if json == Outcome::Agrees => compare(&unhex(hex), &row["resolved"]),
            _ => json,
        }
    });
    if let Some(rows) = rows("senml_rfc8428.jsonl") {
        let (_, row) = rows.into_iter().find(|(id, _)| id == "ex7").unwrap();
        let decoded = read("senml", row["senml"].to_string().as_bytes()).unwrap();
        assert_eq!(records(&decoded)[3], json!({ "n": "urn:dev:ow:10e2073a01080063:nfv-reader", "vd": "aGkgCg" }));
    }
}

#[test]
fn files_of_the_standard() {
    for (pack, resolved) in [
        ("ex1.gen.json", "ex1.gen.resolved.json"),
        ("ex2.gen.json", "ex2.gen.resolved.json"),
        ("ex3.gen.json", "ex3.gen.resolved.json"),
        ("ex3.gen.cbor", "ex3.gen.resolved.json"),
        ("ex4.gen.json", "ex4.gen.resolved.json"),
        ("ex5.gen.json", "ex5.gen.resolved.json"),
        ("ex5.gen.cbor", "ex5.gen.resolved.json"),
        ("ex6.gen.json", "ex6.gen.resolved.json"),
        ("ex8.gen.json", "ex8.gen.resolved.json"),
        ("ex9.gen.json", "ex9.gen.resolved.json"),
        ("ex10.gen.json", "ex10.gen.resolved.json"),
        ("ex11.gen.json", "ex11.gen.resolved.json"),
        ("ex12.gen.json", "ex12.gen.resolved.json"),
    ] {
        let (Some(bytes), Some(wanted)) = (shared(&format!("senml/{pack}")), shared(&format!("senml/{resolved}")))
        else {
            return;
        };
        assert_eq!(compare(&bytes, &serde_json::from_slice(&wanted).unwrap()), Outcome::Agrees, "{pack}");
    }
}

fn pack(value: &Value) -> Result<Decoded, Malformed> {
    read("senml", value.to_string().as_bytes())
}

#[test]
fn metrics_by_the_last_part_of_a_name_units_by_the_registry() {
    let decoded = pack(&json!([
        { "bn": "urn:dev:mac:0024befffe804ff1/", "bt": 1_772_324_100.0, "n": "heart_rate", "u": "beat/min", "v": 72 },
        { "n": "systolic", "u": "Pa", "v": 17_000 },
        { "n": "diastolic", "u": "mm[Hg]", "v": 82 },
        { "n": "spo2", "u": "/", "v": 0.97 },
        { "n": "battery", "u": "%EL", "v": 88 },
        { "n": "body_temperature", "u": "K", "v": 309.95 },
        { "n": "weight", "v": 72.5 },
        { "n": "fan", "vb": true },
        { "n": "steps", "u": "kg", "v": 3 },
    ]))
    .unwrap();
    let read: Vec<_> =
        values(&decoded).into_iter().map(|(metric, value)| (metric, (value.unwrap() * 10.0).round() / 10.0)).collect();
    assert_eq!(
        read,
        [
            (Metric::HeartRate, 72.0),
            (Metric::Systolic, 127.5),
            (Metric::Diastolic, 82.0),
            (Metric::Spo2, 97.0),
            (Metric::Battery, 88.0),
            (Metric::BodyTemperature, 36.8),
            (Metric::Weight, 72.5),
        ]
    );
    assert_eq!(one(&decoded, Metric::HeartRate).at.unwrap().rfc3339(), "2026-03-01T00:15:00Z");
    assert_eq!(one(&decoded, Metric::Weight).quality, Quality::UnitSuspect, "no unit was said");
    assert_eq!(decoded.device.id.as_deref(), Some("urn:dev:mac:0024befffe804ff1"));
    assert_eq!(records(&decoded)[0]["n"], "urn:dev:mac:0024befffe804ff1/fan");
    assert_eq!(decoded.device.other["results"][0]["unit"], "kg", "steps are not weighed");
}

#[test]
fn base_values_and_relative_times() {
    let decoded = pack(&json!([
        { "bn": "d:", "bv": 30.0, "bt": -60, "n": "heart_rate", "u": "/min", "v": 42 },
        { "n": "heart_rate", "u": "/min", "v": 43, "t": 60 },
    ]))
    .unwrap();
    let [before, now] = &decoded.readings[..] else { panic!("{:?}", decoded.readings) };
    assert_eq!((before.value, before.quality), (Some(72.0), Quality::ClockSuspect));
    let (then, clock) = (before.at.unwrap(), decoded.device.clock.unwrap());
    assert!(then.suspect && clock.suspect, "neither is a time by itself");
    assert_eq!(clock.instant().unwrap().since_us(then.instant().unwrap()), 60_000_000, "a minute ago");
    assert_eq!((now.value, now.at, now.quality), (Some(73.0), None, Quality::Ok));
}

#[test]
fn what_is_no_pack_is_refused() {
    for bad in [
        json!([]),
        json!({}),
        json!([{ "v": 1 }]),
        json!([{ "n": "a b", "v": 1 }]),
        json!([{ "n": "-a", "v": 1 }]),
        json!([{ "n": "a", "v": "1" }]),
        json!([{ "bver": 11, "n": "a", "v": 1 }]),
        json!([{ "n": "a", "v": 1, "must_": 1 }]),
        json!([{ "n": "d1/heart_rate", "u": "/min", "v": 70 }, { "n": "d2/heart_rate", "u": "/min", "v": 70 }]),
        Value::Array(vec![json!({ "n": "a", "v": 1 }); 1_001]),
    ] {
        assert!(pack(&bad).is_err(), "{bad}");
    }
    // Half a CBOR pack; an endless one.
    assert!(read("senml", &unhex("82a200616102")).is_err());
    assert!(read("senml", &unhex("9fa200616102")).is_err());
    assert!(read("senml", &unhex("9fa20061610201ff")).is_ok());
}
