//! The dispatcher's list and what people do with an alarm.

use serde_json::{Value, json};
use store::records::Dispatch;

use crate::house::{House, answer, rules};

#[tokio::test]
async fn the_list_is_masked_and_the_card_is_clear_and_audited() {
    let house = House::open().await;
    let (fall, _other) = (house.fall(house.wang), house.fall(house.li));
    let zhang = house.signed_in("zhang");
    let (status, list) = zhang.get("/api/alarms").await;
    assert_eq!(status, 200);
    assert_eq!(list["counts"], json!({ "P1": 2, "P2": 0, "P3": 0, "T": 0, "unclaimed": 2, "parked": 0, "grouped": 0 }));
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

/// A page that holds only a part of a county's alarms lets the server search.
#[tokio::test]
async fn the_list_is_searched_by_what_it_shows() {
    let house = House::open().await;
    let (fall, crisis) = (house.fall(house.wang), house.crisis(house.li));
    let zhang = house.signed_in("zhang");
    let found = async |client: &crate::house::Client, query: &str| {
        let (status, list) = client.get(&format!("/api/alarms?{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        assert_eq!(list["counts"]["unclaimed"].as_u64(), Some(2), "{query}: the counts are the centre's");
        let ids = list["alarms"].as_array().unwrap().iter().map(|alarm| alarm["id"].as_str().unwrap().to_owned());
        (list["matched"].as_u64(), ids.collect::<Vec<_>>())
    };
    assert_eq!(found(&zhang, "limit=1").await.0, None, "nothing was looked for");
    let (fall, crisis) = (fall.to_string(), crisis.to_string());
    assert_eq!(found(&zhang, "q=%E7%8E%8B*").await, (Some(1), vec![fall.clone()]), "王*");
    assert_eq!(found(&zhang, "q=%E8%B7%8C%E5%80%92").await, (Some(1), vec![fall.clone()]), "the title 跌倒");
    assert_eq!(found(&zhang, "q=+FALL+&priority=P1,P2").await, (Some(1), vec![fall.clone()]));
    assert_eq!(found(&zhang, "priority=P2,T").await, (Some(1), vec![crisis.clone()]));
    assert_eq!(found(&zhang, "priority=P2&q=fall").await, (Some(0), vec![]));
    let (matched, first) = found(&zhang, "q=%E5%B9%B8%E7%A6%8F&limit=1").await;
    assert_eq!((matched, first.len()), (Some(2), 1), "幸福: both addresses, the list was cut");

    let admin = house.signed_in("admin");
    assert_eq!(found(&admin, "q=%E5%B9%B8%E7%A6%8F").await.0, Some(0), "an address nobody shows them");
    for wrong in ["priority=P9", "priority=p1", &format!("q={}", "x".repeat(65))] {
        let (status, body) = zhang.get(&format!("/api/alarms?{wrong}")).await;
        assert_eq!((status, &body["error"]["code"]), (422, &json!("bad_request")), "{wrong}");
    }
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
    // What outlasts the alarm is the business of the elder's own team.
    let outlasting = [
        ("PUT", format!("{path}/rules"), json!({ "set": rules(150.0), "reason": "x" })),
        ("PUT", format!("{path}/risk"), json!({ "ability": 2, "lives_alone": true })),
        ("POST", "/api/assignments".to_owned(), json!({ "layer": "htn", "elder": house.li, "reason": "x" })),
    ];
    house.assignment();
    for (method, path, body) in outlasting {
        let (status, said) = answer(chen.request(method, &path).json(&body)).await;
        assert_eq!(status, 403, "{method} {path}: {said}");
    }
    let page = house.page_of(fall);
    assert_eq!(chen.post(&format!("/api/pages/{page}/decline"), &json!({ "reason": "手术中" })).await.0, 200);
    assert_eq!(chen.get(&path).await.0, 403, "declined");
}

/// A grid worker is asked to go there: who and where, and nothing of what was measured.
#[tokio::test]
async fn a_responder_sees_the_way_and_nothing_clinical() {
    let house = House::open().await;
    let crisis = house.crisis(house.wang);
    let (zhang, wangge) = (house.person("zhang"), house.person("wangge"));
    house.records.claim(crisis, zhang, None).unwrap();
    house.records.dispatch(crisis, zhang, Dispatch::Person(wangge), None).unwrap();
    let client = house.signed_in("wangge");
    let (_, list) = client.get("/api/pages").await;
    let id = list["pages"][0]["id"].as_u64().unwrap();
    let (status, detail) = client.get(&format!("/api/pages/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!(detail["elder"]["name"], "王秀英");
    assert_eq!(
        (&detail["elder"]["phone"], &detail["elder"]["address"]),
        (&json!("13911112222"), &json!("幸福路 8 号 2-301"))
    );
    assert_eq!((&detail["elder"]["notes"], &detail["elder"]["birth_date"]), (&Value::Null, &Value::Null));
    assert_eq!((&detail["latest"], &detail["alarm"]["kind"]), (&json!([]), &Value::Null));
    assert!(!detail.to_string().contains("systolic") && !detail.to_string().contains("收缩压"), "{detail}");
    assert_eq!(client.post(&format!("/api/pages/{id}/accept"), &json!({})).await.1["alarm"]["handling"], "engaged");
    assert_eq!(client.get(&format!("/api/elders/{}", house.wang)).await.0, 403);
    let resolve = json!({ "outcome": "true_handled", "note": "" });
    assert_eq!(client.post(&format!("/api/alarms/{crisis}/resolve"), &resolve).await.0, 403);
}

#[tokio::test]
async fn an_alarm_changes_hands_and_the_answers_say_who_has_it() {
    let house = House::open().await;
    let fall = house.fall(house.wang);
    let (zhang, zhou, ban) = (house.signed_in("zhang"), house.signed_in("zhou"), house.signed_in("ban"));
    let at = |what: &str| format!("/api/alarms/{fall}/{what}");
    let to = json!({ "to": house.person("zhou") });
    assert_eq!(zhang.post(&at("hand-over"), &to).await.1["error"]["code"], "claim_first");
    zhang.post(&at("claim"), &json!({})).await;
    let (status, refused) = zhou.post(&at("hand-over"), &json!({ "to": house.person("ban") })).await;
    assert_eq!((status, &refused["error"]["by"]), (409, &json!("张敏")));
    let (_, helpers) = zhang.get("/api/helpers").await;
    let known = helpers["helpers"].as_array().unwrap();
    assert!(known.iter().any(|one| one["name"] == "周强" && one["signed_in"] == true));
    let (status, offered) = zhang.post(&at("hand-over"), &to).await;
    assert_eq!((status, &offered["offered_to"]["name"]), (200, &json!("周强")));
    assert_eq!(ban.post(&at("hand-over/accept"), &json!({})).await.1["error"]["code"], "not_offered");
    let accept = || answer(zhou.request("POST", &at("hand-over/accept")).header("idempotency-key", "a"));
    assert_eq!(accept().await.1["claimed_by"]["name"], "周强");
    assert_eq!(accept().await.0, 200, "the same key answers again");

    let (_, refused) = zhang.post(&at("dispatch"), &json!({ "who": "120" })).await;
    assert_eq!(refused["error"]["by"], "周强");
    let (status, sent) = zhou.post(&at("dispatch"), &json!({ "person": house.person("wangge") })).await;
    assert_eq!(
        (status, &sent["handling"], &sent["sent"]["person"]["name"]),
        (200, &json!("engaged"), &json!("网格员小吴"))
    );
    assert_eq!(sent["arrive_by"], "2026-11-22T04:45:00Z");
    let wangge = house.signed_in("wangge");
    let page = &wangge.get("/api/pages").await.1["pages"][0]["id"];
    let (status, there) = wangge.post(&format!("/api/pages/{page}/arrived"), &json!({})).await;
    assert_eq!((status, &there["alarm"]["arrived_at"]), (200, &json!("2026-11-22T04:00:00Z")));
    assert_eq!(
        ban.post(&at("park"), &json!({ "until": "2026-11-22T05:00:00Z", "reason": "x" })).await.1["error"]["code"],
        "not_parkable"
    );
    zhou.post(&at("resolve"), &json!({ "outcome": "false_alarm" })).await;
    assert_eq!(zhou.post(&at("reopen"), &json!({ "reason": "" })).await.0, 422);
    assert_eq!(zhou.post(&at("reopen"), &json!({ "reason": "又来电" })).await.1["handling"], "open");
    assert_eq!(ban.post(&at("void"), &json!({ "reason": "test" })).await.1["handling"], "void");
    assert_eq!(zhang.post(&at("claim"), &json!({})).await.1["error"]["code"], "already_resolved");
}

#[tokio::test]
async fn an_outage_is_one_line_with_whom_nobody_watches() {
    let house = House::open().await;
    let chen = house.signed_in("chen");
    let risk = json!({ "ability": 3, "lives_alone": true });
    let path = format!("/api/elders/{}", house.wang);
    assert_eq!(answer(chen.request("PUT", &format!("{path}/risk")).json(&risk)).await, (200, risk.clone()));
    assert_eq!(answer(chen.request("PUT", &format!("{path}/risk")).json(&json!({ "ability": 9 }))).await.0, 422);
    assert_eq!(chen.get(&path).await.1["risk"], risk);
    let id = house.outage();
    let zhang = house.signed_in("zhang");
    let (_, list) = zhang.get("/api/incidents").await;
    assert_eq!((&list["incidents"][0]["id"], &list["incidents"][0]["kind"]), (&json!(id), &json!("gateway")));
    let (_, detail) = zhang.get(&format!("/api/incidents/{id}")).await;
    let elder = &detail["elders"][0];
    assert_eq!((&elder["name_masked"], &elder["high_risk"]), (&json!("王*英"), &json!(true)));
    assert!(!detail.to_string().contains("王秀英"));
    let (_, masked) = house.signed_in("admin").get(&format!("/api/incidents/{id}")).await;
    assert_eq!(masked["elders"][0]["address"], Value::Null);
    let technical = zhang.get("/api/alarms?class=technical").await.1;
    assert_eq!(technical["alarms"][0]["id"], detail["alarm"]["id"]);
    assert_eq!(zhang.get("/api/alarms?class=clinical").await.1["alarms"], json!([]));
}
