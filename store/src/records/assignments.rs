//! Who has which layer, from when until when, and who said so. An assignment is ended, never deleted.

use std::collections::BTreeMap;

use model::layer::{Layer, Refused, Scope};
use model::people::Role;
use model::{ElderId, PersonId, TeamId, Time};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::layers::{REASON_CHARS_MAX, is_doctor};
use super::people::bounded;
use super::world::{Held, World, people, scope};
use super::{Records, Tx, limit_of, rows, rules};

/// Assignments in force or planned for one elder, one team, or all age bands.
pub const ASSIGNMENTS_MAX: usize = 24;
/// Oldest age of an age band.
const AGE_MAX: u32 = 130;
const DAY_US: i64 = 86_400_000_000;

/// A layer to be assigned.
#[derive(Clone, Debug)]
pub struct NewAssignment {
    pub layer: String,
    pub scope: Scope,
    /// `None`, or past: from now on.
    pub from: Option<Time>,
    /// `None`: until somebody ends it.
    pub until: Option<Time>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment {
    pub id: u32,
    pub layer: String,
    pub scope: Scope,
    pub from: Time,
    pub until: Option<Time>,
    pub author: Option<PersonId>,
    pub reason: String,
    pub made_at: Time,
    pub ended_at: Option<Time>,
    pub ended_by: Option<PersonId>,
    pub end_reason: Option<String>,
}

/// To how many elders, teams and age bands a layer is assigned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AssignmentCounts {
    pub elders: u32,
    pub teams: u32,
    pub ages: u32,
}

/// Which assignments a list shows.
#[derive(Clone, Debug, Default)]
pub struct AssignmentFilter {
    pub scope: Option<Scope>,
    pub layer: Option<String>,
    /// Also those that are over.
    pub all: bool,
}

impl Records {
    /// Newest first.
    pub fn assignments(&self, filter: &AssignmentFilter, limit: usize) -> Result<Vec<Assignment>> {
        let now = self.now();
        let (elder, team, age) = columns(filter.scope);
        self.list(
            "(?1 IS NULL OR elder = ?1) AND (?2 IS NULL OR team = ?2) AND (?3 IS NULL OR age_from = ?3) AND (?4 IS NULL OR layer = ?4) \
             AND (?5 OR (ended_at IS NULL AND (until_at IS NULL OR until_at > ?6))) ORDER BY id DESC LIMIT ?7",
            params![elder, team, age, filter.layer, filter.all, now.0, limit_of(limit)],
        )
    }

    pub fn assignment(&self, id: u32) -> Result<Option<Assignment>> {
        Ok(self.list("id = ?1", params![id])?.pop())
    }

