//! A copy taken while the journal works.

use journal::{Config, Error, Journal};
use model::Seq;

use crate::append::{entry, read_all};

#[test]
fn a_backup_taken_under_load_is_a_journal_with_a_prefix_of_the_entries() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.register_cursor("c").unwrap();
    journal.append_blocking((1..=100).map(entry).collect()).unwrap();
    journal.commit_cursor_sync("c", Seq(42)).unwrap();
    let path = copy.path().join("journal.db");
    std::thread::scope(|scope| {
        scope.spawn(|| (101..=300).for_each(|n| assert_eq!(journal.append_blocking(vec![entry(n)]), Ok(Seq(n)))));
        journal.backup_to(&path).unwrap();
    });
    assert!(matches!(journal.backup_to(&path), Err(Error::Io { .. })), "an earlier backup is not overwritten");
    let restored = Journal::open(copy.path(), "journal", &Config::default()).unwrap();
    assert!(restored.head() >= Seq(100) && restored.head() <= Seq(300));
    let entries = read_all(&restored, Seq(0));
    assert_eq!(entries, (1..=restored.head().0).map(|n| (Seq(n), entry(n))).collect::<Vec<_>>());
    assert_eq!(restored.register_cursor("c").unwrap(), Seq(42));
}
