//! The steps of an alarm's escalation policy: which is due, that each is run once, and the audit that none is forgotten.
//!
//! A deadline is a column of the alarm's row, so that it survives any crash. A step is run in one transaction that checks that
//! it is still the one that is due: whatever crashes, and however many look, it is run once.

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::policy::Policy;
use model::{AlarmId, Handling, PageId, PersonId, Priority, Time};
use rusqlite::params;
use serde::Serialize;
use serde_json::json;

use super::chain::Place;
use super::error::{Error, Result};
use super::pages::{NewPage, page_row};
use super::view::{AlarmView, PageView};
use super::{Records, Tx, limit_of, policies, rows};

/// A deadline of an active alarm that is older than this is a fault of the program, in µs.
const AUDIT_LATE_US: i64 = 5 * 60_000_000;
/// The longest that somebody who reads a page is waited for beyond the next step's time, in seconds.
const READER_WAIT_P1_S: u32 = 60;
const READER_WAIT_S: u32 = 300;

/// A step whose time has come.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDue {
    /// As it was when it was looked at; `next_step` is the step.
    pub alarm: AlarmView,
    pub due: Time,
    /// How often this step has paged before: it is a repetition.
    pub runs: u32,
    /// Who declined this alarm.
    pub declined: Vec<PersonId>,
}

/// What [`Records::run_step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepWork {
    /// People are paged.
    Paged,
    /// Nobody to page, its conditions do not hold, or somebody accepted.
    PassedOver,
    /// It is not the step that is due any more.
    NotDue,
}

/// An active alarm that nothing will remind anybody of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    pub alarm: AlarmId,
    /// `no_deadline`, `step_late`, `lease_late`, `page_late`, or the invariant that is broken, in words.
    pub cause: &'static str,
}

impl Records {
    /// Alarms whose next step is due, most urgent first, oldest first. The caller answers each with [`Records::run_step`].
    pub fn steps_due(&self, now: Time, limit: usize) -> Result<Vec<StepDue>> {
        self.read(|conn| {
            let due = super::alarms::select(
                conn,
                now,
                "WHERE a.page_due_at <= ?1 AND a.handling IN ('open', 'engaged') ORDER BY a.priority, a.page_due_at LIMIT ?2",
                params![now.0, limit_of(limit)],
            )?;
            due.into_iter()
                .map(|alarm| {
                    let id = alarm.id.0 as i64;
                    let runs = conn
                        .prepare_cached("SELECT COUNT(DISTINCT round) FROM page WHERE alarm = ?1 AND step = ?2")?
                        .query_row(params![id, alarm.next_step], |row| row.get(0))?;
                    let mut query =
                        conn.prepare_cached("SELECT DISTINCT person FROM page WHERE alarm = ?1 AND state = 'declined'")?;
                    let declined = rows(query.query([id])?, |row| Ok(PersonId(row.get(0)?)))?;
                    let due = alarm.page_due_at.unwrap_or(now);
                    Ok(StepDue { alarm, due, runs, declined })
                })
                .collect()
        })
    }

    /// Runs a step once: pages, level and the next deadline in one transaction. Does nothing when the step is not due any
    /// more (run by another look, taken by a person, got worse). `pages` are the people as they are resolved now.
    pub fn run_step(&self, due: &StepDue, policy: &Policy, pages: &[NewPage], now: Time) -> Result<StepWork> {
        self.write(|tx| {
            tx.now = now;
            let view = tx.alarm(due.alarm.id)?.ok_or(Error::NotFound("alarm"))?;
            let expected = &due.alarm;
            let same = view.page_due_at == Some(due.due)
                && (view.next_step, view.policy_version) == (expected.next_step, expected.policy_version);
            if !same || !matches!(view.handling, Handling::Open | Handling::Engaged) {
                return Ok(StepWork::NotDue);
            }
            // Never beyond the end, should the policy be another than the alarm's (which is then older than policies).
            let place = (view.next_step as usize).min(policy.last_step());
            let step = policy.steps.get(place).ok_or(Error::NotFound("step"))?;
            let stopped = step.is_stopped(view.handling);
            let mut people = 0;
            if !stopped && step.holds(view.priority, now) {
                let at = Place { step: place as u32, round: None, redial: false };
                people = tx.queue_pages(&view, pages, at)?.people;
            }
            let cause = if stopped {
                "accepted"
            } else if !step.holds(view.priority, now) {
                "condition"
            } else {
                "nobody"
            };
            let passed_over = !stopped && people == 0 && (cause == "condition" || step.skip_if_empty);
            let (next, next_due) = policy.after(place, due.due, now, passed_over);
            let over = view.handling == Handling::Engaged && !policy.reminds_from(next);
            tx.prepare_cached(
                "UPDATE alarm SET policy_version = ?2, step = ?3, next_step = ?4, level = MAX(level, ?3), waited = FALSE, \
                 page_due_at = ?5 WHERE id = ?1",
            )?
            .execute(params![view.id.0 as i64, policy.version, place as u32, next as u32, (!over).then_some(next_due.0)])?;
            tx.pages = true;
            // A repetition adds pages, not a line of history.
            if place as u32 > view.step || (people == 0 && next > place) {
                let (kind, detail) = if people > 0 {
                    (AlarmEventKind::Escalated, json!({ "step": place + 1, "people": people, "due": due.due }))
                } else {
                    (AlarmEventKind::StepSkipped, json!({ "step": place + 1, "cause": cause }))
                };
                tx.event(view.id, kind, None, detail)?;
            }
            Ok(if people > 0 { StepWork::Paged } else { StepWork::PassedOver })
        })
    }

