//! `hl7`: vectors, framing, answers, what a result may say.

use model::{Metric, Quality};
use serde_json::Value;
use vigil_codec::{Bound, Decoded, Malformed, find};

use super::{feed, frames, one, read, results, settings, values};
use crate::vectors::{Outcome, nasty, near, tally, unhex};

const MSH: &str = "MSH|^~\\&|MON|WARD|VIGIL|HOME|20260301081700||ORU^R01^ORU_R01|42|P|2.6";

fn message(segments: &[&str]) -> String {
    [&[MSH], segments].concat().join("\r") + "\r"
}

fn with(segments: &[&str]) -> Decoded {
    read("hl7", message(segments).as_bytes()).unwrap()
}

fn mllp(message: &str) -> Vec<u8> {
    [b"\x0B", message.as_bytes(), b"\x1C\r"].concat()
}

fn reply(decoded: &Decoded) -> String {
    String::from_utf8(decoded.reply.clone().unwrap()).unwrap()
}

fn msa(decoded: &Decoded) -> String {
    reply(decoded).split('\r').find(|line| line.starts_with("MSA")).unwrap().to_owned()
}

fn judge(row: &Value) -> Outcome {
    let bytes = unhex(row["mllp_hex"].as_str().unwrap());
    let found = feed("hl7", &[&bytes]);
    let read: Vec<_> = frames(&found).into_iter().map(|frame| read("hl7", frame)).collect();
    let expected = &row["expected"];
    let agrees = match expected["reject"].as_bool() {
        Some(true) => !read.is_empty() && read.iter().all(Result::is_err),
        // A message of a kind that is not taken is still a message: it is answered where an answer is wanted.
        Some(false) => read.len() == 1 && read[0].as_ref().is_ok_and(|decoded| decoded.readings.is_empty()),
        None => read.len() == 1 && glucose(expected, read[0].as_ref().unwrap(), row["message"].as_str().unwrap()),
    };
    if agrees { Outcome::Agrees } else { Outcome::Disagrees(format!("expected {expected}, came {read:?}")) }
}

/// Row oru-glucose: number and unit of the first result; the second has a code that LOINC does not have.
fn glucose(expected: &Value, decoded: &Decoded, written: &str) -> bool {
    let [first, second] = expected["obx"].as_array().unwrap().as_slice() else { return false };
    let reading = one(decoded, Metric::Glucose);
    let raw = reading.raw.as_ref().unwrap();
    let id = expected["control_id"].as_str().unwrap();
    msa(decoded) == format!("MSA|AA|{id}")
        && reply(decoded).contains(&format!("|{}\r", expected["version"].as_str().unwrap()))
        && written.contains(expected["type"].as_str().unwrap())
        && format!("^{}", raw.text) == first["value"].as_str().unwrap()
        && raw.unit.eq_ignore_ascii_case(first["unit"].as_str().unwrap())
        && near(reading.value.unwrap(), 182.0 / 18.015_6)
        && results(decoded).len() == 1
        && results(decoded)[0]["code"] == second["id"]
        && format!("^{}", results(decoded)[0]["value"].as_str().unwrap()) == second["value"].as_str().unwrap()
}

#[test]
fn hl7_vectors() {
    tally("hl7v2_mllp.jsonl", &[], judge);
}

#[test]
fn nasty_21_odd_ends_are_tolerated_and_size_is_capped() {
    if nasty(21).is_none() {
        return;
    }
    let plain = message(&["PID|1||7", "OBX|1|NM|8867-4^HR^LN||72|/min|||||F"]);
    for ends in ["\r", "\n", "\r\n"] {
        let written = plain.replace('\r', ends);
        // 0B inside; without the last 0D, so that the next 0B follows 1C at once.
        let dirty = written.replacen("PID", "\u{b}PID", 1);
        for message in [&written, &dirty] {
            let stream = [b"\x0B", message.as_bytes(), b"\x1C\x0B", message.as_bytes(), b"\x1C\r"].concat();
            let found = feed("hl7", &[&stream]);
            assert_eq!(frames(&found).len(), 2, "{ends:?}");
            for frame in frames(&found) {
                let decoded = read("hl7", frame).unwrap();
                assert_eq!(values(&decoded), [(Metric::HeartRate, Some(72.0))], "{ends:?}");
                assert_eq!(decoded.device.person.as_deref(), Some("7"));
            }
        }
    }
    // A message without an end is given up when the next begins; that one is read.
    let found = feed("hl7", &[b"\x0BMSH|^~\\&|half\rPID|1||8", &mllp(&plain)]);
    assert_eq!(frames(&found).len(), 1);
    assert_eq!(read("hl7", frames(&found)[0]).unwrap().device.person.as_deref(), Some("7"));
    // Larger than the cap: skipped, and the next one is read.
    let endless = [b"\x0BMSH|^~\\&|", vec![b'x'; 2 << 20].as_slice()].concat();
    let found = feed("hl7", &[&endless, &mllp(&plain)]);
    assert_eq!(frames(&found).len(), 1);
}

