//! SMS and voice of Aliyun. The signature is rebuilt from what `SignedHeaders` names, as the pages describe it, so that it also
//! fits the official SDK, which signs more headers than we do.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::server::{Provider, Reply, Request, header_lines, reply, within};

pub(crate) const KEY_ID: &str = "LTAItest";
pub(crate) const SECRET: &str = "aliyun-secret-8Kx2";
const WINDOW: Duration = Duration::from_mins(15);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) action: String,
    pub(crate) number: String,
    pub(crate) parameters: HashMap<String, String>,
    pub(crate) at: Time,
    /// `SendStatus` in the list of what went out.
    pub(crate) status: i64,
}

#[derive(Default)]
pub(crate) struct Aliyun {
    nonces: HashSet<String>,
    pub(crate) taken: Vec<Taken>,
}

impl Provider for Aliyun {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        if let Err(refused) = self.verify(request, now) {
            return refused;
        }
        let parameters: HashMap<_, _> = request.parameters().into_iter().collect();
        match request.header("x-acs-action") {
            "SendSms" => self.sms(parameters, now),
            "QuerySendDetails" => self.details(&parameters),
            "SingleCallByTts" | "IvrCall" => self.call(request.header("x-acs-action"), parameters, now),
            _ => error(404, "InvalidAction.NotFound", "no such action"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => write!(out, "%{byte:02X}").unwrap(),
        }
        out
    })
}

fn error(status: u16, code: &str, words: &str) -> Reply {
    reply(
        status,
        &json!({"Code": code, "Message": words, "RequestId": "R", "Recommend": "https://next.api.aliyun.com/"}),
    )
}

/// What is to be signed, and the signature that stands in the request: key id, text, signature.
fn rebuilt(request: &Request) -> Option<(String, String, String)> {
    let rest = request.header("authorization").strip_prefix("ACS3-HMAC-SHA256 ")?;
    let part = |name: &str| rest.split(',').find_map(|part| part.trim().strip_prefix(name)).map(str::to_owned);
    let (key, names, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    for required in
        ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"]
    {
        names.split(';').find(|name| *name == required)?;
    }
    let mut query: Vec<_> =
        request.parameters().iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
    query.sort();
    let mut sorted: Vec<_> = names.split(';').collect();
    sorted.sort_unstable();
    let headers = header_lines(request, sorted.iter().copied());
    let canonical = format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        request.path,
        query.join("&"),
        sorted.join(";"),
        hex(&Sha256::digest(&request.body))
    );
    Some((key, canonical, signature))
}

impl Aliyun {
    fn verify(&mut self, request: &Request, now: Time) -> Result<(), Reply> {
        let Some((key, canonical, signature)) = rebuilt(request) else {
            return Err(error(400, "IncompleteSignature", "the authorization is not complete"));
        };
        if key != KEY_ID {
            return Err(error(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found."));
        }
        let date = Time::parse(request.header("x-acs-date")).unwrap_or_default();
        if now.since_us(date).unsigned_abs() > WINDOW.as_micros() as u64 {
            return Err(error(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired."));
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical.as_bytes()))).as_bytes());
        let body = hex(&Sha256::digest(&request.body)) == request.header("x-acs-content-sha256");
        if !body || hex(&mac.finalize().into_bytes()) != signature {
            return Err(error(400, "SignatureDoesNotMatch", &format!("server string to sign is: {canonical}")));
        }
        if request.header("x-acs-version") != "2017-05-25" {
            return Err(error(400, "InvalidVersion", "Specified parameter Version is not valid."));
        }
        if !self.nonces.insert(request.header("x-acs-signature-nonce").to_owned()) {
            return Err(error(400, "SignatureNonceUsed", "Specified signature nonce was used already."));
        }
        Ok(())
    }

    fn times(&self, action: &str, number: &str) -> Vec<Time> {
        let is_call = |taken: &&Taken| (taken.action == "SendSms") == (action == "SendSms") && taken.number == number;
        self.taken.iter().filter(is_call).map(|taken| taken.at).collect()
    }

    fn take(&mut self, action: &str, number: &str, parameters: HashMap<String, String>, now: Time) -> String {
        let (action, number) = (action.to_owned(), number.to_owned());
        self.taken.push(Taken { action, number, parameters, at: now, status: 1 });
        format!("{}^{}", now.millis(), self.taken.len())
    }

    fn sms(&mut self, parameters: HashMap<String, String>, now: Time) -> Reply {
        let get = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let number = get("PhoneNumbers");
        let digits = number.trim_start_matches("+86");
        if digits.len() != 11 || !digits.starts_with('1') || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return error(200, "isv.MOBILE_NUMBER_ILLEGAL", &format!("{number}invalid mobile number"));
        }
        if get("SignName") != "守望" {
            return error(200, "isv.SMS_SIGNATURE_ILLEGAL", "签名不合法");
        }
        if get("TemplateCode") != "SMS_1" {
            return error(200, "isv.SMS_TEMPLATE_ILLEGAL", "模板不合法");
        }
        if let Some(refused) = variables(&get("TemplateParam"), &["name", "type", "time", "code"]) {
            return refused;
        }
        if within(&self.times("SendSms", digits), now, DAY) >= 40 {
            return error(200, "isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:40");
        }
        let reference = self.take("SendSms", digits, parameters, now);
        reply(200, &json!({"Message": "OK", "RequestId": "R", "Code": "OK", "BizId": reference}))
    }

