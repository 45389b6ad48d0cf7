//! Between the pager and the channels: finds the person's address, asks the limiter, lets each channel have its share of what is
//! sent at once, bounds every attempt, and keeps the books of each channel's health.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Priority, Time};
use runtime::Clock;
use store::records::{self, ChannelResult, Records};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::quota::{self, Quota};
use super::{Channel, Channels, Fate, Message, Reach, Recipient, Sent};
use crate::{Config, Error};

/// An urgent page never waits longer for one provider.
const URGENT_WITHIN: Duration = Duration::from_secs(5);
/// No attempt takes longer than this.
const WITHIN: Duration = Duration::from_secs(35);
/// Pause when our own books cannot be read.
const BOOKS_PAUSE: Duration = Duration::from_secs(2);
/// A channel that works is written down as such this often, in µs.
const OK_EVERY_US: i64 = 60_000_000;

/// The channels that are configured, and their books.
#[derive(Debug)]
pub(crate) struct Desk {
    channels: Channels,
    configured: Vec<Channel>,
    quotas: BTreeMap<Channel, Quota>,
    places: BTreeMap<Channel, Arc<Semaphore>>,
    records: Records,
    clock: Clock,
    /// When each channel was last written down as working; not those that failed since.
    seen_ok: Mutex<BTreeMap<Channel, Time>>,
}

/// One of a channel's places among what is sent at once.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

impl Desk {
    pub(crate) fn new(config: &Config, records: Records, clock: Clock) -> Result<Self, Error> {
        let channels = Channels::new(config)?;
        let configured = config.channels.configured();
        // Shares, so that one that hangs never holds up another.
        let share = (config.sending_max / configured.len().max(1)).max(1);
        Ok(Self {
            channels,
            places: configured.iter().map(|channel| (*channel, Arc::new(Semaphore::new(share)))).collect(),
            configured,
            quotas: config.quota.clone(),
            records,
            clock,
            seen_ok: Mutex::default(),
        })
    }

    pub(crate) fn configured(&self) -> &[Channel] {
        &self.configured
    }

    pub(crate) fn limits(&self, channel: Channel) -> Vec<super::Limit> {
        quota::limits(channel, &self.quotas)
    }

