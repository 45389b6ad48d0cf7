//! Trends over real stores: an elder's curve with the causes of its gaps and the limits as they were.

use model::layer::Scope;
use model::{Metric, Quality, QuietKind, Reading, Sample, Seq, Subject, Time, Whose};
use serde_json::{Value, json};
use store::records::{NewAssignment, NewQuiet};

use crate::house::{House, NOON};

const MINUTE_US: i64 = 60_000_000;
const HOUR_US: i64 = 60 * MINUTE_US;

fn noon() -> Time {
    Time::parse(NOON).unwrap()
}

/// A pulse every minute of these hours after noon, 60 + hour; every tenth value is doubtful.
fn wear(house: &House, seq: u64, hours: std::ops::Range<i64>) {
    let minutes = hours.start * 60..hours.end * 60;
    let rows: Vec<Reading> = minutes
        .map(|minute| {
            let quality = if minute % 10 == 3 { Quality::Motion } else { Quality::Ok };
            let at = noon().plus_us(minute * MINUTE_US);
            let sample = Sample::new(Metric::HeartRate, at, 60.0 + minute.div_euclid(60) as f64, quality);
            Reading { subject: Subject::Elder(house.wang), device: house.band, sample }
        })
        .collect();
    house.readings.write(&rows, Seq(seq)).unwrap();
}

/// 王秀英 wears her band, goes to hospital for two hours, forgets the band for one, and wears it again until it falls silent.
#[tokio::test]
async fn every_gap_says_why_it_is_there() {
    let house = House::open().await;
    let hour = |n: i64| noon().plus_us(n * HOUR_US);
    wear(&house, 1, 0..4);
    house.clock.set(hour(4));
    let (kind, whose) = (QuietKind::Hospital, Whose::Elder(house.wang));
    let hospital = NewQuiet { kind, whose, from: None, until: hour(6), reason: "检查".to_owned() };
    house.records.quiet_begin(&hospital, house.doctor).unwrap();
    house.clock.set(hour(6));
    let off = Sample::absent(Metric::HeartRate, hour(6), Quality::SensorOff);
    let off = Reading { subject: Subject::Elder(house.wang), device: house.band, sample: off };
    house.readings.write(&[off], Seq(2)).unwrap();
    wear(&house, 3, 7..9);
    house.records.unbind(house.band, hour(11), None).unwrap();
    house.clock.set(hour(12));
    let path = format!(
        "/api/elders/{}/trend?metrics=heart_rate&width=2000&from=2026-11-22T04:00:00Z&to=2026-11-22T18:00:00Z",
        house.wang
    );
    let (status, trend) = house.signed_in("chen").get(&path).await;
    assert_eq!(status, 200, "{trend}");
    let series = &trend["series"][0];
    let gaps: Vec<(i64, i64, &str)> = series["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| {
            let minute = |place: usize| (gap[place].as_i64().unwrap() - noon().millis()).div_euclid(60_000);
            (minute(0), minute(1), gap[2].as_str().unwrap())
        })
        .collect();
    // The range goes to hour 14, and now is hour 12: nothing is missing of what has not been.
    let expected = [
        (239, 240, "unknown"),
        (240, 360, "hospital"),
        (360, 420, "sensor_off"),
        (539, 660, "unknown"),
        (660, 720, "unbound"),
    ];
    assert_eq!(gaps, expected);
    let n: u64 = series["points"].as_array().unwrap().iter().map(|point| point[1].as_u64().unwrap()).sum();
    assert_eq!((n, &series["doubtful_n"], &series["doubtful_until"]), (324, &json!(36), &Value::Null));
    assert_eq!(series["doubtful"].as_array().unwrap().len(), 36);
    let first = &series["doubtful"][0];
    assert_eq!((&first[1], &first[2]), (&json!(60.0), &json!("motion")));
}

/// A template lowers the limit at one o'clock and ends at two; an alarm at noon stands on the axis.
#[tokio::test]
async fn limits_are_drawn_as_they_were_and_alarms_stand_on_the_axis() {
    let house = House::open().await;
    let alarm = house.crisis(house.wang);
    let hour = |n: i64| noon().plus_us(n * HOUR_US);
    house.clock.set(hour(1));
    let scope = Scope::Elder(house.wang);
    let new = NewAssignment { layer: "htn".to_owned(), scope, from: None, until: None, reason: "高血压".to_owned() };
    let id = house.records.assign(&new, house.doctor).unwrap();
    house.clock.set(hour(2));
    house.records.end_assignment(id, house.doctor, "over").unwrap();
    house.clock.set(hour(9));
    let path = format!(
        "/api/elders/{}/trend?metrics=systolic,spo2&from=2026-11-22T03:00:00Z&to=2026-11-22T13:00:00Z",
        house.wang
    );
    let (status, trend) = house.signed_in("chen").get(&path).await;
    assert_eq!(status, 200, "{trend}");
    let (pressure, spo2) = (&trend["series"][0], &trend["series"][1]);
    let bands: Vec<String> = pressure["bands"]
        .as_array()
        .unwrap()
        .iter()
        .map(|band| {
            format!(
                "{} {} {} {} {}",
                band["priority"], band["limit"], band["from"], band["until"], band["origin"]["layer"]
            )
        })
        .collect();
    // Before noon nothing was saved: the store did not exist.
    let expected = [
        r#""P3" 140.0 "2026-11-22T05:00:00Z" "2026-11-22T06:00:00Z" "htn""#,
        r#""P1" 180.0 "2026-11-22T04:00:00Z" null "test""#,
    ];
    assert_eq!(bands, expected);
    assert_eq!((&pressure["bands_from"], &spo2["bands"]), (&json!(NOON), &json!([])));
    let marker = &trend["alarms"][0];
    assert_eq!((&marker["id"], &marker["priority"]), (&json!(alarm.to_string()), &json!("P2")));
    assert_eq!((&marker["metric"], &marker["at"]), (&json!("systolic"), &json!(noon().millis())));
    assert_eq!((trend["alarms"].as_array().unwrap().len(), &trend["alarms_cut"]), (1, &json!(false)));
}
