//! Signing in and out.

use serde_json::json;

use crate::house::{House, PASSWORD, answer};

#[tokio::test]
async fn sign_in_look_around_sign_out() {
    let house = House::open().await;
    let mut client = house.anonymous();
    let (status, body) = client.get("/api/me").await;
    assert_eq!((status, &body["error"]["code"]), (401, &json!("not_signed_in")));

    let sent = client.request("POST", "/api/login").json(&json!({ "login": "chen", "password": PASSWORD }));
    let response = sent.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(cookie.contains(part), "{part} is missing");
    }
    assert!(!cookie.contains("Secure"), "plain HTTP on loopback would lose the cookie");
    client.cookie = Some(cookie.split(';').next().unwrap().to_owned());

    let (status, me) = client.get("/api/me").await;
    assert_eq!(status, 200);
    assert_eq!((&me["name"], &me["role"], &me["role_zh"]), (&json!("陈医生"), &json!("doctor"), &json!("家庭医生")));
    assert_eq!(me["team"]["name"], "A 队");
    assert!(me.get("phone").is_none() && me.get("login").is_none());

    assert_eq!(client.post("/api/logout", &json!({})).await.0, 204);
    assert_eq!(client.get("/api/me").await.0, 401, "the token is dead, not only the cookie");
}

#[tokio::test]
async fn a_seat_that_is_used_stays_signed_in_and_its_cookie_with_it() {
    let house = House::open().await;
    let client = house.signed_in("zhang");
    for hours in 1..=3 {
        house.clock.set(house.clock.now().plus_us(11 * 3_600_000_000));
        let response = client.request("GET", "/api/me").send().await.unwrap();
        assert_eq!(response.status(), 200, "after {hours} times 11 hours");
        let cookie = response.headers().get("set-cookie").expect("the cookie is renewed").to_str().unwrap().to_owned();
        assert_eq!(cookie.split(';').next(), client.cookie.as_deref(), "the same session");
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
            assert!(cookie.contains(part), "{part} is missing");
        }
    }
    house.clock.set(house.clock.now().plus_us(13 * 3_600_000_000));
    let response = client.request("GET", "/api/me").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("set-cookie")), (401, None), "unused for 13 hours");
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_login_and_time_opens_it() {
    let house = House::open().await;
    let client = house.anonymous();
    for _ in 0..4 {
        let (status, body) = client.post("/api/login", &json!({ "login": "chen", "password": "Wrong-horse-7" })).await;
        assert_eq!((status, &body["error"]["code"]), (401, &json!("bad_credentials")));
    }
    let (status, body) = client.post("/api/login", &json!({ "login": "chen", "password": "Wrong-horse-7" })).await;
    assert_eq!((status, &body["error"]["code"]), (429, &json!("locked")));
    let right = json!({ "login": "chen", "password": PASSWORD });
    assert_eq!(client.post("/api/login", &right).await.0, 429, "also for the right password");
    assert_eq!(client.post("/api/login", &json!({ "login": "zhang", "password": PASSWORD })).await.0, 200);
    house.clock.set(house.clock.now().plus_us(16 * 60 * 1_000_000));
    assert_eq!(client.post("/api/login", &right).await.0, 200);
}

#[tokio::test]
async fn a_secure_cookie_says_so_and_an_unknown_login_looks_like_a_wrong_password() {
    let house = House::open_with(console::Config { secure_cookie: true, ..console::Config::default() }).await;
    let client = house.anonymous();
    let sent = client.request("POST", "/api/login").json(&json!({ "login": "chen", "password": PASSWORD }));
    let cookie = sent.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("; Secure"));
    let unknown = client.post("/api/login", &json!({ "login": "nobody", "password": PASSWORD })).await;
    let wrong = client.post("/api/login", &json!({ "login": "sun", "password": "Wrong-horse-7" })).await;
    assert_eq!(unknown, wrong);
}

#[tokio::test]
async fn bad_input_gets_the_place_and_a_sentence() {
    let house = House::open().await;
    let client = house.anonymous();
    let raw =
        |body: &'static str| client.request("POST", "/api/login").header("content-type", "application/json").body(body);
    let (status, body) = answer(raw("{\"login\": \"chen\",")).await;
    assert_eq!((status, &body["error"]["code"]), (422, &json!("bad_request")));
    assert!(body["error"]["message_en"].as_str().unwrap().contains("line 1 column"), "{body}");
    assert!(body["error"]["message_zh"].as_str().unwrap().contains("第 1 行"), "{body}");
    let (status, body) = answer(raw("{\"login\": \"chen\", \"pasword\": \"x\"}")).await;
    assert_eq!(status, 422);
    assert!(body["error"]["message_en"].as_str().unwrap().contains("pasword"), "{body}");
    let large = "x".repeat(console::Config::default().body_bytes_max + 1);
    let (status, body) = client.post("/api/login", &json!({ "login": large, "password": "x" })).await;
    assert_eq!((status, &body["error"]["code"]), (413, &json!("too_large")));
    assert_eq!(client.get("/api/nothing").await.1["error"]["code"], "not_found");
    let (status, body) = client.get("/api/login").await;
    assert_eq!((status, &body["error"]["code"]), (405, &json!("method_not_allowed")));
}
