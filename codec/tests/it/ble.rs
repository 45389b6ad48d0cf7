//! Bluetooth LE characteristics: nasty cases, and what the services say beyond the published vectors.

mod gatt;

use serde_json::{Value, json};
use vigil_codec::ble::e2e_crc;
use vigil_codec::ble::ieee11073::{Number, Special, sfloat};
use vigil_codec::{Bound, Decoded, Malformed, Measured, Settings, find};

use crate::vectors::{nasty, unhex};

/// Decodes with the usual settings.
fn decode(name: &str, hex: &str) -> Result<Decoded, Malformed> {
    (find(name).unwrap().decode)(&unhex(hex), &Settings::default())
}

/// `metric quality value` of every reading.
fn told(decoded: &Decoded) -> Vec<String> {
    let value = |reading: &Measured| reading.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
    decoded.readings.iter().map(|r| format!("{} {} {}", r.metric, r.quality.slug(), value(r))).collect()
}

/// The bytes of a nasty case, checked against the file where it is there.
fn case(number: u32, hex: &str) -> Vec<u8> {
    if let Some(row) = nasty(number) {
        assert_eq!(row["payload"], hex, "nasty-{number:02} has changed");
    }
    unhex(hex)
}

fn of_case(number: u32, name: &str, hex: &str) -> Result<Decoded, Malformed> {
    (find(name).unwrap().decode)(&case(number, hex), &Settings::default())
}

#[test]
fn special_values_are_never_numbers() {
    let failed = of_case(1, "ble:2a35", "00ff07ff07ff07").unwrap();
    assert!(failed.readings.iter().all(|reading| reading.value.is_none()));
    assert_eq!(failed.events[0].kind.slug(), "measurement_failed");
    let finger = of_case(2, "ble:2a5f", "0000084800").unwrap();
    assert_eq!(told(&finger), ["spo2 special_value -", "pulse_rate ok 72.0"]);
    let infinite = of_case(3, "ble:2a35", "00fe0702080208").unwrap();
    assert_eq!(told(&infinite)[0], "systolic special_value -");
    assert!(infinite.readings.iter().all(|reading| reading.value.is_none()));
    let lost = of_case(4, "ble:2a37", "04ff").unwrap();
    assert_eq!(told(&lost), ["heart_rate sensor_off -"]);
    assert_eq!(told(&decode("ble:2a37", "0000").unwrap()), ["heart_rate sensor_off -"]);
    let unweighed = of_case(6, "ble:2a9d", "00ffff").unwrap();
    assert_eq!(told(&unweighed), ["weight measurement_failed -"]);
    let no_fat = of_case(7, "ble:2a9c", "0000ffff").unwrap();
    assert_eq!(told(&no_fat), ["body_fat measurement_failed -"]);
    for (special, bits) in [
        (Special::NotANumber, 0x07FF),
        (Special::NotAtResolution, 0x0800),
        (Special::PlusInfinity, 0x07FE),
        (Special::MinusInfinity, 0x0802),
        (Special::Reserved, 0x0801),
    ] {
        assert_eq!(sfloat(bits), Number::Special(special));
    }
}

#[test]
fn a_promised_field_that_is_missing_spoils_the_frame_and_a_tail_does_not() {
    assert!(matches!(of_case(12, "ble:2a35", "03020304050607"), Err(Malformed::Short(_))));
    assert!(matches!(of_case(13, "ble:2a37", "170101"), Err(Malformed::Short(_))));
    assert!(of_case(14, "ble:2a34", "0001000000000000000000000000000000").unwrap().readings.is_empty());
}

