//! The one thread that writes: a group, its fsync, then the answers; cursors, trimming and copying only after those.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use model::Seq;
use rusqlite::{Connection, ErrorCode, Statement};

use crate::cursors::Moved;
use crate::queue::{Control, Group, Waiter};
use crate::tail::Block;
use crate::{AppendError, Error, Shared};

/// Committed cursors are on disk at most this much later, and free space is looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// Cursors that have waited so long go along with the next group: one fsync for both. A gateway that writes once a second
/// syncs once a second.
const ALONG: Duration = Duration::from_millis(500);
/// How long cursors and trimming wait instead when space is getting short.
const CROWDED: Duration = Duration::from_millis(5);
/// Trimming starts at most this often.
const TRIM_EVERY: Duration = Duration::from_millis(250);
/// One trimming transaction removes at most this many groups ...
const TRIM_GROUPS_MAX: i64 = 256;
/// ... and stops after this many bytes, so that no append waits long behind it.
const TRIM_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What a small change adds to the write-ahead log, roughly, in bytes.
const PAGE_BYTES: u64 = 4096;

/// What the writer has done since it was started.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) entries: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) commit_us: AtomicU64,
    pub(crate) trimmed_groups: AtomicU64,
}

struct Sql<'c> {
    insert: Statement<'c>,
    cursor: Statement<'c>,
    forget_beyond: Statement<'c>,
    beyond: Statement<'c>,
    oldest: Statement<'c>,
    delete: Statement<'c>,
}

struct Writer<'c> {
    shared: &'c Shared,
    conn: &'c Connection,
    sql: Sql<'c>,
    acks_early: bool,
    checkpoint_bytes: u64,
    head: Seq,
    total: u64,
    wal_bytes: u64,
    trimming: bool,
    trimmed_at: Instant,
    /// All that could go up to here is gone.
    trimmed_upto: Seq,
    ticked_at: Instant,
    disk_low: bool,
}

/// A write that failed. The journal does not go on after it.
type Failure = rusqlite::Error;

impl<'c> Writer<'c> {
    fn new(shared: &'c Shared, conn: &'c Connection, head: Seq, total: u64) -> rusqlite::Result<Self> {
        let sql = Sql {
            insert: conn.prepare("INSERT INTO log (first, count, total, blob) VALUES (?, ?, ?, ?)")?,
            cursor: conn.prepare("INSERT OR REPLACE INTO cursor (name, seq) VALUES (?, ?)")?,
            forget_beyond: conn.prepare("DELETE FROM beyond WHERE cursor = ?")?,
            beyond: conn.prepare("INSERT INTO beyond (cursor, first, last) VALUES (?, ?, ?)")?,
            oldest: conn.prepare(
                "SELECT first, first + count, length(blob) FROM log
                 WHERE first + count - 1 <= ?1 AND first < (SELECT max(first) FROM log) ORDER BY first LIMIT ?2",
            )?,
            delete: conn.prepare("DELETE FROM log WHERE first <= ?")?,
        };
        let (acks_early, checkpoint_bytes) = (shared.options.acks_early(), shared.options.checkpoint_bytes);
        let now = Instant::now();
        Ok(Self {
            shared,
            conn,
            sql,
            acks_early,
            checkpoint_bytes,
            head,
            total,
            wal_bytes: 0,
            trimming: true,
            trimmed_at: now,
            trimmed_upto: Seq(0),
            ticked_at: now,
            disk_low: false,
        })
    }

    /// Runs until the journal is closed and everything accepted is on disk, or until the first failure.
    fn run(mut self) -> Result<(), Failure> {
        self.look_at_disk();
        loop {
            let job = self.shared.queue.next(self.idle_wait());
            if job.finished {
                break;
            }
            if let Some(group) = job.group {
                self.write_group(group)?;
            }
            for control in job.controls {
                self.control(control)?;
            }
            if unless_full(self.housekeeping())? {
                self.disk_is_full();
                // Else the same step would be tried without a pause.
                self.trimming = false;
                self.trimmed_at = Instant::now();
            }
        }
        if let Err(failure) = self.flush_cursors().and_then(|()| self.checkpoint("TRUNCATE")) {
            tracing::warn!(error = %failure, "the journal was closed without tidying up; nothing is lost");
        }
        Ok(())
    }

