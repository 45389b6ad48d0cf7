//! The step that says who was measured: at a shared device the session that an identity card, a code or a number opened, or the
//! device itself; at any other device nothing, for that one has an elder of its own.
//!
//! A restart ends the session that was open at its last sign on disk: nobody knows who stood there since. What was measured in it
//! and comes later is still its person's. Numbers of cards are hashed at once; neither they nor the hashes are logged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codec::Decoded;
use model::identity::{BadIdentity, IdentityKey, KeyKind, Nobody, PersonKey};
use model::{ElderId, Metric, Quality, Time};
use serde::{Deserialize, Serialize};

use crate::devices::Device;
use crate::kept::Kept;
use crate::report::Report;
use crate::sessions::{Book, Current, Limits, Opened, Saved, Span};
use crate::{Config, Error};

/// Where sessions are kept.
const FILE: &str = "sessions.json";
/// A cuff inflates and lets go for this long when the device's `measures_for_s` does not say, seconds.
const CUFF_S: u32 = 60;
/// A sign of life of the session is written to the disk at most so often, microseconds.
const SAVE_EVERY_US: i64 = 10_000_000;

/// Keys of the sessions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionConfig {
    /// A session ends so long after its opening or its last measurement, seconds: 10 to 3,600.
    pub timeout_s: u32,
    /// Times closer than this are not told apart, milliseconds: 0 to 60,000. A reading that is less exact widens it.
    pub tolerance_ms: u32,
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self { timeout_s: 180, tolerance_ms: 2_000 }
    }
}

impl SessionConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(10..=3_600).contains(&self.timeout_s) || self.tolerance_ms > 60_000 {
            return Err(Error::Key("[sessions] timeout_s must be 10 to 3600, tolerance_ms at most 60000".to_owned()));
        }
        Ok(())
    }
}

/// The session at the devices, as a kiosk may show it. Says nothing about the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionState {
    pub open: bool,
    /// `card`, `qr` or `elder`: how the person presented themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Ends then unless something is measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// Why nobody is at the devices now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("{0}")]
    Identity(#[from] BadIdentity),
    #[error("this gateway has no identity_key_file: cards and codes cannot be used")]
    NoKey,
}

/// The sessions of this gateway.
#[derive(Debug)]
pub(crate) struct Sessions {
    book: Mutex<Book>,
    key: Option<IdentityKey>,
    kept: Kept,
    saved_at: Mutex<Time>,
}

impl Sessions {
    /// Reads the key and what was kept. Blocking.
    pub(crate) fn open(config: &Config) -> Result<Self, Error> {
        let key = config.identity_key_file.as_deref().map(read_key).transpose()?;
        let limits = Limits {
            timeout_us: i64::from(config.sessions.timeout_s) * 1_000_000,
            tolerance_us: i64::from(config.sessions.tolerance_ms) * 1_000,
        };
        let kept = Kept::new(config.data_dir.join(FILE));
        let saved: Vec<Saved> = kept.load();
        Ok(Self { book: Mutex::new(Book::restored(limits, &saved)), key, kept, saved_at: Mutex::new(Time(0)) })
    }

    /// A person presents themselves: their session begins or goes on, and anybody else's ends.
    pub(crate) async fn present(&self, kind: KeyKind, text: &str, now: Time) -> Result<SessionState, Denied> {
        let person = match (&self.key, kind) {
            (Some(key), _) => key.person(kind, text, now)?,
            (None, KeyKind::Elder) => IdentityKey::new([0; 32]).person(kind, text, now)?,
            (None, KeyKind::Card | KeyKind::Qr) => return Err(Denied::NoKey),
        };
        let (opened, saved) = {
            let mut book = self.book();
            (book.open(person, now), book.saved())
        };
        tracing::info!(kind = kind.slug(), opened = ?opened, "somebody is at the devices");
        if opened != Opened::Again || self.is_save_due(now) {
            self.kept.save(&saved).await;
        }
        Ok(self.state(now))
    }

    /// Ends the session by hand.
    pub(crate) async fn close(&self, now: Time) -> SessionState {
        let saved = {
            let mut book = self.book();
            book.close(now).then(|| book.saved())
        };
        if let Some(saved) = saved {
            self.kept.save(&saved).await;
        }
        self.state(now)
    }

    pub(crate) fn state(&self, now: Time) -> SessionState {
        match self.book().current(now) {
            None => SessionState { open: false, kind: None, since: None, until: None },
            Some(Current { person, since, until }) => SessionState {
                open: true,
                kind: person.kind().map(KeyKind::slug),
                since: Some(since),
                until: Some(until),
            },
        }
    }

