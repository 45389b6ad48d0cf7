//! Who must not be unwatched for long, and what a technical alarm becomes when they are.
//!
//! What the records know of an elder's risk: ability level, household, age, and the alarms that stand. It sorts the elders of an
//! incident, and it turns a lasting silence of a high-risk elder into a P2 (facts: alarms, "Classes").

use model::alarm::AlarmEventKind;
use model::{AlarmKind, Condition, ElderId, PersonId, Priority, Subject, Time};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::apply::Raise;
use super::error::{Error, Result};
use super::view::AlarmView;
use super::{Records, Tx};

/// Wholly dependent, by GB/T 42195-2022 (0 able, 1 mild, 2 moderate, 3 severe, 4 wholly dependent).
const ABILITY_MOST: u8 = 4;

/// What somebody entered about an elder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// 0 to 4. `None`: not assessed.
    #[serde(default)]
    pub ability: Option<u8>,
    #[serde(default)]
    pub lives_alone: bool,
}

impl Records {
    /// What is known of the elder's risk. The default when nobody has said anything.
    pub fn risk(&self, elder: ElderId) -> Result<Risk> {
        self.read(|conn| risk(conn, elder))
    }

    pub fn set_risk(&self, elder: ElderId, new: Risk, by: Option<PersonId>) -> Result<()> {
        if new.ability.is_some_and(|level| level > ABILITY_MOST) {
            return Err(Error::Invalid("the ability level is 0 to 4 (GB/T 42195-2022)".into()));
        }
        self.write(|tx| {
            if !tx.prepare_cached("SELECT 1 FROM elder WHERE id = ?1")?.exists([elder.0])? {
                return Err(Error::NotFound("elder"));
            }
            tx.execute(
                "INSERT INTO elder_risk (elder, ability, lives_alone, by_person, at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (elder) DO UPDATE SET ability = excluded.ability, lives_alone = excluded.lives_alone, \
                 by_person = excluded.by_person, at = excluded.at",
                params![elder.0, new.ability, new.lives_alone, by.map(|by| by.0), tx.now.0],
            )?;
            super::audit::write(tx, by, "set_risk", &format!("elder/{elder}"), "")
        })
    }
}

/// Severely dependent; or alone, and dependent or of 80 years and over; or an urgent alarm of theirs stands. Our choice: the
/// facts name "home bed, or disabled and alone", and no standard gives a line.
pub fn is_high_risk(risk: Risk, age: Option<u32>, urgent_alarms: u32) -> bool {
    let ability = risk.ability.unwrap_or(0);
    let alone = risk.lives_alone && (ability >= 2 || age.is_some_and(|age| age >= 80));
    ability >= 3 || alone || urgent_alarms > 0
}

/// For sorting only: the higher, the sooner somebody should look.
pub(super) fn score(risk: Risk, age: Option<u32>, worst: Option<Priority>) -> u32 {
    let standing = match worst {
        Some(Priority::P1) => 100,
        Some(Priority::P2) => 50,
        Some(Priority::P3) => 5,
        Some(Priority::T) | None => 0,
    };
    let years = age.map_or(0, |age| age.saturating_sub(60).min(40) / 2);
    standing + 10 * u32::from(risk.ability.unwrap_or(0)) + 15 * u32::from(risk.lives_alone) + years
}

pub(super) fn risk(conn: &Connection, elder: ElderId) -> Result<Risk> {
    let found = conn
        .prepare_cached("SELECT ability, lives_alone FROM elder_risk WHERE elder = ?1")?
        .query_row([elder.0], |row| Ok(Risk { ability: row.get(0)?, lives_alone: row.get(1)? }))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// When the risk behind a new silence is looked at first. `None`: not such an alarm.
pub(super) fn first_look(tx: &Tx<'_>, subject: Subject, raise: &Raise) -> Option<Time> {
    let AlarmKind::Silence { silent_s } = raise.kind else { return None };
    if raise.priority != Priority::T || raise.late || subject.elder().is_none() {
        return None;
    }
    // Unwatched since the last word, not since the alarm.
    let left_us = tx.timers.handling.unwatched_us - i64::from(silent_s) * 1_000_000;
    Some(tx.now.plus_us(left_us.max(0)))
}

/// A silence that belongs to an alarm that is there: its risk is looked at as that of a new one.
pub(super) fn look_anew(tx: &Tx<'_>, view: &AlarmView, subject: Subject, raise: &Raise) -> Result<()> {
    if let Some(look) = first_look(tx, subject, raise).filter(|_| view.priority == Priority::T) {
        tx.execute("UPDATE alarm SET unwatched_at = ?2 WHERE id = ?1", params![view.id.0 as i64, look.0])?;
    }
    Ok(())
}

/// A silence that is open again lasts already: its risk is looked at now.
pub(super) fn look_now(tx: &Tx<'_>, view: &AlarmView) -> Result<()> {
    let silent = matches!(view.kind, AlarmKind::Silence { .. }) && view.condition != Condition::Cleared;
    if silent && view.priority == Priority::T && view.elder_id.is_some() {
        tx.execute("UPDATE alarm SET unwatched_at = ?2 WHERE id = ?1", params![view.id.0 as i64, tx.now.0])?;
    }
    Ok(())
}

/// A silence lasts: for a high-risk elder it is a P2 from now on, of the incident when it belongs to one. `false`: nothing
/// changed but the time of the next look.
pub(super) fn unwatched(tx: &mut Tx<'_>, view: &AlarmView) -> Result<bool> {
    let id = view.id.0 as i64;
    let stands = !view.is_done() && view.priority == Priority::T && view.condition != Condition::Cleared;
    let Some(elder) = view.elder_id.filter(|_| stands) else {
        tx.execute("UPDATE alarm SET unwatched_at = NULL WHERE id = ?1", [id])?;
        return Ok(false);
    };
    if !is_elder_high_risk(tx, elder, view.elder_age)? {
        let next = tx.now.plus_us(tx.timers.handling.unwatched_us);
        tx.execute("UPDATE alarm SET unwatched_at = ?2 WHERE id = ?1", params![id, next.0])?;
        return Ok(false);
    }
    tx.execute("UPDATE alarm SET unwatched_at = NULL WHERE id = ?1", [id])?;
    let carrier = match view.progress.incident {
        Some(incident) => super::incidents::alarm_of(tx, incident)?,
        None => Some(view.clone()),
    };
    // An incident that somebody resolved or that is urgent already has been looked at for all of its elders.
    let Some(carrier) = carrier.filter(|carrier| !carrier.is_done() && carrier.priority == Priority::T) else {
        return Ok(false);
    };
    let detail = json!({ "priority": Priority::P2, "cause": "unwatched" });
    tx.event(carrier.id, AlarmEventKind::Worsened, None, detail)?;
    super::worse::more_urgent_now(tx, &carrier, Priority::P2)?;
    tx.page_anew(carrier.id)?;
    Ok(true)
}

fn is_elder_high_risk(conn: &Connection, elder: ElderId, age: Option<u32>) -> Result<bool> {
    let urgent: u32 = conn
        .prepare_cached(
            "SELECT COUNT(*) FROM alarm WHERE elder = ?1 AND priority IN ('P1', 'P2') \
             AND handling IN ('open', 'claimed', 'engaged', 'parked')",
        )?
        .query_row([elder.0], |row| row.get(0))?;
    Ok(is_high_risk(risk(conn, elder)?, age, urgent))
}
