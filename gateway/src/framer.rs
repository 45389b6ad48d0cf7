//! Reports to frames to outbox: gives each frame its number and makes it durable before anything is sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use journal::{AppendError, Journal};
use model::entry::{EVENTS_MAX, Flags};
use model::{Event, Lane, Name, Sample, Seq, Time};
use mqtt::outbox::{Entry, Outbox};
use mqtt::topic;
use mqtt::wire::{self, WireFrame};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;

use crate::lanes::Lanes;
use crate::report::Report;
use crate::{Encoding, Error};

/// Samples put into one frame. Small enough for any broker's packet limit and one minute of a band.
const FRAME_SAMPLES_MAX: usize = 200;
/// Reports taken together: one fsync for all of them.
const TOGETHER_MAX: usize = 256;
/// Wait before a full outbox is tried again. The links are held back meanwhile.
const FULL_WAIT: Duration = Duration::from_millis(200);

pub(crate) struct Framer {
    pub(crate) site: Name,
    pub(crate) gateway: Name,
    pub(crate) encoding: Encoding,
    pub(crate) outbox: Outbox,
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) clock: Clock,
}

impl Framer {
    /// Runs until the links are gone: all they have reported is durable when it returns.
    pub(crate) async fn run(self, mut reports: mpsc::Receiver<Report>, stop: Stop) -> Result<(), Error> {
        let mut batch = Vec::with_capacity(TOGETHER_MAX);
        while reports.recv_many(&mut batch, TOGETHER_MAX).await > 0 {
            let entries = self.entries(&mut batch);
            for (lane, entries) in Lane::ALL.into_iter().zip(entries) {
                self.store(lane, entries, &stop).await?;
            }
            self.save(false).await?;
        }
        self.save(true).await
    }

    /// Frames of the batch as outbox entries, by lane in the order of [`Lane::ALL`].
    fn entries(&self, batch: &mut Vec<Report>) -> [Vec<Vec<u8>>; 5] {
        let now = self.clock.now();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = [const { Vec::new() }; 5];
        for report in batch.drain(..) {
            for lane in [Lane::Sos, Lane::Evt] {
                let events: Vec<Event> =
                    report.events.iter().copied().filter(|event| event.kind.lane() == lane).collect();
                for events in events.chunks(EVENTS_MAX) {
                    let frame = frame(&mut lanes, lane, now, &[], events);
                    entries[lane as usize].push(self.entry(&report.device, lane, now, &frame));
                }
            }
            for samples in spans(&report.samples) {
                let frame = frame(&mut lanes, report.lane, now, samples, &[]);
                entries[report.lane as usize].push(self.entry(&report.device, report.lane, now, &frame));
            }
        }
        entries
    }

    fn entry(&self, device: &Name, lane: Lane, now: Time, frame: &WireFrame) -> Vec<u8> {
        let payload = match self.encoding {
            Encoding::Cbor => wire::encode_cbor(frame),
            Encoding::Json => wire::encode_json(frame),
        };
        let topic = topic::up(&self.site, &self.gateway, lane, device);
        let number = Some((frame.epoch, frame.seq));
        Entry { queued_at: now, number, thinned: false, topic: &topic, payload: &payload }.encode()
    }

    /// Appends; a full outbox pushes back until there is room.
    async fn store(&self, lane: Lane, entries: Vec<Vec<u8>>, stop: &Stop) -> Result<(), Error> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut told = false;
        loop {
            let stored = append(self.outbox.lane(lane), lane, entries.clone()).await;
            match stored {
                Ok(_) => return Ok(()),
                Err(AppendError::Full) if !stop.is_requested() => {
                    if !told {
                        tracing::error!("the outbox is full: the links are held back until the server takes frames");
                        told = true;
                    }
                    tokio::time::sleep(FULL_WAIT).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn save(&self, last: bool) -> Result<(), Error> {
        let lanes = Arc::clone(&self.lanes);
        let saved = tokio::task::spawn_blocking(move || {
            let mut lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if last { lanes.save() } else { lanes.save_now_and_then() }
        });
        saved.await.unwrap_or(Ok(()))
    }
}

/// Durable when it returns. SOS and events may use what every limit keeps free for them.
async fn append(journal: &Journal, lane: Lane, entries: Vec<Vec<u8>>) -> Result<Seq, AppendError> {
    if !matches!(lane, Lane::Sos | Lane::Evt) {
        return journal.append_wait(entries).await;
    }
    let (answer, answered) = tokio::sync::oneshot::channel();
    journal.append_urgent(entries, move |outcome| _ = answer.send(outcome));
    answered.await.unwrap_or(Err(AppendError::Closed))
}

fn frame(lanes: &mut Lanes, lane: Lane, now: Time, samples: &[Sample], events: &[Event]) -> WireFrame {
    let flags = if lane == Lane::Hist { Flags(Flags::HIST) } else { Flags::default() };
    WireFrame {
        epoch: lanes.epoch(),
        seq: lanes.take(lane),
        // The wire has milliseconds.
        gateway_time: Time::from_millis(now.millis()),
        flags,
        samples: samples.to_vec(),
        events: events.to_vec(),
        ..WireFrame::default()
    }
}

/// Cuts samples into runs that fit a frame: by number, and by the widest span of time a frame may have.
fn spans(samples: &[Sample]) -> Vec<&[Sample]> {
    let mut runs = Vec::new();
    let mut rest = samples;
    while let Some(first) = rest.first() {
        let (mut oldest, mut newest) = (first.taken_at, first.taken_at);
        let fits = rest.iter().take(FRAME_SAMPLES_MAX).take_while(|sample| {
            oldest = oldest.min(sample.taken_at);
            newest = newest.max(sample.taken_at);
            newest.since_us(oldest) <= wire::SPAN_MAX_US
        });
        let (run, left) = rest.split_at(fits.count().max(1));
        runs.push(run);
        rest = left;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Metric, Quality};

    #[test]
    fn runs_respect_number_and_span() {
        let at = |hours: i64| Sample::new(Metric::HeartRate, Time::from_secs(hours * 3_600), 70.0, Quality::Ok);
        let samples: Vec<_> = (0..60).map(at).collect();
        let lengths: Vec<_> = spans(&samples).iter().map(|run| run.len()).collect();
        assert_eq!(lengths, [25, 25, 10]);
        let many = vec![at(0); 450];
        assert_eq!(spans(&many).iter().map(|run| run.len()).collect::<Vec<_>>(), [200, 200, 50]);
        assert!(spans(&[]).is_empty());
    }
}
