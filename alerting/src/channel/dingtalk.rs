//! 钉钉 group robot: information for a team. Nobody can answer it, so it is never the only way of a page.
//!
//! Signed over the time in the query. Above 20 messages a minute the robot is silent for ten minutes.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::{Answer, Http};
use super::verdict::{self, Class, Codes, accepted, refused};
use super::{Fate, Message, Recipient, Sent, settings, sign, words};
use crate::{Error, Secret};

const NAME: &str = "channels.dingtalk";
/// Of a message; the provider's limit is 20,000 for the whole body.
const TEXT_BYTES_MAX: usize = 2_048;
const BLOCKED_S: u64 = 600;

const CODES: &Codes = &[
    ("-1", Class::Retry, "the provider is busy"),
    ("130101", Class::PersonFor(BLOCKED_S), "more than 20 messages in a minute"),
    ("300005", Class::Config, "the token is wrong"),
    ("310000", Class::Config, "refused by the robot's security settings"),
    ("400101", Class::Config, "the token is gone"),
    ("400102", Class::Config, "the robot is stopped"),
    ("400106", Class::Config, "the robot is gone"),
    ("40035", Class::Config, "the token is missing"),
    ("410100", Class::PersonFor(BLOCKED_S), "more than 20 messages in a minute"),
    ("43002", Class::Config, "a POST is required"),
];
/// What 310000 says in its text, and what is to be done.
const SECURITY: [(&str, &str); 3] = [
    ("keywords not in content", "the robot wants another keyword in the text (守望 is in each)"),
    ("sign not match", "the signing secret or this server's clock is wrong"),
    ("not in whitelist", "this server's address is not on the robot's list"),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `access_token` of the robot's webhook address.
    pub access_token: Secret,
    /// 加签 secret (`SEC...`). Without it the robot must be set to the keyword 守望 or to this server's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn base_url() -> String {
    "https://oapi.dingtalk.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(NAME, &[("access_token", self.access_token.expose())])?;
        if let Some(secret) = &self.secret {
            settings::filled(NAME, &[("secret", secret.expose())])?;
        }
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct Dingtalk {
    token: Secret,
    secret: Option<Secret>,
    http: Http,
}

#[derive(Deserialize)]
struct Said {
    errcode: Option<i64>,
    #[serde(default)]
    errmsg: String,
    /// Of the other form in which it says "too fast".
    status: Option<i64>,
}

impl Dingtalk {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.dingtalk.base_url", &config.base_url, within)?;
        Ok(Self { token: config.access_token.clone(), secret: config.secret.clone(), http })
    }

    /// The person is mentioned by id; without one the text stands alone, for a mention by number would print the number.
    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let id = words::chat_id(to);
        let mention = id.map(|id| format!(" @{id}")).unwrap_or_default();
        let content = format!("{}{mention}", words::cut(&words::group(message, to), TEXT_BYTES_MAX));
        let body = json!({
            "msgtype": "text",
            "text": { "content": content },
            "at": { "atMobiles": [], "atUserIds": id.as_slice(), "isAtAll": false },
        });
        let mut url = self.http.url("/robot/send");
        url.query_pairs_mut().append_pair("access_token", self.token.expose());
        if let Some(secret) = &self.secret {
            let signed = sign::dingtalk(secret.expose(), now.millis());
            url.query_pairs_mut().append_pair("timestamp", &now.millis().to_string()).append_pair("sign", &signed);
        }
        match self.http.call(self.http.post(url).json(&body)).await {
            Ok(answer) => judge(&answer, now),
            Err(sent) => sent,
        }
    }
}

fn judge(answer: &Answer, now: Time) -> Sent {
    let said: Said = match verdict::read(answer) {
        Ok(said) => said,
        Err(sent) => return sent,
    };
    match (said.errcode, said.status) {
        (Some(0), _) => accepted(answer, None),
        (Some(310_000), _) => match SECURITY.iter().find(|row| said.errmsg.contains(row.0)) {
            Some((_, words)) => Sent::new(Fate::Misconfigured, format!("310000: {words}")),
            None => refused(CODES, "310000", answer, now),
        },
        (Some(code), _) => refused(CODES, &code.to_string(), answer, now),
        (None, Some(1_111)) => refused(CODES, "130101", answer, now),
        (None, _) => verdict::by_status(answer),
    }
}
