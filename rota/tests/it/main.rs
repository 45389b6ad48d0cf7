//! Rotas as a team lives with them: who is there at which minute, and where nobody is.
#![allow(clippy::unwrap_used)]

mod days;
mod history;
mod layers;
mod saving;
mod zones;

use model::people::Duty;
use model::{PersonId, TeamId, Time};
use vigil_rota::{Calendar, DAY_US, Kind, Layer, Leave, Member, Only, Override, Plan, Rota, Version, Wall};

pub(crate) const HOUR_US: i64 = DAY_US / 24;

/// An instant by the wall clock of Shanghai: `at("2026-02-14 08:00")`.
pub(crate) fn at(text: &str) -> Time {
    Time::parse(&format!("{}:00+08:00", text.replace(' ', "T"))).unwrap()
}

pub(crate) fn doctor(id: u32) -> Member {
    Member { person: PersonId(id), duty: Duty::Doctor }
}

pub(crate) fn layer(name: &str, kind: Kind, start: &str, people: &[u32]) -> Layer {
    Layer {
        name: name.into(),
        post: "main".into(),
        kind,
        hand_over: Wall::parse("08:00").unwrap(),
        end: None,
        start_date: start.parse().unwrap(),
        until: None,
        length_days: None,
        people: people.iter().map(|id| doctor(*id)).collect(),
        weekdays: vec![],
        only: None,
    }
}

pub(crate) fn only(only: Only, layer: Layer) -> Layer {
    Layer { only: Some(only), ..layer }
}

pub(crate) fn rota(layers: Vec<Layer>) -> Rota {
    Rota { team: TeamId(1), zone: "Asia/Shanghai".into(), cover: vec![], layers }
}

/// In force since for ever.
pub(crate) fn plan(rota: Rota) -> Plan {
    Plan { versions: vec![Version { version: 1, from: Time::MIN, rota }], ..Plan::default() }
}

pub(crate) fn leave(id: u32, person: u32, from: &str, until: &str) -> Leave {
    Leave { id, person: PersonId(person), from: at(from), until: at(until) }
}

pub(crate) fn stands_in(id: u32, out: Option<u32>, stand_in: u32, from: &str, until: &str) -> Override {
    let post = out.is_none().then(|| "main".to_owned());
    let (from, until, stand_in) = (at(from), at(until), doctor(stand_in));
    Override { id, from, until, out: out.map(PersonId), post, stand_in, reason: "换班".into() }
}

/// The people on duty at an instant, in the order of the posts.
pub(crate) fn who(plan: &Plan, when: &str) -> Vec<u32> {
    who_at(plan, at(when))
}

pub(crate) fn who_at(plan: &Plan, at: Time) -> Vec<u32> {
    let on_call = plan.on_call(&Calendar::shipped(), at);
    for shift in &on_call.shifts {
        assert!(shift.from <= at && at < shift.until, "{shift:?} does not hold {at}");
    }
    on_call.shifts.iter().map(|shift| shift.person.0).collect()
}
