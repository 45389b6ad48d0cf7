//! For tests: a disk that takes no more after so many commits, as when the process ends there. Nothing in the product sets it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Records;

/// The commit that is half done, and those after it, in one number: commits still whole, times two, plus one when the half
/// one is on disk although its writer is told that it failed. `u64::MAX`: lives for ever.
#[derive(Debug)]
pub(super) struct Life(AtomicU64);

impl Default for Life {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

/// What SQLite says of a disk that does not answer.
pub(super) fn broken() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR), None)
}

impl Life {
    /// `true`: commit, and then fail.
    pub(super) fn before_commit(&self) -> rusqlite::Result<bool> {
        match self.0.load(Ordering::SeqCst) {
            u64::MAX => Ok(false),
            0 => Err(broken()),
            1 => {
                self.0.store(0, Ordering::SeqCst);
                Ok(true)
            }
            left => {
                self.0.store(left - 2, Ordering::SeqCst);
                Ok(false)
            }
        }
    }
}

impl Records {
    /// After so many more commits nothing is written any more; `half`: one more reaches the disk, and its writer is told that
    /// it did not.
    #[doc(hidden)]
    pub fn die_after(&self, commits: u64, half: bool) {
        self.0.life.0.store(commits * 2 + u64::from(half), Ordering::SeqCst);
    }

    /// That many commits were made.
    #[doc(hidden)]
    pub fn is_dead(&self) -> bool {
        self.0.life.0.load(Ordering::SeqCst) == 0
    }
}
