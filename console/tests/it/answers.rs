//! Answers that come without a screen: a provider's callback, a signed webhook, a link in a message, a code on the telephone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use model::page::PageState;
use model::{AlarmId, Handling, PageId, PersonId};
use serde_json::{Value, json};
use sha2::Sha256;
use store::records::SendResult;

use crate::house::{CALLBACK_WORD, House, WEBHOOK_SECRET, answer};

/// A fall whose page the provider of this channel has under `reference`; empty: under the page's own name, as a webhook.
fn paged(house: &House, channel: &str, reference: &str) -> (AlarmId, PageId) {
    let (alarm, page) = house.fall_by(house.wang, channel);
    let attempt = house.records.start_attempt(page, house.clock.now()).unwrap().unwrap();
    let reference = if reference.is_empty() { format!("page-{page}") } else { reference.to_owned() };
    let accepted = SendResult::Accepted { provider_ref: Some(reference) };
    house.records.finish_attempt(attempt, &accepted, "", None).unwrap();
    (alarm, page)
}

fn state(house: &House, page: PageId) -> PageState {
    house.records.page(page).unwrap().unwrap().0.state
}

fn handling(house: &House, alarm: AlarmId) -> Handling {
    house.records.alarm_view(alarm).unwrap().unwrap().handling
}

async fn callback(house: &House, channel: &str, body: &Value) -> (u16, Value) {
    let path = format!("/callback/{channel}/{CALLBACK_WORD}");
    answer(house.anonymous().request("POST", &path).json(body)).await
}

#[tokio::test]
async fn aliyun_tells_of_delivery_and_replies_twice_and_gets_the_answer_it_wants() {
    let house = House::open().await;
    let (alarm, page) = paged(&house, "aliyun_sms", "biz^1");
    let thanks = json!({ "code": 0, "msg": "接收成功" });
    let report =
        json!([{ "phone_number": "13800000000", "success": true, "err_code": "DELIVERED", "biz_id": "biz^1" }]);
    for _ in 0..2 {
        assert_eq!(callback(&house, "aliyun_sms", &report).await, (200, thanks.clone()));
        assert_eq!(state(&house, page), PageState::Delivered);
    }
    let up = json!([{ "phone_number": "13800000000", "content": "回复1", "send_time": "2026-11-22 12:00:00",
                      "dest_code": "1", "sequence_id": 77 }]);
    for _ in 0..2 {
        assert_eq!(callback(&house, "aliyun_sms", &up).await, (200, thanks.clone()));
        assert_eq!((state(&house, page), handling(&house, alarm)), (PageState::Accepted, Handling::Engaged));
    }
    // Late and out of order: nothing goes back.
    let failed = json!([{ "biz_id": "biz^1", "success": false }]);
    assert_eq!(callback(&house, "aliyun_sms", &failed).await.0, 200);
    assert_eq!(state(&house, page), PageState::Accepted);
    // A stranger's reply and an unknown message are thanked for and change nothing.
    let stranger = json!([{ "phone_number": "13911111111", "content": "1", "sequence_id": "s-2" }, { "biz_id": "?", "success": true }]);
    assert_eq!(callback(&house, "aliyun_sms", &stranger).await, (200, thanks));
}

#[tokio::test]
async fn a_pressed_key_answers_and_picking_up_does_not() {
    let house = House::open().await;
    let (_, page) = paged(&house, "aliyun_voice", "call^1");
    let heard = json!([{ "call_id": "call^1", "status_code": "200000", "dtmf": "" }]);
    assert_eq!(callback(&house, "aliyun_voice", &heard).await.0, 200);
    assert_eq!(state(&house, page), PageState::Delivered);
    let pressed = json!([{ "call_id": "call^1", "status_code": "300000", "dtmf": "2" }]);
    assert_eq!(callback(&house, "aliyun_voice", &pressed).await.0, 200);
    assert_eq!(state(&house, page), PageState::Declined);

    let (alarm, page) = paged(&house, "tencent_voice", "t-1");
    let thanks = json!({ "result": 0, "errmsg": "OK" });
    let key = json!({ "voicekey_callback": { "keypress": "3", "callid": "t-1", "mobile": "13800000000" } });
    assert_eq!(callback(&house, "tencent_voice", &key).await, (200, thanks.clone()));
    assert_eq!((state(&house, page), handling(&house, alarm)), (PageState::MarkedFalse, Handling::Engaged));

    let (_, page) = paged(&house, "tencent_voice", "t-2");
    let failed = json!({ "voice_failure_callback": { "failure_code": 8, "failure_reason": "空号", "callid": "t-2" } });
    assert_eq!(callback(&house, "tencent_voice", &failed).await, (200, thanks));
    assert_eq!(state(&house, page), PageState::PermFailed);
}

