//! Ingest: from a publish at the front door to a durable, attributed journal entry, and from there to the readings store.
//!
//! Order of things: decode, guard, look for duplicates, attribute to an elder, journal (fsync), answer the client. The
//! writer then moves readings from the journal to the readings store at its own pace.
//!
//! What is deliberately absent: rules, alarms, and any wait for a database on the way to the PUBACK of a known device.

mod care;
mod config;
mod custody;
mod desk;
mod frame;
mod intake;
pub mod ledger;
mod moves;
mod notes;
mod quarantine;
mod quiet;
mod retained;
mod stats;
mod view;
pub mod writer;

use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use journal::Journal;
use model::entry::Entry;
use model::{Lane, Seq};
use mqtt::door::{DoorHandle, Gatekeeper, Identity, Login, LoginError};
use runtime::{Clock, Stop, Tasks};
use store::readings::{Readings, Stats, Store};
use store::records::{NewMove, Records};

pub use config::Config;
pub use custody::Missing;
pub use stats::Counters;
pub use writer::Writing;

use desk::Refusal;
use intake::Job;
use ledger::{FrameKey, Ledger};
use view::View;

/// Name of the ledger's cursor in the journal.
const LEDGER_CURSOR: &str = "ledger";
/// Seconds between two looks whether there is something to push to gateways.
const CARE_EVERY_S: u64 = 2;
/// Seconds between two looks at missing frames.
const CUSTODY_EVERY_S: u64 = 1;
/// The ledger's saved form in the data directory. A cache: may be deleted.
const LEDGER_FILE: &str = "ledger.ckpt";
/// Bytes read at once while the ledger catches up at start.
const CATCH_UP_BYTES: usize = 1 << 20;

/// Why ingest cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Records(#[from] store::records::Error),
    #[error(
        "readings.db has seen journal entry {readings}, the journal ends at {journal}: restore all files of the data directory from one backup"
    )]
    Ahead { readings: Seq, journal: Seq },
    #[error("cannot start the thread {name}: {source}")]
    Thread { name: &'static str, source: std::io::Error },
}

/// What every part of ingest shares.
struct Shared {
    config: Config,
    journal: Journal,
    records: Records,
    clock: Clock,
    ledger: Ledger,
    ledger_file: PathBuf,
    view: ArcSwap<View>,
    retained: retained::Map,
    counters: Counters,
    door: ArcSwapOption<DoorHandle>,
    quiet: quiet::Quiet,
    care: care::Care,
    /// Decisions about measurements, one after the other.
    moves: Mutex<()>,
    custody: custody::Custody,
    writing: writer::Figures,
    aside: writer::Aside,
}

/// The front door's other side. Cheap to clone.
#[derive(Clone)]
pub struct Ingest {
    shared: Arc<Shared>,
    desk: SyncSender<Job>,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest").field("counters", &self.shared.counters).finish_non_exhaustive()
    }
}

impl Gatekeeper for Ingest {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        self.shared.view.load().login(login)
    }
}

