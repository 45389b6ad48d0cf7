//! A journal, a writer and a store of their own, removed at the end.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ingest::Ingest;
use journal::Journal;
use model::entry::{Entry, Flags, Frame};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Reading, Sample, Subject, Time};
use runtime::{Clock, Tasks};
use store::readings::{self, Dsn, Readings, Store, TimescaleConfig};
use store::records::Records;

use super::line::Line;
use crate::cli::Bench;

/// Readings of one frame: two metrics, a value a second.
pub(super) const FRAME: u64 = 30;
const PER_METRIC: u64 = FRAME / 2;
/// What takes longer is broken.
const STUCK: Duration = Duration::from_hours(1);

/// Where the benchmark runs.
pub(crate) struct Bed {
    dir: tempfile::TempDir,
    pub(super) settings: readings::Config,
    pub(super) journal: Journal,
    pub(super) readings: Readings,
    /// The way to a server.
    line: Option<Line>,
    ingest: Option<(Ingest, Tasks)>,
}

impl Bed {
    pub(super) fn new(args: &Bench) -> anyhow::Result<Self> {
        Self::by(args, false)
    }

    /// With a line to the server that can be cut. Needs a runtime around it.
    pub(super) fn with_line(args: &Bench) -> anyhow::Result<Self> {
        Self::by(args, args.store == Store::Timescale)
    }

    fn by(args: &Bench, line: bool) -> anyhow::Result<Self> {
        let dir = args.data_dir.as_ref().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        let dir = dir.context("no temporary folder")?;
        let mut settings = readings::Config::default();
        if args.store == Store::Timescale {
            let Some(dsn) = &args.dsn else { bail!("--store timescale needs --dsn") };
            let schema = format!("vigil_bench_{}", std::process::id());
            settings.store = Store::Timescale;
            settings.timescale = TimescaleConfig { dsn: Some(Dsn::new(dsn)), schema, ..TimescaleConfig::default() };
        }
        let mut by_line = settings.clone();
        let line = line.then(|| Line::to(&settings.timescale)).transpose()?;
        if let Some(line) = &line {
            by_line.timescale = readings::bench_detour(&settings.timescale, line.port())?;
        }
        // The journal holds the whole outage.
        let journal =
            Journal::open(dir.path(), "journal", &journal::Config { bytes_max: 64 << 30, ..Default::default() })?;
        let readings = Readings::open(dir.path(), &by_line)?;
        Ok(Self { dir, settings, journal, readings, line, ingest: None })
    }

    /// The store goes away: the line to its server is cut and refused; without a line, writing is paused. Or it comes back.
    pub(super) fn away(&self, away: bool) {
        match &self.line {
            Some(line) => line.cut(away),
            None => self.readings.pause_writes(away),
        }
    }

    /// Starts the writer. Needs a runtime around it.
    pub(super) fn start_writer(&mut self) -> anyhow::Result<Ingest> {
        let records = Records::open(self.dir.path(), Clock::system())?;
        let (tasks, config) = (Tasks::new(), ingest::Config::default());
        let ingest =
            Ingest::start(config, self.dir.path(), &self.journal, &records, &self.readings, Clock::system(), &tasks)?;
        self.ingest = Some((ingest.clone(), tasks));
        Ok(ingest)
    }

    /// Waits until something is so. Returns how long it took.
    pub(super) fn wait(&self, what: &str, ready: impl Fn(&Self) -> bool) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        while !ready(self) {
            if begun.elapsed() > STUCK {
                bail!("stuck: {what}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(begun.elapsed())
    }

    /// Stops the writer and removes what the benchmark made.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let Self { dir, settings, journal, readings, line, ingest } = self;
        if let Some((ingest, tasks)) = ingest {
            let late = tokio::runtime::Handle::current().block_on(tasks.stop(Duration::from_secs(30)));
            anyhow::ensure!(late.is_empty(), "these did not finish: {late:?}");
            drop(ingest);
        }
        journal.close();
        drop((readings, line));
        if settings.store == Store::Timescale {
            readings::bench_drop_schema(&settings)?;
        }
        dir.close().context("cannot remove the temporary folder")
    }
}

/// Samples of frame `n` of a county of `elders`: each elder in turn, 15 s of two metrics with jitter, `from` on.
fn samples(n: u64, elders: u64, from: Time) -> (u32, Vec<Sample>) {
    let (elder, round) = ((n % elders) as u32 + 1, n / elders);
    let sample = |i: u64| {
        let (metric, second) = if i < PER_METRIC { (Metric::HeartRate, i) } else { (Metric::Spo2, i - PER_METRIC) };
        let second = round * PER_METRIC + second;
        let noise = (second * elders + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
        let at = from.plus_us((second * 1_000_000 + noise % 20 * 1_000) as i64);
        let value = if i < PER_METRIC { 70 + (second / 16 + noise % 3) % 20 } else { 95 + noise % 3 };
        Sample::new(metric, at, value as f64, Quality::Ok)
    };
    (elder, (0..FRAME).map(sample).collect())
}

/// Frame `n` as a journal entry.
pub(super) fn frame(n: u64, elders: u64, from: Time, received_at: Time) -> Vec<u8> {
    let (elder, samples) = samples(n, elders, from);
    let frame = Frame {
        gateway: GatewayId(1),
        device: DeviceId(elder),
        subject: Subject::Elder(ElderId(elder)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 0,
        seq: n,
        received_at,
        events: vec![],
        samples,
        extras: Extras::default(),
    };
    Entry::Frame(frame).to_bytes()
}

/// The readings of some frames, without their frames.
pub(super) fn readings(frames: std::ops::Range<u64>, elders: u64, from: Time) -> Vec<Reading> {
    let of_frame = |n| {
        let (elder, samples) = samples(n, elders, from);
        let (subject, device) = (Subject::Elder(ElderId(elder)), DeviceId(elder));
        samples.into_iter().map(move |sample| Reading { subject, device, sample })
    };
    frames.flat_map(of_frame).collect()
}
