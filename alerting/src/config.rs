//! The `[alerting]` table of the configuration file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use store::records::{HandlingTimers, Timers};

use crate::Error;
use crate::Secret;
use crate::canary;
use crate::channel::{Channel, Configs, Quota};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How pages go, a table for each channel. Without any every page fails visibly and only the console shows alarms.
    #[serde(skip_serializing_if = "Configs::is_empty")]
    pub channels: Configs,
    /// The site's limits of channels, in place of the providers' own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quota: BTreeMap<Channel, Quota>,
    /// Secret words in the addresses to which providers send receipts and replies: `/callback/NAME/WORD`. 32 to 128 letters,
    /// digits, `-` or `_`. A channel without one takes none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub callbacks: BTreeMap<Channel, Secret>,
    /// The daily test of every channel.
    pub canary: canary::Config,
    #[doc(hidden)]
    #[serde(skip_serializing)]
    pub webhook: Moved,
    /// Start of the link in a page, e.g. `https://vigil.example.org`; `/phone/pages/NUMBER` is appended.
    pub public_url: String,
    /// The shipped policy for P1 repeats its last step after so many seconds, without end. 30 to 600.
    pub repeat_p1_s: u32,
    /// The same for a P2. 60 to 7200.
    pub repeat_p2_s: u32,
    /// A page of a P1 that the provider took, but of which no receipt came after so many seconds, goes on by the next channel
    /// of its step. 5 to 600.
    pub receipt_p1_s: u32,
    /// A claimed P1 returns to the queue after so many seconds without activity. 30 to 3600.
    pub lease_p1_s: u32,
    /// The same for a P2. 30 to 14400.
    pub lease_p2_s: u32,
    /// Who is offered an alarm accepts within so many seconds, or the giver has it again. 15 to 600.
    pub hand_over_s: u32,
    /// From "a responder was sent" or "a doctor accepted" to the arrival; after that the supervisors are told. 300 to 14400.
    pub arrival_s: u32,
    /// From the arrival to the outcome; after that the supervisors are told. 300 to 86400.
    pub outcome_s: u32,
    /// A P1 or P2 resolved while its condition stood is open again after so many seconds, if it still does. 300 to 86400.
    pub reopen_s: u32,
    /// Silence of a high-risk elder that lasts so long becomes a P2. 900 to 86400.
    pub unwatched_s: u32,
    /// A gateway without a connection for so long is an incident. 60 to 86400.
    pub gateway_lost_s: u32,
    /// So many silent elders of one gateway or site within half an hour are one incident. 2 to 1000.
    pub incident_alarms: u32,
    /// Pages being sent at the same time. 1 to 256.
    pub sending_max: usize,
    /// The engine's state is saved this often, in seconds. 1 to 3600.
    pub checkpoint_s: u64,
    /// ... and after so many journal entries at the latest. At least 1.
    pub checkpoint_entries: u64,
}

/// Where a table stood before; a file that still has it there is told.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved;

impl<'de> Deserialize<'de> for Moved {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom(
            "this table has moved: write [alerting.channels.webhook] instead of [alerting.webhook]",
        ))
    }
}

fn is_callback_word(word: &Secret) -> bool {
    let word = word.expose();
    (32..=128).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl Default for Config {
    fn default() -> Self {
        Self {
            channels: Configs::default(),
            quota: BTreeMap::new(),
            callbacks: BTreeMap::new(),
            canary: canary::Config::default(),
            webhook: Moved,
            public_url: "http://127.0.0.1:8080".to_owned(),
            repeat_p1_s: 120,
            repeat_p2_s: 900,
            receipt_p1_s: 20,
            lease_p1_s: 180,
            lease_p2_s: 900,
            hand_over_s: 60,
            arrival_s: 2_700,
            outcome_s: 3_600,
            reopen_s: 3_600,
            unwatched_s: 3_600,
            gateway_lost_s: 900,
            incident_alarms: 5,
            sending_max: 16,
            checkpoint_s: 30,
            checkpoint_entries: 500_000,
        }
    }
}

impl Config {
    /// Checks ranges and the channel's settings.
    pub fn validate(&self) -> Result<(), Error> {
        let within = |key, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Error::Config { key, reason: format!("{value} is not within {least} to {most}") })
        };
        within("repeat_p1_s", self.repeat_p1_s.into(), 30, 600)?;
        within("repeat_p2_s", self.repeat_p2_s.into(), 60, 7_200)?;
        within("receipt_p1_s", self.receipt_p1_s.into(), 5, 600)?;
        within("lease_p1_s", self.lease_p1_s.into(), 30, 3_600)?;
        within("lease_p2_s", self.lease_p2_s.into(), 30, 14_400)?;
        within("hand_over_s", self.hand_over_s.into(), 15, 600)?;
        within("arrival_s", self.arrival_s.into(), 300, 14_400)?;
        within("outcome_s", self.outcome_s.into(), 300, 86_400)?;
        within("reopen_s", self.reopen_s.into(), 300, 86_400)?;
        within("unwatched_s", self.unwatched_s.into(), 900, 86_400)?;
        within("gateway_lost_s", self.gateway_lost_s.into(), 60, 86_400)?;
        within("incident_alarms", self.incident_alarms.into(), 2, 1_000)?;
        within("sending_max", self.sending_max as u64, 1, 256)?;
        within("checkpoint_s", self.checkpoint_s, 1, 3_600)?;
        within("checkpoint_entries", self.checkpoint_entries, 1, u64::MAX)?;
        self.quota.values().try_for_each(Quota::validate)?;
        if !self.callbacks.values().all(is_callback_word) {
            let reason = "each must have 32 to 128 letters, digits, - or _ (openssl rand -hex 32)".to_owned();
            return Err(Error::Config { key: "callbacks", reason });
        }
        self.canary.validate()?;
        self.channels.validate()
    }

    /// How long people may take, for `Records::open_with`.
    pub fn timers(&self) -> Timers {
        let us = |seconds: u32| i64::from(seconds) * 1_000_000;
        Timers {
            lease_p1_us: us(self.lease_p1_s),
            lease_p2_us: us(self.lease_p2_s),
            repeat_p1_us: us(self.repeat_p1_s),
            repeat_p2_us: us(self.repeat_p2_s),
            receipt_p1_us: us(self.receipt_p1_s),
            handling: HandlingTimers {
                offer_us: us(self.hand_over_s),
                arrival_us: us(self.arrival_s),
                outcome_us: us(self.outcome_s),
                reopen_urgent_us: us(self.reopen_s),
                unwatched_us: us(self.unwatched_s),
                gateway_lost_us: us(self.gateway_lost_s),
                incident_alarms: self.incident_alarms,
                ..HandlingTimers::default()
            },
        }
    }
}
