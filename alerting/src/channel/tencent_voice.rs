//! A call by Tencent Cloud: reads an approved template aloud.
//!
//! "Picked up" is not an answer (it may be a voice box): only a pressed key or a claim in our own system is.

use model::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::Http;
use super::tencent::{self, Tencent};
use super::verdict::accepted;
use super::words::{self, Word};
use super::{Fate, Message, Recipient, Sent, settings};
use crate::{Error, Secret};

const NAME: &str = "channels.tencent_voice";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub secret_id: String,
    pub secret_key: Secret,
    /// `VoiceSdkAppid`: digits.
    pub voice_app_id: String,
    /// Number of the approved template.
    pub template_id: String,
    /// What the template's variables {1}, {2} ... are filled with: `elder`, `kind`, `priority`, `time`, `code`, `page`.
    pub params: Vec<Word>,
    /// How often the text is read. 1 to 3.
    #[serde(default = "play_times")]
    pub play_times: u8,
    #[serde(default = "region")]
    pub region: String,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

const fn play_times() -> u8 {
    2
}

fn region() -> String {
    "ap-guangzhou".to_owned()
}

fn base_url() -> String {
    "https://vms.tencentcloudapi.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        settings::filled(
            NAME,
            &[
                ("secret_id", &self.secret_id),
                ("secret_key", self.secret_key.expose()),
                ("voice_app_id", &self.voice_app_id),
                ("template_id", &self.template_id),
                ("region", &self.region),
            ],
        )?;
        if !(1..=3).contains(&self.play_times) {
            return Err(Error::Config { key: NAME, reason: "play_times is not within 1 to 3".into() });
        }
        tencent::check_parameters(NAME, &self.params)?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct TencentVoice {
    api: Tencent,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    send_status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    call_id: String,
}

impl TencentVoice {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.tencent_voice.base_url", &config.base_url, within)?;
        let key = (config.secret_id.as_str(), &config.secret_key);
        Ok(Self { api: Tencent::new(http, ("vms", "2020-09-02"), &config.region, key), config: config.clone() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(number) = words::callable(&to.phone) else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no number that can be called");
        };
        let params: Vec<_> = self.config.params.iter().map(|word| words::variable(message, to, *word)).collect();
        let body = json!({
            "CalledNumber": words::e164(&number),
            "VoiceSdkAppid": self.config.voice_app_id,
            "TemplateId": self.config.template_id,
            "TemplateParamSet": params,
            "PlayTimes": self.config.play_times,
            "SessionContext": format!("{}-{}", message.page, message.attempt),
        });
        match self.api.call::<Taken>("SendTtsVoice", &body, now).await {
            Ok((answer, taken)) => accepted(&answer, Some(taken.send_status.call_id)),
            Err(sent) => sent,
        }
    }
}
