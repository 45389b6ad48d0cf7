//! The whole writer on a real journal and a real store, behind a switch that makes the store fail.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use journal::Journal;
use model::entry::{Entry, Flags, Frame};
use model::{DeviceId, ElderId, Extras, GatewayId, Lane, Metric, Quality, Sample, Seq, Subject, Time};
use runtime::{Clock, Stop};
use store::readings::{Batch, Progress, Readings, Store, Written};

use crate::Config;
use crate::stats::Counters;
use crate::writer::sink::{Refusal, Remedy};
use crate::writer::{Aside, CURSOR, Deps, Figures, REFUSED_FILE, Sink, run};

const NOON: Time = Time::from_secs(1_800_000_000);
const STUCK: Duration = Duration::from_mins(1);
/// This value is refused for good.
const BAD: f64 = 13.0;

/// The embedded store, made to fail, that keeps the whole progress as a server does.
struct Faulty {
    inner: Readings,
    out: AtomicBool,
    /// Rows it takes at once.
    rows_max: AtomicUsize,
    /// How long a write takes.
    slow: Mutex<Duration>,
    log: Mutex<Vec<(Progress, Vec<i64>)>>,
}

impl Faulty {
    fn refusal(remedy: Remedy, cause: &'static str) -> Refusal {
        Refusal { remedy, cause, text: cause.to_owned() }
    }
}

impl Sink for Faulty {
    fn kind(&self) -> Store {
        Store::Embedded
    }

    fn progress(&self) -> Result<Progress, Refusal> {
        if self.out.load(Ordering::Relaxed) {
            return Err(Self::refusal(Remedy::Wait, "unreachable"));
        }
        Ok(self.log.lock().unwrap().last().map(|(progress, _)| progress.clone()).unwrap_or_default())
    }

    fn write(&self, batch: &Batch, progress: &Progress) -> Result<Written, Refusal> {
        std::thread::sleep(*self.slow.lock().unwrap());
        if self.out.load(Ordering::Relaxed) {
            return Err(Self::refusal(Remedy::Wait, "unreachable"));
        }
        if batch.rows.len() > self.rows_max.load(Ordering::Relaxed) {
            return Err(Self::refusal(Remedy::Fewer, "timed_out"));
        }
        if batch.rows.iter().any(|row| row.sample.value() == Some(BAD)) {
            return Err(Self::refusal(Remedy::Without, "refused"));
        }
        // A cursor that only grows, of a store with another journal, would hide what is missing.
        let written = self.inner.write_batch(batch, Seq(0)).unwrap();
        let times = batch.rows.iter().map(|row| row.sample.taken_at.0).collect();
        self.log.lock().unwrap().push((progress.clone(), times));
        Ok(written)
    }
}

struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    sink: Faulty,
    clock: Clock,
    counters: Counters,
    figures: Figures,
    sent: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        journal.register_cursor(CURSOR).unwrap();
        let inner = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let sink = Faulty {
            inner,
            out: AtomicBool::new(false),
            rows_max: AtomicUsize::new(usize::MAX),
            slow: Mutex::default(),
            log: Mutex::default(),
        };
        let (counters, figures) = (Counters::default(), Figures::new(0));
        Self { dir, journal, sink, clock: Clock::manual(NOON), counters, figures, sent: 0 }
    }

    /// Frames of one reading each that came `age_s` ago.
    fn send(&mut self, count: u64, age_s: i64, value: impl Fn(u64) -> f64) {
        let entries =
            (self.sent..self.sent + count).map(|i| frame(i, NOON.plus_us(-age_s * 1_000_000), value(i)).to_bytes());
        self.journal.append_blocking(entries.collect()).unwrap();
        self.sent += count;
    }

    /// Runs a writer until `enough`, then stops it.
    fn write_until(&self, rows_max: usize, enough: impl Fn(&Self) -> bool) {
        let config = Config { writer_rows_max: rows_max, writer_linger_ms: 1, ..Config::default() };
        let (stop, aside) = (Stop::new(), Aside::in_dir(self.dir.path()));
        let started = (self.journal.head(), self.journal.register_cursor(CURSOR).unwrap());
        let deps = Deps {
            config: &config,
            journal: &self.journal,
            sink: &self.sink,
            clock: &self.clock,
            counters: &self.counters,
            figures: &self.figures,
            aside: &aside,
            started,
        };
        std::thread::scope(|scope| {
            scope.spawn(|| run(&deps, &stop));
            let begun = Instant::now();
            while !enough(self) && begun.elapsed() < STUCK {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.request();
        });
        assert!(enough(self), "it does not come: {:?}", self.figures.writing(NOON, self.journal.head(), Seq(0)));
    }

    fn stored(&self) -> u64 {
        self.sink.inner.count()
    }

    fn writes(&self) -> usize {
        self.sink.log.lock().unwrap().len()
    }
}

fn frame(i: u64, received_at: Time, value: f64) -> Entry {
    let sample = Sample::new(Metric::HeartRate, taken_at(i), value, Quality::Ok);
    Entry::Frame(Frame {
        gateway: GatewayId(1),
        device: DeviceId(1),
        subject: Subject::Elder(ElderId(1)),
        lane: Lane::Vit,
        flags: Flags::default(),
        epoch: 1,
        seq: i,
        received_at,
        events: vec![],
        samples: vec![sample],
        extras: Extras::default(),
    })
}

fn taken_at(i: u64) -> Time {
    NOON.plus_us(i as i64 * 1_000)
}

fn fine(_: u64) -> f64 {
    70.0
}

