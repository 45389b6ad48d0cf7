//! Whom a step's target means.

use model::people::{Duty, Role};
use model::policy::Target;
use model::{PersonId, TeamId, Time};
use rota::{DAY_US, Kind, Layer, Member, Rota, Wall};
use store::records::{AlarmView, NewOverride, NewPerson, Responder};
use vigil_alerting::{Config, roster};

use crate::world::{World, at, sos, stop};

const FIRST: Target = Target::OnCall { duty: None, backup: false };
const BACKUP: Target = Target::OnCall { duty: None, backup: true };

async fn alarm(world: &World) -> AlarmView {
    let (_, tasks) = world.start(&Config::default());
    world.say(&sos(world.elder, 0)).await;
    let alarm = world.alarm_when("the alarm", |_| true).await;
    stop(tasks).await;
    alarm.view
}

#[tokio::test]
async fn without_a_rota_the_order_on_call_decides() {
    let world = World::new();
    let alarm = alarm(&world).await;
    let people = |target: &Target| roster::people(&world.records, target, &alarm, at(60));
    let [first, second] = world.doctors;
    assert_eq!(people(&FIRST), [first]);
    assert_eq!(people(&BACKUP), [second]);
    assert_eq!(people(&Target::OnCall { duty: Some(Duty::Doctor), backup: false }), [first]);
    assert_eq!(people(&Target::OnCall { duty: Some(Duty::Nurse), backup: false }), [], "there is no nurse");
    assert_eq!(people(&Target::Person { person: second }), [second]);
    assert_eq!(people(&Target::Person { person: PersonId(99) }), []);
    assert_eq!(people(&Target::Team { team: TeamId(77) }), [first], "an unknown team falls through to everybody");
    assert_eq!(people(&Target::Supervisors), []);
    assert_eq!(roster::line(&world.records, &alarm, at(60)), [first, second]);
    world.records.set_disabled(first, true).unwrap();
    let people = |target: &Target| roster::people(&world.records, target, &alarm, at(60));
    assert_eq!((people(&FIRST), people(&BACKUP)), (vec![second], vec![]));
    assert_eq!(people(&Target::Person { person: first }), []);
}

/// Wall clock of Shanghai; the world begins at 2027-01-15 16:00.
fn local(text: &str) -> Time {
    Time::parse(&format!("{}:00+08:00", text.replace(' ', "T"))).unwrap()
}

fn person(world: &World, login: &str, role: Role, team: TeamId) -> PersonId {
    let new = NewPerson {
        name: login.into(),
        phone: String::new(),
        role,
        login: login.into(),
        password: "Langes-Wort-7".into(),
        team: Some(team),
        language: "zh".into(),
        on_call_order: None,
    };
    world.records.create_person(&new).unwrap()
}

fn weekly(name: &str, duty: Duty, people: &[PersonId]) -> Layer {
    Layer {
        name: name.into(),
        post: name.into(),
        kind: Kind::Weekly,
        hand_over: Wall::parse("08:00").unwrap(),
        end: None,
        start_date: "2027-01-11".parse().unwrap(),
        until: None,
        length_days: None,
        people: people.iter().map(|person| Member { person: *person, duty }).collect(),
        weekdays: vec![],
        only: None,
    }
}

fn rota_of(team: TeamId, layers: Vec<Layer>) -> Rota {
    Rota { team, zone: "Asia/Shanghai".into(), cover: vec![], layers }
}

