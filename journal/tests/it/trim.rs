//! Cursors, and what is removed when all of them have passed it.

use journal::{AppendError, Config, Error, Journal};
use model::Seq;

use crate::append::{SOON, entry, read_all};

fn small() -> Config {
    Config { bytes_max: 64 * 1024, tail_bytes_max: 4096, ..Config::default() }
}

fn fill(journal: &Journal) -> Seq {
    while journal.append_blocking(vec![vec![7; 1000]]).is_ok() {}
    assert_eq!(journal.append_blocking(vec![vec![7; 1000]]), Err(AppendError::Full));
    journal.head()
}

#[test]
fn only_what_every_cursor_has_passed_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    assert_eq!(journal.register_cursor("writer").unwrap(), Seq(0));
    assert_eq!(journal.register_cursor("alerting").unwrap(), Seq(0));
    let head = fill(&journal);
    journal.commit_cursor_sync("writer", head).unwrap();
    assert_eq!(journal.append_blocking(vec![vec![7; 1000]]), Err(AppendError::Full), "alerting still needs all");
    assert_eq!(journal.first(), Seq(1));
    journal.commit_cursor("alerting", Seq(10));
    while journal.append_blocking(vec![vec![7; 1000]]) == Err(AppendError::Full) {
        std::thread::yield_now();
    }
    assert_eq!(journal.first(), Seq(11), "to the entry, and not beyond");
    let gone = journal.reader(Seq(0)).read(1, SOON).unwrap_err();
    assert!(matches!(gone, Error::Trimmed { first: Seq(11) }), "{gone}");
    assert_eq!(read_all(&journal, Seq(10)).len() as u64, journal.head().0 - 10);

    journal.close();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    assert_eq!(journal.first(), Seq(11));
    assert_eq!(journal.register_cursor("writer").unwrap(), head);
    assert_eq!(journal.register_cursor("alerting").unwrap(), Seq(10));
    assert_eq!(journal.register_cursor("late").unwrap(), Seq(10), "a new one starts at the oldest entry kept");
}

#[test]
fn positions_go_on_after_everything_was_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    journal.register_cursor("only").unwrap();
    let head = fill(&journal);
    journal.commit_cursor_sync("only", head).unwrap();
    while journal.first() < head {
        std::thread::yield_now();
    }
    journal.close();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    assert_eq!((journal.first(), journal.head()), (head, head), "the newest group stays");
    assert_eq!(journal.append_blocking(vec![entry(1)]), Ok(Seq(head.0 + 1)));
}

#[test]
fn the_file_does_not_grow_while_it_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    journal.register_cursor("only").unwrap();
    // 1 MB through 64 KiB.
    for _ in 0..1000 {
        while journal.append_blocking(vec![vec![7; 1000]]) == Err(AppendError::Full) {
            journal.commit_cursor("only", journal.head());
        }
    }
    assert_eq!(journal.head(), Seq(1000));
    journal.close();
    let size = std::fs::metadata(dir.path().join("journal.db")).unwrap().len();
    assert!(size < 256 * 1024, "{size} bytes");
}

#[test]
fn a_lazy_commit_is_on_disk_after_closing_and_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.append_blocking((0..10).map(entry).collect()).unwrap();
    journal.register_cursor("c").unwrap();
    journal.commit_cursor("c", Seq(7));
    journal.commit_cursor("c", Seq(3));
    assert_eq!(journal.register_cursor("c").unwrap(), Seq(7));
    journal.close();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    assert_eq!(journal.register_cursor("c").unwrap(), Seq(7));
    journal.commit_cursor_sync("c", Seq(1_000_000)).unwrap();
    assert_eq!(journal.register_cursor("c").unwrap(), Seq(10), "not beyond the head");
    assert!(matches!(journal.commit_cursor_sync("nobody", Seq(1)), Err(Error::UnknownCursor(_))));
}

#[test]
fn a_removed_cursor_holds_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    journal.register_cursor("gone").unwrap();
    journal.register_cursor("here").unwrap();
    let head = fill(&journal);
    journal.commit_cursor_sync("here", head).unwrap();
    journal.remove_cursor("gone").unwrap();
    while journal.append_blocking(vec![entry(1)]) == Err(AppendError::Full) {
        std::thread::yield_now();
    }
    assert_eq!(journal.stats().cursors, [("here".to_owned(), head)]);
}

#[test]
fn what_is_done_beyond_a_cursor_comes_back_and_holds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    journal.register_cursor("uplink").unwrap();
    journal.append_blocking((0..30).map(entry).collect()).unwrap();
    let ranges = [(Seq(10), Seq(12)), (Seq(20), Seq(30))];
    journal.commit_beyond("uplink", &ranges);
    journal.commit_cursor("uplink", Seq(3));
    journal.commit_beyond("nobody", &ranges);
    journal.close();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    assert_eq!((journal.register_cursor("uplink").unwrap(), journal.beyond("uplink")), (Seq(3), ranges.to_vec()));
    assert_eq!(read_all(&journal, Seq(0)).len(), 30, "nothing is trimmed for it");
    assert!(journal.beyond("nobody").is_empty());
    journal.commit_beyond("uplink", &[(Seq(25), Seq(30)), (Seq(31), Seq(99)), (Seq(9), Seq(8))]);
    assert_eq!(journal.beyond("uplink"), [(Seq(25), Seq(30))], "only what exists");
    journal.remove_cursor("uplink").unwrap();
    journal.close();
    let journal = Journal::open(dir.path(), "journal", &small()).unwrap();
    journal.register_cursor("uplink").unwrap();
    assert!(journal.beyond("uplink").is_empty());
}

#[test]
fn a_cursor_that_has_waited_goes_along_with_the_next_group() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    journal.register_cursor("only").unwrap();
    journal.append_blocking(vec![entry(1)]).unwrap();
    journal.commit_cursor("only", Seq(1));
    std::thread::sleep(std::time::Duration::from_millis(600));
    journal.append_blocking(vec![entry(2)]).unwrap();
    // As a reader after a crash at this moment would find it.
    let file = rusqlite::Connection::open(dir.path().join("journal.db")).unwrap();
    let stored: i64 = file.query_row("SELECT seq FROM cursor WHERE name = 'only'", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, 1);
}