#[tokio::test]
async fn tencent_tells_of_delivery_and_a_reply_with_a_code() {
    let house = House::open().await;
    let (_, first) = paged(&house, "tencent_sms", "sid-1");
    let (_, second) = paged(&house, "tencent_sms", "sid-2");
    let receipts = json!([{ "mobile": "13800000000", "nationcode": "86", "report_status": "SUCCESS", "sid": "sid-1" },
                          { "mobile": "13800000000", "nationcode": "86", "report_status": "SUCCESS", "sid": "sid-2" }]);
    assert_eq!(callback(&house, "tencent_sms", &receipts).await.0, 200);
    assert_eq!((state(&house, first), state(&house, second)), (PageState::Delivered, PageState::Delivered));
    let code = house.records.page_code(first).unwrap();
    let reply = json!({ "extend": "", "mobile": "13800000000", "nationcode": "86", "sign": "守望", "text": format!("1 {code}"),
                        "time": house.clock.now().secs() });
    assert_eq!(callback(&house, "tencent_sms", &reply).await, (200, json!({ "result": 0, "errmsg": "OK" })));
    assert_eq!((state(&house, first), state(&house, second)), (PageState::Accepted, PageState::Delivered));
}

#[tokio::test]
async fn without_the_secret_word_there_is_nothing_there() {
    let house = House::open().await;
    let (_, page) = paged(&house, "aliyun_sms", "biz^1");
    let report = json!([{ "biz_id": "biz^1", "success": true }]);
    let wrong = "f".repeat(32);
    for path in [
        format!("/callback/aliyun_sms/{wrong}"),
        format!("/callback/aliyun_sms/{}", &CALLBACK_WORD[..31]),
        format!("/callback/wecom_app/{CALLBACK_WORD}"),
        format!("/callback/pigeon/{CALLBACK_WORD}"),
    ] {
        assert_eq!(answer(house.anonymous().request("POST", &path).json(&report)).await.0, 404, "{path}");
    }
    assert_eq!(state(&house, page), PageState::ProviderAccepted);
    let path = format!("/callback/aliyun_sms/{CALLBACK_WORD}");
    for (body, status) in
        [("nonsense".to_owned(), 422), ("x".repeat(300_000), 413), ("[]".to_owned(), 200), ("[1,{}]".to_owned(), 200)]
    {
        let sent = answer(house.anonymous().request("POST", &path).body(body.clone())).await;
        assert_eq!(sent.0, status, "{body:.20}");
    }
}

fn sign(id: &str, at_s: i64, body: &str) -> String {
    let key = STANDARD.decode(WEBHOOK_SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{at_s}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn the_webhooks_receiver_answers_with_a_signature() {
    let house = House::open().await;
    let (_, page) = paged(&house, "webhook", "");
    let now_s = house.clock.now().secs();
    let send = |id: &'static str, body: Value, signature: Option<String>| {
        let body = body.to_string();
        let signature = signature.unwrap_or_else(|| sign(id, now_s, &body));
        let request = house.anonymous().request("POST", "/callback/webhook").header("webhook-id", id);
        let request = request.header("webhook-timestamp", now_s).header("webhook-signature", signature);
        answer(request.header("content-type", "application/json").body(body))
    };
    let delivered = json!({ "page": page.to_string(), "state": "delivered" });
    assert_eq!(send("w-1", delivered.clone(), Some("v1,AAAA".into())).await.0, 404);
    assert_eq!(send("w-1", delivered.clone(), None).await, (200, json!({ "ok": true, "done": 1 })));
    assert_eq!(send("w-2", json!({ "page": page.to_string(), "answer": "accept" }), None).await.0, 200);
    assert_eq!(state(&house, page), PageState::Accepted);
    assert_eq!(send("w-3", json!({ "page": page.to_string(), "answer": "explode" }), None).await.0, 422);
}

#[tokio::test]
async fn a_link_asks_first_and_answers_once() {
    let house = House::open().await;
    let (alarm, page) = paged(&house, "wecom_app", "m-1");
    let token = house.records.link_token(page, house.clock.now().plus_us(3_600_000_000)).unwrap();
    let path = format!("/a/{token}");
    let look = || async {
        let response = house.anonymous().request("GET", &path).send().await.unwrap();
        let cache = response.headers()["cache-control"].to_str().unwrap().to_owned();
        (response.status().as_u16(), cache, response.text().await.unwrap())
    };
    for _ in 0..3 {
        let (status, cache, text) = look().await;
        assert_eq!((status, cache.as_str()), (200, "no-store"));
        assert!(text.contains("我已接手") && text.contains("王*英") && !text.contains("王秀英"), "{text}");
        assert_eq!(handling(&house, alarm), Handling::Open, "a preview answers nothing");
    }
    let press = |body: &'static str| {
        let request =
            house.anonymous().request("POST", &path).header("content-type", "application/x-www-form-urlencoded");
        async move { request.body(body).send().await.unwrap().status().as_u16() }
    };
    assert_eq!(press("answer=explode").await, 422);
    assert_eq!(press("answer=accept").await, 200);
    assert_eq!((state(&house, page), handling(&house, alarm)), (PageState::Accepted, Handling::Engaged));
    assert_eq!(press("answer=decline").await, 410, "once");
    assert_eq!(look().await.0, 410);
    let audit = house.records.audit_list(None, 10).unwrap();
    assert!(audit.iter().any(|row| row.action == "page_link" && row.person == Some(house.doctor)));

    let (_, page) = paged(&house, "wecom_app", "m-2");
    let token = house.records.link_token(page, house.clock.now().plus_us(1_000_000)).unwrap();
    house.clock.set(house.clock.now().plus_us(2_000_000));
    assert_eq!(answer(house.anonymous().request("GET", &format!("/a/{token}"))).await.0, 410, "its time is over");
}

