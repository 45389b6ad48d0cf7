//! What the paged person does with a page: opens it, takes over, or cannot. And the lists of pages people see.

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::people::Role;
use model::{Handling, PageId, PersonId, Time};
use rusqlite::params;
use serde_json::json;

use super::actions::{Act, taken_by};
use super::error::{ActionError, Error, Result};
use super::pages::{PAGE_SELECT, page_row, read_page};
use super::progress::Progress;
use super::view::{AlarmView, PageView};
use super::{Records, Tx, limit_of, rows};

impl Records {
    /// Pages of one person, newest first; `open`: only those that wait for an answer.
    pub fn pages_of(&self, person: PersonId, open: bool, limit: usize) -> Result<Vec<(PageView, AlarmView)>> {
        let now = self.now();
        let filter = if open {
            "AND g.state NOT IN ('accepted', 'declined', 'superseded', 'marked_false') AND a.handling NOT IN ('resolved', 'closed', 'void')"
        } else {
            ""
        };
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let mut query = snapshot.prepare_cached(&format!(
                "{PAGE_SELECT} JOIN alarm a ON a.id = g.alarm WHERE g.person = ?1 {filter} ORDER BY g.id DESC LIMIT ?2"
            ))?;
            rows(query.query(params![person.0, limit_of(limit)])?, |row| {
                let page = read_page(&snapshot, row)?;
                let alarm = super::alarms::alarm(&snapshot, page.alarm, now)?.ok_or(Error::NotFound("alarm"))?;
                Ok((page, alarm))
            })
        })
    }

    pub fn page(&self, id: PageId) -> Result<Option<(PageView, AlarmView)>> {
        let now = self.now();
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let Some(page) = page_row(&snapshot, id)? else { return Ok(None) };
            let alarm = super::alarms::alarm(&snapshot, page.alarm, now)?.ok_or(Error::NotFound("alarm"))?;
            Ok(Some((page, alarm)))
        })
    }

    /// The paged person takes over: the alarm is engaged, all other pages of it are withdrawn.
    pub fn accept_page(&self, page: PageId, by: PersonId, key: Option<&str>) -> Result<PageView, ActionError> {
        self.act_page(page, &Act { by, key, action: "accept_page" }, |tx, row, view| take_over(tx, row, view, by))
    }

    /// The paged person cannot: the next one in the on-call order is paged at once.
    pub fn decline_page(
        &self,
        page: PageId,
        by: PersonId,
        reason: &str,
        key: Option<&str>,
    ) -> Result<PageView, ActionError> {
        if reason.chars().count() > super::NOTE_CHARS_MAX {
            return Err(ActionError::NoteTooLong(super::NOTE_CHARS_MAX));
        }
        self.act_page(page, &Act { by, key, action: "decline_page" }, |tx, row, view| {
            if view.is_done() {
                return Err(ActionError::AlreadyResolved);
            }
            match row.state {
                PageState::Accepted | PageState::MarkedFalse => return Err(ActionError::NotAllowed),
                PageState::Declined | PageState::Superseded => return Ok(()),
                _ => {}
            }
            tx.execute(
                "UPDATE page SET state = 'declined', due_at = NULL, updated_at = ?2 WHERE id = ?1",
                params![row.id.0 as i64, tx.now.0],
            )?;
            tx.event(view.id, AlarmEventKind::Declined, Some(by), json!({ "reason": reason }))?;
            tx.supersede_pages_to(view.id, by)?;
            super::arrival::sent_declined(tx, view, by)?;
            tx.next_person(row)?;
            Ok(())
        })
    }

    /// The person opened it. Changes nothing once it is answered or withdrawn.
    pub fn mark_read(&self, page: PageId, by: PersonId) -> Result<PageView, ActionError> {
        let Some((view, _)) = self.page(page)? else { return Err(ActionError::Gone) };
        if view.person.id != by.0 {
            return Err(ActionError::NotAllowed);
        }
        self.write(|tx| {
            let read = tx.execute(
                "UPDATE page SET state = 'read', due_at = NULL, updated_at = ?2 WHERE id = ?1 AND state IN \
                 ('queued', 'sending', 'temp_failed', 'in_doubt', 'provider_accepted', 'delivered', 'perm_failed', 'expired')",
                params![page.0 as i64, tx.now.0],
            )?;
            let row = page_row(tx, page)?.ok_or(ActionError::Gone)?;
            if read > 0 {
                tx.wait_for_reader(&row)?;
            }
            Ok(row)
        })
    }

    /// Frame of every answer to a page.
    pub(super) fn act_page(
        &self,
        page: PageId,
        act: &Act<'_>,
        work: impl FnOnce(&mut Tx<'_>, &PageView, &AlarmView) -> Result<(), ActionError>,
    ) -> Result<PageView, ActionError> {
        self.write(|tx| {
            let person = tx.actor(act.by)?;
            let row = page_row(tx, page)?.ok_or(ActionError::Gone)?;
            if row.person.id != act.by.0 || !person.role.accepts_pages() {
                return Err(ActionError::NotAllowed);
            }
            if !tx.first_time(act, page.0 as i64)? {
                return Ok(row);
            }
            let view = tx.alarm(row.alarm)?.ok_or(ActionError::Gone)?;
            work(tx, &row, &view)?;
            super::audit::write(tx, Some(act.by), act.action, &format!("page/{page}"), "")?;
            page_row(tx, page)?.ok_or(ActionError::Gone)
        })
    }
}

