//! Quiet periods: planned absence of an elder, maintenance of a device. Always visible, always with an end, an author and a
//! reason; they never cover a call for help (the engine sees to that).

use model::quiet::Quiet;
use model::{DeviceId, ElderId, PersonId, QuietKind, Time, Whose};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::{Error, Result};
use super::layers::REASON_CHARS_MAX;
use super::people::bounded;
use super::view::word;
use super::{Records, Tx, limit_of, rows};

/// Quiet periods in force or planned for one elder or device.
pub const QUIETS_MAX: i64 = 8;

#[derive(Clone, Debug)]
pub struct NewQuiet {
    pub kind: QuietKind,
    pub whose: Whose,
    /// `None`, or past: from now on.
    pub from: Option<Time>,
    pub until: Time,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuietView {
    #[serde(flatten)]
    pub quiet: Quiet,
    pub author: Option<PersonId>,
    pub reason: String,
    pub ended_at: Option<Time>,
    pub ended_by: Option<PersonId>,
    pub end_reason: Option<String>,
    /// Masked by the console.
    #[serde(skip)]
    pub elder_name: Option<String>,
    pub device_name: Option<String>,
}

/// Which quiet periods a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuietFilter {
    pub whose: Option<Whose>,
    /// Also those that are over.
    pub all: bool,
}

impl Records {
    /// Begins (or plans) one; the publisher tells the journal. Returns its number.
    pub fn quiet_begin(&self, new: &NewQuiet, author: PersonId) -> Result<u32> {
        bounded("reason", &new.reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let from = new.from.unwrap_or(tx.now).max(tx.now);
            let quiet = Quiet { id: 0, kind: new.kind, whose: new.whose, from, until: new.until, at: tx.now };
            quiet.check().map_err(|why| Error::Invalid(why.to_owned()))?;
            if new.until <= from {
                return Err(Error::Invalid("it would end before it begins, or before now".into()));
            }
            let (elder, device) = columns(new.whose);
            let open: i64 = tx
                .prepare_cached("SELECT COUNT(*) FROM quiet WHERE (elder = ?1 OR device = ?2) AND until_at > ?3 AND ended_at IS NULL")?
                .query_row(params![elder, device, tx.now.0], |row| row.get(0))?;
            if open >= QUIETS_MAX {
                return Err(Error::TooMany { what: "quiet periods of one elder or device", limit: QUIETS_MAX as usize });
            }
            let id = tx.next_id("quiet")?;
            tx.prepare_cached(
                "INSERT INTO quiet (id, kind, elder, device, from_at, until_at, author, reason, made_at, told) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, FALSE)",
            )?
            .execute(params![id, new.kind.slug(), elder, device, from.0, new.until.0, author.0, new.reason, tx.now.0])?;
            super::audit::write(tx, Some(author), "quiet_begin", &format!("quiet/{id}"), new.kind.slug())?;
            Ok(id as u32)
        })
    }

    /// Ends one now; one that has not begun never begins.
    pub fn quiet_end(&self, id: u32, by: PersonId, reason: &str) -> Result<()> {
        bounded("reason", reason, REASON_CHARS_MAX)?;
        self.write(|tx| {
            let changed = tx
                .prepare_cached(
                    "UPDATE quiet SET ended_at = ?2, ended_by = ?3, end_reason = ?4, told = FALSE \
                     WHERE id = ?1 AND ended_at IS NULL AND until_at > ?2",
                )?
                .execute(params![id, tx.now.0, by.0, reason])?;
            if changed == 0 {
                return Err(Error::NotFound("quiet period in force"));
            }
            super::audit::write(tx, Some(by), "quiet_end", &format!("quiet/{id}"), "")
        })
    }

    pub fn quiet(&self, id: u32) -> Result<Option<QuietView>> {
        Ok(self.list_quiets("q.id = ?1", params![id])?.pop())
    }

    /// In force and planned, by their end; with `all` also those that are over, newest first.
    pub fn quiets(&self, filter: QuietFilter, limit: usize) -> Result<Vec<QuietView>> {
        let now = self.now();
        let (elder, device) = filter.whose.map(columns).unwrap_or_default();
        self.list_quiets(
            "(?1 IS NULL OR q.elder = ?1) AND (?2 IS NULL OR q.device = ?2) AND (?3 OR (q.until_at > ?4 AND q.ended_at IS NULL)) \
             ORDER BY CASE WHEN ?3 THEN -q.id ELSE q.until_at END, q.id LIMIT ?5",
            params![elder, device, filter.all, now.0, limit_of(limit)],
        )
    }

    fn list_quiets(&self, filter: &str, params: impl rusqlite::Params) -> Result<Vec<QuietView>> {
        self.read(|conn| {
            let sql = format!(
                "SELECT {QUIET}, q.author, q.reason, q.ended_at, q.ended_by, q.end_reason, e.name, d.name FROM quiet q \
                 LEFT JOIN elder e ON e.id = q.elder LEFT JOIN device d ON d.id = q.device WHERE {filter}"
            );
            rows(conn.prepare_cached(&sql)?.query(params)?, |row| {
                Ok(QuietView {
                    quiet: read_quiet(row)?,
                    author: row.get::<_, Option<u32>>(8)?.map(PersonId),
                    reason: row.get(9)?,
                    ended_at: row.get::<_, Option<i64>>(10)?.map(Time),
                    ended_by: row.get::<_, Option<u32>>(11)?.map(PersonId),
                    end_reason: row.get(12)?,
                    elder_name: row.get(13)?,
                    device_name: row.get(14)?,
                })
            })
        })
    }
}

