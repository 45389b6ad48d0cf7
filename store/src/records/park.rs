//! Parking: putting an alarm aside until a set time, for a reason. It comes back by itself, and paging goes on.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, Handling, PersonId, Priority, Time};
use rusqlite::params;
use serde_json::json;

use super::actions::{Act, NOTE_CHARS_MAX, allow, may_handle, taken_by};
use super::error::{ActionError, Result};
use super::view::AlarmView;
use super::{Records, Tx};

/// Longest a P2 may be put aside at once, in µs (facts: alarms, section 5).
pub const PARK_P2_US_MAX: i64 = 60 * 60_000_000;
/// The same for a P3: over a weekend. Our choice.
pub const PARK_P3_US_MAX: i64 = 72 * 3_600_000_000;
/// The same for a technical alarm: until a spare part has come. Our choice.
pub const PARK_T_US_MAX: i64 = 7 * 24 * 3_600_000_000;

impl Records {
    /// Puts the alarm aside until a time. Doctors of the elder's team (or who accepted it) and supervisors; never a P1 and
    /// never a call for help. Somebody else's claim is not parked away.
    pub fn park(
        &self,
        alarm: AlarmId,
        by: PersonId,
        until: Time,
        reason: &str,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        check_reason(reason)?;
        self.act(alarm, &Act { by, key, action: "park" }, |tx, person, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            let supervisor = person.role == Role::Supervisor;
            allow(supervisor || (person.role == Role::Doctor && may_handle(person, view)))?;
            let engaged_by_other = view.accepted_by.as_ref().is_some_and(|accepted| accepted.id != by);
            if !supervisor && (view.handling == Handling::Claimed || engaged_by_other) {
                return Err(taken_by(view));
            }
            let us_max = us_max(view).ok_or(ActionError::NotParkable)?;
            if until <= tx.now || until.since_us(tx.now) > us_max {
                return Err(ActionError::ParkTooLong { minutes_max: us_max / 60_000_000 });
            }
            tx.back_to_nobody(view.id)?;
            tx.execute(
                "UPDATE alarm SET handling = 'parked', wake_at = ?2, parked_by = ?3, park_reason = ?4 WHERE id = ?1",
                params![view.id.0 as i64, until.0, by.0, reason],
            )?;
            tx.supersede_pages(view.id, None)?;
            let detail = json!({ "until": until, "reason": reason });
            tx.event(view.id, AlarmEventKind::Parked, Some(by), detail)?;
            super::apply::settle(tx, view.id)?;
            Ok(())
        })
    }
}

/// Longest this alarm may be put aside. `None`: not at all.
fn us_max(view: &AlarmView) -> Option<i64> {
    match view.priority {
        // I8: nothing silences a call for help, whatever class it was given.
        _ if view.calls_for_help() => None,
        Priority::P1 => None,
        Priority::P2 => Some(PARK_P2_US_MAX),
        Priority::P3 => Some(PARK_P3_US_MAX),
        Priority::T => Some(PARK_T_US_MAX),
    }
}

/// Back in the queue, and paging goes on: its time has come, or it got worse.
pub(super) fn wake(tx: &mut Tx<'_>, view: &AlarmView, cause: &str) -> Result<()> {
    tx.back_to_nobody(view.id)?;
    tx.execute("UPDATE alarm SET handling = 'open' WHERE id = ?1", [view.id.0 as i64])?;
    tx.event(view.id, AlarmEventKind::Woken, None, json!({ "cause": cause }))?;
    tx.page_again(view.id)
}

pub(super) fn check_reason(reason: &str) -> Result<(), ActionError> {
    if reason.trim().is_empty() {
        return Err(ActionError::NeedsReason);
    }
    if reason.chars().count() > NOTE_CHARS_MAX { Err(ActionError::NoteTooLong(NOTE_CHARS_MAX)) } else { Ok(()) }
}
