//! The step that judges at the edge: the same engine with the elders' rules as the server's, for when the server cannot be
//! reached. SOS, falls and critical limits (P1) then sound at the elder's place.
//!
//! - The engine follows every report, also while the server is there. An alarm is **owed** from the moment it is judged until
//!   the server has the frame behind it in its custody (it pages), or until it was sounded here. So there is no moment at
//!   which neither side feels responsible, and what was raised while the server listened is silent when the link drops later.
//! - What is owed is on disk before the report is ([`owed`]). A process that ends between a hook and the note about it sounds
//!   again and says both: rather heard twice than never said.
//! - While a P1 stands the engine tells it again every half hour, a pressed button every press: these are owed anew.
//! - The state is saved after every P1 and once a minute. What a crash takes of it are hold times of the last minute.
//!
//! What is deliberately absent: pages, claims, every priority but P1, changes over days and counts, and quiet periods: those the
//! server knows, and a gateway alone rather sounds once too often.

mod config;
mod hooks;
mod owed;
mod rules;
mod sounder;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::Engine;
use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::push::{EdgeRules, Pushed};
use model::rule::Rule;
use model::{AlarmId, AlarmKind, DeviceId, ElderId, Extras, GatewayId, Lane, Name, Priority, Seq, Subject, Time};
use mqtt::outbox::Outbox;
use runtime::Clock;
use tokio::sync::Notify;
use tokio::time::{Duration, Instant};

pub use config::{Command, EdgeConfig, Gpio, Hook, Http};

use crate::report::{Report, itself};
use crate::{Error, whole};
use hooks::Hooks;
use owed::{List, Owed};

const STATE_FILE: &str = "edge.ckpt";
/// The same alarm is not sounded again within this time, however often the button is pressed.
const QUIET: Duration = Duration::from_secs(10);

/// The engine of this gateway and what it owes.
#[derive(Debug)]
pub(crate) struct Edge {
    dir: PathBuf,
    grace: Duration,
    hooks: Hooks,
    inner: Mutex<Inner>,
    outbox: Outbox,
    clock: Clock,
    /// Something is owed that was not before.
    poke: Notify,
}

#[derive(Debug)]
struct Inner {
    engine: Engine,
    /// The engine has moved since it was saved.
    moved: bool,
    rules: Option<Pushed<EdgeRules>>,
    owners: HashMap<Name, ElderId>,
    owed: List,
    /// When alarms were last sounded, for [`QUIET`].
    sounded: HashMap<AlarmId, Instant>,
}

/// A report after which somebody must hear something: where the outbox stood before it.
#[derive(Debug)]
pub(crate) struct Mark {
    alarms: Vec<(AlarmId, Lane)>,
    heads: [u64; 5],
}

impl Edge {
    /// Reads what is on disk. Blocking.
    pub(crate) fn open(config: &EdgeConfig, dir: &Path, outbox: Outbox, clock: Clock) -> Result<Self, Error> {
        let rules = rules::load(dir);
        let mut inner = Inner {
            engine: load(dir),
            moved: false,
            owners: HashMap::new(),
            rules: None,
            owed: List::load(dir),
            sounded: HashMap::new(),
        };
        if let Some(rules) = rules {
            inner.adopt(rules, clock.now());
        }
        let hooks = Hooks::new(config.hooks.clone(), clock.clone())?;
        hooks.silence();
        let (dir, grace) = (dir.to_owned(), Duration::from_secs(config.grace_s));
        Ok(Self { dir, grace, hooks, inner: Mutex::new(inner), outbox, clock, poke: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Version of the rules in force; 0: those of the program.
    pub(crate) fn rules_version(&self) -> u64 {
        self.lock().rules.as_ref().map_or(0, |rules| rules.version)
    }

    /// Looks at a report on its way to the framer. With an answer, the report must be delivered and [`Edge::framed`] called.
    pub(crate) async fn judge(self: &Arc<Self>, report: &Report) -> Option<Mark> {
        let says_nothing = report.samples.is_empty() && report.events.is_empty();
        if self.hooks.all.is_empty() || says_nothing || report.device == itself() {
            return None;
        }
        let owed = self.lock().judge(report, self.clock.now());
        if owed.is_empty() {
            return None;
        }
        let heads = Lane::ALL.map(|lane| self.outbox.lane(lane).head().0);
        let lane = |owed: &Owed| match owed.kind {
            AlarmKind::Event { kind } => {
                report.events.iter().map(|e| e.kind).find(|k| *k == kind).unwrap_or(kind).lane()
            }
            _ => report.lane,
        };
        let alarms = owed.iter().map(|owed| (owed.alarm, lane(owed))).collect();
        self.change(move |inner| owed.into_iter().for_each(|owed| inner.owed.add(owed))).await;
        Some(Mark { alarms, heads })
    }

    /// The report is durable in the outbox: from here on its frame tells whether the server has it.
    pub(crate) async fn framed(self: &Arc<Self>, mark: Mark) {
        let heads = Lane::ALL.map(|lane| self.outbox.lane(lane).head().0);
        self.change(move |inner| {
            for (alarm, lane) in mark.alarms {
                let (first, last) = (mark.heads[lane as usize] + 1, heads[lane as usize]);
                if let Some(owed) = inner.owed.all.iter_mut().find(|owed| owed.alarm == alarm)
                    && first <= last
                {
                    owed.frames = Some((lane, first, last));
                }
            }
        })
        .await;
        self.poke.notify_one();
    }

    /// Changes what is owed and makes that, then the engine's state, durable. In this order: a state that is newer than the
    /// list would know of an alarm that nobody hears.
    async fn change(self: &Arc<Self>, change: impl FnOnce(&mut Inner) + Send + 'static) {
        let edge = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let mut inner = edge.lock();
            change(&mut inner);
            inner.owed.save();
            inner.save(&edge.dir);
        });
        if done.await.is_err() {
            tracing::error!("what is owed could not be saved");
        }
    }

    /// New rules from the server, checked. Durable and in force when it returns. Blocking.
    pub(crate) fn adopt(&self, rules: Pushed<EdgeRules>) -> Result<(), String> {
        rules.body.check().map_err(|bad| bad.to_string())?;
        rules::save(&self.dir, &rules).map_err(|error| format!("the rules cannot be kept: {error}"))?;
        let mut inner = self.lock();
        inner.adopt(rules, self.clock.now());
        inner.save(&self.dir);
        Ok(())
    }
}

impl Inner {
    /// Steps the engine. Returns what must be heard.
    fn judge(&mut self, report: &Report, now: Time) -> Vec<Owed> {
        let elder = self.elder_of(report);
        let device = number_of(&report.device);
        let subject = elder.map_or(Subject::Unattributed(device), Subject::Elder);
        let frame = Frame {
            gateway: GatewayId(0),
            device,
            subject,
            lane: report.lane,
            flags: Flags::default(),
            epoch: 0,
            seq: 0,
            received_at: now,
            events: report.events.clone(),
            samples: report.samples.clone(),
            extras: Extras::default(),
        };
        let told = self.step(&Entry::Frame(frame));
        let session = report.shared.then_some(elder).flatten();
        told.iter().filter_map(|transition| self.owed(transition, session, &report.device, now)).collect()
    }

