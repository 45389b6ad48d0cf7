//! What opening refuses, and in which words.

use journal::{Config, Error, Journal};
use model::Seq;
use rusqlite::Connection;

use crate::append::entry;

fn open(dir: &std::path::Path) -> Result<Journal, Error> {
    Journal::open(dir, "journal", &Config::default())
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("nowhere");
    let error = open(&missing).unwrap_err();
    assert_eq!(error.to_string(), format!("the data directory {} does not exist: create it", missing.display()));
    assert!(!missing.exists());
}

#[test]
fn a_read_only_directory_is_named() {
    // Root may write anywhere a mode forbids, but not in the kernel's own files.
    let dir = std::path::Path::new("/proc/sys/kernel");
    if !dir.exists() {
        eprintln!("skipped: no /proc here");
        return;
    }
    let error = open(dir).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("/proc/sys/kernel"), "{said}");
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path()).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Locked(_))));
    assert_eq!(first.append_blocking(vec![entry(1)]), Ok(Seq(1)), "the first is not disturbed");
    first.close();
    assert_eq!(open(dir.path()).unwrap().head(), Seq(1));
}

#[test]
fn two_journals_live_in_one_directory() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).unwrap();
    let outbox = Journal::open(dir.path(), "outbox", &Config::default()).unwrap();
    assert_eq!(journal.append_blocking(vec![entry(1), entry(2)]), Ok(Seq(1)));
    assert_eq!(outbox.append_blocking(vec![entry(3)]), Ok(Seq(1)));
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap().close();
    let path = dir.path().join("journal.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Newer { found: 2, known: 1, .. })));
    let version: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

#[test]
fn a_file_of_something_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    std::fs::write(&path, "a shopping list, long enough to be taken for a page of something".repeat(20)).unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Foreign(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE shopping (item TEXT)").unwrap();
    assert!(matches!(open(dir.path()), Err(Error::Foreign(_))));
}

#[test]
fn limits_that_can_store_nothing_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { group_entries_max: 0, ..Config::default() };
    let error = Journal::open(dir.path(), "journal", &config).unwrap_err();
    assert_eq!(error.to_string(), "journal.group_entries_max is 0: it must be at least 1");
}
