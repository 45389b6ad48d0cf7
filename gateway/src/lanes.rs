//! Epoch and sequence numbers: the identity of every frame, surviving restarts, crashes and an empty outbox.
//!
//! `lanes.json` holds the epoch, the next number of each lane, and how far in the outbox that is true. Whatever entered
//! the outbox later is still there (a cursor named "lanes" keeps it from being trimmed) and is counted at the start. The
//! epoch grows whenever the outbox is created, so numbers that begin again are never mistaken for old ones.

use std::path::{Path, PathBuf};
use std::time::Duration;

use journal::Journal;
use model::{Lane, Seq, Time};
use mqtt::outbox::{self, Outbox};
use mqtt::topic::Topic;
use mqtt::wire;
use serde::{Deserialize, Serialize};

use crate::{Error, whole};

/// Cursor that keeps entries until the numbers in them are in `lanes.json`.
const CURSOR: &str = "lanes";
/// Frames between two writes of the file.
const SAVE_EVERY: u64 = 1_024;
const READ_BYTES: usize = 1024 * 1024;

/// What the file holds. Arrays are in the order of [`Lane::ALL`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Saved {
    epoch: u32,
    /// Next number of each lane.
    next: [u64; 5],
    /// The numbers hold up to these entries of the lanes' journals.
    upto: [u64; 5],
    /// The same in files of gateways that had two journals: those are now the events' and the readings'.
    #[serde(skip_serializing)]
    urgent: u64,
    #[serde(skip_serializing)]
    ordinary: u64,
}

impl Saved {
    /// Up to which entry of a lane's journal the numbers hold.
    fn upto(&self, lane: Lane) -> Seq {
        let older = match lane {
            Lane::Evt => self.urgent,
            Lane::Vit => self.ordinary,
            Lane::Sos | Lane::Hist | Lane::Wav => 0,
        };
        Seq(self.upto[lane as usize].max(older))
    }
}

/// The numbers of this gateway. Used by the framer alone.
#[derive(Debug)]
pub(crate) struct Lanes {
    path: PathBuf,
    outbox: Outbox,
    epoch: u32,
    next: [u64; 5],
    /// Of each lane: the numbers that are in the outbox, and the last of its entries for which that is known. A crash cannot
    /// take these back: the file never says more.
    durable: [(u64, Seq); 5],
    unsaved: u64,
}

/// Opens the outbox and finds out where the numbers stand. Blocking.
pub(crate) fn open(dir: &Path, config: &journal::Config, now: Time) -> Result<(Outbox, Lanes), Error> {
    std::fs::create_dir_all(dir).map_err(|source| Error::Dir { path: dir.to_owned(), source })?;
    let path = dir.join("lanes.json");
    let created = !Outbox::exists(dir);
    let saved = load(&path);
    let epoch = match &saved {
        Some(saved) if !created => saved.epoch,
        Some(saved) => saved.epoch.saturating_add(1),
        None if created => 1,
        // The file is gone but frames went out under some epoch: seconds since 1970 are above any count of outboxes.
        None => u32::try_from(now.secs()).unwrap_or(u32::MAX),
    };
    let known = saved.filter(|saved| saved.epoch == epoch);
    let start = known.clone().unwrap_or(Saved { epoch, next: [1; 5], ..Saved::default() });
    if known.is_none() {
        // Before the outbox exists, so that a crash between the two only skips a number of the epoch.
        save(&path, &start)?;
    }
    let outbox = Outbox::open(dir, config)?;
    let mut lanes =
        Lanes { path, outbox: outbox.clone(), epoch, next: start.next, durable: [(0, Seq(0)); 5], unsaved: 0 };
    for lane in Lane::ALL {
        let journal = outbox.lane(lane);
        journal.register_cursor(CURSOR)?;
        lanes.count(journal, start.upto(lane))?;
    }
    for lane in Lane::ALL {
        lanes.stored(lane, outbox.lane(lane).head());
    }
    if let Err(error) = lanes.save() {
        // A full disk: what was counted now is counted again at the next start.
        tracing::error!(%error, "the numbers of the frames cannot be written; tried again later");
    }
    Ok((outbox, lanes))
}

impl Lanes {
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The next number of a lane; it counts as used.
    pub(crate) const fn take(&mut self, lane: Lane) -> u64 {
        let seq = self.next[lane as usize];
        self.next[lane as usize] = seq + 1;
        self.unsaved += 1;
        seq
    }

    /// Next number of each lane.
    pub(crate) const fn next(&self) -> [u64; 5] {
        self.next
    }

    /// Of each lane, the number after the last one that is in the outbox.
    pub(crate) fn durable(&self) -> [u64; 5] {
        self.durable.map(|(next, _)| next)
    }

    /// All numbers that were taken for this lane are in the outbox, up to its entry `head`.
    pub(crate) fn stored(&mut self, lane: Lane, head: Seq) {
        self.durable[lane as usize] = (self.next[lane as usize], head);
    }

    /// True when enough has happened for [`Lanes::save`].
    pub(crate) const fn is_save_due(&self) -> bool {
        self.unsaved >= SAVE_EVERY
    }

    /// Writes what is durable. Blocking.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        self.unsaved = 0;
        let (next, upto) = (self.durable.map(|(next, _)| next), self.durable.map(|(_, head)| head.0));
        save(&self.path, &Saved { epoch: self.epoch, next, upto, ..Saved::default() })?;
        for (lane, (_, head)) in Lane::ALL.into_iter().zip(self.durable) {
            self.outbox.lane(lane).commit_cursor(CURSOR, head);
        }
        Ok(())
    }

    /// Numbers of the entries after `from`.
    fn count(&mut self, journal: &Journal, from: Seq) -> Result<(), Error> {
        let head = journal.head();
        let mut reader = journal.reader(from.max(Seq(journal.first().0.saturating_sub(1))).min(head));
        while reader.position() < head {
            let batch = match reader.read(READ_BYTES, Duration::ZERO) {
                Ok(batch) => batch,
                Err(journal::Error::Corrupt { last, .. }) => {
                    reader.seek(last);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            for (_, bytes) in batch.iter() {
                let Some(entry) = outbox::decode(bytes) else { continue };
                let Ok(Topic::Up { lane, .. }) = Topic::parse(entry.topic) else { continue };
                let number = entry.number.or_else(|| {
                    let frame = wire::decode(entry.payload).ok()?;
                    Some((frame.epoch, frame.seq))
                });
                if let Some((epoch, seq)) = number
                    && epoch == self.epoch
                {
                    let next = &mut self.next[lane as usize];
                    *next = (*next).max(seq + 1);
                }
            }
        }
        Ok(())
    }
}

fn load(path: &Path) -> Option<Saved> {
    let text = std::fs::read(path).ok()?;
    match serde_json::from_slice(&text) {
        Ok(saved) => Some(saved),
        Err(error) => {
            tracing::error!(%error, "lanes.json cannot be read; a new epoch begins");
            None
        }
    }
}

fn save(path: &Path, saved: &Saved) -> Result<(), Error> {
    let fault = |source| Error::Dir { path: path.to_owned(), source };
    let text = serde_json::to_vec(saved).map_err(|error| fault(error.into()))?;
    whole::replace(path, &text).map_err(fault)
}
