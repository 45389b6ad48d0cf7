//! Rotas over HTTP: an administrator plans, people change their own turns, everybody of the team sees the holes.

use serde_json::{Value, json};

use crate::house::{Client, House, answer};

/// Numbers of the house's people: 3 is the doctor chen, 4 the nurse sun, 5 the doctor zhao of the other team.
pub(crate) fn rota() -> Value {
    json!({ "team": 1, "layers": [{
        "name": "days", "kind": "daily", "hand_over": "08:00", "start_date": "2026-11-22",
        "people": [{ "person": 3, "duty": "doctor" }, { "person": 4, "duty": "nurse" }],
    }]})
}

/// Noon of 2026-11-22 in Shanghai is the house's time.
pub(crate) fn body_for(path: &str) -> Value {
    let (from, until) = ("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z");
    match path {
        "/api/rota" => json!({ "rota": rota(), "reason": "matrix" }),
        "/api/rota/overrides" => {
            json!({ "team": 1, "from": from, "until": until, "out": 3, "in": 4, "reason": "matrix" })
        }
        "/api/rota/swaps" => json!({ "team": 1, "reason": "matrix",
            "first": { "person": 3, "from": "2026-11-26T00:00:00Z", "until": "2026-11-27T00:00:00Z" },
            "second": { "person": 4, "from": "2026-11-27T00:00:00Z", "until": "2026-11-28T00:00:00Z" } }),
        "/api/rota/leave" => json!({ "person": 3, "from": from, "until": until, "reason": "matrix" }),
        _ => json!({ "year": 2027, "papers": ["notice"],
            "days": [{ "name": "元旦", "date": "2027-01-01", "isOffDay": true }] }),
    }
}

async fn put(client: &Client, body: &Value) -> (u16, Value) {
    answer(client.request("PUT", "/api/rota").json(body)).await
}

