//! Rotations, ranks, overrides, leave.

use model::people::Duty;
use vigil_rota::{Calendar, Cause, Kind, Layer, Only, Plan, Rota, Wall};

use crate::{at, doctor, layer, leave, only, plan, rota, stands_in, who};

#[test]
fn turns_change_at_the_minute_of_the_hand_over() {
    let days = plan(rota(vec![layer("days", Kind::Daily, "2026-03-02", &[1, 2, 3])]));
    assert_eq!(who(&days, "2026-03-02 07:59"), [0; 0], "before the first day nobody was asked to be there");
    assert_eq!(who(&days, "2026-03-02 08:00"), [1]);
    assert_eq!(who(&days, "2026-03-03 07:59"), [1]);
    assert_eq!(who(&days, "2026-03-03 08:00"), [2]);
    assert_eq!(who(&days, "2026-03-05 08:00"), [1]);
    let weeks = plan(rota(vec![layer("weeks", Kind::Weekly, "2026-03-02", &[1, 2])]));
    for (when, person) in [("2026-03-09 07:59", 1), ("2026-03-09 08:00", 2), ("2026-03-16 08:00", 1)] {
        assert_eq!(who(&weeks, when), [person], "{when}");
    }
    let ten = Layer { length_days: Some(10), ..layer("ten", Kind::Custom, "2026-03-02", &[1, 2]) };
    let ten = plan(rota(vec![ten]));
    for (when, person) in [("2026-03-12 07:59", 1), ("2026-03-12 08:00", 2), ("2026-03-22 08:00", 1)] {
        assert_eq!(who(&ten, when), [person], "{when}");
    }
}

#[test]
fn a_shift_tells_its_whole_length_also_of_one_who_follows_himself() {
    let alone = plan(rota(vec![layer("weeks", Kind::Weekly, "2026-03-02", &[7])]));
    let now = alone.on_call(&Calendar::shipped(), at("2026-03-11 12:00"));
    let shift = &now.shifts[0];
    assert_eq!((shift.from, shift.until), (at("2026-03-09 08:00"), at("2026-03-16 08:00")));
    assert_eq!((shift.layer.as_str(), shift.why.kind, shift.version), ("weeks", Some(Kind::Weekly), 1));
}

/// 1+1+X: a doctor, a nurse by day, and whoever of the village is there at night.
#[test]
fn posts_are_filled_at_the_same_time() {
    let nurse = |id| vigil_rota::Member { person: model::PersonId(id), duty: Duty::Nurse };
    let by_day = Layer {
        post: "nurse".into(),
        end: Wall::parse("18:00"),
        people: vec![nurse(11), nurse(12)],
        ..layer("nurses by day", Kind::Daily, "2026-03-02", &[])
    };
    let at_night = Layer {
        post: "night".into(),
        hand_over: Wall::parse("18:00").unwrap(),
        end: Wall::parse("08:00"),
        ..layer("village at night", Kind::Daily, "2026-03-02", &[21, 22])
    };
    let team = plan(rota(vec![layer("doctors", Kind::Weekly, "2026-03-02", &[1, 2]), by_day, at_night]));
    assert_eq!(who(&team, "2026-03-02 08:00"), [1, 11]);
    assert_eq!(who(&team, "2026-03-02 17:59"), [1, 11]);
    assert_eq!(who(&team, "2026-03-02 18:00"), [1, 21]);
    assert_eq!(who(&team, "2026-03-03 07:59"), [1, 21]);
    assert_eq!(who(&team, "2026-03-03 08:00"), [1, 12]);
    let week = team.shifts(&Calendar::shipped(), at("2026-03-02 08:00"), at("2026-03-09 08:00"));
    assert_eq!(week.holes, [], "that the nurse goes home is no hole: only the first post must be filled");
    let all = Rota { cover: vec!["main".into(), "nurse".into()], ..team.versions[0].rota.clone() };
    let holes = plan(all).holes(&Calendar::shipped(), at("2026-03-02 08:00"), at("2026-03-04 08:00"));
    let found: Vec<_> = holes.iter().map(|hole| (hole.post.as_str(), hole.from, hole.until)).collect();
    assert_eq!(
        found,
        [
            ("nurse", at("2026-03-02 18:00"), at("2026-03-03 08:00")),
            ("nurse", at("2026-03-03 18:00"), at("2026-03-04 08:00"))
        ]
    );
}

#[test]
fn an_override_beats_a_fixed_shift_beats_a_holiday_layer_beats_a_rotation() {
    let fixed = Layer { until: "2026-02-16".parse().ok(), ..layer("fixed", Kind::Fixed, "2026-02-16", &[5]) };
    let layers = vec![
        layer("weeks", Kind::Weekly, "2026-02-02", &[1]),
        layer("holidays", Kind::Holiday, "2026-01-01", &[3]),
        fixed,
    ];
    let mut team = plan(rota(layers));
    assert_eq!(who(&team, "2026-02-14 12:00"), [1], "a Saturday that is worked");
    assert_eq!(who(&team, "2026-02-15 12:00"), [3], "the first day of Spring Festival");
    assert_eq!(who(&team, "2026-02-16 12:00"), [5], "the fixed shift");
    team.overrides.push(stands_in(1, None, 9, "2026-02-16 20:00", "2026-02-17 08:00"));
    assert_eq!(who(&team, "2026-02-16 19:59"), [5]);
    assert_eq!(who(&team, "2026-02-16 20:00"), [9]);
    assert_eq!(who(&team, "2026-02-17 08:00"), [3]);
    let why = team.on_call(&Calendar::shipped(), at("2026-02-16 20:00")).shifts.remove(0).why;
    assert_eq!((why.kind, why.override_id, why.instead_of.map(|p| p.0)), (None, Some(1), Some(5)));
}

