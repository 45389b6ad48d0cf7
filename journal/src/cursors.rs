//! Named cursors: how far each consumer is, and so what may be trimmed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::Seq;

#[derive(Clone, Copy, Debug)]
struct Cursor {
    committed: Seq,
    /// What is on disk. Trimming goes by this one, so that no restart finds a cursor before the oldest entry.
    durable: Seq,
}

#[derive(Debug, Default)]
struct Inner {
    cursors: BTreeMap<String, Cursor>,
    dirty_since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Cursors(Mutex<Inner>);

impl Cursors {
    pub(crate) fn new(stored: Vec<(String, Seq)>) -> Self {
        let cursors = stored.into_iter().map(|(name, seq)| (name, Cursor { committed: seq, durable: seq }));
        Self(Mutex::new(Inner { cursors: cursors.collect(), dirty_since: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Seq> {
        self.lock().cursors.get(name).map(|cursor| cursor.committed)
    }

    /// A cursor that was just made durable.
    pub(crate) fn insert(&self, name: &str, seq: Seq) {
        self.lock().cursors.insert(name.to_owned(), Cursor { committed: seq, durable: seq });
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock().cursors.remove(name);
    }

    /// Moves a cursor forward; backward is ignored. `Some(true)` if it is the first move not yet on disk, `None` if there
    /// is no such cursor.
    pub(crate) fn commit(&self, name: &str, upto: Seq) -> Option<bool> {
        let mut inner = self.lock();
        let cursor = inner.cursors.get_mut(name)?;
        if upto <= cursor.committed {
            return Some(false);
        }
        cursor.committed = upto;
        let first = inner.dirty_since.is_none();
        if first {
            inner.dirty_since = Some(Instant::now());
        }
        Some(first)
    }

    /// Since when there has been something that is not on disk.
    pub(crate) fn dirty_since(&self) -> Option<Instant> {
        self.lock().dirty_since
    }

    /// What has to be written, and from now on counts as being written.
    pub(crate) fn take_dirty(&self) -> Vec<(String, Seq)> {
        let mut inner = self.lock();
        inner.dirty_since = None;
        let moved = inner.cursors.iter().filter(|(_, cursor)| cursor.committed > cursor.durable);
        moved.map(|(name, cursor)| (name.clone(), cursor.committed)).collect()
    }

    /// The outcome of what [`Cursors::take_dirty`] gave.
    pub(crate) fn written(&self, moved: &[(String, Seq)], durable: bool) {
        let mut inner = self.lock();
        for (name, seq) in moved {
            match inner.cursors.get_mut(name) {
                Some(cursor) if durable => cursor.durable = cursor.durable.max(*seq),
                _ => {}
            }
        }
        if !durable && !moved.is_empty() {
            inner.dirty_since.get_or_insert_with(Instant::now);
        }
    }

    /// The last entry that every cursor has passed for good. `None` without cursors: then nothing may go.
    pub(crate) fn passed_by_all(&self) -> Option<Seq> {
        self.lock().cursors.values().map(|cursor| cursor.durable).min()
    }

    pub(crate) fn all(&self) -> Vec<(String, Seq)> {
        self.lock().cursors.iter().map(|(name, cursor)| (name.clone(), cursor.committed)).collect()
    }
}
