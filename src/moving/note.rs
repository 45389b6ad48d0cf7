//! What is known of the last move, in a file of the data directory (`moving.json`): how far it is, so that a killed one goes on where
//! it was, and what came of it, so that no server starts with a store that lacks something.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use model::{Metric, Seq, Subject};
use serde::{Deserialize, Serialize};
use store::readings::Store;

/// Its name in the data directory.
pub(super) const FILE: &str = "moving.json";
/// How often the place reached is written down.
const EVERY: Duration = Duration::from_secs(2);

/// Whoever changes the note of a running process has its turn: what was given up stays given up.
static TURN: Mutex<()> = Mutex::new(());

/// From where to where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    pub from: Store,
    pub to: Store,
    /// Hosts, port, database and schema of the one of the two that is on a PostgreSQL server.
    pub server: String,
}

/// What came of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The target lacks something.
    Copying,
    /// The target holds everything up to [`Content::place`], the journal the rest: a server may start with it.
    Complete,
    /// The journal was not held any longer: what came during the move is missing in the target, for good.
    GivenUp,
    /// A server has started with the target: it is the store in use, and the source is behind.
    TakenOver,
}

/// What is copied: series in their order, first rows, then waveforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Copied {
    /// The last whole series of rows: subject and metric as numbers.
    pub(super) rows: Option<(u32, u16)>,
    /// The same of waveforms.
    pub(super) waves: Option<(u32, u16)>,
    /// Rows and blocks in them.
    pub(super) count: u64,
    /// Rows that have another value in the target.
    #[serde(default)]
    pub(super) conflicts: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    way: Way,
    state: State,
    /// Where the journal is held.
    place: Seq,
    copied: Copied,
}

/// The note of one move.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
    content: Content,
    saved: Instant,
}

impl Note {
    /// The note of a move that begins. Takes the place of an older one.
    pub(super) fn begin(dir: &Path, way: &Way, place: Seq) -> anyhow::Result<Self> {
        let content = Content { way: way.clone(), state: State::Copying, place, copied: Copied::default() };
        let note = Self { path: dir.join(FILE), content, saved: Instant::now() };
        note.save()?;
        Ok(note)
    }

    /// The note of the last move. One that is there and cannot be read is an error: it may say that a store lacks something.
    pub(super) fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(anyhow::Error::from),
        };
        let content = bytes.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?)).with_context(|| {
            format!(
                "{FILE} in the data directory, the note of the last move of the readings, cannot be read. Give it to the user that \
                 runs the server; or, if it is damaged and you know that the store in use lacks nothing, remove it"
            )
        })?;
        Ok(Some(Self { path, content, saved: Instant::now() }))
    }

    pub(super) const fn way(&self) -> &Way {
        &self.content.way
    }

    pub(super) const fn state(&self) -> State {
        self.content.state
    }

    pub(super) const fn place(&self) -> Seq {
        self.content.place
    }

    /// What was copied by earlier tries.
    pub(super) const fn copied(&self) -> Copied {
        self.content.copied
    }

    /// One more whole series is there.
    pub(super) fn advance(&mut self, copied: Copied) -> anyhow::Result<()> {
        self.content.copied = copied;
        if self.saved.elapsed() >= EVERY { self.keep() } else { Ok(()) }
    }

    /// Durable when it returns. An error when the move was given up meanwhile.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        self.saved = Instant::now();
        self.put(self.content.state)
    }

    /// As [`keep`](Self::keep), in another state.
    pub(super) fn enter(&mut self, state: State) -> anyhow::Result<()> {
        self.put(state)
    }

    fn put(&mut self, state: State) -> anyhow::Result<()> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let stands = Self::read(dir)?.map(|note| note.content.state);
        if stands == Some(State::GivenUp) && state != State::GivenUp {
            bail!("the move was given up meanwhile");
        }
        self.content.state = state;
        self.save()
    }

    fn save(&self) -> anyhow::Result<()> {
        let part = self.path.with_extension("json.part");
        let written = File::create(&part).and_then(|mut file| {
            file.write_all(&serde_json::to_vec(&self.content)?)?;
            file.sync_all()
        });
        let put = written.and_then(|()| std::fs::rename(&part, &self.path));
        let synced = put.and_then(|()| self.path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all()));
        synced.context("cannot write down how far the move is (moving.json in the data directory)")
    }
}

/// A series as it stands in the note.
pub(super) fn numbers((subject, metric): (Subject, Metric)) -> (u32, u16) {
    (subject.to_u32(), metric.id())
}

/// The other way; `None` for a metric that is not known.
pub(super) fn series((subject, metric): (u32, u16)) -> Option<(Subject, Metric)> {
    Some((Subject::from_u32(subject), Metric::from_id(metric)?))
}
