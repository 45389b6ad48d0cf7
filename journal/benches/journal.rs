//! How fast the journal appends and reads. `cargo bench -p vigil-journal`; results in docs/adr/0002-journal-on-sqlite.md.
//!
//! The comparison with a bare appended file is `cargo run --release -p vigil-journal --example appended_file`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking")]

use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::Seq;
use vigil_journal::{Config, Journal};

/// About one reading on the wire.
const ENTRY: [u8; 60] = [7; 60];
const WAIT: Duration = Duration::from_secs(10);
const CURSOR: &str = "bench";

fn open(dir: &std::path::Path, config: &Config) -> Journal {
    Journal::open(dir, "journal", config).unwrap()
}

/// `appends` appends of `each` entries, all in flight, until the last one is durable.
fn append_all(journal: &Journal, appends: usize, each: usize) {
    let (told, answers) = sync_channel(1);
    for n in 1..=appends {
        let (last, told) = (n == appends, told.clone());
        journal.append(vec![ENTRY.to_vec(); each], move |outcome| {
            outcome.unwrap();
            if last {
                told.send(()).unwrap();
            }
        });
    }
    answers.recv_timeout(WAIT).unwrap();
}

fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path(), &Config::default());
    // Trimming is part of the work.
    journal.register_cursor(CURSOR).unwrap();
    let mut group = c.benchmark_group("append");
    group.sample_size(10).measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    for (name, appends, each) in [("one_waits", 1, 1), ("singles_in_flight", 10_000, 1), ("groups_of_1000", 100, 1000)]
    {
        group.throughput(Throughput::Elements((appends * each) as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                append_all(&journal, appends, each);
                journal.commit_cursor(CURSOR, journal.head());
            });
        });
    }
    group.finish();
    tasks(c, &journal);
}

/// 1000 async tasks, each waiting for its own append before the next one.
fn tasks(c: &mut Criterion, journal: &Journal) {
    const TASKS: usize = 1000;
    const APPENDS: usize = 20;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut group = c.benchmark_group("append");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(3))
        .throughput(Throughput::Elements((TASKS * APPENDS) as u64));
    group.bench_function("1000_tasks", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let mut tasks = tokio::task::JoinSet::new();
                for _ in 0..TASKS {
                    let journal = journal.clone();
                    tasks.spawn(async move {
                        for _ in 0..APPENDS {
                            journal.append_wait(vec![ENTRY.to_vec()]).await.unwrap();
                        }
                    });
                }
                tasks.join_all().await;
            });
            journal.commit_cursor(CURSOR, journal.head());
        });
    });
    group.finish();
}

fn read(c: &mut Criterion) {
    const ENTRIES: usize = 200_000;
    let mut group = c.benchmark_group("read");
    group.sample_size(10).measurement_time(Duration::from_secs(2)).throughput(Throughput::Elements(ENTRIES as u64));
    for (name, tail_bytes_max) in [("from_memory", 64 << 20), ("from_the_file", 0)] {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path(), &Config { tail_bytes_max, ..Config::default() });
        append_all(&journal, ENTRIES / 100, 100);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut reader = journal.reader(Seq(0));
                while reader.position() < journal.head() {
                    let batch = reader.read(256 * 1024, WAIT).unwrap();
                    black_box(batch.iter().map(|(_, entry)| entry.len()).sum::<usize>());
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append, read);
criterion_main!(benches);
