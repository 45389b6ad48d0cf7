//! What is stored beside rows: blocks of waveforms, and origins.

use std::collections::HashSet;

use deadpool_postgres::ClientWrapper;

use super::columns::Parcel;
use super::row::Key;
use super::types::Micros;
use super::{Error, Moved, Original, Subject, Wave, WavesWritten};

const WAVES: &str = "INSERT INTO waveform (ts, ts_end, subject, device, lead, crc, scale, zero, metric, samples, seconds, n, data)
  SELECT * FROM unnest($1::timestamptz[], $2::timestamptz[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::float8[],
    $8::float8[], $9::int4[], $10::int4[], $11::int4[], $12::int4[], $13::bytea[])
  ON CONFLICT DO NOTHING RETURNING n";
/// The block of a measurement goes to another subject, unless that one has it already.
const GIVE: &str = "WITH gone AS (DELETE FROM waveform WHERE subject = $1 AND metric = $3 AND ts = $4 AND device = $5 AND lead = $6
    RETURNING ts, ts_end, device, lead, crc, scale, zero, metric, samples, seconds, n, data)
  INSERT INTO waveform (ts, ts_end, subject, device, lead, crc, scale, zero, metric, samples, seconds, n, data)
  SELECT ts, ts_end, $2, device, lead, crc, scale, zero, metric, samples, seconds, n, data FROM gone ON CONFLICT DO NOTHING";
const ORIGINS: &str = "INSERT INTO origin (subject, metric, ts, raw, unit, device_ms, uncertainty_ms)
  SELECT * FROM unnest($1::int8[], $2::int4[], $3::timestamptz[], $4::text[], $5::text[], $6::int8[], $7::int8[])
  ON CONFLICT DO NOTHING";

/// The origin of a reading goes to another subject, or for good when there is none.
const GIVE_ORIGIN: &str = "WITH gone AS (DELETE FROM origin WHERE subject = $1 AND metric = $2 AND ts = $3
    RETURNING metric, ts, raw, unit, device_ms, uncertainty_ms)
  INSERT INTO origin (subject, metric, ts, raw, unit, device_ms, uncertainty_ms)
  SELECT $4::int8, metric, ts, raw, unit, device_ms, uncertainty_ms FROM gone WHERE $4::int8 IS NOT NULL ON CONFLICT DO NOTHING";

/// A reading left its subject: its origin goes along to the series `to`, or for good.
pub(super) async fn give_origin(db: &ClientWrapper, (from, at): (Key, i64), to: Option<Key>) -> Result<(), Error> {
    let statement = db.prepare_cached(GIVE_ORIGIN).await?;
    let (subject, metric) = ((from >> 16) as i64, (from & 0xffff) as i32);
    db.execute(&statement, &[&subject, &metric, &Micros(at), &to.map(|to| (to >> 16) as i64)]).await?;
    Ok(())
}

/// Stores the blocks of a parcel, and carries those that were moved. A block that ends before `limit` is too old to come.
pub(super) async fn put_waves(db: &ClientWrapper, parcel: &Parcel, limit: i64) -> Result<WavesWritten, Error> {
    let mut written = insert(db, &parcel.waves).await?;
    written.refused = parcel.waves_refused;
    for moved in parcel.moves.iter().filter(|moved| moved.from != moved.to && !moved.waveforms.is_empty()) {
        give(db, moved, limit).await?;
    }
    Ok(written)
}

async fn give(db: &ClientWrapper, moved: &Moved, limit: i64) -> Result<(), Error> {
    let number = |subject: Subject| i64::from(subject.to_u32());
    let statement = db.prepare_cached(GIVE).await?;
    let (from, to, device) = (number(moved.from), number(moved.to), i64::from(moved.device.0));
    for block in &moved.waveforms {
        let (metric, start, lead) = (i32::from(block.metric.id()), Micros(block.start.0), i64::from(block.lead));
        db.execute(&statement, &[&from, &to, &metric, &start, &device, &lead]).await?;
    }
    let wave = |block: &model::Waveform| Wave { subject: moved.to, device: moved.device, block: block.clone() };
    let good = |block: &&model::Waveform| crate::readings::wave::problem(block).is_none() && block.end().0 >= limit;
    let good = moved.waveforms.iter().filter(good);
    insert(db, &good.map(wave).collect::<Vec<_>>()).await?;
    Ok(())
}

/// One column of an insert.
fn column<T, U>(of: &[T], get: impl Fn(&T) -> U) -> Vec<U> {
    of.iter().map(get).collect()
}

async fn insert(db: &ClientWrapper, waves: &[Wave]) -> Result<WavesWritten, Error> {
    if waves.is_empty() {
        return Ok(WavesWritten::default());
    }
    let data = column(waves, |wave| wave.block.pack());
    let crc: Vec<i64> = data.iter().map(|bytes| i64::from(crc32c::crc32c(bytes))).collect();
    let statement = db.prepare_cached(WAVES).await?;
    let rows = db
        .query(
            &statement,
            &[
                &column(waves, |wave| Micros(wave.block.start.0)),
                &column(waves, |wave| Micros(wave.block.end().0)),
                &column(waves, |wave| i64::from(wave.subject.to_u32())),
                &column(waves, |wave| i64::from(wave.device.0)),
                &column(waves, |wave| i64::from(wave.block.lead)),
                &crc,
                &column(waves, |wave| wave.block.scale),
                &column(waves, |wave| wave.block.offset),
                &column(waves, |wave| i32::from(wave.block.metric.id())),
                &column(waves, |wave| wave.block.rate.samples as i32),
                &column(waves, |wave| wave.block.rate.seconds as i32),
                &column(waves, |wave| wave.block.counts.len() as i32),
                &data,
            ],
        )
        .await?;
    let samples = rows.iter().map(|row| row.get::<_, i32>(0).max(0) as u64).sum();
    let stored = rows.len() as u64;
    Ok(WavesWritten { stored, samples, duplicate: waves.len() as u64 - stored, refused: 0, expired: 0 })
}

/// Stores the origins whose reading is new; returns how many.
pub(super) async fn put_origins(
    db: &ClientWrapper,
    originals: &[Original],
    new: &HashSet<(Key, i64)>,
) -> Result<u64, Error> {
    let of: Vec<&Original> =
        originals.iter().filter(|original| new.contains(&(original.key(), original.at.0))).collect();
    if of.is_empty() {
        return Ok(0);
    }
    let statement = db.prepare_cached(ORIGINS).await?;
    let stored = db
        .execute(
            &statement,
            &[
                &column(&of, |original: &&Original| i64::from(original.subject.to_u32())),
                &column(&of, |original: &&Original| i32::from(original.metric.id())),
                &column(&of, |original: &&Original| Micros(original.at.0)),
                &column(&of, |original: &&Original| original.origin.raw.as_ref().map(|(raw, _)| raw.clone())),
                &column(&of, |original: &&Original| original.origin.raw.as_ref().map(|(_, unit)| unit.clone())),
                &column(&of, |original: &&Original| original.origin.device_ms),
                &column(&of, |original: &&Original| original.origin.uncertainty_ms.map(i64::from)),
            ],
        )
        .await?;
    Ok(stored)
}
