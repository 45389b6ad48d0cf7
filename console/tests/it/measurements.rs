//! The queue of a health cabin: seen without names, given to an elder, corrected, taken back; who may, and what stays behind.

use model::Subject;
use serde_json::{Value, json};

use crate::house::House;

fn give(ids: &[i64], elder: &Value) -> Value {
    json!({ "measurements": ids, "elder": elder, "reason": "本人在场" })
}

#[tokio::test]
async fn a_measurement_is_given_corrected_and_taken_back() {
    let house = House::open().await;
    let (nurse, admin) = (house.signed_in("sun"), house.signed_in("admin"));
    for seq in 1..=3 {
        house.measurement(seq, None);
    }
    let (status, queue) = nurse.get("/api/measurements?limit=2").await;
    assert_eq!((status, &queue["count"]), (200, &json!(3)));
    let rows = queue["measurements"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "as many as asked for, newest first");
    let first = &rows[0];
    assert_eq!(
        (&first["device"], &first["gateway"], &first["cause"]["slug"]),
        (&json!("loose"), &json!("gw-1"), &json!("no_session"))
    );
    assert_eq!((&first["values"][0]["metric"], &first["values"][0]["value"]), (&json!("systolic"), &json!(153.0)));
    let last = rows[1]["id"].as_i64().unwrap();
    let (_, older) = nurse.get(&format!("/api/measurements?before={last}")).await;
    assert_eq!(older["measurements"].as_array().unwrap().len(), 1);

    let id = first["id"].as_i64().unwrap();
    let give_to = |elder: model::ElderId| give(&[id], &json!(elder));
    assert_eq!(nurse.post("/api/measurements/attribute", &give_to(house.wang)).await, (200, json!({ "moved": 1 })));
    assert_eq!(nurse.post("/api/measurements/attribute", &give_to(house.wang)).await, (200, json!({ "moved": 0 })));
    let own = format!("/api/elders/{}/measurements", house.wang);
    let (_, hers) = nurse.get(&own).await;
    assert_eq!(hers["measurements"][0]["moves"][0]["by"]["name"], "孙护士");
    assert_eq!(hers["measurements"][0]["moves"][0]["reason"], "本人在场");
    // Her team's nurse may not give it to another team's elder; the doctor of that team may not take it.
    assert_eq!(nurse.post("/api/measurements/attribute", &give_to(house.li)).await.0, 403);
    assert_eq!(house.signed_in("zhao").post("/api/measurements/attribute", &give_to(house.li)).await.0, 403);
    assert_eq!(admin.post("/api/measurements/attribute", &give_to(house.li)).await, (200, json!({ "moved": 1 })));
    assert_eq!(nurse.get(&own).await.1["measurements"], json!([]));
    assert_eq!(
        admin.post("/api/measurements/attribute", &give(&[id], &Value::Null)).await,
        (200, json!({ "moved": 1 }))
    );
    assert_eq!(nurse.get("/api/measurements").await.1["measurements"][0]["cause"]["slug"], "taken_back");
    let waiting = house.records.moves_waiting(10).unwrap();
    let subjects: Vec<_> = waiting.iter().map(|one| (one.from, one.to)).collect();
    let (nobody, wang, li) = (Subject::Unattributed(house.loose), Subject::Elder(house.wang), Subject::Elder(house.li));
    assert_eq!(subjects, [(nobody, wang), (wang, li), (li, nobody)]);
    let audit = house.records.audit_list(None, 20).unwrap();
    assert_eq!(audit.iter().filter(|row| row.action == "attribute").count(), 3);

    for (bad, status) in [
        (json!({ "measurements": [id], "elder": house.wang, "reason": " " }), 422),
        (json!({ "measurements": [], "elder": house.wang, "reason": "x" }), 422),
        (json!({ "measurements": [999], "elder": house.wang, "reason": "x" }), 404),
        (json!({ "measurements": [id], "elder": 999, "reason": "x" }), 404),
    ] {
        assert_eq!(admin.post("/api/measurements/attribute", &bad).await.0, status, "{bad}");
    }
}

