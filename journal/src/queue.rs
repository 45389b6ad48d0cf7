//! What waits to be written: admission (the one place that says "full"), grouping, and the writer's wake-up.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Seq;

use crate::{AppendError, Config, Error, Pressure, record};

/// Told once about an append, after the fsync or with the error.
pub(crate) type Done = Box<dyn FnOnce(Result<Seq, AppendError>) + Send>;

/// One append inside a group.
pub(crate) struct Waiter {
    pub(crate) count: u32,
    pub(crate) done: Done,
}

/// Entries that become durable together.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) blob: Vec<u8>,
    pub(crate) count: u32,
    pub(crate) waiters: Vec<Waiter>,
}

/// What only the writer thread can do, asked for by a caller that waits for `reply`.
pub(crate) enum Control {
    Register {
        name: String,
        reply: SyncSender<Result<Seq, Error>>,
    },
    Remove {
        name: String,
        reply: SyncSender<Result<Seq, Error>>,
    },
    /// Make committed cursors durable now.
    Flush {
        reply: SyncSender<Result<Seq, Error>>,
    },
}

impl Control {
    pub(crate) fn answer(self, answer: Result<Seq, Error>) {
        let (Self::Register { reply, .. } | Self::Remove { reply, .. } | Self::Flush { reply }) = self;
        // A caller that no longer waits has nothing to be told.
        let _gone = reply.send(answer);
    }
}

/// What the writer does next.
pub(crate) struct Job {
    pub(crate) group: Option<Group>,
    pub(crate) controls: VecDeque<Control>,
    /// Nothing is left and nothing more will come.
    pub(crate) finished: bool,
}

/// What the writer thread is at.
#[derive(Default, PartialEq, Eq)]
enum Writer {
    #[default]
    Busy,
    /// Busy, and has to look again at when to wake up before it sleeps.
    Nudged,
    Asleep,
}

#[derive(Default)]
struct Inner {
    groups: VecDeque<Group>,
    controls: VecDeque<Control>,
    /// Accepted and not yet durable, including the group being written.
    queued_bytes: u64,
    kept_bytes: u64,
    disk_low: bool,
    closing: bool,
    failed: Option<Arc<str>>,
    refused: u64,
    writer: Writer,
}

pub(crate) struct Queue {
    inner: Mutex<Inner>,
    work: Condvar,
    config: Config,
}

