//! Applies what the engine found: alarm, history and pages in one transaction with the cursor of the log. A replay of
//! the same log, from any earlier cursor, changes nothing.

use model::alarm::{AlarmEventKind, Change, Transition};
use model::rule::{Level, Test};
use model::{AlarmId, AlarmKind, Condition, DeviceId, Handling, Priority, Seq, Subject, Time};
use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::alarms::NewEvent;
use super::chain::Place;
use super::error::Result;
use super::pages::NewPage;
use super::view::AlarmView;
use super::{Records, Tx, episodes, rows};

/// Name of the alerting cursor.
const CURSOR: &str = "alerting";
/// A change older than this when it was received is history, not news (the engine's late limit), in µs.
const LATE_US: i64 = 10 * 60_000_000;

/// What [`Records::apply`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Numbers of the new alarm events, in order.
    pub events: Vec<i64>,
    /// Pages queued.
    pub pages: usize,
}

/// Whom to page for a new, worsened or reopened alarm. Called inside the transaction: it may read [`Records`], but a
/// write from it would wait for itself for ever.
pub(super) type Plan<'a> = &'a dyn Fn(&AlarmView) -> Vec<NewPage>;

impl Records {
    /// Position in the journal up to which alarms are complete.
    pub fn alerting_cursor(&self) -> Result<Seq> {
        self.read(|conn| {
            let seq: Option<i64> =
                conn.query_row("SELECT seq FROM cursor WHERE name = ?1", [CURSOR], |row| row.get(0)).optional()?;
            Ok(Seq(seq.unwrap_or(0) as u64))
        })
    }

    /// Applies the transitions of the log up to `cursor`, all or nothing. A batch whose `cursor` is not beyond the
    /// stored one was applied before and is ignored whole; so is a single transition that is recorded already.
    ///
    /// `plan` names the people to page at once for a raised, worsened or reopened alarm. It is not asked for late
    /// alarms (review items), unless somebody pressed for help.
    pub fn apply(
        &self,
        transitions: &[Transition],
        cursor: Seq,
        now: Time,
        plan: &dyn Fn(&AlarmView) -> Vec<NewPage>,
    ) -> Result<Applied> {
        self.write(|tx| {
            tx.now = now;
            let moved = tx
                .prepare_cached(
                    "INSERT INTO cursor (name, seq) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq \
                     WHERE cursor.seq < excluded.seq",
                )?
                .execute(params![CURSOR, cursor.0 as i64])?;
            if moved == 0 {
                return Ok(Applied::default());
            }
            let before = tx.next_free("alarm_event")?;
            let mut pages = 0;
            for transition in transitions {
                pages += apply_one(tx, transition, plan)?;
            }
            let events = (before..tx.next_free("alarm_event")?).collect();
            Ok(Applied { events, pages })
        })
    }
}

impl Tx<'_> {
    fn next_free(&self, table: &str) -> Result<i64> {
        Ok(super::counter_value(self, table)? + 1)
    }
}

