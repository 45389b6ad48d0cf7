//! The one writer: a write is duplicate check, sealing of what is due, one log row and the trim of old log rows, all in
//! one transaction with one sync; memory follows only after the commit.

use std::collections::{HashSet, VecDeque};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use model::Seq;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Bring;
use super::Error;
use super::admit::{Admitted, Cache, admit};
use super::answer::Written;
use super::block::Place;
use super::config::Config;
use super::heads::Heads;
use super::moves::{admit_moves, admit_placed};
use super::origins;
use super::row::Row;
use super::schema::{self, LOG_ROW, encode_row};
use super::seal::{self, Change};
use super::waves;

/// Log rows deleted by one write at most, so that the trim after a long pin is spread. Rows of the log.
const TRIM_ROWS_MAX: u64 = 512;
/// Series sealed in one transaction by [`Writer::seal_all`].
const SEAL_ALL_SERIES: usize = 512;

/// What the writer knows of one series beside the head.
#[derive(Clone, Copy, Debug)]
struct Track {
    /// Newest instant stored; a row beyond it is new without a search.
    newest: i64,
    /// First log row with unsealed rows of this series; 0 when there are none.
    first_seq: u64,
    /// Unsealed rows.
    rows: usize,
    /// No block holds an instant strictly between these two.
    clear: (i64, i64),
    /// The block a late row was last looked for in: replays come in order, so the next one is probably there too.
    near: Option<Place>,
}

impl Default for Track {
    fn default() -> Self {
        Self { newest: i64::MIN, first_seq: 0, rows: 0, clear: (0, 0), near: None }
    }
}

/// A series with unsealed rows, in the order of their log rows. Out of date when the track says another `first_seq`.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    seq: u64,
    number: u32,
    since: Instant,
}

/// The writer's memory.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    pub(super) cache: Cache,
    tracks: Vec<Track>,
    undo: Vec<(u32, i64)>,
    oldest: VecDeque<Waiting>,
    full: VecDeque<u32>,
    /// Last log row given, and the first one still there.
    seq: u64,
    first_log: u64,
    log_bytes: u64,
    head_rows: usize,
    cursor: u64,
    next_block: i64,
    totals: Totals,
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

/// How much one call may seal.
#[derive(Clone, Copy, Debug)]
struct Budget {
    series: usize,
    time: Option<Duration>,
    /// Everything, due or not.
    all: bool,
}

/// The connection that writes, and its memory.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    state: State,
}

impl State {
    /// True when `at` is newer than all of the series; then it is the newest now.
    pub(super) fn advance(&mut self, number: u32, at: i64) -> bool {
        let Some(track) = self.tracks.get_mut(number as usize).filter(|track| at > track.newest) else { return false };
        self.undo.push((number, track.newest));
        track.newest = at;
        true
    }

    fn take_back(&mut self) {
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

    /// The rows of log row `seq` are in the head now.
    fn follow(&mut self, number: u32, seq: u64, since: Instant) {
        let track = &mut self.tracks[number as usize];
        track.rows += 1;
        self.head_rows += 1;
        if track.first_seq == 0 {
            track.first_seq = seq;
            self.oldest.push_back(Waiting { seq, number, since });
        }
        if track.rows == self.config.seal_rows {
            self.full.push_back(number);
        }
    }

    fn is_waiting(&self, waiting: &Waiting) -> bool {
        self.tracks[waiting.number as usize].first_seq == waiting.seq
    }

    fn budget(&self) -> Budget {
        let config = &self.config;
        let time = Duration::from_millis(config.seal_budget_ms);
        let over = |factor: f64| {
            self.head_rows as f64 > config.head_rows_max as f64 * factor
                || self.log_bytes as f64 > config.log_bytes_max as f64 * factor
        };
        // Memory and disk are limits, a short stall is a goal: beyond twice the limit sealing takes what it takes.
        match (over(2.0), over(1.5)) {
            (true, _) => Budget { series: config.seal_series_max * 16, time: None, all: false },
            (_, true) => Budget { series: config.seal_series_max * 4, time: Some(time * 2), all: false },
            _ => Budget { series: config.seal_series_max, time: Some(time), all: false },
        }
    }

    /// The series to seal next: full ones, then the oldest while there is need. The same one may come twice.
    fn candidates(&self, all: bool) -> impl Iterator<Item = (u32, bool)> + '_ {
        let age = Duration::from_secs(self.config.seal_age_s);
        let log_over = self.log_bytes > self.config.log_bytes_max;
        let full = self.full.iter().copied().filter(|n| self.tracks[*n as usize].rows >= self.config.seal_rows);
        let oldest = self.oldest.iter().filter(|waiting| self.is_waiting(waiting));
        let oldest = oldest.map(move |waiting| (waiting.number, all || log_over || waiting.since.elapsed() >= age));
        full.map(|number| (number, true)).chain(oldest)
    }

