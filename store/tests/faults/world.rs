//! A journal, a writer that stores it batch by batch, and a server that fails in between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::{DeviceId, ElderId, Metric, Quality, Reading, Sample, Seq, Subject, Time};
use pgtest::{Options, Postgres, Proxy, STUCK, Session, until};
use tempfile::TempDir;
use vigil_store::readings::{Again, Batch, Config, Dsn, Error, Extension, Progress, Readings, Retention, Store};

/// 2023-11-14, microseconds since 1970.
const BASE: i64 = 1_700_000_000_000_000;
/// Entries a write stores at most.
const BATCH: u64 = 10;
const ELDERS: u32 = 5;
/// Between a failed write and the next try.
const PAUSE: Duration = Duration::from_millis(10);

/// Entry `seq` of the journal: new rows of each elder, some for yesterday, some told again.
fn entry(seq: u64) -> Vec<Reading> {
    let seq = seq as i64;
    let row = |elder: u32, second: i64| {
        let at = Time(BASE + second * 1_000_000);
        let value = 50.0 + (second * 31 + i64::from(elder)).rem_euclid(700) as f64 / 10.0;
        let sample = Sample::new(Metric::HeartRate, at, value, Quality::Ok);
        Reading { subject: Subject::Elder(ElderId(elder)), device: DeviceId(elder), sample }
    };
    let fresh = (1..=ELDERS).flat_map(|elder| (0..8).map(move |i| (elder, seq * 8 + i)));
    let late = (1..=ELDERS).map(|elder| (elder, seq * 8 - 86_400));
    let again = (1..=ELDERS).map(|elder| (elder, (seq * 8 - 20).max(8)));
    fresh.chain(late).chain(again).map(|(elder, second)| row(elder, second)).collect()
}

/// What the journal holds, as a store should.
fn expected(upto: u64) -> Vec<Reading> {
    let mut rows: BTreeMap<(u32, i64), Reading> = BTreeMap::new();
    for row in (1..=upto).flat_map(entry) {
        rows.entry((row.subject.to_u32(), row.sample.taken_at.0)).or_insert(row);
    }
    rows.into_values().collect()
}

#[derive(Debug, Default)]
struct Shared {
    /// Entries in the journal.
    head: AtomicU64,
    stop: AtomicBool,
    /// Ends its store after each error and opens it anew, as a process that is started again.
    restarts: AtomicBool,
    /// Entries known to be stored.
    done: AtomicU64,
    /// Rows that the writer's store believes to hold.
    count: AtomicU64,
    errors: Mutex<Vec<String>>,
}

/// A server, its proxy, and a writer behind the proxy.
pub(crate) struct World {
    pub(crate) server: Postgres,
    pub(crate) proxy: Proxy,
    config: Config,
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    _dir: TempDir,
}

impl World {
    /// `None`, after saying why, where there is no PostgreSQL. `prepare` comes before the first contact.
    pub(crate) fn start(options: &Options, prepare: impl FnOnce(&Postgres)) -> Option<Self> {
        let server = Postgres::with(options)?;
        prepare(&server);
        let proxy = Proxy::to(server.port());
        let dir = tempfile::tempdir().unwrap();
        let config = config(&server.dsn_through(proxy.port()));
        let shared = Arc::<Shared>::default();
        let writer = {
            let (shared, config, dir) = (Arc::clone(&shared), config.clone(), dir.path().to_owned());
            std::thread::spawn(move || write_on(&shared, || Readings::open(&dir, &config).unwrap()))
        };
        let world = Self { server, proxy, config, shared, writer: Some(writer), _dir: dir };
        world.append(50);
        world.drained();
        Some(world)
    }

    pub(crate) fn plain() -> Option<Self> {
        Self::start(&Options::default(), |_| {})
    }

    pub(crate) fn append(&self, entries: u64) {
        self.shared.head.fetch_add(entries, Ordering::AcqRel);
    }

    /// Waits until the writer has stored all there is.
    pub(crate) fn drained(&self) {
        let (head, start) = (self.shared.head.load(Ordering::Acquire), Instant::now());
        while self.done() < head {
            assert!(start.elapsed() < STUCK, "{} of {head} entries stored: {:?}", self.done(), self.errors());
            std::thread::sleep(PAUSE);
        }
    }

    /// How long the writer's store waits for a write: two statements, each with two seconds for the way there and back.
    pub(crate) fn write_limit(&self) -> Duration {
        2 * (Duration::from_millis(self.config.timescale.statement_timeout_ms) + Duration::from_secs(2))
    }

    /// Entries stored.
    pub(crate) fn done(&self) -> u64 {
        self.shared.done.load(Ordering::Acquire)
    }

    pub(crate) fn restarts(&self, restarts: bool) {
        self.shared.restarts.store(restarts, Ordering::Release);
    }

    /// The kinds of errors the writer was told since it was last asked.
    pub(crate) fn errors(&self) -> BTreeSet<String> {
        self.shared.errors.lock().unwrap().drain(..).collect()
    }

