//! The ledger: which frames of each gateway are already durable, so that a frame sent again is acknowledged, not stored twice.
//!
//! Key: (gateway, lane, epoch, seq). A frame is marked only after the journal's fsync, so "duplicate" always means "on
//! disk"; a number that was never marked, or was forgotten, is never a duplicate, in whatever order frames come (a gateway
//! may send newest first). Two copies in flight at the same moment may both be journalled; the readings store and the
//! engine drop the second by (subject, metric, time).
//!
//! The ledger is a filter and a cache: it is saved beside the journal now and then and brought up to date from the journal
//! at start. Losing it loses nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use model::{GatewayId, Lane, Seq};
use serde::{Deserialize, Serialize};

/// Separate runs of numbers remembered per (gateway, lane, epoch). Beyond it the oldest run is forgotten.
pub const RUNS_MAX: usize = 1_024;
/// Epochs remembered per (gateway, lane): the current one and the one before.
pub const EPOCHS_MAX: usize = 2;
const SHARDS: usize = 64;
/// Identifies the saved form. Change it when the form changes: an old file is then ignored.
const MAGIC: u32 = 0x5647_4c31;

/// What one lane of one epoch of one gateway has delivered, as runs of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    pub epoch: u32,
    /// First number of a run -> the number after its last. Runs neither touch nor overlap.
    runs: BTreeMap<u64, u64>,
    pub duplicates: u64,
}

impl Track {
    fn has(&self, seq: u64) -> bool {
        self.runs.range(..=seq).next_back().is_some_and(|(_, end)| seq < *end)
    }

    fn mark(&mut self, seq: u64) {
        if self.has(seq) {
            return;
        }
        let mut start = seq;
        let mut end = seq.saturating_add(1);
        if let Some((before, before_end)) = self.runs.range(..seq).next_back()
            && *before_end == seq
        {
            start = *before;
        }
        if let Some(after_end) = self.runs.remove(&end) {
            end = after_end;
        }
        self.runs.insert(start, end);
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_first();
        }
    }

    /// All below it, from the first number seen on, is durable.
    pub fn upto(&self) -> u64 {
        self.runs.first_key_value().map_or(0, |(_, end)| *end)
    }

    /// Numbers missing between the first and the newest seen.
    pub fn holes(&self) -> u64 {
        let ends = self.runs.values();
        ends.zip(self.runs.keys().skip(1)).map(|(end, next)| next - end).sum()
    }
}

type Shard = HashMap<(GatewayId, Lane), Vec<Track>>;

/// All tracks, sharded by gateway so that connections do not wait for each other.
#[derive(Debug)]
pub struct Ledger {
    shards: Vec<Mutex<Shard>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }
}

/// Name of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKey {
    pub gateway: GatewayId,
    pub lane: Lane,
    pub epoch: u32,
    pub seq: u64,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    magic: u32,
    upto: Seq,
    tracks: Vec<(GatewayId, Lane, Vec<Track>)>,
}

impl Ledger {
    /// The frame is durable already. Counts the duplicate.
    pub fn is_duplicate(&self, key: FrameKey) -> bool {
        let mut shard = self.shard(key.gateway);
        let Some(tracks) = shard.get_mut(&(key.gateway, key.lane)) else { return false };
        let Some(track) = tracks.iter_mut().find(|track| track.epoch == key.epoch) else { return false };
        let known = track.has(key.seq);
        track.duplicates += u64::from(known);
        known
    }

    /// Notes frames as durable. Called after the journal's fsync, or while reading the journal at start.
    pub fn mark(&self, keys: impl IntoIterator<Item = FrameKey>) {
        for key in keys {
            let mut shard = self.shard(key.gateway);
            let tracks = shard.entry((key.gateway, key.lane)).or_default();
            if let Some(track) = tracks.iter_mut().find(|track| track.epoch == key.epoch) {
                track.mark(key.seq);
                continue;
            }
            let mut track = Track { epoch: key.epoch, ..Track::default() };
            track.mark(key.seq);
            tracks.push(track);
            tracks.sort_by_key(|track| std::cmp::Reverse(track.epoch));
            tracks.truncate(EPOCHS_MAX);
        }
    }

    /// The newest epoch's track of one lane.
    pub fn track(&self, gateway: GatewayId, lane: Lane) -> Option<Track> {
        self.shard(gateway).get(&(gateway, lane)).and_then(|tracks| tracks.first().cloned())
    }

