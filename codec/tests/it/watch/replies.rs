//! What devices wait for, to the byte.

use model::Time;
use vigil_codec::{Decoded, Settings, hex};

use super::{codec, frames};
use crate::vectors::unhex;

fn told(name: &str, frame: &[u8]) -> Decoded {
    // 2026-07-14 03:33:20 UTC.
    let settings = Settings { now: Some(Time::from_secs(1_784_000_000)), ..Settings::default() };
    let found = frames(codec(name), frame);
    (codec(name).decode)(&found[0], &settings).unwrap()
}

fn text(name: &str, frame: &str) -> Option<String> {
    told(name, frame.as_bytes()).reply.map(|reply| String::from_utf8(reply).unwrap())
}

#[test]
fn watches_of_the_3g_family() {
    for (frame, want) in [
        ("[SG*8800000015*0002*LK]", Some("[SG*8800000015*0002*LK]")),
        ("[SG*8800000015*000F*LK,3021,12,1000]", Some("[SG*8800000015*0002*LK]")),
        ("[3G*8800000015*0004*INIT]", Some("[3G*8800000015*0006*INIT,1]")),
        ("[3G*8800000015*0003*TKQ]", Some("[3G*8800000015*0003*TKQ]")),
        ("[3G*8800000015*0004*TKQ2]", Some("[3G*8800000015*0004*TKQ2]")),
        ("[ZJ*689466020014198*0003*0014*AL,221126,085515,V]", Some("[ZJ*689466020014198*0003*0002*AL]")),
        ("[3G*8800000015*0007*heart,71]", None),
    ] {
        assert_eq!(text("watch3g", frame).as_deref(), want, "{frame}");
    }
}

#[test]
fn watches_of_the_iw_family() {
    for (frame, want) in [
        ("IWAP00353456789012345#", Some("IWBP00,20260714033320,0#")),
        ("TRVAP00353456789012345#", Some("TRVBP00#")),
        ("IWAP49,68#", Some("IWBP49#")),
        ("IWAPHT,60,130,85#", Some("IWBPHT#")),
        ("TRVCP01,100007088000001020151060011#", Some("TRVDP01#")),
        ("IWAP12,080835,+49#", None),
        ("IWAP14,0#", None),
        ("TRVAP14,0#", Some("TRVBP14,0.000,0.000#")),
    ] {
        assert_eq!(text("iw", frame).as_deref(), want, "{frame}");
    }
    // Without a clock no time is invented.
    let login = (codec("iw").decode)(b"IWAP00353456789012345#", &Settings::default()).unwrap();
    assert_eq!((login.reply, login.device.id.as_deref()), (None, Some("353456789012345")));
}

#[test]
fn gt06_repeats_kind_and_serial() {
    // The makers' manuals print both answers.
    let login = told("gt06", &unhex("78780d01012345678901234500018cdd0d0a"));
    assert_eq!(login.device.id.as_deref(), Some("123456789012345"));
    assert_eq!(hex(&login.reply.unwrap()), "787805010001d9dc0d0a");
    let beat = told("gt06", &unhex("78780a1344040300010011061f0d0a"));
    assert_eq!(hex(&beat.reply.unwrap()), "787805130011f9700d0a");
    // A list of networks gets its own time back, the time request the gateway's.
    let list = told("gt06", &unhex("787800692603010815300200cc080c4e2fa5640c4e2fa66e0d0a"));
    assert_eq!(hex(&list.reply.unwrap()), "787800692603010815300d0a");
    let time = told("gt06", &unhex("7878058a000688290d0a"));
    assert!(hex(&time.reply.unwrap()).starts_with("78780b8a1a070e0321140006"));
}

#[test]
fn jt808_answers_in_the_version_it_was_asked() {
    let beat = told("jt808", &unhex("7e000200000138001380000001a97e"));
    assert_eq!(hex(&beat.reply.unwrap()), "7e80010005013800138000000000010002002d7e");
    // A register of 2019; its serial needs escapes in both directions.
    let register = concat!(
        "7e0100404c01000000000138001380007d027d01000000004d414b455230303030303050454e44414e540000000000000000",
        "00000000000000000000000000000054000000000000000000000000000000000000000000000000000000000000e57e",
    );
    let told = told("jt808", &unhex(register));
    assert_eq!(told.device.id.as_deref(), Some("00000000013800138000"));
    assert_eq!(told.device.other["model"], "PENDANT");
    let want = "7e81004017010000000001380013800000007d027d010030303030303030303031333830303133383030307d027e";
    assert_eq!(hex(&told.reply.unwrap()), want);
}

#[test]
fn h02_gets_the_time_or_itself_back() {
    for (frame, want) in [
        ("*HQ,4109179024,HTBT,84#", Some("*HQ,4109179024,HTBT#")),
        ("*HQ,4109179024,V1,081530,V,,N,,E,0.00,0,,FFFFFBFF#", Some("*HQ,4109179024,V4,V1,20260714033320#")),
        ("*HQ,4109179024,LINK,081530,15,0,84,3021,0,010326,FFFFFBFF#", None),
    ] {
        assert_eq!(text("h02", frame).as_deref(), want, "{frame}");
    }
}
