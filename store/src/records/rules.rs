//! Rule sets as saved by people: every version stays, the newest of an elder (or of the default) is in force.

use model::rule::{Rule, RuleSet};
use model::{ElderId, PersonId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::bounded;
use super::view::json;
use super::{Records, limit_of, rows};

/// Characters of the reason for a change.
const REASON_CHARS_MAX: usize = 500;

/// A saved rule set and who saved it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredRules {
    pub set: RuleSet,
    /// The elder's own; otherwise the default.
    pub own: bool,
    /// `None`: shipped with the program.
    pub author: Option<PersonId>,
    pub reason: String,
    pub saved_at: Time,
}

impl Records {
    /// The rules that judge this elder: own, or the default, as it is for their age. [`Error::NotFound`] when no default was ever saved.
    pub fn rules_for(&self, elder: ElderId) -> Result<StoredRules> {
        let now = self.now();
        self.read(|conn| {
            if let Some(own) = newest(conn, Some(elder))? {
                return Ok(own);
            }
            let mut default = newest(conn, None)?.ok_or(Error::NotFound("default rule set"))?;
            let born: Option<Option<String>> = conn
                .prepare_cached("SELECT birth_date FROM elder WHERE id = ?1")?
                .query_row([elder.0], |row| row.get(0))
                .optional()?;
            let age = born.flatten().and_then(|date| super::view::age(&date, now));
            if age.is_some_and(|age| age >= RuleSet::AGED_FROM) {
                default.set = default.set.for_aged();
            }
            Ok(default)
        })
    }

    /// The rules of everybody without rules of their own. `None`: never saved.
    pub fn default_rules(&self) -> Result<Option<StoredRules>> {
        self.read(|conn| newest(conn, None))
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

    /// The newest own rules of every elder who has some.
    pub fn own_rules(&self) -> Result<Vec<(ElderId, RuleSet)>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT r.elder, r.body FROM rule_set r WHERE r.elder IS NOT NULL AND r.version = \
                 (SELECT MAX(o.version) FROM rule_set o WHERE o.elder = r.elder) ORDER BY r.elder LIMIT ?1",
            )?;
            rows(query.query([limit_of(usize::MAX)])?, |row| Ok((ElderId(row.get(0)?), json("rule set", row.get(1)?)?)))
        })
    }

    /// Checks and saves a set; returns its version. Versions count up over all sets, so that the version stored with
    /// an alarm names one set. The caller then writes the set (with this version) to the journal, where it takes force.
    pub fn save_rules(
        &self,
        elder: Option<ElderId>,
        mut set: RuleSet,
        author: Option<PersonId>,
        reason: &str,
    ) -> Result<u32> {
        set.check().map_err(|error| Error::Invalid(error.to_string()))?;
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let last: u32 = tx.query_row("SELECT COALESCE(MAX(version), 0) FROM rule_set", [], |row| row.get(0))?;
            // The first set keeps the number it was shipped with.
            set.version = if last == 0 { set.version.max(1) } else { last.saturating_add(1) };
            let body = serde_json::to_string(&set).map_err(|error| Error::Invalid(error.to_string()))?;
            tx.execute(
                "INSERT INTO rule_set (version, elder, body, author, reason, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![set.version, elder.map(|elder| elder.0), body, author.map(|author| author.0), reason, tx.now.0],
            )?;
            let subject = elder.map_or_else(|| "rules/default".to_owned(), |elder| format!("rules/elder/{elder}"));
            super::audit::write(tx, author, "save_rules", &subject, &format!("version {}", set.version))?;
            Ok(set.version)
        })
    }
}

fn newest(conn: &Connection, elder: Option<ElderId>) -> Result<Option<StoredRules>> {
    let filter = if elder.is_some() { "elder = ?1" } else { "elder IS NULL AND ?1 IS NULL" };
    let mut query = conn.prepare_cached(&format!(
        "SELECT body, author, reason, saved_at FROM rule_set WHERE {filter} ORDER BY version DESC LIMIT 1"
    ))?;
    let found = rows(query.query(params![elder.map(|elder| elder.0)])?, |row| {
        Ok(StoredRules {
            set: json("rule set", row.get(0)?)?,
            own: elder.is_some(),
            author: row.get::<_, Option<u32>>(1)?.map(PersonId),
            reason: row.get(2)?,
            saved_at: Time(row.get(3)?),
        })
    })?;
    Ok(found.into_iter().next())
}

/// The rule that raised an alarm: from the version that judged, else from the default in force.
pub(super) fn rule_of_version(conn: &Connection, version: u32, slug: &str) -> Result<Option<Rule>> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM rule_set WHERE version = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    let set = match body {
        Some(body) => Some(json::<RuleSet>("rule set", body)?),
        None => newest(conn, None)?.map(|stored| stored.set),
    };
    Ok(set.and_then(|set| set.rules.into_iter().find(|rule| rule.slug == slug)))
}
