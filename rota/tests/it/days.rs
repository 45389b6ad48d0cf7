//! 调休 weeks, the leap day, the end of a year, a year without data, the figure of a year.

use model::Time;
use vigil_rota::{Calendar, Cause, DAY_US, Kind, Layer, Only, Plan, WEEK_US, Weekday, Year};

use crate::{at, layer, leave, only, plan, rota, who};

/// Persons 1 and 2 on workdays, 3 on ordinary weekends, 4 on holidays.
fn township() -> Plan {
    plan(rota(vec![
        only(Only::Workdays, layer("workdays", Kind::Daily, "2026-01-01", &[1, 2])),
        only(Only::DaysOff, layer("weekends", Kind::Daily, "2026-01-01", &[3])),
        layer("holidays", Kind::Holiday, "2026-01-01", &[4]),
    ]))
}

#[test]
fn the_worked_weekends_of_2026_belong_to_the_workday_layer() {
    let team = township();
    for day in ["2026-01-04", "2026-02-14", "2026-02-28", "2026-05-09", "2026-09-20", "2026-10-10"] {
        let found = who(&team, &format!("{day} 08:00"));
        assert!(found == [1] || found == [2], "{day}: {found:?}");
    }
    // The week of National Day: Thursday to Wednesday off, Saturday the 10th worked.
    let found = ["09-30", "10-01", "10-04", "10-07", "10-08", "10-10", "10-11", "10-12"]
        .map(|day| who(&team, &format!("2026-{day} 12:00"))[0]);
    assert_eq!(found.map(|person| if person <= 2 { 1 } else { person }), [1, 4, 4, 4, 1, 1, 3, 1]);
}

#[test]
fn a_holiday_begins_and_ends_at_the_hand_over_not_at_midnight() {
    let team = township();
    let holiday = |when: &str| who(&team, when) == [4];
    assert!(!holiday("2026-05-01 07:59") && holiday("2026-05-01 08:00"));
    assert!(holiday("2026-05-06 07:59") && !holiday("2026-05-06 08:00"));
}

#[test]
fn the_leap_day_and_the_end_of_the_year_are_days_like_others() {
    let leap = plan(rota(vec![layer("days", Kind::Daily, "2028-02-27", &[1, 2, 3, 4])]));
    let days = ["2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01"];
    assert_eq!(days.map(|day| who(&leap, &format!("{day} 08:00"))), [[1], [2], [3], [4]]);
    let common = plan(rota(vec![layer("days", Kind::Daily, "2026-02-27", &[1, 2, 3, 4])]));
    let days = ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-02"];
    assert_eq!(days.map(|day| who(&common, &format!("{day} 08:00"))), [[1], [2], [3], [4]]);
    let weeks = plan(rota(vec![layer("weeks", Kind::Weekly, "2025-12-29", &[1, 2])]));
    let days = ["2025-12-31 23:59", "2026-01-01 00:00", "2026-01-05 07:59", "2026-01-05 08:00"];
    assert_eq!(days.map(|when| who(&weeks, when)), [[1], [1], [1], [2]]);
    let until_leap = Layer { until: "2028-02-29".parse().ok(), ..layer("till", Kind::Daily, "2028-02-01", &[1]) };
    let till = plan(rota(vec![until_leap]));
    assert_eq!((who(&till, "2028-03-01 07:59"), who(&till, "2028-03-01 08:00")), (vec![1], vec![]));
}

#[test]
fn weekdays_need_no_calendar() {
    let days = vec![Weekday::Mon, Weekday::Thu];
    let visits = Layer { weekdays: days, ..layer("visits", Kind::Daily, "2030-01-01", &[1]) };
    let team = plan(rota(vec![visits]));
    let week = team.shifts(&Calendar::shipped(), at("2031-09-01 08:00"), at("2031-09-08 08:00"));
    assert_eq!(week.shifts.len(), 2, "2031-09-01 is a Monday");
    assert!(week.missing_years.is_empty());
    assert_eq!(week.holes.len(), 2, "the only post must be filled");
}

#[test]
fn in_a_year_without_data_the_layers_that_need_none_go_on() {
    let rotation = layer("weeks", Kind::Weekly, "2026-01-05", &[1, 2]);
    let holidays = layer("holidays", Kind::Holiday, "2026-01-01", &[4]);
    let team = plan(rota(vec![rotation, holidays]));
    assert_eq!(who(&team, "2026-10-01 12:00"), [4]);
    let new_year = team.on_call(&Calendar::shipped(), at("2027-01-01 12:00"));
    assert!(new_year.shifts[0].person.0 <= 2 && new_year.holes.is_empty());
    assert_eq!(new_year.missing_years.into_iter().collect::<Vec<_>>(), [2027], "shown red");
    // Without such a layer it is a hole, and never a guess at the weekday.
    let only_workdays = plan(rota(vec![only(Only::Workdays, layer("work", Kind::Daily, "2026-01-01", &[1]))]));
    let monday = only_workdays.on_call(&Calendar::shipped(), at("2027-03-01 12:00"));
    assert_eq!((monday.shifts.len(), &monday.holes[0].cause), (0, &Cause::NoCalendar { year: 2027 }));
    let mut calendar = Calendar::shipped();
    let text = r#"{"year":2027,"papers":["p"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}"#;
    calendar.add(Time::MIN, &Year::parse(text).unwrap());
    assert_eq!(only_workdays.on_call(&calendar, at("2027-03-01 12:00")).shifts.len(), 1);
}

#[test]
fn the_figure_of_a_year_sees_gaps_and_unequal_loads() {
    let (from, calendar) = (at("2025-12-29 08:00"), Calendar::shipped());
    let until = from.plus_us(52 * WEEK_US);
    let figure = |plan: &Plan| plan.quality(&calendar, from, until).unwrap();
    let even = plan(rota(vec![layer("weeks", Kind::Weekly, "2025-12-29", &[1, 2, 3, 4])]));
    let all_alike = figure(&even);
    assert_eq!((all_alike.score, all_alike.holes, all_alike.loads.len()), (100, 0, 4));
    assert!(all_alike.loads.iter().all(|load| load.shifts == 13 && (load.hours - 13.0 * 168.0).abs() < 1e-6));
    let days_off: f64 = all_alike.loads.iter().map(|load| load.day_off_hours).sum();
    assert!((days_off - 52.0 * 168.0).abs() > 1.0 && days_off >= 0.0);
    // Person 1 is away for 13 weeks in which nobody stands in: a gap of 4 turns or 3, and less load.
    let mut gap = even.clone();
    gap.leave.push(leave(1, 1, "2026-01-01 00:00", "2026-04-01 00:00"));
    let worse = figure(&gap);
    assert!(worse.holes > 0 && worse.covered < 0.95 && worse.balance < 0.95, "{worse:?}");
    assert!(worse.score < 95);
    // One person twice as often as the others.
    let uneven = plan(rota(vec![layer("weeks", Kind::Weekly, "2025-12-29", &[1, 1, 2, 3])]));
    let half = figure(&uneven);
    assert_eq!((half.covered, half.score), (1.0, 83), "pairs 1/2, 1/2 and 1: two thirds");
    assert!(plan_without_rota(from).quality(&calendar, from.plus_us(-DAY_US), until).is_none());
}

fn plan_without_rota(from: Time) -> Plan {
    let mut plan = plan(rota(vec![layer("weeks", Kind::Weekly, "2025-12-29", &[1])]));
    plan.versions[0].from = from;
    plan
}