    /// Pages of which no receipt came in time go on by their next channel. Returns how many.
    pub fn expire_receipts(&self, now: Time, limit: usize) -> Result<usize> {
        let overdue = |conn: &rusqlite::Connection| {
            let mut query = conn.prepare_cached(
                "SELECT g.id FROM page g JOIN alarm a ON a.id = g.alarm WHERE g.due_at <= ?1 AND \
                 g.state = 'provider_accepted' AND a.handling IN ('open', 'engaged') ORDER BY a.priority, g.due_at LIMIT ?2",
            )?;
            rows(query.query(params![now.0, limit_of(limit)])?, |row| Ok(PageId(row.get::<_, i64>(0)? as u64)))
        };
        // Mostly there is none: a look does not take the write lock.
        if self.read(overdue)?.is_empty() {
            return Ok(0);
        }
        self.write(|tx| {
            tx.now = now;
            let pages = overdue(tx)?;
            for page in &pages {
                let Some(row) = page_row(tx, *page)? else { continue };
                tx.execute(
                    "UPDATE page SET state = ?2, due_at = NULL, updated_at = ?3 WHERE id = ?1",
                    params![page.0 as i64, PageState::Expired.slug(), now.0],
                )?;
                let told = json!({ "person": row.person.name, "channel": row.channel, "cause": "no_receipt" });
                tx.event(row.alarm, AlarmEventKind::PageFailed, None, told)?;
                tx.chain_on(&row)?;
            }
            Ok(pages.len())
        })
    }

    /// The production invariant: every alarm that waits for people has a next step, or a live lease. Empty, always: what is
    /// found is a fault of the program (or of a pager that does not run), and must itself be alarmed.
    pub fn audit_pages(&self, now: Time) -> Result<Vec<AuditFinding>> {
        const CAUSES: [(&str, &str); 4] = [
            (
                "no_deadline",
                "SELECT id FROM alarm WHERE priority IN ('P1', 'P2') AND {no_review} AND \
                 ((handling = 'open' AND page_due_at IS NULL) OR (handling = 'claimed' AND claim_until IS NULL)) AND ?1 = ?1 \
                 LIMIT ?2",
            ),
            ("step_late", "SELECT id FROM alarm WHERE page_due_at < ?1 AND handling IN ('open', 'engaged') LIMIT ?2"),
            ("lease_late", "SELECT id FROM alarm WHERE claim_until < ?1 AND handling = 'claimed' LIMIT ?2"),
            (
                "page_late",
                "SELECT g.alarm FROM page g JOIN alarm a ON a.id = g.alarm WHERE a.handling = 'open' AND \
                 ((g.due_at < ?1 AND g.state IN ('queued', 'temp_failed', 'in_doubt')) \
                 OR (g.state = 'sending' AND g.updated_at < ?1)) LIMIT ?2",
            ),
        ];
        let late = now.plus_us(-AUDIT_LATE_US).0;
        self.read(|conn| {
            let snapshot = conn.unchecked_transaction()?;
            let mut found = Vec::new();
            for (cause, sql) in CAUSES {
                let mut query = snapshot.prepare_cached(&sql.replace("{no_review}", &super::called::NO_REVIEW))?;
                let alarms = rows(query.query(params![late, limit_of(100)])?, |row| {
                    Ok(AuditFinding { alarm: AlarmId(row.get::<_, i64>(0)? as u64), cause })
                })?;
                found.extend(alarms);
            }
            Ok(found)
        })
    }
}

