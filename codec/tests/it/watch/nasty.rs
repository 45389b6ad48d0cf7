//! Nasty cases of watches, by their numbers.

use model::{EventKind, Metric, Quality};
use vigil_codec::{DeviceClock, GlucoseUnit, Settings, Site};

use super::{bytes, codec, decode, framed, kinds, value};
use crate::vectors::{nasty, rows, unhex};

/// The payload of a row as text.
fn payload(number: u32) -> Option<String> {
    Some(nasty(number)?["payload"].as_str().unwrap().to_owned())
}

#[test]
fn case_05_zero_from_a_watch_that_is_not_worn_is_no_heart_rate() {
    let Some(text) = payload(5) else { return };
    let told = decode("watch3g", text.as_bytes());
    let [heart] = told.readings.as_slice() else { panic!("{told:?}") };
    assert_eq!((heart.metric, heart.value, heart.quality), (Metric::HeartRate, None, Quality::SensorOff));
    assert!(told.events.is_empty());
}

#[test]
fn cases_09_and_10_temperature_of_the_wrist() {
    let (Some(untrusted), Some(trusted)) = (payload(9), payload(10)) else { return };
    let told = decode("watch3g", untrusted.as_bytes());
    assert!(told.readings.iter().all(|reading| reading.value.is_none()), "{told:?}");
    let told = decode("watch3g", trusted.as_bytes());
    let [wrist] = told.readings.as_slice() else { panic!("{told:?}") };
    assert_eq!((wrist.metric, wrist.value, wrist.site), (Metric::SkinTemperature, Some(35.29), Some(Site::Wrist)));
    assert_eq!(wrist.quality, Quality::Ok);
}

#[test]
fn case_17_a_wrong_length_blocks_nothing() {
    let Some(text) = payload(17) else { return };
    let stream = format!("{text}[SG*9159059735*0002*LK]");
    let found = framed(codec("watch3g"), [stream.as_bytes()]);
    assert_eq!(found, [text.as_bytes(), b"[SG*9159059735*0002*LK]"]);
    assert_eq!(value(&decode("watch3g", text.as_bytes()), Metric::Battery), Some(70.0));
}

#[test]
fn case_18_six_voice_frames_in_one_segment() {
    let Some(rows) = rows("watch_3g.jsonl") else { return };
    let (_, row) = rows.into_iter().find(|(id, _)| id == "watch-L45").unwrap();
    let found = framed(codec("watch3g"), [bytes(&row).as_slice()]);
    assert_eq!(found.len(), 6);
    for (nth, frame) in found.iter().enumerate() {
        let told = (codec("watch3g").decode)(frame, &Settings::default()).unwrap();
        let other = &told.device.other;
        assert_eq!((&other["command"], &other["index"]), (&"JXTK".into(), &format!("{:04x}", 0x34 + nth).into()));
        // These count their escapes: on the wire the content is as long as declared.
        let head = "[ZJ*789468050042692*0034*0439*".len() as u64;
        assert_eq!(frame.len() as u64, head + other["declared_len"].as_u64().unwrap() + 1, "frame {nth}");
        assert!(other["content_len"].as_u64() < other["declared_len"].as_u64(), "escapes are undone");
    }
}

#[test]
fn case_19_a_bracket_in_a_name_costs_at_most_its_frame() {
    let Some(text) = payload(19) else { return };
    let stream = format!("{text}[3G*8800000015*0007*heart,71]");
    let found = framed(codec("watch3g"), [stream.as_bytes()]);
    assert_eq!(found.last().unwrap(), b"[3G*8800000015*0007*heart,71]");
    // Even that frame is not lost: it ends before the next header, or in silence.
    assert_eq!(found[0], text.as_bytes());
    assert_eq!(framed(codec("watch3g"), [text.as_bytes()]), [text.as_bytes()]);
}

#[test]
fn case_27_a_clock_that_was_never_set_is_said_and_not_used() {
    let frame = b"[3G*8800000015*0054*UD,010120,025946,V,0.0,N,0.0,E,22.0,0,-1,0,100,98,0,0,00000000,0,0]";
    let told = decode("watch3g", frame);
    let battery = told.readings.iter().find(|reading| reading.metric == Metric::Battery).unwrap();
    assert_eq!((battery.value, battery.quality), (Some(98.0), Quality::ClockSuspect));
    let json = told.to_json();
    assert_eq!(json["readings"][0]["taken_at"], serde_json::Value::Null);
    assert_eq!(json["readings"][0]["device_time"], "2020-01-01T02:59:46Z");
    assert!(told.device.clock.unwrap().suspect && told.device.position.is_none());
}

