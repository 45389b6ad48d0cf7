//! "What would it have raised?" over stored readings.

use std::time::Instant;

use model::rule::{RuleSet, Test};
use model::{Metric, Quality, Reading, Sample, Seq, Subject, Time};
use serde_json::json;
use store::readings::Batch;

use crate::house::{House, NOON, rules};

/// Days of one-minute data; more for a measurement: `VIGIL_JUDGE_DAYS=90`.
fn days() -> i64 {
    std::env::var("VIGIL_JUDGE_DAYS").ok().and_then(|days| days.parse().ok()).unwrap_or(3)
}

/// One pressure a minute, 120, with an hour of 185 every noon; a pulse beside it.
fn fill(house: &House) {
    let noon = Time::parse(NOON).unwrap();
    let minutes = days() * 1_440;
    for (number, part) in (1..).zip((0..minutes).collect::<Vec<_>>().chunks(10_000)) {
        let rows = part.iter().flat_map(|minute| {
            let at = noon.plus_us((minute - minutes) * 60_000_000);
            let high = minute % 1_440 < 60;
            let pressure = Sample::new(Metric::Systolic, at, if high { 185.0 } else { 120.0 }, Quality::Ok);
            let pulse = Sample::new(Metric::HeartRate, at, 70.0 + (minute % 7) as f64, Quality::Ok);
            [pressure, pulse].map(|sample| Reading { subject: Subject::Elder(house.wang), device: house.band, sample })
        });
        house.readings.write_batch(&Batch { rows: rows.collect(), ..Batch::default() }, Seq(number)).unwrap();
    }
}

#[tokio::test]
async fn a_wider_limit_shows_what_would_be_lost_before_it_is_saved() {
    let house = House::open().await;
    fill(&house);
    let doctor = house.signed_in("chen");
    let path = format!("/api/elders/{}/judge", house.wang);
    let ask = |set: RuleSet| {
        let body = json!({ "set": set, "days": days().min(90) });
        let (doctor, path) = (&doctor, &path);
        async move { doctor.post(path, &body).await }
    };
    let started = Instant::now();
    let (status, same) = ask(rules(180.0)).await;
    eprintln!("{} days of 1-minute data, two metrics, judged twice: {:?}", days(), started.elapsed());
    assert_eq!(status, 200, "{same}");
    assert_eq!(same["readings"], json!(days() * 1_440 * 2));
    assert_eq!((&same["now"]["alarms"], &same["proposed"]["alarms"]), (&json!(days()), &json!(days())));
    assert_eq!((&same["gained"], &same["lost"]), (&json!([]), &json!([])), "the same rules find the same");

    let (_, wider) = ask(rules(190.0)).await;
    assert_eq!((&wider["proposed"]["alarms"], &wider["gained"]), (&json!(0), &json!([])));
    let lost = wider["lost"].as_array().unwrap();
    assert_eq!((lost.len() as i64, &lost[0]["rule"]), (days(), &json!("systolic_high")));
    assert_eq!((&lost[0]["worst"], &wider["now"]["by_priority"]), (&json!(185.0), &json!({ "P1": days() })));

    let mut narrower = rules(180.0);
    let Test::Threshold(test) = &mut narrower.rules[0].test else { panic!() };
    (test.metric, test.levels[0].limit) = (Metric::HeartRate, 75.5);
    narrower.rules[0].slug = "pulse".into();
    let (_, narrower) = ask(narrower).await;
    assert!(narrower["gained"].as_array().is_some_and(|gained| !gained.is_empty()));

    let mut bad = rules(180.0);
    bad.rules.push(bad.rules[0].clone());
    let (status, refused) = ask(bad).await;
    assert_eq!(
        (status, &refused["error"]["code"], &refused["error"]["rule"]),
        (422, &json!("bad_rule"), &json!("systolic_high"))
    );
    assert_eq!(doctor.post(&path, &json!({ "set": rules(180.0), "days": 91 })).await.0, 422);
    assert_eq!(
        house.signed_in("zhao").post(&path, &json!({ "set": rules(180.0) })).await.0,
        403,
        "another team's doctor"
    );
    assert!(house.records.rules_for(house.wang).unwrap().set == rules(180.0), "asking changes nothing");

    let team = house.records.elder(house.wang).unwrap().unwrap().team.unwrap().id;
    let (status, all) =
        doctor.post(&format!("/api/teams/{team}/judge"), &json!({ "set": rules(190.0), "days": 90 })).await;
    assert_eq!(
        (status, &all["lost_true"], &all["elders"]["next"]),
        (200, &json!(0), &serde_json::Value::Null),
        "{all}"
    );
    assert_eq!(all["now"]["alarms"], json!(days()));
}
