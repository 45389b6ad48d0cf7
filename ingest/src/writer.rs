//! The writer: reads the journal from the readings store's own cursor and stores readings in large, idempotent batches.
//!
//! A store that is slow, paused or broken delays only this cursor. Alarms read the journal by themselves.

use std::time::{Duration, Instant};

use journal::Journal;
use model::entry::{Entry, Frame};
use model::{Reading, Seq, Subject};
use runtime::{Clock, Stop};
use store::readings::{self, Moved, Original, Readings, Wave};

use crate::config::Config;
use crate::stats::{Counters, add};

/// Name of the writer's cursor in the journal; its truth is the cursor in the readings store.
pub const CURSOR: &str = "writer";
/// Bytes of journal entries read at once.
const READ_BYTES_MAX: usize = 1 << 20;
/// Longest pause between two tries while the store refuses.
const RETRY_MAX: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// How long one wait for new entries lasts before the stop signal is looked at again.
const WAIT: Duration = Duration::from_millis(200);

/// Runs until stopped; blocking, so it wants a thread of its own.
pub fn run(config: &Config, journal: &Journal, readings: &Readings, clock: &Clock, counters: &Counters, stop: &Stop) {
    let mut reader = journal.reader(readings.cursor());
    let mut batch = Batch::default();
    let (mut delay, mut tidy_at) = (RETRY_FIRST, Instant::now());
    while !stop.is_requested() {
        if let Err(error) = batch.fill(config, &mut reader, counters) {
            if matches!(error, journal::Error::Closed) {
                return;
            }
            batch.clear();
            reader = journal.reader(reader_after(&error, readings.cursor(), counters));
            pause(delay, stop);
            delay = (delay * 2).min(RETRY_MAX);
            continue;
        }
        let Some(last) = batch.last else {
            if tidy_at <= Instant::now() && !maintain(readings, clock) {
                tidy_at = Instant::now() + RETRY_MAX;
            }
            continue;
        };
        delay = RETRY_FIRST;
        if !store(&batch, last, readings, counters, stop) {
            return;
        }
        journal.commit_cursor(CURSOR, last);
        batch.clear();
    }
}

/// Samples of waveforms that weigh as much as one row of the batch.
const SAMPLES_A_ROW: usize = 64;

#[derive(Default)]
struct Batch {
    content: readings::Batch,
    /// How much is there, in rows.
    weight: usize,
    last: Option<Seq>,
}

impl Batch {
    fn clear(&mut self) {
        let readings::Batch { rows, waves, originals, moves, placed } = &mut self.content;
        moves.clear();
        placed.clear();
        rows.clear();
        waves.clear();
        originals.clear();
        self.weight = 0;
        self.last = None;
    }

