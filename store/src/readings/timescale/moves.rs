//! Measurements that turn out to be another's (`readings/moving.rs`), as rows: the stored rows of all instants concerned are read
//! in one question, the moves are played through in their order, and what changed is written in one statement.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::ClientWrapper;

use super::columns::{Columns, Parcel};
use super::limits::Limits;
use super::link::Link;
use super::memory::Change;
use super::row::{Key, MOVED, Row, key_of};
use super::types::Micros;
use super::{Error, Moved, Placed, Reading, Written, beside};

const STORED: &str = "SELECT r.subject, r.metric, r.ts, r.value, r.device, r.quality
  FROM unnest($1::int8[], $2::int4[], $3::timestamptz[]) AS s(subject, metric, ts)
  JOIN reading r ON r.subject = s.subject AND r.metric = s.metric AND r.ts = s.ts WHERE r.ts BETWEEN $4 AND $5";
const PUT: &str = "INSERT INTO reading (ts, value, subject, device, metric, quality)
  SELECT * FROM unnest($1::timestamptz[], $2::float8[], $3::int8[], $4::int8[], $5::int4[], $6::int2[])
  ON CONFLICT (subject, metric, ts) DO UPDATE SET value = excluded.value, device = excluded.device, quality = excluded.quality";
const NEWEST: &str = "SELECT ts, value, device, quality FROM reading
  WHERE subject = $1 AND metric = $2 AND quality <> 255 ORDER BY ts DESC LIMIT 1";

type Place = (Key, i64);

/// What moves changed.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Rows as they stand now.
    pub(super) rows: Columns,
    /// Of these, how many had no row at their instant before.
    pub(super) added: usize,
}

/// A row left its subject: what its device wrote goes along, or goes for good where the row found no place.
#[derive(Clone, Copy, Debug)]
struct Left {
    from: Place,
    to: Option<Place>,
}

/// Carries out the moves, then places rows as another store has them; counts both.
pub(super) async fn apply(
    db: &ClientWrapper,
    parcel: &Parcel,
    limits: &Limits,
    written: &mut Written,
) -> Result<Carried, Error> {
    let Parcel { moves, placed, .. } = parcel;
    let mut known = stored(db, &places(moves, placed)).await?;
    let before: BTreeSet<Place> = known.keys().copied().collect();
    let mut changed = BTreeSet::new();
    let mut left = Vec::new();
    let mut scene = Scene { limits, known: &mut known, changed: &mut changed, left: &mut left, written };
    scene.carry(moves);
    scene.put_placed(placed);
    for Left { from, to } in left {
        beside::give_origin(db, from, to.map(|(key, _)| key)).await?;
    }
    let mut carried = Carried { rows: Columns::default(), added: changed.difference(&before).count() };
    for place in &changed {
        if let Some(row) = known.get(place) {
            carried.rows.push(place.0, row);
        }
    }
    put(db, &carried.rows).await?;
    Ok(carried)
}

/// The rows that moves concern, and what becomes of them.
struct Scene<'a> {
    limits: &'a Limits,
    known: &'a mut BTreeMap<Place, Row>,
    changed: &'a mut BTreeSet<Place>,
    /// In the order in which it happened.
    left: &'a mut Vec<Left>,
    written: &'a mut Written,
}

