//! 企业微信 application message: to one member, as a card whose link opens the page.
//!
//! An access token is fetched once and kept until it ends, and again when the provider says that it has ended (40014, 42001):
//! fetching it often is itself blocked. **errcode 0 with the person in `invaliduser` or `unlicenseduser` is a failed page.** The
//! provider drops a text it has had within half an hour: that makes the repetition after a new token safe, and is why every
//! attempt's text has its number in it.

use std::time::Duration;

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::http::{Answer, Http};
use super::token::{Token, Tokens};
use super::verdict::{self, Class, Codes, accepted, refused};
use super::{Fate, Message, Recipient, Sent, settings, words};
use crate::{Error, Secret};

const NAME: &str = "channels.wecom_app";
/// The provider drops the same text within so many seconds.
const DUPLICATES_S: u32 = 1_800;
/// Of a card, in bytes.
const TITLE_BYTES_MAX: usize = 128;
const TEXT_BYTES_MAX: usize = 512;
/// The token has ended before its time, or another process has fetched one.
const TOKEN_ENDED: [i64; 2] = [40_014, 42_001];

/// 40001 to 60020 beyond the documented page are general knowledge, not tried live.
const CODES: &Codes = &[
    ("-1", Class::Retry, "the provider is busy"),
    ("40001", Class::Config, "the secret is wrong"),
    ("40003", Class::Person, "no such member"),
    ("40013", Class::Config, "the corp id is wrong"),
    ("40014", Class::Retry, "the token has ended"),
    ("40056", Class::Config, "the agent id is wrong"),
    ("42001", Class::Retry, "the token has ended"),
    ("45009", Class::RetryAfter(60), "too many calls"),
    ("45033", Class::Retry, "too many calls at once"),
    ("60011", Class::Config, "the application may not do this"),
    ("60020", Class::Config, "this server's address is not on the list of trusted addresses"),
    ("60111", Class::Person, "no such member"),
    ("81013", Class::Person, "no such member, or not one who may see the application"),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// 企业 ID.
    pub corp_id: String,
    /// The application's secret.
    pub secret: Secret,
    /// The application's AgentId.
    pub agent_id: u64,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds, fetching the token included. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn base_url() -> String {
    "https://qyapi.weixin.qq.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(NAME, &[("corp_id", &self.corp_id), ("secret", self.secret.expose())])?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct WecomApp {
    config: Config,
    http: Http,
    within: Duration,
    tokens: Tokens,
}

#[derive(Deserialize)]
struct Said {
    errcode: i64,
    #[serde(default)]
    invaliduser: String,
    #[serde(default)]
    unlicenseduser: String,
    msgid: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl WecomApp {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.wecom_app.base_url", &config.base_url, within)?;
        Ok(Self { config: config.clone(), http, within, tokens: Tokens::default() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(user) = words::chat_id(to) else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no usable 企业微信 id");
        };
        let body = self.card(user, to, message);
        let deadline = Instant::now() + self.within;
        self.deliver(user, &body, now, deadline).await.unwrap_or_else(|sent| sent)
    }

    async fn deliver(&self, user: &str, body: &Value, now: Time, deadline: Instant) -> Result<Sent, Sent> {
        let token = self.tokens.get(now, deadline, || self.fetch(now, deadline)).await?;
        let (answer, said) = self.post(&token, body, deadline).await?;
        if !TOKEN_ENDED.contains(&said.errcode) {
            return Ok(judge(user, &answer, said, now));
        }
        self.tokens.forget(&token).await;
        let token = self.tokens.get(now, deadline, || self.fetch(now, deadline)).await?;
        let (answer, said) = self.post(&token, body, deadline).await?;
        Ok(judge(user, &answer, said, now))
    }

    /// Nothing of the page has left yet: whatever breaks here is tried again, and never in doubt.
    async fn fetch(&self, now: Time, deadline: Instant) -> Result<Token, Sent> {
        let mut url = self.http.url("/cgi-bin/gettoken");
        url.query_pairs_mut()
            .append_pair("corpid", &self.config.corp_id)
            .append_pair("corpsecret", self.config.secret.expose());
        let request = self.http.get(url).timeout(left(deadline));
        let fetched: Result<Token, Sent> = async {
            let answer = self.http.call(request).await?;
            let said: Said = verdict::read(&answer)?;
            match (said.errcode, said.access_token) {
                (0, Some(token)) => Ok(Token::new(token, now, said.expires_in)),
                (0, None) => Err(Sent::new(Fate::Retry { after: None }, "an answer without a token")),
                (code, _) => Err(refused(CODES, &code.to_string(), &answer, now)),
            }
        }
        .await;
        fetched.map_err(|sent| {
            let fate = if sent.fate == Fate::InDoubt { Fate::Retry { after: None } } else { sent.fate };
            Sent::new(fate, format!("no token: {}", sent.detail))
        })
    }

    async fn post(&self, token: &Token, body: &Value, deadline: Instant) -> Result<(Answer, Said), Sent> {
        let mut url = self.http.url("/cgi-bin/message/send");
        url.query_pairs_mut().append_pair("access_token", token.text.expose());
        let answer = self.http.call(self.http.post(url).timeout(left(deadline)).json(body)).await?;
        let said = verdict::read(&answer)?;
        Ok((answer, said))
    }

    fn card(&self, user: &str, to: &Recipient, message: &Message) -> Value {
        let title = words::title(message, to);
        let words = [Some(words::body(message, to)), words::code(message, to)].map(Option::unwrap_or_default).join(" ");
        let (title, words) = (words::cut(&title, TITLE_BYTES_MAX), words::cut(words.trim(), TEXT_BYTES_MAX));
        let url = message.tap_url.as_ref().unwrap_or(&message.ack_url);
        let open = if words::is_english(to) { "Open" } else { "打开" };
        json!({
            "touser": user,
            "agentid": self.config.agent_id,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": DUPLICATES_S,
            "msgtype": "textcard",
            "textcard": { "title": title, "description": words, "url": url, "btntxt": open },
        })
    }
}

/// Time left for a request; a moment at least, so that it fails as a time-out and not as a mistake.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Ids come back in lower case.
fn judge(user: &str, answer: &Answer, said: Said, now: Time) -> Sent {
    let named = |list: &str| list.split('|').any(|id| id.eq_ignore_ascii_case(user));
    let person = |words: &str| Sent::new(Fate::RefusedPerson { until: None }, words);
    match said.errcode {
        0 if named(&said.invaliduser) => person("accepted, but the person is not a member who may see the application"),
        0 if named(&said.unlicenseduser) => person("accepted, but the person has no licence"),
        0 => accepted(answer, said.msgid),
        code => refused(CODES, &code.to_string(), answer, now),
    }
}
