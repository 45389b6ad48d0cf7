//! The default set and elders' rules: every version stays. A set that comes of layers is stored once for all who have it.

use model::layer::{Effective, Layer, Scope, own_layer};
use model::rule::{Rule, RuleSet};
use model::{ElderId, PersonId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::assignments::{NewAssignment, end, insert, open_own};
use super::error::{Error, Result};
use super::layers::{self, REASON_CHARS_MAX, is_doctor};
use super::people::bounded;
use super::view::json;
use super::world::{Newest, Someone, World, people};
use super::{Records, Tx, rows};

/// A rule set in force and who saved it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredRules {
    pub set: RuleSet,
    /// The elder has a layer of their own.
    pub own: bool,
    /// Of the own layer, else of the default set. `None`: shipped with the program.
    pub author: Option<PersonId>,
    pub reason: String,
    pub saved_at: Time,
}

/// The rules of one elder, and where each number comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ElderRules {
    pub stored: StoredRules,
    /// Its set has the version under which alarms name it.
    pub effective: Effective,
}

impl Records {
    /// The rules that judge this elder now. [`Error::NotFound`] when no default was ever saved.
    pub fn rules_for(&self, elder: ElderId) -> Result<StoredRules> {
        Ok(self.elder_rules(elder)?.stored)
    }

    /// As [`Records::rules_for`], with the origins.
    pub fn elder_rules(&self, elder: ElderId) -> Result<ElderRules> {
        let now = self.now();
        let mut found = self.read(|conn| elder_rules(conn, elder, now))?;
        let version = match found.effective.set.version {
            0 => self.write(|tx| version_of(tx, &found.effective.set))?,
            known => known,
        };
        found.effective.set.version = version;
        found.stored.set.version = version;
        Ok(found)
    }

    /// The rules of everybody without layers. `None`: never saved.
    pub fn default_rules(&self) -> Result<Option<StoredRules>> {
        self.read(newest)
    }

    /// Saves the shipped default when there is none yet, or when the one in force was shipped with another version of the
    /// program. A default that a person saved stays as it is. Returns the set in force.
    pub fn ensure_default_rules(&self, shipped: &RuleSet) -> Result<StoredRules> {
        if let Some(saved) = self.default_rules()? {
            // Versions count up over all sets here, so that the shipped number says nothing.
            let same = RuleSet { version: saved.set.version, ..shipped.clone() } == saved.set;
            if same || saved.author.is_some() {
                return Ok(saved);
            }
        }
        self.save_rules(None, shipped.clone(), None, "shipped with the program")?;
        self.default_rules()?.ok_or(Error::NotFound("default rule set"))
    }

    /// Checks and saves the default set, or the rules of one elder: see [`Records::save_own_rules`]. Returns the version.
    /// Versions count up over all sets, so that the version stored with an alarm names one set.
    pub fn save_rules(
        &self,
        elder: Option<ElderId>,
        mut set: RuleSet,
        author: Option<PersonId>,
        reason: &str,
    ) -> Result<u32> {
        if let Some(elder) = elder {
            return self.save_own_rules(elder, &set, None, author, reason);
        }
        set.check_saving().map_err(|error| Error::Invalid(error.to_string()))?;
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            set.version = next_version(tx, set.version)?;
            insert_set(tx, &set, None, author, reason)?;
            super::audit::write(tx, author, "save_rules", "rules/default", &format!("version {}", set.version))?;
            Ok(set.version)
        })
    }

    /// Makes `set` the rules of one elder: what differs from what the elder has without a layer of their own becomes that layer;
    /// the rest goes on following the layers below. A set that does not differ takes the own layer back. `until`: then the own
    /// layer ends by itself. Returns the version of the set that is in force then.
    pub fn save_own_rules(
        &self,
        elder: ElderId,
        set: &RuleSet,
        until: Option<Time>,
        author: Option<PersonId>,
        reason: &str,
    ) -> Result<u32> {
        set.check_saving().map_err(|bad| {
            Error::Rules(model::layer::Refused {
                layer: Layer::OWN.into(),
                rule: bad.rule,
                level: bad.level,
                reason: bad.reason,
            })
        })?;
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            if until.is_some_and(|until| until <= tx.now) {
                return Err(Error::Invalid("until is over already".into()));
            }
            let one = someone(tx, elder, tx.now)?;
            let version = save_own(tx, &one, set, until, author, reason)?;
            let subject = format!("rules/elder/{elder}");
            super::audit::write(tx, author, "save_rules", &subject, &format!("version {version}"))?;
            Ok(version)
        })
    }
}

