//! Opening a finished alarm again, and voiding one that is none.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, AlarmKind, Handling, PersonId, Time};
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
    super::risk::look_now(tx, view)?;
    tx.event(view.id, AlarmEventKind::Reopened, by, detail)
}

/// The engine has said since the outcome that the condition stands: of a value measured after it. What was measured before stays
/// present for hours or days (a cuff, a count), and says nothing new. A silence stands as long as nothing is heard.
pub(super) fn stands_since(tx: &Tx<'_>, view: &AlarmView) -> Result<bool> {
    let Some(resolved_at) = view.resolved_at.filter(|_| !is_silence(view)) else { return Ok(true) };
    let told = tx
        .prepare_cached(
            "SELECT 1 FROM alarm_event WHERE alarm = ?1 AND kind IN ('raised', 'repeated', 'worsened', 'present') AND at > ?2 \
             AND change_key IS NOT NULL",
        )?
        .exists(params![view.id.0 as i64, resolved_at.0])?;
    Ok(told)
}

/// The data say that it stood after the outcome, too late to open it again at once. If nobody is going to look, somebody is now.
pub(super) fn look_again(tx: &Tx<'_>, view: &AlarmView, at: Time) -> Result<()> {
    let after = view.resolved_at.is_some_and(|resolved| resolved < at);
    if view.handling != Handling::Resolved || view.progress.reopen_at.is_some() || !after {
        return Ok(());
    }
    // As it is now: the change may have been that it is present.
    let Some(reopen_at) = tx.alarm(view.id)?.and_then(|view| super::actions::reopen_at(tx, &view)) else {
        return Ok(());
    };
    tx.execute("UPDATE alarm SET reopen_at = ?2 WHERE id = ?1", params![view.id.0 as i64, reopen_at.0])?;
    Ok(())
}

fn is_silence(view: &AlarmView) -> bool {
    matches!(view.kind, AlarmKind::Silence { .. })
}
