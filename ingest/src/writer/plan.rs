//! What the writer stores next: pure, without clock or disk, so that a test can try every order of events.
//!
//! Two lanes read the journal. The live lane stores what is new; the backlog lane stores what an outage left behind, range by
//! range, in order. In quiet times there is no backlog, and the live lane alone goes through the journal entry by entry.
//!
//! Invariants:
//! 1. Every entry up to `live` is stored, or in a pending range.
//! 2. Pending ranges are ascending and apart, and at most [`PENDING_MAX`].
//! 3. A measurement that changes its subject is moved after everything older is stored, and moves happen in their order: met in
//!    the live lane while something is pending, it becomes a pending range of its own at the end.

use std::time::Duration;

use model::Seq;
use store::readings::Progress;

/// Pending ranges kept. Beyond it the two with the least between them become one; what lies between is stored again.
pub(super) const PENDING_MAX: usize = 64;
/// While there is a backlog the live lane has its turn this often, and at once when a whole batch waits.
const LIVE_EVERY: Duration = Duration::from_millis(250);
/// Batches of the live lane in a row after which the backlog has one, however much is new: it never stands still.
const LIVE_IN_A_ROW_MAX: u32 = 15;
/// The live lane is late when its next entry has waited longer than this ..
const LATE: Duration = Duration::from_secs(1);
/// .. and, while there is no backlog yet, more than so many whole batches wait behind it.
const LATE_BATCHES: u64 = 2;

/// Which reader of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Live,
    Backlog,
}

/// Where the writer stands, and whose turn it is.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    progress: Progress,
    /// Batches of the live lane since the last one of the backlog.
    in_a_row: u32,
    /// When the live lane last had its turn.
    live_at: Duration,
}

impl Plan {
    /// From the stored progress, whatever wrote it.
    pub(super) fn new(stored: Progress) -> Self {
        let Progress { pending, live } = stored;
        let inside = |(after, upto): (Seq, Seq)| (after, upto.min(live));
        let mut pending: Vec<_> = pending.into_iter().map(inside).filter(|(after, upto)| after < upto).collect();
        pending.sort_unstable();
        let mut plan = Self { progress: Progress { pending: Vec::new(), live }, in_a_row: 0, live_at: Duration::ZERO };
        for range in pending {
            append(&mut plan.progress.pending, range);
        }
        plan
    }

    pub(super) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Something waits behind the live lane.
    pub(super) fn is_draining(&self) -> bool {
        !self.progress.pending.is_empty()
    }

    /// The range that the backlog lane reads now.
    pub(super) fn backlog(&self) -> Option<(Seq, Seq)> {
        self.progress.pending.first().copied()
    }

    /// Whose turn it is at `now` (of any clock that only grows), with the journal's end and the entries of a whole live batch.
    pub(super) fn turn(&mut self, now: Duration, head: Seq, batch_entries: u64) -> Lane {
        if !self.is_draining() {
            self.in_a_row = 0;
            return Lane::Live;
        }
        let waiting = head.0.saturating_sub(self.progress.live.0);
        let due = waiting >= batch_entries.max(1) || now.saturating_sub(self.live_at) >= LIVE_EVERY;
        if waiting == 0 || !due || self.in_a_row >= LIVE_IN_A_ROW_MAX {
            self.in_a_row = 0;
            return Lane::Backlog;
        }
        self.in_a_row += 1;
        self.live_at = now;
        Lane::Live
    }

    /// Whether the live lane should leave what waits to the backlog: its next entry is that old, as far as entries say so, and so
    /// many wait behind the next batch, which has `batch_entries`.
    pub(super) fn is_late(&self, age: Option<Duration>, entries: u64, batch_entries: u64) -> bool {
        let some = if self.is_draining() { 0 } else { batch_entries.saturating_mul(LATE_BATCHES) };
        age.is_some_and(|age| age > LATE) && entries > some
    }

    /// Leaves everything up to `head` to the backlog. The next batch of the live lane is what comes after.
    pub(super) fn go_live(&mut self, head: Seq) {
        let live = self.progress.live;
        if head > live {
            append(&mut self.progress.pending, (live, head));
            self.progress.live = head;
        }
    }

    /// The progress to store with a batch of `lane` that ends at `upto`; `left` are the moves in it that wait for the backlog.
    pub(super) fn after(&self, lane: Lane, upto: Seq, left: &[Seq]) -> Progress {
        let mut next = self.progress.clone();
        match lane {
            Lane::Live => {
                next.live = next.live.max(upto);
                for seq in left {
                    append(&mut next.pending, (Seq(seq.0 - 1), *seq));
                }
            }
            Lane::Backlog => {
                if let Some((after, end)) = next.pending.first_mut() {
                    *after = upto.max(*after);
                    if after >= end {
                        next.pending.remove(0);
                    }
                }
            }
        }
        next
    }

    /// That progress is stored, or its entries are given up.
    pub(super) fn moved_on(&mut self, to: Progress) {
        self.progress = to;
    }
}

/// Adds a range at the end and keeps to the limit.
fn append(pending: &mut Vec<(Seq, Seq)>, (after, upto): (Seq, Seq)) {
    match pending.last_mut() {
        Some((_, end)) if *end >= after => *end = upto.max(*end),
        _ => pending.push((after, upto)),
    }
    while pending.len() > PENDING_MAX {
        let between = |i: &usize| pending[i + 1].0.0 - pending[*i].1.0;
        let Some(least) = (0..pending.len() - 1).min_by_key(between) else { return };
        pending[least].1 = pending[least + 1].1;
        pending.remove(least + 1);
    }
}