impl Queue {
    pub(crate) fn new(config: Config, kept_bytes: u64) -> Self {
        let inner = Mutex::new(Inner { kept_bytes, ..Inner::default() });
        Self { inner, work: Condvar::new(), config }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under this lock is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one append, or gives `done` back with the reason why not.
    pub(crate) fn push(&self, entries: Vec<Vec<u8>>, urgent: bool, done: Done) -> Result<(), (Done, AppendError)> {
        let bytes: usize = entries.iter().map(|entry| entry.len() + record::ENTRY_OVERHEAD).sum();
        let max = self.config.queue_limit(urgent);
        if bytes as u64 > max {
            return Err((done, AppendError::TooLarge { bytes: bytes as u64, max }));
        }
        // Framed outside the lock, so that a large append does not hold up the others.
        let mut framed = Vec::with_capacity(bytes);
        for entry in &entries {
            record::push(&mut framed, entry);
        }
        let added = entries.len();
        drop(entries);
        let mut inner = self.lock();
        if let Err(refusal) = self.admit(&inner, bytes as u64, urgent) {
            inner.refused += u64::from(refusal == AppendError::Full);
            return Err((done, refusal));
        }
        inner.queued_bytes += bytes as u64;
        let count = added as u32;
        let (entries_max, bytes_max) = (self.config.group_entries_max, self.config.group_bytes_max);
        let fits =
            |group: &&mut Group| group.count as usize + added <= entries_max && group.blob.len() + bytes <= bytes_max;
        match inner.groups.back_mut().filter(fits) {
            Some(group) => {
                group.blob.extend_from_slice(&framed);
                group.count += count;
                group.waiters.push(Waiter { count, done });
            }
            None => inner.groups.push_back(Group { blob: framed, count, waiters: vec![Waiter { count, done }] }),
        }
        self.wake(inner);
        Ok(())
    }

    fn admit(&self, inner: &Inner, bytes: u64, urgent: bool) -> Result<(), AppendError> {
        if let Some(cause) = &inner.failed {
            return Err(AppendError::Disk(Arc::clone(cause)));
        }
        if inner.closing {
            return Err(AppendError::Closed);
        }
        let queued = inner.queued_bytes + bytes;
        let room = queued <= self.config.queue_limit(urgent)
            && inner.kept_bytes + queued <= self.config.disk_limit(urgent)
            && (urgent || !inner.disk_low);
        if room { Ok(()) } else { Err(AppendError::Full) }
    }

    /// Hands the writer a request. It is answered at once if there is no writer any more.
    pub(crate) fn control(&self, control: Control) {
        let mut inner = self.lock();
        if let Some(cause) = &inner.failed {
            let cause = Arc::clone(cause);
            drop(inner);
            control.answer(Err(Error::Disk(cause)));
        } else if inner.closing {
            drop(inner);
            control.answer(Err(Error::Closed));
        } else {
            inner.controls.push_back(control);
            self.wake(inner);
        }
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner>) {
        // A wake-up is a system call: only when somebody sleeps.
        let asleep = inner.writer == Writer::Asleep;
        if asleep {
            inner.writer = Writer::Busy;
        }
        drop(inner);
        if asleep {
            self.work.notify_one();
        }
    }

    /// Wakes the writer to look again at when it has to wake up.
    pub(crate) fn nudge(&self) {
        let mut inner = self.lock();
        if inner.writer == Writer::Busy {
            inner.writer = Writer::Nudged;
        }
        self.wake(inner);
    }

    /// For the writer: what is there now, else what comes within `wait` (`None`: however long it takes).
    pub(crate) fn next(&self, wait: Option<Duration>) -> Job {
        let mut inner = self.lock();
        let idle = inner.groups.is_empty() && inner.controls.is_empty() && !inner.closing;
        if idle && inner.writer != Writer::Nudged && wait != Some(Duration::ZERO) {
            inner.writer = Writer::Asleep;
            inner = match wait {
                None => self.work.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => self.work.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        inner.writer = Writer::Busy;
        let group = inner.groups.pop_front();
        let controls = std::mem::take(&mut inner.controls);
        let finished = inner.closing && group.is_none() && controls.is_empty();
        Job { group, controls, finished }
    }

    /// A group of `bytes` left the queue; if `stored` it is now on disk.
    pub(crate) fn settled(&self, bytes: usize, stored: bool) {
        let mut inner = self.lock();
        inner.queued_bytes = inner.queued_bytes.saturating_sub(bytes as u64);
        if stored {
            inner.kept_bytes += bytes as u64;
        }
    }

    pub(crate) fn trimmed(&self, bytes: u64) {
        let mut inner = self.lock();
        inner.kept_bytes = inner.kept_bytes.saturating_sub(bytes);
    }

    pub(crate) fn set_disk_low(&self, low: bool) {
        self.lock().disk_low = low;
    }

    /// From now on nothing is accepted.
    pub(crate) fn mark_failed(&self, cause: &Arc<str>) {
        self.lock().failed.get_or_insert_with(|| Arc::clone(cause));
    }

    /// The end, for good: everything queued and everything later is answered with the cause.
    pub(crate) fn fail(&self, cause: &Arc<str>) {
        let (groups, controls) = {
            let mut inner = self.lock();
            inner.failed.get_or_insert_with(|| Arc::clone(cause));
            inner.queued_bytes = 0;
            (std::mem::take(&mut inner.groups), std::mem::take(&mut inner.controls))
        };
        for waiter in groups.into_iter().flat_map(|group| group.waiters) {
            (waiter.done)(Err(AppendError::Disk(Arc::clone(cause))));
        }
        for control in controls {
            control.answer(Err(Error::Disk(Arc::clone(cause))));
        }
    }

    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.closing = true;
        self.wake(inner);
    }

    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.lock().failed.clone()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.lock().refused
    }

    pub(crate) fn pressure(&self) -> Pressure {
        let inner = self.lock();
        Pressure {
            queued_bytes: inner.queued_bytes,
            queue_bytes_max: self.config.queue_bytes_max as u64,
            disk_bytes: inner.kept_bytes,
            disk_bytes_max: self.config.bytes_max,
            full: self.admit(&inner, 0, false).is_err()
                || inner.queued_bytes == self.config.queue_limit(false)
                || inner.kept_bytes + inner.queued_bytes >= self.config.disk_limit(false),
            failed: inner.failed.is_some(),
        }
    }
}
