//! How good a rota is: gaps and balance, as one figure of 0 to 100, in the way of Grafana OnCall's quality report.

use std::collections::BTreeMap;

use model::{PersonId, Time};
use serde::Serialize;

use crate::calendar::Calendar;
use crate::plan::{Kind, Plan, Rota};
use crate::shifts::Shifts;
use crate::wall;

const HOUR_US: f64 = 3_600_000_000.0;

/// What a stretch of a rota is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quality {
    /// The mean of `covered` and `balance`, in percent, rounded down: only a rota without a fault has 100.
    pub score: u8,
    /// Share of the time of the posts that must be filled in which somebody is there.
    pub covered: f64,
    /// Mean, over all pairs of people who share the turns of a post, of the smaller load by the greater. 1: all alike.
    pub balance: f64,
    pub holes: usize,
    pub hole_hours: f64,
    /// By person.
    pub loads: Vec<Load>,
}

/// What one person carries, in all posts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    pub person: PersonId,
    pub shifts: u32,
    pub hours: f64,
    /// Hours of shifts that began on a day off.
    pub day_off_hours: f64,
}

impl Plan {
    /// The figure for `from..until`, by the version in force at `from`; 52 weeks are usual. `None`: there is no rota then.
    pub fn quality(&self, calendar: &Calendar, from: Time, until: Time) -> Option<Quality> {
        let version = self.version_at(from)?;
        let plan = Plan { versions: vec![version.clone()], ..self.clone() };
        let shifts = plan.shifts(calendar, from, until);
        let covered = covered(&version.rota, &shifts, from, until);
        let balance = balance(&version.rota, &shifts);
        let hours = shifts.holes.iter().map(|hole| hours(hole.from, hole.until)).sum();
        Some(Quality {
            score: ((covered + balance) * 50.0) as u8,
            covered,
            balance,
            holes: shifts.holes.len(),
            hole_hours: hours,
            loads: loads(&version.rota, &shifts, calendar),
        })
    }
}

fn hours(from: Time, until: Time) -> f64 {
    until.since_us(from) as f64 / HOUR_US
}

fn covered(rota: &Rota, shifts: &Shifts, from: Time, until: Time) -> f64 {
    let posts = rota.covered();
    let must = hours(from, until) * posts.len() as f64;
    let holes = shifts.holes.iter().filter(|hole| posts.contains(&hole.post.as_str()));
    let open: f64 = holes.map(|hole| hours(hole.from, hole.until)).sum();
    if must > 0.0 { (1.0 - open / must).clamp(0.0, 1.0) } else { 1.0 }
}

fn balance(rota: &Rota, shifts: &Shifts) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0_u32);
    for post in rota.posts() {
        let mut load: BTreeMap<PersonId, f64> = BTreeMap::new();
        // Who shares the turns counts, with nothing, also when no turn came; a fixed shift is not shared.
        for layer in rota.layers.iter().filter(|layer| layer.post == post && layer.kind != Kind::Fixed) {
            load.extend(layer.people.iter().map(|member| (member.person, 0.0)));
        }
        for shift in shifts.shifts.iter().filter(|shift| shift.post == post) {
            if let Some(load) = load.get_mut(&shift.person) {
                *load += hours(shift.from, shift.until);
            }
        }
        let loads: Vec<f64> = load.into_values().collect();
        for (i, one) in loads.iter().enumerate() {
            for other in &loads[i + 1..] {
                let greater = one.max(*other);
                sum += if greater > 0.0 { one.min(*other) / greater } else { 1.0 };
                pairs += 1;
            }
        }
    }
    if pairs == 0 { 1.0 } else { sum / f64::from(pairs) }
}

fn loads(rota: &Rota, shifts: &Shifts, calendar: &Calendar) -> Vec<Load> {
    let zone = wall::zone(&rota.zone);
    let nothing = |person| (person, Load { person, shifts: 0, hours: 0.0, day_off_hours: 0.0 });
    let mut loads: BTreeMap<PersonId, Load> = rota.people().into_iter().map(nothing).collect();
    for shift in &shifts.shifts {
        let load = loads.entry(shift.person).or_insert_with(|| nothing(shift.person).1);
        let hours = hours(shift.from, shift.until);
        load.shifts += 1;
        load.hours += hours;
        let begins = zone.as_ref().and_then(|zone| wall::date(shift.from, zone));
        if begins.and_then(|day| calendar.is_off(day, shift.from)) == Some(true) {
            load.day_off_hours += hours;
        }
    }
    loads.into_values().collect()
}