fn save_own(
    tx: &mut Tx<'_>,
    one: &Someone,
    set: &RuleSet,
    until: Option<Time>,
    author: Option<PersonId>,
    reason: &str,
) -> Result<u32> {
    let mut world = World::load(tx, default_set(tx)?, tx.now, Some(one))?;
    let open = open_own(tx, one.id)?;
    if let Some(id) = open {
        world.drop_held(id);
    }
    let own = (Layer::OWN.to_owned(), one.id.0);
    let before = open.and_then(|_| world.layers.get(&own)).map(|newest| newest.layer.clone());
    let doctor = author.map(|author| is_doctor(tx, author)).transpose()?.unwrap_or(false);
    let without = world.effective(one, tx.now);
    let layer = own_layer(&without, before.as_ref(), set, doctor, reason)?;
    if let Some(id) = open {
        end(tx, id, author, reason)?;
    }
    let nothing = layer.patches.is_empty();
    let version = layers::put(tx, &layer, Some(one.id), author, reason)?;
    if !nothing {
        let scope = Scope::Elder(one.id);
        let new = NewAssignment { layer: Layer::OWN.into(), scope, from: None, until, reason: reason.to_owned() };
        let id = insert(tx, &new, tx.now, author)?;
        let NewAssignment { layer: name, reason, .. } = new;
        let held = super::world::Held { id, layer: name, scope, who: author, why: reason, from: tx.now, until };
        world.layers.insert(own, Newest { layer, version });
        world.hold(held);
    }
    world.check([one], tx.now)?;
    version_of(tx, &world.effective(one, tx.now).set)
}

fn someone(conn: &Connection, elder: ElderId, now: Time) -> Result<Someone> {
    people(conn, Some(Scope::Elder(elder)), now)?.pop().ok_or(Error::NotFound("elder"))
}

fn elder_rules(conn: &Connection, elder: ElderId, now: Time) -> Result<ElderRules> {
    let default = newest(conn)?.ok_or(Error::NotFound("default rule set"))?;
    // Nobody knows this elder (a restored backup): the default judges.
    let unknown = Someone { id: elder, team: None, age: None };
    let one = people(conn, Some(Scope::Elder(elder)), now)?.pop().unwrap_or(unknown);
    let world = World::load(conn, default.set.clone(), now, Some(&one))?;
    let mut effective = world.effective(&one, now);
    let mut stored = default;
    if effective.origins.iter().all(|origin| origin.assignment.is_none()) {
        // The default itself, under its own number, as the journal knows it.
        effective.set.version = stored.set.version;
    } else {
        effective.set.version = known_version(conn, &effective.set)?.unwrap_or(0);
    }
    if let Some(own) = effective.origins.iter().find(|origin| origin.layer == Layer::OWN && origin.assignment.is_some())
    {
        stored.own = true;
        stored.author = own.who;
        own.why.clone_into(&mut stored.reason);
        stored.saved_at = own.from.unwrap_or(stored.saved_at);
    }
    stored.set = effective.set.clone();
    Ok(ElderRules { stored, effective })
}

/// The newest default set. Made sets and those of older versions are no defaults.
fn newest(conn: &Connection) -> Result<Option<StoredRules>> {
    let mut query = conn.prepare_cached(
        "SELECT body, author, reason, saved_at FROM rule_set WHERE elder IS NULL AND made = FALSE ORDER BY version DESC LIMIT 1",
    )?;
    let found = rows(query.query([])?, |row| {
        Ok(StoredRules {
            set: json("rule set", row.get(0)?)?,
            own: false,
            author: row.get::<_, Option<u32>>(1)?.map(PersonId),
            reason: row.get(2)?,
            saved_at: Time(row.get(3)?),
        })
    })?;
    Ok(found.into_iter().next())
}

pub(super) fn default_set(conn: &Connection) -> Result<RuleSet> {
    newest(conn)?.map(|stored| stored.set).ok_or(Error::NotFound("default rule set"))
}

