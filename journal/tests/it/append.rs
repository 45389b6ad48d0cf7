//! Appending, reading back, closing and opening again.

use std::sync::mpsc;
use std::time::Duration;

use journal::{AppendError, Config, Error, Journal};
use model::Seq;

/// Long enough for anything that is going to happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) fn read_all(journal: &Journal, from: Seq) -> Vec<(Seq, Vec<u8>)> {
    let mut reader = journal.reader(from);
    let mut all = Vec::new();
    while reader.position() < journal.head() {
        let batch = reader.read(1000, SOON).unwrap();
        assert!(!batch.is_empty());
        assert_eq!(batch.iter().count(), batch.len());
        assert_eq!(batch.last(), Some(reader.position()));
        all.extend(batch.iter().map(|(seq, entry)| (seq, entry.to_vec())));
    }
    all
}

pub(crate) fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

#[test]
fn what_was_appended_is_read_back_in_order_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    assert_eq!((journal.first(), journal.head()), (Seq(1), Seq(0)));
    assert_eq!(journal.append_blocking(vec![entry(1)]), Ok(Seq(1)));
    assert_eq!(journal.append_blocking(vec![entry(2), Vec::new(), entry(4)]), Ok(Seq(2)));
    assert_eq!(journal.append_blocking(vec![]), Ok(Seq(4)), "nothing: answered with what is before it");
    let expected = [(Seq(1), entry(1)), (Seq(2), entry(2)), (Seq(3), Vec::new()), (Seq(4), entry(4))];
    assert_eq!(read_all(&journal, Seq(0)), expected);
    assert_eq!(read_all(&journal, Seq(2)), expected[2..]);
    journal.close();

    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    assert_eq!((journal.first(), journal.head()), (Seq(1), Seq(4)));
    assert_eq!(read_all(&journal, Seq(0)), expected);
    assert_eq!(read_all(&journal, Seq(3)), expected[3..], "from the middle of a group");
    assert_eq!(journal.append_blocking(vec![entry(5)]), Ok(Seq(5)));
    assert_eq!(read_all(&journal, Seq(0)).len(), 5);
}

#[test]
fn completions_come_in_the_order_of_the_appends() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let (told, answers) = mpsc::sync_channel(1000);
    for n in 0..1000 {
        let told = told.clone();
        journal.append(vec![entry(n)], move |outcome| told.send((n, outcome)).unwrap());
    }
    for n in 0..1000 {
        assert_eq!(answers.recv_timeout(SOON).unwrap(), (n, Ok(Seq(n + 1))));
    }
    let stats = journal.stats();
    assert_eq!(stats.entries, 1000);
    assert!(stats.groups < 1000, "appends share fsyncs: {} groups", stats.groups);
}

#[test]
fn a_closed_journal_says_so_and_has_kept_everything() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let other = journal.clone();
    let mut reader = other.reader(Seq(0));
    for n in 0..100 {
        other.append(vec![entry(n)], |outcome| assert!(outcome.is_ok()));
    }
    journal.close();
    assert_eq!(other.head(), Seq(100));
    assert_eq!(other.append_blocking(vec![entry(0)]), Err(AppendError::Closed));
    assert!(matches!(other.register_cursor("late"), Err(Error::Closed)));
    assert_eq!(reader.read(usize::MAX, SOON).unwrap().len(), 100);
    assert!(
        matches!(reader.read(usize::MAX, SOON), Err(Error::Closed)),
        "a reader at the end does not wait for nothing"
    );
}

#[tokio::test]
async fn the_watch_follows_the_head() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let mut head = journal.watch();
    assert_eq!(journal.append_wait(vec![entry(1), entry(2)]).await, Ok(Seq(1)));
    assert_eq!(*head.wait_for(|head| *head >= Seq(2)).await.unwrap(), Seq(2));
}

#[test]
fn a_completion_that_panics_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.append(vec![entry(1)], |_| panic!("on purpose"));
    assert_eq!(journal.append_blocking(vec![entry(2)]), Ok(Seq(2)));
}

#[test]
fn the_last_handle_may_go_inside_a_completion() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let (told, answers) = mpsc::sync_channel(1);
    let (release, released) = mpsc::sync_channel::<()>(1);
    let inside = journal.clone();
    journal.append(vec![entry(1)], move |outcome| {
        released.recv().unwrap();
        drop(inside);
        told.send(outcome).unwrap();
    });
    drop(journal);
    release.send(()).unwrap();
    assert_eq!(answers.recv_timeout(SOON).unwrap(), Ok(Seq(1)));
}
