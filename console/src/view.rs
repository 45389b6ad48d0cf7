//! What of an alarm and an elder goes to the browser: names masked in lists, the words in both languages.

use std::borrow::Cow;

use model::alarm::AlarmEventKind;
use model::people::Sex;
use model::{AlarmId, AlarmKind, Condition, ElderId, Handling, Outcome, PersonId, Priority, Time, mask};
use serde::Serialize;
use serde_json::{Value, json};
use store::records::{Accepted, AlarmEventView, AlarmView, Elder, Named, Progress};

use crate::access::Sight;

/// Stands for a text the role may not see.
const HIDDEN: &str = "***";

/// One alarm as lists and the stream show it.
#[derive(Debug, Serialize)]
pub(crate) struct Alarm<'a> {
    id: AlarmId,
    elder: Option<AlarmElder<'a>>,
    device: Option<&'a str>,
    team: Option<&'a Named>,
    priority: Priority,
    condition: Condition,
    handling: Handling,
    rule: &'a str,
    title_zh: &'a str,
    title_en: &'a str,
    /// `None`: not for this role.
    kind: Option<&'a AlarmKind>,
    started_at: Time,
    raised_at: Time,
    updated_at: Time,
    late: bool,
    sounded_at: Option<Time>,
    sounded_ok: Option<bool>,
    repeats: u32,
    claimed_by: Option<&'a Named>,
    claim_until: Option<Time>,
    accepted_by: Option<&'a Accepted>,
    outcome: Option<Outcome>,
    page_state: Option<model::page::PageState>,
    /// The step of the policy that began last, and the highest that ever did: from 1. `None`: it pages nobody.
    step: Option<u32>,
    level: Option<u32>,
    /// When the next step begins.
    next_due: Option<Time>,
    #[serde(flatten)]
    progress: Cow<'a, Progress>,
    /// Alarms of one cause have the same; in a storm screens show them as one. `None`: always by itself.
    group: Option<String>,
    seq: i64,
}

#[derive(Debug, Serialize)]
struct AlarmElder<'a> {
    id: ElderId,
    name_masked: String,
    age: Option<u32>,
    sex: Sex,
    address: &'a str,
}

impl<'a> Alarm<'a> {
    pub(crate) fn new(view: &'a AlarmView, sight: Sight) -> Self {
        // What an SOS or a fall is, everybody who goes there must know; what was measured is the clinic's business.
        let named = sight != Sight::Visit || view.calls_for_help();
        let (_, title_zh, title_en) =
            if named { (&*view.rule, &*view.rule_zh, &*view.rule_en) } else { AlarmView::UNNAMED };
        Self {
            id: view.id,
            elder: view.elder_id.map(|id| AlarmElder {
                id,
                name_masked: mask::name(view.elder_name.as_deref().unwrap_or_default()),
                age: view.elder_age,
                sex: view.elder_sex.unwrap_or(Sex::Unknown),
                address: match sight {
                    Sight::Clear | Sight::Visit => view.address.as_deref().unwrap_or_default(),
                    Sight::Masked => HIDDEN,
                },
            }),
            device: view.device.as_deref(),
            team: view.team.as_ref(),
            priority: view.priority,
            condition: view.condition,
            handling: view.handling,
            rule: if named { &view.rule } else { HIDDEN },
            title_zh,
            title_en,
            kind: named.then_some(&view.kind),
            started_at: view.started_at,
            raised_at: view.raised_at,
            updated_at: view.updated_at,
            late: view.late,
            sounded_at: view.sounded_at,
            sounded_ok: view.sounded_ok,
            repeats: view.repeats,
            claimed_by: view.claimed_by.as_ref(),
            claim_until: view.claim_until,
            accepted_by: view.accepted_by.as_ref(),
            outcome: view.outcome,
            page_state: view.page_state,
            step: view.policy_version.map(|_| view.step + 1),
            level: view.policy_version.map(|_| view.level + 1),
            next_due: view.page_due_at,
            progress: progress(&view.progress, sight),
            group: if named { view.group() } else { None },
            seq: view.seq,
        }
    }
}

impl Alarm<'_> {
    /// Whether a text in lower case is part of a name, an address, a device or a title that is shown.
    pub(crate) fn mentions(&self, text: &str) -> bool {
        let elder = self.elder.as_ref();
        [
            elder.map(|elder| elder.name_masked.as_str()),
            elder.map(|elder| elder.address).filter(|address| *address != HIDDEN),
            self.device,
            Some(self.title_zh),
            Some(self.title_en),
            self.claimed_by.map(|named| named.name.as_str()),
        ]
        .into_iter()
        .flatten()
        .any(|shown| shown.to_lowercase().contains(text))
    }
}

/// Without the words that somebody typed, where there is no place for them.
fn progress(progress: &Progress, sight: Sight) -> Cow<'_, Progress> {
    if sight == Sight::Clear {
        return Cow::Borrowed(progress);
    }
    let mut shown = progress.clone();
    if let Some(parked) = &mut shown.parked {
        HIDDEN.clone_into(&mut parked.reason);
    }
    if let Some(sent) = &mut shown.sent
        && !sent.words.is_empty()
    {
        HIDDEN.clone_into(&mut sent.words);
    }
    Cow::Owned(shown)
}

/// One event as the stream sends it.
#[derive(Debug, Serialize)]
pub(crate) struct StreamEvent<'a> {
    seq: i64,
    kind: AlarmEventKind,
    at: Time,
    by: Option<&'a str>,
    alarm: Alarm<'a>,
}

impl<'a> StreamEvent<'a> {
    pub(crate) fn new(event: &'a AlarmEventView, sight: Sight) -> Self {
        Self {
            seq: event.seq,
            kind: event.kind,
            at: event.at,
            by: name_of(event.by.as_ref()),
            alarm: Alarm::new(&event.alarm, sight),
        }
    }
}

/// One line of an alarm's history.
pub(crate) fn event(event: &AlarmEventView, sight: Sight) -> Value {
    // The detail may hold a note somebody typed; neither a masked view nor a visitor's has a place for that.
    let detail = if sight == Sight::Clear { event.detail.clone() } else { Value::Null };
    json!({
        "seq": event.seq, "kind": event.kind, "kind_zh": event.kind.zh(), "kind_en": event.kind.en(),
        "at": event.at, "by": name_of(event.by.as_ref()), "detail": detail,
    })
}

/// An elder's card.
pub(crate) fn elder(elder: &Elder, sight: Sight) -> Value {
    let clear = sight == Sight::Clear;
    let reachable = clear || sight == Sight::Visit;
    json!({
        "id": elder.id,
        "name": if reachable { elder.name.clone() } else { mask::name(&elder.name) },
        "phone": reachable.then_some(elder.phone.as_str()),
        "age": elder.age,
        "sex": elder.sex,
        "birth_date": elder.birth_date.as_deref().filter(|_| clear),
        "address": if reachable { elder.address.as_str() } else { HIDDEN },
        "notes": clear.then_some(elder.notes.as_str()),
        "team": elder.team,
    })
}

pub(crate) fn name_of(named: Option<&Named>) -> Option<&str> {
    named.map(|named| named.name.as_str())
}

/// Who did something, when only the number is known.
pub(crate) fn person_name(records: &store::records::Records, id: Option<PersonId>) -> Option<String> {
    records.person(id?).ok().flatten().map(|person| person.name)
}
