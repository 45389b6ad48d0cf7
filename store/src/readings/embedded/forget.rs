//! Forgetting one person: the log becomes blocks, because a measurement that was moved to this person stands in it as it was first told,
//! under another; marks of old programs lose their value (`marks.rs`); the person's heads are sealed, their rows leave the log, blocks,
//! origins and waveforms are deleted, and last the series themselves. Each piece is a short transaction; writes of others come between them. The file is open with `secure_delete`, so what
//! is deleted is overwritten; at the end the write-ahead log is emptied, because it holds older copies of pages.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Error;
use super::answer::Forgotten;
use super::heads::Heads;
use super::marks::{self, Blanking};
use super::row::Key;
use super::schema;
use super::state::{Budget, Track, Which};
use super::waves;
use super::writer::Writer;

/// Rows of the log looked through in one piece.
const LOG_ROWS_MAX: u64 = 32;
/// Blocks, origins and waveforms deleted in one piece, of each.
const PIECE_MAX: u64 = 128;
/// Series sealed in one piece at most while the log becomes blocks.
const SERIES_MAX: usize = 64;
/// Time one piece may seal.
const SEAL_TIME: Duration = Duration::from_millis(20);

/// Times that rows in memory are sealed before the rest is done in one go. A person's series take a few.
const SEALINGS_MAX: u32 = 100;

/// How far it is.
#[derive(Debug)]
pub(super) struct Forgetting {
    subject: u32,
    /// The log row that was the last when it began.
    began: Option<u64>,
    blanking: Blanking,
    /// Rows of the log up to this one hold nothing of the subject.
    scrubbed: u64,
    /// How often rows in memory had to be sealed.
    sealings: u32,
    pub(super) forgotten: Forgotten,
}

impl Forgetting {
    pub(super) fn new(subject: u32) -> Self {
        Self {
            subject,
            began: None,
            blanking: Blanking::Unknown,
            scrubbed: 0,
            sealings: 0,
            forgotten: Forgotten::default(),
        }
    }

    /// Only rows that came meanwhile are left: few enough for one go.
    pub(super) fn is_nearly_done(&self) -> bool {
        self.sealings > SEALINGS_MAX
    }

    /// First and last key a series of the subject can have.
    fn keys(&self) -> (i64, i64) {
        let first = (Key::from(self.subject) << 16) as i64;
        (first, first | 0xffff)
    }
}

