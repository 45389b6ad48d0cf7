//! What a transaction does beside its rows: it seals what is due, trims the log, and afterwards memory follows the file.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Instant;

use rusqlite::{Connection, Transaction, params};

use super::Error;
use super::admit::Admitted;
use super::answer::Written;
use super::heads::Heads;
use super::row::{Row, Rows};
use super::schema::LOG_ROW;
use super::seal::{self, Change};
use super::state::{Budget, State, Track};

/// Log rows deleted by one write at most, and bytes of them, so that the trim after a long pin is spread: what is deleted is
/// overwritten, so it costs as much as writing it. It is more than a usual write brings, and never less than twice as much.
const TRIM_ROWS_MAX: u64 = 512;
const TRIM_BYTES_MAX: u64 = 1 << 20;

/// What the transaction did beside the blocks.
#[derive(Debug)]
pub(super) struct Put {
    pub(super) logged: bool,
    pub(super) cursor: u64,
    pub(super) first_log: u64,
    pub(super) freed_bytes: u64,
}

/// Writes what is known of a series: up to which log row it is sealed, its sealed rows and their bytes, its newest row.
pub(super) fn put_series(
    db: &Connection,
    key: u64,
    seq: u64,
    (rows, bytes): (i64, i64),
    latest: Option<Row>,
) -> Result<(), Error> {
    let Some(latest) = latest else { return Ok(()) };
    let mut put = db.prepare_cached("INSERT OR REPLACE INTO series VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
    put.execute(params![key as i64, seq as i64, rows, bytes, latest.at, latest.value, latest.quality, latest.device])?;
    Ok(())
}
impl State {
    pub(super) fn seal_due(
        &mut self,
        tx: &Transaction<'_>,
        heads: &RwLock<Heads>,
        budget: Budget<'_>,
    ) -> Result<Vec<(u32, Change)>, Error> {
        let started = Instant::now();
        let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
        let mut picked = HashSet::new();
        let mut done = Vec::new();
        let mut left = self.head_rows;
        let mut next_block = self.next_block;
        for (number, due) in self.candidates(budget.which) {
            let late = budget.time.is_some_and(|time| !done.is_empty() && started.elapsed() >= time);
            if done.len() >= budget.series || late || !(due || left > self.config.head_rows_max) {
                break;
            }
            let Some(head) = heads.series.get(number as usize).filter(|_| picked.insert(number)) else { continue };
            let change = seal::seal(tx, &mut next_block, self.config.block_rows_max, head.key, &head.rows)?;
            let rows = head.sealed_rows as i64 + change.rows;
            put_series(tx, head.key, self.seq, (rows, head.block_bytes + change.bytes), head.latest)?;
            left -= head.rows.len().min(left);
            done.push((number, change));
        }
        self.next_block = next_block;
        Ok(done)
    }

    /// Deletes log rows that no unsealed series needs; returns the new first one and the bytes freed. `brings`: the bytes that this
    /// write adds.
    pub(super) fn trim(
        &self,
        tx: &Transaction<'_>,
        sealed: &[(u32, Change)],
        brings: usize,
    ) -> Result<(u64, u64), Error> {
        let sealed: HashSet<u32> = sealed.iter().map(|(number, _)| *number).collect();
        let mut needed = self.oldest.iter().filter(|w| self.is_waiting(w) && !sealed.contains(&w.number));
        let needed_from = needed.next().map_or(self.seq + 1, |waiting| waiting.seq);
        if needed_from <= self.first_log {
            return Ok((self.first_log, 0));
        }
        let (mut keep_from, mut freed) = (needed_from, 0);
        let mut lengths =
            tx.prepare_cached("SELECT seq, length(rows) FROM log WHERE seq < ?1 ORDER BY seq LIMIT ?2")?;
        let mut found = lengths.query([needed_from as i64, TRIM_ROWS_MAX as i64 + 1])?;
        let mut rows = 0;
        while let Some(row) = found.next()? {
            let (seq, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            let is_enough = rows == TRIM_ROWS_MAX || freed + bytes as u64 > TRIM_BYTES_MAX.max(2 * brings as u64);
            if rows > 0 && is_enough {
                keep_from = seq as u64;
                break;
            }
            (rows, freed) = (rows + 1, freed + bytes as u64);
        }
        drop(found);
        tx.prepare_cached("DELETE FROM log WHERE seq < ?1")?.execute([keep_from as i64])?;
        Ok((keep_from, freed))
    }

    /// Brings memory in line with a committed transaction.
    pub(super) fn settle(&mut self, heads: &RwLock<Heads>, admitted: &Admitted, sealed: &[(u32, Change)], put: &Put) {
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
                self.follow(*number, 1, self.seq, since);
            }
        }
        self.tidy_queues();
        self.first_log = put.first_log;
        self.cursor = put.cursor;
        let brought = (admitted.rows.len() * LOG_ROW) as u64;
        self.logged += brought;
        self.log_bytes = (self.log_bytes + brought).saturating_sub(put.freed_bytes);
        let Written { duplicate, conflict, .. } = admitted.written;
        let stored = (admitted.rows.len() - corrected.len()) as u64;
        // Damaged blocks take rows away; everything else only adds.
        let moved: i64 = sealed.iter().map(|(_, change)| change.rows).sum();
        let from_heads: usize = freed.iter().map(Rows::len).sum();
        self.totals.rows = (self.totals.rows + stored).saturating_add_signed(moved - from_heads as i64);
        self.totals.duplicates += duplicate;
        self.totals.conflicts += conflict;
        self.totals.head_rows = self.head_rows as u64;
        self.totals.log_bytes = self.log_bytes;
    }
}
