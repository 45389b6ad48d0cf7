//! Retention: readings that are too old become rollups, rollups become coarser, and at last nothing is left. Waveforms just go.
//!
//! A sweep goes through all series in pieces, each a transaction of its own that takes about `seal_budget_ms` and one block at
//! most; writes come between the pieces. Rows still in a head that are too old are sealed first, so only blocks are looked at.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use model::Time;
use rusqlite::{Connection, TransactionBehavior, params};

use super::Error;
use super::block::{self, PLACE, Place};
use super::commit::put_series;
use super::heads::Heads;
use super::kept::Kept;
use super::limits::{Keep, Limits, believe};
use super::row::Key;
use super::state::{Budget, Which};
use super::waves;
use super::writer::Writer;

/// Time between the beginnings of two sweeps, microseconds of `now`.
const EVERY: i64 = 6 * 3_600_000_000;
/// Blocks of waveforms deleted in one transaction.
const WAVES_MAX: u64 = 128;

/// How far a sweep is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sweep {
    /// `now` when the last one began.
    began: Option<i64>,
    stage: Stage,
    /// It was said that the clock is too far ahead.
    is_clock_doubted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Stage {
    #[default]
    Resting,
    /// After this kind of waveform.
    Waves(Option<(u32, u16)>),
    /// At the series of this number.
    Series(u32),
}

/// What became of the old blocks of one series.
#[derive(Clone, Copy, Debug, Default)]
struct Thinned {
    rows: i64,
    bytes: i64,
    bad_blocks: u64,
    is_changed: bool,
    /// There was no time for the rest.
    is_cut: bool,
    /// No block is left.
    is_empty: bool,
}

