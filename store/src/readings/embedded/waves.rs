//! Waveforms: blocks of samples as the gateway cut them, one row each, beside the log in the transaction of their write.
//!
//! A block is keyed by (subject, metric, device, lead, start); the first one stays, so any write may be repeated. Counts
//! are packed like every other column of integers. Reading answers two questions: where there is something, and what the
//! samples of a short window are.

use model::extra::{COUNTS_MAX, Rate};
use model::{DeviceId, Metric, Subject, Time, Waveform};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::Moved;
use super::answer::Series;
use super::column;
use super::stretch::{BLOCKS_MAX, Joiner};
use super::wave::{BLOCK_US_MAX, Stretches, Wave, WavePlace, WavesWritten, problem};

/// Samples of one window, at most: a minute of sixteen leads at 1 kHz.
const SAMPLES_MAX: usize = 1_000_000;
pub(super) const TABLES: &str = "
CREATE TABLE waveform(id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, metric INTEGER NOT NULL, device INTEGER NOT NULL,
  lead INTEGER NOT NULL, t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, samples INTEGER NOT NULL, seconds INTEGER NOT NULL,
  scale REAL NOT NULL, \"offset\" REAL NOT NULL, n INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX waveform_block ON waveform(subject, metric, device, lead, t0);
CREATE INDEX waveform_span ON waveform(subject, metric, t0, t1, device, lead);
";

/// Stores blocks; those that end before `limit` are too old.
pub(super) fn put(db: &Connection, waves: &[Wave], limit: i64) -> Result<WavesWritten, Error> {
    let mut written = WavesWritten::default();
    let mut insert = db.prepare_cached(
        "INSERT INTO waveform(subject, metric, device, lead, t0, t1, samples, seconds, scale, \"offset\", n, crc, data)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
    )?;
    for Wave { subject, device, block } in waves {
        if problem(block).is_some() {
            written.refused += 1;
            continue;
        }
        if block.end().0 < limit {
            written.expired += 1;
            continue;
        }
        let data = pack(&block.counts)?;
        let new = insert.execute(params![
            subject.to_u32(),
            block.metric.id(),
            device.0,
            block.lead,
            block.start.0,
            block.end().0,
            block.rate.samples,
            block.rate.seconds,
            block.scale,
            block.offset,
            block.counts.len() as i64,
            crc32c::crc32c(&data),
            data,
        ])?;
        if new == 0 {
            written.duplicate += 1;
        } else {
            written.stored += 1;
            written.samples += block.counts.len() as u64;
        }
    }
    Ok(written)
}

/// The blocks of a measurement that is another's now.
pub(super) fn give(db: &Connection, moved: &Moved, limit: i64) -> Result<(), Error> {
    let place = "device = ?2 AND metric = ?3 AND lead = ?4 AND t0 = ?5";
    let mut update =
        db.prepare_cached(&format!("UPDATE OR IGNORE waveform SET subject = ?6 WHERE subject = ?1 AND {place}"))?;
    let mut delete = db.prepare_cached(&format!("DELETE FROM waveform WHERE subject = ?1 AND {place}"))?;
    for block in &moved.waveforms {
        let (from, device, metric) = (moved.from.to_u32(), moved.device.0, block.metric.id());
        update.execute(params![from, device, metric, block.lead, block.start.0, moved.to.to_u32()])?;
        // It was there already: the same block stays where it belongs, once.
        delete.execute(params![from, device, metric, block.lead, block.start.0])?;
        put(db, &[Wave { subject: moved.to, device: moved.device, block: block.clone() }], limit)?;
    }
    Ok(())
}

fn pack(counts: &[i16]) -> Result<Vec<u8>, Error> {
    let wide: Vec<i64> = counts.iter().map(|count| i64::from(*count)).collect();
    let mut data = Vec::with_capacity(2 * counts.len());
    column::put_ints(&mut data, &wide)?;
    Ok(data)
}

fn unpack(mut data: &[u8], n: usize, crc: u32) -> Result<Vec<i16>, Error> {
    if n > COUNTS_MAX || crc32c::crc32c(data) != crc {
        return Err(Error::corrupt("a waveform block: the checksum differs"));
    }
    let narrow =
        |count: i64| i16::try_from(count).map_err(|_| Error::corrupt("a waveform block: a count beyond 16 bits"));
    column::take_ints(&mut data, n)?.into_iter().map(narrow).collect()
}

/// Where there is something with `from <= time < to`; stretches are cut to the window.
pub(super) fn stretches(
    db: &Connection,
    (subject, metric): (Subject, Metric),
    (from, to): (Time, Time),
    limit: usize,
) -> Result<Stretches, Error> {
    let mut select = db.prepare_cached(
        "SELECT t0, t1, device, lead FROM waveform INDEXED BY waveform_span
         WHERE subject = ?1 AND metric = ?2 AND t0 >= ?3 AND t0 < ?4 AND t1 > ?5
         ORDER BY t0 DESC, t1 DESC, device DESC, lead DESC LIMIT ?6",
    )?;
    let look_from = from.plus_us(-BLOCK_US_MAX);
    let key = params![subject.to_u32(), metric.id(), look_from.0, to.0, from.0, BLOCKS_MAX as i64 + 1];
    let mut rows = select.query(key)?;
    let mut joiner = Joiner::new((from, to), limit);
    while let Some(row) = rows.next()? {
        let span = (Time(row.get(0)?), Time(row.get(1)?));
        if !joiner.add(span, DeviceId(row.get(2)?), row.get(3)?) {
            break;
        }
    }
    Ok(joiner.finish())
}

/// Blocks that hold some instant with `from <= time < to`, whole, by start.
pub(super) fn window(
    db: &Connection,
    (subject, metric): (Subject, Metric),
    (from, to): (Time, Time),
) -> Result<Vec<Wave>, Error> {
    let mut select = db.prepare_cached(
        "SELECT device, lead, t0, samples, seconds, scale, \"offset\", n, crc, data FROM waveform
         WHERE subject = ?1 AND metric = ?2 AND t0 >= ?3 AND t0 < ?4 AND t1 > ?5 ORDER BY t0, device, lead",
    )?;
    let look_from = from.plus_us(-BLOCK_US_MAX);
    let mut rows = select.query(params![subject.to_u32(), metric.id(), look_from.0, to.0, from.0])?;
    let (mut found, mut samples) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        samples += row.get::<_, i64>(7)?.max(0) as usize;
        if samples > SAMPLES_MAX {
            return Err(Error::TooMuch { max: SAMPLES_MAX });
        }
        found.push(wave(row, (subject, metric))?);
    }
    Ok(found)
}

