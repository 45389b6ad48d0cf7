//! Which source answers which part of a trend: rows, rollups of a minute, or rollups of an hour. Pure.
//!
//! Rollups answer where they are as good as the rows: for buckets of whole minutes, below the time up to which they are made, and
//! not on a day of the series that got late rows since. Where the rows are gone, rollups answer for any bucket.

use super::digest::{HOUR, MINUTE, floor};

/// Below this, reading rows costs less than asking more questions. Microseconds.
const ROLLED_MIN: i64 = 10 * MINUTE;

/// What a part of a trend is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Rows,
    /// Rollups of a minute, with those of an hour beside them.
    Minutes,
    /// Rollups of an hour alone: those of a minute are gone.
    Hours,
}

/// A part of a trend: `from <= time < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) source: Source,
}

/// From where to where each source is whole, microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edges {
    /// Rollups are made below this, a whole hour.
    pub(super) done: i64,
    /// Rows below this were dropped, a whole hour.
    pub(super) rows_from: i64,
    /// Rollups of a minute below this were dropped, a whole hour.
    pub(super) minutes_from: i64,
}

/// The first multiple of `width` that is not below `at`.
pub(super) fn ceil(at: i64, width: i64) -> i64 {
    let down = floor(at, width);
    if down == at { at } else { down.saturating_add(width) }
}

/// The parts of `[from, to)` in their order, without overlap. `late`: stretches of the series with late rows, in order.
pub(super) fn spans((from, to): (i64, i64), bucket_us: i64, edges: Edges, late: &[(i64, i64)]) -> Vec<Span> {
    let mut out = Spans(Vec::new());
    let gone = edges.rows_from.min(to);
    out.push(from, edges.minutes_from.min(gone), Source::Hours);
    out.push(from.max(edges.minutes_from), gone, Source::Minutes);
    let from = from.max(edges.rows_from);
    let start = ceil(from, MINUTE).max(edges.minutes_from);
    let end = floor(to, MINUTE).min(edges.done);
    if bucket_us % MINUTE != 0 || end.saturating_sub(start) < ROLLED_MIN {
        out.push(from, to, Source::Rows);
        return out.0;
    }
    out.push(from, start, Source::Rows);
    let mut at = start;
    for (late_from, late_to) in late {
        let (late_from, late_to) = ((*late_from).clamp(at, end), (*late_to).clamp(at, end));
        if late_from < late_to {
            out.push(at, late_from, Source::Minutes);
            out.push(late_from, late_to, Source::Rows);
            at = late_to;
        }
    }
    out.push(at, end, Source::Minutes);
    out.push(end, to, Source::Rows);
    out.0
}

/// The whole hours inside a span of rollups, between the minutes before and after: `None` when it is not worth it.
pub(super) fn whole_hours(span: Span) -> Option<(i64, i64)> {
    let (from, to) = (ceil(span.from, HOUR), floor(span.to, HOUR));
    (to.saturating_sub(from) >= 2 * HOUR).then_some((from, to))
}

struct Spans(Vec<Span>);

impl Spans {
    fn push(&mut self, from: i64, to: i64, source: Source) {
        if from >= to {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.to == from && last.source == source => last.to = to,
            _ => self.0.push(Span { from, to, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 24 * HOUR;
    const ALL: Edges = Edges { done: i64::MAX, rows_from: i64::MIN, minutes_from: i64::MIN };

    fn span(from: i64, to: i64, source: Source) -> Span {
        Span { from, to, source }
    }

    #[test]
    fn rollups_answer_between_the_edges_and_rows_the_rest() {
        let edges = Edges { done: 3 * DAY, ..ALL };
        let late = [(DAY, 2 * DAY)];
        assert_eq!(
            spans((1, 4 * DAY), HOUR, edges, &late),
            [
                span(1, MINUTE, Source::Rows),
                span(MINUTE, DAY, Source::Minutes),
                span(DAY, 2 * DAY, Source::Rows),
                span(2 * DAY, 3 * DAY, Source::Minutes),
                span(3 * DAY, 4 * DAY, Source::Rows),
            ]
        );
        assert_eq!(spans((0, DAY), 5_000_000, edges, &[]), [span(0, DAY, Source::Rows)]);
    }

    #[test]
    fn where_rows_are_gone_rollups_answer_for_any_bucket() {
        let edges = Edges { done: 9 * DAY, rows_from: 5 * DAY, minutes_from: 2 * DAY };
        assert_eq!(
            spans((0, 8 * DAY), 1_000_000, edges, &[(DAY, 6 * DAY)]),
            [
                span(0, 2 * DAY, Source::Hours),
                span(2 * DAY, 5 * DAY, Source::Minutes),
                span(5 * DAY, 8 * DAY, Source::Rows),
            ]
        );
    }

    proptest! {
        #[test]
        fn parts_cover_the_range_without_overlap(
            from in -3 * DAY..9 * DAY, long in 0..9 * DAY, wide in any::<bool>(), done in -2..200_i64, rows in -2..200_i64,
            minutes in -2..200_i64, late in proptest::collection::vec(0..9_i64, 0..4),
        ) {
            let to = from + long;
            let mut days: Vec<(i64, i64)> = late.iter().map(|day| (day * DAY, (day + 1) * DAY)).collect();
            days.sort_unstable();
            days.dedup();
            let edges = Edges { done: done * HOUR, rows_from: rows * HOUR, minutes_from: minutes * HOUR };
            let found = spans((from, to), if wide { MINUTE } else { 1_000_000 }, edges, &days);
            let mut at = from;
            for part in &found {
                prop_assert_eq!(part.from, at);
                prop_assert!(part.to > part.from);
                at = part.to;
                match part.source {
                    Source::Rows => prop_assert!(part.from >= edges.rows_from),
                    Source::Minutes => prop_assert!(part.from >= edges.minutes_from),
                    Source::Hours => prop_assert!(part.to <= edges.minutes_from),
                }
                if part.source == Source::Minutes && part.from >= edges.rows_from {
                    prop_assert!(part.to <= edges.done);
                    prop_assert!(days.iter().all(|(a, b)| *b <= part.from || *a >= part.to));
                }
            }
            prop_assert_eq!(at, to.max(from));
        }
    }
}
