//! Who is judged by which layers: everything that is needed to work out rules, read at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::layer::{Assigned, Effective, Layer, Scope, effective, in_order};
use model::rule::RuleSet;
use model::{ElderId, PersonId, TeamId, Time};
use rusqlite::{Connection, params};

use super::error::{Error, Result};
use super::rows;
use super::view::{age, json};

/// What of an elder decides which layers are theirs.
#[derive(Clone, Debug)]
pub(super) struct Someone {
    pub(super) id: ElderId,
    pub(super) team: Option<TeamId>,
    pub(super) age: Option<u32>,
}

/// An assignment that is, or will be, in force.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: u32,
    pub(super) layer: String,
    pub(super) scope: Scope,
    pub(super) who: Option<PersonId>,
    pub(super) why: String,
    pub(super) from: Time,
    pub(super) until: Option<Time>,
}

/// A layer in its newest version.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) layer: Layer,
    pub(super) version: u32,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) default: RuleSet,
    /// By name and elder (0: shared).
    pub(super) layers: BTreeMap<(String, u32), Newest>,
    held: Vec<Held>,
    by_elder: HashMap<u32, Vec<usize>>,
    by_team: HashMap<u32, Vec<usize>>,
    by_age: Vec<usize>,
}

/// Equal keys have equal rules.
pub(super) type Key = (bool, Vec<(String, u32, u32)>);

impl World {
    /// `only`: for this one elder.
    pub(super) fn load(conn: &Connection, default: RuleSet, now: Time, only: Option<&Someone>) -> Result<Self> {
        Self::read(conn, default, (now, false), only)
    }

    /// As it was known at a time that is over: later versions, assignments and ends are not looked at. `one`: for this elder.
    pub(super) fn load_then(conn: &Connection, default: RuleSet, then: Time, one: &Someone) -> Result<Self> {
        Self::read(conn, default, (then, true), Some(one))
    }

    /// The flag: the time is over.
    fn read(conn: &Connection, default: RuleSet, at: (Time, bool), only: Option<&Someone>) -> Result<Self> {
        let mut world = Self {
            default,
            layers: layers(conn, at, only.map(|one| one.id))?,
            held: Vec::new(),
            by_elder: HashMap::new(),
            by_team: HashMap::new(),
            by_age: Vec::new(),
        };
        for held in held(conn, at, only)? {
            world.hold(held);
        }
        Ok(world)
    }

    pub(super) fn hold(&mut self, held: Held) {
        let place = self.held.len();
        match held.scope {
            Scope::Elder(elder) => self.by_elder.entry(elder.0).or_default().push(place),
            Scope::Team(team) => self.by_team.entry(team.0).or_default().push(place),
            Scope::AgeFrom(_) => self.by_age.push(place),
        }
        self.held.push(held);
    }

    /// As if the assignment had been ended.
    pub(super) fn drop_held(&mut self, id: u32) {
        for held in self.held.iter_mut().filter(|held| held.id == id) {
            held.until = Some(held.from);
        }
    }

    pub(super) fn held(&self) -> &[Held] {
        &self.held
    }

    /// Whoever has one of these has layers.
    pub(super) fn is_empty_for(&self, one: &Someone) -> bool {
        !self.by_elder.contains_key(&one.id.0)
            && one.team.is_none_or(|team| !self.by_team.contains_key(&team.0))
            && self.by_age.is_empty()
    }

    /// The elder's assignments, in force now or later. `age`: as it is then.
    pub(super) fn assigned(&self, one: &Someone, age: Option<u32>) -> Vec<Assigned<'_>> {
        let of_team = one.team.and_then(|team| self.by_team.get(&team.0));
        let places = self.by_elder.get(&one.id.0).into_iter().chain(of_team).chain([&self.by_age]).flatten();
        places.filter_map(|place| self.assigned_at(*place, one, age)).collect()
    }

    fn assigned_at(&self, place: usize, one: &Someone, age: Option<u32>) -> Option<Assigned<'_>> {
        let held = self.held.get(place)?;
        if let Scope::AgeFrom(years) = held.scope
            && age.is_none_or(|age| age < years)
        {
            return None;
        }
        let elder = if held.layer == Layer::OWN { one.id.0 } else { 0 };
        let Newest { layer, version } = self.layers.get(&(held.layer.clone(), elder))?;
        let Held { id, scope, who, ref why, from, until, .. } = *held;
        Some(Assigned { id, layer, version: *version, scope, who, why, from, until })
    }

    pub(super) fn effective(&self, one: &Someone, at: Time) -> Effective {
        effective(&self.default, is_aged(one.age), &self.assigned(one, one.age), at)
    }

    /// Refuses when the layers of one of these do not fit together, now, at the beginning or end of one of them, or at the next
    /// birthday.
    pub(super) fn check<'p>(&self, people: impl IntoIterator<Item = &'p Someone>, now: Time) -> Result<()> {
        let mut seen: HashSet<Key> = HashSet::new();
        for one in people {
            for age in [one.age, one.age.map(|age| age + 1)] {
                let assigned = self.assigned(one, age);
                let edges = assigned.iter().flat_map(|one| [Some(one.from), one.until]).flatten();
                let instants: HashSet<Time> = edges.filter(|at| *at > now).chain([now]).collect();
                for at in instants {
                    if !seen.insert(key(one, age, &assigned, at)) {
                        continue;
                    }
                    let found = effective(&self.default, is_aged(age), &assigned, at);
                    if let Some(mut refused) = found.left_out.into_iter().next() {
                        refused.reason = format!("{} (elder {})", refused.reason, one.id);
                        return Err(Error::Rules(refused));
                    }
                }
            }
        }
        Ok(())
    }
}

