//! Elders: search, card, latest values, trends, rules; devices of nobody; quarantine.

use model::{GatewayId, Metric, Origin, Quality, Reading, Sample, Seq, Subject, Time};
use serde_json::{Value, json};
use store::readings::{Batch, Original};

use crate::house::{House, NOON, answer, rules};

/// Blood pressure every minute for an hour before noon, a pause of the sensor in the middle.
fn measure(house: &House) {
    let noon = Time::parse(NOON).unwrap();
    let rows: Vec<Reading> = (0..60_i64)
        .map(|minute| {
            let at = noon.plus_us((minute - 60) * 60_000_000);
            let sample = if (20..40).contains(&minute) {
                Sample::absent(Metric::HeartRate, at, Quality::SensorOff)
            } else {
                Sample::new(Metric::HeartRate, at, 70.0 + (minute % 5) as f64, Quality::Ok)
            };
            Reading { subject: Subject::Elder(house.wang), device: house.band, sample }
        })
        .collect();
    house.readings.write(&rows, Seq(1)).unwrap();
    let pressure = Sample::new(Metric::Systolic, noon, 186.0, Quality::Ok);
    let pressure = Reading { subject: Subject::Elder(house.wang), device: house.band, sample: pressure };
    let stray = Sample::new(Metric::Systolic, noon, 120.0, Quality::Ok);
    let stray = Reading { subject: Subject::Unattributed(house.loose), device: house.loose, sample: stray };
    // The cuff wrote kPa and its clock, which is ours but for three seconds, says local time.
    let origin = Origin {
        index: 0,
        raw: Some(("24.8".into(), "kPa".into())),
        device_ms: Some(noon.millis() + 8 * 3_600_000 + 3_000),
        uncertainty_ms: Some(1_500),
    };
    let original = Original { subject: pressure.subject, metric: Metric::Systolic, at: noon, origin };
    let batch = Batch { rows: vec![pressure, stray], originals: vec![original], ..Batch::default() };
    house.readings.write_batch(&batch, Seq(2)).unwrap();
}

#[tokio::test]
async fn the_list_is_masked_and_in_scope() {
    let house = House::open().await;
    measure(&house);
    house.fall(house.wang);
    let zhang = house.signed_in("zhang");
    let (_, found) = zhang.get("/api/elders?q=13911112222").await;
    assert_eq!(
        found["elders"],
        json!([{ "id": house.wang, "name_masked": "王*英", "age": 82, "sex": "female", "team": { "id": 1, "name": "A 队" },
                 "latest_at": NOON, "open_alarms": 1 }])
    );
    let count = |list: &Value| list["elders"].as_array().unwrap().len();
    assert_eq!(count(&zhang.get("/api/elders").await.1), 2);
    assert_eq!(count(&house.signed_in("chen").get("/api/elders").await.1), 1);
    assert_eq!(count(&house.signed_in("chen").get("/api/elders?q=13933334444").await.1), 0, "another team's");
    // Who sees no phone number cannot look people up by one.
    let admin = house.signed_in("admin");
    assert_eq!(count(&admin.get("/api/elders?q=13911112222").await.1), 0);
    assert_eq!(count(&admin.get("/api/elders").await.1), 2);
    // They search by what their list shows; what is not searched is said, not answered with everybody.
    let (_, by_number) = admin.get(&format!("/api/elders?q={}", house.li)).await;
    assert_eq!((count(&by_number), &by_number["elders"][0]["id"]), (1, &json!(house.li)), "{by_number}");
    let (_, by_team) = admin.get("/api/elders?q=A%20队").await;
    assert_eq!((count(&by_team), &by_team["elders"][0]["id"]), (1, &json!(house.wang)), "{by_team}");
    assert_eq!(count(&admin.get("/api/elders?q=队").await.1), 2);
    for text in ["nosuchname", "王秀英", "幸福路"] {
        let (status, refused) = admin.get(&format!("/api/elders?q={text}")).await;
        let said = refused["error"]["message_en"].as_str().unwrap_or_default();
        assert!(status == 422 && said.contains("by an elder's number or a team's name"), "{text}: {refused}");
    }
    let (status, refused) = zhang.get("/api/elders?limit=many").await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("bad_request")));
}

