//! Whom a step's target means.

use model::people::Duty;
use model::policy::Target;
use model::{PersonId, TeamId};
use store::records::AlarmView;
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
