//! Trends from blocks: per block the cheapest source that is exact is taken: the summary when the block lies in one bucket, the
//! one-hour or one-minute rollup when the bucket is a multiple of it, else the rows. Blocks cut by the range, or with unsealed
//! rows in their middle, are always decoded. The answer does not depend on what is sealed. Where rows are too old to be kept, their
//! rollup answers: with the same buckets as the rows did where it serves them, with one point a minute or an hour where it is coarser.

use super::answer::Trend;
use super::block::Place;
use super::digest::{Cell, HOUR, MINUTE, floor, is_stream};
use super::kept::Kept;
use super::limits::Keep;
use super::read::View;
use super::side::Level;
use super::trend::{Builder, bucket_width};
use super::{Error, block};

pub(super) fn trend(view: &View<'_>, from: i64, to: i64, buckets: u32, marks_max: usize) -> Result<Trend, Error> {
    let bucket_us = bucket_width(from, to, buckets);
    let mut builder = Builder::new(bucket_us, is_stream(view.key));
    let mut done = 0;
    for place in &view.places {
        let before = view.head.within(from, place.t0).end.max(done);
        builder.add_rows(&view.head.slice(done..before).present());
        let inside = view.head.within(from, place.t1.saturating_add(1)).end.max(before);
        done = inside;
        if place.kept != Keep::Rows {
            let kept = Kept::load(view.tx, place)?.within(from, to);
            builder.add_cells(&kept.cells);
            builder.add_digest(&kept.digest, kept.t0);
            continue;
        }
        let whole = from <= place.t0 && place.t1 < to && inside == before;
        if !whole || !add_sealed(view, place, &mut builder)? {
            let rows = block::load(view.tx, place)?;
            let rows = rows.slice(rows.within(from, to));
            builder.add_rows(&rows.merged(&view.head.slice(before..inside)).present());
        }
    }
    builder.add_rows(&view.head.slice(done..view.head.len()).present());
    Ok(builder.finish(marks_max))
}

/// Adds a whole block without decoding its rows. False when that is not possible.
fn add_sealed(view: &View<'_>, place: &Place, builder: &mut Builder) -> Result<bool, Error> {
    let bucket_us = builder.bucket_us();
    let single = floor(place.t0, bucket_us) == floor(place.t1, bucket_us);
    let level = match () {
        () if single => None,
        () if bucket_us % HOUR == 0 => Some(Level::Hour),
        () if bucket_us % MINUTE == 0 => Some(Level::Minute),
        () => return Ok(false),
    };
    let (digest, rollup) = block::summary(view.tx, place.id, level)?;
    if digest.has_moved {
        return Ok(false);
    }
    match (single, digest.total, rollup) {
        (true, total, _) => {
            let cell = total.map(|total| Cell { start: place.t0, ..total });
            builder.add_cells(cell.as_slice());
        }
        (false, None, _) => {}
        (false, Some(_), Some(rollup)) => builder.add_cells(&rollup),
        (false, Some(_), None) => return Ok(false),
    }
    builder.add_digest(&digest, place.t0);
    Ok(true)
}