fn apply_one(tx: &mut Tx<'_>, transition: &Transition, plan: Plan<'_>) -> Result<usize> {
    let key = change_key(transition);
    if tx.prepare_cached("SELECT 1 FROM alarm_event WHERE change_key = ?1")?.exists([&key])? {
        return Ok(0);
    }
    if let Change::Raised { priority, kind, started_at, late } = transition.change {
        return raise(tx, transition, &key, Raise { priority, kind, started_at, late }, plan);
    }
    // The engine names episodes; a later one may belong to an alarm that was there.
    let transition = &episodes::of_its_alarm(tx, transition)?;
    let Some(view) = tx.alarm(transition.alarm)? else {
        return unrecorded(tx, transition, &key, plan);
    };
    if let Change::Sounded { priority, by, ok } = &transition.change {
        return sounded(tx, &view, transition, &key, (*priority, by.as_str(), *ok), plan);
    }
    let (kind, detail) = match &transition.change {
        Change::Cancelled => (AlarmEventKind::Cancelled, serde_json::Value::Null),
        Change::RemeasureAsked { kind, due } => (AlarmEventKind::RemeasureAsked, json!({ "kind": kind, "due": due })),
        Change::Worsened { priority, kind } => {
            (AlarmEventKind::Worsened, json!({ "priority": priority, "kind": kind }))
        }
        Change::Repeated { kind } => (AlarmEventKind::Repeated, json!({ "kind": kind })),
        Change::Cleared => (AlarmEventKind::Cleared, serde_json::Value::Null),
        Change::DataLost => (AlarmEventKind::DataLost, serde_json::Value::Null),
        Change::Raised { .. } | Change::StillPresent | Change::Sounded { .. } => {
            (AlarmEventKind::Present, serde_json::Value::Null)
        }
    };
    let (alarm, at) = (transition.alarm, transition.at);
    tx.write_event(&NewEvent { alarm, kind, at, by: None, detail, change_key: Some(&key) })?;
    match &transition.change {
        Change::Worsened { priority, kind } => super::worse::worsen(tx, &view, transition, *priority, kind, plan),
        Change::Repeated { .. } => {
            tx.prepare_cached("UPDATE alarm SET repeats = repeats + 1 WHERE id = ?1")?.execute([alarm.0 as i64])?;
            let told = super::called::again(tx, &view, at)?;
            // An old press that comes late is history, unless somebody asked for help.
            let reopen = view.is_done() && (is_news(transition) || view.calls_for_help());
            Ok(told + wake(tx, &view, transition, reopen, plan)?)
        }
        Change::Cleared => {
            set_condition(tx, alarm, Condition::Cleared)?;
            settle(tx, alarm)?;
            Ok(0)
        }
        Change::DataLost => {
            set_condition(tx, alarm, Condition::Unknown)?;
            Ok(0)
        }
        Change::Cancelled | Change::Sounded { .. } | Change::RemeasureAsked { .. } => Ok(0),
        Change::Raised { .. } | Change::StillPresent => {
            set_condition(tx, alarm, Condition::Present)?;
            // Handled, then nothing was heard, and now the values are back and no better.
            wake(tx, &view, transition, view.is_done() && is_news(transition), plan)
        }
    }
}

/// A change of an alarm that is not recorded: the engine's state was lost with the beginning of the log, and it gave an
/// episode that began before another name. Rather a second alarm about one condition than none about a worse one.
fn unrecorded(tx: &mut Tx<'_>, transition: &Transition, key: &str, plan: Plan<'_>) -> Result<usize> {
    tracing::warn!(alarm = %transition.alarm, rule = transition.rule, "a change of an alarm that is not recorded");
    let (priority, kind) = match transition.change {
        Change::Worsened { priority, kind } => (priority, kind),
        Change::Repeated { kind } => (repeated_priority(tx, transition, &kind)?, kind),
        // Of what a gateway sounded the log says itself that it is raised, before this.
        Change::Raised { .. }
        | Change::Cleared
        | Change::DataLost
        | Change::StillPresent
        | Change::Sounded { .. }
        | Change::Cancelled
        | Change::RemeasureAsked { .. } => return Ok(0),
    };
    let raised = Raise { priority, kind, started_at: transition.at, late: !is_news(transition) };
    raise(tx, transition, key, raised, plan)
}

/// The priority of the level or event that a repetition is about; P1 when the rule is not known any more.
fn repeated_priority(tx: &Tx<'_>, transition: &Transition, kind: &AlarmKind) -> Result<Priority> {
    let rule = super::rules::rule_of_version(tx, transition.rules_version, &transition.rule)?;
    Ok(match (rule.map(|rule| rule.test), kind) {
        (Some(Test::Event(test)), _) => test.priority,
        (Some(Test::Silence(test)), _) => test.priority,
        (Some(Test::Trend(test)), _) => test.priority,
        (Some(Test::Count(test)), _) => test.priority,
        (Some(Test::Score(test)), AlarmKind::Score { at_least, .. }) => {
            let level = test.levels.iter().find(|level| level.at_least == *at_least);
            level.map_or(test.single_three.unwrap_or(Priority::P1), |level| level.priority)
        }
        (Some(Test::Threshold(test)), AlarmKind::Threshold { limit, .. }) => {
            let same = |level: &&Level| (level.limit - limit).abs() < f64::EPSILON;
            test.levels.iter().find(same).map_or(Priority::P1, |level| level.priority)
        }
        _ => Priority::P1,
    })
}

