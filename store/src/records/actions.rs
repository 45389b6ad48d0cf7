//! What people do with an alarm. Every action names who did it, is written to history and audit, and may carry an
//! idempotency key: the same key from the same person answers again and does nothing twice.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, AlarmKind, Condition, Handling, Outcome, PersonId, Priority, Time};
use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::error::{ActionError, Result};
use super::handover::{end_offer, is_offered_to, take_offered};
use super::people::Person;
use super::view::AlarmView;
use super::{Records, Tx};

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 2_000;
/// A claim of class T or P3 whose condition is over lasts this long without activity, in µs: a shift. While the condition stands
/// it has no end. Our choice.
const LEASE_CLEARED_US: i64 = 8 * 3_600_000_000;
/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 128;

/// An action, before it is checked.
pub(super) struct Act<'a> {
    pub(super) by: PersonId,
    pub(super) key: Option<&'a str>,
    /// Word in audit and idempotency: `claim`, ...
    pub(super) action: &'static str,
}

impl Records {
    /// A dispatcher takes the alarm. The lease is 3 min for P1, 15 min for P2, and for others none
    /// until their condition is over; claiming again renews it.
    pub fn claim(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "claim" }, |tx, person, view| {
            allow(person.role.watches_alarms())?;
            match view.handling {
                Handling::Resolved | Handling::Closed | Handling::Void => return Err(ActionError::AlreadyResolved),
                // Whoever is offered it and claims it has accepted.
                Handling::Claimed if is_offered_to(view, by) => return Ok(take_offered(tx, view, by)?),
                Handling::Claimed if is_claimant(view, by) && view.progress.offered_to.is_some() => {
                    end_offer(tx, view, Some(by), "withdrawn")?;
                }
                Handling::Engaged => return Err(taken_by(view)),
                Handling::Claimed if !is_claimant(view, by) => return Err(taken_by(view)),
                Handling::Claimed | Handling::Open | Handling::Parked => {}
            }
            tx.no_deadlines(view.id)?;
            tx.execute(
                "UPDATE alarm SET handling = 'claimed', claimed_by = ?2, claim_until = ?3 WHERE id = ?1",
                params![view.id.0 as i64, by.0, tx.lease(view.priority, view.condition).map(Time::micros)],
            )?;
            if view.handling != Handling::Claimed {
                tx.event(view.id, AlarmEventKind::Claimed, Some(by), serde_json::Value::Null)?;
            }
            Ok(())
        })
    }

    /// Gives a claimed alarm back to the queue: its claimant, a supervisor or an administrator. Supervisors also take back
    /// one that somebody accepted and does not attend to.
    pub fn release(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "release" }, |tx, person, view| {
            match view.handling {
                Handling::Resolved | Handling::Closed | Handling::Void => return Err(ActionError::AlreadyResolved),
                Handling::Claimed => {}
                Handling::Engaged if person.role == Role::Supervisor => {}
                Handling::Engaged => return Err(taken_by(view)),
                Handling::Open | Handling::Parked => return Err(ActionError::ClaimFirst),
            }
            if !is_claimant(view, by) && !matches!(person.role, Role::Administrator | Role::Supervisor) {
                return Err(taken_by(view));
            }
            give_back(tx, view, Some(by), "released")?;
            Ok(())
        })
    }

    /// Ends the alarm for people: no more pages. It closes when the condition is over too. P1 and P2 need an outcome.
    /// Dispatchers and administrators, and doctors and nurses who accepted it or whose team cares for the elder.
    pub fn resolve(
        &self,
        alarm: AlarmId,
        by: PersonId,
        outcome: Option<Outcome>,
        note: &str,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        check_note(note)?;
        self.act(alarm, &Act { by, key, action: "resolve" }, |tx, person, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            allow(may_handle(person, view))?;
            let seat = person.role == Role::Dispatcher;
            if seat && view.handling == Handling::Claimed && !is_claimant(view, by) {
                return Err(taken_by(view));
            }
            if outcome.is_none() && matches!(view.priority, Priority::P1 | Priority::P2) {
                return Err(ActionError::NeedsOutcome);
            }
            let reopen_at = reopen_at(tx, view);
            tx.no_deadlines(view.id)?;
            tx.execute(
                "UPDATE alarm SET handling = 'resolved', outcome = ?2, outcome_note = ?3, resolved_by = ?4, \
                 resolved_at = ?5, reopen_at = ?6 WHERE id = ?1",
                params![
                    view.id.0 as i64,
                    outcome.map(Outcome::slug),
                    note,
                    by.0,
                    tx.now.0,
                    reopen_at.map(Time::micros)
                ],
            )?;
            tx.supersede_pages(view.id, None)?;
            let detail = json!({ "outcome": outcome, "note": note });
            tx.event(view.id, AlarmEventKind::Resolved, Some(by), detail)?;
            super::apply::settle(tx, view.id)?;
            Ok(())
        })
    }

    /// Adds a note. From the claimant it also renews the lease.
    pub fn note(&self, alarm: AlarmId, by: PersonId, note: &str, key: Option<&str>) -> Result<AlarmView, ActionError> {
        check_note(note)?;
        self.act(alarm, &Act { by, key, action: "note" }, |tx, person, view| {
            allow(may_handle(person, view))?;
            if view.handling == Handling::Claimed && is_claimant(view, by) {
                tx.execute(
                    "UPDATE alarm SET claim_until = ?2 WHERE id = ?1",
                    params![view.id.0 as i64, tx.lease(view.priority, view.condition).map(Time::micros)],
                )?;
            }
            tx.event(view.id, AlarmEventKind::Note, Some(by), json!({ "note": note }))?;
            Ok(())
        })
    }

    /// Frame of every action on an alarm.
    pub(super) fn act(
        &self,
        alarm: AlarmId,
        act: &Act<'_>,
        work: impl FnOnce(&mut Tx<'_>, &Person, &AlarmView) -> Result<(), ActionError>,
    ) -> Result<AlarmView, ActionError> {
        self.write(|tx| {
            let person = tx.actor(act.by)?;
            let view = tx.alarm(alarm)?.ok_or(ActionError::Gone)?;
            if !tx.first_time(act, alarm.0 as i64)? {
                return Ok(view);
            }
            work(tx, &person, &view)?;
            super::audit::write(tx, Some(act.by), act.action, &format!("alarm/{alarm}"), "")?;
            tx.alarm(alarm)?.ok_or(ActionError::Gone)
        })
    }
}

