//! What operators see of the writer: how much, how far, how late, and what is in its way. Never a value of a person.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::{Seq, Time};
use serde::Serialize;
use store::readings::{Progress, Stats};

use super::plan::Lane;
use super::sink::Refusal;

/// Upper bounds of the histograms' buckets, seconds; the last bucket has none.
pub const COMMIT_BOUNDS_S: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 30.0];
/// Seconds over which rates are taken.
const RATE_S: u64 = 10;
/// Seconds over which the worst live lag is remembered.
const WORST_S: u64 = 60;

/// Counts by size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Histogram {
    /// Not cumulative; one more than [`COMMIT_BOUNDS_S`].
    pub counts: [u64; COMMIT_BOUNDS_S.len() + 1],
    pub sum_s: f64,
}

impl Histogram {
    fn add(&mut self, seconds: f64) {
        let bucket = COMMIT_BOUNDS_S.iter().position(|bound| seconds <= *bound).unwrap_or(COMMIT_BOUNDS_S.len());
        self.counts[bucket] += 1;
        self.sum_s += seconds;
    }

    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What is in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// One of few words: `paused`, `unreachable`, `disk_full` ...
    pub cause: &'static str,
    pub text: String,
    pub since: Time,
}

/// The lane of what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// Entries of the journal not read yet.
    pub entries: u64,
    /// Age of the oldest of them that was looked at, seconds; 0 when all is stored.
    pub lag_s: f64,
    /// The longest that an entry waited before it was stored live, in the last minute, seconds.
    pub worst_lag_s: f64,
    pub rows_per_s: f64,
    /// Readings of the next batch.
    pub batch_rows: usize,
}

/// The lane of what an outage left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Backlog {
    pub entries: u64,
    /// The most that it held since it was last empty, as far as this process knows: `entries` of these are left.
    pub peak_entries: u64,
    pub ranges: usize,
    /// Age of the oldest entry in it, seconds; 0 when there is none.
    pub lag_s: f64,
    pub rows_per_s: f64,
    pub batch_rows: usize,
    /// Seconds until it is empty at the present rate; nothing while it does not shrink.
    pub eta_s: Option<f64>,
}

/// The writer at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Writing {
    /// `starting` (the store has not answered yet), `failing`, `draining`, `live`.
    pub state: &'static str,
    pub trouble: Option<Trouble>,
    /// Everything up to here is stored.
    pub done: u64,
    pub live: Live,
    pub backlog: Backlog,
    /// Age of the oldest reading that is not stored, seconds.
    pub oldest_unstored_s: f64,
    /// Readings stored a second, both lanes, over the last ten seconds; those that were there already count.
    pub rows_per_s: f64,
    /// Time of a transaction, seconds, since start.
    pub commits: Histogram,
    /// Tries that failed, by cause, since start.
    pub retries: BTreeMap<&'static str, u64>,
    /// Entries in the file of refused readings.
    pub refused_entries: u64,
}

/// A batch that was stored.
pub(super) struct Stored {
    pub(super) lane: Lane,
    pub(super) rows: usize,
    pub(super) entries: usize,
    pub(super) commit: Duration,
    /// Rows of the lane's next batch.
    pub(super) size: usize,
    pub(super) arrived: Option<Time>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at: u64,
    /// Rows and entries by lane.
    live: (u64, u64),
    backlog: (u64, u64),
    worst_lag_us: i64,
}

#[derive(Debug, Default)]
struct Inner {
    progress: Option<Progress>,
    idle: bool,
    /// When the first entry of the lane's batch came; none when nothing waits that is known.
    live_since: Option<Time>,
    backlog_since: Option<Time>,
    sizes: (usize, usize),
    /// The most entries of the backlog since it was last empty.
    peak: u64,
    seconds: VecDeque<Second>,
    commits: Histogram,
    trouble: Option<Trouble>,
    retries: BTreeMap<&'static str, u64>,
    refused: u64,
    store: Option<Stats>,
}

/// Shared by the writer and whoever looks.
#[derive(Debug)]
pub(crate) struct Figures {
    begun: Instant,
    inner: Mutex<Inner>,
}