    /// How often each layer is assigned, in force or planned.
    pub fn assignment_counts(&self) -> Result<BTreeMap<String, AssignmentCounts>> {
        let now = self.now();
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT layer, COUNT(elder), COUNT(team), COUNT(age_from) FROM rule_assignment \
                 WHERE ended_at IS NULL AND (until_at IS NULL OR until_at > ?1) GROUP BY layer",
            )?;
            let found = rows(query.query([now.0])?, |row| {
                Ok((row.get(0)?, AssignmentCounts { elders: row.get(1)?, teams: row.get(2)?, ages: row.get(3)? }))
            })?;
            Ok(found.into_iter().collect())
        })
    }

    /// The doctors of this team may change the layer: no version of it was shipped with the program, or saved by somebody of another
    /// team (an administrator may have mended what the team made), and nobody outside of the team has it. True for a name that is new.
    pub fn layer_is_of_team(&self, layer: &str, team: TeamId) -> Result<bool> {
        Ok(!self.made_elsewhere(layer, team)? && !self.layer_goes_beyond(layer, team)?)
    }

    fn made_elsewhere(&self, layer: &str, team: TeamId) -> Result<bool> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM rule_layer l LEFT JOIN person p ON p.id = l.author WHERE l.name = ?1 AND l.elder = 0 \
                 AND (l.author IS NULL OR (p.team IS NOT ?2 AND NOT (l.version > 1 AND p.role IS ?3))))",
            )?;
            Ok(query.query_row(params![layer, team.0, Role::Administrator.slug()], |row| row.get(0))?)
        })
    }

    /// The layer is assigned to somebody who is not of this team.
    fn layer_goes_beyond(&self, layer: &str, team: TeamId) -> Result<bool> {
        let now = self.now();
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM rule_assignment a LEFT JOIN elder e ON e.id = a.elder WHERE a.layer = ?1 \
                 AND a.ended_at IS NULL AND (a.until_at IS NULL OR a.until_at > ?2) AND (a.age_from IS NOT NULL OR COALESCE(a.team, e.team) IS NOT ?3))",
            )?;
            Ok(query.query_row(params![layer, now.0, team.0], |row| row.get(0))?)
        })
    }

    fn list(&self, filter: &str, params: impl rusqlite::Params) -> Result<Vec<Assignment>> {
        self.read(|conn| {
            let sql = format!(
                "SELECT id, layer, elder, team, age_from, from_at, until_at, author, reason, made_at, ended_at, ended_by, end_reason \
                 FROM rule_assignment WHERE {filter}"
            );
            rows(conn.prepare_cached(&sql)?.query(params)?, |row| {
                Ok(Assignment {
                    id: row.get(0)?,
                    layer: row.get(1)?,
                    scope: scope(row.get(2)?, row.get(3)?, row.get(4)?)?,
                    from: Time(row.get(5)?),
                    until: row.get::<_, Option<i64>>(6)?.map(Time),
                    author: row.get::<_, Option<u32>>(7)?.map(PersonId),
                    reason: row.get(8)?,
                    made_at: Time(row.get(9)?),
                    ended_at: row.get::<_, Option<i64>>(10)?.map(Time),
                    ended_by: row.get::<_, Option<u32>>(11)?.map(PersonId),
                    end_reason: row.get(12)?,
                })
            })
        })
    }

    /// Assigns a shared layer. Refused, with the place, when the layer may not be assigned so, or does not fit together with
    /// the others of somebody who gets it. Returns the number of the assignment.
    pub fn assign(&self, new: &NewAssignment, author: PersonId) -> Result<u32> {
        bounded("reason", &new.reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let mut world = World::load(tx, rules::default_set(tx)?, tx.now, None)?;
            let from = new.from.unwrap_or(tx.now).max(tx.now);
            may_be_assigned(tx, &world, new, from, author)?;
            let people = people(tx, Some(new.scope), tx.now)?;
            if people.is_empty() && matches!(new.scope, Scope::Elder(_)) {
                return Err(Error::NotFound("elder"));
            }
            let id = insert(tx, new, from, Some(author))?;
            world.hold(Held {
                id,
                layer: new.layer.clone(),
                scope: new.scope,
                who: Some(author),
                why: new.reason.clone(),
                from,
                until: new.until,
            });
            world.check(&people, tx.now)?;
            super::audit::write(
                tx,
                Some(author),
                "assign_layer",
                &subject(new.scope),
                &format!("{} assignment {id}", new.layer),
            )?;
            Ok(id)
        })
    }

    /// Ends an assignment now (one that has not begun never begins). What doctors alone assign, doctors alone end.
    pub fn end_assignment(&self, id: u32, by: PersonId, reason: &str) -> Result<()> {
        bounded("reason", reason, REASON_CHARS_MAX)?;
        let found = self.assignment(id)?.ok_or(Error::NotFound("assignment"))?;
        self.write(|tx| {
            let mut world = World::load(tx, rules::default_set(tx)?, tx.now, None)?;
            if !world.held().iter().any(|held| held.id == id) {
                return Err(Error::Invalid("the assignment is over already".into()));
            }
            let elder = match found.scope {
                Scope::Elder(elder) if found.layer == Layer::OWN => elder.0,
                _ => 0,
            };
            let layer = world.layers.get(&(found.layer.clone(), elder)).map(|newest| &newest.layer);
            if layer.is_some_and(|layer| layer.doctor_only && layer.name != Layer::OWN) && !is_doctor(tx, by)? {
                return Err(refused(&found.layer, "only a doctor ends what only a doctor may assign".into()));
            }
            world.drop_held(id);
            world.check(&people(tx, Some(found.scope), tx.now)?, tx.now)?;
            end(tx, id, Some(by), reason)?;
            super::audit::write(
                tx,
                Some(by),
                "end_layer",
                &subject(found.scope),
                &format!("{} assignment {id}", found.layer),
            )
        })
    }
}

