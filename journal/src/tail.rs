//! What readers see: the durable end of the log, its oldest entry, and the newest groups kept in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use model::Seq;
use tokio::sync::watch;

/// One durable group. At least one record.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) first: Seq,
    /// Intact records. Fewer than were written if the disk damaged some.
    pub(crate) count: u32,
    /// The last entry that was written, intact or not.
    pub(crate) last: Seq,
    pub(crate) blob: Vec<u8>,
}

impl Block {
    pub(crate) fn holds(&self, seq: Seq) -> bool {
        self.first <= seq && seq <= self.last
    }
}

struct Inner {
    head: Seq,
    first: Seq,
    closed: bool,
    blocks: VecDeque<Arc<Block>>,
    bytes: usize,
}

/// The log's two ends at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) first: Seq,
    pub(crate) head: Seq,
    pub(crate) closed: bool,
}

pub(crate) struct Tail {
    inner: Mutex<Inner>,
    grown: Condvar,
    watch: watch::Sender<Seq>,
    bytes_max: usize,
}

impl Tail {
    /// `first..=head` is on disk; `first` is `head + 1` for an empty log.
    pub(crate) fn new(first: Seq, head: Seq, bytes_max: usize) -> Self {
        let inner = Mutex::new(Inner { head, first, closed: false, blocks: VecDeque::new(), bytes: 0 });
        Self { inner, grown: Condvar::new(), watch: watch::Sender::new(head), bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group is durable: it can be read from now on. Waiting readers are told by [`Tail::tell`].
    pub(crate) fn push(&self, block: Block) {
        let mut inner = self.lock();
        inner.head = block.last;
        inner.bytes += block.blob.capacity();
        inner.blocks.push_back(Arc::new(block));
        while inner.bytes > self.bytes_max {
            let Some(oldest) = inner.blocks.pop_front() else { break };
            inner.bytes -= oldest.blob.capacity();
        }
    }

    /// Wakes those who wait for new entries.
    pub(crate) fn tell(&self) {
        let head = self.lock().head;
        self.grown.notify_all();
        self.watch.send_replace(head);
    }

    pub(crate) fn trimmed(&self, first: Seq) {
        self.lock().first = first;
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.grown.notify_all();
    }

    pub(crate) fn ends(&self) -> Ends {
        let inner = self.lock();
        Ends { first: inner.first, head: inner.head, closed: inner.closed }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Seq> {
        self.watch.subscribe()
    }

    /// Waits until there is something after `position`, at most `wait`.
    pub(crate) fn wait_past(&self, position: Seq, wait: Duration) -> Ends {
        let deadline = Instant::now().checked_add(wait);
        let mut inner = self.lock();
        while inner.head <= position && !inner.closed {
            let left = deadline.map_or(wait, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                break;
            }
            inner = self.grown.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ends { first: inner.first, head: inner.head, closed: inner.closed }
    }

    /// The group that holds `seq`, if it is in memory.
    pub(crate) fn find(&self, seq: Seq) -> Option<Arc<Block>> {
        let inner = self.lock();
        let at = inner.blocks.partition_point(|block| block.last < seq);
        inner.blocks.get(at).filter(|block| block.holds(seq)).cloned()
    }
}
