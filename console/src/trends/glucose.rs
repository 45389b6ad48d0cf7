//! Glucose: time in range of a continuous meter, or shares of finger pricks, which are something else. Pure.
//!
//! Source: International Consensus on Time in Range (Battelino and others, Diabetes Care 2019; 42: 1593-1603): ranges 3.0, 3.9, 10.0 and
//! 13.9 mmol/L; targets for adults (in range > 70 %, below 3.9 < 4 %, below 3.0 < 1 %, above 10.0 < 25 %, above 13.9 < 5 %) and for
//! older or high-risk people (in range > 50 %, below 3.9 < 1 %, above 10.0 < 50 %, above 13.9 < 10 %); at least 70 % of 14 days; CV up
//! to 36 %. Glucose management indicator: 3.31 + 0.02392 x mean in mg/dL (Bergenstal and others, Diabetes Care 2018; 41: 2275-2280).

use model::Time;
use serde_json::{Value, json};

use super::rounded;
use super::series::{Point, STEP_US};
use super::stats::{Sorted, deviation, mean};

/// Days of a report.
pub(super) const DAYS: i64 = 14;
/// Share of them that must be measured.
const COVERAGE_MIN: f64 = 0.7;
/// Continuous meters measure every five to fifteen minutes: a value stands for no more.
const EVERY_US_MAX: i64 = 15 * 60_000_000;
/// From this age on a person is "older". Without an age: as well, the targets are the careful ones.
const OLDER_FROM: u32 = 65;
/// mg/dL of one mmol/L.
const MG_DL: f64 = 18.0182;
/// Finger pricks from which a share says anything. Our choice: two weeks, one a day.
const PRICKS_MIN: usize = 14;
const SOURCE: &str = "International Consensus on Time in Range 2019 (Diabetes Care 42:1593)";

/// Upper ends; a value at 3.9 or 10.0 is in range.
const NAMES: [&str; 5] = ["very_low", "low", "in_range", "high", "very_high"];
const EDGES: [f64; 4] = [3.0, 3.9, 10.0, 13.9];

fn range_of(value: f64) -> usize {
    match value {
        _ if value < EDGES[0] => 0,
        _ if value < EDGES[1] => 1,
        _ if value <= EDGES[2] => 2,
        _ if value <= EDGES[3] => 3,
        _ => 4,
    }
}

/// A share that ought to be above or below a number. `of`: the ranges it sums up; of one alone it has that one's name.
struct Target {
    name: &'static str,
    of: &'static [usize],
    at_least: Option<f64>,
    at_most: Option<f64>,
}

const fn above(name: &'static str, of: &'static [usize], share: f64) -> Target {
    Target { name, of, at_least: Some(share), at_most: None }
}

const fn below(name: &'static str, of: &'static [usize], share: f64) -> Target {
    Target { name, of, at_least: None, at_most: Some(share) }
}

const ADULT: &[Target] = &[
    above("in_range", &[2], 0.70),
    below("below_3_9", &[0, 1], 0.04),
    below("very_low", &[0], 0.01),
    below("above_10_0", &[3, 4], 0.25),
    below("very_high", &[4], 0.05),
];
const OLDER: &[Target] = &[
    above("in_range", &[2], 0.50),
    below("below_3_9", &[0, 1], 0.01),
    below("above_10_0", &[3, 4], 0.50),
    below("very_high", &[4], 0.10),
];

/// Of a continuous meter: the last fourteen days until `now`.
pub(super) fn time_in_range(points: &[Point], now: Time, age: Option<u32>) -> Value {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let total = DAYS * super::DAY_US;
    let from = now.plus_us(-total);
    let inside = points.iter().filter(|point| point.at >= from).count();
    let coverage = (inside as f64 * every_us(points) as f64 / total as f64).min(1.0);
    let enough = coverage >= COVERAGE_MIN;
    let shares = shares(&values);
    let is_older = age.is_none_or(|age| age >= OLDER_FROM);
    let targets = if is_older { OLDER } else { ADULT };
    let targets = targets.iter().map(|target| {
        let share: f64 = target.of.iter().filter_map(|range| shares.get(*range)).sum();
        // More than, and less than: the consensus' own words.
        let met = target.at_least.is_none_or(|least| share > least) && target.at_most.is_none_or(|most| share < most);
        json!({
            "name": target.name, "at_least": target.at_least, "at_most": target.at_most, "share": rounded(share, 4),
            "met": enough.then_some(met),
        })
    });
    let mean = mean(&values);
    let cv = deviation(&values).zip(mean).map(|(deviation, mean)| rounded(deviation / mean * 100.0, 1));
    let gmi = mean.filter(|_| enough).map(|mean| rounded(3.31 + 0.02392 * mean * MG_DL, 1));
    json!({
        "basis": "time", "days": DAYS, "coverage": rounded(coverage, 3), "enough": enough, "n": values.len(), "ranges": ranges(&shares),
        "targets": targets.collect::<Vec<_>>(), "target_group": if is_older { "older_high_risk" } else { "adult" },
        "mean": mean.map(|mean| rounded(mean, 2)), "cv_percent": cv, "cv_percent_most": 36.0, "gmi_percent": gmi,
        "needs": { "coverage": COVERAGE_MIN, "days": DAYS },
        "why": (!enough).then_some(if values.is_empty() { "no_readings" } else { "too_little_coverage" }), "source": SOURCE,
    })
}

