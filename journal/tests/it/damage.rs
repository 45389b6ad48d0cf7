//! A torn tail is no damage; a flipped bit is, and is named.

use std::path::Path;

use journal::{Config, Error, Journal};
use model::Seq;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rusqlite::Connection;

use crate::append::{SOON, entry, read_all};

#[test]
fn a_log_torn_anywhere_opens_with_what_came_before() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    for n in 0..40 {
        journal.append_blocking(vec![entry(2 * n), entry(2 * n + 1)]).unwrap();
    }
    let all = read_all(&journal, Seq(0));
    let wal = std::fs::read(dir.path().join("journal.db-wal")).unwrap();
    assert!(wal.len() > 40 * 4096, "nothing was copied into the file yet");
    let seed = 7;
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut heads = Vec::new();
    for round in 0..60 {
        // The first transactions made the tables; tear after them.
        let keep = rng.random_range(wal.len() / 4..wal.len());
        let torn = tempfile::tempdir().unwrap();
        std::fs::copy(dir.path().join("journal.db"), torn.path().join("journal.db")).unwrap();
        let mut left = wal[..keep].to_vec();
        if round % 2 == 1 {
            left.resize(wal.len(), 0xA5);
        }
        std::fs::write(torn.path().join("journal.db-wal"), left).unwrap();
        let journal = Journal::open(torn.path(), "journal", &Config::default()).unwrap();
        let found = read_all(&journal, Seq(0));
        assert_eq!(found, all[..found.len()], "seed {seed}, round {round}, {keep} bytes");
        assert_eq!(found.len() % 2, 0, "a group is there as a whole or not at all");
        assert_eq!(journal.append_blocking(vec![entry(0)]), Ok(Seq(found.len() as u64 + 1)));
        heads.push(found.len());
    }
    heads.sort_unstable();
    heads.dedup();
    assert!(heads.len() > 10, "the log was torn in many places: {heads:?}");
}

fn flip(dir: &Path, group: i64, byte: usize) {
    let conn = Connection::open(dir.join("journal.db")).unwrap();
    let mut blob: Vec<u8> = conn.query_row("SELECT blob FROM log WHERE first = ?", [group], |row| row.get(0)).unwrap();
    blob[byte] ^= 1;
    conn.execute("UPDATE log SET blob = ? WHERE first = ?", (blob, group)).unwrap();
}

#[test]
fn a_damaged_entry_is_named_and_can_be_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    for group in [1..=3, 4..=6, 7..=9] {
        journal.append_blocking(group.map(entry).collect()).unwrap();
    }
    journal.close();
    // Each entry takes 8 + 7 bytes; this is in the second one of the second group, 5.
    flip(dir.path(), 4, 8 + 7 + 8 + 3);
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    let mut reader = journal.reader(Seq(0));
    assert_eq!(reader.read(usize::MAX, SOON).unwrap().last(), Some(Seq(4)), "what is good is handed out");
    for _ in 0..2 {
        let error = reader.read(usize::MAX, SOON).unwrap_err();
        assert!(matches!(error, Error::Corrupt { seq: Seq(5), last: Seq(6) }), "{error}");
    }
    reader.seek(Seq(6));
    assert_eq!(reader.read(usize::MAX, SOON).unwrap().iter().next(), Some((Seq(7), &entry(7)[..])));
    assert_eq!(journal.append_blocking(vec![entry(10)]), Ok(Seq(10)), "new entries are taken all the same");
}

#[test]
fn a_lost_row_is_damage_too() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), "journal", &Config::default()).unwrap();
    for n in 1..=3 {
        journal.append_blocking(vec![entry(n)]).unwrap();
    }
    journal.close();
    let conn = Connection::open(dir.path().join("journal.db")).unwrap();
    conn.execute("DELETE FROM log WHERE first = 2", []).unwrap();
    drop(conn);
    let error = Journal::open(dir.path(), "journal", &Config::default()).unwrap_err();
    assert!(error.to_string().contains("entries are missing after 1"), "{error}");
}