#[test]
fn nasty_44_a_sloppy_unit_and_a_number_in_component_2() {
    if nasty(44).is_none() {
        return;
    }
    let decoded = with(&["OBX|1|SN|2345-7^GLU^LN||^182|mg/dl|||||F"]);
    let glucose = one(&decoded, Metric::Glucose);
    assert!(near(glucose.value.unwrap(), 10.102_356), "{glucose:?}");
    let raw = glucose.raw.as_ref().unwrap();
    assert_eq!((raw.text.as_str(), raw.unit), ("182", "mg/dL"));
}

#[test]
fn nasty_46_comparators_are_kept() {
    if nasty(46).is_none() {
        return;
    }
    for (kind, value, number, bound) in [
        ("SN", "<^0.5", 0.5, Bound::Below),
        ("SN", ">=^33.3", 33.3, Bound::AtLeast),
        ("ST", "<0.5", 0.5, Bound::Below),
        ("NM", "<= 0.6", 0.6, Bound::AtMost),
    ] {
        let decoded = with(&[&format!("OBX|1|{kind}|15074-8^GLU^LN||{value}|mmol/L|||||F")]);
        let glucose = one(&decoded, Metric::Glucose);
        assert_eq!((glucose.value, glucose.bound), (Some(number), Some(bound)), "{value}");
    }
    // A ratio and a range are no numbers.
    for value in ["^1^:^128", "^3.9^-^6.1"] {
        let decoded = with(&[&format!("OBX|1|SN|15074-8^GLU^LN||{value}|mmol/L|||||F")]);
        assert!(decoded.readings.is_empty() && results(&decoded)[0]["value"] == value, "{value}");
    }
}

#[test]
fn nasty_54_a_sensor_at_its_end_gives_a_bound() {
    if nasty(54).is_none() {
        return;
    }
    for (number, bound) in [("40", Some(Bound::AtMost)), ("400", Some(Bound::AtLeast)), ("41", None)] {
        let decoded = with(&[&format!("OBX|1|NM|105272-9^GLU^LN||{number}|mg/dL|||||F")]);
        assert_eq!(one(&decoded, Metric::GlucoseInterstitial).bound, bound, "{number}");
    }
}

