//! The robots of 钉钉 and 飞书.

use serde_json::{Value, json};
use vigil_alerting::{Fate, Recipient};

use super::fake::robots::{Ding, HOOK, Lark, SECRET, TOKEN};
use super::fake::server::{Fake, Fault};
use super::{channels, doctor, fate, message, person_for, retry, send};
use crate::world::at;

const DING: &str = "dingtalk";
const LARK: &str = "feishu";

pub(super) fn ding(base: &str) -> Value {
    json!({"access_token": TOKEN, "secret": SECRET, "base_url": base, "timeout_s": 30})
}

pub(super) fn lark(base: &str) -> Value {
    json!({"hook": HOOK, "secret": SECRET, "base_url": base, "timeout_s": 30})
}

#[tokio::test]
async fn dingtalk_takes_a_signed_text_and_mentions_by_id() {
    let mut fake = Fake::start(Ding::default()).await;
    let channels = channels(json!({DING: ding(&fake.url)}));
    assert_eq!(fate(&channels, DING, at(0)).await, Fate::Accepted);
    let said = fake.provider().said[0].clone();
    assert_eq!(said["at"], json!({"atMobiles": [], "atUserIds": ["LiDoctor1"], "isAtAll": false}));
    let text = said["text"]["content"].as_str().unwrap().to_owned();
    assert!(text.starts_with("P1 紧急 紧急呼叫\n王*明,") && text.ends_with("/phone/pages/7 @LiDoctor1"), "{text}");
    assert!(!text.contains("482106") && !text.contains("/tap/"), "answers for one person: {text}");
    let unknown = Recipient { address: None, ..doctor() };
    assert_eq!(send(&channels, DING, &unknown, &message(), at(0)).await.fate, Fate::Accepted);
    assert!(!fake.provider().said[1].to_string().contains("138"), "a number would be printed");
    // The signature has no window to spare: the same clock an hour off is refused.
    for (now, expected) in
        [(at(3_600), Fate::Accepted), (at(3_601), Fate::Misconfigured), (at(-3_601), Fate::Misconfigured)]
    {
        assert_eq!(fate(&channels, DING, now).await, expected);
    }
    fake.paths();
}

#[tokio::test]
async fn dingtalk_is_blocked_for_ten_minutes() {
    let mut fake = Fake::start(Ding::default()).await;
    let channels = channels(json!({DING: ding(&fake.url)}));
    for _ in 0..20 {
        assert_eq!(fate(&channels, DING, at(0)).await, Fate::Accepted);
    }
    assert_eq!(fate(&channels, DING, at(0)).await, person_for(600));
    fake.clock.set(at(599));
    assert_eq!(fate(&channels, DING, at(599)).await, person_for(600));
    fake.clock.set(at(600));
    assert_eq!(fate(&channels, DING, at(600)).await, Fate::Accepted);
    fake.paths();
}