#[tokio::test]
async fn the_card_and_the_latest_values() {
    let house = House::open().await;
    measure(&house);
    let chen = house.signed_in("chen");
    let (_, card) = chen.get(&format!("/api/elders/{}", house.wang)).await;
    assert_eq!(
        (&card["name"], &card["birth_date"], &card["notes"]),
        (&json!("王秀英"), &json!("1944-03-02"), &json!("独居"))
    );
    assert_eq!(card["devices"], json!([{ "id": house.band, "name": "band", "kind": null, "last_seen": NOON }]));
    assert_eq!(house.records.audit_list(None, 1).unwrap()[0].action, "view_elder");
    let (_, masked) = house.signed_in("admin").get(&format!("/api/elders/{}", house.wang)).await;
    assert_eq!(
        (&masked["name"], &masked["phone"], &masked["birth_date"]),
        (&json!("王*英"), &Value::Null, &Value::Null)
    );

    let (_, latest) = chen.get(&format!("/api/elders/{}/latest", house.wang)).await;
    let pressure = latest["latest"].as_array().unwrap().iter().find(|row| row["metric"] == "systolic").unwrap();
    let expected = json!({ "metric": "systolic", "value": 186.0, "quality": "ok", "taken_at": NOON, "device": "band",
        "origin": { "raw": "24.8", "unit": "kPa", "device_time": "2026-11-22T12:00:03", "uncertainty_ms": 1_500 } });
    assert_eq!(pressure, &expected);
    assert_eq!(chen.get(&format!("/api/elders/{}/latest", house.li)).await.0, 403);
    assert_eq!(chen.get("/api/elders/9999").await.0, 404);
}

#[tokio::test]
async fn a_trend_has_points_gaps_and_bands() {
    let house = House::open().await;
    measure(&house);
    let path = format!(
        "/api/elders/{}/trend?metrics=heart_rate,systolic&from=2026-11-22T03:00:00Z&to=2026-11-22T04:00:01Z&buckets=60",
        house.wang
    );
    let (status, trend) = house.signed_in("chen").get(&path).await;
    assert_eq!(status, 200, "{trend}");
    assert_eq!((&trend["from"], &trend["to"]), (&json!("2026-11-22T03:00:00Z"), &json!("2026-11-22T04:00:01Z")));
    assert!(trend["bucket_s"].as_f64().unwrap() >= 60.0);
    let (heart, pressure) = (&trend["series"][0], &trend["series"][1]);
    let points = heart["points"].as_array().unwrap();
    let readings: u64 = points.iter().map(|point| point[1].as_u64().unwrap()).sum();
    assert_eq!(readings, 40, "forty values; the absent ones are no points");
    let gap = |minute: i64| Time::parse("2026-11-22T03:00:00Z").unwrap().plus_us(minute * 60_000_000).millis();
    assert_eq!(heart["absent"][0], json!([gap(20), "sensor_off"]));
    let (from, to) = (heart["gaps"][0][0].as_i64().unwrap(), heart["gaps"][0][1].as_i64().unwrap());
    assert!(from <= gap(20) && to >= gap(39), "the pause is a gap: {}", heart["gaps"]);
    assert_eq!(pressure["points"][0].as_array().unwrap()[1..], [json!(1), json!(186.0), json!(186.0), json!(186.0)]);
    let band = &pressure["bands"][0];
    assert_eq!((&band["side"], &band["priority"], &band["limit"]), (&json!("high"), &json!("P1"), &json!(180.0)));

    let zhang = house.signed_in("zhang");
    assert_eq!(zhang.get(&path).await.0, 200, "the day around an alarm");
    assert_eq!(zhang.get(&path).await.0, 200, "the page refreshes itself");
    let looks = house.records.audit_list(None, 100).unwrap();
    assert_eq!(looks.iter().filter(|row| row.action == "view_readings").count(), 2, "one look each");
    let month = path.replace("2026-11-22T03", "2026-10-23T03");
    assert_eq!(zhang.get(&month).await.0, 403, "the history belongs to those who treat");
    assert_eq!(house.signed_in("chen").get(&month).await.0, 200);
    assert_eq!(zhang.get(&path.replace("buckets=60", "buckets=2001")).await.0, 422);
}

