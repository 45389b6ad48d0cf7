//! 飞书 group robot: information for a team. Nobody can answer it, so it is never the only way of a page.
//!
//! Signed over the time in the body, with key and message the other way round than at 钉钉.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::{Answer, Http};
use super::verdict::{self, Class, Codes, accepted, refused};
use super::{Fate, Message, Recipient, Sent, settings, sign, words};
use crate::{Error, Secret};

const NAME: &str = "channels.feishu";
/// Of a message; the provider's limit is 20 KB for the whole body.
const TEXT_BYTES_MAX: usize = 2_048;
/// Seconds until the provider listens again after 99991400.
const RESET: &str = "x-ogw-ratelimit-reset";
const RESET_MAX_S: u64 = 300;

const CODES: &Codes = &[
    ("11232", Class::PersonFor(60), "too many messages, or the provider's busy minute"),
    ("19001", Class::Config, "the hook is wrong"),
    ("19021", Class::Config, "the signing secret or this server's clock is wrong"),
    ("19022", Class::Config, "this server's address is not on the robot's list"),
    ("19024", Class::Config, "the robot wants another keyword in the text (守望 is in each)"),
    ("9499", Class::Config, "the request is not as the provider wants it"),
    ("99991400", Class::Retry, "too many calls"),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The last part of the robot's webhook address.
    pub hook: Secret,
    /// 签名校验 secret. Without it the robot must be set to the keyword 守望 or to this server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn base_url() -> String {
    "https://open.feishu.cn".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        let hook = self.hook.expose();
        settings::filled(NAME, &[("hook", hook)])?;
        if !hook.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let reason = "hook is the last part of the robot's address, after /hook/".into();
            return Err(Error::Config { key: NAME, reason });
        }
        if let Some(secret) = &self.secret {
            settings::filled(NAME, &[("secret", secret.expose())])?;
        }
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct Feishu {
    hook: Secret,
    secret: Option<Secret>,
    http: Http,
}

#[derive(Deserialize)]
struct Said {
    code: i64,
}

impl Feishu {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.feishu.base_url", &config.base_url, within)?;
        Ok(Self { hook: config.hook.clone(), secret: config.secret.clone(), http })
    }

    /// The person is mentioned by open id, when there is one.
    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let mention = words::chat_id(to).map(|id| format!(" <at user_id=\"{id}\"></at>")).unwrap_or_default();
        let content = format!("{}{mention}", words::cut(&words::group(message, to), TEXT_BYTES_MAX));
        let mut body = json!({ "msg_type": "text", "content": { "text": content } });
        if let Some(secret) = &self.secret {
            body["timestamp"] = now.secs().to_string().into();
            body["sign"] = sign::feishu(secret.expose(), now.secs()).into();
        }
        let url = self.http.url(&format!("/open-apis/bot/v2/hook/{}", self.hook.expose()));
        match self.http.call(self.http.post(url).json(&body)).await {
            Ok(answer) => judge(&answer, now),
            Err(sent) => sent,
        }
    }
}

fn judge(answer: &Answer, now: Time) -> Sent {
    match verdict::read(answer) {
        Ok(Said { code: 0 }) => accepted(answer, None),
        Ok(Said { code }) => {
            let mut sent = refused(CODES, &code.to_string(), answer, now);
            if let Fate::Retry { after: after @ None } = &mut sent.fate {
                *after = reset(answer);
            }
            sent
        }
        Err(sent) => sent,
    }
}

fn reset(answer: &Answer) -> Option<std::time::Duration> {
    let seconds: u64 = answer.headers.get(RESET)?.to_str().ok()?.trim().parse().ok()?;
    Some(std::time::Duration::from_secs(seconds.min(RESET_MAX_S)))
}