#[test]
fn after_an_outage_what_is_new_goes_first_and_nothing_is_lost() {
    let mut world = World::new();
    world.send(10, 600, fine);
    world.write_until(500, |world| world.stored() == 10);
    world.sink.out.store(true, Ordering::Relaxed);
    // Waits in the journal while the store is away.
    world.send(40_000, 300, fine);
    let retries = || world.figures.writing(NOON, world.journal.head(), Seq(0)).retries.get("unreachable").copied();
    world.write_until(500, |_| retries() > Some(1));
    assert_eq!(world.stored(), 10);
    world.sink.out.store(false, Ordering::Relaxed);
    *world.sink.slow.lock().unwrap() = Duration::from_millis(5);
    // Killed in the middle of making it good.
    world.write_until(500, |world| {
        world.writes() >= 10 && world.figures.writing(NOON, world.journal.head(), Seq(0)).state == "draining"
    });
    let before = world.stored();
    assert!(before < 20_000, "{before}");
    let done = world.sink.progress().unwrap().done();
    assert!(world.journal.stats().cursors.iter().any(|(name, seq)| name == CURSOR && *seq == done));
    world.send(20, 0, fine);
    world.write_until(500, |world| world.stored() == 40_030);
    let log = world.sink.log.lock().unwrap();
    let newest = log.iter().position(|(_, times)| times.contains(&taken_at(40_029).0)).unwrap();
    assert!(newest < log.len() - 20, "the new ones came {newest}th of {}", log.len());
    assert_eq!(log.last().unwrap().0, Progress::at(world.journal.head()));
    let told: usize = log.iter().map(|(_, times)| times.len()).sum();
    assert_eq!(told, 40_030, "stored once each: the progress goes with the rows");
}

#[test]
fn readings_that_are_refused_for_good_are_set_aside_and_the_rest_goes_on() {
    let mut world = World::new();
    let bad = HashSet::from([0, 1, 777, 2_999]);
    world.send(3_000, 0, |i| if bad.contains(&i) { BAD } else { 70.0 });
    world.write_until(1_000, |world| world.stored() == 2_996 && world.counters.get("refused_entries") == Some(4));
    let text = std::fs::read_to_string(world.dir.path().join(REFUSED_FILE)).unwrap();
    let seqs: Vec<u64> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["journal_seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 778, 3_000]);
    assert_eq!(Aside::in_dir(world.dir.path()).count(), 4);
    // What is in the file is the entry.
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, first["entry"].as_str().unwrap());
    assert_eq!(Entry::decode(&bytes.unwrap()).unwrap(), frame(0, NOON, BAD));
    // Going on after it does not bring them back.
    world.send(1, 0, fine);
    world.write_until(1_000, |world| world.stored() == 2_997);
    assert_eq!(world.counters.get("refused_entries"), Some(4));
    assert_eq!(world.sink.progress().unwrap(), Progress::at(world.journal.head()));
}

#[test]
fn a_store_that_cannot_take_so_many_gets_fewer() {
    let mut world = World::new();
    world.sink.rows_max.store(300, Ordering::Relaxed);
    world.send(5_000, 0, fine);
    world.write_until(4_000, |world| world.stored() == 5_000);
    let retries = world.figures.writing(NOON, world.journal.head(), Seq(0)).retries;
    assert!(retries.get("timed_out") >= Some(&4), "{retries:?}");
}

/// An older data directory was put back beside a newer store.
#[test]
fn a_store_that_has_seen_more_than_the_journal_misses_nothing() {
    let mut world = World::new();
    world.sink.log.lock().unwrap().push((Progress::at(Seq(1_000)), vec![]));
    world.send(50, 0, fine);
    world.write_until(1_000, |world| world.stored() == 50);
    let (upto, live) = (Seq(1_000), Seq(1_000));
    assert_eq!(world.sink.progress().unwrap(), Progress { pending: vec![(Seq(50), upto)], live });
    // Also what comes after another start.
    world.send(1_000, 0, fine);
    world.write_until(1_000, |world| world.stored() == 1_050);
    assert_eq!(world.sink.progress().unwrap(), Progress::at(world.journal.head()));
}

/// The operator's switch, and the embedded store as it is.
#[test]
fn a_paused_store_is_told_and_caught_up_with() {
    let mut world = World::new();
    world.sink.inner.pause_writes(true);
    world.send(5_000, 60, fine);
    let config = Config { writer_linger_ms: 1, ..Config::default() };
    let (stop, aside) = (Stop::new(), Aside::in_dir(world.dir.path()));
    let deps = Deps {
        config: &config,
        journal: &world.journal,
        sink: &world.sink.inner,
        clock: &world.clock,
        counters: &world.counters,
        figures: &world.figures,
        aside: &aside,
        started: (world.journal.head(), Seq(0)),
    };
    let writing = || world.figures.writing(NOON, world.journal.head(), Seq(0));
    let wait_for = |what: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < STUCK, "it does not come: {:?}", writing());
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| run(&deps, &stop));
        wait_for(&|| writing().state == "failing");
        let now = writing();
        assert_eq!(now.trouble.map(|trouble| trouble.cause), Some("paused"));
        assert!(now.oldest_unstored_s >= 60.0, "{}", now.oldest_unstored_s);
        world.sink.inner.pause_writes(false);
        wait_for(&|| world.stored() == 5_000 && writing().state == "live");
        stop.request();
    });
    let now = writing();
    assert_eq!((now.done, now.live.entries, now.backlog.entries), (5_000, 0, 0));
    assert!(now.trouble.is_none() && now.commits.count() > 0);
}
