//! Alarms, their events and pages as readers see them: joined with names, ready for JSON.
//!
//! Names, addresses and phone numbers are complete here; who may see them is decided (and masked) by the console.

use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::people::{Role, Sex};
use model::{AlarmId, AlarmKind, Condition, ElderId, Handling, Outcome, PageId, PersonId, Priority, Time};
use rusqlite::Row;
use serde::Serialize;

use super::error::{Error, Result};
use super::progress::Progress;

/// Somebody or something with a number and a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    pub id: u32,
    pub name: String,
}

/// Who accepted a page of the alarm, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    pub id: PersonId,
    pub name: String,
    pub at: Time,
}

/// One alarm with everything a list shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmView {
    pub id: AlarmId,
    /// `None`: the alarm is about a device nobody wears.
    pub elder_id: Option<ElderId>,
    pub elder_name: Option<String>,
    pub elder_sex: Option<Sex>,
    /// Whole years, today in Asia/Shanghai.
    pub elder_age: Option<u32>,
    pub address: Option<String>,
    /// Name of the device, when only one can have caused it.
    pub device: Option<String>,
    pub team: Option<Named>,
    pub priority: Priority,
    pub condition: Condition,
    pub handling: Handling,
    pub rule: String,
    pub rule_zh: String,
    pub rule_en: String,
    pub rules_version: u32,
    pub latching: bool,
    pub kind: AlarmKind,
    /// Event time at which the condition began.
    pub started_at: Time,
    /// Event time at which the rule's hold time was over.
    pub raised_at: Time,
    /// When the log entry that raised it was received.
    pub received_at: Time,
    pub updated_at: Time,
    pub late: bool,
    /// When a gateway sounded it at the elder's place, because it could not reach the server. The first time.
    pub sounded_at: Option<Time>,
    /// False: it tried, and the siren or whatever it has did not work.
    pub sounded_ok: Option<bool>,
    pub repeats: u32,
    pub claimed_by: Option<Named>,
    pub claim_until: Option<Time>,
    pub accepted_by: Option<Accepted>,
    pub outcome: Option<Outcome>,
    pub outcome_note: Option<String>,
    pub resolved_by: Option<Named>,
    pub resolved_at: Option<Time>,
    /// When somebody will be paged again unless a person takes it.
    pub page_due_at: Option<Time>,
    /// State of the newest page.
    pub page_state: Option<PageState>,
    /// Number of the newest event.
    pub seq: i64,
    /// The version of the escalation policy it opened under. `None`: it pages nobody, or it is older than policies.
    pub policy_version: Option<u32>,
    /// Place in the policy of the step that began last, from 0.
    pub step: u32,
    /// The step that is due at `page_due_at`.
    pub next_step: u32,
    /// The highest step that ever began. Never falls.
    pub level: u32,
    /// Where the handling stands: hand-over, parking, arrival, incident.
    pub progress: Progress,
}

/// One line of an alarm's history, as the console's stream sends it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmEventView {
    pub seq: i64,
    pub kind: AlarmEventKind,
    /// When it happened: event time for the data, wall clock for people.
    pub at: Time,
    /// When it was written.
    pub recorded_at: Time,
    pub by: Option<Named>,
    /// A JSON object (`kind`, `priority`, `outcome`, `note`, `reason`, `channel`, `cause`), or null.
    pub detail: serde_json::Value,
    /// As it is now, not as it was then.
    pub alarm: AlarmView,
}

/// One page with its attempts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PageView {
    pub id: PageId,
    pub alarm: AlarmId,
    pub person: Named,
    pub channel: String,
    pub state: PageState,
    /// 0 for the pages written with the alarm, one more for every repeat.
    pub round: u32,
    pub queued_at: Time,
    /// When it is to be sent; of a page that the provider has: when its receipt must be here.
    pub due_at: Option<Time>,
    pub updated_at: Time,
    pub attempts: Vec<AttemptView>,
    /// The step of the policy that paged.
    pub step: u32,
    /// Channels for this person after this one.
    pub chain: Vec<String>,
    /// Who is paged instead when the chain is at its end, or the person cannot.
    pub reserve: Vec<PersonId>,
    /// Another page has taken the chain over: by the next channel, or to the next person.
    pub passed_on: bool,
}