/// The constant offset is found by the gateway; a person can also say what the clock means.
#[test]
fn case_31_the_meaning_of_the_clock_is_a_setting() {
    let frame = b"[3G*8800000015*0054*UD,010326,161530,A,22.5,N,114.0,E,22.0,0,-1,9,100,98,0,0,00000000,0,0]";
    let told = |clock| (codec("watch3g").decode)(frame, &Settings { clock, ..Settings::default() }).unwrap();
    let [utc, local] = [DeviceClock::Protocol, DeviceClock::Local].map(|clock| told(clock).device.clock.unwrap());
    assert_eq!((utc.wall, utc.offset_min, local.offset_min), (local.wall, 0, 480));
    assert_eq!(utc.instant().unwrap().secs() - local.instant().unwrap().secs(), 8 * 3600);
}

#[test]
fn case_34_what_was_kept_through_a_blind_spot_is_history() {
    let frame = b"[SG*9059011020*006b*UD2,240126,162011,A,54.4,N,6.4,W,0.0,0,0,8,19,88,0,0,00010000,1,1,FFFF]";
    let told = decode("watch3g", frame);
    assert!(told.stored && told.device.clock.is_none());
    assert_eq!(kinds(&told), ["sos"]);
    assert!(!decode("watch3g", &frame.map(|byte| if byte == b'2' { b'3' } else { byte })).stored);
}

#[test]
fn case_35_every_repeat_of_a_call_is_answered() {
    let frame = b"[3G*6907919734*003e*AL_LTE,170526,214118,V,0,N,0,E,0,0,0,0,0,22,0,0,00010000,0,0,0]";
    let found = framed(codec("watch3g"), [frame.repeat(5).as_slice()]);
    assert_eq!(found.len(), 5);
    for frame in &found {
        let told = (codec("watch3g").decode)(frame, &Settings::default()).unwrap();
        assert_eq!(kinds(&told), ["sos"]);
        assert_eq!(told.reply.unwrap(), b"[3G*6907919734*0002*AL]");
    }
}

#[test]
fn case_42_sugar_without_a_unit_is_kept_and_never_judged() {
    let Some(text) = payload(42) else { return };
    let read = |text: &str, unit| {
        let settings = Settings { glucose_unit: unit, ..Settings::default() };
        let told = (codec("iw").decode)(text.as_bytes(), &settings).unwrap();
        told.readings.into_iter().find(|reading| reading.metric == Metric::Glucose).unwrap()
    };
    for unit in [None, Some(GlucoseUnit::MmolPerL)] {
        let sugar = read(&text, unit);
        assert_eq!((sugar.value, sugar.quality), (Some(90.0), Quality::UnitSuspect), "{unit:?}");
    }
    let sugar = read(&text, Some(GlucoseUnit::MgPerDl));
    assert_eq!((sugar.quality, sugar.raw.unwrap().text.as_str()), (Quality::Ok, "90"));
    assert!((sugar.value.unwrap() - 90.0 / 18.0156).abs() < 1e-9);
    assert_eq!(read("IWAPHP,60,130,85,95,5.4,36.5#", Some(GlucoseUnit::MmolPerL)).quality, Quality::Ok);
}

/// The counter is reported as it stands; what a fall of it means is for those who draw days.
#[test]
fn case_49_a_step_counter_that_starts_again_is_reported_as_it_is() {
    let steps = |text: &str| value(&decode("watch3g", text.as_bytes()), Metric::Steps);
    assert_eq!(steps("[3G*4700186508*000D*LK,9000,10,100]"), Some(9000.0));
    assert_eq!(steps("[3G*4700186508*000A*LK,3,10,100]"), Some(3.0));
    assert_eq!(steps("[3G*4700186508*0008*LK,,,100]"), None);
}

#[test]
fn case_57_ids_are_opaque() {
    let id = |text: &str| decode("watch3g", text.as_bytes()).device.id.unwrap();
    assert_eq!(id("[ZJ*689466020014198*0003*0002*LK]"), "689466020014198");
    assert_eq!(id("[3G*0880000001*0002*LK]"), "0880000001");
}

