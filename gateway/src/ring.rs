//! The ring between a task that must keep reading a wire and the one that makes blocks of what came: bounded, and what
//! does not fit is counted, never silently gone.
//!
//! Bytes go in and are lost in whole units (one sample of every lead), so that a loss never shifts what follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use tokio::sync::Notify;

#[derive(Debug, Default)]
struct Shared {
    filled: Notify,
    emptied: Notify,
    closed: AtomicBool,
}

/// The side of the wire.
pub(crate) struct Filler {
    bytes: HeapProd<u8>,
    shared: Arc<Shared>,
    unit: usize,
    /// The beginning of a unit whose end has not come.
    part: Vec<u8>,
}

/// The side of the codec.
pub(crate) struct Drain {
    bytes: HeapCons<u8>,
    shared: Arc<Shared>,
}

/// What became of bytes that came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    /// Whole units taken.
    pub(crate) units: usize,
    /// Whole units that did not fit.
    pub(crate) lost: usize,
}

/// A ring of `units` units of `unit` bytes.
pub(crate) fn ring(units: usize, unit: usize) -> (Filler, Drain) {
    let (fill, drain) = HeapRb::new(units.max(1) * unit.max(1)).split();
    let shared = Arc::new(Shared::default());
    let filler = Filler { bytes: fill, shared: Arc::clone(&shared), unit: unit.max(1), part: Vec::new() };
    (filler, Drain { bytes: drain, shared })
}

impl Filler {
    /// Puts bytes in, as many whole units as fit.
    pub(crate) fn fill(&mut self, bytes: &[u8]) -> Filled {
        self.part.extend_from_slice(bytes);
        let whole = self.part.len() / self.unit;
        let units = whole.min(self.bytes.vacant_len() / self.unit);
        self.bytes.push_slice(&self.part[..units * self.unit]);
        self.part.drain(..whole * self.unit);
        self.shared.filled.notify_one();
        Filled { units, lost: whole - units }
    }

    /// Waits until so many bytes fit, but no longer than `patience`: a wire that can be held back is held back.
    pub(crate) async fn room(&mut self, bytes: usize, patience: Duration) {
        let (ring, shared) = (&mut self.bytes, &self.shared);
        let wait = async move {
            while ring.vacant_len() < bytes.min(ring.capacity().get()) {
                shared.emptied.notified().await;
            }
        };
        let _in_time = tokio::time::timeout(patience, wait).await;
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.shared.filled.notify_one();
    }
}

impl Drain {
    /// Waits for bytes and takes up to `out.len()` of them. 0 when the wire has ended and all was taken.
    pub(crate) async fn take(&mut self, out: &mut [u8]) -> usize {
        loop {
            // Before looking: what is closed now will bring nothing more.
            let closed = self.shared.closed.load(Ordering::Acquire);
            let count = self.bytes.pop_slice(out);
            if count > 0 {
                self.shared.emptied.notify_one();
                return count;
            }
            if closed {
                return 0;
            }
            self.shared.filled.notified().await;
        }
    }
}

impl std::fmt::Debug for Filler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filler").field("unit", &self.unit).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Drain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whole_units_are_taken_or_lost_and_the_rest_waits_for_its_end() {
        let (mut filler, mut drain) = ring(3, 4);
        assert_eq!(filler.fill(&[1; 6]), Filled { units: 1, lost: 0 });
        assert_eq!(filler.fill(&[2; 14]), Filled { units: 2, lost: 2 }, "two more fit, two do not");
        let mut out = [0; 64];
        assert_eq!(drain.take(&mut out).await, 12);
        assert_eq!(out[..12], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]);
        assert_eq!(filler.fill(&[3; 4]), Filled { units: 1, lost: 0 }, "what follows a loss is not shifted");
        drop(filler);
        assert_eq!((drain.take(&mut out).await, drain.take(&mut out).await), (4, 0));
        assert_eq!(out[..4], [3; 4]);
    }

    #[tokio::test]
    async fn a_filler_waits_for_room_but_not_for_ever() {
        let (mut filler, mut drain) = ring(2, 4);
        filler.fill(&[0; 8]);
        filler.room(4, Duration::from_millis(5)).await;
        assert_eq!(filler.fill(&[0; 4]).lost, 1);
        let drained = tokio::spawn(async move {
            let mut out = [0; 8];
            drain.take(&mut out).await;
            drain
        });
        filler.room(8, Duration::from_secs(30)).await;
        assert_eq!(filler.fill(&[0; 8]), Filled { units: 2, lost: 0 });
        drop(drained.await.unwrap());
    }
}
