//! Layers as people saved them: every version stays, the newest judges.

use std::collections::{BTreeMap, BTreeSet};

use model::layer::{Assigned, Change, Layer, Origin, Refused, Scope, effective};
use model::people::Role;
use model::rule::RuleSet;
use model::{ElderId, PersonId, TeamId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::bounded;
use super::view::{json, word};
use super::world::{Newest, World, people};
use super::{Records, Tx, limit_of, rows, rules};

/// Characters of the reason for a change.
pub(super) const REASON_CHARS_MAX: usize = 500;
/// Shared layers there may be.
pub const LAYERS_MAX: usize = 256;

/// One version of a layer, and who saved it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredLayer {
    #[serde(flatten)]
    pub layer: Layer,
    pub version: u32,
    /// `None`: shipped with the program.
    pub author: Option<PersonId>,
    pub reason: String,
    pub saved_at: Time,
}

/// Who saved a version of rules, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSaved {
    /// `None`: shipped with the program.
    pub by: Option<PersonId>,
    pub at: Time,
}

impl Records {
    /// Takes over the shipped layers that are new here or have changed. What a person saved under such a name stays.
    pub fn ensure_layers(&self, shipped: &[Layer]) -> Result<()> {
        let known: BTreeMap<String, StoredLayer> =
            self.layers()?.into_iter().map(|stored| (stored.layer.name.clone(), stored)).collect();
        let new: Vec<&Layer> = shipped
            .iter()
            .filter(|layer| {
                known.get(&layer.name).is_none_or(|stored| stored.author.is_none() && stored.layer != **layer)
            })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            for layer in new {
                layer.check()?;
                put(tx, layer, None, None, "shipped with the program")?;
            }
            Ok(())
        })
    }

    /// The newest version of every shared layer, by name.
    pub fn layers(&self) -> Result<Vec<StoredLayer>> {
        self.stored_layers(
            "l.elder = 0 AND ?1 = '' AND l.version = (SELECT MAX(o.version) FROM rule_layer o WHERE o.name = l.name AND o.elder = 0) \
             ORDER BY l.name LIMIT ?2",
            params!["", limit_of(LAYERS_MAX)],
        )
    }

    /// Every version of one shared layer, newest first.
    pub fn layer_versions(&self, name: &str, limit: usize) -> Result<Vec<StoredLayer>> {
        self.stored_layers(
            "l.elder = 0 AND l.name = ?1 ORDER BY l.version DESC LIMIT ?2",
            params![name, limit_of(limit)],
        )
    }

    /// Every version of an elder's own layer, newest first.
    pub fn own_layer_versions(&self, elder: ElderId, limit: usize) -> Result<Vec<StoredLayer>> {
        self.stored_layers("l.elder = ?1 ORDER BY l.version DESC LIMIT ?2", params![elder.0, limit_of(limit)])
    }

    /// Who saved the version that something comes from, and when. `elder`: whose own layer it may be. `None`: there is no such version.
    pub fn version_saved(&self, origin: &Origin, elder: ElderId) -> Result<Option<VersionSaved>> {
        self.read(|conn| {
            let read = |row: &rusqlite::Row<'_>| {
                Ok(VersionSaved { by: row.get::<_, Option<u32>>(0)?.map(PersonId), at: Time(row.get(1)?) })
            };
            let found = if origin.assignment.is_none() {
                // The default set, also as it is for the aged.
                let sql = "SELECT author, saved_at FROM rule_set WHERE version = ?1 AND elder IS NULL AND made = FALSE";
                conn.prepare_cached(sql)?.query_row([origin.version], read).optional()?
            } else {
                let elder = if origin.layer == Layer::OWN { elder.0 } else { 0 };
                let sql = "SELECT author, saved_at FROM rule_layer WHERE name = ?1 AND elder = ?2 AND version = ?3";
                conn.prepare_cached(sql)?.query_row(params![origin.layer, elder, origin.version], read).optional()?
            };
            Ok(found)
        })
    }

    fn stored_layers(&self, filter: &str, params: impl rusqlite::Params) -> Result<Vec<StoredLayer>> {
        self.read(|conn| {
            let sql =
                format!("SELECT l.body, l.version, l.author, l.reason, l.saved_at FROM rule_layer l WHERE {filter}");
            rows(conn.prepare_cached(&sql)?.query(params)?, |row| {
                Ok(StoredLayer {
                    layer: json("layer", row.get(0)?)?,
                    version: row.get(1)?,
                    author: row.get::<_, Option<u32>>(2)?.map(PersonId),
                    reason: row.get(3)?,
                    saved_at: Time(row.get(4)?),
                })
            })
        })
    }

    /// Saves a new version of a shared layer; it judges at once wherever the layer is assigned. Refused, with the place, when the
    /// layer is wrong in itself or does not fit together with the others of somebody who has it.
    pub fn save_layer(&self, layer: &Layer, author: PersonId, reason: &str) -> Result<u32> {
        layer.check()?;
        bounded("reason", reason, REASON_CHARS_MAX)?;
        if layer.name == Layer::OWN {
            return Err(refused(layer, "an elder's own layer is saved with the elder's rules").into());
        }
        self.write(|tx| {
            let default = rules::default_set(tx)?;
            let mut world = World::load(tx, default, tx.now, None)?;
            let shared = world.layers.iter().filter(|((_, elder), _)| *elder == 0);
            let shared: BTreeMap<&str, &Layer> =
                shared.map(|((name, _), newest)| (name.as_str(), &newest.layer)).collect();
            if shared.len() >= LAYERS_MAX && !shared.contains_key(layer.name.as_str()) {
                return Err(Error::TooMany { what: "layers", limit: LAYERS_MAX });
            }
            let was_doctors = shared.get(layer.name.as_str()).is_some_and(|known| known.doctor_only);
            if (layer.doctor_only || was_doctors) && !is_doctor(tx, author)? {
                return Err(refused(layer, "only a doctor changes a layer that only a doctor may assign").into());
            }
            fits(&world.default, layer, &shared)?;
            let version = put(tx, layer, None, Some(author), reason)?;
            world.layers.insert((layer.name.clone(), 0), Newest { layer: layer.clone(), version });
            check_users(tx, &world, &layer.name)?;
            let subject = format!("rules/layer/{}", layer.name);
            super::audit::write(tx, Some(author), "save_layer", &subject, &format!("version {version}"))?;
            Ok(version)
        })
    }
}

