//! A call by Aliyun: reads an approved template aloud (`SingleCallByTts`), or asks for a key (`IvrCall`) when that is set up.
//!
//! "Picked up" is not an answer (it may be a voice box): only a pressed key or a claim in our own system is.

use std::collections::BTreeMap;

use model::Time;
use serde::{Deserialize, Serialize};

use super::aliyun::{self, Aliyun};
use super::http::Http;
use super::verdict::accepted;
use super::words::{self, Word};
use super::{Fate, Message, Recipient, Sent, settings};
use crate::{Error, Secret};

const NAME: &str = "channels.aliyun_voice";
const OUT_ID_BYTES_MAX: usize = 15;
/// How long a person may think about a key.
const KEY_WITHIN_MS: &str = "10000";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub access_key_id: String,
    pub access_key_secret: Secret,
    /// Approved text: `TTS_...`.
    pub tts_code: String,
    /// The text's variables, and what each is filled with: `elder`, `kind`, `priority`, `time`, `code`, `page`.
    pub params: BTreeMap<String, Word>,
    /// Number that is shown to the called one. Only in the dedicated mode; required with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub show_number: Option<String>,
    /// How often the text is read. 1 to 3.
    #[serde(default = "play_times")]
    pub play_times: u8,
    /// Asks for a key; without it the text is only read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(default = "base_url")]
    pub base_url: String,
    /// One attempt at most, in seconds. 1 to 30.
    #[serde(default = "settings::timeout_s")]
    pub timeout_s: u64,
}

/// "Press 1 to take over."
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// Key that means "I take over": one of `0` to `9`.
    pub accept: char,
    /// Approved text without variables that is read after that key.
    pub accepted_code: String,
    /// Approved text without variables that is read at the end.
    pub bye_code: String,
}

const fn play_times() -> u8 {
    3
}

fn base_url() -> String {
    "https://dyvmsapi.aliyuncs.com".to_owned()
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        let wrong = |reason: &str| Err(Error::Config { key: NAME, reason: reason.to_owned() });
        settings::filled(
            NAME,
            &[
                ("access_key_id", &self.access_key_id),
                ("access_key_secret", self.access_key_secret.expose()),
                ("tts_code", &self.tts_code),
            ],
        )?;
        if let Some(number) = &self.show_number {
            settings::filled(NAME, &[("show_number", number)])?;
        }
        if let Some(key) = &self.key {
            settings::filled(NAME, &[("key.accepted_code", &key.accepted_code), ("key.bye_code", &key.bye_code)])?;
            if !key.accept.is_ascii_digit() {
                return wrong("key.accept is not one of 0 to 9");
            }
            if self.show_number.is_none() {
                return wrong("key needs show_number: a number bought from the provider");
            }
        }
        if !(1..=3).contains(&self.play_times) {
            return wrong("play_times is not within 1 to 3");
        }
        aliyun::check_parameters(NAME, &self.params)?;
        settings::timeout(NAME, self.timeout_s).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct AliyunVoice {
    api: Aliyun,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Taken {
    call_id: Option<String>,
}

impl AliyunVoice {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        let within = settings::timeout(NAME, config.timeout_s)?;
        let http = Http::new("channels.aliyun_voice.base_url", &config.base_url, within)?;
        Ok(Self { api: Aliyun::new(http, &config.access_key_id, &config.access_key_secret), config: config.clone() })
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(number) = words::callable(&to.phone) else {
            return Sent::new(Fate::RefusedPerson { until: None }, "the person has no number that can be called");
        };
        let config = &self.config;
        let params = aliyun::parameters(&config.params, message, to);
        let (times, out_id) = (config.play_times.to_string(), aliyun::out_id(message, OUT_ID_BYTES_MAX));
        let accept = config.key.as_ref().map(|key| key.accept.to_string()).unwrap_or_default();
        let mut parameters = vec![("CalledNumber", number.as_str()), ("PlayTimes", &times)];
        parameters.extend(config.show_number.as_deref().map(|shown| ("CalledShowNumber", shown)));
        parameters.extend(out_id.as_deref().map(|id| ("OutId", id)));
        let action = if let Some(key) = &config.key {
            parameters.extend([
                ("StartCode", config.tts_code.as_str()),
                ("StartTtsParams", &params),
                ("MenuKeyMap.1.Key", &accept),
                ("MenuKeyMap.1.Code", &key.accepted_code),
                ("ByeCode", &key.bye_code),
                ("Timeout", KEY_WITHIN_MS),
            ]);
            "IvrCall"
        } else {
            parameters.extend([("TtsCode", config.tts_code.as_str()), ("TtsParam", &params)]);
            "SingleCallByTts"
        };
        match self.api.call::<Taken>(action, &parameters, now).await {
            Ok((answer, taken)) => accepted(&answer, taken.call_id),
            Err(sent) => sent,
        }
    }
}
