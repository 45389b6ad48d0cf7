//! SMS and calls of Aliyun.

use serde_json::{Value, json};
use vigil_alerting::{Channels, Fate, Message, Recipient};

use super::fake::aliyun::{Aliyun, KEY_ID, SECRET};
use super::fake::server::{Fake, Fault};
use super::{channels, doctor, fate, message, person, person_for, retry, send};
use crate::world::at;

const SMS: &str = "aliyun_sms";
const VOICE: &str = "aliyun_voice";

pub(super) fn sms(base: &str) -> Value {
    json!({
        "access_key_id": KEY_ID, "access_key_secret": SECRET, "sign_name": "守望", "template_code": "SMS_1",
        "params": {"name": "elder", "type": "kind", "time": "time", "code": "code"}, "base_url": base, "timeout_s": 30,
    })
}

pub(super) fn voice(base: &str) -> Value {
    json!({
        "access_key_id": KEY_ID, "access_key_secret": SECRET, "tts_code": "TTS_1",
        "params": {"name": "elder", "type": "kind"}, "base_url": base, "timeout_s": 30,
    })
}

pub(super) fn ivr(base: &str) -> Value {
    let mut table = voice(base);
    table["show_number"] = "02100000000".into();
    table["key"] = json!({"accept": "1", "accepted_code": "TTS_2", "bye_code": "TTS_3"});
    table
}

async fn world() -> (Fake<Aliyun>, Channels) {
    let fake = Fake::start(Aliyun::default()).await;
    let channels = channels(json!({SMS: sms(&fake.url), VOICE: voice(&fake.url)}));
    (fake, channels)
}

fn code(status: u16, code: &str) -> Fault {
    Fault::Say(status, json!({"Code": code, "Message": "of 13800000000", "RequestId": "R"}).to_string())
}

fn attempt(number: u32) -> Message {
    Message { attempt: number, ..message() }
}

#[tokio::test]
async fn an_sms_holds_masked_name_kind_time_and_code_and_no_link() {
    let (mut fake, channels) = world().await;
    let sent = send(&channels, SMS, &doctor(), &message(), at(0)).await;
    let reference = format!("{}^1", at(0).millis());
    assert_eq!((sent.fate, sent.provider_ref), (Fate::Accepted, Some(reference)));
    let request = fake.request().await;
    assert!(request.body.is_empty() && !request.query.contains("example.org"));
    let taken = fake.provider().taken[0].clone();
    assert_eq!((taken.number.as_str(), taken.parameters["OutId"].as_str()), ("13800000000", "7-1"));
    let words: Value = serde_json::from_str(&taken.parameters["TemplateParam"]).unwrap();
    assert_eq!(words, json!({"name": "王*明", "type": "紧急呼叫", "time": "11-22 14:03", "code": "482106"}));
}

#[tokio::test]
async fn a_number_that_is_none_is_not_even_asked() {
    let (mut fake, channels) = world().await;
    for phone in ["", "12345", "+1 555 010 0100", "13800000000,13900000000"] {
        let to = Recipient { phone: phone.into(), ..doctor() };
        assert_eq!(send(&channels, SMS, &to, &message(), at(0)).await.fate, person(), "{phone}");
    }
    let line = Recipient { phone: "021-12345678".into(), ..doctor() };
    assert_eq!(send(&channels, SMS, &line, &message(), at(0)).await.fate, person());
    assert!(fake.paths().is_empty());
    assert_eq!(send(&channels, VOICE, &line, &message(), at(0)).await.fate, Fate::Accepted, "a line can be called");
    assert_eq!(fake.request().await.parameter("CalledNumber"), "02112345678");
}

#[tokio::test]
async fn after_an_attempt_without_an_answer_the_list_is_asked_first() {
    let (mut fake, channels) = world().await;
    // It went out, only the answer was lost.
    fake.faults([Fault::Reset]);
    assert_eq!(fate(&channels, SMS, at(0)).await, Fate::InDoubt);
    assert_eq!(fake.request().await.header("x-acs-action"), "SendSms");
    let second = send(&channels, SMS, &doctor(), &attempt(2), at(5)).await;
    assert_eq!(second.fate, Fate::Accepted);
    assert_eq!(fake.request().await.header("x-acs-action"), "QuerySendDetails");
    assert_eq!(fake.provider().taken.len(), 1, "not sent twice");
    // It went out and did not arrive: it is sent again. Nobody can tell: it is sent again.
    fake.provider().taken[0].status = 2;
    assert_eq!(send(&channels, SMS, &doctor(), &attempt(3), at(10)).await.fate, Fate::Accepted);
    fake.faults([code(500, "isp.SYSTEM_ERROR")]);
    assert_eq!(send(&channels, SMS, &doctor(), &attempt(4), at(15)).await.fate, Fate::Accepted);
    // Another page to the same number is not this one.
    let another = Message { page: model::PageId(70), attempt: 2, ..message() };
    assert_eq!(send(&channels, SMS, &doctor(), &another, at(20)).await.fate, Fate::Accepted);
    assert_eq!(fake.provider().taken.len(), 4);
    fake.paths();
}

#[tokio::test]
async fn a_numbers_day_is_used_up() {
    let (mut fake, channels) = world().await;
    for _ in 0..40 {
        assert_eq!(fate(&channels, SMS, at(0)).await, Fate::Accepted);
    }
    assert_eq!(fate(&channels, SMS, at(0)).await, person_for(86_400));
    let other = Recipient { phone: "13900000000".into(), ..doctor() };
    assert_eq!(send(&channels, SMS, &other, &message(), at(0)).await.fate, Fate::Accepted);
    fake.clock.set(at(86_401));
    assert_eq!(fate(&channels, SMS, at(86_401)).await, Fate::Accepted);
    fake.paths();
}

