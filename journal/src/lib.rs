//! The durable ordered log: what is acknowledged to a device is in here, on disk, first.
//!
//! - [`Journal::append`] answers after the fsync that made the entries durable, never before. Whatever is queued while one
//!   fsync runs shares the next one.
//! - Entries have a position, [`model::Seq`], 1, 2, 3 ... without a gap. [`Reader`]s follow it, each at its own pace.
//! - Named cursors say how far each consumer is; what all of them have passed is trimmed, nothing else ever.
//! - A consumer that goes its own way (newest first) says what it is done with beyond its cursor, so that a restart does
//!   not begin anew.
//! - When full it pushes back ([`AppendError::Full`]) and discards nothing; the last eighth is kept for urgent entries.
//! - After a failed write or fsync nothing is accepted any more ([`AppendError::Disk`]): the file's state is unknown until
//!   it is opened again.
//!
//! The gateway uses the same crate as its outbox. Why SQLite: `docs/adr/0002-journal-on-sqlite.md`.
//!
//! What is deliberately absent: the meaning of the bytes, and any decision about what may be dropped.

mod config;
mod cursors;
mod error;
mod file;
mod fsync;
mod queue;
mod reader;
mod record;
mod tail;
mod writer;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use model::Seq;
use tokio::sync::{oneshot, watch};

pub use config::{Config, OpenOptions};
pub use error::{AppendError, Error};
pub use fsync::bare_fsync_rate;
pub use reader::{Batch, Reader};
pub use record::ENTRY_OVERHEAD;

use crate::cursors::Cursors;
use crate::file::{Opened, Place};
use crate::queue::{Control, Done, Queue};
use crate::tail::Tail;
use crate::writer::Counters;

/// Ranges beyond a cursor that are kept.
pub const BEYOND_MAX: usize = 1_024;

/// What the writer, the readers and the handles share.
pub(crate) struct Shared {
    place: Place,
    config: Config,
    options: OpenOptions,
    queue: Queue,
    tail: Tail,
    cursors: Cursors,
    counters: Counters,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A handle to an open journal. Cheap to clone; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    thread: Arc<Thread>,
}

/// How near the journal is to its limits. All in bytes as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Accepted and not yet durable.
    pub queued_bytes: u64,
    pub queue_bytes_max: u64,
    /// Kept because some cursor still needs it.
    pub disk_bytes: u64,
    pub disk_bytes_max: u64,
    /// An ordinary append would be refused.
    pub full: bool,
    /// Nothing is accepted until the process is restarted.
    pub failed: bool,
}

/// Figures since the journal was opened, for the metrics and the health page.
#[derive(Clone, Debug)]
pub struct Stats {
    pub first: Seq,
    pub head: Seq,
    pub entries: u64,
    /// One fsync each.
    pub groups: u64,
    pub bytes: u64,
    /// Time spent writing and syncing groups, in microseconds.
    pub commit_us: u64,
    pub trimmed_groups: u64,
    /// Appends refused because of a limit.
    pub refused: u64,
    pub tail_bytes: u64,
    pub pressure: Pressure,
    /// Every cursor and the last entry it has committed.
    pub cursors: Vec<(String, Seq)>,
    /// Why nothing is accepted any more.
    pub failure: Option<String>,
}

impl Journal {
    /// Opens or creates the journal `name` (file `NAME.db`) in `dir`, which must exist, and starts its writer thread.
    pub fn open(dir: &Path, name: &str, config: &Config) -> Result<Self, Error> {
        Self::open_with(dir, name, config, &OpenOptions::default())
    }

