//! SMS and calls of Tencent Cloud.

use std::time::Duration;

use model::Time;
use serde_json::{Value, json};
use vigil_alerting::{Channels, Fate, Message, Recipient};

use super::fake::server::{Fake, Fault};
use super::fake::tencent::{SECRET_ID, SECRET_KEY, Tencent};
use super::{channels, doctor, fate, message, person, person_for, retry, send};
use crate::world::at;

const SMS: &str = "tencent_sms";
const VOICE: &str = "tencent_voice";

pub(super) fn sms(base: &str) -> Value {
    json!({
        "secret_id": SECRET_ID, "secret_key": SECRET_KEY, "sdk_app_id": "1400006666", "sign_name": "守望",
        "template_id": "1110", "params": ["elder", "kind", "code"], "base_url": base, "timeout_s": 30,
    })
}

pub(super) fn voice(base: &str) -> Value {
    json!({
        "secret_id": SECRET_ID, "secret_key": SECRET_KEY, "voice_app_id": "1400006666", "template_id": "1110",
        "params": ["elder", "kind"], "base_url": base, "timeout_s": 30,
    })
}

async fn world() -> (Fake<Tencent>, Channels) {
    let fake = Fake::start(Tencent::default()).await;
    let channels = channels(json!({SMS: sms(&fake.url), VOICE: voice(&fake.url)}));
    (fake, channels)
}

/// The code of the number, in a call that is well.
fn one(code: &str) -> Fault {
    let status = json!({"Code": code, "Message": "+8613800000000", "SerialNo": "", "PhoneNumber": "+8613800000000"});
    Fault::Say(200, json!({"Response": {"SendStatusSet": [status], "RequestId": "R"}}).to_string())
}

/// The code of the whole call.
fn whole(code: &str) -> Fault {
    let error = json!({"Code": code, "Message": "of +8613800000000"});
    Fault::Say(200, json!({"Response": {"Error": error, "RequestId": "R"}}).to_string())
}

#[tokio::test]
async fn an_sms_holds_masked_name_kind_and_code_and_no_link() {
    let (mut fake, channels) = world().await;
    let sent = send(&channels, SMS, &doctor(), &message(), at(0)).await;
    assert_eq!((sent.fate, sent.provider_ref), (Fate::Accepted, Some("2019:1".into())));
    let body = fake.request().await.json();
    assert_eq!(body["PhoneNumberSet"], json!(["+8613800000000"]));
    assert_eq!(body["TemplateParamSet"], json!(["王*明", "紧急呼叫", "482106"]));
    assert!(!body.to_string().contains("example.org"));
    let nobody = Recipient { phone: "021-12345678".into(), ..doctor() };
    assert_eq!(send(&channels, SMS, &nobody, &message(), at(0)).await.fate, person());
}

/// Two a day and number: the third page of an on-call doctor goes another way until midnight in Shanghai.
#[tokio::test]
async fn a_numbers_limits_are_its_own_and_end() {
    let (mut fake, channels) = world().await;
    let evening = Time::parse("2026-11-22T22:00:00+08:00").unwrap();
    let send_at = async |seconds: u64, code: &str| {
        let now = evening + Duration::from_secs(seconds);
        fake.clock.set(now);
        let message = Message { code: Some(code.into()), ..message() };
        send(&channels, SMS, &doctor(), &message, now).await.fate
    };
    assert_eq!(send_at(0, "1111").await, Fate::Accepted);
    assert_eq!(send_at(29, "1111").await, person_for(30), "the same text within 30 seconds");
    assert_eq!(send_at(29, "2222").await, Fate::Accepted);
    assert_eq!(send_at(60, "3333").await, person_for(7_140), "until midnight");
    assert_eq!(send_at(7_200, "3333").await, Fate::Accepted);
    fake.paths();
}

