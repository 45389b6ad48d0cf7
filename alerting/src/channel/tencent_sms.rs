//! SMS by Tencent Cloud: an approved template to one number.
//!
//! Two messages a day and number until the site has that raised: an on-call doctor is used up after two pages.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::Http;
use super::tencent::{self, CODES, Tencent};
use super::verdict::{accepted, refused};
use super::words::{self, Word};
use super::{Fate, Message, Recipient, Sent, settings};
use crate::{Error, Secret};

const NAME: &str = "channels.tencent_sms";
const OK: &str = "Ok";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub secret_id: String,
    pub secret_key: Secret,
    /// `SmsSdkAppId`: digits.
    pub sdk_app_id: String,
    /// Approved sign: 短信签名.
    pub sign_name: String,
    /// Number of the approved template.
    pub template_id: String,
    /// What the template's variables {1}, {2} ... are filled with: `elder`, `kind`, `priority`, `time`, `code`, `page`.
    pub params: Vec<Word>,
    #[serde(default = "region")]
    pub region: String,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn region() -> String {
    "ap-guangzhou".to_owned()
}

fn base_url() -> String {
    "https://sms.tencentcloudapi.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(
            NAME,
            &[
                ("secret_id", &self.secret_id),
                ("secret_key", self.secret_key.expose()),
                ("sdk_app_id", &self.sdk_app_id),
                ("sign_name", &self.sign_name),
                ("template_id", &self.template_id),
                ("region", &self.region),
            ],
        )?;
        tencent::check_parameters(NAME, &self.params)?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct TencentSms {
    api: Tencent,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    send_status_set: Vec<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    code: String,
    serial_no: Option<String>,
}

impl TencentSms {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.tencent_sms.base_url", &config.base_url, within)?;
        let key = (config.secret_id.as_str(), &config.secret_key);
        Ok(Self { api: Tencent::new(http, ("sms", "2021-01-11"), &config.region, key), config: config.clone() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(number) = words::mobile(&to.phone) else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no mobile number");
        };
        let params: Vec<_> = self.config.params.iter().map(|word| words::variable(message, to, *word)).collect();
        let body = json!({
            "PhoneNumberSet": [words::e164(&number)],
            "SmsSdkAppId": self.config.sdk_app_id,
            "SignName": self.config.sign_name,
            "TemplateId": self.config.template_id,
            "TemplateParamSet": params,
            "SessionContext": format!("{}-{}", message.page, message.attempt),
        });
        let (answer, taken) = match self.api.call::<Taken>("SendSms", &body, now).await {
            Ok(taken) => taken,
            Err(sent) => return sent,
        };
        // The call is well, but the number may not be: one number, one status.
        match taken.send_status_set.into_iter().next() {
            Some(Status { code, serial_no }) if code == OK => accepted(&answer, serial_no),
            Some(Status { code, .. }) => refused(CODES, &code, &answer, now),
            None => Sent::new(Fate::InDoubt, "an answer without a status"),
        }
    }
}
