//! From what was written to who is there: the timeline of each post, cut at every edge of a layer, an override and a leave.

use std::collections::BTreeSet;

use model::people::Duty;
use model::{PersonId, Time};
use serde::Serialize;

use crate::calendar::Calendar;
use crate::layer::Span;
use crate::plan::{Kind, Layer, Member, Plan, Rota};
use crate::{DAY_US, wall};

/// One person on duty in one post, from hand-over to hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shift {
    pub post: String,
    pub person: PersonId,
    pub duty: Duty,
    /// Name of the layer whose day it is; of an override that stands alone, empty.
    pub layer: String,
    pub why: Why,
    /// Version of the rota that says so.
    pub version: u32,
    pub from: Time,
    pub until: Time,
}

/// Why somebody is on duty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Why {
    /// Of the layer. `None`: an override that stands alone.
    pub kind: Option<Kind>,
    /// Number of the last override that brought this person.
    #[serde(rename = "override")]
    pub override_id: Option<u32>,
    /// Whose turn it would have been.
    pub instead_of: Option<PersonId>,
    /// Who was passed over because of leave, with their layers.
    pub skipped: Vec<Skipped>,
}

/// Somebody who would be on duty and is away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub person: PersonId,
    pub layer: String,
    pub leave: u32,
}

/// A post that should be filled and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    pub post: String,
    pub cause: Cause,
    pub from: Time,
    pub until: Time,
}

/// Why a post is empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// No layer has this time.
    NoLayer,
    /// Everybody who has it is on leave.
    Leave { skipped: Vec<Skipped> },
    /// A layer needs the calendar of a year without data.
    NoCalendar { year: i16 },
}

/// A stretch of time of one team.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shifts {
    /// By post, ascending in time.
    pub shifts: Vec<Shift>,
    /// By post, ascending in time.
    pub holes: Vec<Hole>,
    /// Years that some layer would need and that have no data. Shown red: layers that need no calendar go on.
    pub missing_years: BTreeSet<i16>,
}

/// One instant of one team.
pub type OnCall = Shifts;

/// Somebody who can be asked when the one on duty does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StandIn {
    pub post: String,
    pub person: PersonId,
    pub duty: Duty,
    pub layer: String,
}

impl Plan {
    /// Who is on duty when in `from..until`, and where nobody is. Empty before the first version.
    pub fn shifts(&self, calendar: &Calendar, from: Time, until: Time) -> Shifts {
        let mut all = Shifts::default();
        for (from, until, version) in self.in_force(from, until) {
            // A zone that does not exist is refused at saving; should one get here, nobody is on duty by it.
            let Some(zone) = wall::zone(&version.rota.zone) else { continue };
            for post in version.rota.posts() {
                let timeline = Timeline::new(self, &version.rota, version.version, post, &zone, calendar, from, until);
                timeline.run(&mut all);
            }
        }
        all
    }

    /// Who is on duty at `at`, with the whole shift of each, and which posts are empty then.
    pub fn on_call(&self, calendar: &Calendar, at: Time) -> OnCall {
        let longest = self.version_at(at).into_iter().flat_map(|version| &version.rota.layers);
        let days = longest.filter_map(Layer::turn_days).max().unwrap_or(1) + 1;
        let around = days * DAY_US;
        let mut found = self.shifts(calendar, at.plus_us(-around), at.plus_us(around));
        found.shifts.retain(|shift| shift.from <= at && at < shift.until);
        found.holes.retain(|hole| hole.from <= at && at < hole.until);
        found.missing_years = self.shifts(calendar, at, at.plus_us(1)).missing_years;
        found
    }

    /// Where a post that must be filled has nobody in `from..until`.
    pub fn holes(&self, calendar: &Calendar, from: Time, until: Time) -> Vec<Hole> {
        self.shifts(calendar, from, until).holes
    }

