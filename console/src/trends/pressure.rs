//! Blood pressure at home: the averages of mornings and evenings, as the protocol wants them. Pure.
//!
//! Sources: ESH practice guidelines for blood pressure measurement (Stergiou and others, J Hypertens 2021; 39: 1293-1302) and, for the
//! least numbers, J Clin Hypertens 2018; 20: 1116-1121, table 3: seven days before a visit, two measurements each morning and
//! evening; the first day is left out; at least three days and 12 readings after that; 135/85 and above is elevated. The Chinese
//! guidelines (2018, 2024) have the same 135/85 and the same mean without the first day. What is "morning" is ours: a guideline
//! says "within an hour of getting up" and "before going to bed", which no clock knows.

use std::collections::HashSet;

use jiff::civil::Date;
use serde_json::{Value, json};

use super::day_night::clock;
use super::rounded;
use super::series::Point;
use super::stats::mean;
use super::wall::Wall;

/// Days of the protocol.
const DAYS: i64 = 7;
/// Needed after the first day: days, and readings.
const DAYS_MIN: usize = 3;
const READINGS_MIN: usize = 12;
/// Elevated at home, from here on: mmHg.
const SYSTOLIC: f64 = 135.0;
const DIASTOLIC: f64 = 85.0;
/// Minutes of the wall clock.
const MORNING: (u16, u16) = (5 * 60, 10 * 60);
const EVENING: (u16, u16) = (18 * 60, 24 * 60);
const SOURCE: &str = "ESH 2021 (J Hypertens 39:1293), J Clin Hypertens 2018;20:1116: 7 days, mornings and evenings, without the first \
                      day, at least 12 readings on 3 days; 135/85 mmHg";

/// The averages of the last seven days that end with a reading; `None` when there is no reading at all.
pub(super) fn home(systolic: &[Point], diastolic: &[Point]) -> Option<Value> {
    let last = systolic.last()?.shown.date;
    let first = Wall::days_before(last, DAYS - 1);
    let week = |points: &[Point]| -> Vec<Point> {
        points.iter().filter(|point| (first..=last).contains(&point.shown.date)).copied().collect()
    };
    let (systolic, diastolic) = (week(systolic), week(diastolic));
    // The first day on which somebody measured: the one the protocol leaves out.
    let begun = systolic.first()?.shown.date;
    let later =
        |points: &[Point]| -> Vec<Point> { points.iter().filter(|point| point.shown.date > begun).copied().collect() };
    let counted = (later(&systolic), later(&diastolic));
    let morning = Half::new(&counted, MORNING);
    let evening = Half::new(&counted, EVENING);
    let both = |part: fn(&Half) -> &Vec<Point>| -> Vec<f64> {
        part(&morning).iter().chain(part(&evening)).map(|point| point.value).collect()
    };
    let (high, low) = (both(|half| &half.systolic), both(|half| &half.diastolic));
    let days: HashSet<Date> = morning.dates().chain(evening.dates()).collect();
    let why = match () {
        () if days.len() < DAYS_MIN => Some("too_few_days"),
        () if high.len() < READINGS_MIN => Some("too_few_readings"),
        () => None,
    };
    let average = (mean(&high), mean(&low));
    let shown = |value: Option<f64>| value.filter(|_| why.is_none()).map(|value| rounded(value, 1));
    let difference = morning.mean().zip(evening.mean()).map(|(morning, evening)| morning - evening);
    let elevated = average.0.is_some_and(|high| high >= SYSTOLIC) || average.1.is_some_and(|low| low >= DIASTOLIC);
    Some(json!({
        "days": DAYS, "from": first.to_string(), "to": last.to_string(), "morning": morning.json(), "evening": evening.json(),
        "average": { "days": days.len(), "n": high.len(), "systolic": shown(average.0), "diastolic": shown(average.1) },
        "morning_evening_difference": shown(difference), "elevated": why.is_none().then_some(elevated),
        "limit": { "systolic": SYSTOLIC, "diastolic": DIASTOLIC }, "needs": { "days": DAYS_MIN, "readings": READINGS_MIN },
        "why": why, "source": SOURCE,
    }))
}

/// Mornings, or evenings.
struct Half {
    hours: (u16, u16),
    systolic: Vec<Point>,
    diastolic: Vec<Point>,
}