#[tokio::test]
async fn every_code_has_its_meaning() {
    let (mut fake, channels) = world().await;
    for (status, name, expected) in [
        (200, "isv.MOBILE_NUMBER_ILLEGAL", person()),
        (200, "isv.BUSINESS_LIMIT_CONTROL", person_for(3_600)),
        (200, "isv.SMS_SIGNATURE_ILLEGAL", Fate::Misconfigured),
        (200, "isv.SMS_SIGNATURE_SCENE_ILLEGAL", Fate::Misconfigured),
        (200, "isv.SMS_TEMPLATE_ILLEGAL", Fate::Misconfigured),
        (200, "isv.TEMPLATE_MISSING_PARAMETERS", Fate::Misconfigured),
        (200, "isv.INVALID_PARAMETERS", Fate::Misconfigured),
        (200, "isv.INVALID_JSON_PARAM", Fate::Misconfigured),
        (200, "isv.PARAM_LENGTH_LIMIT", Fate::Misconfigured),
        (200, "isv.PARAM_NOT_SUPPORT_URL", Fate::Misconfigured),
        (200, "isv.BLACK_KEY_CONTROL_LIMIT", Fate::Misconfigured),
        (200, "isv.MOBILE_COUNT_OVER_LIMIT", Fate::Misconfigured),
        (200, "isv.AMOUNT_NOT_ENOUGH", Fate::Misconfigured),
        (200, "isv.OUT_OF_SERVICE", Fate::Misconfigured),
        (200, "isp.RAM_PERMISSION_DENY", Fate::Misconfigured),
        (200, "isp.SYSTEM_ERROR", retry()),
        (400, "Throttling.User", retry()),
        (400, "SignatureNonceUsed", retry()),
        (404, "InvalidAccessKeyId.Inactive", Fate::Misconfigured),
        (503, "ServiceUnavailable", retry()),
        (200, "isv.SOMETHING_NEW", Fate::Misconfigured),
        (500, "OK", Fate::InDoubt),
    ] {
        for channel in [SMS, VOICE] {
            fake.faults([code(status, name)]);
            assert_eq!(fate(&channels, channel, at(0)).await, expected, "{channel} {name}");
        }
    }
    assert_eq!(fake.paths().len(), 44);
}

/// The provider checks what the table of codes then explains.
#[tokio::test]
async fn key_sign_template_and_clock_are_checked_by_the_provider() {
    let (mut fake, right) = world().await;
    for (key, value, expected) in [
        ("access_key_secret", json!("another"), "SignatureDoesNotMatch"),
        ("access_key_id", json!("LTAIother"), "InvalidAccessKeyId"),
        ("sign_name", json!("别家"), "isv.SMS_SIGNATURE_ILLEGAL"),
        ("template_code", json!("SMS_2"), "isv.SMS_TEMPLATE_ILLEGAL"),
        ("params", json!({"name": "elder"}), "isv.TEMPLATE_MISSING_PARAMETERS"),
    ] {
        let mut table = sms(&fake.url);
        table[key] = value;
        let sent = send(&channels(json!({ SMS: table })), SMS, &doctor(), &message(), at(0)).await;
        assert_eq!(sent.fate, Fate::Misconfigured);
        assert!(sent.detail.starts_with(expected), "{}", sent.detail);
    }
    for (now, expected) in [(at(900), Fate::Accepted), (at(901), Fate::Misconfigured), (at(-901), Fate::Misconfigured)]
    {
        assert_eq!(fate(&right, SMS, now).await, expected);
    }
    fake.paths();
}

#[tokio::test]
async fn a_call_reads_the_template_and_rings_no_number_twice_in_a_minute() {
    let (mut fake, channels) = world().await;
    let sent = send(&channels, VOICE, &doctor(), &message(), at(0)).await;
    assert_eq!(sent.provider_ref, Some(format!("{}^1", at(0).millis())));
    let request = fake.request().await;
    assert_eq!(request.header("x-acs-action"), "SingleCallByTts");
    assert_eq!((request.parameter("OutId"), request.parameter("PlayTimes")), ("7-1".into(), "3".into()));
    assert_eq!(fate(&channels, VOICE, at(59)).await, person_for(60));
    for minute in 1..5 {
        fake.clock.set(at(61 * minute));
        assert_eq!(fate(&channels, VOICE, at(61 * minute)).await, Fate::Accepted);
    }
    fake.clock.set(at(400));
    assert_eq!(fate(&channels, VOICE, at(400)).await, person_for(3_600));
    fake.paths();
}

#[tokio::test]
async fn a_call_asks_for_a_key_when_that_is_set_up() {
    let mut fake = Fake::start(Aliyun::default()).await;
    let channels = channels(json!({VOICE: ivr(&fake.url)}));
    assert_eq!(fate(&channels, VOICE, at(0)).await, Fate::Accepted);
    let request = fake.request().await;
    assert_eq!(request.header("x-acs-action"), "IvrCall");
    assert_eq!(request.parameter("MenuKeyMap.1.Key"), "1");
    assert_eq!(request.parameter("StartTtsParams"), r#"{"name":"王*明","type":"紧急呼叫"}"#);
    // A page number too long for the provider's field goes without it, and is refused by nobody but this strict one.
    let huge = Message { page: model::PageId(u64::MAX), ..message() };
    send(&channels, VOICE, &doctor(), &huge, at(120)).await;
    assert_eq!(fake.request().await.parameter("OutId"), "");
}
