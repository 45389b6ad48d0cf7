//! Putting refused readings through the store again (`vigil readings refused`), after whatever made the store refuse them was mended.

use std::collections::BTreeMap;
use std::path::Path;

use model::{Seq, Time};
use store::readings::{Readings, Written};

use super::batch::Batch;
use super::refused::{Line, Next, each_line};
use super::sink::{Refusal, Remedy, Sink};
use crate::stats::Counters;

/// What the file of refused readings holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetAside {
    /// Entries by why they were refused.
    pub causes: BTreeMap<String, u64>,
    /// When the first and the last of them were.
    pub span: Option<(Time, Time)>,
    /// Lines that nobody can read: left by a crash in the middle, or damaged.
    pub unreadable: u64,
}

/// What became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutAgain {
    /// Entries that the store took; they are no longer in the file.
    pub entries: u64,
    /// Readings of these that are new in the store, and that it had already.
    pub stored: u64,
    pub known: u64,
    /// Readings older than their retention: not stored.
    pub expired: u64,
    /// Blocks of waveforms.
    pub blocks: u64,
    /// Entries that it refuses still, by why; they stay.
    pub refused: BTreeMap<String, u64>,
    pub unreadable: u64,
}

impl PutAgain {
    const fn took(&mut self, written: &Written) {
        self.entries += 1;
        self.stored += written.stored;
        self.known += written.duplicate + written.conflict;
        self.expired += written.expired;
        self.blocks += written.waves.stored;
    }
}

/// Why nothing changed in the file.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    #[error("the file of refused readings")]
    File(#[from] std::io::Error),
    /// It may take them later.
    #[error("the readings store does not take readings now: {0}")]
    Store(String),
}

/// Counts, without changing anything. Without a file there are none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn list_refused(dir: &Path) -> std::io::Result<SetAside> {
    let mut found = SetAside::default();
    each_line(dir, |line| {
        let Some(line) = Line::of(line).filter(|line| line.entry().is_some()) else {
            found.unreadable += 1;
            return Ok(());
        };
        let (first, last) = found.span.unwrap_or((line.at(), line.at()));
        found.span = Some((first.min(line.at()), last.max(line.at())));
        *found.causes.entry(line.cause).or_default() += 1;
        Ok::<_, std::io::Error>(())
    })?;
    Ok(found)
}

/// Stores every entry of the file by itself and keeps those that are refused again, and what cannot be read. Done again after a crash
/// it stores nothing twice. No writer may be running.
///
/// # Errors
/// The store is away, or the directory cannot be read or written: the file is then as it was.
pub fn retry_refused(dir: &Path, readings: &Readings) -> Result<PutAgain, AgainError> {
    retry(dir, readings)
}

fn retry(dir: &Path, sink: &impl Sink) -> Result<PutAgain, AgainError> {
    let mut done = PutAgain::default();
    let set_aside = list_refused(dir)?;
    if set_aside.causes.is_empty() {
        return Ok(PutAgain { unreadable: set_aside.unreadable, ..done });
    }
    let mut next = Next::create(dir)?;
    let outcome = each_line(dir, |line| {
        let Some((bytes, _)) = Line::of(line).and_then(|line| line.entry()) else {
            done.unreadable += 1;
            return Ok(next.keep(line)?);
        };
        match store(sink, &bytes) {
            Ok(written) => {
                done.took(&written);
                Ok(())
            }
            Err(Refusal { remedy: Remedy::Without, cause, .. }) => {
                *done.refused.entry(cause.to_owned()).or_default() += 1;
                Ok(next.keep(line)?)
            }
            Err(refusal) => Err(AgainError::Store(refusal.text)),
        }
    });
    match outcome {
        Ok(()) if done.entries > 0 => next.take_place()?,
        Ok(()) => next.give_up()?,
        Err(error) => {
            next.give_up()?;
            return Err(error);
        }
    }
    Ok(done)
}