#[test]
fn cgm_records_are_walked_and_their_checksum_counts() {
    let _ = (nasty(15), nasty(16));
    let two = decode("ble:2aa7", "06000c10050006000c100600").unwrap();
    assert_eq!(told(&two), ["glucose_interstitial ok 6.7", "glucose_interstitial ok 6.7"]);
    let mut record = unhex("08000c100500");
    let crc = e2e_crc(&record);
    record.extend(crc.to_le_bytes());
    let cgm = find("ble:2aa7").unwrap();
    let secured = Settings { cgm_crc: true, ..Settings::default() };
    assert_eq!(told(&(cgm.decode)(&record, &secured).unwrap()), ["glucose_interstitial ok 6.7"]);
    record[6] ^= 1;
    for settings in [&secured, &Settings::default()] {
        assert!(matches!((cgm.decode)(&record, settings), Err(Malformed::Checksum { .. })));
    }
    assert!(matches!((cgm.decode)(&unhex("06000c100500"), &secured), Err(Malformed::Short(_))), "checksum is missing");
}

/// Case 54: what a sensor under the skin says at either end of its range is a bound.
#[test]
fn a_cgm_at_its_end_gives_a_bound() {
    for (record, bound) in [
        ("060028000500", Some(Bound::AtMost)),
        ("060004100500", Some(Bound::AtMost)),
        ("060028100500", Some(Bound::AtLeast)),
        ("060029000500", None),
    ] {
        let decoded = decode("ble:2aa7", record).unwrap();
        assert_eq!(decoded.readings[0].bound, bound, "{record}: {:?}", decoded.readings);
    }
}

#[test]
fn times_that_are_not_known_or_cannot_be_are_said_and_cost_no_value() {
    let unknown = of_case(28, "ble:2a35", "1e8a00580078000000041114293b3c00012700").unwrap();
    assert_eq!(unknown.readings[0].at, None);
    assert_eq!(told(&unknown)[0], "systolic motion 138.0");
    let reset = of_case(29, "ble:2a9d", "02b036d0070101000005").unwrap();
    assert!(reset.readings[0].at.unwrap().suspect);
    assert_eq!(told(&reset), ["weight clock_suspect 70.0"]);
    assert_eq!(reset.to_json()["readings"][0]["taken_at"], Value::Null);
    let impossible = of_case(30, "ble:2a9d", "02b036ea070d00180000").unwrap();
    assert_eq!((told(&impossible), impossible.readings[0].at), (vec!["weight clock_suspect 70.0".to_owned()], None));
    // Five minutes back over midnight and the end of the year.
    let _ = nasty(32);
    let offset = decode("ble:2a18", "030700ea070101000200fbffeec1f8").map(|d| d.readings[0].at.unwrap().rfc3339());
    assert_eq!(offset.unwrap(), "2025-12-31T23:57:00+08:00");
}

#[test]
fn units_are_converted_once_and_doubted_where_they_cannot_be() {
    let kpa = of_case(38, "ble:2a35", "15bdf00b009ff03c001200").unwrap();
    assert_eq!(told(&kpa)[0], "systolic ok 141.8");
    assert_eq!(kpa.readings[0].raw.as_ref().map(|raw| (raw.text.as_str(), raw.unit)), Some(("18.9", "kPa")));
    let flag = of_case(39, "ble:2a35", "00bdf00b009ff0").unwrap();
    assert_eq!(told(&flag)[..2], ["systolic unit_suspect 18.9", "diastolic unit_suspect 11.0"]);
    let heavy = of_case(40, "ble:2a18", "1b0100e307021b0b0a1efbff1e00120501").unwrap();
    assert_eq!(heavy.readings[0].quality.slug(), "out_of_range");
    let _ = nasty(41);
    // 56 x 10^-4 mol/L, no time offset.
    let moles = decode("ble:2a18", "060100ea0701020304053 8c011".replace(' ', "").as_str()).unwrap();
    assert_eq!(told(&moles), ["glucose ok 5.6"]);
    let crossed = of_case(47, "ble:2a35", "00500078006400").unwrap();
    assert!(crossed.readings.iter().all(|reading| reading.quality.slug() == "out_of_range"));
    let battery = of_case(48, "ble:2a19", "65").unwrap();
    assert_eq!(told(&battery), ["battery absent -"]);
    let beats = of_case(50, "ble:2a37", "1f0101320101000201ffff").unwrap();
    assert_eq!(told(&beats), ["heart_rate ok 257.0", "rr_interval out_of_range 1.0", "rr_interval ok 252.0"]);
    assert_eq!(beats.device.other["rr_dropped"], 1);
}

