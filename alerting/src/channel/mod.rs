//! Ways to reach a person. One file and one row a channel: a channel sends once and says what became of it; retry, limits and
//! records are the pager's.

mod address;
pub mod webhook;

use std::time::Duration;

use model::{AlarmId, PageId, PersonId, Priority, Time};

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
    /// The rule's labels: 紧急呼叫, SOS.
    pub(crate) title_zh: String,
    pub(crate) title_en: String,
    /// Masked name.
    pub(crate) elder: String,
    /// When the condition began.
    pub(crate) at: Time,
    pub(crate) ack_url: String,
    /// Digits by which the person, or a dispatcher for them, says "I have it" where no link is possible.
    pub(crate) code: Option<String>,
}

/// Whom one page goes to. One recipient a request: a partial success never has to be untangled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) person: PersonId,
    /// Mobile number as registered; empty when unknown. Never in a log.
    pub(crate) phone: String,
    /// The person's address in this channel (a WeCom user id, an e-mail address), when the channel needs one.
    pub(crate) address: Option<String>,
    /// `zh` or `en`.
    pub(crate) language: String,
}

/// What became of one attempt. `detail` is for the operator; no personal data, no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) fate: Fate,
    pub(crate) detail: String,
    /// The provider's name for this message, by which its receipts and replies come.
    pub(crate) provider_ref: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The provider has it. Not: the person.
    Accepted,
    /// Try again; not before `after`, when the provider said so.
    Retry { after: Option<Duration> },
    /// This person cannot be reached by this channel: not before `until` from now, when it is a quota; else not at all.
    #[expect(dead_code, reason = "the webhook has no such answer; the channels with a person's address have")]
    RefusedPerson { until: Option<Duration> },
    /// The channel is set up wrongly.
    Misconfigured,
    /// It went out and no answer came: it may have arrived.
    InDoubt,
}

impl Sent {
    pub(crate) fn new(fate: Fate, detail: impl Into<String>) -> Self {
        Self { fate, detail: detail.into(), provider_ref: None }
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

    /// Sends once. The recipient of a group robot or a webhook is who is meant, not an address.
    pub(crate) async fn send(&self, channel: &str, _to: &Recipient, message: &Message, now: Time) -> Sent {
        match (channel, &self.webhook) {
            (webhook::NAME, Some(webhook)) => webhook.send(message, now).await,
            (webhook::NAME, None) => Sent::new(Fate::Misconfigured, "no webhook is configured"),
            _ => Sent::new(Fate::Misconfigured, "no such channel"),
        }
    }
}
