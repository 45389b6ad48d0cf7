//! Rules reach the engine through the journal only, so that the log alone decides what was judged by what.
//!
//! One thread (`alerting.rules`) compares what the records say is in force with what the journal was told, and tells the
//! difference: default set, ages, each set of layers once with all its elders, quiet periods. It looks when somebody has saved
//! something, and every minute, because assignments begin and end, people have birthdays and move. Journal first, then the
//! records: a crash between the two tells the journal once more, which changes nothing.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use journal::Journal;
use model::entry::{AGED_MAX, Entry};
use model::layer::Refused;
use model::{ElderId, Seq};
use runtime::{Clock, Stop};
use store::records::{Records, Told};

use crate::Error;

/// Elders of one entry. Far below the most an entry may hold: the engine takes an entry at once, and an SOS behind it waits.
const ELDERS_PER_ENTRY: usize = 2_000;
/// Beginnings, ends and birthdays take force within this time.
const EVERY: Duration = Duration::from_mins(1);
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(1);
/// A stop is noticed within this time.
const SLICE: Duration = Duration::from_millis(100);
/// Longest time that somebody who has saved rules waits until the journal has them.
const WAIT_MOST: Duration = Duration::from_secs(10);

/// Tells the journal what it does not know.
#[derive(Debug)]
pub(crate) struct Publisher {
    records: Records,
    journal: Journal,
    clock: Clock,
    /// Layers that were found not to fit, so that each finding is logged once.
    left_out: Mutex<Vec<Refused>>,
}

impl Publisher {
    pub(crate) fn new(records: &Records, journal: &Journal, clock: &Clock) -> Self {
        let (records, journal, clock) = (records.clone(), journal.clone(), clock.clone());
        Self { records, journal, clock, left_out: Mutex::default() }
    }

    /// Takes the shipped default set and layers over, if there are none or older ones.
    pub(crate) fn ensure_shipped(&self) -> Result<(), Error> {
        self.records.ensure_default_rules(&engine::default_rules())?;
        Ok(self.records.ensure_layers(&engine::shipped_layers())?)
    }

    /// Tells everything that is due. Returns how many entries that took.
    pub(crate) fn round(&self) -> Result<usize, Error> {
        let due = self.records.rules_due()?;
        let at = self.clock.now();
        let mut entries = 0;
        if let Some(set) = due.default {
            let told = Told::Default { version: set.version };
            self.tell(&Entry::Rules { elders: Vec::new(), at, set }, told)?;
            entries += 1;
        }
        for (aged, elders) in [(true, &due.aged), (false, &due.not_aged)] {
            for part in elders.chunks(AGED_MAX) {
                self.tell(&Entry::Aged { aged, at, elders: part.to_vec() }, Told::Aged { aged, elders: part })?;
                entries += 1;
            }
        }
        for (set, elders) in due.sets {
            for part in elders.chunks(ELDERS_PER_ENTRY) {
                let told = Told::Set { version: set.version, elders: part };
                self.tell(&Entry::Rules { elders: part.to_vec(), at, set: set.clone() }, told)?;
                entries += 1;
            }
        }
        for quiet in &due.quiet {
            self.tell(&Entry::Quiet(quiet.clone()), Told::Quiet(quiet))?;
            entries += 1;
        }
        self.log_left_out(due.left_out);
        Ok(entries)
    }

    fn tell(&self, entry: &Entry, told: Told<'_>) -> Result<Seq, Error> {
        let seq = self.journal.append_blocking(vec![entry.to_bytes()])?;
        self.records.rules_told(told)?;
        Ok(seq)
    }

    fn log_left_out(&self, found: Vec<Refused>) {
        let mut known = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        for refused in found.iter().filter(|refused| !known.contains(refused)) {
            tracing::error!(%refused, "a layer of rules does not fit together with others of the same elder; it is not in force there");
        }
        *known = found;
    }

    /// Runs until stopped.
    pub(crate) fn run(self, rounds: &Rounds, stop: &Stop) {
        loop {
            let asked = rounds.asked();
            let pause = match self.round() {
                Ok(entries) => {
                    if entries > 0 {
                        tracing::info!(entries, "rules, ages or quiet periods have changed; the journal has them");
                    }
                    rounds.done(asked);
                    EVERY
                }
                Err(error) => {
                    tracing::error!(%error, "cannot bring rules into force; tried again");
                    PAUSE
                }
            };
            if !rounds.wait(asked, pause, stop) {
                return;
            }
        }
    }
}

/// Who asked for a round, and which were done.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Counts {
    asked: u64,
    done: u64,
}

impl Rounds {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> u64 {
        self.lock().asked
    }

    fn done(&self, upto: u64) {
        self.lock().done = upto;
        self.changed.notify_all();
    }

    /// Until somebody asks (again), `pause` is over or it is time to stop: then `false`.
    fn wait(&self, seen: u64, pause: Duration, stop: &Stop) -> bool {
        let until = Instant::now() + pause;
        let mut counts = self.lock();
        while !stop.is_requested() {
            if (counts.asked > seen && counts.done >= seen) || Instant::now() >= until {
                return true;
            }
            counts = self.changed.wait_timeout(counts, SLICE).unwrap_or_else(PoisonError::into_inner).0;
        }
        false
    }

    /// Asks for a round and waits for it. `false`: not yet; it is tried on.
    pub(crate) fn publish(&self) -> bool {
        let until = Instant::now() + WAIT_MOST;
        let mut counts = self.lock();
        counts.asked += 1;
        let mine = counts.asked;
        self.changed.notify_all();
        while counts.done < mine {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            counts = self.changed.wait_timeout(counts, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// The elders of a journal that begins anew (or whose beginning is gone) are told everything again.
pub(crate) fn forget_told(records: &Records) -> Result<Vec<(ElderId, model::rule::RuleSet)>, Error> {
    let own = records.own_rules()?;
    records.rules_untold()?;
    Ok(own)
}
