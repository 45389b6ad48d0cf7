//! Hand-over: who has an alarm offers it to another seat, which has to accept.
//!
//! Until then the giver keeps it, with the lease that the offer renewed: an offer that is not answered in time, or declined,
//! leaves it with the giver (never with nobody), and an inattentive giver loses it by the lease as ever.

use model::alarm::AlarmEventKind;
use model::people::Role;
use model::{AlarmId, Handling, PersonId, Time};
use rusqlite::params;
use serde_json::json;

use super::actions::{Act, allow, is_claimant, taken_by};
use super::error::{ActionError, Result};
use super::view::AlarmView;
use super::{Records, Tx};

impl Records {
    /// Offers a claimed alarm to another dispatcher or supervisor, for a minute. Its claimant does it, or a supervisor; a
    /// later offer takes the place of an earlier one.
    pub fn hand_over(
        &self,
        alarm: AlarmId,
        by: PersonId,
        to: PersonId,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "hand_over" }, |tx, person, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            allow(matches!(person.role, Role::Dispatcher | Role::Supervisor))?;
            let mine = is_claimant(view, by);
            match view.handling {
                Handling::Claimed if mine || person.role == Role::Supervisor => {}
                Handling::Claimed | Handling::Engaged => return Err(taken_by(view)),
                _ => return Err(ActionError::ClaimFirst),
            }
            let receiver = tx.actor(to).map_err(|_refused| ActionError::NoReceiver)?;
            if !matches!(receiver.role, Role::Dispatcher | Role::Supervisor) || is_claimant(view, to) {
                return Err(ActionError::NoReceiver);
            }
            let until = tx.now.plus_us(tx.timers.handling.offer_us);
            // To offer is to look after it: the giver's lease begins anew, and outlasts the offer.
            let lease = tx.lease(view.priority, view.condition).map(|lease| lease.max(until));
            tx.execute(
                "UPDATE alarm SET offered_to = ?2, offer_until = ?3, claim_until = ?4 WHERE id = ?1",
                params![view.id.0 as i64, to.0, until.0, lease.map(Time::micros)],
            )?;
            let detail = json!({ "to": receiver.name, "until": until });
            tx.event(view.id, AlarmEventKind::Offered, Some(by), detail)?;
            Ok(())
        })
    }

    /// The receiver takes the alarm; from now on it is theirs, with a lease of their own.
    pub fn accept_hand_over(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "accept_hand_over" }, |tx, _person, view| {
            check_offered(view, by)?;
            take_offered(tx, view, by)?;
            Ok(())
        })
    }

    /// The receiver cannot: the giver keeps it.
    pub fn decline_hand_over(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "decline_hand_over" }, |tx, _person, view| {
            check_offered(view, by)?;
            end_offer(tx, view, Some(by), "declined")?;
            Ok(())
        })
    }
}

/// The receiver has it.
pub(super) fn take_offered(tx: &mut Tx<'_>, view: &AlarmView, by: PersonId) -> Result<()> {
    let from = view.claimed_by.as_ref().map(|giver| giver.name.clone());
    tx.execute(
        "UPDATE alarm SET claimed_by = ?2, claim_until = ?3, offered_to = NULL, offer_until = NULL WHERE id = ?1",
        params![view.id.0 as i64, by.0, tx.lease(view.priority, view.condition).map(Time::micros)],
    )?;
    tx.event(view.id, AlarmEventKind::HandedOver, Some(by), json!({ "from": from }))
}

/// An offer that came to nothing: the giver has it, with the lease that began at the offer.
pub(super) fn end_offer(tx: &mut Tx<'_>, view: &AlarmView, by: Option<PersonId>, cause: &str) -> Result<()> {
    tx.execute("UPDATE alarm SET offered_to = NULL, offer_until = NULL WHERE id = ?1", [view.id.0 as i64])?;
    let to = view.progress.offered_to.as_ref().map(|to| to.name.clone());
    tx.event(view.id, AlarmEventKind::HandOverReturned, by, json!({ "to": to, "cause": cause }))
}

pub(super) fn is_offered_to(view: &AlarmView, person: PersonId) -> bool {
    view.handling == Handling::Claimed && view.progress.offered_to.as_ref().is_some_and(|to| to.id == person.0)
}

fn check_offered(view: &AlarmView, by: PersonId) -> Result<(), ActionError> {
    match view.handling {
        _ if is_offered_to(view, by) => Ok(()),
        Handling::Resolved | Handling::Closed | Handling::Void => Err(ActionError::AlreadyResolved),
        _ => Err(ActionError::NotOffered),
    }
}