    /// Who can be asked after those on duty at `at`, by post: the next in the rotation, then the others of the post's layers
    /// by rank. Nobody who is on duty, on leave, or has given this time away.
    pub fn stand_ins(&self, calendar: &Calendar, at: Time) -> Vec<StandIn> {
        let Some(version) = self.version_at(at) else { return Vec::new() };
        let Some(zone) = wall::zone(&version.rota.zone) else { return Vec::new() };
        let until = at.plus_us(1);
        let on_duty: BTreeSet<_> = self.shifts(calendar, at, until).shifts.iter().map(|shift| shift.person).collect();
        let mut found: Vec<StandIn> = Vec::new();
        for post in version.rota.posts() {
            let timeline = Timeline::new(self, &version.rota, version.version, post, &zone, calendar, at, until);
            for (layer, member) in timeline.order(at) {
                let seen = found.iter().any(|other| other.post == post && other.person == member.person);
                if seen || on_duty.contains(&member.person) || timeline.is_away(member.person, at).is_some() {
                    continue;
                }
                let (post, layer) = (post.to_owned(), layer.name.clone());
                found.push(StandIn { post, person: member.person, duty: member.duty, layer });
            }
        }
        found
    }
}

/// One post of one version over a stretch of time.
struct Timeline<'a> {
    plan: &'a Plan,
    rota: &'a Rota,
    version: u32,
    post: &'a str,
    from: Time,
    until: Time,
    /// By rank, the highest first.
    layers: Vec<(&'a Layer, Vec<Span>)>,
}

/// What is true of a post between two edges.
#[derive(Clone, PartialEq, Eq)]
enum Now {
    /// With the turn, so that two turns of the same person stay two shifts.
    Filled(Member, String, Why, i64),
    Empty(Cause),
    /// Nobody has to be there.
    Free,
}

impl<'a> Timeline<'a> {
    #[allow(clippy::too_many_arguments)]
    fn new(
        plan: &'a Plan,
        rota: &'a Rota,
        version: u32,
        post: &'a str,
        zone: &jiff::tz::TimeZone,
        calendar: &Calendar,
        from: Time,
        until: Time,
    ) -> Self {
        let of_post = rota.layers.iter().filter(|layer| layer.post == post && !layer.people.is_empty());
        let mut layers: Vec<_> = of_post.map(|layer| (layer, layer.spans(zone, calendar, from, until))).collect();
        layers.sort_by_key(|(layer, _)| std::cmp::Reverse(layer.kind.rank()));
        Self { plan, rota, version, post, from, until, layers }
    }

    fn run(&self, all: &mut Shifts) {
        let edges = self.edges();
        let must = self.rota.covered().contains(&self.post);
        let mut open: Option<(Now, Time)> = None;
        for edge in edges.windows(2) {
            let now = self.now(edge[0], must, &mut all.missing_years);
            if open.as_ref().is_none_or(|(before, _)| *before != now)
                && let Some((before, since)) = open.replace((now, edge[0]))
            {
                self.close(before, since, edge[0], all);
            }
        }
        if let Some((last, since)) = open {
            self.close(last, since, self.until, all);
        }
    }

    fn close(&self, now: Now, from: Time, until: Time, all: &mut Shifts) {
        let post = self.post.to_owned();
        match now {
            Now::Filled(Member { person, duty }, layer, why, _) => {
                all.shifts.push(Shift { post, person, duty, layer, why, version: self.version, from, until });
            }
            Now::Empty(cause) => all.holes.push(Hole { post, cause, from, until }),
            Now::Free => {}
        }
    }