/// Names one change of one alarm, the same at every replay.
fn change_key(transition: &Transition) -> String {
    let Transition { alarm, at, .. } = transition;
    match &transition.change {
        // An alarm is raised once, whatever else differs.
        Change::Raised { .. } => format!("{alarm}/raised"),
        Change::Worsened { priority, .. } => format!("{alarm}/worsened/{}/{}", priority.slug(), at.0),
        Change::Repeated { .. } => format!("{alarm}/repeated/{}", at.0),
        Change::Cleared => format!("{alarm}/cleared/{}", at.0),
        Change::DataLost => format!("{alarm}/data_lost/{}", at.0),
        Change::StillPresent => format!("{alarm}/present/{}", at.0),
        Change::Sounded { by, ok, .. } => format!("{alarm}/sounded/{by}/{ok}/{}", at.0),
        Change::Cancelled => format!("{alarm}/cancelled/{}", at.0),
        Change::RemeasureAsked { .. } => format!("{alarm}/remeasure/{}", at.0),
    }
}

#[derive(Clone, Copy)]
pub(super) struct Raise {
    pub(super) priority: Priority,
    pub(super) kind: AlarmKind,
    pub(super) started_at: Time,
    pub(super) late: bool,
}

fn raise(tx: &mut Tx<'_>, transition: &Transition, key: &str, raise: Raise, plan: Plan<'_>) -> Result<usize> {
    let id = transition.alarm;
    if let Some(view) = episodes::same_alarm(tx, transition, &raise)? {
        return again(tx, &view, transition, key, raise, plan);
    }
    let labels = Labels::of(tx, transition, &raise.kind)?;
    let subject = Subject::from_u32(transition.subject);
    let kind = json!(raise.kind);
    let inserted = tx
        .prepare_cached(
            "INSERT INTO alarm (id, subject, elder, device, rule, rule_zh, rule_en, rules_version, latching, kind, \
             priority, condition, handling, started_at, raised_at, received_at, updated_at, late, repeats, last_event, \
             gateway, unwatched_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'present', 'open', ?12, ?13, ?14, ?15, ?16, 0, 0, \
             ?17, ?18) \
             ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            id.0 as i64,
            transition.subject,
            subject.elder().map(|elder| elder.0),
            device_of(tx, subject)?.map(|device| device.0),
            transition.rule,
            labels.zh,
            labels.en,
            transition.rules_version,
            labels.latching,
            kind.to_string(),
            raise.priority.slug(),
            raise.started_at.0,
            transition.at.0,
            transition.received_at.0,
            tx.now.0,
            raise.late,
            super::incidents::gateway_of(tx, subject)?.map(|gateway| gateway.0),
            super::risk::first_look(tx, subject, &raise).map(Time::micros)
        ])?;
    if inserted == 0 {
        return Ok(0);
    }
    let detail = json!({ "priority": raise.priority, "kind": kind });
    let event = AlarmEventKind::Raised;
    tx.write_event(&NewEvent { alarm: id, kind: event, at: transition.at, by: None, detail, change_key: Some(key) })?;
    page_people(tx, id, plan)
}

/// The same condition of the same elder again: the alarm that is there counts up, or opens again. People are paged when it got
/// more urgent or had been finished.
fn again(
    tx: &mut Tx<'_>,
    view: &AlarmView,
    transition: &Transition,
    key: &str,
    raise: Raise,
    plan: Plan<'_>,
) -> Result<usize> {
    episodes::join(tx, view.id, transition.alarm, raise.started_at)?;
    let detail = json!({ "kind": raise.kind, "priority": raise.priority, "episode": transition.alarm });
    let (event, at) = (AlarmEventKind::Repeated, transition.at);
    tx.write_event(&NewEvent { alarm: view.id, kind: event, at, by: None, detail, change_key: Some(key) })?;
    // What stands in the list is the worst, not the newest.
    let kind = if raise.priority <= view.priority { raise.kind } else { view.kind };
    tx.prepare_cached("UPDATE alarm SET repeats = repeats + 1, kind = ?2 WHERE id = ?1")?
        .execute(params![view.id.0 as i64, json!(kind).to_string()])?;
    set_condition(tx, view.id, Condition::Present)?;
    if !raise.late {
        tx.execute("UPDATE alarm SET late = FALSE WHERE id = ?1", [view.id.0 as i64])?;
    }
    let more_urgent = raise.priority < view.priority;
    if more_urgent {
        super::worse::more_urgent_now(tx, view, raise.priority)?;
    }
    if view.is_done() {
        super::reopen::open_again(tx, view, None, json!({ "cause": "present_again" }))?;
    }
    super::risk::look_anew(tx, view, Subject::from_u32(transition.subject), &raise)?;
    if more_urgent || view.is_done() { page_people(tx, view.id, plan) } else { Ok(0) }
}

/// What screens call the alarm, and whether it stays until a person resolves it.
struct Labels {
    zh: String,
    en: String,
    latching: bool,
}

