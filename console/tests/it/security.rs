//! What protects the pages: headers, same-origin changes, loopback figures, the embedded app, a busy port.

use serde_json::json;

use crate::house::{House, answer};

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let house = House::open().await;
    let zhang = house.signed_in("zhang");
    for path in
        ["/", "/elders/7", "/api/me", "/api/alarms", "/api/nothing", "/metrics", "/assets/missing.js", "/api/stream"]
    {
        let response = zhang.request("GET", path).send().await.unwrap();
        let headers = response.headers();
        let csp = headers["content-security-policy"].to_str().unwrap();
        assert!(csp.starts_with("default-src 'self'") && csp.contains("frame-ancestors 'none'"), "{path}");
        assert!(!csp.contains("unsafe"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["referrer-policy"], "no-referrer", "{path}");
        if path.starts_with("/api/") {
            assert_eq!(headers["cache-control"], "no-store", "{path}");
        }
    }
}

#[tokio::test]
async fn a_foreign_page_changes_nothing() {
    let house = House::open().await;
    let fall = house.fall(house.wang);
    let zhang = house.signed_in("zhang");
    let claim = || zhang.request("POST", &format!("/api/alarms/{fall}/claim"));
    let form = claim().header("content-type", "application/x-www-form-urlencoded").body("a=b");
    assert_eq!(answer(form).await.1["error"]["code"], "cross_site");
    let foreign = claim().json(&json!({})).header("origin", "https://evil.example");
    assert_eq!(answer(foreign).await.0, 403);
    let foreign = claim().json(&json!({})).header("sec-fetch-site", "cross-site");
    assert_eq!(answer(foreign).await.0, 403);
    assert!(house.records.alarm_view(fall).unwrap().unwrap().claimed_by.is_none());
    let own =
        claim().header("idempotency-key", "k").header("origin", &zhang.base).header("sec-fetch-site", "same-origin");
    assert_eq!(answer(own).await.0, 200);
    let long = claim().header("idempotency-key", "k".repeat(129));
    assert_eq!(answer(long).await.0, 422);
}

#[tokio::test]
async fn figures_are_for_this_machine_and_health_for_everybody() {
    let house = House::open().await;
    let anonymous = house.anonymous();
    let text = anonymous.request("GET", "/metrics").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("vigil_console_test 1") && text.contains("\nvigil_console_streams 0\n"), "{text}");
    // Through a proxy on this machine everybody would look local.
    let forwarded = |client: &crate::house::Client| {
        answer(client.request("GET", "/metrics").header("x-forwarded-for", "192.0.2.7"))
    };
    assert_eq!(forwarded(&anonymous).await.0, 401);
    assert_eq!(forwarded(&house.signed_in("zhang")).await.0, 403);
    assert_eq!(forwarded(&house.signed_in("admin")).await.0, 200);
    let (status, health) = anonymous.get("/api/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health["checks"][0]["name"], "journal");
}

#[tokio::test]
async fn pages_come_from_the_app_or_say_how_to_build_it() {
    let house = House::open().await;
    let anonymous = house.anonymous();
    let index = anonymous.request("GET", "/").send().await.unwrap();
    assert_eq!(index.status(), 200);
    assert!(index.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    let etag = index.headers().get("etag").cloned();
    let text = index.text().await.unwrap();
    let deep = anonymous.request("GET", "/elders/7").send().await.unwrap();
    assert_eq!(deep.text().await.unwrap(), text, "page addresses are the app's");
    assert_eq!(anonymous.get("/assets/missing-1a2b.js").await.0, 404, "a missing asset is not a page");
    assert_eq!(anonymous.post("/elders/7", &json!({})).await.0, 404);
    let Some(etag) = etag else {
        assert!(text.contains("make web"), "{text}");
        eprintln!("skipped: caching of the app's files (console/web/dist is not built)");
        return;
    };
    let again = anonymous.request("GET", "/").header("if-none-match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let script = text.split('"').find(|part| part.starts_with("/assets/")).expect("index.html names its script");
    let script = anonymous.request("GET", script).send().await.unwrap();
    assert_eq!(
        (script.status().as_u16(), &script.headers()["cache-control"]),
        (200, &"public, max-age=31536000, immutable".parse().unwrap())
    );
}

#[tokio::test]
async fn a_busy_port_is_one_clear_sentence() {
    let house = House::open().await;
    let listen = house.base.trim_start_matches("http://").to_owned();
    let refused =
        console::bind(console::Config { listen: listen.clone(), ..console::Config::default() }).await.unwrap_err();
    let sentence = refused.to_string();
    assert!(
        sentence.contains(&listen) && sentence.contains("console.listen") && !sentence.contains('\n'),
        "{sentence}"
    );
}
