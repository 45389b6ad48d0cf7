//! Who is meant by a target of an escalation step, by who is on call now: the rota of the elder's team, else its plain order;
//! what is empty there falls through to the units above it, and at last to everybody.

use model::people::{Duty, Role};
use model::policy::Target;
use model::{PersonId, TeamId, Time};
use store::records::{AlarmView, Error, Person, Records, UNITS_MAX};

/// People one alarm can have in its line.
const LINE_MAX: usize = 32;

/// Who a step's target means for this alarm at `at`, in the order in which they are to be paged; resolved anew at every call.
///
/// - `OnCall`: everybody on duty in the elder's team, in the order of its posts (of one duty only, when it is named). A post that
///   must be filled and is not is filled by the unit above, and so on; when no unit has anybody, the first of all teams' order.
///   With `backup`: the next one of each post instead; none there: those on duty in the unit above. May be empty, and also
///   when a duty is named that nobody has.
/// - `Team`: the same, for a named team. `Person`: that person, unless disabled.
/// - `Supervisors`: all who can sign in. `Responders`: those who can go to the elder, by rank.
///
/// Never fails: what cannot be read is logged, and answered by the order of [`Records::on_call`] or by nobody.
pub fn people(records: &Records, target: &Target, alarm: &AlarmView, at: Time) -> Vec<PersonId> {
    let team = alarm.team.as_ref().map(|team| TeamId(team.id));
    match target {
        Target::OnCall { duty, backup: false } => on_duty(&units(records, team, at), *duty),
        Target::OnCall { duty, backup: true } => backups(&units(records, team, at), *duty),
        Target::Team { team } => on_duty(&units(records, Some(*team), at), None),
        Target::Person { person } => active(records, *person),
        Target::Supervisors => with_role(records, Role::Supervisor),
        Target::Responders => responders(records, alarm),
    }
}

/// Everybody who may be asked in turn when the ones before decline or do not answer: of each unit those on duty, then the ones
/// after them.
pub fn line(records: &Records, alarm: &AlarmView, at: Time) -> Vec<PersonId> {
    let team = alarm.team.as_ref().map(|team| TeamId(team.id));
    let units = units(records, team, at);
    let (teams, everybody): (Vec<_>, Vec<_>) = units.iter().partition(|unit| !unit.everybody);
    let of = |units: &[&Unit]| {
        let seats = units.iter().flat_map(|unit| unit.on.iter().chain(&unit.after));
        unique(seats.map(|seat| seat.person), &[])
    };
    let mut line = of(&teams);
    if line.is_empty() {
        line = of(&everybody);
    }
    line.truncate(LINE_MAX);
    line
}

/// One unit at one instant: a team, the township above it, the county; at last everybody.
#[derive(Default)]
struct Unit {
    on: Vec<Seat>,
    /// Those who can be asked after them, in their order.
    after: Vec<Seat>,
    /// A post that must be filled is not.
    hole: bool,
    /// A plain order without posts: the first with a duty has it.
    plain: bool,
    everybody: bool,
}

struct Seat {
    person: PersonId,
    duty: Option<Duty>,
    post: String,
}

impl Unit {
    /// One post, whose first has it.
    fn of_order(order: Vec<Person>) -> Self {
        let seat = |person: Person| Seat { person: person.id, duty: person.works_as(), post: String::new() };
        let mut on: Vec<Seat> = order.into_iter().map(seat).collect();
        let after = on.split_off(on.len().min(1));
        Self { hole: on.is_empty(), on, after, plain: true, everybody: false }
    }
}

fn on_duty(units: &[Unit], duty: Option<Duty>) -> Vec<PersonId> {
    let mut found = Vec::new();
    for unit in units {
        if unit.everybody && !found.is_empty() {
            break;
        }
        found.extend(unique(of_duty(&unit.on, duty).chain(first_after(unit, duty)).map(|seat| seat.person), &found));
        // Somebody is there, but not in the post that counts: the unit above fills it.
        let filled = duty.is_some() || !unit.hole;
        if filled && !found.is_empty() {
            break;
        }
    }
    found
}