#[test]
fn leave_uncovers_the_layer_below_and_then_a_hole() {
    let layers =
        vec![layer("weeks", Kind::Weekly, "2026-02-02", &[1, 2]), layer("holidays", Kind::Holiday, "2026-01-01", &[3])];
    let mut team = plan(rota(layers));
    team.leave.push(leave(1, 3, "2026-02-17 12:00", "2026-02-18 12:00"));
    assert_eq!(who(&team, "2026-02-17 11:59"), [3]);
    assert_eq!(who(&team, "2026-02-17 12:00"), [1]);
    let shift = team.on_call(&Calendar::shipped(), at("2026-02-17 12:00")).shifts.remove(0);
    assert_eq!((shift.from, shift.until), (at("2026-02-17 12:00"), at("2026-02-18 12:00")));
    assert_eq!(shift.why.skipped[0].leave, 1);
    team.leave.push(leave(2, 1, "2026-02-17 20:00", "2026-02-18 06:00"));
    let holes = team.holes(&Calendar::shipped(), at("2026-02-02 08:00"), at("2026-03-02 08:00"));
    assert_eq!(holes.len(), 1);
    assert_eq!((holes[0].from, holes[0].until), (at("2026-02-17 20:00"), at("2026-02-18 06:00")));
    let Cause::Leave { skipped } = &holes[0].cause else { panic!("{holes:?}") };
    assert_eq!(skipped.iter().map(|one| (one.person.0, one.leave)).collect::<Vec<_>>(), [(3, 1), (1, 2)]);
}

#[test]
fn a_swap_is_two_overrides_and_one_who_gave_a_shift_away_is_not_fetched_back() {
    let mut team = plan(rota(vec![layer("days", Kind::Daily, "2026-03-02", &[1, 2, 3])]));
    team.overrides.push(stands_in(1, Some(1), 2, "2026-03-02 08:00", "2026-03-03 08:00"));
    team.overrides.push(stands_in(2, Some(2), 1, "2026-03-03 08:00", "2026-03-04 08:00"));
    let found = ["2026-03-02 12:00", "2026-03-03 12:00", "2026-03-04 12:00", "2026-03-05 12:00"];
    assert_eq!(found.map(|when| who(&team, when)), [[2], [1], [3], [1]]);
    // The stand-in falls ill as well, and passes it on.
    team.leave.push(leave(1, 2, "2026-03-02 10:00", "2026-03-02 22:00"));
    assert_eq!(who(&team, "2026-03-02 12:00"), [0; 0], "a hole, not the one who is away");
    team.overrides.push(stands_in(3, Some(2), 3, "2026-03-02 10:00", "2026-03-02 22:00"));
    assert_eq!(who(&team, "2026-03-02 12:00"), [3]);
    let stand_ins = team.stand_ins(&Calendar::shipped(), at("2026-03-02 12:00"));
    assert_eq!(stand_ins, [], "one is away, one gave it away");
}

#[test]
fn stand_ins_are_the_next_in_the_rotation_then_the_other_layers() {
    let layers = vec![
        layer("weeks", Kind::Weekly, "2026-02-02", &[1, 2, 4]),
        layer("holidays", Kind::Holiday, "2026-01-01", &[3, 5]),
    ];
    let mut team = plan(rota(layers));
    let order = |team: &Plan, when: &str| {
        let found = team.stand_ins(&Calendar::shipped(), at(when));
        found.iter().map(|one| one.person.0).collect::<Vec<_>>()
    };
    assert_eq!((who(&team, "2026-02-10 12:00"), order(&team, "2026-02-10 12:00")), (vec![2], vec![4, 1, 3, 5]));
    let on_holiday = who(&team, "2026-02-17 12:00")[0];
    let other = 8 - on_holiday;
    assert_eq!(order(&team, "2026-02-17 12:00"), [other, 4, 1, 2], "the third week is the third person's");
    team.leave.push(leave(1, 4, "2026-02-10 00:00", "2026-02-11 00:00"));
    assert_eq!(order(&team, "2026-02-10 12:00"), [1, 3, 5]);
}

#[test]
fn a_fixed_shift_takes_the_first_of_its_people_who_is_there() {
    let fixed = Layer { until: "2026-03-10".parse().ok(), ..layer("fixed", Kind::Fixed, "2026-03-02", &[5, 6]) };
    let mut team = plan(rota(vec![layer("days", Kind::Daily, "2026-03-01", &[1]), fixed]));
    team.leave.push(leave(1, 5, "2026-03-03 08:00", "2026-03-04 08:00"));
    let found = ["2026-03-02 12:00", "2026-03-03 12:00", "2026-03-10 23:00", "2026-03-11 08:00"];
    assert_eq!(found.map(|when| who(&team, when)), [[5], [6], [5], [1]]);
}

#[test]
fn workdays_and_days_off_share_the_year_without_a_gap() {
    let layers = vec![
        only(Only::Workdays, layer("work", Kind::Daily, "2025-12-31", &[1, 2])),
        only(Only::DaysOff, layer("off", Kind::Daily, "2025-12-31", &[3])),
    ];
    let year = plan(rota(layers)).shifts(&Calendar::shipped(), at("2026-01-01 08:00"), at("2026-12-31 08:00"));
    assert_eq!(year.holes, []);
    let days_off = year.shifts.iter().filter(|shift| shift.person.0 == 3).count();
    assert_eq!((days_off, year.shifts.len()), (364 - 247, 364), "248 working days, the last day is left out here");
    assert_eq!(doctor(3).duty, Duty::Doctor);
}
