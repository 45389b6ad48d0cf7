//! Sealing: the head of one series becomes blocks, merged with the blocks it overlaps.
//!
//! Rows inside a block's time range go into that block (it is rewritten with all its rows and the new ones). Rows
//! between blocks become a block of their own, unless the block before is small: then the two are joined. "Small" is
//! less than [`JOIN`] times the newcomer, so a slow series is rewritten a logarithmic number of times and yet ends up
//! in few blocks. A result longer than the limit is cut into equal parts.

use std::ops::Range;

use rusqlite::Connection;

use super::Error;
use super::block::{self, Place};
use super::digest::is_stream;
use super::limits::Keep;
use super::row::{Key, Rows};

/// A block is joined with its predecessor when that has less than this many times its rows.
const JOIN: usize = 3;
/// Blocks before the head's first row that may be joined.
const LOOK_BACK: usize = 8;

/// What sealing one series changed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change {
    pub(super) rows: i64,
    pub(super) bytes: i64,
    pub(super) blocks: u64,
    pub(super) bad_blocks: u64,
}

/// Some neighbouring blocks and the head's rows that go with them.
#[derive(Debug)]
struct Piece {
    blocks: Vec<Place>,
    rows: Range<usize>,
}

impl Piece {
    /// Rows that nothing may be joined with: they are too old to be kept one by one, only their rollup is there.
    fn is_kept(&self) -> bool {
        self.blocks.iter().any(|place| place.kept != Keep::Rows)
    }

    fn len(&self) -> usize {
        self.rows.len() + self.blocks.iter().map(|place| place.n).sum::<usize>()
    }
}

/// Writes all `head` rows into blocks. `next_id` gives ids to new blocks.
pub(super) fn seal(
    db: &Connection,
    next_id: &mut i64,
    block_rows_max: usize,
    key: Key,
    head: &Rows,
) -> Result<Change, Error> {
    let (Some(first), Some(last)) = (head.first_at(), head.last_at()) else { return Ok(Change::default()) };
    let mut places = block::before(db, key, first, LOOK_BACK)?;
    places.reverse();
    let reached = places.last().map_or(i64::MIN, |place| place.t0);
    places.extend(
        block::overlapping(db, key, first, last.saturating_add(1))?.into_iter().filter(|place| place.t0 > reached),
    );
    let mut change = Change::default();
    for piece in joined(pieces(&places, head), block_rows_max) {
        if piece.is_kept() && !piece.rows.is_empty() {
            // The duplicate check lets none of these in.
            tracing::error!(rows = piece.rows.len(), "readings older than their retention were left out");
        } else if !piece.rows.is_empty() {
            rewrite(db, next_id, block_rows_max, key, head, &piece, &mut change)?;
        }
    }
    Ok(change)
}

/// Deals the head's rows out to the blocks that hold their instants, and to the gaps between them.
fn pieces(places: &[Place], head: &Rows) -> Vec<Piece> {
    let times = head.times();
    let mut pieces = Vec::with_capacity(places.len() + 1);
    let mut done = 0;
    for place in places {
        let start = done + times[done..].partition_point(|at| *at < place.t0);
        let end = start + times[start..].partition_point(|at| *at <= place.t1);
        if start > done {
            pieces.push(Piece { blocks: Vec::new(), rows: done..start });
        }
        pieces.push(Piece { blocks: vec![*place], rows: start..end });
        done = end;
    }
    if done < times.len() {
        pieces.push(Piece { blocks: Vec::new(), rows: done..times.len() });
    }
    pieces
}

/// Joins touched pieces with small neighbours before them.
fn joined(pieces: Vec<Piece>, block_rows_max: usize) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for mut piece in pieces {
        while let Some(before) = out.last() {
            let small = before.len() < JOIN * piece.len() && before.len() + piece.len() <= block_rows_max;
            if piece.rows.is_empty() || !small || before.is_kept() {
                break;
            }
            if let Some(before) = out.pop() {
                let start = if before.rows.is_empty() { piece.rows.start } else { before.rows.start };
                let blocks = before.blocks.into_iter().chain(piece.blocks).collect();
                piece = Piece { blocks, rows: start..piece.rows.end };
            }
        }
        out.push(piece);
    }
    out
}

fn rewrite(
    db: &Connection,
    next_id: &mut i64,
    block_rows_max: usize,
    key: Key,
    head: &Rows,
    piece: &Piece,
    change: &mut Change,
) -> Result<(), Error> {
    let mut rows = Rows::default();
    for place in &piece.blocks {
        match block::load(db, place) {
            Ok(stored) => {
                rows = if rows.is_empty() { stored } else { rows.merged(&stored) };
                block::delete(db, place.id)?;
            }
            Err(Error::Corrupt { what }) => {
                tracing::error!(what, "a damaged block of readings was moved aside; restore it from a backup");
                block::move_aside(db, place.id)?;
                change.bad_blocks += 1;
            }
            Err(other) => return Err(other),
        }
        change.rows -= place.n as i64;
        change.bytes -= place.bytes;
    }
    let fresh = head.slice(piece.rows.clone());
    rows = if rows.is_empty() { fresh } else { rows.merged(&fresh) };
    let parts = rows.len().div_ceil(block_rows_max).max(1);
    let part_rows = rows.len().div_ceil(parts);
    let stream = is_stream(key);
    for start in (0..rows.len()).step_by(part_rows.max(1)) {
        let end = (start + part_rows).min(rows.len());
        *next_id += 1;
        let whole = start == 0 && end == rows.len();
        change.bytes += if whole {
            block::insert(db, *next_id, key, stream, &rows)?
        } else {
            block::insert(db, *next_id, key, stream, &rows.slice(start..end))?
        };
        change.blocks += 1;
    }
    change.rows += rows.len() as i64;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::row::Row;

    fn rows(times: impl IntoIterator<Item = i64>) -> Rows {
        let mut rows = Rows::default();
        times.into_iter().for_each(|at| assert!(rows.insert(Row { at, value: 0.0, device: 1, quality: 0 })));
        rows
    }

    fn place(t0: i64, t1: i64, n: usize) -> Place {
        Place { id: t0, t0, t1, n, bytes: 0, kept: Keep::Rows }
    }

    #[test]
    fn late_rows_go_into_the_block_that_holds_their_time() {
        let places = [place(0, 10, 100), place(20, 30, 100)];
        let found = pieces(&places, &rows([5, 15, 25, 40]));
        let shape: Vec<_> = found.iter().map(|p| (p.blocks.len(), p.rows.clone())).collect();
        assert_eq!(shape, [(1, 0..1), (0, 1..2), (1, 2..3), (0, 3..4)]);
    }

    #[test]
    fn small_neighbours_are_joined_and_full_ones_left_alone() {
        let places = [place(0, 10, 100), place(20, 30, 4), place(31, 35, 2)];
        let out = joined(pieces(&places, &rows([40, 41])), 100);
        let shape: Vec<_> = out.iter().map(|p| (p.blocks.len(), p.len())).collect();
        assert_eq!(shape, [(1, 100), (2, 8)]);
    }
}
