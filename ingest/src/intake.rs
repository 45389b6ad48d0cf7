//! The intake: what the front door hands over becomes durable here, and only then is answered.
//!
//! The quick way (known devices, frames that decode) runs on the connection's task: decode, look for duplicates, attribute,
//! append to the journal. Anything that needs the records store (a device never seen, a frame for the quarantine) goes to
//! the desk, a thread of its own; there a client's later publishes may overtake, which event time puts right again. The
//! other publishes of the same socket read do not wait for it: an SOS beside a rubbish frame is durable at once.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::AppendError;
use model::entry::{Entry, LinkState};
use model::{GatewayId, Lane, Time};
use mqtt::door::{CloseReason, Done, Identity, Intake, LinkChange, Publish, Verdict};
use mqtt::topic::Topic;
use store::records;

use crate::frame::{Prepared, Ready, Refused, WAVEFORM, again, prepare};
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
enum Slot {
    Entry(Ready, Verdict),
    Certain(Verdict),
}

impl Slot {
    /// Will be acknowledged as stored, if the journal takes it.
    fn is_good(&self) -> bool {
        matches!(self, Self::Entry(_, Verdict::Stored) | Self::Certain(Verdict::Stored | Verdict::Duplicate))
    }

    fn of(prepared: Prepared, shared: &Shared) -> Self {
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
fn append(shared: &Arc<Shared>, slots: Vec<Slot>, done: Done) {
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
    fn at_desk(&self, from: &Identity, publish: &Publish) -> Slot {
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
    fn write_down(&self, mut ready: Ready) -> Option<Ready> {
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

    /// Keeps a frame with its cause. `Malformed` once that is durable, `Busy` when it cannot be.
    fn quarantine(&self, from: &Identity, publish: &Publish, refused: &Refused) -> Verdict {
        let Refused { code, detail, .. } = refused;
        let cause = format!("{code}: {detail}");
        let at = publish.received_at;
        match self.records.quarantine_put(from.gateway, &publish.topic, &publish.payload, &cause, at) {
            Ok(id) => {
                add(&self.counters.quarantined_frames, 1);
                add(&self.counters.waveform_frames, u64::from(*code == WAVEFORM));
                if let Some(silent) = self.quiet.due("quarantine", from.gateway) {
                    let gateway = from.gateway.0;
                    tracing::info!(
                        gateway.id = gateway,
                        quarantine.id = id,
                        code,
                        silent,
                        "a frame went into quarantine"
                    );
                }
                self.reject(from, &publish.topic, refused);
                Verdict::Malformed(code)
            }
            Err(error) => {
                if let Some(silent) = self.quiet.due("unkept", from.gateway) {
                    let gateway = from.gateway.0;
                    tracing::error!(gateway.id = gateway, %error, silent, "the quarantine cannot be written; the client keeps its frame");
                }
                add(&self.counters.busy, 1);
                Verdict::Busy
            }
        }
    }

    /// Tells a gateway that a frame was refused (`d/ack`): MQTT 3.1.1 has no other way to say it. `upto` is the ledger's; it
    /// names no holes, because frames under way look like holes here.
    fn reject(&self, from: &Identity, topic: &str, refused: &Refused) {
        let door = self.door.load();
        let Some(door) = &*door else { return };
        let known = match Topic::parse(topic) {
            Ok(Topic::Up { lane, .. }) => self.ledger.track(from.gateway, lane).map(|track| (lane, track)),
            _ => None,
        };
        let lane = match Topic::parse(topic) {
            Ok(Topic::Up { lane, .. }) => lane.as_str(),
            Ok(Topic::State { .. }) => "st",
            // Other dialects have no down-link of ours.
            _ => return,
        };
        let epoch = refused.key.map(|key| key.epoch).or(known.as_ref().map(|(_, track)| track.epoch)).unwrap_or(0);
        let upto = known.filter(|(_, track)| track.epoch == epoch).map_or(0, |(_, track)| track.upto());
        let seq = refused.key.map_or(0, |key| key.seq);
        let payload = serde_json::json!({
            "e": epoch, "lane": lane, "upto": upto, "holes": [], "rej": [{ "seq": seq, "code": refused.code }],
        });
        door.down(from.gateway, "ack", payload.to_string().into(), 1);
    }

    /// Gives a gateway that was just born the server's time (`d/time`), milliseconds since 1970.
    fn tell_time(&self, gateway: GatewayId) {
        if let Some(door) = &*self.door.load() {
            let payload = serde_json::json!({ "ms": self.clock.now().millis() });
            door.down(gateway, "time", payload.to_string().into(), 1);
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
        let publish = again(row.topic, payload, row.at);
        let left = row.cause.starts_with(WAVEFORM).then(|| self.blocks_left(&from, &publish)).flatten();
        match self.at_desk_again(&from, &publish)? {
            Slot::Certain(Verdict::Duplicate) if left.is_some() => {
                self.journal.append_blocking(left.into_iter().collect()).map_err(|error| error.to_string())?;
            }
            Slot::Certain(Verdict::Stored | Verdict::Duplicate) => {}
            Slot::Entry(ready, _) => {
                let entries = std::iter::once(ready.bytes).chain(ready.more).collect();
                self.journal.append_blocking(entries).map_err(|error| error.to_string())?;
                self.ledger.mark(ready.key);
                ready.tally.count(&self.counters);
            }
            Slot::Certain(verdict) => return Err(format!("not stored: {verdict:?}")),
        }
        self.records.quarantine_mark_replayed(id, self.clock.now()).map_err(|error| error.to_string())
    }

    /// The blocks of a frame whose other parts were journalled when it came: an entry with nothing else, so that no event is
    /// told twice.
    fn blocks_left(&self, from: &Identity, publish: &Publish) -> Option<Vec<u8>> {
        let future_max = Duration::from_secs(self.config.future_max_s);
        let Prepared::Entry(ready) = prepare(&self.view.load(), from, publish, future_max) else { return None };
        let Ok(Entry::Frame(mut frame)) = Entry::decode(&ready.bytes) else { return None };
        frame.samples.clear();
        frame.events.clear();
        frame.extras.origins.clear();
        (!frame.extras.waveforms.is_empty()).then(|| Entry::Frame(frame).to_bytes())
    }

    fn at_desk_again(&self, from: &Identity, publish: &Publish) -> Result<Slot, String> {
        let future_max = Duration::from_secs(self.config.future_max_s);
        match prepare(&self.view.load(), from, publish, future_max) {
            Prepared::Malformed(Refused { detail, .. }) => Err(format!("still does not decode: {detail}")),
            // Its readings were journalled when it came.
            Prepared::Partly(_, Refused { detail, .. }) => Err(format!("still does not decode in full: {detail}")),
            Prepared::UnknownDevice(_) | Prepared::Notes(..) => Ok(self.at_desk(from, publish)),
            prepared => Ok(Slot::of(prepared, self)),
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