impl Figures {
    /// `refused`: entries set aside by earlier processes.
    pub(crate) fn new(refused: u64) -> Self {
        Self { begun: Instant::now(), inner: Mutex::new(Inner { refused, ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sizes(&self) -> Option<Stats> {
        self.lock().store
    }

    pub(super) fn sized(&self, sizes: Stats) {
        self.lock().store = Some(sizes);
    }

    /// Nothing is to be stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().idle
    }

    /// The last try failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.lock().trouble.is_some()
    }

    /// The store answered where it stands.
    pub(super) fn known(&self, progress: &Progress) {
        let mut inner = self.lock();
        inner.stands(progress);
        inner.trouble = None;
    }

    pub(super) fn idle(&self) {
        let mut inner = self.lock();
        inner.idle = true;
        (inner.live_since, inner.backlog_since) = (None, None);
    }

    /// A batch of a lane was read whose first entry came then.
    pub(super) fn began(&self, lane: Lane, arrived: Option<Time>) {
        let Some(arrived) = arrived else { return };
        let mut inner = self.lock();
        inner.idle = false;
        match lane {
            Lane::Live => inner.live_since = Some(arrived),
            Lane::Backlog => inner.backlog_since = Some(arrived),
        }
    }

    pub(super) fn went_live(&self, progress: &Progress) {
        let mut inner = self.lock();
        let since = inner.live_since.take();
        inner.backlog_since = inner.backlog_since.or(since);
        inner.stands(progress);
    }

    pub(super) fn stored(&self, batch: &Stored, progress: &Progress, now: Time) {
        let at = self.begun.elapsed().as_secs();
        let mut inner = self.lock();
        inner.trouble = None;
        inner.commits.add(batch.commit.as_secs_f64());
        let (rows, entries) = (batch.rows as u64, batch.entries as u64);
        let second = inner.second(at);
        match batch.lane {
            Lane::Live => {
                second.live = (second.live.0 + rows, second.live.1 + entries);
                let lag = batch.arrived.map_or(0, |arrived| now.since_us(arrived));
                second.worst_lag_us = second.worst_lag_us.max(lag);
                (inner.live_since, inner.sizes.0) = (None, batch.size);
            }
            Lane::Backlog => {
                second.backlog = (second.backlog.0 + rows, second.backlog.1 + entries);
                inner.sizes.1 = batch.size;
            }
        }
        if progress.pending.is_empty() {
            inner.backlog_since = None;
        }
        inner.stands(progress);
    }

    pub(super) fn failed(&self, refusal: &Refusal, now: Time) {
        let mut inner = self.lock();
        *inner.retries.entry(refusal.cause).or_insert(0) += 1;
        let since =
            inner.trouble.as_ref().filter(|known| known.cause == refusal.cause).map_or(now, |known| known.since);
        inner.trouble = Some(Trouble { cause: refusal.cause, text: refusal.text.clone(), since });
    }

    pub(super) fn set_aside(&self) {
        let mut inner = self.lock();
        inner.refused += 1;
        inner.trouble = None;
    }

    /// At `now`, with the journal's end and the cursor that the journal itself knows.
    pub(crate) fn writing(&self, now: Time, head: Seq, cursor: Seq) -> Writing {
        let at = self.begun.elapsed().as_secs();
        let inner = self.lock();
        let known = inner.progress.clone();
        let progress = known.clone().unwrap_or_else(|| Progress::at(cursor));
        let age = |since: Option<Time>| since.map_or(0.0, |since| now.since_us(since).max(0) as f64 / 1e6);
        let window = inner.seconds.iter().filter(|second| second.at < at && second.at + RATE_S >= at);
        let span = at.clamp(1, RATE_S) as f64;
        let (mut rows, mut drained) = ((0, 0), 0);
        for second in window {
            rows = (rows.0 + second.live.0, rows.1 + second.backlog.0);
            drained += second.backlog.1;
        }
        let worst = inner.seconds.iter().filter(|second| second.at + WORST_S >= at).map(|second| second.worst_lag_us);
        let behind = behind(&progress, head);
        let live = Live {
            entries: head.0.saturating_sub(progress.live.0),
            lag_s: age(inner.live_since),
            worst_lag_s: worst.max().unwrap_or(0).max(0) as f64 / 1e6,
            rows_per_s: rows.0 as f64 / span,
            batch_rows: inner.sizes.0,
        };
        let backlog = Backlog {
            entries: behind,
            peak_entries: if behind == 0 { 0 } else { inner.peak.max(behind) },
            ranges: progress.pending.len(),
            lag_s: if behind == 0 { 0.0 } else { age(inner.backlog_since) },
            rows_per_s: rows.1 as f64 / span,
            batch_rows: inner.sizes.1,
            eta_s: (drained > 0).then(|| behind as f64 * span / drained as f64).filter(|_| behind > 0),
        };
        let state = match (&known, &inner.trouble, behind) {
            (_, Some(_), _) => "failing",
            (None, ..) => "starting",
            (_, _, 1..) => "draining",
            _ => "live",
        };
        Writing {
            state,
            trouble: inner.trouble.clone(),
            done: progress.done().0,
            oldest_unstored_s: live.lag_s.max(backlog.lag_s),
            rows_per_s: live.rows_per_s + backlog.rows_per_s,
            live,
            backlog,
            commits: inner.commits,
            retries: inner.retries.clone(),
            refused_entries: inner.refused,
        }
    }
}

/// Entries of the journal, which ends at `head`, in pending ranges.
fn behind(progress: &Progress, head: Seq) -> u64 {
    progress.pending.iter().map(|(after, upto)| upto.0.min(head.0).saturating_sub(after.0)).sum()
}

impl Inner {
    fn stands(&mut self, progress: &Progress) {
        let behind = behind(progress, progress.live);
        self.peak = if behind == 0 { 0 } else { self.peak.max(behind) };
        self.progress = Some(progress.clone());
    }

    /// The running second's counts.
    fn second(&mut self, at: u64) -> &mut Second {
        if self.seconds.back().is_none_or(|last| last.at != at) {
            self.seconds.push_back(Second { at, ..Second::default() });
            while self.seconds.len() as u64 > WORST_S + 1 {
                self.seconds.pop_front();
            }
        }
        let last = self.seconds.len() - 1;
        &mut self.seconds[last]
    }
}
