//! The one writer: a write is duplicate check, sealing of what is due, one log row and the trim of old log rows, all in
//! one transaction with one sync; memory follows only after the commit.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use model::Seq;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::Bring;
use super::Error;
use super::admit::{Admitted, admit};
use super::answer::Written;
use super::commit::Put;
use super::heads::Heads;
use super::limits::Limits;
use super::moves::{admit_moves, admit_placed};
use super::origins;
use super::row::{MOVED, Row};
use super::schema::{self, LOG_ROW, encode_row};
use super::seal::Change;
use super::state::{Budget, State, Totals, Which};
use super::waves;

/// Series sealed in one transaction by [`Writer::seal_all`].
const SEAL_ALL_SERIES: usize = 512;

/// The connection that writes, and its memory.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) db: Connection,
    pub(super) state: State,
}

impl Writer {
    pub(super) fn cursor(&self) -> u64 {
        self.state.cursor
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.state.limits
    }

    pub(super) fn totals(&self) -> Totals {
        self.state.totals
    }

    /// One durable write. On an error nothing has changed.
    pub(super) fn write(&mut self, heads: &RwLock<Heads>, bring: Bring<'_>, cursor: Seq) -> Result<Written, Error> {
        let budget = self.state.budget();
        self.transact(heads, bring, cursor.0, budget).map(|(written, _)| written)
    }

    /// Seals what is due without writing anything. True when there was something.
    pub(super) fn seal_some(&mut self, heads: &RwLock<Heads>) -> Result<bool, Error> {
        let budget = self.state.budget();
        self.seal(heads, budget)
    }

    /// Seals every unsealed row, in several transactions.
    pub(super) fn seal_all(&mut self, heads: &RwLock<Heads>) -> Result<(), Error> {
        let budget = Budget { series: SEAL_ALL_SERIES, time: None, which: Which::All };
        while self.seal(heads, budget)? || self.state.head_rows > 0 {}
        Ok(())
    }

    /// Seals within a budget and trims the log. True when there was something.
    pub(super) fn seal(&mut self, heads: &RwLock<Heads>, budget: Budget<'_>) -> Result<bool, Error> {
        let cursor = self.state.cursor;
        self.transact(heads, Bring::default(), cursor, budget).map(|(_, tidied)| tidied)
    }

    /// Returns whether anything was sealed or trimmed beside the write.
    fn transact(
        &mut self,
        heads: &RwLock<Heads>,
        bring: Bring<'_>,
        cursor: u64,
        budget: Budget<'_>,
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
        budget: Budget<'_>,
    ) -> Result<(Admitted, Vec<(u32, Change)>, Option<Put>), Error> {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut admitted = admit(&tx, state, heads, bring.readings)?;
        admit_moves(&tx, state, heads, bring.moves, &mut admitted)?;
        admit_placed(&tx, state, heads, bring.placed, &mut admitted)?;
        put_beside(&tx, heads, &state.limits, bring, &mut admitted)?;
        let sealed = state.seal_due(&tx, heads, budget)?;
        // Blocks that changed their owner are no rows.
        let carried = bring.moves.iter().any(|moved| !moved.waveforms.is_empty());
        let beside = admitted.written.waves.stored > 0 || carried;
        let logged = !admitted.rows.is_empty() || beside || cursor > state.cursor;
        let cursor = cursor.max(state.cursor);
        let bytes = encode_log(heads, &admitted);
        if logged {
            schema::put_log(&tx, state.seq + 1, cursor, &bytes)?;
        }
        let (first_log, freed_bytes) = state.trim(&tx, &sealed, bytes.len())?;
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
    limits: &Limits,
    bring: Bring<'_>,
    admitted: &mut Admitted,
) -> Result<(), Error> {
    if !bring.waves.is_empty() {
        admitted.written.waves = waves::put(tx, bring.waves, limits.waveforms())?;
    }
    for moved in bring.moves.iter().filter(|moved| moved.from != moved.to) {
        waves::give(tx, moved, limits.waveforms())?;
    }
    if bring.originals.is_empty() {
        return Ok(());
    }
    // As it is after the whole write: the last of one place.
    let new: HashMap<(u64, i64), u8> = {
        let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
        let place = |(number, row): &(u32, Row)| ((heads.series[*number as usize].key, row.at), row.quality);
        admitted.rows.iter().map(place).collect()
    };
    let is_new = |key, at| new.get(&(key, at)).is_some_and(|quality| *quality != MOVED);
    admitted.written.origins = origins::put(tx, bring.originals, is_new)?;
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
