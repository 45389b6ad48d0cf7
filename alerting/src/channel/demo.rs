//! The phone on the demo's screen: a webhook to the console of the same process.

use model::Time;
use serde::{Deserialize, Serialize};

use super::webhook::{self, Webhook};
use super::{Message, Recipient, Sent};
use crate::{Error, Secret};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The console's `/demo/phone`.
    pub url: String,
    /// `whsec_` and the key in base64 (24 to 64 bytes).
    pub secret: Secret,
}

impl Config {
    pub fn validate(&self) -> Result<(), Error> {
        self.webhook().validate()
    }

    fn webhook(&self) -> webhook::Config {
        webhook::Config {
            url: self.url.clone(),
            secret: self.secret.clone(),
            allow_private: true,
            timeout_s: 5,
            template: None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Demo(Webhook);

impl Demo {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        Webhook::new(&config.webhook()).map(Self)
    }

    pub(crate) async fn send(&self, to: &Recipient, message: &Message, now: Time) -> Sent {
        self.0.send(to, message, now).await
    }
}
