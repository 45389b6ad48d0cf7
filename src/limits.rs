//! What the system allows this process, and what it uses of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides connections: databases, logs, sockets of our own.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files to the hard one, because a county has more links than the usual 1,024, and says so
/// when even that is less than the configured connections need.
pub fn raise_open_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let needed = connections as u64 + OTHER_FILES;
    if let Some(allowed) = getrlimit(Resource::Nofile).current
        && allowed < needed
    {
        tracing::warn!(
            allowed,
            needed,
            "fewer open files are allowed than the configured connections need: raise LimitNOFILE"
        );
    }
}

/// Figures of this process; a figure the system does not tell is left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub open_files: Option<u64>,
    pub open_files_max: Option<u64>,
    /// Memory in use, bytes.
    pub resident_bytes: Option<u64>,
}

/// Looks at `/proc/self`.
pub fn usage() -> Usage {
    let resident_pages = || {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    Usage {
        open_files: std::fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64),
        open_files_max: getrlimit(Resource::Nofile).current,
        resident_bytes: resident_pages().map(|pages| pages * rustix::param::page_size() as u64),
    }
}
