//! The stores of one data directory, for the commands that read or fill them as a whole (`export`, `import`).
//! While a server runs, its process does the work, asked through the control socket: only it sees what is not on disk yet, and
//! only it may write. Without a server the command opens the files itself.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use journal::Journal;
use runtime::Clock;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};
use store::readings::Readings;
use store::records::Records;

use crate::server::{Parts, lock, say};
use crate::{control, data_dir, export, import, moving};

/// First letter of a line that only says how far the work is; the next one takes its place.
const PASSING: char = '~';
/// How often such a line is written where lines cannot take each other's place.
const PASSING_EVERY: Duration = Duration::from_secs(10);

/// What is opened, by whom.
#[derive(Debug)]
pub struct Stores {
    pub dir: PathBuf,
    pub records: Records,
    pub readings: Readings,
    pub journal: Journal,
    /// A server runs: its writer stores what the journal holds.
    pub live: bool,
    /// User id of whoever asked, for the audit.
    pub uid: u32,
    _lock: Option<File>,
}

impl Stores {
    /// Those of the running server.
    pub(crate) fn of(parts: &Parts, dir: &Path, uid: u32) -> Self {
        let Parts { records, readings, journal, .. } = parts.clone();
        Self { dir: dir.to_owned(), records, readings, journal, live: true, uid, _lock: None }
    }

    /// Opened by the caller: for tests.
    #[doc(hidden)]
    pub fn opened(dir: &Path, records: Records, readings: Readings, journal: Journal, live: bool) -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self { dir: dir.to_owned(), records, readings, journal, live, uid, _lock: None }
    }

    /// Those of a server that does not run, kept from starting meanwhile.
    fn stopped(config: &config::Server) -> anyhow::Result<Self> {
        let dir = config.data_dir.clone();
        let lock = Some(lock(&dir)?);
        let records = Records::open(&dir, Clock::system()).context("cannot use records.db")?;
        let readings = Readings::open(&dir, &config.readings).context("cannot use the readings")?;
        let journal = Journal::open(&dir, "journal", &config.journal)?;
        Ok(Self { dir, records, readings, journal, live: false, uid: rustix::process::getuid().as_raw(), _lock: lock })
    }
}

/// What a command asks of the stores.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    Export(export::Spec),
    Import(import::Spec),
    MigrateStore(moving::Spec),
}

impl Request {
    /// Does the work, in whatever process holds the stores.
    pub(crate) fn run(&self, stores: &Stores, told: &Told) -> anyhow::Result<()> {
        match self {
            Self::Export(spec) => export::run(spec, stores, told),
            Self::Import(spec) => import::run(spec, stores, told),
            Self::MigrateStore(spec) => moving::run(spec, stores, told),
        }
    }

    /// Has the running server do it, or does it here, and shows what is told.
    pub fn carry_out(&self, config: &config::Server) -> anyhow::Result<()> {
        data_dir::must_be_used(&config.data_dir)?;
        let shown = Shown::default();
        let line = serde_json::to_string(self)?;
        let asked = control::ask(&config.data_dir, &line, |line| shown.line(line));
        if asked?.is_some() {
            return Ok(());
        }
        let stores = Stores::stopped(config)?;
        let (told, lines) = Told::channel();
        std::thread::scope(|scope| {
            let shown = &shown;
            scope.spawn(move || lines.iter().for_each(|line| shown.line(&line)));
            let done = self.run(&stores, &told);
            drop(told);
            done
        })
    }
}

/// Where the work says what it does. When nobody listens any more, the work ends at its next word.
#[derive(Debug)]
pub struct Told(SyncSender<String>);

impl Told {
    /// The talking and the listening end. A line is handed over before the work goes on, so a listener that leaves is noticed at
    /// the very next word.
    pub fn channel() -> (Self, std::sync::mpsc::Receiver<String>) {
        let (tell, lines) = std::sync::mpsc::sync_channel(0);
        (Self(tell), lines)
    }

    /// A line to keep.
    pub(crate) fn say(&self, text: &str) -> anyhow::Result<()> {
        self.send(text.to_owned())
    }

    /// A line that the next one replaces.
    pub(crate) fn pass(&self, text: &str) -> anyhow::Result<()> {
        self.send(format!("{PASSING}{text}"))
    }

    fn send(&self, line: String) -> anyhow::Result<()> {
        if self.0.send(line).is_err() {
            bail!("given up: whoever asked is gone");
        }
        Ok(())
    }
}

/// Shows lines: passing ones over each other on a terminal, seldom elsewhere.
#[derive(Debug, Default)]
struct Shown(std::sync::Mutex<Option<Instant>>);

impl Shown {
    #[expect(clippy::print_stderr, reason = "progress is for whoever typed the command")]
    fn line(&self, line: &str) {
        use std::io::IsTerminal;
        let terminal = std::io::stderr().is_terminal();
        let mut last = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match line.strip_prefix(PASSING) {
            None => {
                if terminal && last.take().is_some() {
                    eprint!("\r\u{1b}[2K");
                }
                say(line);
            }
            Some(passing) if terminal => {
                eprint!("\r\u{1b}[2K{passing}");
                *last = Some(Instant::now());
            }
            Some(passing) if last.is_none_or(|last| last.elapsed() >= PASSING_EVERY) => {
                eprintln!("{passing}");
                *last = Some(Instant::now());
            }
            Some(_) => {}
        }
    }
}

