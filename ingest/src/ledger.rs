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

use model::runs::Runs;
use model::{GatewayId, Lane, Seq};
use serde::{Deserialize, Serialize};

/// Separate runs of numbers remembered per (gateway, lane, epoch). Beyond it the oldest run is forgotten.
pub const RUNS_MAX: usize = 1_024;
/// Epochs remembered per (gateway, lane): the current one and the one before.
pub const EPOCHS_MAX: usize = 2;
/// Runs of missing numbers told of one lane at once. The others are told when these are filled or declared.
pub const HOLES_MAX: usize = 256;
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
    /// Numbers that the gateway said, at its last birth, are waiting in its outbox: the first, and the one after the last.
    #[serde(skip)]
    announced: Option<(u64, u64)>,
    /// Runs below were forgotten: nothing is said about numbers there.
    #[serde(skip)]
    floor: u64,
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
        if self.runs.len() > RUNS_MAX
            && let Some((_, end)) = self.runs.pop_first()
        {
            self.floor = end;
        }
    }

    /// All below it, from the first number seen on, is durable.
    pub fn upto(&self) -> u64 {
        self.runs.first_key_value().map_or(0, |(_, end)| *end)
    }

    /// Numbers missing between the first and the newest that are known to exist.
    pub fn holes(&self) -> u64 {
        self.missing(0, u64::MAX).count()
    }

    /// What of `first..=last` exists at the gateway, as far as is known, and is not durable here.
    pub fn missing(&self, first: u64, last: u64) -> Runs {
        let (from, next) = self.announced.unwrap_or((u64::MAX, 0));
        let lowest = self.runs.keys().next().map_or(from, |start| from.min(*start)).max(self.floor);
        let beyond = self.runs.values().next_back().map_or(next, |end| next.max(*end));
        let mut missing = Runs::default();
        if beyond > lowest {
            missing.insert(lowest.max(first), (beyond - 1).min(last));
        }
        let start = self.runs.range(..=first).next_back().map_or(first, |(start, _)| *start);
        for (start, end) in self.runs.range(start..).take_while(|(start, _)| **start <= last) {
            missing.remove(*start, end - 1);
        }
        missing
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

/// Name of one lane in one epoch of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneKey {
    pub gateway: GatewayId,
    pub lane: Lane,
    pub epoch: u32,
}

/// Numbers that are missing, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub lane: LaneKey,
    pub first: u64,
    pub last: u64,
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

    /// What a gateway says at its birth of one lane: numbers from `first` up to but not including `next` wait in its outbox.
    pub fn announce(&self, gateway: GatewayId, lane: Lane, epoch: u32, first: u64, next: u64) {
        let mut shard = self.shard(gateway);
        let tracks = shard.entry((gateway, lane)).or_default();
        if let Some(track) = tracks.iter_mut().find(|track| track.epoch == epoch) {
            track.announced = Some((first, next));
        } else if first < next {
            tracks.push(Track { epoch, announced: Some((first, next)), ..Track::default() });
            tracks.sort_by_key(|track| std::cmp::Reverse(track.epoch));
            tracks.truncate(EPOCHS_MAX);
        }
    }

    /// Every run of missing numbers, the oldest of each lane first and at most [`HOLES_MAX`] a lane.
    pub fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for ((gateway, lane), tracks) in &*shard {
                for track in tracks.iter().filter(|track| track.runs.len() > 1 || track.announced.is_some()) {
                    let lane = LaneKey { gateway: *gateway, lane: *lane, epoch: track.epoch };
                    let missing = track.missing(0, u64::MAX);
                    holes.extend(missing.iter().take(HOLES_MAX).map(|(first, last)| Hole { lane, first, last }));
                }
            }
        }
        holes
    }

    /// What of `first..=last` is not durable. `None` when the epoch is forgotten.
    pub fn missing(&self, key: LaneKey, first: u64, last: u64) -> Option<Runs> {
        let shard = self.shard(key.gateway);
        let track = shard.get(&(key.gateway, key.lane))?.iter().find(|track| track.epoch == key.epoch)?;
        Some(track.missing(first, last))
    }

    /// The newest epoch of a gateway, over all its lanes.
    pub fn newest_epoch(&self, gateway: GatewayId) -> u32 {
        let shard = self.shard(gateway);
        let tracks = Lane::ALL.iter().filter_map(|lane| shard.get(&(gateway, *lane))?.first());
        tracks.map(|track| track.epoch).max().unwrap_or(0)
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

    #[test]
    fn what_a_gateway_announces_is_missing_until_it_comes() {
        let ledger = Ledger::default();
        let lane = LaneKey { gateway: GatewayId(1), lane: Lane::Vit, epoch: 4 };
        let holes = || ledger.holes().iter().map(|hole| (hole.first, hole.last)).collect::<Vec<_>>();
        ledger.announce(lane.gateway, lane.lane, 4, 7, 7);
        assert!(holes().is_empty(), "nothing waits there");
        ledger.announce(lane.gateway, lane.lane, 4, 10, 100);
        ledger.mark((60..90).map(|seq| key(4, seq)));
        assert_eq!(holes(), [(10, 59), (90, 99)]);
        assert_eq!(ledger.missing(lane, 50, 95).unwrap().iter().collect::<Vec<_>>(), [(50, 59), (90, 95)]);
        ledger.mark((5..60).map(|seq| key(4, seq)));
        ledger.mark((90..102).map(|seq| key(4, seq)));
        assert!(holes().is_empty());
        assert_eq!((ledger.newest_epoch(GatewayId(1)), ledger.newest_epoch(GatewayId(2))), (4, 0));
        assert_eq!(ledger.missing(LaneKey { epoch: 9, ..lane }, 1, 2), None);
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
