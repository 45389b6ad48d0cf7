//! The decision of docs/adr/0002-journal-on-sqlite.md as a measurement: the journal beside the least that could do its job,
//! a file that groups are appended to, one fdatasync each. `cargo run --release -p vigil-journal --example appended_file [DIR]`
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement prints, and fails by panicking")]

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use vigil_journal::{Config, Journal, bare_fsync_rate};

const ENTRY: [u8; 60] = [7; 60];
const MEASURE_FOR: Duration = Duration::from_secs(2);

fn main() {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let scratch = tempfile::tempdir_in(dir).unwrap();
    println!("bare fdatasync of 4 KiB: {:.0}/s", bare_fsync_rate(scratch.path()).unwrap());
    println!("entries/s, {} bytes each, every group durable before the next", ENTRY.len());
    println!("{:>14} {:>14} {:>14} {:>8}", "group", "file", "journal", "ratio");
    for group in [1, 5, 50, 500, 4096] {
        let (file, journal) = (appended_file(scratch.path(), group), journal(scratch.path(), group));
        println!("{group:>14} {file:>14.0} {journal:>14.0} {:>8.2}", journal / file);
    }
}

fn per_second(group: usize, mut once: impl FnMut()) -> f64 {
    let started = Instant::now();
    let mut groups = 0;
    while started.elapsed() < MEASURE_FOR {
        once();
        groups += 1;
    }
    (groups * group) as f64 / started.elapsed().as_secs_f64()
}

fn appended_file(dir: &Path, group: usize) -> f64 {
    let mut file = File::create(dir.join("appended")).unwrap();
    let mut blob = Vec::new();
    per_second(group, || {
        blob.clear();
        for _ in 0..group {
            let entry = ENTRY.to_vec();
            blob.extend_from_slice(&(entry.len() as u32).to_le_bytes());
            blob.extend_from_slice(&crc32c::crc32c(&entry).to_le_bytes());
            blob.extend_from_slice(&entry);
        }
        file.write_all(&blob).unwrap();
        file.sync_data().unwrap();
    })
}

fn journal(dir: &Path, group: usize) -> f64 {
    let name = format!("journal-{group}");
    let journal = Journal::open(dir, &name, &Config::default()).unwrap();
    journal.register_cursor("bench").unwrap();
    per_second(group, || {
        let (told, answers) = sync_channel(1);
        journal.append(vec![ENTRY.to_vec(); group], move |outcome| told.send(outcome).unwrap());
        answers.recv().unwrap().unwrap();
        journal.commit_cursor("bench", journal.head());
    })
}
