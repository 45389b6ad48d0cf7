//! How fast this machine's disk and core take readings: the bare limit that `vigil bench` prints beside its own figure.

use std::path::Path;
use std::time::{Duration, Instant};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};

use super::{Config, Error, Readings};

/// How long the measurement takes.
const LENGTH: Duration = Duration::from_secs(1);
/// Readings per write.
const BATCH: usize = 5_000;
/// Elders, with two metrics each.
const ELDERS: usize = 1_000;

/// A county at one reading a second and metric: write number `batch`, with stamps that jitter by milliseconds.
pub fn bench_rows(batch: u64, rows: usize) -> Vec<Reading> {
    let first = batch * rows as u64;
    (first..first + rows as u64)
        .map(|i| {
            let (series, round) = (i % (2 * ELDERS as u64), (i / (2 * ELDERS as u64)) as i64);
            let noise = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i64;
            let metric = if series % 2 == 0 { Metric::HeartRate } else { Metric::Spo2 };
            let at = Time::from_secs(1_700_000_000 + round).plus_us((noise % 20) * 1_000);
            let value = if series % 2 == 0 { 70 + (round / 16 + noise % 3) % 20 } else { 95 + noise % 3 };
            Reading {
                subject: Subject::Elder(ElderId(series as u32 / 2 + 1)),
                device: DeviceId(series as u32 / 2 + 1),
                sample: Sample::new(metric, at, value as f64, Quality::Ok),
            }
        })
        .collect()
}

/// Readings a second this machine stores durably in `dir`, one core, writes of 5,000. Takes about a second and removes
/// what it wrote.
pub fn bench_write_rate(dir: &Path) -> Result<f64, Error> {
    let scratch = dir.join(format!("bench-readings-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).map_err(|e| Error::io(&scratch, e))?;
    let rate = measure(&scratch);
    std::fs::remove_dir_all(&scratch).map_err(|e| Error::io(&scratch, e))?;
    rate
}

fn measure(dir: &Path) -> Result<f64, Error> {
    let store = Readings::open(dir, &Config::default())?;
    let (mut spent, mut stored, mut batch) = (Duration::ZERO, 0, 0);
    while spent < LENGTH {
        let rows = bench_rows(batch, BATCH);
        batch += 1;
        let started = Instant::now();
        stored += store.write(&rows, Seq(batch))?.stored;
        spent += started.elapsed();
    }
    Ok(stored as f64 / spent.as_secs_f64())
}
