//! The duplicate check: which rows of a write are new.
//!
//! A row newer than everything in its series is new: that is the fast path and needs no search. Any other row is
//! looked for in the same write, in the head, and in the one block that could hold its instant.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError, RwLock};

use model::Reading;
use rusqlite::Connection;

use super::Error;
use super::answer::Written;
use super::block::{self, Place};
use super::heads::Heads;
use super::limits::Keep;
use super::row::{Key, Row, Rows, key_of};
use super::state::State;

/// New rows with the numbers of their series, in the order in which they go to the log.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) rows: Vec<(u32, Row)>,
    pub(super) written: Written,
}

/// Decoded blocks for the duplicate check, the oldest entry leaving first.
#[derive(Debug, Default)]
pub(super) struct Cache {
    blocks: HashMap<i64, Arc<Rows>>,
    order: VecDeque<i64>,
    rows: usize,
}

impl Cache {
    /// Forgets everything, for when blocks were deleted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn put(&mut self, id: i64, rows: Arc<Rows>, rows_max: usize) {
        self.rows += rows.len();
        self.blocks.insert(id, rows);
        self.order.push_back(id);
        while self.rows > rows_max && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|id| self.blocks.remove(&id));
            self.rows -= oldest.map_or(0, |rows| rows.len());
        }
    }
}

/// The block the last late row fell into: a replay asks for its neighbours next.
#[derive(Debug)]
pub(super) struct Window {
    number: u32,
    t0: i64,
    t1: i64,
    rows: Arc<Rows>,
}

/// Sorts a write into new rows and known ones. Changes only `newest` of the tracks, which `state.undo` takes back.
pub(super) fn admit(
    db: &Connection,
    state: &mut State,
    heads: &RwLock<Heads>,
    readings: &[Reading],
) -> Result<Admitted, Error> {
    let mut admitted = Admitted { rows: Vec::with_capacity(readings.len()), written: Written::default() };
    let in_time = in_time(state, readings);
    admitted.written.expired = (readings.len() - in_time.len()) as u64;
    let readings = &*in_time;
    let numbers = number(state, heads, readings)?;
    let mut late = Vec::new();
    for (reading, number) in readings.iter().zip(numbers) {
        let row = Row::of(reading);
        if state.advance(number, row.at) {
            admitted.rows.push((number, row));
        } else {
            late.push((number, row));
        }
    }
    if !late.is_empty() {
        // Stable: of two rows with one instant, the first in the write stays first.
        late.sort_by_key(|(number, row)| (*number, row.at));
        admit_late(db, state, heads, &late, &mut admitted)?;
    }
    admitted.written.stored = admitted.rows.len() as u64;
    Ok(admitted)
}

/// The readings that are not older than their retention.
fn in_time<'a>(state: &State, readings: &'a [Reading]) -> Cow<'a, [Reading]> {
    let limits = &state.limits;
    let is_old = |reading: &Reading| {
        limits.is_expired(key_of(reading.subject, reading.sample.metric), reading.sample.taken_at.0)
    };
    if readings.iter().all(|reading| reading.sample.taken_at.0 >= limits.latest() || !is_old(reading)) {
        return Cow::Borrowed(readings);
    }
    readings.iter().filter(|reading| !is_old(reading)).copied().collect()
}

fn number(state: &mut State, heads: &RwLock<Heads>, readings: &[Reading]) -> Result<Vec<u32>, Error> {
    let key = |reading: &Reading| key_of(reading.subject, reading.sample.metric);
    {
        let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
        let known: Option<Vec<u32>> = readings.iter().map(|reading| heads.find(key(reading))).collect();
        if let Some(known) = known {
            return Ok(known);
        }
    }
    let mut heads = heads.write().unwrap_or_else(PoisonError::into_inner);
    let max = state.config.series_max;
    let numbers: Result<Vec<u32>, Error> = readings
        .iter()
        .map(|reading| match heads.find(key(reading)) {
            Some(known) => Ok(known),
            None if heads.len() >= max => Err(Error::TooManySeries { max }),
            None => Ok(heads.find_or_add(key(reading))),
        })
        .collect();
    state.tracks_for(heads.series.len());
    numbers
}

