//! Why there is nothing to draw: gaps cut into pieces of one cause each. Pure.
//!
//! Of several causes the first counts: what people planned (a quiet period), nobody wore a device, what the device itself said,
//! the gateway was out of reach, frames that are missing. What none explains stays unknown; it is never guessed.

use model::{Quality, QuietKind, Time};
use store::readings::Trend;

/// A stream that says nothing for this long, at the beginning or end of a range, has a gap. As between values.
const PAUSE_US: i64 = 5 * 60_000_000;
/// A device that marks absence says so at most this much after its last value: the pause before the mark has the same cause.
const MARK_DELAY_US: i64 = 15 * 60_000_000;
/// Missing numbers are found when the next frame has come and the wait for late ones is over.
const FOUND_AFTER_US: i64 = 15 * 60_000_000;

/// Why. In order: the first that fits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    Hospital,
    Travel,
    Maintenance,
    Unbound,
    Marked(Quality),
    GatewayOffline,
    FramesLost,
    FramesMissing,
    Unknown,
}

impl Cause {
    pub(super) const fn slug(self) -> &'static str {
        match self {
            Self::Hospital => "hospital",
            Self::Travel => "travel",
            Self::Maintenance => "maintenance",
            Self::Unbound => "unbound",
            Self::Marked(quality) => quality.slug(),
            Self::GatewayOffline => "gateway_offline",
            Self::FramesLost => "frames_lost",
            Self::FramesMissing => "frames_missing",
            Self::Unknown => "unknown",
        }
    }
}

impl From<QuietKind> for Cause {
    fn from(kind: QuietKind) -> Self {
        match kind {
            QuietKind::Hospital => Self::Hospital,
            QuietKind::Travel => Self::Travel,
            QuietKind::Maintenance => Self::Maintenance,
        }
    }
}

/// A stretch `[from, to)` with one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) from: Time,
    pub(super) to: Time,
    pub(super) cause: Cause,
}

/// Frames that were found missing, or declared lost, at this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absence {
    pub(super) at: Time,
    pub(super) lost: bool,
}

