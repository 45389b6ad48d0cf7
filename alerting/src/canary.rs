//! The canary: once a day a test through every configured channel, to one person, so that a channel that died in silence is
//! found in the morning and not by an SOS.

use std::sync::Arc;
use std::time::Duration;

use model::{PersonId, Time};
use runtime::{Clock, Stop};
use serde::{Deserialize, Serialize};
use store::records::{ChannelHealth, Records};

use crate::Error;
use crate::channel::{Channel, Desk, Fate, Message, Recipient, Sent, quota};

/// It is looked this often whether a test is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// `[alerting.canary]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Login of the person who gets the daily tests. Empty: there are none.
    pub login: String,
    /// Time of day in Asia/Shanghai, `HH:MM`.
    pub at: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { login: String::new(), at: "09:00".to_owned() }
    }
}

impl Config {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.minute().map(drop)
    }

    /// Of the day.
    fn minute(&self) -> Result<i64, Error> {
        let parsed = self.at.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
            (self.at.len() == 5 && hour < 24 && minute < 60).then_some(i64::from(hour) * 60 + i64::from(minute))
        });
        parsed.ok_or_else(|| Error::Config { key: "canary.at", reason: "must be a time of day, HH:MM".into() })
    }
}

#[derive(Debug)]
pub(crate) struct Canary {
    channels: Arc<Desk>,
    records: Records,
    clock: Clock,
    login: String,
    minute: i64,
}

impl Canary {
    pub(crate) fn new(config: &Config, channels: Arc<Desk>, records: Records, clock: Clock) -> Result<Self, Error> {
        Ok(Self { channels, records, clock, login: config.login.clone(), minute: config.minute()? })
    }

    pub(crate) async fn run(self, stop: Stop) {
        loop {
            self.look().await;
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn look(&self) {
        let (records, login) = (self.records.clone(), self.login.clone());
        let found = tokio::task::spawn_blocking(move || {
            records.sweep_channels()?;
            let person = records.persons()?.into_iter().find(|person| person.login == login && !person.disabled);
            Ok::<_, store::records::Error>((records.channel_health()?, person))
        });
        let (health, person) = match found.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return tracing::error!(%error, "cannot look after the channels; tried again"),
            Err(error) => return tracing::error!(%error, "looking after the channels ended badly; tried again"),
        };
        if self.login.is_empty() {
            return;
        }
        let due = self.due(&health, self.clock.now());
        let Some(person) = person else {
            if !due.is_empty() {
                tracing::error!("the canary's person is not there: see alerting.canary.login");
            }
            return;
        };
        let to = Recipient {
            person: person.id,
            phone: person.phone.clone(),
            address: None,
            language: person.language.clone(),
        };
        for channel in due {
            let sent = test(&self.channels, channel, &to, self.clock.now()).await;
            if sent.fate == Fate::Accepted {
                tracing::info!(channel = channel.name(), "the daily test of a channel went out");
            } else {
                tracing::warn!(
                    channel = channel.name(),
                    detail = sent.detail,
                    "the daily test of a channel did not go out"
                );
            }
        }
    }

    /// Channels whose test of the day is still to come, once its time has.
    fn due(&self, health: &[ChannelHealth], now: Time) -> Vec<Channel> {
        let slot = quota::midnight(now).plus_us(self.minute * 60_000_000);
        if now < slot {
            return Vec::new();
        }
        let tested = |channel: &Channel| {
            health.iter().any(|row| row.channel == channel.name() && row.canary_at.is_some_and(|at| at >= slot))
        };
        self.channels.configured().iter().copied().filter(|channel| !tested(channel)).collect()
    }
}

/// One test by one channel, in its share of what is sent at once.
pub(crate) async fn test(channels: &Desk, channel: Channel, to: &Recipient, now: Time) -> Sent {
    let Some(_place) = channels.place(channel.name()) else {
        return Sent::new(Fate::Retry { after: None }, "the channel is busy with pages");
    };
    channels.send(channel.name(), to, &Message::test(now), now).await
}

/// For `Alerting::test_channel`.
pub(crate) fn recipient(records: &Records, person: PersonId) -> Result<Option<Recipient>, store::records::Error> {
    let person = records.person(person)?;
    Ok(person.map(|person| Recipient {
        person: person.id,
        phone: person.phone,
        address: None,
        language: person.language,
    }))
}