fn backups(units: &[Unit], duty: Option<Duty>) -> Vec<PersonId> {
    let on_duty = on_duty(units, duty);
    let Some(own) = units.first() else { return Vec::new() };
    let mut posts: Vec<&str> = Vec::new();
    let next_of_post = of_duty(&own.after, duty).filter(|seat| {
        let first = !on_duty.contains(&seat.person) && !posts.contains(&seat.post.as_str());
        if first {
            posts.push(&seat.post);
        }
        first
    });
    let found = unique(next_of_post.map(|seat| seat.person), &on_duty);
    if !found.is_empty() {
        return found;
    }
    let above = units.iter().skip(1).filter(|unit| !unit.everybody);
    let mut above = above.map(|unit| unique(of_duty(&unit.on, duty).map(|seat| seat.person), &on_duty));
    above.find(|people| !people.is_empty()).unwrap_or_default()
}

fn of_duty(seats: &[Seat], duty: Option<Duty>) -> impl Iterator<Item = &Seat> {
    seats.iter().filter(move |seat| duty.is_none() || seat.duty == duty)
}

/// In a plain order, the first with the duty when it is not the very first.
fn first_after(unit: &Unit, duty: Option<Duty>) -> Option<&Seat> {
    let asked = unit.plain && of_duty(&unit.on, duty).next().is_none();
    if asked { of_duty(&unit.after, duty).next() } else { None }
}

fn unique(people: impl Iterator<Item = PersonId>, without: &[PersonId]) -> Vec<PersonId> {
    let mut found: Vec<PersonId> = Vec::new();
    for person in people {
        if !found.contains(&person) && !without.contains(&person) {
            found.push(person);
        }
    }
    found
}

/// The elder's team, the units above it, and everybody.
fn units(records: &Records, team: Option<TeamId>, at: Time) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut team = team;
    for _ in 0..UNITS_MAX {
        let Some(id) = team else { break };
        // What cannot be read must not keep the others from being paged.
        units.push(unit(records, id, at).unwrap_or_else(|error| {
            tracing::error!(%error, team = %id, "cannot read the rota of a team; its plain order is used");
            plain(records, id)
        }));
        team = records.parent_of(id).unwrap_or_else(|error| {
            tracing::error!(%error, team = %id, "cannot read which unit is above a team");
            None
        });
    }
    let everybody = records.on_call(None).and_then(|order| persons(records, &order)).unwrap_or_else(|error| {
        // The alarm is still raised and shown as "nobody on call"; its deadline brings the next try.
        tracing::error!(%error, "cannot read who is on call");
        Vec::new()
    });
    units.push(Unit { everybody: true, ..Unit::of_order(everybody) });
    units
}

fn unit(records: &Records, team: TeamId, at: Time) -> Result<Unit, Error> {
    let plan = records.rota_plan_to_page(team, at)?;
    if plan.version_at(at).is_none_or(|version| version.rota.layers.is_empty()) {
        return Ok(Unit::of_order(persons(records, &records.order_of(team)?)?));
    }
    let calendar = records.calendar()?;
    let now = plan.shifts(&calendar, at, at.plus_us(1));
    for year in &now.missing_years {
        tracing::error!(%team, year, "no holidays of this year: the layers that need them are left out; import the year");
    }
    let on = now.shifts.into_iter().map(|s| Seat { person: s.person, duty: Some(s.duty), post: s.post });
    let after = plan.stand_ins(&calendar, at).into_iter();
    let after = after.map(|s| Seat { person: s.person, duty: Some(s.duty), post: s.post });
    Ok(Unit { on: on.collect(), after: after.collect(), hole: !now.holes.is_empty(), plain: false, everybody: false })
}

fn plain(records: &Records, team: TeamId) -> Unit {
    let order = records.order_of(team).and_then(|order| persons(records, &order));
    order.map(Unit::of_order).unwrap_or_default()
}

fn persons(records: &Records, ids: &[PersonId]) -> Result<Vec<Person>, Error> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(records.person(*id)?);
    }
    Ok(found)
}

fn active(records: &Records, person: PersonId) -> Vec<PersonId> {
    let is_active = match records.person(person) {
        Ok(found) => found.is_some_and(|found| !found.disabled),
        Err(error) => {
            // Better a page that is refused later than none.
            tracing::error!(%error, %person, "cannot read a person");
            true
        }
    };
    if is_active { vec![person] } else { Vec::new() }
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

fn responders(records: &Records, alarm: &AlarmView) -> Vec<PersonId> {
    let found = alarm.elder_id.map_or(Ok(Vec::new()), |elder| records.responders(elder));
    match found {
        Ok(responders) => responders.into_iter().map(|responder| responder.person).collect(),
        Err(error) => {
            tracing::error!(%error, alarm = %alarm.id, "cannot read who can go to the elder");
            Vec::new()
        }
    }
}
