//! The intake: what the front door hands over becomes durable here, and only then is answered.
//!
//! The quick way (known devices, frames that decode) runs on the connection's task: decode, look for duplicates, attribute,
//! append to the journal. Anything that needs the records store (a device never seen, a frame for the quarantine) goes to
//! the desk (`desk.rs`), a thread of its own; there a client's later publishes may overtake, which event time puts right again. The
//! other publishes of the same socket read do not wait for it: an SOS beside a rubbish frame is durable at once.

use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::AppendError;
use model::entry::{Entry, LinkState};
use model::{GatewayId, Lane, Time};
use mqtt::door::{Done, Identity, Intake, LinkChange, Publish, Verdict};

use crate::frame::{Prepared, Ready, prepare};
use crate::retained::is_state;
use crate::stats::add;
use crate::{Ingest, Shared};

/// What the desk has to do.
pub(crate) enum Job {
    Publishes { from: Arc<Identity>, publishes: Vec<Publish>, done: Done },
    Stop,
}

impl Intake for Ingest {
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let shared = &self.shared;
        let view = shared.view.load();
        let future_max = Duration::from_secs(shared.config.future_max_s);
        let prepared: Vec<Prepared> =
            publishes.iter().map(|publish| prepare(&view, from, publish, future_max)).collect();
        let is_slow = |one: &Prepared| match one {
            Prepared::UnknownDevice(_) | Prepared::Malformed(_) | Prepared::Partly(..) | Prepared::Notes(..) => true,
            Prepared::Entry(ready) => ready.keep.is_some(),
            Prepared::Nothing | Prepared::WrongTopic => false,
        };
        let slow: Vec<bool> =
            prepared.iter().zip(&publishes).map(|(one, publish)| is_slow(one) || is_state(publish)).collect();
        let slots = |prepared: Vec<Prepared>| {
            let quick = prepared.into_iter().zip(&slow).filter(|(_, slow)| !**slow);
            quick.map(|(one, _)| Slot::of(one, shared)).collect()
        };
        if !slow.contains(&true) {
            return append(shared, slots(prepared), done);
        }
        let from = Arc::clone(from);
        if !slow.contains(&false) {
            return to_desk(&self.desk, shared, Job::Publishes { from, publishes, done });
        }
        let (quick_done, slow_done) = join(slow.clone(), done);
        append(shared, slots(prepared), quick_done);
        let publishes = publishes.into_iter().zip(slow).filter_map(|(publish, slow)| slow.then_some(publish)).collect();
        to_desk(&self.desk, shared, Job::Publishes { from, publishes, done: slow_done });
    }

    fn link(&self, from: &Arc<Identity>, change: LinkChange) {
        let state = match change {
            LinkChange::Up => LinkState::Up,
            LinkChange::Lost { .. } => LinkState::Lost,
        };
        let entry = Entry::Link { gateway: from.gateway, state, at: self.shared.clock.now() };
        // A full journal loses this line only: the gateway's own birth and will say the same. Not urgent: whoever connects
        // over and over must not eat what is kept free for SOS.
        let shared = Arc::clone(&self.shared);
        let counted = move |result: Result<model::Seq, AppendError>| {
            if result.is_err() {
                add(&shared.counters.link_lines_lost, 1);
            }
        };
        self.shared.journal.append(vec![entry.to_bytes()], counted);
    }
}

/// Splits one answer in two: the first for the quick publishes, the second for the slow ones, each called once. When both
/// have come the verdicts are put in the order of arrival. A half that is dropped uncalled drops `done` uncalled.
fn join(slow: Vec<bool>, done: Done) -> (Done, Done) {
    type Halves = [Option<Vec<Verdict>>; 2];
    let state: Arc<Mutex<(Halves, Option<Done>)>> = Arc::new(Mutex::new(([None, None], Some(done))));
    let slow = Arc::new(slow);
    let half = |index: usize| -> Done {
        let (state, slow) = (Arc::clone(&state), Arc::clone(&slow));
        Box::new(move |verdicts| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.0[index] = Some(verdicts);
            if state.0.iter().any(Option::is_none) {
                return;
            }
            let [quick, late] = std::mem::take(&mut state.0).map(|half| half.unwrap_or_default().into_iter());
            let Some(done) = state.1.take() else { return };
            drop(state);
            let mut halves = [quick, late];
            // Each half has a verdict for each of its publishes; a missing one would be a bug and counts as not stored.
            let next = |slow: &bool| halves[usize::from(*slow)].next().unwrap_or(Verdict::Failed);
            done(slow.iter().map(next).collect());
        })
    };
    (half(0), half(1))
}

