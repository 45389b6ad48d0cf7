//! Forms of the protocols that no published row shows, and what every framer must hold.

use model::Metric;
use vigil_codec::{Framed, Framing, Settings};

use super::{codec, decode, framed, kinds, value};
use crate::samples;
use crate::vectors::unhex;

#[test]
fn jt808_with_the_other_delimiter() {
    // Id of seven bytes; serial, battery and signal need each of the four escapes.
    let told = decode("jt808", &unhex("e70002000300138001380000e6023e023e023e01e60194e7"));
    assert_eq!(told.device.id.as_deref(), Some("00138001380000"));
    assert_eq!(told.device.other["serial"], 0xE73D);
    assert_eq!(value(&told, Metric::Battery), Some(61.0));
    let reply = told.reply.unwrap();
    assert!(reply.starts_with(&[0xE7, 0x80, 0x01]) && reply.ends_with(&[0xE7]));
}

#[test]
fn jt808_in_several_packets_is_refused_and_said() {
    let parts = unhex("7e0200200a01380013800000010003000100000000000000000000817e");
    let why = (codec("jt808").decode)(&parts, &Settings::default()).unwrap_err();
    assert_eq!(why.code(), "unsupported");
    // One packet of one is whole.
    assert_eq!(
        value(&decode("jt808", &unhex("7e00022003013800138000000100010001581400c67e")), Metric::Battery),
        Some(88.0)
    );
}

#[test]
fn samples_say_what_they_were_made_for() {
    let told: Vec<_> = samples::watch::SAMPLES
        .iter()
        .map(|sample| (sample.codec, (codec(sample.codec).decode)(sample.frame, &sample.settings()).unwrap()))
        .collect();
    let events: Vec<_> =
        told.iter().filter(|(_, one)| !one.events.is_empty()).map(|(name, one)| (*name, kinds(one))).collect();
    assert_eq!(
        events,
        [
            ("watch3g", vec!["sos", "low_battery"]),
            ("iw", vec!["sos"]),
            ("jt808", vec!["sos", "low_battery"]),
            ("jt808", vec!["sos", "low_battery"]),
            ("gt06", vec!["low_battery", "fall"]),
            ("h02", vec!["sos", "vibration"]),
            ("h02", vec!["sos"]),
        ]
    );
    let batch = &told.iter().find(|(_, one)| one.device.other.contains_key("places")).unwrap().1;
    assert!(batch.stored && batch.device.clock.is_none());
    assert_eq!(batch.device.other["places"], 2);
    for (name, one) in &told {
        let Some(place) = one.device.position else { continue };
        assert!((place.lat - 22.5497).abs() < 1e-3 && (place.lon - 114.0823).abs() < 1e-3, "{name}");
        // China's time is JT/T 808's own; the others tell UTC.
        let time = place.at.unwrap().rfc3339();
        assert!(["2026-03-01T08:15:30Z", "2026-03-01T16:15:30+08:00"].contains(&time.as_str()), "{name}: {time}");
    }
    let login = &told.iter().find(|(_, one)| one.device.other.contains_key("login_offset_min")).unwrap().1;
    assert_eq!(login.device.other["login_offset_min"], 480);
}

/// A frame with its length, serial 7 and checksum.
fn gt06(long: bool, kind: u8, content: &str) -> Vec<u8> {
    let mut counted = vec![kind];
    counted.extend(unhex(content));
    counted.extend([0, 7]);
    let length = u16::try_from(counted.len() + 2).unwrap().to_be_bytes();
    counted.splice(..0, if long { length.to_vec() } else { length[1..].to_vec() });
    // CRC-16/X-25, a bit at a time.
    let crc = counted.iter().fold(0xFFFF_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 })
    });
    counted.extend((!crc).to_be_bytes());
    [if long { [0x79, 0x79] } else { [0x78, 0x78] }.as_slice(), &counted, b"\r\n"].concat()
}

/// Who presses indoors has a cell and no place; and a length of two bytes hides no alarm.
#[test]
fn gt06_hears_calls_without_a_place() {
    let place = "1a0301080f1ec9026b586a0c3d5ce000145a";
    for (long, kind, content, want) in [
        (false, 0x19, "01cc002866000eee4604040102", &["sos"][..]),
        (false, 0x19, "0901cc002866000eee4604040102", &["sos"]),
        (false, 0x19, "01cc002866000eee6604040002", &["sos"]),
        (false, 0x19, "01cc002866000eee4604040002", &[]),
        (false, 0xA5, "1a0301080f1e01cc0028", &["unspecified_alarm"]),
        (true, 0x26, &format!("{place}0901cc002866000eee4604040102"), &["sos"]),
        (true, 0x95, "1a0301080f1e026b586a0c3d5ce0145a01", &["sos"]),
        (true, 0x33, "1a0301080f1e00000000a400", &["unspecified_alarm"]),
        (true, 0x33, "1a0301080f1e000901cc002866000eee1f0000a200", &["low_battery"]),
        (true, 0x33, "1a0301080f1e00000000a000", &[]),
        (true, 0x33, "1a0301080f1e00", &["unspecified_alarm"]),
    ] {
        let frame = gt06(long, kind, content);
        let told = decode("gt06", &frame);
        assert_eq!((kinds(&told), told.device.other.get("checksum")), (want.to_vec(), None), "{kind:02x} {content}");
        let reply = told.reply.unwrap_or_else(|| panic!("{kind:02x} is not answered"));
        assert_eq!(reply, gt06(long, kind, ""), "{kind:02x}");
    }
}

