//! Trends over real stores: an elder's curve with the causes of its gaps and the limits as they were, an elder's profile, a team's
//! sparklines, and figures of groups.

use std::time::{Duration, Instant};

use model::layer::Scope;
use model::people::Sex;
use model::{ElderId, Metric, Quality, QuietKind, Reading, Sample, Seq, Subject, TeamId, Time, Whose};
use serde_json::{Value, json};
use store::records::{NewAssignment, NewElder, NewQuiet};

use crate::house::{House, NOON, answer};

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

/// The seats see the day around now and the day around an alarm that is open; any other day belongs to those who treat.
#[tokio::test]
async fn seats_see_the_day_around_now_or_around_an_open_alarm() {
    let house = House::open().await;
    let alarm = house.crisis(house.wang);
    let day = |n: i64| noon().plus_us(n * 24 * HOUR_US);
    house.clock.set(day(10));
    let (zhang, ban, chen) = (house.signed_in("zhang"), house.signed_in("ban"), house.signed_in("chen"));
    let asks = |elder: ElderId, from: Time, to: Time| {
        let minute = to.plus_us(-MINUTE_US);
        [
            format!("/api/elders/{elder}/trend?metrics=heart_rate&from={from}&to={to}"),
            format!("/api/elders/{elder}/waveforms?metric=ecg&from={from}&to={to}"),
            format!("/api/elders/{elder}/strip?metric=ecg&from={minute}&to={to}"),
        ]
    };
    let around_alarm = (day(0).plus_us(-HOUR_US), day(0).plus_us(23 * HOUR_US));
    for seat in [&zhang, &ban] {
        for (elder, (from, to), expected) in [
            (house.wang, (day(9), day(10)), 200),
            (house.wang, around_alarm, 200),
            (house.wang, (day(-1), day(0)), 200),
            (house.li, around_alarm, 403),
            (house.wang, (day(5), day(6)), 403),
            (house.wang, (day(-3), day(-2)), 403),
        ] {
            for path in asks(elder, from, to) {
                let (status, answer) = seat.get(&path).await;
                assert_eq!(status, expected, "{path}: {answer}");
            }
        }
    }
    for path in asks(house.wang, day(5), day(6)) {
        assert_eq!(chen.get(&path).await.0, 200, "who treats: {path}");
    }
    let post = |what: &str, body: Value| {
        let request = zhang.request("POST", &format!("/api/alarms/{alarm}/{what}"));
        answer(request.header("idempotency-key", what).json(&body))
    };
    assert_eq!(post("claim", json!({})).await.0, 200);
    let (status, done) = post("resolve", json!({ "outcome": "false_alarm", "note": "x" })).await;
    assert_eq!(status, 200, "{done}");
    for path in asks(house.wang, around_alarm.0, around_alarm.1) {
        assert_eq!(zhang.get(&path).await.0, 403, "the alarm is over: {path}");
    }
}

/// Two measurements each morning and evening of the last nine days: 150 and 140 in the morning, 130 and 120 in the evening.
fn cuff(house: &House) {
    let midnight = Time::parse("2026-11-22T00:00:00+08:00").unwrap();
    let mut rows = Vec::new();
    for day in 0..9 {
        for (minute, high) in [(420, 150.0), (421, 140.0), (1_200, 130.0), (1_201, 120.0)] {
            let at = midnight.plus_us((minute - day * 1_440) * MINUTE_US);
            for (metric, value) in [(Metric::Systolic, high), (Metric::Diastolic, high - 60.0)] {
                let sample = Sample::new(metric, at, value, Quality::Ok);
                rows.push(Reading { subject: Subject::Elder(house.wang), device: house.band, sample });
            }
        }
    }
    rows.retain(|row| row.sample.taken_at < noon());
    house.readings.write(&rows, Seq(1)).unwrap();
}

