//! The store is away for a while under a steady load: how quickly that is made good, and how late what is new becomes meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use journal::Journal;
use runtime::Clock;
use serde::Serialize;
use store::readings::Store;

use super::Bed;
use super::bed::{FRAME, frame};
use crate::cli::Bench;

/// Load before the outage and after the drain.
const BEFORE: Duration = Duration::from_secs(5);
/// Between two groups of frames, and two looks.
const BEAT: Duration = Duration::from_millis(20);

#[derive(Debug, Serialize)]
pub(super) struct Outage {
    store: Store,
    /// Readings that came a second.
    live_rows_per_s: f64,
    away_s: f64,
    /// What waited when the store came back.
    backlog_rows: u64,
    drain_s: f64,
    /// Readings of the backlog stored a second, beside the live ones.
    drain_rows_per_s: f64,
    /// That by the live rate.
    multiple: f64,
    /// The longest that a reading waited that came after the store was back, seconds.
    worst_live_lag_s: f64,
    sent: u64,
    stored: u64,
}

/// Readings at a steady rate, until told to stop.
struct Feeder {
    on: Arc<AtomicBool>,
    frames: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Feeder {
    fn start(journal: Journal, rate: u64, elders: u64) -> Self {
        let (on, frames) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (going, count) = (Arc::clone(&on), Arc::clone(&frames));
        let thread = std::thread::spawn(move || {
            let (begun, clock) = (Instant::now(), Clock::system());
            let from = clock.now();
            while going.load(Ordering::Relaxed) {
                let (first, due) = (count.load(Ordering::Relaxed), begun.elapsed().as_secs_f64() * rate as f64);
                let last = (due / FRAME as f64) as u64;
                let now = clock.now();
                journal.append_blocking((first..last).map(|n| frame(n, elders, from, now)).collect())?;
                count.store(last.max(first), Ordering::Relaxed);
                std::thread::sleep(BEAT);
            }
            Ok(())
        });
        Self { on, frames, thread }
    }

    fn sent(&self) -> u64 {
        self.frames.load(Ordering::Relaxed) * FRAME
    }

    fn stop(self) -> anyhow::Result<u64> {
        self.on.store(false, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the feeder failed"))??;
        Ok(self.frames.load(Ordering::Relaxed) * FRAME)
    }
}

pub(super) fn run(args: &Bench) -> anyhow::Result<Outage> {
    let mut bed = Bed::with_line(args)?;
    let ingest = bed.start_writer()?;
    let feeder = Feeder::start(bed.journal.clone(), args.rate, args.elders);
    std::thread::sleep(BEFORE);
    bed.away(true);
    let (stored, begun) = (bed.readings.count(), Instant::now());
    std::thread::sleep(Duration::from_secs(args.outage_s));
    let backlog_rows = feeder.sent().saturating_sub(stored);
    bed.away(false);
    let away_s = begun.elapsed().as_secs_f64();
    let (back, mut worst) = (Instant::now(), 0.0_f64);
    let (before, live) = (bed.readings.count(), feeder.sent());
    bed.wait("the store takes readings again", |_| ingest.writing().state != "failing")?;
    while ingest.writing().backlog.entries > 0 {
        let writing = ingest.writing();
        worst = worst.max(writing.live.lag_s).max(writing.live.worst_lag_s);
        std::thread::sleep(BEAT);
    }
    let drain_s = back.elapsed().as_secs_f64();
    let live = feeder.sent() - live;
    let drained = (bed.readings.count() - before).saturating_sub(live);
    let sent = feeder.stop()?;
    let head = bed.journal.head().0;
    bed.wait("the store takes all", |_| ingest.writing().done >= head)?;
    let stored = bed.readings.count();
    let drain_rows_per_s = drained as f64 / drain_s;
    let outage = Outage {
        store: args.store,
        live_rows_per_s: live as f64 / drain_s,
        away_s,
        backlog_rows,
        drain_s,
        drain_rows_per_s,
        multiple: drain_rows_per_s / args.rate as f64,
        worst_live_lag_s: worst,
        sent,
        stored,
    };
    drop(ingest);
    bed.end()?;
    Ok(outage)
}
