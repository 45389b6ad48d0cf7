//! The store is away for a while under a steady load: how quickly that is made good, and how late what is new becomes meanwhile.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use journal::Journal;
use model::Time;
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
/// Frames that are written to the journal at once, at most.
const GROUP: u64 = 4_096;

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
    /// The longest that what was new waited once the store was back, the time until the first of it was stored included, seconds.
    worst_live_lag_s: f64,
    sent: u64,
    stored: u64,
}

/// Readings at a steady rate, until told to stop.
struct Feeder {
    progress: Arc<Progress>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

/// What both sides of a [`Feeder`] know.
struct Progress {
    on: AtomicBool,
    /// Frames that were sent.
    sent: AtomicU64,
    /// Frames that are due before their time.
    ahead: AtomicU64,
}

impl Feeder {
    /// `from`: the time of the first reading.
    fn start(journal: Journal, args: &Bench, from: Time) -> Self {
        let (rate, elders) = (args.rate as f64 / FRAME as f64, args.elders);
        let progress = Progress { on: AtomicBool::new(true), sent: AtomicU64::new(0), ahead: AtomicU64::new(0) };
        let progress = Arc::new(progress);
        let told = Arc::clone(&progress);
        let thread = std::thread::spawn(move || {
            let (begun, clock) = (Instant::now(), Clock::system());
            while told.on.load(Ordering::Relaxed) {
                let first = told.sent.load(Ordering::Relaxed);
                let due = (begun.elapsed().as_secs_f64() * rate) as u64 + told.ahead.load(Ordering::Relaxed);
                let (last, now) = (due.clamp(first, first + GROUP), clock.now());
                journal.append_blocking((first..last).map(|n| frame(n, elders, from, now)).collect())?;
                told.sent.store(last, Ordering::Relaxed);
                if last == due {
                    std::thread::sleep(BEAT);
                }
            }
            Ok(())
        });
        Self { progress, thread }
    }

    /// Readings that were sent.
    fn sent(&self) -> u64 {
        self.progress.sent.load(Ordering::Relaxed) * FRAME
    }

    /// The readings of some time come now, as quickly as the journal takes them.
    fn hurry(&self, readings: u64) {
        let target = self.progress.sent.load(Ordering::Relaxed) + readings / FRAME;
        self.progress.ahead.fetch_add(readings / FRAME, Ordering::Relaxed);
        while self.progress.sent.load(Ordering::Relaxed) < target && !self.thread.is_finished() {
            std::thread::sleep(BEAT);
        }
    }

    fn stop(self) -> anyhow::Result<u64> {
        self.progress.on.store(false, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the feeder failed"))??;
        Ok(self.progress.sent.load(Ordering::Relaxed) * FRAME)
    }
}

pub(super) fn run(args: &Bench) -> anyhow::Result<Outage> {
    let mut bed = Bed::with_line(args)?;
    let ingest = bed.start_writer()?;
    let away = Duration::from_secs(args.outage_s);
    let earlier = if args.hurried { away } else { Duration::ZERO };
    let from = Clock::system().now().plus_us(-(earlier.as_micros() as i64));
    let feeder = Feeder::start(bed.journal.clone(), args, from);
    std::thread::sleep(BEFORE);
    bed.away(true);
    let (stored, begun) = (bed.readings.count(), Instant::now());
    if args.hurried {
        feeder.hurry(args.outage_s * args.rate);
    } else {
        std::thread::sleep(away);
    }
    let backlog_rows = feeder.sent().saturating_sub(stored);
    bed.away(false);
    let away_s = begun.elapsed().as_secs_f64();
    let back = Instant::now();
    let live = feeder.sent();
    let missed = bed.journal.head().0;
    bed.wait("the store takes what is new", |bed| ingest.writing().live.entries + missed <= bed.journal.head().0)?;
    let worst = Cell::new(back.elapsed().as_secs_f64());
    bed.wait("what waited is stored", |_| {
        let writing = ingest.writing();
        worst.set(worst.get().max(writing.live.lag_s));
        writing.done >= missed
    })?;
    let drain_s = back.elapsed().as_secs_f64();
    let live = feeder.sent() - live;
    let sent = feeder.stop()?;
    let head = bed.journal.head().0;
    bed.wait("the store takes all", |_| ingest.writing().done >= head)?;
    let stored = bed.readings.count();
    let drain_rows_per_s = backlog_rows as f64 / drain_s;
    let outage = Outage {
        store: args.store,
        live_rows_per_s: live as f64 / drain_s,
        away_s,
        backlog_rows,
        drain_s,
        drain_rows_per_s,
        multiple: drain_rows_per_s / args.rate as f64,
        worst_live_lag_s: worst.get(),
        sent,
        stored,
    };
    drop(ingest);
    bed.end()?;
    Ok(outage)
}