/// How fast something goes and when it will be over.
#[derive(Debug)]
pub(crate) struct Meter {
    what: &'static str,
    total: u64,
    done: u64,
    /// Done before this run.
    before: u64,
    started: Instant,
    said: Option<Instant>,
}

impl Meter {
    /// How often it is told. Tests give up at any word, so there it is told always.
    const EVERY: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_millis(500) };

    pub(crate) fn new(what: &'static str, total: u64, before: u64) -> Self {
        Self { what, total, done: before, before, started: Instant::now(), said: None }
    }

    pub(crate) fn add(&mut self, done: u64, told: &Told) -> anyhow::Result<()> {
        self.done += done;
        if self.said.is_some_and(|said| said.elapsed() < Self::EVERY) {
            return Ok(());
        }
        self.said = Some(Instant::now());
        told.pass(&self.text())
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// `[####......] 40 %  400 of 1000 rows, 120 rows/s, 5 s left`.
    fn text(&self) -> String {
        const WIDTH: u64 = 20;
        let total = self.total.max(self.done).max(1);
        let filled = (self.done * WIDTH / total) as usize;
        let rate = (self.done - self.before) as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        let bar = format!("{}{}", "#".repeat(filled), ".".repeat(WIDTH as usize - filled));
        let left = (total - self.done) as f64 / rate.max(1e-9);
        let left = if left < 1e8 { format!(", {} left", span(left as u64)) } else { String::new() };
        let (percent, what) = (self.done * 100 / total, self.what);
        format!("[{bar}] {percent:>3} %  {} of {total} {what}, {rate:.0} {what}/s{left}", self.done)
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// A new file at a place that the caller named: readable by its owner only, never through a link, never over something, and never
/// among the server's own files.
pub(crate) fn new_file(path: &Path, data_dir: &Path) -> anyhow::Result<File> {
    let folder = path.parent().with_context(|| format!("{} names no file", path.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("cannot use the folder {}", folder.display()))?;
    if folder.starts_with(data_dir.canonicalize().context("cannot use the data directory")?) {
        bail!("{} is in the data directory: choose another place", path.display());
    }
    let mut options = File::options();
    options.write(true).create_new(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{} exists: choose another name, or remove it", path.display())
        }
        opened => opened.with_context(|| format!("cannot write {}", path.display())),
    }
}

/// A file that is there whole or not at all: written beside its place and put there at the end.
#[derive(Debug)]
pub(crate) struct Whole {
    target: PathBuf,
    part: PathBuf,
}

impl Whole {
    /// Refuses a place where something is, and every place in the data directory.
    pub(crate) fn new(target: &Path, data_dir: &Path) -> anyhow::Result<(Self, File)> {
        if target.symlink_metadata().is_ok() {
            bail!("{} exists: choose another name", target.display());
        }
        let part = target.with_added_extension("part");
        let file = new_file(&part, data_dir)?;
        Ok((Self { target: target.to_owned(), part }, file))
    }

    /// The file is complete.
    pub(crate) fn put(self) -> anyhow::Result<()> {
        File::open(&self.part).and_then(|file| file.sync_all()).context("cannot sync the file")?;
        // Something may have come there meanwhile.
        renameat_with(CWD, &self.part, CWD, &self.target, RenameFlags::NOREPLACE)
            .with_context(|| format!("cannot write {}", self.target.display()))
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // After `put` it is gone already.
        let _gone = std::fs::remove_file(&self.part);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_meter_says_how_far_and_how_long() {
        let mut meter = Meter::new("rows", 1_000, 100);
        let (told, lines) = Told::channel();
        std::thread::scope(|scope| {
            let listener = scope.spawn(move || lines.recv().unwrap());
            meter.add(300, &told).unwrap();
            let line = listener.join().unwrap();
            assert!(line.starts_with("~[########............]  40 %  400 of 1000 rows, "), "{line}");
        });
        assert!(meter.add(5, &told).is_err(), "nobody listens");
        assert_eq!(meter.done, 405);
        assert!(told.say("x").is_err(), "nobody listens");
        assert_eq!((span(59), span(100), span(7_260)), ("59 s".into(), "1 min 40 s".into(), "2 h 1 min".into()));
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let new = |target: &Path| Whole::new(target, data.path());
        let target = dir.path().join("out.csv");
        let (whole, _file) = new(&target).unwrap();
        assert!(new(&target).is_err(), "somebody is at it");
        drop(whole);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "given up: nothing is left");
        let (whole, file) = new(&target).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        whole.put().unwrap();
        assert!(target.exists());
        assert!(new(&target).is_err(), "never over something");
        let late = dir.path().join("late.csv");
        let (whole, _file) = new(&late).unwrap();
        std::fs::write(&late, "another's").unwrap();
        assert!(whole.put().is_err(), "nor over what came meanwhile");
        assert_eq!(std::fs::read_to_string(&late).unwrap(), "another's");
    }

    #[test]
    fn no_file_is_made_through_a_link_or_among_the_servers_own() {
        let (dir, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let elsewhere = data.path().join("secret.token");
        let link = dir.path().join("report.csv");
        std::os::unix::fs::symlink(&elsewhere, &link).unwrap();
        assert!(new_file(&link, data.path()).is_err(), "a link to nothing yet");
        let folder = dir.path().join("folder");
        std::os::unix::fs::symlink(data.path(), &folder).unwrap();
        for inside in [&elsewhere, &folder.join("secret.token")] {
            assert!(new_file(inside, data.path()).unwrap_err().to_string().contains("in the data directory"));
        }
        assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);
    }
}
