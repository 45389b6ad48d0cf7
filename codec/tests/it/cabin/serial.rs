//! Serial devices: vectors, nasty cases, and each device's own lines.

use model::{Metric, Quality};
use serde_json::{Value, json};

use super::{failed, feed, frames, one, read, results, values};
use crate::vectors::{Outcome, nasty, near, tally, unhex};

fn judge(row: &Value) -> Outcome {
    if !row["device"].as_str().unwrap().starts_with("BCM-H10") {
        return Outcome::Unsupported;
    }
    let (bytes, expected) = (unhex(row["hex"].as_str().unwrap()), &row["expected"]);
    let found = feed("serial:bcm-h10", &[&bytes]);
    let agrees = match frames(&found)[..] {
        [frame] => {
            let decoded = read("serial:bcm-h10", frame).unwrap();
            // "Sum + 1": their sum runs over all bytes, and A5 + 5A is 255.
            let all = bytes[..bytes.len() - 1].iter().fold(1_u8, |sum, byte| sum.wrapping_add(*byte));
            let computed = u8::from_str_radix(expected["computed"].as_str().unwrap(), 16).unwrap();
            decoded.device.other["command"] == expected["cmd"]
                && expected["checksum_ok_sum_plus_1"] == json!(all == computed && bytes.last() == Some(&computed))
        }
        _ => false,
    };
    if agrees { Outcome::Agrees } else { Outcome::Disagrees(format!("expected {expected}, came {found:?}")) }
}

#[test]
fn serial_vectors() {
    tally("serial_devices.jsonl", &[], judge);
}

#[test]
fn the_bcm_h10_carries_the_person_and_refuses_a_wrong_sum() {
    let decoded = read("serial:bcm-h10", &unhex("a55a0901374d1d0690026fb2")).unwrap();
    assert_eq!(values(&decoded), [(Metric::Height, Some(168.0)), (Metric::Weight, Some(62.3))]);
    assert_eq!((&decoded.device.other["sex"], &decoded.device.other["age"]), (&json!("male"), &json!(29)));
    // A wrong sum, dirt with half a beginning, then two good frames.
    let stream = unhex("a55a0901374d1d0690026fb3a5a55aa55a0303353ba55a0403380140");
    let found = feed("serial:bcm-h10", &[&stream]);
    assert_eq!(frames(&found).len(), 2, "{found:?}");
}

#[test]
fn nasty_11_blanks_of_a_cuff_are_a_failure() {
    let Some(row) = nasty(11) else { return };
    let line = row["payload"].as_str().unwrap().replace("\\r\\n", "\r\n");
    let found = feed("serial:hbp9030", &[line.as_bytes()]);
    let decoded = read("serial:hbp9030", frames(&found)[0]).unwrap();
    failed(&decoded, 2);
    assert_eq!(decoded.device.person, None, "an id of zeros is nobody");
}

