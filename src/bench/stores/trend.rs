//! Thirty days of three metrics of one elder, once a second and once a minute: how long their trend takes.

use std::time::Instant;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use runtime::Clock;
use serde::Serialize;
use store::readings::{Progress, Store};

use super::Bed;
use crate::bench::Quantiles;
use crate::cli::Bench;

const DAYS: i64 = 30;
const DAY_S: i64 = 86_400;
const METRICS: [Metric; 3] = [Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate];
const BATCH: i64 = 20_000;
/// Points that a chart may have.
const BUCKETS: [u32; 5] = [300, 720, 1_000, 1_440, 2_000];
/// Those of the figures in short.
const USUAL: u32 = 720;
/// Times each trend is asked for.
const TRIES: usize = 20;

#[derive(Debug, Serialize)]
pub(super) struct Trends {
    store: Store,
    /// All three metrics together, in 720 buckets.
    each_second_ms: Quantiles,
    each_minute_ms: Quantiles,
    /// The same for other numbers of buckets.
    by_buckets: Vec<ByBuckets>,
    rows: u64,
    bytes_per_reading: f64,
}

#[derive(Debug, Serialize)]
struct ByBuckets {
    buckets: u32,
    /// Of one metric.
    points: usize,
    each_second_ms: Quantiles,
    each_minute_ms: Quantiles,
}

pub(super) fn run(args: &Bench) -> anyhow::Result<Trends> {
    let bed = Bed::new(args)?;
    let to = Time::from_secs(Clock::system().now().0 / 1_000_000 / DAY_S * DAY_S);
    let from = to.plus_us(-DAYS * DAY_S * 1_000_000);
    for (elder, step) in [(1, 1), (2, 60)] {
        for metric in METRICS {
            fill(&bed, elder, metric, from, step)?;
        }
    }
    for _ in 0..DAYS * 2 {
        bed.readings.maintain(Clock::system().now())?;
    }
    if args.store == Store::Embedded {
        bed.readings.seal_all()?;
    }
    let mut by_buckets = Vec::new();
    for buckets in BUCKETS {
        let (points, each_second_ms) = ask(&bed, 1, (from, to), buckets)?;
        let (_, each_minute_ms) = ask(&bed, 2, (from, to), buckets)?;
        by_buckets.push(ByBuckets { buckets, points, each_second_ms, each_minute_ms });
    }
    let trends = Trends {
        store: args.store,
        each_second_ms: ask(&bed, 1, (from, to), USUAL)?.1,
        each_minute_ms: ask(&bed, 2, (from, to), USUAL)?.1,
        by_buckets,
        rows: bed.readings.count(),
        bytes_per_reading: bed.readings.stats()?.bytes_per_reading,
    };
    bed.end()?;
    Ok(trends)
}

fn fill(bed: &Bed, elder: u32, metric: Metric, from: Time, step: i64) -> anyhow::Result<()> {
    let last = DAYS * DAY_S / step;
    for first in (0..last).step_by(BATCH as usize) {
        let reading = |i: i64| {
            let noise = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let at = from.plus_us(i * step * 1_000_000 + (noise % 20) as i64 * 1_000);
            let sample = Sample::new(metric, at, 60.0 + (i / 16 % 20) as f64 + (noise % 3) as f64, Quality::Ok);
            Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
        };
        let rows: Vec<Reading> = (first..last.min(first + BATCH)).map(reading).collect();
        let at = bed.readings.progress().map_or(Seq(0), |progress: Progress| progress.live);
        bed.readings.write(&rows, at)?;
    }
    Ok(())
}

/// Points of one metric, and how long all three took.
fn ask(bed: &Bed, elder: u32, (from, to): (Time, Time), buckets: u32) -> anyhow::Result<(usize, Quantiles)> {
    let (mut took, mut points) = (Vec::new(), 0);
    for _ in 0..TRIES {
        let begun = Instant::now();
        for metric in METRICS {
            let trend = bed.readings.trend(Subject::Elder(ElderId(elder)), metric, from, to, buckets)?;
            points = trend.points.len();
            anyhow::ensure!(points as u32 >= buckets / 2, "only {points} points");
        }
        took.push(begun.elapsed().as_micros() as u64);
    }
    Ok((points, Quantiles::of(&mut took)))
}