    /// Writes the ledger as of journal position `upto`; complete or not at all.
    pub fn save(&self, path: &Path, upto: Seq) -> std::io::Result<()> {
        let mut tracks = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            tracks.extend(shard.iter().map(|((gateway, lane), list)| (*gateway, *lane, list.clone())));
        }
        let bytes = postcard::to_allocvec(&Saved { magic: MAGIC, upto, tracks }).map_err(std::io::Error::other)?;
        let fresh = path.with_extension("new");
        let mut sealed = crc32c::crc32c(&bytes).to_le_bytes().to_vec();
        sealed.extend_from_slice(&bytes);
        std::fs::write(&fresh, sealed)?;
        std::fs::File::open(&fresh)?.sync_all()?;
        std::fs::rename(&fresh, path)
    }

    /// Reads a saved ledger and the journal position it stands for. Anything wrong with the file: an empty ledger from the
    /// start of the journal.
    pub fn load(path: &Path) -> (Self, Seq) {
        let ledger = Self::default();
        let Some(saved) = std::fs::read(path).ok().and_then(|bytes| unseal(&bytes)) else { return (ledger, Seq(0)) };
        for (gateway, lane, tracks) in saved.tracks {
            ledger.shard(gateway).insert((gateway, lane), tracks);
        }
        (ledger, saved.upto)
    }

    fn shard(&self, gateway: GatewayId) -> std::sync::MutexGuard<'_, Shard> {
        let index = gateway.0 as usize % self.shards.len();
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unseal(bytes: &[u8]) -> Option<Saved> {
    let (sum, body) = bytes.split_first_chunk::<4>()?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return None;
    }
    postcard::from_bytes::<Saved>(body).ok().filter(|saved| saved.magic == MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(epoch: u32, seq: u64) -> FrameKey {
        FrameKey { gateway: GatewayId(1), lane: Lane::Vit, epoch, seq }
    }

    #[test]
    fn a_frame_is_a_duplicate_only_after_it_was_marked() {
        let ledger = Ledger::default();
        assert!(!ledger.is_duplicate(key(1, 5)));
        ledger.mark([key(1, 5)]);
        assert!(ledger.is_duplicate(key(1, 5)));
        assert!(!ledger.is_duplicate(key(2, 5)), "a new epoch counts from anew");
        assert!(!ledger.is_duplicate(FrameKey { lane: Lane::Sos, ..key(1, 5) }), "lanes count apart");
    }

    #[test]
    fn runs_are_bounded_and_what_is_forgotten_is_not_a_duplicate() {
        let ledger = Ledger::default();
        ledger.mark([key(1, 0), key(1, 10)]);
        assert_eq!(ledger.track(GatewayId(1), Lane::Vit).unwrap().holes(), 9);
        ledger.mark((0..=RUNS_MAX as u64).map(|i| key(1, 20 + 2 * i)));
        assert!(ledger.track(GatewayId(1), Lane::Vit).unwrap().runs.len() <= RUNS_MAX);
        assert!(!ledger.is_duplicate(key(1, 0)), "forgotten: taken again rather than lost");
    }

    #[test]
    fn a_saved_ledger_comes_back_and_a_torn_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.ckpt");
        let ledger = Ledger::default();
        ledger.mark([key(1, 0), key(1, 1), key(1, 7)]);
        ledger.save(&path, Seq(42)).unwrap();
        let (loaded, upto) = Ledger::load(&path);
        assert_eq!(upto, Seq(42));
        assert!(loaded.is_duplicate(key(1, 7)) && !loaded.is_duplicate(key(1, 5)));
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Ledger::load(&path).1, Seq(0));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(seqs in proptest::collection::vec(0..300_u64, 1..200)) {
            let ledger = Ledger::default();
            let mut plain = std::collections::HashSet::new();
            for seq in seqs {
                prop_assert_eq!(ledger.is_duplicate(key(3, seq)), !plain.insert(seq));
                ledger.mark([key(3, seq)]);
            }
            let span = plain.iter().max().unwrap() - plain.iter().min().unwrap() + 1;
            prop_assert_eq!(ledger.track(GatewayId(1), Lane::Vit).unwrap().holes(), span - plain.len() as u64);
        }
    }
}