#[test]
fn an_unknown_user_is_said_and_nobody_is_guessed() {
    let _ = nasty(59);
    let unknown = decode("ble:2a9d", "04b036ff").unwrap();
    assert_eq!((unknown.device.person.as_deref(), &unknown.device.other["person_unknown"]), (None, &json!(true)));
    assert_eq!(decode("ble:2a9d", "04b03602").unwrap().device.person.as_deref(), Some("2"));
}

#[test]
fn glucose_of_control_solution_and_beyond_the_range() {
    let control = decode("ble:2a18", "060100ea07010203040538c01a").unwrap();
    assert_eq!(told(&control), ["glucose absent -"]);
    let high = decode("ble:2a18", "0e0100ea070102030405fe07112000").unwrap();
    assert_eq!(told(&high), ["glucose over_range -"]);
    for (frame, as_read) in [
        ("0e0100ea070102030405ff07114000", "LO in words, no number"),
        ("060100ea07010203040502081100", "LO as -INF"),
        ("080100ea0701020304054000", "LO, no result"),
    ] {
        assert_eq!(told(&decode("ble:2a18", frame).unwrap()), ["glucose under_range -"], "{as_read}");
    }
    let control_low = decode("ble:2a18", "0e0100ea070102030405ff071a4000").unwrap();
    assert_ne!(told(&control_low), ["glucose under_range -"]);
    let wrong_strip = decode("ble:2a18", "0e0100ea070102030405ff07115000").unwrap();
    assert_ne!(told(&wrong_strip), ["glucose under_range -"]);
    let doubtful = decode("ble:2a18", "0e0100ea07010203040538c0110400").unwrap();
    assert_eq!(told(&doubtful), ["glucose questionable 5.6"]);
    let without = decode("ble:2a18", "080100ea0701020304050400").unwrap();
    assert_eq!((told(&without), without.events[0].code), (vec!["glucose measurement_failed -".to_owned()], Some(4)));
    assert_eq!(
        decode("ble:2a34", "400500 3ef0".replace(' ', "").as_str()).map(|d| told(&d)).unwrap(),
        ["hba1c ok 6.2"]
    );
}

#[test]
fn oximeters_and_thermometers_say_where_and_how_well() {
    let off = decode("ble:2a5e", "0461004800000800").unwrap();
    assert_eq!(told(&off), ["spo2 sensor_off -", "pulse_rate sensor_off -"]);
    let stored = decode("ble:2a5e", "1361004800ea07010203040500 02".replace(' ', "").as_str()).unwrap();
    assert!(stored.stored && stored.readings[0].at.unwrap().suspect, "bit 4: the clock is not set");
    let invalid = decode("ble:2a5f", "04610048000080").unwrap();
    assert_eq!(told(&invalid)[0], "spo2 measurement_failed -");
    let doubtful = decode("ble:2a5f", "04610048000040").unwrap();
    assert_eq!(told(&doubtful)[0], "spo2 questionable 97.0");
    let ear = decode("ble:2a1c", "04 6d0100ff 03".replace(' ', "").as_str()).unwrap();
    assert_eq!(ear.to_json()["readings"][0]["site"], "ear");
    assert_eq!(told(&ear), ["body_temperature ok 36.5"]);
    let finger = decode("ble:2a1c", "04 010100ff 04".replace(' ', "").as_str()).unwrap();
    assert_eq!(told(&finger), ["skin_temperature ok 25.7"]);
    let fahrenheit = decode("ble:2a1c", "01 da0300ff".replace(' ', "").as_str()).unwrap();
    assert_eq!(told(&fahrenheit), ["body_temperature ok 37.0"]);
}
