//! The keeper of the disk budget: what goes when the outbox grows too large, oldest first, and never without being said.
//!
//! ```text
//! over 3/4 of the budget:  waveforms > readings of lane hist thinned > readings that are history thinned;  SOS, events: never
//! over 7/8 of the budget:  links with readings or waveforms are held back
//! ```
//! Each step is durable before the next: the note that declares it, the readings that stay, then the removal. A crash in
//! between declares too much, never too little. Only what is oldest in its lane is taken, so that space comes free at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use model::note::LossCause;
use model::runs::Runs;
use model::{Lane, Name, Note, Seq, Time};
use mqtt::outbox::{self, Outbox};
use mqtt::topic::Topic;
use mqtt::wire::{self, WireFrame};
use runtime::{Clock, Stop};

use super::thin;
use crate::framer::Inlet;
use crate::report::Report;

/// How often the budget is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Wait after a removal, for the journal to trim.
const SETTLE: Duration = Duration::from_millis(300);
/// Entries and bytes of one step.
const STEP_ENTRIES: u64 = 2_048;
const STEP_BYTES: usize = 1024 * 1024;

/// What the keeper has done since the gateway started.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) waveform_frames_dropped: AtomicU64,
    pub(crate) readings_thinned: AtomicU64,
}

/// Ordinary frames have to wait: SOS and events have what is above.
pub(crate) fn holds(outbox: &Outbox, bytes_max: u64) -> bool {
    outbox.disk_bytes() >= bytes_max / 8 * 7
}

pub(crate) struct Keeper {
    pub(crate) outbox: Outbox,
    pub(crate) inlet: Inlet,
    pub(crate) clock: Clock,
    /// Bytes all files may have together.
    pub(crate) bytes_max: u64,
    pub(crate) history_after: Duration,
    pub(crate) kept: Arc<Kept>,
}

/// Entries the keeper has claimed.
struct Claim {
    first: u64,
    last: u64,
    frames: Vec<Taken>,
}

struct Taken {
    queued_at: Time,
    thinned: bool,
    device: Option<Name>,
    /// `None`: not a frame.
    frame: Option<WireFrame>,
    number: Option<(u32, u64)>,
}

