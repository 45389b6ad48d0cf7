//! Escalation policies as saved by people: every version stays. Of each name the newest is in force, for the alarms that open
//! from then on; an alarm that is open goes on by the version that it opened under.

use model::policy::{BadPolicy, Policy};
use model::{PersonId, Priority, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::bounded;
use super::view::json;
use super::{Records, Tx, limit_of, rows};

/// Characters of the reason for a change.
const REASON_CHARS_MAX: usize = 500;
/// Names of policies there may be.
pub const POLICIES_MAX: usize = 32;

/// A saved policy and who saved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredPolicy {
    #[serde(flatten)]
    pub policy: Policy,
    /// `None`: shipped with the program.
    pub author: Option<PersonId>,
    pub reason: String,
    pub saved_at: Time,
}

impl Records {
    /// The policies in force, by name.
    pub fn policies(&self) -> Result<Vec<StoredPolicy>> {
        self.read(in_force)
    }

    /// Every version of one policy, newest first.
    pub fn policy_versions(&self, name: &str) -> Result<Vec<StoredPolicy>> {
        self.read(|conn| {
            select(conn, "WHERE name = ?1 ORDER BY version DESC LIMIT ?2", params![name, limit_of(usize::MAX)])
        })
    }

    /// One version, as an alarm names it.
    pub fn policy(&self, version: u32) -> Result<Option<Policy>> {
        self.read(|conn| by_version(conn, version))
    }

    /// The policy under which an alarm of this priority opens now. `None`: none was ever saved for it.
    pub fn policy_for(&self, priority: Priority) -> Result<Option<Policy>> {
        self.read(|conn| for_priority(conn, priority))
    }

    /// Saves what the program ships: policies that are not there, and new versions of those that no person has changed.
    pub fn ensure_policies(&self, shipped: &[Policy]) -> Result<()> {
        self.write(|tx| {
            for policy in shipped {
                let known = newest(tx, &policy.name)?;
                let same = |known: &StoredPolicy| Policy { version: policy.version, ..known.policy.clone() } == *policy;
                if known.is_none_or(|known| known.author.is_none() && !same(&known)) {
                    insert(tx, policy.clone(), None, "shipped with the program")?;
                }
            }
            Ok(())
        })
    }

    /// Saves the next version of a policy and answers its number. Refused when it could end without paging anyone
    /// ([`Error::Policy`]), also when after it no policy would be left for P1 or for P2. `is_channel`: there is such a channel.
    /// Its `version` says which one was changed (0: a new policy); another one in force is [`Error::PolicyChanged`].
    pub fn save_policy(
        &self,
        policy: Policy,
        is_channel: &dyn Fn(&str) -> bool,
        author: Option<PersonId>,
        reason: &str,
    ) -> Result<u32> {
        policy.check(is_channel)?;
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let known = newest(tx, &policy.name)?.map_or(0, |known| known.policy.version);
            if known != policy.version {
                return Err(Error::PolicyChanged { version: known });
            }
            let others: Vec<_> = in_force(tx)?.into_iter().filter(|other| other.policy.name != policy.name).collect();
            if others.len() >= POLICIES_MAX {
                return Err(Error::TooMany { what: "policies", limit: POLICIES_MAX });
            }
            for priority in [Priority::P1, Priority::P2] {
                let kept = policy.priorities.contains(&priority)
                    || others.iter().any(|other| other.policy.priorities.contains(&priority));
                if !kept {
                    return Err(Error::Policy(BadPolicy {
                        policy: policy.name.clone(),
                        place: "priorities".into(),
                        reason: format!("no policy would be left for {}", priority.slug()),
                    }));
                }
            }
            let name = policy.name.clone();
            let version = insert(tx, policy, author, reason)?;
            super::audit::write(tx, author, "save_policy", &format!("policy/{name}"), &format!("version {version}"))?;
            Ok(version)
        })
    }
}

fn insert(tx: &mut Tx<'_>, mut policy: Policy, author: Option<PersonId>, reason: &str) -> Result<u32> {
    policy.version =
        tx.query_row("SELECT COALESCE(MAX(version), 0) + 1 FROM policy", [], |row| row.get::<_, u32>(0))?;
    let body = serde_json::to_string(&policy).map_err(|error| Error::Invalid(error.to_string()))?;
    tx.execute(
        "INSERT INTO policy (version, name, body, author, reason, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![policy.version, policy.name, body, author.map(|author| author.0), reason, tx.now.0],
    )?;
    Ok(policy.version)
}

fn select(conn: &Connection, tail: &str, params: impl rusqlite::Params) -> Result<Vec<StoredPolicy>> {
    let mut query = conn.prepare_cached(&format!("SELECT body, author, reason, saved_at FROM policy {tail}"))?;
    rows(query.query(params)?, |row| {
        Ok(StoredPolicy {
            policy: json("policy", row.get(0)?)?,
            author: row.get::<_, Option<u32>>(1)?.map(PersonId),
            reason: row.get(2)?,
            saved_at: Time(row.get(3)?),
        })
    })
}

fn in_force(conn: &Connection) -> Result<Vec<StoredPolicy>> {
    let newest = "WHERE version IN (SELECT MAX(version) FROM policy GROUP BY name) ORDER BY name LIMIT ?1";
    select(conn, newest, [limit_of(usize::MAX)])
}

fn newest(conn: &Connection, name: &str) -> Result<Option<StoredPolicy>> {
    Ok(select(conn, "WHERE name = ?1 ORDER BY version DESC LIMIT 1", [name])?.pop())
}

pub(super) fn by_version(conn: &Connection, version: u32) -> Result<Option<Policy>> {
    let body: Option<String> = conn
        .prepare_cached("SELECT body FROM policy WHERE version = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    body.map(|body| json("policy", body)).transpose()
}

/// Of the policies in force that are for this priority, the one saved last.
pub(super) fn for_priority(conn: &Connection, priority: Priority) -> Result<Option<Policy>> {
    let all = in_force(conn)?.into_iter().map(|stored| stored.policy);
    Ok(all.filter(|policy| policy.priorities.contains(&priority)).max_by_key(|policy| policy.version))
}
