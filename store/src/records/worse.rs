//! What gets more urgent: the class goes up, with everything that hangs on the class.

use model::alarm::{AlarmEventKind, Transition};
use model::{AlarmKind, Condition, Handling, PersonId, Priority};
use rusqlite::params;
use serde_json::json;

use super::Tx;
use super::apply::{Plan, is_news, page_people, set_condition, wake};
use super::error::Result;
use super::view::AlarmView;

/// The engine says that it got worse.
pub(super) fn worsen(
    tx: &mut Tx<'_>,
    view: &AlarmView,
    transition: &Transition,
    priority: Priority,
    kind: &AlarmKind,
    plan: Plan<'_>,
) -> Result<usize> {
    let more_urgent = priority < view.priority;
    if more_urgent {
        let known_now = AlarmView { late: view.late && !is_news(transition), ..view.clone() };
        more_urgent_now(tx, &known_now, priority)?;
        tx.prepare_cached("UPDATE alarm SET kind = ?2 WHERE id = ?1")?
            .execute(params![view.id.0 as i64, json!(kind).to_string()])?;
    }
    set_condition(tx, view.id, Condition::Present)?;
    let done = view.is_done();
    let paged = wake(tx, view, transition, done, plan)?;
    if more_urgent && !done && paged == 0 { page_people(tx, view.id, plan) } else { Ok(paged) }
}

/// Raises the priority, with what hangs on it: a claim gets the shorter lease, what was put aside or grouped for being less
/// urgent is back, and what somebody accepted is to be accepted again. The caller pages.
pub(super) fn more_urgent_now(tx: &mut Tx<'_>, view: &AlarmView, priority: Priority) -> Result<()> {
    let id = view.id.0 as i64;
    let urgent = matches!(priority, Priority::P1 | Priority::P2);
    tx.prepare_cached("UPDATE alarm SET priority = ?2 WHERE id = ?1")?.execute(params![id, priority.slug()])?;
    match view.handling {
        Handling::Claimed => {
            if let Some(lease) = tx.lease(priority, view.condition) {
                let until = view.claim_until.map_or(lease, |until| until.min(lease));
                tx.execute("UPDATE alarm SET claim_until = ?2 WHERE id = ?1", params![id, until.0])?;
            }
        }
        Handling::Parked => super::park::wake(tx, view, "worse")?,
        Handling::Engaged if urgent => ask_again(tx, view, priority)?,
        _ => {}
    }
    if urgent {
        tx.execute("UPDATE alarm SET incident = NULL, unwatched_at = NULL WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// Somebody accepted it, or was sent, as something less urgent; as this nobody has. It is open, and those who had it are paged
/// like whoever is on call: they are on their way, but they may not know, or not be able to.
fn ask_again(tx: &mut Tx<'_>, view: &AlarmView, priority: Priority) -> Result<()> {
    let id = view.id.0 as i64;
    if view.is_review() {
        // Old data page nobody.
        tx.execute("UPDATE alarm SET engaged_as = ?2 WHERE id = ?1", params![id, priority.slug()])?;
        return Ok(());
    }
    if view.progress.arrived_at.is_none() {
        tx.back_to_nobody(view.id)?;
    } else {
        // Who is there is there, whoever answers for it from now on.
        tx.no_deadlines(view.id)?;
        tx.execute(
            "UPDATE alarm SET claimed_by = NULL, accepted_by = NULL, accepted_at = NULL, engaged_as = NULL, overdue = 0 \
             WHERE id = ?1",
            [id],
        )?;
    }
    tx.execute("UPDATE alarm SET handling = 'open' WHERE id = ?1", [id])?;
    tx.event(view.id, AlarmEventKind::Returned, None, json!({ "cause": "worse" }))?;
    // By the channels of the urgent policy, from its beginning.
    let anew = AlarmView { priority, handling: Handling::Open, policy_version: None, step: 0, ..view.clone() };
    super::arrival::page_besides(tx, &anew, &on_it(view))?;
    Ok(())
}

/// Who accepted it and who was sent.
pub(super) fn on_it(view: &AlarmView) -> Vec<PersonId> {
    let accepted = view.accepted_by.as_ref().map(|accepted| accepted.id);
    let sent = view.progress.sent.as_ref().and_then(|sent| sent.person.as_ref()).map(|sent| PersonId(sent.id));
    accepted.into_iter().chain(sent.filter(|sent| Some(*sent) != accepted)).collect()
}
