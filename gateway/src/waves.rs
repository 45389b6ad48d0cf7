//! Waveform recordings as files: opened whole, cut into blocks, handed over at their own pace.

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use codec::import::{Record, Signal};
use codec::import::{edf, wfdb};
use model::extra::COUNTS_MAX;
use model::{Lane, Name, Rate, Time, Waveform};
use runtime::{Clock, Stop};
use tokio::time::{Instant, sleep_until};

use crate::outlet::{DeviceKey, Outlet, Refused};
use crate::report::Report;

/// Longest file read, bytes: twelve leads for six hours.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Length of a block, seconds.
pub(crate) const BLOCK_S: u32 = 5;
pub(crate) const BLOCK_S_MAX: u32 = 10;
/// Reports handed over before the last of them must be durable: what is on its way stays small.
const AHEAD: u32 = 16;

/// Why a file is not a recording.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} cannot be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} has more than {FILE_BYTES_MAX} bytes")]
    TooLong { path: PathBuf },
    #[error("{path}: {source}")]
    Format { path: PathBuf, source: codec::Malformed },
    #[error("{path} has neither ECG nor PPG in it (left out: {skipped})")]
    Nothing { path: PathBuf, skipped: String },
}

/// Opens a WFDB record by its header (`.hea`; the signal files lie beside it) or an EDF file. Blocking.
pub fn open(path: &Path) -> Result<Record, Error> {
    let format = |source| Error::Format { path: path.to_owned(), source };
    let is_header = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("hea"));
    let record = if is_header {
        let header = wfdb::Header::parse(&read(path)?).map_err(format)?;
        let beside = |name: &&str| read(&path.with_file_name(name));
        let files = header.files().iter().map(beside).collect::<Result<Vec<_>, _>>()?;
        let files: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
        wfdb::record(&header, &files).map_err(format)?
    } else {
        edf::record(&read(path)?).map_err(format)?
    };
    if record.signals.iter().all(|signal| signal.counts.is_empty()) {
        return Err(Error::Nothing { path: path.to_owned(), skipped: record.skipped.join(", ") });
    }
    Ok(record)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let fault = |source| Error::Read { path: path.to_owned(), source };
    let length = std::fs::metadata(path).map_err(fault)?.len();
    if length > FILE_BYTES_MAX {
        return Err(Error::TooLong { path: path.to_owned() });
    }
    std::fs::read(path).map_err(fault)
}

/// How long a recording lasts, microseconds: its longest signal.
pub fn span_us(record: &Record) -> i64 {
    record.signals.iter().map(|signal| signal.rate.offset_us(signal.counts.len())).max().unwrap_or(0)
}

/// Length of a block in seconds that no signal's block outgrows.
fn block_s(record: &Record, asked: u32) -> u32 {
    let fits = |rate: Rate| (COUNTS_MAX as u64 * u64::from(rate.seconds) / u64::from(rate.samples)).max(1);
    let fits = record.signals.iter().map(|signal| fits(signal.rate)).min().unwrap_or(1);
    u32::try_from(fits).unwrap_or(u32::MAX).min(asked).max(1)
}

/// The `index`-th block of every signal that has one.
fn blocks(record: &Record, base: Time, block_s: u32, index: u64) -> Vec<Waveform> {
    let of = |signal: &Signal| {
        let first = |index: u64| {
            let samples = index * u64::from(block_s) * u64::from(signal.rate.samples);
            samples.div_ceil(u64::from(signal.rate.seconds)) as usize
        };
        let (from, to) = (first(index), first(index + 1).min(signal.counts.len()));
        let counts = signal.counts.get(from..to).filter(|counts| !counts.is_empty())?.to_vec();
        let start = base.plus_us(signal.rate.offset_us(from));
        let (metric, lead, rate, scale, offset) =
            (signal.metric, signal.lead, signal.rate, signal.scale, signal.offset);
        Some(Waveform { metric, lead, start, rate, scale, offset, counts })
    };
    record.signals.iter().filter_map(of).collect()
}