/// One escalation lives through a shift change: every call asks anew.
#[tokio::test]
async fn with_a_rota_the_shift_decides_and_a_change_in_the_middle_counts() {
    let world = World::new();
    let alarm = alarm(&world).await;
    let team = TeamId(alarm.team.as_ref().unwrap().id);
    let [first, second] = world.doctors;
    let nurse = person(&world, "nurse1", Role::Nurse, team);
    let rota =
        rota_of(team, vec![weekly("doctor", Duty::Doctor, &[first, second]), weekly("nurse", Duty::Nurse, &[nurse])]);
    world.records.save_rota(&rota, None, None, "1+1").unwrap();
    let people = |target: &Target, when: &str| roster::people(&world.records, target, &alarm, local(when));
    assert_eq!(people(&FIRST, "2027-01-18 07:59"), [first, nurse]);
    assert_eq!(people(&BACKUP, "2027-01-18 07:59"), [second]);
    assert_eq!(people(&FIRST, "2027-01-18 08:00"), [second, nurse]);
    assert_eq!(people(&BACKUP, "2027-01-18 08:00"), [first]);
    assert_eq!(people(&Target::OnCall { duty: Some(Duty::Nurse), backup: false }, "2027-01-18 08:00"), [nurse]);
    assert_eq!(roster::line(&world.records, &alarm, local("2027-01-18 08:00")), [second, nurse, first]);
    let stand_in = NewOverride {
        team,
        from: local("2027-01-18 20:00"),
        until: local("2027-01-19 08:00"),
        out: Some(second),
        post: None,
        stand_in: first,
        duty: None,
        reason: "换班".into(),
    };
    world.records.add_override(&stand_in, None).unwrap();
    assert_eq!(people(&FIRST, "2027-01-18 20:00"), [first, nurse]);
    assert_eq!(people(&BACKUP, "2027-01-18 20:00"), [], "the only other one has given this time away");
    // Who is disabled is not paged from that moment on, whatever the rota says.
    world.records.set_disabled(nurse, true).unwrap();
    assert_eq!(people(&FIRST, "2027-01-18 20:00"), [first]);
}

#[tokio::test]
async fn a_hole_falls_through_to_the_unit_above_and_then_to_everybody() {
    let world = World::new();
    let alarm = alarm(&world).await;
    let team = TeamId(alarm.team.as_ref().unwrap().id);
    let [first, second] = world.doctors;
    let township = world.records.create_team("镇卫生院").unwrap();
    let county = world.records.create_team("县值班").unwrap();
    world.records.set_parent(team, Some(township), None).unwrap();
    world.records.set_parent(township, Some(county), None).unwrap();
    let [of_township, of_county] =
        [("zhen", township), ("xian", county)].map(|(login, team)| person(&world, login, Role::Doctor, team));
    let nurse = person(&world, "nurse1", Role::Nurse, team);
    let own = vec![weekly("doctor", Duty::Doctor, &[first, second]), weekly("nurse", Duty::Nurse, &[nurse])];
    world.records.save_rota(&rota_of(team, own), None, None, "团队").unwrap();
    let above = |team, person| rota_of(team, vec![weekly("duty", Duty::Doctor, &[person])]);
    world.records.save_rota(&above(township, of_township), None, None, "卫生院").unwrap();
    world.records.save_rota(&above(county, of_county), None, None, "县").unwrap();
    let when = local("2027-01-16 12:00");
    let people = |target: &Target| roster::people(&world.records, target, &alarm, when);
    let away = |person| {
        world.records.add_leave(person, (at(0), at(0).plus_us(3 * DAY_US)), "病假", None).unwrap();
    };
    assert_eq!(people(&FIRST), [first, nurse]);
    away(first);
    assert_eq!(people(&FIRST), [nurse, of_township], "the doctor's post is filled from above, the nurse stays");
    assert_eq!(people(&Target::OnCall { duty: Some(Duty::Doctor), backup: false }), [of_township]);
    assert_eq!(people(&BACKUP), [second], "the next of the team's own rotation");
    assert_eq!(people(&Target::OnCall { duty: Some(Duty::Nurse), backup: true }), [], "no unit has a second nurse");
    away(of_township);
    assert_eq!(people(&FIRST), [nurse, of_county]);
    away(nurse);
    away(of_county);
    assert_eq!(people(&FIRST), [first], "nobody is left in any unit: the plain order of all teams, leave or not");
    assert_eq!(people(&Target::Team { team: county }), [first]);
}

#[tokio::test]
async fn responders_of_the_elder_are_asked_by_rank() {
    let world = World::new();
    let alarm = alarm(&world).await;
    let [first, second] = world.doctors;
    let team = TeamId(alarm.team.as_ref().unwrap().id);
    let grid = person(&world, "grid", Role::Responder, team);
    for (person, rank) in [(second, 2), (grid, 1)] {
        let responder = Responder { person, relation: "网格员".into(), rank };
        world.records.set_responder(world.elder, &responder, None).unwrap();
    }
    let people = |target: &Target| roster::people(&world.records, target, &alarm, at(60));
    assert_eq!(people(&Target::Responders), [grid, second]);
    assert_eq!(people(&FIRST), [first]);
    let supervisor = person(&world, "zhang", Role::Supervisor, team);
    assert_eq!(people(&Target::Supervisors), [supervisor]);
}
