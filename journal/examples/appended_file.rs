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
/// The two take turns, so that other work on the machine meets both.
const TURNS: u32 = 10;
const TURN: Duration = Duration::from_millis(200);

fn main() {
    let dir = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let scratch = tempfile::tempdir_in(dir).unwrap();
    println!("bare fdatasync of 4 KiB: {:.0}/s", bare_fsync_rate(scratch.path()).unwrap());
    println!("entries of {} bytes, every group durable before the next", ENTRY.len());
    println!(
        "{:>6} {:>12} {:>12} {:>6} {:>14} {:>14}",
        "group", "file/s", "journal/s", "ratio", "file/CPU-s", "journal/CPU-s"
    );
    for group in [1, 5, 50, 500, 4096] {
        let (mut file, mut journal) = (appended_file(scratch.path(), group), journal(scratch.path(), group));
        let (mut of_file, mut of_journal) = (Tally::default(), Tally::default());
        for _ in 0..TURNS {
            of_file.turn(group, &mut file);
            of_journal.turn(group, &mut journal);
        }
        let (f, j) = (of_file.per_second(), of_journal.per_second());
        println!(
            "{group:>6} {f:>12.0} {j:>12.0} {:>6.2} {:>14.0} {:>14.0}",
            j / f,
            of_file.per_cpu(),
            of_journal.per_cpu()
        );
    }
}

#[derive(Default)]
struct Tally {
    entries: usize,
    took: Duration,
    cpu_s: f64,
}

impl Tally {
    fn turn(&mut self, group: usize, once: &mut dyn FnMut()) {
        let (started, cpu) = (Instant::now(), cpu_s());
        while started.elapsed() < TURN {
            once();
            self.entries += group;
        }
        self.took += started.elapsed();
        self.cpu_s += cpu_s() - cpu;
    }

    fn per_second(&self) -> f64 {
        self.entries as f64 / self.took.as_secs_f64()
    }

    fn per_cpu(&self) -> f64 {
        self.entries as f64 / self.cpu_s
    }
}

/// CPU time of this process in seconds, all threads, user and system, to a hundredth.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields are counted from after the name, which may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

fn appended_file(dir: &Path, group: usize) -> impl FnMut() {
    let mut file = File::create(dir.join(format!("appended-{group}"))).unwrap();
    let mut blob = Vec::new();
    move || {
        blob.clear();
        for _ in 0..group {
            let entry = ENTRY.to_vec();
            blob.extend_from_slice(&(entry.len() as u32).to_le_bytes());
            blob.extend_from_slice(&crc32c::crc32c(&entry).to_le_bytes());
            blob.extend_from_slice(&entry);
        }
        file.write_all(&blob).unwrap();
        file.sync_data().unwrap();
    }
}

fn journal(dir: &Path, group: usize) -> impl FnMut() {
    let journal = Journal::open(dir, &format!("journal-{group}"), &Config::default()).unwrap();
    journal.register_cursor("bench").unwrap();
    move || {
        let (told, answers) = sync_channel(1);
        journal.append(vec![ENTRY.to_vec(); group], move |outcome| told.send(outcome).unwrap());
        answers.recv().unwrap().unwrap();
        journal.commit_cursor("bench", journal.head());
    }
}