/// One attempt to send a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    pub at: Time,
    pub finished_at: Option<Time>,
    /// `sending`, `accepted`, `retry`, `refused_person`, `refused_config`, `in_doubt`.
    pub result: String,
    pub detail: String,
}

/// An alarm with its whole history.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlarmDetail {
    pub view: AlarmView,
    /// Oldest first. Their `alarm` is the same as `view`.
    pub events: Vec<AlarmEventView>,
    pub pages: Vec<PageView>,
}

/// Columns of an [`AlarmView`], in the order [`AlarmView::read`] wants them; those of [`Progress`] go by their names.
pub(super) const ALARM_COLUMNS: &str = "\
    a.id, a.subject, a.elder, e.name, e.sex, e.birth_date, e.address, d.name, t.id, t.name, \
    a.priority, a.condition, a.handling, a.rule, a.rule_zh, a.rule_en, a.rules_version, a.latching, a.kind, \
    a.started_at, a.raised_at, a.received_at, a.updated_at, a.late, a.repeats, \
    a.claimed_by, c.name, a.claim_until, a.accepted_by, x.name, a.accepted_at, \
    a.outcome, a.outcome_note, a.resolved_by, r.name, a.resolved_at, a.page_due_at, \
    (SELECT g.state FROM page g WHERE g.alarm = a.id ORDER BY g.id DESC LIMIT 1), a.last_event, a.sounded_at, a.sounded_ok, \
    a.policy_version, a.step, a.next_step, a.level, \
    a.offered_to AS p_offered_to, o.name AS p_offered_name, a.offer_until AS p_offer_until, a.wake_at AS p_wake_at, \
    a.park_reason AS p_park_reason, k.name AS p_parked_by, a.dispatched_to AS p_sent_to, s.name AS p_sent_name, \
    a.dispatched_words AS p_sent_words, a.dispatched_at AS p_sent_at, a.arrive_by AS p_arrive_by, \
    a.arrived_at AS p_arrived_at, a.outcome_by AS p_outcome_by, a.overdue AS p_overdue, a.reopen_at AS p_reopen_at, \
    a.incident AS p_incident, a.gateway AS p_gateway";
/// How many there are: columns of a joined table start here.
pub(super) const ALARM_COLUMNS_COUNT: usize = 62;

/// The joins they need; `a` must be in the query already.
pub(super) const ALARM_JOINS: &str = "\
    LEFT JOIN elder e ON e.id = a.elder LEFT JOIN device d ON d.id = a.device LEFT JOIN team t ON t.id = e.team \
    LEFT JOIN person c ON c.id = a.claimed_by LEFT JOIN person x ON x.id = a.accepted_by \
    LEFT JOIN person r ON r.id = a.resolved_by LEFT JOIN person o ON o.id = a.offered_to \
    LEFT JOIN person k ON k.id = a.parked_by LEFT JOIN person s ON s.id = a.dispatched_to";

impl AlarmView {
    pub(super) fn read(row: &Row<'_>, now: Time) -> Result<Self> {
        let named = |id: usize, name: usize| -> Result<Option<Named>> {
            let (id, name): (Option<u32>, Option<String>) = (row.get(id)?, row.get(name)?);
            Ok(id.map(|id| Named { id, name: name.unwrap_or_default() }))
        };
        let birth_date: Option<String> = row.get(5)?;
        let sex: Option<String> = row.get(4)?;
        let outcome: Option<String> = row.get(31)?;
        let page_state: Option<String> = row.get(37)?;
        let accepted = named(28, 29)?;
        Ok(Self {
            id: AlarmId(row.get::<_, i64>(0)? as u64),
            elder_id: row.get::<_, Option<u32>>(2)?.map(ElderId),
            elder_name: row.get(3)?,
            elder_sex: sex.map(|sex| word("sex", Sex::parse, sex)).transpose()?,
            elder_age: birth_date.as_deref().and_then(|date| age(date, now)),
            address: row.get(6)?,
            device: row.get(7)?,
            team: named(8, 9)?,
            priority: word("priority", Priority::parse, row.get(10)?)?,
            condition: word("condition", Condition::parse, row.get(11)?)?,
            handling: word("handling", Handling::parse, row.get(12)?)?,
            rule: row.get(13)?,
            rule_zh: row.get(14)?,
            rule_en: row.get(15)?,
            rules_version: row.get(16)?,
            latching: row.get(17)?,
            kind: json("alarm kind", row.get(18)?)?,
            started_at: Time(row.get(19)?),
            raised_at: Time(row.get(20)?),
            received_at: Time(row.get(21)?),
            updated_at: Time(row.get(22)?),
            late: row.get(23)?,
            sounded_at: row.get::<_, Option<i64>>(39)?.map(Time),
            sounded_ok: row.get(40)?,
            repeats: row.get(24)?,
            claimed_by: named(25, 26)?,
            claim_until: row.get::<_, Option<i64>>(27)?.map(Time),
            accepted_by: match (accepted, row.get::<_, Option<i64>>(30)?) {
                (Some(who), Some(at)) => Some(Accepted { id: PersonId(who.id), name: who.name, at: Time(at) }),
                _ => None,
            },
            outcome: outcome.map(|outcome| word("outcome", Outcome::parse, outcome)).transpose()?,
            outcome_note: row.get(32)?,
            resolved_by: named(33, 34)?,
            resolved_at: row.get::<_, Option<i64>>(35)?.map(Time),
            page_due_at: row.get::<_, Option<i64>>(36)?.map(Time),
            page_state: page_state.map(|state| word("page state", PageState::parse, state)).transpose()?,
            seq: row.get(38)?,
            policy_version: row.get(41)?,
            step: row.get(42)?,
            next_step: row.get(43)?,
            level: row.get(44)?,
            progress: Progress::read(row)?,
        })
    }