/// Columns of [`read_quiet`], of a row `q`.
const QUIET: &str = "q.id, q.kind, q.elder, q.device, q.from_at, q.until_at, q.ended_at, q.made_at";

fn read_quiet(row: &rusqlite::Row<'_>) -> Result<Quiet> {
    let (elder, device): (Option<u32>, Option<u32>) = (row.get(2)?, row.get(3)?);
    let whose = match (elder, device) {
        (Some(elder), _) => Whose::Elder(ElderId(elder)),
        (None, device) => Whose::Device(DeviceId(device.unwrap_or_default())),
    };
    let (from, until) = (Time(row.get(4)?), Time(row.get(5)?));
    let ended = row.get::<_, Option<i64>>(6)?.map(Time);
    Ok(Quiet {
        id: row.get(0)?,
        kind: word("quiet period", QuietKind::parse, row.get(1)?)?,
        whose,
        from,
        until: ended.map_or(until, |ended| until.min(ended.max(from))),
        at: ended.unwrap_or(Time(row.get(7)?)),
    })
}

fn columns(whose: Whose) -> (Option<u32>, Option<u32>) {
    match whose {
        Whose::Elder(elder) => (Some(elder.0), None),
        Whose::Device(device) => (None, Some(device.0)),
    }
}

/// Those whose newest form the journal does not know, oldest first.
pub(super) fn untold(conn: &Connection) -> Result<Vec<Quiet>> {
    let sql = format!("SELECT {QUIET} FROM quiet q WHERE q.told = FALSE ORDER BY q.id LIMIT ?1");
    rows(conn.prepare_cached(&sql)?.query([limit_of(usize::MAX)])?, read_quiet)
}

/// It is in the journal, if it has not changed since.
pub(super) fn told(tx: &mut Tx<'_>, quiet: &Quiet) -> Result<()> {
    let sql = format!("SELECT {QUIET} FROM quiet q WHERE q.id = ?1");
    let now = rows(tx.prepare_cached(&sql)?.query([quiet.id])?, read_quiet)?;
    if now.first() == Some(quiet) {
        tx.prepare_cached("UPDATE quiet SET told = TRUE WHERE id = ?1")?.execute([quiet.id])?;
    }
    Ok(())
}
