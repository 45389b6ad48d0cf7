//! Pages and their attempts: what the pager sends. What the paged person answers is in `answers.rs`.
//!
//! A page is "sending" on disk before anything is sent, so a crash leaves a page in doubt, never a lost one.

use std::time::Duration;

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::people::Role;
use model::{AlarmId, PageId, PersonId, Priority, Time};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::json;

use super::error::{Error, Result};
use super::view::{AlarmView, AttemptView, Named, PageView, json as json_of, word};
use super::{Records, Tx, limit_of, rows};

/// Characters of a channel's name, a cause or a provider's reference; longer ones are cut.
const TEXT_CHARS_MAX: usize = 300;
/// Pages one alarm may have. A P1 is repeated without end, so the oldest state is history by then.
const PAGES_SHOWN_MAX: i64 = 200;

/// A page to be queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPage {
    pub person: PersonId,
    /// Name of the channel, e.g. `webhook`.
    pub channel: String,
    /// Not before. `None`: at once.
    pub due_at: Option<Time>,
    /// Channels for this person after this one, in order.
    pub chain: Vec<String>,
    /// Who is paged instead when the chain is at its end, or the person cannot. Empty: those on call.
    pub reserve: Vec<PersonId>,
}

impl NewPage {
    /// At once, by this channel only.
    pub fn to(person: PersonId, channel: &str) -> Self {
        Self { person, channel: channel.to_owned(), due_at: None, chain: Vec::new(), reserve: Vec::new() }
    }
}

/// A page that is due, with everything a channel needs to send it.
#[derive(Clone, Debug, PartialEq)]
pub struct PageJob {
    pub page: PageId,
    pub person: PersonId,
    pub person_name: String,
    pub person_phone: String,
    pub person_role: Role,
    /// `zh` or `en`.
    pub language: String,
    pub channel: String,
    /// `Queued`, `TempFailed` or `InDoubt`.
    pub state: PageState,
    /// 0 for the pages written with the alarm, one more for every repeat.
    pub round: u32,
    /// Attempts already made.
    pub attempts: u32,
    pub queued_at: Time,
    pub due_at: Time,
    /// There is another channel for this person.
    pub has_next: bool,
    pub alarm: AlarmView,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// The provider has it.
    Accepted { provider_ref: Option<String> },
    /// Try again by the same channel.
    Retry { after: Duration },
    /// This person cannot be reached by this channel: the next person is paged.
    RefusedPerson,
    /// The channel is set up wrongly: the next person is paged, and somebody must repair it.
    RefusedConfig,
    /// Sent, but no answer: sent again with the same page number as key.
    InDoubt,
}

impl SendResult {
    const fn slug(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Retry { .. } => "retry",
            Self::RefusedPerson => "refused_person",
            Self::RefusedConfig => "refused_config",
            Self::InDoubt => "in_doubt",
        }
    }
}

impl Records {
    /// Pages to be sent by `now`: most urgent alarm first, then by due time.
    pub fn pages_due(&self, now: Time, limit: usize) -> Result<Vec<PageJob>> {
        self.pages_due_by(now, limit, &[])
    }

