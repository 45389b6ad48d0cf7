//! Rotas as they are kept: what is refused at saving, and that the past stays as it was.

use ::rota::{DAY_US, Kind, Layer, Member, Rota, Wall, Weight, Year};
use model::people::Duty;

use super::*;

const HOUR_US: i64 = DAY_US / 24;

/// START is 2026-09-21 22:13 in Shanghai.
pub(crate) fn daily(team: TeamId, people: &[PersonId]) -> Rota {
    let people = people.iter().map(|person| Member { person: *person, duty: Duty::Doctor }).collect();
    let layer = Layer {
        name: "days".into(),
        post: "main".into(),
        kind: Kind::Daily,
        hand_over: Wall::parse("08:00").unwrap(),
        end: None,
        start_date: "2026-09-21".parse().unwrap(),
        until: None,
        length_days: None,
        people,
        weekdays: vec![],
        only: None,
    };
    Rota { team, zone: "Asia/Shanghai".into(), cover: vec![], layers: vec![layer] }
}

fn holiday_layer(rota: &mut Rota) {
    let layer = Layer { name: "holidays".into(), kind: Kind::Holiday, ..rota.layers[0].clone() };
    rota.layers.push(layer);
}

impl House {
    fn save(&self, rota: &Rota) -> Saved {
        self.records.save_rota(rota, None, Some(self.dispatcher), "排班").unwrap()
    }

    fn refused(&self, rota: &Rota) -> String {
        let error = self.records.save_rota(rota, None, None, "排班").unwrap_err();
        assert!(matches!(&error, RotaError::Refused(_)), "{error:?}");
        error.to_string()
    }

    fn who(&self, at: Time) -> Vec<PersonId> {
        let plan = self.records.rota_plan(self.team, at.plus_us(-100 * DAY_US), at.plus_us(100 * DAY_US)).unwrap();
        plan.on_call(&self.records.calendar().unwrap(), at).shifts.iter().map(|shift| shift.person).collect()
    }

    fn stand_in(&self, out: PersonId, stand_in: PersonId, from_h: i64, until_h: i64) -> NewOverride {
        let at = |hours: i64| self.clock.now().plus_us(hours * HOUR_US);
        let (from, until) = (at(from_h), at(until_h));
        let (team, reason) = (self.team, "换班".to_owned());
        NewOverride { team, from, until, out: Some(out), post: None, stand_in, duty: None, reason }
    }
}

#[test]
fn a_rota_is_kept_with_its_story_and_the_past_stays() {
    let house = house();
    let before = house.clock.now().plus_us(-HOUR_US);
    let first = house.save(&daily(house.team, &[house.doctor, house.nurse]));
    assert_eq!((first.from, first.problems.len()), (START, 0));
    assert_eq!((house.who(before), house.who(START)), (vec![], vec![house.doctor]));
    house.pass(12 * 3_600);
    let noon = house.clock.now();
    assert_eq!(house.who(noon), [house.nurse]);
    // A version that says it begins in the past begins now.
    let rota = daily(house.team, &[house.doctor]);
    let second = house.records.save_rota(&rota, Some(START), None, "只有一人").unwrap();
    assert_eq!(second.from, noon);
    house.pass(60);
    assert_eq!((house.who(noon.plus_us(-1)), house.who(noon)), (vec![house.nurse], vec![house.doctor]));
    assert_eq!(house.who(START), [house.doctor]);
    let story = house.records.rota_versions(house.team, 10).unwrap();
    let told: Vec<_> = story.iter().map(|version| (version.version, version.reason.as_str(), version.author)).collect();
    assert_eq!(told, [(2, "只有一人", None), (1, "排班", Some(house.dispatcher))]);
    house.records.end_rota(house.team, None, "不再排班").unwrap();
    assert_eq!((house.who(house.clock.now()), house.who(noon)), (vec![], vec![house.doctor]));
}

