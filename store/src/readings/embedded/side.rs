//! The `side` column of a block: its digest and rollups as bytes.

use model::Quality;

use super::Error;
use super::column::{put_floats, put_ints, put_varint, take_byte, take_count, take_floats, take_ints, take_varint};
use super::config::Config;
use super::digest::{CLASSES, Cell, Digest, HOUR, MINUTE, Run, cells};
use super::row::Rows;

/// A rollup is stored when the rows are at least this many times as many.
const WORTH: usize = 4;

/// A rollup the reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Minute,
    Hour,
}

/// Form of a `side` column, and the same for a block with moved rows: its first and last instant may be nobody's.
const PLAIN: u8 = 1;
const WITH_MOVED: u8 = 2;

/// Writes digest and rollups of a block: the `side` column.
pub(super) fn encode(rows: &Rows, digest: &Digest) -> Result<Vec<u8>, Error> {
    let mut out = vec![if rows.has_moved() { WITH_MOVED } else { PLAIN }];
    put_varint(&mut out, digest.runs.len() as u64);
    if !digest.runs.is_empty() {
        put_ints(&mut out, &digest.runs.iter().map(|run| run.from).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.runs.iter().map(|run| run.to).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.runs.iter().map(|run| i64::from(run.quality)).collect::<Vec<_>>())?;
        out.push(u8::from(digest.runs.last().is_some_and(|run| run.open)));
    }
    put_varint(&mut out, digest.pauses.len() as u64);
    if !digest.pauses.is_empty() {
        put_ints(&mut out, &digest.pauses.iter().map(|(from, _)| *from).collect::<Vec<_>>())?;
        put_ints(&mut out, &digest.pauses.iter().map(|(_, to)| *to).collect::<Vec<_>>())?;
    }
    put_varint(&mut out, digest.distances.0.len() as u64);
    for (class, count) in &digest.distances.0 {
        out.push(*class);
        put_varint(&mut out, *count);
    }
    for width in [HOUR, MINUTE] {
        let cells = cells(rows, width);
        let worth = !cells.is_empty() && cells.len() * WORTH <= rows.len();
        put_varint(&mut out, if worth { cells.len() as u64 } else { 0 });
        if worth {
            put_ints(&mut out, &cells.iter().map(|cell| cell.start / width).collect::<Vec<_>>())?;
            put_ints(&mut out, &cells.iter().map(|cell| cell.n as i64).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.sum).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.min).collect::<Vec<_>>())?;
            put_floats(&mut out, &cells.iter().map(|cell| cell.max).collect::<Vec<_>>())?;
        }
    }
    Ok(out)
}

/// Reads a `side` column: runs, pauses and distances (the summary is in columns of its own), and the rollup of
/// `level` when it was stored.
pub(super) fn decode(mut input: &[u8], level: Option<Level>) -> Result<(Digest, Option<Vec<Cell>>), Error> {
    let input = &mut input;
    let has_moved = match take_byte(input)? {
        PLAIN => false,
        WITH_MOVED => true,
        _ => return Err(Error::corrupt("a digest of unknown form")),
    };
    let mut digest = Digest { runs: take_runs(input)?, has_moved, ..Digest::default() };
    let pauses = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if pauses > 0 {
        let from = take_ints(input, pauses)?;
        digest.pauses = from.into_iter().zip(take_ints(input, pauses)?).collect();
    }
    for _ in 0..take_count(input, CLASSES)? {
        digest.distances.0.push((take_byte(input)?.min(CLASSES as u8 - 1), take_varint(input)?));
    }
    let Some(level) = level else { return Ok((digest, None)) };
    let hours = take_cells(input, HOUR)?;
    let found = match level {
        Level::Hour if hours.is_some() => hours,
        _ => take_cells(input, MINUTE)?,
    };
    Ok((digest, found))
}

fn take_runs(input: &mut &[u8]) -> Result<Vec<Run>, Error> {
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if n == 0 {
        return Ok(Vec::new());
    }
    let (from, to, quality) = (take_ints(input, n)?, take_ints(input, n)?, take_ints(input, n)?);
    let open = take_byte(input)? == 1;
    let rows = from.into_iter().zip(to).zip(quality).enumerate();
    rows.map(|(i, ((from, to), quality))| {
        let quality = u8::try_from(quality).ok().filter(|id| Quality::from_id(*id).is_some());
        let quality = quality.ok_or_else(|| Error::corrupt("an unknown quality code"))?;
        Ok(Run { from, to, quality, open: open && i + 1 == n })
    })
    .collect()
}

fn take_cells(input: &mut &[u8], width: i64) -> Result<Option<Vec<Cell>>, Error> {
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if n == 0 {
        return Ok(None);
    }
    let (starts, counts) = (take_ints(input, n)?, take_ints(input, n)?);
    let (sums, mins, maxs) = (take_floats(input, n)?, take_floats(input, n)?, take_floats(input, n)?);
    let cell = |i: usize| Cell {
        start: starts[i].saturating_mul(width),
        n: counts[i].max(0) as u64,
        sum: sums[i],
        min: mins[i],
        max: maxs[i],
    };
    Ok(Some((0..n).map(cell).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::row::Row;

    #[test]
    fn a_digest_comes_back_with_its_rollups() {
        let mut rows = Rows::default();
        for i in 0..2_000_i64 {
            let quality = if i % 500 > 490 { Quality::SensorOff } else { Quality::Ok };
            let jump = if i > 1_000 { 2 * HOUR } else { 0 };
            rows.insert(Row { at: i * 1_000_000 + jump, value: (i % 40) as f64, device: 1, quality: quality.id() });
        }
        let digest = Digest::of(&rows, true);
        assert_eq!((digest.runs.len(), digest.pauses.len()), (4, 1));
        let side = encode(&rows, &digest).unwrap();
        for (level, width) in [(Level::Minute, MINUTE), (Level::Hour, HOUR)] {
            let (back, found) = decode(&side, Some(level)).unwrap();
            assert_eq!((&back.runs, &back.pauses, &back.distances), (&digest.runs, &digest.pauses, &digest.distances));
            assert_eq!(found, Some(cells(&rows, width)));
        }
    }
}
