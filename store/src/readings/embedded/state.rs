//! The writer's memory: what it knows of each series beside the head, what waits to be sealed, and its counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::admit::Cache;
use super::block::Place;
use super::config::Config;
use super::limits::Limits;
use super::retain::Sweep;

/// What the writer knows of one series beside the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    /// Newest instant stored; a row beyond it is new without a search.
    pub(super) newest: i64,
    /// First log row with unsealed rows of this series; 0 when there are none.
    pub(super) first_seq: u64,
    /// Unsealed rows.
    pub(super) rows: usize,
    /// No block holds an instant strictly between these two.
    pub(super) clear: (i64, i64),
    /// The block a late row was last looked for in: replays come in order, so the next one is probably there too.
    pub(super) near: Option<Place>,
}

impl Default for Track {
    fn default() -> Self {
        Self { newest: i64::MIN, first_seq: 0, rows: 0, clear: (0, 0), near: None }
    }
}

/// A series with unsealed rows, in the order of their log rows. Out of date when the track says another `first_seq`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) seq: u64,
    pub(super) number: u32,
    since: Instant,
    /// [`State::logged`] before its log row.
    logged: u64,
}

/// The writer's memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) cache: Cache,
    pub(super) tracks: Vec<Track>,
    pub(super) undo: Vec<(u32, i64)>,
    pub(super) oldest: VecDeque<Waiting>,
    pub(super) full: VecDeque<u32>,
    /// Last log row given, and the first one still there.
    pub(super) seq: u64,
    pub(super) first_log: u64,
    pub(super) log_bytes: u64,
    /// Bytes of all log rows since start, those read at start included: how far apart two are.
    pub(super) logged: u64,
    pub(super) head_rows: usize,
    pub(super) cursor: u64,
    pub(super) next_block: i64,
    /// What is too old, by the last `maintain`.
    pub(super) limits: Limits,
    pub(super) sweep: Sweep,
    pub(super) totals: Totals,
}

/// Counts since start, for [`super::Stats`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) rows: u64,
    pub(super) head_rows: u64,
    pub(super) log_bytes: u64,
    pub(super) duplicates: u64,
    pub(super) conflicts: u64,
    pub(super) blocks_sealed: u64,
    pub(super) bad_blocks: u64,
}

/// Which series a call may seal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which<'a> {
    /// Those that are due.
    Due,
    /// Every one with unsealed rows.
    All,
    /// These, due or not.
    Only(&'a [u32]),
}

/// How much one call may seal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget<'a> {
    pub(super) series: usize,
    pub(super) time: Option<Duration>,
    pub(super) which: Which<'a>,
}

impl State {
    pub(super) fn new(config: Config, (cursor, seq): (u64, u64), next_block: i64, limits: Limits) -> Self {
        Self {
            config,
            cache: Cache::default(),
            tracks: Vec::new(),
            undo: Vec::new(),
            oldest: VecDeque::new(),
            full: VecDeque::new(),
            seq,
            first_log: seq + 1,
            log_bytes: 0,
            logged: 0,
            head_rows: 0,
            cursor,
            next_block,
            limits,
            sweep: Sweep::default(),
            totals: Totals::default(),
        }
    }

    /// True when `at` is newer than all of the series; then it is the newest now.
    pub(super) fn advance(&mut self, number: u32, at: i64) -> bool {
        let Some(track) = self.tracks.get_mut(number as usize).filter(|track| at > track.newest) else { return false };
        self.undo.push((number, track.newest));
        track.newest = at;
        true
    }

    pub(super) fn take_back(&mut self) {
        while let Some((number, newest)) = self.undo.pop() {
            self.tracks[number as usize].newest = newest;
        }
    }

    pub(super) fn tracks_for(&mut self, series: usize) {
        self.tracks.resize(series.max(self.tracks.len()), Track::default());
    }

    pub(super) fn is_clear(&self, number: u32, at: i64) -> bool {
        let (after, until) = self.tracks[number as usize].clear;
        after < at && at < until
    }