    /// Reads until enough rows are there, or nothing more came for the linger time.
    fn fill(
        &mut self,
        config: &Config,
        reader: &mut journal::Reader,
        counters: &Counters,
    ) -> Result<(), journal::Error> {
        let mut wait = WAIT;
        let linger = Duration::from_millis(config.writer_linger_ms);
        let mut until: Option<Instant> = None;
        while self.weight < config.writer_rows_max {
            let read = match reader.read(READ_BYTES_MAX, wait) {
                Ok(read) => read,
                // What was read before the trouble is stored first; the trouble comes again.
                Err(_) if self.last.is_some() => break,
                Err(error) => return Err(error),
            };
            if read.is_empty() {
                break;
            }
            for (seq, bytes) in read.iter() {
                self.push(seq, bytes, counters);
            }
            let until = *until.get_or_insert_with(|| Instant::now() + linger);
            wait = until.saturating_duration_since(Instant::now());
            if wait.is_zero() {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, mut frame: Frame) {
        self.take_origins(&mut frame);
        let Frame { subject, device, samples, extras, .. } = frame;
        self.weight += samples.len();
        self.content.rows.extend(samples.into_iter().map(|sample| Reading { subject, device, sample }));
        for block in extras.waveforms {
            self.weight += 1 + block.counts.len() / SAMPLES_A_ROW;
            self.content.waves.push(Wave { subject, device, block });
        }
    }

    fn take_origins(&mut self, frame: &mut Frame) {
        let subject = frame.subject;
        for origin in std::mem::take(&mut frame.extras.origins) {
            if let Some(sample) = frame.samples.get(usize::from(origin.index)) {
                let (metric, at) = (sample.metric, sample.taken_at);
                self.content.originals.push(Original { subject, metric, at, origin });
            }
        }
    }

    /// A measurement that is somebody else's now.
    fn take_moved(&mut self, from: Subject, mut frame: Frame) {
        self.take_origins(&mut frame);
        let Frame { subject: to, device, samples, extras, .. } = frame;
        let waveforms = extras.waveforms;
        self.weight += samples.len() + waveforms.len();
        self.content.moves.push(Moved { from, to, device, samples, waveforms });
    }

    fn push(&mut self, seq: Seq, bytes: &[u8], counters: &Counters) {
        self.last = Some(seq);
        match Entry::decode(bytes) {
            Ok(Entry::Frame(frame)) => self.take(frame),
            Ok(Entry::Moved { from, frame }) => self.take_moved(from, frame),
            Ok(_) => {}
            Err(error) => {
                add(&counters.bad_entries, 1);
                tracing::error!(journal.seq = seq.0, %error, "a journal entry does not decode; the writer leaves it out");
            }
        }
    }
}

/// Stores the batch, however long it takes. False when asked to stop first.
fn store(batch: &Batch, last: Seq, readings: &Readings, counters: &Counters, stop: &Stop) -> bool {
    let mut delay = RETRY_FIRST;
    loop {
        match readings.write_batch(&batch.content, last) {
            Ok(written) => {
                add(&counters.stored_readings, written.stored);
                add(&counters.duplicate_readings, written.duplicate);
                add(&counters.conflicting_readings, written.conflict);
                add(&counters.rehomed_measurements, written.moved);
                add(&counters.stored_blocks, written.waves.stored);
                add(&counters.duplicate_blocks, written.waves.duplicate);
                add(&counters.refused_blocks, written.waves.refused);
                return true;
            }
            Err(error) => {
                add(&counters.writer_retries, 1);
                tracing::warn!(%error, retry_ms = delay.as_millis() as u64, "the readings store refuses; the journal keeps");
                if !pause(delay, stop) {
                    return false;
                }
                delay = (delay * 2).min(RETRY_MAX);
            }
        }
    }
}

/// Where to read on after an error. Entries that are damaged on disk or gone are given up, loudly: waiting for them would
/// hold the cursor, and with it the whole journal, for ever.
fn reader_after(error: &journal::Error, stored: Seq, counters: &Counters) -> Seq {
    let (lost, next) = match error {
        journal::Error::Corrupt { seq, last } => ((last.0 + 1).saturating_sub(seq.0), *last),
        journal::Error::Trimmed { first } => {
            let next = Seq(first.0.saturating_sub(1));
            (next.0.saturating_sub(stored.0), next)
        }
        _ => {
            tracing::error!(%error, "the writer cannot read the journal; trying again");
            return stored;
        }
    };
    add(&counters.damaged_entries, lost);
    tracing::error!(%error, lost, "readings of these journal entries are not stored");
    next
}

/// Seals what is due. False when the store could not.
fn maintain(readings: &Readings, clock: &Clock) -> bool {
    let sealed = readings.maintain(clock.now());
    if let Err(error) = &sealed {
        tracing::warn!(%error, "the readings store cannot seal; trying again when idle");
    }
    sealed.is_ok()
}

/// Sleeps in small steps. False when asked to stop.
fn pause(time: Duration, stop: &Stop) -> bool {
    let until = Instant::now() + time;
    while !stop.is_requested() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20).min(time));
    }
    !stop.is_requested()
}