/// JT/T 808 writes its texts in GBK, whatever else the device does.
#[test]
fn case_60_chinese_text_is_gbk() {
    let Some(said) = payload(60) else { return };
    let (gbk, name) = said.split_once(" (").unwrap();
    let told = decode("jt808", &unhex("7e60060003013800138000000700c1f5fc7e"));
    assert!("7e60060003013800138000000700c1f5fc7e".contains(&gbk.to_lowercase()));
    assert_eq!(told.device.other["text"], name.trim_end_matches(')'));
}

#[test]
fn case_61_a_voice_is_not_text() {
    let Some(hex) = payload(61) else { return };
    let frame = unhex(&hex);
    let stream = [frame.as_slice(), b"[CS*1234567890*0002*LK]"].concat();
    assert_eq!(framed(codec("watch3g"), [stream.as_slice()]), [frame.as_slice(), b"[CS*1234567890*0002*LK]"]);
    let told = decode("watch3g", &frame);
    assert_eq!((told.readings.len(), told.device.other["command"].as_str()), (0, Some("TK")));
}

#[test]
fn a_low_battery_never_hides_a_call_for_help() {
    for (status, want) in [
        ("00010001", vec!["sos", "low_battery"]),
        ("00330006", vec!["sos", "fall", "low_battery", "fence_left", "fence_entered", "device_removed"]),
        ("00204000", vec!["fall", "power_cut"]),
        ("00000018", vec!["unspecified_alarm"]),
        ("", vec!["unspecified_alarm"]),
        ("zz", vec!["unspecified_alarm"]),
    ] {
        let frame = format!("[3G*1*0000*AL,010326,081530,V,0,N,0,E,0,0,0,0,0,22,0,0,{status},0]");
        let mut got = kinds(&decode("watch3g", frame.as_bytes()));
        let mut want = want;
        got.sort_unstable();
        want.sort_unstable();
        assert_eq!(got, want, "{status}");
    }
    assert_eq!(kinds(&decode("watch3g", b"[3G*1*0002*AL]")), ["unspecified_alarm"], "an alarm with nothing else");
    // Neither date nor time: the bits hold all the same.
    for command in ["AL", "al", "UD"] {
        let told = decode("watch3g", format!("[3G*1*0000*{command},,,V,,,,,,,,,,22,,,00010000,0]").as_bytes());
        assert_eq!((kinds(&told), told.events[0].at), (vec!["sos"], None), "{command}");
        let reply = (command != "UD").then(|| b"[3G*1*0002*AL]".to_vec());
        assert_eq!(told.reply, reply, "{command}");
        assert_eq!(value(&told, Metric::Battery), Some(22.0));
    }
}

#[test]
fn longitudes_that_carry_their_own_sign() {
    let Some(rows) = rows("watch_3g.jsonl") else { return };
    for (id, want) in [("watch-L106", -84.142_211_9), ("watch-L125", -9.0)] {
        let row = &rows.iter().find(|(row, _)| row == id).unwrap().1;
        let place = decode("watch3g", &bytes(row)).device.position.unwrap();
        assert!((place.lon - want).abs() < 1e-6, "{id}: {}", place.lon);
    }
}

#[test]
fn alarms_of_the_other_protocols() {
    let body = "260301A2232.9806N11404.9355E000.1081530323.8706000908000102,460,0,9520,3671";
    for (word, want) in
        [(",01", "sos"), (",05", "fall"), (",06", "fall"), (",00", "unspecified_alarm"), ("", "unspecified_alarm")]
    {
        assert_eq!(kinds(&decode("iw", format!("IWAP10{body}{word}#").as_bytes())), [want], "{word}");
    }
    // An alarm whose place cannot be read is still one.
    assert_eq!(kinds(&decode("iw", b"IWAP10garbage#")), ["unspecified_alarm"]);
    let gt06 = kinds(&decode("gt06", &unhex("78780c951a030108153093000109de0d0a")));
    assert_eq!(gt06, ["collision"]);
    let text = b"*HQ,4109179024,V1,081530,A,2232.9806,N,11404.9355,E,000.27,090,010326,FFFBFFFE,460#";
    let told = decode("h02", text);
    assert_eq!(told.events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Sos, EventKind::Vibration]);
    let undated = b"*HQ,4109179024,V1,081530,A,2232.9806,N,11404.9355,E,000.27,090,0103,FFFFFFFD,460#";
    assert_eq!(kinds(&decode("h02", undated)), ["sos"], "a date cut short hides nothing");
}
