//! The pager: sends what is due, writes every attempt down before and after, and pages again until a person has the alarm.
//!
//! A page is "sending" on disk before anything leaves, so a crash leaves it in doubt and it is sent again with the same id:
//! a double is allowed, a loss is not. All state is in the records; this task only turns it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::policy::Policy;
use model::{PageId, Priority, Time};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use runtime::{Clock, Stop};
use store::records::{PageJob, Records, SendResult, StepDue, StepWork};
use tokio::task::JoinSet;

use crate::channel::{Desk, Fate, Message, Place, Recipient, Sent};
use crate::stats::Counts;
use crate::{Config, Deps, escalation};

/// The records are looked at this often even when nobody pokes.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause before the second attempt, doubled at each, up to the longest.
const PAUSE_LEAST: Duration = Duration::from_secs(1);
const PAUSE_MOST_P1: Duration = Duration::from_secs(30);
const PAUSE_MOST: Duration = Duration::from_mins(5);
/// The pause varies by this share, so that pages that failed together do not come back together.
const JITTER: f64 = 0.2;
/// After so many attempts a page is given up and the next person paged. The alarm itself is never given up.
const ATTEMPTS_MAX: u32 = 12;
/// ... and an urgent one after so many, when there is another channel for the person.
const ATTEMPTS_WITH_NEXT: u32 = 2;
/// ... or when the provider wants to be left alone for longer than this.
const WAIT_WITH_NEXT: Duration = Duration::from_secs(5);
/// A link in a page works for so long.
const LINK_LASTS: Duration = Duration::from_hours(12);
/// Steps run, and receipts looked at, in one pass over what is due.
const STEPS_MAX: usize = 100;

#[derive(Clone, Debug)]
pub(crate) struct Pager {
    records: Records,
    clock: Clock,
    channels: Arc<Desk>,
    counts: Arc<Counts>,
    public_url: Arc<str>,
    sending_max: usize,
    /// For an alarm whose own policy cannot be read.
    shipped: Arc<[Policy]>,
    /// Results that the disk did not take. Their pages are "sending" until it does, at most one a page.
    unsaved: Arc<Mutex<Vec<Unsaved>>>,
}

/// What became of an attempt, not written down yet.
#[derive(Clone, Debug)]
struct Unsaved {
    attempt: i64,
    page: PageId,
    result: SendResult,
    detail: String,
    due: Option<Time>,
}

impl Pager {
    pub(crate) fn new(config: &Config, deps: &Deps, channels: Arc<Desk>, counts: Arc<Counts>) -> Self {
        Self {
            records: deps.records.clone(),
            clock: deps.clock.clone(),
            channels,
            counts,
            public_url: config.public_url.trim_end_matches('/').into(),
            // Each channel has a share of its own: together they are at least one place each.
            sending_max: config.sending_max.max(config.channels.configured().len()),
            shipped: escalation::shipped_policies(config).into(),
            unsaved: Arc::default(),
        }
    }