/// The gaps of a stream, with those at the beginning and the end of the range, which nothing follows. `to`: not after now.
pub(super) fn with_edges(trend: &Trend, from: Time, to: Time) -> Vec<(Time, Time)> {
    let first = trend.points.first().map_or(to, |point| point.start);
    // The last value lies somewhere in its bucket: the gap begins when the bucket is over at the latest.
    let last = trend.points.last().map_or(from, |point| point.start.plus_us(trend.bucket_us));
    let edges = [(from, first), (last, to)].into_iter().filter(|(from, to)| to.since_us(*from) > PAUSE_US);
    let mut all: Vec<(Time, Time)> = trend.gaps.iter().copied().chain(edges).collect();
    all.sort_unstable();
    let mut joined: Vec<(Time, Time)> = Vec::with_capacity(all.len());
    for (from, to) in all {
        match joined.last_mut() {
            Some(open) if from <= open.1 => open.1 = open.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Cuts `gaps` (in order, disjoint) into pieces of one cause. `absent`: what the device said, in order; `known`: what else is known
/// of stretches, in any order; `missing`: by time.
pub(super) fn explained(
    gaps: &[(Time, Time)],
    absent: &[(Time, Quality)],
    known: &[Piece],
    missing: &[Absence],
) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::with_capacity(gaps.len());
    for (from, to) in gaps.iter().copied().filter(|(from, to)| to > from) {
        let mut over: Vec<Piece> = known.iter().filter(|one| one.from < to && one.to > from).copied().collect();
        over.extend(marks(absent, from, to));
        let rest = unexplained(missing, from, to);
        let mut edges: Vec<Time> =
            over.iter().flat_map(|one| [one.from.max(from), one.to.min(to)]).chain([from, to]).collect();
        edges.sort_unstable();
        edges.dedup();
        let first = pieces.len();
        for step in edges.windows(2) {
            let &[from, to] = step else { continue };
            let causes = over.iter().filter(|one| one.from <= from && one.to >= to).map(|one| one.cause);
            let cause = causes.min().unwrap_or(rest);
            match pieces.get_mut(first..).and_then(<[Piece]>::last_mut) {
                Some(last) if last.cause == cause => last.to = to,
                _ => pieces.push(Piece { from, to, cause }),
            }
        }
    }
    pieces
}

/// What the device said within a gap: each mark holds until the next one or the gap's end.
fn marks(absent: &[(Time, Quality)], from: Time, to: Time) -> Vec<Piece> {
    let start = absent.partition_point(|(at, _)| *at < from);
    let inside: Vec<&(Time, Quality)> = absent.iter().skip(start).take_while(|(at, _)| *at < to).collect();
    let ends = inside.iter().skip(1).map(|(at, _)| *at).chain([to]);
    let mut found: Vec<Piece> = inside
        .iter()
        .zip(ends)
        .map(|((at, quality), to)| Piece { from: *at, to, cause: Cause::Marked(*quality) })
        .collect();
    if let Some(first) = found.first_mut().filter(|first| first.from.since_us(from) <= MARK_DELAY_US) {
        first.from = from;
    }
    found
}

/// The cause of what nothing else explains in this gap.
fn unexplained(missing: &[Absence], from: Time, to: Time) -> Cause {
    let start = missing.partition_point(|one| one.at < from);
    let until = to.plus_us(FOUND_AFTER_US);
    let found = missing.iter().skip(start).take_while(|one| one.at <= until);
    let cause = found.map(|one| if one.lost { Cause::FramesLost } else { Cause::FramesMissing });
    cause.min().unwrap_or(Cause::Unknown)
}

/// At most `most` of all, evenly; the first and the last stay.
pub(super) fn thinned<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let shown = all.len().min(most);
    let last = all.len().saturating_sub(1);
    let steps = shown.saturating_sub(1).max(1);
    (0..shown).filter_map(move |nth| all.get(if shown == all.len() { nth } else { nth * last / steps }))
}

#[cfg(test)]
mod tests {
    use store::readings::Bucket;

    use super::*;

    fn at(minute: i64) -> Time {
        Time(minute * 60_000_000)
    }

    fn piece(from: i64, to: i64, cause: Cause) -> Piece {
        Piece { from: at(from), to: at(to), cause }
    }

    #[test]
    fn a_gap_is_cut_where_its_cause_changes() {
        // A day without values: in hospital until noon, then the band lay unbound, then its gateway was lost.
        let known = [
            piece(-600, 720, Cause::Hospital),
            piece(600, 1_000, Cause::Unbound),
            piece(900, 1_200, Cause::GatewayOffline),
            piece(5_000, 6_000, Cause::Travel),
        ];
        let found = explained(&[(at(0), at(1_440))], &[], &known, &[]);
        let expected = [
            piece(0, 720, Cause::Hospital),
            piece(720, 1_000, Cause::Unbound),
            piece(1_000, 1_200, Cause::GatewayOffline),
            piece(1_200, 1_440, Cause::Unknown),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_the_device_said_holds_until_it_says_something_else() {
        let absent = [(at(5), Quality::SensorOff), (at(60), Quality::MeasurementFailed), (at(300), Quality::LeadOff)];
        let found = explained(&[(at(0), at(120)), (at(250), at(400))], &absent, &[], &[]);
        let expected = [
            piece(0, 60, Cause::Marked(Quality::SensorOff)),
            piece(60, 120, Cause::Marked(Quality::MeasurementFailed)),
            // Fifty minutes before the device said anything: not its word.
            piece(250, 300, Cause::Unknown),
            piece(300, 400, Cause::Marked(Quality::LeadOff)),
        ];
        assert_eq!(found, expected);
        assert_eq!(found[0].cause.slug(), "sensor_off");
    }

    #[test]
    fn missing_frames_explain_only_what_nothing_else_does() {
        let missing = [Absence { at: at(110), lost: false }, Absence { at: at(215), lost: true }];
        let known = [piece(0, 50, Cause::Travel)];
        let found = explained(&[(at(0), at(100)), (at(200), at(210)), (at(400), at(410))], &[], &known, &missing);
        let expected = [
            piece(0, 50, Cause::Travel),
            piece(50, 100, Cause::FramesMissing),
            piece(200, 210, Cause::FramesLost),
            piece(400, 410, Cause::Unknown),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_stream_that_never_came_back_has_a_gap_to_now() {
        let point = |minute| Bucket { start: at(minute), n: 1, min: 1.0, mean: 1.0, max: 1.0 };
        let trend = Trend {
            bucket_us: 60_000_000,
            points: vec![point(30), point(31), point(60)],
            gaps: vec![(at(31), at(60)), (at(61), at(90))],
            absent: vec![],
        };
        let gaps = with_edges(&trend, at(0), at(200));
        assert_eq!(gaps, [(at(0), at(30)), (at(31), at(60)), (at(61), at(200))]);
        assert_eq!(with_edges(&trend, at(28), at(63)).len(), 2, "two minutes are no gap");
        let nothing = Trend { points: vec![], gaps: vec![], ..trend };
        assert_eq!(with_edges(&nothing, at(0), at(200)), [(at(0), at(200))]);
    }

    #[test]
    fn thinning_is_even_and_keeps_the_ends() {
        let all: Vec<u32> = (0..1_000).collect();
        let thin: Vec<u32> = thinned(&all, 4).copied().collect();
        assert_eq!(thin, [0, 333, 666, 999]);
        assert_eq!(thinned(&all, 2_000).count(), 1_000);
        assert_eq!(thinned(&[] as &[u32], 4).count(), 0);
    }
}