impl Ingest {
    /// Brings ledger, registry and retained states up to date and starts the threads `ingest.desk`, `ingest.writer` and
    /// `ingest.upkeep` and the task `ingest.ticker`.
    pub fn start(
        config: Config,
        data_dir: &std::path::Path,
        journal: &Journal,
        records: &Records,
        readings: &Readings,
        clock: Clock,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let (seen, head) = (readings.cursor(), journal.head());
        // A server that has seen more is dealt with by the writer, once it answers: paging does not wait for it.
        if readings.store() == Store::Embedded && seen > head {
            return Err(Error::Ahead { readings: seen, journal: head });
        }
        let journalled = journal.register_cursor(writer::CURSOR)?;
        journal.register_cursor(LEDGER_CURSOR)?;
        let ledger_file = data_dir.join(LEDGER_FILE);
        let ledger = caught_up(&ledger_file, journal)?;
        let retained = records.retained_all()?.into_iter().map(|one| (one.topic, Bytes::from(one.payload))).collect();
        let custody = custody::Custody::load(records, clock.now())?;
        let aside = writer::Aside::in_dir(data_dir);
        let (desk, jobs) = std::sync::mpsc::sync_channel(config.desk_queue_max);
        let shared = Arc::new(Shared {
            config,
            journal: journal.clone(),
            records: records.clone(),
            clock,
            ledger,
            ledger_file,
            view: ArcSwap::default(),
            retained: Mutex::new(retained),
            counters: Counters::default(),
            door: ArcSwapOption::empty(),
            quiet: quiet::Quiet::default(),
            care: care::Care::default(),
            moves: Mutex::new(()),
            custody,
            writing: writer::Figures::new(aside.count()),
            aside,
        });
        shared.view.store(Arc::new(View::new(records.registry()?)));
        // Before anything new is decided or told.
        shared.catch_up_moves();
        let ingest = Self { shared: Arc::clone(&shared), desk: desk.clone() };
        let at_desk = Arc::clone(&shared);
        thread(tasks, "ingest.desk", move |_| desk::desk(&at_desk, &jobs))?;
        let (at_writer, to_store) = (Arc::clone(&shared), readings.clone());
        thread(tasks, "ingest.writer", move |stop| at_writer.write(&to_store, (head, journalled), &stop))?;
        let (at_upkeep, readings) = (Arc::clone(&shared), readings.clone());
        thread(tasks, "ingest.upkeep", move |stop| {
            writer::upkeep(&readings, &at_upkeep.clock, &at_upkeep.writing, &stop);
        })?;
        tasks.spawn("ingest.ticker", move |stop| ticker(shared, desk, stop));
        Ok(ingest)
    }

    /// Lets refused frames be reported to gateways. Called once, when the door is bound.
    pub fn attach(&self, door: DoorHandle) {
        self.shared.door.store(Some(Arc::new(door)));
    }

    /// Lets the door go when the server has stopped: door and ingest hold each other, and with them the open databases.
    pub fn detach(&self) {
        self.shared.door.store(None);
    }

    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Reads the registry again. Blocking; call it after changing gateways, devices or bindings.
    pub fn refresh(&self) -> Result<(), String> {
        self.shared.refresh().map_err(|(Refusal::TooMany(text) | Refusal::Later(text))| text)
    }

    /// Tries a quarantined frame again. Blocking. The error says why it still cannot be stored.
    pub fn replay_quarantined(&self, id: i64) -> Result<(), String> {
        self.shared.replay(id)
    }

    /// Carries out what a person decided about measurements of shared devices. Blocking.
    pub fn decide(&self, decision: &NewMove) -> Result<usize, store::records::Error> {
        self.shared.decide(decision)
    }

    /// What is missing now of all gateways.
    pub fn missing(&self) -> Missing {
        self.shared.custody.missing()
    }

    /// Asks a gateway again for a gap. Blocking.
    pub fn ask_again(&self, gap: i64) -> store::records::Result<()> {
        self.shared.ask_again(gap)
    }

    /// How the writer is doing.
    pub fn writing(&self) -> Writing {
        let stats = self.shared.journal.stats();
        let cursor = stats.cursors.iter().find(|(name, _)| name == writer::CURSOR).map(|(_, seq)| *seq);
        self.shared.writing.writing(self.shared.clock.now(), stats.head, cursor.unwrap_or_default())
    }

    /// Sizes of a store that is a server, as it told them within the last minute or so.
    pub fn sizes(&self) -> Option<Stats> {
        self.shared.writing.sizes()
    }

    /// Frames missing between the first and the newest of a gateway's lane.
    pub fn holes(&self, gateway: model::GatewayId, lane: Lane) -> u64 {
        self.shared.ledger.track(gateway, lane).map_or(0, |track| track.holes())
    }
}

impl Shared {
    /// The writer's thread. `started`: the journal's end when the process started, and the writer's cursor in it.
    fn write(&self, readings: &Readings, started: (Seq, Seq), stop: &Stop) {
        let deps = writer::Deps {
            config: &self.config,
            journal: &self.journal,
            sink: readings,
            clock: &self.clock,
            counters: &self.counters,
            figures: &self.writing,
            aside: &self.aside,
            started,
        };
        writer::run(&deps, stop);
    }
}

