//! What the uplink counts. Every entry that does not go straight through has a counter.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use model::Time;

/// Live counters; read them with [`Stats::snapshot`].
#[derive(Debug)]
pub struct Stats {
    connected: AtomicBool,
    /// Microseconds; `i64::MIN` before the first connection is tried.
    since: AtomicI64,
    sent: AtomicU64,
    acked: AtomicU64,
    refused: AtomicU64,
    retried: AtomicU64,
    reconnects: AtomicU64,
    damaged: AtomicU64,
    down_dropped: AtomicU64,
    /// Microseconds; `i64::MAX` when nothing waits.
    oldest: AtomicI64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub connected: bool,
    /// Since when it is so.
    pub since: Option<Time>,
    /// Entries handed to the network, those sent again included.
    pub sent: u64,
    /// Entries the server took into custody.
    pub acked: u64,
    /// Entries moved to the local quarantine.
    pub refused: u64,
    /// Negative or empty-handed acks after which the entry was kept.
    pub retried: u64,
    /// Connections lost or not made.
    pub reconnects: u64,
    /// Entries the outbox could not give back (torn file) or that were not entries.
    pub damaged: u64,
    /// Messages of the server that came faster than they were read.
    pub down_dropped: u64,
    /// When the oldest entry not yet in the server's custody was queued.
    pub oldest_waiting: Option<Time>,
}

impl Default for Stats {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            connected: AtomicBool::new(false),
            since: AtomicI64::new(i64::MIN),
            sent: zero(),
            acked: zero(),
            refused: zero(),
            retried: zero(),
            reconnects: zero(),
            damaged: zero(),
            down_dropped: zero(),
            oldest: AtomicI64::new(i64::MAX),
        }
    }
}

impl Stats {
    pub fn snapshot(&self) -> Snapshot {
        let oldest = self.oldest.load(Relaxed);
        Snapshot {
            connected: self.connected.load(Relaxed),
            since: Some(Time(self.since.load(Relaxed))).filter(|at| at.0 != i64::MIN),
            sent: self.sent.load(Relaxed),
            acked: self.acked.load(Relaxed),
            refused: self.refused.load(Relaxed),
            retried: self.retried.load(Relaxed),
            reconnects: self.reconnects.load(Relaxed),
            damaged: self.damaged.load(Relaxed),
            down_dropped: self.down_dropped.load(Relaxed),
            oldest_waiting: (oldest != i64::MAX).then_some(Time(oldest)),
        }
    }

    pub(super) fn connected(&self, up: bool, now: Time) {
        if self.connected.swap(up, Relaxed) != up || self.since.load(Relaxed) == i64::MIN {
            self.since.store(now.0, Relaxed);
        }
    }
    pub(super) fn sent(&self) {
        self.sent.fetch_add(1, Relaxed);
    }
    pub(super) fn acked(&self) {
        self.acked.fetch_add(1, Relaxed);
    }
    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }
    pub(super) fn retried(&self) {
        self.retried.fetch_add(1, Relaxed);
    }
    pub(super) fn reconnecting(&self) {
        self.reconnects.fetch_add(1, Relaxed);
    }
    pub(super) fn damaged(&self, entries: u64) {
        self.damaged.fetch_add(entries, Relaxed);
    }
    pub(super) fn down_dropped(&self) {
        self.down_dropped.fetch_add(1, Relaxed);
    }
    pub(super) fn oldest(&self, at: Option<Time>) {
        self.oldest.store(at.map_or(i64::MAX, |at| at.0), Relaxed);
    }
}