/// One publish on its way: an entry to append and the verdict once it is durable, or a verdict that is certain already.
pub(crate) enum Slot {
    Entry(Ready, Verdict),
    Certain(Verdict),
}

impl Slot {
    /// Will be acknowledged as stored, if the journal takes it.
    pub(crate) fn is_good(&self) -> bool {
        matches!(self, Self::Entry(_, Verdict::Stored) | Self::Certain(Verdict::Stored | Verdict::Duplicate))
    }

    pub(crate) fn of(prepared: Prepared, shared: &Shared) -> Self {
        match prepared {
            Prepared::Entry(ready) => match ready.key {
                Some(key) if shared.ledger.is_duplicate(key) => {
                    add(&shared.counters.duplicate_frames, 1);
                    Self::Certain(Verdict::Duplicate)
                }
                _ => match shared.write_down(ready) {
                    Some(ready) => Self::Entry(ready, Verdict::Stored),
                    None => Self::Certain(Verdict::Busy),
                },
            },
            Prepared::Nothing => Self::Certain(Verdict::Stored),
            Prepared::WrongTopic => {
                add(&shared.counters.refused_topics, 1);
                Self::Certain(Verdict::NotAuthorised)
            }
            Prepared::Malformed(refused) => Self::Certain(Verdict::Malformed(refused.code)),
            // Only the desk can deal with these.
            Prepared::UnknownDevice(_) | Prepared::Partly(..) | Prepared::Notes(..) => Self::Certain(Verdict::Busy),
        }
    }
}

/// Appends the entries as one group and answers when they are durable.
pub(crate) fn append(shared: &Arc<Shared>, slots: Vec<Slot>, done: Done) {
    let mut entries = Vec::with_capacity(slots.len());
    let mut verdicts = Vec::with_capacity(slots.len());
    let mut notes = Vec::with_capacity(slots.len());
    let mut urgent = false;
    for slot in slots {
        match slot {
            Slot::Certain(verdict) => verdicts.push(verdict),
            Slot::Entry(ready, verdict) => {
                urgent |= matches!(ready.lane, Lane::Sos | Lane::Evt);
                verdicts.push(verdict);
                notes.push((verdicts.len() - 1, ready.key, ready.tally, ready.birth));
                entries.push(ready.bytes);
                entries.extend(ready.more);
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
                shared.ledger.mark(notes.iter().filter_map(|(_, key, ..)| *key));
                for (_, _, tally, birth) in &notes {
                    tally.count(&shared.counters);
                    if let Some(gateway) = birth {
                        shared.tell_time(*gateway);
                    }
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
fn to_desk(desk: &SyncSender<Job>, shared: &Shared, job: Job) {
    let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = desk.try_send(job) else { return };
    if let Job::Publishes { publishes, done, .. } = job {
        add(&shared.counters.busy, publishes.len() as u64);
        done(vec![Verdict::Busy; publishes.len()]);
    }
}

impl Shared {
    /// Gives a gateway that was just born the server's time (`d/time`), milliseconds since 1970.
    pub(crate) fn tell_time(&self, gateway: GatewayId) {
        if let Some(door) = &*self.door.load() {
            let payload = serde_json::json!({ "ms": self.clock.now().millis() });
            door.down(gateway, "time", payload.to_string().into(), 1);
        }
    }

    pub(crate) fn tick(&self) {
        let at: Time = self.clock.now();
        // A journal that is full or broken says so by itself; the next tick comes soon.
        self.journal.append_urgent(vec![Entry::Tick(at).to_bytes()], |_| ());
    }
}