#[tokio::test]
async fn a_dispatcher_types_the_code_the_doctor_said_and_may_not_guess() {
    let house = House::open().await;
    let (alarm, page) = paged(&house, "aliyun_sms", "biz^1");
    let code = house.records.page_code(page).unwrap();
    let seat = house.signed_in("zhang");
    let (status, said) = seat.post("/api/pages/ack-code", &json!({ "code": format!(" {code} ") })).await;
    assert_eq!((status, &said["state"]), (200, &json!("accepted")), "{said}");
    assert_eq!(handling(&house, alarm), Handling::Engaged);
    let accepted = house.records.alarm_view(alarm).unwrap().unwrap().accepted_by.unwrap();
    assert_eq!(accepted.id, house.doctor, "it is the doctor's, whoever typed it");
    let audit = house.records.audit_list(None, 10).unwrap();
    let typed = audit.iter().find(|row| row.action == "ack_code").unwrap();
    assert_ne!(typed.person, Some(house.doctor));
    assert_eq!(typed.subject, format!("page/{page}"));

    let mut last = 0;
    for _ in 0..11 {
        last = seat.post("/api/pages/ack-code", &json!({ "code": code })).await.0;
    }
    assert_eq!(last, 429);
    house.clock.set(house.clock.now().plus_us(15 * 60 * 1_000_000));
    assert_eq!(seat.post("/api/pages/ack-code", &json!({ "code": code })).await.0, 404);
}

#[tokio::test]
async fn an_administrator_keeps_addresses_and_tests_channels() {
    let house = House::open().await;
    let admin = house.signed_in("admin");
    assert_eq!(admin.get("/api/channels").await.1["channels"][0]["name"], "webhook");
    assert_eq!(admin.post("/api/channels/webhook/test", &json!({})).await, (200, json!({ "ok": true, "detail": "" })));
    assert_eq!(admin.post("/api/channels/pigeon/test", &json!({})).await.0, 404);
    let path = format!("/api/people/{}/contacts", house.doctor.0);
    let put = |path: String, body: Value| answer(admin.request("PUT", &path).json(&body));
    let (status, said) = put(path.clone(), json!({ "channel": "smtp", "address": "li@example.org" })).await;
    assert_eq!((status, &said["contacts"][0]["address"]), (200, &json!("li@example.org")));
    assert_eq!(put(path.clone(), json!({ "channel": "pigeon", "address": "x" })).await.0, 422);
    assert_eq!(put(path.clone(), json!({ "channel": "smtp", "address": "two\nlines" })).await.0, 422);
    assert_eq!(put("/api/people/999/contacts".into(), json!({ "channel": "smtp", "address": "x" })).await.0, 404);
    assert_eq!(put(path.clone(), json!({ "channel": "smtp", "address": null })).await.1["contacts"], json!([]));
    assert_eq!(admin.get("/api/people/999/contacts").await.0, 404);
    assert_eq!(house.records.contact(PersonId(house.doctor.0), "smtp").unwrap(), None);
}
