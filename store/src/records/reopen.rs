//! Opening a finished alarm again, and voiding one that is none.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, Handling, PersonId};
use rusqlite::params;
use serde_json::json;

use super::actions::{Act, NOTE_CHARS_MAX, allow, may_handle};
use super::error::{ActionError, Result};
use super::park::check_reason;
use super::view::AlarmView;
use super::{Records, Tx};

/// Why an alarm is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoidReason {
    Test,
    WrongPerson,
}

impl Records {
    /// A person finds that it was not over: open again, and paged at once. Seats, and doctors and nurses of the elder's team.
    pub fn reopen(
        &self,
        alarm: AlarmId,
        by: PersonId,
        reason: &str,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        check_reason(reason)?;
        self.act(alarm, &Act { by, key, action: "reopen" }, |tx, person, view| {
            allow(may_handle(person, view))?;
            if !matches!(view.handling, Handling::Resolved | Handling::Closed) {
                return Err(ActionError::NotDone);
            }
            open_again(tx, view, Some(by), json!({ "reason": reason }))?;
            tx.page_anew(view.id)?;
            Ok(())
        })
    }

    /// It was a test, or about somebody else. A supervisor says so; the row stays, with everything that happened.
    pub fn void(
        &self,
        alarm: AlarmId,
        by: PersonId,
        reason: VoidReason,
        note: &str,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        if note.chars().count() > NOTE_CHARS_MAX {
            return Err(ActionError::NoteTooLong(NOTE_CHARS_MAX));
        }
        self.act(alarm, &Act { by, key, action: "void" }, |tx, person, view| {
            allow(person.role == Role::Supervisor)?;
            if view.handling == Handling::Void {
                return Err(ActionError::AlreadyResolved);
            }
            tx.no_deadlines(view.id)?;
            tx.execute(
                "UPDATE alarm SET handling = 'void', outcome = ?2, outcome_note = ?3, resolved_by = ?4, resolved_at = ?5 \
                 WHERE id = ?1",
                params![
                    view.id.0 as i64,
                    (reason == VoidReason::Test).then_some(model::Outcome::Test.slug()),
                    note,
                    by.0,
                    tx.now.0
                ],
            )?;
            tx.supersede_pages(view.id, None)?;
            let detail = json!({ "reason": reason, "note": note });
            tx.event(view.id, AlarmEventKind::Voided, Some(by), detail)?;
            Ok(())
        })
    }
}

/// Open, as if nobody had touched it; what was done stays in the history. The caller pages.
pub(super) fn open_again(
    tx: &mut Tx<'_>,
    view: &AlarmView,
    by: Option<PersonId>,
    detail: serde_json::Value,
) -> Result<()> {
    tx.back_to_nobody(view.id)?;
    tx.execute(
        "UPDATE alarm SET handling = 'open', outcome = NULL, outcome_note = NULL, resolved_by = NULL, \
         resolved_at = NULL, closed_at = NULL WHERE id = ?1",
        [view.id.0 as i64],
    )?;
    tx.event(view.id, AlarmEventKind::Reopened, by, detail)
}
