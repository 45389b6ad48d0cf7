//! Named cursors: how far each consumer is, what it is done with beyond, and so what may be trimmed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use model::Seq;

/// Ranges of entries, ascending and apart, both ends included.
pub(crate) type Ranges = Arc<[(Seq, Seq)]>;

#[derive(Clone, Debug)]
struct Cursor {
    committed: Seq,
    /// What is on disk. Trimming goes by this one, so that no restart finds a cursor before the oldest entry.
    durable: Seq,
    /// Entries beyond the cursor that its consumer is done with already.
    beyond: Ranges,
    /// The ranges on disk are other ones.
    beyond_dirty: bool,
}

impl Cursor {
    const fn new(seq: Seq, beyond: Ranges) -> Self {
        Self { committed: seq, durable: seq, beyond, beyond_dirty: false }
    }
}

/// A cursor as it has to be written.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) name: String,
    pub(crate) seq: Seq,
    /// Only when they have changed.
    pub(crate) beyond: Option<Ranges>,
}

#[derive(Debug, Default)]
struct Inner {
    cursors: BTreeMap<String, Cursor>,
    dirty_since: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Cursors(Mutex<Inner>);

impl Cursors {
    pub(crate) fn new(stored: Vec<(String, Seq, Ranges)>) -> Self {
        let cursors = stored.into_iter().map(|(name, seq, beyond)| (name, Cursor::new(seq, beyond)));
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
        self.lock().cursors.insert(name.to_owned(), Cursor::new(seq, Ranges::default()));
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

    /// Replaces what the consumer is done with beyond its cursor. As [`Cursors::commit`].
    pub(crate) fn set_beyond(&self, name: &str, beyond: Ranges) -> Option<bool> {
        let mut inner = self.lock();
        let cursor = inner.cursors.get_mut(name)?;
        if cursor.beyond == beyond {
            return Some(false);
        }
        cursor.beyond = beyond;
        cursor.beyond_dirty = true;
        let first = inner.dirty_since.is_none();
        inner.dirty_since.get_or_insert_with(Instant::now);
        Some(first)
    }

    pub(crate) fn beyond(&self, name: &str) -> Ranges {
        self.lock().cursors.get(name).map(|cursor| Arc::clone(&cursor.beyond)).unwrap_or_default()
    }

    /// Since when there has been something that is not on disk.
    pub(crate) fn dirty_since(&self) -> Option<Instant> {
        self.lock().dirty_since
    }

    /// What has to be written, and from now on counts as being written.
    pub(crate) fn take_dirty(&self) -> Vec<Moved> {
        let mut inner = self.lock();
        inner.dirty_since = None;
        let dirty =
            inner.cursors.iter_mut().filter(|(_, cursor)| cursor.committed > cursor.durable || cursor.beyond_dirty);
        let moved = dirty.map(|(name, cursor)| {
            let beyond = std::mem::take(&mut cursor.beyond_dirty).then(|| Arc::clone(&cursor.beyond));
            Moved { name: name.clone(), seq: cursor.committed, beyond }
        });
        moved.collect()
    }

    /// The outcome of what [`Cursors::take_dirty`] gave.
    pub(crate) fn written(&self, moved: &[Moved], durable: bool) {
        let mut inner = self.lock();
        for Moved { name, seq, beyond } in moved {
            match inner.cursors.get_mut(name) {
                Some(cursor) if durable => cursor.durable = cursor.durable.max(*seq),
                Some(cursor) => cursor.beyond_dirty |= beyond.is_some(),
                None => {}
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
