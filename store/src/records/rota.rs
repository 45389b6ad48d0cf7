//! Rotas as saved by people: every version stays with the time from which it is in force, so that who was on call at a past
//! instant never changes. What is written only adds to what begins later.

use std::collections::{BTreeMap, BTreeSet};

use model::people::Duty;
use model::{PersonId, TeamId, Time};
use rota::{Calendar, Leave, Override, Place, Plan, Problem, Rota, Version, Weight};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::{bounded, person};
use super::view::{json, word};
use super::{Records, Tx, limit_of, rows};

/// Characters of a reason for a change of a rota, an override or a leave.
pub(super) const REASON_CHARS_MAX: usize = 500;
/// Units above one another: team, township, county, city.
pub const UNITS_MAX: usize = 8;
/// Farthest day for which a rota, an override or a leave can be written, in µs from now: two years.
pub(super) const AHEAD_US_MAX: i64 = 2 * 366 * rota::DAY_US;

/// Why a rota, an override or a leave was not saved. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RotaError {
    #[error("{}", first(.0))]
    Refused(Vec<Problem>),
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<rusqlite::Error> for RotaError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

fn first(problems: &[Problem]) -> String {
    problems.first().map_or_else(String::new, |problem| format!("{}: {}", problem.place, problem.en))
}

/// What was saved, and what about it is to be shown red.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// Version of a rota; number of an override or a leave.
    pub id: u32,
    /// When it begins: not before it was written.
    pub from: Time,
    pub problems: Vec<Problem>,
}

/// One version with its story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RotaVersion {
    pub version: u32,
    pub from: Time,
    pub rota: Rota,
    pub author: Option<PersonId>,
    pub reason: String,
    pub saved_at: Time,
}

impl Records {
    /// Checks and saves a version, in force from `from` (`None`, or past: from now). A hole in the first 24 hours, somebody unknown,
    /// or a year without holidays refuses it; what comes later in the next 8 weeks is flagged.
    pub fn save_rota(
        &self,
        rota: &Rota,
        from: Option<Time>,
        by: Option<PersonId>,
        reason: &str,
    ) -> Result<Saved, RotaError> {
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let from = from.unwrap_or(tx.now).max(tx.now);
            let mut problems = if from.since_us(tx.now) > AHEAD_US_MAX {
                vec![refused(Place::Rota, "生效时间超过两年", "it would begin more than two years from now")]
            } else {
                unknown_people(tx, rota)?
            };
            if problems.is_empty() {
                let until = from.plus_us(rota::WEEKS_AHEAD * rota::WEEK_US);
                let mut plan = plan(tx, rota.team, from, until)?;
                plan.leave = leave(tx, from, until)?;
                problems = rota.check(&plan, &calendar(tx)?, from);
            }
            if problems.iter().any(|problem| problem.weight == Weight::Refused) {
                return Err(RotaError::Refused(problems));
            }
            let id = insert(tx, rota, from, by, reason)?;
            Ok(Saved { id, from, problems })
        })
    }

    /// From now on the team has no rota: its plain order on call counts again.
    pub fn end_rota(&self, team: TeamId, by: Option<PersonId>, reason: &str) -> Result<u32> {
        bounded("reason", reason, REASON_CHARS_MAX)?;
        let none = Rota { team, zone: rota::ZONE.to_owned(), cover: Vec::new(), layers: Vec::new() };
        self.write(|tx| {
            let now = tx.now;
            insert(tx, &none, now, by, reason)
        })
    }

    /// The versions of a team, newest first.
    pub fn rota_versions(&self, team: TeamId, limit: usize) -> Result<Vec<RotaVersion>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT version, in_force_from, body, author, reason, saved_at FROM rota WHERE team = ?1 \
                 ORDER BY version DESC LIMIT ?2",
            )?;
            rows(query.query(params![team.0, limit_of(limit)])?, |row| {
                Ok(RotaVersion {
                    version: row.get(0)?,
                    from: Time(row.get(1)?),
                    rota: json("rota", row.get(2)?)?,
                    author: row.get::<_, Option<u32>>(3)?.map(PersonId),
                    reason: row.get(4)?,
                    saved_at: Time(row.get(5)?),
                })
            })
        })
    }

    /// All that says who is on call in this team in `from..until`. Disabled people count as away from now on.
    pub fn rota_plan(&self, team: TeamId, from: Time, until: Time) -> Result<Plan> {
        let now = self.now();
        self.read(|conn| {
            let mut plan = plan(conn, team, from, until)?;
            let people = people(&plan);
            plan.leave.extend(disabled(conn, now)?.into_iter().filter(|leave| people.contains(&leave.person)));
            Ok(plan)
        })
    }

    /// What says who is on call at `at`, for paging them: whoever is disabled by now is away.
    pub fn rota_plan_to_page(&self, team: TeamId, at: Time) -> Result<Plan> {
        self.read(|conn| {
            let mut plan = plan(conn, team, at, at.plus_us(1))?;
            let people = people(&plan);
            plan.leave.extend(disabled(conn, Time::MIN)?.into_iter().filter(|leave| people.contains(&leave.person)));
            Ok(plan)
        })
    }

    /// The unit above a team.
    pub fn parent_of(&self, team: TeamId) -> Result<Option<TeamId>> {
        self.read(|conn| parent_of(conn, team))
    }

    /// Puts a team under another (township hospital, county), to which its holes fall through.
    pub fn set_parent(&self, team: TeamId, parent: Option<TeamId>, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            let mut above = parent;
            for _ in 0..UNITS_MAX {
                let Some(unit) = above else { break };
                if unit == team {
                    return Err(Error::Invalid("a team cannot be under itself".into()));
                }
                above = parent_of(tx, unit)?;
            }
            if above.is_some() {
                return Err(Error::TooMany { what: "units above one another", limit: UNITS_MAX });
            }
            let parent = parent.map(|parent| parent.0);
            if tx.execute("UPDATE team SET parent = ?2 WHERE id = ?1", params![team.0, parent])? == 0 {
                return Err(Error::NotFound("team"));
            }
            let detail = parent.map_or_else(|| "none".to_owned(), |parent| parent.to_string());
            super::audit::write(tx, by, "set_parent", &format!("team/{team}"), &detail)
        })
    }

    /// Says as what a person works in the team. `None`: as what goes with the role.
    pub fn set_duty(&self, person: PersonId, duty: Option<Duty>, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            let word = duty.map(Duty::slug);
            if tx.execute("UPDATE person SET duty = ?2 WHERE id = ?1", params![person.0, word])? == 0 {
                return Err(Error::NotFound("person"));
            }
            super::audit::write(tx, by, "set_duty", &format!("person/{person}"), word.unwrap_or("none"))
        })
    }
}