    fn step(&mut self, entry: &Entry) -> Vec<Transition> {
        let mut out = Vec::new();
        let next = Seq(self.engine.position().0 + 1);
        self.engine.step(next, entry, &mut out);
        self.moved = true;
        out
    }

    /// Whose the report is: of a shared device whom the session says, if it says a number; else who wears the device.
    fn elder_of(&self, report: &Report) -> Option<ElderId> {
        if report.shared {
            return report.person.as_ref()?.strip_prefix("elder:")?.parse().ok();
        }
        self.owners.get(&report.device).copied()
    }

    fn owed(&self, transition: &Transition, elder: Option<ElderId>, device: &Name, now: Time) -> Option<Owed> {
        let subject = Subject::from_u32(transition.subject);
        let (priority, kind) = match &transition.change {
            Change::Raised { priority, kind, .. } | Change::Worsened { priority, kind } => (*priority, *kind),
            Change::Repeated { kind } => (self.engine.priority_of(subject, &transition.rule, kind)?, *kind),
            _ => return None,
        };
        let lately = |at: &Instant| at.elapsed() < QUIET;
        if priority != Priority::P1
            // What takes days to see is no matter of a minute without the server.
            || matches!(kind, AlarmKind::Silence { .. } | AlarmKind::Trend { .. } | AlarmKind::Count { .. })
            || self.sounded.get(&transition.alarm).is_some_and(lately)
        {
            return None;
        }
        let began = match transition.change {
            Change::Raised { started_at, .. } => Some(started_at),
            _ => self.engine.began(subject, transition.alarm),
        };
        let rule = self.rule_of(subject, &transition.rule);
        Some(Owed {
            alarm: transition.alarm,
            elder,
            device: device.clone(),
            rule: transition.rule.clone(),
            zh: rule.map_or_else(String::new, |rule| rule.zh.clone()),
            en: rule.map_or_else(String::new, |rule| rule.en.clone()),
            priority,
            kind,
            started_at: began.unwrap_or(transition.at),
            judged_at: now,
            frames: None,
        })
    }

    fn rule_of(&self, subject: Subject, slug: &str) -> Option<&Rule> {
        let set = subject.elder().map_or(self.engine.default_set(), |elder| self.engine.set_of(elder));
        set.rules.iter().find(|rule| rule.slug == slug)
    }

    /// Writes the engine's state when it has moved. Blocking.
    fn save(&mut self, dir: &Path) {
        if std::mem::take(&mut self.moved)
            && let Err(error) = whole::replace(&dir.join(STATE_FILE), &self.engine.save())
        {
            tracing::warn!(%error, "the state of the alarms at the edge cannot be written; tried again in a minute");
            self.moved = true;
        }
    }
}

/// The number of a device for the engine's bookkeeping. Two devices of one elder that share a number (one in two thousand
/// million pairs) would share hold times; the server's numbers are others.
fn number_of(device: &Name) -> DeviceId {
    DeviceId((crc32c::crc32c(device.as_str().as_bytes()) & 0x7fff_ffff).max(1))
}

fn load(dir: &Path) -> Engine {
    let fresh = || Engine::new(engine::default_rules());
    match std::fs::read(dir.join(STATE_FILE)) {
        Ok(bytes) => Engine::load(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "the state of the alarms at the edge is not used; they begin anew");
            fresh()
        }),
        Err(_) => fresh(),
    }
}
