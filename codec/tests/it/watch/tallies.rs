//! Every published row of the family. Ids that do not agree are listed with their reason, as in docs/devices.md.

use model::Metric;
use serde_json::Value;
use vigil_codec::{Decoded, Settings};

use super::known;
use super::{bytes, codec, frames, kinds, value};
use crate::vectors::{Outcome, near, tally, unhex};

type Verdict = Result<(), String>;

fn expect(good: bool, what: &str, want: &Value, got: &dyn std::fmt::Debug) -> Verdict {
    if good { Ok(()) } else { Err(format!("{what}: want {want}, got {got:?}")) }
}

/// When the frame says it was, in the device's digits.
fn told_at(told: &Decoded) -> Option<String> {
    let at = told.device.clock.or_else(|| told.readings.iter().find_map(|reading| reading.at));
    at.or_else(|| told.device.position.and_then(|place| place.at)).map(vigil_codec::DeviceTime::rfc3339)
}

/// A place of 0/0 is no place.
fn coordinate(told: &Decoded, latitude: bool) -> f64 {
    told.device.position.map_or(0.0, |place| if latitude { place.lat } else { place.lon })
}

/// The event that an alarm of the oracle is.
fn event(alarm: &str) -> Option<&'static str> {
    Some(match alarm {
        "sos" => "sos",
        "fallDown" => "fall",
        "lowBattery" => "low_battery",
        "removing" | "tampering" => "device_removed",
        "vibration" => "vibration",
        "powerCut" => "power_cut",
        "general" => "unspecified_alarm",
        "accident" => "collision",
        _ => return None,
    })
}

/// Every field of a `derived` expectation. A field without a rule here fails the test.
fn derived(row: &Value, told: &Decoded) -> Verdict {
    let other = |word: &str| told.device.other.get(word).cloned().unwrap_or_default();
    let same = |word: &str, want: &Value| {
        let got = other(word);
        let equal = got == *want || got.as_f64().zip(want.as_f64()).is_some_and(|(got, want)| near(got, want));
        expect(equal, word, want, &got)
    };
    let measured = |metric: Metric, want: &Value| {
        // 0 means that the watch is not worn, except for what is counted.
        let want_value = want.as_f64().filter(|value| *value != 0.0 || metric == Metric::Steps);
        let got = value(told, metric);
        expect(
            got.zip(want_value).map_or(got.is_none() && want_value.is_none(), |(a, b)| near(a, b)),
            metric.slug(),
            want,
            &got,
        )
    };
    for (key, want) in row["derived"].as_object().unwrap() {
        match key.as_str() {
            "manufacturer" | "proto" => same("manufacturer", want)?,
            "type" => same("command", want)?,
            "device_id" => expect(told.device.id.as_deref() == want.as_str(), key, want, &told.device.id)?,
            "index" | "declared_len" | "gps_valid" | "speed_kph" | "course" | "altitude" | "satellites"
            | "gsm_rssi" | "rolls" | "status_hex" => same(key, want)?,
            "actual_len_unescaped" => same("content_len", want)?,
            // Follow from the lengths that are compared.
            "actual_len_wire" => {}
            "len_matches" => {
                let got = other("declared_len") == other("content_len");
                expect(want.as_bool() == Some(got), key, want, &got)?;
            }
            "time_utc" => expect(told_at(told).as_deref() == want.as_str(), key, want, &told_at(told))?,
            "lat" | "lon" => {
                let got = coordinate(told, key == "lat");
                expect(near(got, want.as_f64().unwrap()), key, want, &got)?;
            }
            "battery" => measured(Metric::Battery, want)?,
            "steps" => measured(Metric::Steps, want)?,
            "heart_rate" => measured(Metric::HeartRate, want)?,
            "systolic" => measured(Metric::Systolic, want)?,
            "diastolic" => measured(Metric::Diastolic, want)?,
            "spo2" => measured(Metric::Spo2, want)?,
            "temperature_c" => measured(Metric::SkinTemperature, want)?,
            "alarm" => {
                let wanted: Vec<&str> = want.as_str().map(|alarm| event(alarm).unwrap()).into_iter().collect();
                expect(kinds(told) == wanted, key, want, &kinds(told))?;
            }
            "reply" => {
                let got = String::from_utf8(told.reply.clone().unwrap_or_default()).unwrap();
                let content = want.as_str().unwrap();
                expect(got.ends_with(&format!("*{:04X}*{content}]", content.len())), key, want, &got)?;
            }
            _ => panic!("no rule for {key}"),
        }
    }
    Ok(())
}

