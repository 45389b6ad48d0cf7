//! The group robots of 钉钉 and 飞书: signature and clock window, keyword, limits and blocks, by their own codes.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use serde_json::{Value, json};
use sha2::Sha256;

use super::server::{Provider, Reply, Request, reply, within};

pub(crate) const TOKEN: &str = "dingtoken0123456789";
pub(crate) const SECRET: &str = "SECtest0123456789";
pub(crate) const HOOK: &str = "f1a2b3c4-0000-4000-8000-123456789abc";
const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

fn mac(key: &str, message: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    BASE64.encode(mac.finalize().into_bytes())
}

#[derive(Default)]
pub(crate) struct Ding {
    sent: Vec<Time>,
    blocked: Option<Time>,
    pub(crate) said: Vec<Value>,
}

impl Provider for Ding {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        let refuse = |code: i64, words: &str| reply(200, &json!({"errcode": code, "errmsg": words}));
        if request.path != "/robot/send" || request.method != "POST" {
            return refuse(43_002, "require POST method");
        }
        match request.parameter("access_token").as_str() {
            "" => return refuse(40_035, "missing parameter access_token"),
            TOKEN => {}
            _ => return refuse(300_005, "token is not exist"),
        }
        let stamp = request.parameter("timestamp");
        let millis: i64 = stamp.parse().unwrap_or(0);
        let near = (now.millis() - millis).unsigned_abs() <= HOUR.as_millis() as u64;
        if !near || request.parameter("sign") != mac(SECRET, &format!("{stamp}\n{SECRET}")) {
            return refuse(
                310_000,
                "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中;sign not match",
            );
        }
        let body = request.json();
        let text = body["text"]["content"].as_str().unwrap_or_default();
        if !text.contains("守望") {
            return refuse(310_000, "keywords not in content");
        }
        if self.blocked.is_some_and(|until| now < until) {
            return refuse(410_100, "send too fast");
        }
        if within(&self.sent, now, MINUTE) >= 20 {
            self.blocked = Some(now + 10 * MINUTE);
            return refuse(130_101, "send too fast, exceed 20 times per minute");
        }
        self.sent.push(now);
        self.said.push(body);
        refuse(0, "ok")
    }
}

#[derive(Default)]
pub(crate) struct Lark {
    sent: Vec<Time>,
    pub(crate) said: Vec<Value>,
}

impl Provider for Lark {
    fn answer(&mut self, request: &Request, now: Time) -> Reply {
        let refuse = |code: i64, words: &str| reply(200, &json!({"code": code, "msg": words, "data": {}}));
        if request.path != format!("/open-apis/bot/v2/hook/{HOOK}") {
            return refuse(19_001, "param invalid: incoming webhook access token invalid");
        }
        let body = request.json();
        if request.body.len() > 20_000 || body["msg_type"] != "text" || !body["content"]["text"].is_string() {
            return refuse(9_499, "Bad Request");
        }
        let stamp = body["timestamp"].as_str().unwrap_or_default();
        let near = (now.secs() - stamp.parse().unwrap_or(0)).unsigned_abs() <= HOUR.as_secs();
        if !near || body["sign"] != mac(&format!("{stamp}\n{SECRET}"), "") {
            return refuse(19_021, "sign match fail or timestamp is not within one hour from current time");
        }
        if within(&self.sent, now, Duration::from_secs(1)) >= 5 || within(&self.sent, now, MINUTE) >= 100 {
            return refuse(11_232, "frequency limited psm[lark.oapi.app_platform_runtime]");
        }
        self.sent.push(now);
        self.said.push(body);
        reply(200, &json!({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}))
    }
}
