//! Weekly summaries: what was measured from Monday to Sunday, how it lay to the limits, and against the week before. Pure.

use std::collections::HashSet;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::rounded;
use super::series::Point;
use super::wall::Wall;

/// The nearest limits, if there are any. A value AT a limit is beyond it, as for rules.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
}

#[derive(Debug, Default)]
struct Week {
    n: u64,
    points: usize,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    below: usize,
    above: usize,
    days: HashSet<Date>,
}

/// Weeks from the one that holds `first` to the one that holds `last`, both of them days of the range, oldest first.
pub(super) fn weeks(points: &[Point], (first, last): (Date, Date), limits: Limits, decimals: u8) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut monday = Wall::monday(first);
    let mut before: Option<f64> = None;
    while monday <= last {
        let sunday = Wall::days_before(monday, -6);
        let week = Week::of(points, (monday, sunday), limits);
        let mean = week.mean();
        rows.push(week.json(monday, mean.zip(before).map(|(mean, before)| mean - before), (first, last), decimals));
        before = mean;
        let next = Wall::days_before(monday, -7);
        // The end of the calendar.
        if next <= monday {
            break;
        }
        monday = next;
    }
    rows
}

impl Week {
    fn of(points: &[Point], (monday, sunday): (Date, Date), limits: Limits) -> Self {
        let mut week = Self::default();
        let start = points.partition_point(|point| point.shown.date < monday);
        for point in points.iter().skip(start).take_while(|point| point.shown.date <= sunday) {
            week.n += point.n;
            week.points += 1;
            week.sum += point.value;
            week.min = Some(week.min.map_or(point.min, |min| min.min(point.min)));
            week.max = Some(week.max.map_or(point.max, |max| max.max(point.max)));
            week.below += usize::from(limits.low.is_some_and(|low| point.value <= low));
            week.above += usize::from(limits.high.is_some_and(|high| point.value >= high));
            week.days.insert(point.shown.date);
        }
        week
    }

    /// Every point counts alike: five minutes with many readings are still five minutes.
    fn mean(&self) -> Option<f64> {
        (self.points > 0).then(|| self.sum / self.points as f64)
    }

    fn json(&self, monday: Date, change: Option<f64>, (first, last): (Date, Date), decimals: u8) -> Value {
        let share = |count: usize| (self.points > 0).then(|| rounded(count as f64 / self.points as f64, 4));
        let shown = |value: Option<f64>, decimals: u8| value.map(|value| rounded(value, decimals));
        let whole = monday >= first && Wall::days_before(monday, -6) <= last;
        json!({
            "from": monday.to_string(), "n": self.n, "days": self.days.len(), "mean": shown(self.mean(), decimals + 1),
            "min": shown(self.min, decimals), "max": shown(self.max, decimals), "below": share(self.below),
            "within": share(self.points.saturating_sub(self.below + self.above)), "above": share(self.above),
            "mean_change": shown(change, decimals + 1), "whole": whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::series::tests::points_at;
    use super::*;

    #[test]
    fn weeks_by_hand() {
        let mut points = points_at("2026-11-09", &[(400, 120.0), (500, 130.0)]);
        points.extend(points_at("2026-11-15", &[(400, 140.0)]));
        // A week without a measurement, then one that has begun.
        points.extend(points_at("2026-11-23", &[(0, 150.0), (1_439, 90.0)]));
        let limits = Limits { low: Some(90.0), high: Some(140.0) };
        let found = weeks(&points, (date(2026, 11, 8), date(2026, 11, 24)), limits, 0);
        let from: Vec<&str> = found.iter().map(|week| week["from"].as_str().unwrap()).collect();
        assert_eq!(from, ["2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"]);
        let second = &found[1];
        assert_eq!((&second["n"], &second["days"], &second["mean"]), (&json!(3), &json!(2), &json!(130.0)));
        assert_eq!(
            (&second["min"], &second["max"], &second["mean_change"]),
            (&json!(120.0), &json!(140.0), &Value::Null)
        );
        // At the limit is beyond it.
        assert_eq!(
            (&second["above"], &second["within"], &second["below"]),
            (&json!(0.3333), &json!(0.6667), &json!(0.0))
        );
        assert_eq!((&found[2]["n"], &found[2]["mean"], &found[2]["within"]), (&json!(0), &Value::Null, &Value::Null));
        assert_eq!(found[3]["mean_change"], Value::Null, "nothing to compare with in the week before");
        assert_eq!((&found[3]["below"], &found[3]["above"]), (&json!(0.5), &json!(0.5)));
        let whole: Vec<bool> = found.iter().map(|week| week["whole"].as_bool().unwrap()).collect();
        assert_eq!(whole, [false, true, true, false]);
        let change = weeks(&points, (date(2026, 11, 9), date(2026, 11, 9)), limits, 0);
        assert_eq!(change.len(), 1);
    }

    #[test]
    fn a_week_is_compared_with_the_one_before() {
        let mut points = points_at("2026-11-15", &[(400, 120.0)]);
        points.extend(points_at("2026-11-16", &[(400, 123.4)]));
        let found = weeks(&points, (date(2026, 11, 9), date(2026, 11, 22)), Limits::default(), 0);
        assert_eq!((&found[1]["mean_change"], &found[1]["within"]), (&json!(3.4), &json!(1.0)));
    }
}