#[tokio::test]
async fn dingtalk_says_what_is_wrong() {
    let mut fake = Fake::start(Ding::default()).await;
    let table = |key: &str, value: Value| {
        let mut table = ding(&fake.url);
        table[key] = value;
        channels(json!({ DING: table }))
    };
    for (wrong, code, words) in [
        (table("secret", "SECother".into()), "310000", "clock"),
        (table("secret", Value::Null), "310000", "clock"),
        (table("access_token", "other".into()), "300005", "token"),
    ] {
        let sent = send(&wrong, DING, &doctor(), &message(), at(0)).await;
        assert_eq!(sent.fate, Fate::Misconfigured);
        assert!(sent.detail.contains(code) && sent.detail.contains(words), "{}", sent.detail);
    }
    let right = channels(json!({DING: ding(&fake.url)}));
    for (body, expected, words) in [
        (json!({"errcode": 310_000, "errmsg": "keywords not in content, more: [..]"}), Fate::Misconfigured, "keyword"),
        (json!({"errcode": 310_000, "errmsg": "ip 1.2.3.4 not in whitelist"}), Fate::Misconfigured, "address"),
        (json!({"errcode": 310_000, "errmsg": "something new"}), Fate::Misconfigured, "security"),
        (json!({"status": 1_111, "wait": 5, "punish": "deny", "source": "x5"}), person_for(600), "20 messages"),
        (json!({"errcode": 130_101, "errmsg": "send too fast"}), person_for(600), "20 messages"),
        (json!({"errcode": 410_100, "errmsg": ""}), person_for(600), "20 messages"),
        (json!({"errcode": 400_101}), Fate::Misconfigured, "token"),
        (json!({"errcode": 400_102}), Fate::Misconfigured, "stopped"),
        (json!({"errcode": 400_106}), Fate::Misconfigured, "gone"),
        (json!({"errcode": 40_035}), Fate::Misconfigured, "missing"),
        (json!({"errcode": 43_002}), Fate::Misconfigured, "POST"),
        (json!({"errcode": -1, "errmsg": "系统繁忙"}), retry(), "busy"),
        (json!({"errcode": 7}), Fate::Misconfigured, "7 (HTTP 200)"),
    ] {
        fake.faults([Fault::Say(200, body.to_string())]);
        let sent = send(&right, DING, &doctor(), &message(), at(0)).await;
        assert_eq!(sent.fate, expected, "{body}");
        assert!(sent.detail.contains(words), "{}", sent.detail);
    }
    fake.paths();
}

#[tokio::test]
async fn feishu_takes_a_text_signed_in_its_body() {
    let mut fake = Fake::start(Lark::default()).await;
    let channels = channels(json!({LARK: lark(&fake.url)}));
    assert_eq!(fate(&channels, LARK, at(0)).await, Fate::Accepted);
    let text = fake.provider().said[0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(text.ends_with("/phone/pages/7 <at user_id=\"LiDoctor1\"></at>"), "{text}");
    assert!(!text.contains("482106") && !text.contains("/tap/"), "answers for one person: {text}");
    for (now, expected) in
        [(at(3_600), Fate::Accepted), (at(3_601), Fate::Misconfigured), (at(-3_601), Fate::Misconfigured)]
    {
        assert_eq!(fate(&channels, LARK, now).await, expected);
    }
    // Five in a second: the sixth waits for a minute.
    fake.clock.set(at(10));
    for _ in 0..5 {
        assert_eq!(fate(&channels, LARK, at(10)).await, Fate::Accepted);
    }
    assert_eq!(fate(&channels, LARK, at(10)).await, person_for(60));
    fake.paths();
}

#[tokio::test]
async fn feishu_says_what_is_wrong() {
    let mut fake = Fake::start(Lark::default()).await;
    for (key, value, code) in
        [("secret", json!("SECother"), "19021"), ("secret", Value::Null, "19021"), ("hook", json!("00"), "19001")]
    {
        let mut table = lark(&fake.url);
        table[key] = value;
        let sent = send(&channels(json!({ LARK: table })), LARK, &doctor(), &message(), at(0)).await;
        assert_eq!(sent.fate, Fate::Misconfigured);
        assert!(sent.detail.starts_with(code), "{}", sent.detail);
    }
    let right = channels(json!({LARK: lark(&fake.url)}));
    for (code, expected) in [
        (19_021, Fate::Misconfigured),
        (19_022, Fate::Misconfigured),
        (19_024, Fate::Misconfigured),
        (19_001, Fate::Misconfigured),
        (9_499, Fate::Misconfigured),
        (11_232, person_for(60)),
        (1, Fate::Misconfigured),
    ] {
        fake.faults([Fault::Say(200, json!({"code": code, "msg": "x"}).to_string())]);
        assert_eq!(fate(&right, LARK, at(0)).await, expected, "{code}");
    }
    for status in [400, 429] {
        let body = json!({"code": 99_991_400, "msg": "request trigger frequency limit"}).to_string();
        fake.faults([Fault::With(status, "x-ogw-ratelimit-reset", "37", body)]);
        let after = Some(std::time::Duration::from_secs(37));
        assert_eq!(fate(&right, LARK, at(0)).await, Fate::Retry { after });
    }
    fake.paths();
}
