//! A sealed block: rows of one series as compressed columns, with a checksum, a summary and rollups.
//!
//! `data` is one byte of form (1), a varint row count, then the columns time, value, quality, device (`column.rs`).
//! The value column repeats the last value where a row has none, because that packs best; the quality says which rows
//! those are. `crc` is CRC-32C over `data` followed by `side`.
//!
//! Blocks of one series never overlap in time, and a block is only ever replaced by one that holds all its rows.

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::Error;
use super::column::{put_floats, put_ints, put_varint, take_byte, take_count, take_floats, take_ints};
use super::config::Config;
use super::digest::{Cell, Digest, Point};
use super::kept::{self, Kept};
use super::limits::Keep;
use super::row::{Key, Kind, Rows, kind};
use super::side::{self, Level};

/// Where a block is and what it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i64,
    /// First and last row, microseconds, both inclusive.
    pub(super) t0: i64,
    pub(super) t1: i64,
    pub(super) n: usize,
    /// Stored bytes of `data` and `side`.
    pub(super) bytes: i64,
    /// `Rows`, or what is left of them: then `n` is 0 and the block has no `data`.
    pub(super) kept: Keep,
}

/// The columns of a [`Place`].
pub(super) const PLACE: &str = "id, t0, t1, n, bytes, kept";

pub(super) fn place(row: &SqlRow<'_>) -> rusqlite::Result<Place> {
    let kept: i64 = row.get(5)?;
    Ok(Place {
        id: row.get(0)?,
        t0: row.get(1)?,
        t1: row.get(2)?,
        n: row.get::<_, i64>(3)? as usize,
        bytes: row.get(4)?,
        kept: Keep::from_column(kept).ok_or(rusqlite::Error::IntegralValueOutOfRange(5, kept))?,
    })
}

pub(super) fn encode(rows: &Rows) -> Result<Vec<u8>, Error> {
    let mut out = vec![1];
    put_varint(&mut out, rows.len() as u64);
    put_ints(&mut out, rows.times())?;
    let qualities = rows.qualities();
    let mut values = rows.values().to_vec();
    let mut last = 0.0;
    for (value, quality) in values.iter_mut().zip(&qualities) {
        if kind(*quality as u8) == Kind::Absent {
            *value = last;
        }
        last = *value;
    }
    put_floats(&mut out, &values)?;
    put_ints(&mut out, &qualities)?;
    put_ints(&mut out, &rows.devices())?;
    Ok(out)
}

pub(super) fn decode(mut input: &[u8]) -> Result<Rows, Error> {
    let input = &mut input;
    if take_byte(input)? != 1 {
        return Err(Error::corrupt("a block of unknown form"));
    }
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    let (at, value) = (take_ints(input, n)?, take_floats(input, n)?);
    let (quality, device) = (take_ints(input, n)?, take_ints(input, n)?);
    Rows::from_columns(at, value, &quality, &device)
}

pub(super) fn checksum(data: &[u8], side: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(data), side)
}

/// Stores rows as a new block; returns its bytes. `stream` as in [`Digest::of`].
pub(super) fn insert(db: &Connection, id: i64, key: Key, stream: bool, rows: &Rows) -> Result<i64, Error> {
    let (Some(t0), Some(t1)) = (rows.first_at(), rows.last_at()) else { return Ok(0) };
    let digest = Digest::of(rows, stream);
    let (data, side) = (encode(rows)?, side::encode(rows, &digest)?);
    let bytes = (data.len() + side.len()) as i64;
    put(db, key, &Place { id, t0, t1, n: rows.len(), bytes, kept: Keep::Rows }, &digest, &side, &data)?;
    Ok(bytes)
}

/// Stores what is left of rows as a new block.
pub(super) fn insert_kept(db: &Connection, id: i64, key: Key, kept: &Kept) -> Result<(), Error> {
    let side = side::encode_kept(&kept.digest, &kept.cells, kept::width(kept.keep))?;
    let place = Place { id, t0: kept.t0, t1: kept.t1, n: 0, bytes: side.len() as i64, kept: kept.keep };
    put(db, key, &place, &kept.digest, &side, &[])
}

