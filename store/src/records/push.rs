//! What gateways are to have (configuration, rules, list of devices): versions, and what became of them.
//!
//! The newest version of each kind is wanted. Rules are made from bindings and rule sets whenever they are sent: of them only
//! the checksum is kept.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::note::Push;
use model::push::{EdgeDevice, EdgeRules, PUSH_BYTES_MAX};
use model::rule::RuleSet;
use model::{DeviceId, ElderId, GatewayId, PersonId, Time};
use rusqlite::{Connection, OptionalExtension, ToSql, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::{Error, Result};
use super::inforce::{Sets, told_version};
use super::registry::RegistrySnapshot;
use super::view::word;
use super::{Records, Tx, rows};

/// Versions kept of one kind for one gateway.
const VERSIONS_KEPT: i64 = 10;
/// Characters of a gateway's reason that are kept.
const REASON_CHARS_MAX: usize = 300;
/// A push that was handed to a connection and not answered within this time is sent again: the connection may have ended
/// under it, or the gateway's answer was lost.
const UNANSWERED: Duration = Duration::from_mins(2);
/// After this time a version is only sent at births.
const SENT_AGAIN_FOR: Duration = Duration::from_hours(24);

/// Of a row `p`: see [`PushWanted::due`].
const DUE: &str = "(p.acked_at IS NULL AND (p.sent_at IS NULL OR (p.sent_at <= ?1 AND p.saved_at > ?2)))";
/// Of a row `p`: the newest of its kind.
const NEWEST: &str =
    "p.version = (SELECT MAX(o.version) FROM gateway_push o WHERE o.gateway = p.gateway AND o.what = p.what)";

/// A version a gateway is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushWanted {
    pub what: Push,
    pub version: u64,
    /// JSON; empty for rules.
    pub body: String,
    /// It is to be sent to a gateway that is connected: not handed to a connection yet, or for too long without an answer.
    pub due: bool,
    /// The gateway said that it has it.
    pub applied: bool,
}

/// How one kind stands at one gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushState {
    #[serde(skip)]
    pub gateway: GatewayId,
    pub what: Push,
    /// The newest version.
    pub wanted: u64,
    pub saved_at: Time,
    pub sent_at: Option<Time>,
    /// The newest version the gateway said it applied.
    pub applied: Option<u64>,
    /// Why the gateway refused the newest.
    pub refused: Option<String>,
}

/// Something that the rules of gateways are made of has changed when two of these differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CareMark {
    rules: i64,
    bindings: i64,
    open: i64,
    day: (i64, i64, i64),
}

impl Records {
    /// Saves what a gateway is to have. A body equal to the newest is that version; a refused one is tried again as a new
    /// version. Returns the version.
    pub fn push_save(&self, gateway: GatewayId, what: Push, body: &str, by: Option<PersonId>) -> Result<u64> {
        self.write(|tx| save(tx, gateway, what, body, by))
    }

    /// As [`Records::push_save`] for many, in one transaction.
    pub fn push_save_all(&self, what: Push, bodies: &[(GatewayId, String)]) -> Result<Vec<u64>> {
        self.write(|tx| bodies.iter().map(|(gateway, body)| save(tx, *gateway, what, body, None)).collect())
    }

