//! A PostgreSQL server of one test: a copy of a cached cluster, on a loopback port and a socket of its own.

use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::place::{Owner, Programs, Watchdog, target};
use crate::{Row, Session, skipped, until};

/// Raised when what is in the cached cluster changes.
const TEMPLATE: u32 = 1;
/// The ordinary role of the tests, its password and its database.
pub(crate) const ROLE: &str = "vigil";
pub(crate) const PASSWORD: &str = "only-for-tests";

/// Small and quick; `ALTER SYSTEM` ([`Postgres::set`]) overrides each.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
shared_buffers = 64MB
max_connections = 30
max_wal_size = 256MB
checkpoint_timeout = 30min
autovacuum_naptime = 10min
log_min_messages = warning
log_line_prefix = '%t [%p] '
timezone = 'UTC'
";

/// Runs when the test is gone: ends the server at once, waits for it, removes its folder.
const CLEAR_UP: &str = r#"
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ] && kill -QUIT "$pid"; then
  i=0
  while kill -0 "$pid" 2>/dev/null && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done
  kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

/// How a server differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// With fsync and full-page writes, as in production.
    pub durable: bool,
    /// More lines of `postgresql.conf`.
    pub settings: Vec<(String, String)>,
    /// Files in the data directory, for instance a certificate and its key: name and content.
    pub files: Vec<(String, String)>,
}

/// A running server. Its role `vigil` owns the database `vigil` and nothing more.
#[derive(Debug)]
pub struct Postgres {
    programs: Programs,
    owner: Owner,
    port: u16,
    server: Option<Child>,
    // In this order: the server ends before its folder goes.
    _watchdog: Watchdog,
    folder: TempDir,
}

