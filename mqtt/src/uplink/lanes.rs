//! The lanes together: whose turn it is.
//!
//! ```text
//! sos > evt > live readings > [history: what readings waited, then hist] > waveforms
//! ```
//! What stands in brackets, and waveforms that waited, spend from one allowance ([`Config::history_per_s`]): an outage of
//! hours drains beside live traffic, not instead of it.

use std::time::Duration;

use model::{Lane, Seq, Time};
use runtime::Clock;
use tokio::time::Instant;

use super::Config;
use super::queue::{End, Item, Queue};
use crate::outbox::Outbox;

/// An entry on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: Lane,
    pub(super) seq: Seq,
}

impl Place {
    /// May use the slots of the window that are kept free, and does not wait long after a refusal.
    pub(super) const fn is_urgent(self) -> bool {
        is_urgent(self.lane)
    }
}

const fn is_urgent(lane: Lane) -> bool {
    matches!(lane, Lane::Sos | Lane::Evt)
}

/// Ends in the order in which they are served, and whether they spend from the allowance.
const TURNS: [(Lane, End, bool); 8] = [
    (Lane::Sos, End::Live, false),
    (Lane::Evt, End::Live, false),
    (Lane::Vit, End::Live, false),
    (Lane::Vit, End::Back, true),
    (Lane::Hist, End::Live, true),
    (Lane::Hist, End::Back, true),
    (Lane::Wav, End::Live, false),
    (Lane::Wav, End::Back, true),
];

pub(super) struct Lanes {
    /// In the order of [`Lane::ALL`].
    queues: [Queue; 5],
    clock: Clock,
    allowance: Allowance,
}

/// Which ends may send now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) urgent: bool,
    pub(super) ordinary: bool,
}

impl Lanes {
    pub(super) fn new(config: &Config, outbox: &Outbox, clock: Clock) -> Self {
        let age = Duration::from_secs(config.history_after_s.into());
        let queues = Lane::ALL.map(|lane| Queue::new(outbox, lane, (!is_urgent(lane)).then_some(age)));
        Self { queues, clock, allowance: Allowance::new(config.history_per_s) }
    }

    /// Reads more where nothing is at hand. Returns entries that could not be read; the last error is returned, after all.
    pub(super) async fn fill(&mut self) -> (u64, Option<journal::Error>) {
        let now = self.clock.now();
        let (mut damaged, mut failed) = (0, None);
        for queue in &mut self.queues {
            match queue.fill(now).await {
                Ok(entries) => damaged += entries,
                Err(error) => failed = Some(error),
            }
        }
        (damaged, failed)
    }

    /// The next entry by rank, taken out.
    pub(super) fn hand_over(&mut self, open: Open) -> Option<(Place, Item)> {
        let now = self.clock.now();
        for (lane, end, spends) in TURNS {
            let may = if is_urgent(lane) { open.urgent } else { open.ordinary };
            let queue = &mut self.queues[lane as usize];
            if !may || !queue.has(end) || (spends && !self.allowance.spend()) {
                continue;
            }
            let item = queue.hand_over(end, now)?;
            return Some((Place { lane, seq: item.seq }, item));
        }
        None
    }

    /// When the allowance lets history go on that waits for it.
    pub(super) fn next_allowance(&self) -> Option<Instant> {
        let waits = TURNS.iter().any(|(lane, end, spends)| *spends && self.queues[*lane as usize].has(*end));
        if waits { self.allowance.next() } else { None }
    }

    pub(super) fn queue(&mut self, lane: Lane) -> &mut Queue {
        &mut self.queues[lane as usize]
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    pub(super) fn oldest(&self) -> Option<Time> {
        self.queues.iter().filter_map(Queue::oldest).min()
    }

    pub(super) fn rewind(&mut self) {
        self.queues.iter_mut().for_each(Queue::rewind);
    }

    /// Resolves when some lane has something new.
    pub(super) async fn changed(&mut self) {
        let [sos, evt, vit, hist, wav] = &mut self.queues;
        tokio::select! {
            () = sos.changed() => {}
            () = evt.changed() => {}
            () = vit.changed() => {}
            () = hist.changed() => {}
            () = wav.changed() => {}
        }
    }

    /// Blocking.
    pub(super) fn flush(&self) -> Result<(), journal::Error> {
        self.queues.iter().try_for_each(Queue::flush)
    }
}

/// A bucket of tokens that holds one second's worth.
#[derive(Debug)]
struct Allowance {
    per_s: u32,
    /// Full at or before this instant; each token spent moves it on.
    full_at: Instant,
}

impl Allowance {
    fn new(per_s: u32) -> Self {
        Self { per_s, full_at: Instant::now() }
    }

    fn step(&self) -> Duration {
        Duration::from_secs(1) / self.per_s.max(1)
    }

    fn spend(&mut self) -> bool {
        if self.per_s == 0 {
            return true;
        }
        let now = Instant::now();
        let full_at = self.full_at.max(now) + self.step();
        let there = full_at <= now + Duration::from_secs(1);
        if there {
            self.full_at = full_at;
        }
        there
    }

    /// When the next token is there; `None` when there is one.
    fn next(&self) -> Option<Instant> {
        let at = (self.full_at + self.step()).checked_sub(Duration::from_secs(1))?;
        (self.per_s > 0 && at > Instant::now()).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowance_holds_one_second_and_no_more() {
        let mut allowance = Allowance::new(50);
        let spent = (0..500).filter(|_| allowance.spend()).count();
        // However slow this machine is, the bucket held fifty; what came meanwhile is not counted on.
        assert!((50..500).contains(&spent), "{spent}");
        assert!(allowance.next().is_some());
        let mut free = Allowance::new(0);
        assert!((0..1_000).all(|_| free.spend()) && free.next().is_none());
    }
}
