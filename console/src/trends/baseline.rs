//! Now against the elder's own weeks before: is this usual for them? Pure.
//!
//! A day is one value, its mean, so that a day with many readings does not outweigh the others. Usual is the median of the days
//! before, usual spread their median distance from it (x 1.4826); how unusual now is, is a modified z-score: 3.5 and more is an
//! outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993). That 2 is "somewhat" is our choice. The least
//! numbers are ours too: with fewer days a spread is chance.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::rounded;
use super::series::Point;
use super::stats::Sorted;
use super::wall::Wall;

/// Weeks looked back, before the last one.
pub(super) const WEEKS: i64 = 8;
/// The days that are "now".
pub(super) const NOW_DAYS: i64 = 7;
/// Days with a value needed before, and now.
const DAYS_MIN: usize = 14;
const NOW_MIN: usize = 3;
/// From here on: distances from the median, in spreads.
const SOMEWHAT: f64 = 2.0;
const VERY: f64 = 3.5;
const SOURCE: &str = "modified z-score of daily means, median and MAD (Iglewicz & Hoaglin 1993)";

/// `today`: the last day of now.
pub(super) fn compare(points: &[Point], today: Date, decimals: u8) -> Value {
    let now_from = Wall::days_before(today, NOW_DAYS - 1);
    let from = Wall::days_before(now_from, WEEKS * 7);
    let mut days: BTreeMap<Date, (f64, usize)> = BTreeMap::new();
    for point in points.iter().filter(|point| (from..=today).contains(&point.shown.date)) {
        let day = days.entry(point.shown.date).or_default();
        *day = (day.0 + point.value, day.1 + 1);
    }
    let means = |from: Date, to: Date| {
        let inside = days.range(from..to).map(|(_, (sum, n))| sum / (*n).max(1) as f64);
        Sorted::new(inside.collect())
    };
    let before = means(from, now_from);
    let now = means(now_from, Wall::days_before(today, -1));
    let enough = before.len() >= DAYS_MIN && now.len() >= NOW_MIN;
    let (median, spread) = (before.median(), before.spread());
    let value = now.median();
    let why = match () {
        () if days.is_empty() => Some("no_readings"),
        () if !enough => Some("too_few_days"),
        () if spread.is_none_or(|spread| spread <= 0.0) => Some("no_spread"),
        () => None,
    };
    let score = match (value, median, spread) {
        (Some(value), Some(median), Some(spread)) if why.is_none() => Some((value - median) / spread),
        _ => None,
    };
    let unusual = score.map(|score| match score.abs() {
        far if far >= VERY => "very",
        far if far >= SOMEWHAT => "somewhat",
        _ => "usual",
    });
    let shown = |value: Option<f64>, decimals: u8| value.filter(|_| enough).map(|value| rounded(value, decimals));
    json!({
        "weeks": WEEKS, "days": before.len(), "median": shown(median, decimals + 1), "spread": shown(spread, decimals + 1),
        "now": shown(value, decimals + 1), "now_days": now.len(), "z": score.map(|score| rounded(score, 2)), "unusual": unusual,
        "percentile": value.filter(|_| enough).and_then(|value| before.share_up_to(value)).map(|share| rounded(share, 3)),
        "needs": { "days": DAYS_MIN, "now_days": NOW_MIN }, "why": why, "source": SOURCE,
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::super::series::tests::points_at;
    use super::*;

    const TODAY: Date = date(2026, 11, 22);

    /// 15 days before the last week with these means, then three days of now.
    fn days(before: [f64; 3], now: f64) -> Vec<Point> {
        let day = |n: i64, value: f64| {
            // A burst of readings is still one day.
            let burst = if n % 2 == 0 { 5 } else { 1 };
            points_at(&Wall::days_before(TODAY, n).to_string(), &vec![(600, value); burst])
        };
        let mut points: Vec<Point> = (7..22).rev().flat_map(|n| day(n, before[(n % 3) as usize])).collect();
        points.extend((0..3).rev().flat_map(|n| day(n, now)));
        points
    }

    #[test]
    fn how_unusual_by_hand() {
        // Five days each of 120, 130 and 140: median 130, distances five of 0 and ten of 10, spread 14.826.
        let found = compare(&days([120.0, 130.0, 140.0], 170.0), TODAY, 0);
        assert_eq!((&found["days"], &found["now_days"]), (&json!(15), &json!(3)));
        assert_eq!((&found["median"], &found["spread"], &found["now"]), (&json!(130.0), &json!(14.8), &json!(170.0)));
        // 40 / 14.826 = 2.698.
        assert_eq!(
            (&found["z"], &found["unusual"], &found["percentile"]),
            (&json!(2.7), &json!("somewhat"), &json!(1.0))
        );
        assert_eq!(compare(&days([120.0, 130.0, 140.0], 131.0), TODAY, 0)["unusual"], json!("usual"));
        let low = compare(&days([120.0, 130.0, 140.0], 70.0), TODAY, 0);
        assert_eq!((&low["unusual"], &low["percentile"]), (&json!("very"), &json!(0.0)));
    }

    #[test]
    fn too_little_says_so() {
        let mut points = days([120.0, 130.0, 140.0], 170.0);
        let all = points.clone();
        points.retain(|point| point.shown.date > Wall::days_before(TODAY, 20));
        let thin = compare(&points, TODAY, 0);
        assert_eq!((&thin["why"], &thin["days"], &thin["median"]), (&json!("too_few_days"), &json!(13), &Value::Null));
        let old = compare(&all, Wall::days_before(TODAY, -5), 0);
        assert_eq!((&old["why"], &old["now_days"]), (&json!("too_few_days"), &json!(2)), "now is not now any more");
        assert_eq!(compare(&[], TODAY, 0)["why"], json!("no_readings"));
        assert_eq!(compare(&days([120.0; 3], 170.0), TODAY, 0)["why"], json!("no_spread"));
    }
}
