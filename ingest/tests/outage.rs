//! A real PostgreSQL server goes away under load and comes back: what is new is stored first, and in the end everything is there once.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use journal::Journal;
use model::entry::{Entry, Flags, Frame};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Sample, Seq, Subject};
use pgtest::{Postgres, until};
use runtime::{Clock, Tasks};
use store::readings::{Config as Settings, Dsn, Readings, Store, TimescaleConfig};
use store::records::Records;
use vigil_ingest::{Config, Ingest};

const ELDERS: u64 = 50;
/// Frames more during the outage: 200,000 readings.
const BULK: u64 = 10_000;
/// Readings in a frame.
const SAMPLES: u64 = 20;

fn frame(n: u64, clock: &Clock) -> Vec<u8> {
    let now = clock.now();
    let elder = (n % ELDERS) as u32 + 1;
    // No two readings of an elder are of one instant, also of frames made at once.
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

struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    readings: Readings,
    ingest: Ingest,
    tasks: Tasks,
}

impl World {
    fn open(dir: tempfile::TempDir, dsn: &str) -> Self {
        let clock = Clock::system();
        let timescale =
            TimescaleConfig { dsn: Some(Dsn::new(dsn)), connect_timeout_ms: 1_000, ..TimescaleConfig::default() };
        let settings = Settings { store: Store::Timescale, timescale, ..Settings::default() };
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let readings = Readings::open(dir.path(), &settings).unwrap();
        let tasks = Tasks::new();
        let ingest =
            Ingest::start(Config::default(), dir.path(), &journal, &records, &readings, clock, &tasks).unwrap();
        Self { dir, journal, readings, ingest, tasks }
    }

    /// Ends as a process does, but for what the operating system closes.
    async fn end(self) -> tempfile::TempDir {
        let Self { dir, journal, readings, ingest, tasks } = self;
        assert!(tasks.stop(Duration::from_mins(1)).await.is_empty());
        drop(ingest);
        tokio::task::spawn_blocking(move || {
            journal.close();
            drop(readings);
        })
        .await
        .unwrap();
        dir
    }
}

/// Appends ten frames every 20 ms: 10,000 readings a second at most.
struct Feeder {
    feeding: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Feeder {
    fn start(journal: &Journal, sent: &Arc<AtomicU64>) -> Self {
        let feeding = Arc::new(AtomicBool::new(true));
        let (journal, sent, on) = (journal.clone(), Arc::clone(sent), Arc::clone(&feeding));
        let thread = std::thread::spawn(move || {
            let clock = Clock::system();
            while on.load(Ordering::Relaxed) {
                let first = sent.load(Ordering::Relaxed);
                journal.append_blocking((first..first + 10).map(|n| frame(n, &clock)).collect()).unwrap();
                sent.fetch_add(10, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { feeding, thread }
    }

    fn stop(self) {
        self.feeding.store(false, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_stops_under_load_and_nothing_is_lost_or_late() {
    let Some(mut server) = tokio::task::spawn_blocking(Postgres::start).await.unwrap() else { return };
    let dsn = server.dsn();
    let world = World::open(tempfile::tempdir().unwrap(), &dsn);
    let sent = Arc::new(AtomicU64::new(0));
    let feeder = Feeder::start(&world.journal, &sent);
    let before = sent.load(Ordering::Relaxed);
    let (world, mut server) = tokio::task::spawn_blocking(move || {
        until("the first readings", || (world.readings.count() > 0).then_some(()));
        server.stop();
        until("the writer notices", || (world.ingest.writing().state == "failing").then_some(()));
        // Paging and the door do not wait for the store, and neither does the journal.
        until("an outage long enough", || {
            let wait = world.ingest.writing();
            (wait.oldest_unstored_s > 4.0 && wait.live.entries + wait.backlog.entries > 1_500).then_some(())
        });
        (world, server)
    })
    .await
    .unwrap();
    assert!(sent.load(Ordering::Relaxed) > before + 1_500);
    // The process ends in the middle of it, too.
    feeder.stop();
    let first = sent.fetch_add(BULK, Ordering::Relaxed);
    let bulk = (first..first + BULK).map(|n| frame(n, &Clock::system())).collect();
    world.journal.append_wait(bulk).await.unwrap();
    let dir = world.end().await;
    let world = World::open(dir, &dsn);
    let feeder = Feeder::start(&world.journal, &sent);
    let watched = tokio::task::spawn_blocking(move || {
        let behind = world.ingest.writing();
        assert!(behind.live.entries + behind.backlog.entries > 1_500, "{behind:?}");
        let back = Clock::system().now();
        server.start_again();
        // What came after the server was back is there while older entries still wait.
        let live_first = until("what is new", || {
            let writing = world.ingest.writing();
            let back = back.plus_us(1_000_000);
            let newest = (1..=ELDERS as u32).filter_map(|elder| {
                world.readings.latest(Subject::Elder(ElderId(elder))).iter().map(|one| one.sample.taken_at).max()
            });
            let new = newest.max().is_some_and(|at| at > back);
            let stored = writing.done > 0 && writing.live.entries + writing.backlog.entries == 0;
            (new || stored).then_some((new, writing.backlog.entries))
        });
        feeder.stop();
        let head = world.journal.head();
        until("everything", || (Seq(world.ingest.writing().done) >= head).then_some(()));
        (world, server, live_first)
    });
    let (world, server, (new, waiting)) = watched.await.unwrap();
    assert!(new && waiting > 0, "the newest readings were not stored first");
    eprintln!("the newest readings were stored while {waiting} older entries waited");
    let all = sent.load(Ordering::Relaxed) * SAMPLES;
    // The server's own runtime does not end on a task.
    let count = tokio::task::spawn_blocking(move || server.one("SELECT count(*) FROM vigil.reading"));
    let stored: u64 = count.await.unwrap().parse().unwrap();
    assert_eq!(stored, all, "each reading once");
    world.end().await;
}
