//! Waveforms: where there are any, and the samples of a window as the device counted them.

use model::extra::NO_SAMPLE;
use model::{Metric, Rate, Seq, Subject, Time, Waveform, lead};
use serde_json::{Value, json};
use store::readings::{Batch, Wave};

use crate::house::{House, NOON};

/// Two leads for ten seconds before noon in blocks of five; of the second lead the last block is missing.
fn record(house: &House) {
    let noon = Time::parse(NOON).unwrap();
    let wave = |word: &str, second: i64, counts: Vec<i16>| Wave {
        subject: Subject::Elder(house.wang),
        device: house.band,
        block: Waveform {
            metric: Metric::Ecg,
            lead: lead::from_label(word).unwrap(),
            start: noon.plus_us((second - 10) * 1_000_000),
            rate: Rate { samples: 4, seconds: 1 },
            scale: 0.005,
            offset: -5.0,
            counts,
        },
    };
    let mut second = (20..40).collect::<Vec<i16>>();
    second[4] = NO_SAMPLE;
    let waves = vec![wave("V5", 0, (0..20).collect()), wave("II", 0, (0..20).collect()), wave("II", 5, second)];
    house.readings.write_batch(&Batch { waves, ..Batch::default() }, Seq(1)).unwrap();
}

#[tokio::test]
async fn stretches_and_a_strip() {
    let house = House::open().await;
    record(&house);
    let chen = house.signed_in("chen");
    let elder = format!("/api/elders/{}", house.wang);
    let (status, list) =
        chen.get(&format!("{elder}/waveforms?metric=ecg&from=2026-11-22T00:00:00Z&to=2026-11-22T05:00:00Z")).await;
    assert_eq!(status, 200, "{list}");
    let row = |label: &str, code: u32, to: &str| json!({ "device": "band", "lead": code, "label": label, "from": "2026-11-22T03:59:50Z", "to": to });
    let found = list["stretches"].as_array().unwrap();
    assert!(found.contains(&row("II", 131_074, NOON)) && found.contains(&row("V5", 131_079, "2026-11-22T03:59:55Z")));
    assert_eq!((found.len(), &list["cut"]), (2, &json!(false)));

    let window = "metric=ecg&from=2026-11-22T03:59:54Z&to=2026-11-22T03:59:57Z";
    let (status, strip) = chen.get(&format!("{elder}/strip?{window}")).await;
    assert_eq!((status, &strip["unit"]), (200, &json!("mV")), "{strip}");
    let at = Time::parse("2026-11-22T03:59:54Z").unwrap().millis() as f64;
    let counts = json!([16, 17, 18, 19, 20, 21, 22, 23, Value::Null, 25, 26, 27]);
    assert_eq!(
        strip["leads"],
        json!([
            { "device": "band", "lead": 131_074, "label": "II", "rate": [4, 1], "scale": 0.005, "offset": -5.0,
              "parts": [{ "at": at, "counts": counts }] },
            { "device": "band", "lead": 131_079, "label": "V5", "rate": [4, 1], "scale": 0.005, "offset": -5.0,
              "parts": [{ "at": at, "counts": [16, 17, 18, 19] }] },
        ])
    );
}

#[tokio::test]
async fn who_may_ask_for_what() {
    let house = House::open().await;
    record(&house);
    let (zhang, chen) = (house.signed_in("zhang"), house.signed_in("chen"));
    let wang = format!("/api/elders/{}", house.wang);
    let month = "waveforms?metric=ecg&from=2026-10-23T00:00:00Z&to=2026-11-22T05:00:00Z";
    assert_eq!(zhang.get(&format!("{wang}/{month}")).await.0, 403, "the history belongs to those who treat");
    assert_eq!(chen.get(&format!("{wang}/{month}")).await.0, 200);
    let minute = "strip?metric=ecg&from=2026-11-22T03:59:00Z&to=2026-11-22T04:00:00Z";
    assert_eq!(zhang.get(&format!("{wang}/{minute}")).await.0, 200);
    assert_eq!(chen.get(&format!("/api/elders/{}/{minute}", house.li)).await.0, 403, "another team's");
    let looks = house.records.audit_list(None, 100).unwrap();
    assert_eq!(looks.iter().filter(|row| row.action == "view_readings").count(), 2, "one look each");
    for bad in [minute.replace("04:00:00", "04:00:01"), minute.replace("ecg", "spo2"), minute.replace("ecg", "mood")] {
        let (status, said) = zhang.get(&format!("{wang}/{bad}")).await;
        assert_eq!((status, &said["error"]["code"]), (422, &json!("bad_request")), "{bad}");
    }
}
