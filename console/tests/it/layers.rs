//! Layers: who has which, what comes of them, and what is refused with its place.

use serde_json::{Value, json};

use crate::house::{House, answer, rules, template};

/// A doctor gives 王秀英 the template; her page says where each number comes from; it is ended and stays in the history.
#[tokio::test]
async fn a_template_is_assigned_shown_with_its_origin_and_ended() {
    let house = House::open().await;
    let chen = house.signed_in("chen");
    let body = json!({ "layer": "htn", "elder": house.wang, "until": "2026-12-22T04:00:00Z", "reason": "血压不稳" });
    let (status, made) = chen.post("/api/assignments", &body).await;
    assert_eq!((status, &made["by"], &made["in_force"]), (200, &json!("陈医生"), &json!(true)), "{made}");
    let path = format!("/api/elders/{}/rules", house.wang);
    let (_, shown) = chen.get(&path).await;
    let layer = &shown["layers"][1];
    assert_eq!(
        [&layer["layer"], &layer["by"], &layer["why"], &layer["year"], &layer["until"], &layer["tier_zh"]],
        [&json!("htn"), &json!("陈医生"), &json!("血压不稳"), &json!(2024), &body["until"], &json!("病种模板")]
    );
    let origin = &shown["origins"][0];
    assert_eq!(origin["levels"], json!([{ "priority": "P1", "origin": 0 }, { "priority": "P3", "origin": 1 }]));
    assert_eq!((&shown["own"], &shown["name"], &origin["note"]), (&json!(false), &json!("test+htn@1"), &json!("P3")));
    let again = chen.post("/api/assignments", &body).await;
    assert_eq!((again.0, &again.1["error"]["layer"]), (422, &json!("htn")), "{}", again.1);
    let (_, list) = chen.get("/api/layers").await;
    assert_eq!(list["layers"][0]["assigned"], json!({ "elders": 1, "teams": 0, "ages": 0 }));
    let end = format!("/api/assignments/{}/end", made["id"]);
    let (status, ended) = chen.post(&end, &json!({ "reason": "达标" })).await;
    assert_eq!((status, &ended["end_reason"]), (200, &json!("达标")));
    let of_her = |all: bool| format!("/api/assignments?elder={}&all={all}", house.wang);
    assert_eq!(chen.get(&of_her(false)).await.1["assignments"], json!([]));
    assert_eq!(chen.get(&of_her(true)).await.1["assignments"].as_array().unwrap().len(), 1);
    assert_eq!(chen.get(&path).await.1["layers"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_layer_rule_level_and_reason() {
    let house = House::open().await;
    let chen = house.signed_in("chen");
    house.assignment();
    let admin = house.signed_in("admin");
    let put =
        |layer: Value| answer(admin.request("PUT", "/api/layers/htn").json(&json!({ "layer": layer, "reason": "x" })));
    let (status, refused) = put(json!(template(190.0))).await;
    let error = &refused["error"];
    assert_eq!(
        (status, &error["code"], &error["layer"], &error["rule"], &error["level"]),
        (422, &json!("bad_rule"), &json!("htn"), &json!("systolic_high"), &json!("P3")),
        "{refused}"
    );
    assert!(error["reason"].as_str().unwrap().contains("190"), "{refused}");
    let mut unknown = json!(template(150.0));
    unknown["patches"][0]["rule"] = json!("sistolic");
    let (_, refused) = put(unknown).await;
    assert!(refused["error"]["reason"].as_str().unwrap().contains("systolic_high"), "{refused}");
    // A metric that nobody knows, and a hold time longer than a stream lasts.
    let path = format!("/api/elders/{}/rules", house.wang);
    let put = |set: Value| answer(chen.request("PUT", &path).json(&json!({ "set": set, "reason": "x" })));
    let mut set = json!(rules(170.0));
    set["rules"][0]["test"]["threshold"]["metric"] = json!("blood_pressure");
    let (status, refused) = put(set.clone()).await;
    let said = refused["error"]["message_en"].as_str().unwrap();
    assert!(status == 422 && said.contains("blood_pressure") && said.contains("/api/metrics"), "{refused}");
    set["rules"][0]["test"]["threshold"]["metric"] = json!("heart_rate");
    set["rules"][0]["test"]["threshold"]["levels"][0]["hold_s"] = json!(7_200);
    let (status, refused) = put(set).await;
    assert_eq!((status, &refused["error"]["level"]), (422, &json!("P1")));
    assert!(refused["error"]["reason"].as_str().unwrap().contains("longer than the data"), "{refused}");
}

/// A shipped template keeps what its source says until an administrator changes it; then everybody sees who did, and when.
#[tokio::test]
async fn a_shipped_template_is_the_administrators_and_a_teams_layer_is_the_teams() {
    let house = House::open().await;
    let (chen, zhao, admin) = (house.signed_in("chen"), house.signed_in("zhao"), house.signed_in("admin"));
    let save = |who: &crate::house::Client, layer: &model::layer::Layer| {
        let path = format!("/api/layers/{}", layer.name);
        answer(who.request("PUT", &path).json(&json!({ "layer": layer, "reason": "x" })))
    };
    let shipped = template(145.0);
    for doctor in [&chen, &zhao] {
        let (status, refused) = save(doctor, &shipped).await;
        let said = refused["error"]["message_en"].as_str().unwrap();
        assert!(status == 403 && said.contains("Save yours under a new name"), "nobody has it, and still: {refused}");
    }
    let rules = format!("/api/elders/{}/rules", house.wang);
    house.assignment();
    let layer = chen.get(&rules).await.1["layers"][1].clone();
    assert_eq!((&layer["saved_by"], &layer["version"]), (&Value::Null, &json!(1)), "shipped: {layer}");
    assert_eq!(save(&admin, &shipped).await.1["version"], 2);
    let layer = chen.get(&rules).await.1["layers"][1].clone();
    assert_eq!((&layer["version"], &layer["saved_at"]), (&json!(2), &json!(house.clock.now())), "{layer}");
    let name = house.records.person(house.person("admin")).unwrap().unwrap().name;
    assert_eq!(layer["saved_by"], json!(name), "who answers for 145: {layer}");
    assert_eq!(chen.get(&rules).await.1["layers"][0]["saved_by"], Value::Null, "the default was shipped");
    let now = house.clock.now();
    let query = format!("metrics=systolic&from={}&to={}", now.plus_us(-3_600_000_000), now.plus_us(3_600_000_000));
    let (_, trend) = chen.get(&format!("/api/elders/{}/trend?{query}", house.wang)).await;
    let bands = trend["series"][0]["bands"].as_array().unwrap();
    assert!(bands.iter().any(|band| band["origin"]["saved_by"] == json!(name)), "{bands:?}");

    // What a doctor's team made is the team's, also after an administrator mended it.
    let mut own = template(150.0);
    own.name = "east-htn".to_owned();
    assert_eq!(save(&chen, &own).await.1["version"], 1);
    assert_eq!(save(&zhao, &own).await.0, 403, "of another team, and nobody has it");
    assert_eq!(save(&admin, &own).await.1["version"], 2);
    assert_eq!(save(&chen, &own).await.1["version"], 3);
    // What an administrator made is no team's.
    own.name = "county-htn".to_owned();
    assert_eq!(save(&admin, &own).await.0, 200);
    assert_eq!(save(&chen, &own).await.0, 403);
}

#[tokio::test]
async fn doctors_stay_within_their_team_and_age_bands_are_the_administrators() {
    let house = House::open().await;
    let (zhao, admin) = (house.signed_in("zhao"), house.signed_in("admin"));
    let band = json!({ "layer": "htn", "age_from": 80, "reason": "县里统一" });
    assert_eq!(zhao.post("/api/assignments", &band).await.0, 403);
    let (status, made) = admin.post("/api/assignments", &band).await;
    assert_eq!((status, &made["scope"]), (200, &json!({ "age_from": 80 })));
    let change = json!({ "layer": template(145.0), "reason": "x" });
    assert_eq!(answer(zhao.request("PUT", "/api/layers/htn").json(&change)).await.0, 403, "others have it");
    house.doctor_without_a_team("liu");
    let liu = house.signed_in("liu");
    let mut own = template(145.0);
    own.name = "nobodys".to_owned();
    let new = json!({ "layer": own, "reason": "x" });
    assert_eq!(answer(liu.request("PUT", "/api/layers/nobodys").json(&new)).await.0, 403, "of no team");
    let end = format!("/api/assignments/{}/end", made["id"]);
    assert_eq!(zhao.post(&end, &json!({ "reason": "x" })).await.0, 403);
    assert_eq!(answer(admin.request("PUT", "/api/layers/htn").json(&change)).await.1["version"], 2);
    let (_, versions) = zhao.get("/api/layers/htn").await;
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    assert_eq!(zhao.get("/api/layers/none").await.0, 404);
    for whom in [json!({}), json!({ "elder": house.wang, "team": 1 })] {
        let mut body = json!({ "layer": "htn", "reason": "x" });
        body.as_object_mut().unwrap().extend(whom.as_object().unwrap().clone());
        assert_eq!(admin.post("/api/assignments", &body).await.0, 422);
    }
}
