//! By what elders are recognised at shared devices: keyed hashes of their cards and codes.

use model::identity::KeyKind;
use model::{ElderId, PersonId, PersonKey, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::{Records, Tx, rows};

/// Cards and codes of one elder.
pub const KEYS_PER_ELDER_MAX: usize = 16;
/// Characters of a key's fingerprint: enough to tell an elder's keys apart, too few to look a card up.
const FINGERPRINT_CHARS: usize = 6;

/// A card or code of an elder, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ElderKey {
    pub kind: String,
    /// Beginning of the hash: to tell an elder's keys apart.
    pub fingerprint: String,
    pub added_at: Time,
    pub added_by: Option<PersonId>,
}

impl Records {
    /// From now on this card or code means this elder. Adding it again changes nothing; another elder's is refused.
    pub fn add_key(&self, elder: ElderId, key: &PersonKey, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| put_key(tx, elder, key, by))
    }

    /// Forgets the elder's key with this fingerprint.
    pub fn remove_key(&self, elder: ElderId, fingerprint: &str, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            let keys = keys_of(tx, elder)?;
            let Some((key, found)) = keys.into_iter().find(|(_, key)| key.fingerprint == fingerprint) else {
                return Err(Error::NotFound("key"));
            };
            tx.execute("DELETE FROM elder_key WHERE key = ?1", [key])?;
            super::audit::write(tx, by, "remove_key", &format!("elder/{elder}"), &found.kind)
        })
    }

    pub fn keys_of(&self, elder: ElderId) -> Result<Vec<ElderKey>> {
        self.read(|conn| Ok(keys_of(conn, elder)?.into_iter().map(|(_, key)| key).collect()))
    }
}

pub(super) fn put_key(tx: &mut Tx<'_>, elder: ElderId, key: &PersonKey, by: Option<PersonId>) -> Result<()> {
    let Some(kind @ (KeyKind::Card | KeyKind::Qr)) = key.kind() else {
        return Err(Error::Invalid("only a card or a code can be registered".into()));
    };
    if !tx.prepare_cached("SELECT 1 FROM elder WHERE id = ?1")?.exists([elder.0])? {
        return Err(Error::NotFound("elder"));
    }
    let owner: Option<u32> =
        tx.query_row("SELECT elder FROM elder_key WHERE key = ?1", [key.as_str()], |row| row.get(0)).optional()?;
    match owner {
        Some(owner) if owner == elder.0 => return Ok(()),
        Some(owner) => {
            return Err(Error::Invalid(format!("this card or code is registered with elder {owner} already")));
        }
        None => {}
    }
    if keys_of(tx, elder)?.len() >= KEYS_PER_ELDER_MAX {
        return Err(Error::TooMany { what: "cards and codes of an elder", limit: KEYS_PER_ELDER_MAX });
    }
    tx.execute(
        "INSERT INTO elder_key (key, kind, elder, added_by, added_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![key.as_str(), kind.slug(), elder.0, by.map(|by| by.0), tx.now.0],
    )?;
    super::audit::write(tx, by, "add_key", &format!("elder/{elder}"), kind.slug())
}

/// The elder's keys with their full text, oldest first.
fn keys_of(conn: &Connection, elder: ElderId) -> Result<Vec<(String, ElderKey)>> {
    let mut query = conn.prepare_cached(
        "SELECT key, kind, added_at, added_by FROM elder_key WHERE elder = ?1 ORDER BY added_at, key LIMIT ?2",
    )?;
    rows(query.query(params![elder.0, KEYS_PER_ELDER_MAX as i64])?, |row| {
        let key: String = row.get(0)?;
        let hash = key.split_once(':').map_or(key.as_str(), |(_, hash)| hash);
        let shown = ElderKey {
            kind: row.get(1)?,
            fingerprint: hash.chars().take(FINGERPRINT_CHARS).collect(),
            added_at: Time(row.get(2)?),
            added_by: row.get::<_, Option<u32>>(3)?.map(PersonId),
        };
        Ok((key, shown))
    })
}

/// All keys, for the picture of the registry.
pub(super) fn all_keys(conn: &Connection) -> Result<Vec<(String, ElderId)>> {
    let mut query = conn.prepare_cached("SELECT key, elder FROM elder_key")?;
    rows(query.query([])?, |row| Ok((row.get(0)?, ElderId(row.get(1)?))))
}