    /// As [`Journal::open`], for tests that watch the file underneath.
    #[doc(hidden)]
    pub fn open_with(dir: &Path, name: &str, config: &Config, options: &OpenOptions) -> Result<Self, Error> {
        config.validate()?;
        let Opened { conn, place, lock, first, head, total, kept_bytes, cursors } = file::open(dir, name, options)?;
        let shared = Arc::new(Shared {
            place,
            config: config.clone(),
            options: options.clone(),
            queue: Queue::new(config.clone(), kept_bytes),
            tail: Tail::new(first, head, config.tail_bytes_max),
            cursors: Cursors::new(cursors),
            counters: Counters::default(),
        });
        let for_writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(format!("journal.{name}")).spawn(move || {
            writer::run(&for_writer, &conn, head, total);
            // The file is closed before anybody else may open it.
            drop(conn);
            drop::<File>(lock);
        });
        let source = |source| Error::Io { doing: "start the writer of", path: shared.place.path.clone(), source };
        let handle = Mutex::new(Some(thread.map_err(source)?));
        let thread = Arc::new(Thread { shared: Arc::clone(&shared), handle });
        Ok(Self { shared, thread })
    }

    /// Appends entries that become durable together, next to each other and in order. `done` is called exactly once: with
    /// the first one's position when they are on disk, or with the reason why not. It runs on the writer thread (at once,
    /// on the caller's, if the append is refused) and holds up all other appends: it must be short and must not block.
    ///
    /// Never blocks on the disk. Appending nothing is answered when all before it is durable.
    pub fn append(&self, entries: Vec<Vec<u8>>, done: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        self.push(entries, false, Box::new(done));
    }

    /// As [`Journal::append`], and may use the last eighth of every limit: for SOS and events only.
    pub fn append_urgent(&self, entries: Vec<Vec<u8>>, done: impl FnOnce(Result<Seq, AppendError>) + Send + 'static) {
        self.push(entries, true, Box::new(done));
    }

