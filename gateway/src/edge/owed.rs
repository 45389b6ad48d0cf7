//! Alarms that somebody must hear of: owed until the server has the frame behind them, or until they were sounded here and
//! that is said. On disk before anything else happens, so that no end of the process loses one.

use std::path::{Path, PathBuf};

use model::{AlarmId, AlarmKind, ElderId, Lane, Name, Note, Priority, Time};
use mqtt::outbox::Outbox;
use serde::{Deserialize, Serialize};

use crate::whole;

/// Alarms owed at most; beyond, the oldest is given up and counted. Each is a P1 of the last seconds or of a hook that fails.
pub(crate) const OWED_MAX: usize = 64;

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Owed {
    pub(crate) alarm: AlarmId,
    /// Whom a session at a shared device named.
    pub(crate) elder: Option<ElderId>,
    pub(crate) device: Name,
    pub(crate) rule: String,
    pub(crate) zh: String,
    pub(crate) en: String,
    pub(crate) priority: Priority,
    pub(crate) kind: AlarmKind,
    pub(crate) started_at: Time,
    /// When the gateway judged.
    pub(crate) judged_at: Time,
    /// Where its frame lies in the outbox, once it does: lane, first and last number (of all frames written meanwhile).
    #[serde(default)]
    pub(crate) frames: Option<(Lane, u64, u64)>,
}

impl Owed {
    /// The server has the frame: it pages.
    pub(crate) fn is_taken(&self, outbox: &Outbox) -> bool {
        self.frames.is_some_and(|(lane, first, last)| {
            let book = outbox.book(lane);
            (first..=last).all(|number| book.is_done(number))
        })
    }

    pub(crate) fn note(&self, sounded_at: Time, by: &str, ok: bool) -> Note {
        Note::Sounded {
            elder: self.elder,
            device: self.device.clone(),
            rule: self.rule.clone(),
            priority: self.priority,
            kind: self.kind,
            started_at: self.started_at,
            sounded_at,
            by: by.to_owned(),
            ok,
        }
    }
}

/// The list with its file.
#[derive(Debug)]
pub(crate) struct List {
    path: PathBuf,
    pub(crate) all: Vec<Owed>,
}

impl List {
    pub(crate) fn load(dir: &Path) -> Self {
        let path = dir.join("edge-owed.json");
        let all = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::error!(%error, "edge-owed.json cannot be read: alarms that were to be sounded may be lost");
                Vec::new()
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::error!(%error, "edge-owed.json cannot be read: alarms that were to be sounded may be lost");
                Vec::new()
            }
        };
        Self { path, all }
    }

    /// Adds one. The same alarm again while it is still owed is one sound.
    pub(crate) fn add(&mut self, owed: Owed) {
        if let Some(known) = self.all.iter_mut().find(|known| known.alarm == owed.alarm) {
            known.priority = known.priority.min(owed.priority);
            known.frames = None;
            return;
        }
        if self.all.len() == OWED_MAX {
            let given_up = self.all.remove(0);
            tracing::error!(rule = given_up.rule, "too many alarms wait to be sounded: the oldest is given up");
        }
        self.all.push(owed);
    }

    /// Blocking.
    pub(crate) fn save(&self) {
        let bytes = serde_json::to_vec(&self.all).unwrap_or_default();
        if let Err(error) = whole::replace(&self.path, &bytes) {
            tracing::error!(%error, "the list of alarms to be sounded cannot be written; it is in memory only");
        }
    }
}
