//! The demo's phone takes signed webhooks and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::house::{House, WEBHOOK_SECRET, answer};

fn sign(id: &str, at_s: i64, body: &str) -> String {
    let key = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_signed_page_is_kept_and_shown_to_people_who_are_signed_in() {
    let house = House::open().await;
    let anonymous = house.anonymous();
    let body = json!({ "page": "p-1", "alarm": "a-1", "priority": "P1" }).to_string();
    let now_s = house.clock.now().secs();
    let send = |signature: String, at_s: i64| {
        let request = anonymous.request("POST", "/demo/phone").header("webhook-id", "p-1");
        let request = request.header("webhook-timestamp", at_s).header("webhook-signature", signature);
        answer(request.header("content-type", "application/json").body(body.clone()))
    };
    assert_eq!(send(sign("p-1", now_s, &body), now_s).await.0, 200);
    assert_eq!(send(sign("p-1", now_s + 5, &body), now_s + 5).await.0, 200, "sent again");
    let (status, refused) = send(sign("p-2", now_s, &body), now_s).await;
    assert_eq!((status, &refused["error"]["code"]), (401, &json!("bad_signature")));
    assert_eq!(send(sign("p-1", now_s - 301, &body), now_s - 301).await.0, 401, "too old");

    assert_eq!(anonymous.get("/demo/phone").await.0, 401);
    let (_, inbox) = house.signed_in("chen").get("/demo/phone").await;
    let expected = json!([{ "id": "p-1", "received_at": house.clock.now(), "times": 2,
                            "body": { "page": "p-1", "alarm": "a-1", "priority": "P1" } }]);
    assert_eq!(inbox["deliveries"], expected);
}
