//! `astm`: vectors, the conversation of the line, people kept apart.

use model::{Metric, Quality};
use serde_json::{Value, json};
use vigil_codec::{Framed, Malformed, Settings, astm_records, find};

use super::{answers, feed, frames, one, read, results, settings, values};
use crate::vectors::{Known, Outcome, nasty, near, tally, unhex};

const ENQ: &[u8] = b"\x05";
const EOT: &[u8] = b"\x04";
const ACK: u8 = 6;
const NAK: u8 = 21;

/// A frame of the line with its checksum.
fn frame(number: usize, text: &[u8], end: u8) -> Vec<u8> {
    let covered = [&[b'0' + (number % 8) as u8], text, &[end]].concat();
    let sum = covered.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    [b"\x02", covered.as_slice(), format!("{sum:02X}\r\n").as_bytes()].concat()
}

/// A session with one frame a record.
fn session(records: &[&[u8]]) -> Vec<u8> {
    let frames =
        records.iter().enumerate().flat_map(|(index, record)| frame(index + 1, &[record, &b"\r"[..]].concat(), 3));
    [ENQ, &frames.collect::<Vec<u8>>(), EOT].concat()
}

fn judge(row: &Value) -> Outcome {
    let (bytes, expected) = (unhex(row["hex"].as_str().unwrap()), &row["expected"]);
    let records = || astm_records(&bytes, &Settings::default()).unwrap();
    let agrees = match row["kind"].as_str().unwrap() {
        "frame" if expected["error"].is_string() => frames(&feed("astm", &[&bytes, EOT])).is_empty(),
        "frame" => {
            let found = feed("astm", &[&bytes, EOT]);
            let checksum = &bytes[bytes.len() - 4..bytes.len() - 2];
            let sequence = u64::from(bytes[1] - b'0');
            if expected["encoding"].is_string() && answers(&found) == [ACK] {
                return Outcome::Unsupported;
            }
            answers(&found) == [ACK]
                && frames(&found).len() == 1
                && expected["checksum"].as_str().is_none_or(|wanted| wanted.as_bytes() == checksum)
                && expected["seq"].as_u64().is_none_or(|wanted| wanted == sequence)
                && (expected["records"].is_null() || expected["records"] == records())
        }
        "record" if expected.is_array() => records() == json!([expected]),
        "record" => {
            let record = &records()[0];
            record[0] == expected["type"] && record.as_array().unwrap().len() as u64 == expected["n_fields"]
        }
        "stream" => {
            let found = feed("astm", &[&bytes, EOT]);
            let whole = frames(&found);
            whole.len() == 1
                && astm_records(whole[0], &Settings::default()).unwrap() == expected["records"]
                && answers(&found).iter().all(|answer| *answer == ACK)
        }
        "checksum" => {
            let with = |sum: &Value| [b"\x02", bytes.as_slice(), sum.as_str().unwrap().as_bytes(), b"\r\n"].concat();
            answers(&feed("astm", &[&with(&expected["checksum_bytes_mod256"])])) == [ACK]
                && answers(&feed("astm", &[&with(&expected["checksum_codepoints_wrong"])])) == [NAK]
        }
        other => panic!("rows of kind {other}"),
    };
    if agrees { Outcome::Agrees } else { Outcome::Disagrees(format!("expected {expected}")) }
}

#[test]
fn astm_vectors() {
    let known = [Known {
        supported: false,
        ids: &["astm-cp1251"],
        why: "the frame is taken; text in Windows-1251 is not read (settings know UTF-8 and GB18030)",
    }];
    tally("astm_lis2a2.jsonl", &known, judge);
}

#[test]
fn nasty_22_the_checksum_is_over_bytes() {
    let Some(row) = nasty(22) else { return };
    assert!(row["required"].as_str().unwrap().starts_with("CS=4B"));
    let record = "P|1|2776833||张三|\r";
    assert_eq!(answers(&feed("astm", &[ENQ, &frame(1, record.as_bytes(), 3)])), [ACK, ACK]);
}

