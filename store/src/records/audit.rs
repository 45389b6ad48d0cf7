//! Who did what, when. Details never hold personal data: numbers and words of the program only.

use model::{PersonId, Time};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::Result;
use super::{Records, Tx, limit_of, rows};

/// Idempotency keys are kept this long, in µs.
const KEYS_KEPT_US: i64 = 7 * 24 * 3_600_000_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    pub id: i64,
    pub at: Time,
    /// `None`: the system.
    pub person: Option<PersonId>,
    /// `claim`, `login`, `save_rules`, `view_elder`, ...
    pub action: String,
    /// `alarm/<id>`, `elder/<id>`, ...
    pub subject: String,
    pub detail: String,
}

impl Records {
    /// Writes one line. `detail` must hold no names, numbers of people, or values.
    pub fn audit(&self, person: Option<PersonId>, action: &str, subject: &str, detail: &str) -> Result<()> {
        self.write(|tx| write(tx, person, action, subject, detail))
    }

    /// Newest first, older than line `before` (`None`: from the newest).
    pub fn audit_list(&self, before: Option<i64>, limit: usize) -> Result<Vec<AuditRow>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached(
                "SELECT id, at, person, action, subject, detail FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
            )?;
            rows(query.query(params![before.unwrap_or(i64::MAX), limit_of(limit)])?, |row| {
                Ok(AuditRow {
                    id: row.get(0)?,
                    at: Time(row.get(1)?),
                    person: row.get::<_, Option<u32>>(2)?.map(PersonId),
                    action: row.get(3)?,
                    subject: row.get(4)?,
                    detail: row.get(5)?,
                })
            })
        })
    }

    /// Invariant I1: alarms that wait for a person although nothing will remind anybody. Always empty; an alarm found
    /// here is a bug that must itself be alarmed. Late alarms are review items and need no deadline.
    pub fn audit_orphans(&self) -> Result<Vec<model::AlarmId>> {
        self.read(orphans)
    }

    /// Forgets idempotency keys older than a week and sessions that have ended. Call it now and then.
    pub fn tidy(&self, now: Time) -> Result<()> {
        self.write(|tx| {
            tx.execute("DELETE FROM idempotency WHERE at < ?1", [now.plus_us(-KEYS_KEPT_US).0])?;
            tx.execute("DELETE FROM session WHERE seen_at < ?1", [now.plus_us(-super::SESSION_IDLE_US).0])?;
            Ok(())
        })
    }
}

fn orphans(conn: &Connection) -> Result<Vec<model::AlarmId>> {
    let mut query = conn.prepare_cached(
        "SELECT id FROM alarm WHERE priority IN ('P1', 'P2') AND \
         (late = FALSE OR sounded_at IS NOT NULL) AND ((handling = 'open' AND page_due_at IS NULL) \
          OR (handling = 'claimed' AND (claim_until IS NULL OR claimed_by IS NULL)) \
          OR (handling = 'engaged' AND accepted_by IS NULL)) LIMIT ?1",
    )?;
    rows(query.query([limit_of(usize::MAX)])?, |row| Ok(model::AlarmId(row.get::<_, i64>(0)? as u64)))
}

pub(super) fn write(
    tx: &mut Tx<'_>,
    person: Option<PersonId>,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<()> {
    let id = tx.next_id("audit")?;
    tx.prepare_cached("INSERT INTO audit (id, at, person, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![id, tx.now.0, person.map(|person| person.0), action, subject, detail])?;
    Ok(())
}
