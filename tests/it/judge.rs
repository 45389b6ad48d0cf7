//! `vigil judge` and `vigil decode` as a person at a terminal uses them.

use std::fmt::Write;

use crate::world::{shared, vigil};

#[test]
fn judge_prints_one_json_line_an_alarm() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("crisis.csv");
    let mut text = String::from("t_s,systolic,spo2\n");
    for minute in 0..30 {
        // Ten minutes of crisis; the oximeter is off all the time.
        let systolic = if (10..20).contains(&minute) { 190 } else { 130 };
        writeln!(text, "{},{systolic},0", minute * 60).unwrap();
    }
    std::fs::write(&csv, text).unwrap();
    let output = vigil(&["judge", "--csv", csv.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert_eq!((&lines[0]["rule"], &lines[0]["priority"]), (&"systolic_high".into(), &"P1".into()));
    assert!(!lines[0]["cleared_at"].is_null());
}

#[test]
fn judge_finds_no_low_oxygen_in_absent_values_of_a_real_patient() {
    let Some(csv) = shared("vitals/mimic2_s00001_numerics_1min.csv") else { return };
    let output = vigil(&["judge", "--csv", csv.to_str().unwrap(), "--age", "70"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines().filter(|line| line.contains("spo2_low")) {
        let alarm: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(alarm["worst"].as_f64().unwrap() > 40.0, "{line}");
    }
}

#[test]
fn judge_compares_rules_over_an_elders_stored_readings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let run = |more: &[&str]| vigil(&[&["judge", "--data-dir", path, "--elder", "1"], more].concat()).output().unwrap();
    {
        let clock = runtime::Clock::system();
        let records = store::records::Records::open(dir.path(), clock).unwrap();
        records.ensure_default_rules(&engine::default_rules()).unwrap();
        let elder = store::records::NewElder {
            name: "王秀英".into(),
            sex: model::people::Sex::Female,
            birth_date: None,
            phone: String::new(),
            address: String::new(),
            notes: String::new(),
            team: None,
        };
        assert_eq!(records.create_elder(&elder).unwrap(), model::ElderId(1));
    }
    let empty = run(&[]);
    assert!(!empty.status.success() && String::from_utf8_lossy(&empty.stderr).contains("has no readings.db"));
    {
        let readings = store::readings::Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let rows = (0..30).map(|minute| {
            let at = model::Time::from_secs(1_795_312_800 + minute * 60);
            let value = if (10..20).contains(&minute) { 190.0 } else { 130.0 };
            let sample = model::Sample::new(model::Metric::Systolic, at, value, model::Quality::Ok);
            let subject = model::Subject::Elder(model::ElderId(1));
            model::Reading { subject, device: model::DeviceId(1), sample }
        });
        readings.write(&rows.collect::<Vec<_>>(), model::Seq(1)).unwrap();
    }
    let in_force = run(&[]);
    assert_eq!(String::from_utf8_lossy(&in_force.stdout).lines().count(), 1, "{in_force:?}");
    let mut wider = engine::default_rules();
    wider.rules.retain(|rule| rule.slug != "systolic_high");
    let file = dir.path().join("wider.toml");
    std::fs::write(&file, toml::to_string(&wider).unwrap()).unwrap();
    let compared = run(&["--rules", file.to_str().unwrap()]);
    let answer: serde_json::Value = serde_json::from_slice(&compared.stdout).unwrap();
    assert_eq!((&answer["now"]["alarms"], &answer["proposed"]["alarms"]), (&1.into(), &0.into()), "{answer}");
    assert_eq!(answer["lost"][0]["rule"], "systolic_high");
    let elsewhere = vigil(&["judge", "--data-dir", "/", "--elder", "1"]).output().unwrap();
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("no records.db in /: is it mounted?"), "{elsewhere:?}");
    // What would be passed over in silence is refused.
    for more in [&["--csv", "x.csv", "--days", "5"][..], &["--data-dir", path, "--elder", "1", "--age", "70"]] {
        let refused = vigil(&[&["judge"], more].concat()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {refused:?}");
    }
    let nobody = vigil(&["judge", "--data-dir", path, "--elder", "9"]).output().unwrap();
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("there is no elder 9"), "{nobody:?}");
}

#[test]
fn decode_answers_json_and_says_why_not() {
    let frame = br#"{"heartRate":71,"spo2":null,"sos":true}"#;
    let mut hex = String::new();
    for byte in frame {
        write!(hex, "{byte:02x}").unwrap();
    }
    let output = vigil(&["decode", "thingsboard", "--hex", &hex]).output().unwrap();
    assert!(output.status.success());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["readings"][0]["metric"], "heart_rate");
    assert_eq!(told["events"][0]["kind"], "sos");
    let output = vigil(&["decode", "vigil", "--hex", "7b7d"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["error"].as_str().unwrap().contains("missing"), "{told}");
    assert_eq!(vigil(&["decode", "nonsense", "--hex", "00"]).output().unwrap().status.code(), Some(1));
}

#[test]
fn decode_lists_every_codec_and_refuses_settings_that_are_none() {
    let output = vigil(&["decode", "--list"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let listed: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let devices = codec::CODECS.iter().copied().flatten().map(|codec| codec.name);
    assert_eq!(listed, ["vigil", "thingsboard"].into_iter().chain(devices).collect::<Vec<_>>());
    let Some(first) = listed.get(2) else { return };
    let output = vigil(&["decode", first, "--hex", "00", "--key", "5eC2e7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("32 hexadecimal digits") && !said.contains("5eC2e7"), "{said}");
    // Whatever is wrong, standard output has one object that says so.
    for (codec, more) in [
        ("ble:2a37", ["--hex", "004"].as_slice()),
        ("ble:2a37", &["--hex", "0x0048"]),
        ("ble:2a37", &["--hex", ""]),
        ("ble:2a99", &["--hex", "0048"]),
        ("ble:2a37", &["no-such-file"]),
        ("ble:2a37", &[]),
        ("bthome", &["--hex", "41", "--address", "54:48:E6"]),
    ] {
        let output = vigil(&[&["decode", codec], more].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{codec} {more:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{codec} {more:?}");
    }
    let output = vigil(&["decode", "BLE:2A37", "--hex", "00:48"]).output().unwrap();
    assert!(output.status.success(), "case and separators are a matter of taste");
}

#[test]
fn decode_joins_the_frames_of_a_stream() {
    let stream = b"noise[3G*6907919734*0002*LK][3G*6907919734*0007*heart,71][3G*6907919734*0003*LK,x";
    let output = vigil(&["decode", "watch3g", "--hex", &codec::hex(stream)]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["readings"][0]["metric"], &told["readings"][0]["value"]), (&"heart_rate".into(), &71.0.into()));
    assert_eq!(told["reply_hex"], codec::hex(b"[3G*6907919734*0002*LK]"));
    let device = &told["device"];
    assert_eq!((&device["id"], &device["frames"]), (&"6907919734".into(), &2.into()));
    assert_eq!(device["skipped_bytes"], 5 + "[3G*6907919734*0003*LK,x".len());
    // A frame without its end is tried as it is; what is no frame is said.
    let output = vigil(&["decode", "iw", "--hex", &codec::hex(b"IWAP49,68")]).output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["readings"][0]["value"], &told["reply_hex"]), (&68.0.into(), &codec::hex(b"IWBP49#").into()));
    let output = vigil(&["decode", "iw", "--hex", "00ff"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["error"].is_string(), "{told}");
}
