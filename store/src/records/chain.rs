//! Queuing pages, and going on when one did not reach its person: by the next channel, then the next person, then the next
//! step of the policy.

use model::alarm::AlarmEventKind;
use model::{AlarmId, Handling, PageId, PersonId, TeamId};
use rusqlite::params;
use serde_json::json;

use super::Tx;
use super::error::Result;
use super::pages::{NewPage, cut};
use super::view::{AlarmView, PageView};

/// A person is not paged again for one alarm by one channel within this time, in µs: carriers refuse to, and what rings now
/// need not ring twice. The page waits for the rest of it; it is never dropped.
const REDIAL_US: i64 = 60_000_000;

/// Where in an alarm's escalation pages are queued.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) step: u32,
    /// Pages of one round were queued together. `None`: a new one.
    pub(super) round: Option<u32>,
    /// Also within [`REDIAL_US`]: the alarm is news again.
    pub(super) redial: bool,
}

/// What became of pages to be queued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Queued {
    /// New pages.
    pub(super) pages: usize,
    /// People who are being paged: by a new page, or by one that is still to be sent.
    pub(super) people: usize,
}

impl Tx<'_> {
    /// Queues pages as one round. People who do not exist or are disabled are left out: they must not stop an alarm.
    pub(super) fn queue_pages(&mut self, view: &AlarmView, pages: &[NewPage], place: Place) -> Result<Queued> {
        let round = match place.round {
            Some(round) => round,
            None => self
                .prepare_cached("SELECT COALESCE(MAX(round) + 1, 0) FROM page WHERE alarm = ?1")?
                .query_row([view.id.0 as i64], |row| row.get(0))?,
        };
        let place = Place { round: Some(round), ..place };
        let mut queued = Queued::default();
        for page in pages {
            let known = self
                .prepare_cached("SELECT 1 FROM person WHERE id = ?1 AND disabled = FALSE")?
                .exists([page.person.0])?;
            if !known {
                tracing::warn!(person = page.person.0, "a plan names a person who is not there; not paged");
                continue;
            }
            queued.pages += usize::from(self.queue_page(view.id, page, place)?);
            queued.people += 1;
        }
        self.pages |= queued.pages > 0;
        Ok(queued)
    }

    /// `false`: one like it is still to be sent.
    fn queue_page(&mut self, alarm: AlarmId, page: &NewPage, place: Place) -> Result<bool> {
        let key = params![alarm.0 as i64, page.person.0, page.channel];
        let waits = self
            .prepare_cached(
                "SELECT 1 FROM page WHERE alarm = ?1 AND person = ?2 AND channel = ?3 AND \
                 state IN ('queued', 'sending', 'temp_failed', 'in_doubt')",
            )?
            .exists(key)?;
        if waits {
            return Ok(false);
        }
        let mut due = page.due_at.unwrap_or(self.now);
        if !place.redial {
            let last: Option<i64> = self
                .prepare_cached(
                    "SELECT MAX(t.at) FROM page_attempt t JOIN page g ON g.id = t.page \
                     WHERE g.alarm = ?1 AND g.person = ?2 AND g.channel = ?3",
                )?
                .query_row(key, |row| row.get(0))?;
            due = due.max(last.map_or(due, |last| model::Time(last).plus_us(REDIAL_US)));
        }
        let id = self.next_id("page")?;
        self.prepare_cached(
            "INSERT INTO page (id, alarm, person, channel, state, round, queued_at, due_at, updated_at, attempts, step, \
             chain, reserve) VALUES (?1, ?2, ?3, ?4, 'queued', ?5, ?6, ?7, ?6, 0, ?8, ?9, ?10)",
        )?
        .execute(params![
            id,
            alarm.0 as i64,
            page.person.0,
            cut(&page.channel),
            place.round,
            self.now.0,
            due.0,
            place.step,
            json!(page.chain).to_string(),
            json!(page.reserve).to_string()
        ])?;
        self.pages = true;
        Ok(true)
    }

    /// Withdraws every page of the alarm that still waits, but not `except`.
    pub(super) fn supersede_pages(&mut self, alarm: AlarmId, except: Option<PageId>) -> Result<()> {
        self.prepare_cached(
            "UPDATE page SET state = 'superseded', due_at = NULL, updated_at = ?3 WHERE alarm = ?1 AND id <> ?2 AND \
             state IN ('queued', 'sending', 'temp_failed', 'in_doubt', 'provider_accepted', 'delivered', 'read')",
        )?
        .execute(params![alarm.0 as i64, except.map_or(0, |page| page.0 as i64), self.now.0])?;
        self.pages = true;
        Ok(())
    }

    /// Withdraws what is still to be sent to a person who cannot come.
    pub(super) fn supersede_pages_to(&mut self, alarm: AlarmId, person: PersonId) -> Result<()> {
        self.prepare_cached(
            "UPDATE page SET state = 'superseded', due_at = NULL, updated_at = ?3 WHERE alarm = ?1 AND person = ?2 AND \
             state IN ('queued', 'sending', 'temp_failed', 'in_doubt')",
        )?
        .execute(params![alarm.0 as i64, person.0, self.now.0])?;
        Ok(())
    }

    /// The page did not reach its person: the next channel of its chain at once, without one the next person, without one the
    /// next step. Does nothing when a person has the alarm, or when another page has taken the chain over.
    pub(super) fn next_channel(&mut self, row: &PageView) -> Result<()> {
        if row.passed_on || self.chain_on(row)? { Ok(()) } else { self.next_person(row) }
    }

    /// Pages the same person by the next channel of the chain. `false`: there is none left.
    pub(super) fn chain_on(&mut self, row: &PageView) -> Result<bool> {
        if row.passed_on || self.waiting(row)?.is_none() {
            return Ok(true);
        }
        let mut rest = row.chain.as_slice();
        while let Some((channel, after)) = rest.split_first() {
            rest = after;
            let page = NewPage {
                chain: after.to_vec(),
                reserve: row.reserve.clone(),
                ..NewPage::to(PersonId(row.person.id), channel)
            };
            if self.queue_page(row.alarm, &page, place_of(row))? {
                return self.pass_on(row).map(|()| true);
            }
        }
        Ok(false)
    }

    /// Pages the first of the page's reserve (without one: of those on call) who has no page of this alarm yet. Nobody left: the
    /// next step at once, unless somebody is still being reached; paging the same people again and again would help nobody.
    pub(super) fn next_person(&mut self, row: &PageView) -> Result<()> {
        let Some(view) = self.waiting(row)? else { return Ok(()) };
        if view.handling == Handling::Engaged {
            // Who was sent cannot be reached: the history says so, and the time to arrive goes on. Nobody else was asked.
            return self.event(view.id, AlarmEventKind::PageFailed, None, json!({ "cause": "sent_unreachable" }));
        }
        let people = if row.reserve.is_empty() {
            super::people::on_call(self, view.team.as_ref().map(|team| TeamId(team.id)))?
        } else {
            row.reserve.clone()
        };
        let channels = self.channels_of(&view, row)?;
        for (place, person) in people.iter().enumerate() {
            let paged = self
                .prepare_cached("SELECT 1 FROM page WHERE alarm = ?1 AND person = ?2")?
                .exists(params![view.id.0 as i64, person.0])?;
            if paged {
                continue;
            }
            let page = NewPage {
                chain: channels[1..].to_vec(),
                reserve: people[place + 1..].to_vec(),
                ..NewPage::to(*person, &channels[0])
            };
            // In a round of its own: nobody planned it.
            let queued = self.queue_pages(&view, &[page], Place { round: None, ..place_of(row) })?;
            if queued.pages > 0 {
                return self.pass_on(row);
            }
        }
        self.event(view.id, AlarmEventKind::PageFailed, None, json!({ "cause": "nobody_left" }))?;
        self.hasten_step(&view)
    }

    /// The channels that the page's step names; never empty.
    fn channels_of(&self, view: &AlarmView, row: &PageView) -> Result<Vec<String>> {
        let policy = match view.policy_version {
            Some(version) => super::policies::by_version(self, version)?,
            None => None,
        };
        let step = policy.and_then(|policy| policy.steps.into_iter().nth(row.step as usize));
        let named = step.map(|step| step.channels).filter(|channels| !channels.is_empty());
        Ok(named.unwrap_or_else(|| vec![row.channel.clone()]))
    }

    /// What was left of the chain is with another page now.
    fn pass_on(&mut self, row: &PageView) -> Result<()> {
        self.prepare_cached("UPDATE page SET passed_on = TRUE WHERE id = ?1")?.execute([row.id.0 as i64])?;
        Ok(())
    }

    /// The page's alarm, unless it is over or a person accepted it; then it still waits for those asked besides: who was sent,
    /// and supervisors.
    fn waiting(&self, row: &PageView) -> Result<Option<AlarmView>> {
        let Some(view) = self.alarm(row.alarm)? else { return Ok(None) };
        let waits = match view.handling {
            Handling::Open | Handling::Claimed => true,
            Handling::Engaged => super::answers::asked_besides(self, &view, PersonId(row.person.id))?,
            Handling::Parked | Handling::Resolved | Handling::Closed | Handling::Void => false,
        };
        Ok(waits.then_some(view))
    }
}

const fn place_of(row: &PageView) -> Place {
    Place { step: row.step, round: Some(row.round), redial: false }
}
