//! What the system allows this process, and what it uses of it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files besides connections: databases, logs, sockets of our own.
const OTHER_FILES: u64 = 64;

/// Raises the soft limit of open files to the hard one, because a county has more links than the usual 1,024. When even that
/// is less than the configured connections need, the front door takes fewer, so that clients cannot lock out the console
/// and the databases.
pub fn fit_open_files(config: &mut config::Server) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files cannot be raised");
        }
    }
    let (door, console) = (&mut config.mqtt, config.console.connections_max as u64);
    let needed = (door.links_max + door.strangers_max) as u64 + console + OTHER_FILES;
    let Some(allowed) = getrlimit(Resource::Nofile).current.filter(|allowed| *allowed < needed) else { return };
    let (strangers, links) = share(allowed, console);
    door.strangers_max = door.strangers_max.min(strangers);
    door.links_max = door.links_max.min(links);
    tracing::warn!(
        allowed,
        needed,
        links_max = door.links_max,
        strangers_max = door.strangers_max,
        "the system allows fewer open files than the configured connections need: raise LimitNOFILE; until then fewer get in"
    );
}

/// Strangers and links that fit into `allowed` files beside the console's connections and everything else.
fn share(allowed: u64, console: u64) -> (usize, usize) {
    // However few are allowed, the console keeps a quarter of them.
    let door = allowed.saturating_sub(OTHER_FILES).saturating_sub(console.min(allowed / 4));
    let strangers = (door / 8).max(1);
    let links = door.saturating_sub(strangers).max(1);
    (usize::try_from(strangers).unwrap_or(usize::MAX), usize::try_from(links).unwrap_or(usize::MAX))
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

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_front_door_leaves_files_for_the_rest() {
        for allowed in [128, 256, 1_024, 4_096] {
            let (strangers, links) = share(allowed, 1_024);
            let door = (strangers + links) as u64;
            assert!(door + super::OTHER_FILES + allowed / 4 <= allowed, "{allowed}: {strangers} and {links}");
            assert!(strangers >= 1 && links >= 1);
        }
        assert_eq!(share(10, 1_024), (1, 1), "too few for anything: as few as can be");
    }
}