/// A block out of a row of: device, lead, t0, samples, seconds, scale, offset, n, crc, data.
fn wave(row: &Row<'_>, (subject, metric): (Subject, Metric)) -> Result<Wave, Error> {
    let n = row.get::<_, i64>(7)?.max(0) as usize;
    let data = row.get_ref(9)?.as_blob().map_err(rusqlite::Error::from)?;
    let rate = Rate::new(row.get(3)?, row.get(4)?).ok_or_else(|| Error::corrupt("a waveform block: its rate"))?;
    let (lead, start, scale, offset) = (row.get(1)?, Time(row.get(2)?), row.get(5)?, row.get(6)?);
    let counts = unpack(data, n, row.get(8)?)?;
    let block = Waveform { metric, lead, start, rate, scale, offset, counts };
    Ok(Wave { subject, device: DeviceId(row.get(0)?), block })
}

/// Series with blocks and how many, in the order of (subject, metric). A metric that is not known is left out.
pub(super) fn series(db: &Connection, after: Option<(Subject, Metric)>, limit: usize) -> Result<Vec<Series>, Error> {
    let mut select = db.prepare_cached(
        "SELECT subject, metric, count(*) FROM waveform WHERE (subject, metric) > (?1, ?2)
         GROUP BY subject, metric ORDER BY subject, metric LIMIT ?3",
    )?;
    let (subject, metric) =
        after.map_or((-1, -1), |(subject, metric)| (i64::from(subject.to_u32()), i64::from(metric.id())));
    let mut rows = select.query(params![subject, metric, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some(metric) = Metric::from_id(row.get(1)?) else { continue };
        let subject = Subject::from_u32(row.get(0)?);
        found.push(Series { subject, metric, rows: row.get::<_, i64>(2)?.max(0) as u64 });
    }
    Ok(found)
}

/// Blocks of a series after a place, in the order of places.
pub(super) fn page(
    db: &Connection,
    (subject, metric): (Subject, Metric),
    after: Option<WavePlace>,
    limit: usize,
) -> Result<Vec<Wave>, Error> {
    let mut select = db.prepare_cached(
        "SELECT device, lead, t0, samples, seconds, scale, \"offset\", n, crc, data FROM waveform
         WHERE subject = ?1 AND metric = ?2 AND (device, lead, t0) > (?3, ?4, ?5) ORDER BY device, lead, t0 LIMIT ?6",
    )?;
    let (device, lead, start) =
        after.map_or((-1, -1, i64::MIN), |at| (i64::from(at.device.0), i64::from(at.lead), at.start.0));
    let mut rows = select.query(params![subject.to_u32(), metric.id(), device, lead, start, limit as i64])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(wave(row, (subject, metric))?);
    }
    Ok(found)
}