#[test]
fn nasty_23_numbers_wrap_and_parts_are_joined() {
    if nasty(23).is_none() {
        return;
    }
    // Nine frames: 1 to 7, 0, 1; the result is cut in two by ETB.
    let mut stream = ENQ.to_vec();
    let texts: [(&[u8], u8); 9] = [
        (b"H|\\^&|||A\r", 3),
        (b"P|1|7\r", 3),
        (b"O|1|S\r", 3),
        (b"C|1|I|one\r", 3),
        (b"C|2|I|two\r", 3),
        (b"C|3|I|three\r", 3),
        (b"R|1|^^^GL", 23),
        (b"U|5.6|mmol/L\r", 3),
        (b"L|1\r", 3),
    ];
    for (index, (text, end)) in texts.iter().enumerate() {
        stream.extend(frame(index + 1, text, *end));
    }
    let found = feed("astm", &[&stream]);
    assert_eq!(answers(&found), [ACK; 10]);
    let decoded = read("astm", frames(&found)[0]).unwrap();
    assert_eq!(values(&decoded), [(Metric::Glucose, Some(5.6))]);
    assert_eq!(decoded.device.person.as_deref(), Some("7"));
}

#[test]
fn a_frame_that_arrives_wrong_is_asked_for_again_and_a_repeat_is_not_doubled() {
    let header = frame(1, b"H|\\^&\r", 3);
    let mut broken = frame(2, b"P|1|7\rR|1|^^^GLU|5.6|mmol/L\r", 3);
    broken[20] ^= 1;
    let good = frame(2, b"P|1|7\rR|1|^^^GLU|5.6|mmol/L\r", 3);
    let out_of_turn = frame(5, b"L|1\r", 3);
    let found = feed("astm", &[ENQ, &header, &broken, &good, &good, &out_of_turn, &frame(3, b"L|1\r", 3), EOT]);
    assert_eq!(answers(&found), [ACK, ACK, NAK, ACK, ACK, NAK, ACK]);
    let [message] = frames(&found)[..] else { panic!("{found:?}") };
    assert_eq!(values(&read("astm", message).unwrap()), [(Metric::Glucose, Some(5.6))]);
}

#[test]
fn the_last_answer_comes_after_the_message() {
    let found = feed("astm", &[&session(&[b"H|\\^&", b"P|1|7", b"R|1|GLU|5.6|mmol/L", b"L|1"])]);
    let order: Vec<bool> = found.iter().map(|part| matches!(part, Framed::Frame(_))).collect();
    // ENQ, H, P, R are answered at once; the link keeps the message before it answers L.
    assert_eq!(order, [false, false, false, false, true, false], "{found:?}");
}

#[test]
fn a_message_that_was_broken_off_is_not_taken_for_whole() {
    let header = frame(1, b"H|\\^&\r", 3);
    let result = frame(2, b"P|1|7\rR|1|^^^GLU|5.6|mmol/L\r", 3);
    // The analyser starts over; later the line dies.
    let found = feed("astm", &[ENQ, &header, &result, ENQ, &header]);
    assert!(frames(&found).is_empty(), "{found:?}");
    let skipped: usize =
        found.iter().map(|part| if let Framed::Skipped { bytes, .. } = part { *bytes } else { 0 }).sum();
    assert!(skipped > 0, "what is given up is counted");
}

#[test]
fn two_people_in_one_message_never_share_a_frame() {
    let tray = session(&[
        b"H|\\^&|||A",
        b"P|1|1001",
        b"O|1|S1",
        b"R|1|^^^GLU|5.6|mmol/L",
        b"P|2|1002",
        b"O|1|S2",
        b"R|1|^^^GLU|9.1|mmol/L",
        b"L|1",
    ]);
    let found = feed("astm", &[&tray]);
    let people: Vec<_> = frames(&found)
        .into_iter()
        .map(|frame| {
            let decoded = read("astm", frame).unwrap();
            (decoded.device.person.clone().unwrap(), values(&decoded))
        })
        .collect();
    let wanted =
        [("1001", 5.6), ("1002", 9.1)].map(|(id, value)| (id.to_owned(), vec![(Metric::Glucose, Some(value))]));
    assert_eq!(people, wanted);
    // Without patients each specimen is a person.
    let specimens = session(&[b"H|\\^&", b"O|1|S1", b"R|1|GLU|5.6|mmol/L", b"O|2|S2", b"R|1|GLU|9.1|mmol/L", b"L|1"]);
    let found = feed("astm", &[&specimens]);
    let people: Vec<_> = frames(&found).into_iter().map(|frame| read("astm", frame).unwrap().device.person).collect();
    assert_eq!(people, [Some("S1".to_owned()), Some("S2".to_owned())]);
    // Whole, as one frame, it is refused.
    assert!(matches!(
        read("astm", b"P|1|1001\rR|1|GLU|5|mmol/L\rP|2|1002\rR|1|GLU|9|mmol/L\r"),
        Err(Malformed::Unsupported(_))
    ));
}

