//! The answer to `d/resend`: the frames once more if they are still on the disk, or a note that they are gone, and why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::note::LossCause;
use model::runs::Runs;
use model::{Lane, Note, Seq};
use mqtt::outbox::{self, Outbox};
use mqtt::topic::Topic;
use serde::Deserialize;
use tokio::sync::mpsc;

use super::number;
use crate::framer::Inlet;
use crate::lanes::Lanes;
use crate::report::Report;

/// Requests waiting to be answered. More are dropped: the server repeats what it misses.
pub(crate) const ASKS_MAX: usize = 32;
/// Frames sent again for one request, and their bytes. What is beyond is asked for again.
const FRAMES_MAX: usize = 1_000;
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes read at once while looking.
const READ_BYTES: usize = 1024 * 1024;
/// Pause between two searches: each may read a lane's whole file.
const PAUSE: Duration = Duration::from_millis(200);

/// `d/resend`: both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Ask {
    #[serde(rename = "e")]
    pub(crate) epoch: u32,
    pub(crate) lane: Lane,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

pub(crate) struct Resender {
    pub(crate) outbox: Outbox,
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) inlet: Inlet,
}

/// Where the frames of a request are.
#[derive(Debug, Default)]
struct Found {
    /// Waiting to be sent: nothing to do.
    waiting: Runs,
    /// Sent before, and still there.
    sent: Runs,
    entries: Vec<Vec<u8>>,
    /// The lowest number of the epoch that the lane still holds.
    lowest: Option<u64>,
}

impl Resender {
    pub(crate) async fn run(self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(ask) = asks.recv().await {
            if let Err(error) = self.answer(ask).await {
                tracing::warn!(error, ?ask, "frames that the server asked for could not be looked for; it asks again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn answer(&self, ask: Ask) -> Result<(), String> {
        let (epoch, next) = {
            let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            (lanes.epoch(), lanes.durable()[ask.lane as usize])
        };
        // Numbers that were never given out are nobody's.
        let ask = if ask.epoch == epoch { Ask { to: ask.to.min(next.saturating_sub(1)), ..ask } } else { ask };
        if ask.from > ask.to || ask.epoch > epoch {
            return Ok(());
        }
        let outbox = self.outbox.clone();
        let found = tokio::task::spawn_blocking(move || find(&outbox, ask)).await.map_err(|error| error.to_string())?;
        let Found { waiting, sent, entries, lowest } = found.map_err(|error| error.to_string())?;
        let again = entries.len();
        if !entries.is_empty() {
            let stored = self.outbox.lane(ask.lane).append_wait(entries).await;
            stored.map_err(|error| error.to_string())?;
        }
        let mut gone = waiting.missing(ask.from, ask.to);
        for (first, last) in sent.iter() {
            gone.remove(first, last);
        }
        let frames = gone.count();
        let mut notes = Vec::new();
        for (from, to) in gone.iter() {
            notes.extend(causes(ask, epoch, lowest, from, to));
        }
        tracing::info!(?ask, waiting = waiting.count(), again, gone = frames, "the server asked for frames");
        if notes.is_empty() {
            return Ok(());
        }
        self.inlet.deliver(Report { notes, ..Report::default() }).await.map_err(|error| error.to_string())
    }
}

/// Why frames are not there: those before the oldest kept were delivered and let go, those between were damaged.
fn causes(ask: Ask, epoch: u32, lowest: Option<u64>, from: u64, to: u64) -> Vec<Note> {
    let gone = |from, to, cause| Note::Gone { epoch: ask.epoch, lane: ask.lane, from, to, cause };
    if ask.epoch != epoch && lowest.is_none() {
        return vec![gone(from, to, LossCause::OutboxLost)];
    }
    let kept_from = lowest.unwrap_or(u64::MAX);
    let mut notes = Vec::new();
    if from < kept_from {
        notes.push(gone(from, to.min(kept_from - 1), LossCause::Acknowledged));
    }
    if to >= kept_from {
        notes.push(gone(from.max(kept_from), to, LossCause::Corrupt));
    }
    notes
}

/// Blocking. Looks through the lane's file and what the server refused.
fn find(outbox: &Outbox, ask: Ask) -> Result<Found, journal::Error> {
    let mut found = Found::default();
    let (journal, book) = (outbox.lane(ask.lane), outbox.book(ask.lane));
    let mut bytes_found = 0;
    each(journal, |position, bytes, entry| {
        let Some((_, seq)) = number(&entry).filter(|(epoch, _)| *epoch == ask.epoch) else { return };
        found.lowest = Some(found.lowest.map_or(seq, |lowest| lowest.min(seq)));
        if !(ask.from..=ask.to).contains(&seq) {
            return;
        }
        if !book.is_done(position) {
            found.waiting.insert(seq, seq);
        } else if found.sent.run_of(seq).is_none() && found.entries.len() < FRAMES_MAX && bytes_found < BYTES_MAX {
            bytes_found += bytes.len();
            found.entries.push(bytes.to_vec());
            found.sent.insert(seq, seq);
        } else {
            // There, and not in this answer: it is not gone.
            found.sent.insert(seq, seq);
        }
    })?;
    each(&outbox.refused, |_, bytes, entry| {
        let lane = matches!(Topic::parse(entry.topic), Ok(Topic::Up { lane, .. }) if lane == ask.lane);
        let Some((_, seq)) = number(&entry).filter(|(epoch, _)| lane && *epoch == ask.epoch) else { return };
        let wanted = (ask.from..=ask.to).contains(&seq);
        let known = found.waiting.run_of(seq).or_else(|| found.sent.run_of(seq)).is_some();
        if wanted && !known && found.entries.len() < FRAMES_MAX {
            found.entries.push(bytes.to_vec());
            found.sent.insert(seq, seq);
        }
    })?;
    // Sent again while a copy waits already would only be a duplicate.
    let waiting = &found.waiting;
    found.entries.retain(|bytes| {
        let seq = outbox::decode(bytes).and_then(|entry| number(&entry));
        seq.is_none_or(|(_, seq)| waiting.run_of(seq).is_none())
    });
    Ok(found)
}

/// Goes through all readable entries of a file.
fn each(journal: &journal::Journal, mut look: impl FnMut(u64, &[u8], outbox::Entry<'_>)) -> Result<(), journal::Error> {
    let head = journal.head();
    let mut reader = journal.reader(Seq(journal.first().0.saturating_sub(1)).min(head));
    while reader.position() < head {
        match reader.read(READ_BYTES, Duration::ZERO) {
            Ok(batch) => {
                for (seq, bytes) in batch.iter() {
                    if let Some(entry) = outbox::decode(bytes) {
                        look(seq.0, bytes, entry);
                    }
                }
            }
            Err(journal::Error::Corrupt { last, .. }) => reader.seek(last),
            Err(journal::Error::Trimmed { first }) => reader.seek(Seq(first.0.saturating_sub(1))),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