/// The alarm is this person's, and so is the page.
pub(super) fn take_over(tx: &mut Tx<'_>, row: &PageView, view: &AlarmView, by: PersonId) -> Result<(), ActionError> {
    if view.is_done() {
        return Err(ActionError::AlreadyResolved);
    }
    let other = view.accepted_by.as_ref().is_some_and(|accepted| accepted.id != by);
    let besides = view.handling == Handling::Engaged && asked_besides(tx, view, by)?;
    if other && !besides {
        return Err(taken_by(view));
    }
    tx.execute(
        "UPDATE page SET state = 'accepted', due_at = NULL, updated_at = ?2 WHERE id = ?1",
        params![row.id.0 as i64, tx.now.0],
    )?;
    if other && row.state != PageState::Accepted {
        tx.event(view.id, AlarmEventKind::Accepted, Some(by), json!({ "channel": row.channel }))?;
    }
    if view.accepted_by.is_some() {
        // Another page of an alarm they have already: answered, and nothing else changes.
        return Ok(());
    }
    engage(tx, view, by)?;
    // Who was sent is still to answer, and to say when they are there.
    let sent = view.progress.sent.as_ref().and_then(|sent| sent.person.as_ref());
    if sent.is_none_or(|sent| sent.id == by.0) {
        tx.supersede_pages(view.id, Some(row.id))?;
    }
    tx.event(view.id, AlarmEventKind::Accepted, Some(by), json!({ "channel": row.channel }))?;
    Ok(())
}

/// The alarm is this person's, who is to arrive in time; when somebody is there already, an outcome is due. A deadline that runs
/// already goes on.
fn engage(tx: &mut Tx<'_>, view: &AlarmView, by: PersonId) -> Result<()> {
    let Progress { arrive_by, outcome_by, arrived_at, .. } = view.progress;
    let timers = tx.timers.handling;
    let (arrive_by, outcome_by) = match (arrive_by, outcome_by) {
        (None, None) if arrived_at.is_some() => (None, Some(tx.now.plus_us(timers.outcome_us))),
        (None, None) => (Some(tx.now.plus_us(timers.arrival_us)), None),
        running => running,
    };
    tx.no_handling_deadlines(view.id)?;
    tx.execute(
        "UPDATE alarm SET handling = 'engaged', accepted_by = ?2, accepted_at = ?3, arrive_by = ?4, outcome_by = ?5, \
         engaged_as = priority WHERE id = ?1",
        params![view.id.0 as i64, by.0, tx.now.0, arrive_by.map(Time::micros), outcome_by.map(Time::micros)],
    )?;
    tx.pause_for_acceptance(view)
}

/// Asked besides the one who accepted: who was sent there, supervisors, and whoever was paged since.
pub(super) fn asked_besides(tx: &Tx<'_>, view: &AlarmView, person: PersonId) -> Result<bool> {
    let sent = view.progress.sent.as_ref().and_then(|sent| sent.person.as_ref());
    if sent.is_some_and(|sent| sent.id == person.0) {
        return Ok(true);
    }
    let supervises = super::people::person(tx, person)?.is_some_and(|person| person.role == Role::Supervisor);
    let Some(since) = view.engaged_since().filter(|_| !supervises) else { return Ok(supervises) };
    // Those on call, where there are no supervisors; the one who accepted, when the elder calls again.
    let paged = tx
        .prepare_cached("SELECT 1 FROM page WHERE alarm = ?1 AND person = ?2 AND queued_at > ?3")?
        .exists(params![view.id.0 as i64, person.0, since.0])?;
    Ok(paged)
}
