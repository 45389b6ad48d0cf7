//! The dialect's forms, and that no bytes make it panic.

use proptest::prelude::*;

use super::*;

const NOW: Time = Time::from_secs(1_795_000_000);

fn one(payload: &str) -> Telemetry {
    decode(payload.as_bytes(), NOW).unwrap()
}

#[test]
fn the_plain_form_takes_the_receive_time() {
    let out = one(r#"{"heartRate":72, "SpO2":"97", "body_temperature":36.6, "colour":"red"}"#);
    let values: Vec<_> = out.samples.iter().map(|s| (s.metric, s.value(), s.taken_at)).collect();
    assert_eq!(
        values,
        [
            (Metric::HeartRate, Some(72.0), NOW),
            (Metric::Spo2, Some(97.0), NOW),
            (Metric::BodyTemperature, Some(36.6), NOW)
        ]
    );
    assert_eq!((out.unknown_keys, out.unreadable), (1, 0));
}

#[test]
fn timed_blocks_and_arrays_of_them() {
    let out = one(
        r#"[{"ts":1700000000123,"values":{"sys":150,"dia":"95"}},{"hr":60},{"ts":"1700000001000","values":{"hr":61}}]"#,
    );
    let times: Vec<_> = out.samples.iter().map(|s| (s.metric, s.taken_at)).collect();
    let first = Time::from_millis(1_700_000_000_123);
    assert_eq!(
        times,
        [
            (Metric::Systolic, first),
            (Metric::Diastolic, first),
            (Metric::HeartRate, NOW),
            (Metric::HeartRate, Time::from_secs(1_700_000_001))
        ]
    );
}

#[test]
fn events_need_a_truth() {
    let out = one(r#"{"sos":true,"fall":0,"fall_detected":"1","removed":false,"panic":"perhaps"}"#);
    let kinds: Vec<_> = out.events.iter().map(|e| e.kind).collect();
    assert_eq!((kinds, out.unreadable), (vec![EventKind::Sos, EventKind::Fall], 1));
}

#[test]
fn null_and_special_numbers_are_absence() {
    let out = one(r#"{"hr":null,"spo2":"NaN","temp":[1]}"#);
    let found: Vec<_> = out.samples.iter().map(|s| (s.value(), s.quality)).collect();
    assert_eq!(found, [(None, Quality::Absent), (None, Quality::SpecialValue)]);
    assert_eq!(out.unreadable, 1);
}

#[test]
fn what_is_no_telemetry_is_refused() {
    for (bad, code) in [
        ("", "empty"),
        ("{", "truncated"),
        ("3", "shape"),
        ("[1]", "shape"),
        (r#"{"ts":1e300,"values":{"hr":1}}"#, "time"),
        (r#"{"ts":"soon","hr":1}"#, "time"),
    ] {
        assert_eq!(decode(bad.as_bytes(), NOW).unwrap_err().code(), code, "{bad}");
    }
    let many = format!("[{}]", vec![r#"{"hr":1}"#; 1_001].join(","));
    assert_eq!(decode(many.as_bytes(), NOW).unwrap_err(), Malformed::Samples);
}

#[test]
fn every_alias_is_already_normalised_and_unique() {
    let mut seen = std::collections::HashSet::new();
    for alias in ALIASES.iter().map(|(a, _)| a).chain(EVENT_ALIASES.iter().map(|(a, _)| a)) {
        assert!(alias.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{alias}");
        assert!(seen.insert(alias), "{alias} stands twice");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_telemetry_or_an_error(bytes: Vec<u8>) {
        let _ = decode(&bytes, NOW);
    }

    #[test]
    fn any_json_like_text_is_telemetry_or_an_error(text in r#"[\[\]{}":,a-z0-9. -]{0,80}"#) {
        let _ = decode(text.as_bytes(), NOW);
    }
}
