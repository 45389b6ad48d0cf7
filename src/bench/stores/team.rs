//! The sparklines of a whole team, as its list asks for them: a week of one metric of every elder in one call.

use std::time::Instant;

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use runtime::Clock;
use serde::Serialize;
use store::readings::{Progress, Store};

use super::Bed;
use crate::bench::Quantiles;
use crate::cli::Bench;

const DAYS: i64 = 7;
/// Between two values of an elder, seconds.
const STEP: i64 = 300;
const SECOND: i64 = 1_000_000;
/// Six hours each.
const BUCKETS: u32 = 28;
const BATCH: usize = 20_000;
/// Times the list is asked for.
const TRIES: usize = 20;
/// Rounds of upkeep after filling: more than it needs.
const UPKEEP: usize = 40;

#[derive(Debug, Serialize)]
pub(super) struct Team {
    store: Store,
    elders: u64,
    /// All sparklines, one call.
    sparklines_ms: Quantiles,
    points: usize,
    rows: u64,
}

pub(super) fn run(args: &Bench) -> anyhow::Result<Team> {
    let bed = Bed::new(args)?;
    let now = Clock::system().now();
    let from = now.plus_us(-DAYS * 86_400 * SECOND);
    let mut rows = Vec::with_capacity(BATCH);
    for step in 0..DAYS * 86_400 / STEP {
        for elder in 1..=args.elders as u32 {
            rows.push(reading(elder, from.plus_us((step * STEP + i64::from(elder) % STEP) * SECOND)));
            if rows.len() == BATCH {
                write(&bed, &mut rows)?;
            }
        }
    }
    write(&bed, &mut rows)?;
    for _ in 0..UPKEEP {
        bed.readings.maintain(now)?;
    }
    let subjects: Vec<Subject> = (1..=args.elders as u32).map(|elder| Subject::Elder(ElderId(elder))).collect();
    let (mut took, mut points) = (Vec::new(), 0);
    for _ in 0..TRIES {
        let begun = Instant::now();
        let lines = bed.readings.sparklines(&subjects, Metric::HeartRate, from, now, BUCKETS)?;
        took.push(begun.elapsed().as_micros() as u64);
        points = lines.iter().map(|line| line.points.len()).sum();
        anyhow::ensure!(points >= subjects.len() * BUCKETS as usize, "only {points} points");
    }
    let sparklines_ms = Quantiles::of(&mut took);
    let team = Team { store: args.store, elders: args.elders, sparklines_ms, points, rows: bed.readings.count() };
    bed.end()?;
    Ok(team)
}

fn reading(elder: u32, at: Time) -> Reading {
    let noise = (at.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    let sample = Sample::new(Metric::HeartRate, at, 60.0 + (noise % 40) as f64, Quality::Ok);
    Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
}

fn write(bed: &Bed, rows: &mut Vec<Reading>) -> anyhow::Result<()> {
    let at = bed.readings.progress().map_or(Seq(0), |progress: Progress| progress.live);
    bed.readings.write(rows, at)?;
    rows.clear();
    Ok(())
}