    /// Every instant at which something can change.
    fn edges(&self) -> Vec<Time> {
        let spans = self.layers.iter().flat_map(|(_, spans)| spans).flat_map(|span| [span.from, span.until]);
        let overrides = self.plan.overrides.iter().flat_map(|o| [o.from, o.until]);
        let leave = self.plan.leave.iter().flat_map(|leave| [leave.from, leave.until]);
        let inside = |at: &Time| self.from < *at && *at < self.until;
        let mut edges: Vec<Time> = spans.chain(overrides).chain(leave).filter(inside).collect();
        edges.extend([self.from, self.until]);
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// The layers that have `at`, by rank, with their turns. A layer whose calendar is not known comes with the year.
    fn candidates(&self, at: Time) -> impl Iterator<Item = (&'a Layer, Span)> {
        self.layers.iter().filter_map(move |(layer, spans)| {
            let next = spans.partition_point(|span| span.until <= at);
            let span = spans.get(next).filter(|span| span.contains(at))?;
            Some((*layer, *span))
        })
    }

    fn now(&self, at: Time, must: bool, missing: &mut BTreeSet<i16>) -> Now {
        let mut skipped = Vec::new();
        let mut unknown = None;
        if let Some(found) = self.alone(at, &mut skipped) {
            return found;
        }
        for (layer, span) in self.candidates(at) {
            if let Some(year) = span.unknown {
                missing.insert(year);
                unknown = unknown.or(Some(year));
                continue;
            }
            if let Some(found) = self.by_layer(layer, span, at, &mut skipped) {
                return found;
            }
        }
        match (unknown, skipped.is_empty()) {
            (_, false) => Now::Empty(Cause::Leave { skipped }),
            (Some(year), true) => Now::Empty(Cause::NoCalendar { year }),
            (None, true) if must => Now::Empty(Cause::NoLayer),
            (None, true) => Now::Free,
        }
    }

    /// Who the newest override of this post names whoever's turn it is.
    fn alone(&self, at: Time, skipped: &mut Vec<Skipped>) -> Option<Now> {
        for o in self.plan.overrides.iter().rev() {
            if o.out.is_some() || o.post.as_deref() != Some(self.post) || !(o.from <= at && at < o.until) {
                continue;
            }
            if let Some(leave) = self.is_away(o.stand_in.person, at) {
                skipped.push(Skipped { person: o.stand_in.person, layer: String::new(), leave });
                continue;
            }
            let turn = self.candidates(at).next();
            let instead_of = turn.map(|(layer, span)| layer.people[layer.index(span.turn)].person);
            let why = Why { kind: None, override_id: Some(o.id), instead_of, skipped: skipped.clone() };
            return Some(Now::Filled(o.stand_in, String::new(), why, 0));
        }
        None
    }

    /// Who this layer puts there: whose turn it is, or whoever stands in; `None` when they are away.
    fn by_layer(&self, layer: &Layer, span: Span, at: Time, skipped: &mut Vec<Skipped>) -> Option<Now> {
        let turns = match layer.kind {
            Kind::Fixed => &layer.people[..],
            _ => std::slice::from_ref(&layer.people[layer.index(span.turn)]),
        };
        for member in turns {
            let (who, override_id) = self.overridden(*member, at);
            if let Some(leave) = self.is_away(who.person, at) {
                skipped.push(Skipped { person: who.person, layer: layer.name.clone(), leave });
                continue;
            }
            let instead_of = (who.person != member.person).then_some(member.person);
            let why = Why { kind: Some(layer.kind), override_id, instead_of, skipped: std::mem::take(skipped) };
            return Some(Now::Filled(who, layer.name.clone(), why, span.turn));
        }
        None
    }

    /// Follows the overrides from one person to the next, each once and in their order.
    fn overridden(&self, member: Member, at: Time) -> (Member, Option<u32>) {
        let mut who = (member, None);
        for o in &self.plan.overrides {
            let here = o.post.as_deref().is_none_or(|post| post == self.post);
            if o.out == Some(who.0.person) && here && o.from <= at && at < o.until {
                who = (o.stand_in, Some(o.id));
            }
        }
        who
    }

    /// Number of the leave that keeps this person away.
    fn is_away(&self, person: PersonId, at: Time) -> Option<u32> {
        let on = self.plan.leave.iter().find(|l| l.person == person && l.from <= at && at < l.until);
        on.map(|leave| leave.id)
    }

    /// Everybody of the post in the order in which they would be asked: by rank of the layers that have `at`, from whose
    /// turn it is onwards; then the other layers.
    fn order(&self, at: Time) -> Vec<(&'a Layer, Member)> {
        let active: Vec<_> = self.candidates(at).filter(|(_, span)| span.unknown.is_none()).collect();
        let rest = self.layers.iter().map(|(layer, _)| *layer);
        let rest = rest.filter(|layer| !active.iter().any(|(other, _)| std::ptr::eq(*other, *layer)));
        let turns = active.iter().map(|(layer, span)| (*layer, layer.index(span.turn)));
        let mut order = Vec::new();
        for (layer, first) in turns.chain(rest.map(|layer| (layer, 0))) {
            let round = layer.people.iter().cycle().skip(first).take(layer.people.len());
            order.extend(round.filter(|member| !self.gave_away(member.person, at)).map(|member| (layer, *member)));
        }
        order
    }

    fn gave_away(&self, person: PersonId, at: Time) -> bool {
        self.plan.overrides.iter().any(|o| o.out == Some(person) && o.from <= at && at < o.until)
    }
}