#[test]
fn a_monitors_codes_units_and_empty_values() {
    let decoded = with(&[
        "OBR|1|||X|||20260301080000+0800",
        "OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1|97|262688^MDC_DIM_PERCENT^MDC|||||R|||20260301081500",
        "OBX|2|NM|150021^MDC_PRESS_BLD_NONINV_SYS^MDC||18.0|265987^MDC_DIM_KILO_PASCAL^MDC|||||F",
        "OBX|3|NM|150022^MDC_PRESS_BLD_NONINV_DIA^MDC||11.0|^kPa|||||F",
        "OBX|4|NM|149530^MDC_PULS_OXIM_PULS_RATE^MDC||8388607|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||F",
        "OBX|5|NM|8310-5^TEMP^LN^^^||98.6|[degF]|||||F",
        "OBX|6|NM|8867-4^HR^LN||||||||X",
        "OBX|7|NM|29463-7^WEIGHT^LN||72.5|kg|||||D",
        "OBX|8|ST|^URINE COLOUR||yellow||||||F",
    ]);
    let read: Vec<_> =
        decoded.readings.iter().map(|r| (r.metric, r.value.map(|v| (v * 10.0).round() / 10.0), r.quality)).collect();
    assert_eq!(
        read,
        [
            (Metric::Spo2, Some(97.0), Quality::Ok),
            (Metric::Systolic, Some(135.0), Quality::Ok),
            (Metric::Diastolic, Some(82.5), Quality::Ok),
            (Metric::PulseRate, None, Quality::SpecialValue),
            (Metric::BodyTemperature, Some(37.0), Quality::Ok),
            (Metric::HeartRate, None, Quality::MeasurementFailed),
        ]
    );
    assert_eq!(decoded.readings[0].at.unwrap().rfc3339(), "2026-03-01T08:15:00+08:00");
    assert_eq!(decoded.readings[1].at.unwrap().rfc3339(), "2026-03-01T08:00:00+08:00", "OBR-7");
    let kept: Vec<_> = results(&decoded).iter().map(|result| result["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(kept, ["WEIGHT", "URINE COLOUR"]);
    assert_eq!(decoded.device.id.as_deref(), Some("MON/WARD"));
}

#[test]
fn the_zone_of_the_message_is_that_of_its_times() {
    let text = message(&["OBX|1|NM|8867-4^HR^LN||72|/min|||||F|||20260301001500"]);
    let read_at = |text: &str| read("hl7", text.as_bytes()).unwrap().readings[0].at.unwrap().rfc3339();
    assert_eq!(read_at(&text), "2026-03-01T00:15:00+08:00", "the place's own zone");
    assert_eq!(read_at(&text.replace("20260301081700", "20260301001700+0000")), "2026-03-01T00:15:00Z");
    assert_eq!(read_at(&text.replace("1500\r", "1500-0500\r")), "2026-03-01T00:15:00-05:00");
    let decoded = read("hl7", text.replace("20260301001500", "20261301001500").as_bytes()).unwrap();
    assert_eq!((decoded.readings[0].at, decoded.readings[0].quality), (None, Quality::ClockSuspect));
}

#[test]
fn answers_say_what_became_of_the_message() {
    let good = with(&["PID|1||7", "OBX|1|NM|8867-4^HR^LN||72|/min|||||F"]);
    assert_eq!(
        reply(&good),
        "\u{b}MSH|^~\\&|VIGIL|HOME|MON|WARD|20260301081700||ACK^R01^ACK|42|P|2.6\rMSA|AA|42\r\u{1c}\r"
    );
    for (change, code) in [
        (("ORU^R01^ORU_R01", "ADT^A01"), "MSA|AR|42|"),
        (("|42|P|", "|42|T|"), "MSA|AR|42|"),
        (("OBX|", "ZBX|"), "MSA|AE|42|"),
        (("PID|1||7", "PID|1||7\rPID|2||8"), "MSA|AE|42|"),
        // Enhanced mode.
        (("|P|2.6", "|P|2.6|||AL|NE"), "MSA|CA|42"),
        (("|P|2.6", "|P|2.6|||NE|AL"), "MSA|AA|42"),
    ] {
        let text = message(&["PID|1||7", "OBX|1|NM|8867-4^HR^LN||72|/min|||||F"]).replacen(change.0, change.1, 1);
        let decoded = read("hl7", text.as_bytes()).unwrap();
        assert!(msa(&decoded).starts_with(code), "{change:?}: {}", msa(&decoded));
        let taken = code.split('|').nth(1).unwrap().ends_with('A');
        assert_eq!(!decoded.readings.is_empty(), taken, "{change:?}: refused means nothing was taken");
    }
    let silent = message(&["OBX|1|NM|8867-4^HR^LN||72|/min|||||F"]).replacen("|P|2.6", "|P|2.6|||NE|NE", 1);
    assert_eq!(read("hl7", silent.as_bytes()).unwrap().reply, None);
}

#[test]
fn a_batch_is_taken_message_by_message() {
    let (one, two) = (
        message(&["PID|1||7", "OBX|1|NM|8867-4^HR^LN||72|/min|||||F"]),
        message(&["PID|1||8", "OBX|1|NM|8867-4^HR^LN||80|/min|||||F"]),
    );
    let batch = format!("FHS|^~\\&|A\rBHS|^~\\&|A\r{one}{two}BTS|2\rFTS|1\r");
    let found = feed("hl7", &[&mllp(&batch)]);
    let people: Vec<_> = frames(&found)
        .into_iter()
        .map(|frame| read("hl7", frame).map(|decoded| (decoded.device.person.clone(), values(&decoded))).unwrap())
        .collect();
    let wanted =
        [("7", 72.0), ("8", 80.0)].map(|(id, rate)| (Some(id.to_owned()), vec![(Metric::HeartRate, Some(rate))]));
    assert_eq!(people, wanted);
    assert!(matches!(read("hl7", format!("{one}{two}").as_bytes()), Err(Malformed::Unsupported(_))));
}

#[test]
fn names_decide_only_where_no_code_does() {
    // A name of its own; an unknown LOINC beside a known name; a urine specimen.
    let metric = |obx: &str| with(&["OBR|1", obx]).readings.first().map(|reading| reading.metric);
    assert_eq!(metric("OBX|1|NM|GLU^Glucose^99LOCAL||5.6|mmol/L|||||F"), Some(Metric::Glucose));
    assert_eq!(metric("OBX|1|NM|2350-7^Glucose^LN||5.6|mmol/L|||||F"), None, "glucose in urine has its own code");
    let urine = with(&["OBR|1||||||||||||||UR", "OBX|1|NM|GLU^Glucose^99LOCAL||5.6|mmol/L|||||F"]);
    assert!(urine.readings.is_empty());
    // MSH-18 says how the text is encoded, whatever the setting.
    let text = message(&["OBX|1|NM|X^\u{8461}\u{8404}\u{7cd6}^L||5.6|mmol/L|||||F"]).replacen(
        "|P|2.6",
        "|P|2.6||||||UNICODE UTF-8",
        1,
    );
    let decoded = (find("hl7").unwrap().decode)(text.as_bytes(), &settings(r#"{"text": "gb18030"}"#)).unwrap();
    assert_eq!(values(&decoded), [(Metric::Glucose, Some(5.6))]);
}

#[test]
fn pressures_that_cannot_be_are_kept_and_not_judged() {
    for (sys, dia, unit, quality) in
        [("18.9", "11.0", "mm[Hg]", Quality::UnitSuspect), ("80", "120", "mm[Hg]", Quality::OutOfRange)]
    {
        let decoded = with(&[
            &format!("OBX|1|NM|8480-6^SYS^LN||{sys}|{unit}|||||F"),
            &format!("OBX|2|NM|8462-4^DIA^LN||{dia}|{unit}|||||F"),
        ]);
        let read: Vec<_> = decoded.readings.iter().map(|reading| (reading.value.is_some(), reading.quality)).collect();
        assert_eq!(read, [(true, quality); 2], "{sys}/{dia}");
    }
}