impl Labels {
    fn of(tx: &Tx<'_>, transition: &Transition, kind: &AlarmKind) -> Result<Self> {
        if let Some(rule) = super::rules::rule_of_version(tx, transition.rules_version, &transition.rule)? {
            return Ok(Self { zh: rule.zh, en: rule.en, latching: rule.latching });
        }
        // The rules that judged are not stored here (built-in, or restored backup): the kind still says what it is.
        let (zh, en) = match kind {
            AlarmKind::Threshold { metric, high, .. } => {
                let (zh, en) = if *high { ("偏高", "high") } else { ("偏低", "low") };
                (format!("{}{zh}", metric.info().zh), format!("{} {en}", metric.info().en))
            }
            AlarmKind::Event { kind } => (kind.zh().to_owned(), kind.en().to_owned()),
            AlarmKind::Silence { .. } => ("无数据".to_owned(), "No data".to_owned()),
            AlarmKind::Trend { metric, high, .. } => {
                let (zh, en) = if *high { ("上升", "rising") } else { ("下降", "falling") };
                (format!("{}{zh}", metric.info().zh), format!("{} {en}", metric.info().en))
            }
            AlarmKind::Score { .. } => ("NEWS2 评分".to_owned(), "NEWS2 score".to_owned()),
            AlarmKind::Count { metric, .. } => {
                (format!("{}多次异常", metric.info().zh), format!("{} abnormal several times", metric.info().en))
            }
        };
        let latching = matches!(kind, AlarmKind::Event { kind } if kind.calls_for_help());
        Ok(Self { zh, en, latching })
    }
}

/// The device an alarm is about, when there is no doubt.
fn device_of(tx: &Tx<'_>, subject: Subject) -> Result<Option<DeviceId>> {
    match subject {
        Subject::Unattributed(device) => Ok(Some(device)),
        Subject::Elder(elder) => {
            let mut query =
                tx.prepare_cached("SELECT device FROM binding WHERE elder = ?1 AND bound_until IS NULL LIMIT 2")?;
            let worn = rows(query.query([elder.0])?, |row| Ok(DeviceId(row.get(0)?)))?;
            Ok(if let [only] = worn.as_slice() { Some(*only) } else { None })
        }
    }
}

/// News about an alarm that was history (late) or finished brings it back to people.
pub(super) fn wake(
    tx: &mut Tx<'_>,
    view: &AlarmView,
    transition: &Transition,
    reopen: bool,
    plan: Plan<'_>,
) -> Result<usize> {
    let was_late = view.late && is_news(transition);
    if was_late {
        tx.execute("UPDATE alarm SET late = FALSE WHERE id = ?1", [view.id.0 as i64])?;
    }
    if reopen {
        super::reopen::open_again(tx, view, None, serde_json::Value::Null)?;
    } else {
        super::reopen::look_again(tx, view, transition.at)?;
    }
    // What was found late and then paged (a gateway had sounded it) is not paged again by being news.
    let first = was_late && !is_paged(tx, view)?;
    if first || reopen { page_people(tx, view.id, plan) } else { Ok(0) }
}

/// People were told of this alarm, or will be when its deadline comes.
fn is_paged(tx: &Tx<'_>, view: &AlarmView) -> Result<bool> {
    let sent = tx.prepare_cached("SELECT 1 FROM page WHERE alarm = ?1")?.exists([view.id.0 as i64])?;
    Ok(sent || view.page_due_at.is_some())
}

/// A gateway raised it at the elder's place while it could not reach us. People are paged once: by the data or, when these
/// are old or still on their way, by this word.
fn sounded(
    tx: &mut Tx<'_>,
    view: &AlarmView,
    transition: &Transition,
    key: &str,
    (priority, by, ok): (Priority, &str, bool),
    plan: Plan<'_>,
) -> Result<usize> {
    let (id, at) = (view.id.0 as i64, transition.at);
    let detail = json!({ "by": by, "ok": ok, "priority": priority });
    let kind = AlarmEventKind::Sounded;
    tx.write_event(&NewEvent { alarm: view.id, kind, at, by: None, detail, change_key: Some(key) })?;
    // The first time that it could be heard; if it never could, the first try.
    let known = view.sounded_at.zip(view.sounded_ok);
    if known.is_none_or(|(first, heard)| if ok == heard { at < first } else { ok }) {
        tx.prepare_cached("UPDATE alarm SET sounded_at = ?2, sounded_ok = ?3 WHERE id = ?1")?
            .execute(params![id, at.0, ok])?;
    }
    let worse = priority < view.priority;
    if worse {
        let heard = AlarmView { late: false, ..view.clone() };
        super::worse::more_urgent_now(tx, &heard, priority)?;
    }
    // Somebody dealt with it, and after that it was bad enough to be sounded.
    let after = view.resolved_at.is_none_or(|resolved| resolved < at);
    if view.is_done() {
        return wake(tx, view, transition, after, plan);
    }
    if worse || !is_paged(tx, view)? { page_people(tx, view.id, plan) } else { Ok(0) }
}

