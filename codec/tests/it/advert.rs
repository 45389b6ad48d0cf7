//! Bluetooth LE advertisements: published vectors and nasty cases.

use model::{Metric, Quality};
use serde_json::{Map, Value, json};
use vigil_codec::{Decoded, Malformed, Measured, Settings, find};

use crate::vectors::{Known, Outcome, nasty, near, tally, unhex};

fn settings(value: &Value) -> Settings {
    serde_json::from_value(value.clone()).unwrap()
}

fn decode(codec: &str, hex: &str, with: &Value) -> Result<Decoded, Malformed> {
    (find(codec).unwrap().decode)(&unhex(hex), &settings(with))
}

/// The upstream's word for a reading.
fn word(reading: &Measured) -> &'static str {
    match reading.metric {
        Metric::RoomTemperature | Metric::BodyTemperature | Metric::SkinTemperature => "temperature",
        Metric::RoomHumidity => "humidity",
        Metric::Battery => "battery",
        Metric::Weight => "mass",
        Metric::HeartRate => "heart_rate",
        Metric::BodyImpedance => "impedance",
        other => panic!("{other} comes from no advertisement"),
    }
}

/// The upstream's unit in UCUM.
fn unit(theirs: &str) -> &str {
    match theirs {
        "°C" => "Cel",
        "ohm" => "Ohm",
        "bpm" => "/min",
        "°" => "deg",
        "°/s" => "deg/s",
        "µS/cm" => "uS/cm",
        "mg/m³" => "mg/m3",
        "μg/m³" | "µg/m³" => "ug/m3",
        "m³/h" => "m3/h",
        "m/s²" => "m/s2",
        "kWh" => "kW.h",
        "ppm" => "[ppm]",
        "mbar" => "hPa",
        same => same,
    }
}

/// All values under one upstream word, in order, each with its unit.
fn said(decoded: &Decoded, wanted: &str) -> Vec<(Value, String)> {
    let readings = decoded.readings.iter().filter(|reading| word(reading) == wanted);
    let mut found: Vec<(Value, String)> =
        readings.map(|reading| (json!(reading.value), reading.metric.info().unit.to_owned())).collect();
    for value in decoded.device.other.get(wanted).into_iter().flat_map(|value| match value {
        Value::Array(values) => values.clone(),
        one => vec![one.clone()],
    }) {
        let unit = value["unit"].as_str().unwrap_or_default().to_owned();
        found.push((
            if value.is_object() && value.get("value").is_some() { value["value"].clone() } else { value },
            unit,
        ));
    }
    found
}

/// `voltage_2` is the second voltage; `pm25` is a word.
fn numbered(key: &str) -> (&str, usize) {
    match key.rsplit_once('_') {
        Some((word, number)) if matches!(number, "1" | "2" | "3") => (word, number.parse::<usize>().unwrap() - 1),
        _ => (key, 0),
    }
}

/// Where the upstream's word has another name here.
fn ours(word: &str) -> &str {
    match word {
        "impedance_low" => "impedance",
        same => same,
    }
}

fn same(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_f64(), ours.as_f64()) {
        (Some(theirs), Some(ours)) => near(ours, theirs),
        // One of the upstream's states is a number.
        (Some(theirs), None) => ours.as_bool() == Some(theirs != 0.0),
        // A time: both are UTC.
        _ => theirs == ours || theirs.as_str().is_some_and(|text| ours == &json!(text.replace("+00:00", "Z"))),
    }
}

fn values(expected: &Value, decoded: &Decoded, wrong: &mut Vec<String>) {
    let none = Map::new();
    let wanted = expected["values"].as_object().unwrap_or(&none);
    for (key, value) in wanted.iter().filter(|(key, _)| *key != "signal_strength") {
        let (name, index) = numbered(key);
        let mut found = said(decoded, ours(name));
        if found.is_empty() && name == "mass_non_stabilized" {
            // The upstream repeats the stable value under this name.
            found = said(decoded, "mass");
        }
        match found.get(index) {
            Some((got, in_unit)) if same(value, got) => {
                let theirs = unit(expected["units"][key].as_str().unwrap_or_default());
                if !in_unit.is_empty() && in_unit != theirs {
                    wrong.push(format!("{key} is in {theirs}, came in {in_unit}"));
                }
            }
            other => wrong.push(format!("{key} is {value}, came {:?}", other.map(|(got, _)| got))),
        }
    }
    for reading in &decoded.readings {
        let name = word(reading);
        let known = wanted.keys().any(|key| ours(numbered(key).0) == name);
        if !known {
            wrong.push(format!("{name} was not to come"));
        }
    }
}

fn states(expected: &Value, decoded: &Decoded, wrong: &mut Vec<String>) {
    for (key, state) in expected["binary"].as_object().into_iter().flatten() {
        let found = said(decoded, key);
        if !found.iter().any(|(got, _)| same(state, got)) {
            wrong.push(format!("{key} is {state}, came {found:?}"));
        }
    }
}