impl Postgres {
    /// A server with nothing in it. `None`, after saying why, where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        Self::with(&Options::default())
    }

    pub fn with(options: &Options) -> Option<Self> {
        let (Some(programs), Some(owner)) = (Programs::find(), Owner::find()) else {
            skipped("PostgreSQL 14 or newer is not installed");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("vigil-pg-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let watchdog = Watchdog::set(CLEAR_UP, folder.path());
        copy(&template(&programs, owner), &folder.path().join("data"));
        let mut this = Self { programs, owner, port: 0, server: None, _watchdog: watchdog, folder };
        this.configure(options);
        for _ in 0..5 {
            this.port = free_port();
            if this.launch() {
                return Some(this);
            }
        }
        panic!("PostgreSQL does not start: {}", this.log());
    }

    /// Address for the ordinary role, over TCP.
    pub fn dsn(&self) -> String {
        self.dsn_through(self.port)
    }

    /// The same through another loopback port: a [`Proxy`](crate::Proxy)'s.
    pub fn dsn_through(&self, port: u16) -> String {
        format!("postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{port}/{ROLE}")
    }

    /// Address for the superuser, over the socket.
    pub fn admin_dsn(&self) -> String {
        format!("host={} port={} user=postgres dbname={ROLE}", self.folder.path().display(), self.port)
    }

    /// Statements as the superuser, in the database `vigil`.
    pub fn admin(&self, sql: &str) -> Vec<Row> {
        Session::open(&self.admin_dsn()).unwrap().query(sql).unwrap()
    }

    /// The first value of a superuser's question.
    pub fn one(&self, sql: &str) -> String {
        self.admin(sql).first().and_then(|row| row.first().cloned().flatten()).unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `15.20 (Debian 15.20-0+deb12u1)`
    pub fn version(&self) -> String {
        self.one("SHOW server_version")
    }

    /// Process of the server's first process.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, Child::id)
    }

    /// A setting, for all sessions from now on; what needs a restart waits for one.
    pub fn set(&self, name: &str, value: &str) {
        self.admin(&format!("ALTER SYSTEM SET {name} = '{value}'"));
        self.admin("SELECT pg_reload_conf()");
    }

    /// Takes back every [`set`](Self::set).
    pub fn reset(&self) {
        self.admin("ALTER SYSTEM RESET ALL");
        self.admin("SELECT pg_reload_conf()");
    }

    /// Ends in good order, with a checkpoint; open connections are ended.
    pub fn stop(&mut self) {
        self.end(Signal::INT);
    }

    /// As a crash: `kill -9` of all its processes.
    pub fn kill(&mut self) {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        self.end(Signal::KILL);
        for child in children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            // One that ended by itself meanwhile is as well.
            let _gone = kill_process(child, Signal::KILL);
        }
    }

    /// Starts again after [`stop`](Self::stop) or [`kill`](Self::kill), at the same port. Waits until processes of the one
    /// before are gone.
    pub fn start_again(&mut self) {
        until("PostgreSQL does not start again", || self.launch().then_some(()));
    }

    /// What the server wrote, its end.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// A file of the server's, by its name in the data directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.data().join(name)
    }

    /// Makes an empty file of the server's.
    pub(crate) fn give_empty(&self, path: &Path) {
        std::fs::write(path, "").unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        self.owner.give(path);
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn configure(&self, options: &Options) {
        let mut text = SETTINGS.to_owned();
        if !options.durable {
            text += "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n";
        }
        for (name, value) in &options.settings {
            writeln!(text, "{name} = '{value}'").unwrap();
        }
        let path = self.data().join("postgresql.conf");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before + &text).unwrap();
        for (name, content) in &options.files {
            let path = self.data().join(name);
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
            self.owner.give(&path);
        }
        self.owner.give(self.folder.path());
    }

    /// True when the server takes connections; false when it ended instead.
    fn launch(&mut self) -> bool {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = self.owner.run(&self.programs.bin.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        let mut server = command.current_dir(self.folder.path()).stderr(log).spawn().unwrap();
        let pid = server.id().to_string();
        let started = until("PostgreSQL neither starts nor ends", || {
            if server.try_wait().unwrap().is_some() {
                return Some(false);
            }
            // The last line of this file says when it is ready, the first whose it is.
            let status = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            (status.lines().next() == Some(&pid) && status.lines().nth(7)?.trim() == "ready").then_some(true)
        });
        self.server = started.then_some(server);
        started
    }

    fn end(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else { return };
        kill_process(Pid::from_child(&server), signal).unwrap();
        server.wait().unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The cluster that every server begins as, made once a build folder.
fn template(programs: &Programs, owner: Owner) -> PathBuf {
    let cache = target().join("pgtest");
    std::fs::create_dir_all(&cache).unwrap();
    let made = cache.join(format!("postgres-{}-{TEMPLATE}-{}", programs.major, rustix::process::geteuid().as_raw()));
    let lock = File::create(cache.join("lock")).unwrap();
    lock.lock().unwrap();
    if !made.exists() {
        let work = tempfile::Builder::new().prefix("vigil-pg-").tempdir().unwrap();
        owner.give(work.path());
        initialise(programs, owner, work.path());
        let half = cache.join("half-made");
        let _none = std::fs::remove_dir_all(&half);
        copy(&work.path().join("data"), &half);
        std::fs::rename(&half, &made).unwrap();
    }
    made
}

fn initialise(programs: &Programs, owner: Owner, folder: &Path) {
    let data = folder.join("data");
    let mut initdb = owner.run(&programs.bin.join("initdb"));
    initdb.current_dir(folder).arg("-D").arg(&data).args(["-U", "postgres", "-E", "UTF8", "--locale=C"]);
    initdb.args(["--no-sync", "--wal-segsize=4", "--auth-local=trust", "--auth-host=scram-sha-256"]);
    done(&mut initdb);
    // The server's own one-man mode takes one statement a line.
    let statements = format!(
        "CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'\nCREATE DATABASE {ROLE} OWNER {ROLE} TEMPLATE template0\n"
    );
    let script = folder.join("statements");
    std::fs::write(&script, statements).unwrap();
    let mut single = owner.run(&programs.bin.join("postgres"));
    single.current_dir(folder).args(["--single", "-D"]).arg(&data).arg("postgres");
    done(single.stdin(File::open(&script).unwrap()));
}

fn done(command: &mut Command) {
    let output = command.stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// With owners and modes.
fn copy(from: &Path, to: &Path) {
    done(Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to));
}
