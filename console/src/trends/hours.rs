//! The profile of a day: what the hours of the wall clock are like, as percentiles over many days. Pure.
//!
//! Median, quartiles and the 10th and 90th percentile by hour, as the ambulatory glucose profile draws them (Battelino and others,
//! Diabetes Care 2019; 42: 1593-1603, figure 4, there with 5 and 95), used for every metric.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::rounded;
use super::series::Point;
use super::stats::Sorted;

/// An hour that was measured on fewer days says nothing about the elder's days. Our choice.
const DAYS_MIN: usize = 3;

/// Twenty-four rows. `decimals`: of the metric.
pub(super) fn profile(points: &[Point], decimals: u8) -> Vec<Value> {
    (0..24).map(|hour| row(points, hour, decimals)).collect()
}

fn row(points: &[Point], hour: usize, decimals: u8) -> Value {
    let of_hour: Vec<&Point> = points.iter().filter(|point| point.shown.hour() == hour).collect();
    let days: HashSet<_> = of_hour.iter().map(|point| point.shown.date).collect();
    let n: u64 = of_hour.iter().map(|point| point.n).sum();
    let values = Sorted::new(of_hour.iter().map(|point| point.value).collect());
    let at = |q: f64| values.quantile(q).filter(|_| days.len() >= DAYS_MIN).map(|value| rounded(value, decimals + 1));
    json!({
        "hour": hour, "n": n, "days": days.len(), "p10": at(0.1), "p25": at(0.25), "p50": at(0.5), "p75": at(0.75), "p90": at(0.9),
    })
}
