//! Who did what, when. Details never hold personal data: numbers and words of the program only.

use model::{PersonId, Time};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::error::Result;
use super::steps::AuditFinding;
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

    /// When this was last done to this subject. Reads the whole audit: for commands, not for pages.
    pub fn last_done(&self, action: &str, subject: &str) -> Result<Option<Time>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached("SELECT MAX(at) FROM audit WHERE action = ?1 AND subject = ?2")?;
            Ok(query.query_row(params![action, subject], |row| row.get::<_, Option<i64>>(0))?.map(Time))
        })
    }

    /// The auditor: alarms that break invariant I1 (every open P1 or P2 has exactly one live deadline or one live lease) or I6
    /// (a finished one has outcome, actor and time). Always empty; an alarm found here is a bug that must itself be alarmed. Late
    /// alarms that are no calls for help are review items and need no deadline.
    pub fn audit_alarms(&self, now: Time) -> Result<Vec<AuditFinding>> {
        self.read(|conn| broken(conn, now))
    }

    /// Of whom or what something was ever done. Reads the whole audit: for commands, not for pages.
    pub fn audit_subjects(&self, action: &str) -> Result<Vec<String>> {
        self.read(|conn| {
            let mut query = conn.prepare_cached("SELECT DISTINCT subject FROM audit WHERE action = ?1")?;
            rows(query.query([action])?, |row| Ok(row.get(0)?))
        })
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

/// A deadline that came this long ago should have been seen to, in µs.
const OVERDUE_US: i64 = 5 * 60_000_000;
/// Breaches one audit reports.
const BROKEN_MAX: i64 = 1_000;
/// A condition on `alarm` that no alarm may fulfil, and what it breaks.
const MUST_NOT: [(&str, &str); 10] = [
    (
        "I1: an open P1 or P2 has its next step as its only deadline",
        "handling = 'open' AND {urgent} AND (page_due_at IS NULL OR {claim} OR {engaged} OR wake_at IS NOT NULL)",
    ),
    (
        "I1: a claimed P1 or P2 has an owner and a lease, and no other deadline",
        "handling = 'claimed' AND (claimed_by IS NULL OR ({urgent} AND claim_until IS NULL) OR {engaged} OR wake_at IS NOT NULL)",
    ),
    (
        "I1: an engaged alarm has one of arrival and outcome deadline",
        "handling = 'engaged' AND ((arrive_by IS NULL) = (outcome_by IS NULL) OR {claim} OR wake_at IS NOT NULL)",
    ),
    (
        "an engaged alarm names who accepted it or was sent",
        "handling = 'engaged' AND accepted_by IS NULL AND dispatched_at IS NULL",
    ),
    (
        "I1: an engaged P1 or P2 was accepted as such, not as something less urgent",
        "handling = 'engaged' AND {urgent} AND COALESCE(engaged_as, '') <> priority",
    ),
    (
        "I1: a parked alarm is no P1 and has its wake time as its only deadline",
        "handling = 'parked' AND (priority = 'P1' OR wake_at IS NULL OR page_due_at IS NOT NULL OR {claim} OR {engaged})",
    ),
    (
        "a finished alarm has no deadline but the look at its condition",
        "handling IN ('resolved', 'closed', 'void') AND (page_due_at IS NOT NULL OR {claim} OR {engaged} OR wake_at IS NOT NULL \
         OR (handling <> 'resolved' AND reopen_at IS NOT NULL))",
    ),
    (
        "I6: a finished P1 or P2 has outcome, actor and time",
        "handling IN ('resolved', 'closed') AND priority IN ('P1', 'P2') \
         AND (outcome IS NULL OR resolved_by IS NULL OR resolved_at IS NULL)",
    ),
    (
        "no P1 or P2 is grouped away",
        "incident IS NOT NULL AND priority IN ('P1', 'P2') AND handling IN ('open', 'claimed')",
    ),
    (
        "a deadline came and nothing was done",
        "page_due_at < ?1 OR claim_until < ?1 OR offer_until < ?1 OR wake_at < ?1 OR arrive_by < ?1 OR outcome_by < ?1",
    ),
];

fn broken(conn: &Connection, now: Time) -> Result<Vec<AuditFinding>> {
    let mut all = Vec::new();
    for (cause, must_not) in MUST_NOT {
        let must_not = must_not
            .replace("{urgent}", &format!("(priority IN ('P1', 'P2') AND {})", *super::called::NO_REVIEW))
            .replace("{claim}", "(claim_until IS NOT NULL OR offer_until IS NOT NULL)")
            .replace("{engaged}", "(arrive_by IS NOT NULL OR outcome_by IS NOT NULL)");
        let mut query = conn.prepare_cached(&format!(
            "SELECT id FROM alarm WHERE ({must_not}) AND ?1 IS NOT NULL LIMIT {BROKEN_MAX}"
        ))?;
        let found = rows(query.query([now.plus_us(-OVERDUE_US).0])?, |row| {
            Ok(AuditFinding { alarm: model::AlarmId(row.get::<_, i64>(0)? as u64), cause })
        })?;
        all.extend(found);
    }
    Ok(all)
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