    pub(super) fn remember_clear(&mut self, number: u32, after: i64, until: i64) {
        self.tracks[number as usize].clear = (after, until);
    }

    /// The block that holds this instant, if it is the one last looked into.
    pub(super) fn near(&self, number: u32, at: i64) -> Option<Place> {
        self.tracks[number as usize].near.filter(|place| (place.t0..=place.t1).contains(&at))
    }

    pub(super) fn remember_near(&mut self, number: u32, place: Place) {
        self.tracks[number as usize].near = Some(place);
    }

    /// Blocks of this series are not what they were.
    pub(super) fn forget_places(&mut self, number: u32) {
        let track = &mut self.tracks[number as usize];
        (track.clear, track.near) = ((0, 0), None);
    }

    /// The rows of log row `seq` are in the head now.
    pub(super) fn follow(&mut self, number: u32, rows: usize, seq: u64, since: Instant) {
        let track = &mut self.tracks[number as usize];
        let before = track.rows;
        track.rows += rows;
        self.head_rows += rows;
        if track.first_seq == 0 && rows > 0 {
            track.first_seq = seq;
            self.oldest.push_back(Waiting { seq, number, since, logged: self.logged });
        }
        if before < self.config.seal_rows && track.rows >= self.config.seal_rows {
            self.full.push_back(number);
        }
    }

    pub(super) fn is_waiting(&self, waiting: &Waiting) -> bool {
        self.tracks[waiting.number as usize].first_seq == waiting.seq
    }

    /// Drops what no longer waits from the front of both queues.
    pub(super) fn tidy_queues(&mut self) {
        while self.oldest.front().is_some_and(|waiting| !self.is_waiting(waiting)) {
            self.oldest.pop_front();
        }
        while self.full.front().is_some_and(|n| self.tracks[*n as usize].rows < self.config.seal_rows) {
            self.full.pop_front();
        }
    }

    /// Bytes of the log from the first row on that is needed. What is before it goes a little with each write and needs no sealing.
    fn pinned(&self) -> u64 {
        let first = self.oldest.iter().find(|waiting| self.is_waiting(waiting));
        first.map_or(0, |waiting| (self.logged - waiting.logged).min(self.log_bytes))
    }

    /// How much a write may seal: always a limited time, which grows with how far memory or log are beyond their limits. It is
    /// enough to seal more rows than a write brings, so that neither grows without end.
    pub(super) fn budget(&self) -> Budget<'static> {
        let (config, pinned) = (&self.config, self.pinned());
        let time = Duration::from_millis(config.seal_budget_ms);
        let over = |factor: f64| {
            self.head_rows as f64 > config.head_rows_max as f64 * factor
                || pinned as f64 > config.log_bytes_max as f64 * factor
        };
        let (series, time) = match (over(2.0), over(1.5)) {
            (true, _) => (config.seal_series_max * 16, time * 5),
            (_, true) => (config.seal_series_max * 4, time * 2),
            _ => (config.seal_series_max, time),
        };
        Budget { series, time: Some(time), which: Which::Due }
    }

    /// The series to seal next and whether they must: full ones, then the oldest while there is need. The same one may come twice.
    pub(super) fn candidates<'a>(&'a self, which: Which<'a>) -> Box<dyn Iterator<Item = (u32, bool)> + 'a> {
        if let Which::Only(these) = which {
            return Box::new(these.iter().map(|number| (*number, true)));
        }
        let all = matches!(which, Which::All);
        let age = Duration::from_secs(self.config.seal_age_s);
        let log_over = self.pinned() > self.config.log_bytes_max;
        let full = self.full.iter().copied().filter(|n| self.tracks[*n as usize].rows >= self.config.seal_rows);
        let oldest = self.oldest.iter().filter(|waiting| self.is_waiting(waiting));
        let oldest = oldest.map(move |waiting| (waiting.number, all || log_over || waiting.since.elapsed() >= age));
        Box::new(full.map(|number| (number, true)).chain(oldest))
    }
}