/// Status and alarm stand behind a cell whose length makers write differently.
#[test]
fn gt06_finds_the_alarm_in_every_layout() {
    let cases: &[(&str, &str, &[&str], Option<f64>)] = &[
        (
            "length that counts itself",
            "787825161a0301080f1ec9026b586a0c3d5ce000145a0901cc002866000eee4006040102000799540d0a",
            &["sos"],
            Some(100.0),
        ),
        (
            "length that does not",
            "787826161a0301080f1ec9026b586a0c3d5ce000145a0901cc002866000eee0c4006040102000764280d0a",
            &["sos"],
            Some(100.0),
        ),
        (
            "long cell, fence",
            "78782d271a0301080f1ec9026b586a0c3d5ce000145a1001cc0100009a00000000000a6f24014605042302ff000731770d0a",
            &["fall"],
            Some(83.0),
        ),
        (
            "no length, battery in volts",
            "787824161a0301080f1ec9026b586a0c3d5ce000145a01cc002866000eee6204e40400000769c10d0a",
            &["sos"],
            None,
        ),
        (
            "unknown, a call in the alarm byte",
            "787829161a0301080f1ec9026b586a0c3d5ce000145a0801cc002866000eee4604040102aabbccdd00075d4e0d0a",
            &["sos"],
            None,
        ),
        (
            "unknown, a call in the status byte",
            "787829161a0301080f1ec9026b586a0c3d5ce000145a0801cc002866000eee6204040902aabbccdd0007cc2d0d0a",
            &["sos"],
            None,
        ),
        (
            "unknown, no call",
            "787829161a0301080f1ec9026b586a0c3d5ce000145a0801cc002866000eee460404ea02aabbccdd0007e2c10d0a",
            &[],
            None,
        ),
        ("heartbeat", "78780a1346040300020007d7d30d0a", &[], Some(66.0)),
        ("heartbeat with an SOS", "78780a136404030002000783eb0d0a", &["sos"], Some(66.0)),
        ("heartbeat of another layout", "78780a130604ea04000007ad030d0a", &[], None),
        ("heartbeat with a word that is no alarm", "78780a13460604f0830007ce420d0a", &[], Some(100.0)),
    ];
    for (what, hex, events, battery) in cases {
        let told = decode("gt06", &unhex(hex));
        assert!(!told.device.other.contains_key("checksum"), "{what}");
        assert_eq!((kinds(&told).as_slice(), value(&told, Metric::Battery)), (*events, *battery), "{what}");
    }
}

#[test]
fn gt06_says_what_was_kept_through_a_blind_spot() {
    let live = decode("gt06", &unhex("787822221a0301080f1ec9026b586a0c3d5ce000145a01cc00287d001f71000000000764500d0a"));
    assert!(!live.stored && live.device.clock.is_some());
    let kept = decode("gt06", &unhex("787822221a0301080f1ec9026b586a0c3d5ce000145a01cc00287d001f7100000100073e8c0d0a"));
    assert!(kept.stored && kept.device.clock.is_none());
    assert_eq!(kept.device.position.unwrap().at, live.device.clock);
}

/// What a framer of this family may hold, bytes.
const HELD_BYTES_MAX: usize = 32 << 10;

/// A peer that never ends its frame fills no memory, and is heard again afterwards.
#[test]
fn a_frame_without_end_is_given_up_at_the_limit() {
    let endless: [(&str, &[u8]); 5] = [
        ("watch3g", b"[3G*1*0002*"),
        ("iw", b"IWAP02,"),
        ("jt808", b"\x7E"),
        ("gt06", b"\x79\x79\x07\x00\x94"),
        ("h02", b"*HQ,1,"),
    ];
    for (name, start) in endless {
        let codec = codec(name);
        let Framing::Stream(new) = codec.framing else { panic!("{name}") };
        let (mut framer, mut found, mut sent) = (new(), Vec::new(), start.len());
        framer.push(start, &mut found);
        for _ in 0..256 {
            framer.push(&[b'a'; 1024], &mut found);
            sent += 1024;
        }
        assert!(sent - skipped(&found) <= HELD_BYTES_MAX, "{name} holds {}", sent - skipped(&found));
        let good = samples::watch::SAMPLES.iter().find(|sample| sample.codec == name).unwrap().frame;
        framer.push(good, &mut found);
        framer.silent(&mut found);
        assert_eq!(found.last(), framed(codec, [good]).pop().map(Framed::Frame).as_ref(), "{name}");
        assert_eq!(skipped(&found), sent, "{name}: every byte is accounted for");
    }
}

fn skipped(found: &[Framed]) -> usize {
    found.iter().map(|part| if let Framed::Skipped { bytes, .. } = part { *bytes } else { 0 }).sum()
}