    /// Waits for an error of one of these kinds (`A|B`).
    pub(crate) fn failed(&self, kinds: &str) {
        let start = Instant::now();
        let is_one = |error: &String| kinds.split('|').any(|kind| error.starts_with(kind));
        while !self.shared.errors.lock().unwrap().iter().any(is_one) {
            assert!(start.elapsed() < STUCK, "no error of kind {kinds}: {:?}", self.errors());
            std::thread::sleep(PAUSE);
        }
    }

    /// Appends, and waits for the error that this brings.
    pub(crate) fn append_and_fail(&self, kinds: &str) {
        self.errors();
        self.append(30);
        self.failed(kinds);
    }

    /// A further session of the writer's role, past the proxy.
    pub(crate) fn session(&self) -> Session {
        Session::open(&self.server.dsn()).unwrap()
    }

    /// Settings of a further store in the same schema, past the proxy.
    pub(crate) fn direct(&self) -> Config {
        let mut config = self.config.clone();
        config.timescale.dsn = Some(Dsn::new(self.server.dsn()));
        config
    }

    /// Lets the writer finish, and compares what the server holds with the journal: counts, rows, progress.
    pub(crate) fn nothing_lost_nothing_twice(mut self) {
        self.append(50);
        self.drained();
        self.shared.stop.store(true, Ordering::Release);
        self.writer.take().unwrap().join().unwrap();
        let head = self.shared.head.load(Ordering::Acquire);
        let rows = expected(head);
        let counted = self.server.one("SELECT count(*) FROM vigil.reading");
        let distinct =
            self.server.one("SELECT count(*) FROM (SELECT DISTINCT subject, metric, ts FROM vigil.reading) r");
        assert_eq!((counted.clone(), counted), (rows.len().to_string(), distinct));
        assert_eq!(self.shared.count.load(Ordering::Acquire), rows.len() as u64, "rows in the writer's memory");
        let dir = tempfile::tempdir().unwrap();
        let store = Readings::open(dir.path(), &self.direct()).unwrap();
        until("the store does not open again", || store.progress().ok());
        assert_eq!(store.progress().unwrap(), Progress::at(Seq(head)));
        assert_eq!(store.count(), rows.len() as u64);
        let all = |elder| {
            let (from, to) = (Time(i64::MIN), Time(i64::MAX));
            store.raw(Subject::Elder(ElderId(elder)), Metric::HeartRate, from, to, 1_000_000).unwrap()
        };
        let found: Vec<Reading> = (1..=ELDERS).flat_map(all).collect();
        assert!(found == rows, "{} rows, {} expected", found.len(), rows.len());
        for elder in 1..=ELDERS {
            let of = Subject::Elder(ElderId(elder));
            let newest = rows.iter().rfind(|row| row.subject == of);
            assert_eq!(store.latest(of).first(), newest);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn config(dsn: &str) -> Config {
    let forever = Retention { raw_days: 0, minute_days: 0, hour_days: 0, waveform_days: 0, raw_days_of: [].into() };
    let mut config = Config { store: Store::Timescale, retention: forever, ..Config::default() };
    let timescale = &mut config.timescale;
    timescale.dsn = Some(Dsn::new(dsn));
    timescale.extension = Extension::Off;
    // As short as they may be, so that the tests are.
    timescale.connect_timeout_ms = 300;
    timescale.statement_timeout_ms = 1_000;
    timescale.lock_timeout_ms = 300;
    timescale.retry_max_ms = 200;
    config
}

/// The writer: what is stored is asked of the store, what is in the journal is stored in order, what fails is tried again.
fn write_on(shared: &Shared, open: impl Fn() -> Readings) {
    let mut store = Some(open());
    let mut most = BATCH;
    while !shared.stop.load(Ordering::Acquire) {
        let outcome = step(shared, store.as_ref().unwrap(), most);
        most = BATCH;
        let Err(error) = outcome else { continue };
        if error.again() == Again::Smaller {
            most = 1;
        }
        let name = format!("{error:?}");
        shared.errors.lock().unwrap().push(name);
        if shared.restarts.load(Ordering::Acquire) {
            // What the old one holds on the server must be free before the new one writes.
            drop(store.take());
            store = Some(open());
        }
        std::thread::sleep(PAUSE);
    }
}

fn step(shared: &Shared, store: &Readings, most: u64) -> Result<(), Error> {
    let known = store.progress()?.live.0;
    shared.done.fetch_max(known, Ordering::AcqRel);
    let head = shared.head.load(Ordering::Acquire);
    if known == head {
        std::thread::sleep(Duration::from_millis(1));
        return Ok(());
    }
    let upto = head.min(known + most);
    let rows: Vec<Reading> = (known + 1..=upto).flat_map(entry).collect();
    let sent = rows.len() as u64;
    let written = store.write_batch(&Batch { rows, ..Batch::default() }, Seq(upto))?;
    assert_eq!(written.stored + written.duplicate + written.conflict, sent, "every row is accounted for");
    assert_eq!(written.conflict, 0);
    shared.count.store(store.count(), Ordering::Release);
    shared.done.fetch_max(upto, Ordering::AcqRel);
    Ok(())
}
