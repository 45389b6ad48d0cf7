//! Reading waveforms: where there is something, and the blocks of a short window.

use deadpool_postgres::ClientWrapper;
use model::extra::Rate;
use model::{DeviceId, Metric, Subject, Time, Waveform};
use tokio_postgres::Row as Found;

use super::Error;
use super::read::numbers;
use super::stretch::{BLOCKS_MAX, Joiner};
use super::types::Micros;
use super::wave::{BLOCK_US_MAX, Stretches, Wave, WavePlace};

/// Samples of one window, at most: a minute of sixteen leads at 1 kHz.
const SAMPLES_MAX: usize = 1_000_000;
/// Blocks of one window, at most: the shortest block has one sample.
const WINDOW_BLOCKS_MAX: i64 = 100_000;

const STRETCHES: &str = "SELECT ts, ts_end, device, lead FROM waveform
  WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 AND ts_end > $5 
  ORDER BY ts DESC, ts_end DESC, device DESC, lead DESC LIMIT $6";
const COLUMNS: &str = "ts, device, lead, samples, seconds, scale, zero, n, crc, data";
const WINDOW: &str = "FROM waveform WHERE subject = $1 AND metric = $2 AND ts >= $3 AND ts < $4 AND ts_end > $5";
const PAGE: &str = "FROM waveform WHERE subject = $1 AND metric = $2 AND (device, lead, ts) > ($3, $4, $5)
  ORDER BY device, lead, ts LIMIT $6";

/// Where there is something with `from <= time < to`, the latest first.
pub(super) async fn stretches(
    db: &ClientWrapper,
    of: (Subject, Metric),
    (from, to): (Time, Time),
    limit: usize,
) -> Result<Stretches, Error> {
    let (subject, metric) = numbers(of);
    let (look_from, to_at, from_at) = (Micros(from.plus_us(-BLOCK_US_MAX).0), Micros::from(to), Micros::from(from));
    let statement = db.prepare_cached(STRETCHES).await?;
    let most = BLOCKS_MAX as i64 + 1;
    let found = db.query(&statement, &[&subject, &metric, &look_from, &to_at, &from_at, &most]).await?;
    let mut joiner = Joiner::new((from, to), limit);
    for row in found {
        let span = (Time(row.try_get::<_, Micros>(0)?.0), Time(row.try_get::<_, Micros>(1)?.0));
        let (device, lead) = source(&row, 2)?;
        if !joiner.add(span, device, lead) {
            break;
        }
    }
    Ok(joiner.finish())
}

/// The blocks that hold some instant of the window, whole, by start.
pub(super) async fn window(
    db: &ClientWrapper,
    of: (Subject, Metric),
    (from, to): (Time, Time),
) -> Result<Vec<Wave>, Error> {
    let (subject, metric) = numbers(of);
    let (look_from, to, from) = (Micros(from.plus_us(-BLOCK_US_MAX).0), Micros::from(to), Micros::from(from));
    // Counted first, so that too much is never sent.
    let count = db.prepare_cached(&format!("SELECT coalesce(sum(n), 0)::int8, count(*) {WINDOW}")).await?;
    let sums = db.query_one(&count, &[&subject, &metric, &look_from, &to, &from]).await?;
    if sums.try_get::<_, i64>(0)? > SAMPLES_MAX as i64 || sums.try_get::<_, i64>(1)? > WINDOW_BLOCKS_MAX {
        return Err(Error::TooMuch { max: SAMPLES_MAX });
    }
    let blocks = db.prepare_cached(&format!("SELECT {COLUMNS} {WINDOW} ORDER BY ts, device, lead")).await?;
    let found = db.query(&blocks, &[&subject, &metric, &look_from, &to, &from]).await?;
    found.iter().map(|row| wave(row, of)).collect()
}

/// Blocks of a series after a place, in the order of places.
pub(super) async fn page(
    db: &ClientWrapper,
    of: (Subject, Metric),
    after: Option<WavePlace>,
    limit: usize,
) -> Result<Vec<Wave>, Error> {
    let (subject, metric) = numbers(of);
    let (device, lead, start) = after
        .map_or((-1, -1, Micros(i64::MIN)), |at| (i64::from(at.device.0), i64::from(at.lead), Micros::from(at.start)));
    let statement = db.prepare_cached(&format!("SELECT {COLUMNS} {PAGE}")).await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let found = db.query(&statement, &[&subject, &metric, &device, &lead, &start, &limit]).await?;
    found.iter().map(|row| wave(row, of)).collect()
}

/// Blocks and samples stored.
pub(super) async fn totals(db: &ClientWrapper) -> Result<(u64, u64), Error> {
    let sums = db.query_one("SELECT count(*), coalesce(sum(n), 0)::int8 FROM waveform", &[]).await?;
    Ok((sums.try_get::<_, i64>(0)?.max(0) as u64, sums.try_get::<_, i64>(1)?.max(0) as u64))
}

fn source(row: &Found, first: usize) -> Result<(DeviceId, u32), Error> {
    let device = u32::try_from(row.try_get::<_, i64>(first)?);
    let lead = u32::try_from(row.try_get::<_, i64>(first + 1)?);
    match (device, lead) {
        (Ok(device), Ok(lead)) => Ok((DeviceId(device), lead)),
        _ => Err(Error::corrupt("a waveform block: its device or lead")),
    }
}

/// A block out of [`COLUMNS`].
pub(super) fn wave(row: &Found, (subject, metric): (Subject, Metric)) -> Result<Wave, Error> {
    let (device, lead) = source(row, 1)?;
    let number = |i: usize| row.try_get::<_, i32>(i).map(|n| u32::try_from(n).unwrap_or(0));
    let rate = Rate::new(number(3)?, number(4)?).ok_or_else(|| Error::corrupt("a waveform block: its rate"))?;
    let data: &[u8] = row.try_get(9)?;
    if i64::from(crc32c::crc32c(data)) != row.try_get::<_, i64>(8)? {
        return Err(Error::corrupt("a waveform block: the checksum differs"));
    }
    let counts = Waveform::unpack(data).filter(|counts| counts.len() as i64 == i64::from(row.get::<_, i32>(7)));
    let block = Waveform {
        metric,
        lead,
        start: Time(row.try_get::<_, Micros>(0)?.0),
        rate,
        scale: row.try_get(5)?,
        offset: row.try_get(6)?,
        counts: counts.ok_or_else(|| Error::corrupt("a waveform block: its samples"))?,
    };
    Ok(Wave { subject, device, block })
}