/// The kind of waveform after this one, in the order of (subject, metric).
pub(super) fn after(db: &Connection, last: Option<(u32, u16)>) -> Result<Option<(u32, u16)>, Error> {
    let (subject, metric) = last.map_or((-1, -1), |(subject, metric)| (i64::from(subject), i64::from(metric)));
    let mut select = db.prepare_cached(
        "SELECT subject, metric FROM waveform WHERE (subject, metric) > (?1, ?2) ORDER BY subject, metric LIMIT 1",
    )?;
    Ok(select.query_row([subject, metric], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Deletes the oldest blocks of a kind that end before `limit`, at most `count`; returns how many.
pub(super) fn expire(db: &Connection, (subject, metric): (u32, u16), limit: i64, count: u64) -> Result<u64, Error> {
    let mut delete = db.prepare_cached(
        "DELETE FROM waveform WHERE id IN (SELECT id FROM waveform INDEXED BY waveform_span
         WHERE subject = ?1 AND metric = ?2 AND t0 < ?3 AND t1 < ?3 ORDER BY t0 LIMIT ?4)",
    )?;
    Ok(delete.execute(params![subject, metric, limit, count as i64])? as u64)
}

/// Deletes blocks of one subject, at most `count`; returns how many.
pub(super) fn forget(db: &Connection, subject: u32, count: u64) -> Result<u64, Error> {
    let mut delete =
        db.prepare_cached("DELETE FROM waveform WHERE id IN (SELECT id FROM waveform WHERE subject = ?1 LIMIT ?2)")?;
    Ok(delete.execute(params![subject, count as i64])? as u64)
}

/// Blocks and samples stored.
pub(super) fn totals(db: &Connection) -> Result<(u64, u64), Error> {
    let sums = db.query_row("SELECT count(*), coalesce(sum(n), 0) FROM waveform", [], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    Ok((sums.0.max(0) as u64, sums.1.max(0) as u64))
}

/// Reads every block; one sentence per damaged one.
pub(super) fn check(db: &Connection, defects_max: usize, defects: &mut Vec<String>) -> Result<(), Error> {
    let mut select = db.prepare("SELECT id, n, crc, data FROM waveform")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let data = row.get_ref(3)?.as_blob().map_err(rusqlite::Error::from)?;
        if unpack(data, row.get::<_, i64>(1)?.max(0) as usize, row.get(2)?).is_err() {
            defects.push(format!("waveform block {} is damaged", row.get::<_, i64>(0)?));
        }
        if defects.len() >= defects_max {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_and_damage_is_noticed() {
        let counts: Vec<i16> =
            (0..1_800_i32).map(|i| (i * 37 % 901 - 450) as i16).chain([i16::MIN, i16::MAX]).collect();
        let data = pack(&counts).unwrap();
        let crc = crc32c::crc32c(&data);
        assert_eq!(unpack(&data, counts.len(), crc).unwrap(), counts);
        for end in 0..data.len() {
            assert!(unpack(&data[..end], counts.len(), crc).is_err());
        }
        assert!(unpack(&data, counts.len() + 1, crc).is_err());
    }
}
