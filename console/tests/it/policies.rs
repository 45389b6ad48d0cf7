//! Escalation policies: read, changed by an administrator, refused when they could page nobody; and the next step of an alarm.

use serde_json::{Value, json};

use crate::house::{Client, House, answer};

/// One step for P1 and P2 that pages who is on call by webhook.
pub(crate) fn policy(name: &str, version: u32) -> Value {
    json!({
        "name": name, "version": version, "priorities": ["P1", "P2"], "repeat_s": 120,
        "steps": [{ "wait_s": 0, "targets": [{ "on_call": {} }], "channels": ["webhook"] }],
    })
}

async fn put(client: &Client, policy: &Value, reason: &str) -> (u16, Value) {
    answer(client.request("PUT", "/api/policies").json(&json!({ "policy": policy, "reason": reason }))).await
}

#[tokio::test]
async fn an_administrator_saves_versions_and_sees_what_would_page_nobody() {
    let house = House::open().await;
    let admin = house.signed_in("admin");
    let (status, saved) = put(&admin, &policy("night", 0), "试运行").await;
    assert_eq!(status, 200, "{saved}");
    assert_eq!((&saved["version"], &saved["reason"], &saved["warnings"]), (&json!(1), &json!("试运行"), &json!([])));
    let mut second = policy("night", 1);
    second["steps"][0]["channels"] = json!(["webhook", "smtp"]);
    second["steps"][0]["targets"] =
        json!([{ "on_call": { "backup": true } }, "supervisors", { "person": { "person": 999 } }]);
    let (status, saved) = put(&admin, &second, "加短信").await;
    assert_eq!(status, 200, "{saved}");
    let codes: Vec<_> = saved["warnings"].as_array().unwrap().iter().map(|w| (&w["place"], &w["code"])).collect();
    let step = json!("step 1");
    let (channel, nobody) = (json!("channel_not_configured"), json!("nobody"));
    assert_eq!(codes, [(&step, &channel), (&step, &nobody)]);

    let (_, all) = admin.get("/api/policies").await;
    assert_eq!(all["policies"].as_array().unwrap().len(), 1);
    assert_eq!(all["channels"][1], json!({ "name": "smtp", "zh": "smtp", "en": "smtp", "configured": false }));
    let (_, versions) = admin.get("/api/policies/night").await;
    let numbers: Vec<_> = versions["versions"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(numbers, [&json!(2), &json!(1)]);
    assert_eq!(admin.get("/api/policies/day").await.0, 404);
}

#[tokio::test]
async fn a_policy_that_could_page_nobody_is_refused_with_place_and_reason() {
    let house = House::open().await;
    let admin = house.signed_in("admin");
    put(&admin, &policy("night", 0), "first").await;
    let refused = |change: fn(&mut Value)| {
        let mut bad = policy("night", 1);
        change(&mut bad);
        bad
    };
    for (bad, place, reason) in [
        (refused(|p| p["steps"] = json!([])), "steps", "nobody would ever be paged"),
        (refused(|p| p["steps"][0]["channels"] = json!(["pigeon"])), "step 1", "pigeon"),
        (refused(|p| p["steps"][0]["targets"] = json!([])), "step 1", "targets"),
        (refused(|p| p["priorities"] = json!(["P1"])), "priorities", "no policy would be left for P2"),
        (refused(|p| p["steps"][0]["only_hours"] = json!("08:00-18:00")), "steps", "without paging anyone"),
    ] {
        let (status, told) = put(&admin, &bad, "worse").await;
        assert_eq!(
            (status, &told["error"]["code"], &told["error"]["place"]),
            (422, &json!("bad_policy"), &json!(place)),
            "{told}"
        );
        assert!(told.to_string().contains(reason), "{told}");
    }
    let (status, told) = put(&admin, &policy("night", 7), "stale").await;
    assert_eq!((status, &told["error"]["code"]), (409, &json!("policy_changed")), "{told}");
    assert_eq!(put(&admin, &policy("night", 1), " ").await.0, 422, "no reason given");
    assert_eq!(put(&admin, &json!({ "name": "night" }), "half").await.0, 422);
    let doctor = house.signed_in("chen");
    assert_eq!(put(&doctor, &policy("night", 1), "not hers").await.0, 403);
}

#[tokio::test]
async fn an_alarm_shows_where_it_stands_and_who_is_paged_next() {
    let house = House::open().await;
    house.records.save_policy(serde_json::from_value(policy("p", 0)).unwrap(), &|_| true, None, "test").unwrap();
    let fall = house.fall(house.wang);
    let (_, shown) = house.signed_in("zhang").get(&format!("/api/alarms/{fall}")).await;
    let alarm = &shown["alarm"];
    assert_eq!((&alarm["step"], &alarm["level"]), (&json!(1), &json!(1)), "{alarm}");
    assert_eq!((&shown["next"]["step"], &shown["next"]["steps"]), (&json!(2), &json!(6)));
    assert_eq!(shown["next"]["due"], alarm["next_due"]);
    assert_eq!(shown["pages"][0]["step"], 1);
}
