//! Generic webhook after Standard Webhooks 1.0.0: a signed JSON POST to one address.
//!
//! Headers `webhook-id` (the page: the same at every attempt, so a receiver can drop doubles), `webhook-timestamp` (seconds)
//! and `webhook-signature` (`v1,` + base64 of HMAC-SHA256 over `id.timestamp.body`). 2xx is accepted; 408, 429, 5xx and
//! a failed connection are tried again; sent without an answer is in doubt; redirects are never followed and count, as
//! every other 4xx, as a mistake of the configuration.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::address::{PublicOnly, is_private};
use super::http::{self, ANSWER_BYTES_MAX, retry_after};
use super::template::{self, Template};
use super::{Fate, Message, Recipient, Sent};
use crate::{Error, Secret};

const SECRET_PREFIX: &str = "whsec_";
/// Keys the specification allows, in bytes.
const KEY_LEN_LEAST: usize = 24;
const KEY_LEN_MOST: usize = 64;
/// Body of a page at most.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where pages are posted. `https`, or `http` when `allow_private` is set.
    pub url: String,
    /// `whsec_` and the key in base64 (24 to 64 bytes).
    pub secret: Secret,
    /// Also addresses of the internal network, and plain `http`.
    #[serde(default)]
    pub allow_private: bool,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "timeout_s")]
    pub timeout_s: u64,
    /// A JSON body of the site's own with `{{name}}` for the values of the usual one (docs/channels.md).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
}

const fn timeout_s() -> u64 {
    5
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        self.template()?;
        self.parts().map(drop)
    }

    fn template(&self) -> Result<Option<Template>, Error> {
        let known = template::body(&Message::example());
        let parsed = self.template.as_deref().map(|text| Template::parse(text, &known)).transpose();
        parsed.map_err(|reason| Error::Config { key: "channels.webhook.template", reason })
    }

    fn parts(&self) -> Result<(Url, Vec<u8>), Error> {
        let wrong = |key, reason: &str| Err(Error::Config { key, reason: reason.to_owned() });
        let Ok(url) = Url::parse(&self.url) else { return wrong("channels.webhook.url", "is not a URL") };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {}
            "http" => return wrong("channels.webhook.url", "must be https (http only with allow_private = true)"),
            _ => return wrong("channels.webhook.url", "must be https"),
        }
        let host = url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
        if !self.allow_private && literal.is_some_and(is_private) {
            return wrong("channels.webhook.url", "is an internal address; allow_private = true permits it");
        }
        if !(1..=30).contains(&self.timeout_s) {
            return wrong("channels.webhook.timeout_s", "is not within 1 to 30");
        }
        let key = self.secret.expose().strip_prefix(SECRET_PREFIX).and_then(|text| BASE64.decode(text).ok());
        match key {
            Some(key) if (KEY_LEN_LEAST..=KEY_LEN_MOST).contains(&key.len()) => Ok((url, key)),
            _ => wrong("channels.webhook.secret", "must be whsec_ and 24 to 64 bytes in base64"),
        }
    }
}

