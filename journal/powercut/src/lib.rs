//! Test only: what a disk may look like after a power cut.
//!
//! [`Recorder::install`] registers a SQLite VFS that passes everything on to the system's and keeps, in one global order,
//! every write, truncation, sync, creation and deletion, together with the test's own marks ("this client got its ack").
//! Afterwards [`Trace::cuts`] makes directories as a disk could have been left at any point of that history: what was
//! synced is there, what was not survives in part, sector by sector, some sectors torn. The test opens them with the normal
//! code and checks that everything marked before the cut is there.
//!
//! The model is harsher than a disk (any subset of unsynced sectors may survive, in any order) and softer in one place: a
//! file's name is durable with the file's own first sync, as on every journaling file system.
//!
//! What is deliberately absent: files that do not go through SQLite; memory-mapped I/O (switched off); the shared-memory
//! index (`-shm`), which SQLite rebuilds.

mod cut;
mod trace;
mod vfs;

pub use cut::{Cut, Cuts};
pub use trace::{Fault, Trace};

use trace::{Op, Shared};

/// A VFS that records. It stays registered until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Recorder {
    shared: &'static Shared,
}

impl Recorder {
    /// Registers a new VFS under a name of its own, so that tests do not meet.
    pub fn install() -> Self {
        Self { shared: vfs::register() }
    }

    /// What to open the database with.
    pub fn vfs_name(&self) -> &'static str {
        &self.shared.name
    }

    /// Notes that the outside world was promised `mark` at this moment. Call it when the ack arrives.
    pub fn mark(&self, mark: u64) {
        self.shared.push(Op::Mark(mark));
    }

    /// From now on the disk answers like this; `None` for a disk that is well again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.shared.set_fault(fault);
    }

    /// What has happened so far.
    pub fn trace(&self) -> Trace {
        self.shared.trace()
    }
}