fn refused(layer: &Layer, reason: &str) -> Refused {
    Refused { layer: layer.name.clone(), rule: String::new(), level: None, reason: reason.to_owned() }
}

/// The layer alone, upon the default: it changes rules that are there, and what comes of it passes the check of saving.
fn fits(default: &RuleSet, layer: &Layer, shared: &BTreeMap<&str, &Layer>) -> Result<()> {
    let slugs: BTreeSet<&str> = default.rules.iter().map(|rule| rule.slug.as_str()).collect();
    let brings = |layer: &Layer, slug: &str| {
        layer.patches.iter().any(|patch| patch.rule == slug && matches!(patch.change, Change::Rule(_)))
    };
    let known = |slug: &str| {
        slug == Layer::EVERY
            || slugs.contains(slug)
            || brings(layer, slug)
            || shared.values().any(|other| brings(other, slug))
    };
    let kept = |change: &Change| match change {
        Change::Only(kept) => kept.iter().find(|slug| !known(slug)).cloned(),
        _ => None,
    };
    for patch in &layer.patches {
        let missing = if known(&patch.rule) { kept(&patch.change) } else { Some(patch.rule.clone()) };
        if let Some(rule) = missing {
            let all: Vec<&str> = slugs.iter().copied().collect();
            let reason = format!("no set and no layer has a rule of this name; the default has {}", all.join(", "));
            return Err(Refused { layer: layer.name.clone(), rule, level: None, reason }.into());
        }
    }
    for aged in [false, true] {
        let scope = Scope::Team(TeamId(0));
        let alone = Assigned { id: 0, layer, version: 0, scope, who: None, why: "", from: Time::MIN, until: None };
        let mut found = effective(default, aged, &[alone], Time(0));
        if let Some(refused) = found.left_out.pop() {
            return Err(refused.into());
        }
        found.set.check_saving().map_err(|bad| Refused {
            layer: layer.name.clone(),
            rule: bad.rule,
            level: bad.level,
            reason: bad.reason,
        })?;
    }
    Ok(())
}

/// Everybody who has the layer still has layers that fit together.
fn check_users(tx: &Tx<'_>, world: &World, layer: &str) -> Result<()> {
    let scopes: BTreeSet<Scope> =
        world.held().iter().filter(|held| held.layer == layer).map(|held| held.scope).collect();
    for scope in scopes {
        world.check(&people(tx, Some(scope), tx.now)?, tx.now)?;
    }
    Ok(())
}

/// Writes a new version. `elder`: of their own layer.
pub(super) fn put(
    tx: &mut Tx<'_>,
    layer: &Layer,
    elder: Option<ElderId>,
    author: Option<PersonId>,
    reason: &str,
) -> Result<u32> {
    let elder = elder.map_or(0, |elder| elder.0);
    let last: u32 = tx
        .prepare_cached("SELECT COALESCE(MAX(version), 0) FROM rule_layer WHERE name = ?1 AND elder = ?2")?
        .query_row(params![layer.name, elder], |row| row.get(0))?;
    let version = last.saturating_add(1);
    let body = serde_json::to_string(layer).map_err(|error| Error::Invalid(error.to_string()))?;
    let id = tx.next_id("rule_layer")?;
    tx.prepare_cached(
        "INSERT INTO rule_layer (id, name, elder, version, body, author, reason, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![id, layer.name, elder, version, body, author.map(|author| author.0), reason, tx.now.0])?;
    Ok(version)
}

pub(super) fn is_doctor(conn: &Connection, person: PersonId) -> Result<bool> {
    let role: Option<String> = conn
        .prepare_cached("SELECT role FROM person WHERE id = ?1")?
        .query_row([person.0], |row| row.get(0))
        .optional()?;
    Ok(match role {
        Some(role) => word("role", Role::parse, role)? == Role::Doctor,
        None => false,
    })
}
