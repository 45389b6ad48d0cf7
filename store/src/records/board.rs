//! The picture of a team's rota that screens and the command line show: who is on call, why, who is next, and the holes ahead.

use std::collections::BTreeSet;

use model::{PersonId, TeamId, Time};
use rota::{DAY_US, Hole, Problem, Quality, Rota, Shift, StandIn, WEEK_US, WEEKS_AHEAD};
use rusqlite::Connection;
use serde::Serialize;

use super::error::{Error, Result};
use super::overrides::{LeaveRow, OverrideRow};
use super::people::person;
use super::rows;
use super::view::Named;
use super::{Records, rota::parent_of};

/// Days of shifts one picture holds.
pub const BOARD_DAYS_MAX: u32 = 92;
/// The figure is that of so many weeks.
const QUALITY_WEEKS: i64 = 52;
/// Before `at`, so that a shift under way is told from its begin.
const BEFORE_US: i64 = 100 * DAY_US;

/// A team's rota from an instant on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    pub team: Named,
    /// The unit to which holes fall through.
    pub parent: Option<Named>,
    pub at: Time,
    /// In force at `at`. `None`: the team has no rota; its plain order on call counts.
    pub version: Option<u32>,
    pub rota: Option<Rota>,
    /// On duty at `at`, with the whole of their shifts.
    pub on_call: Vec<Shift>,
    /// Posts that are empty at `at`.
    pub holes_now: Vec<Hole>,
    /// Who is asked after those on duty, in this order.
    pub stand_ins: Vec<StandIn>,
    /// Of the days asked for.
    pub shifts: Vec<Shift>,
    /// Of the next 8 weeks.
    pub holes: Vec<Hole>,
    /// Years that a layer needs within 8 weeks and that have no holidays: those layers do not act there. Red.
    pub missing_years: BTreeSet<i16>,
    /// Years whose holidays are known.
    pub years: Vec<i16>,
    /// Of 52 weeks from `at`.
    pub quality: Option<Quality>,
    /// Of now and later, cancelled ones among them.
    pub overrides: Vec<OverrideRow>,
    /// Of people of the rota.
    pub leave: Vec<LeaveRow>,
    /// Names of everybody above.
    pub people: Vec<Named>,
}

impl Records {
    /// The rota of a team at `at`, with the shifts of the next `days` (at most [`BOARD_DAYS_MAX`]).
    pub fn rota_board(&self, team: TeamId, at: Time, days: u32) -> Result<Board> {
        let days = i64::from(days.clamp(1, BOARD_DAYS_MAX));
        let year = at.plus_us(QUALITY_WEEKS * WEEK_US);
        let plan = self.rota_plan(team, at.plus_us(-BEFORE_US), year)?;
        let calendar = self.calendar()?;
        let now = plan.on_call(&calendar, at);
        let ahead = plan.shifts(&calendar, at, at.plus_us(WEEKS_AHEAD * WEEK_US));
        let version = plan.version_at(at).filter(|version| !version.rota.layers.is_empty());
        let people: BTreeSet<_> = plan.versions.iter().flat_map(|version| version.rota.people()).collect();
        let overrides = self.overrides_of(team, at)?;
        let leave: Vec<_> =
            self.leave_rows(None, at)?.into_iter().filter(|leave| people.contains(&leave.person)).collect();
        let stand_ins = overrides.iter().flat_map(|o| o.out.into_iter().chain([o.stand_in]));
        let everybody: BTreeSet<PersonId> = people.iter().copied().chain(stand_ins).collect();
        let (team, parent, people) = self.read(|conn| {
            let parent = parent_of(conn, team)?.map(|parent| named_team(conn, parent)).transpose()?;
            Ok((named_team(conn, team)?, parent, names(conn, &everybody)?))
        })?;
        Ok(Board {
            team,
            parent,
            at,
            version: version.map(|version| version.version),
            rota: version.map(|version| version.rota.clone()),
            on_call: now.shifts,
            holes_now: now.holes,
            stand_ins: plan.stand_ins(&calendar, at),
            shifts: plan.shifts(&calendar, at, at.plus_us(days * DAY_US)).shifts,
            holes: ahead.holes,
            missing_years: ahead.missing_years,
            years: calendar.years(),
            quality: version.and_then(|_| plan.quality(&calendar, at, year)),
            overrides,
            leave,
            people,
        })
    }
}

impl Board {
    /// The name of somebody in it.
    pub fn name(&self, person: PersonId) -> &str {
        self.people.iter().find(|named| named.id == person.0).map_or("?", |named| named.name.as_str())
    }
}

/// All problems in one sentence, in both languages.
pub fn problem_words(problems: &[Problem]) -> (String, String) {
    let zh: Vec<_> = problems.iter().map(|problem| format!("{}:{}", problem.place, problem.zh)).collect();
    let en: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.place, problem.en)).collect();
    (zh.join(";"), en.join("; "))
}

fn named_team(conn: &Connection, team: TeamId) -> Result<Named> {
    let mut query = conn.prepare_cached("SELECT id, name FROM team WHERE id = ?1")?;
    let mut found = rows(query.query([team.0])?, |row| Ok(Named { id: row.get(0)?, name: row.get(1)? }))?;
    found.pop().ok_or(Error::NotFound("team"))
}

fn names(conn: &Connection, people: &BTreeSet<PersonId>) -> Result<Vec<Named>> {
    let mut named = Vec::with_capacity(people.len());
    for id in people {
        named.extend(person(conn, *id)?.map(|person| Named { id: id.0, name: person.name }));
    }
    Ok(named)
}