/// One address pages go to.
pub(crate) struct Webhook {
    url: Url,
    key: Vec<u8>,
    client: Client,
    template: Option<Template>,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a token.
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let (url, key) = config.parts()?;
        let mut builder = http::builder(Duration::from_secs(config.timeout_s));
        if !config.allow_private {
            builder = builder.dns_resolver(Arc::new(PublicOnly));
        }
        let client = http::build("channels.webhook.url", builder, url.scheme())?;
        Ok(Self { url, key, client, template: config.template()? })
    }

    pub(crate) async fn send(&self, _to: &Recipient, message: &Message, now: Time) -> Sent {
        // A test is another message each time; a page the same at every attempt.
        let id = if message.test { format!("test-{}", now.micros()) } else { format!("page-{}", message.page) };
        let values = template::body(message);
        let body =
            self.template.as_ref().map_or_else(|| values.to_string(), |template| template.fill(&values)).into_bytes();
        if body.len() > BODY_BYTES_MAX {
            return Sent::new(Fate::Misconfigured, "the page is too large");
        }
        let seconds = now.secs();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", sign(&self.key, &id, seconds, &body))
            .body(body);
        match request.send().await {
            Ok(answer) => {
                let sent = judge(answer.status(), answer.headers());
                drain(answer).await;
                let provider_ref = (sent.fate == Fate::Accepted).then_some(id);
                Sent { provider_ref, ..sent }
            }
            Err(error) => http::unanswered(&error),
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap) -> Sent {
    let detail = format!("HTTP {}", status.as_u16());
    let fate = match status.as_u16() {
        200..=299 => Fate::Accepted,
        408 | 429 | 500..=599 => Fate::Retry { after: retry_after(headers) },
        _ => Fate::Misconfigured,
    };
    Sent::new(fate, detail)
}

/// Reads the answer away so that the connection can be used again, up to a limit.
async fn drain(mut answer: reqwest::Response) {
    let mut left = ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = answer.chunk().await {
        if chunk.len() > left {
            return;
        }
        left -= chunk.len();
    }
}

fn sign(key: &[u8], id: &str, seconds: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::http::RETRY_AFTER_MAX;
    use super::*;

    fn config(url: &str, allow_private: bool) -> Config {
        let secret = Secret::new("whsec_dmlnaWwtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2Q=");
        Config { url: url.into(), secret, allow_private, timeout_s: 5, template: None }
    }

    /// The first is the specification's own.
    #[test]
    fn signatures_are_those_of_the_standard() {
        for (secret, id, seconds, body, expected) in [
            (
                "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
            (
                "dmlnaWwtdGVzdC1zZWNyZXQtMDEyMzQ1Njc4OWFiY2Q=",
                "p-1",
                1_700_000_000,
                r#"{"page":"p-1","alarm":"a-1","priority":"P1"}"#,
                "v1,KbNIxc+QzaxKlb5PDsqYTWRv2/KncYonOXtHmMLj6gQ=",
            ),
        ] {
            assert_eq!(sign(&BASE64.decode(secret).unwrap(), id, seconds, body.as_bytes()), expected);
        }
    }

    #[test]
    fn a_wrong_setting_is_refused_with_its_key() {
        for (url, allow_private, fits) in [
            ("https://pager.example.org/hook", false, true),
            ("http://pager.example.org/hook", false, false),
            ("http://127.0.0.1:9/hook", true, true),
            ("https://127.0.0.1/hook", false, false),
            ("https://[::1]/hook", false, false),
            ("https://10.0.0.8/", false, false),
            ("https://0x7f.1/", false, false),
            ("ftp://pager.example.org/", true, false),
            ("pager", true, false),
        ] {
            assert_eq!(config(url, allow_private).validate().is_ok(), fits, "{url}");
        }
        let mut short = config("https://pager.example.org/", false);
        short.secret = Secret::new("whsec_c2hvcnQ=");
        let error = short.validate().unwrap_err().to_string();
        assert!(error.contains("channels.webhook.secret") && !error.contains("c2hvcnQ"), "{error}");
    }

    #[test]
    fn the_answer_decides() {
        let with = |status: u16, after: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(after) = after {
                headers.insert(RETRY_AFTER, after.parse().unwrap());
            }
            judge(StatusCode::from_u16(status).unwrap(), &headers).fate
        };
        assert_eq!(with(204, None), Fate::Accepted);
        assert_eq!(with(429, Some("7")), Fate::Retry { after: Some(Duration::from_secs(7)) });
        assert_eq!(with(429, Some("86400")), Fate::Retry { after: Some(RETRY_AFTER_MAX) });
        assert_eq!(with(503, Some("soon")), Fate::Retry { after: None });
        for status in [301, 302, 307, 400, 401, 404, 410, 422] {
            assert_eq!(with(status, None), Fate::Misconfigured, "{status}");
        }
    }
}