#[test]
fn a_bad_rota_is_refused_with_place_and_reason() {
    let house = house();
    let unknown = daily(house.team, &[PersonId(99)]);
    assert_eq!(house.refused(&unknown), "layer \"days\": there is no person 99");
    let zone = Rota { zone: "Mars/Base".into(), ..daily(house.team, &[house.doctor]) };
    assert!(house.refused(&zone).starts_with("zone: there is no zone"));
    let mut tomorrow = daily(house.team, &[house.doctor]);
    tomorrow.layers[0].start_date = "2026-09-22".parse().unwrap();
    assert!(house.refused(&tomorrow).starts_with("post \"main\": nobody from 2026-09-21 22:13 until 2026-09-22 08:00"));
    house.records.set_disabled(house.nurse, true).unwrap();
    assert!(house.refused(&daily(house.team, &[house.doctor, house.nurse])).contains("is disabled"));
    let nowhere = house.records.save_rota(&daily(TeamId(77), &[house.doctor]), None, None, "x").unwrap_err();
    assert!(matches!(nowhere, RotaError::Store(Error::NotFound(_))), "{nowhere:?}");
    assert_eq!(house.records.rota_versions(house.team, 10).unwrap(), [], "nothing was kept");
}

#[test]
fn a_year_without_holidays_blocks_publishing_until_it_is_imported() {
    let house = house();
    house.clock.set(Time::parse("2026-11-22T09:00:00+08:00").unwrap());
    let mut rota = daily(house.team, &[house.doctor, house.nurse]);
    holiday_layer(&mut rota);
    assert!(house.refused(&rota).contains("no holidays of 2027"));
    let text = r#"{"year":2027,"papers":["p"],"days":[{"name":"元旦","date":"2027-01-01","isOffDay":true}]}"#;
    let year = Year::parse(text).unwrap();
    assert!(house.records.import_holidays(&year, None).unwrap());
    assert!(!house.records.import_holidays(&year, None).unwrap(), "known with the same content");
    assert_eq!(house.save(&rota).problems, []);
    let empty = Year { days: vec![], ..year };
    assert!(matches!(house.records.import_holidays(&empty, None), Err(Error::Invalid(_))));
}

#[test]
fn overrides_begin_now_at_the_earliest_and_do_not_overlap() {
    let house = house();
    house.save(&daily(house.team, &[house.doctor, house.nurse]));
    let new = house.stand_in(house.doctor, house.nurse, -5, 5);
    let saved = house.records.add_override(&new, Some(house.doctor)).unwrap();
    assert_eq!((saved.from, saved.problems.len()), (START, 0));
    assert_eq!(house.who(START), [house.nurse]);
    let refused = |new: &NewOverride| house.records.add_override(new, None).unwrap_err().to_string();
    assert!(refused(&house.stand_in(house.doctor, house.nurse, 4, 9)).contains("it overlaps override 1"));
    assert!(refused(&house.stand_in(house.doctor, house.dispatcher, 6, 9)).contains("cannot accept pages"));
    assert!(refused(&house.stand_in(house.doctor, house.doctor, 6, 9)).contains("for himself"));
    assert!(refused(&house.stand_in(house.doctor, house.nurse, -9, -1)).contains("later than now"));
    assert!(refused(&house.stand_in(house.doctor, PersonId(99), 6, 9)).contains("person is not known"));
    let no_post = NewOverride { out: None, ..new.clone() };
    assert!(refused(&no_post).contains("say who is replaced"));
    assert!(refused(&NewOverride { post: Some("night".into()), ..no_post }).contains("no such post"));
    // Somebody who has no turn then: saved, and said.
    let odd = house.records.add_override(&house.stand_in(house.dispatcher, house.nurse, 6, 9), None).unwrap();
    assert_eq!((odd.problems.len(), odd.problems[0].weight), (1, Weight::Flagged));
    // Cancelled halfway: what was stays.
    house.pass(3_600);
    house.records.cancel_override(saved.id, None).unwrap();
    house.pass(3_600);
    assert_eq!((house.who(START), house.who(house.clock.now())), (vec![house.nurse], vec![house.doctor]));
    assert!(house.records.cancel_override(saved.id, None).is_err(), "it is over");
    let listed = house.records.overrides_of(house.team, START).unwrap();
    assert_eq!((listed.len(), listed[0].author, listed[0].duty), (2, Some(house.doctor), Duty::Doctor));
    assert_eq!(house.records.override_row(saved.id).unwrap(), listed.into_iter().next());
}