pub(super) fn key(one: &Someone, age: Option<u32>, assigned: &[Assigned<'_>], at: Time) -> Key {
    let (inside, _) = in_order(assigned, at);
    let elder = |layer: &Layer| if layer.name == Layer::OWN { one.id.0 } else { 0 };
    let names = inside.iter().map(|one| (one.layer.name.clone(), elder(one.layer), one.version));
    (is_aged(age), names.collect())
}

pub(super) fn is_aged(age: Option<u32>) -> bool {
    age.is_some_and(|age| age >= RuleSet::AGED_FROM)
}

fn layers(
    conn: &Connection,
    (at, over): (Time, bool),
    only: Option<ElderId>,
) -> Result<BTreeMap<(String, u32), Newest>> {
    let mut query = conn.prepare_cached(
        "SELECT l.name, l.elder, l.version, l.body FROM rule_layer l WHERE (?1 IS NULL OR l.elder IN (0, ?1)) AND \
         l.version = (SELECT MAX(o.version) FROM rule_layer o WHERE o.name = l.name AND o.elder = l.elder \
         AND (?2 IS NULL OR o.saved_at <= ?2))",
    )?;
    let until = over.then_some(at.0);
    let found = rows(query.query(params![only.map(|elder| elder.0), until])?, |row| {
        let newest = Newest { layer: json("layer", row.get(3)?)?, version: row.get(2)? };
        Ok(((row.get(0)?, row.get(1)?), newest))
    })?;
    Ok(found.into_iter().collect())
}

fn held(conn: &Connection, (at, over): (Time, bool), only: Option<&Someone>) -> Result<Vec<Held>> {
    let mut query = conn.prepare_cached(
        "SELECT id, layer, elder, team, age_from, from_at, until_at, author, reason FROM rule_assignment \
         WHERE (ended_at IS NULL OR (?4 AND ended_at > ?1)) AND (NOT ?4 OR made_at <= ?1) \
         AND (until_at IS NULL OR until_at > ?1) AND (?2 IS NULL OR elder = ?2 OR team = ?3 OR age_from IS NOT NULL) ORDER BY id",
    )?;
    let (elder, team) = only.map(|one| (Some(one.id.0), one.team.map(|team| team.0))).unwrap_or_default();
    rows(query.query(params![at.0, elder, team, over])?, |row| {
        Ok(Held {
            id: row.get(0)?,
            layer: row.get(1)?,
            scope: scope(row.get(2)?, row.get(3)?, row.get(4)?)?,
            from: Time(row.get(5)?),
            until: row.get::<_, Option<i64>>(6)?.map(Time),
            who: row.get::<_, Option<u32>>(7)?.map(PersonId),
            why: row.get(8)?,
        })
    })
}

pub(super) fn scope(elder: Option<u32>, team: Option<u32>, age_from: Option<u32>) -> Result<Scope> {
    match (elder, team, age_from) {
        (Some(elder), None, None) => Ok(Scope::Elder(ElderId(elder))),
        (None, Some(team), None) => Ok(Scope::Team(TeamId(team))),
        (None, None, Some(years)) => Ok(Scope::AgeFrom(years)),
        _ => Err(Error::Corrupt { what: "assignment", value: format!("{elder:?} {team:?} {age_from:?}") }),
    }
}

/// Elders of a scope; `None`: everybody. Not limited: this is no list for a screen, and every elder is judged.
pub(super) fn people(conn: &Connection, scope: Option<Scope>, now: Time) -> Result<Vec<Someone>> {
    let (elder, team) = match scope {
        Some(Scope::Elder(elder)) => (Some(elder.0), None),
        Some(Scope::Team(team)) => (None, Some(team.0)),
        Some(Scope::AgeFrom(_)) | None => (None, None),
    };
    let mut query = conn.prepare_cached(
        "SELECT id, team, birth_date FROM elder WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR team = ?2) ORDER BY id",
    )?;
    rows(query.query(params![elder, team])?, |row| {
        let born: Option<String> = row.get(2)?;
        Ok(Someone {
            id: ElderId(row.get(0)?),
            team: row.get::<_, Option<u32>>(1)?.map(TeamId),
            age: born.and_then(|date| age(&date, now)),
        })
    })
}
