//! Reports to frames to outbox: gives each frame its number and makes it durable before anything is sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use journal::{AppendError, Journal};
use model::{Lane, Name, Seq, Time};
use mqtt::outbox::{Entry, Outbox};
use mqtt::topic;
use mqtt::wire::{self, WireFrame};
use runtime::{Clock, Stop};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::custody;
use crate::frames;
use crate::lanes::Lanes;
use crate::outlet::Refused;
use crate::report::Report;
use crate::{Encoding, Error};

/// Reports taken together: one fsync for all of them.
const TOGETHER_MAX: usize = 256;
/// Reports waiting for the framer of one lane, at most. A full queue holds the links back.
const QUEUE_MAX: usize = 1_024;
/// Wait before a full outbox is tried again. The links are held back meanwhile.
const FULL_WAIT: Duration = Duration::from_millis(200);

/// A report on its way, and who waits for it to be durable.
#[derive(Debug)]
struct Parcel {
    report: Report,
    done: Option<oneshot::Sender<()>>,
}

/// The way to the framer, a queue a lane in the order of [`Lane::ALL`]. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Inlet([mpsc::Sender<Parcel>; 5]);

impl Inlet {
    /// Hands over. False when the framer is gone.
    pub(crate) async fn send(&self, report: Report) -> bool {
        for (lane, report) in report.parts() {
            if self.0[lane as usize].send(Parcel { report, done: None }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Hands over and waits until all of it is durable in the outbox.
    pub(crate) async fn deliver(&self, report: Report) -> Result<(), Refused> {
        let mut answers = Vec::with_capacity(1);
        for (lane, report) in report.parts() {
            let (done, answered) = oneshot::channel();
            let parcel = Parcel { report, done: Some(done) };
            self.0[lane as usize].send(parcel).await.map_err(|_| Refused::Closed)?;
            answers.push(answered);
        }
        for answered in answers {
            answered.await.map_err(|_| Refused::Closed)?;
        }
        Ok(())
    }
}

/// What the framer of each lane needs.
#[derive(Clone)]
pub(crate) struct Framer {
    pub(crate) site: Name,
    pub(crate) gateway: Name,
    pub(crate) encoding: Encoding,
    pub(crate) outbox: Outbox,
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) clock: Clock,
    /// How long an ordinary report waits for company: one write to the flash for all of them.
    pub(crate) flush: Duration,
    /// Budget of the outbox, bytes.
    pub(crate) bytes_max: u64,
}

impl Framer {
    /// Starts one task a lane, so that no lane waits for room or for the disk of another. They end when `closing` is
    /// requested, or all inlets are gone; what was handed over by then is durable when they have ended. `stop` gives up on
    /// an outbox that stays full.
    pub(crate) fn start(self, parts: &mut JoinSet<Result<(), Error>>, closing: &Stop, stop: &Stop) -> Inlet {
        Inlet(Lane::ALL.map(|lane| {
            let (inlet, parcels) = mpsc::channel(QUEUE_MAX);
            parts.spawn(self.clone().run(lane, parcels, closing.clone(), stop.clone()));
            inlet
        }))
    }

    async fn run(
        self,
        lane: Lane,
        mut parcels: mpsc::Receiver<Parcel>,
        closing: Stop,
        stop: Stop,
    ) -> Result<(), Error> {
        let mut batch = Vec::new();
        // Of a lane that has just begun there was no write: the first report is not kept waiting.
        let mut last = Instant::now().checked_sub(self.flush).unwrap_or_else(Instant::now);
        loop {
            tokio::select! {
                taken = parcels.recv_many(&mut batch, TOGETHER_MAX) => if taken == 0 { break },
                () = closing.requested(), if !parcels.is_closed() => {
                    parcels.close();
                    continue;
                }
            }
            if !is_urgent(lane) {
                self.company(&mut parcels, &mut batch, last, &closing).await;
                last = Instant::now();
            }
            let (reports, waiting): (Vec<_>, Vec<_>) =
                batch.drain(..).map(|parcel| (parcel.report, parcel.done)).unzip();
            let entries = self.entries(lane, &reports);
            if !entries.is_empty() {
                let head = self.store(lane, entries, &stop).await?;
                self.save(lane, head).await;
            }
            for done in waiting.into_iter().flatten() {
                // Whoever waited may have gone.
                let _gone = done.send(());
            }
        }
        self.write_numbers().await;
        Ok(())
    }

    /// Waits for more reports until the flush time has passed since the last write, or the batch is full. Whoever comes
    /// after a quiet time does not wait at all.
    async fn company(
        &self,
        parcels: &mut mpsc::Receiver<Parcel>,
        batch: &mut Vec<Parcel>,
        last: Instant,
        closing: &Stop,
    ) {
        let until = last + self.flush;
        if until <= Instant::now() {
            return;
        }
        while batch.len() < TOGETHER_MAX && !closing.is_requested() {
            let room = TOGETHER_MAX - batch.len();
            tokio::select! {
                taken = parcels.recv_many(batch, room) => if taken == 0 { return },
                () = closing.requested() => return,
                () = tokio::time::sleep_until(until) => return,
            }
        }
    }

    /// Frames of the reports as outbox entries.
    fn entries(&self, lane: Lane, reports: &[Report]) -> Vec<Vec<u8>> {
        let now = self.clock.now();
        let mut lanes = locked(&self.lanes);
        let mut entries = Vec::new();
        for report in reports {
            for frame in frames::of(report, lane, &mut lanes, now) {
                entries.push(self.entry(report, lane, now, &frame));
            }
        }
        entries
    }

    fn entry(&self, report: &Report, lane: Lane, now: Time, frame: &WireFrame) -> Vec<u8> {
        let payload = match self.encoding {
            Encoding::Cbor => wire::encode_cbor(frame),
            Encoding::Json => wire::encode_json(frame),
        };
        let topic = topic::up(&self.site, &self.gateway, lane, &report.device);
        let number = Some((frame.epoch, frame.seq));
        Entry { queued_at: now, number, thinned: report.thinned, topic: &topic, payload: &payload }.encode()
    }

    /// Appends; a full outbox pushes back until there is room. Returns the last entry's number.
    async fn store(&self, lane: Lane, entries: Vec<Vec<u8>>, stop: &Stop) -> Result<Seq, Error> {
        let mut told = false;
        loop {
            // Lane `hist` is not held by the budget: what is thinned must go there to make room.
            let held = matches!(lane, Lane::Vit | Lane::Wav) && custody::holds(&self.outbox, self.bytes_max);
            let stored =
                if held { Err(AppendError::Full) } else { append(self.outbox.lane(lane), lane, entries.clone()).await };
            match stored {
                Ok(first) => return Ok(Seq(first.0 + entries.len() as u64 - 1)),
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

    /// Notes what is durable, and writes it to the file now and then.
    async fn save(&self, lane: Lane, head: Seq) {
        let due = {
            let mut lanes = locked(&self.lanes);
            lanes.stored(lane, head);
            lanes.is_save_due()
        };
        if due {
            self.write_numbers().await;
        }
    }

    /// A full disk is no reason to end: until the file can be written the entries stay in the outbox, and the numbers are
    /// counted from them at the next start.
    async fn write_numbers(&self) {
        let lanes = Arc::clone(&self.lanes);
        let written = tokio::task::spawn_blocking(move || locked(&lanes).save()).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "the numbers of the frames cannot be written; tried again later");
        }
    }
}

/// Lanes whose reports never wait for company.
const fn is_urgent(lane: Lane) -> bool {
    matches!(lane, Lane::Sos | Lane::Evt)
}

/// Durable when it returns. SOS and events may use what every limit keeps free for them.
async fn append(journal: &Journal, lane: Lane, entries: Vec<Vec<u8>>) -> Result<Seq, AppendError> {
    if !is_urgent(lane) {
        return journal.append_wait(entries).await;
    }
    let (answer, answered) = oneshot::channel();
    journal.append_urgent(entries, move |outcome| _ = answer.send(outcome));
    answered.await.unwrap_or(Err(AppendError::Closed))
}

fn locked(lanes: &Mutex<Lanes>) -> MutexGuard<'_, Lanes> {
    lanes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Event, EventKind, Metric, Quality, Sample};

    /// A framer over a fresh outbox.
    fn framer(flush: Duration, outbox_config: &journal::Config) -> (tempfile::TempDir, Framer) {
        let dir = tempfile::tempdir().unwrap();
        let (outbox, lanes) = crate::lanes::open(dir.path(), outbox_config, Time::from_secs(1_000_000)).unwrap();
        let name = |text| Name::new(text).unwrap();
        let framer = Framer {
            site: name("home"),
            gateway: name("gw"),
            encoding: Encoding::Cbor,
            outbox,
            lanes: Arc::new(Mutex::new(lanes)),
            clock: Clock::system(),
            flush,
            bytes_max: outbox_config.bytes_max,
        };
        (dir, framer)
    }

    fn ordinary(second: i64) -> Report {
        let sample = Sample::new(Metric::HeartRate, Time::from_secs(1_000_000 + second), 70.0, Quality::Ok);
        Report { samples: vec![sample], ..Report::default() }
    }

    fn urgent() -> Report {
        let event = Event { kind: EventKind::Sos, at: Time::from_secs(1_000_000) };
        Report { events: vec![event], ..Report::default() }
    }

    #[tokio::test]
    async fn reports_wait_for_company_and_an_sos_does_not() {
        let (_dir, framer) = framer(Duration::from_hours(1), &journal::Config::default());
        let (outbox, mut parts, closing) = (framer.outbox.clone(), JoinSet::new(), Stop::new());
        let inlet = framer.start(&mut parts, &closing, &Stop::new());
        // The first one of a lane does not wait; those after it do.
        inlet.deliver(ordinary(0)).await.unwrap();
        let waiting: Vec<_> = (1..=10)
            .map(|second| {
                let inlet = inlet.clone();
                tokio::spawn(async move { inlet.deliver(ordinary(second)).await })
            })
            .collect();
        // The hour of the flush is not over: only the SOS can answer.
        inlet.deliver(urgent()).await.unwrap();
        assert_eq!((outbox.lane(Lane::Sos).head(), outbox.lane(Lane::Vit).head()), (Seq(1), Seq(1)));
        assert!(waiting.iter().all(|one| !one.is_finished()));
        closing.request();
        for one in waiting {
            // Those that came before the end are durable; those that did not were told.
            let told = one.await.unwrap();
            assert!(told.is_ok() || told == Err(Refused::Closed));
        }
        while let Some(ended) = parts.join_next().await {
            ended.unwrap().unwrap();
        }
        assert!(outbox.lane(Lane::Vit).stats().groups <= 2, "one write for all: {:?}", outbox.lane(Lane::Vit).stats());
        assert_eq!(inlet.deliver(ordinary(0)).await, Err(Refused::Closed));
    }

    #[tokio::test]
    async fn numbers_that_cannot_be_written_end_nothing_and_are_counted_at_the_next_start() {
        let (dir, framer) = framer(Duration::ZERO, &journal::Config::default());
        // The disk is full, as far as this file goes.
        std::fs::create_dir(dir.path().join("lanes.tmp")).unwrap();
        let (mut parts, closing) = (JoinSet::new(), Stop::new());
        let inlet = framer.start(&mut parts, &closing, &Stop::new());
        for second in 0..1_500 {
            inlet.send(ordinary(second)).await;
        }
        inlet.deliver(urgent()).await.unwrap();
        inlet.deliver(ordinary(1_500)).await.unwrap();
        closing.request();
        while let Some(ended) = parts.join_next().await {
            ended.unwrap().unwrap();
        }
        drop(inlet);
        let (_outbox, lanes) =
            crate::lanes::open(dir.path(), &journal::Config::default(), Time::from_secs(2_000_000)).unwrap();
        assert_eq!((lanes.epoch(), lanes.next()), (1, [2, 1, 1_502, 1, 1]));
    }

    #[tokio::test]
    async fn an_sos_passes_an_outbox_that_is_full_of_readings() {
        let small = journal::Config { bytes_max: 64 * 1024, ..journal::Config::default() };
        let (_dir, framer) = framer(Duration::ZERO, &small);
        let (outbox, mut parts, stop) = (framer.outbox.clone(), JoinSet::new(), Stop::new());
        let inlet = framer.start(&mut parts, &Stop::new(), &stop);
        let feeder = inlet.clone();
        let feeding = tokio::spawn(async move {
            for second in 0..100_000 {
                feeder.send(ordinary(second)).await;
            }
        });
        while outbox.lane(Lane::Vit).stats().refused == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        inlet.deliver(urgent()).await.unwrap();
        assert_eq!(outbox.lane(Lane::Sos).head(), Seq(1));
        feeding.abort();
        stop.request();
    }
}
