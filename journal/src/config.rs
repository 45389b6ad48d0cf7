//! How large the journal may grow, and how it groups what it is given.

use serde::{Deserialize, Serialize};

use crate::Error;

/// The share of every limit that only urgent appends (SOS, events) may use: one eighth.
const RESERVE_DIVISOR: u64 = 8;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Limits of one journal. All sizes in bytes and counted as stored: each entry has [`crate::ENTRY_OVERHEAD`] bytes more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Entries kept on disk, in bytes. When they reach 7/8 of it ordinary appends are refused with "full"; the last
    /// eighth is for urgent ones. The file itself does not shrink, but its free pages are used again.
    pub bytes_max: u64,
    /// Entries in one group, that is, behind one fsync.
    pub group_entries_max: usize,
    /// Bytes in one group. One append is never split, so a single large one may exceed it.
    pub group_bytes_max: usize,
    /// Bytes accepted but not yet on disk. 7/8 for ordinary appends, the rest for urgent ones.
    pub queue_bytes_max: usize,
    /// Newest groups kept in memory, so that readers that keep up never touch the disk.
    pub tail_bytes_max: usize,
    /// Free space on the disk, in bytes, below which ordinary appends are refused. Urgent ones are still tried.
    pub disk_free_bytes_min: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: 8 * GIB,
            group_entries_max: 4096,
            group_bytes_max: 4 * MIB as usize,
            queue_bytes_max: 64 * MIB as usize,
            tail_bytes_max: 64 * MIB as usize,
            disk_free_bytes_min: 64 * MIB,
        }
    }
}

impl Config {
    /// Refuses limits with which nothing could ever be stored.
    pub fn validate(&self) -> Result<(), Error> {
        let smallest = 64 * KIB;
        for (key, value, least) in [
            ("bytes_max", self.bytes_max, smallest),
            ("group_entries_max", self.group_entries_max as u64, 1),
            ("group_bytes_max", self.group_bytes_max as u64, 1),
            ("queue_bytes_max", self.queue_bytes_max as u64, smallest),
        ] {
            if value < least {
                return Err(Error::Config { key, value, least });
            }
        }
        Ok(())
    }

    /// Bytes on disk up to which an append is accepted.
    pub(crate) const fn disk_limit(&self, urgent: bool) -> u64 {
        if urgent { self.bytes_max } else { self.bytes_max - self.bytes_max / RESERVE_DIVISOR }
    }

    /// Queued bytes up to which an append is accepted.
    pub(crate) const fn queue_limit(&self, urgent: bool) -> u64 {
        let max = self.queue_bytes_max as u64;
        if urgent { max } else { max - max / RESERVE_DIVISOR }
    }
}

/// What only tests change: how the file underneath is reached. [`OpenOptions::default`] is what production uses.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// A registered SQLite VFS to use instead of the system's.
    pub vfs: Option<String>,
    /// Write-ahead log size, in bytes, from which it is copied into the main file.
    pub checkpoint_bytes: u64,
    /// Complete appends before they are on disk, and never sync. A lie, to prove that the power-cut test notices.
    #[cfg(feature = "ack-before-sync")]
    pub ack_before_sync: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            vfs: None,
            checkpoint_bytes: 4 * MIB,
            #[cfg(feature = "ack-before-sync")]
            ack_before_sync: false,
        }
    }
}

impl OpenOptions {
    #[cfg(feature = "ack-before-sync")]
    pub(crate) const fn acks_early(&self) -> bool {
        self.ack_before_sync
    }

    #[cfg(not(feature = "ack-before-sync"))]
    #[expect(clippy::unused_self, reason = "same shape with and without the feature")]
    pub(crate) const fn acks_early(&self) -> bool {
        false
    }
}
