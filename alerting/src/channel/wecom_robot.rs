//! 企业微信 group robot: information for a team. Nobody can answer it, so it is never the only way of a page.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::Http;
use super::verdict::{self, Class, Codes, accepted, refused};
use super::{Message, Recipient, Sent, settings, words};
use crate::{Error, Secret};

const NAME: &str = "channels.wecom_robot";
/// Of a text message.
const TEXT_BYTES_MAX: usize = 2_048;

const CODES: &Codes = &[
    ("-1", Class::Retry, "the provider is busy"),
    ("45009", Class::PersonFor(60), "more than 20 messages in a minute"),
    ("93000", Class::Config, "the key is wrong, or the robot was removed"),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `key` of the robot's webhook address.
    pub key: Secret,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn base_url() -> String {
    "https://qyapi.weixin.qq.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(NAME, &[("key", self.key.expose())])?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct WecomRobot {
    key: Secret,
    http: Http,
}

#[derive(Deserialize)]
struct Said {
    errcode: i64,
}

impl WecomRobot {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.wecom_robot.base_url", &config.base_url, within)?;
        Ok(Self { key: config.key.clone(), http })
    }

    /// The person is mentioned by id, else by number.
    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let content = words::group(message, to);
        let mut body = json!({ "msgtype": "text", "text": { "content": words::cut(&content, TEXT_BYTES_MAX) } });
        if let Some(id) = words::chat_id(to) {
            body["text"]["mentioned_list"] = json!([id]);
        } else if let Some(phone) = words::mobile(&to.phone) {
            body["text"]["mentioned_mobile_list"] = json!([phone]);
        }
        let mut url = self.http.url("/cgi-bin/webhook/send");
        url.query_pairs_mut().append_pair("key", self.key.expose());
        let answer = match self.http.call(self.http.post(url).json(&body)).await {
            Ok(answer) => answer,
            Err(sent) => return sent,
        };
        match verdict::read(&answer) {
            Ok(Said { errcode: 0 }) => accepted(&answer, None),
            Ok(Said { errcode }) => refused(CODES, &errcode.to_string(), &answer, now),
            Err(sent) => sent,
        }
    }
}