pub(super) fn refused(place: Place, zh: &str, en: &str) -> Problem {
    Problem { weight: Weight::Refused, place, zh: zh.to_owned(), en: en.to_owned() }
}

fn insert(tx: &mut Tx<'_>, rota: &Rota, from: Time, by: Option<PersonId>, reason: &str) -> Result<u32> {
    let body = serde_json::to_string(rota).map_err(|error| Error::Invalid(error.to_string()))?;
    let version = tx.next_id("rota")? as u32;
    tx.execute(
        "INSERT INTO rota (version, team, in_force_from, body, author, reason, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![version, rota.team.0, from.0, body, by.map(|by| by.0), reason, tx.now.0],
    )?;
    super::audit::write(tx, by, "save_rota", &format!("team/{}", rota.team), &format!("version {version}"))?;
    Ok(version)
}

/// People of the rota who do not exist or may not be paged, with their layers.
fn unknown_people(conn: &Connection, rota: &Rota) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut known = BTreeMap::new();
    for layer in &rota.layers {
        for member in &layer.people {
            let id = member.person;
            let state = match known.get(&id) {
                Some(state) => *state,
                None => {
                    *known.entry(id).or_insert(person(conn, id)?.map(|one| (one.disabled, one.role.accepts_pages())))
                }
            };
            let (zh, en) = match state {
                Some((false, true)) => continue,
                Some((false, false)) => (
                    format!("编号 {id} 的角色不能接寻呼,请换人"),
                    format!("person {id} has a role that cannot accept pages: take another"),
                ),
                Some((true, _)) => {
                    (format!("编号 {id} 的账号已停用,请换人"), format!("person {id} is disabled: take another"))
                }
                None => (format!("没有编号为 {id} 的人员"), format!("there is no person {id}")),
            };
            problems.push(refused(Place::Layer(layer.name.clone()), &zh, &en));
        }
    }
    Ok(problems)
}

