//! The frame in both forms: round trips, the rules of the format, its limits, and ten thousand broken frames.

use model::{DeviceId, Lane};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const GT: i64 = 1_795_000_000_000;

fn at(ms: i64) -> Time {
    Time::from_millis(GT + ms)
}

/// A JSON frame with these fields after the header.
fn json(rest: &str) -> Result<WireFrame, Malformed> {
    decode(format!(r#"{{"v":1,"e":2,"s":3,"gt":{GT},{rest}}}"#).as_bytes())
}

fn sample(row: &str) -> Sample {
    json(&format!(r#""m":[{row}]"#)).unwrap().samples[0]
}

fn frames() -> impl Strategy<Value = WireFrame> {
    let value = prop_oneof![-1e6..1e6_f64, (-50_000..50_000_i32).prop_map(|v| f64::from(v) / 100.0), any::<f64>()];
    let one = (0..Metric::ALL.len(), 0..Quality::ALL.len(), -40_000_000_000_i64..40_000_000_000, value)
        .prop_map(|(m, q, dt, v)| Sample::new(Metric::ALL[m], at(0).plus_us(dt), v, Quality::ALL[q]));
    let event = (0..EventKind::ALL.len(), -1_000_000_i64..1_000_000)
        .prop_map(|(k, dt)| Event { kind: EventKind::ALL[k], at: at(0).plus_us(dt) });
    let clock = proptest::option::of(
        (any::<i64>(), -1_000_i64..1_000, any::<u32>()).prop_map(|(device, ms, sync)| ClockPair {
            device,
            gateway: at(ms),
            sync,
            uncertainty_ms: sync / 2,
        }),
    );
    let head = (any::<u32>(), any::<u64>(), any::<u8>(), proptest::option::of(any::<u64>()), clock);
    (head, proptest::collection::vec(one, 0..40), proptest::collection::vec(event, 0..4)).prop_map(
        |((epoch, seq, flags, binding, clock), samples, events)| WireFrame {
            person: seq.is_multiple_of(2).then(|| format!("elder:{epoch}")),
            notes: (0..seq % 3).map(|n| format!("{{\"k\":\"x\",\"n\":{n}}}")).collect(),
            origins: (0..samples.len()).step_by(3).map(origin).collect(),
            waveforms: (0..seq % 4).map(waveform).collect(),
            epoch,
            seq,
            gateway_time: at(0),
            flags: Flags(flags),
            binding,
            clock,
            samples,
            events,
            ..WireFrame::default()
        },
    )
}

fn origin(place: usize) -> Origin {
    let raw = place.is_multiple_of(2).then(|| ("18.9".to_owned(), "kPa".to_owned()));
    let device_ms = (!place.is_multiple_of(4)).then_some(-5);
    Origin { index: place as u16, raw, device_ms, uncertainty_ms: Some(500) }
}

fn waveform(n: u64) -> Waveform {
    let counts = (0..400_i16).map(|i| i.wrapping_mul(n as i16 + 90)).collect();
    let rate = model::Rate { samples: 360, seconds: 1 };
    Waveform {
        metric: Metric::Ecg,
        lead: 131_329 + n as u32,
        start: at(-4_000),
        rate,
        scale: 0.005,
        offset: -0.1,
        counts,
    }
}

#[test]
fn origins_follow_their_samples_past_unknown_metrics() {
    let frame = json(r#""o":[[2,"18.9","kPa"],[0,"x"]],"m":[[1,0,5],[147842,0,70],[150021,0,141.8]]"#).unwrap();
    let [origin] = frame.origins.as_slice() else { panic!("{:?}", frame.origins) };
    assert_eq!((origin.index, frame.samples[1].metric), (1, Metric::Systolic));
}

proptest! {
    #[test]
    fn a_frame_comes_back_as_it_was_in_both_forms(frame in frames()) {
        prop_assert_eq!(&decode(&encode_json(&frame)).unwrap(), &frame);
        prop_assert_eq!(&decode(&encode_cbor(&frame)).unwrap(), &frame);
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(bytes: Vec<u8>) {
        let _ = decode(&bytes);
    }
}

#[test]
fn ten_thousand_broken_frames_are_errors_or_frames_never_a_panic() {
    let mut rng = SmallRng::seed_from_u64(20_261_122);
    let mut frame = typical_frame(20);
    frame.binding = Some(7);
    frame.clock = Some(ClockPair { device: 5, gateway: at(0), sync: 532_226, uncertainty_ms: 0 });
    frame.events.push(Event { kind: EventKind::Fall, at: at(-5) });
    let (as_json, as_cbor) = (encode_json(&frame), encode_cbor(&frame));
    // The checksum covers everything before its own key.
    let covered = |bytes: &[u8], tail: usize| bytes.len() - tail;
    let (json_covered, cbor_covered) = (covered(&as_json, 16), covered(&as_cbor, 7));
    let (mut refused, mut reused) = (0, WireFrame::default());
    for round in 0..10_000 {
        let (mut bytes, covered) =
            if round % 2 == 0 { (as_json.clone(), json_covered) } else { (as_cbor.clone(), cbor_covered) };
        let mut last = 0;
        match rng.random_range(0..3) {
            0 => bytes.truncate(rng.random_range(0..bytes.len())),
            1 => {
                for _ in 0..rng.random_range(1..6) {
                    let at = rng.random_range(0..bytes.len());
                    bytes[at] ^= 1 << rng.random_range(0..8);
                    last = last.max(at);
                }
            }
            _ => {
                let at = rng.random_range(0..bytes.len());
                bytes.splice(at..at, (0..rng.random_range(1..9)).map(|_| rng.random::<u8>()).collect::<Vec<_>>());
            }
        }
        match decode_into(&bytes, &mut reused) {
            Err(_) => refused += 1,
            Ok(()) => assert!(last >= covered || reused.samples == frame.samples, "round {round}: {reused:?}"),
        }
    }
    assert!(refused > 9_900, "only {refused} of 10,000 were refused");
}

#[test]
fn every_cut_of_a_frame_is_refused() {
    let frame = typical_frame(5);
    for whole in [encode_json(&frame), encode_cbor(&frame)] {
        for cut in 0..whole.len() {
            assert!(decode(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let longer = [whole.as_slice(), b"0"].concat();
        assert_eq!(decode(&longer).unwrap_err().code(), "shape");
    }
}

#[test]
fn what_a_sample_leaves_out_has_a_meaning() {
    let full = sample(r#"[147842,-1500,72,264864,"ok",3]"#);
    assert_eq!((full.metric, full.value(), full.quality), (Metric::HeartRate, Some(72.0), Quality::Ok));
    assert_eq!(full.taken_at, at(-1_500).plus_us(3));
    let short = sample("[147842,-1500,72]");
    assert_eq!((short.value(), short.quality, short.taken_at), (Some(72.0), Quality::Ok, at(-1_500)));
    assert_eq!(sample("[147842,0]").quality, Quality::Absent);
    assert_eq!(sample("[147842,0,null,null,17,null,\"new\"]").quality, Quality::SensorOff);
    assert_eq!(sample(r#"[147842,0,0,null,"sensor_off"]"#).value(), None);
    assert_eq!(sample(r#"[150364,0,"36.6"]"#).value(), Some(36.6));
    assert_eq!(sample(r#"[150364,0,"NaN"]"#).quality, Quality::SpecialValue);
}

#[test]
fn units_are_converted_once_or_doubted() {
    for (row, value, quality) in [
        ("[150021,0,16,265987]", 120.01, Quality::Ok),
        ("[160184,0,180.16,264274]", 10.0, Quality::Ok),
        ("[150364,0,98.6,266560]", 37.0, Quality::Ok),
        ("[188736,0,150,263904]", 68.039, Quality::Ok),
        ("[188736,0,65500,263872]", 65.5, Quality::Ok),
        ("[188740,0,1.72,263424]", 172.0, Quality::Ok),
        ("[151562,0,15,264864]", 15.0, Quality::Ok),
        ("[150021,0,16,264274]", 16.0, Quality::UnitSuspect),
        (r#"[150021,0,16,999,"motion"]"#, 16.0, Quality::Motion),
        // mg/dL is glucose's other unit, nobody else's.
        ("[150456,0,97,264274]", 97.0, Quality::UnitSuspect),
    ] {
        let sample = sample(row);
        assert_eq!((sample.value(), sample.quality), (Some(value), quality), "{row}");
    }
    assert_eq!(json(r#""m":[[150021,0,16,265987],[150021,0,120]]"#).unwrap().converted, 1);
}

#[test]
fn what_we_do_not_know_is_skipped_and_counted() {
    let frame =
        json(r#""zz":{"deep":[1,{"x":2}]},"m":[[1,0,5],[147842,0,70]],"ev":[["sos",0],["dance",0],[99,0]]"#).unwrap();
    assert_eq!((frame.samples.len(), frame.unknown_metrics), (1, 1));
    assert_eq!((frame.events.len(), frame.unknown_events), (1, 2));
    let nothing = json(r#""w":null,"b":null,"ck":null,"p":null"#).unwrap();
    assert!(nothing.waveforms.is_empty() && nothing.clock.is_none() && nothing.person.is_none());
    let unknown = r#""w":[{"mdc":7,"t0":0,"hz":[1,1],"data":"AAA="}]"#;
    assert_eq!(json(unknown).unwrap().unknown_metrics, 1);
}

#[test]
fn a_waveform_that_cannot_be_read_costs_nothing_else() {
    let good = format!(r#"{{"mdc":131328,"t0":{GT},"hz":[1,1],"data":"AAA="}}"#);
    for bad in [
        r#"{"mdc":131328,"data":"AAA="}"#.to_owned(),
        r#"{"hz":250}"#.to_owned(),
        "7".to_owned(),
        good.replace("data", "dada"),
        good.replace("\"hz\"", "\"enc\":\"zip\",\"hz\""),
        good.replace("AAA=", "gA=="),
        good.replace("131328", "147842"),
        good.replace("[1,1]", "[0,1]"),
    ] {
        let frame = json(&format!(r#""m":[[147842,0,1]],"w":[{good},{bad},{good}],"ev":[["sos",0]]"#)).unwrap();
        assert!(frame.bad_waveform.is_some(), "{bad}");
        assert_eq!((frame.waveforms.len(), frame.samples.len(), frame.events.len()), (2, 1, 1), "{bad}");
    }
    let many = vec![good; WAVEFORMS_MAX + 1].join(",");
    let frame = json(&format!(r#""w":[{many}]"#)).unwrap();
    assert_eq!((frame.waveforms.len(), frame.bad_waveform), (WAVEFORMS_MAX, Some("too many blocks")));
    // The same in CBOR: {v:1,e:2,s:3,gt:0,w:W,ev:[["sos",0]]}.
    for bad in [b"\x07".as_slice(), b"\xa1\x62hz\x18\xfa", b"\xa1\x64data\x61x", b"\x81\xa0", b"\xa1\x01\x02"] {
        let head = b"\xa6\x61v\x01\x61e\x02\x61s\x03\x62gt\x00\x61w".as_slice();
        let frame = decode(&[head, bad, b"\x62ev\x81\x82\x63sos\x00"].concat());
        let frame = frame.unwrap_or_else(|why| panic!("{bad:x?}: {why}"));
        assert_eq!((frame.events.len(), frame.waveforms.len()), (1, 0));
        assert!(frame.bad_waveform.is_some() || frame.unknown_metrics == 1, "{bad:x?}");
    }
}

#[test]
fn each_fault_has_its_own_name() {
    let many = |n: usize, one: &str| vec![one; n].join(",");
    for (rest, code) in [
        (r#""m":[[147842,0,1,0,"weird"]]"#.to_owned(), "unknown_quality"),
        (r#""m":[[147842,0,1,0,99]]"#.to_owned(), "unknown_quality"),
        (r#""m":[[147842,0,1,0,0,1000]]"#.to_owned(), "n"),
        (r#""m":[[147842]]"#.to_owned(), "shape"),
        (r#""m":[[147842,0,true]]"#.to_owned(), "shape"),
        (r#""m":[[147842,0.5,1]]"#.to_owned(), "shape"),
        (r#""m":[[147842,0,1],[147842,-86400001,1]]"#.to_owned(), "span"),
        (r#""m":[[147842,-9223372036854775808,1]]"#.to_owned(), "time"),
        (r#""m":[[147842,-9000000000000,1]]"#.to_owned(), "time"),
        (r#""m":[],"m":[]"#.to_owned(), "field_twice"),
        (r#""x":1"#.to_owned(), "checksum"),
        (format!(r#""m":[{}]"#, many(1_001, "[147842,0,1]")), "too_many_samples"),
        (format!(r#""ev":[{}]"#, many(65, r#"["sos",0]"#)), "too_many_events"),
        (r#""e2":"#.to_owned(), "shape"),
        (r#""m":[[147842,0,1]],"o":[[1,"5","kPa"]]"#.to_owned(), "origin"),
        (r#""o":[[0,"5"],[0,"6"]],"m":[[147842,0,1]]"#.to_owned(), "origin"),
        (format!(r#""o":[[0,"{}"]],"m":[[147842,0,1]]"#, "5".repeat(33)), "long_text"),
        (format!(r#""p":"{}""#, "5".repeat(81)), "long_text"),
        (format!(r#""nt":[{}]"#, many(65, r#""{}""#)), "too_many_notes"),
    ] {
        assert_eq!(json(&rest).unwrap_err().code(), code, "{}", &rest[..rest.len().min(60)]);
    }
    for (payload, code) in [
        (b"".as_slice(), "empty"),
        (b"hello", "shape"),
        (br#"{"v":2,"new":true}"#, "version"),
        (br#"{"v":1,"e":1,"s":1}"#, "missing_field"),
        (br#"{"v":1,"e":1,"s":1,"gt":99999999999999999}"#, "time"),
        (&vec![b'{'; PAYLOAD_MAX + 1], "too_long"),
        (&[b'{'; 3_000], "shape"),
        (&[0x81; 3_000], "shape"),
    ] {
        assert_eq!(decode(payload).unwrap_err().code(), code);
    }
    assert!(json(&format!(r#""m":[{}]"#, many(1_000, "[147842,0,1]"))).is_ok());
}

#[test]
fn a_decimal_is_the_nearest_number() {
    for text in ["36.6", "0.1", "97.300000000000004", "123456789.123456789", "5e-324", "2.2250738585072011e-308"] {
        let exact: f64 = text.parse().unwrap();
        assert_eq!(sample(&format!("[150364,0,{text}]")).value(), Some(exact), "{text}");
    }
}

/// `{v:1,e:2,s:3,gt:0,m:[[147842,0,VALUE]]}` in CBOR by hand.
fn cbor_with(value: &[u8]) -> Result<WireFrame, Malformed> {
    let head = b"\xa5\x61v\x01\x61e\x02\x61s\x03\x62gt\x00\x61m\x81\x83\x1a\x00\x02\x41\x82\x00";
    decode(&[head.as_slice(), value].concat())
}

#[test]
fn cbor_numbers_of_every_form() {
    for (bytes, value) in [
        (b"\x18\x48".as_slice(), Some(72.0)),
        (b"\x29", Some(-10.0)),
        (b"\xc4\x82\x20\x19\x01\x6e", Some(36.6)),
        (b"\xc4\x82\x38\x1d\x19\x01\x6e", Some(366e-30)),
        (b"\xf9\x50\x90", Some(36.5)),
        (b"\xf9\xbc\x00", Some(-1.0)),
        (b"\xfa\x42\x12\x00\x00", Some(36.5)),
        (b"\xfb\x40\x42\x4c\xcc\xcc\xcc\xcc\xcd", Some(36.6)),
        (b"\xf9\x7e\x00", None),
        (b"\xf6", None),
        (b"\xf7", None),
    ] {
        assert_eq!(cbor_with(bytes).unwrap().samples[0].value(), value, "{bytes:x?}");
    }
    for bad in [b"\xf5".as_slice(), b"\xc5\x82\x20\x01", b"\xc4\x83\x20\x01\x01", b"\x61a", b"\xf9\x50"] {
        assert!(cbor_with(bad).is_err(), "{bad:x?}");
    }
}

#[test]
fn indefinite_lengths_are_read_too() {
    let bytes = b"\xbf\x61v\x01\x61e\x02\x61s\x03\x62gt\x00\x61m\x9f\x9f\x1a\x00\x02\x41\x82\x00\x18\x48\xff\xff\xff";
    assert_eq!(decode(bytes).unwrap().samples[0].value(), Some(72.0));
}

#[test]
fn frames_are_as_small_as_promised() {
    // 614 B was the estimate for thirty readings with unit, quality and n written out.
    let thirty = encode_cbor(&typical_frame(30)).len();
    assert!(thirty <= 614, "{thirty} bytes");
}

#[test]
fn a_wire_frame_fits_a_journal_entry() {
    let frame = typical_frame(SAMPLES_MAX);
    let entry = model::entry::Frame {
        gateway: model::GatewayId(1),
        device: DeviceId(1),
        subject: model::Subject::Unattributed(DeviceId(1)),
        lane: Lane::Vit,
        flags: frame.flags,
        epoch: frame.epoch,
        seq: frame.seq,
        received_at: at(0),
        events: frame.events,
        samples: frame.samples,
        extras: model::Extras::default(),
    };
    let entry = model::entry::Entry::Frame(entry);
    assert_eq!(model::entry::Entry::decode(&entry.to_bytes()), Ok(entry));
}
