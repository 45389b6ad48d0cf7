//! SMS by Aliyun: an approved template to one number.
//!
//! The provider does not recognise a repetition. After an attempt without an answer its list of what went out is asked first,
//! and the page is sent again only when it is not there.

use std::collections::BTreeMap;

use jiff::tz::Offset;
use model::Time;
use serde::{Deserialize, Serialize};

use super::aliyun::{self, Aliyun};
use super::http::Http;
use super::verdict::accepted;
use super::words::{self, Word};
use super::{Fate, Message, Recipient, Sent, settings};
use crate::{Error, Secret};

const NAME: &str = "channels.aliyun_sms";
const OUT_ID_BYTES_MAX: usize = 256;
/// What went out to a number today, newest first, as far as it is looked at.
const LOOK_BACK: &str = "50";
/// `SendStatus` of a message that did not arrive.
const NOT_DELIVERED: i64 = 2;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub access_key_id: String,
    pub access_key_secret: Secret,
    /// Approved sign: 短信签名.
    pub sign_name: String,
    /// Approved template: `SMS_...`.
    pub template_code: String,
    /// The template's variables, and what each is filled with: `elder`, `kind`, `priority`, `time`, `code`, `page`.
    pub params: BTreeMap<String, Word>,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

fn base_url() -> String {
    "https://dysmsapi.aliyuncs.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(
            NAME,
            &[
                ("access_key_id", &self.access_key_id),
                ("access_key_secret", self.access_key_secret.expose()),
                ("sign_name", &self.sign_name),
                ("template_code", &self.template_code),
            ],
        )?;
        aliyun::check_parameters(NAME, &self.params)?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct AliyunSms {
    api: Aliyun,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    biz_id: Option<String>,
}

/// The answer of `QuerySendDetails`.
#[derive(Deserialize)]
struct Details {
    #[serde(rename = "SmsSendDetailDTOs")]
    list: DetailList,
}

#[derive(Deserialize)]
struct DetailList {
    #[serde(rename = "SmsSendDetailDTO", default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    out_id: Option<String>,
    send_status: Option<i64>,
}

impl AliyunSms {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        // Looking first and sending then share the time.
        let within = settings::timeout(NAME, config.timeout_s)? / 2;
        let http = Http::new("channels.aliyun_sms.base_url", &config.base_url, within)?;
        Ok(Self { api: Aliyun::new(http, &config.access_key_id, &config.access_key_secret), config: config.clone() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(number) = words::mobile(&to.phone) else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no mobile number");
        };
        if message.attempt > 1 && self.went_out(&number, message, now).await {
            return Sent::new(Fate::Accepted, "an earlier attempt is in the provider's list");
        }
        let params = aliyun::parameters(&self.config.params, message, to);
        let out_id = aliyun::out_id(message, OUT_ID_BYTES_MAX).unwrap_or_default();
        let parameters = [
            ("PhoneNumbers", number.as_str()),
            ("SignName", &self.config.sign_name),
            ("TemplateCode", &self.config.template_code),
            ("TemplateParam", &params),
            ("OutId", &out_id),
        ];
        match self.api.call::<Taken>("SendSms", &parameters, now).await {
            Ok((answer, taken)) => accepted(&answer, taken.biz_id),
            Err(sent) => sent,
        }
    }

    /// An earlier attempt of this page went out. When nobody can tell it counts as "no": a double is allowed, a loss is not.
    async fn went_out(&self, number: &str, message: &Message, now: Time) -> bool {
        let day = day(now);
        let parameters = [("PhoneNumber", number), ("SendDate", &day), ("PageSize", LOOK_BACK), ("CurrentPage", "1")];
        let Ok((_, found)) = self.api.call::<Details>("QuerySendDetails", &parameters, now).await else {
            return false;
        };
        let page = format!("{}-", message.page);
        found.list.details.iter().any(|detail| {
            detail.out_id.as_deref().is_some_and(|id| id.starts_with(&page))
                && detail.send_status != Some(NOT_DELIVERED)
        })
    }
}

/// `20261122` in Asia/Shanghai. Around midnight the list of the day before is not asked: at worst a double.
fn day(now: Time) -> String {
    let Ok(stamp) = jiff::Timestamp::from_microsecond(now.micros()) else { return String::new() };
    let wall = Offset::constant(8).to_datetime(stamp);
    format!("{:04}{:02}{:02}", wall.year(), wall.month(), wall.day())
}