impl Half {
    fn new((systolic, diastolic): &(Vec<Point>, Vec<Point>), hours: (u16, u16)) -> Self {
        let part = |points: &[Point]| -> Vec<Point> {
            points.iter().filter(|point| (hours.0..hours.1).contains(&point.shown.minute)).copied().collect()
        };
        Self { hours, systolic: part(systolic), diastolic: part(diastolic) }
    }

    fn dates(&self) -> impl Iterator<Item = Date> {
        self.systolic.iter().map(|point| point.shown.date)
    }

    fn mean(&self) -> Option<f64> {
        mean_of(&self.systolic).filter(|_| self.is_enough())
    }

    /// Half of what both together need, on as many days.
    fn is_enough(&self) -> bool {
        let days: HashSet<Date> = self.dates().collect();
        days.len() >= DAYS_MIN && self.systolic.len() >= READINGS_MIN / 2
    }

    fn json(&self) -> Value {
        let days: HashSet<Date> = self.dates().collect();
        let shown = |points: &[Point]| mean_of(points).filter(|_| self.is_enough()).map(|value| rounded(value, 1));
        json!({
            "from": clock(self.hours.0), "to": clock(self.hours.1), "days": days.len(), "n": self.systolic.len(),
            "systolic": shown(&self.systolic), "diastolic": shown(&self.diastolic),
        })
    }
}

fn mean_of(points: &[Point]) -> Option<f64> {
    mean(&points.iter().map(|point| point.value).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::super::series::tests::points_at;
    use super::*;

    /// Two readings at 07:00 and 07:01 and two at 20:00 and 20:01 a day, from the 16th on.
    fn week(days: u8, morning: f64, evening: f64) -> Vec<Point> {
        (0..days)
            .flat_map(|day| {
                let date = format!("2026-11-{}", 16 + day);
                points_at(
                    &date,
                    &[
                        (420, morning - 2.0),
                        (421, morning + 2.0),
                        (700, 250.0),
                        (1_200, evening - 1.0),
                        (1_201, evening + 1.0),
                    ],
                )
            })
            .collect()
    }

    #[test]
    fn averages_by_hand() {
        let found = home(&week(7, 140.0, 130.0), &week(7, 86.0, 82.0)).unwrap();
        assert_eq!((&found["from"], &found["to"]), (&json!("2026-11-16"), &json!("2026-11-22")));
        // Six days are left without the first: 12 readings each half; noon is neither.
        let morning = &found["morning"];
        assert_eq!((&morning["n"], &morning["days"], &morning["systolic"]), (&json!(12), &json!(6), &json!(140.0)));
        assert_eq!(found["evening"]["systolic"], json!(130.0));
        assert_eq!((&found["average"]["systolic"], &found["average"]["diastolic"]), (&json!(135.0), &json!(84.0)));
        assert_eq!((&found["morning_evening_difference"], &found["elevated"]), (&json!(10.0), &json!(true)));
        let normal = home(&week(7, 139.0, 130.0), &week(7, 86.0, 82.0)).unwrap();
        assert_eq!((&normal["average"]["systolic"], &normal["elevated"]), (&json!(134.5), &json!(false)));
        let by_diastolic = home(&week(7, 120.0, 120.0), &week(7, 85.0, 85.0)).unwrap();
        assert_eq!(by_diastolic["elevated"], json!(true), "either is enough");
    }

    #[test]
    fn what_is_too_thin_has_no_average() {
        let four_days = home(&week(4, 150.0, 150.0), &week(4, 90.0, 90.0)).unwrap();
        assert_eq!((&four_days["average"]["n"], &four_days["why"]), (&json!(12), &Value::Null), "just enough");
        let three_days = home(&week(3, 150.0, 150.0), &week(3, 90.0, 90.0)).unwrap();
        assert_eq!((&three_days["why"], &three_days["elevated"]), (&json!("too_few_days"), &Value::Null));
        assert_eq!((&three_days["average"]["systolic"], &three_days["average"]["n"]), (&Value::Null, &json!(8)));
        let mornings: Vec<Point> =
            (16..22).flat_map(|day| points_at(&format!("2026-11-{day}"), &[(420, 150.0)])).collect();
        let mornings = home(&mornings, &[]).unwrap();
        assert_eq!((&mornings["why"], &mornings["morning"]["n"]), (&json!("too_few_readings"), &json!(5)));
        assert_eq!(mornings["morning"]["systolic"], Value::Null, "five are not six");
        assert!(home(&[], &[]).is_none());
    }
}
