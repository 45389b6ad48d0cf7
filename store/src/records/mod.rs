//! The records store: registry, people, rules, alarms, pages and their history, in one SQLite file `records.db`.
//!
//! One write connection behind a lock, a few read connections; every commit is durable (WAL, synchronous = FULL). All
//! calls block: from async code use `spawn_blocking`. What changed is announced after the commit, never before:
//! [`Records::watch_alarm_events`] and [`Records::pages_notify`].
//!
//! What is deliberately absent: readings, rule evaluation, sending pages, masking (the console masks what it shows).

mod actions;
mod alarms;
mod answers;
mod apply;
mod arrival;
mod assignments;
mod audit;
mod board;
mod called;
mod chain;
mod channels;
mod clocks;
mod cohort;
mod contacts;
mod custody;
mod due;
mod elders;
mod episodes;
mod error;
mod handover;
mod incident_view;
mod incidents;
mod inforce;
mod keys;
mod layers;
mod life;
mod links;
mod measurements;
mod migrate;
mod numbers;
mod overrides;
mod pages;
mod park;
mod past;
mod people;
mod policies;
mod progress;
mod push;
mod quarantine;
mod quiet;
mod receipts;
mod registry;
mod reopen;
mod responders;
mod retained;
mod risk;
mod rota;
mod rules;
mod sessions;
mod steps;
mod storm;
mod view;
mod world;
mod worse;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Time;
use runtime::Clock;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{Notify, watch};

pub use actions::NOTE_CHARS_MAX;
pub use alarms::{AlarmCounts, AlarmFilter, Class};
pub use apply::Applied;
pub use arrival::{Dispatch, SENT_CHARS_MAX};
pub use assignments::{ASSIGNMENTS_MAX, Assignment, AssignmentCounts, AssignmentFilter, NewAssignment};
pub use audit::AuditRow;
pub use board::{BOARD_DAYS_MAX, Board, problem_words};
pub use channels::{ChannelHealth, ChannelResult, FAILURES_MAX, Quota, SendLimit};
pub use clocks::DeviceClock;
pub use cohort::{Cohort, Member, Unit};
pub use contacts::{ADDRESS_CHARS_MAX, Contact};
pub use custody::{CUSTODY_ROWS_MAX, Gap, GapState, Loss, LossCounts};
pub use due::{Deadline, HandlingDue};
pub use elders::{Elder, NewElder};
pub use error::{ActionError, Error, LoginError, Result};
pub use incident_view::{Incident, IncidentDetail, Unwatched};
pub use incidents::IncidentKind;
pub use inforce::{ForElders, RulesDue, Told};
pub use keys::{ElderKey, KEYS_PER_ELDER_MAX};
pub use layers::{LAYERS_MAX, StoredLayer, VersionSaved};
pub use measurements::{MOVES_MAX, Measurement, MoveView, NewMeasurement, NewMove, REASON_CHARS_MAX, WaitingMove};
pub use numbers::{AlarmTimes, NUMBERS_ALARMS_MAX, SeatHour};
pub use overrides::{LeaveRow, NewOverride, OverrideRow};
pub use pages::{NewPage, PageJob, SendResult};
pub use park::{PARK_P2_US_MAX, PARK_P3_US_MAX, PARK_T_US_MAX};
pub use past::{Missing, Outage, RULES_THEN_MAX, RulesHistory, RulesThen, TeamRules, Worn};
pub use people::{Helper, NewPerson, Person, Team};
pub use policies::{POLICIES_MAX, StoredPolicy};
pub use progress::{Parked, Progress, Sent};
pub use push::{CareMark, PushState, PushWanted};
pub use quarantine::{QUARANTINE_ROWS_MAX, QuarantinedFrame};
pub use quiet::{NewQuiet, QUIETS_MAX, QuietFilter, QuietView};
pub use receipts::{Replied, Reply, ReplyAt};
pub use registry::{Binding, DEVICES_PER_GATEWAY_MAX, Device, Dialect, Gateway, RegistrySnapshot};
pub use reopen::VoidReason;
pub use responders::Responder;
pub use retained::{RETAINED_PER_GATEWAY_MAX, Retained};
pub use risk::{Risk, is_high_risk};
pub use rota::{RotaError, RotaVersion, Saved, UNITS_MAX};
pub use rules::{ElderRules, StoredRules};
pub use sessions::{SESSION_IDLE_US, SessionToken};
pub use steps::{AuditFinding, StepDue, StepWork};
pub use storm::Storm;
pub use view::{Accepted, AlarmDetail, AlarmEventView, AlarmView, AttemptView, Named, PageView};

