//! Machines of a health cabin and a laboratory: published vectors, nasty cases, streams cut anywhere.

mod astm;
mod hl7;
mod senml;
mod serial;
mod streams;

use model::{EventKind, Metric, Quality};
use serde_json::Value;
use vigil_codec::{Decoded, Framed, Framing, Malformed, Measured, Settings, find};

fn settings(text: &str) -> Settings {
    serde_json::from_str(text).unwrap()
}

fn read(codec: &str, frame: &[u8]) -> Result<Decoded, Malformed> {
    (find(codec).unwrap().decode)(frame, &Settings::default())
}

/// Everything a framer finds in these reads, and then silence.
fn feed(codec: &str, pieces: &[&[u8]]) -> Vec<Framed> {
    let Framing::Stream(new) = find(codec).unwrap().framing else { panic!("{codec} has no framer") };
    let (mut framer, mut found) = (new(), Vec::new());
    for piece in pieces {
        framer.push(piece, &mut found);
    }
    framer.silent(&mut found);
    found
}

fn frames(found: &[Framed]) -> Vec<&[u8]> {
    found
        .iter()
        .filter_map(|part| match part {
            Framed::Frame(frame) => Some(frame.as_slice()),
            _ => None,
        })
        .collect()
}

fn answers(found: &[Framed]) -> Vec<u8> {
    found
        .iter()
        .filter_map(|part| match part {
            Framed::Answer(bytes) => Some(bytes.as_slice()),
            _ => None,
        })
        .flatten()
        .copied()
        .collect()
}

/// Metric and value of each reading.
fn values(decoded: &Decoded) -> Vec<(Metric, Option<f64>)> {
    decoded.readings.iter().map(|reading| (reading.metric, reading.value)).collect()
}

fn one(decoded: &Decoded, metric: Metric) -> &Measured {
    let mut found = decoded.readings.iter().filter(|reading| reading.metric == metric);
    let reading = found.next().unwrap_or_else(|| panic!("no {metric} in {:?}", decoded.readings));
    assert!(found.next().is_none(), "two of {metric}");
    reading
}

/// Every reading is absent because the measurement failed, and an event says so.
fn failed(decoded: &Decoded, code: u32) {
    assert!(!decoded.readings.is_empty());
    for reading in &decoded.readings {
        assert_eq!((reading.value, reading.quality), (None, Quality::MeasurementFailed), "{reading:?}");
    }
    let [event] = &decoded.events[..] else { panic!("{:?}", decoded.events) };
    assert_eq!((event.kind, event.code), (EventKind::MeasurementFailed, Some(code)));
}

fn results(decoded: &Decoded) -> &[Value] {
    decoded.device.other.get("results").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
