//! The `side` column of a block: its digest and rollups as bytes.

use model::Quality;

use super::Error;
use super::column::{
    QUICK, put_floats_from, put_ints, put_ints_from, put_varint, take_byte, take_count, take_floats, take_ints,
    take_varint,
};
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

/// Form of a `side` column, the same for a block with moved rows (its first and last instant may be nobody's), and for a block
/// whose rows are not kept any more.
const PLAIN: u8 = 1;
pub(super) const WITH_MOVED: u8 = 2;
const KEPT: u8 = 3;

/// Writes digest and rollups of a block: the `side` column.
pub(super) fn encode(rows: &Rows, digest: &Digest) -> Result<Vec<u8>, Error> {
    let mut out = vec![if rows.has_moved() { WITH_MOVED } else { PLAIN }];
    put_digest(&mut out, digest)?;
    for width in [HOUR, MINUTE] {
        let cells = cells(rows, width);
        let worth = !cells.is_empty() && cells.len() * WORTH <= rows.len();
        put_varint(&mut out, if worth { cells.len() as u64 } else { 0 });
        if worth {
            put_cells(&mut out, &cells, width)?;
            put_range(&mut out, &cells)?;
        }
    }
    Ok(out)
}

/// Writes what is left of a block: digest, and one rollup. Cells of one value each, as of a series measured once a minute, say it once.
pub(super) fn encode_kept(digest: &Digest, cells: &[Cell], width: i64) -> Result<Vec<u8>, Error> {
    let mut out = vec![KEPT];
    put_digest(&mut out, digest)?;
    put_varint(&mut out, cells.len() as u64);
    if !cells.is_empty() {
        put_cells(&mut out, cells, width)?;
        let same = |cell: &Cell| cell.sum.to_bits() == cell.min.to_bits() && cell.sum.to_bits() == cell.max.to_bits();
        let single = cells.iter().all(same);
        out.push(u8::from(single));
        if !single {
            put_range(&mut out, cells)?;
        }
    }
    Ok(out)
}

/// Reads what [`encode_kept`] wrote; `digest` has the summary already.
pub(super) fn decode_kept(mut input: &[u8], digest: Digest, width: i64) -> Result<(Digest, Vec<Cell>), Error> {
    let input = &mut input;
    if take_byte(input)? != KEPT {
        return Err(Error::corrupt("a kept block of unknown form"));
    }
    let digest = take_digest(input, digest)?;
    let n = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if n == 0 {
        return Ok((digest, Vec::new()));
    }
    let (starts, counts, sums) = (take_ints(input, n)?, take_ints(input, n)?, take_floats(input, n)?);
    let single = take_byte(input)? == 1;
    let mins = if single { sums.clone() } else { take_floats(input, n)? };
    let maxs = if single { sums.clone() } else { take_floats(input, n)? };
    Ok((digest, put_together(width, &starts, &counts, [&sums, &mins, &maxs])))
}

fn put_digest(out: &mut Vec<u8>, digest: &Digest) -> Result<(), Error> {
    put_varint(out, digest.runs.len() as u64);
    if !digest.runs.is_empty() {
        put_ints(out, &digest.runs.iter().map(|run| run.from).collect::<Vec<_>>())?;
        put_ints(out, &digest.runs.iter().map(|run| run.to).collect::<Vec<_>>())?;
        put_ints(out, &digest.runs.iter().map(|run| i64::from(run.quality)).collect::<Vec<_>>())?;
        out.push(u8::from(digest.runs.last().is_some_and(|run| run.open)));
    }
    put_varint(out, digest.pauses.len() as u64);
    if !digest.pauses.is_empty() {
        put_ints(out, &digest.pauses.iter().map(|(from, _)| *from).collect::<Vec<_>>())?;
        put_ints(out, &digest.pauses.iter().map(|(_, to)| *to).collect::<Vec<_>>())?;
    }
    put_varint(out, digest.distances.0.len() as u64);
    for (class, count) in &digest.distances.0 {
        out.push(*class);
        put_varint(out, *count);
    }
    Ok(())
}

/// Start, count and sum of each cell.
fn put_cells(out: &mut Vec<u8>, cells: &[Cell], width: i64) -> Result<(), Error> {
    put_ints_from(out, &cells.iter().map(|cell| cell.start / width).collect::<Vec<_>>(), QUICK)?;
    put_ints_from(out, &cells.iter().map(|cell| cell.n as i64).collect::<Vec<_>>(), QUICK)?;
    put_floats_from(out, &cells.iter().map(|cell| cell.sum).collect::<Vec<_>>(), QUICK)
}

/// Least and greatest value of each cell.
fn put_range(out: &mut Vec<u8>, cells: &[Cell]) -> Result<(), Error> {
    put_floats_from(out, &cells.iter().map(|cell| cell.min).collect::<Vec<_>>(), QUICK)?;
    put_floats_from(out, &cells.iter().map(|cell| cell.max).collect::<Vec<_>>(), QUICK)
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
    let digest = take_digest(input, Digest { has_moved, ..Digest::default() })?;
    let Some(level) = level else { return Ok((digest, None)) };
    let hours = take_cells(input, HOUR)?;
    let found = match level {
        Level::Hour if hours.is_some() => hours,
        _ => take_cells(input, MINUTE)?,
    };
    Ok((digest, found))
}

fn take_digest(input: &mut &[u8], digest: Digest) -> Result<Digest, Error> {
    let mut digest = Digest { runs: take_runs(input)?, ..digest };
    let pauses = take_count(input, Config::BLOCK_ROWS_LIMIT)?;
    if pauses > 0 {
        let from = take_ints(input, pauses)?;
        digest.pauses = from.into_iter().zip(take_ints(input, pauses)?).collect();
    }
    for _ in 0..take_count(input, CLASSES)? {
        digest.distances.0.push((take_byte(input)?.min(CLASSES as u8 - 1), take_varint(input)?));
    }
    Ok(digest)
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
    Ok(Some(put_together(width, &starts, &counts, [&sums, &mins, &maxs])))
}

fn put_together(width: i64, starts: &[i64], counts: &[i64], [sums, mins, maxs]: [&[f64]; 3]) -> Vec<Cell> {
    let cell = |i: usize| Cell {
        start: starts[i].saturating_mul(width),
        n: counts[i].max(0) as u64,
        sum: sums[i],
        min: mins[i],
        max: maxs[i],
    };
    (0..starts.len()).map(cell).collect()
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