fn events(expected: &Value, decoded: &Decoded, wrong: &mut Vec<String>) {
    for (key, event) in expected["events"].as_object().into_iter().flatten() {
        let (name, index) = numbered(key);
        let mut found = said(decoded, &format!("{name}_event"));
        if found.is_empty() {
            found = said(decoded, name);
        }
        let mut wanted = event["props"].as_object().cloned().unwrap_or_default();
        let plain = wanted.is_empty();
        wanted.insert("type".to_owned(), event["type"].clone());
        let wanted = if plain { event["type"].clone() } else { Value::Object(wanted) };
        if found.get(index).map(|(got, _)| got) != Some(&wanted) {
            wrong.push(format!("{key} is {wanted}, came {found:?}"));
        }
    }
    // What the upstream does not call an event must not look like a press.
    let pressed = decoded.device.other.iter().filter(|(name, _)| name.starts_with("button"));
    for (name, value) in pressed.filter(|(_, value)| value.is_string() || value.is_array()) {
        if expected["events"].as_object().is_none_or(|events| !events.keys().any(|key| numbered(key).0 == *name)) {
            wrong.push(format!("{name} {value} was not to come"));
        }
    }
}

fn judge(row: &Value) -> Outcome {
    let services = row["service_data"].as_object().unwrap();
    let codecs = [("fcd2", "bthome"), ("fe95", "mibeacon"), ("181d", "miscale"), ("181b", "miscale")];
    let found = codecs.iter().find_map(|(uuid, codec)| {
        Some((*codec, services.iter().find(|(full, _)| &full[4..8] == *uuid)?.1.as_str().unwrap()))
    });
    let Some((codec, hex)) = found else { return Outcome::Unsupported };
    let mut with = json!({ "address": row["address"] });
    if let Some(key) = row["bindkey"].as_str() {
        with["key"] = key.into();
    }
    let expected = &row["expected"];
    let silent = expected["values"].as_object().unwrap().keys().all(|key| key == "signal_strength")
        && expected["binary"].is_null()
        && expected["events"].is_null();
    let decoded = match decode(codec, hex, &with) {
        // Wrong, missing or evaded key: the upstream says nothing then.
        Err(Malformed::Key(_)) if silent && !row["bindkey_verified"].as_bool().unwrap() => return Outcome::Agrees,
        Err(why) => return Outcome::Disagrees(why.to_string()),
        Ok(decoded) => decoded,
    };
    let mut wrong = Vec::new();
    if decoded.device.id.as_deref() != row["address"].as_str() {
        wrong.push(format!("the address is {}, came {:?}", row["address"], decoded.device.id));
    }
    values(expected, &decoded, &mut wrong);
    states(expected, &decoded, &mut wrong);
    events(expected, &decoded, &mut wrong);
    if wrong.is_empty() { Outcome::Agrees } else { Outcome::Disagrees(wrong.join("; ")) }
}

#[test]
fn xiaomi_vectors() {
    let known = [
        Known {
            supported: true,
            ids: &["xiaomi-029"],
            why: "wrong oracle for one frame: the upstream adds up what four advertisements said",
        },
        Known {
            supported: true,
            ids: &["xiaomi-118"],
            why: "wrong oracle: the upstream computes the voltage from the percentage; the device did not measure it",
        },
    ];
    tally("xiaomi_mibeacon_adv.jsonl", &known, judge);
}

#[test]
fn bthome_vectors() {
    let known = [Known {
        supported: true,
        ids: &["bthome-010"],
        why: "the upstream remembers the packet before; here the link drops a packet id that is not newer",
    }];
    tally("bthome_v2_adv.jsonl", &known, judge);
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f";
/// An encrypted MiBeacon v5 with this key: battery 87 %.
const SEALED: &str = "5858bf071101bf0738c1a4e7ba87020200003097f3ab";

#[test]
fn nasty_36_copies_of_an_advertisement_have_one_counter() {
    if nasty(36).is_none() {
        return;
    }
    let counters =
        |codec, frames: [&str; 3], with: Value| frames.map(|frame| decode(codec, frame, &with).unwrap().device.counter);
    let [one, copy, next] = counters("bthome", ["40000901 5d", "40000901 5d", "40000a01 5d"].map(unspaced), json!({}));
    assert_eq!((one, copy, next), (Some(9), Some(9), Some(10)));
    // The packet id of a sealed frame starts again at 256; its counter does not.
    let sealed = decode("mibeacon", SEALED, &json!({ "key": KEY, "address": "A4:C1:38:07:BF:01" })).unwrap();
    assert_eq!(sealed.device.counter, Some(0x0000_0211));
    assert_eq!(sealed.readings[0].value, Some(87.0));
}

fn unspaced(text: &str) -> &'static str {
    text.replace(' ', "").leak()
}