/// Stores a block as it is told.
pub(super) fn put(
    db: &Connection,
    key: Key,
    place: &Place,
    digest: &Digest,
    side: &[u8],
    data: &[u8],
) -> Result<(), Error> {
    let mut insert = db.prepare_cached(
        "INSERT INTO block(id, series, t0, t1, n, bytes, judged, sum, lo, hi, first_at, first, last_at, last, crc, side, data,
         kept) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18)",
    )?;
    let (total, first, last) = (digest.total, digest.first, digest.last);
    insert.execute(params![
        place.id,
        key as i64,
        place.t0,
        place.t1,
        place.n as i64,
        place.bytes,
        total.map_or(0, |c| c.n as i64),
        total.map(|c| c.sum),
        total.map(|c| c.min),
        total.map(|c| c.max),
        first.map(|p| p.at),
        first.map(|p| p.value),
        last.map(|p| p.at),
        last.map(|p| p.value),
        checksum(data, side),
        side,
        data,
        place.kept as i64,
    ])?;
    Ok(())
}

/// Decodes a block after checking its checksum, count and range. Empty when its rows are too old to be kept.
pub(super) fn load(db: &Connection, place: &Place) -> Result<Rows, Error> {
    if place.kept != Keep::Rows {
        return Ok(Rows::default());
    }
    let mut select = db.prepare_cached("SELECT crc, side, data FROM block WHERE id = ?1")?;
    select
        .query_row([place.id], |row| {
            let (crc, side, data) = (row.get::<_, u32>(0)?, row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_blob()?);
            Ok(check(crc, side, data, place))
        })
        .optional()?
        .unwrap_or_else(|| Err(Error::corrupt(format!("block {} is missing", place.id))))
}

fn check(crc: u32, side: &[u8], data: &[u8], place: &Place) -> Result<Rows, Error> {
    let named = |what: &str| Error::corrupt(format!("block {}: {what}", place.id));
    if checksum(data, side) != crc {
        return Err(named("the checksum differs"));
    }
    let rows = decode(data)?;
    let fits = rows.len() == place.n && rows.first_at() == Some(place.t0) && rows.last_at() == Some(place.t1);
    if fits { Ok(rows) } else { Err(named("rows and summary differ")) }
}

/// Digest of a block with its summary, and the rollup of `level` if it was stored.
pub(super) fn summary(db: &Connection, id: i64, level: Option<Level>) -> Result<(Digest, Option<Vec<Cell>>), Error> {
    let mut select =
        db.prepare_cached("SELECT judged, sum, lo, hi, first_at, first, last_at, last, side FROM block WHERE id = ?1")?;
    select.query_row([id], |row| {
        let digest = columns(row)?;
        let decoded = side::decode(row.get_ref(8)?.as_blob()?, level);
        Ok(decoded.map(|(decoded, cells)| {
            (Digest { total: digest.total, first: digest.first, last: digest.last, ..decoded }, cells)
        }))
    })?
}

/// Summary and `side` of a block that has no rows any more, after checking the checksum.
pub(super) fn kept(db: &Connection, place: &Place) -> Result<(Digest, Vec<u8>), Error> {
    let mut select = db.prepare_cached(
        "SELECT judged, sum, lo, hi, first_at, first, last_at, last, side, crc, data FROM block WHERE id = ?1",
    )?;
    let (digest, side, sound) = select.query_row([place.id], |row| {
        let (side, data): (Vec<u8>, _) = (row.get(8)?, row.get_ref(10)?.as_blob()?);
        let sound = data.is_empty() && checksum(data, &side) == row.get::<_, u32>(9)?;
        Ok((columns(row)?, side, sound))
    })?;
    if sound { Ok((digest, side)) } else { Err(Error::corrupt(format!("block {}: the checksum differs", place.id))) }
}