/// The ledger as saved, plus what the journal holds beyond.
fn caught_up(file: &std::path::Path, journal: &Journal) -> Result<Ledger, Error> {
    let (ledger, saved) = Ledger::load(file);
    let oldest = Seq(journal.first().0.saturating_sub(1));
    let mut reader = journal.reader(saved.clamp(oldest, journal.head().max(oldest)));
    loop {
        let batch = match reader.read(CATCH_UP_BYTES, Duration::ZERO) {
            Ok(batch) => batch,
            // Whoever reads these entries for their content says so too; here they only miss in the filter.
            Err(journal::Error::Corrupt { last, .. }) => {
                reader.seek(last);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if batch.is_empty() {
            return Ok(ledger);
        }
        for (_, bytes) in batch.iter() {
            // Frames without numbers (dialects) have epoch 0 and are not in the ledger.
            if let Ok(Entry::Frame(frame)) = Entry::decode(bytes)
                && frame.epoch != 0
            {
                let (gateway, lane, epoch, seq) = (frame.gateway, frame.lane, frame.epoch, frame.seq);
                ledger.mark([FrameKey { gateway, lane, epoch, seq }]);
            }
        }
    }
}

/// Puts the clock into the journal, saves the ledger, looks for changes of the registry; ends the desk at stop.
async fn ticker(shared: Arc<Shared>, desk: SyncSender<Job>, stop: Stop) {
    let mut tick = every(shared.config.tick_s);
    let mut save = every(shared.config.ledger_save_s);
    let mut refresh = every(shared.config.registry_refresh_s);
    let mut care = every(CARE_EVERY_S);
    let mut audit = every(CUSTODY_EVERY_S);
    // A position is saved one round after it was seen: by then every completion up to it has marked the ledger.
    let mut seen = Seq(shared.journal.first().0.saturating_sub(1));
    loop {
        tokio::select! {
            () = stop.requested() => break,
            _ = tick.tick() => shared.tick(),
            _ = save.tick() => {
                let upto = std::mem::replace(&mut seen, shared.journal.head());
                blocking(&shared, move |shared| save_ledger(shared, upto)).await;
            }
            _ = care.tick() => blocking(&shared, |shared| {
                if let Err(error) = shared.care_round() {
                    tracing::warn!(%error, "the rules of gateways cannot be read; tried again");
                }
            }).await,
            _ = audit.tick() => blocking(&shared, |shared| {
                if let Err(error) = shared.audit_custody() {
                    tracing::warn!(%error, "missing frames could not be followed; tried again");
                }
            }).await,
            _ = refresh.tick() => blocking(&shared, |shared| {
                if let Err(Refusal::TooMany(error) | Refusal::Later(error)) = shared.refresh() {
                    tracing::warn!(error, "the registry cannot be read; the last picture stays");
                }
                shared.catch_up_moves();
            }).await,
        }
    }
    blocking(&shared, move |_| {
        // The desk answers what it has before it ends.
        let _gone = desk.send(Job::Stop);
    })
    .await;
}

fn save_ledger(shared: &Shared, upto: Seq) {
    match shared.ledger.save(&shared.ledger_file, upto) {
        Ok(()) => shared.journal.commit_cursor(LEDGER_CURSOR, upto),
        Err(error) => tracing::warn!(%error, "the ledger was not saved; the journal keeps what it needs"),
    }
}

async fn blocking(shared: &Arc<Shared>, work: impl FnOnce(&Shared) + Send + 'static) {
    let shared = Arc::clone(shared);
    if tokio::task::spawn_blocking(move || work(&shared)).await.is_err() {
        tracing::error!("housekeeping of ingest failed");
    }
}

fn every(seconds: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_secs(seconds.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}

fn thread(tasks: &Tasks, name: &'static str, work: impl FnOnce(Stop) + Send + 'static) -> Result<(), Error> {
    tasks.spawn_thread(name, work).map_err(|source| Error::Thread { name, source })
}