#[test]
fn results_are_converted_bounded_dated_or_kept() {
    let message = b"H|\\^&|||POC-7|||||||P|LIS2-A2|20260301081700\r\
        P|1|1001\r\
        O|1|S-9||^^^GLU|R||20260301080000||||||||B\r\
        R|1|^^^GLU^Glucose|100|mg/dl||||F||||20260301081530\r\
        R|2|^^^2093-3|<2.6|mmol/L||||F\r\
        R|3|^^^UA|6.0|mg/dL||||F\r\
        R|4|^^^CRP|0.8|mg/L||||F\r\
        R|5|^^^TG|1.7|furlong||||F\r\
        R|6|^^^CHOL|5.0|mmol/L||||X\r\
        R|7|^^^GLU|+++|mmol/L||||F\r\
        L|1\r";
    let decoded = read("astm", message).unwrap();
    let glucose = one(&decoded, Metric::Glucose);
    assert!(near(glucose.value.unwrap(), 5.550_745), "{glucose:?}");
    assert_eq!(glucose.at.unwrap().rfc3339(), "2026-03-01T08:15:30+08:00");
    let raw = glucose.raw.as_ref().unwrap();
    assert_eq!((raw.text.as_str(), raw.unit), ("100", "mg/dL"));
    let cholesterol = one(&decoded, Metric::Cholesterol);
    assert_eq!(cholesterol.bound.map(vigil_codec::Bound::symbol), Some("<"));
    assert_eq!(cholesterol.raw.as_ref().unwrap().text, "<2.6");
    assert_eq!(cholesterol.at.unwrap().rfc3339(), "2026-03-01T08:00:00+08:00", "the time of the specimen");
    assert!(near(one(&decoded, Metric::UricAcid).value.unwrap(), 6.0 * 1000.0 / 16.811));
    assert_eq!(decoded.readings.len(), 3);
    let kept: Vec<_> = results(&decoded).iter().map(|result| result["code"].as_str().unwrap()).collect();
    assert_eq!(kept, ["CRP", "TG", "CHOL", "GLU"], "no metric, no unit, withdrawn, no number");
}

#[test]
fn sugar_in_urine_is_not_blood_sugar() {
    let urine = read("astm", b"H|\\^&\rP|1|7\rO|1|S||^^^GLU|||||||||||U\rR|1|^^^GLU|5.6|mmol/L\rL|1\r").unwrap();
    assert!(urine.readings.is_empty() && results(&urine).len() == 1);
}

#[test]
fn a_unit_that_nobody_said_is_doubted() {
    let message = b"H|\\^&\rP|1|7\rR|1|^^^GLU|90\rL|1\r";
    assert_eq!(one(&read("astm", message).unwrap(), Metric::Glucose).quality, Quality::UnitSuspect);
    let set = (find("astm").unwrap().decode)(message, &settings(r#"{"glucose_unit": "mg/dL"}"#)).unwrap();
    let glucose = one(&set, Metric::Glucose);
    assert_eq!(glucose.quality, Quality::Ok);
    assert!(near(glucose.value.unwrap(), 4.995_670));
}

#[test]
fn nasty_60_names_in_gb18030_do_not_break_the_fields() {
    if nasty(60).is_none() {
        return;
    }
    // 刘 is C1F5; 珅 is AC7C in GBK, whose second byte is the field delimiter.
    let message = b"H|\\^&\rP|1|7|||\xC1\xF5\xAB\x7C|\rR|1|^^^\xC6\xCF\xCC\xD1\xCC\xC7|5.6|mmol/L\rL|1\r";
    let with = settings(r#"{"text": "gb18030"}"#);
    let records = astm_records(message, &with).unwrap();
    assert!(records[1][5].as_str().unwrap().starts_with('刘'), "{records}");
    assert_eq!(records[1].as_array().unwrap().len(), 7, "the name stays one field: {records}");
    let decoded = (find("astm").unwrap().decode)(message, &with).unwrap();
    assert_eq!(values(&decoded), [(Metric::Glucose, Some(5.6))], "葡萄糖");
    assert!(!decoded.to_json().to_string().contains('刘'), "names are not taken over");
}