#[tokio::test]
async fn rules_are_read_changed_with_a_reason_and_refused_with_the_place() {
    let house = House::open().await;
    let chen = house.signed_in("chen");
    let path = format!("/api/elders/{}/rules", house.wang);
    let (_, before) = chen.get(&path).await;
    assert_eq!((&before["own"], &before["name"], &before["author"]), (&json!(false), &json!("test"), &Value::Null));
    let put = |body: Value| answer(chen.request("PUT", &path).json(&body));
    let (status, saved) = put(json!({ "set": rules(170.0), "reason": "体位性低血压" })).await;
    assert_eq!(status, 200, "{saved}");
    assert_eq!(
        (&saved["own"], &saved["author"], &saved["reason"]),
        (&json!(true), &json!("陈医生"), &json!("体位性低血压"))
    );
    assert_eq!(chen.get(&path).await.1["rules"][0]["test"]["threshold"]["levels"][0]["limit"], 170.0);
    let (status, refused) = put(json!({ "set": rules(900.0), "reason": "typing error" })).await;
    assert_eq!((status, &refused["error"]["code"]), (422, &json!("bad_rule")));
    assert_eq!((&refused["error"]["rule"], &refused["error"]["level"]), (&json!("systolic_high"), &json!("P1")));
    assert_eq!(put(json!({ "set": rules(170.0), "reason": " " })).await.0, 422, "no reason");
    let other = format!("/api/elders/{}/rules", house.li);
    let body = json!({ "set": rules(170.0), "reason": "?" });
    assert_eq!(answer(chen.request("PUT", &other).json(&body)).await.0, 403, "another team's elder");
}

#[tokio::test]
async fn an_administrator_sees_stray_devices_and_replays_quarantine() {
    let house = House::open().await;
    measure(&house);
    let admin = house.signed_in("admin");
    let (_, stray) = admin.get("/api/unattributed").await;
    assert_eq!(stray["devices"].as_array().unwrap().len(), 1, "the bound one is not among them");
    let device = &stray["devices"][0];
    assert_eq!(
        (&device["device"], &device["gateway"], &device["last_seen"]),
        (&json!("loose"), &json!("gw-1"), &json!(NOON))
    );
    assert_eq!(device["latest"][0]["value"], 120.0);

    let id = house.records.quarantine_put(GatewayId(1), "v1/up", b"\xff\xff", "not CBOR", house.clock.now()).unwrap();
    let (_, list) = admin.get("/api/quarantine").await;
    let frame = &list["frames"][0];
    assert_eq!((&frame["id"], &frame["gateway"], &frame["bytes"]), (&json!(id), &json!("gw-1"), &json!(2)));
    assert_eq!(frame["replayed_at"], Value::Null);
    let (status, done) = admin.post(&format!("/api/quarantine/{id}/replay"), &json!({})).await;
    assert_eq!((status, &done["replayed_at"]), (200, &json!(NOON)));
    assert_eq!(admin.post("/api/quarantine/999/replay", &json!({})).await.0, 404);
}

#[tokio::test]
async fn an_administrator_sees_what_is_missing_and_asks_again() {
    let house = House::open().await;
    let gap = house.gap();
    let admin = house.signed_in("admin");
    let (_, list) = admin.get("/api/custody?gateway=gw-1").await;
    let (found, loss) = (&list["gaps"][0], &list["losses"][0]);
    assert_eq!((&found["id"], &found["gateway"], &found["state"]), (&json!(gap), &json!("gw-1"), &json!("open")));
    assert_eq!((&found["missing"], &found["lane"], &found["cause"]), (&json!(5), &json!("vit"), &Value::Null));
    assert_eq!((&loss["cause"], &loss["first"], &list["lost_frames"]), (&json!("disk_budget"), &json!(1), &json!(10)));
    assert_eq!(admin.get("/api/custody?gateway=nobody").await.0, 404);
    assert_eq!(admin.post(&format!("/api/custody/{gap}/ask"), &json!({})).await.0, 200);
    assert_eq!(admin.post("/api/custody/999/ask", &json!({})).await.0, 404);
}
