//! How things were at times that are over, for trends: which rules judged an elder, who wore what, and what is known of the way
//! the readings took.
//!
//! Rules are worked out again from what is never deleted (defaults, layers, assignments). Of the elder the team of today is
//! taken: who was in which team when is not kept.

use std::collections::{HashMap, HashSet};

use model::layer::{Effective, Scope};
use model::note::LossCause;
use model::rule::RuleSet;
use model::{DeviceId, ElderId, GatewayId, TeamId, Time};
use rusqlite::{Connection, OptionalExtension, params};

use super::custody::GapState;
use super::error::{Error, Result};
use super::inforce::Sets;
use super::view::{json, word};
use super::world::{Someone, World, people};
use super::{Records, limit_of, rows};

/// Changes of the rules that one history answers; the newest.
pub const RULES_THEN_MAX: usize = 48;
/// Outages, or stretches of missing frames, that one answer holds; the newest.
const STRETCHES_MAX: usize = 500;

/// The rules in force from an instant until the next one of the history.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesThen {
    pub from: Time,
    pub effective: Effective,
}

/// The rules of one elder over a stretch of time, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesHistory {
    pub spans: Vec<RulesThen>,
    /// Before this instant they are not known: nothing was saved yet, or there were too many changes.
    pub known_from: Option<Time>,
}

/// An elder wore a device of a gateway within `[from, until)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worn {
    pub device: DeviceId,
    pub gateway: GatewayId,
    /// Model or kind of the device; empty when not known.
    pub kind: String,
    pub from: Time,
    pub until: Option<Time>,
}

/// A gateway was out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    pub gateway: GatewayId,
    pub from: Time,
    /// `None`: it still is.
    pub until: Option<Time>,
}

/// Frames of a gateway that were missing when this was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub gateway: GatewayId,
    pub at: Time,
    /// Will never come.
    pub lost: bool,
    pub cause: Option<LossCause>,
}

/// The rules of a team's elders as they are, for a list: those of whoever has layers by version, the default for the others.
#[derive(Clone, Debug)]
pub struct TeamRules {
    pub default: RuleSet,
    /// The default as it judges elders of [`RuleSet::AGED_FROM`] years and older.
    pub aged: RuleSet,
    pub sets: HashMap<u32, RuleSet>,
    /// Version of each elder with layers, as the journal was told.
    pub of: HashMap<ElderId, u32>,
}