/// File name inside the data directory.
pub const FILE: &str = "records.db";
/// Read connections kept open.
const READERS: usize = 4;
/// How long a statement waits for another process (a backup, the command line) that holds the write lock.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Prepared statements kept per connection.
const STATEMENTS: usize = 128;
/// Rows one list answers at most, whatever the caller asks for.
pub const ROWS_MAX: usize = 10_000;
/// Pages of the database copied per step of a backup, so that writers get their turn.
const BACKUP_STEP_PAGES: std::os::raw::c_int = 256;

/// How long people may take.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// A claimed P1 returns to the queue after this long without activity, in µs.
    pub lease_p1_us: i64,
    /// The same for a P2.
    pub lease_p2_us: i64,
    /// A paged P1 that nobody has claimed or accepted is paged again after this long, in µs.
    pub repeat_p1_us: i64,
    /// The same for a P2.
    pub repeat_p2_us: i64,
    /// A page of a P1 that the provider has, but of which no receipt came after this long, goes on by the next channel, in µs.
    pub receipt_p1_us: i64,
    pub handling: HandlingTimers,
}

/// How long each state of axis B may last, and when alarms are one incident. Times in µs.
#[derive(Clone, Copy, Debug)]
pub struct HandlingTimers {
    /// The receiver of a hand-over accepts within this time, or the giver has it again.
    pub offer_us: i64,
    /// From "a responder was sent" or "a doctor accepted" to the arrival.
    pub arrival_us: i64,
    /// An arrival that is overdue is told again this often.
    pub arrival_again_us: i64,
    /// From the arrival to the outcome, again and again.
    pub outcome_us: i64,
    /// A P1 or P2 resolved while its condition stood is open again after this long, if it still does.
    pub reopen_urgent_us: i64,
    /// The same for P3 and T.
    pub reopen_other_us: i64,
    /// The same condition again within this time after an alarm ended is the same alarm, reopened.
    pub same_again_us: i64,
    /// A high-risk elder whose technical alarm lasts this long makes it a P2.
    pub unwatched_us: i64,
    /// A gateway whose link is lost this long is an incident.
    pub gateway_lost_us: i64,
    /// So many standing silence alarms of one gateway or site ..
    pub incident_alarms: u32,
    /// .. that began within this time of each other are one incident.
    pub incident_window_us: i64,
}

impl Default for HandlingTimers {
    fn default() -> Self {
        const MINUTE_US: i64 = 60_000_000;
        Self {
            offer_us: MINUTE_US,
            arrival_us: 45 * MINUTE_US,
            arrival_again_us: 15 * MINUTE_US,
            outcome_us: 60 * MINUTE_US,
            reopen_urgent_us: 60 * MINUTE_US,
            reopen_other_us: 24 * 60 * MINUTE_US,
            same_again_us: 30 * MINUTE_US,
            unwatched_us: 60 * MINUTE_US,
            gateway_lost_us: 15 * MINUTE_US,
            incident_alarms: 5,
            incident_window_us: 30 * MINUTE_US,
        }
    }
}

impl Default for Timers {
    fn default() -> Self {
        const MINUTE_US: i64 = 60_000_000;
        Self {
            lease_p1_us: 3 * MINUTE_US,
            lease_p2_us: 15 * MINUTE_US,
            repeat_p1_us: 2 * MINUTE_US,
            repeat_p2_us: 15 * MINUTE_US,
            receipt_p1_us: 20_000_000,
            handling: HandlingTimers::default(),
        }
    }
}