    /// As [`Records::pages_due`], without those of these channels. Their names are the program's own words.
    pub fn pages_due_by(&self, now: Time, limit: usize, except: &[&'static str]) -> Result<Vec<PageJob>> {
        let except: Vec<String> = except.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        self.read(|conn| {
            let mut query = conn.prepare_cached(&format!(
                "SELECT g.id, g.person, p.name, p.phone, p.language, g.channel, g.state, g.round, g.attempts, \
                 g.queued_at, g.due_at, g.alarm, g.chain <> '[]' AND g.passed_on = FALSE, p.role FROM page g JOIN person p ON p.id = g.person \
                 JOIN alarm a ON a.id = g.alarm WHERE g.due_at <= ?1 AND g.state IN ('queued', 'temp_failed', 'in_doubt') \
                 AND g.channel NOT IN ({}) ORDER BY a.priority, g.due_at, g.id LIMIT ?2",
                except.join(", ")
            ))?;
            rows(query.query(params![now.0, limit_of(limit)])?, |row| read_job(conn, row, now))
        })
    }

    /// Writes down that the page is being sent now. Returns the attempt's number, or `None` when there is nothing to
    /// send any more (accepted or resolved in the meantime).
    pub fn start_attempt(&self, page: PageId, now: Time) -> Result<Option<i64>> {
        self.write(|tx| {
            tx.now = now;
            tx.start_attempt(page)
        })
    }

    /// Writes down what became of the attempt. `detail` is for the operator: no personal data. `next_due` replaces the
    /// time of the next attempt for `Retry` (else now + `after`) and `InDoubt` (else now).
    pub fn finish_attempt(
        &self,
        attempt: i64,
        result: &SendResult,
        detail: &str,
        next_due: Option<Time>,
    ) -> Result<()> {
        self.write(|tx| {
            let page: Option<i64> = tx
                .query_row(
                    "UPDATE page_attempt SET finished_at = ?2, result = ?3, detail = ?4 \
                     WHERE id = ?1 AND finished_at IS NULL RETURNING page",
                    params![attempt, tx.now.0, result.slug(), cut(detail)],
                    |row| row.get(0),
                )
                .optional()?;
            let page = PageId(page.ok_or(Error::NotFound("attempt under way"))? as u64);
            let row = page_row(tx, page)?.ok_or(Error::NotFound("page"))?;
            let (state, due, reference) = match result {
                SendResult::Accepted { provider_ref } => {
                    (PageState::ProviderAccepted, tx.receipt_due(&row)?, provider_ref.as_deref())
                }
                SendResult::Retry { after } => (PageState::TempFailed, Some(next_due.unwrap_or(tx.now + *after)), None),
                SendResult::RefusedPerson | SendResult::RefusedConfig => (PageState::PermFailed, None, None),
                SendResult::InDoubt => (PageState::InDoubt, Some(next_due.unwrap_or(tx.now)), None),
            };
            tx.pages = true;
            // The person may have answered while it was being sent; that answer stands.
            let changed = tx.execute(
                "UPDATE page SET state = ?2, due_at = ?3, updated_at = ?4, provider_ref = COALESCE(?5, provider_ref) \
                 WHERE id = ?1 AND state = 'sending'",
                params![page.0 as i64, state.slug(), due.map(Time::micros), tx.now.0, reference.map(cut)],
            )?;
            if changed == 0 {
                return Ok(());
            }
            let told = json!({ "person": row.person.name, "channel": row.channel });
            match state {
                PageState::ProviderAccepted => tx.event(row.alarm, AlarmEventKind::PageSent, None, told),
                PageState::PermFailed => {
                    let told = json!({ "person": row.person.name, "channel": row.channel, "cause": result.slug() });
                    tx.event(row.alarm, AlarmEventKind::PageFailed, None, told)?;
                    tx.next_channel(&row)
                }
                // It may have arrived: the same page again later, and the next channel now.
                PageState::InDoubt => tx.chain_on(&row).map(drop),
                _ => Ok(()),
            }
        })
    }

    /// At start: every attempt under way when the process ended is in doubt. Its page is due again under the same number, and
    /// its person is paged by the next channel too: a double is allowed, a loss is not. Returns how many.
    pub fn pages_in_doubt_at_start(&self) -> Result<usize> {
        self.write(|tx| {
            tx.execute(
                "UPDATE page_attempt SET finished_at = ?1, result = 'in_doubt', detail = 'the process ended' \
                 WHERE finished_at IS NULL",
                [tx.now.0],
            )?;
            let mut query = tx.prepare(&format!("{PAGE_SELECT} WHERE g.state = 'sending'"))?;
            let found = rows(query.query([])?, |row| read_page(tx, row))?;
            drop(query);
            tx.execute(
                "UPDATE page SET state = 'in_doubt', due_at = ?1, updated_at = ?1 WHERE state = 'sending'",
                [tx.now.0],
            )?;
            tx.pages = !found.is_empty();
            for row in &found {
                tx.chain_on(row)?;
            }
            Ok(found.len())
        })
    }
}

impl Tx<'_> {
    fn start_attempt(&mut self, page: PageId) -> Result<Option<i64>> {
        let started = self
            .prepare_cached(
                "UPDATE page SET state = 'sending', attempts = attempts + 1, updated_at = ?2 \
                 WHERE id = ?1 AND state IN ('queued', 'temp_failed', 'in_doubt')",
            )?
            .execute(params![page.0 as i64, self.now.0])?;
        if started == 0 {
            return Ok(None);
        }
        let attempt = self.next_id("page_attempt")?;
        self.prepare_cached(
            "INSERT INTO page_attempt (id, page, at, finished_at, result, detail) VALUES (?1, ?2, ?3, NULL, 'sending', '')",
        )?
        .execute(params![attempt, page.0 as i64, self.now.0])?;
        Ok(Some(attempt))
    }

