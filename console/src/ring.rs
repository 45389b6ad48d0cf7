//! The newest alarm events, each read from the store and written as text once, shared by all streams.
//!
//! The ring holds every event after `behind`, without holes, up to the newest. A stream that is further back than
//! that reads the store itself; nothing is ever skipped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::TeamId;
use tokio::sync::watch;

/// One event as the streams send it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) seq: i64,
    pub(crate) team: Option<TeamId>,
    /// `event: alarm` with its id and data, ready for the socket.
    pub(crate) text: Bytes,
    /// The same for roles that see no address.
    pub(crate) text_masked: Bytes,
}

/// What a stream that has seen everything up to some number gets.
#[derive(Debug)]
pub(crate) enum After {
    /// The next events, oldest first; empty when there are none yet.
    Frames(Vec<Arc<Frame>>),
    /// The ring no longer (or not yet) covers that place: ask the store.
    Outside,
}

#[derive(Debug)]
pub(crate) struct Ring {
    inner: Mutex<Inner>,
    newest: watch::Sender<i64>,
    events_max: usize,
}

#[derive(Debug)]
struct Inner {
    /// All events with a greater number, up to the newest, are in `frames`.
    behind: i64,
    frames: VecDeque<Arc<Frame>>,
}

impl Ring {
    pub(crate) fn new(events_max: usize) -> Self {
        // Until the first `start` nothing is covered.
        let inner = Inner { behind: i64::MAX, frames: VecDeque::new() };
        Self { inner: Mutex::new(inner), newest: watch::Sender::new(0), events_max: events_max.max(1) }
    }

    /// From now on everything after `last` will be pushed.
    pub(crate) fn start(&self, last: i64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.behind = last;
        inner.frames.clear();
        drop(inner);
        self.newest.send_replace(last);
    }

    /// Adds events in order and wakes the streams.
    pub(crate) fn push(&self, frames: Vec<Arc<Frame>>) {
        let Some(newest) = frames.last().map(|frame| frame.seq) else { return };
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.frames.extend(frames);
        while inner.frames.len() > self.events_max {
            if let Some(oldest) = inner.frames.pop_front() {
                inner.behind = oldest.seq;
            }
        }
        drop(inner);
        self.newest.send_replace(newest);
    }

    /// Up to `limit` events after `seen`.
    pub(crate) fn after(&self, seen: i64, limit: usize) -> After {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if seen < inner.behind {
            return After::Outside;
        }
        let from = inner.frames.partition_point(|frame| frame.seq <= seen);
        After::Frames(inner.frames.range(from..).take(limit).cloned().collect())
    }

    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(seq: i64) -> Arc<Frame> {
        Arc::new(Frame { seq, team: None, text: Bytes::new(), text_masked: Bytes::new() })
    }

    fn seqs(after: &After) -> Option<Vec<i64>> {
        match after {
            After::Frames(frames) => Some(frames.iter().map(|frame| frame.seq).collect()),
            After::Outside => None,
        }
    }

    #[test]
    fn it_hands_out_what_it_covers_and_sends_the_rest_to_the_store() {
        let ring = Ring::new(3);
        assert_eq!(seqs(&ring.after(0, 10)), None, "nothing is covered before the start");
        ring.start(10);
        assert_eq!(seqs(&ring.after(9, 10)), None);
        assert_eq!(seqs(&ring.after(10, 10)), Some(vec![]));
        ring.push(vec![frame(11), frame(13)]);
        assert_eq!(seqs(&ring.after(10, 10)), Some(vec![11, 13]));
        assert_eq!(seqs(&ring.after(10, 1)), Some(vec![11]));
        ring.push(vec![frame(14), frame(15)]);
        assert_eq!(seqs(&ring.after(10, 10)), None, "11 has left the ring");
        assert_eq!(seqs(&ring.after(11, 10)), Some(vec![13, 14, 15]));
        assert_eq!(seqs(&ring.after(12, 10)), Some(vec![13, 14, 15]), "a number without an event");
        assert_eq!(*ring.watch().borrow(), 15);
    }
}