#[tokio::test]
async fn both_levels_of_an_answer_are_read() {
    let (mut fake, channels) = world().await;
    for (code, expected) in [
        ("LimitExceeded.PhoneNumberThirtySecondLimit", person_for(30)),
        ("LimitExceeded.PhoneNumberOneHourLimit", person_for(3_600)),
        ("LimitExceeded.DeliveryFrequencyLimit", person_for(30)),
        ("FailedOperation.PhoneNumberInBlacklist", person()),
        ("InvalidParameterValue.IncorrectPhoneNumber", person()),
        ("FailedOperation.SignatureIncorrectOrUnapproved", Fate::Misconfigured),
        ("FailedOperation.TemplateIncorrectOrUnapproved", Fate::Misconfigured),
        ("FailedOperation.TemplateUnapprovedOrNotExist", Fate::Misconfigured),
        ("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", Fate::Misconfigured),
        ("FailedOperation.ContainSensitiveWord", Fate::Misconfigured),
        ("InvalidParameterValue.TemplateParameterFormatError", Fate::Misconfigured),
        ("InvalidParameterValue.TemplateParameterLengthLimit", Fate::Misconfigured),
        ("InvalidParameterValue.ContentLengthLimit", Fate::Misconfigured),
        ("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter", Fate::Misconfigured),
        ("FailedOperation.InsufficientBalanceInSmsPackage", Fate::Misconfigured),
        ("UnauthorizedOperation.RequestIpNotInWhitelist", Fate::Misconfigured),
        ("UnauthorizedOperation.ServiceSuspendDueToArrears", Fate::Misconfigured),
        ("LimitExceeded.AppMainlandChinaDailyLimit", Fate::Misconfigured),
        ("InternalError.SigVerificationFail", Fate::Misconfigured),
        ("AuthFailure.SecretIdNotFound", Fate::Misconfigured),
        ("InternalError.RequestTimeException", Fate::Misconfigured),
        ("InternalError.Timeout", retry()),
        ("InternalError.SendAndRecvFail", retry()),
        ("InternalError.OtherError", retry()),
        ("InternalError.UnknownError", retry()),
        ("RequestLimitExceeded.UinLimitExceeded", retry()),
        ("Something.New", Fate::Misconfigured),
    ] {
        fake.faults([one(code), whole(code)]);
        assert_eq!(fate(&channels, SMS, at(0)).await, expected, "{code}");
        assert_eq!(fate(&channels, SMS, at(0)).await, expected, "{code}");
    }
    for empty in [json!({"Response": {"RequestId": "R"}}), json!({"Response": {"SendStatusSet": []}})] {
        fake.faults([Fault::Say(200, empty.to_string())]);
        assert_eq!(fate(&channels, SMS, at(0)).await, Fate::InDoubt);
    }
    fake.paths();
}

#[tokio::test]
async fn key_sign_template_and_clock_are_checked_by_the_provider() {
    let (mut fake, right) = world().await;
    for (key, value, expected) in [
        ("secret_key", json!("another"), "AuthFailure.SignatureFailure"),
        ("secret_id", json!("AKIDother"), "AuthFailure.SignatureFailure"),
        ("sdk_app_id", json!("1"), "UnauthorizedOperation.SmsSdkAppIdVerifyFail"),
        ("sign_name", json!("别家"), "FailedOperation.SignatureIncorrectOrUnapproved"),
        ("template_id", json!("2"), "FailedOperation.TemplateIncorrectOrUnapproved"),
        ("params", json!(["elder"]), "FailedOperation.TemplateParamSetNotMatchApprovedTemplate"),
    ] {
        let mut table = sms(&fake.url);
        table[key] = value;
        let sent = send(&channels(json!({ SMS: table })), SMS, &doctor(), &message(), at(0)).await;
        assert_eq!(sent.fate, Fate::Misconfigured);
        assert!(sent.detail.starts_with(expected), "{}", sent.detail);
    }
    for (now, expected) in [(at(600), Fate::Accepted), (at(601), Fate::Misconfigured), (at(-601), Fate::Misconfigured)]
    {
        let sent = send(&right, SMS, &doctor(), &message(), now).await;
        assert_eq!(sent.fate, expected);
        assert!(expected == Fate::Accepted || sent.detail.contains("clock"), "{}", sent.detail);
    }
    fake.paths();
}

#[tokio::test]
async fn a_call_reads_the_template_and_has_its_own_codes() {
    let (mut fake, channels) = world().await;
    let sent = send(&channels, VOICE, &doctor(), &message(), at(0)).await;
    assert_eq!((sent.fate, sent.provider_ref), (Fate::Accepted, Some("call-1".into())));
    let body = fake.request().await.json();
    assert_eq!((&body["PlayTimes"], &body["TemplateParamSet"]), (&json!(2), &json!(["王*明", "紧急呼叫"])));
    assert_eq!(fate(&channels, VOICE, at(10)).await, person_for(30));
    let line = Recipient { phone: "021-12345678".into(), ..doctor() };
    assert_eq!(send(&channels, VOICE, &line, &message(), at(10)).await.fate, Fate::Accepted);
    assert_eq!(fake.provider().calls[1].number, "+862112345678");
    for (code, expected) in [
        ("InvalidParameterValue.CalledNumberVerifyFail", person()),
        ("FailedOperation.InsufficientBalanceInVoicePackage", Fate::Misconfigured),
        ("FailedOperation.PhonenumberUnappliedOrExpired", Fate::Misconfigured),
        ("FailedOperation.TemplateIncorrectOrUnapproved", Fate::Misconfigured),
        ("UnauthorizedOperation.VoiceSdkAppidIsDisabled", Fate::Misconfigured),
        ("FailedOperation.AccessUpstreamTimeout", retry()),
        ("InternalError.AccessUpstreamTimeout", retry()),
        ("InternalError.UpstreamError", retry()),
        ("InternalError.SsoSendRecvFail", retry()),
    ] {
        fake.faults([whole(code)]);
        assert_eq!(fate(&channels, VOICE, at(20)).await, expected, "{code}");
    }
    fake.paths();
}
