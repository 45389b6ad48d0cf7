//! Measurements that turn out to be another's: their rows leave one subject and stand at the other.
//!
//! A row that leaves keeps its place under a quality of its own ([`MOVED`]) and without its value: the same measurement told again by
//! its device does not come back to where it was. Moving it back puts it there again. Moving twice is moving once.

use std::sync::{PoisonError, RwLock};

use model::Reading;
use rusqlite::Connection;

use super::admit::{Admitted, Found, sealed};
use super::heads::Heads;
use super::origins;
use super::row::{Key, MOVED, Row, key_of};
use super::state::State;
use super::{Error, Moved, Placed};

/// Adds what the moves change to a write, after its ordinary rows.
pub(super) fn admit_moves(
    db: &Connection,
    state: &mut State,
    heads: &RwLock<Heads>,
    moves: &[Moved],
    admitted: &mut Admitted,
) -> Result<(), Error> {
    for moved in moves.iter().filter(|moved| moved.from != moved.to) {
        for sample in &moved.samples {
            let row = Row::of(&Reading { subject: moved.to, device: moved.device, sample: *sample });
            let (from, to) = (key_of(moved.from, sample.metric), key_of(moved.to, sample.metric));
            // Told again, a row this old would not come back: it needs no mark. What stands there goes all the same.
            let is_old = state.limits.is_expired(from, row.at);
            let mut has_left = false;
            match stored(db, state, heads, from, row.at, admitted)? {
                (number, Found::Nothing) if !is_old => put(state, admitted, number, row.mark()),
                (number, Found::Row(known)) if row.repeats(&known) => {
                    put(state, admitted, number, known.mark());
                    has_left = true;
                }
                (_, Found::Row(known)) if known.quality == MOVED => {}
                // Another measurement of that very instant: it stays where it is.
                (_, Found::Row(_)) => admitted.written.conflict += 1,
                (_, Found::Nothing | Found::Gone) => {}
            }
            let before = admitted.rows.len();
            match stored(db, state, heads, to, row.at, admitted)? {
                (_, Found::Gone) => admitted.written.expired += 1,
                _ if is_old => admitted.written.expired += 1,
                (number, Found::Nothing) => put(state, admitted, number, row),
                (number, Found::Row(known)) if known.quality == MOVED => put(state, admitted, number, row),
                (_, Found::Row(known)) if row.repeats(&known) => admitted.written.duplicate += 1,
                (_, Found::Row(_)) => admitted.written.conflict += 1,
            }
            if has_left {
                origins::give(db, from, row.at, (admitted.rows.len() > before).then_some(to))?;
            }
        }
        admitted.written.moved += 1;
    }
    Ok(())
}

/// Adds rows as another store has them. The same measurement takes the state it has there; a row that is not here is new.
pub(super) fn admit_placed(
    db: &Connection,
    state: &mut State,
    heads: &RwLock<Heads>,
    placed: &[Placed],
    admitted: &mut Admitted,
) -> Result<(), Error> {
    for Placed { reading, moved } in placed {
        let plain = Row::of(reading);
        let row = if *moved { plain.mark() } else { plain };
        let key = key_of(reading.subject, reading.sample.metric);
        match stored(db, state, heads, key, row.at, admitted)? {
            (_, Found::Gone) => admitted.written.expired += 1,
            _ if state.limits.is_expired(key, row.at) => admitted.written.expired += 1,
            (number, Found::Nothing) => {
                put(state, admitted, number, row);
                admitted.written.stored += 1;
            }
            (_, Found::Row(known)) if row.repeats(&known) => admitted.written.duplicate += 1,
            (number, Found::Row(known)) if known.gives_way(&row) => {
                put(state, admitted, number, row);
                admitted.written.moved += 1;
                if *moved {
                    origins::give(db, key, row.at, None)?;
                }
            }
            (_, Found::Row(_)) => admitted.written.conflict += 1,
        }
    }
    Ok(())
}

fn put(state: &mut State, admitted: &mut Admitted, number: u32, row: Row) {
    // Only keeps the newest instant of the series right: whether it is new was looked up.
    state.advance(number, row.at);
    admitted.rows.push((number, row));
}

/// The series' number and its row of this instant, as it will be after what was admitted so far.
fn stored(
    db: &Connection,
    state: &mut State,
    heads: &RwLock<Heads>,
    key: Key,
    at: i64,
    admitted: &Admitted,
) -> Result<(u32, Found), Error> {
    let number = {
        let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
        let max = state.config.series_max;
        if heads.find(key).is_none() && heads.len() >= max {
            return Err(Error::TooManySeries { max });
        }
        let number = heads.find_or_add(key);
        state.tracks_for(heads.series.len());
        number
    };
    let mut same_write = admitted.rows.iter().rev();
    if let Some((_, row)) = same_write.find(|(of, row)| *of == number && row.at == at) {
        return Ok((number, Found::Row(*row)));
    }
    let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
    let unsealed = heads.series.get(number as usize).and_then(|head| head.rows.find(at));
    let found = match unsealed {
        Some(row) => Found::Row(row),
        None => sealed(db, state, &mut None, number, key, at)?,
    };
    Ok((number, found))
}
