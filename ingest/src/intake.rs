//! The intake: what the front door hands over becomes durable here, and only then is answered.
//!
//! The quick way (known devices, frames that decode) runs on the connection's task: decode, look for duplicates, attribute,
//! append to the journal. Anything that needs the records store (a device never seen, a frame for the quarantine) goes to
//! the desk, a thread of its own; there a client's later publishes may overtake, which event time puts right again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

use journal::AppendError;
use model::entry::{Entry, LinkState};
use model::{Lane, Time};
use mqtt::door::{Done, Identity, Intake, LinkChange, Publish, Verdict};
use store::records;

use crate::frame::{Prepared, Ready, again, prepare};
use crate::stats::add;
use crate::{Ingest, Shared};

/// What the desk has to do.
pub(crate) enum Job {
    Publishes { from: Arc<Identity>, publishes: Vec<Publish>, done: Done },
    Retain { from: Arc<Identity>, topic: String, payload: Vec<u8> },
    Stop,
}

impl Intake for Ingest {
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let shared = &self.shared;
        let view = shared.view.load();
        let future_max = Duration::from_secs(shared.config.future_max_s);
        let prepared: Vec<Prepared> =
            publishes.iter().map(|publish| prepare(&view, from, publish, future_max)).collect();
        let quick = |one: &Prepared| !matches!(one, Prepared::UnknownDevice(_) | Prepared::Malformed { .. });
        if prepared.iter().all(quick) {
            let slots = prepared.into_iter().map(|one| Slot::of(one, shared)).collect();
            append(shared, slots, done);
        } else {
            to_desk(&self.desk, shared, Job::Publishes { from: Arc::clone(from), publishes, done });
        }
    }

    fn link(&self, from: &Arc<Identity>, change: LinkChange) {
        let state = match change {
            LinkChange::Up => LinkState::Up,
            LinkChange::Lost { .. } => LinkState::Lost,
        };
        let entry = Entry::Link { gateway: from.gateway, state, at: self.shared.clock.now() };
        // A full journal loses this line only: the gateway's own birth and will say the same.
        self.shared.journal.append_urgent(vec![entry.to_bytes()], |_| ());
    }
}

/// One publish on its way: an entry to append, or a verdict that is certain already.
enum Slot {
    Entry(Ready),
    Certain(Verdict),
}

impl Slot {
    fn of(prepared: Prepared, shared: &Shared) -> Self {
        match prepared {
            Prepared::Entry(ready) => match ready.key {
                Some(key) if shared.ledger.is_duplicate(key) => {
                    add(&shared.counters.duplicate_frames, 1);
                    Self::Certain(Verdict::Duplicate)
                }
                _ => Self::Entry(ready),
            },
            Prepared::Nothing => Self::Certain(Verdict::Stored),
            Prepared::WrongTopic => {
                add(&shared.counters.refused_topics, 1);
                Self::Certain(Verdict::NotAuthorised)
            }
            Prepared::Malformed { code, .. } => Self::Certain(Verdict::Malformed(code)),
            Prepared::UnknownDevice(_) => Self::Certain(Verdict::Busy),
        }
    }
}

/// Appends the entries as one group and answers when they are durable.
fn append(shared: &Arc<Shared>, slots: Vec<Slot>, done: Done) {
    let mut entries = Vec::with_capacity(slots.len());
    let mut verdicts = Vec::with_capacity(slots.len());
    let mut notes = Vec::with_capacity(slots.len());
    let mut urgent = false;
    for slot in slots {
        match slot {
            Slot::Certain(verdict) => verdicts.push(verdict),
            Slot::Entry(ready) => {
                urgent |= matches!(ready.lane, Lane::Sos | Lane::Evt);
                verdicts.push(Verdict::Stored);
                notes.push((verdicts.len() - 1, ready.key, ready.tally));
                entries.push(ready.bytes);
            }
        }
    }
    if entries.is_empty() {
        return done(verdicts);
    }
    let shared_then = Arc::clone(shared);
    let then = move |result: Result<model::Seq, AppendError>| {
        let shared = shared_then;
        match result {
            Ok(_) => {
                shared.ledger.mark(notes.iter().filter_map(|(_, key, _)| *key));
                for (_, _, tally) in &notes {
                    tally.count(&shared.counters);
                }
            }
            Err(error) => {
                let (verdict, counter) = match error {
                    AppendError::Full | AppendError::TooLarge { .. } => (Verdict::Busy, &shared.counters.busy),
                    AppendError::Disk(_) | AppendError::Closed => (Verdict::Failed, &shared.counters.failed),
                };
                add(counter, notes.len() as u64);
                for (slot, ..) in &notes {
                    verdicts[*slot] = verdict;
                }
            }
        }
        done(verdicts);
    };
    if urgent { shared.journal.append_urgent(entries, then) } else { shared.journal.append(entries, then) }
}

/// Hands a job to the desk; a full desk answers "busy", and the client keeps what it sent.
pub(crate) fn to_desk(desk: &SyncSender<Job>, shared: &Shared, job: Job) {
    if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = desk.try_send(job)
        && let Job::Publishes { publishes, done, .. } = job
    {
        add(&shared.counters.busy, publishes.len() as u64);
        done(vec![Verdict::Busy; publishes.len()]);
    }
}

