//! Stories of a condition that stands: it is told again, or nobody would hear of it after an outcome.

use model::Metric;

use crate::day::{Day, NOTHING};

/// What is told while SpO2 goes on at one value, one a minute, from second `from` to second `to`.
fn goes_on(day: &mut Day, from: i64, to: i64, value: f64) -> Vec<String> {
    (from..to).step_by(60).flat_map(|second| day.reads(second, Metric::Spo2, value)).collect()
}

#[test]
fn an_urgent_level_below_the_one_that_was_reached_is_told_again_every_half_hour() {
    let mut day = Day::new();
    assert!(goes_on(&mut day, 0, 180, 89.0).contains(&"P1 spo2_low".to_owned()));
    // Better than P1, and P2 all night.
    let night = goes_on(&mut day, 180, 4 * 3_600, 92.0);
    assert_eq!(night.len(), 7, "{night:?}");
    assert!(night.iter().all(|line| line == "repeated spo2_low"), "{night:?}");
    // As bad as before: at once, not after the half hour.
    let again = goes_on(&mut day, 4 * 3_600, 4 * 3_600 + 180, 89.0);
    assert_eq!(again, ["repeated spo2_low"], "{again:?}");
    // A worklist level stands in silence.
    assert_eq!(goes_on(&mut day, 5 * 3_600, 5 * 3_600 + 60, 94.0), Vec::<String>::new());
    assert_eq!(
        goes_on(&mut day, 5 * 3_600 + 60, 8 * 3_600, 95.0).iter().filter(|line| line.starts_with("rep")).count(),
        0
    );
    assert_ne!(day.reads(9 * 3_600, Metric::Spo2, 98.0), NOTHING, "cleared in the end");
}