/// The entry alone; where the store stands in the journal does not change.
fn store(sink: &impl Sink, entry: &[u8]) -> Result<Written, Refusal> {
    let progress = sink.progress()?;
    let mut batch = Batch::default();
    batch.push(Seq::default(), entry, &Counters::default());
    sink.write(&batch.content, &progress)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};

    use model::entry::{Entry, Flags, Frame};
    use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Sample, Subject};
    use store::readings::{Config, Progress, Store};

    use super::super::refused::NEXT_FILE;
    use super::super::{Aside, REFUSED_FILE};
    use super::*;

    /// A store that refuses one value, and sometimes is away.
    struct Strict {
        inner: Readings,
        bad: f64,
        away: AtomicBool,
    }

    impl Sink for Strict {
        fn kind(&self) -> Store {
            self.inner.store()
        }

        fn progress(&self) -> Result<Progress, Refusal> {
            Sink::progress(&self.inner)
        }

        fn write(&self, batch: &store::readings::Batch, progress: &Progress) -> Result<Written, Refusal> {
            let refusal = |remedy, cause| Refusal { remedy, cause, text: "not now".to_owned() };
            if self.away.load(Ordering::Relaxed) {
                return Err(refusal(Remedy::Wait, "unreachable"));
            }
            if batch.rows.iter().any(|row| row.sample.value() == Some(self.bad)) {
                return Err(refusal(Remedy::Without, "refused"));
            }
            Sink::write(&self.inner, batch, progress)
        }
    }

    fn entry(elder: u32, value: f64) -> Vec<u8> {
        let sample = Sample::new(Metric::HeartRate, Time::from_secs(1_800_000_000), value, Quality::Ok);
        let frame = Frame {
            gateway: GatewayId(1),
            device: DeviceId(1),
            subject: Subject::Elder(ElderId(elder)),
            lane: Lane::Vit,
            flags: Flags::default(),
            epoch: 1,
            seq: 1,
            received_at: Time(1),
            events: vec![],
            samples: vec![sample],
            extras: Extras::default(),
        };
        Entry::Frame(frame).to_bytes()
    }

    #[test]
    fn what_the_store_takes_leaves_the_file_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let inner = Readings::open(dir.path(), &Config::default()).unwrap();
        let sink = Strict { inner, bad: 13.0, away: AtomicBool::new(true) };
        assert_eq!(retry(dir.path(), &sink).unwrap(), PutAgain::default(), "without a file");
        let aside = Aside::in_dir(dir.path());
        let path = dir.path().join(REFUSED_FILE);
        aside.put(Seq(1), &entry(1, 70.0), "refused", Time(10)).unwrap();
        aside.put(Seq(2), &entry(2, 13.0), "refused", Time(20)).unwrap();
        // A crash in the middle of a line.
        let half = std::fs::read_to_string(&path).unwrap() + r#"{"journal_seq":3,"at"#;
        std::fs::write(&path, half).unwrap();
        aside.put(Seq(3), &entry(3, 71.0), "too_large", Time(30)).unwrap();
        let causes = [("refused".to_owned(), 2), ("too_large".to_owned(), 1)].into();
        let listed = SetAside { causes, span: Some((Time(10), Time(30))), unreadable: 1 };
        assert_eq!(list_refused(dir.path()).unwrap(), listed);
        let before = std::fs::read_to_string(&path).unwrap();
        let away = retry(dir.path(), &sink).unwrap_err();
        assert!(matches!(away, AgainError::Store(_)), "{away}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "a store that is away changes nothing");
        sink.away.store(false, Ordering::Relaxed);
        let done = retry(dir.path(), &sink).unwrap();
        let refused: BTreeMap<_, _> = [("refused".to_owned(), 1)].into();
        assert_eq!(
            done,
            PutAgain { entries: 2, stored: 2, refused: refused.clone(), unreadable: 1, ..PutAgain::default() }
        );
        let kept: Vec<&str> = before.lines().skip(1).take(2).collect();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().collect::<Vec<_>>(), kept);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(sink.inner.latest(Subject::Elder(ElderId(3))).len(), 1);
        assert_eq!(sink.inner.progress().unwrap(), Progress::default(), "the journal's place is another matter");
        // Again: nothing to do.
        let done = retry(dir.path(), &sink).unwrap();
        assert_eq!(done, PutAgain { refused, unreadable: 1, ..PutAgain::default() });
        assert!(!dir.path().join(NEXT_FILE).exists());
    }

    #[test]
    fn a_file_of_which_all_is_taken_goes_and_a_crash_before_that_stores_nothing_twice() {
        let dir = tempfile::tempdir().unwrap();
        let readings = Readings::open(dir.path(), &Config::default()).unwrap();
        let aside = Aside::in_dir(dir.path());
        aside.put(Seq(1), &entry(1, 70.0), "refused", Time(10)).unwrap();
        let path = dir.path().join(REFUSED_FILE);
        let before = std::fs::read(&path).unwrap();
        let linked = dir.path().join("same");
        std::fs::hard_link(&path, &linked).unwrap();
        assert_eq!(retry_refused(dir.path(), &readings).unwrap().stored, 1);
        assert!(!path.exists() && list_refused(dir.path()).unwrap() == SetAside::default());
        assert!(std::fs::read(&linked).unwrap().iter().all(|byte| *byte == 0), "overwritten");
        // As if the process had ended before the file was replaced, half a new one beside it.
        std::fs::write(&path, before).unwrap();
        std::fs::write(dir.path().join(NEXT_FILE), "half").unwrap();
        let done = retry_refused(dir.path(), &readings).unwrap();
        assert_eq!((done.entries, done.stored, done.known), (1, 0, 1));
        assert_eq!(readings.count(), 1);
    }
}