impl Keeper {
    pub(crate) async fn run(self, stop: Stop) {
        loop {
            let over = self.outbox.disk_bytes() > self.bytes_max / 4 * 3;
            let wait = if over && self.step().await { SETTLE } else { LOOK };
            tokio::select! {
                () = stop.requested() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Gives up the least valuable that is there. False: nothing can go.
    pub(crate) async fn step(&self) -> bool {
        for lane in [Lane::Wav, Lane::Hist, Lane::Vit] {
            let Some(claim) = self.claim(lane).await else { continue };
            let (first, last) = (claim.first, claim.last);
            let gone = if lane == Lane::Wav { self.drop_waveforms(claim).await } else { self.thin(lane, claim).await };
            let book = Arc::clone(self.outbox.book(lane));
            if !gone {
                book.release(first, last);
                continue;
            }
            book.done(first, last);
            let flushed = tokio::task::spawn_blocking(move || book.flush()).await;
            if !matches!(flushed, Ok(Ok(()))) {
                tracing::warn!("what the disk budget gave up is not yet noted on the disk");
            }
            return true;
        }
        false
    }

    /// Claims the oldest entries of a lane, if nobody is at work on them.
    async fn claim(&self, lane: Lane) -> Option<Claim> {
        let (outbox, cutoff) = (self.outbox.clone(), self.cutoff(lane));
        tokio::task::spawn_blocking(move || claim(&outbox, lane, cutoff)).await.ok()?
    }

    /// Readings that are still live are not thinned.
    fn cutoff(&self, lane: Lane) -> Time {
        if lane != Lane::Vit {
            return Time::MAX;
        }
        self.clock.now().plus_us(-i64::try_from(self.history_after.as_micros()).unwrap_or(i64::MAX))
    }

    async fn drop_waveforms(&self, claim: Claim) -> bool {
        let mut notes = Vec::new();
        for (epoch, runs) in by_epoch(claim.frames.iter().filter_map(|taken| taken.number)) {
            let gone = |(from, to)| Note::Gone { epoch, lane: Lane::Wav, from, to, cause: LossCause::DiskBudget };
            notes.extend(runs.iter().map(gone));
        }
        if self.inlet.deliver(Report { notes, ..Report::default() }).await.is_err() {
            return false;
        }
        let frames = claim.frames.len() as u64;
        tracing::warn!(frames, "the outbox is over its budget: the oldest waveforms were given up");
        self.kept.waveform_frames_dropped.fetch_add(frames, Relaxed);
        true
    }

    async fn thin(&self, lane: Lane, claim: Claim) -> bool {
        let frames = claim.frames.into_iter().filter_map(|taken| taken.device.zip(taken.frame));
        let thinned = thin::thin(&frames.collect::<Vec<_>>());
        let (readings, kept) =
            thinned.runs.iter().fold((0, 0), |(all, kept), run| (all + run.readings, kept + run.kept));
        let note = |run: &thin::Run| Note::Thinned {
            epoch: run.epoch,
            lane,
            from: run.first,
            to: run.last,
            readings: run.readings,
            kept: run.kept,
            cause: LossCause::DiskBudget,
        };
        let notes = thinned.runs.iter().map(note).collect();
        if self.inlet.deliver(Report { notes, ..Report::default() }).await.is_err() {
            return false;
        }
        for report in thinned.reports {
            if self.inlet.deliver(report).await.is_err() {
                // The gateway is stopping: the originals stay, so too much is declared.
                return false;
            }
        }
        tracing::warn!(lane = lane.as_str(), readings, kept, "the outbox is over its budget: history was thinned");
        self.kept.readings_thinned.fetch_add(readings - kept, Relaxed);
        true
    }
}

/// Blocking. Ends the claim where something stands that must not go: what is live, what was thinned before, what is no frame.
fn claim(outbox: &Outbox, lane: Lane, cutoff: Time) -> Option<Claim> {
    let (book, journal) = (outbox.book(lane), outbox.lane(lane));
    let oldest = book.oldest()?;
    let (first, last) = book.claim_first(oldest, journal.head().0, STEP_ENTRIES)?;
    let mut claim = Claim { first, last: first - 1, frames: Vec::new() };
    if first == oldest {
        let mut bytes = 0;
        let mut reader = journal.reader(Seq(first - 1));
        'reading: while claim.last < last && bytes < STEP_BYTES {
            // What cannot be read is left to the uplink, which counts it.
            let Ok(batch) = reader.read(STEP_BYTES, Duration::ZERO) else { break };
            for (seq, entry) in batch.iter().take_while(|(seq, _)| seq.0 <= last) {
                let Some(taken) = outbox::decode(entry).map(|entry| taken(&entry)) else { break 'reading };
                let stays = lane != Lane::Wav && (taken.thinned || taken.frame.is_none() || taken.device.is_none());
                if stays || taken.queued_at >= cutoff {
                    break 'reading;
                }
                bytes += entry.len();
                claim.frames.push(taken);
                claim.last = seq.0;
            }
            if batch.is_empty() {
                break;
            }
        }
    }
    book.release(claim.last + 1, last);
    (!claim.frames.is_empty()).then_some(claim)
}

fn taken(entry: &outbox::Entry<'_>) -> Taken {
    let device = match Topic::parse(entry.topic) {
        Ok(Topic::Up { device, .. }) => Name::new(device).ok(),
        _ => None,
    };
    // A frame with more than readings is not ours to take apart.
    let frame = wire::decode(entry.payload).ok();
    let number = entry.number.or_else(|| frame.as_ref().map(|frame| (frame.epoch, frame.seq)));
    let plain = |frame: &WireFrame| {
        frame.events.is_empty() && frame.notes.is_empty() && frame.waveforms.is_empty() && frame.unknown_metrics == 0
    };
    Taken { queued_at: entry.queued_at, thinned: entry.thinned, device, frame: frame.filter(plain), number }
}

fn by_epoch(numbers: impl Iterator<Item = (u32, u64)>) -> std::collections::BTreeMap<u32, Runs> {
    let mut epochs = std::collections::BTreeMap::<u32, Runs>::new();
    for (epoch, seq) in numbers {
        epochs.entry(epoch).or_default().insert(seq, seq);
    }
    epochs
}