/// The rules of the layer itself about who may have it.
fn may_be_assigned(tx: &Tx<'_>, world: &World, new: &NewAssignment, from: Time, author: PersonId) -> Result<()> {
    let refuse = |reason: String| Err(refused(&new.layer, reason));
    let Some(newest) = world.layers.get(&(new.layer.clone(), 0)).filter(|_| new.layer != Layer::OWN) else {
        return refuse("there is no such layer; GET /api/layers lists them all".into());
    };
    let layer = &newest.layer;
    if layer.doctor_only && !is_doctor(tx, author)? {
        return refuse("only a doctor assigns it: the assignment is the prescription".into());
    }
    if layer.elder_only && !matches!(new.scope, Scope::Elder(_)) {
        return refuse("it is for one person, never for a team or an age band".into());
    }
    if matches!(new.scope, Scope::AgeFrom(years) if years > AGE_MAX) {
        return refuse(format!("an age band begins at {AGE_MAX} years at most"));
    }
    if new.until.is_some_and(|until| until <= from) {
        return refuse("it would end before it begins, or before now".into());
    }
    if let Some(days) = layer.longest_days
        && new.until.is_none_or(|until| until.since_us(from) > i64::from(days) * DAY_US)
    {
        return refuse(format!("it is assigned for {days} days at most: give `until`, and say it again then"));
    }
    let mut there = 0;
    for held in world.held() {
        let same = match (held.scope, new.scope) {
            (Scope::AgeFrom(a), Scope::AgeFrom(b)) => {
                there += 1;
                a == b
            }
            (a, b) => {
                there += usize::from(a == b);
                a == b
            }
        };
        let overlaps = held.until.is_none_or(|until| from < until) && new.until.is_none_or(|until| held.from < until);
        if !same || !overlaps {
            continue;
        }
        if held.layer == new.layer {
            return refuse(format!("it is assigned there already (assignment {}): end that first", held.id));
        }
        let other = world.layers.get(&(held.layer.clone(), 0));
        if other.is_some_and(|other| layer.excludes(&other.layer)) {
            return refuse(format!(
                "it may not stand beside {:?} (assignment {}): end that first",
                held.layer, held.id
            ));
        }
    }
    if there >= ASSIGNMENTS_MAX {
        return Err(Error::TooMany { what: "assignments", limit: ASSIGNMENTS_MAX });
    }
    Ok(())
}

fn refused(layer: &str, reason: String) -> Error {
    Error::Rules(Refused { layer: layer.to_owned(), rule: String::new(), level: None, reason })
}

fn subject(scope: Scope) -> String {
    match scope {
        Scope::Elder(elder) => format!("rules/elder/{elder}"),
        Scope::Team(team) => format!("rules/team/{team}"),
        Scope::AgeFrom(years) => format!("rules/age/{years}"),
    }
}

fn columns(scope: Option<Scope>) -> (Option<u32>, Option<u32>, Option<u32>) {
    match scope {
        Some(Scope::Elder(ElderId(elder))) => (Some(elder), None, None),
        Some(Scope::Team(TeamId(team))) => (None, Some(team), None),
        Some(Scope::AgeFrom(years)) => (None, None, Some(years)),
        None => (None, None, None),
    }
}

pub(super) fn insert(tx: &mut Tx<'_>, new: &NewAssignment, from: Time, author: Option<PersonId>) -> Result<u32> {
    let id = tx.next_id("rule_assignment")?;
    let (elder, team, age) = columns(Some(new.scope));
    let until = new.until.map(|until| until.0);
    tx.prepare_cached(
        "INSERT INTO rule_assignment (id, layer, elder, team, age_from, from_at, until_at, author, reason, made_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        id,
        new.layer,
        elder,
        team,
        age,
        from.0,
        until,
        author.map(|author| author.0),
        new.reason,
        tx.now.0
    ])?;
    Ok(id as u32)
}

pub(super) fn end(tx: &Tx<'_>, id: u32, by: Option<PersonId>, reason: &str) -> Result<()> {
    let by: &dyn ToSql = &by.map(|by| by.0);
    tx.prepare_cached(
        "UPDATE rule_assignment SET ended_at = ?2, ended_by = ?3, end_reason = ?4 WHERE id = ?1 AND ended_at IS NULL",
    )?
    .execute(params![id, tx.now.0, by, reason])?;
    Ok(())
}

/// The open assignment of an elder's own layer.
pub(super) fn open_own(conn: &Connection, elder: ElderId) -> Result<Option<u32>> {
    let found = conn
        .prepare_cached("SELECT id FROM rule_assignment WHERE elder = ?1 AND layer = ?2 AND ended_at IS NULL ORDER BY id DESC LIMIT 1")?
        .query_row(params![elder.0, Layer::OWN], |row| row.get(0))
        .optional()?;
    Ok(found)
}
