//! The judged values of one metric as a profile works with them: single readings of what is measured now and then, means of five
//! minutes of what streams (a profile of 90 days never reads seconds).

use model::metric::Shape;
use model::{Metric, Subject, Time};
use serde::Serialize;
use store::readings::{Error, Readings};

use super::wall::{Shown, Wall};

/// Readings of one metric that are taken one by one; where there are more, five minutes stand for them.
const READINGS_MAX: usize = 20_000;
/// Five minutes: the distance at which continuous glucose meters measure, and short enough for a time of day.
pub(super) const STEP_US: i64 = 5 * 60_000_000;
/// Steps of one question: 60 days, fewer than the buckets of one trend at most.
const STEPS: i64 = 60 * 288;

/// What a point stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Basis {
    Readings,
    FiveMinutes,
}

/// One reading, or five minutes of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) at: Time,
    pub(super) shown: Shown,
    /// Readings behind it.
    pub(super) n: u64,
    pub(super) value: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// In time order.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) basis: Basis,
    pub(super) points: Vec<Point>,
}

impl Series {
    /// The part from an instant on.
    pub(super) fn since(&self, from: Time) -> &[Point] {
        self.points.get(self.points.partition_point(|point| point.at < from)..).unwrap_or_default()
    }
}

/// Reads `[from, to)`. Blocks.
pub(super) fn read(
    readings: &Readings,
    (subject, metric): (Subject, Metric),
    (from, to): (Time, Time),
    wall: &Wall,
) -> Result<Series, Error> {
    if metric.info().shape == Shape::Spot {
        let rows = readings.raw(subject, metric, from, to, READINGS_MAX + 1)?;
        if rows.len() <= READINGS_MAX {
            let judged = rows.iter().filter(|row| row.sample.quality.is_judged());
            let points = judged.filter_map(|row| {
                let (at, value) = (row.sample.taken_at, row.sample.value()?);
                Some(Point { at, shown: wall.at(at), n: 1, value, min: value, max: value })
            });
            return Ok(Series { basis: Basis::Readings, points: points.collect() });
        }
    }
    let mut points = Vec::new();
    let end = to.0.saturating_add(STEP_US - 1);
    let (mut start, end) = (from.0 - from.0.rem_euclid(STEP_US), end - end.rem_euclid(STEP_US));
    while start < end {
        let steps = ((end - start) / STEP_US).min(STEPS);
        let next = start + steps * STEP_US;
        let (low, high) = (Time(start.max(from.0)), Time(next.min(to.0)));
        // As many buckets as there are steps: the store rounds up to whole minutes, which is five.
        let trend = readings.trend(subject, metric, low, high, steps as u32)?;
        points.extend(trend.points.iter().map(|bucket| {
            let at = bucket.start;
            Point { at, shown: wall.at(at), n: bucket.n, value: bucket.mean, min: bucket.min, max: bucket.max }
        }));
        start = next;
    }
    Ok(Series { basis: Basis::FiveMinutes, points })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Points of one local day: (minute of the day, value).
    pub(in super::super) fn points_at(date: &str, values: &[(u16, f64)]) -> Vec<Point> {
        let wall = Wall::new();
        let midnight = wall.midnight(date.parse().unwrap());
        let point = |(minute, value): &(u16, f64)| {
            let at = midnight.plus_us(i64::from(*minute) * 60_000_000);
            Point { at, shown: wall.at(at), n: 1, value: *value, min: *value, max: *value }
        };
        values.iter().map(point).collect()
    }
}
