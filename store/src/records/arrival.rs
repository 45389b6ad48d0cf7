//! The way to the elder: somebody is sent, arrives, and there is an outcome. Each has its own deadline, and what is overdue is
//! told to the supervisors until it has happened (facts: alarms, section 1: 9 of 10 arrive within 45 minutes).

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::people::Role;
use model::{AlarmId, Handling, PageId, PersonId, Priority, Time};
use rusqlite::params;
use serde_json::json;

use super::actions::{Act, allow, is_claimant, may_handle, taken_by};
use super::chain::Place;
use super::error::{ActionError, Result};
use super::pages::{NewPage, page_row};
use super::people::Person;
use super::view::{AlarmView, PageView};
use super::{Records, Tx, policies};

/// When there is no policy.
const FIRST_CHANNEL: &str = "webhook";
/// Characters of the words for somebody who is not one of our people.
pub const SENT_CHARS_MAX: usize = 100;

/// Who is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch<'a> {
    /// One of our people, who is paged.
    Person(PersonId),
    /// Somebody who has no login: a neighbour, 120.
    Words(&'a str),
}

impl Records {
    /// Somebody is on the way: the alarm is engaged and the arrival has a deadline. Who has claimed the alarm says so, or
    /// the doctor who accepted it; said again (a second responder), the deadline begins anew.
    pub fn dispatch(
        &self,
        alarm: AlarmId,
        by: PersonId,
        who: Dispatch<'_>,
        key: Option<&str>,
    ) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "dispatch" }, |tx, person, view| {
            check_sender(person, view)?;
            let (sent, words) = match who {
                Dispatch::Person(id) => (Some(tx.actor(id).map_err(|_refused| ActionError::NoReceiver)?), ""),
                Dispatch::Words(words) => (None, words.trim()),
            };
            let named = sent.as_ref().map_or(!words.is_empty(), |sent| sent.role.accepts_pages());
            if !named || words.chars().count() > SENT_CHARS_MAX {
                return Err(ActionError::NoReceiver);
            }
            // Steps that only an outcome stops go on, as they do after an acceptance.
            tx.no_handling_deadlines(view.id)?;
            tx.pause_for_acceptance(view)?;
            let arrive_by = tx.now.plus_us(tx.timers.handling.arrival_us);
            tx.execute(
                "UPDATE alarm SET handling = 'engaged', dispatched_to = ?2, dispatched_words = ?3, dispatched_at = ?4, \
                 arrive_by = ?5, arrived_at = NULL, arrived_by = NULL, overdue = 0, engaged_as = priority WHERE id = ?1",
                params![view.id.0 as i64, sent.as_ref().map(|sent| sent.id.0), words, tx.now.0, arrive_by.0],
            )?;
            let name = sent.as_ref().map_or(words, |sent| &sent.name);
            let detail = json!({ "who": name, "arrive_by": arrive_by });
            tx.event(view.id, AlarmEventKind::Dispatched, Some(by), detail)?;
            if let Some(sent) = sent {
                page_besides(tx, view, &[sent.id])?;
            }
            Ok(())
        })
    }

    /// Somebody is there. Told by who went, by who accepted, or by a seat for them (they phoned). Told again, the first time
    /// stands.
    pub fn arrived(&self, alarm: AlarmId, by: PersonId, key: Option<&str>) -> Result<AlarmView, ActionError> {
        self.act(alarm, &Act { by, key, action: "arrived" }, |tx, person, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            allow(is_sent(view, by) || may_handle(person, view))?;
            arrive(tx, view, by)
        })
    }

    /// As [`Records::arrived`], by the page that the person was asked with.
    pub fn arrived_by_page(&self, page: PageId, by: PersonId, key: Option<&str>) -> Result<PageView, ActionError> {
        self.act_page(page, &Act { by, key, action: "arrived" }, |tx, row, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            let accepted = view.accepted_by.as_ref().is_some_and(|accepted| accepted.id == by);
            allow(accepted || is_sent(view, by))?;
            // Who is there has accepted, whether or not they had said so.
            if row.state != PageState::Accepted {
                tx.execute(
                    "UPDATE page SET state = 'accepted', due_at = NULL, updated_at = ?2 WHERE id = ?1",
                    params![row.id.0 as i64, tx.now.0],
                )?;
            }
            arrive(tx, view, by)
        })
    }

    /// The page, when it is this person's.
    pub fn own_page(&self, page: PageId, by: PersonId) -> Result<Option<PageView>> {
        self.read(|conn| Ok(page_row(conn, page)?.filter(|row| row.person.id == by.0)))
    }
}