    /// Adds the person to a report that was received at `at`. A device with an elder of its own passes as it is.
    pub(crate) async fn attribute(&self, device: &Device, said: Option<&Decoded>, report: Report, at: Time) -> Report {
        let told = said.and_then(|said| self.told(device, said, at));
        let who = match told {
            Some(who) => who,
            None if device.shared => self.by_session(device, &report, at).await,
            None => return report,
        };
        let key = who.unwrap_or_else(PersonKey::nobody);
        Report { shared: true, person: Some(key.as_str().to_owned()), ..report }
    }

    /// What the device itself says about the person it measured. `None`: nothing that can be used.
    fn told(&self, device: &Device, said: &Decoded, at: Time) -> Option<Result<PersonKey, Nobody>> {
        let user = |index: &str| device.users.get(index).map(|elder| PersonKey::elder(*elder));
        if said.device.other.contains_key("person_unknown") {
            // At a cabin the session knows; anywhere else the wearer of the device would be a guess.
            return match user(UNKNOWN_USER) {
                None if device.shared => None,
                known => Some(known.ok_or(Nobody::UnknownUser)),
            };
        }
        let text = said.device.person.as_deref()?;
        if !device.users.is_empty() {
            return Some(user(text).ok_or(Nobody::UnknownUser));
        }
        // A kiosk that identifies people itself says it with a whole key.
        if let Some(person) = PersonKey::parse(text).filter(|person| device.shared && person.kind().is_some()) {
            return Some(Ok(person));
        }
        let (kind, key) = (device.person?, self.key.as_ref()?);
        match key.person(kind, text, at) {
            Ok(person) => Some(Ok(person)),
            Err(error) => {
                tracing::warn!(device = %device.name, %error, "the device names a person in a way that is no key");
                None
            }
        }
    }

    async fn by_session(&self, device: &Device, report: &Report, at: Time) -> Result<PersonKey, Nobody> {
        let span = span(device, report, at).ok_or(Nobody::NotCovered)?;
        let (who, saved) = {
            let mut book = self.book();
            let who = book.who(span, at);
            if let Ok(person) = &who {
                book.measured(person, span.to.min(at));
            }
            let due = who.is_ok() && self.is_save_due(at);
            (who, due.then(|| book.saved()))
        };
        if let Some(saved) = saved {
            self.kept.save(&saved).await;
        }
        if let Err(why) = &who {
            tracing::info!(device = %device.name, why = why.slug(), "a measurement belongs to nobody yet");
        }
        who
    }

    fn is_save_due(&self, now: Time) -> bool {
        let mut saved_at = self.saved_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.since_us(*saved_at).abs() >= SAVE_EVERY_US;
        if due {
            *saved_at = now;
        }
        due
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Key of `users` for the user whom the device does not know.
pub(crate) const UNKNOWN_USER: &str = "unknown";

/// The elders of a device's own users.
pub(crate) type Users = BTreeMap<String, ElderId>;

/// The time the report's measurement took. `None` when that is not known.
fn span(device: &Device, report: &Report, at: Time) -> Option<Span> {
    if report.samples.iter().any(|sample| sample.quality == Quality::ClockSuspect) {
        return None;
    }
    let taken = report.samples.iter().map(|sample| sample.taken_at);
    let blocks = report.waveforms.iter().flat_map(|block| [block.start, block.end()]);
    let events = report.events.iter().map(|event| event.at);
    let times: Vec<Time> = taken.chain(blocks).chain(events).collect();
    let first = times.iter().copied().min().unwrap_or(at);
    let to = times.iter().copied().max().unwrap_or(at);
    let is_cuff = report.samples.iter().any(|sample| sample.metric == Metric::Systolic);
    let lasts = device.measures_for_s.unwrap_or(if is_cuff { CUFF_S } else { 0 });
    let from = first.plus_us(-i64::from(lasts) * 1_000_000);
    let uncertain = report.origins.iter().filter_map(|origin| origin.uncertainty_ms).max().unwrap_or(0);
    // A clock of which nothing is known: the value may be of the moment it says, of now, or of any between.
    let unknown = report.origins.iter().any(|origin| origin.device_ms.is_some() && origin.uncertainty_ms.is_none());
    let open_us = if unknown { at.since_us(from).abs() } else { 0 };
    Some(Span { from, to, slack_us: open_us.max(i64::from(uncertain) * 1_000) })
}

/// The site's secret from a file of 64 hexadecimal digits.
fn read_key(path: &Path) -> Result<IdentityKey, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Dir { path: path.to_owned(), source })?;
    let fault = || Error::Key(format!("{} must hold 64 hexadecimal digits", path.display()));
    IdentityKey::parse(&text).ok_or_else(fault)
}

#[cfg(test)]
#[path = "who_tests.rs"]
mod tests;