    /// As [`Journal::append`], for async callers. The entries are stored even if the future is dropped.
    pub async fn append_wait(&self, entries: Vec<Vec<u8>>) -> Result<Seq, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.append(entries, move |outcome| _ = answer.send(outcome));
        answered.await.unwrap_or(Err(AppendError::Closed))
    }

    /// As [`Journal::append`], for threads.
    pub fn append_blocking(&self, entries: Vec<Vec<u8>>) -> Result<Seq, AppendError> {
        let (answer, answered) = sync_channel(1);
        self.append(entries, move |outcome| _ = answer.send(outcome));
        answered.recv().unwrap_or(Err(AppendError::Closed))
    }

    fn push(&self, entries: Vec<Vec<u8>>, urgent: bool, done: Done) {
        if let Err((done, refusal)) = self.shared.queue.push(entries, urgent, done) {
            done(Err(refusal));
        }
    }

    /// The last durable entry; 0 before the first.
    pub fn head(&self) -> Seq {
        self.shared.tail.ends().head
    }

    /// The oldest entry kept; one past the head while there is none.
    pub fn first(&self) -> Seq {
        self.shared.tail.ends().first
    }

    /// The head, as it grows.
    pub fn watch(&self) -> watch::Receiver<Seq> {
        self.shared.tail.watch()
    }

    /// A reader that starts after `from`, the last entry already consumed.
    pub fn reader(&self, from: Seq) -> Reader {
        Reader::new(Arc::clone(&self.shared), from)
    }

    /// Makes a cursor known, so that nothing it has not passed is trimmed, and returns the last entry it committed. A new
    /// one starts before the oldest entry kept. Durable when it returns; blocks for one fsync when the cursor is new.
    pub fn register_cursor(&self, name: &str) -> Result<Seq, Error> {
        self.control(|reply| Control::Register { name: name.to_owned(), reply })
    }

    /// Forgets a cursor whose consumer is gone for good, so that it no longer holds entries back.
    pub fn remove_cursor(&self, name: &str) -> Result<(), Error> {
        self.control(|reply| Control::Remove { name: name.to_owned(), reply }).map(drop)
    }

    /// Says that the consumer `name` needs nothing up to `upto` any more. On disk within about a second, so after a crash
    /// the cursor may stand a little earlier. Never moves backward, and not beyond the head.
    pub fn commit_cursor(&self, name: &str, upto: Seq) {
        if let Err(error) = self.move_cursor(name, upto) {
            tracing::warn!(cursor = name, %error, "a cursor was not committed");
        }
    }

    /// As [`Journal::commit_cursor`], on disk when it returns. Blocks for one fsync.
    pub fn commit_cursor_sync(&self, name: &str, upto: Seq) -> Result<(), Error> {
        self.move_cursor(name, upto)?;
        self.control(|reply| Control::Flush { reply }).map(drop)
    }

    /// Says what the consumer `name` is done with beyond its cursor: ranges with both ends included, ascending and apart,
    /// which replace those said before; at most [`BEYOND_MAX`] of them are kept. They hold nothing back and free nothing:
    /// they only come back at the next start. On disk as late as [`Journal::commit_cursor`].
    pub fn commit_beyond(&self, name: &str, ranges: &[(Seq, Seq)]) {
        let head = self.head();
        let kept = ranges.iter().copied().filter(|(first, last)| first <= last && *last <= head).take(BEYOND_MAX);
        match self.shared.cursors.set_beyond(name, kept.collect()) {
            Some(true) => self.shared.queue.nudge(),
            Some(false) => {}
            None => tracing::warn!(cursor = name, "there is no such cursor"),
        }
    }

    /// What [`Journal::commit_beyond`] said last, or before the last start.
    pub fn beyond(&self, name: &str) -> Vec<(Seq, Seq)> {
        self.shared.cursors.beyond(name).to_vec()
    }

    fn move_cursor(&self, name: &str, upto: Seq) -> Result<(), Error> {
        let upto = upto.min(self.head());
        match self.shared.cursors.commit(name, upto) {
            None => Err(Error::UnknownCursor(name.to_owned())),
            Some(first_move) => {
                if first_move {
                    // The writer may be asleep without a time to wake up.
                    self.shared.queue.nudge();
                }
                Ok(())
            }
        }
    }

    fn control(&self, control: impl FnOnce(SyncSender<Result<Seq, Error>>) -> Control) -> Result<Seq, Error> {
        let (reply, answered) = sync_channel(1);
        self.shared.queue.control(control(reply));
        answered.recv().unwrap_or(Err(Error::Closed))
    }

    /// Whether callers should hold back.
    pub fn pressure(&self) -> Pressure {
        self.shared.queue.pressure()
    }

    pub fn stats(&self) -> Stats {
        let (ends, counters) = (self.shared.tail.ends(), &self.shared.counters);
        Stats {
            first: ends.first,
            head: ends.head,
            entries: counters.entries.load(Ordering::Relaxed),
            groups: counters.groups.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
            commit_us: counters.commit_us.load(Ordering::Relaxed),
            trimmed_groups: counters.trimmed_groups.load(Ordering::Relaxed),
            refused: self.shared.queue.refused(),
            tail_bytes: self.shared.tail.bytes() as u64,
            pressure: self.pressure(),
            cursors: self.shared.cursors.all(),
            failure: self.shared.queue.failure().map(|cause| cause.to_string()),
        }
    }

    /// Writes a consistent copy to `path`, which must not exist, while the journal goes on. Durable when it returns.
    pub fn backup_to(&self, path: &Path) -> Result<(), Error> {
        file::backup(&self.shared.place, path)
    }

    /// Refuses further appends on every handle, writes what was accepted and waits for the writer to end.
    pub fn close(self) {
        self.thread.stop();
    }
}

struct Thread {
    shared: Arc<Shared>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

impl Thread {
    fn stop(&self) {
        self.shared.queue.close();
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A completion may hold the last handle: the writer cannot wait for itself.
        if let Some(handle) = handle
            && handle.thread().id() != std::thread::current().id()
            && handle.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.stop();
    }
}