fn admit_late(
    db: &Connection,
    state: &mut State,
    heads: &RwLock<Heads>,
    late: &[(u32, Row)],
    admitted: &mut Admitted,
) -> Result<(), Error> {
    let involved: HashSet<u32> = late.iter().map(|(number, _)| *number).collect();
    let fast = admitted.rows.iter().filter(|(number, _)| involved.contains(number));
    let mut same_write: HashMap<(u32, i64), Row> = fast.map(|(number, row)| ((*number, row.at), *row)).collect();
    let heads = heads.read().unwrap_or_else(PoisonError::into_inner);
    let mut window = None;
    for (number, row) in late {
        let Some(head) = heads.series.get(*number as usize) else { continue };
        let stored = same_write.get(&(*number, row.at)).copied().or_else(|| head.rows.find(row.at));
        let stored = match stored {
            Some(row) => Found::Row(row),
            None => sealed(db, state, &mut window, *number, head.key, row.at)?,
        };
        match stored {
            Found::Row(known) if row.repeats(&known) => admitted.written.duplicate += 1,
            Found::Row(_) => admitted.written.conflict += 1,
            Found::Gone => admitted.written.expired += 1,
            Found::Nothing => {
                same_write.insert((*number, row.at), *row);
                admitted.rows.push((*number, *row));
            }
        }
    }
    Ok(())
}

/// What is known of an instant of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Found {
    Row(Row),
    Nothing,
    /// It lies in a time of which only rollups are kept.
    Gone,
}

impl Found {
    fn of(row: Option<Row>) -> Self {
        row.map_or(Self::Nothing, Self::Row)
    }
}

/// The sealed row of this instant.
pub(super) fn sealed(
    db: &Connection,
    state: &mut State,
    window: &mut Option<Window>,
    number: u32,
    key: Key,
    at: i64,
) -> Result<Found, Error> {
    if let Some(seen) = window.as_ref().filter(|w| w.number == number && (w.t0..=w.t1).contains(&at)) {
        return Ok(Found::of(seen.rows.find(at)));
    }
    let Some(place) = place_of(db, state, number, key, at)? else { return Ok(Found::Nothing) };
    if place.kept != Keep::Rows {
        return Ok(Found::Gone);
    }
    let rows = if let Some(rows) = state.cache.blocks.get(&place.id) {
        Arc::clone(rows)
    } else {
        match block::load(db, &place) {
            Ok(rows) => {
                let rows = Arc::new(rows);
                state.cache.put(place.id, Arc::clone(&rows), state.config.cache_rows_max);
                rows
            }
            Err(Error::Corrupt { what }) => {
                // The row cannot be compared. Keeping it twice is better than losing it.
                tracing::error!(what, "a damaged block of readings cannot be checked for duplicates");
                return Ok(Found::Nothing);
            }
            Err(other) => return Err(other),
        }
    };
    let found = Found::of(rows.find(at));
    if let (Found::Nothing, Some((after, until))) = (found, rows.around(at)) {
        // What waited through an outage comes into the hole that it left, and the block need not be read for each write.
        state.remember_clear(number, after, until);
    }
    *window = Some(Window { number, t0: place.t0, t1: place.t1, rows });
    Ok(found)
}

/// The block whose range holds this instant, asked of the file only when the last answer does not do.
fn place_of(db: &Connection, state: &mut State, number: u32, key: Key, at: i64) -> Result<Option<Place>, Error> {
    if state.is_clear(number, at) {
        return Ok(None);
    }
    if let Some(near) = state.near(number, at) {
        return Ok(Some(near));
    }
    let before = block::before(db, key, at, 1)?.first().copied();
    if let Some(place) = before.filter(|place| place.t1 >= at) {
        state.remember_near(number, place);
        return Ok(Some(place));
    }
    let after = before.map_or(i64::MIN, |place| place.t1);
    let until = block::next_start(db, key, at)?.unwrap_or(i64::MAX);
    state.remember_clear(number, after, until);
    Ok(None)
}
