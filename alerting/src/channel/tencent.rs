//! What SMS and voice of Tencent Cloud share: the signed call and the codes.

use model::Time;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::aliyun::host;
use super::http::{Answer, Http};
use super::verdict::{self, Class, Codes, refused};
use super::words::Word;
use super::{Fate, Sent, sign};
use crate::{Error, Secret};

/// Variables of one template.
const PARAMS_MAX: usize = 20;

pub(super) const CODES: &Codes = &[
    ("LimitExceeded.PhoneNumberThirtySecondLimit", Class::PersonFor(30), "the same number within 30 seconds"),
    ("LimitExceeded.PhoneNumberOneHourLimit", Class::PersonFor(3_600), "this number's limit of the hour is used up"),
    ("LimitExceeded.PhoneNumberDailyLimit", Class::PersonToday, "this number's limit of the day is used up"),
    ("LimitExceeded.PhoneNumberSameContentDailyLimit", Class::PersonToday, "the same text too often today"),
    ("LimitExceeded.DeliveryFrequencyLimit", Class::PersonFor(30), "too often to this number"),
    ("LimitExceeded.App*", Class::Config, "the account's limit of the day is used up"),
    ("FailedOperation.PhoneNumberInBlacklist", Class::Person, "the number is on the black list"),
    ("InvalidParameterValue.IncorrectPhoneNumber", Class::Person, "the number is not valid"),
    ("InvalidParameterValue.CalledNumberVerifyFail", Class::Person, "the number is not valid"),
    ("FailedOperation.SignatureIncorrectOrUnapproved", Class::Config, "the sign is not approved"),
    ("FailedOperation.Template*", Class::Config, "the template is not approved, or its variables do not fit"),
    ("FailedOperation.ContainSensitiveWord", Class::Config, "the text holds a blocked word"),
    ("FailedOperation.InsufficientBalance*", Class::Config, "the package is used up"),
    ("FailedOperation.PhonenumberUnappliedOrExpired", Class::Config, "the calling number is not ours"),
    ("FailedOperation.AccessUpstreamTimeout", Class::Retry, "the provider has an error"),
    ("InvalidParameterValue.ProhibitedUseUrlInTemplateParameter", Class::Config, "a variable holds a link"),
    ("InvalidParameterValue.*", Class::Config, "a variable does not fit the template"),
    ("UnauthorizedOperation*", Class::Config, "the account may not do this"),
    ("AuthFailure*", Class::Config, "the secret is wrong, or this server's clock"),
    ("InternalError.SigVerificationFail", Class::Config, "the secret is wrong"),
    ("InternalError.RequestTimeException", Class::Config, "this server's clock is wrong"),
    ("InternalError.*", Class::Retry, "the provider has an error"),
    ("InternalError", Class::Retry, "the provider has an error"),
    ("RequestLimitExceeded*", Class::Retry, "too many calls"),
];

/// The provider's API with our key.
#[derive(Debug)]
pub(super) struct Tencent {
    http: Http,
    /// `sms`, `vms`.
    service: &'static str,
    version: &'static str,
    region: String,
    secret_id: String,
    secret_key: Secret,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Response")]
    response: Response<T>,
}

/// Either the whole call was refused, or the service's own answer.
#[derive(Deserialize)]
struct Response<T> {
    #[serde(rename = "Error")]
    error: Option<WholeError>,
    #[serde(flatten)]
    rest: Option<T>,
}

#[derive(Deserialize)]
struct WholeError {
    #[serde(rename = "Code")]
    code: String,
}

impl Tencent {
    pub(super) fn new(
        http: Http,
        (service, version): (&'static str, &'static str),
        region: &str,
        (secret_id, secret_key): (&str, &Secret),
    ) -> Self {
        let (region, secret_id, secret_key) = (region.to_owned(), secret_id.to_owned(), secret_key.clone());
        Self { http, service, version, region, secret_id, secret_key }
    }

    /// One call. `Ok` when the whole of it was not refused; what it did for the number is in its answer.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        action: &str,
        body: &serde_json::Value,
        now: Time,
    ) -> Result<(Answer, T), Sent> {
        let body = body.to_string().into_bytes();
        let url = self.http.url("/");
        let host = host(&url);
        let signed = sign::Tc3 {
            host: &host,
            service: self.service,
            now,
            secret_id: &self.secret_id,
            secret: self.secret_key.expose(),
            body: &body,
        };
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, signed.authorization())
            .header("x-tc-action", action)
            .header("x-tc-version", self.version)
            .header("x-tc-timestamp", now.secs().to_string())
            .header("x-tc-region", &self.region)
            .body(body);
        let answer = self.http.call(request).await?;
        let said: Envelope<T> = verdict::read(&answer)?;
        match said.response {
            Response { error: Some(error), .. } => Err(refused(CODES, &error.code, &answer, now)),
            Response { rest: Some(rest), .. } => Ok((answer, rest)),
            Response { .. } => Err(Sent::new(Fate::InDoubt, "an answer that is not the provider's")),
        }
    }
}

pub(super) fn check_parameters(channel: &'static str, words: &[Word]) -> Result<(), Error> {
    if words.len() > PARAMS_MAX {
        return Err(Error::Config { key: channel, reason: format!("params has more than {PARAMS_MAX} variables") });
    }
    Ok(())
}