#[tokio::test]
async fn a_profile_says_what_is_known_and_what_is_not() {
    let house = House::open().await;
    cuff(&house);
    let chen = house.signed_in("chen");
    let (status, found) = chen.get(&format!("/api/elders/{}/profile?metric=systolic&days=14", house.wang)).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(
        (&found["basis"], &found["zone"], &found["unit"]),
        (&json!("readings"), &json!("Asia/Shanghai"), &json!("mmHg"))
    );
    let pressure = &found["blood_pressure"];
    // Seven days until today; the first is left out; today has a morning only.
    assert_eq!((&pressure["from"], &pressure["to"]), (&json!("2026-11-16"), &json!("2026-11-22")));
    let (morning, evening) = (&pressure["morning"], &pressure["evening"]);
    assert_eq!((&morning["days"], &morning["n"], &morning["systolic"]), (&json!(6), &json!(12), &json!(145.0)));
    assert_eq!((&evening["days"], &evening["n"], &evening["diastolic"]), (&json!(5), &json!(10), &json!(65.0)));
    // 12 of 145 and 10 of 125.
    assert_eq!((&pressure["average"]["systolic"], &pressure["elevated"]), (&json!(135.9), &json!(true)));
    let hour = &found["hours"][7];
    assert_eq!(
        (&hour["hour"], &hour["n"], &hour["days"], &hour["p50"]),
        (&json!(7), &json!(18), &json!(9), &json!(145.0))
    );
    assert_eq!(found["hours"][3]["p50"], Value::Null);
    assert_eq!((&found["day_night"]["dipping"], &found["day_night"]["why"]), (&Value::Null, &json!("too_few_by_day")));
    assert_eq!((&found["band"]["high"], &found["band"]["high_priority"]), (&json!(180.0), &json!("P1")));
    let weeks = found["weeks"].as_array().unwrap();
    let last = weeks.last().unwrap();
    assert_eq!((&last["from"], &last["whole"], &last["within"]), (&json!("2026-11-16"), &json!(true), &json!(1.0)));
    assert_eq!((&found["baseline"]["why"], &found["baseline"]["days"]), (&json!("too_few_days"), &json!(2)));
    assert_eq!(found["glucose"], Value::Null);
    let (_, diastolic) = chen.get(&format!("/api/elders/{}/profile?metric=diastolic&days=14", house.wang)).await;
    assert_eq!(diastolic["blood_pressure"], *pressure, "whichever is named");
    assert_eq!(chen.get(&format!("/api/elders/{}/profile?metric=ecg", house.wang)).await.0, 422);
    assert_eq!(chen.get(&format!("/api/elders/{}/profile?metric=spo2&days=91", house.wang)).await.0, 422);
    let looks = house.records.audit_list(None, 100).unwrap();
    assert_eq!(looks.iter().filter(|row| row.action == "view_readings").count(), 1);
}

/// A continuous meter, every five minutes for 70 days: the profile is made of five minutes, and the fortnight is whole.
#[tokio::test]
async fn a_stream_is_looked_at_in_steps_of_five_minutes() {
    let house = House::open().await;
    for day in 0..70_i64 {
        let rows: Vec<Reading> = (0..288_i64)
            .map(|step| {
                let at = noon().plus_us((step - (day + 1) * 288) * 5 * MINUTE_US);
                let value = if day < 3 { 11.0 } else { 6.0 + (day % 3) as f64 };
                let sample = Sample::new(Metric::GlucoseInterstitial, at, value, Quality::Ok);
                Reading { subject: Subject::Elder(house.wang), device: house.band, sample }
            })
            .collect();
        house.readings.write(&rows, Seq(day as u64 + 1)).unwrap();
    }
    let chen = house.signed_in("chen");
    let path = format!("/api/elders/{}/profile?metric=glucose_interstitial&days=90", house.wang);
    let started = Instant::now();
    let (status, found) = chen.get(&path).await;
    eprintln!("a profile of 90 days over 20,160 values: {:?}, {} bytes", started.elapsed(), found.to_string().len());
    assert_eq!(status, 200, "{found}");
    let sugar = &found["glucose"];
    assert_eq!(
        (&found["basis"], &sugar["enough"], &sugar["coverage"]),
        (&json!("five_minutes"), &json!(true), &json!(1.0))
    );
    // Three of fourteen days are high: 21.43 %.
    assert_eq!((&sugar["ranges"][3]["share"], &sugar["ranges"][2]["share"]), (&json!(0.2143), &json!(0.7857)));
    assert_eq!(sugar["target_group"], json!("older_high_risk"));
    let n: u64 = found["hours"].as_array().unwrap().iter().map(|hour| hour["n"].as_u64().unwrap()).sum();
    assert_eq!(n, 70 * 288, "every value is in one hour, over the seam of two questions too");
    let baseline = &found["baseline"];
    assert_eq!((&baseline["days"], &baseline["now_days"], &baseline["median"]), (&json!(56), &json!(7), &json!(7.0)));
}