/// A page to a doctor of another team opens the elder's card. What outlasts the page stays with the elder's own team.
#[tokio::test]
async fn who_is_only_paged_changes_nothing_that_lasts() {
    let house = House::open().await;
    // 李建国 is of team B; his page goes to 陈医生 of team A.
    house.fall(house.li);
    let chen = house.signed_in("chen");
    let li = format!("/api/elders/{}", house.li);
    assert_eq!(chen.get(&li).await.0, 200, "the page opens the card");
    house.measurement(1, None);
    house.measurement(2, Some(house.li));
    let id = |list: &Value| list["measurements"][0]["id"].as_i64().unwrap();
    let loose = id(&chen.get("/api/measurements").await.1);
    let his = id(&chen.get(&format!("{li}/measurements")).await.1);
    let attribute = "/api/measurements/attribute";
    assert_eq!(chen.post(attribute, &give(&[loose], &json!(house.li))).await.0, 403);
    assert_eq!(chen.post(attribute, &give(&[his], &Value::Null)).await.0, 403);
    let card = json!({ "kind": "card", "value": "11010519491231002x" });
    assert_eq!(chen.post(&format!("{li}/keys"), &card).await.0, 403);
    let (_, keys) = house.signed_in("admin").post(&format!("{li}/keys"), &card).await;
    let fingerprint = json!({ "fingerprint": keys["keys"][0]["fingerprint"] });
    assert_eq!(chen.post(&format!("{li}/keys/remove"), &fingerprint).await.0, 403);
    let until = house.clock.now().plus_us(3_600_000_000);
    let travel = json!({ "kind": "travel", "elder": house.li, "until": until, "reason": "走亲戚" });
    assert_eq!(chen.post("/api/quiet", &travel).await.0, 403);
    let (_, made) = house.signed_in("zhao").post("/api/quiet", &travel).await;
    let end = format!("/api/quiet/{}/end", made["id"]);
    assert_eq!(chen.post(&end, &json!({ "reason": "x" })).await.0, 403);
    assert_eq!(chen.get(&format!("/api/quiet?elder={}", house.li)).await.0, 200, "seen, not changed");
    // His own team does all of it.
    let zhao = house.signed_in("zhao");
    assert_eq!(zhao.post(attribute, &give(&[loose], &json!(house.li))).await.0, 200);
    assert_eq!(zhao.post(&format!("{li}/keys/remove"), &fingerprint).await.0, 200);
    assert_eq!(zhao.post(&end, &json!({ "reason": "x" })).await.0, 200);
}

#[tokio::test]
async fn a_card_is_registered_without_being_shown_or_kept() {
    let house = House::open().await;
    let admin = house.signed_in("admin");
    let path = format!("/api/elders/{}/keys", house.wang);
    let card = json!({ "kind": "card", "value": "11010519491231002x" });
    let (status, list) = admin.post(&path, &card).await;
    assert_eq!((status, list["keys"].as_array().unwrap().len()), (200, 1));
    assert!(!list.to_string().contains("1949"));
    let other = format!("/api/elders/{}/keys", house.li);
    let (status, refused) = admin.post(&other, &card).await;
    assert_eq!(status, 422);
    assert!(refused.to_string().contains(&format!("elder {}", house.wang)) && !refused.to_string().contains("1949"));
    assert_eq!(admin.post(&path, &json!({ "kind": "card", "value": "110105194912310021" })).await.0, 422);
    assert_eq!(admin.post(&path, &json!({ "kind": "elder", "value": "7" })).await.0, 422);
    let fingerprint = list["keys"][0]["fingerprint"].clone();
    let (status, list) = admin.post(&format!("{path}/remove"), &json!({ "fingerprint": fingerprint })).await;
    assert_eq!((status, &list["keys"]), (200, &json!([])));
}