pub(super) fn parent_of(conn: &Connection, team: TeamId) -> Result<Option<TeamId>> {
    let mut query = conn.prepare_cached("SELECT parent FROM team WHERE id = ?1")?;
    let found = rows(query.query([team.0])?, |row| Ok(row.get::<_, Option<u32>>(0)?.map(TeamId)))?;
    Ok(found.into_iter().next().flatten())
}

pub(super) fn calendar(conn: &Connection) -> Result<Calendar> {
    let mut calendar = Calendar::shipped();
    let mut query = conn.prepare_cached("SELECT known_at, body FROM holiday_year ORDER BY id LIMIT ?1")?;
    let years = rows(query.query([limit_of(usize::MAX)])?, |row| {
        Ok((Time(row.get(0)?), json("year of holidays", row.get(1)?)?))
    })?;
    for (known_at, year) in years {
        calendar.add(known_at, &year);
    }
    Ok(calendar)
}

/// What is stored for a team, as far as it concerns `from..until`.
pub(super) fn plan(conn: &Connection, team: TeamId, from: Time, until: Time) -> Result<Plan> {
    // Versions below the one in force at `from` are never in force later.
    let mut query = conn.prepare_cached(
        "SELECT version, in_force_from, body FROM rota WHERE team = ?1 AND in_force_from < ?3 AND version >= \
         COALESCE((SELECT MAX(version) FROM rota WHERE team = ?1 AND in_force_from <= ?2), 0) ORDER BY version LIMIT ?4",
    )?;
    let found = query.query(params![team.0, from.0, until.0.max(from.0.saturating_add(1)), limit_of(usize::MAX)])?;
    let versions = rows(found, |row| {
        Ok(Version { version: row.get(0)?, from: Time(row.get(1)?), rota: json("rota", row.get(2)?)? })
    })?;
    let mut plan = Plan { versions, overrides: overrides(conn, team, from, until)?, leave: Vec::new() };
    let people = people(&plan);
    plan.leave = leave(conn, from, until)?.into_iter().filter(|leave| people.contains(&leave.person)).collect();
    Ok(plan)
}

/// Everybody whose leave can matter.
fn people(plan: &Plan) -> BTreeSet<PersonId> {
    let members = plan.versions.iter().flat_map(|version| version.rota.people());
    members.chain(plan.overrides.iter().map(|o| o.stand_in.person)).collect()
}

fn overrides(conn: &Connection, team: TeamId, from: Time, until: Time) -> Result<Vec<Override>> {
    let mut query = conn.prepare_cached(
        "SELECT id, starts_at, CASE WHEN cancelled_at < ends_at THEN cancelled_at ELSE ends_at END, out_person, post, in_person, in_duty, reason \
         FROM rota_override WHERE team = ?1 AND starts_at <= ?3 AND ends_at > ?2 AND COALESCE(cancelled_at, ends_at) > \
         starts_at ORDER BY id LIMIT ?4",
    )?;
    rows(query.query(params![team.0, from.0, until.0, limit_of(usize::MAX)])?, |row| {
        Ok(Override {
            id: row.get(0)?,
            from: Time(row.get(1)?),
            until: Time(row.get(2)?),
            out: row.get::<_, Option<u32>>(3)?.map(PersonId),
            post: row.get(4)?,
            stand_in: rota::Member { person: PersonId(row.get(5)?), duty: word("duty", Duty::parse, row.get(6)?)? },
            reason: row.get(7)?,
        })
    })
}

pub(super) fn leave(conn: &Connection, from: Time, until: Time) -> Result<Vec<Leave>> {
    let mut query = conn.prepare_cached(
        "SELECT id, person, starts_at, CASE WHEN cancelled_at < ends_at THEN cancelled_at ELSE ends_at END FROM leave \
         WHERE starts_at <= ?2 AND ends_at > ?1 AND COALESCE(cancelled_at, ends_at) > starts_at ORDER BY id LIMIT ?3",
    )?;
    rows(query.query(params![from.0, until.0, limit_of(usize::MAX)])?, |row| {
        Ok(Leave { id: row.get(0)?, person: PersonId(row.get(1)?), from: Time(row.get(2)?), until: Time(row.get(3)?) })
    })
}

fn disabled(conn: &Connection, since: Time) -> Result<Vec<Leave>> {
    let mut query = conn.prepare_cached("SELECT id FROM person WHERE disabled = TRUE LIMIT ?1")?;
    rows(query.query([limit_of(usize::MAX)])?, |row| {
        Ok(Leave { id: 0, person: PersonId(row.get(0)?), from: since, until: Time::MAX })
    })
}
