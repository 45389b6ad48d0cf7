//! Remote care: the server pushes configuration, rules and the list of devices (`d/cfg`), each with a version, and is told in
//! a note what came of it.
//!
//! - Rules take force at once. A new list of devices or a new configuration restarts the links and the uplink, not the
//!   process.
//! - A configuration is on trial until it has connected; if it has not in time, the one before comes back and the server is
//!   told. That also holds when the process ends meanwhile. Only the parts that were put together with it can pass it: the
//!   connection of the configuration before says nothing about it.
//! - A version that has failed is not tried again: it is answered with why. The server sends it once more when it is born
//!   before it has read the answer.
//! - What is pushed is checked whole before anything changes. Its values never reach a log or an answer.

mod kept;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Note;
use model::note::Push;
use model::push::{EdgeRules, PUSH_BYTES_MAX, Pushed};
use mqtt::topic::{Down, Topic};
use mqtt::uplink;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::Error;
use crate::config::Config;
use crate::edge::Edge;
use crate::framer::Inlet;
use crate::report::Report;
pub(crate) use kept::Kept;
use kept::{Version, without_values};

/// Longest trial, seconds.
const TRIAL_S_MAX: u64 = 3_600;
/// How often it is looked whether a configuration on trial has connected.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The keys `[care]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CareConfig {
    /// A pushed configuration has to connect to the server within this many seconds, or the one before comes back.
    pub trial_s: u64,
}

impl Default for CareConfig {
    fn default() -> Self {
        Self { trial_s: 120 }
    }
}

impl CareConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if (1..=TRIAL_S_MAX).contains(&self.trial_s) {
            return Ok(());
        }
        Err(Error::Key(format!("care.trial_s must be 1 to {TRIAL_S_MAX}")))
    }
}

/// What the server may change about one gateway.
pub(crate) struct Care {
    /// As the gateway's own file has it.
    own: Config,
    kept: Mutex<Kept>,
    /// Version of the configuration that these parts run with, while it is on trial.
    on_trial: Option<u64>,
    edge: Arc<Edge>,
    inlet: Inlet,
    reload: Notify,
}

