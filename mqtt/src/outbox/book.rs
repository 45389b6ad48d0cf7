//! Who holds which entries of one lane: waiting, claimed by somebody at work on them, or done.
//!
//! The uplink claims what it reads in order to send it, the keeper of the disk budget what it is about to remove; neither
//! touches what the other has claimed. Claims live in memory only: after a crash everything that is not done waits again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use journal::Journal;
use model::Seq;
use model::runs::Runs;

/// Name of the cursor in every journal of the outbox: all up to it is in the server's custody, or was given up and declared.
pub const CURSOR: &str = "uplink";

/// The state of one lane's entries.
#[derive(Debug)]
pub struct Book {
    journal: Journal,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// All up to here is done.
    committed: u64,
    /// Done beyond `committed`.
    done: Runs,
    claimed: Runs,
    /// The journal has ranges of ours beyond the cursor.
    told: bool,
}

impl State {
    /// The last number of the busy run (done or claimed) that holds `number`, if it is busy.
    fn busy_until(&self, number: u64) -> Option<u64> {
        self.done.run_of(number).or_else(|| self.claimed.run_of(number)).map(|(_, last)| last)
    }

    fn busy_from(&self, number: u64) -> Option<u64> {
        self.done.run_of(number).or_else(|| self.claimed.run_of(number)).map(|(first, _)| first)
    }
}

impl Book {
    /// Blocks for one fsync when the journal is new.
    pub(super) fn open(journal: &Journal) -> Result<Self, journal::Error> {
        let committed = journal.register_cursor(CURSOR)?.0;
        let mut done: Runs = journal.beyond(CURSOR).into_iter().map(|(first, last)| (first.0, last.0)).collect();
        done.remove(0, committed);
        let state = State { committed, told: !done.is_empty(), done, claimed: Runs::default() };
        Ok(Self { journal: journal.clone(), state: Mutex::new(state) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims the oldest free entries of `from..=to`, next to each other and at most `max`. Both ends included.
    pub fn claim_first(&self, from: u64, to: u64, max: u64) -> Option<(u64, u64)> {
        let mut state = self.lock();
        let to = to.min(self.journal.head().0);
        let mut first = from.max(state.committed + 1);
        while let Some(last) = state.busy_until(first) {
            first = last + 1;
        }
        let next_busy = [state.done.next_after(first), state.claimed.next_after(first)].into_iter().flatten().min();
        let last = to.min(first.saturating_add(max - 1)).min(next_busy.map_or(u64::MAX, |busy| busy - 1));
        if first > last {
            return None;
        }
        state.claimed.insert(first, last);
        Some((first, last))
    }

    /// Claims the newest free entries up to `to`, next to each other and at most `max`.
    pub fn claim_last(&self, to: u64, max: u64) -> Option<(u64, u64)> {
        let mut state = self.lock();
        let mut last = to.min(self.journal.head().0);
        while let Some(first) = state.busy_from(last) {
            last = first.checked_sub(1)?;
        }
        let before = [state.done.last_before(last), state.claimed.last_before(last)].into_iter().flatten().max();
        let first = (state.committed + 1).max((last + 1).saturating_sub(max)).max(before.map_or(0, |busy| busy + 1));
        if first > last {
            return None;
        }
        state.claimed.insert(first, last);
        Some((first, last))
    }

    /// Gives claimed entries back: they wait again.
    pub fn release(&self, first: u64, last: u64) {
        self.lock().claimed.remove(first, last);
    }

    /// These entries need nothing any more: the server has custody, or they were given up and that is declared durably.
    pub fn done(&self, first: u64, last: u64) {
        let mut state = self.lock();
        state.claimed.remove(first, last);
        let first = first.max(state.committed + 1);
        state.done.insert(first, last);
        if let Some((_, upto)) = state.done.run_of(state.committed + 1) {
            state.committed = upto;
            state.done.remove(0, upto);
            self.journal.commit_cursor(CURSOR, Seq(upto));
        }
        if !state.done.is_empty() || state.told {
            state.told = !state.done.is_empty();
            let ranges: Vec<_> = state.done.iter().map(|(first, last)| (Seq(first), Seq(last))).collect();
            self.journal.commit_beyond(CURSOR, &ranges);
        }
    }

    /// Entries that are not done.
    pub fn waiting(&self) -> u64 {
        let state = self.lock();
        self.journal.head().0.saturating_sub(state.committed).saturating_sub(state.done.count())
    }

    /// The oldest entry that is not done.
    pub fn oldest(&self) -> Option<u64> {
        let state = self.lock();
        (state.committed < self.journal.head().0).then_some(state.committed + 1)
    }

    pub fn is_done(&self, number: u64) -> bool {
        let state = self.lock();
        number <= state.committed || state.done.run_of(number).is_some()
    }

    /// Makes what is done last over a restart. Blocks for one fsync.
    pub fn flush(&self) -> Result<(), journal::Error> {
        let committed = self.lock().committed;
        self.journal.commit_cursor_sync(CURSOR, Seq(committed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_takes_what_nobody_else_has_and_a_restart_knows_what_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "lane", &journal::Config::default()).unwrap();
        journal.append_blocking(vec![vec![1]; 100]).unwrap();
        let book = Book::open(&journal).unwrap();
        assert_eq!(book.claim_last(100, 10), Some((91, 100)));
        assert_eq!(book.claim_last(100, 10), Some((81, 90)));
        assert_eq!(book.claim_first(0, 100, 30), Some((1, 30)));
        book.done(81, 85);
        book.release(86, 90);
        assert_eq!(book.claim_last(100, 100), Some((86, 90)), "what was given back, and no more");
        assert_eq!(book.claim_first(0, 100, 100), Some((31, 80)));
        assert_eq!((book.claim_first(0, 200, 1), book.claim_last(200, 1)), (None, None));
        book.done(1, 30);
        assert_eq!((book.waiting(), book.oldest()), (65, Some(31)));
        book.flush().unwrap();
        drop(book);
        journal.close();

        let journal = Journal::open(dir.path(), "lane", &journal::Config::default()).unwrap();
        let book = Book::open(&journal).unwrap();
        assert_eq!((book.waiting(), book.oldest(), book.is_done(83), book.is_done(86)), (65, Some(31), true, false));
        book.done(31, 80);
        book.done(86, 100);
        assert_eq!((book.waiting(), book.oldest()), (0, None));
        assert_eq!(journal.stats().cursors[0].1, Seq(100));
        assert!(journal.beyond(CURSOR).is_empty());
    }
}