    /// The newest version of each kind that the gateway has not refused.
    pub fn push_wanted(&self, gateway: GatewayId) -> Result<Vec<PushWanted>> {
        let [unanswered, saved] = self.due_limits();
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT p.what, p.version, p.body, {DUE}, p.acked_at IS NOT NULL FROM gateway_push p \
                 WHERE p.gateway = ?3 AND p.refused IS NULL AND {NEWEST} ORDER BY p.what",
            ))?;
            rows(query.query(params![unanswered, saved, gateway.0])?, |row| {
                Ok(PushWanted {
                    what: word("push", Push::parse, row.get(0)?)?,
                    version: row.get::<_, i64>(1)? as u64,
                    body: row.get(2)?,
                    due: row.get(3)?,
                    applied: row.get(4)?,
                })
            })
        })
    }

    /// It was handed to the gateway's connection.
    pub fn push_sent(&self, gateway: GatewayId, what: Push, version: u64) -> Result<()> {
        self.note_push(gateway, what, version, "sent_at = ?4", &self.now().0)
    }

    /// The gateway says that it is in force.
    pub fn push_applied(&self, gateway: GatewayId, what: Push, version: u64) -> Result<()> {
        self.note_push(gateway, what, version, "acked_at = ?4, refused = NULL", &self.now().0)
    }

    /// The gateway says why it is not.
    pub fn push_refused(&self, gateway: GatewayId, what: Push, version: u64, reason: &str) -> Result<()> {
        let reason: String = reason.chars().take(REASON_CHARS_MAX).collect();
        self.note_push(gateway, what, version, "acked_at = NULL, refused = ?4", &reason)
    }

    fn note_push(&self, to: GatewayId, what: Push, version: u64, set: &str, value: &dyn ToSql) -> Result<()> {
        self.write(|tx| {
            let sql = format!("UPDATE gateway_push SET {set} WHERE gateway = ?1 AND what = ?2 AND version = ?3");
            tx.prepare_cached(&sql)?.execute(params![to.0, what.slug(), version as i64, value])?;
            Ok(())
        })
    }

    /// How every kind stands at every gateway that was ever pushed to.
    pub fn push_states(&self) -> Result<Vec<PushState>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT p.gateway, p.what, p.version, p.saved_at, p.sent_at, \
                 (SELECT MAX(o.version) FROM gateway_push o WHERE o.gateway = p.gateway AND o.what = p.what \
                  AND o.acked_at IS NOT NULL), p.refused FROM gateway_push p WHERE p.version = \
                 (SELECT MAX(o.version) FROM gateway_push o WHERE o.gateway = p.gateway AND o.what = p.what) \
                 ORDER BY p.gateway, p.what",
            )?;
            rows(query.query([])?, |row| {
                Ok(PushState {
                    gateway: GatewayId(row.get(0)?),
                    what: word("push", Push::parse, row.get(1)?)?,
                    wanted: row.get::<_, i64>(2)? as u64,
                    saved_at: Time(row.get(3)?),
                    sent_at: row.get::<_, Option<i64>>(4)?.map(Time),
                    applied: row.get::<_, Option<i64>>(5)?.map(|version| version as u64),
                    refused: row.get(6)?,
                })
            })
        })
    }

    /// Looked at now and then: cheap.
    pub fn care_mark(&self) -> Result<CareMark> {
        let now = self.now();
        self.read(|conn| {
            let number = |sql: &str| conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, i64>(0));
            Ok(CareMark {
                rules: super::counter_value(conn, "rules_told")?,
                bindings: number("SELECT COALESCE(MAX(id), 0) FROM binding")?,
                open: number("SELECT COUNT(*) FROM binding WHERE bound_until IS NULL")?,
                // Birthdays.
                day: super::view::shanghai_date(now),
            })
        })
    }

    /// Gateways for which something is due ([`PushWanted::due`]).
    pub fn gateways_to_push(&self) -> Result<Vec<GatewayId>> {
        let limits = self.due_limits();
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT DISTINCT p.gateway FROM gateway_push p WHERE {DUE} AND p.refused IS NULL AND {NEWEST} ORDER BY 1",
            ))?;
            rows(query.query(limits)?, |row| Ok(GatewayId(row.get(0)?)))
        })
    }

    /// The parameters of [`DUE`].
    fn due_limits(&self) -> [i64; 2] {
        let before = |time: Duration| self.now().plus_us(-(time.as_micros() as i64)).0;
        [before(UNANSWERED), before(SENT_AGAIN_FOR)]
    }

    /// The rules of these gateways as they are now.
    pub fn edge_rules(&self, gateways: &[GatewayId]) -> Result<Vec<(GatewayId, EdgeRules)>> {
        let Some(default) = self.default_rules()?.map(|stored| stored.set) else { return Ok(Vec::new()) };
        let aged = self.elders_aged(RuleSet::AGED_FROM, self.now())?;
        let registry = self.registry()?;
        let open = registry.bindings.iter().filter(|binding| binding.until.is_none());
        let worn: HashMap<_, _> = open.map(|binding| (binding.device, binding.elder)).collect();
        let mut found: HashMap<GatewayId, EdgeRules> =
            gateways.iter().map(|id| (*id, EdgeRules::of(default.clone()))).collect();
        let own = self.told_to(&registry, &worn, gateways)?;
        for device in &registry.devices {
            let (Some(rules), Some(elder)) = (found.get_mut(&device.gateway), worn.get(&device.id).copied()) else {
                continue;
            };
            rules.devices.push(EdgeDevice { device: device.name.clone(), elder });
            if !rules.elders.iter().any(|known| known.elder == elder) {
                rules.push(elder, aged.contains(&elder), own.get(&elder));
            }
        }
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_key(|(id, _)| *id);
        Ok(found)
    }

    /// The sets of those elders of these gateways who have layers, as the journal was told.
    fn told_to(
        &self,
        registry: &RegistrySnapshot,
        worn: &HashMap<DeviceId, ElderId>,
        gateways: &[GatewayId],
    ) -> Result<HashMap<ElderId, RuleSet>> {
        let here = registry.devices.iter().filter(|device| gateways.contains(&device.gateway));
        let elders: HashSet<ElderId> = here.filter_map(|device| worn.get(&device.id).copied()).collect();
        self.read(|conn| {
            let mut sets = Sets::default();
            let mut own = HashMap::new();
            for elder in elders {
                if let Some(version) = told_version(conn, elder)? {
                    own.insert(elder, sets.read(conn, version)?);
                }
            }
            Ok(own)
        })
    }

    /// Gateways to which rules were pushed: those that understand them.
    pub fn gateways_with_rules(&self) -> Result<Vec<GatewayId>> {
        self.read(|conn| {
            let mut query =
                conn.prepare_cached("SELECT DISTINCT gateway FROM gateway_push WHERE what = ?1 ORDER BY gateway")?;
            rows(query.query([Push::Rules.slug()])?, |row| Ok(GatewayId(row.get(0)?)))
        })
    }
}

