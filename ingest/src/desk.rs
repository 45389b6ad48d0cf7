//! The desk: the slow way of the intake, a thread of its own. It registers devices, keeps retained states and sees to what the
//! records write down beside a frame.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use model::entry::Entry;
use mqtt::door::{CloseReason, Done, Identity, Publish, Verdict};
use store::records;

use crate::Shared;
use crate::frame::{Prepared, Ready, prepare};
use crate::intake::{Job, Slot, append};
use crate::retained::is_state;
use crate::stats::add;

/// Jobs the desk takes in one go: their retained states are one transaction.
const JOBS_MAX: usize = 256;

/// A job at the desk: its publishes with what became of each.
struct Batch {
    from: Arc<Identity>,
    publishes: Vec<Publish>,
    slots: Vec<Slot>,
    done: Done,
}

/// The desk's thread: takes what waits, until told to stop.
pub(crate) fn desk(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    let mut stopped = false;
    while !stopped {
        let Ok(first) = jobs.recv() else { return };
        let mut batches = Vec::new();
        for job in std::iter::once(first).chain(jobs.try_iter().take(JOBS_MAX - 1)) {
            match job {
                Job::Publishes { from, publishes, done } => {
                    let slots = publishes.iter().map(|publish| shared.at_desk(&from, publish)).collect();
                    batches.push(Batch { from, publishes, slots, done });
                }
                Job::Stop => stopped = true,
            }
        }
        shared.keep_states(&mut batches);
        let mut born = Vec::new();
        for Batch { from, publishes, slots, done } in batches {
            for (publish, slot) in publishes.iter().zip(&slots) {
                if matches!(slot, Slot::Entry(Ready { birth: Some(_), .. }, Verdict::Stored)) {
                    born.push((from.gateway, publish.payload.clone()));
                }
            }
            append(shared, slots, done);
        }
        for (gateway, birth) in born {
            shared.announced(gateway, &birth);
            shared.care_for(gateway, &birth);
        }
    }
}

impl Shared {
    /// Writes the retained states among the publishes. What cannot be written is answered "busy": the client keeps it.
    fn keep_states(&self, batches: &mut [Batch]) {
        let mut states = Vec::new();
        for batch in &*batches {
            for (publish, slot) in batch.publishes.iter().zip(&batch.slots) {
                if is_state(publish) && slot.is_good() {
                    states.push((batch.from.gateway, publish.topic.as_str(), &*publish.payload));
                }
            }
        }
        if states.is_empty() {
            return;
        }
        let Err(error) = self.records.retained_put_all(&states, self.clock.now()) else { return };
        add(&self.counters.retained_unsaved, states.len() as u64);
        if let Some(silent) = states.first().and_then(|(gateway, ..)| self.quiet.due("retained", *gateway)) {
            tracing::warn!(states = states.len(), %error, silent, "retained states cannot be kept; the clients keep them");
        }
        for batch in batches {
            for (publish, slot) in batch.publishes.iter().zip(&mut batch.slots) {
                if is_state(publish) && slot.is_good() {
                    add(&self.counters.busy, 1);
                    *slot = Slot::Certain(Verdict::Busy);
                }
            }
        }
    }