    fn seal_due(
        &mut self,
        tx: &Transaction<'_>,
        heads: &RwLock<Heads>,
        budget: Budget,
    ) -> Result<Vec<(u32, Change)>, Error> {
        let started = Instant::now();
        let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
        let mut picked = HashSet::new();
        let mut done = Vec::new();
        let mut left = self.head_rows;
        let mut next_block = self.next_block;
        for (number, due) in self.candidates(budget.all) {
            let late = budget.time.is_some_and(|time| !done.is_empty() && started.elapsed() >= time);
            if done.len() >= budget.series || late || !(due || left > self.config.head_rows_max) {
                break;
            }
            let Some(head) = heads.series.get(number as usize).filter(|_| picked.insert(number)) else { continue };
            let change = seal::seal(tx, &mut next_block, self.config.block_rows_max, head.key, &head.rows)?;
            let rows = head.sealed_rows as i64 + change.rows;
            put_series(tx, head.key, self.seq, rows, head.block_bytes + change.bytes, head.latest)?;
            left -= head.rows.len().min(left);
            done.push((number, change));
        }
        self.next_block = next_block;
        Ok(done)
    }

    /// Deletes log rows that no unsealed series needs; returns the new first one and the bytes freed.
    fn trim(&self, tx: &Transaction<'_>, sealed: &[(u32, Change)]) -> Result<(u64, u64), Error> {
        let sealed: HashSet<u32> = sealed.iter().map(|(number, _)| *number).collect();
        let mut needed = self.oldest.iter().filter(|w| self.is_waiting(w) && !sealed.contains(&w.number));
        let keep_from = needed.next().map_or(self.seq + 1, |waiting| waiting.seq);
        let keep_from = keep_from.min(self.first_log + TRIM_ROWS_MAX);
        if keep_from <= self.first_log {
            return Ok((self.first_log, 0));
        }
        let mut delete = tx.prepare_cached("DELETE FROM log WHERE seq < ?1 RETURNING length(rows)")?;
        let mut freed = 0;
        for bytes in delete.query_map([keep_from as i64], |row| row.get::<_, i64>(0))? {
            freed += bytes? as u64;
        }
        Ok((keep_from, freed))
    }

    /// Brings memory in line with a committed transaction.
    fn settle(&mut self, heads: &RwLock<Heads>, admitted: &Admitted, sealed: &[(u32, Change)], put: &Put) {
        let since = Instant::now();
        let sealed_seq = self.seq;
        let mut freed = Vec::with_capacity(sealed.len());
        // Places of rows that took the place of one in a head: no more rows than before.
        let mut corrected = Vec::new();
        {
            let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
            for (number, change) in sealed {
                let head = &mut heads.series[*number as usize];
                head.sealed_seq = sealed_seq;
                head.sealed_rows = (head.sealed_rows as i64 + change.rows).max(0) as u64;
                head.block_bytes += change.bytes;
                freed.push(std::mem::take(&mut head.rows));
            }
            for (i, (number, row)) in admitted.rows.iter().enumerate() {
                if !heads.series[*number as usize].take(*row) {
                    corrected.push(i);
                }
            }
        }
        for (number, change) in sealed {
            let track = &mut self.tracks[*number as usize];
            self.head_rows -= track.rows;
            *track = Track { newest: track.newest, ..Track::default() };
            self.totals.blocks_sealed += change.blocks;
            self.totals.bad_blocks += change.bad_blocks;
        }
        self.undo.clear();
        if put.logged {
            self.seq += 1;
        }
        for (i, (number, _)) in admitted.rows.iter().enumerate() {
            if corrected.binary_search(&i).is_err() {
                self.follow(*number, self.seq, since);
            }
        }
        while self.oldest.front().is_some_and(|waiting| !self.is_waiting(waiting)) {
            self.oldest.pop_front();
        }
        while self.full.front().is_some_and(|n| self.tracks[*n as usize].rows < self.config.seal_rows) {
            self.full.pop_front();
        }
        self.first_log = put.first_log;
        self.cursor = put.cursor;
        self.log_bytes = (self.log_bytes + (admitted.rows.len() * LOG_ROW) as u64).saturating_sub(put.freed_bytes);
        let Written { duplicate, conflict, .. } = admitted.written;
        let stored = (admitted.rows.len() - corrected.len()) as u64;
        // Damaged blocks take rows away; everything else only adds.
        let moved: i64 = sealed.iter().map(|(_, change)| change.rows).sum();
        let from_heads: usize = freed.iter().map(super::row::Rows::len).sum();
        self.totals.rows = (self.totals.rows + stored).saturating_add_signed(moved - from_heads as i64);
        self.totals.duplicates += duplicate;
        self.totals.conflicts += conflict;
        self.totals.head_rows = self.head_rows as u64;
        self.totals.log_bytes = self.log_bytes;
    }
}