fn save(tx: &mut Tx<'_>, gateway: GatewayId, what: Push, body: &str, by: Option<PersonId>) -> Result<u64> {
    if body.len() > PUSH_BYTES_MAX {
        return Err(Error::TooMany { what: "bytes of a push", limit: PUSH_BYTES_MAX });
    }
    let sha256 = super::hex(&Sha256::digest(body.as_bytes()));
    let newest = newest(tx, gateway, what)?;
    if let Some((version, known, refused)) = &newest
        && *known == sha256
        && (!refused || what == Push::Rules)
    {
        return Ok(*version);
    }
    let version = newest.map_or(1, |(version, ..)| version + 1);
    let kept = if what == Push::Rules { "" } else { body };
    tx.execute(
        "INSERT INTO gateway_push (gateway, what, version, body, sha256, by_person, saved_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![gateway.0, what.slug(), version as i64, kept, sha256, by.map(|by| by.0), tx.now.0],
    )?;
    tx.execute(
        "DELETE FROM gateway_push WHERE gateway = ?1 AND what = ?2 AND version <= ?3",
        params![gateway.0, what.slug(), version as i64 - VERSIONS_KEPT],
    )?;
    if by.is_some() || what != Push::Rules {
        let detail = format!("{} version {version}", what.slug());
        super::audit::write(tx, by, "push", &format!("gateway/{gateway}"), &detail)?;
    }
    Ok(version)
}

fn newest(conn: &Connection, gateway: GatewayId, what: Push) -> Result<Option<(u64, String, bool)>> {
    let found = conn
        .prepare_cached(
            "SELECT version, sha256, refused IS NOT NULL FROM gateway_push WHERE gateway = ?1 AND what = ?2 \
             ORDER BY version DESC LIMIT 1",
        )?
        .query_row(params![gateway.0, what.slug()], |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(found)
}
