//! The control socket: `vigil.sock` in the data directory, for commands of the same user on the same machine.
//!
//! One request a connection, a line of words; the answer is lines of progress and, last, `ok` or `error REASON`.
//! Whoever may write in the data directory may ask.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, bail};
use journal::Journal;
use runtime::Stop;
use store::readings::{FILE, Readings, Store};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::server::Parts;
use crate::stores::{Request, Stores, Told};

const SOCKET: &str = "vigil.sock";
/// Requests answered at once.
const REQUESTS_MAX: usize = 4;
/// Longest request, bytes.
const REQUEST_BYTES_MAX: u64 = 8_192;
/// Time a caller has to send its request, and then to take each line of the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The journal's cursor of a running backup.
const HOLD: &str = "backup";

/// A bound socket, and the file to remove at the end.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    dir: PathBuf,
    file: PathBuf,
}

impl Control {
    /// Binds in the data directory, which this process has locked: a file left by a crash is ours to replace.
    pub fn bind(data_dir: &Path) -> anyhow::Result<Self> {
        let file = data_dir.join(SOCKET);
        if file.exists() {
            std::fs::remove_file(&file).with_context(|| format!("cannot replace {}", file.display()))?;
        }
        let listener = UnixListener::bind(&file).with_context(|| format!("cannot open {}", file.display()))?;
        Ok(Self { listener, dir: data_dir.to_owned(), file })
    }

    /// A few requests at once: what they ask for is rare and heavy, and an import lasts longer than a backup may wait.
    pub async fn run(self, parts: Parts, stop: Stop) {
        // Work under way at the stop is left unfinished: a copied folder says so by lacking files, the rest begins again.
        let mut answers = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                () = stop.requested() => break,
                Some(_) = answers.join_next() => {}
                accepted = self.listener.accept(), if answers.len() < REQUESTS_MAX => match accepted {
                    Ok((stream, _)) => {
                        let (parts, dir) = (parts.clone(), self.dir.clone());
                        answers.spawn(async move {
                            if let Err(error) = answer(stream, &parts, &dir).await {
                                tracing::warn!(error = format!("{error:#}"), "a control request failed");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the control socket cannot accept");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        // Gone already is as good.
        let _gone = std::fs::remove_file(&self.file);
    }
}

async fn answer(stream: UnixStream, parts: &Parts, dir: &Path) -> anyhow::Result<()> {
    // Who asks, as the kernel knows it: what the request says of itself proves nothing.
    let uid = stream.peer_cred().context("cannot tell who asks")?.uid();
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    let mut read = tokio::io::BufReader::new(read.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(PATIENCE, read.read_line(&mut line)).await.context("no request came")??;
    let Some(job) = Job::parse(line.trim_end()) else {
        write.write_all(b"error unknown request\n").await?;
        return Ok(());
    };
    let goes_on = matches!(job, Job::Backup(_));
    let (told, lines) = Told::channel();
    let (parts, dir) = (parts.clone(), dir.to_owned());
    let work = tokio::task::spawn_blocking(move || job.run(&parts, &dir, uid, &told));
    let mut lines = lines;
    loop {
        let (line, rest) = tokio::task::spawn_blocking(move || (lines.recv(), lines)).await?;
        lines = rest;
        let Ok(line) = line else { break };
        let heard = tokio::time::timeout(PATIENCE, write.write_all(format!("{line}\n").as_bytes())).await;
        // A copy goes on when nobody listens any more; other work ends at its next word.
        if !goes_on && !matches!(heard, Ok(Ok(()))) {
            break;
        }
    }
    drop(lines);
    let last = match work.await? {
        Ok(()) => "ok\n".to_owned(),
        Err(error) => format!("error {error:#}\n"),
    };
    tokio::time::timeout(PATIENCE, write.write_all(last.as_bytes())).await.context("the answer was not taken")??;
    Ok(())
}

/// What was asked for.
enum Job {
    Backup(PathBuf),
    Stores(Box<Request>),
}

impl Job {
    fn parse(line: &str) -> Option<Self> {
        if let Some(target) = line.strip_prefix("backup ") {
            return Some(Self::Backup(PathBuf::from(target)));
        }
        serde_json::from_str(line).ok().map(|request| Self::Stores(Box::new(request)))
    }

    fn run(self, parts: &Parts, dir: &Path, uid: u32, told: &Told) -> anyhow::Result<()> {
        match self {
            Self::Backup(target) => copy(parts, dir, &target, told),
            Self::Stores(request) => request.run(&Stores::of(parts, dir, uid), told),
        }
    }
}

/// Forgets the cursor of a backup that ended with its process, or that this directory was restored from: it would hold the journal's entries back until it is full.
pub fn forget_unfinished_backup(journal: &Journal) -> Result<(), journal::Error> {
    if journal.stats().cursors.iter().any(|(name, _)| name == HOLD) {
        tracing::info!("the journal's cursor of an earlier backup is removed");
        journal.remove_cursor(HOLD)?;
    }
    Ok(())
}

/// Copies the engine's state and the three databases of a running server. While it lasts, a cursor of its own keeps the journal from trimming what
/// the copies of the stores have not seen: journal entries between their cursors and its end are all in the copy.
fn copy(parts: &Parts, dir: &Path, target: &Path, told: &Told) -> anyhow::Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let Ok(_one) = ONE.try_lock() else { bail!("another backup is under way") };
    parts.journal.register_cursor(HOLD)?;
    let copied = copy_held(parts, dir, target, told);
    parts.journal.remove_cursor(HOLD)?;
    copied
}

fn copy_held(parts: &Parts, dir: &Path, target: &Path, told: &Told) -> anyhow::Result<()> {
    let say = |text: &str| {
        // Nobody listens any more: the copy goes on all the same.
        let _unheard = told.say(text);
    };
    if alerting::copy_state(dir, target).context("cannot copy the engine's state")? {
        say("engine.ckpt copied");
    }
    parts.records.backup_to(&target.join("records.db"))?;
    say("records.db copied");
    say(copy_readings(&parts.readings, target)?);
    parts.journal.backup_to(&target.join("journal.db"))?;
    say("journal.db copied");
    Ok(())
}

/// Copies the readings where they are a file of ours; what was done, in words.
pub fn copy_readings(readings: &Readings, target: &Path) -> anyhow::Result<&'static str> {
    match readings.store() {
        Store::Embedded => {
            readings.backup_to(&target.join(FILE))?;
            Ok("readings.db copied")
        }
        Store::Timescale => {
            Ok("readings not copied: they are on a server, which is backed up with its own means (docs/storage.md)")
        }
    }
}

/// Asks a running server, handing each line of progress to `each`. `None` when no server runs there.
pub fn ask(data_dir: &Path, request: &str, each: impl Fn(&str)) -> anyhow::Result<Option<()>> {
    let Ok(mut stream) = BlockingStream::connect(data_dir.join(SOCKET)) else { return Ok(None) };
    writeln!(stream, "{request}")?;
    for line in BufReader::new(stream).lines() {
        match line?.as_str() {
            "ok" => return Ok(Some(())),
            line => match line.strip_prefix("error ") {
                Some(reason) => bail!("{reason}"),
                None => each(line),
            },
        }
    }
    bail!("the server ended before it had answered")
}