impl Writer {
    /// One piece. True when nothing is left.
    pub(super) fn forget_piece(&mut self, heads: &RwLock<Heads>, of: &mut Forgetting) -> Result<bool, Error> {
        let began = *of.began.get_or_insert(self.state.seq);
        if self.seal_log(heads, began)? || self.blank_some(heads, &mut of.blanking)? {
            return Ok(false);
        }
        let (numbers, unsealed) = {
            let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
            let numbers = heads.of_subject(of.subject);
            let mut unsealed = numbers.clone();
            unsealed.retain(|number| !heads.series[*number as usize].rows.is_empty());
            (numbers, unsealed)
        };
        let is_first = of.sealings == 0;
        if !is_first && (self.delete_some(heads, of)? || self.scrub_log(of)?) {
            return Ok(false);
        }
        if is_first || !unsealed.is_empty() {
            of.sealings += 1;
            let which = Which::Only(&unsealed);
            self.seal(heads, Budget { series: unsealed.len(), time: Some(SEAL_TIME), which })?;
            return Ok(false);
        }
        let (first, last) = of.keys();
        schema::scrub_bad_log(&self.db, of.subject, |key, at| marks::is_mark(&self.db, key, at))?;
        self.db.execute("DELETE FROM series WHERE series BETWEEN ?1 AND ?2", [first, last])?;
        let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            of.forgotten.series += u64::from(heads.series[number as usize].latest.is_some());
            heads.remove(number);
            self.state.tracks[number as usize] = Track::default();
        }
        Ok(true)
    }

    /// Makes blocks of the rows in the log up to this one, some series at a time. False when none of them is left.
    fn seal_log(&mut self, heads: &RwLock<Heads>, upto: u64) -> Result<bool, Error> {
        if self.state.first_log > upto {
            return Ok(false);
        }
        let waiting = self.state.oldest.iter().filter(|waiting| waiting.seq <= upto && self.state.is_waiting(waiting));
        let numbers: Vec<u32> = waiting.map(|waiting| waiting.number).take(SERIES_MAX).collect();
        let which = Which::Only(&numbers);
        self.seal(heads, Budget { series: SERIES_MAX, time: Some(SEAL_TIME), which })
    }

    /// False when the log was looked through already.
    fn scrub_log(&mut self, of: &mut Forgetting) -> Result<bool, Error> {
        if of.scrubbed >= self.state.seq {
            return Ok(false);
        }
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let upto = self.state.seq.min(of.scrubbed.max(self.state.first_log.saturating_sub(1)) + LOG_ROWS_MAX);
        let freed = schema::scrub_log(&tx, (of.scrubbed, upto), of.subject)?;
        tx.commit()?;
        self.state.log_bytes = self.state.log_bytes.saturating_sub(freed);
        self.state.totals.log_bytes = self.state.log_bytes;
        of.scrubbed = upto;
        Ok(true)
    }

    /// False when there was nothing.
    fn delete_some(&mut self, heads: &RwLock<Heads>, of: &mut Forgetting) -> Result<bool, Error> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (blocks, bad) = (delete_blocks(&tx, of)?, delete_bad(&tx, of)?);
        let (first, last) = of.keys();
        let origins = tx.execute(
            "DELETE FROM origin WHERE (series, at) IN
             (SELECT series, at FROM origin WHERE series BETWEEN ?1 AND ?2 LIMIT ?3)",
            params![first, last, PIECE_MAX as i64],
        )? as u64;
        let waves = waves::forget(&tx, of.subject, PIECE_MAX)?;
        tx.commit()?;
        of.forgotten.origins += origins;
        of.forgotten.waves += waves;
        of.forgotten.rows += bad.iter().sum::<i64>().max(0) as u64;
        let state = &mut self.state;
        let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
        for (series, rows, bytes) in &blocks {
            of.forgotten.rows += *rows as u64;
            state.totals.rows = state.totals.rows.saturating_sub(*rows as u64);
            if let Some(number) = heads.find(*series as Key) {
                let head = &mut heads.series[number as usize];
                head.sealed_rows = head.sealed_rows.saturating_sub(*rows as u64);
                head.block_bytes -= bytes;
                state.forget_places(number);
            }
        }
        if !blocks.is_empty() {
            state.cache.clear();
        }
        Ok(!blocks.is_empty() || !bad.is_empty() || origins + waves > 0)
    }

    /// Overwrites what older programs had deleted from this file without doing so, and empties the write-ahead log.
    pub(super) fn wipe(&mut self) -> Result<(), Error> {
        let is_clean: bool = self.db.query_row("SELECT clean FROM meta", [], |row| row.get(0))?;
        if !is_clean {
            // Takes as long as copying the file, once in its life.
            self.db.execute_batch("VACUUM; UPDATE meta SET clean = 1;")?;
        }
        let busy: bool = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy {
            return Err(Error::Config(
                "readers of the readings did not end: older copies are still in the write-ahead log; try again"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// Deletes some blocks and takes them from the sums of their series; (series, rows, bytes) of each.
fn delete_blocks(tx: &Transaction<'_>, of: &Forgetting) -> Result<Vec<(i64, i64, i64)>, Error> {
    let (first, last) = of.keys();
    let mut delete = tx.prepare_cached(
        "DELETE FROM block WHERE id IN (SELECT id FROM block WHERE series BETWEEN ?1 AND ?2 LIMIT ?3)
         RETURNING series, n, iif(kept = 0, bytes, 0)",
    )?;
    let gone = delete.query_map(params![first, last, PIECE_MAX as i64], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.max(0), row.get(2)?))
    })?;
    let gone = gone.collect::<rusqlite::Result<Vec<(i64, i64, i64)>>>()?;
    let mut less = tx.prepare_cached("UPDATE series SET rows = rows - ?2, bytes = bytes - ?3 WHERE series = ?1")?;
    for (series, rows, bytes) in &gone {
        less.execute([series, rows, bytes])?;
    }
    Ok(gone)
}

/// Deletes some damaged blocks; the rows of each.
fn delete_bad(db: &Connection, of: &Forgetting) -> Result<Vec<i64>, Error> {
    let (first, last) = of.keys();
    let mut delete = db.prepare_cached(
        "DELETE FROM bad_block WHERE rowid IN (SELECT rowid FROM bad_block WHERE series BETWEEN ?1 AND ?2 LIMIT ?3)
         RETURNING n",
    )?;
    let gone = delete.query_map(params![first, last, PIECE_MAX as i64], |row| row.get(0))?;
    Ok(gone.collect::<rusqlite::Result<Vec<i64>>>()?)
}
