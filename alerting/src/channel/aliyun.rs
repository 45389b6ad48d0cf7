//! What SMS and voice of Aliyun share: the signed call, its answer and its codes.

use std::collections::BTreeMap;

use model::Time;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::http::{Answer, Http};
use super::verdict::{self, Class, Codes, refused};
use super::words::{self, Word};
use super::{Fate, Message, Recipient, Sent, settings, sign};
use crate::{Error, Secret};

const VERSION: &str = "2017-05-25";
const OK: &str = "OK";
/// Variables of one template.
const PARAMS_MAX: usize = 20;

const CODES: &Codes = &[
    ("isv.BUSINESS_LIMIT_CONTROL", Class::PersonFor(3_600), "this number's limit is used up"),
    ("isv.MOBILE_NUMBER_ILLEGAL", Class::Person, "the number is not valid"),
    ("isv.MOBILE_COUNT_OVER_LIMIT", Class::Config, "too many numbers"),
    ("isv.SMS_SIGNATURE_ILLEGAL", Class::Config, "the sign is not approved"),
    ("isv.SMS_SIGNATURE_SCENE_ILLEGAL", Class::Config, "the sign is not for this use"),
    ("isv.SMS_TEMPLATE_ILLEGAL", Class::Config, "the template is not approved"),
    ("isv.TEMPLATE_MISSING_PARAMETERS", Class::Config, "the template has a variable that is not filled"),
    ("isv.INVALID_PARAMETERS", Class::Config, "a parameter is not valid"),
    ("isv.INVALID_JSON_PARAM", Class::Config, "the variables are not valid"),
    ("isv.PARAM_LENGTH_LIMIT", Class::Config, "a variable is too long"),
    ("isv.PARAM_NOT_SUPPORT_URL", Class::Config, "a variable holds a link"),
    ("isv.BLACK_KEY_CONTROL_LIMIT", Class::Config, "a variable holds a blocked word"),
    ("isv.AMOUNT_NOT_ENOUGH", Class::Config, "the balance is used up"),
    ("isv.OUT_OF_SERVICE", Class::Config, "the account is stopped"),
    ("isp.RAM_PERMISSION_DENY", Class::Config, "the access key may not do this"),
    ("isp.SYSTEM_ERROR", Class::Retry, "the provider has an error"),
    ("SignatureDoesNotMatch", Class::Config, "the access key secret is wrong"),
    ("SignatureNonceUsed", Class::Retry, "a nonce was used twice"),
    ("InvalidAccessKeyId*", Class::Config, "the access key id is wrong"),
    ("InvalidTimeStamp*", Class::Config, "this server's clock is wrong"),
    ("Throttling*", Class::Retry, "too many calls"),
];
/// Which window is used up, by what the message says; unless it says so, an hour.
const LIMIT: &str = "isv.BUSINESS_LIMIT_CONTROL";
const WINDOWS: [(&str, &str, u64); 3] =
    [("分钟级", "this minute", 60), ("小时级", "this hour", 3_600), ("天级", "this day", 86_400)];

/// The provider's API with our key.
#[derive(Debug)]
pub(super) struct Aliyun {
    pub(super) http: Http,
    key_id: String,
    secret: Secret,
}

impl Aliyun {
    pub(super) fn new(http: Http, key_id: &str, secret: &Secret) -> Self {
        Self { http, key_id: key_id.to_owned(), secret: secret.clone() }
    }

    /// One call. `Ok` only when its code says so: the answer, and what it says beyond the code.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        parameters: &[(&str, &str)],
        now: Time,
    ) -> Result<(Answer, T), Sent> {
        let query = sign::query(parameters);
        let mut url = self.http.url("/");
        url.set_query(Some(&query));
        let host = host(&url);
        let nonce = nonce()?;
        let signed = sign::Acs3 {
            host: &host,
            action,
            version: VERSION,
            now,
            nonce: &nonce,
            key_id: &self.key_id,
            secret: self.secret.expose(),
            query: &query,
        };
        let mut request = self.http.post(url);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let answer = self.http.call(request).await?;
        let said: Said = verdict::read(&answer)?;
        if said.code == OK {
            let more = verdict::read(&answer)?;
            return Ok((answer, more));
        }
        Err(judge(&said, &answer, now))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    code: String,
    #[serde(default)]
    message: String,
}

fn judge(said: &Said, answer: &Answer, now: Time) -> Sent {
    if said.code == LIMIT
        && let Some((_, words, seconds)) = WINDOWS.iter().find(|row| said.message.contains(row.0))
    {
        let until = Some(std::time::Duration::from_secs(*seconds));
        return Sent::new(Fate::RefusedPerson { until }, format!("{LIMIT}: this number's limit of {words} is used up"));
    }
    refused(CODES, &said.code, answer, now)
}

/// As the client writes it into the `Host` header.
pub(super) fn host(url: &reqwest::Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| name.to_owned(), |port| format!("{name}:{port}"))
}

/// Fresh for each call: the provider refuses one it has seen.
fn nonce() -> Result<String, Sent> {
    let random = || getrandom::u64().map_err(|_| Sent::new(Fate::Retry { after: None }, "no random number"));
    Ok(format!("{:016x}{:016x}", random()?, random()?))
}

/// The variables of an approved template, as JSON.
pub(super) fn parameters(words: &BTreeMap<String, Word>, message: &Message, to: &Recipient) -> String {
    let filled: BTreeMap<&str, String> =
        words.iter().map(|(name, word)| (name.as_str(), words::variable(message, to, *word))).collect();
    // A map of texts: writing it cannot fail.
    serde_json::to_string(&filled).unwrap_or_default()
}

pub(super) fn check_parameters(channel: &'static str, words: &BTreeMap<String, Word>) -> Result<(), Error> {
    if words.len() > PARAMS_MAX {
        return Err(Error::Config { key: channel, reason: format!("params has more than {PARAMS_MAX} variables") });
    }
    words.keys().try_for_each(|name| settings::filled(channel, &[("a variable's name in params", name)]))
}

/// Our name of an attempt, where it comes back in receipts; at most `bytes_max` long, else none.
pub(super) fn out_id(message: &Message, bytes_max: usize) -> Option<String> {
    Some(format!("{}-{}", message.page, message.attempt)).filter(|id| id.len() <= bytes_max)
}
