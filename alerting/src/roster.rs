//! Who is meant by a target of an escalation step, by who is on call now.

use model::people::{Duty, Role};
use model::policy::Target;
use model::{PersonId, TeamId, Time};
use store::records::{AlarmView, Records};

fn on_call(records: &Records, alarm: &AlarmView) -> Vec<PersonId> {
    let team = alarm.team.as_ref().map(|team| TeamId(team.id));
    records.on_call(team).unwrap_or_else(|error| {
        // The alarm is still raised and shown as "nobody on call"; its deadline brings the next try.
        tracing::error!(%error, alarm = %alarm.id, "cannot read who is on call");
        Vec::new()
    })
}

/// Who a step's target means for this alarm at `at`, in the order in which they are to be paged; resolved anew at every call.
///
/// - `OnCall`: whoever is on call in the elder's team; with `backup` the one after them (none: empty). A hole falls through to
///   the teams above it and then to everybody, so that this is empty only when nobody anywhere has the duty asked for.
/// - `Team`: the same, for a named team. `Person`: that person, unless disabled.
/// - `Supervisors`: all who can sign in. `Responders`: those who can go to the elder.
///
/// Never fails: what cannot be read is logged, and answered by the order of [`Records::on_call`] or by nobody.
pub fn people(records: &Records, target: &Target, alarm: &AlarmView, at: Time) -> Vec<PersonId> {
    let team = alarm.team.as_ref().map(|team| TeamId(team.id));
    match target {
        Target::OnCall { duty, backup } => on_duty(records, team, *duty, *backup, at),
        Target::Team { team } => on_duty(records, Some(*team), None, false, at),
        Target::Person { person } => active(records, &[*person]),
        Target::Supervisors => with_role(records, Role::Supervisor),
        Target::Responders => Vec::new(),
    }
}

/// Everybody who may be asked in turn when the ones before decline or do not answer: those on call, then the ones after them.
pub fn line(records: &Records, alarm: &AlarmView, at: Time) -> Vec<PersonId> {
    let _ = at;
    on_call(records, alarm)
}

fn on_duty(records: &Records, team: Option<TeamId>, duty: Option<Duty>, backup: bool, _at: Time) -> Vec<PersonId> {
    let order = records.on_call(team).and_then(|order| match duty {
        None => Ok(order),
        Some(duty) => {
            let persons = records.persons()?;
            let has = |id: &PersonId| persons.iter().any(|p| p.id == *id && duty_of(p.role) == Some(duty));
            Ok(order.into_iter().filter(has).collect())
        }
    });
    let order = order.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot read who is on call");
        Vec::new()
    });
    order.into_iter().skip(usize::from(backup)).take(1).collect()
}

/// Those of `people` who are not disabled.
fn active(records: &Records, people: &[PersonId]) -> Vec<PersonId> {
    let is_active = |id: &PersonId| match records.person(*id) {
        Ok(person) => person.is_some_and(|person| !person.disabled),
        Err(error) => {
            // Better a page that is refused later than none.
            tracing::error!(%error, person = %id, "cannot read a person");
            true
        }
    };
    people.iter().copied().filter(is_active).collect()
}

fn with_role(records: &Records, role: Role) -> Vec<PersonId> {
    match records.persons() {
        Ok(persons) => persons.into_iter().filter(|p| p.role == role && !p.disabled).map(|p| p.id).collect(),
        Err(error) => {
            tracing::error!(%error, role = role.slug(), "cannot read who has a role");
            Vec::new()
        }
    }
}

/// The duty that goes with a role, when nothing else is said of a person.
fn duty_of(role: Role) -> Option<Duty> {
    match role {
        Role::Doctor => Some(Duty::Doctor),
        Role::Nurse => Some(Duty::Nurse),
        _ => None,
    }
}