/// What to play, and how.
#[derive(Clone, Debug)]
pub(crate) struct Play {
    pub(crate) device: Name,
    /// When the first sample was taken.
    pub(crate) base: Time,
    /// Recorded seconds that pass in one; 0 = as fast as the outbox takes them.
    pub(crate) speed: f64,
    pub(crate) block_s: u32,
}

/// Hands the recording over, each block when its last sample has been taken. Returns blocks and samples handed over; the
/// last of them are durable when the gateway has stopped in order.
pub(crate) async fn feed(
    record: &Record,
    play: &Play,
    outlet: &Outlet,
    clock: &Clock,
    stop: &Stop,
) -> Result<(u64, u64), Refused> {
    let block_s = block_s(record, play.block_s);
    let (start, mut handed) = (Instant::now(), (0, 0));
    let mut way = Way::new(outlet.clone(), DeviceKey::Named(play.device.clone()));
    for index in 0.. {
        let waveforms = blocks(record, play.base, block_s, index);
        let Some(end) = waveforms.iter().map(Waveform::end).max() else { break };
        if play.speed > 0.0 {
            let after = (end.since_us(play.base).max(0) as f64 / play.speed) as u64;
            tokio::select! {
                () = stop.requested() => break,
                () = sleep_until(start + Duration::from_micros(after)) => {}
            }
        }
        if stop.is_requested() {
            break;
        }
        handed.0 += waveforms.len() as u64;
        handed.1 += waveforms.iter().map(|block| block.counts.len() as u64).sum::<u64>();
        way.hand_over(clock.now(), waveforms).await?;
    }
    Ok(handed)
}

/// The way of one device's blocks into the outbox: most are handed over at once, and every [`AHEAD`]-th waits until it, and
/// with it all before it, is durable.
pub(crate) struct Way {
    outlet: Outlet,
    device: DeviceKey,
    handed: u32,
}

impl Way {
    pub(crate) const fn new(outlet: Outlet, device: DeviceKey) -> Self {
        Self { outlet, device, handed: 0 }
    }

    pub(crate) async fn hand_over(&mut self, at: Time, waveforms: Vec<Waveform>) -> Result<(), Refused> {
        let report = Report { lane: Lane::Wav, waveforms, ..Report::default() };
        self.handed = (self.handed + 1) % AHEAD;
        let taken = if self.handed == 0 {
            self.outlet.hear_report(&self.device, at, report).await
        } else {
            self.outlet.stream(&self.device, at, report).await
        };
        taken.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Metric;

    fn record(rate: (u32, u32), samples: usize) -> Record {
        let rate = Rate::new(rate.0, rate.1).unwrap();
        let counts = (0..samples).map(|i| (i % 30_000) as i16).collect();
        let signal =
            Signal { label: "II".into(), metric: Metric::Ecg, lead: 131_074, rate, scale: 1.0, offset: 0.0, counts };
        Record { signals: vec![signal], ..Record::default() }
    }

    #[test]
    fn blocks_hold_every_sample_once_and_follow_each_other() {
        for (rate, samples, asked) in
            [((360, 1), 10_000, 5), ((257, 2), 5_000, 3), ((1, 2), 50, 7), ((20_000, 1), 70_001, 10)]
        {
            let record = record(rate, samples);
            let seconds = block_s(&record, asked);
            let all: Vec<Waveform> = (0..10_000).flat_map(|index| blocks(&record, Time(0), seconds, index)).collect();
            let joined: Vec<i16> = all.iter().flat_map(|block| block.counts.iter().copied()).collect();
            assert_eq!(joined, record.signals[0].counts, "{rate:?}");
            for pair in all.windows(2) {
                assert!((0..=1).contains(&pair[1].start.since_us(pair[0].end())), "{rate:?}");
            }
            assert!(all.iter().all(|block| block.counts.len() <= COUNTS_MAX));
        }
    }
}