impl Tx<'_> {
    /// When an alarm that is older than policies is paged again.
    pub(super) fn repeat(&self, priority: Priority) -> Time {
        self.now.plus_us(if priority == Priority::P1 { self.timers.repeat_p1_us } else { self.timers.repeat_p2_us })
    }

    /// Sets the deadline of an alarm that waits for a person; others have none.
    pub(super) fn set_page_due(&mut self, view: &AlarmView, due: Time) -> Result<()> {
        let urgent = matches!(view.priority, Priority::P1 | Priority::P2);
        if view.handling == Handling::Open && urgent && !view.is_review() {
            self.prepare_cached("UPDATE alarm SET page_due_at = ?2 WHERE id = ?1")?
                .execute(params![view.id.0 as i64, due.0])?;
            self.pages = true;
        }
        Ok(())
    }

    /// An alarm comes back to the queue (a lapsed claim, the end of parking): its present step pages again at once, at the
    /// same level, and the steps go on from there.
    pub(super) fn resume_steps(&mut self, view: &AlarmView) -> Result<()> {
        self.prepare_cached("UPDATE alarm SET next_step = step WHERE id = ?1")?.execute([view.id.0 as i64])?;
        self.set_page_due(view, self.now)
    }

    /// Freezes the policy in force for the alarm's priority, and goes to its beginning. `None`: there is no policy.
    pub(super) fn open_policy(&mut self, view: &AlarmView) -> Result<Option<Policy>> {
        let policy = policies::for_priority(self, view.priority)?;
        self.prepare_cached(
            "UPDATE alarm SET policy_version = ?2, step = 0, next_step = 0, waited = FALSE WHERE id = ?1",
        )?
        .execute(params![view.id.0 as i64, policy.as_ref().map(|policy| policy.version)])?;
        Ok(policy)
    }

    /// What is left of the steps when a person has accepted: those that only an outcome stops.
    pub(super) fn pause_for_acceptance(&mut self, view: &AlarmView) -> Result<()> {
        let policy = match view.policy_version {
            Some(version) => policies::by_version(self, version)?,
            None => None,
        };
        if !policy.is_some_and(|policy| policy.reminds_from(view.next_step as usize)) {
            self.prepare_cached("UPDATE alarm SET page_due_at = NULL WHERE id = ?1")?.execute([view.id.0 as i64])?;
        }
        Ok(())
    }

    /// Nobody is being reached any more: the next step at once. Not the repetition of the last.
    pub(super) fn hasten_step(&mut self, view: &AlarmView) -> Result<()> {
        if view.handling != Handling::Open || view.next_step <= view.step {
            return Ok(());
        }
        let reached = self
            .prepare_cached(
                "SELECT 1 FROM page WHERE alarm = ?1 AND state IN \
                 ('queued', 'sending', 'temp_failed', 'in_doubt', 'provider_accepted', 'delivered', 'read')",
            )?
            .exists([view.id.0 as i64])?;
        if reached || view.page_due_at.is_none_or(|due| due <= self.now) {
            return Ok(());
        }
        self.set_page_due(view, self.now)
    }

    /// Somebody reads the page: the next step waits once more, but not long.
    pub(super) fn wait_for_reader(&mut self, row: &PageView) -> Result<()> {
        let Some(view) = self.alarm(row.alarm)? else { return Ok(()) };
        let Some(version) = view.policy_version else { return Ok(()) };
        let Some(policy) = policies::by_version(self, version)? else { return Ok(()) };
        let wait_s = if view.next_step > view.step {
            policy.steps.get(view.next_step as usize).map_or(0, |step| step.wait_s)
        } else {
            policy.repeat_s
        };
        let most_s = if view.priority == Priority::P1 { READER_WAIT_P1_S } else { READER_WAIT_S };
        self.prepare_cached(
            "UPDATE alarm SET page_due_at = page_due_at + ?2, waited = TRUE WHERE id = ?1 AND handling = 'open' AND \
             waited = FALSE AND step = ?3 AND page_due_at > ?4",
        )?
        .execute(params![
            view.id.0 as i64,
            i64::from(wait_s.min(most_s)) * 1_000_000,
            row.step,
            self.now.0
        ])?;
        Ok(())
    }
}
