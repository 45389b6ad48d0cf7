//! SMS and voice of Tencent Cloud: the signature rebuilt from `SignedHeaders`, the clock window, limits of a number.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Provider, Reply, Request, header_lines, reply, within};

pub(crate) const SECRET_ID: &str = "AKIDtest";
pub(crate) const SECRET_KEY: &str = "tencent-secret-5Hq7";
const WINDOW_S: u64 = 600;
const SHANGHAI_S: i64 = 8 * 3_600;

#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) number: String,
    pub(crate) body: Value,
    at: Time,
}

#[derive(Default)]
pub(crate) struct Tencent {
    pub(crate) sms: Vec<Taken>,
    pub(crate) calls: Vec<Taken>,
}

fn mac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn response(body: &Value) -> Reply {
    reply(200, &json!({"Response": body}))
}

fn whole(code: &str) -> Reply {
    response(
        &json!({"Error": {"Code": code, "Message": format!("{code} of {SECRET_ID}, 13800000000")}, "RequestId": "R"}),
    )
}

/// The signature is the one that the parts of the request give.
fn is_signed(request: &Request, service: &str) -> Option<bool> {
    let rest = request.header("authorization").strip_prefix("TC3-HMAC-SHA256 ")?;
    let part = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name));
    let (credential, names, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    let (id, scope) = credential.split_once('/')?;
    let stamp = request.header("x-tc-timestamp");
    let date = Time::from_secs(stamp.parse().ok()?).to_string();
    let date = date.get(..10)?;
    let required = ["content-type", "host"].iter().all(|name| names.split(';').any(|signed| signed == *name));
    if id != SECRET_ID || scope != format!("{date}/{service}/tc3_request") || !required {
        return Some(false);
    }
    let headers = header_lines(request, names.split(';'));
    let body = hex(&Sha256::digest(&request.body));
    let canonical = format!("{}\n{}\n{}\n{headers}\n{names}\n{body}", request.method, request.path, request.query);
    let text = format!("TC3-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let key = mac(&mac(&mac(format!("TC3{SECRET_KEY}").as_bytes(), date), service), "tc3_request");
    Some(hex(&mac(&key, &text)) == signature)
}

impl Provider for Tencent {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        let (service, version) = match request.header("x-tc-action") {
            "SendSms" => ("sms", "2021-01-11"),
            "SendTtsVoice" => ("vms", "2020-09-02"),
            _ => return whole("InvalidAction"),
        };
        if request.header("x-tc-version") != version || request.header("x-tc-region") != "ap-guangzhou" {
            return whole("InvalidParameter");
        }
        let stamp: i64 = request.header("x-tc-timestamp").parse().unwrap_or(0);
        if (now.secs() - stamp).unsigned_abs() > WINDOW_S {
            return whole("InternalError.RequestTimeException");
        }
        if is_signed(request, service) != Some(true) {
            return whole("AuthFailure.SignatureFailure");
        }
        if service == "sms" { self.sms(&request.json(), now) } else { self.call(&request.json(), now) }
    }
}

impl Tencent {
    /// The whole call is well; each number has a code of its own.
    fn sms(&mut self, body: &Value, now: Time) -> Reply {
        if body["SmsSdkAppId"] != "1400006666" {
            return whole("UnauthorizedOperation.SmsSdkAppIdVerifyFail");
        }
        let empty = vec![];
        let numbers = body["PhoneNumberSet"].as_array().unwrap_or(&empty).clone();
        let statuses: Vec<Value> = numbers.iter().map(|number| self.one(number, body, now)).collect();
        response(&json!({"SendStatusSet": statuses, "RequestId": "R"}))
    }

    fn one(&mut self, number: &Value, body: &Value, now: Time) -> Value {
        let number = number.as_str().unwrap_or_default().to_owned();
        let mut status = json!({"SerialNo": "", "PhoneNumber": number, "Fee": 0, "Message": "", "IsoCode": "CN"});
        let code = self.code(&number, body, now);
        status["Code"] = code.into();
        if code == "Ok" {
            self.sms.push(Taken { number, body: body.clone(), at: now });
            status["SerialNo"] = format!("2019:{}", self.sms.len()).into();
        }
        status
    }

    fn code(&self, number: &str, body: &Value, now: Time) -> &'static str {
        if !number.strip_prefix("+86").is_some_and(|digits| digits.len() == 11 && digits.starts_with('1')) {
            return "InvalidParameterValue.IncorrectPhoneNumber";
        }
        if body["SignName"] != "守望" {
            return "FailedOperation.SignatureIncorrectOrUnapproved";
        }
        if body["TemplateId"] != "1110" {
            return "FailedOperation.TemplateIncorrectOrUnapproved";
        }
        if let Some(code) = variables(body, 3) {
            return code;
        }
        let sent = |test: &dyn Fn(&Taken) -> bool| -> Vec<Time> {
            self.sms.iter().filter(|taken| taken.number == number && test(taken)).map(|taken| taken.at).collect()
        };
        let same = sent(&|taken| taken.body["TemplateParamSet"] == body["TemplateParamSet"]);
        if within(&same, now, Duration::from_secs(30)) >= 1 {
            return "LimitExceeded.PhoneNumberThirtySecondLimit";
        }
        let day = |time: Time| (time.secs() + SHANGHAI_S).div_euclid(86_400);
        if sent(&|taken| day(taken.at) == day(now)).len() >= 2 {
            return "LimitExceeded.PhoneNumberDailyLimit";
        }
        "Ok"
    }

    fn call(&mut self, body: &Value, now: Time) -> Reply {
        let number = body["CalledNumber"].as_str().unwrap_or_default().to_owned();
        if !number.strip_prefix("+86").is_some_and(|digits| (9..=11).contains(&digits.len())) {
            return whole("InvalidParameterValue.CalledNumberVerifyFail");
        }
        if body["VoiceSdkAppid"] != "1400006666" {
            return whole("UnauthorizedOperation.VoiceSdkAppidVerifyFail");
        }
        if body["TemplateId"] != "1110" || !(1..=3).contains(&body["PlayTimes"].as_u64().unwrap_or(0)) {
            return whole("FailedOperation.TemplateIncorrectOrUnapproved");
        }
        if let Some(code) = variables(body, 2) {
            return whole(code);
        }
        let times: Vec<Time> = self.calls.iter().filter(|taken| taken.number == number).map(|taken| taken.at).collect();
        if within(&times, now, Duration::from_secs(30)) >= 1 {
            return whole("LimitExceeded.DeliveryFrequencyLimit");
        }
        self.calls.push(Taken { number, body: body.clone(), at: now });
        let call = format!("call-{}", self.calls.len());
        response(&json!({"SendStatus": {"CallId": call, "SessionContext": body["SessionContext"]}, "RequestId": "R"}))
    }
}

/// What is wrong with the variables of a template.
fn variables(body: &Value, count: usize) -> Option<&'static str> {
    let given: Vec<&str> = body["TemplateParamSet"].as_array()?.iter().filter_map(Value::as_str).collect();
    if given.len() != count || given.iter().any(|text| text.is_empty()) {
        return Some("FailedOperation.TemplateParamSetNotMatchApprovedTemplate");
    }
    let link = given.iter().any(|text| text.contains("://") || text.contains("www."));
    link.then_some("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter")
}
