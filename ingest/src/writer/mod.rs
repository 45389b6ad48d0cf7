//! The writer: moves readings from the journal to the readings store in large, idempotent batches, its progress with them.
//!
//! ```text
//! journal --tape--> batch --Sink::write--> readings store      plan.rs says which lane is next, pace.rs how much
//! ```
//! A store that is slow, paused or gone delays only the writer's cursor: alarms read the journal by themselves. When it is back
//! after a long time, what is new goes first and what waited follows behind it (`plan.rs`). An error is tried again for as long as
//! it takes; readings that a store refuses for good are found by halving and set aside (`aside.rs`).

mod again;
mod aside;
mod batch;
mod figures;
mod pace;
mod plan;
mod purge;
mod refused;
mod sink;
mod tape;
#[cfg(test)]
mod tests;
mod upkeep;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use journal::Journal;
use model::Seq;
use runtime::{Clock, Stop};
use store::readings::{Progress, Written};

pub use again::{AgainError, PutAgain, SetAside, list_refused, retry_refused};
pub use aside::REFUSED_FILE;
pub use figures::{Backlog, COMMIT_BOUNDS_S, Histogram, Live, Trouble, Writing};
pub use purge::{Refused, count_refused, forget_refused};

pub(crate) use aside::Aside;
pub(crate) use figures::Figures;
pub(crate) use sink::Sink;
pub(crate) use upkeep::upkeep;

use crate::config::Config;
use crate::stats::{Counters, add};
use batch::Batch;
use pace::Pace;
use plan::{Lane, Plan};
use sink::{Refusal, Remedy};
use tape::Tape;

/// Name of the writer's cursor in the journal; its truth is the progress in the readings store.
pub const CURSOR: &str = "writer";
/// Pause between two tries while the store does not answer: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_millis(500);
/// How long one wait for new entries lasts before the stop signal is looked at again.
const WAIT: Duration = Duration::from_millis(200);
/// The same trouble is told again after this time.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What the writer works with.
pub(crate) struct Deps<'a, S> {
    pub(crate) config: &'a Config,
    pub(crate) journal: &'a Journal,
    pub(crate) sink: &'a S,
    pub(crate) clock: &'a Clock,
    pub(crate) counters: &'a Counters,
    pub(crate) figures: &'a Figures,
    pub(crate) aside: &'a Aside,
    /// The journal's end when the process started, and what the store's progress was then known to be.
    pub(crate) started: (Seq, Seq),
}

/// Runs until stopped; blocking, so it wants a thread of its own.
pub(crate) fn run<S: Sink>(deps: &Deps<'_, S>, stop: &Stop) {
    let mut retry = Retry::default();
    let Some(progress) = first_progress(deps, &mut retry, stop) else { return };
    deps.figures.known(&progress);
    let mut writer = Writer::new(deps, Plan::new(progress), retry);
    while !stop.is_requested() && writer.turn(stop).is_continue() {}
}

/// Where the store stands. Waits until it says so; `None` when asked to stop first.
fn first_progress<S: Sink>(deps: &Deps<'_, S>, retry: &mut Retry, stop: &Stop) -> Option<Progress> {
    let (head, journalled) = deps.started;
    loop {
        match deps.sink.progress() {
            Ok(progress) if progress.live > head => {
                // A server can be newer than the data directory. What this journal holds and will hold up to there is stored
                // again: what is there already stays as it is.
                tracing::error!(
                    store = progress.live.0,
                    journal = head.0,
                    "the readings store has seen more than this journal: an older data directory was put back; all that the journal has is stored again"
                );
                return Some(Progress { pending: vec![(journalled, progress.live)], live: progress.live });
            }
            Ok(progress) => return Some(progress),
            Err(refusal) => {
                deps.failed(retry, &refusal);
                if !retry.pause(stop) {
                    return None;
                }
            }
        }
    }
}

impl<S> Deps<'_, S> {
    fn failed(&self, retry: &mut Retry, refusal: &Refusal) {
        add(&self.counters.writer_retries, 1);
        self.figures.failed(refusal, self.clock.now());
        if retry.is_news(refusal.cause) {
            tracing::warn!(
                cause = refusal.cause,
                error = refusal.text,
                "the readings store does not take readings; the journal keeps them"
            );
        }
    }
}

/// The pause before the next try, and when the same trouble was last told.
#[derive(Debug)]
struct Retry {
    delay: Duration,
    told: Option<(&'static str, Instant)>,
}

impl Default for Retry {
    fn default() -> Self {
        Self { delay: RETRY_FIRST, told: None }
    }
}

impl Retry {
    fn is_news(&mut self, cause: &'static str) -> bool {
        let news = self.told.is_none_or(|(known, at)| known != cause || at.elapsed() > TELL_EVERY);
        if news {
            self.told = Some((cause, Instant::now()));
        }
        news
    }