/// Handle to the records store. Cheap to clone.
#[derive(Clone)]
pub struct Records(Arc<Inner>);

struct Inner {
    path: PathBuf,
    clock: Clock,
    timers: Timers,
    opened_at: Time,
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    alarm_events: watch::Sender<i64>,
    pages: Arc<Notify>,
    storm: watch::Sender<Option<Storm>>,
    /// Frames that the full quarantine gave up.
    quarantine_dropped: AtomicU64,
    life: life::Life,
    /// Hash checked when the login is unknown, so that the answer takes as long as for a known one.
    decoy_password: String,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Records {
    /// Opens or creates `records.db` in `dir` and migrates it. `dir` must exist.
    pub fn open(dir: &Path, clock: Clock) -> Result<Self> {
        Self::open_with(dir, clock, Timers::default())
    }

    /// As [`Records::open`], with other leases and page intervals.
    pub fn open_with(dir: &Path, clock: Clock, timers: Timers) -> Result<Self> {
        let path = dir.join(FILE);
        let found = std::fs::metadata(dir).map_err(|source| Error::Io { path: dir.to_owned(), source })?;
        if !found.is_dir() {
            let source = std::io::Error::from(std::io::ErrorKind::NotADirectory);
            return Err(Error::Io { path: dir.to_owned(), source });
        }
        let explain = |error| explain(error, &path);
        let mut writer = connect(&path).map_err(explain)?;
        migrate::run(&mut writer, migrate::MIGRATIONS, clock.now()).map_err(explain)?;
        // After the check of the version: a newer database is not touched at all.
        writer.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).map_err(|e| explain(e.into()))?;
        let last_event: i64 = counter_value(&writer, "alarm_event").map_err(explain)?;
        let storm = storm::standing(&writer).map_err(explain)?;
        let readers = (0..READERS).map(|_| connect(&path).map(Mutex::new)).collect::<Result<_>>().map_err(explain)?;
        let records = Self(Arc::new(Inner {
            opened_at: clock.now(),
            clock,
            timers,
            writer: Mutex::new(writer),
            readers,
            next_reader: AtomicUsize::new(0),
            alarm_events: watch::Sender::new(last_event),
            pages: Arc::new(Notify::new()),
            storm: watch::Sender::new(storm),
            quarantine_dropped: AtomicU64::new(0),
            life: life::Life::default(),
            decoy_password: people::hash_password("decoy: nobody's password")?,
            path,
        }));
        if records.read(rules::has_older)? {
            records.write(rules::adopt_older)?;
        }
        Ok(records)
    }

    /// Follows the number of the newest committed alarm event.
    pub fn watch_alarm_events(&self) -> watch::Receiver<i64> {
        self.0.alarm_events.subscribe()
    }

    /// Notified after every commit that queued or changed a page.
    pub fn pages_notify(&self) -> Arc<Notify> {
        Arc::clone(&self.0.pages)
    }

