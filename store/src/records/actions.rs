//! What people do with an alarm. Every action names who did it, is written to history and audit, and may carry an
//! idempotency key: the same key from the same person answers again and does nothing twice.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, Handling, Outcome, PersonId, Priority, Time};
use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::error::{ActionError, Result};
use super::people::Person;
use super::view::AlarmView;
use super::{Records, Tx, limit_of};

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 2_000;
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
    /// A dispatcher takes the alarm. The lease is 3 min for P1, 15 min for P2, none for others; claiming again renews it.
    pub fn claim(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "claim" }, |tx, person, view| {
            allow(person.role.watches_alarms())?;
            match view.handling {
                Handling::Resolved | Handling::Closed | Handling::Void => return Err(ActionError::AlreadyResolved),
                Handling::Engaged => return Err(taken_by(view)),
                Handling::Claimed if !is_claimant(view, by) => return Err(taken_by(view)),
                Handling::Claimed | Handling::Open | Handling::Parked => {}
            }
            tx.execute(
                "UPDATE alarm SET handling = 'claimed', claimed_by = ?2, claim_until = ?3, page_due_at = NULL \
                 WHERE id = ?1",
                params![view.id.0 as i64, by.0, tx.lease(view.priority).map(Time::micros)],
            )?;
            if view.handling == Handling::Open {
                tx.event(view.id, AlarmEventKind::Claimed, Some(by), serde_json::Value::Null)?;
            }
            Ok(())
        })
    }

    /// Gives a claimed alarm back to the queue: its claimant, or an administrator.
    pub fn release(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "release" }, |tx, person, view| {
            match view.handling {
                Handling::Resolved | Handling::Closed | Handling::Void => return Err(ActionError::AlreadyResolved),
                Handling::Claimed => {}
                Handling::Open | Handling::Engaged | Handling::Parked => return Err(ActionError::NotAllowed),
            }
            if !is_claimant(view, by) && person.role != Role::Administrator {
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
            tx.execute(
                "UPDATE alarm SET handling = 'resolved', outcome = ?2, outcome_note = ?3, resolved_by = ?4, \
                 resolved_at = ?5, claim_until = NULL, page_due_at = NULL WHERE id = ?1",
                params![view.id.0 as i64, outcome.map(Outcome::slug), note, by.0, tx.now.0],
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
                    params![view.id.0 as i64, tx.lease(view.priority).map(Time::micros)],
                )?;
            }
            tx.event(view.id, AlarmEventKind::Note, Some(by), json!({ "note": note }))?;
            Ok(())
        })
    }

    /// Returns every claimed alarm whose lease is over to the queue, and has its people paged again.
    pub fn lapse_leases(&self, now: Time) -> Result<Vec<AlarmId>> {
        // Mostly there is none: a look does not take the write lock.
        let sql = "WHERE a.claim_until <= ?1 AND a.handling = 'claimed' ORDER BY a.claim_until LIMIT ?2";
        let lapsed =
            |conn: &rusqlite::Connection| super::alarms::select(conn, now, sql, params![now.0, limit_of(usize::MAX)]);
        if self.read(lapsed)?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(|tx| {
            tx.now = now;
            let views = lapsed(tx)?;
            for view in &views {
                give_back(tx, view, None, "lease_over")?;
            }
            Ok(views.iter().map(|view| view.id).collect())
        })
    }

    /// Frame of every action on an alarm.
    fn act(
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
    /// When a claim made now is over. `None`: never.
    pub(super) fn lease(&self, priority: Priority) -> Option<Time> {
        match priority {
            Priority::P1 => Some(self.now.plus_us(self.timers.lease_p1_us)),
            Priority::P2 => Some(self.now.plus_us(self.timers.lease_p2_us)),
            Priority::P3 | Priority::T => None,
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
fn give_back(tx: &mut Tx<'_>, view: &AlarmView, by: Option<PersonId>, cause: &str) -> Result<()> {
    tx.execute(
        "UPDATE alarm SET handling = 'open', claimed_by = NULL, claim_until = NULL WHERE id = ?1",
        [view.id.0 as i64],
    )?;
    tx.event(view.id, AlarmEventKind::Returned, by, json!({ "cause": cause }))?;
    if let Some(open) = tx.alarm(view.id)? {
        tx.resume_steps(&open)?;
    }
    super::apply::settle(tx, view.id)
}

fn check_note(note: &str) -> Result<(), ActionError> {
    if note.chars().count() > NOTE_CHARS_MAX { Err(ActionError::NoteTooLong(NOTE_CHARS_MAX)) } else { Ok(()) }
}

fn allow(yes: bool) -> Result<(), ActionError> {
    if yes { Ok(()) } else { Err(ActionError::NotAllowed) }
}

fn is_claimant(view: &AlarmView, person: PersonId) -> bool {
    view.claimed_by.as_ref().is_some_and(|by| by.id == person.0)
}

/// Dispatchers and administrators; doctors and nurses of the elder's team, or who accepted it.
fn may_handle(person: &Person, view: &AlarmView) -> bool {
    let accepted = view.accepted_by.as_ref().is_some_and(|by| by.id == person.id);
    let own_team = person.team.is_some() && person.team == view.team;
    person.role.watches_alarms() || (person.role.accepts_pages() && (accepted || own_team))
}

pub(super) fn taken_by(view: &AlarmView) -> ActionError {
    let accepted = view.accepted_by.as_ref().map(|by| by.name.clone());
    let claimed = view.claimed_by.as_ref().map(|by| by.name.clone());
    let name = if view.handling == Handling::Engaged { accepted.or(claimed) } else { claimed.or(accepted) };
    ActionError::AlreadyClaimedBy(name.unwrap_or_default())
}