/// Of finger pricks: shares of measurements. People measure when they expect something, so they are no shares of time, and the
/// consensus' targets do not apply.
pub(super) fn of_measurements(points: &[Point], days: i64) -> Value {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let enough = values.len() >= PRICKS_MIN;
    let why = if values.is_empty() { "no_readings" } else { "too_few_readings" };
    json!({
        "basis": "measurements", "days": days, "coverage": null, "enough": enough, "n": values.len(), "ranges": ranges(&shares(&values)),
        "targets": [], "target_group": null, "mean": mean(&values).map(|mean| rounded(mean, 2)), "cv_percent": null,
        "cv_percent_most": null, "gmi_percent": null, "needs": { "readings": PRICKS_MIN }, "why": (!enough).then_some(why),
        "source": SOURCE,
    })
}

/// How often the meter measures: the usual distance of its values.
fn every_us(points: &[Point]) -> i64 {
    let distances = points.windows(2).filter_map(|pair| match pair {
        [one, next] => Some(next.at.since_us(one.at) as f64),
        _ => None,
    });
    let usual = Sorted::new(distances.collect()).median().map_or(STEP_US, |usual| usual as i64);
    usual.clamp(STEP_US, EVERY_US_MAX)
}

fn shares(values: &[f64]) -> [f64; 5] {
    let mut counts = [0_usize; 5];
    for value in values {
        counts[range_of(*value)] += 1;
    }
    counts.map(|count| count as f64 / values.len().max(1) as f64)
}

fn ranges(shares: &[f64; 5]) -> Value {
    let row = |place: usize| {
        json!({
            "name": NAMES[place], "from": place.checked_sub(1).map(|below| EDGES[below]), "to": EDGES.get(place),
            "share": rounded(shares[place], 4),
        })
    };
    (0..NAMES.len()).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::series::tests::points_at;
    use super::*;

    /// Fourteen days of a meter that measures every fifteen minutes: 96 values a day.
    fn meter(days: u8, values: [f64; 4]) -> (Vec<Point>, Time) {
        let mut all = Vec::new();
        for day in 0..days {
            let of_day: Vec<(u16, f64)> = (0..96).map(|step| (step * 15, values[usize::from(step % 4)])).collect();
            all.extend(points_at(&format!("2026-11-{:02}", 22 - day), &of_day));
        }
        all.sort_by_key(|point| point.at);
        (all, Time::parse("2026-11-23T00:00:00+08:00").unwrap())
    }

    #[test]
    fn time_in_range_by_hand() {
        // A quarter each at 3.9 and 10.0 (in range), at 12 (high) and 15 (very high).
        let (points, now) = meter(14, [3.9, 10.0, 12.0, 15.0]);
        let found = time_in_range(&points, now, Some(70));
        assert_eq!((&found["coverage"], &found["enough"]), (&json!(1.0), &json!(true)));
        let shares: Vec<f64> =
            found["ranges"].as_array().unwrap().iter().map(|row| row["share"].as_f64().unwrap()).collect();
        assert_eq!(shares, [0.0, 0.0, 0.5, 0.25, 0.25]);
        let met = |found: &Value| -> Vec<(String, bool)> {
            let rows = found["targets"].as_array().unwrap();
            rows.iter().map(|row| (row["name"].as_str().unwrap().into(), row["met"].as_bool().unwrap())).collect()
        };
        let expected = [("in_range", false), ("below_3_9", true), ("above_10_0", false), ("very_high", false)];
        assert_eq!(met(&found), expected.map(|(name, met)| (name.to_owned(), met)), "half is not more than half");
        // Mean 10.225 mmol/L = 184.2 mg/dL: 3.31 + 4.41.
        assert_eq!((&found["mean"], &found["gmi_percent"]), (&json!(10.22), &json!(7.7)));
        assert_eq!(found["target_group"], json!("older_high_risk"));
        let adult = time_in_range(&points, now, Some(50));
        assert_eq!((adult["targets"].as_array().unwrap().len(), &adult["target_group"]), (5, &json!("adult")));
        assert_eq!(
            time_in_range(&points, now, None)["target_group"],
            json!("older_high_risk"),
            "unknown: the careful ones"
        );
    }

    #[test]
    fn thin_data_say_so() {
        // Nine days of fourteen are 64 %: nothing is judged.
        let (points, now) = meter(9, [5.0; 4]);
        let found = time_in_range(&points, now, Some(80));
        assert_eq!((&found["coverage"], &found["why"]), (&json!(0.643), &json!("too_little_coverage")));
        assert_eq!((&found["targets"][0]["met"], &found["gmi_percent"]), (&Value::Null, &Value::Null));
        assert_eq!(found["targets"][0]["share"], json!(1.0));
        let (enough, now) = meter(10, [5.0; 4]);
        assert_eq!(time_in_range(&enough, now, Some(80))["enough"], json!(true), "ten are 71 %");
        assert_eq!(time_in_range(&[], now, None)["why"], json!("no_readings"));
    }

    #[test]
    fn finger_pricks_are_measurements_not_time() {
        let pricks = points_at("2026-11-20", &[(400, 2.9), (420, 3.8), (700, 6.0), (900, 14.0)]);
        let found = of_measurements(&pricks, 30);
        assert_eq!(
            (&found["basis"], &found["coverage"], &found["targets"]),
            (&json!("measurements"), &Value::Null, &json!([]))
        );
        assert_eq!((&found["why"], &found["ranges"][0]["share"]), (&json!("too_few_readings"), &json!(0.25)));
        assert_eq!((&found["ranges"][0]["from"], &found["ranges"][0]["to"]), (&Value::Null, &json!(3.0)));
        assert_eq!((&found["ranges"][4]["from"], &found["ranges"][4]["to"]), (&json!(13.9), &Value::Null));
    }
}
