//! How many readings one transaction takes: more while commits are quick, fewer when they are slow, and halves when the store
//! cannot take so many at once or refuses some.

use std::time::Duration;

use store::readings::Store;

/// Readings in one transaction of a server: at least, unless even that takes more than twice the time it should.
const SERVER_ROWS_MIN: usize = 1_000;
/// At most. Beyond it the server gains nothing.
const SERVER_ROWS_MAX: usize = 5_000;
/// What batches shrink to on a server that is very slow, or does not answer in time.
const ROWS_FLOOR: usize = 100;
/// Share of the newest batch in the mean size of an entry.
const NEWEST_SHARE: f64 = 0.2;

/// Size of the next batch, from what the last ones took.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rows: usize,
    least: usize,
    most: usize,
    /// A commit that takes longer makes the next batch smaller.
    commit: Duration,
    /// Entries at most, while a row that the store refuses is looked for.
    probe: Option<usize>,
    /// Of the last batches.
    rows_an_entry: f64,
}

impl Pace {
    /// `rows_max` and `commit` are the settings.
    pub(super) fn new(store: Store, rows_max: usize, commit: Duration) -> Self {
        let rows_max = rows_max.max(1);
        // One file and one sync a batch: the embedded store is quickest with large ones from the start.
        let (least, most) = match store {
            Store::Embedded => (rows_max, rows_max),
            Store::Timescale => (SERVER_ROWS_MIN.min(rows_max), SERVER_ROWS_MAX.min(rows_max)),
        };
        Self { rows: least, least, most, commit, probe: None, rows_an_entry: 1.0 }
    }

    /// Readings of the next batch, about.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// Entries of the next batch at most.
    pub(super) fn entries_max(&self) -> usize {
        self.probe.unwrap_or(usize::MAX)
    }

    /// Entries of a whole batch, about.
    pub(super) fn batch_entries(&self) -> u64 {
        let entries = (self.rows as f64 / self.rows_an_entry.max(0.1)).ceil() as usize;
        entries.clamp(1, self.entries_max()) as u64
    }

    /// A batch was stored in `commit`.
    pub(super) fn stored(&mut self, rows: usize, entries: usize, commit: Duration) {
        if entries > 0 {
            self.rows_an_entry += (rows as f64 / entries as f64 - self.rows_an_entry) * NEWEST_SHARE;
        }
        if let Some(probe) = self.probe {
            // Doubled until whole batches pass again.
            self.probe = Some(probe.saturating_mul(2)).filter(|doubled| *doubled < self.rows);
            return;
        }
        let (quick, slow) = (self.commit / 4, self.commit);
        let floor = if commit > slow * 2 { ROWS_FLOOR.min(self.least) } else { self.least.min(self.rows) };
        if commit > slow && self.least < self.most {
            self.rows = (self.rows * 2 / 3).max(floor);
        } else if rows >= self.rows && (commit < quick || (self.rows < self.least && commit < slow / 2)) {
            self.rows = (self.rows * 3 / 2 + 1).min(self.most);
        }
    }

    /// The store did not take that many rows in time.
    pub(super) fn too_many(&mut self) {
        self.rows = (self.rows / 2).max(ROWS_FLOOR.min(self.most));
    }

    /// The store refuses something in a batch of that many entries. False when it is the single entry.
    pub(super) fn refused(&mut self, entries: usize) -> bool {
        self.probe = Some((entries / 2).max(1));
        entries > 1
    }

    /// The single entry that was refused is out of the way.
    pub(super) const fn set_aside(&mut self) {
        self.probe = Some(1);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);
    const SLOW: Duration = Duration::from_millis(900);
    const SLOWISH: Duration = Duration::from_millis(400);

    /// As for a server.
    pub(in super::super) fn server() -> Pace {
        Pace { least: 1_000, rows: 1_000, ..Pace::new(Store::Embedded, 5_000, Duration::from_millis(250)) }
    }

    #[test]
    fn batches_grow_while_commits_are_quick_and_shrink_when_they_are_slow() {
        let mut pace = server();
        for _ in 0..10 {
            let rows = pace.rows();
            pace.stored(rows, rows, QUICK);
        }
        assert_eq!(pace.rows(), 5_000);
        // A small batch says nothing about large ones.
        let mut idle = server();
        idle.stored(3, 3, QUICK);
        assert_eq!(idle.rows(), 1_000);
        for _ in 0..10 {
            let rows = pace.rows();
            pace.stored(rows, rows, SLOWISH);
        }
        assert_eq!(pace.rows(), 1_000);
        for _ in 0..10 {
            pace.too_many();
        }
        assert_eq!(pace.rows(), 100);
        // And up again, even when commits are not very quick.
        for _ in 0..10 {
            pace.stored(pace.rows(), pace.rows(), Duration::from_millis(100));
        }
        assert!(pace.rows() >= 1_000, "{}", pace.rows());
        // A server that needs seconds for a thousand.
        for _ in 0..10 {
            pace.stored(pace.rows(), pace.rows(), SLOW);
        }
        assert_eq!(pace.rows(), 100);
    }

    /// Among `n` entries exactly those of `bad` are refused: each is found alone, and the others are stored once.
    #[test]
    fn a_refused_entry_is_found_by_halving() {
        for (n, bad) in [(1_000, vec![700]), (1_000, vec![0, 1, 999]), (64, (0..64).collect()), (1, vec![0])] {
            let (mut pace, mut at, mut aside, mut stored, mut tries) = (server(), 0, Vec::new(), 0, 0);
            while at < n {
                tries += 1;
                assert!(tries < 100 + 30 * bad.len(), "it does not end");
                let entries = (n - at).min(pace.entries_max()).min(1_000);
                if !(at..at + entries).any(|i| bad.contains(&i)) {
                    pace.stored(entries, entries, QUICK);
                    stored += entries;
                    at += entries;
                } else if !pace.refused(entries) {
                    aside.push(at);
                    at += 1;
                    pace.set_aside();
                }
            }
            assert_eq!((aside, stored), (bad.clone(), n - bad.len()));
        }
    }
}
