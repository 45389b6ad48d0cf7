//! The unsealed rows of every series in memory, its newest row, and how far it is sealed: what readers and writer share.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use super::answer::Series;
use super::row::{Key, MOVED, Row, Rows, series_of};

/// Mixes a series key: keys are small and well known, so no defence against chosen keys is needed.
#[derive(Debug, Default)]
pub(super) struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }
    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

/// One series in memory.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) key: Key,
    /// Rows not yet in a block.
    pub(super) rows: Rows,
    /// Log rows up to this number hold nothing of this series that is not in a block. Changes with every sealing, so a
    /// reader can tell whether the head it copied and the blocks it read belong together.
    pub(super) sealed_seq: u64,
    pub(super) sealed_rows: u64,
    pub(super) block_bytes: i64,
    /// Newest row of all.
    pub(super) latest: Option<Row>,
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct Heads {
    index: HashMap<Key, u32, BuildHasherDefault<KeyHasher>>,
    /// By number. The place of a series that is gone is given to the next new one.
    pub(super) series: Vec<Head>,
    free: Vec<u32>,
}

impl Heads {
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.index.get(&key).copied()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Head> {
        self.find(key).and_then(|i| self.series.get(i as usize))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// Instant of the newest reading of all.
    pub(super) fn newest_at(&self) -> Option<i64> {
        let latest = |number: &u32| self.series.get(*number as usize)?.latest.map(|row| row.at);
        self.index.values().filter_map(latest).max()
    }

    /// Numbers of the series of one subject.
    pub(super) fn of_subject(&self, subject: u32) -> Vec<u32> {
        let of = |(key, number): (&Key, &u32)| ((key >> 16) as u32 == subject).then_some(*number);
        self.index.iter().filter_map(of).collect()
    }

    /// Where marks of rows that were moved away stand: metric and instant.
    pub(super) fn marks(&self) -> BTreeSet<(u16, i64)> {
        let marked = self.series.iter().filter(|head| head.rows.has_moved());
        let marks = |head: &Head| {
            let rows = head.rows.iter().filter(|row| row.quality == MOVED);
            rows.map(|row| (head.key as u16, row.at)).collect::<Vec<_>>()
        };
        marked.flat_map(marks).collect()
    }

    /// Whether this number is a series'.
    pub(super) fn is_used(&self, number: u32) -> bool {
        self.series.get(number as usize).is_some_and(|head| self.find(head.key) == Some(number))
    }

    /// Forgets a series that nothing is stored of.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(head) = self.series.get_mut(number as usize) else { return };
        if self.index.remove(&head.key).is_some() {
            *head = Head::new(head.key);
            self.free.push(number);
        }
    }

    /// Series after this key, in the order of keys, each with the range of its unsealed rows (the end is not part of it).
    pub(super) fn list(&self, after: Option<Key>, limit: usize) -> Vec<(Series, Option<(i64, i64)>)> {
        let mut keys: Vec<&Head> =
            self.series.iter().filter(|head| after.is_none_or(|after| head.key > after)).collect();
        keys.sort_unstable_by_key(|head| head.key);
        let told = |head: &Head| {
            let unsealed = head.rows.first_at().zip(head.rows.last_at());
            Some((head.told()?, unsealed.map(|(first, last)| (first, last.saturating_add(1)))))
        };
        keys.into_iter().filter_map(told).take(limit).collect()
    }

    /// The series' number, given anew when it is not known yet.
    pub(super) fn find_or_add(&mut self, key: Key) -> u32 {
        if let Some(known) = self.find(key) {
            return known;
        }
        let number = if let Some(number) = self.free.pop() {
            self.series[number as usize] = Head::new(key);
            number
        } else {
            self.series.push(Head::new(key));
            self.series.len() as u32 - 1
        };
        self.index.insert(key, number);
        number
    }
}

impl Head {
    fn new(key: Key) -> Self {
        Self { key, rows: Rows::default(), sealed_seq: 0, sealed_rows: 0, block_bytes: 0, latest: None }
    }

    /// `None` for a metric that this program does not know, and while nothing was ever stored. Rows that are sealed and unsealed
    /// count twice.
    fn told(&self) -> Option<Series> {
        self.latest?;
        let (subject, metric) = series_of(self.key)?;
        Some(Series { subject, metric, rows: self.sealed_rows + self.rows.len() as u64 })
    }

    /// Takes a row that is durable in the log and known to be new, or to correct another. False when it took the place of one
    /// that is not in a block yet.
    pub(super) fn take(&mut self, row: Row) -> bool {
        if self.latest.is_none_or(|latest| latest.at <= row.at) {
            self.latest = Some(row);
        }
        self.rows.insert(row)
    }
}
