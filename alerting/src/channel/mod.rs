//! Ways to reach a person. One file and one row a channel: a channel sends once and says what became of it; retry, limits and
//! records are the pager's.

mod address;
pub mod webhook;

use std::time::Duration;

use model::{AlarmId, PageId, Priority, Time};

use crate::{Config, Error};

/// The channel of every page, so far.
pub(crate) const FIRST: &str = webhook::NAME;

/// What a channel may know of a page: nothing that identifies the elder to a stranger, and no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) page: PageId,
    pub(crate) alarm: AlarmId,
    /// 1 for the first.
    pub(crate) attempt: u32,
    pub(crate) priority: Priority,
    /// Slug of the rule: `sos`, `spo2_low`.
    pub(crate) kind: String,
    /// Masked name.
    pub(crate) elder: String,
    /// When the condition began.
    pub(crate) at: Time,
    pub(crate) ack_url: String,
}

/// What became of one attempt. `detail` is for the operator; no personal data, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) fate: Fate,
    pub(crate) detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The provider has it. Not: the person.
    Accepted,
    /// Try again; not before `after`, when the provider said so.
    Retry { after: Option<Duration> },
    /// The channel is set up wrongly.
    Misconfigured,
    /// It went out and no answer came: it may have arrived.
    InDoubt,
}

impl Sent {
    pub(crate) fn new(fate: Fate, detail: impl Into<String>) -> Self {
        Self { fate, detail: detail.into() }
    }
}

/// The channels that are configured.
#[derive(Debug)]
pub(crate) struct Channels {
    webhook: Option<webhook::Webhook>,
}

impl Channels {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        config.validate()?;
        Ok(Self { webhook: config.webhook.as_ref().map(webhook::Webhook::new).transpose()? })
    }

    pub(crate) async fn send(&self, channel: &str, message: &Message, now: Time) -> Sent {
        match (channel, &self.webhook) {
            (webhook::NAME, Some(webhook)) => webhook.send(message, now).await,
            (webhook::NAME, None) => Sent::new(Fate::Misconfigured, "no webhook is configured"),
            _ => Sent::new(Fate::Misconfigured, "no such channel"),
        }
    }
}