impl Care {
    pub(crate) fn new(own: Config, kept: Kept, edge: Arc<Edge>, inlet: Inlet) -> Self {
        let on_trial = kept.on_trial();
        Self { own, kept: Mutex::new(kept), on_trial, edge, inlet, reload: Notify::new() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The versions in force, for the birth. 0: none was ever pushed.
    pub(crate) fn versions(&self) -> serde_json::Value {
        let kept = self.kept();
        let of = |version: &Option<Version>| version.as_ref().map_or(0, |version| version.version);
        serde_json::json!({
            "rules": self.edge.rules_version(), "devices": of(&kept.devices), "config": of(&kept.config),
        })
    }

    /// Resolves when the gateway must put itself together anew.
    pub(crate) async fn reloaded(&self) {
        self.reload.notified().await;
    }

    /// Takes a push. False: the message is something else.
    pub(crate) async fn hears(self: &Arc<Self>, message: &uplink::Down) -> bool {
        if !matches!(Topic::parse(&message.topic), Ok(Topic::Down { kind: Down::Config, .. })) {
            return false;
        }
        if !self.take(&message.payload).await {
            tracing::warn!("a push of the server cannot be read");
        }
        true
    }

    /// False: it cannot be read at all.
    async fn take(self: &Arc<Self>, payload: &[u8]) -> bool {
        if payload.len() > PUSH_BYTES_MAX + 256 {
            return false;
        }
        let Ok(push) = serde_json::from_slice::<Pushed<Box<RawValue>>>(payload) else { return false };
        let (what, version) = (push.what, push.version);
        let care = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || care.keep(&push)).await;
        let taken = taken.unwrap_or_else(|_| Err("it could not be taken".to_owned()));
        tracing::info!(what = what.slug(), version, refused = taken.as_ref().err(), "the server pushed");
        let restarts = matches!(taken, Ok(Outcome::Restart | Outcome::OnTrial));
        match taken {
            Ok(Outcome::InForce | Outcome::Restart) => self.say(Note::Applied { what, version }).await,
            Ok(Outcome::OnTrial) => {}
            Err(reason) => self.say(Note::Refused { what, version, reason }).await,
        }
        // After the answer: nothing can be said while the parts are put together anew.
        if restarts {
            self.reload.notify_one();
        }
        true
    }

    async fn say(&self, note: Note) {
        if self.inlet.deliver(Report { notes: vec![note], ..Report::default() }).await.is_err() {
            tracing::debug!("the next birth says which versions are in force");
        }
    }

    /// Checks a push and makes it durable.
    fn keep(&self, push: &Pushed<Box<RawValue>>) -> Result<Outcome, String> {
        let text = push.body.get();
        if push.what == Push::Rules {
            if push.version == self.edge.rules_version() {
                return Ok(Outcome::InForce);
            }
            let body: EdgeRules = serde_json::from_str(text).map_err(|error| without_values(&error))?;
            self.edge.adopt(Pushed { what: push.what, version: push.version, body })?;
            return Ok(Outcome::InForce);
        }
        let body = serde_json::from_str(text).map_err(|error| without_values(&error))?;
        let version = Version { version: push.version, body };
        let mut kept = self.kept();
        if let (Push::Config, Some((_, reason))) =
            (push.what, kept.failed.as_ref().filter(|(it, _)| *it == push.version))
        {
            return Err(reason.clone());
        }
        let mut next = kept.clone();
        match push.what {
            Push::Devices if kept.devices.as_ref() == Some(&version) => return Ok(Outcome::InForce),
            Push::Devices => next.devices = Some(version),
            _ if kept.config.as_ref() == Some(&version) && kept.trial => return Ok(Outcome::OnTrial),
            _ if kept.config.as_ref() == Some(&version) => return Ok(Outcome::InForce),
            _ => {
                // Two in a row: what is known to work is what was before the first.
                if !next.trial {
                    next.before = next.config.take();
                }
                next.config = Some(version);
                next.trial = true;
            }
        }
        next.over(&self.own)?;
        next.save().map_err(|error| format!("it cannot be kept: {error}"))?;
        let trial = next.trial && push.what == Push::Config;
        *kept = next;
        Ok(if trial { Outcome::OnTrial } else { Outcome::Restart })
    }

    /// Tells of a configuration that failed, and watches the one on trial. Resolves when that has failed too.
    pub(crate) async fn watch(&self, connected: impl Fn() -> bool) {
        self.tell_failed().await;
        let Some(version) = self.on_trial else { return std::future::pending().await };
        let connects = async {
            while !connected() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let limit = Duration::from_secs(self.own.care.trial_s);
        let passed = tokio::time::timeout(limit, connects).await.is_ok();
        // Another may have been pushed meanwhile: it has a trial of its own when the parts have started anew.
        let mine = |kept: &Kept| kept.on_trial() == Some(version);
        if !passed {
            let reason = format!("it did not connect within {} s", self.own.care.trial_s);
            self.settle(mine, |kept| kept.fall_back(&reason));
            return;
        }
        let settled = self.settle(mine, |kept| {
            kept.trial = false;
            kept.before = None;
        });
        if settled {
            self.say(Note::Applied { what: Push::Config, version }).await;
        }
        std::future::pending::<()>().await;
    }

    async fn tell_failed(&self) {
        let untold = Some(&*self.kept()).filter(|kept| !kept.told).and_then(|kept| kept.failed.clone());
        let Some((version, reason)) = untold else { return };
        self.say(Note::Refused { what: Push::Config, version, reason }).await;
        self.settle(|kept| kept.failed.as_ref().is_some_and(|(it, _)| *it == version), |kept| kept.told = true);
    }

    /// Changes what is kept if it is still as expected. False: it is not. A small file, seldom written.
    fn settle(&self, expected: impl FnOnce(&Kept) -> bool, change: impl FnOnce(&mut Kept)) -> bool {
        let mut kept = self.kept();
        if !expected(&kept) {
            return false;
        }
        change(&mut kept);
        if let Err(error) = kept.save() {
            tracing::error!(%error, "what the server pushed cannot be written");
        }
        true
    }
}

/// What became of a good push.
enum Outcome {
    InForce,
    /// In force when the links have started anew.
    Restart,
    /// To be answered when it has connected, or has not.
    OnTrial,
}