    /// Sleeps in small steps. False when asked to stop.
    fn pause(&mut self, stop: &Stop) -> bool {
        let until = Instant::now() + self.delay;
        self.delay = (self.delay * 2).min(RETRY_MAX);
        while !stop.is_requested() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        !stop.is_requested()
    }
}

/// Size and place of one lane.
struct Track {
    tape: Tape,
    pace: Pace,
}

struct Writer<'a, S> {
    deps: &'a Deps<'a, S>,
    plan: Plan,
    live: Track,
    backlog: Track,
    batch: Batch,
    retry: Retry,
    /// The backlog rests until then, because the store takes only what is new.
    rests_until: Option<Instant>,
    rest: Duration,
    begun: Instant,
}

impl<'a, S: Sink> Writer<'a, S> {
    fn new(deps: &'a Deps<'a, S>, plan: Plan, retry: Retry) -> Self {
        let commit = Duration::from_millis(deps.config.writer_commit_ms);
        let pace = Pace::new(deps.sink.kind(), deps.config.writer_rows_max, commit);
        let track = |from| Track { tape: Tape::new(deps.journal, from), pace: pace.clone() };
        let live = plan.progress().live;
        let from = plan.backlog().map_or(live, |(after, _)| after);
        let (live, backlog) = (track(live), track(from));
        let (batch, begun) = (Batch::default(), Instant::now());
        Self { deps, plan, live, backlog, batch, retry, rests_until: None, rest: RETRY_FIRST, begun }
    }

