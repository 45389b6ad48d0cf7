//! The engine's state on disk. Two files: the newest, and the one before in case the newest does not read. The journal keeps
//! what comes after the older one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use engine::Engine;
use journal::Journal;
use model::Seq;

use crate::CURSOR;
use crate::stats::Counts;

const NEWEST: &str = "engine.ckpt";
const OLDER: &str = "engine.ckpt.old";
const UNFINISHED: &str = "engine.ckpt.tmp";
const UNUSABLE: &str = "engine.ckpt.bad";
/// Checkpoints waiting to be written: the next one is only made when the last one is on its way.
const WAITING_MAX: usize = 1;

/// A state and the entry up to which it is complete.
pub(crate) type Checkpoint = (Seq, Vec<u8>);

pub(crate) fn channel() -> (SyncSender<Checkpoint>, Receiver<Checkpoint>) {
    sync_channel(WAITING_MAX)
}

/// The newest checkpoint that reads and whose position is acceptable. One that is not is set aside: the next write must not
/// put it where the good older one stands.
pub(crate) fn load(dir: &Path, accept: impl Fn(Seq) -> bool) -> Option<Engine> {
    [NEWEST, OLDER].into_iter().find_map(|name| {
        let path = dir.join(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the engine's checkpoint cannot be read");
                return None;
            }
        };
        match Engine::load(&bytes) {
            Ok(engine) if accept(engine.position()) => Some(engine),
            Ok(engine) => {
                let position = engine.position().0;
                tracing::warn!(path = %path.display(), position, "the checkpoint does not fit journal and records");
                set_aside(&path);
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the engine's checkpoint is not used");
                set_aside(&path);
                None
            }
        }
    })
}

/// Keeps an unusable checkpoint for whoever looks into it, the newest of them only.
fn set_aside(path: &Path) {
    if let Err(error) = fs::rename(path, path.with_file_name(UNUSABLE)) {
        tracing::warn!(path = %path.display(), %error, "the unusable checkpoint cannot be set aside");
    }
}

/// Copies the saved state of one data directory into another: conditions that stand and elders who are watched are not in the
/// records. Call it before the records are copied, because a state newer than they are is not used. True when there was one.
pub fn copy_state(from: &Path, to: &Path) -> io::Result<bool> {
    let mut found = false;
    // In this order: while a new one takes its place, the newest is for a moment only there as the older one.
    for name in [NEWEST, OLDER] {
        match fs::copy(from.join(name), to.join(name)) {
            Ok(_) => {
                found = true;
                File::open(to.join(name))?.sync_all()?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Writes checkpoints away from the engine's thread: an alarm never waits for this file.
#[derive(Debug)]
pub(crate) struct Saver {
    dir: PathBuf,
    journal: Journal,
    counts: Arc<Counts>,
    /// Position of the file that is now the newest, when it was written by this process.
    newest: Option<Seq>,
}

impl Saver {
    pub(crate) fn new(dir: &Path, journal: Journal, counts: Arc<Counts>) -> Self {
        Self { dir: dir.to_owned(), journal, counts, newest: None }
    }

    /// Runs until the engine's thread has ended.
    pub(crate) fn run(mut self, checkpoints: &Receiver<Checkpoint>) {
        while let Ok((seq, bytes)) = checkpoints.recv() {
            match self.write(&bytes) {
                Ok(()) => {
                    // Only what the older file already contains may be trimmed.
                    if let Some(older) = self.newest.replace(seq) {
                        self.journal.commit_cursor(CURSOR, older);
                    }
                    Counts::add(&self.counts.checkpoints, 1);
                }
                Err(error) => tracing::warn!(%error, "the engine's checkpoint cannot be written; tried again later"),
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let unfinished = self.dir.join(UNFINISHED);
        let mut file = File::create(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let newest = self.dir.join(NEWEST);
        match fs::rename(&newest, self.dir.join(OLDER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(&unfinished, &newest)?;
        File::open(&self.dir)?.sync_all()
    }
}