#[test]
fn a_swap_is_both_or_nothing() {
    let house = house();
    house.save(&daily(house.team, &[house.doctor, house.nurse]));
    let at = |hours: i64| START.plus_us(hours * HOUR_US);
    let (mine, theirs) = ((house.doctor, at(0), at(9)), (house.nurse, at(10), at(34)));
    house.records.add_swap(house.team, mine, theirs, "家里有事", Some(house.doctor)).unwrap();
    assert_eq!((house.who(at(1)), house.who(at(12))), (vec![house.nurse], vec![house.doctor]));
    let again = house.records.add_swap(house.team, (house.doctor, at(60), at(70)), theirs, "x", None);
    assert!(again.is_err());
    assert_eq!(house.records.overrides_of(house.team, START).unwrap().len(), 2, "the first half was taken back");
}

#[test]
fn leave_is_never_refused_for_the_hole_it_makes() {
    let house = house();
    house.save(&daily(house.team, &[house.doctor, house.nurse]));
    let at = |hours: i64| START.plus_us(hours * HOUR_US);
    let saved = house.records.add_leave(house.doctor, (at(-3), at(48)), "病假", Some(house.doctor)).unwrap();
    assert_eq!((saved.from, saved.problems.len()), (START, 2), "tonight and the day after tomorrow");
    assert!(saved.problems[0].en.contains("has nobody from"), "{:?}", saved.problems);
    assert_eq!((house.who(at(1)), house.who(at(12))), (vec![], vec![house.nurse]));
    house.pass(3_600 * 2);
    house.records.cancel_leave(saved.id, None).unwrap();
    house.pass(3_600);
    assert_eq!((house.who(at(1)), house.who(at(3))), (vec![], vec![house.doctor]));
    assert_eq!(house.records.leave_rows(Some(house.doctor), START).unwrap().len(), 1);
    assert_eq!(house.records.leave_rows(Some(house.nurse), START).unwrap().len(), 0);
    // A disabled account is away from now on, and was there before.
    house.records.set_disabled(house.doctor, true).unwrap();
    assert_eq!((house.who(house.clock.now()), house.who(house.clock.now().plus_us(-1))), (vec![], vec![house.doctor]));
}

#[test]
fn units_stand_above_one_another_without_a_circle() {
    let house = house();
    let [township, county] = ["卫生院", "县"].map(|name| house.records.create_team(name).unwrap());
    house.records.set_parent(house.team, Some(township), None).unwrap();
    house.records.set_parent(township, Some(county), None).unwrap();
    assert_eq!(house.records.parent_of(house.team).unwrap(), Some(township));
    for above in [house.team, township, county] {
        assert!(house.records.set_parent(county, Some(above), None).is_err(), "{above}");
    }
    assert!(house.records.set_parent(TeamId(99), None, None).is_err());
    assert_eq!(house.records.teams().unwrap()[0].parent, Some(township));
    house.records.set_duty(house.nurse, Some(Duty::PublicHealth), None).unwrap();
    let works_as = |id| house.records.person(id).unwrap().unwrap().works_as();
    assert_eq!((works_as(house.nurse), works_as(house.dispatcher)), (Some(Duty::PublicHealth), None));
    house.records.set_duty(house.nurse, None, None).unwrap();
    assert_eq!(works_as(house.nurse), Some(Duty::Nurse));
}

#[test]
fn responders_are_asked_by_rank() {
    let house = house();
    let put = |person, relation: &str, rank| {
        house.records.set_responder(house.elder, &Responder { person, relation: relation.into(), rank }, None)
    };
    put(house.nurse, "网格员", 2).unwrap();
    put(house.doctor, "女儿", 1).unwrap();
    put(house.dispatcher, "邻居", 3).unwrap();
    put(house.nurse, "网格员", 0).unwrap();
    let order = || house.records.responders(house.elder).unwrap().iter().map(|one| one.person).collect::<Vec<_>>();
    assert_eq!(order(), [house.nurse, house.doctor, house.dispatcher]);
    house.records.set_disabled(house.doctor, true).unwrap();
    house.records.remove_responder(house.elder, house.dispatcher, None).unwrap();
    assert_eq!(order(), [house.nurse]);
    assert!(put(PersonId(99), "邻居", 1).is_err() && put(house.nurse, " ", 1).is_err());
    assert!(house.records.remove_responder(house.elder, house.dispatcher, None).is_err());
}