    const fn track(&mut self, lane: Lane) -> &mut Track {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// One batch of one lane. Breaks when the journal is closed or a stop was asked for.
    fn turn(&mut self, stop: &Stop) -> ControlFlow<()> {
        let lane = if self.rests_until.is_some_and(|until| Instant::now() < until) {
            Lane::Live
        } else {
            self.plan.turn(self.begun.elapsed(), self.deps.journal.head(), self.live.pace.batch_entries())
        };
        match self.fill(lane) {
            Ok(()) => {}
            Err(journal::Error::Closed) => return ControlFlow::Break(()),
            Err(error) => {
                self.give_up(lane, &error);
                return if self.retry.pause(stop) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) };
            }
        }
        let Some(last) = self.batch.last else {
            if !self.plan.is_draining() {
                self.deps.figures.idle();
            } else if lane == Lane::Backlog {
                // The journal has nothing of a range that it should have: not in a hurry.
                std::thread::sleep(WAIT);
            }
            return ControlFlow::Continue(());
        };
        if lane == Lane::Live && self.is_late(last) {
            self.go_live();
            return ControlFlow::Continue(());
        }
        self.store(lane, last, stop)
    }

    /// Reads a batch, from where the plan stands.
    fn fill(&mut self, lane: Lane) -> Result<(), journal::Error> {
        let draining = self.plan.is_draining();
        let resting = self.rests_until.is_some();
        let (from, upto) = match lane {
            Lane::Backlog => self.plan.backlog().unwrap_or_default(),
            Lane::Live => (self.plan.progress().live, Seq(u64::MAX)),
        };
        self.batch.clear(lane == Lane::Live && draining);
        let (mut wait, linger) = match lane {
            Lane::Live if !draining => (WAIT, Duration::from_millis(self.deps.config.writer_linger_ms)),
            Lane::Live if resting => (RETRY_FIRST, Duration::ZERO),
            _ => (Duration::ZERO, Duration::ZERO),
        };
        let Self { deps, live, backlog, batch, .. } = self;
        let Track { tape, pace } = if lane == Lane::Live { live } else { backlog };
        tape.seek(from);
        let (rows, entries) = (pace.rows(), pace.entries_max());
        let mut until: Option<Instant> = None;
        while batch.weight < rows && batch.entries < entries && batch.last < Some(upto) {
            let given = tape.give(wait, |seq, bytes| {
                batch.push(seq, bytes, deps.counters);
                let full = batch.weight >= rows || batch.entries >= entries || seq >= upto;
                if full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match given {
                Ok(0) => break,
                Ok(_) => {}
                // What was read before the trouble is stored first; the trouble comes again.
                Err(_) if batch.last.is_some() => break,
                Err(error) => return Err(error),
            }
            let until = *until.get_or_insert_with(|| Instant::now() + linger);
            wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() && linger > Duration::ZERO {
                break;
            }
        }
        deps.figures.began(lane, batch.arrived);
        Ok(())
    }

    fn is_late(&self, last: Seq) -> bool {
        let age = self.batch.arrived.map(|at| self.deps.clock.now().since_us(at));
        let age = age.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros);
        let entries = self.deps.journal.head().0.saturating_sub(last.0);
        self.plan.is_late(age, entries, self.batch.entries as u64)
    }

    fn go_live(&mut self) {
        let head = self.deps.journal.head();
        let behind = head.0.saturating_sub(self.plan.progress().live.0);
        self.plan.go_live(head);
        self.deps.figures.went_live(self.plan.progress());
        tracing::info!(entries = behind, "readings are stored live again; what waited follows");
    }

    /// Stores the batch. After an error the next turn reads it again, or something newer.
    fn store(&mut self, lane: Lane, last: Seq, stop: &Stop) -> ControlFlow<()> {
        let progress = self.plan.after(lane, last, &self.batch.left);
        let begun = Instant::now();
        match self.deps.sink.write(&self.batch.content, &progress) {
            Ok(written) => {
                self.stored(lane, &written, begun.elapsed(), progress);
                ControlFlow::Continue(())
            }
            Err(refusal) => self.refused(lane, last, &refusal, stop),
        }
    }

    fn stored(&mut self, lane: Lane, written: &Written, commit: Duration, progress: Progress) {
        count(self.deps.counters, written);
        let (rows, entries) = (self.batch.weight, self.batch.entries);
        let track = self.track(lane);
        track.pace.stored(rows, entries, commit);
        let size = track.pace.rows();
        let batch = figures::Stored { lane, rows, entries, commit, size, arrived: self.batch.arrived };
        self.deps.figures.stored(&batch, &progress, self.deps.clock.now());
        self.moved_on(progress);
        if self.retry.told.is_some() {
            tracing::info!("the readings store takes readings again");
        }
        self.retry = Retry::default();
        if lane == Lane::Backlog {
            (self.rests_until, self.rest) = (None, RETRY_FIRST);
        }
    }

    fn moved_on(&mut self, progress: Progress) {
        self.deps.journal.commit_cursor(CURSOR, progress.done());
        self.plan.moved_on(progress);
    }

    fn refused(&mut self, lane: Lane, last: Seq, refusal: &Refusal, stop: &Stop) -> ControlFlow<()> {
        self.deps.failed(&mut self.retry, refusal);
        let entries = self.batch.entries;
        match refusal.remedy {
            Remedy::Without if self.track(lane).pace.refused(entries) => return ControlFlow::Continue(()),
            Remedy::Without => match self.set_aside(lane, last, refusal.cause) {
                Ok(()) => return ControlFlow::Continue(()),
                Err(error) => {
                    tracing::error!(%error, "refused readings cannot be set aside in {REFUSED_FILE}; the writer waits");
                }
            },
            Remedy::Fewer => {
                self.track(lane).pace.too_many();
                if lane == Lane::Backlog {
                    // What is new goes on meanwhile.
                    self.rests_until = Some(Instant::now() + self.rest);
                    self.rest = (self.rest * 2).min(RETRY_MAX);
                    return ControlFlow::Continue(());
                }
            }
            Remedy::Wait => {}
        }
        if self.retry.pause(stop) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// The single entry of the batch goes to the file, and the writer past it.
    fn set_aside(&mut self, lane: Lane, seq: Seq, cause: &str) -> std::io::Result<()> {
        let mut entry = Vec::new();
        let track = self.track(lane);
        track.tape.seek(Seq(seq.0 - 1));
        let read = track.tape.give(Duration::ZERO, |_, bytes| {
            entry = bytes.to_vec();
            ControlFlow::Break(())
        });
        if !matches!(read, Ok(1)) {
            return Err(std::io::Error::other("the journal entry cannot be read again"));
        }
        self.deps.aside.put(seq, &entry, cause, self.deps.clock.now())?;
        self.track(lane).pace.set_aside();
        add(&self.deps.counters.refused_entries, 1);
        self.deps.figures.set_aside();
        tracing::error!(
            journal.seq = seq.0,
            cause,
            "the readings store refuses an entry for good; it is in {REFUSED_FILE}"
        );
        let next = self.plan.after(lane, seq, &[]);
        // If it fails, the next batch brings it.
        if self.deps.sink.write(&store::readings::Batch::default(), &next).is_ok() {
            self.deps.journal.commit_cursor(CURSOR, next.done());
        }
        self.plan.moved_on(next);
        Ok(())
    }

    /// Goes past entries that are damaged on disk or gone, loudly: waiting for them would hold the cursor, and with it the whole
    /// journal, for ever.
    fn give_up(&mut self, lane: Lane, error: &journal::Error) {
        let (from, upto) = match lane {
            Lane::Live => (self.plan.progress().live, Seq(u64::MAX)),
            Lane::Backlog => self.plan.backlog().unwrap_or_default(),
        };
        let next = match error {
            journal::Error::Corrupt { last, .. } => *last,
            journal::Error::Trimmed { first } => Seq(first.0.saturating_sub(1)),
            _ => {
                tracing::error!(%error, "the writer cannot read the journal; trying again");
                return;
            }
        };
        let next = next.min(upto);
        let lost = next.0.saturating_sub(from.0);
        add(&self.deps.counters.damaged_entries, lost);
        tracing::error!(%error, lost, "readings of these journal entries are not stored");
        let progress = self.plan.after(lane, next, &[]);
        self.plan.moved_on(progress);
    }
}

fn count(counters: &Counters, written: &Written) {
    add(&counters.stored_readings, written.stored);
    add(&counters.duplicate_readings, written.duplicate);
    add(&counters.conflicting_readings, written.conflict);
    add(&counters.expired_readings, written.expired);
    add(&counters.rehomed_measurements, written.moved);
    add(&counters.stored_blocks, written.waves.stored);
    add(&counters.duplicate_blocks, written.waves.duplicate);
    add(&counters.refused_blocks, written.waves.refused);
}