    /// Channels that have no place left.
    pub(crate) fn full(&self) -> Vec<&'static str> {
        let full = self.places.iter().filter(|(_, places)| places.available_permits() == 0);
        full.map(|(channel, _)| channel.name()).collect()
    }

    /// A place to send by this channel. `None`: all are taken. What is not configured fails at once and needs none.
    pub(crate) fn place(&self, channel: &str) -> Option<Place> {
        let places = Channel::parse(channel).and_then(|channel| self.places.get(&channel));
        match places {
            None => Some(Place(None)),
            Some(places) => Arc::clone(places).try_acquire_owned().ok().map(|place| Place(Some(place))),
        }
    }

    /// Sends once. Whoever calls holds a [`Place`].
    pub(crate) async fn send(&self, channel: &str, to: &Recipient, message: &Message, now: Time) -> Sent {
        let Some(channel) = Channel::parse(channel) else { return Sent::new(Fate::Misconfigured, "no such channel") };
        if !self.configured.contains(&channel) {
            return Sent::new(Fate::Misconfigured, format!("the channel {} is not configured", channel.name()));
        }
        let to = match self.addressed(channel, to).await {
            Ok(to) => to,
            Err(sent) => return sent,
        };
        let counted = match self.take(channel, &to, now).await {
            Ok(counted) => counted,
            Err(sent) => return sent,
        };
        let within = if message.priority == Priority::P1 { URGENT_WITHIN } else { WITHIN };
        let sent = match tokio::time::timeout(within, self.channels.send(channel.name(), &to, message, now)).await {
            Ok(sent) => sent,
            Err(_) => Sent::new(Fate::InDoubt, "no answer in time"),
        };
        self.settle(channel, &to, counted, &sent, message.test).await;
        sent
    }

    /// The recipient with what this channel needs.
    async fn addressed(&self, channel: Channel, to: &Recipient) -> Result<Recipient, Sent> {
        let none = |what| Err(Sent::new(Fate::RefusedPerson { until: None }, what));
        match channel.reach() {
            Reach::Phone if to.phone.trim().is_empty() => none("the person has no phone number"),
            Reach::Address if to.address.is_none() => {
                let (person, name) = (to.person, channel.name());
                let address = self.books(move |records| records.contact(person, name)).await?;
                match address {
                    Some(address) => Ok(Recipient { address: Some(address), ..to.clone() }),
                    None => none("the person has no address in this channel"),
                }
            }
            _ => Ok(to.clone()),
        }
    }

    /// Counts the message, or says until when there is no room for it.
    async fn take(&self, channel: Channel, to: &Recipient, now: Time) -> Result<Option<i64>, Sent> {
        let limits: Vec<_> = self.limits(channel).into_iter().map(|limit| quota::at(limit, now)).collect();
        if limits.is_empty() {
            return Ok(None);
        }
        let target = target(channel, to);
        match self.books(move |records| records.take_quota(channel.name(), &target, &limits)).await? {
            records::Quota::Taken(id) => Ok(Some(id)),
            records::Quota::Until(until) => {
                let until = Some(quota::wait(until, now));
                Err(Sent::new(Fate::RefusedPerson { until }, "quota used up"))
            }
        }
    }

    /// Gives a message back that did not go out, flags an address that does not exist, and writes the channel's health down.
    async fn settle(&self, channel: Channel, to: &Recipient, counted: Option<i64>, sent: &Sent, test: bool) {
        let ok = match sent.fate {
            Fate::Accepted => Some(true),
            Fate::RefusedPerson { .. } if !test => None,
            _ => Some(false),
        };
        let went_out = matches!(sent.fate, Fate::Accepted | Fate::InDoubt);
        let unreachable = sent.fate == (Fate::RefusedPerson { until: None });
        if ok == Some(false) {
            self.seen_ok.lock().unwrap_or_else(PoisonError::into_inner).remove(&channel);
        }
        let quiet = ok == Some(true) && !test && self.was_ok_lately(channel);
        if (went_out || counted.is_none()) && !unreachable && (ok.is_none() || quiet) {
            return;
        }
        let again = matches!(sent.fate, Fate::Retry { .. } | Fate::InDoubt);
        let (person, detail) = (to.person, sent.detail.clone());
        let written = self.books(move |records| {
            if let (Some(id), false) = (counted, went_out) {
                records.give_back_quota(id)?;
            }
            if unreachable {
                records.flag_contact(person, channel.name())?;
            }
            let Some(ok) = ok.filter(|_| !quiet) else { return Ok(false) };
            let result = |canary| ChannelResult {
                channel: channel.name(),
                zh: channel.zh(),
                en: channel.en(),
                ok,
                canary,
                detail: &detail,
            };
            let dead = records.channel_result(&result(test && !again))?;
            // A test that is tried again and again has failed, too.
            if dead && test && again { records.channel_result(&result(true)) } else { Ok(dead) }
        });
        let _logged = written.await;
    }

    fn was_ok_lately(&self, channel: Channel) -> bool {
        let mut seen = self.seen_ok.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let lately = seen.get(&channel).is_some_and(|at| now.since_us(*at) < OK_EVERY_US);
        if !lately {
            seen.insert(channel, now);
        }
        lately
    }

    /// A look into the records or a line in them. When they cannot be had, the page is tried again.
    async fn books<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Records) -> records::Result<T> + Send + 'static,
    ) -> Result<T, Sent> {
        let records = self.records.clone();
        let again = || Sent::new(Fate::Retry { after: Some(BOOKS_PAUSE) }, "the channel's books cannot be used");
        match tokio::task::spawn_blocking(move || work(&records)).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                tracing::error!(%error, "the books of the paging channels cannot be used; tried again");
                Err(again())
            }
            Err(error) => {
                tracing::error!(%error, "the books of the paging channels ended badly; tried again");
                Err(again())
            }
        }
    }
}

/// Whose limit counts: the person's, or the channel's as a whole.
fn target(channel: Channel, to: &Recipient) -> String {
    if channel.reach().is_personal() { to.person.0.to_string() } else { String::new() }
}
