//! Elders: who is cared for, where they live, which team is theirs.

use std::collections::BTreeSet;

use model::people::Sex;
use model::{ElderId, TeamId, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::people::{SHORT_CHARS_MAX, at_most, bounded, named};
use super::view::{Named, is_date, word};
use super::{Records, limit_of, rows};

/// Characters of an address or of notes.
const LONG_CHARS_MAX: usize = 2_000;

/// An elder to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewElder {
    pub name: String,
    pub sex: Sex,
    /// `YYYY-MM-DD`, not after today in Asia/Shanghai.
    pub birth_date: Option<String>,
    pub phone: String,
    pub address: String,
    pub notes: String,
    pub team: Option<TeamId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Elder {
    pub id: ElderId,
    pub name: String,
    pub sex: Sex,
    pub birth_date: Option<String>,
    /// Whole years, today in Asia/Shanghai.
    pub age: Option<u32>,
    pub phone: String,
    pub address: String,
    pub notes: String,
    pub team: Option<Named>,
    /// Alarms that wait for a person.
    pub open_alarms: u32,
}

impl Records {
    pub fn create_elder(&self, new: &NewElder) -> Result<ElderId> {
        new.check(self.now())?;
        self.write(|tx| {
            let id = tx.next_id("elder")?;
            tx.execute(
                "INSERT INTO elder (id, name, sex, birth_date, phone, address, notes, team, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    id,
                    new.name,
                    new.sex.slug(),
                    new.birth_date,
                    new.phone,
                    new.address,
                    new.notes,
                    new.team.map(|team| team.0),
                    tx.now.0
                ],
            )?;
            Ok(ElderId(id as u32))
        })
    }

    /// Replaces everything written about an elder.
    pub fn update_elder(&self, id: ElderId, new: &NewElder) -> Result<()> {
        new.check(self.now())?;
        self.write(|tx| {
            let changed = tx.execute(
                "UPDATE elder SET name = ?2, sex = ?3, birth_date = ?4, phone = ?5, address = ?6, notes = ?7, team = ?8 \
                 WHERE id = ?1",
                params![
                    id.0,
                    new.name,
                    new.sex.slug(),
                    new.birth_date,
                    new.phone,
                    new.address,
                    new.notes,
                    new.team.map(|team| team.0)
                ],
            )?;
            if changed == 0 { Err(Error::NotFound("elder")) } else { Ok(()) }
        })
    }

    pub fn elder(&self, id: ElderId) -> Result<Option<Elder>> {
        Ok(self.elders_where("WHERE e.id = ?1", params![id.0, 1])?.pop())
    }

    /// Elders whose name, phone or address contains `search` (empty: all), by number.
    pub fn elders(&self, search: &str, limit: usize) -> Result<Vec<Elder>> {
        let pattern = format!("%{}%", search.trim().replace(['%', '_', '\\'], ""));
        self.elders_where(
            "WHERE e.name LIKE ?1 OR e.phone LIKE ?1 OR e.address LIKE ?1",
            params![pattern, limit_of(limit)],
        )
    }

    /// Elders of one team, by number.
    pub fn elders_of_team(&self, team: TeamId, limit: usize) -> Result<Vec<Elder>> {
        self.elders_where("WHERE e.team = ?1", params![team.0, limit_of(limit)])
    }

    /// Elders of at least `years` years, today in Asia/Shanghai. Without a birth date nobody knows.
    pub fn elders_aged(&self, years: u32, now: Time) -> Result<BTreeSet<ElderId>> {
        let (year, month, day) = super::view::shanghai_date(now);
        let born_by = format!("{:04}-{month:02}-{day:02}", year - i64::from(years));
        self.read(|conn| {
            // Not limited: this is no list for a screen, and every elder is judged.
            let mut query = conn.prepare_cached("SELECT id FROM elder WHERE birth_date <= ?1")?;
            let found = rows(query.query([born_by])?, |row| Ok(ElderId(row.get(0)?)))?;
            Ok(found.into_iter().collect())
        })
    }

    fn elders_where(&self, filter: &str, params: impl rusqlite::Params) -> Result<Vec<Elder>> {
        let now = self.now();
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT e.id, e.name, e.sex, e.birth_date, e.phone, e.address, e.notes, t.id, t.name, \
                 (SELECT COUNT(*) FROM alarm a WHERE a.elder = e.id AND a.handling IN ('open', 'claimed', 'engaged', 'parked')) \
                 FROM elder e LEFT JOIN team t ON t.id = e.team {filter} ORDER BY e.id LIMIT ?2"
            ))?;
            rows(query.query(params)?, |row| {
                let birth_date: Option<String> = row.get(3)?;
                Ok(Elder {
                    id: ElderId(row.get(0)?),
                    name: row.get(1)?,
                    sex: word("sex", Sex::parse, row.get(2)?)?,
                    age: birth_date.as_deref().and_then(|date| super::view::age(date, now)),
                    birth_date,
                    phone: row.get(4)?,
                    address: row.get(5)?,
                    notes: row.get(6)?,
                    team: named(row, 7)?,
                    open_alarms: row.get(9)?,
                })
            })
        })
    }
}

impl NewElder {
    fn check(&self, now: Time) -> Result<()> {
        bounded("name", &self.name, SHORT_CHARS_MAX)?;
        at_most("phone", &self.phone, SHORT_CHARS_MAX)?;
        at_most("address", &self.address, LONG_CHARS_MAX)?;
        at_most("notes", &self.notes, LONG_CHARS_MAX)?;
        match &self.birth_date {
            Some(date) if !is_date(date) => Err(Error::Invalid("the birth date is not a date YYYY-MM-DD".into())),
            Some(date) if *date > today(now) => Err(Error::Invalid("the birth date lies in the future".into())),
            _ => Ok(()),
        }
    }
}

/// `YYYY-MM-DD` in Asia/Shanghai, which sorts as days do.
fn today(now: Time) -> String {
    let (year, month, day) = super::view::shanghai_date(now);
    format!("{year:04}-{month:02}-{day:02}")
}

pub(super) fn team_of(conn: &Connection, elder: ElderId) -> Result<Option<TeamId>> {
    let team: Option<Option<u32>> = conn
        .prepare_cached("SELECT team FROM elder WHERE id = ?1")?
        .query_row([elder.0], |row| row.get(0))
        .optional()?;
    Ok(team.flatten().map(TeamId))
}