    /// Nobody has to do anything for it any more.
    pub fn is_done(&self) -> bool {
        matches!(self.handling, Handling::Resolved | Handling::Closed | Handling::Void)
    }

    /// Somebody needs help, as a person or a device said so: SOS, fall, an alarm without a name.
    pub fn calls_for_help(&self) -> bool {
        matches!(self.kind, AlarmKind::Event { kind } if kind.calls_for_help())
    }

    /// What the alarm is called to somebody of this role: its rule, in Chinese and in English. Who only goes there hears that
    /// somebody called for help, or that it is about health; what was measured is the clinic's business.
    pub fn named_to(&self, role: Role) -> (&str, &str, &str) {
        if role == Role::Responder && !self.calls_for_help() {
            return Self::UNNAMED;
        }
        (&self.rule, &self.rule_zh, &self.rule_en)
    }

    /// As [`AlarmView::named_to`], for whoever may not know more.
    pub const UNNAMED: (&str, &str, &str) = ("health", "健康告警", "Health alarm");

    /// Found in old data, to be looked at: it pages nobody. A call for help and what a gateway sounded do, however
    /// late.
    pub(super) fn is_review(&self) -> bool {
        self.late && self.sounded_at.is_none() && !self.calls_for_help()
    }

    /// Goes away by itself when the condition does, unless a person has it. What was found in late data is over before
    /// anybody could see it: it waits for a person.
    pub(super) fn clears_itself(&self) -> bool {
        !self.latching && !self.late && matches!(self.priority, Priority::P3 | Priority::T)
    }
}

/// A stored word back as its type.
pub(super) fn word<T>(what: &'static str, parse: impl FnOnce(&str) -> Option<T>, value: String) -> Result<T> {
    parse(&value).ok_or(Error::Corrupt { what, value })
}

/// Stored JSON back as its type.
pub(super) fn json<T: serde::de::DeserializeOwned>(what: &'static str, value: String) -> Result<T> {
    serde_json::from_str(&value).map_err(|_| Error::Corrupt { what, value })
}

/// Whole years from a birth date `YYYY-MM-DD` to the day it is at `now` in Asia/Shanghai.
pub(super) fn age(birth_date: &str, now: Time) -> Option<u32> {
    let mut parts = birth_date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let (this_year, this_month, this_day) = shanghai_date(now);
    let not_yet = i64::from((this_month, this_day) < (month, day));
    u32::try_from(this_year - year - not_yet).ok()
}

/// Year, month and day in Asia/Shanghai (UTC+8, no daylight saving), by Hinnant's `civil_from_days`.
pub(super) fn shanghai_date(at: Time) -> (i64, i64, i64) {
    let days = (at.secs() + 8 * 3_600).div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A date `YYYY-MM-DD` that exists.
pub(super) fn is_date(text: &str) -> bool {
    text.len() == 10 && Time::parse(&format!("{text}T00:00:00Z")).is_some()
}