    /// How long to sleep when there is nothing to write. `None`: until woken.
    fn idle_wait(&self) -> Option<Duration> {
        if self.trimming {
            return Some(Duration::ZERO);
        }
        let crowded = self.crowded();
        let trim = self.trim_wanted().then(|| trim_every(crowded).saturating_sub(self.trimmed_at.elapsed()));
        let flush = self.shared.cursors.dirty_since().map(|since| flush_after(crowded).saturating_sub(since.elapsed()));
        let disk = self.disk_low.then(|| TICK.saturating_sub(self.ticked_at.elapsed()));
        // Never zero: zero is for work that must not wait.
        [trim, flush, disk].into_iter().flatten().min().map(|wait| wait.max(Duration::from_millis(1)))
    }

    /// Everything that is not on the way to an answer.
    fn housekeeping(&mut self) -> Result<(), Failure> {
        let crowded = self.crowded();
        if self.shared.cursors.dirty_since().is_some_and(|since| since.elapsed() >= flush_after(crowded)) {
            self.flush_cursors()?;
        }
        if self.ticked_at.elapsed() >= TICK {
            self.look_at_disk();
        }
        if self.trimming || self.trim_wanted() && self.trimmed_at.elapsed() >= trim_every(crowded) {
            self.trimming = true;
            self.trim()?;
        }
        if self.wal_bytes >= self.checkpoint_bytes {
            self.checkpoint("PASSIVE")?;
        }
        Ok(())
    }

    fn write_group(&mut self, mut group: Group) -> Result<(), Failure> {
        let mut waiters = std::mem::take(&mut group.waiters);
        let first = Seq(self.head.0 + 1);
        if self.acks_early {
            complete(std::mem::take(&mut waiters), first);
        }
        if group.count > 0 {
            let bytes = group.blob.len();
            let started = Instant::now();
            let params = (first.0 as i64, i64::from(group.count), (self.total + bytes as u64) as i64, &group.blob[..]);
            if let Err(failure) = self.insert(params) {
                return self.refuse_group(failure, bytes, waiters);
            }
            self.stored(group, first, started.elapsed());
            self.shared.queue.settled(bytes, true);
        }
        complete(waiters, first);
        self.shared.tail.tell();
        Ok(())
    }

    /// Writes a group's row, and the cursors with it when they have waited.
    fn insert(&mut self, row: (i64, i64, i64, &[u8])) -> Result<(), Failure> {
        if self.shared.cursors.dirty_since().is_none_or(|since| since.elapsed() < ALONG) {
            return self.sql.insert.execute(row).map(drop);
        }
        let moved = self.shared.cursors.take_dirty();
        let outcome = self.in_one(|writer| {
            writer.sql.insert.execute(row)?;
            writer.write_cursors(&moved)
        });
        self.shared.cursors.written(&moved, outcome.is_ok());
        outcome
    }

    /// Runs statements as one transaction.
    fn in_one(&mut self, work: impl FnOnce(&mut Self) -> Result<(), Failure>) -> Result<(), Failure> {
        let transaction = self.conn.unchecked_transaction()?;
        work(self)?;
        transaction.commit()
    }

    fn stored(&mut self, group: Group, first: Seq, took: Duration) {
        let bytes = group.blob.len() as u64;
        self.total += bytes;
        self.wal_bytes += bytes + PAGE_BYTES;
        self.head = Seq(self.head.0 + u64::from(group.count));
        let counters = &self.shared.counters;
        counters.entries.fetch_add(u64::from(group.count), Ordering::Relaxed);
        counters.groups.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(bytes, Ordering::Relaxed);
        counters.commit_us.fetch_add(took.as_micros() as u64, Ordering::Relaxed);
        self.shared.tail.push(Block { first, count: group.count, last: self.head, blob: group.blob });
    }