impl Records {
    /// The rules of all elders of a team, each set once. `None`: no default was ever saved.
    pub fn team_rules(&self, team: TeamId) -> Result<Option<TeamRules>> {
        let Some(default) = self.default_rules()? else { return Ok(None) };
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT t.elder, t.version FROM rules_told t JOIN elder e ON e.id = t.elder \
                 WHERE e.team = ?1 AND t.version IS NOT NULL",
            )?;
            let of = rows(query.query([team.0])?, |row| Ok((ElderId(row.get(0)?), row.get::<_, u32>(1)?)))?;
            let of: HashMap<ElderId, u32> = of.into_iter().collect();
            let mut read = Sets::default();
            let versions: HashSet<u32> = of.values().copied().collect();
            let sets = versions.into_iter().map(|version| Ok((version, read.read(conn, version)?)));
            let sets = sets.collect::<Result<_>>()?;
            Ok(Some(TeamRules { aged: default.set.for_aged(), default: default.set, sets, of }))
        })
    }

    /// The rules that judged this elder within `[from, to)`, at most [`RULES_THEN_MAX`] spans.
    pub fn rules_history(&self, elder: ElderId, from: Time, to: Time) -> Result<RulesHistory> {
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            rules_history(&snapshot, elder, from, to)
        })
    }

    /// What an elder wore at some time within `[from, to)`, by beginning.
    pub fn worn(&self, elder: ElderId, from: Time, to: Time) -> Result<Vec<Worn>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT b.device, d.gateway, d.kind, b.bound_from, b.bound_until FROM binding b JOIN device d ON d.id = b.device \
                 WHERE b.elder = ?1 AND b.bound_from < ?3 AND (b.bound_until IS NULL OR b.bound_until > ?2) \
                 ORDER BY b.bound_from DESC LIMIT ?4",
            )?;
            let mut found = rows(query.query(params![elder.0, from.0, to.0, limit_of(STRETCHES_MAX)])?, |row| {
                Ok(Worn {
                    device: DeviceId(row.get(0)?),
                    gateway: GatewayId(row.get(1)?),
                    kind: row.get(2)?,
                    from: Time(row.get(3)?),
                    until: row.get::<_, Option<i64>>(4)?.map(Time),
                })
            })?;
            found.reverse();
            Ok(found)
        })
    }

    /// An elder ever wore anything.
    pub fn ever_wore(&self, elder: ElderId) -> Result<bool> {
        self.read(|conn| {
            Ok(conn.prepare_cached("SELECT 1 FROM binding WHERE elder = ?1 LIMIT 1")?.exists([elder.0])?)
        })
    }

    /// When gateways whose devices this elder wore were out of reach within `[from, to)`: incidents, of the gateway or its whole
    /// site, and a link that is lost now. A short loss that never became an incident is not kept.
    pub fn outages(&self, elder: ElderId, from: Time, to: Time) -> Result<Vec<Outage>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT DISTINCT d.gateway, i.since, i.until FROM incident i JOIN gateway g ON \
                 (i.kind = 'gateway' AND g.id = i.gateway) OR (i.kind = 'site' AND g.site = i.site) \
                 JOIN device d ON d.gateway = g.id JOIN binding b ON b.device = d.id \
                 WHERE b.elder = ?1 AND i.since < ?3 AND (i.until IS NULL OR i.until > ?2) \
                 AND (b.bound_until IS NULL OR b.bound_until > i.since) AND (i.until IS NULL OR b.bound_from < i.until) \
                 UNION SELECT DISTINCT d.gateway, l.at, NULL FROM gateway_link l JOIN device d ON d.gateway = l.gateway \
                 JOIN binding b ON b.device = d.id WHERE b.elder = ?1 AND l.state = 'lost' AND l.at < ?3 \
                 AND (b.bound_until IS NULL OR b.bound_until > l.at) ORDER BY 2 DESC LIMIT ?4",
            )?;
            let mut found = rows(query.query(params![elder.0, from.0, to.0, limit_of(STRETCHES_MAX)])?, |row| {
                Ok(Outage {
                    gateway: GatewayId(row.get(0)?),
                    from: Time(row.get(1)?),
                    until: row.get::<_, Option<i64>>(2)?.map(Time),
                })
            })?;
            found.reverse();
            Ok(found)
        })
    }

    /// Frames with readings that were found missing or were declared lost within `[from, to)`, of gateways whose devices this
    /// elder wore then, by time. What came in the end is not among them.
    pub fn missing(&self, elder: ElderId, from: Time, to: Time) -> Result<Vec<Missing>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT gateway, at, lost, cause FROM (\
                 SELECT gateway, opened_at AS at, state = 'lost' AS lost, cause FROM gap \
                 WHERE state <> ?4 AND lane IN (2, 3) AND opened_at >= ?2 AND opened_at < ?3 \
                 UNION ALL SELECT gateway, declared_at, TRUE, cause FROM loss \
                 WHERE lane IN (2, 3) AND declared_at >= ?2 AND declared_at < ?3) m \
                 WHERE EXISTS (SELECT 1 FROM binding b JOIN device d ON d.id = b.device WHERE b.elder = ?1 \
                 AND d.gateway = m.gateway AND b.bound_from <= m.at AND (b.bound_until IS NULL OR b.bound_until > ?2)) \
                 ORDER BY at DESC LIMIT ?5",
            )?;
            let filled = GapState::Filled.as_str();
            let values = params![elder.0, from.0, to.0, filled, limit_of(STRETCHES_MAX)];
            let mut found = rows(query.query(values)?, |row| {
                let cause = row.get::<_, Option<String>>(3)?;
                Ok(Missing {
                    gateway: GatewayId(row.get(0)?),
                    at: Time(row.get(1)?),
                    lost: row.get(2)?,
                    cause: cause.map(|cause| word("loss cause", LossCause::parse, cause)).transpose()?,
                })
            })?;
            found.reverse();
            Ok(found)
        })
    }
}

