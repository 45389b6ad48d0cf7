//! Follows the journal: every entry once through the engine, every transition once into the records.
//!
//! The records hold the cursor, written in the transaction of the alarms it stands for. The engine's state on disk may be
//! older (never newer): entries between the two are stepped again, and what they say is dropped, because it is recorded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use engine::Engine;
use journal::{Journal, Reader};
use model::alarm::Transition;
use model::entry::{Entry, LinkState};
use model::{GatewayId, Seq, Time};
use runtime::{Clock, Stop};
use store::records::Records;

use crate::checkpoint::{self, Checkpoint};
use crate::rules::Publisher;
use crate::stats::Counts;
use crate::{CURSOR, Config, Deps, Error, escalation, rules};

/// Bytes of journal read at once.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// How long a read waits for news: the longest a stop goes unnoticed.
const READ_WAIT: Duration = Duration::from_millis(200);
/// Transitions written in one transaction; more only when one entry has more.
const TRANSITIONS_MAX: usize = 256;
/// Without transitions the cursor is still written this often.
const CURSOR_EVERY: Duration = Duration::from_secs(5);
/// Pause after the first failure, doubled up to the longest.
const PAUSE_LEAST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// The engine thread's own.
#[derive(Debug)]
pub(crate) struct Follower {
    engine: Engine,
    journal: Journal,
    records: Records,
    clock: Clock,
    counts: Arc<Counts>,
    /// Up to here the records are complete.
    recorded: Seq,
    recorded_at: Instant,
    /// Transitions of entries after `recorded`.
    out: Vec<Transition>,
    /// What entries after `recorded` say of gateways' links.
    links: BTreeMap<GatewayId, (LinkState, Time)>,
    /// Position of the last checkpoint handed over, and when.
    saved: Seq,
    saved_at: Instant,
    save_every: Duration,
    save_entries: u64,
}

impl Follower {
    /// Finds the state to go on from.
    pub(crate) fn open(config: &Config, deps: &Deps, counts: Arc<Counts>) -> Result<Self, Error> {
        let Deps { journal, records, clock, dir } = deps.clone();
        journal.register_cursor(CURSOR)?;
        let publisher = Publisher::new(&records, &journal, &clock);
        publisher.ensure_shipped()?;
        let default = records.ensure_default_rules(&engine::default_rules())?.set;
        let (first, head) = (journal.first(), journal.head());
        let recorded = records.alerting_cursor()?;
        if recorded > head {
            return Err(Error::Ahead { records: recorded, journal: head });
        }
        if head == Seq(0) {
            rules::forget_told(&records)?;
            publisher.round()?;
        }
        let fits = |at: Seq| at <= recorded && at.0 + 1 >= first.0;
        let engine = match checkpoint::load(&dir, fits) {
            Some(engine) => engine,
            // The whole log is there: it also says by which rules to judge, from its first `Rules` entry on. Entries before
            // that one (the process ended right after its very first start) are judged by the default too.
            None if first.0 <= 1 => Engine::new(default),
            None => {
                tracing::warn!(
                    first = first.0,
                    "no usable checkpoint: alarms are judged anew from the oldest entry kept"
                );
                Engine::with_rules(default, rules::forget_told(&records)?)
            }
        };
        let saved = engine.position();
        tracing::info!(from = saved.0, recorded = recorded.0, head = head.0, "alerting follows the journal");
        Ok(Self {
            engine,
            journal,
            records,
            clock,
            counts,
            recorded,
            recorded_at: Instant::now(),
            out: Vec::new(),
            links: BTreeMap::new(),
            saved,
            saved_at: Instant::now(),
            save_every: Duration::from_secs(config.checkpoint_s),
            save_entries: config.checkpoint_entries,
        })
    }

    /// Runs until stopped. Everything read is recorded before it returns, if the records take it.
    pub(crate) fn run(mut self, files: &SyncSender<Checkpoint>, stop: &Stop) {
        let from = Seq(self.engine.position().0.max(self.journal.first().0.saturating_sub(1)));
        let mut reader = self.journal.reader(from);
        let mut pause = PAUSE_LEAST;
        while !stop.is_requested() {
            match reader.read(BATCH_BYTES_MAX, READ_WAIT) {
                Ok(batch) => {
                    pause = PAUSE_LEAST;
                    self.take(&batch, stop);
                    self.save_if_due(files);
                }
                Err(error) => match self.recover(&mut reader, &error) {
                    Recovery::GoOn => {}
                    Recovery::Wait => {
                        wait(stop, pause);
                        pause = (pause * 2).min(PAUSE_MOST);
                    }
                    Recovery::End => break,
                },
            }
        }
        // Not recorded: the next start finds the entries again.
        if self.out.is_empty() && self.record_once().is_ok() {
            let last = (self.engine.position(), self.engine.save());
            if files.send(last).is_err() {
                tracing::warn!("the checkpoint thread has ended; the next start reads more of the journal");
            }
        }
    }

