//! Those who can go to an elder: key holders, grid workers, family, in the order in which they are asked.

use model::{ElderId, PersonId};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::{SHORT_CHARS_MAX, bounded};
use super::{Records, rows};

/// People who can go to one elder, at most.
const PER_ELDER_MAX: usize = 16;

/// Somebody who can go to an elder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Responder {
    pub person: PersonId,
    /// 网格员, 钥匙保管人, 女儿: as people say it.
    pub relation: String,
    /// Asked in this order, lowest first.
    pub rank: u32,
}

impl Records {
    /// Adds or changes who can go to an elder.
    pub fn set_responder(&self, elder: ElderId, responder: &Responder, by: Option<PersonId>) -> Result<()> {
        bounded("relation", &responder.relation, SHORT_CHARS_MAX)?;
        self.write(|tx| {
            let others = of(tx, elder)?.into_iter().filter(|other| other.person != responder.person).count();
            if others >= PER_ELDER_MAX {
                return Err(Error::TooMany { what: "people who can go to an elder", limit: PER_ELDER_MAX });
            }
            tx.execute(
                "INSERT INTO elder_contact (elder, person, relation, rank, author, saved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (elder, person) DO UPDATE SET relation = excluded.relation, rank = excluded.rank, \
                 author = excluded.author, saved_at = excluded.saved_at",
                params![
                    elder.0,
                    responder.person.0,
                    responder.relation,
                    responder.rank,
                    by.map(|by| by.0),
                    tx.now.0
                ],
            )?;
            super::audit::write(tx, by, "set_responder", &format!("elder/{elder}"), &responder.person.to_string())
        })
    }

    pub fn remove_responder(&self, elder: ElderId, person: PersonId, by: Option<PersonId>) -> Result<()> {
        self.write(|tx| {
            if tx.execute("DELETE FROM elder_contact WHERE elder = ?1 AND person = ?2", params![elder.0, person.0])?
                == 0
            {
                return Err(Error::NotFound("responder of this elder"));
            }
            super::audit::write(tx, by, "remove_responder", &format!("elder/{elder}"), &person.to_string())
        })
    }

    /// Those who can go to this elder and are not disabled, in their order.
    pub fn responders(&self, elder: ElderId) -> Result<Vec<Responder>> {
        self.read(|conn| of(conn, elder))
    }
}

fn of(conn: &Connection, elder: ElderId) -> Result<Vec<Responder>> {
    let mut query = conn.prepare_cached(
        "SELECT c.person, c.relation, c.rank FROM elder_contact c JOIN person p ON p.id = c.person \
         WHERE c.elder = ?1 AND p.disabled = FALSE ORDER BY c.rank, c.person LIMIT ?2",
    )?;
    rows(query.query(params![elder.0, PER_ELDER_MAX as i64])?, |row| {
        Ok(Responder { person: PersonId(row.get(0)?), relation: row.get(1)?, rank: row.get(2)? })
    })
}
