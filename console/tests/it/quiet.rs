//! Quiet periods over HTTP: visible to everybody, masked, ended early, within scope.

use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn a_stay_in_hospital_is_visible_and_ends_early() {
    let house = House::open().await;
    let (zhang, zhao) = (house.signed_in("zhang"), house.signed_in("zhao"));
    let until = house.clock.now().plus_us(2 * 86_400_000_000);
    let stay = json!({ "kind": "hospital", "elder": house.wang, "until": until, "reason": "肺炎住院" });
    let (status, made) = zhang.post("/api/quiet", &stay).await;
    assert_eq!((status, &made["in_force"], &made["kind_zh"]), (200, &json!(true), &json!("住院")), "{made}");
    let (_, list) = house.signed_in("admin").get("/api/quiet").await;
    let shown = &list["quiet"][0];
    assert_eq!((&shown["by"], &shown["elder_name_masked"]), (&json!("张敏"), &json!("王*英")), "{list}");
    assert_eq!(zhao.get("/api/quiet").await.1["quiet"], json!([]), "another team's elder");
    let end = format!("/api/quiet/{}/end", made["id"]);
    assert_eq!(zhao.post(&end, &json!({ "reason": "x" })).await.0, 403);
    let (status, ended) = zhang.post(&end, &json!({ "reason": "出院" })).await;
    assert_eq!((status, &ended["in_force"], &ended["end_reason"]), (200, &json!(false), &json!("出院")));
    assert_eq!(zhang.get("/api/quiet").await.1["quiet"], json!([]));
    assert_eq!(zhang.get("/api/quiet?all=true").await.1["quiet"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_device_is_served_and_nonsense_is_refused() {
    let house = House::open().await;
    let (zhang, chen, zhao) = (house.signed_in("zhang"), house.signed_in("chen"), house.signed_in("zhao"));
    let until = house.clock.now().plus_us(3_600_000_000);
    let served = |device| json!({ "kind": "maintenance", "device": device, "until": until, "reason": "换电池" });
    assert_eq!(chen.post("/api/quiet", &served(house.band)).await.0, 200, "her own elder's band");
    assert_eq!(zhao.post("/api/quiet", &served(house.band)).await.0, 403);
    assert_eq!(chen.post("/api/quiet", &served(house.loose)).await.0, 403, "nobody's");
    assert_eq!(zhang.post("/api/quiet", &served(house.loose)).await.0, 200);
    let long = house.clock.now().plus_us(91 * 86_400_000_000);
    for bad in [
        json!({ "kind": "travel", "elder": house.wang, "until": long, "reason": "x" }),
        json!({ "kind": "travel", "elder": house.wang, "until": house.clock.now(), "reason": "x" }),
        json!({ "kind": "travel", "device": house.band, "until": until, "reason": "x" }),
        json!({ "kind": "travel", "until": until, "reason": "x" }),
        json!({ "kind": "travel", "elder": house.wang, "until": until, "reason": " " }),
    ] {
        let (status, refused) = zhang.post("/api/quiet", &bad).await;
        assert_eq!(status, 422, "{bad} {refused}");
    }
}
