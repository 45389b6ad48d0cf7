//! A journal that is fed, the writer, and a server behind a proxy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use journal::Journal;
use model::entry::{Entry, Flags, Frame};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Sample, Seq, Subject, Time};
use pgtest::{Options, Postgres, Proxy, until};
use runtime::{Clock, Tasks};
use store::readings::{Config as Settings, Dsn, Progress, Readings, Store, TimescaleConfig};
use store::records::Records;
use tokio::runtime::Runtime;
use vigil_ingest::writer::{CURSOR, REFUSED_FILE, list_refused, retry_refused};
use vigil_ingest::{Config, Ingest, Writing};

const ELDERS: u64 = 50;
/// Readings in a frame.
const SAMPLES: u64 = 20;

/// Appends frames. Numbers and times of an elder's frames grow together: no two readings are of one instant.
fn append(journal: &Journal, sent: &Mutex<u64>, frames: u64) {
    let (mut sent, clock) = (sent.lock().unwrap(), Clock::system());
    journal.append_blocking((*sent..*sent + frames).map(|n| frame(n, &clock)).collect()).unwrap();
    *sent += frames;
}

fn frame(n: u64, clock: &Clock) -> Vec<u8> {
    let now = clock.now();
    let elder = (n % ELDERS) as u32 + 1;
    let at = |i: u64| now.plus_us((n / ELDERS % 1_000 * SAMPLES + i) as i64);
    let samples = (0..SAMPLES).map(|i| Sample::new(Metric::HeartRate, at(i), 60.0 + (n % 40) as f64, Quality::Ok));
    let frame = Frame {
        gateway: GatewayId(1),
        device: DeviceId(elder),
        subject: Subject::Elder(ElderId(elder)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 0,
        seq: n,
        received_at: now,
        events: vec![],
        samples: samples.collect(),
        extras: Extras::default(),
    };
    Entry::Frame(frame).to_bytes()
}

/// A server, and the way to it. They outlive the process that writes.
pub(crate) struct Server {
    pub(crate) postgres: Postgres,
    pub(crate) proxy: Proxy,
}

impl Server {
    /// With fsync, so that a crash costs nothing. `None`, after saying why, where there is no PostgreSQL.
    pub(crate) fn start() -> Option<Self> {
        let postgres = Postgres::with(&Options { durable: true, ..Options::default() })?;
        let proxy = Proxy::to(postgres.port());
        Some(Self { postgres, proxy })
    }

    pub(crate) fn dsn(&self) -> String {
        self.postgres.dsn_through(self.proxy.port())
    }

    fn number(&self, sql: &str) -> u64 {
        self.postgres.one(sql).parse().unwrap()
    }
}

/// The process: journal, records, store and writer in one directory.
pub(crate) struct World {
    runtime: Runtime,
    dir: tempfile::TempDir,
    pub(crate) journal: Journal,
    pub(crate) readings: Readings,
    ingest: Ingest,
    tasks: Tasks,
    /// Frames appended, by whatever process.
    sent: Arc<Mutex<u64>>,
}

impl World {
    pub(crate) fn open(dsn: &str) -> Self {
        Self::open_again((tempfile::tempdir().unwrap(), Arc::default()), dsn)
    }

    /// From what [`end`](Self::end) gave.
    pub(crate) fn open_again((dir, sent): (tempfile::TempDir, Arc<Mutex<u64>>), dsn: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let (guard, clock) = (runtime.enter(), Clock::system());
        // As short as they may be, so that the tests are.
        let timescale = TimescaleConfig {
            dsn: Some(Dsn::new(dsn)),
            connect_timeout_ms: 1_000,
            statement_timeout_ms: 1_000,
            lock_timeout_ms: 300,
            retry_max_ms: 200,
            ..TimescaleConfig::default()
        };
        let settings = Settings { store: Store::Timescale, timescale, ..Settings::default() };
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let readings = Readings::open(dir.path(), &settings).unwrap();
        let tasks = Tasks::new();
        // The ledger must not be what keeps entries from being trimmed.
        let config = Config { ledger_save_s: 1, ..Config::default() };
        let ingest = Ingest::start(config, dir.path(), &journal, &records, &readings, clock, &tasks).unwrap();
        drop(guard);
        Self { runtime, dir, journal, readings, ingest, tasks, sent }
    }

    /// Ends as a process does, but for what the operating system closes.
    pub(crate) fn end(self) -> (tempfile::TempDir, Arc<Mutex<u64>>) {
        assert!(self.runtime.block_on(self.tasks.stop(Duration::from_mins(1))).is_empty());
        drop(self.ingest);
        self.journal.close();
        (self.dir, self.sent)
    }

    /// Frames appended so far.
    pub(crate) fn sent(&self) -> u64 {
        *self.sent.lock().unwrap()
    }

    pub(crate) fn writing(&self) -> Writing {
        self.ingest.writing()
    }

    /// Elders of whom something measured after `then` is stored.
    pub(crate) fn newer_than(&self, then: Time) -> usize {
        let newest =
            |elder| self.readings.latest(Subject::Elder(ElderId(elder))).first().map(|one| one.sample.taken_at);
        (1..=ELDERS as u32).filter(|elder| newest(*elder).is_some_and(|at| at > then)).count()
    }

    /// Frames at once.
    pub(crate) fn append(&self, frames: u64) {
        append(&self.journal, &self.sent, frames);
    }

    /// `frames` every 20 ms, until it is dropped.
    pub(crate) fn feed(&self, frames: u64) -> Feeder {
        let feeding = Arc::new(AtomicBool::new(true));
        let (journal, sent, on) = (self.journal.clone(), Arc::clone(&self.sent), Arc::clone(&feeding));
        let thread = std::thread::spawn(move || {
            while on.load(Ordering::Relaxed) {
                append(&journal, &sent, frames);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Feeder { feeding, thread: Some(thread) }
    }

    /// What was set aside, through the store again. The writer has nothing to do meanwhile: a command of its own may not run beside it.
    pub(crate) fn puts_refused_again(&self, entries: u64) {
        assert_eq!(list_refused(self.dir.path()).unwrap().causes.get("refused"), Some(&entries));
        let done = retry_refused(self.dir.path(), &self.readings).unwrap();
        assert_eq!((done.entries, done.stored, done.refused.len()), (entries, entries * SAMPLES, 0));
    }

    /// The journal still has everything that is not stored. True when trimming has done what it may: only the writer, and not the
    /// ledger, holds entries back.
    pub(crate) fn keeps_what_waits(&self) -> bool {
        // In this order: what is stored only grows.
        let stats = self.journal.stats();
        let done = self.writing().done;
        assert!(stats.first.0 <= done + 1, "entries up to {} are gone, stored up to {done}", stats.first.0 - 1);
        stats.cursors.iter().all(|(name, seq)| name == CURSOR || seq.0 > done)
    }

    /// Waits until all that was appended is stored, and asks the server for it: each reading once, the cursors right, nothing set aside.
    pub(crate) fn nothing_lost_nothing_twice(&self, server: &Server) {
        let head = self.journal.head();
        until("everything", || {
            self.keeps_what_waits();
            (Seq(self.writing().done) >= head).then_some(())
        });
        let all = self.sent() * SAMPLES;
        assert_eq!(server.number("SELECT count(*) FROM vigil.reading"), all, "each reading once");
        let distinct = "SELECT count(*) FROM (SELECT DISTINCT subject, metric, ts FROM vigil.reading) r";
        assert_eq!(server.number(distinct), all);
        let progress = until("the store does not answer", || self.readings.progress().ok());
        assert!(progress.live >= head && progress == Progress::at(progress.live), "{progress:?}, head {head:?}");
        until("the journal's cursor", || {
            let cursors = self.journal.stats().cursors;
            cursors.iter().find(|(name, _)| name == CURSOR).filter(|(_, seq)| *seq >= head).map(drop)
        });
        until("what is stored may go", || (self.journal.stats().trimmed_groups > 0).then_some(()));
        let writing = self.writing();
        assert_eq!(writing.state, "live", "{writing:?}");
        assert!(!self.dir.path().join(REFUSED_FILE).exists());
    }
}

/// Asks the server whether something measured after `mended` was stored before something from before it; gives how many such older
/// readings there were.
pub(crate) fn stored_behind_what_is_new(server: &Server, mended: Time) -> u64 {
    let new = format!("ts >= to_timestamp({})", mended.0 as f64 / 1e6);
    // A row's xmin is its transaction, and one writer's transactions are numbered in their order.
    let first = format!("SELECT min(xmin::text::bigint) FROM vigil.reading WHERE {new}");
    server.number(&format!("SELECT count(*) FROM vigil.reading WHERE NOT {new} AND xmin::text::bigint > ({first})"))
}

/// Appends by itself until it is dropped.
pub(crate) struct Feeder {
    feeding: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.feeding.store(false, Ordering::Relaxed);
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || std::thread::panicking(), "the journal takes no entries");
    }
}