impl Scene<'_> {
    fn put(&mut self, place: Place, row: Row) {
        self.known.insert(place, row);
        self.changed.insert(place);
    }

    fn carry(&mut self, moves: &[Moved]) {
        for moved in moves.iter().filter(|moved| moved.from != moved.to) {
            for sample in &moved.samples {
                let row = Row::of(&Reading { subject: moved.to, device: moved.device, sample: *sample });
                let at = |subject| (key_of(subject, sample.metric), row.at);
                let is_old = self.limits.is_expired(at(moved.from).0, row.at);
                let has_left = self.leave(at(moved.from), row, is_old);
                let has_arrived = self.arrive(at(moved.to), row, is_old);
                if has_left {
                    self.left.push(Left { from: at(moved.from), to: has_arrived.then(|| at(moved.to)) });
                }
            }
            self.written.moved += 1;
        }
    }

    /// Told again, a row that is too old would not come back: it needs no mark. What stands there goes all the same.
    /// True when it stood there.
    fn leave(&mut self, place: Place, row: Row, is_old: bool) -> bool {
        match self.known.get(&place).copied() {
            None if is_old => {}
            None => self.put(place, row.mark()),
            Some(there) if row.repeats(&there) => {
                self.put(place, there.mark());
                return true;
            }
            Some(there) if there.quality == MOVED => {}
            // Another measurement of that very instant: it stays where it is.
            Some(_) => self.written.conflict += 1,
        }
        false
    }

    /// True when it stands there now and did not before.
    fn arrive(&mut self, place: Place, row: Row, is_old: bool) -> bool {
        match self.known.get(&place).copied() {
            _ if is_old => self.written.expired += 1,
            Some(there) if there.quality != MOVED && row.repeats(&there) => self.written.duplicate += 1,
            Some(there) if there.quality != MOVED => self.written.conflict += 1,
            _ => {
                self.put(place, row);
                return true;
            }
        }
        false
    }

    fn put_placed(&mut self, placed: &[Placed]) {
        for Placed { reading, moved } in placed {
            let plain = Row::of(reading);
            let row = if *moved { plain.mark() } else { plain };
            let place = (key_of(reading.subject, reading.sample.metric), row.at);
            match self.known.get(&place) {
                _ if self.limits.is_expired(place.0, row.at) => self.written.expired += 1,
                None => {
                    self.put(place, row);
                    self.written.stored += 1;
                }
                Some(there) if row.repeats(there) => self.written.duplicate += 1,
                Some(there) if there.gives_way(&row) => {
                    if *moved {
                        self.left.push(Left { from: place, to: None });
                    }
                    self.put(place, row);
                    self.written.moved += 1;
                }
                Some(_) => self.written.conflict += 1,
            }
        }
    }
}

fn places(moves: &[Moved], placed: &[Placed]) -> BTreeSet<Place> {
    let mut places = BTreeSet::new();
    for moved in moves.iter().filter(|moved| moved.from != moved.to) {
        for sample in &moved.samples {
            let at = |subject| (key_of(subject, sample.metric), sample.taken_at.0);
            places.extend([at(moved.from), at(moved.to)]);
        }
    }
    let of = |reading: &Reading| (key_of(reading.subject, reading.sample.metric), reading.sample.taken_at.0);
    places.extend(placed.iter().map(|placed| of(&placed.reading)));
    places
}

async fn stored(db: &ClientWrapper, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, Row>, Error> {
    let subjects: Vec<i64> = places.iter().map(|(key, _)| (key >> 16) as i64).collect();
    let metrics: Vec<i32> = places.iter().map(|(key, _)| (key & 0xffff) as i32).collect();
    let times: Vec<Micros> = places.iter().map(|(_, at)| Micros(*at)).collect();
    let (Some(first), Some(last)) = (times.iter().min().copied(), times.iter().max().copied()) else {
        return Ok(BTreeMap::new());
    };
    let statement = db.prepare_cached(STORED).await?;
    let found = db.query(&statement, &[&subjects, &metrics, &times, &first, &last]).await?;
    let place = |row: &tokio_postgres::Row| {
        let (key, row) = super::memory::series_row(row)?;
        Ok(((key, row.at), row))
    };
    found.iter().map(place).collect()
}

async fn put(db: &ClientWrapper, rows: &Columns) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let Columns { at, value, subject, device, metric, quality } = rows;
    let statement = db.prepare_cached(PUT).await?;
    db.execute(&statement, &[at, value, subject, device, metric, quality]).await?;
    Ok(())
}

/// What the moves make the newest reading of their series, for memory and table `latest`.
pub(super) async fn newest(
    link: &Link,
    db: &ClientWrapper,
    carried: &Carried,
    change: &mut Change,
) -> Result<(), Error> {
    let mut ask = BTreeSet::new();
    for (key, row) in (0..carried.rows.len()).map(|i| carried.rows.get(i)) {
        let now = change.newest.get(&key).copied().unwrap_or_else(|| link.memory().newest(key));
        if now.is_some_and(|now| now.at <= row.at) || (now.is_none() && row.quality != MOVED) {
            ask.insert(key);
        }
    }
    let statement = db.prepare_cached(NEWEST).await?;
    for key in ask {
        let (subject, metric) = ((key >> 16) as i64, (key & 0xffff) as i32);
        let found = db.query_opt(&statement, &[&subject, &metric]).await?;
        let row = found.map(|row| super::memory::row_at(&row, 0)).transpose()?;
        change.newest.insert(key, row);
        // Written although it may be older than what stands there.
        change.save.extend(row.map(|row| (key, row)));
    }
    Ok(())
}
