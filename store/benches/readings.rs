//! Writing, replaying and drawing readings. `cargo bench -p vigil-store --bench readings`
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use vigil_store::readings::{Config, Readings, bench_rows};

const ELDER: Subject = Subject::Elder(ElderId(1));
const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;

fn write(c: &mut Criterion) {
    let mut group = c.benchmark_group("write");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for rows in [100, 1_000, 5_000] {
        let dir = tempfile::tempdir().unwrap();
        let store = Readings::open(dir.path(), &Config::default()).unwrap();
        let mut batch = 0;
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{rows} new"), |b| {
            b.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let readings = bench_rows(batch, rows);
                    batch += 1;
                    let started = Instant::now();
                    store.write(&readings, Seq(batch)).unwrap();
                    spent += started.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

fn replay(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let batches: Vec<Vec<Reading>> = (0..200).map(|i| bench_rows(i, 5_000)).collect();
    for rows in &batches {
        store.write(rows, Seq(1)).unwrap();
    }
    store.seal_all().unwrap();
    let mut group = c.benchmark_group("replay");
    group.sample_size(10).throughput(Throughput::Elements(5_000));
    let mut next = batches.iter().cycle();
    group.bench_function("5000 sealed", |b| b.iter(|| store.write(next.next().unwrap(), Seq(1)).unwrap()));
    group.finish();
}

fn trend(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let metrics = [Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate];
    let row = |metric, at: i64, i: i64| Reading {
        subject: ELDER,
        device: DeviceId(1),
        sample: Sample::new(metric, Time(at + i * 7_919 % 20_000), (60 + i % 40) as f64, Quality::Ok),
    };
    for metric in metrics {
        let minutes: Vec<Reading> = (0..30 * 1_440).map(|i| row(metric, i * MINUTE, i)).collect();
        store.write(&minutes, Seq(1)).unwrap();
    }
    let seconds: Vec<Reading> = (0..30 * 86_400).map(|i| row(Metric::PulseRate, i * 1_000_000, i)).collect();
    for rows in seconds.chunks(50_000) {
        store.write(rows, Seq(1)).unwrap();
    }
    store.maintain(Time(0)).unwrap();
    let mut group = c.benchmark_group("trend");
    group.sample_size(20);
    group.bench_function("30 d of 3 metrics once a minute", |b| {
        b.iter(|| metrics.map(|metric| black_box(store.trend(ELDER, metric, Time(0), Time(30 * DAY), 600).unwrap())));
    });
    for (name, buckets) in [("to 1 h", 720), ("to 15 min", 2_880)] {
        group.bench_function(format!("30 d at 1 Hz {name}"), |b| {
            b.iter(|| store.trend(ELDER, Metric::PulseRate, Time(0), Time(30 * DAY), buckets).unwrap());
        });
    }
    group.bench_function("1 d at 1 Hz to 2 min", |b| {
        b.iter(|| store.trend(ELDER, Metric::PulseRate, Time(29 * DAY), Time(30 * DAY), 720).unwrap());
    });
    group.bench_function("latest", |b| b.iter(|| store.latest(ELDER)));
    group.finish();
}

/// A county of 20,000 elders with two metrics: longest write, memory of rows, bytes a reading. Printed, not compared.
fn county(_: &mut Criterion) {
    const ELDERS: u64 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let store = Readings::open(dir.path(), &Config::default()).unwrap();
    let mut spent = Vec::new();
    // `cargo test --benches` only wants to see that it runs.
    let batches = if std::env::args().any(|arg| arg == "--bench") { 2_000 } else { 20 };
    for batch in 0..batches {
        let row = |i: u64| {
            let (series, round) = (i % (2 * ELDERS), (i / (2 * ELDERS)) as i64);
            let noise = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i64;
            let elder = (series / 2 + 1) as u32;
            let metric = if series % 2 == 0 { Metric::HeartRate } else { Metric::Spo2 };
            let at = Time(round * 30_000_000 + noise % 20 * 1_000);
            let value = if series % 2 == 0 { 70 + (round / 16 + noise % 3) % 20 } else { 95 + noise % 3 };
            let sample = Sample::new(metric, at, value as f64, Quality::Ok);
            Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
        };
        let rows: Vec<Reading> = (batch * 5_000..(batch + 1) * 5_000).map(row).collect();
        let started = Instant::now();
        store.write(&rows, Seq(batch + 1)).unwrap();
        spent.push(started.elapsed());
    }
    let total: Duration = spent.iter().sum();
    spent.sort_unstable();
    let at = |share: usize| spent[(spent.len() - 1) * share / 1_000];
    let stats = store.stats().unwrap();
    eprintln!(
        "county: {} rows in {} series, {:.0} readings/s; a write of 5000 p50 {:?} p99 {:?} max {:?}; sealed {} at {:.2} B, \
         heads {}, log {} MiB, {} blocks",
        stats.rows,
        stats.series,
        stats.rows as f64 / total.as_secs_f64(),
        at(500),
        at(990),
        at(1_000),
        stats.sealed_rows,
        stats.bytes_per_sealed_reading,
        stats.head_rows,
        stats.log_bytes >> 20,
        stats.blocks_sealed,
    );
    let started = Instant::now();
    store.seal_all().unwrap();
    let sealing = started.elapsed();
    let stats = store.stats().unwrap();
    eprintln!(
        "county: sealing the rest {sealing:?}; {:.2} B a sealed reading, {:.2} B with the file",
        stats.bytes_per_sealed_reading, stats.bytes_per_reading
    );
}

criterion_group!(readings, county, write, replay, trend);
criterion_main!(readings);
