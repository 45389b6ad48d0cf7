//! "Who was on at t" never changes afterwards.

use model::Time;
use vigil_rota::{Calendar, Kind, Plan, Version, Year};

use crate::{at, layer, plan, rota, who};

fn version(number: u32, from: &str, people: &[u32]) -> Version {
    let rota = rota(vec![layer("days", Kind::Daily, "2026-03-02", people)]);
    Version { version: number, from: at(from), rota }
}

#[test]
fn a_new_version_leaves_the_past_as_it_was() {
    let mut team = Plan { versions: vec![version(1, "2026-03-02 08:00", &[1])], ..Plan::default() };
    assert_eq!(who(&team, "2026-03-05 12:00"), [1]);
    team.versions.push(version(2, "2026-03-10 15:00", &[2]));
    assert_eq!(who(&team, "2026-03-05 12:00"), [1]);
    assert_eq!((who(&team, "2026-03-10 14:59"), who(&team, "2026-03-10 15:00")), (vec![1], vec![2]));
    assert_eq!(who(&team, "2026-03-01 12:00"), [0; 0]);
    let shifts = team.shifts(&Calendar::shipped(), at("2026-03-09 08:00"), at("2026-03-12 08:00")).shifts;
    assert_eq!(shifts.iter().map(|s| s.version).collect::<Vec<_>>(), [1, 1, 2, 2]);
}

/// Saved today for Monday, and then corrected with a rota from today on: the later word holds on Monday too.
#[test]
fn what_is_saved_last_wins_over_what_was_planned_before() {
    let versions = vec![version(1, "2026-03-02 08:00", &[1]), version(2, "2026-03-16 08:00", &[2])];
    let mut team = Plan { versions, ..Plan::default() };
    assert_eq!(who(&team, "2026-03-16 12:00"), [2]);
    team.versions.push(version(3, "2026-03-11 08:00", &[3]));
    let found = ["2026-03-10 12:00", "2026-03-11 12:00", "2026-03-16 12:00"].map(|when| who(&team, when));
    assert_eq!(found, [[1], [3], [3]]);
}

#[test]
fn a_corrected_year_of_holidays_does_not_rewrite_the_days_that_began() {
    let layers =
        vec![layer("days", Kind::Daily, "2026-01-01", &[1]), layer("holidays", Kind::Holiday, "2026-01-01", &[4])];
    let team = plan(rota(layers));
    let mut calendar = Calendar::shipped();
    let text = r#"{"year":2026,"papers":["corrected"],"days":[{"name":"春节","date":"2026-03-03","isOffDay":true},
        {"name":"春节","date":"2026-03-04","isOffDay":true}]}"#;
    calendar.add(at("2026-03-03 12:00"), &Year::parse(text).unwrap());
    let who = |when: &str| team.on_call(&calendar, at(when)).shifts[0].person.0;
    assert_eq!((who("2026-02-17 12:00"), who("2026-03-03 08:00")), (4, 1), "before the correction was known");
    assert_eq!((who("2026-03-03 13:00"), who("2026-03-04 08:00")), (1, 4), "from the next hand-over on");
    assert_eq!(team.on_call(&calendar, Time::MIN).shifts.len(), 0);
    assert_eq!(team.on_call(&calendar, Time::MAX).shifts.len(), 1, "the ends of time are instants like others");
}