/// What the upstream's test asserts: one attribute, the place, or that something comes out.
fn upstream(row: &Value, told: &Decoded) -> Outcome {
    let want = &row["upstream"];
    let verdict = match want["attribute"].as_str() {
        Some("alarm") => match alarms(&want["value"]) {
            // Said by the codec itself: the kind is not read.
            Some(_) if told.device.other.contains_key("undecoded_bytes") => return Outcome::Unsupported,
            Some(wanted) => expect(wanted.iter().all(|kind| kinds(told).contains(kind)), "alarm", want, &kinds(told)),
            None => return Outcome::Unsupported,
        },
        Some("batteryLevel") => compare(told, Metric::Battery, want),
        Some("heartRate") => compare(told, Metric::HeartRate, want),
        Some("pressureDiastolic") => compare(told, Metric::Diastolic, want),
        Some("bloodOxygen") => compare(told, Metric::Spo2, want),
        Some("steps") => compare(told, Metric::Steps, want),
        Some("altitude") => {
            let got = told.device.other.get("altitude").and_then(Value::as_f64);
            if got.is_none() {
                return Outcome::Unsupported;
            }
            expect(got == want["value"].as_f64(), "altitude", want, &got)
        }
        Some("result") => {
            let Some(got) = told.device.other.get("text") else { return Outcome::Unsupported };
            expect(*got == want["value"], "text", want, got)
        }
        Some("status") => {
            let word = want["value"]["java"].as_str().unwrap().trim_start_matches("0x").trim_end_matches('L');
            let got = told.device.other.get("status_hex").and_then(Value::as_str).unwrap_or_default();
            expect(got == word, "status", want, &got)
        }
        Some(_) => return Outcome::Unsupported,
        None if want["lat"].is_number() => position(told, want),
        None => match want["result"].as_str().unwrap() {
            "one position" | "list of positions" => {
                let unknown = told.device.other.get("gps_valid") == Some(&Value::Bool(false));
                if told.device.position.is_none() && !unknown {
                    return Outcome::Unsupported;
                }
                Ok(())
            }
            result => {
                assert!(["not null", "attributes present"].contains(&result) || result.starts_with("null"), "{result}");
                Ok(())
            }
        },
    };
    verdict.map_or_else(Outcome::Disagrees, |()| Outcome::Agrees)
}

/// The events of one alarm, or of several in the words of the upstream's source.
fn alarms(value: &Value) -> Option<Vec<&'static str>> {
    let Some(source) = value["java"].as_str() else { return Some(vec![event(value.as_str()?)?]) };
    let names = source.split("Position.ALARM_").skip(1).map(|rest| rest.split(' ').next().unwrap());
    names.map(|name| event(if name == "LOW_BATTERY" { "lowBattery" } else { "removing" })).collect()
}

fn compare(told: &Decoded, metric: Metric, want: &Value) -> Verdict {
    let got = value(told, metric);
    expect(got == want["value"].as_f64(), metric.slug(), want, &got)
}

fn position(told: &Decoded, want: &Value) -> Verdict {
    let place = told.device.position.ok_or("no place")?;
    let close = |got: f64, want: &Value| (got - want.as_f64().unwrap()).abs() < 1e-5;
    let time = format!("{}Z", want["time_utc"].as_str().unwrap().trim_end_matches(".000").replace(' ', "T"));
    expect(close(place.lat, &want["lat"]) && close(place.lon, &want["lon"]), "place", want, &(place.lat, place.lon))?;
    expect(Some(place.fix) == want["valid"].as_bool(), "valid", want, &place.fix)?;
    expect(place.at.map(vigil_codec::DeviceTime::rfc3339) == Some(time), "time", want, &place.at)
}

/// One row through framer and codec. A row that upstream gives nothing for may be refused.
fn judge(name: &str, row: &Value) -> Outcome {
    let codec = codec(name);
    // Rows of JT/T 808 are as they come out of the upstream's framer: already unescaped, so ours would cut them.
    let found = if name == "jt808" { vec![bytes(row)] } else { frames(codec, &bytes(row)) };
    if found.len() != 1 {
        return Outcome::Disagrees(format!("{} frames", found.len()));
    }
    let told = match (codec.decode)(&found[0], &Settings::default()) {
        Ok(told) => told,
        Err(_) if row["upstream"]["result"].as_str().is_some_and(|result| result.starts_with("null")) => {
            return Outcome::Agrees;
        }
        Err(why) => return Outcome::Disagrees(why.to_string()),
    };
    let outcome = upstream(row, &told);
    if outcome != Outcome::Agrees || row["derived"].is_null() {
        return outcome;
    }
    derived(row, &told).map_or_else(Outcome::Disagrees, |()| outcome)
}

#[test]
fn watch_3g_vectors() {
    tally("watch_3g.jsonl", known::WATCH_3G, |row| judge("watch3g", row));
}

#[test]
fn trv_iw_vectors() {
    tally("trv_iw.jsonl", &[], |row| judge("iw", row));
}

#[test]
fn gt06_vectors() {
    tally("gt06.jsonl", known::GT06, |row| judge("gt06", row));
}

#[test]
fn h02_vectors() {
    tally("h02.jsonl", &[], |row| judge("h02", row));
}

#[test]
fn jt808_vectors() {
    tally("jt808.jsonl", known::JT808, |row| judge("jt808", row));
}

/// Undoes what the upstream framer does and ours leaves to the codec.
fn escaped(frame: &[u8]) -> Vec<u8> {
    let inner = frame[1..frame.len() - 1].iter().flat_map(|byte| match byte {
        0x7D => vec![0x7D, 1],
        0x7E => vec![0x7D, 2],
        other => vec![*other],
    });
    [0x7E].into_iter().chain(inner).chain([0x7E]).collect()
}

#[test]
fn frame_decoder_vectors() {
    tally("frame_decoders.jsonl", known::FRAME_DECODERS, |row| {
        let name = match row["protocol"].as_str().unwrap() {
            "Watch" => "watch3g",
            "Gt06" => "gt06",
            "Jt808" => "jt808",
            _ => return Outcome::Unsupported,
        };
        let [stream, frame] = ["stream_hex", "frame_hex"].map(|key| unhex(row[key].as_str().unwrap()));
        let found = super::framed(codec(name), [stream.as_slice()]);
        let wanted = if name == "jt808" && frame[0] == 0x7E { escaped(&frame) } else { frame };
        match found.as_slice() {
            [one] if *one == wanted => Outcome::Agrees,
            _ => Outcome::Disagrees(format!("{} frames", found.len())),
        }
    });
}

/// Makers whose protocols no codec reads yet: said, row by row.
#[test]
fn elder_wearables_misc_vectors() {
    tally("elder_wearables_misc.jsonl", known::MISC, |_| Outcome::Unsupported);
}