    /// When the receipt of a page that the provider takes now must be here. `None`: nobody waits for it.
    fn receipt_due(&self, row: &PageView) -> Result<Option<Time>> {
        let view = self.alarm(row.alarm)?;
        let waits = !row.chain.is_empty() && !row.passed_on && view.is_some_and(|view| view.priority == Priority::P1);
        Ok(waits.then(|| self.now.plus_us(self.timers.receipt_p1_us)))
    }
}

pub(super) const PAGE_SELECT: &str = "SELECT g.id, g.alarm, g.person, p.name, g.channel, g.state, g.round, g.queued_at, g.due_at, \
     g.updated_at, g.step, g.chain, g.reserve, g.passed_on FROM page g JOIN person p ON p.id = g.person";

pub(super) fn read_page(conn: &Connection, row: &Row<'_>) -> Result<PageView> {
    let id: i64 = row.get(0)?;
    let mut query = conn.prepare_cached(
        "SELECT at, finished_at, result, detail FROM page_attempt WHERE page = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let mut attempts = rows(query.query(params![id, PAGES_SHOWN_MAX])?, |row| {
        Ok(AttemptView {
            at: Time(row.get(0)?),
            finished_at: row.get::<_, Option<i64>>(1)?.map(Time),
            result: row.get(2)?,
            detail: row.get(3)?,
        })
    })?;
    attempts.reverse();
    Ok(PageView {
        id: PageId(id as u64),
        alarm: AlarmId(row.get::<_, i64>(1)? as u64),
        person: Named { id: row.get(2)?, name: row.get(3)? },
        channel: row.get(4)?,
        state: word("page state", PageState::parse, row.get(5)?)?,
        round: row.get(6)?,
        queued_at: Time(row.get(7)?),
        due_at: row.get::<_, Option<i64>>(8)?.map(Time),
        updated_at: Time(row.get(9)?),
        attempts,
        step: row.get(10)?,
        chain: json_of("page chain", row.get(11)?)?,
        reserve: json_of("page reserve", row.get(12)?)?,
        passed_on: row.get(13)?,
    })
}

pub(super) fn page_row(conn: &Connection, id: PageId) -> Result<Option<PageView>> {
    let mut query = conn.prepare_cached(&format!("{PAGE_SELECT} WHERE g.id = ?1"))?;
    Ok(rows(query.query([id.0 as i64])?, |row| read_page(conn, row))?.pop())
}

/// The newest pages of an alarm, oldest first.
pub(super) fn pages_of_alarm(conn: &Connection, alarm: AlarmId) -> Result<Vec<PageView>> {
    let mut query = conn.prepare_cached(&format!("{PAGE_SELECT} WHERE g.alarm = ?1 ORDER BY g.id DESC LIMIT ?2"))?;
    let mut pages = rows(query.query(params![alarm.0 as i64, PAGES_SHOWN_MAX])?, |row| read_page(conn, row))?;
    pages.reverse();
    Ok(pages)
}

fn read_job(conn: &Connection, row: &Row<'_>, now: Time) -> Result<PageJob> {
    let alarm = AlarmId(row.get::<_, i64>(11)? as u64);
    Ok(PageJob {
        page: PageId(row.get::<_, i64>(0)? as u64),
        person: PersonId(row.get(1)?),
        person_name: row.get(2)?,
        person_phone: row.get(3)?,
        language: row.get(4)?,
        channel: row.get(5)?,
        state: word("page state", PageState::parse, row.get(6)?)?,
        round: row.get(7)?,
        attempts: row.get(8)?,
        queued_at: Time(row.get(9)?),
        due_at: Time(row.get(10)?),
        has_next: row.get(12)?,
        person_role: word("role", Role::parse, row.get(13)?)?,
        alarm: super::alarms::alarm(conn, alarm, now)?.ok_or(Error::NotFound("alarm"))?,
    })
}

pub(super) fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}
