//! The `[alerting]` table of the configuration file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use store::records::Timers;

use crate::Error;
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

impl Default for Config {
    fn default() -> Self {
        Self {
            channels: Configs::default(),
            quota: BTreeMap::new(),
            webhook: Moved,
            public_url: "http://127.0.0.1:8080".to_owned(),
            repeat_p1_s: 120,
            repeat_p2_s: 900,
            receipt_p1_s: 20,
            lease_p1_s: 180,
            lease_p2_s: 900,
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
        within("sending_max", self.sending_max as u64, 1, 256)?;
        within("checkpoint_s", self.checkpoint_s, 1, 3_600)?;
        within("checkpoint_entries", self.checkpoint_entries, 1, u64::MAX)?;
        self.quota.values().try_for_each(Quota::validate)?;
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
        }
    }
}