    /// A disk without space is the one trouble that passes: SQLite has undone the transaction, nothing was synced, and the
    /// next group overwrites what was half written. Anything else ends the journal.
    fn refuse_group(&mut self, failure: Failure, bytes: usize, waiters: Vec<Waiter>) -> Result<(), Failure> {
        let full = failure.sqlite_error_code() == Some(ErrorCode::DiskFull);
        let refusal = if full { AppendError::Full } else { AppendError::Disk(failure.to_string().into()) };
        self.shared.queue.settled(bytes, false);
        // Before the answers, so that whoever gets one already finds the journal refusing.
        if full {
            self.disk_is_full();
        } else {
            self.shared.queue.mark_failed(&failure.to_string().into());
        }
        for waiter in waiters {
            answer(waiter, Err(refusal.clone()));
        }
        if full { Ok(()) } else { Err(failure) }
    }

    fn control(&mut self, control: Control) -> Result<(), Failure> {
        let outcome = match &control {
            Control::Register { name, .. } => self.register(name),
            Control::Remove { name, .. } => self.remove(name),
            Control::Flush { .. } => self.flush_cursors().map(|()| self.head),
        };
        match outcome {
            Ok(seq) => control.answer(Ok(seq)),
            Err(failure) if failure.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                control.answer(Err(Error::DiskFull));
                self.disk_is_full();
            }
            Err(failure) => {
                control.answer(Err(Error::Disk(failure.to_string().into())));
                return Err(failure);
            }
        }
        Ok(())
    }

    /// A new cursor starts before the oldest entry kept.
    fn register(&mut self, name: &str) -> Result<Seq, Failure> {
        if let Some(seq) = self.shared.cursors.get(name) {
            return Ok(seq);
        }
        let start = Seq(self.shared.tail.ends().first.0 - 1);
        self.sql.cursor.execute((name, start.0 as i64))?;
        self.shared.cursors.insert(name, start);
        Ok(start)
    }

    fn remove(&mut self, name: &str) -> Result<Seq, Failure> {
        self.sql.forget_beyond.execute([name])?;
        self.conn.execute("DELETE FROM cursor WHERE name = ?", [name])?;
        self.shared.cursors.remove(name);
        Ok(self.head)
    }

    /// Writes moved cursors.
    fn flush_cursors(&mut self) -> Result<(), Failure> {
        let moved = self.shared.cursors.take_dirty();
        if moved.is_empty() {
            return Ok(());
        }
        let outcome = self.in_one(|writer| writer.write_cursors(&moved));
        self.shared.cursors.written(&moved, outcome.is_ok());
        outcome
    }

    fn write_cursors(&mut self, moved: &[Moved]) -> Result<(), Failure> {
        for Moved { name, seq, beyond } in moved {
            self.sql.cursor.execute((name, seq.0 as i64))?;
            let Some(beyond) = beyond else { continue };
            self.sql.forget_beyond.execute([name])?;
            for (first, last) in beyond.iter() {
                self.sql.beyond.execute((name, first.0 as i64, last.0 as i64))?;
            }
        }
        self.wal_bytes += PAGE_BYTES;
        Ok(())
    }

    /// Whether the cursors have moved since trimming last came to its end.
    fn trim_wanted(&self) -> bool {
        self.shared.cursors.passed_by_all().is_some_and(|passed| passed > self.trimmed_upto)
    }

    /// Space is getting short: cursors are flushed and entries trimmed without waiting for a better moment.
    fn crowded(&self) -> bool {
        let pressure = self.shared.queue.pressure();
        pressure.disk_bytes > pressure.disk_bytes_max / 2
    }

    /// One small step: the oldest groups that all cursors have passed, never the newest group.
    fn trim(&mut self) -> Result<(), Failure> {
        let passed = self.shared.cursors.passed_by_all().unwrap_or_default();
        let (mut last, mut bytes, mut groups) = (None, 0, 0);
        let mut rows = self.sql.oldest.query([passed.0 as i64, TRIM_GROUPS_MAX])?;
        while bytes < TRIM_BYTES_MAX
            && let Some(row) = rows.next()?
        {
            last = Some((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
            bytes += row.get::<_, i64>(2)? as u64;
            groups += 1;
        }
        drop(rows);
        let Some((row, first_kept)) = last else {
            self.trimming = false;
            self.trimmed_at = Instant::now();
            self.trimmed_upto = passed;
            return Ok(());
        };
        // Readers first, so that none takes a row that is just going for a damaged one.
        self.shared.tail.trimmed(Seq(first_kept as u64));
        self.sql.delete.execute([row])?;
        self.wal_bytes += groups * PAGE_BYTES;
        self.shared.queue.trimmed(bytes);
        self.shared.counters.trimmed_groups.fetch_add(groups, Ordering::Relaxed);
        Ok(())
    }

    /// Copies the write-ahead log into the file, so that it can be used again from its start.
    fn checkpoint(&mut self, mode: &str) -> Result<(), Failure> {
        self.wal_bytes = 0;
        self.conn.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
    }

    fn look_at_disk(&mut self) {
        self.ticked_at = Instant::now();
        // A file system that cannot tell is taken to have room; a write will show.
        let free =
            rustix::fs::statvfs(&self.shared.place.dir).map_or(u64::MAX, |fs| fs.f_bavail.saturating_mul(fs.f_frsize));
        self.set_disk_low(free < self.shared.config.disk_free_bytes_min);
    }

    /// SQLite found no space: until the next look only urgent appends are tried.
    fn disk_is_full(&mut self) {
        self.ticked_at = Instant::now();
        self.set_disk_low(true);
    }

    fn set_disk_low(&mut self, low: bool) {
        if low && !self.disk_low {
            tracing::error!("the disk is nearly full: the journal takes only urgent entries");
        }
        self.disk_low = low;
        self.shared.queue.set_disk_low(low);
    }
}

const fn flush_after(crowded: bool) -> Duration {
    if crowded { CROWDED } else { TICK }
}

const fn trim_every(crowded: bool) -> Duration {
    if crowded { CROWDED } else { TRIM_EVERY }
}

/// Passes on what ends the journal, and swallows a full disk, which does not.
fn unless_full(outcome: Result<(), Failure>) -> Result<bool, Failure> {
    match outcome {
        Ok(()) => Ok(false),
        Err(failure) if failure.sqlite_error_code() == Some(ErrorCode::DiskFull) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Answers a group's appends, in the order in which they came. An append of nothing gets the entry before it.
fn complete(waiters: Vec<Waiter>, first: Seq) {
    let mut next = first.0;
    for waiter in waiters {
        let seq = if waiter.count == 0 { next - 1 } else { next };
        next += u64::from(waiter.count);
        answer(waiter, Ok(Seq(seq)));
    }
}

/// A caller's closure must not be able to end the writer.
fn answer(waiter: Waiter, outcome: Result<Seq, AppendError>) {
    if catch_unwind(AssertUnwindSafe(|| (waiter.done)(outcome))).is_err() {
        tracing::error!("a journal append's completion panicked");
    }
}

/// The writer thread's whole life. Whatever ends it, nobody is left waiting.
pub(crate) fn run(shared: &Arc<Shared>, conn: &Connection, head: Seq, total: u64) {
    let outcome = catch_unwind(AssertUnwindSafe(|| Writer::new(shared, conn, head, total).and_then(Writer::run)));
    let cause: Option<Arc<str>> = match outcome {
        Ok(Ok(())) => None,
        Ok(Err(failure)) => Some(failure.to_string().into()),
        Err(_) => Some("its writer panicked".into()),
    };
    if let Some(cause) = cause {
        tracing::error!(cause = &*cause, "the journal failed: nothing more is accepted until the process is restarted");
        shared.queue.fail(&cause);
    }
    shared.tail.close();
}
