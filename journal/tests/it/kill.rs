//! `kill -9` in the middle of it, twenty times on one file: everything that was acknowledged is there.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;

use journal::{Config, Error, Journal};
use model::Seq;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::append::read_all;

const ROUNDS: u64 = 20;
const DIR: &str = "VIGIL_JOURNAL_KILL_DIR";
const ROUND: &str = "VIGIL_JOURNAL_KILL_ROUND";

/// Small enough for trimming and copying to happen during the test.
fn config() -> Config {
    Config { bytes_max: 1024 * 1024, group_entries_max: 64, ..Config::default() }
}

fn entry(id: u64) -> Vec<u8> {
    format!("{id} {}", "x".repeat((id % 300) as usize)).into_bytes()
}

/// The child: appends for ever and says what was acknowledged, one line each, only after the ack.
fn append_until_killed(dir: &Path, round: u64) {
    let journal = Journal::open(dir, "journal", &config()).unwrap();
    let cursor = journal.register_cursor("reader").unwrap();
    let (acked, acks) = sync_channel(1000);
    for appender in 0..4 {
        let (journal, acked) = (journal.clone(), acked.clone());
        std::thread::spawn(move || {
            for n in 0.. {
                let id = (round * 4 + appender) * 1_000_000 + n;
                match journal.append_blocking(vec![entry(id)]) {
                    Ok(seq) => acked.send((seq, id)).unwrap(),
                    // Full until the reader has caught up.
                    Err(_) => std::thread::yield_now(),
                }
            }
        });
    }
    let mut out = std::io::stdout().lock();
    let mut passed = cursor;
    for (seq, id) in acks {
        writeln!(out, "acked {seq} {id}").unwrap();
        if seq.0 > passed.0 + 2000 {
            passed = Seq(seq.0 - 1000);
            journal.commit_cursor("reader", passed);
        }
    }
}

fn start(dir: &Path, round: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::nothing_acknowledged_is_lost_by_kill_9", "--nocapture"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    // The same test is its own child: started again with the directory in its environment.
    if let Some(dir) = std::env::var_os(DIR) {
        return append_until_killed(Path::new(&dir), std::env::var(ROUND).unwrap().parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let seed = 20_261_122;
    eprintln!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut acked = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut child = start(dir.path(), round);
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let kill_after = rng.random_range(1..400);
        let (mut line, mut heard) = (Vec::new(), 0);
        // To the end of what it said: lines after the kill were acknowledged before it.
        while lines.read_until(b'\n', &mut line).unwrap() > 0 {
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            let Some((seq, id)) = text.strip_prefix("acked ").and_then(|text| text.strip_suffix('\n')?.split_once(' '))
            else {
                continue;
            };
            acked.insert(Seq(seq.parse().unwrap()), id.parse::<u64>().unwrap());
            heard += 1;
            if heard == 1 {
                assert!(
                    matches!(Journal::open(dir.path(), "journal", &config()), Err(Error::Locked(_))),
                    "two processes"
                );
            }
            if heard == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(heard >= kill_after, "round {round}: the child ended by itself");
        check(dir.path(), round, &acked);
    }
}

fn check(dir: &Path, round: u64, acked: &BTreeMap<Seq, u64>) {
    let journal = Journal::open(dir, "journal", &config()).unwrap();
    // From the cursor on: what it has passed may be trimmed at any moment.
    let cursor = journal.register_cursor("reader").unwrap();
    assert!(journal.first().0 <= cursor.0 + 1, "trimmed only what the cursor has passed");
    let found: BTreeMap<Seq, Vec<u8>> = read_all(&journal, cursor).into_iter().collect();
    for (seq, id) in acked.range(Seq(cursor.0 + 1)..) {
        assert_eq!(found.get(seq), Some(&entry(*id)), "round {round}: acknowledged entry {seq}");
    }
    journal.close();
}
