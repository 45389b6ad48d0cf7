//! Many readers at once: behind, in step, and waiting.

use std::time::Duration;

use journal::{Config, Error, Journal};
use model::Seq;

use crate::append::{SOON, entry};

const APPENDERS: u64 = 4;
const APPENDS: u64 = 500;

#[test]
fn every_reader_sees_everything_in_order_under_load() {
    let dir = tempfile::tempdir().unwrap();
    // A tail of a few groups: readers fall out of it and come back.
    let config = Config { tail_bytes_max: 2000, group_entries_max: 16, ..Config::default() };
    let journal = Journal::open(dir.path(), "journal", &config).unwrap();
    let total = APPENDERS * APPENDS * 2;
    let journal = &journal;
    let seen: Vec<Vec<Vec<u8>>> = std::thread::scope(|scope| {
        for appender in 0..APPENDERS {
            scope.spawn(move || {
                for n in 0..APPENDS {
                    let id = appender * 1_000_000 + n * 2;
                    journal.append_blocking(vec![entry(id), entry(id + 1)]).unwrap();
                }
            });
        }
        let readers: Vec<_> = [1, 100, 5000, usize::MAX]
            .into_iter()
            .map(|bytes| scope.spawn(move || follow(journal, bytes, total)))
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    for other in &seen[1..] {
        assert_eq!(*other, seen[0]);
    }
    let mut sorted = seen[0].clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len() as u64, total, "each entry once");
    assert!(journal.stats().tail_bytes <= 2000);
}

fn follow(journal: &Journal, bytes: usize, total: u64) -> Vec<Vec<u8>> {
    let mut reader = journal.reader(Seq(0));
    let mut seen = Vec::new();
    while reader.position().0 < total {
        let batch = reader.read(bytes, SOON).unwrap();
        for (seq, bytes) in batch.iter() {
            assert_eq!(seq.0, seen.len() as u64 + 1);
            seen.push(bytes.to_vec());
        }
    }
    seen
}

#[test]
fn a_reader_waits_for_the_next_entry_and_not_longer_than_told() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let mut reader = journal.reader(Seq(0));
    assert!(reader.read(1000, Duration::ZERO).unwrap().is_empty());
    assert!(reader.read(1000, Duration::from_millis(1)).unwrap().is_empty());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| reader.read(1000, SOON).unwrap());
        journal.append_blocking(vec![entry(1)]).unwrap();
        assert_eq!(waiting.join().unwrap().last(), Some(Seq(1)));
    });
}

#[test]
fn a_reader_from_beyond_the_end_is_told_that_the_file_is_older() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.append_blocking(vec![entry(1)]).unwrap();
    let error = journal.reader(Seq(5)).read(1000, Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Ahead { position: Seq(5), head: Seq(1) }), "{error}");
}

#[test]
fn a_batch_is_bounded_by_bytes_but_never_empty_while_there_is_something() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.append_blocking(vec![vec![0; 92]; 10]).unwrap();
    let mut reader = journal.reader(Seq(0));
    for (bytes, expected) in [(0, 1), (1, 1), (100, 1), (101, 2), (300, 3), (usize::MAX, 2)] {
        assert_eq!(reader.read(bytes, SOON).unwrap().len(), expected, "for {bytes} bytes");
    }
}
