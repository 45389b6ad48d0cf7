//! The history of all files of one recorder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cut::Cuts;

/// A file by the order in which it was first opened.
pub(crate) type FileId = usize;

#[derive(Debug)]
pub(crate) enum Op {
    /// It was there, with this content, before the recording began.
    Existing {
        file: FileId,
        data: Vec<u8>,
    },
    Create {
        file: FileId,
    },
    Write {
        file: FileId,
        offset: u64,
        data: Vec<u8>,
    },
    Truncate {
        file: FileId,
        size: u64,
    },
    /// Durable: all this file's operations before `upto`, which is when the sync began.
    Sync {
        file: FileId,
        upto: usize,
    },
    /// With `synced`, the directory was synced too.
    Delete {
        file: FileId,
        synced: bool,
    },
    Mark(u64),
}

/// How a failing disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Writing reports an I/O error.
    Write,
    /// Writing reports that there is no space.
    Full,
    /// Syncing reports an I/O error.
    Sync,
}

#[derive(Debug, Default)]
struct Inner {
    ops: Vec<Arc<Op>>,
    /// By id: path, and whether it exists at present.
    files: Vec<(PathBuf, bool)>,
    ids: BTreeMap<PathBuf, FileId>,
    fault: Option<Fault>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    inner: Mutex<Inner>,
}

impl Shared {
    pub(crate) fn new(name: String) -> Self {
        Self { name, inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, op: Op) {
        self.lock().ops.push(Arc::new(op));
    }

    /// The number of operations so far: a point in the history.
    pub(crate) fn now(&self) -> usize {
        self.lock().ops.len()
    }

    /// A file was opened; `before` is its content before that, if it existed.
    pub(crate) fn opened(&self, path: &Path, before: Option<Vec<u8>>) -> FileId {
        let mut inner = self.lock();
        let known = inner.ids.get(path).copied();
        let file = known.unwrap_or_else(|| {
            let file = inner.files.len();
            inner.files.push((path.to_owned(), false));
            inner.ids.insert(path.to_owned(), file);
            file
        });
        if !std::mem::replace(&mut inner.files[file].1, true) {
            let op = match before.filter(|_| known.is_none()) {
                Some(data) => Op::Existing { file, data },
                None => Op::Create { file },
            };
            inner.ops.push(Arc::new(op));
        }
        file
    }

    pub(crate) fn knows(&self, path: &Path) -> bool {
        self.lock().ids.contains_key(path)
    }

    pub(crate) fn deleted(&self, path: &Path, synced: bool) {
        let mut inner = self.lock();
        if let Some(&file) = inner.ids.get(path) {
            inner.files[file].1 = false;
            inner.ops.push(Arc::new(Op::Delete { file, synced }));
        }
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.lock().fault
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    pub(crate) fn trace(&self) -> Trace {
        let inner = self.lock();
        Trace { ops: inner.ops.clone(), files: inner.files.iter().map(|(path, _)| path.clone()).collect() }
    }
}

/// A recorded history.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(crate) ops: Vec<Arc<Op>>,
    pub(crate) files: Vec<PathBuf>,
}

impl Trace {
    /// Operations and marks recorded.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Syncs recorded.
    pub fn syncs(&self) -> usize {
        self.ops.iter().filter(|op| matches!(***op, Op::Sync { .. })).count()
    }

    /// `count` power cuts at random moments, in the order of time, of the files below `root`. The same seed gives the same
    /// cuts of the same trace.
    pub fn cuts(&self, root: &Path, seed: u64, count: usize) -> Cuts<'_> {
        Cuts::new(self, root, seed, count)
    }
}