    fn take(&mut self, batch: &journal::Batch, stop: &Stop) {
        for (seq, bytes) in batch.iter() {
            match Entry::decode(bytes) {
                Ok(entry) => self.step(seq, &entry),
                Err(error) => {
                    Counts::add(&self.counts.undecodable, 1);
                    tracing::error!(seq = seq.0, %error, "a journal entry does not decode; skipped");
                }
            }
            if self.out.len() >= TRANSITIONS_MAX && !self.record(stop) {
                return;
            }
        }
        let position = self.engine.position();
        if !self.out.is_empty() || (position > self.recorded && self.recorded_at.elapsed() >= CURSOR_EVERY) {
            self.record(stop);
        }
        self.counts.position.send_if_modified(|seen| std::mem::replace(seen, position) != position);
        if batch.is_empty() {
            self.counts.subjects.store(self.engine.subjects() as u64, Ordering::Relaxed);
            self.counts.present.store(self.engine.present() as u64, Ordering::Relaxed);
        }
        self.counts.set_engine(*self.engine.counters());
    }

    fn step(&mut self, seq: Seq, entry: &Entry) {
        let known = self.out.len();
        self.engine.step(seq, entry, &mut self.out);
        if seq <= self.recorded {
            self.out.truncate(known);
        } else if let Entry::Link { gateway, state, at } = entry {
            self.links.insert(*gateway, (*state, *at));
        }
    }

    /// Writes alarms, pages and cursor in one transaction; tries until it works. `false`: stopped before that.
    fn record(&mut self, stop: &Stop) -> bool {
        let mut pause = PAUSE_LEAST;
        loop {
            match self.record_once() {
                Ok(()) => {
                    self.counts.stalled.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => {
                    tracing::error!(%error, waiting = self.out.len(), "the records do not take alarms; trying again");
                    self.counts.stalled.store(true, Ordering::Relaxed);
                }
            }
            if stop.is_requested() {
                return false;
            }
            wait(stop, pause);
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    fn record_once(&mut self) -> Result<(), store::records::Error> {
        let position = self.engine.position();
        if position > self.recorded {
            // Before the cursor: told again after a crash, which changes nothing.
            let links: Vec<_> = self.links.iter().map(|(gateway, (state, at))| (*gateway, *state, *at)).collect();
            self.records.links_changed(&links)?;
            self.links.clear();
            let now = self.clock.now();
            let plan = |alarm: &store::records::AlarmView| escalation::first(&self.records, alarm, now);
            self.records.apply(&self.out, position, now, &plan)?;
            Counts::add(&self.counts.transitions, self.out.len() as u64);
            self.recorded = position;
            self.recorded_at = Instant::now();
        }
        self.out.clear();
        Ok(())
    }

    fn save_if_due(&mut self, files: &SyncSender<Checkpoint>) {
        let position = self.engine.position();
        let entries = position.0.saturating_sub(self.saved.0);
        if entries == 0 || (entries < self.save_entries && self.saved_at.elapsed() < self.save_every) {
            return;
        }
        if !self.out.is_empty() || self.record_once().is_err() {
            return;
        }
        self.saved_at = Instant::now();
        // Full: the one before is still being written; the next turn tries again.
        if files.try_send((position, self.engine.save())).is_ok() {
            self.saved = position;
        }
    }

    fn recover(&mut self, reader: &mut Reader, error: &journal::Error) -> Recovery {
        match error {
            journal::Error::Closed => Recovery::End,
            journal::Error::Corrupt { seq, last } => {
                let lost = last.0 - seq.0 + 1;
                Counts::add(&self.counts.damaged, lost);
                tracing::error!(from = seq.0, to = last.0, "journal entries are damaged on disk; not judged");
                reader.seek(*last);
                Recovery::GoOn
            }
            journal::Error::Trimmed { first } => {
                tracing::error!(first = first.0, "journal entries are gone that were not judged");
                reader.seek(Seq(first.0.saturating_sub(1)));
                Recovery::GoOn
            }
            journal::Error::Ahead { .. } => {
                tracing::error!(%error, "alerting cannot go on");
                Recovery::End
            }
            _ => {
                tracing::error!(%error, "the journal cannot be read; trying again");
                Recovery::Wait
            }
        }
    }
}

enum Recovery {
    GoOn,
    Wait,
    End,
}

/// A pause on a thread that still notices a stop.
fn wait(stop: &Stop, pause: Duration) {
    let until = Instant::now() + pause;
    while !stop.is_requested() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
}