#[test]
fn the_hbp9030_is_read_by_its_53_bytes() {
    let line = "2026,03,01,08,15,00000000000000001001,0,128, 82, 71,1";
    let decoded = read("serial:hbp9030", line.as_bytes()).unwrap();
    let read_values =
        [(Metric::Systolic, Some(128.0)), (Metric::Diastolic, Some(82.0)), (Metric::PulseRate, Some(71.0))];
    assert_eq!(values(&decoded), read_values);
    assert_eq!(decoded.readings[0].at.unwrap().rfc3339(), "2026-03-01T08:15:00+08:00");
    assert!(decoded.readings.iter().all(|reading| reading.quality == Quality::Motion), "the person moved");
    assert_eq!(decoded.device.person.as_deref(), Some("00000000000000001001"));
    for bad in [&line[..52], &line.replace("128", "12x"), &line.replace(", 71", " 71,"), &format!("{line} ")[1..]] {
        assert!(read("serial:hbp9030", bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn nasty_25_both_ends_of_a_line_are_taken() {
    if nasty(25).is_none() {
        return;
    }
    let line = "bp,00000000000000001001,2026/03/01,08:15,128, 96, 82, 71,0";
    for (ends, count) in [("\r", 2), ("\r\n", 2), ("\n", 2)] {
        let found = feed("serial:hbp9020", &[format!("{line}{ends}{line}{ends}").as_bytes()]);
        assert_eq!(frames(&found).len(), count, "{ends:?}");
        let decoded = read("serial:hbp9020", frames(&found)[1]).unwrap();
        assert_eq!(
            values(&decoded),
            [
                (Metric::Systolic, Some(128.0)),
                (Metric::MeanArterialPressure, Some(96.0)),
                (Metric::Diastolic, Some(82.0)),
                (Metric::PulseRate, Some(71.0)),
            ]
        );
    }
    failed(&read("serial:hbp9020", b"bp,1001,2026/03/01,08:15,  0,  0,  0,  0,E3").unwrap(), 3);
    // A line that somebody recorded: 3 stands beside good values, so it is no error.
    let recorded = read("serial:hbp9020", b"bp,99999999999999999999,2023/04/27,15:06,140,098,077,068,3\r\n").unwrap();
    assert_eq!(recorded.readings.len(), 4);
    assert!(recorded.readings.iter().all(|reading| reading.value.is_some() && reading.quality == Quality::Motion));
    let other_mode = read("serial:hbp9020", b"\x02 260301 0815 128 82 71\x03").unwrap();
    assert_eq!(one(&other_mode, Metric::Systolic).at.unwrap().rfc3339(), "2026-03-01T08:15:00+08:00");
}

#[test]
fn cuffs_with_impossible_numbers_or_dates_are_doubted() {
    let decoded = read("serial:hbp9020", b"bp,1001,2026/13/01,08:15,128, 96, 82, 71,0").unwrap();
    assert!(decoded.readings.iter().all(|r| r.value.is_some() && r.quality == Quality::ClockSuspect && r.at.is_none()));
    let decoded = read("serial:bp500", b"\x02R1,1001,260301,081500,18.9,13.6,11.0,72,0\x03\x5A").unwrap();
    assert_eq!(one(&decoded, Metric::Systolic).quality, Quality::UnitSuspect);
    assert_eq!(one(&decoded, Metric::PulseRate).quality, Quality::Ok);
}

#[test]
fn a_cuff_prints_no_pressure_that_nobody_has() {
    for (line, quality) in [
        ("bp,00000000000000000000,2026/03/01,08:15,999,120, 82, 71,0", Quality::OutOfRange),
        ("bp,00000000000000000000,2026/03/01,08:15,18.9,14.1,11.0, 71,0", Quality::UnitSuspect),
        ("bp,00000000000000000000,2026/03/01,08:15,128, 99, 82, 71,0", Quality::Ok),
    ] {
        let decoded = read("serial:hbp9020", line.as_bytes()).unwrap();
        let systolic = one(&decoded, Metric::Systolic);
        assert_eq!((systolic.value.is_some(), systolic.quality), (true, quality), "{line}");
    }
}

#[test]
fn numbers_that_the_hbp9030_cannot_measure_are_not_judged() {
    let decoded = read("serial:hbp9030", b"2026,03,01,08,15,00000000000000001001,0,270, 82, 71,0").unwrap();
    assert_eq!(one(&decoded, Metric::Systolic).quality, Quality::OutOfRange);
    assert_eq!(one(&decoded, Metric::Diastolic).quality, Quality::Ok);
    let signed = b"2026,03,01,08,15,00000000000000001001,0,+12, 82, 71,0";
    assert!(read("serial:hbp9030", signed).is_err(), "no sign in three digits");
}

#[test]
fn the_tm2657_names_its_values_by_letters() {
    let block = b"\x02A\x1EB\x1EC\x1ED\x1EE\x1ES128\x1EM 96\x1ED 82\x1EP 71\x1E\x03";
    let decoded = read("serial:tm2657", frames(&feed("serial:tm2657", &[block]))[0]).unwrap();
    assert_eq!(one(&decoded, Metric::Systolic).value, Some(128.0));
    assert_eq!(one(&decoded, Metric::Diastolic).value, Some(82.0));
    assert_eq!(one(&decoded, Metric::PulseRate).value, Some(71.0));
    // Four fields in front: every value would be taken for its neighbour.
    assert!(read("serial:tm2657", b"\x02B\x1EC\x1ED\x1EE\x1ES128\x1EM 96\x1ED 82\x1EP 71\x1E\x03").is_err());
}

#[test]
fn the_bp500_needs_its_check_byte() {
    // A block that somebody recorded, but for the check byte.
    let recorded = b"\x02R1,000000000,210427,153000,128,097,082,084,0000,0000,00000,000\x03\xE4";
    let decoded = read("serial:bp500", frames(&feed("serial:bp500", &[recorded]))[0]).unwrap();
    assert_eq!(one(&decoded, Metric::MeanArterialPressure).value, Some(97.0));
    assert_eq!(decoded.readings[0].at.unwrap().rfc3339(), "2021-04-27T15:30:00+08:00");
    let block = b"\x02R1,1001,260301,081500,128,96,82,71,0\x03\x5A";
    assert_eq!(frames(&feed("serial:bp500", &[block])), [block]);
    assert!(frames(&feed("serial:bp500", &[&block[..block.len() - 1]])).is_empty());
    let decoded = read("serial:bp500", block).unwrap();
    assert_eq!(one(&decoded, Metric::Diastolic).value, Some(82.0));
    assert_eq!(decoded.device.person.as_deref(), Some("1001"));
}

#[test]
fn nasty_24_a_scale_that_moves_is_not_read() {
    let Some(row) = nasty(24) else { return };
    let line = row["payload"].as_str().unwrap().replace("\\r\\n", "\r\n");
    let found = feed("serial:scale", &[line.as_bytes()]);
    let decoded = read("serial:scale", frames(&found)[0]).unwrap();
    assert!(decoded.readings.is_empty() && decoded.device.other["stable"] == false);
}

#[test]
fn scales_say_stable_overloaded_or_empty() {
    for (line, kg) in [
        ("ST,GS,+0072.500  kg", 72.5),
        ("ST,NT,+ 072.500kg", 72.5),
        ("ST,GS,+0159.840  lb", 159.84 * 0.453_592_37),
        ("ST,GS,+0145.00 jin", 72.5),
    ] {
        let weight = read("serial:scale", line.as_bytes()).unwrap();
        assert!(near(one(&weight, Metric::Weight).value.unwrap(), kg), "{line}");
    }
    let overload = read("serial:scale", b"OL,GS,+9999.999  kg").unwrap();
    assert_eq!((overload.readings[0].value, overload.readings[0].quality), (None, Quality::OverRange));
    for empty in ["ST,GS,+0000.000  kg", "ST,GS,-0000.020  kg"] {
        assert!(read("serial:scale", empty.as_bytes()).unwrap().readings.is_empty(), "{empty}");
    }
    assert_eq!(read("serial:scale", b"ST,GS,+0072.500").unwrap().readings[0].quality, Quality::UnitSuspect);
    let pieces = read("serial:scale", b"ST,GS,+0012 pcs").unwrap();
    assert!(pieces.readings.is_empty() && results(&pieces)[0]["unit"] == "pcs");
}

#[test]
fn nasty_26_control_bytes_in_printer_text_are_ignored() {
    if nasty(26).is_none() {
        return;
    }
    // A printout that somebody recorded.
    let print =
        b"\0\r\nGENDER   ---- FEMALE\r\nWEIGHT   ---- 90.05 kg\r\nSTANDARD ---- 74.69 kg\r\nHEIGHT   ---- 188.6 cm\r\n\
        B  M  I  ----  25.3   \r\nFATNESS  ---- 120.5 % \r\nMARKS    ---- FATTY\r\n\x1bT\0";
    let found = feed("serial:gtech", &[print]);
    let decoded: Vec<_> = frames(&found).into_iter().map(|frame| read("serial:gtech", frame)).collect();
    assert!(decoded.iter().all(Result::is_ok), "{decoded:?}");
    let read_values: Vec<_> = decoded.iter().flatten().flat_map(values).collect();
    assert_eq!(read_values, [(Metric::Weight, Some(90.05)), (Metric::Height, Some(188.6)), (Metric::Bmi, Some(25.3))]);
    let kept: Vec<_> = decoded.iter().flatten().flat_map(|d| results(d).to_vec()).map(|r| r["name"].clone()).collect();
    assert_eq!(kept, ["GENDER", "STANDARD", "FATNESS", "MARKS"], "a table's standard weight is not the person's");
    let block = read("serial:gtech", b"\x02168.0,72.5,0,0,25.7\x03").unwrap();
    assert_eq!(
        values(&block),
        [(Metric::Height, Some(168.0)), (Metric::Weight, Some(72.5)), (Metric::Bmi, Some(25.7))]
    );
    assert_eq!(values(&read("serial:gtech", b"\x02168.0,0.0,0,0,0\x03").unwrap()), [(Metric::Height, Some(168.0))]);
}

#[test]
fn nasty_45_results_of_a_strip_stay_words() {
    if nasty(45).is_none() {
        return;
    }
    let print = b"\x02\r\nDate :2026-03-01 08:15\r\nID_NO:0001-1001\r\nGLU   +++  500 mg/dl\r\nBLD   neg\r\nS.G   >=1.030\r\n\r\n\x03";
    let found = feed("serial:uriscan", &[print]);
    let decoded = read("serial:uriscan", frames(&found)[0]).unwrap();
    assert!(decoded.readings.is_empty(), "no number comes out of a strip");
    let told: Vec<_> =
        results(&decoded).iter().map(|r| (r["name"].as_str().unwrap(), r["value"].as_str().unwrap())).collect();
    assert_eq!(told, [("GLU", "+++ 500 mg/dl"), ("BLD", "neg"), ("S.G", ">=1.030")]);
    assert_eq!(decoded.device.person.as_deref(), Some("1001"));
    assert_eq!((decoded.device.clock, &decoded.device.other["date"]), (None, &json!("2026-03-01 08:15")));
}