impl Writer {
    /// A piece of everything that waits for a quiet moment.
    pub(super) fn maintain(&mut self, heads: &RwLock<Heads>, now: Time) -> Result<(), Error> {
        let newest = heads.read().unwrap_or_else(PoisonError::into_inner).newest_at();
        if let Some(now) = believe(now.0, newest, &mut self.state.sweep.is_clock_doubted) {
            self.state.limits.advance(now);
        }
        self.seal_some(heads)?;
        let until = Instant::now() + Duration::from_millis(self.state.config.seal_budget_ms);
        self.state.sweep.stage = match self.state.sweep.stage {
            Stage::Resting if self.is_time_to_sweep() => {
                self.state.sweep.began = Some(self.state.limits.now());
                Stage::Waves(None)
            }
            stage => stage,
        };
        loop {
            self.state.sweep.stage = match self.state.sweep.stage {
                Stage::Resting => return Ok(()),
                Stage::Waves(last) => self.sweep_waves(last)?,
                Stage::Series(number) => self.sweep_series(heads, number, until)?,
            };
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn is_time_to_sweep(&self) -> bool {
        self.state.sweep.began.is_none_or(|began| self.state.limits.now().saturating_sub(began) >= EVERY)
    }

    fn sweep_waves(&mut self, last: Option<(u32, u16)>) -> Result<Stage, Error> {
        let Some(kind) = waves::after(&self.db, last)? else { return Ok(Stage::Series(0)) };
        let gone = waves::expire(&self.db, kind, self.state.limits.waveforms(), WAVES_MAX)?;
        Ok(Stage::Waves(if gone < WAVES_MAX { Some(kind) } else { last }))
    }

    fn sweep_series(&mut self, heads: &RwLock<Heads>, from: u32, until: Instant) -> Result<Stage, Error> {
        let Self { db, state } = self;
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut thinned, mut gone, mut unsealed, mut next) = (Vec::new(), Vec::new(), None, from);
        let end = {
            let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
            while let Some(head) = heads.series.get(next as usize) {
                if heads.is_used(next) {
                    if head.rows.first_at().is_some_and(|at| at < state.limits.rows(head.key)) {
                        unsealed = Some(next);
                        break;
                    }
                    let change = thin(&tx, &mut state.next_block, head.key, &state.limits, until)?;
                    if change.is_changed {
                        let rows = (head.sealed_rows as i64 + change.rows, head.block_bytes + change.bytes);
                        put_series(&tx, head.key, head.sealed_seq, rows, head.latest)?;
                        thinned.push((next, change));
                    }
                    // Log rows that are still there would bring it back.
                    if change.is_empty && head.rows.is_empty() && head.sealed_seq < state.first_log {
                        tx.prepare_cached("DELETE FROM series WHERE series = ?1")?.execute([head.key as i64])?;
                        gone.push(next);
                    } else if change.is_cut {
                        break;
                    }
                }
                next += 1;
                if Instant::now() >= until {
                    break;
                }
            }
            heads.series.len() as u32
        };
        if !thinned.is_empty() || !gone.is_empty() {
            tx.prepare_cached("UPDATE meta SET now = ?1")?.execute([state.limits.now()])?;
            tx.commit()?;
            self.forget_thinned(heads, &thinned, &gone);
        } else {
            drop(tx);
        }
        if let Some(number) = unsealed {
            self.seal(heads, Budget { series: 1, time: None, which: Which::Only(&[number]) })?;
        }
        Ok(if next >= end { Stage::Resting } else { Stage::Series(next) })
    }

    fn forget_thinned(&mut self, heads: &RwLock<Heads>, thinned: &[(u32, Thinned)], gone: &[u32]) {
        let state = &mut self.state;
        let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
        for (number, change) in thinned {
            let head = &mut heads.series[*number as usize];
            head.sealed_rows = head.sealed_rows.saturating_add_signed(change.rows);
            head.block_bytes += change.bytes;
            state.totals.rows = state.totals.rows.saturating_add_signed(change.rows);
            state.totals.bad_blocks += change.bad_blocks;
            state.forget_places(*number);
        }
        for number in gone {
            heads.remove(*number);
            state.tracks[*number as usize] = super::state::Track::default();
        }
        if !thinned.is_empty() {
            state.cache.clear();
        }
    }
}

/// Kept blocks that are being put together, and the ones they replace.
#[derive(Debug, Default)]
struct Joining {
    kept: Option<Kept>,
    replaced: Vec<Place>,
}

impl Joining {
    /// Writes what was put together in place of what it was made of.
    fn flush(&mut self, db: &Connection, next_id: &mut i64, key: Key) -> Result<(), Error> {
        for place in self.replaced.drain(..) {
            block::delete(db, place.id)?;
        }
        if let Some(kept) = self.kept.take() {
            *next_id += 1;
            block::insert_kept(db, *next_id, key, &kept)?;
        }
        Ok(())
    }
}

/// Takes from the blocks of one series what is too old, in time order.
fn thin(db: &Connection, next_id: &mut i64, key: Key, limits: &Limits, until: Instant) -> Result<Thinned, Error> {
    let mut change = Thinned::default();
    let places = older(db, key, limits.rows(key))?;
    if places.is_empty() {
        change.is_empty = block::next_start(db, key, i64::MIN)?.is_none();
        return Ok(change);
    }
    let (mut joining, mut before): (Joining, Option<Place>) = (Joining::default(), None);
    for place in places {
        let keep = limits.keep(key, place.t1);
        if keep <= place.kept {
            joining.flush(db, next_id, key)?;
            before = (place.kept != Keep::Rows).then_some(place);
            continue;
        }
        if change.is_changed && Instant::now() >= until {
            change.is_cut = true;
            break;
        }
        change.is_changed = true;
        if let (None, Some(before)) = (&joining.kept, before.take().filter(|before| before.kept == keep)) {
            joining.kept = sound(db, &before, Kept::load(db, &before).map(Some), &mut change)?;
            joining.replaced.extend(joining.kept.is_some().then_some(before));
        }
        let kept = sound(db, &place, coarser(db, key, &place, keep), &mut change)?;
        if place.kept == Keep::Rows {
            change.rows -= place.n as i64;
            change.bytes -= place.bytes;
            let mut delete = db.prepare_cached("DELETE FROM origin WHERE series = ?1 AND at BETWEEN ?2 AND ?3")?;
            delete.execute(params![key as i64, place.t0, place.t1])?;
        }
        match (&mut joining.kept, kept) {
            (_, None) => {}
            (Some(kept), Some(next)) if kept.has_room_for(&next) => kept.append(key, &next),
            (_, Some(next)) => {
                joining.flush(db, next_id, key)?;
                joining.kept = Some(next);
            }
        }
        joining.replaced.push(place);
    }
    joining.flush(db, next_id, key)?;
    change.is_empty = !change.is_cut && block::next_start(db, key, i64::MIN)?.is_none();
    Ok(change)
}

/// What is left of a block; nothing of one that is beyond all limits, or whose rows were all moved away.
fn coarser(db: &Connection, key: Key, place: &Place, keep: Keep) -> Result<Option<Kept>, Error> {
    match (keep, place.kept) {
        (Keep::Nothing, _) => Ok(None),
        (_, Keep::Rows) => Ok(Kept::of(key, block::load(db, place)?, keep)),
        _ => Ok(Some(Kept::load(db, place)?.coarser(keep))),
    }
}

/// A damaged block is moved aside: nothing can be made of it.
fn sound(
    db: &Connection,
    place: &Place,
    kept: Result<Option<Kept>, Error>,
    change: &mut Thinned,
) -> Result<Option<Kept>, Error> {
    match kept {
        Err(Error::Corrupt { what }) => {
            tracing::error!(what, "a damaged block of readings was moved aside; restore it from a backup");
            block::move_aside(db, place.id)?;
            change.bad_blocks += 1;
            Ok(None)
        }
        other => other,
    }
}

/// Blocks of a series that begin before `limit`, in time order.
fn older(db: &Connection, key: Key, limit: i64) -> Result<Vec<Place>, Error> {
    let mut select =
        db.prepare_cached(&format!("SELECT {PLACE} FROM block WHERE series = ?1 AND t0 < ?2 ORDER BY t0"))?;
    let places = select.query_map(params![key as i64, limit], block::place)?;
    places.map(|place| place.map_err(Error::from)).collect()
}