impl Tx<'_> {
    /// Takes every deadline away; the caller sets the one that is live from now on (invariant I1).
    pub(super) fn no_deadlines(&self, alarm: AlarmId) -> Result<()> {
        self.no_handling_deadlines(alarm)?;
        self.prepare_cached("UPDATE alarm SET page_due_at = NULL WHERE id = ?1")?.execute([alarm.0 as i64])?;
        Ok(())
    }

    /// As [`Tx::no_deadlines`], but steps of the policy that only an outcome stops go on.
    pub(super) fn no_handling_deadlines(&self, alarm: AlarmId) -> Result<()> {
        self.prepare_cached(
            "UPDATE alarm SET claim_until = NULL, offered_to = NULL, offer_until = NULL, \
             wake_at = NULL, arrive_by = NULL, outcome_by = NULL, reopen_at = NULL WHERE id = ?1",
        )?
        .execute([alarm.0 as i64])?;
        Ok(())
    }

    /// As [`Tx::no_deadlines`], and nobody has it or is on the way. What happened stays in the history.
    pub(super) fn back_to_nobody(&self, alarm: AlarmId) -> Result<()> {
        self.no_deadlines(alarm)?;
        self.prepare_cached(
            "UPDATE alarm SET claimed_by = NULL, accepted_by = NULL, accepted_at = NULL, engaged_as = NULL, \
             dispatched_to = NULL, dispatched_words = NULL, dispatched_at = NULL, arrived_at = NULL, arrived_by = NULL, \
             overdue = 0, parked_by = NULL, park_reason = NULL WHERE id = ?1",
        )?
        .execute([alarm.0 as i64])?;
        Ok(())
    }

    /// An alarm waits again: its present step pages at once, and the steps go on from there.
    pub(super) fn page_again(&mut self, alarm: AlarmId) -> Result<()> {
        if let Some(open) = self.alarm(alarm)? {
            self.resume_steps(&open)?;
        }
        Ok(())
    }

    /// An alarm is news again: its policy begins anew, with the version in force, and its first step pages at once.
    pub(super) fn page_anew(&mut self, alarm: AlarmId) -> Result<()> {
        if let Some(open) = self.alarm(alarm)? {
            self.open_policy(&open)?;
            self.set_page_due(&open, self.now)?;
        }
        Ok(())
    }

    /// When a claim made now of an alarm with this condition is over. `None`: never.
    pub(super) fn lease(&self, priority: Priority, condition: Condition) -> Option<Time> {
        match priority {
            Priority::P1 => Some(self.now.plus_us(self.timers.lease_p1_us)),
            Priority::P2 => Some(self.now.plus_us(self.timers.lease_p2_us)),
            Priority::P3 | Priority::T => (condition == Condition::Cleared).then(|| self.now.plus_us(LEASE_CLEARED_US)),
        }
    }

    /// The person, if they may act at all.
    pub(super) fn actor(&self, id: PersonId) -> Result<Person, ActionError> {
        super::people::person(self, id)?.filter(|person| !person.disabled).ok_or(ActionError::NotAllowed)
    }

    /// Remembers the key. `false`: this very action was done before.
    pub(super) fn first_time(&self, act: &Act<'_>, subject: i64) -> Result<bool, ActionError> {
        let Some(key) = act.key else { return Ok(true) };
        if key.is_empty() || key.chars().count() > KEY_CHARS_MAX {
            return Err(ActionError::KeyReused);
        }
        let known: Option<(String, i64)> = self
            .prepare_cached("SELECT action, subject FROM idempotency WHERE person = ?1 AND idem_key = ?2")?
            .query_row(params![act.by.0, key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match known {
            Some((action, of)) if action == act.action && of == subject => Ok(false),
            Some(_) => Err(ActionError::KeyReused),
            None => {
                self.prepare_cached(
                    "INSERT INTO idempotency (person, idem_key, action, subject, at) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![act.by.0, key, act.action, subject, self.now.0])?;
                Ok(true)
            }
        }
    }
}

/// Back to the queue at the same level; whoever is on call is paged again at once.
pub(super) fn give_back(tx: &mut Tx<'_>, view: &AlarmView, by: Option<PersonId>, cause: &str) -> Result<()> {
    tx.back_to_nobody(view.id)?;
    tx.execute("UPDATE alarm SET handling = 'open' WHERE id = ?1", [view.id.0 as i64])?;
    tx.event(view.id, AlarmEventKind::Returned, by, json!({ "cause": cause }))?;
    tx.page_again(view.id)?;
    super::apply::settle(tx, view.id)
}

/// When an alarm resolved now is looked at again: whether the data said since that it stands. `None`: its condition does not stand, or nothing will ever clear it.
pub(super) fn reopen_at(tx: &Tx<'_>, view: &AlarmView) -> Option<Time> {
    if view.condition != Condition::Present || matches!(view.kind, AlarmKind::Event { .. }) {
        return None;
    }
    let timers = tx.timers.handling;
    let urgent = matches!(view.priority, Priority::P1 | Priority::P2);
    Some(tx.now.plus_us(if urgent { timers.reopen_urgent_us } else { timers.reopen_other_us }))
}

fn check_note(note: &str) -> Result<(), ActionError> {
    if note.chars().count() > NOTE_CHARS_MAX { Err(ActionError::NoteTooLong(NOTE_CHARS_MAX)) } else { Ok(()) }
}

pub(super) fn allow(yes: bool) -> Result<(), ActionError> {
    if yes { Ok(()) } else { Err(ActionError::NotAllowed) }
}

pub(super) fn is_claimant(view: &AlarmView, person: PersonId) -> bool {
    view.claimed_by.as_ref().is_some_and(|by| by.id == person.0)
}

/// Dispatchers, supervisors and administrators; doctors and nurses of the elder's team, or who accepted it.
pub(super) fn may_handle(person: &Person, view: &AlarmView) -> bool {
    let accepted = view.accepted_by.as_ref().is_some_and(|by| by.id == person.id);
    let own_team = person.team.is_some() && person.team == view.team;
    let treats = matches!(person.role, Role::Doctor | Role::Nurse);
    person.role.watches_alarms() || (treats && (accepted || own_team))
}

pub(super) fn taken_by(view: &AlarmView) -> ActionError {
    let accepted = view.accepted_by.as_ref().map(|by| by.name.clone());
    let claimed = view.claimed_by.as_ref().map(|by| by.name.clone());
    let name = if view.handling == Handling::Engaged { accepted.or(claimed) } else { claimed.or(accepted) };
    ActionError::AlreadyClaimedBy(name.unwrap_or_default())
}