/// Begins an alarm's escalation (or again, when it got worse or came back): freezes the policy, queues the pages of its first
/// step and sets the time of the next, all in the transaction of the alarm.
pub(super) fn page_people(tx: &mut Tx<'_>, id: AlarmId, plan: Plan<'_>) -> Result<usize> {
    let Some(view) = tx.alarm(id)? else { return Ok(0) };
    if view.is_review() {
        return Ok(0);
    }
    let at = Place { step: 0, round: None, redial: true };
    if !matches!(view.priority, Priority::P1 | Priority::P2) {
        return Ok(tx.queue_pages(&view, &plan(&view), at)?.pages);
    }
    let policy = tx.open_policy(&view)?;
    let Some(view) = tx.alarm(id)? else { return Ok(0) };
    let first = policy.as_ref().and_then(|policy| policy.steps.first());
    let opens = policy.as_ref().map_or(tx.now, |policy| policy.first_due(tx.now));
    let waits = opens > tx.now || first.is_some_and(|step| !step.holds(view.priority, tx.now));
    // Somebody has it and nothing runs: what became worse is told now, or it would not be told at all.
    if waits && view.handling != Handling::Engaged {
        // Not yet, or not at this time of day: the pager runs it, or passes it over.
        tx.set_page_due(&view, opens)?;
        return Ok(0);
    }
    let queued = tx.queue_pages(&view, &plan(&view), at)?;
    let (next, due) = match (&policy, first) {
        (Some(policy), Some(step)) => policy.after(0, tx.now, tx.now, queued.people == 0 && step.skip_if_empty),
        _ => (0, tx.repeat(view.priority)),
    };
    tx.execute("UPDATE alarm SET next_step = ?2 WHERE id = ?1", params![id.0 as i64, next as u32])?;
    tx.set_page_due(&view, due)?;
    if queued.people == 0 {
        tx.event(id, AlarmEventKind::PageFailed, None, json!({ "cause": "nobody_on_call" }))?;
    }
    Ok(queued.pages)
}

pub(super) fn is_news(transition: &Transition) -> bool {
    transition.received_at.since_us(transition.at) <= LATE_US
}

pub(super) fn set_condition(tx: &mut Tx<'_>, id: AlarmId, condition: Condition) -> Result<()> {
    tx.prepare_cached("UPDATE alarm SET condition = ?2 WHERE id = ?1")?
        .execute(params![id.0 as i64, condition.slug()])?;
    Ok(())
}

/// Closes an alarm for which nothing is left to do: resolved and over, or over and of a kind that clears itself.
pub(super) fn settle(tx: &mut Tx<'_>, id: AlarmId) -> Result<()> {
    let Some(view) = tx.alarm(id)? else { return Ok(()) };
    let over = view.condition == Condition::Cleared;
    let cause = match view.handling {
        // A press of a button is over when a person has dealt with it: nothing will ever clear it.
        Handling::Resolved if over || matches!(view.kind, AlarmKind::Event { .. }) => "resolved",
        Handling::Open | Handling::Parked if over && view.clears_itself() => "self_cleared",
        // Whoever claimed it may have gone home long ago: from now on the claim ends by itself.
        Handling::Claimed if over && view.claim_until.is_none() => {
            let until = tx.lease(view.priority, view.condition);
            tx.execute(
                "UPDATE alarm SET claim_until = ?2 WHERE id = ?1",
                params![id.0 as i64, until.map(Time::micros)],
            )?;
            return Ok(());
        }
        _ => return Ok(()),
    };
    tx.no_deadlines(id)?;
    tx.execute(
        "UPDATE alarm SET handling = 'closed', closed_at = ?2, unwatched_at = NULL WHERE id = ?1",
        params![id.0 as i64, tx.now.0],
    )?;
    tx.supersede_pages(id, None)?;
    tx.event(id, AlarmEventKind::Closed, None, json!({ "cause": cause }))
}