/// Their claim, or their acceptance.
fn check_sender(person: &Person, view: &AlarmView) -> Result<(), ActionError> {
    if view.is_done() {
        return Err(ActionError::AlreadyResolved);
    }
    let accepted = view.accepted_by.as_ref().is_some_and(|accepted| accepted.id == person.id);
    let mine = is_claimant(view, person.id);
    let seat = matches!(person.role, Role::Dispatcher | Role::Supervisor);
    match view.handling {
        Handling::Claimed if mine && seat => Ok(()),
        // Any seat may send one more, whoever accepted.
        Handling::Engaged if seat || (accepted && may_handle(person, view)) => Ok(()),
        Handling::Claimed if seat => Err(taken_by(view)),
        Handling::Open | Handling::Parked if seat => Err(ActionError::ClaimFirst),
        _ => Err(ActionError::NotAllowed),
    }
}

fn is_sent(view: &AlarmView, person: PersonId) -> bool {
    let to = view.progress.sent.as_ref().and_then(|sent| sent.person.as_ref());
    to.is_some_and(|to| to.id == person.0)
}

fn arrive(tx: &mut Tx<'_>, view: &AlarmView, by: PersonId) -> Result<(), ActionError> {
    if view.handling != Handling::Engaged {
        return Err(ActionError::NotEngaged);
    }
    if view.progress.arrived_at.is_some() {
        return Ok(());
    }
    let outcome_by = tx.now.plus_us(tx.timers.handling.outcome_us);
    tx.no_handling_deadlines(view.id)?;
    tx.execute(
        "UPDATE alarm SET arrived_at = ?2, arrived_by = ?3, outcome_by = ?4, overdue = 0 WHERE id = ?1",
        params![view.id.0 as i64, tx.now.0, by.0, outcome_by.0],
    )?;
    tx.event(view.id, AlarmEventKind::Arrived, Some(by), serde_json::Value::Null)?;
    Ok(())
}

/// Who was sent or had accepted cannot, and nobody else is on it: back to the seat that sent them, or to the queue.
pub(super) fn sent_declined(tx: &mut Tx<'_>, view: &AlarmView, by: PersonId) -> Result<()> {
    let accepted = view.accepted_by.as_ref().map(|accepted| accepted.id);
    let has_it = is_sent(view, by) || accepted == Some(by);
    let another =
        accepted.is_some_and(|accepted| accepted != by) || (view.progress.sent.is_some() && !is_sent(view, by));
    if view.handling != Handling::Engaged || !has_it || another || view.progress.arrived_at.is_some() {
        return Ok(());
    }
    tx.no_deadlines(view.id)?;
    tx.execute(
        "UPDATE alarm SET dispatched_to = NULL, dispatched_words = NULL, dispatched_at = NULL, overdue = 0, \
         accepted_by = NULL, accepted_at = NULL WHERE id = ?1",
        [view.id.0 as i64],
    )?;
    match &view.claimed_by {
        Some(_seat) => {
            tx.execute(
                "UPDATE alarm SET handling = 'claimed', claim_until = ?2 WHERE id = ?1",
                params![view.id.0 as i64, tx.lease(view.priority, view.condition).map(Time::micros)],
            )?;
            tx.event(view.id, AlarmEventKind::Returned, None, json!({ "cause": "responder_declined", "to": "seat" }))
        }
        None => super::actions::give_back(tx, view, None, "responder_declined"),
    }
}

/// Pages people beside the steps of the policy, by the channels of its first step. Returns how many are being paged.
pub(super) fn page_besides(tx: &mut Tx<'_>, view: &AlarmView, people: &[PersonId]) -> Result<usize> {
    let policy = match view.policy_version {
        Some(version) => policies::by_version(tx, version)?,
        None => policies::for_priority(tx, Priority::P1)?,
    };
    let channels =
        policy.and_then(|policy| policy.steps.into_iter().next()).map(|step| step.channels).unwrap_or_default();
    let (first, chain) = match channels.split_first() {
        Some((first, chain)) => (first.as_str(), chain.to_vec()),
        None => (FIRST_CHANNEL, Vec::new()),
    };
    let page = |person: &PersonId| NewPage { chain: chain.clone(), ..NewPage::to(*person, first) };
    let pages: Vec<NewPage> = people.iter().map(page).collect();
    Ok(tx.queue_pages(view, &pages, Place { step: view.step, round: None, redial: true })?.people)
}
