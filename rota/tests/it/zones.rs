//! Zones with summer time: shifts stay where the wall clock has them, and never gap or overlap. Also for any rota.

use model::Time;
use proptest::prelude::*;
use vigil_rota::{Calendar, Kind, Layer, Plan, Rota, Wall};

use crate::{HOUR_US, layer, plan, rota, who_at};

fn utc(text: &str) -> Time {
    Time::parse(&format!("{}:00Z", text.replace(' ', "T"))).unwrap()
}

fn days_in(zone: &str, hand_over: &str) -> Plan {
    let days =
        Layer { hand_over: Wall::parse(hand_over).unwrap(), ..layer("days", Kind::Daily, "2026-01-01", &[1, 2]) };
    plan(Rota { zone: zone.into(), ..rota(vec![days]) })
}

#[test]
fn summer_time_moves_no_hand_over() {
    let london = days_in("Europe/London", "08:00");
    // 2026-03-28 is the 87th day of the year, counted from 0 the 86th: person 1.
    for (when, person) in [
        ("2026-03-28 07:59", 2),
        ("2026-03-28 08:00", 1),
        ("2026-03-29 06:59", 1),
        ("2026-03-29 07:00", 2),
        ("2026-10-24 07:00", 1),
        ("2026-10-25 07:59", 1),
        ("2026-10-25 08:00", 2),
    ] {
        assert_eq!(who_at(&london, utc(when)), [person], "{when}");
    }
    let new_york = days_in("America/New_York", "20:00");
    // 2026-03-08 clocks go forward: 20:00 is 01:00 UTC before and 00:00 UTC after.
    for (when, person) in
        [("2026-03-08 00:59", 1), ("2026-03-08 01:00", 2), ("2026-03-08 23:59", 2), ("2026-03-09 00:00", 1)]
    {
        assert_eq!(who_at(&new_york, utc(when)), [person], "{when}");
    }
}

#[test]
fn days_of_23_and_25_hours_have_neither_gap_nor_overlap() {
    for (zone, hand_over) in [("Europe/London", "01:30"), ("America/New_York", "02:30"), ("Asia/Shanghai", "00:00")] {
        let (from, until) = (utc("2026-01-02 12:00"), utc("2026-12-30 12:00"));
        let year = days_in(zone, hand_over).shifts(&Calendar::shipped(), from, until);
        assert_eq!(year.holes, [], "{zone}");
        assert!(year.shifts.windows(2).all(|pair| pair[0].until == pair[1].from), "{zone}");
        let mut lengths: Vec<i64> =
            year.shifts[1..year.shifts.len() - 1].iter().map(|s| s.until.since_us(s.from) / HOUR_US).collect();
        lengths.sort_unstable();
        let odd: Vec<_> = lengths.into_iter().filter(|hours| *hours != 24).collect();
        // A hand-over inside the skipped or doubled hour moves a part of it to the next day.
        let expected = if zone == "Asia/Shanghai" { vec![] } else { vec![23, 25] };
        assert_eq!(odd, expected, "{zone}");
    }
}

#[test]
fn shanghai_had_summer_time_once() {
    // 1986-05-04 02:00 -> 03:00: the zone's own data, not a fixed +08:00.
    let layers = vec![layer("days", Kind::Daily, "1986-05-01", &[1, 2])];
    let team = plan(rota(layers));
    assert_eq!(who_at(&team, utc("1986-05-03 22:59")), [1]);
    assert_eq!(who_at(&team, utc("1986-05-03 23:00")), [2], "08:00 by the wall clock, an hour before 08:00 by +08:00");
}

proptest! {
    /// Whatever the rotation, every instant after the first day has exactly one person in the post, shifts tile, and one
    /// instant says the same as the year.
    #[test]
    fn shifts_tile_and_an_instant_agrees_with_them(
        zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/London", "America/New_York", "Australia/Lord_Howe"]),
        kind in prop::sample::select(vec![Kind::Daily, Kind::Weekly, Kind::Custom]),
        length in 1_u16..20, people in 1_u32..6, hour in 0_i64..24, minute in 0_i64..60, offset in 0_i64..(360 * 24 * 60),
    ) {
        let wall = Wall::parse(&format!("{hour:02}:{minute:02}")).unwrap();
        let ids: Vec<u32> = (1..=people).collect();
        let turns = Layer {
            hand_over: wall,
            length_days: (kind == Kind::Custom).then_some(length),
            ..layer("turns", kind, "2026-01-01", &ids)
        };
        let plan = plan(Rota { zone: zone.into(), ..rota(vec![turns]) });
        let calendar = Calendar::shipped();
        let (from, until) = (utc("2026-01-03 00:00"), utc("2026-12-31 00:00"));
        let year = plan.shifts(&calendar, from, until);
        prop_assert!(year.holes.is_empty());
        prop_assert!(year.shifts.windows(2).all(|pair| pair[0].until == pair[1].from));
        prop_assert_eq!(year.shifts.first().map(|s| s.from), Some(from));
        prop_assert_eq!(year.shifts.last().map(|s| s.until), Some(until));
        let at = from.plus_us(offset * 60_000_000);
        let by_year = year.shifts.iter().find(|s| s.from <= at && at < s.until).map(|s| s.person);
        let by_instant = plan.on_call(&calendar, at).shifts;
        prop_assert_eq!(by_instant.len(), 1);
        prop_assert_eq!(by_year, Some(by_instant[0].person));
    }
}
