//! Figures about alarms, from the ledger.

use serde_json::json;

use crate::house::{House, answer};

#[tokio::test]
async fn what_people_did_is_in_the_figures() {
    let house = House::open().await;
    let fall = house.fall(house.wang);
    house.fall(house.li);
    let zhang = house.signed_in("zhang");
    let path = format!("/api/alarms/{fall}");
    assert_eq!(zhang.post(&format!("{path}/claim"), &json!({})).await.0, 200);
    let done = json!({ "outcome": "false_alarm", "note": "按错" });
    assert_eq!(zhang.post(&format!("{path}/resolve"), &done).await.0, 200);

    let admin = house.signed_in("admin");
    let (status, numbers) = admin.get("/api/numbers").await;
    assert_eq!(status, 200, "{numbers}");
    let p1 = &numbers["by_priority"][0];
    assert_eq!((&p1["priority"], &p1["alarms"]), (&json!("P1"), &json!(2)));
    assert_eq!((&p1["answer"]["count"], &p1["answer"]["within_60_s"]), (&json!(1), &json!(0.5)));
    let rule = &numbers["rules"][0];
    assert_eq!((&rule["name"], &rule["alarms"], &rule["predictive"]), (&json!("fall"), &json!(2), &json!(0.0)));
    assert_eq!((&numbers["seats"], &numbers["by_hour"][0]["P1"]), (&json!(1.0), &json!(2)));
    let shown = numbers.to_string();
    assert!(!shown.contains("王秀英") && !shown.contains("139"), "numbers name nobody");

    let csv = answer_text(&admin, "/api/numbers.csv").await;
    assert!(csv.contains("priority,P1,answer_within_60_s,0.5000\r\n"), "{csv}");

    for bad in [
        "?from=yesterday",
        "?from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z",
        "?to=2020-01-01T00:00:00Z&from=2021-01-01T00:00:00Z",
    ] {
        assert_eq!(admin.get(&format!("/api/numbers{bad}")).await.0, 422, "{bad}");
    }
    let (status, _) = answer(zhang.request("GET", "/api/numbers")).await;
    assert_eq!(status, 403, "for those who answer for the service");
}

async fn answer_text(client: &crate::house::Client, path: &str) -> String {
    let response = client.request("GET", path).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
    response.text().await.unwrap()
}