/// The first set keeps the number it was shipped with.
fn next_version(tx: &Tx<'_>, shipped: u32) -> Result<u32> {
    let last: u32 = tx.query_row("SELECT COALESCE(MAX(version), 0) FROM rule_set", [], |row| row.get(0))?;
    Ok(if last == 0 { shipped.max(1) } else { last.saturating_add(1) })
}

fn insert_set(tx: &Tx<'_>, set: &RuleSet, digest: Option<&str>, author: Option<PersonId>, reason: &str) -> Result<()> {
    let body = serde_json::to_string(set).map_err(|error| Error::Invalid(error.to_string()))?;
    tx.prepare_cached(
        "INSERT INTO rule_set (version, elder, body, author, reason, saved_at, digest, made) VALUES (?1, NULL, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![set.version, body, author.map(|author| author.0), reason, tx.now.0, digest, digest.is_some()])?;
    Ok(())
}

/// What a set is found by: everything but its number.
fn digest(set: &RuleSet) -> Result<String> {
    let bare = RuleSet { version: 0, ..set.clone() };
    let text = serde_json::to_vec(&bare).map_err(|error| Error::Invalid(error.to_string()))?;
    Ok(super::hex(&Sha256::digest(&text)))
}

pub(super) fn known_version(conn: &Connection, set: &RuleSet) -> Result<Option<u32>> {
    let mut query = conn.prepare_cached("SELECT version FROM rule_set WHERE digest = ?1")?;
    Ok(query.query_row([digest(set)?], |row| row.get(0)).optional()?)
}

/// The number of a set that comes of layers; a new one when nobody had it before.
pub(super) fn version_of(tx: &mut Tx<'_>, set: &RuleSet) -> Result<u32> {
    if let Some(version) = known_version(tx, set)? {
        return Ok(version);
    }
    let numbered = RuleSet { version: next_version(tx, 1)?, ..set.clone() };
    insert_set(tx, &numbered, Some(&digest(set)?), None, "made of layers")?;
    Ok(numbered.version)
}

/// The rule that raised an alarm: from the version that judged, else from the default in force.
pub(super) fn rule_of_version(conn: &Connection, version: u32, slug: &str) -> Result<Option<Rule>> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM rule_set WHERE version = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    let set = match body {
        Some(body) => Some(json::<RuleSet>("rule set", body)?),
        None => newest(conn)?.map(|stored| stored.set),
    };
    Ok(set.and_then(|set| set.rules.into_iter().find(|rule| rule.slug == slug)))
}

/// There are own sets as older versions of the program kept them.
pub(super) fn has_older(conn: &Connection) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM rule_set WHERE elder IS NOT NULL AND made = FALSE)";
    Ok(conn.query_row(sql, [], |row| row.get(0))?)
}

/// They become own layers. Once, at the first start.
pub(super) fn adopt_older(tx: &mut Tx<'_>) -> Result<()> {
    let mut query = tx.prepare(
        "SELECT elder, body, author, reason FROM rule_set r WHERE elder IS NOT NULL AND made = FALSE AND version = \
         (SELECT MAX(o.version) FROM rule_set o WHERE o.elder = r.elder) ORDER BY elder",
    )?;
    let found = rows(query.query([])?, |row| {
        let author = row.get::<_, Option<u32>>(2)?.map(PersonId);
        Ok((ElderId(row.get(0)?), json::<RuleSet>("rule set", row.get(1)?)?, author, row.get::<_, String>(3)?))
    })?;
    drop(query);
    for (elder, mut set, author, reason) in found {
        let Ok(one) = someone(tx, elder, tx.now) else { continue };
        // What the older program let somebody leave out is in force again: a call for help is never switched off.
        let calls = |rule: &&Rule| matches!(&rule.test, model::rule::Test::Event(test) if test.event.calls_for_help());
        let default = default_set(tx)?;
        set.rules.retain(|rule| !default.rules.iter().filter(calls).any(|call| call.slug == rule.slug));
        set.rules.extend(default.rules.iter().filter(calls).cloned());
        if let Err(error) = save_own(tx, &one, &set, None, author, &reason) {
            tracing::error!(elder.id = elder.0, %error, "own rules of an older version do not fit any more; the default judges");
        }
    }
    tx.execute("UPDATE rule_set SET made = TRUE WHERE elder IS NOT NULL", [])?;
    Ok(())
}