    /// The slow way for one publish: register its device, or keep the frame in quarantine.
    pub(crate) fn at_desk(&self, from: &Identity, publish: &Publish) -> Slot {
        let future_max = Duration::from_secs(self.config.future_max_s);
        let mut prepared = prepare(&self.view.load(), from, publish, future_max);
        if let Prepared::UnknownDevice(name) = &prepared {
            match self.records.ensure_device(from.gateway, name).map_err(Refusal::from).and_then(|_| self.refresh()) {
                Ok(()) => prepared = prepare(&self.view.load(), from, publish, future_max),
                Err(Refusal::TooMany(detail)) => prepared = Prepared::too_many_devices(detail),
                Err(Refusal::Later(error)) => {
                    if let Some(silent) = self.quiet.due("device", from.gateway) {
                        tracing::warn!(
                            gateway.id = from.gateway.0,
                            error,
                            silent,
                            "a new device could not be registered; the client keeps its frame"
                        );
                    }
                    add(&self.counters.busy, 1);
                }
            }
        }
        match prepared {
            Prepared::Malformed(refused) => Slot::Certain(self.quarantine(from, publish, &refused)),
            Prepared::Partly(ready, refused) => {
                // What is known is used whatever becomes of the rest; until that is kept too, the client sends it again.
                let verdict = match self.quarantine(from, publish, &refused) {
                    Verdict::Malformed(_) => Verdict::Stored,
                    other => other,
                };
                match Slot::of(Prepared::Entry(ready), self) {
                    Slot::Entry(ready, _) => Slot::Entry(ready, verdict),
                    Slot::Certain(_) if verdict == Verdict::Busy => Slot::Certain(verdict),
                    certain @ Slot::Certain(_) => certain,
                }
            }
            Prepared::Notes(ready, notes) => match Slot::of(Prepared::Entry(ready), self) {
                Slot::Entry(mut ready, mut verdict) => match self.take_notes(from.gateway, publish.received_at, &notes)
                {
                    Ok(taken) => {
                        ready.more = taken.entries;
                        if let Some(refused) = taken.unknown {
                            verdict = match self.quarantine(from, publish, &refused) {
                                Verdict::Malformed(_) => Verdict::Stored,
                                other => other,
                            };
                        }
                        Slot::Entry(ready, verdict)
                    }
                    Err(error) => {
                        if let Some(silent) = self.quiet.due("notes", from.gateway) {
                            let gateway = from.gateway.0;
                            tracing::error!(gateway.id = gateway, %error, silent, "notes cannot be kept; the gateway keeps them");
                        }
                        add(&self.counters.busy, 1);
                        Slot::Certain(Verdict::Busy)
                    }
                },
                certain @ Slot::Certain(_) => certain,
            },
            prepared => Slot::of(prepared, self),
        }
    }

    /// Writes down what the records keep of an entry. A measurement that was told before, and given to somebody since, goes to
    /// them. `None`: the records refuse, and the client keeps its frame.
    pub(crate) fn write_down(&self, mut ready: Ready) -> Option<Ready> {
        let Some(keep) = ready.keep.take() else { return Some(ready) };
        if let Some((device, pair)) = keep.clock
            && let Err(error) = self.records.clock_put(device, &pair)
        {
            // Only shown to people; the readings carry their corrected times.
            tracing::warn!(device.id = device.0, %error, "the clock of a device is not written down");
        }
        let Some(measurement) = keep.measurement else { return Some(ready) };
        match self.records.measurement_put(&measurement) {
            Ok(subject) => {
                if let Ok(Entry::Frame(mut frame)) = Entry::decode(&ready.bytes)
                    && frame.subject != subject
                {
                    frame.subject = subject;
                    ready.bytes = Entry::Frame(frame).to_bytes();
                }
                Some(ready)
            }
            Err(error) => {
                add(&self.counters.busy, 1);
                if let Some(silent) = self.quiet.due("measurement", measurement.gateway) {
                    let gateway = measurement.gateway.0;
                    tracing::warn!(gateway.id = gateway, %error, silent, "a measurement of a shared device cannot be written down; the client keeps it");
                }
                None
            }
        }
    }

    /// Reads the registry again, after a change in the records store.
    pub(crate) fn refresh(&self) -> Result<(), Refusal> {
        let snapshot = self.records.registry()?;
        let before = self.view.swap(Arc::new(crate::view::View::new(snapshot)));
        let Some(door) = self.door.load_full() else { return Ok(()) };
        for gateway in before.revoked(&self.view.load()) {
            if door.kick(gateway, CloseReason::Kicked) {
                tracing::info!(gateway.id = gateway.0, "its rights have changed: the link is ended");
            }
        }
        Ok(())
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
