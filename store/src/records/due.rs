//! Deadlines of handling that have come. They are columns of the alarm, so a crash forgets none; what is due is done in one
//! transaction with the removal of its deadline, so each is done once.

use model::alarm::AlarmEventKind;
use model::{AlarmId, Condition, Handling, PersonId, Priority, Time};
use rusqlite::{Connection, params};
use serde_json::json;

use super::error::{Error, Result};
use super::view::AlarmView;
use super::{Records, Tx, rows};

/// Deadlines of one look; the next look takes the others.
const DUE_MAX: i64 = 500;

/// What can come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deadline {
    /// A hand-over was not answered: the giver has it.
    Offer,
    /// The claimant fell silent: back to the queue.
    Lease,
    /// A parked alarm is back.
    Wake,
    /// Nobody has arrived: the supervisors are told.
    Arrival,
    /// Somebody arrived, and nobody says how it ended: the supervisors are told.
    Outcome,
    /// Resolved, and the condition still stands: open again. A P1 or P2 only if it was measured since.
    Reopen,
    /// A technical alarm lasts: for a high-risk elder it is a P2 from now on.
    Unwatched,
}

/// What one look did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandlingDue {
    /// In the order in which they had come due.
    pub done: Vec<(AlarmId, Deadline)>,
    /// Incidents that began or ended.
    pub incidents: usize,
}

/// Whom to page when an arrival or an outcome is overdue. Called inside the transaction: it may read [`Records`], but a write
/// from it would wait for itself for ever.
type Supervisors<'a> = &'a dyn Fn(&AlarmView) -> Vec<PersonId>;

impl Records {
    /// Does everything that has come due by `now`, each once: leases, hand-overs, parking, arrivals, outcomes, alarms resolved
    /// too early, elders unwatched too long, incidents, the storm. `supervisors` names the people to page about what is overdue.
    pub fn handling_due(&self, now: Time, supervisors: &dyn Fn(&AlarmView) -> Vec<PersonId>) -> Result<HandlingDue> {
        let mut all = HandlingDue::default();
        // Mostly there is nothing: a look does not take the write lock.
        if !self.read(|conn| due(conn, now))?.is_empty() {
            all.done = self.write(|tx| {
                tx.now = now;
                let mut done = Vec::new();
                for (alarm, deadline) in due(tx, now)? {
                    if one(tx, alarm, deadline, supervisors)? {
                        done.push((alarm, deadline));
                    }
                }
                Ok::<_, Error>(done)
            })?;
        }
        all.incidents = self.incidents_due(now)?;
        self.storm_due(now)?;
        Ok(all)
    }
}

/// Deadlines that have come, oldest first.
fn due(conn: &Connection, now: Time) -> Result<Vec<(AlarmId, Deadline)>> {
    let mut query = conn.prepare_cached(
        "SELECT id, 0 AS what, offer_until AS at FROM alarm WHERE offer_until <= ?1 \
         UNION ALL SELECT id, 1, claim_until FROM alarm WHERE claim_until <= ?1 \
         UNION ALL SELECT id, 2, wake_at FROM alarm WHERE wake_at <= ?1 \
         UNION ALL SELECT id, 3, arrive_by FROM alarm WHERE arrive_by <= ?1 \
         UNION ALL SELECT id, 4, outcome_by FROM alarm WHERE outcome_by <= ?1 \
         UNION ALL SELECT id, 5, reopen_at FROM alarm WHERE reopen_at <= ?1 \
         UNION ALL SELECT id, 6, unwatched_at FROM alarm WHERE unwatched_at <= ?1 \
         ORDER BY at, what, id LIMIT ?2",
    )?;
    rows(query.query(params![now.0, DUE_MAX])?, |row| {
        let what = match row.get::<_, u8>(1)? {
            0 => Deadline::Offer,
            1 => Deadline::Lease,
            2 => Deadline::Wake,
            3 => Deadline::Arrival,
            4 => Deadline::Outcome,
            5 => Deadline::Reopen,
            _ => Deadline::Unwatched,
        };
        Ok((AlarmId(row.get::<_, i64>(0)? as u64), what))
    })
}

/// `false`: what was due before it made this void.
fn one(tx: &mut Tx<'_>, alarm: AlarmId, deadline: Deadline, supervisors: Supervisors<'_>) -> Result<bool> {
    let Some(view) = tx.alarm(alarm)? else { return Ok(false) };
    let came = |at: Option<Time>| at.is_some_and(|at| at <= tx.now);
    let progress = &view.progress;
    match deadline {
        Deadline::Offer if came(progress.offer_until) => super::handover::end_offer(tx, &view, None, "not_answered")?,
        Deadline::Lease if came(view.claim_until) => super::actions::give_back(tx, &view, None, "lease_over")?,
        Deadline::Wake if came(progress.parked.as_ref().map(|parked| parked.until)) => {
            super::park::wake(tx, &view, "time")?;
            super::apply::settle(tx, alarm)?;
        }
        Deadline::Arrival if came(progress.arrive_by) => overdue(tx, &view, deadline, supervisors)?,
        Deadline::Outcome if came(progress.outcome_by) => overdue(tx, &view, deadline, supervisors)?,
        Deadline::Reopen if came(progress.reopen_at) => return reopen(tx, &view),
        Deadline::Unwatched => return super::risk::unwatched(tx, &view),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Tells the supervisors, and sets the time to tell them again.
fn overdue(tx: &mut Tx<'_>, view: &AlarmView, deadline: Deadline, supervisors: Supervisors<'_>) -> Result<()> {
    let timers = tx.timers.handling;
    let (column, again_us, kind) = match deadline {
        Deadline::Arrival => ("arrive_by", timers.arrival_again_us, AlarmEventKind::ArrivalOverdue),
        _ => ("outcome_by", timers.outcome_us, AlarmEventKind::OutcomeOverdue),
    };
    tx.execute(
        &format!("UPDATE alarm SET {column} = ?2, overdue = overdue + 1 WHERE id = ?1"),
        params![view.id.0 as i64, tx.now.plus_us(again_us).0],
    )?;
    let sent = view.progress.sent.as_ref();
    let who = sent.map(|sent| sent.person.as_ref().map_or(&sent.words, |person| &person.name));
    let who = who.or(view.accepted_by.as_ref().map(|accepted| &accepted.name));
    tx.event(view.id, kind, None, json!({ "who": who, "times": view.progress.overdue + 1 }))?;
    if !matches!(view.priority, Priority::P1 | Priority::P2) {
        return Ok(());
    }
    if super::arrival::page_besides(tx, view, &supervisors(view))? == 0 {
        tx.event(view.id, AlarmEventKind::PageFailed, None, json!({ "cause": "no_supervisor" }))?;
    }
    Ok(())
}

/// Resolved some time ago. If the data have said since that it stands, it was resolved too early.
fn reopen(tx: &mut Tx<'_>, view: &AlarmView) -> Result<bool> {
    tx.execute("UPDATE alarm SET reopen_at = NULL WHERE id = ?1", [view.id.0 as i64])?;
    // Lost data say nothing; when they come back and are no better, that is news (`apply.rs`).
    if view.handling != Handling::Resolved || view.condition != Condition::Present {
        return Ok(false);
    }
    let urgent = matches!(view.priority, Priority::P1 | Priority::P2);
    if urgent && !super::reopen::stands_since(tx, view)? {
        return Ok(false);
    }
    super::reopen::open_again(tx, view, None, json!({ "cause": "still_present" }))?;
    tx.page_anew(view.id)?;
    Ok(true)
}
