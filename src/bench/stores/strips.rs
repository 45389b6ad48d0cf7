//! Months of one ECG lead: how long a strip of ten seconds takes, wherever it is.

use std::time::Instant;

use model::extra::Rate;
use model::{DeviceId, ElderId, Metric, Seq, Subject, Time, Waveform};
use runtime::Clock;
use serde::Serialize;
use store::readings::{Batch, Store, Wave};

use super::Bed;
use crate::bench::Quantiles;
use crate::cli::Bench;

const HZ: u32 = 250;
/// As a gateway cuts them.
const BLOCK_S: i64 = 5;
const STRIP_S: i64 = 10;
const DAY_S: i64 = 86_400;
const WHOSE: Subject = Subject::Elder(ElderId(1));
/// Blocks of one write: half an hour.
const BATCH: i64 = 360;
/// Strips asked for.
const STRIPS: u64 = 1_000;
/// Samples of the trace that is laid end to end.
const TRACE: usize = 10 * 60 * HZ as usize;
/// Waves of one beat: place within it (share), width (share), height (counts of 5 µV).
const BEAT: [(f64, f64, f64); 5] =
    [(0.18, 0.025, 24.0), (0.27, 0.010, -20.0), (0.30, 0.011, 220.0), (0.33, 0.010, -44.0), (0.55, 0.045, 56.0)];

#[derive(Debug, Serialize)]
pub(super) struct Strips {
    store: Store,
    days: u64,
    blocks: u64,
    samples: u64,
    bytes: u64,
    bytes_per_sample: f64,
    fill_s: f64,
    asked: u64,
    /// The first time that a strip is asked for, and again.
    strip_ms: Quantiles,
    again_ms: Quantiles,
}

pub(super) fn run(args: &Bench) -> anyhow::Result<Strips> {
    let bed = Bed::new(args)?;
    let begun = Instant::now();
    let to = Clock::system().now().0 / 1_000_000 / DAY_S * DAY_S;
    let from = to - i64::from(args.days) * DAY_S;
    let trace = trace();
    for first in (from..to).step_by((BATCH * BLOCK_S) as usize) {
        let last = (first + BATCH * BLOCK_S).min(to);
        let waves = (first..last).step_by(BLOCK_S as usize).map(|second| block(&trace, second)).collect();
        let at = bed.readings.progress().map_or(Seq(0), |progress| progress.live);
        bed.readings.write_batch(&Batch { waves, ..Batch::default() }, at)?;
    }
    let fill_s = begun.elapsed().as_secs_f64();
    let (blocks, samples) = bed.readings.wave_totals()?;
    let bytes = bed.readings.stats()?.file_bytes;
    let strips = Strips {
        store: args.store,
        days: u64::from(args.days),
        blocks,
        samples,
        bytes,
        bytes_per_sample: bytes as f64 / samples.max(1) as f64,
        fill_s,
        asked: STRIPS,
        strip_ms: ask(&bed, (from, to))?,
        again_ms: ask(&bed, (from, to))?,
    };
    bed.end()?;
    Ok(strips)
}

/// The same pseudo-random number for the same place, every time.
fn noise(n: u64) -> u64 {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
}

/// Beats of changing length, a wandering baseline and a noise of some counts.
fn trace() -> Vec<i16> {
    let (mut counts, mut phase) = (Vec::with_capacity(TRACE), 0.0_f64);
    for i in 0..TRACE {
        let seconds = i as f64 / f64::from(HZ);
        phase += (1.15 + 0.1 * (seconds / 5.0).sin()) / f64::from(HZ);
        let at = phase.fract();
        let beat: f64 =
            BEAT.iter().map(|(place, width, high)| high * (-((at - place) / width).powi(2) / 2.0).exp()).sum();
        let wander = 30.0 * (seconds * 1.3).sin();
        counts.push((beat + wander) as i16 + (noise(i as u64) % 7) as i16 - 3);
    }
    counts
}

fn block(trace: &[i16], second: i64) -> Wave {
    let length = BLOCK_S as usize * HZ as usize;
    let at = (second / BLOCK_S) as usize * length % TRACE;
    let block = Waveform {
        metric: Metric::Ecg,
        lead: 1,
        start: Time::from_secs(second),
        rate: Rate { samples: HZ, seconds: 1 },
        scale: 0.005,
        offset: 0.0,
        counts: trace[at..at + length].to_vec(),
    };
    Wave { subject: WHOSE, device: DeviceId(1), block }
}

fn ask(bed: &Bed, (from, to): (i64, i64)) -> anyhow::Result<Quantiles> {
    let mut took = Vec::new();
    for i in 0..STRIPS {
        let at = Time(from * 1_000_000 + (noise(i) % ((to - from - STRIP_S) as u64 * 1_000)) as i64 * 1_000);
        let begun = Instant::now();
        let waves = bed.readings.waves(WHOSE, Metric::Ecg, at, at.plus_us(STRIP_S * 1_000_000))?;
        took.push(begun.elapsed().as_micros() as u64);
        let samples: usize = waves.iter().map(|wave| wave.block.counts.len()).sum();
        anyhow::ensure!(samples as i64 >= STRIP_S * i64::from(HZ), "a strip of {samples} samples");
    }
    Ok(Quantiles::of(&mut took))
}