    /// Runs until stopped. An attempt under way is given up then; it is in doubt at the next start.
    pub(crate) async fn run(self, stop: Stop) {
        let poke = self.records.pages_notify();
        let mut sending = JoinSet::new();
        loop {
            let poked = poke.notified();
            tokio::pin!(poked);
            // Before the look: what is committed during it is not missed.
            poked.as_mut().enable();
            self.look(&mut sending).await;
            tokio::select! {
                () = stop.requested() => return,
                () = poked => {}
                Some(ended) = sending.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "sending a page ended badly; it is in doubt until the next start");
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// One look: steps of alarms nobody has, then every page that is due, as far as there is room.
    async fn look(&self, sending: &mut JoinSet<()>) {
        while sending.try_join_next().is_some() {}
        let pager = self.clone();
        let first = move || {
            pager.save_unsaved();
            pager.escalate();
        };
        if let Err(error) = tokio::task::spawn_blocking(first).await {
            tracing::error!(%error, "looking for due steps ended badly; tried again");
        }
        // Pages of a channel that has no place left wait; those behind them, by other channels, do not.
        loop {
            let room = self.sending_max.saturating_sub(sending.len());
            if room == 0 {
                return;
            }
            let (pager, full) = (self.clone(), self.channels.full());
            let due =
                tokio::task::spawn_blocking(move || pager.records.pages_due_by(pager.clock.now(), room, &full)).await;
            let jobs = match due {
                Ok(Ok(jobs)) => jobs,
                Ok(Err(error)) => return tracing::error!(%error, "cannot read which pages are due; tried again"),
                Err(error) => return tracing::error!(%error, "looking for due pages ended badly; tried again"),
            };
            let mut waiting = false;
            for job in jobs {
                match self.channels.place(&job.channel) {
                    Some(place) => self.start(job, place, sending).await,
                    None => waiting = true,
                }
            }
            if !waiting {
                return;
            }
        }
    }

    /// Every step that is due, most urgent alarm first. Steps missed while we were away run one after the other, each once.
    fn escalate(&self) {
        let now = self.clock.now();
        if let Err(error) = self.records.expire_receipts(now, STEPS_MAX) {
            tracing::error!(%error, "cannot read which receipts are overdue; tried again");
        }
        for _ in 0..=Policy::STEPS_MAX {
            let due = match self.records.steps_due(now, STEPS_MAX) {
                Ok(due) if due.is_empty() => return,
                Ok(due) => due,
                Err(error) => {
                    tracing::error!(%error, "cannot read which alarms wait for a person; tried again");
                    return;
                }
            };
            // What cannot be written now is tried at the next look, not at once.
            if due.iter().filter(|due| !self.run_step(due, now)).count() > 0 {
                return;
            }
        }
    }

    fn run_step(&self, due: &StepDue, now: Time) -> bool {
        let shipped = || self.shipped.iter().find(|policy| policy.priorities.contains(&due.alarm.priority)).cloned();
        let Some(policy) = escalation::policy_of(&self.records, &due.alarm).or_else(shipped) else {
            tracing::error!(alarm = %due.alarm.id, "there is no escalation policy for this alarm");
            return false;
        };
        let pages = escalation::pages(&self.records, &policy, due, now);
        match self.records.run_step(due, &policy, &pages, now) {
            Ok(StepWork::Paged) => Counts::add(&self.counts.rounds, 1),
            Ok(StepWork::PassedOver) => Counts::add(&self.counts.steps_passed_over, 1),
            Ok(StepWork::NotDue) => {}
            Err(error) => {
                tracing::error!(%error, alarm = %due.alarm.id, "cannot page again; tried again");
                return false;
            }
        }
        true
    }

    /// Writes the attempt down, then sends. Not started while the disk does not take it: an attempt nobody can see later did
    /// not happen.
    async fn start(&self, job: PageJob, place: Place, sending: &mut JoinSet<()>) {
        let pager = self.clone();
        let page = job.page;
        let begun = tokio::task::spawn_blocking(move || pager.records.start_attempt(page, pager.clock.now())).await;
        match begun {
            Ok(Ok(Some(attempt))) => {
                let pager = self.clone();
                sending.spawn(async move {
                    pager.send(attempt, job).await;
                    drop(place);
                });
            }
            // Accepted or resolved in the meantime.
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::error!(%error, page = page.0, "cannot write the attempt down; tried again"),
            Err(error) => tracing::error!(%error, page = page.0, "writing the attempt ended badly; tried again"),
        }
    }

    async fn send(&self, attempt: i64, job: PageJob) {
        let message = self.message(&job).await;
        let to = recipient(&job);
        let sent = self.channels.send(&job.channel, &to, &message, self.clock.now()).await;
        let (result, detail, due) = self.outcome(&job, sent);
        let pager = self.clone();
        let page = job.page;
        let written =
            tokio::task::spawn_blocking(move || pager.write_down(Unsaved { attempt, page, result, detail, due })).await;
        if let Err(error) = written {
            tracing::error!(%error, page = page.0, "writing the result of a page ended badly");
        }
    }

    async fn message(&self, job: &PageJob) -> Message {
        let (code, tap_url) = self.ways_to_answer(job).await;
        let (kind, title_zh, title_en) = job.alarm.named_to(job.person_role);
        Message {
            page: job.page,
            alarm: job.alarm.id,
            attempt: job.attempts + 1,
            priority: job.alarm.priority,
            kind: kind.to_owned(),
            title_zh: title_zh.to_owned(),
            title_en: title_en.to_owned(),
            elder: job.alarm.elder_name.as_deref().map(model::mask::name).unwrap_or_default(),
            at: job.alarm.started_at,
            ack_url: format!("{}/phone/pages/{}", self.public_url, job.page),
            code,
            tap_url,
            test: false,
        }
    }

    /// The digits and the link by which the page can be answered. Without them it goes out all the same.
    async fn ways_to_answer(&self, job: &PageJob) -> (Option<String>, Option<String>) {
        let (pager, page) = (self.clone(), job.page);
        let made = tokio::task::spawn_blocking(move || {
            let until = pager.clock.now() + LINK_LASTS;
            Ok::<_, store::records::Error>((pager.records.page_code(page)?, pager.records.link_token(page, until)?))
        });
        match made.await {
            Ok(Ok((code, token))) => (Some(code), Some(format!("{}/a/{token}", self.public_url))),
            Ok(Err(error)) => {
                tracing::error!(%error, page = page.0, "no code for a page; sent without");
                (None, None)
            }
            Err(error) => {
                tracing::error!(%error, page = page.0, "making a code ended badly; sent without");
                (None, None)
            }
        }
    }

    /// What an attempt's fate means for the page, and when the next attempt is due.
    fn outcome(&self, job: &PageJob, sent: Sent) -> (SendResult, String, Option<Time>) {
        let attempts = job.attempts + 1;
        let urgent = job.has_next && job.alarm.priority == Priority::P1;
        let waits = |after: Option<Duration>| after.is_some_and(|after| after > WAIT_WITH_NEXT);
        let last = attempts >= if urgent { ATTEMPTS_WITH_NEXT } else { ATTEMPTS_MAX }
            || (urgent && matches!(sent.fate, Fate::Retry { after } if waits(after)));
        match sent.fate {
            Fate::Accepted => {
                Counts::add(&self.counts.pages_accepted, 1);
                (SendResult::Accepted { provider_ref: sent.provider_ref }, sent.detail, None)
            }
            Fate::Retry { .. } | Fate::InDoubt if last => {
                Counts::add(&self.counts.pages_refused, 1);
                (SendResult::RefusedConfig, format!("{}; given up after {attempts} attempts", sent.detail), None)
            }
            Fate::Retry { after } => {
                Counts::add(&self.counts.pages_retried, 1);
                let own = pause(job.alarm.priority, job.page, attempts);
                let after = after.map_or(own, |after| after.max(PAUSE_LEAST));
                (SendResult::Retry { after }, sent.detail, Some(self.clock.now() + after))
            }
            Fate::InDoubt => {
                Counts::add(&self.counts.pages_in_doubt, 1);
                let due = self.clock.now() + pause(job.alarm.priority, job.page, attempts);
                (SendResult::InDoubt, sent.detail, Some(due))
            }
            Fate::RefusedPerson { .. } => {
                Counts::add(&self.counts.pages_refused, 1);
                (SendResult::RefusedPerson, sent.detail, None)
            }
            Fate::Misconfigured => {
                Counts::add(&self.counts.pages_refused, 1);
                (SendResult::RefusedConfig, sent.detail, None)
            }
        }
    }

    fn write_down(&self, one: Unsaved) {
        match self.records.finish_attempt(one.attempt, &one.result, &one.detail, one.due) {
            // Not found: it was finished already.
            Ok(()) | Err(store::records::Error::NotFound(_)) => {}
            Err(error) => {
                // A page that stays "sending" would keep every later one to this person by this channel back.
                tracing::error!(%error, page = one.page.0, "cannot write the result of a page down; tried again");
                self.unsaved().push(one);
                Counts::add(&self.counts.pages_unsaved, 1);
            }
        }
    }

    fn unsaved(&self) -> MutexGuard<'_, Vec<Unsaved>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save_unsaved(&self) {
        let waiting = std::mem::take(&mut *self.unsaved());
        self.counts.pages_unsaved.fetch_sub(waiting.len() as u64, Ordering::Relaxed);
        for one in waiting {
            self.write_down(one);
        }
    }
}

fn recipient(job: &PageJob) -> Recipient {
    Recipient { person: job.person, phone: job.person_phone.clone(), address: None, language: job.language.clone() }
}

/// Pause before the attempt after `attempts`, with jitter: pages differ, and a replayed test does not.
fn pause(priority: Priority, page: PageId, attempts: u32) -> Duration {
    let most = if priority == Priority::P1 { PAUSE_MOST_P1 } else { PAUSE_MOST };
    let doubled = PAUSE_LEAST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    let mut random = SmallRng::seed_from_u64(page.0 ^ (u64::from(attempts) << 48));
    doubled.min(most).mul_f64(random.random_range(1.0 - JITTER..1.0 + JITTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for attempts in 1..40 {
            let urgent = pause(Priority::P1, PageId(7), attempts);
            assert!(urgent >= PAUSE_LEAST.mul_f64(0.79) && urgent <= PAUSE_MOST_P1.mul_f64(1.21), "{urgent:?}");
        }
        assert!(pause(Priority::P2, PageId(7), 9) > PAUSE_MOST_P1);
    }
}