/// Elders of team A beyond the first, each with a pulse every so many minutes of the last week.
fn neighbours(house: &House, count: usize, every_min: i64) -> Vec<ElderId> {
    let team = TeamId(house.records.elder(house.wang).unwrap().unwrap().team.unwrap().id);
    let new = |n: usize| NewElder {
        name: format!("邻居{n}"),
        sex: if n.is_multiple_of(2) { Sex::Female } else { Sex::Male },
        birth_date: Some(format!("{}-01-01", 1936 + n % 30)),
        phone: "13900000000".to_owned(),
        address: String::new(),
        notes: String::new(),
        team: Some(team),
    };
    let elders: Vec<ElderId> = (0..count).map(|n| house.records.create_elder(&new(n)).unwrap()).collect();
    let minutes: Vec<i64> = (-7 * 1_440..0).filter(|minute| minute % every_min == 0).collect();
    let rows_of = |minute: i64| {
        let device = house.band;
        elders.iter().enumerate().map(move |(n, elder)| {
            // The first one's pulse rises by 40 on the last day.
            let rise = if n == 0 && minute >= -1_440 { 40.0 } else { 0.0 };
            let value = 60.0 + (n % 20) as f64 + (minute.rem_euclid(7)) as f64 + rise;
            let sample = Sample::new(Metric::HeartRate, noon().plus_us(minute * MINUTE_US), value, Quality::Ok);
            Reading { subject: Subject::Elder(*elder), device, sample }
        })
    };
    for (number, some) in (1..).zip(minutes.chunks(20_000 / count.max(1) + 1)) {
        let rows: Vec<Reading> = some.iter().flat_map(|minute| rows_of(*minute)).collect();
        house.readings.write(&rows, Seq(number)).unwrap();
    }
    elders
}