    /// Copies the live database into a new file while it goes on being used.
    pub fn backup_to(&self, path: &Path) -> Result<()> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        // A file that is there already may be another backup: never overwritten.
        drop(std::fs::File::create_new(path).map_err(io)?);
        let mut target = Connection::open(path)?;
        // A connection of its own: the copy is one snapshot and holds up neither the readers nor the writer.
        let source = connect(&self.0.path)?;
        rusqlite::backup::Backup::new(&source, &mut target)?.run_to_completion(
            BACKUP_STEP_PAGES,
            Duration::ZERO,
            None,
        )?;
        target.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
        drop(target);
        std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(io)
    }

    /// What is wrong with the file, at most 100 lines; empty when nothing is.
    pub fn integrity_check(&self) -> Result<Vec<String>> {
        self.read(|conn| {
            let mut found: Vec<String> = Vec::new();
            let mut check = conn.prepare("PRAGMA integrity_check(50)")?;
            for line in check.query_map([], |row| row.get::<_, String>(0))? {
                let line = line?;
                if line != "ok" {
                    found.push(line);
                }
            }
            let mut check = conn.prepare("PRAGMA foreign_key_check")?;
            let mut tables = HashSet::new();
            for table in check.query_map([], |row| row.get::<_, String>(0))? {
                let table = table?;
                if tables.insert(table.clone()) {
                    found.push(format!("a row of {table} refers to nothing"));
                }
            }
            Ok(found)
        })
    }

    fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Runs `work` on a read connection.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let readers = &self.0.readers;
        let first = self.0.next_reader.fetch_add(1, Ordering::Relaxed);
        for i in 0..readers.len() {
            if let Ok(conn) = readers[(first + i) % readers.len()].try_lock() {
                return work(&conn);
            }
        }
        work(&lock(&readers[first % readers.len()]))
    }

    /// Runs `work` in one transaction: all of it is durable when this returns `Ok`, none of it otherwise.
    fn write<T, E: From<rusqlite::Error>>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let mut conn = lock(&self.0.writer);
        let ends = self.0.life.before_commit()?;
        let sql = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut tx = Tx { sql, now: self.0.clock.now(), timers: self.0.timers, last_event: None, pages: false };
        let answer = work(&mut tx)?;
        let Tx { sql, last_event, pages, .. } = tx;
        sql.commit()?;
        if ends {
            return Err(life::broken().into());
        }
        // Still under the lock: events are announced in their order.
        if let Some(last) = last_event {
            self.0.alarm_events.send_replace(last);
        }
        if pages {
            self.0.pages.notify_waiters();
            self.0.pages.notify_one();
        }
        Ok(answer)
    }
}

/// A write transaction, and what to announce when it is committed.
struct Tx<'a> {
    sql: Transaction<'a>,
    now: Time,
    timers: Timers,
    last_event: Option<i64>,
    pages: bool,
}

impl Tx<'_> {
    /// The next number of a table. Numbers are never used twice.
    fn next_id(&self, table: &str) -> rusqlite::Result<i64> {
        self.sql
            .prepare_cached(
                "INSERT INTO counter (name, last) VALUES (?1, 1) ON CONFLICT (name) DO UPDATE SET last = counter.last + 1 \
                 RETURNING last",
            )?
            .query_row([table], |row| row.get(0))
    }
}

impl std::ops::Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        &self.sql
    }
}

fn counter_value(conn: &Connection, table: &str) -> Result<i64> {
    use rusqlite::OptionalExtension;
    let last = conn.query_row("SELECT last FROM counter WHERE name = ?1", [table], |row| row.get(0)).optional()?;
    Ok(last.unwrap_or(0))
}

fn connect(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_WAIT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    conn.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    Ok(conn)
}

/// Turns SQLite's code for a refused open into the sentence an operator needs.
fn explain(error: Error, path: &Path) -> Error {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase, PermissionDenied, ReadOnly,
    };
    let Error::Database(cause) = &error else { return error };
    match cause.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => Error::Locked(path.to_owned()),
        Some(ReadOnly | CannotOpen | PermissionDenied) => Error::ReadOnly(path.to_owned()),
        Some(NotADatabase | DatabaseCorrupt) => Error::Damaged(path.to_owned()),
        _ => error,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held rolled its transaction back: the connection is still good.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A fresh secret of 32 random bytes as hex, and the SHA-256 of that text, which is all that is stored.
fn new_token() -> Result<(String, String)> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| Error::Invalid("the system gives no random bytes".into()))?;
    let token = hex(&bytes);
    let sha256 = token_sha256(&token);
    Ok((token, sha256))
}

/// The form in which tokens of gateways and sessions are stored and looked up.
pub fn token_sha256(token: &str) -> String {
    use sha2::Digest;
    hex(&sha2::Sha256::digest(token.as_bytes()))
}

/// Reads every row with `read`.
fn rows<T>(mut rows: rusqlite::Rows<'_>, mut read: impl FnMut(&rusqlite::Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

/// `limit` as SQL wants it, never beyond [`ROWS_MAX`].
fn limit_of(limit: usize) -> i64 {
    limit.min(ROWS_MAX) as i64
}