fn people(shifts: &Value) -> Vec<u64> {
    shifts.as_array().unwrap().iter().map(|shift| shift["person"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn an_administrator_plans_and_the_team_sees_shifts_holes_and_the_figure() {
    let house = House::open().await;
    let (admin, chen) = (house.signed_in("admin"), house.signed_in("chen"));
    let (_, none) = chen.get("/api/rota").await;
    assert_eq!((&none["version"], &none["on_call"], &none["team"]["name"]), (&Value::Null, &json!([]), &json!("A 队")));
    let (status, saved) = put(&admin, &json!({ "rota": rota(), "version": 0, "reason": "排班" })).await;
    assert_eq!((status, &saved["id"], &saved["problems"]), (200, &json!(1), &json!([])), "{saved}");
    let (status, again) = put(&admin, &json!({ "rota": rota(), "version": 0, "reason": "排班" })).await;
    assert_eq!((status, &again["error"]["code"]), (409, &json!("rota_changed")));
    let (_, board) = chen.get("/api/rota?days=3").await;
    assert_eq!((people(&board["on_call"]), people(&board["shifts"])), (vec![3], vec![3, 4, 3, 4]));
    assert_eq!((people(&board["stand_ins"]), &board["quality"]["score"]), (vec![4], &json!(100)));
    assert_eq!(board["shifts"][0]["until"], "2026-11-23T00:00:00Z");
    assert_eq!(board["people"][0], json!({ "id": 3, "name": "陈医生" }));

    let away = json!({ "from": "2026-11-24T00:00:00Z", "until": "2026-11-25T00:00:00Z", "reason": "病假" });
    let (status, saved) = chen.post("/api/rota/leave", &away).await;
    assert_eq!((status, saved["problems"].as_array().unwrap().len()), (200, 1), "{saved}");
    let (_, board) = chen.get("/api/rota?from=2026-11-24T01:00:00Z").await;
    assert_eq!((people(&board["on_call"]), people(&board["stand_ins"])), (vec![], vec![4]));
    assert_eq!(board["holes_now"][0]["cause"]["cause"], "leave");
    assert_eq!((board["holes"].as_array().unwrap().len(), &board["leave"][0]["reason"]), (1, &json!("病假")));
    let (_, versions) = admin.get("/api/rota/versions?team=1").await;
    assert_eq!((&versions["versions"][0]["reason"], &versions["versions"][0]["author"]), (&json!("排班"), &json!(6)));
}

#[tokio::test]
async fn a_bad_rota_is_refused_with_its_place() {
    let house = House::open().await;
    let admin = house.signed_in("admin");
    let refused = async |change: fn(&mut Value)| {
        let mut bad = rota();
        change(&mut bad);
        let (status, answer) = put(&admin, &json!({ "rota": bad, "reason": "x" })).await;
        assert_eq!((status, &answer["error"]["code"]), (422, &json!("bad_rota")), "{answer}");
        (answer["error"]["place"].clone(), answer["error"]["message_en"].as_str().unwrap().to_owned())
    };
    let (place, why) = refused(|rota| rota["layers"][0]["start_date"] = json!("2026-11-23")).await;
    assert_eq!(place, "post \"main\"");
    assert!(why.contains("nobody from 2026-11-22 12:00 until 2026-11-23 08:00"), "{why}");
    let (place, why) = refused(|rota| rota["layers"][0]["people"][0]["person"] = json!(77)).await;
    assert!(place == "layer \"days\"" && why.contains("there is no person 77"), "{why}");
    let (place, _) = refused(|rota| rota["zone"] = json!("Asia/Peking")).await;
    assert_eq!(place, "zone");
    let (_, why) = refused(|rota| rota["layers"][0]["only"] = json!("workdays")).await;
    assert!(why.contains("no holidays of 2027"), "{why}");
    let (status, _) = put(&admin, &json!({ "rota": { "team": 1 }, "reason": "x" })).await;
    assert_eq!(status, 422);
    let (status, answer) = admin.post("/api/rota/holidays", &json!({ "year": 2027, "papers": [], "days": [] })).await;
    assert_eq!(status, 422);
    assert!(answer["error"]["message_en"].as_str().unwrap().contains("no papers or no days"), "{answer}");
}

#[tokio::test]
async fn people_give_their_own_turns_away_and_nobody_elses() {
    let house = House::open().await;
    let (admin, chen, sun, zhao) =
        (house.signed_in("admin"), house.signed_in("chen"), house.signed_in("sun"), house.signed_in("zhao"));
    put(&admin, &json!({ "rota": rota(), "reason": "排班" })).await;
    let mut body = body_for("/api/rota/overrides");
    body["from"] = json!("2026-11-22T04:00:00Z");
    let (status, _) = zhao.post("/api/rota/overrides", &body).await;
    assert_eq!(status, 403, "another team's doctor");
    body["in"] = json!(5);
    assert_eq!(sun.post("/api/rota/overrides", &body).await.0, 403, "neither hers nor by her");
    assert_eq!(zhao.post("/api/rota/overrides", &body).await.0, 403, "not her team");
    // Another team's doctor puts herself into this team's night by swapping a turn that she has not.
    let mut swap = body_for("/api/rota/swaps");
    swap["first"]["person"] = json!(5);
    assert_eq!(zhao.post("/api/rota/swaps", &swap).await.0, 403, "not her team");
    let mut duty = body.clone();
    duty["duty"] = json!("doctor");
    assert_eq!(chen.post("/api/rota/overrides", &duty).await.0, 403, "a duty is the administrator's to give");
    let (status, saved) = chen.post("/api/rota/overrides", &body).await;
    assert_eq!(status, 200, "{saved}");
    let (_, board) = sun.get("/api/rota").await;
    assert_eq!((people(&board["on_call"]), &board["on_call"][0]["why"]["override"]), (vec![5], &saved["id"]));
    assert_eq!(board["on_call"][0]["why"]["instead_of"], 3);
    let path = format!("/api/rota/overrides/{}/cancel", saved["id"]);
    assert_eq!(sun.post(&path, &json!({})).await.0, 403);
    assert_eq!(chen.post(&path, &json!({})).await.0, 200);
    let (_, board) = sun.get("/api/rota").await;
    assert_eq!(people(&board["on_call"]), [3]);
    let (status, saved) = chen
        .post(
            "/api/rota/leave",
            &json!({ "from": "2026-11-23T00:00:00Z",
        "until": "2026-11-24T00:00:00Z", "reason": "休假" }),
        )
        .await;
    assert_eq!(status, 200);
    let path = format!("/api/rota/leave/{}/cancel", saved["id"]);
    assert_eq!((sun.post(&path, &json!({})).await.0, admin.post(&path, &json!({})).await.0), (403, 200));
    assert_eq!(admin.post(&path, &json!({})).await.0, 404, "it was cancelled");
}
