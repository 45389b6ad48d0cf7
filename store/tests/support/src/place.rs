//! Where things are: Debian's server programs, the user that runs them, the build's folder, and the watchdog that clears up.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use std::os::unix::process::CommandExt;

/// The programs of one PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) bin: PathBuf,
    pub(crate) major: u32,
}

impl Programs {
    /// Debian's newest of 14 and later, or the one that `VIGIL_TEST_POSTGRES` names (`15`).
    pub(crate) fn find() -> Option<Self> {
        let wanted = std::env::var("VIGIL_TEST_POSTGRES").ok().and_then(|major| major.parse::<u32>().ok());
        let of = |entry: std::fs::DirEntry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some(Self { bin, major })
        };
        let found = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten().filter_map(of);
        found.filter(|one| wanted.map_or(one.major >= 14, |major| one.major == major)).max_by_key(|one| one.major)
    }
}

/// Who runs the server: it refuses root, so for root the user of Debian's package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// `None` when this is root and there is no user `postgres`.
    pub(crate) fn find() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return Some(Self(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").ok()?;
        let mut fields = users.lines().find(|line| line.starts_with("postgres:"))?.split(':').skip(2);
        Some(Self(Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))))
    }

    /// A program run as this user, in a process group of its own: whoever ends the test's group leaves it to the watchdog.
    pub(crate) fn run(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("LC_ALL", "C").env("TZ", "UTC");
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command
    }

    pub(crate) fn give(self, path: &Path) {
        if let Self(Some((user, group))) = self {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

/// The build's `target` folder: the one that holds this test program.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let found = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").exists());
    found.map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// A shell that waits for this process to end, however it ends, and then does what is left to do.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// `task` is a shell script; `$1` is the folder.
    pub(crate) fn set(task: &str, folder: &Path) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("read -r _; {task}"), "watchdog"]).arg(folder).current_dir("/");
        shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut shell = shell.spawn().unwrap();
        let pipe = shell.stdin.take();
        Self { shell, pipe }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _status = self.shell.wait();
    }
}
