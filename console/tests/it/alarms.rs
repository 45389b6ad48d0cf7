//! The dispatcher's list and what people do with an alarm.

use serde_json::{Value, json};

use crate::house::{House, answer};

#[tokio::test]
async fn the_list_is_masked_and_the_card_is_clear_and_audited() {
    let house = House::open().await;
    let (fall, _other) = (house.fall(house.wang), house.fall(house.li));
    let zhang = house.signed_in("zhang");
    let (status, list) = zhang.get("/api/alarms").await;
    assert_eq!(status, 200);
    assert_eq!(list["counts"], json!({ "P1": 2, "P2": 0, "P3": 0, "T": 0, "unclaimed": 2 }));
    assert_eq!(list["last_event"], house.records.last_alarm_event().unwrap());
    let row = &list["alarms"].as_array().unwrap().iter().find(|row| row["id"] == fall.to_string()).unwrap();
    assert_eq!(row["elder"]["name_masked"], "王*英");
    assert_eq!((&row["elder"]["age"], &row["priority"]), (&json!(82), &json!("P1")));
    assert_eq!(row["kind"], json!({ "type": "event", "kind": "fall" }));
    assert_eq!(row["page_state"], "queued");
    assert!(!list.to_string().contains("王秀英") && !list.to_string().contains("13911112222"));

    let (status, detail) = zhang.get(&format!("/api/alarms/{fall}")).await;
    assert_eq!(status, 200);
    assert_eq!((&detail["elder"]["name"], &detail["elder"]["phone"]), (&json!("王秀英"), &json!("13911112222")));
    assert_eq!((&detail["events"][0]["kind"], &detail["events"][0]["kind_zh"]), (&json!("raised"), &json!("触发")));
    assert_eq!((&detail["pages"][0]["person"], &detail["pages"][0]["state"]), (&json!("陈医生"), &json!("queued")));
    let audit = &house.records.audit_list(None, 1).unwrap()[0];
    assert_eq!((audit.action.as_str(), audit.subject.clone()), ("view_alarm", format!("alarm/{fall}")));

    let (_, masked) = house.signed_in("admin").get(&format!("/api/alarms/{fall}")).await;
    assert_eq!((&masked["elder"]["name"], &masked["elder"]["phone"]), (&json!("王*英"), &Value::Null));
    assert!(!masked.to_string().contains("幸福路"));

    let (_, own) = house.signed_in("chen").get("/api/alarms?state=all").await;
    assert_eq!(own["alarms"].as_array().unwrap().len(), 1, "only the own team's");
    assert_eq!(zhang.get("/api/alarms/0000000000000000").await.0, 404);
    assert_eq!(zhang.get("/api/alarms/xyz").await.0, 404);
}

#[tokio::test]
async fn two_dispatchers_want_the_same_alarm() {
    let house = House::open().await;
    let fall = house.fall(house.wang);
    let (zhang, zhou) = (house.signed_in("zhang"), house.signed_in("zhou"));
    let claim = |client: &crate::house::Client, key: &'static str| {
        answer(client.request("POST", &format!("/api/alarms/{fall}/claim")).header("idempotency-key", key))
    };
    let (first, second) = tokio::join!(claim(&zhang, "k-1"), claim(&zhou, "k-1"));
    let (won, lost) = if first.0 == 200 { (first, second) } else { (second, first) };
    assert_eq!((won.0, lost.0), (200, 409));
    assert_eq!(lost.1["error"]["code"], "claimed_by_other");
    assert_eq!(lost.1["error"]["by"], won.1["claimed_by"]["name"], "the loser reads who has it");

    let winner = if won.1["claimed_by"]["name"] == "张敏" { &zhang } else { &zhou };
    let events = house.records.last_alarm_event().unwrap();
    assert_eq!(claim(winner, "k-1").await.0, 200, "sent again with the same key");
    assert_eq!(house.records.last_alarm_event().unwrap(), events, "and done once");

    let resolve = |body: Value| {
        let request = winner.request("POST", &format!("/api/alarms/{fall}/resolve"));
        async move { answer(request.json(&body)).await }
    };
    assert_eq!(resolve(json!({})).await.1["error"]["code"], "needs_outcome");
    assert_eq!(resolve(json!({ "outcome": "vanished" })).await.0, 422);
    let (status, done) = resolve(json!({ "outcome": "true_handled", "note": "已联系家属" })).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("true_handled")));
    assert_eq!(resolve(json!({ "outcome": "test" })).await.1["error"]["code"], "already_resolved");
    assert_eq!(zhang.get("/api/alarms").await.1["counts"]["P1"], 0);
}

#[tokio::test]
async fn a_paged_doctor_reads_and_accepts() {
    let house = House::open().await;
    let fall = house.fall(house.wang);
    let page = house.page_of(fall);
    let (chen, zhao) = (house.signed_in("chen"), house.signed_in("zhao"));
    let (_, list) = chen.get("/api/pages").await;
    assert_eq!((&list["pages"][0]["id"], &list["pages"][0]["state"]), (&json!(page), &json!("queued")));
    assert_eq!(list["pages"][0]["alarm"]["id"], fall.to_string());
    assert_eq!(zhao.get(&format!("/api/pages/{page}")).await.0, 403, "another person's page");

    let (status, detail) = chen.get(&format!("/api/pages/{page}")).await;
    assert_eq!((status, &detail["page"]["state"]), (200, &json!("read")));
    assert_eq!(detail["elder"]["phone"], "13911112222");
    let (status, answered) = chen.post(&format!("/api/pages/{page}/accept"), &json!({})).await;
    assert_eq!((status, &answered["state"]), (200, &json!("accepted")));
    assert_eq!(answered["alarm"]["handling"], "engaged");

    let (_, row) = house.signed_in("zhang").get("/api/alarms").await;
    assert_eq!(row["alarms"][0]["accepted_by"]["name"], "陈医生");
    assert_eq!(chen.post(&format!("/api/pages/{page}/decline"), &json!({})).await.0, 403, "too late");
}

/// Nobody of the elder's own team was there, so a doctor of another team is asked: then they must see the elder.
#[tokio::test]
async fn a_doctor_of_another_team_sees_an_elder_only_while_paged() {
    let house = House::open().await;
    let chen = house.signed_in("chen");
    let path = format!("/api/elders/{}", house.li);
    assert_eq!(chen.get(&path).await.0, 403);
    let fall = house.fall(house.li);
    assert_eq!(chen.get(&path).await.0, 200);
    assert_eq!(chen.get(&format!("/api/alarms/{fall}")).await.0, 200);
    let page = house.page_of(fall);
    assert_eq!(chen.post(&format!("/api/pages/{page}/decline"), &json!({ "reason": "手术中" })).await.0, 200);
    assert_eq!(chen.get(&path).await.0, 403, "declined");
}