#[test]
fn nasty_43_jin_and_pounds_are_converted_and_kept() {
    if nasty(43).is_none() {
        return;
    }
    // 145.00 jin, 159.84 lb and 72.5 kg, by both forms of the scale.
    for (frame, kg, raw, unit) in [
        ("30a438ea070301080f00", 72.5, "145.00", "{jin}"),
        ("21703eea070301080f00", 159.84 * 0.453_592_37, "159.84", "[lb_av]"),
        ("22a438ea070301080f00", 72.5, "72.500", "kg"),
        ("0264ea070301080f000000a438", 72.5, "145.00", "{jin}"),
        ("0324ea070301080f000000703e", 159.84 * 0.453_592_37, "159.84", "[lb_av]"),
    ] {
        let decoded = decode("miscale", frame, &json!({})).unwrap();
        let [weight] = &decoded.readings[..] else { panic!("{frame}: {:?}", decoded.readings) };
        assert!(near(weight.value.unwrap(), kg), "{frame}: {weight:?}");
        let kept = weight.raw.as_ref().unwrap();
        assert_eq!((kept.text.as_str(), kept.unit), (raw, unit), "{frame}");
        assert_eq!(weight.at.unwrap().rfc3339(), "2026-03-01T08:15:00+08:00");
    }
}

#[test]
fn a_scale_that_moves_or_is_left_says_no_weight() {
    for (frame, why) in [
        ("02a438ea070301080f00", "not stable"),
        ("a2a438ea070301080f00", "stable and removed"),
        ("0206ea070301080f00f401a438", "not stable, with impedance"),
        ("02a6ea070301080f00f401a438", "removed, with impedance"),
    ] {
        let decoded = decode("miscale", frame, &json!({})).unwrap();
        assert!(decoded.readings.is_empty(), "{why}: {:?}", decoded.readings);
        assert_eq!(decoded.device.other["mass_non_stabilized"], json!(72.5));
    }
    let valid = decode("miscale", "0226ea070301080f00f401a438", &json!({})).unwrap();
    let read: Vec<_> = valid.readings.iter().map(|r| (r.metric, r.value)).collect();
    assert_eq!(read, [(Metric::Weight, Some(72.5)), (Metric::BodyImpedance, Some(500.0))]);
    let invalid = decode("miscale", "0224ea070301080f00f401a438", &json!({})).unwrap();
    assert_eq!(invalid.readings.len(), 1, "impedance that is not marked valid is no reading");
}

#[test]
fn a_scale_whose_clock_was_never_set_is_said_to_doubt() {
    let never = decode("miscale", "22a438b20701010a1a15", &json!({})).unwrap();
    assert_eq!(never.readings[0].quality, Quality::ClockSuspect);
    assert_eq!(never.readings[0].value, Some(72.5));
    let impossible = decode("miscale", "22a438ea070d01080f00", &json!({})).unwrap();
    assert_eq!((impossible.readings[0].quality, impossible.readings[0].at), (Quality::ClockSuspect, None));
}

#[test]
fn clear_text_of_a_device_with_a_key_is_refused() {
    for (codec, frame) in [("bthome", "4002ca09"), ("mibeacon", "50305b05034c94b438c1a40d10041001ea01")] {
        assert!(decode(codec, frame, &json!({})).is_ok());
        assert!(matches!(decode(codec, frame, &json!({ "key": KEY })), Err(Malformed::Key(_))), "{codec}");
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_frame_is_refused() {
    let with = settings(&json!({ "key": KEY, "address": "A4:C1:38:07:BF:01" }));
    let codec = find("mibeacon").unwrap();
    let good = unhex(SEALED);
    let read = (codec.decode)(&good, &with).unwrap();
    for bit in 16..8 * good.len() {
        let mut frame = good.clone();
        frame[bit / 8] ^= 1 << (bit % 8);
        if let Ok(decoded) = (codec.decode)(&frame, &with) {
            assert_eq!(decoded, read, "bit {bit} changed what was said");
        }
    }
}

#[test]
fn another_devices_frame_is_refused() {
    let with = json!({ "address": "A4:C1:38:00:00:01" });
    assert!(matches!(decode("mibeacon", "50305b05034c94b438c1a40d10041001ea01", &with), Err(Malformed::Shape(_))));
}

#[test]
fn an_object_cut_short_gives_nothing() {
    for (codec, frame) in
        [("bthome", "40015d02ca"), ("bthome", "405304ab"), ("mibeacon", "50305b05034c94b438c1a40d100410")]
    {
        assert!(matches!(decode(codec, frame, &json!({})), Err(Malformed::Short(_))), "{codec} {frame}");
    }
}

#[test]
fn a_press_is_said_and_raises_nothing_by_itself() {
    let pressed = decode("bthome", "403a04", &json!({})).unwrap();
    assert_eq!(pressed.device.other["button"], json!("long_press"));
    assert!(pressed.events.is_empty(), "whether a button means help is said in the device's configuration");
}