fn rules_history(conn: &Connection, elder: ElderId, from: Time, to: Time) -> Result<RulesHistory> {
    let Some(one) = people(conn, Some(Scope::Elder(elder)), to)?.pop() else { return Err(Error::NotFound("elder")) };
    let Some(first) = first_default(conn)? else { return Ok(RulesHistory::default()) };
    let mut history = RulesHistory { spans: Vec::new(), known_from: (first > from).then_some(first) };
    let mut instants = changes(conn, &one, from, to)?;
    if first <= from {
        instants.insert(0, from);
    }
    if instants.len() > RULES_THEN_MAX {
        instants.drain(..instants.len() - RULES_THEN_MAX);
        history.known_from = instants.first().copied();
    }
    for at in instants.into_iter().filter(|at| *at >= first && *at < to) {
        let Some(effective) = rules_at(conn, elder, at)? else { continue };
        let same = |last: &RulesThen| {
            last.effective.set.rules == effective.set.rules && last.effective.origins == effective.origins
        };
        if !history.spans.last().is_some_and(same) {
            history.spans.push(RulesThen { from: at, effective });
        }
    }
    Ok(history)
}

fn rules_at(conn: &Connection, elder: ElderId, at: Time) -> Result<Option<Effective>> {
    let Some(one) = people(conn, Some(Scope::Elder(elder)), at)?.pop() else { return Ok(None) };
    let sql = "SELECT body FROM rule_set WHERE elder IS NULL AND made = FALSE AND saved_at <= ?1 ORDER BY version DESC LIMIT 1";
    let body: Option<String> = conn.prepare_cached(sql)?.query_row([at.0], |row| row.get(0)).optional()?;
    let Some(body) = body else { return Ok(None) };
    let default: RuleSet = json("rule set", body)?;
    Ok(Some(World::load_then(conn, default, at, &one)?.effective(&one, at)))
}

fn first_default(conn: &Connection) -> Result<Option<Time>> {
    let sql = "SELECT MIN(saved_at) FROM rule_set WHERE elder IS NULL AND made = FALSE";
    let at: Option<i64> = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(at.map(Time))
}

/// Instants within `(from, to)` at which something was saved, began or ended that may concern this elder.
fn changes(conn: &Connection, one: &Someone, from: Time, to: Time) -> Result<Vec<Time>> {
    let mut query = conn.prepare_cached(
        "WITH mine AS (SELECT layer, from_at, until_at, made_at, ended_at FROM rule_assignment \
         WHERE elder = ?1 OR team = ?2 OR age_from IS NOT NULL) \
         SELECT at FROM (SELECT saved_at AS at FROM rule_set WHERE elder IS NULL AND made = FALSE \
         UNION SELECT saved_at FROM rule_layer WHERE elder = ?1 OR (elder = 0 AND name IN (SELECT layer FROM mine)) \
         UNION SELECT from_at FROM mine UNION SELECT until_at FROM mine UNION SELECT made_at FROM mine \
         UNION SELECT ended_at FROM mine) c WHERE at > ?3 AND at < ?4 ORDER BY at DESC LIMIT ?5",
    )?;
    let team = one.team.map(|team| team.0);
    let values = params![one.id.0, team, from.0, to.0, limit_of(RULES_THEN_MAX + 1)];
    let mut found = rows(query.query(values)?, |row| Ok(Time(row.get(0)?)))?;
    found.reverse();
    Ok(found)
}
