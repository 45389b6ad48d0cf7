//! How quickly the writer moves a journal into the store, beside what the server takes without Vigil, and what it costs.

use serde::Serialize;
use store::readings::{self, Store};

use runtime::Clock;

use super::Bed;
use super::bed::{FRAME, frame, readings as readings_of};
use crate::cli::Bench;
use crate::limits;

/// Readings of the bare limit's batches, about: those of the writer at full speed.
const BARE_ROWS: u64 = 5_000;
/// Frames appended to the journal together.
const GROUP: u64 = 500;
/// Steps of the growth.
const ELDERS: [u64; 5] = [1, 100, 1_000, 10_000, 50_000];

#[derive(Debug, Serialize)]
pub(super) struct Filled {
    store: Store,
    elders: u64,
    rows: u64,
    rows_per_s: f64,
    /// Rows of the last batches.
    batch_rows: usize,
    /// Mean time of a transaction.
    commit_ms: f64,
    bytes_per_reading: f64,
    /// Of this process when all was stored.
    rss_mib: f64,
    /// The same rows a second by the same statement into a table of that shape without Vigil; only of a server.
    bare_rows_per_s: Option<f64>,
    /// Ours by the bare limit.
    ratio: Option<f64>,
}

pub(super) fn one(args: &Bench, elders: u64) -> anyhow::Result<Filled> {
    let mut bed = Bed::new(args)?;
    let frames = args.rows.div_ceil(FRAME);
    let seconds = frames.div_ceil(elders) * FRAME / 2;
    let now = Clock::system().now();
    let from = now.plus_us(-(seconds as i64 + 60) * 1_000_000);
    for first in (0..frames).step_by(GROUP as usize) {
        let group = (first..frames.min(first + GROUP)).map(|n| frame(n, elders, from, now)).collect();
        bed.journal.append_blocking(group)?;
    }
    let (head, rows) = (bed.journal.head().0, frames * FRAME);
    let step = BARE_ROWS / FRAME;
    let batches = (0..frames).step_by(step as usize);
    let batches = batches.map(move |first| readings_of(first..frames.min(first + step), elders, from));
    let bare = |bed: &Bed| readings::bench_bare_unnest(&bed.settings, batches);
    let bare_rows_per_s = (args.store == Store::Timescale).then(|| bare(&bed)).transpose()?;
    let ingest = bed.start_writer()?;
    let took = bed.wait("the store takes all", |_| ingest.writing().done >= head)?;
    let writing = ingest.writing();
    anyhow::ensure!(bed.readings.count() == rows, "{} of {rows} are stored", bed.readings.count());
    bed.readings.maintain(Clock::system().now())?;
    if args.store == Store::Embedded {
        bed.readings.seal_all()?;
    }
    let bytes_per_reading = bed.readings.stats()?.bytes_per_reading;
    let rss_mib = limits::usage().resident_bytes.map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 20));
    let rows_per_s = rows as f64 / took.as_secs_f64();
    let filled = Filled {
        store: args.store,
        elders,
        rows,
        rows_per_s,
        batch_rows: writing.live.batch_rows.max(writing.backlog.batch_rows),
        commit_ms: writing.commits.sum_s * 1_000.0 / writing.commits.count().max(1) as f64,
        bytes_per_reading,
        rss_mib,
        bare_rows_per_s,
        ratio: bare_rows_per_s.map(|bare| rows_per_s / bare),
    };
    drop(ingest);
    bed.end()?;
    Ok(filled)
}

/// From one elder to a county.
pub(super) fn growth(args: &Bench) -> anyhow::Result<Vec<Filled>> {
    ELDERS.into_iter().map(|elders| one(args, elders)).collect()
}