/// What the transaction did beside the blocks.
#[derive(Debug)]
struct Put {
    logged: bool,
    cursor: u64,
    first_log: u64,
    freed_bytes: u64,
}

fn put_series(db: &Connection, key: u64, seq: u64, rows: i64, bytes: i64, latest: Option<Row>) -> Result<(), Error> {
    let Some(latest) = latest else { return Ok(()) };
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO series VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    put.execute(params![key as i64, seq as i64, rows, bytes, latest.at, latest.value, latest.quality, latest.device])?;
    Ok(())
}

impl Writer {
    /// Rebuilds memory: series from their table, then the log rows each series has not sealed yet.
    pub(super) fn recover(db: Connection, config: Config, heads: &mut Heads) -> Result<Self, Error> {
        let (cursor, seq): (i64, i64) =
            db.query_row("SELECT cursor, seq FROM meta", [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let next_block: i64 = db.query_row(
            "SELECT max(coalesce((SELECT max(id) FROM block), 0), coalesce((SELECT max(id) FROM bad_block), 0))",
            [],
            |row| row.get(0),
        )?;
        let mut state = State {
            config,
            cache: Cache::default(),
            tracks: Vec::new(),
            undo: Vec::new(),
            oldest: VecDeque::new(),
            full: VecDeque::new(),
            seq: seq as u64,
            first_log: seq as u64 + 1,
            log_bytes: 0,
            head_rows: 0,
            cursor: cursor as u64,
            next_block,
            totals: Totals::default(),
        };
        load_series(&db, &mut state, heads)?;
        let mut first = None;
        let since = Instant::now();
        schema::each_logged(&db, |logged| {
            first.get_or_insert(logged.seq);
            state.seq = state.seq.max(logged.seq);
            state.cursor = state.cursor.max(logged.cursor);
            state.log_bytes += logged.bytes as u64;
            for (key, row) in logged.rows {
                let number = heads.find_or_add(key);
                let head = &mut heads.series[number as usize];
                if logged.seq > head.sealed_seq {
                    let is_new = head.take(row);
                    state.tracks_for(number as usize + 1);
                    let track = &mut state.tracks[number as usize];
                    track.newest = track.newest.max(row.at);
                    if is_new {
                        state.totals.rows += 1;
                        state.follow(number, logged.seq, since);
                    }
                }
            }
        })?;
        state.tracks_for(heads.series.len());
        state.first_log = first.unwrap_or(state.seq + 1);
        state.totals.head_rows = state.head_rows as u64;
        state.totals.log_bytes = state.log_bytes;
        Ok(Self { db, state })
    }

    pub(super) fn cursor(&self) -> u64 {
        self.state.cursor
    }

    pub(super) fn totals(&self) -> Totals {
        self.state.totals
    }

    /// One durable write. On an error nothing has changed.
    pub(super) fn write(&mut self, heads: &RwLock<Heads>, bring: Bring<'_>, cursor: Seq) -> Result<Written, Error> {
        let budget = self.state.budget();
        self.transact(heads, bring, cursor.0, budget).map(|(written, _)| written)
    }

    /// Seals what is due without writing anything.
    pub(super) fn maintain(&mut self, heads: &RwLock<Heads>) -> Result<(), Error> {
        let (budget, cursor) = (self.state.budget(), self.state.cursor);
        self.transact(heads, Bring::default(), cursor, budget).map(|_| ())
    }

    /// Seals every unsealed row, in several transactions.
    pub(super) fn seal_all(&mut self, heads: &RwLock<Heads>) -> Result<(), Error> {
        let budget = Budget { series: SEAL_ALL_SERIES, time: None, all: true };
        let cursor = self.state.cursor;
        while self.transact(heads, Bring::default(), cursor, budget)?.1 || self.state.head_rows > 0 {}
        Ok(())
    }

    /// Returns whether anything was sealed or trimmed beside the write.
    fn transact(
        &mut self,
        heads: &RwLock<Heads>,
        bring: Bring<'_>,
        cursor: u64,
        budget: Budget,
    ) -> Result<(Written, bool), Error> {
        let Self { db, state } = self;
        match Self::attempt(db, state, heads, bring, cursor, budget) {
            Ok((admitted, sealed, Some(put))) => {
                let tidied = !sealed.is_empty() || put.first_log != state.first_log;
                state.settle(heads, &admitted, &sealed, &put);
                Ok((admitted.written, tidied))
            }
            Ok((admitted, _, None)) => {
                state.totals.duplicates += admitted.written.duplicate;
                state.totals.conflicts += admitted.written.conflict;
                state.take_back();
                Ok((admitted.written, false))
            }
            Err(error) => {
                state.take_back();
                Err(error)
            }
        }
    }

    /// The transaction itself. `None` when there was nothing to write.
    #[expect(clippy::type_complexity, reason = "used once")]
    fn attempt(
        db: &mut Connection,
        state: &mut State,
        heads: &RwLock<Heads>,
        bring: Bring<'_>,
        cursor: u64,
        budget: Budget,
    ) -> Result<(Admitted, Vec<(u32, Change)>, Option<Put>), Error> {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut admitted = admit(&tx, state, heads, bring.readings)?;
        admit_moves(&tx, state, heads, bring.moves, &mut admitted)?;
        admit_placed(&tx, state, heads, bring.placed, &mut admitted)?;
        put_beside(&tx, heads, bring, &mut admitted)?;
        let sealed = state.seal_due(&tx, heads, budget)?;
        let beside = admitted.written.waves.stored > 0;
        let logged = !admitted.rows.is_empty() || beside || cursor > state.cursor;
        let cursor = cursor.max(state.cursor);
        if logged {
            let bytes = encode_log(heads, &admitted);
            schema::put_log(&tx, state.seq + 1, cursor, &bytes)?;
        }
        let (first_log, freed_bytes) = state.trim(&tx, &sealed)?;
        let trimmed = first_log != state.first_log;
        if !logged && sealed.is_empty() && !trimmed {
            return Ok((admitted, sealed, None));
        }
        if trimmed {
            let mut put = tx.prepare_cached("UPDATE meta SET cursor = ?1, seq = ?2")?;
            put.execute(params![state.cursor as i64, state.seq as i64])?;
        }
        tx.commit()?;
        Ok((admitted, sealed, Some(Put { logged, cursor, first_log, freed_bytes })))
    }
}

/// Blocks of waveforms, and the origins of the rows that are new.
fn put_beside(
    tx: &Transaction<'_>,
    heads: &RwLock<Heads>,
    bring: Bring<'_>,
    admitted: &mut Admitted,
) -> Result<(), Error> {
    if !bring.waves.is_empty() {
        admitted.written.waves = waves::put(tx, bring.waves)?;
    }
    for moved in bring.moves.iter().filter(|moved| moved.from != moved.to) {
        waves::give(tx, moved)?;
    }
    if bring.originals.is_empty() {
        return Ok(());
    }
    let new: HashSet<(u64, i64)> = {
        let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
        admitted.rows.iter().map(|(number, row)| (heads.series[*number as usize].key, row.at)).collect()
    };
    admitted.written.origins = origins::put(tx, bring.originals, |key, at| new.contains(&(key, at)))?;
    Ok(())
}

fn encode_log(heads: &RwLock<Heads>, admitted: &Admitted) -> Vec<u8> {
    let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
    let mut bytes = Vec::with_capacity(admitted.rows.len() * LOG_ROW);
    for (number, row) in &admitted.rows {
        encode_row(&mut bytes, heads.series[*number as usize].key, row);
    }
    bytes
}

fn load_series(db: &Connection, state: &mut State, heads: &mut Heads) -> Result<(), Error> {
    let mut select = db.prepare("SELECT series, sealed_seq, rows, bytes, at, value, quality, device FROM series")?;
    let mut found = select.query([])?;
    while let Some(row) = found.next()? {
        let number = heads.find_or_add(row.get::<_, i64>(0)? as u64);
        let head = &mut heads.series[number as usize];
        head.sealed_seq = row.get::<_, i64>(1)? as u64;
        head.sealed_rows = row.get::<_, i64>(2)?.max(0) as u64;
        head.block_bytes = row.get(3)?;
        let latest = Row { at: row.get(4)?, value: row.get(5)?, quality: row.get(6)?, device: row.get(7)? };
        head.latest = Some(latest);
        state.tracks_for(number as usize + 1);
        state.tracks[number as usize].newest = latest.at;
        state.totals.rows += head.sealed_rows;
    }
    Ok(())
}
