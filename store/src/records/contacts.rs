//! How a person is reached by a channel that needs an address of its own: a WeCom user id, an e-mail address.

use model::{PersonId, Time};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::bounded;
use super::{Records, limit_of, rows};

/// Characters of an address.
pub const ADDRESS_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    pub person: PersonId,
    /// Name of the channel.
    pub channel: String,
    pub address: String,
    pub updated_at: Time,
    /// The provider said that it cannot reach this address at all. A new address takes it away.
    pub refused_at: Option<Time>,
}

impl Records {
    /// Sets, or with `None` removes, a person's address in a channel. Written to the audit, without the address.
    pub fn set_contact(&self, person: PersonId, channel: &str, address: Option<&str>, by: PersonId) -> Result<()> {
        if let Some(address) = address {
            bounded("address", address, ADDRESS_CHARS_MAX)?;
            if address.chars().any(char::is_control) {
                return Err(Error::Invalid("an address is one line".into()));
            }
        }
        self.write(|tx| {
            if super::people::person(tx, person)?.is_none() {
                return Err(Error::NotFound("person"));
            }
            match address {
                Some(address) => tx.execute(
                    "INSERT INTO contact (person, channel, address, updated_at) VALUES (?1, ?2, ?3, ?4) \
                     ON CONFLICT (person, channel) DO UPDATE SET address = excluded.address, \
                     updated_at = excluded.updated_at, refused_at = NULL",
                    params![person.0, channel, address.trim(), tx.now.0],
                )?,
                None => {
                    tx.execute("DELETE FROM contact WHERE person = ?1 AND channel = ?2", params![person.0, channel])?
                }
            };
            super::audit::write(tx, Some(by), "set_contact", &format!("person/{}", person.0), channel)
        })
    }

    /// The person's address in this channel.
    pub fn contact(&self, person: PersonId, channel: &str) -> Result<Option<String>> {
        self.read(|conn| {
            let found = conn
                .prepare_cached("SELECT address FROM contact WHERE person = ?1 AND channel = ?2")?
                .query_row(params![person.0, channel], |row| row.get(0));
            Ok(found.optional()?)
        })
    }

    /// All addresses of a person, by channel.
    pub fn contacts_of(&self, person: PersonId) -> Result<Vec<Contact>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT person, channel, address, updated_at, refused_at FROM contact WHERE person = ?1 \
                 ORDER BY channel LIMIT ?2",
            )?;
            rows(query.query(params![person.0, limit_of(usize::MAX)])?, |row| {
                Ok(Contact {
                    person: PersonId(row.get(0)?),
                    channel: row.get(1)?,
                    address: row.get(2)?,
                    updated_at: Time(row.get(3)?),
                    refused_at: row.get::<_, Option<i64>>(4)?.map(Time),
                })
            })
        })
    }

    /// Remembers that the provider cannot reach the address, for whoever keeps the contacts. Pages still try it.
    pub fn flag_contact(&self, person: PersonId, channel: &str) -> Result<()> {
        self.write(|tx| {
            tx.execute(
                "UPDATE contact SET refused_at = ?3 WHERE person = ?1 AND channel = ?2 AND refused_at IS NULL",
                params![person.0, channel, tx.now.0],
            )?;
            Ok(())
        })
    }
}