/// The desk's thread: one job at a time, until told to stop.
pub(crate) fn desk(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Publishes { from, publishes, done } => {
                let slots = publishes.iter().map(|publish| shared.at_desk(&from, publish)).collect();
                append(shared, slots, done);
            }
            Job::Retain { from, topic, payload } => {
                if let Err(error) = shared.records.retained_put(from.gateway, &topic, &payload, shared.clock.now()) {
                    tracing::warn!(gateway.id = from.gateway.0, %error, "a retained state was not kept");
                }
            }
            Job::Stop => return,
        }
    }
}

impl Shared {
    /// The slow way for one publish: register its device, or keep the frame in quarantine.
    fn at_desk(&self, from: &Identity, publish: &Publish) -> Slot {
        let future_max = Duration::from_secs(self.config.future_max_s);
        let mut prepared = prepare(&self.view.load(), from, publish, future_max);
        if let Prepared::UnknownDevice(name) = &prepared {
            match self.records.ensure_device(from.gateway, name).map_err(Refusal::from).and_then(|_| self.refresh()) {
                Ok(()) => prepared = prepare(&self.view.load(), from, publish, future_max),
                Err(Refusal::TooMany(detail)) => prepared = Prepared::Malformed { code: "too_many_devices", detail },
                Err(Refusal::Later(error)) => {
                    tracing::warn!(
                        gateway.id = from.gateway.0,
                        error,
                        "a new device could not be registered; the client keeps its frame"
                    );
                    add(&self.counters.busy, 1);
                }
            }
        }
        match &prepared {
            Prepared::Malformed { code, detail } => self.quarantine(from, publish, code, detail),
            _ => Slot::of(prepared, self),
        }
    }

    fn quarantine(&self, from: &Identity, publish: &Publish, code: &'static str, detail: &str) -> Slot {
        let cause = format!("{code}: {detail}");
        let at = publish.received_at;
        match self.records.quarantine_put(from.gateway, &publish.topic, &publish.payload, &cause, at) {
            Ok(id) => {
                add(&self.counters.quarantined_frames, 1);
                tracing::info!(gateway.id = from.gateway.0, quarantine.id = id, code, "a frame went into quarantine");
                self.reject(from, code);
                Slot::Certain(Verdict::Malformed(code))
            }
            Err(error) => {
                tracing::error!(gateway.id = from.gateway.0, %error, "the quarantine cannot be written; the client keeps its frame");
                add(&self.counters.busy, 1);
                Slot::Certain(Verdict::Busy)
            }
        }
    }

    /// Tells a gateway that a frame was refused: MQTT 3.1.1 has no other way to say it.
    fn reject(&self, from: &Identity, code: &str) {
        if let Some(door) = &*self.door.load() {
            let payload = serde_json::json!({ "rej": [{ "code": code }] }).to_string();
            door.down(from.gateway, "ack", payload.into(), 1);
        }
    }

    /// Tries a quarantined frame again: journals it when it decodes now.
    pub(crate) fn replay(&self, id: i64) -> Result<(), String> {
        let (row, payload) = self
            .records
            .quarantine_get(id)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no frame {id} in the quarantine"))?;
        if row.replayed_at.is_some() {
            return Err("this frame was replayed before".into());
        }
        let from = self.view.load().identity(row.gateway).ok_or("the frame's gateway is not registered any more")?;
        match self.at_desk_again(&from, &again(row.topic, payload, row.at))? {
            Slot::Certain(Verdict::Stored | Verdict::Duplicate) => {}
            Slot::Entry(ready) => {
                self.journal.append_blocking(vec![ready.bytes]).map_err(|error| error.to_string())?;
                self.ledger.mark(ready.key);
                ready.tally.count(&self.counters);
            }
            Slot::Certain(verdict) => return Err(format!("not stored: {verdict:?}")),
        }
        self.records.quarantine_mark_replayed(id, self.clock.now()).map_err(|error| error.to_string())
    }

    fn at_desk_again(&self, from: &Identity, publish: &Publish) -> Result<Slot, String> {
        let future_max = Duration::from_secs(self.config.future_max_s);
        match prepare(&self.view.load(), from, publish, future_max) {
            Prepared::Malformed { detail, .. } => Err(format!("still does not decode: {detail}")),
            Prepared::UnknownDevice(_) => Ok(self.at_desk(from, publish)),
            prepared => Ok(Slot::of(prepared, self)),
        }
    }

    /// Reads the registry again, after a change in the records store.
    pub(crate) fn refresh(&self) -> Result<(), Refusal> {
        let snapshot = self.records.registry()?;
        self.view.store(Arc::new(crate::view::View::new(snapshot)));
        Ok(())
    }

    pub(crate) fn tick(&self) {
        let at: Time = self.clock.now();
        // A journal that is full or broken says so by itself; the next tick comes soon.
        self.journal.append_urgent(vec![Entry::Tick(at).to_bytes()], |_| ());
    }
}

/// Why the registry refused a device.
pub(crate) enum Refusal {
    TooMany(String),
    Later(String),
}

impl From<records::Error> for Refusal {
    fn from(error: records::Error) -> Self {
        match error {
            records::Error::TooMany { .. } => Self::TooMany(error.to_string()),
            other => Self::Later(other.to_string()),
        }
    }
}
