//! Figures of the embedded readings store: restart after kill -9, longest write while much is sealed or expires, bytes a reading, and
//! trends at 1 Hz. `cargo run --release -p vigil-store --example readings_figures [restart|sealing|expiry|trends]`
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Config, Readings, bench_rows};

/// Readings a write.
const WRITE: usize = 5_000;
const DAY: i64 = 86_400_000_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, role, dir] = &args[..]
        && role == "fill"
    {
        return fill(Path::new(dir));
    }
    let parts: [(&str, fn()); 4] = [("restart", restart), ("sealing", sealing), ("expiry", expiry), ("trends", trends)];
    for (_, part) in parts.iter().filter(|(word, _)| args.len() < 2 || args[1..].iter().any(|arg| arg == word)) {
        part();
    }
}

/// Nothing is sealed before the machine is full of it.
fn unsealed() -> Config {
    Config { head_rows_max: 40_000_000, log_bytes_max: 2 << 30, seal_rows: 65_536, ..Config::default() }
}

fn fill(dir: &Path) {
    let store = Readings::open(dir, &unsealed()).unwrap();
    for batch in 0..2_000 {
        store.write(&bench_rows(batch, WRITE), Seq(batch + 1)).unwrap();
    }
    println!("ready");
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::park();
    }
}

fn restart() {
    let dir = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let mut child = Command::new(own).arg("fill").arg(dir.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    for run in 1..=3 {
        let (started, cpu) = (Instant::now(), process_cpu());
        let store = Readings::open(dir.path(), &unsealed()).unwrap();
        let (took, cpu) = (started.elapsed(), process_cpu().saturating_sub(cpu));
        let stats = store.stats().unwrap();
        println!(
            "restart {run} after kill -9: {} unsealed readings in {took:?}, {cpu:?} of processor",
            stats.head_rows
        );
    }
}

#[derive(Default)]
struct Writes(Vec<Duration>);

impl Writes {
    fn time(&mut self, work: impl FnOnce()) {
        let started = Instant::now();
        work();
        self.0.push(started.elapsed());
    }

    fn say(mut self, what: &str, rows: u64) {
        let total: Duration = self.0.iter().sum();
        self.0.sort_unstable();
        let at = |share: usize| self.0[(self.0.len() - 1) * share / 1_000];
        let rate = rows as f64 / total.as_secs_f64();
        println!(
            "{what}: a write of {WRITE} p50 {:?} p99 {:?} max {:?}; {rate:.0} readings/s",
            at(500),
            at(990),
            at(1_000)
        );
    }
}

/// 2,000 series that fill up at the same moment, twice.
fn sealing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let mut writes = Writes::default();
    let batches = 2 * 4_096 * 2_000 / WRITE as u64 + 400;
    let cpu = process_cpu();
    for batch in 0..batches {
        let rows = bench_rows(batch, WRITE);
        writes.time(|| _ = store.write(&rows, Seq(batch + 1)).unwrap());
    }
    let cpu = process_cpu().saturating_sub(cpu);
    writes.say("2,000 series full at once, twice", batches * WRITE as u64);
    store.seal_all().unwrap();
    let stats = store.stats().unwrap();
    println!(
        "{} readings: {:.2} bytes a sealed one, {:.2} with the file; {cpu:?} of processor",
        stats.rows, stats.bytes_per_sealed_reading, stats.bytes_per_reading
    );
}

/// Everything sealed above and older grows too old at once, while writes go on.
fn expiry() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    for batch in 0..1_600 {
        store.write(&bench_rows(batch, WRITE), Seq(batch + 1)).unwrap();
    }
    store.seal_all().unwrap();
    let now = 1_700_000_000_000_000 + 95 * DAY;
    let (done, mut writes, mut written) = (AtomicBool::new(false), Writes::default(), 0);
    let fresh = |i: u64| {
        let mut rows = bench_rows(1_600 + i, WRITE);
        for row in &mut rows {
            row.sample.taken_at = row.sample.taken_at.plus_us(94 * DAY);
        }
        rows
    };
    let pieces = std::thread::scope(|scope| {
        let sweep = scope.spawn(|| {
            let mut pieces = Writes::default();
            while store.count() > written_until(&store) {
                pieces.time(|| store.maintain(Time(now)).unwrap());
            }
            done.store(true, Ordering::Release);
            pieces
        });
        while !done.load(Ordering::Acquire) {
            let rows = fresh(written);
            writes.time(|| _ = store.write(&rows, Seq(2_000 + written)).unwrap());
            written += 1;
        }
        sweep.join().unwrap()
    });
    let (total, longest): (Duration, _) = (pieces.0.iter().sum(), pieces.0.iter().max().unwrap());
    println!("8,000,000 readings expire in {} pieces, {total:?} in all, the longest {longest:?}", pieces.0.len());
    writes.say("writes meanwhile", written * WRITE as u64);
    println!("file: {} bytes in use, {} on disk", store.stats().unwrap().file_bytes, file_bytes(dir.path()));
}

/// Rows that are not too old: those of the first elder's first metric, by which all others are guessed.
fn written_until(store: &Readings) -> u64 {
    let old = Time(1_700_000_000_000_000 + DAY);
    let last = Subject::Elder(ElderId(1_000));
    let left = store.raw(last, Metric::Spo2, Time(0), old, 1).unwrap();
    if left.is_empty() { u64::MAX } else { 0 }
}

fn file_bytes(dir: &Path) -> u64 {
    std::fs::metadata(dir.join(vigil_store::readings::FILE)).unwrap().len()
}

fn trends() {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let (elder, metrics) = (Subject::Elder(ElderId(1)), [Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate]);
    for metric in metrics {
        let row = |i: i64| {
            let sample =
                Sample::new(metric, Time(i * 1_000_000 + i * 7_919 % 20_000), (60 + i % 40) as f64, Quality::Ok);
            Reading { subject: elder, device: DeviceId(1), sample }
        };
        for start in (0..30 * 86_400).step_by(50_000) {
            let rows: Vec<Reading> = (start..(start + 50_000).min(30 * 86_400)).map(row).collect();
            store.write(&rows, Seq(1)).unwrap();
        }
    }
    for buckets in [300, 720, 1_000, 1_440, 2_000, 4_000] {
        let mut times = Vec::new();
        for _ in 0..9 {
            let started = Instant::now();
            for metric in metrics {
                store.trend(elder, metric, Time(0), Time(30 * DAY), buckets).unwrap();
            }
            times.push(started.elapsed());
        }
        times.sort_unstable();
        println!("30 days of 3 metrics at 1 Hz in {buckets} buckets: best {:?}, median {:?}", times[0], times[4]);
    }
}

/// Processor time of this process so far.
fn process_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