fn from_env(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// A team at a glance. For a measurement: `VIGIL_TEAM_ELDERS=1999 VIGIL_TEAM_EVERY_MIN=1`.
#[tokio::test]
async fn a_team_is_one_request() {
    let house = House::open().await;
    let (count, every) = (from_env("VIGIL_TEAM_ELDERS", 60), from_env("VIGIL_TEAM_EVERY_MIN", 30));
    let elders = neighbours(&house, count, every as i64);
    if count > 100 {
        house.readings.seal_all().unwrap();
    }
    let chen = house.signed_in("chen");
    let started = Instant::now();
    let response = chen.request("GET", "/api/teams/1/trends?metric=heart_rate&sort=change").send().await.unwrap();
    let (status, body) = (response.status().as_u16(), response.bytes().await.unwrap());
    eprintln!("{} elders, 7 days, a value every {every} min: {:?}, {} bytes", count + 1, started.elapsed(), body.len());
    let found: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, 200, "{found}");
    let names: Vec<&str> = found["columns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let place = |name: &str| names.iter().position(|one| *one == name).unwrap();
    assert_eq!((&found["total"], &found["left_out"]), (&json!(count + 1), &json!(0)));
    let rows = found["rows"].as_array().unwrap();
    let first = &rows[0];
    assert_eq!(first[place("elder")], json!(elders[0]), "the one who changed most");
    let change = first[place("change")].as_f64().unwrap();
    assert!((39.0..41.0).contains(&change), "{change}");
    assert_eq!(first[place("name_masked")], json!("邻*0"), "lists are masked");
    let points = first[place("points")].as_array().unwrap();
    assert_eq!(points.len() as u64, found["buckets"].as_u64().unwrap());
    assert!(points.iter().filter(|point| point.is_number()).count() >= 28);
    // 王秀英 has no pulse at all: last, and never heard.
    let last = rows.last().unwrap();
    assert_eq!((&last[place("elder")], &last[place("days_silent")]), (&json!(house.wang), &Value::Null));

    let (_, page) = chen.get("/api/teams/1/trends?metric=heart_rate&sort=id&limit=2&offset=1").await;
    let ids: Vec<&Value> = page["rows"].as_array().unwrap().iter().map(|row| &row[0]).collect();
    assert_eq!(ids, [&json!(elders[0]), &json!(elders[1])]);
    assert_eq!(house.signed_in("zhao").get("/api/teams/1/trends?metric=heart_rate").await.0, 403, "another team's");
    assert_eq!(house.signed_in("admin").get("/api/teams/99/trends?metric=heart_rate").await.0, 404);
    assert_eq!(chen.get("/api/teams/1/trends?metric=heart_rate&sort=name").await.0, 422);
    let looks = house.records.audit_list(None, 100).unwrap();
    assert!(looks.iter().any(|row| row.action == "view_team_trends" && row.subject == "team/1"));
}

/// The worst first: by the limits of each.
#[tokio::test]
async fn what_is_beyond_its_limits_comes_first() {
    let house = House::open().await;
    let elders = neighbours(&house, 3, 600);
    let write = |seq, elder: ElderId, value| {
        let sample = Sample::new(Metric::Systolic, noon(), value, Quality::Ok);
        house
            .readings
            .write(&[Reading { subject: Subject::Elder(elder), device: house.band, sample }], Seq(seq))
            .unwrap();
    };
    for (seq, elder, value) in [(900, house.wang, 120.0), (901, elders[1], 189.0), (902, elders[2], 198.0)] {
        write(seq, elder, value);
    }
    let (_, found) = house.signed_in("sun").get("/api/teams/1/trends?metric=systolic").await;
    let rows: Vec<Value> =
        found["rows"].as_array().unwrap().iter().map(|row| json!([row[0], row[2], row[8], row[9]])).collect();
    let expected = [
        json!([elders[2], 198.0, 0.1, "P1"]),
        json!([elders[1], 189.0, 0.05, "P1"]),
        json!([house.wang, 120.0, null, null]),
        json!([elders[0], null, null, null]),
    ];
    assert_eq!(rows, expected);

    // A crisis of eight days ago is no crisis of this week: shown with its time, and not ranked.
    let sample = Sample::new(Metric::Systolic, noon().plus_us(-8 * 24 * HOUR_US), 210.0, Quality::Ok);
    let old = Reading { subject: Subject::Elder(elders[0]), device: house.band, sample };
    house.readings.write(&[old], Seq(903)).unwrap();
    let sun = house.signed_in("sun");
    let (_, found) = sun.get("/api/teams/1/trends?metric=systolic").await;
    let row = found["rows"].as_array().unwrap().iter().find(|row| row[0] == json!(elders[0])).unwrap();
    assert_eq!((&row[2], &row[8], &row[9]), (&json!(210.0), &Value::Null, &Value::Null));
    assert_eq!(found["rows"][0][0], json!(elders[2]));
    let (_, found) = sun.get("/api/teams/1/trends?metric=systolic&days=30").await;
    let row = &found["rows"][0];
    assert_eq!((&row[0], &row[7], &row[9]), (&json!(elders[0]), &json!(8), &json!("P1")), "in the range it is");
}

/// Figures of groups: made in the background, without persons, small groups hidden, written to the audit.
/// For a measurement: `VIGIL_POPULATION=5000`.
#[tokio::test]
async fn figures_of_groups_show_nobody() {
    let house = House::open().await;
    let count = from_env("VIGIL_POPULATION", 80);
    neighbours(&house, count, 120);
    let admin = house.signed_in("admin");
    let started = Instant::now();
    let (mut status, mut found) = admin.get("/api/population?metric=heart_rate&by=team&days=7").await;
    assert_eq!((status, &found["state"]), (202, &json!("running")), "{found}");
    // Not a measurement: far more than it takes, and then something is stuck.
    while status == 202 && started.elapsed() < Duration::from_mins(1) {
        (status, found) = admin.get("/api/population?metric=heart_rate&by=team&days=7").await;
        tokio::task::yield_now().await;
    }
    eprintln!("means of {} elders: {:?}", count + 2, started.elapsed());
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["total"]["measured"], json!(count));
    assert_eq!((&found["rule"]["k"], &found["hidden_groups"]), (&json!(11), &json!(0)));
    let groups = found["groups"].as_array().unwrap();
    assert_eq!((&groups[0]["zh"], &groups[0]["measured"]), (&json!("A 队"), &json!(count)));
    // 李建国 of team B was never measured: that is nobody's figure.
    assert_eq!((&groups[1]["measured"], &groups[1]["mean"]), (&json!(0), &Value::Null));
    assert_eq!(found["range"]["high"], Value::Null, "the rules here say nothing of pulses");

    let (status, bands) = admin.get("/api/population?metric=heart_rate&by=age_band&days=7").await;
    assert_eq!(status, 200, "from the same means");
    let measured: u64 = bands["groups"].as_array().unwrap().iter().filter_map(|group| group["measured"].as_u64()).sum();
    let hidden = bands["hidden_groups"].as_u64().unwrap();
    assert!(measured == count as u64 || measured + 11 <= count as u64, "{measured} shown, {hidden} hidden");
    let response = admin.request("GET", "/api/population.csv?metric=heart_rate&by=sex&days=7").send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    let table = response.text().await.unwrap();
    assert!(table.starts_with('\u{feff}') && table.lines().count() == 4, "{table}");
    assert!(table.contains("heart_rate,sex,female,女,Female,"), "{table}");
    assert_eq!(
        admin.get("/api/population?metric=heart_rate&days=8").await.0,
        422,
        "nearly the same span tells too much"
    );
    assert_eq!(admin.get("/api/population?metric=heart_rate&by=elder").await.0, 422);
    let audit = house.records.audit_list(None, 200).unwrap();
    let looks = audit.iter().filter(|row| row.action == "view_population");
    let subjects: Vec<&str> = looks.map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["population/sex", "population/age_band", "population/team"]);
}