/// Count, sum, range, first and last value of a block.
pub(super) fn columns_of(db: &Connection, id: i64) -> Result<Digest, Error> {
    let mut select =
        db.prepare_cached("SELECT judged, sum, lo, hi, first_at, first, last_at, last FROM block WHERE id = ?1")?;
    Ok(select.query_row([id], columns)?)
}

/// The part of a digest that has columns of its own.
fn columns(row: &SqlRow<'_>) -> rusqlite::Result<Digest> {
    let n = row.get::<_, i64>(0)? as u64;
    if n == 0 {
        return Ok(Digest::default());
    }
    Ok(Digest {
        total: Some(Cell { start: 0, n, sum: row.get(1)?, min: row.get(2)?, max: row.get(3)? }),
        first: Some(Point { at: row.get(4)?, value: row.get(5)? }),
        last: Some(Point { at: row.get(6)?, value: row.get(7)? }),
        ..Digest::default()
    })
}

/// Blocks of a series that hold some instant of `from <= at < to`, in time order.
pub(super) fn overlapping(db: &Connection, key: Key, from: i64, to: i64) -> Result<Vec<Place>, Error> {
    let start = before(db, key, from, 1)?.first().map_or(from, |place| place.t0);
    let mut select = db
        .prepare_cached(&format!("SELECT {PLACE} FROM block WHERE series = ?1 AND t0 >= ?2 AND t0 < ?3 ORDER BY t0"))?;
    let places = select.query_map(params![key as i64, start, to], place)?;
    places
        .filter(|found| found.as_ref().map_or(true, |place| place.t1 >= from))
        .map(|p| p.map_err(Error::from))
        .collect()
}

/// Up to `count` blocks of a series that begin at or before `at`, the latest first.
pub(super) fn before(db: &Connection, key: Key, at: i64, count: usize) -> Result<Vec<Place>, Error> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {PLACE} FROM block WHERE series = ?1 AND t0 <= ?2 ORDER BY t0 DESC LIMIT ?3"
    ))?;
    let places = select.query_map(params![key as i64, at, count as i64], place)?;
    places.map(|found| found.map_err(Error::from)).collect()
}

/// Where the first block after `at` begins.
pub(super) fn next_start(db: &Connection, key: Key, at: i64) -> Result<Option<i64>, Error> {
    let mut select = db.prepare_cached("SELECT min(t0) FROM block WHERE series = ?1 AND t0 > ?2")?;
    Ok(select.query_row(params![key as i64, at], |row| row.get(0))?)
}

pub(super) fn delete(db: &Connection, id: i64) -> Result<(), Error> {
    db.prepare_cached("DELETE FROM block WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Puts a damaged block out of the way, bytes and all, so that writing can go on and nothing is overwritten.
pub(super) fn move_aside(db: &Connection, id: i64) -> Result<(), Error> {
    db.execute("INSERT INTO bad_block SELECT * FROM block WHERE id = ?1", [id])?;
    delete(db, id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::row::Row;
    use model::Quality;

    #[test]
    fn rows_come_back_with_quality_and_device() {
        let mut rows = Rows::default();
        for i in 0..500_i64 {
            let absent = i % 7 == 0;
            let quality = if absent { Quality::SensorOff } else { Quality::Motion };
            let value = if absent { 0.0 } else { i as f64 / 10.0 };
            rows.insert(Row { at: i * 1_000, value, device: (i % 3) as u32, quality: quality.id() });
        }
        let back = decode(&encode(&rows).unwrap()).unwrap();
        assert_eq!(back.iter().collect::<Vec<_>>(), rows.iter().collect::<Vec<_>>());
    }

    #[test]
    fn constant_columns_cost_nothing() {
        let mut rows = Rows::default();
        for i in 0..4_096_i64 {
            rows.insert(Row { at: i * 1_000_000, value: 36.5, device: 9, quality: 0 });
        }
        assert!(encode(&rows).unwrap().len() < 100);
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic() {
        let mut rows = Rows::default();
        (0..100_i64).for_each(|i| assert!(rows.insert(Row { at: i * i, value: 1.5, device: 1, quality: 0 })));
        let good = encode(&rows).unwrap();
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "{end}");
        }
    }
}