    fn details(&self, parameters: &HashMap<String, String>) -> Reply {
        let number = &parameters["PhoneNumber"];
        if parameters["SendDate"].len() != 8 || parameters["PageSize"].parse().unwrap_or(99) > 50 {
            return error(200, "isv.INVALID_PARAMETERS", "参数异常");
        }
        let found: Vec<Value> = (self
            .taken
            .iter()
            .filter(|taken| taken.action == "SendSms" && taken.number == *number))
        .map(|taken| json!({"OutId": taken.parameters["OutId"], "SendStatus": taken.status, "PhoneNum": number}))
        .collect();
        let list = json!({"SmsSendDetailDTO": found});
        reply(200, &json!({"Code": "OK", "Message": "OK", "TotalCount": found.len(), "SmsSendDetailDTOs": list}))
    }

    fn call(&mut self, action: &str, parameters: HashMap<String, String>, now: Time) -> Reply {
        let get = |name: &str| parameters.get(name).cloned().unwrap_or_default();
        let number = get("CalledNumber");
        if !(10..=12).contains(&number.len()) || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return error(200, "isv.MOBILE_NUMBER_ILLEGAL", "号码格式非法");
        }
        let (code, words) = if action == "IvrCall" { ("StartCode", "StartTtsParams") } else { ("TtsCode", "TtsParam") };
        let key = action != "IvrCall"
            || (get("CalledShowNumber") == "02100000000"
                && get("MenuKeyMap.1.Key").len() == 1
                && !get("ByeCode").is_empty());
        let id = (1..=15).contains(&get("OutId").len());
        if get(code) != "TTS_1" || !key || !id || !(1..=3).contains(&get("PlayTimes").parse().unwrap_or(0)) {
            return error(200, "isv.INVALID_PARAMETERS", "参数异常");
        }
        if let Some(refused) = variables(&get(words), &["name", "type"]) {
            return refused;
        }
        let times = self.times(action, &number);
        for (window, most, words) in [(MINUTE, 1, "分钟级"), (HOUR, 5, "小时级"), (DAY, 20, "天级")] {
            if within(&times, now, window) >= most {
                return error(200, "isv.BUSINESS_LIMIT_CONTROL", &format!("触发{words}流控Permits:{most}"));
            }
        }
        let reference = self.take(action, &number, parameters, now);
        reply(200, &json!({"Message": "OK", "RequestId": "R", "Code": "OK", "CallId": reference}))
    }
}

/// What is wrong with the variables of a template.
fn variables(text: &str, names: &[&str]) -> Option<Reply> {
    let Ok(Value::Object(given)) = serde_json::from_str(text) else {
        return Some(error(200, "isv.INVALID_JSON_PARAM", "参数格式错误"));
    };
    let value = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    if names.iter().any(|name| value(name).is_empty()) {
        return Some(error(200, "isv.TEMPLATE_MISSING_PARAMETERS", "模板变量缺少对应参数值"));
    }
    let link = names.iter().any(|name| value(name).contains("://") || value(name).contains("www."));
    link.then(|| error(200, "isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入url"))
}
