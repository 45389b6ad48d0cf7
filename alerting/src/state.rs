//! What an administrator sees of the channels: configured, healthy, how much of each limit is used up; and a test on demand.

use model::{PersonId, Time};
use serde::Serialize;
use store::records::{self, ChannelHealth};

use crate::channel::{Channel, Fate, Limit, Window, quota};
use crate::{Alerting, canary};

/// One row of the table of channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelState {
    pub name: &'static str,
    pub zh: &'static str,
    pub en: &'static str,
    pub configured: bool,
    /// It needs an address of each person (contacts).
    pub needs_address: bool,
    /// `None`: never used.
    pub health: Option<ChannelHealth>,
    pub quota: Vec<QuotaState>,
}

/// One limit: of each person, or of the channel as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuotaState {
    pub count: u32,
    /// Seconds of the stretch; `None`: a calendar day.
    pub window_s: Option<u32>,
    pub per_person: bool,
    /// Used in the present stretch, by whoever used most.
    pub used_most: u32,
    /// ... and by all together.
    pub used: u32,
}

/// What became of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TestResult {
    pub ok: bool,
    /// For the operator: no personal data.
    pub detail: String,
}

impl Alerting {
    /// Every channel, in the order of the table. Blocks.
    pub fn channels(&self) -> records::Result<Vec<ChannelState>> {
        let now = self.clock.now();
        let health = self.records.channel_health()?;
        let row = |channel: Channel| {
            let limits = self.channels.limits(channel);
            Ok(ChannelState {
                name: channel.name(),
                zh: channel.zh(),
                en: channel.en(),
                configured: self.channels.configured().contains(&channel),
                needs_address: channel.reach() == crate::Reach::Address,
                health: health.iter().find(|row| row.channel == channel.name()).cloned(),
                quota: limits.into_iter().map(|limit| self.quota(channel, limit, now)).collect::<Result<_, _>>()?,
            })
        };
        Channel::ALL.iter().copied().map(row).collect()
    }

    fn quota(&self, channel: Channel, limit: Limit, now: Time) -> records::Result<QuotaState> {
        let (used, used_most) = self.records.quota_used(channel.name(), quota::at(limit, now).since)?;
        let window_s = match limit.window {
            Window::Seconds(seconds) => Some(seconds),
            Window::Day => None,
        };
        Ok(QuotaState { count: limit.count, window_s, per_person: channel.reach().is_personal(), used_most, used })
    }

    /// Sends a test by this channel to this person. `None`: there is no such channel or person.
    pub async fn test_channel(&self, channel: &str, person: PersonId) -> records::Result<Option<TestResult>> {
        let Some(channel) = Channel::parse(channel) else { return Ok(None) };
        let records = self.records.clone();
        let to = tokio::task::spawn_blocking(move || canary::recipient(&records, person)).await;
        let to =
            to.unwrap_or_else(|error| Err(records::Error::Invalid(format!("the look-up ended badly: {error}"))))?;
        let Some(to) = to else { return Ok(None) };
        let sent = canary::test(&self.channels, channel, &to, self.clock.now()).await;
        Ok(Some(TestResult { ok: sent.fate == Fate::Accepted, detail: sent.detail }))
    }
}
