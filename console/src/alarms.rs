//! Alarms: the dispatcher's list, one alarm with its history, and what people do with it.

use axum::Json;
use axum::extract::State;
use model::policy::NextStep;
use model::{AlarmId, ElderId, Handling, Outcome, Priority, TeamId};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{ActionError, AlarmCounts, AlarmFilter, AlarmView, Class, Records, Storm};

use crate::App;
use crate::access::{Sight, Signed};
use crate::deps::NextPages;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params, Sent};
use crate::pages::is_paged_for;
use crate::refused::refused;
use crate::view::{self, Alarm};

const LIST_DEFAULT: usize = 200;
/// Alarms one list answers at most.
const LIST_MAX: usize = 1_000;
/// Characters of a search text.
const SEARCH_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    state: ListState,
    elder: Option<ElderId>,
    limit: Option<usize>,
    #[serde(default)]
    class: Class,
    /// Also those that a standing incident explains.
    #[serde(default)]
    grouped: bool,
    /// Part of a name, an address, a device, a title or who has it, as the list shows them.
    #[serde(default)]
    q: String,
    /// Priorities with commas between them; all when nothing is said.
    #[serde(default)]
    priority: String,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListState {
    /// What waits for a person or for its condition to clear.
    #[default]
    Open,
    All,
}

/// `GET /api/alarms?state=open|all&class=all|clinical|technical&grouped=false&elder=ID&q=&priority=P1,P2&limit=200`. What an incident
/// explains is left out of the open list, unless asked for or asked by elder.
pub(crate) async fn list(
    State(app): State<App>,
    signed: Signed,
    Params(query): Params<ListQuery>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let search = Search::of(&query)?;
    let found = app.calls.run("alarm list", move || {
        // Before the list: an event in between is in the list and comes again by the stream, never in neither.
        let last_event = *records.watch_alarm_events().borrow();
        let storm = *records.watch_storm().borrow();
        let (alarms, matched) = read_list(&records, &signed, &query, search.as_ref())?;
        let counts = signed.sees_all().then(|| records.alarm_counts()).transpose();
        let counts = counts.map_err(|error| ApiError::internal("alarm list", &error))?;
        let mut list = list_json(&alarms, counts, last_event, storm, signed.sight());
        list["matched"] = json!(matched);
        Ok(list)
    });
    found.await?.map(Json)
}

/// What somebody looks for among the alarms.
struct Search {
    /// In lower case.
    text: String,
    /// Empty: all.
    priorities: Vec<Priority>,
}

impl Search {
    /// `None`: nothing is looked for.
    fn of(query: &ListQuery) -> Answer<Option<Self>> {
        let text = query.q.trim().to_lowercase();
        if text.chars().count() > SEARCH_CHARS_MAX {
            return Err(ApiError::bad_request(
                format!("搜索内容最多 {SEARCH_CHARS_MAX} 个字符。"),
                format!("The search text has at most {SEARCH_CHARS_MAX} characters."),
            ));
        }
        let words = query.priority.split(',').filter(|word| !word.is_empty());
        let priorities: Option<Vec<_>> = words.map(Priority::parse).collect();
        let priorities = priorities.ok_or_else(|| {
            ApiError::bad_request(
                "priority 应为 P1、P2、P3、T,以逗号分隔。",
                "priority is P1, P2, P3 or T, with commas.",
            )
        })?;
        Ok((!text.is_empty() || !priorities.is_empty()).then_some(Self { text, priorities }))
    }

    /// By what this person is shown, so that nobody finds out by trying what is hidden from them.
    fn fits(&self, alarm: &AlarmView, sight: Sight) -> bool {
        (self.priorities.is_empty() || self.priorities.contains(&alarm.priority))
            && (self.text.is_empty() || Alarm::new(alarm, sight).mentions(&self.text))
    }
}

/// The list, and how many there are of what is looked for (among the first [`store::records::ROWS_MAX`]).
fn read_list(
    records: &Records,
    signed: &Signed,
    query: &ListQuery,
    search: Option<&Search>,
) -> Answer<(Vec<AlarmView>, Option<usize>)> {
    let limit = query.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX);
    let failed = |error| ApiError::internal("alarm list", &error);
    // Other teams' alarms, and what is not looked for, are left out after the query, so the query must not stop early.
    let read_max = if signed.sees_all() && search.is_none() { limit } else { store::records::ROWS_MAX };
    let mut alarms = match (query.state, query.elder) {
        (ListState::Open, None) => records.alarms_waiting(query.class, !query.grouped, read_max).map_err(failed)?,
        (state, elder) => {
            let open = state == ListState::Open;
            let filter = AlarmFilter { elder, open, class: query.class, ..AlarmFilter::default() };
            records.alarms(filter, read_max).map_err(failed)?
        }
    };
    let is_paged = query.elder.is_some() && !signed.sees_all() && is_paged_for(records, signed.person.id, query.elder)?;
    alarms.retain(|alarm| is_paged || signed.has_team(team_of(alarm)));
    let matched = search.map(|search| {
        alarms.retain(|alarm| search.fits(alarm, signed.sight()));
        alarms.len()
    });
    alarms.truncate(limit);
    Ok((alarms, matched))
}

fn list_json(
    alarms: &[AlarmView],
    counts: Option<AlarmCounts>,
    last_event: i64,
    storm: Option<Storm>,
    sight: Sight,
) -> Value {
    json!({
        "alarms": alarms.iter().map(|alarm| Alarm::new(alarm, sight)).collect::<Vec<_>>(),
        "last_event": last_event,
        // Of the whole centre for those who see it, whatever the list was cut or filtered to; else of the list.
        "counts": counts.unwrap_or_else(|| counted(alarms)),
        "storm": storm,
    })
}

fn counted(alarms: &[AlarmView]) -> AlarmCounts {
    let of = |wanted: &dyn Fn(&AlarmView) -> bool| {
        let count = alarms.iter().filter(|alarm| !alarm.is_done() && wanted(alarm)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    AlarmCounts {
        p1: of(&|alarm| alarm.priority == Priority::P1),
        p2: of(&|alarm| alarm.priority == Priority::P2),
        p3: of(&|alarm| alarm.priority == Priority::P3),
        t: of(&|alarm| alarm.priority == Priority::T),
        unclaimed: of(&|alarm| alarm.handling == Handling::Open),
        parked: of(&|alarm| alarm.handling == Handling::Parked),
        grouped: of(&|alarm| alarm.progress.incident.is_some()),
    }
}

fn team_of(alarm: &AlarmView) -> Option<TeamId> {
    alarm.team.as_ref().map(|team| TeamId(team.id))
}

/// `GET /api/alarms/{id}`: opens the elder's card, so it is written to the audit.
pub(crate) async fn detail(State(app): State<App>, signed: Signed, Id(id): Id<AlarmId>) -> Answer<Json<Value>> {
    let (records, next) = (app.deps.records.clone(), app.deps.next_pages.clone());
    app.calls.run("alarm", move || read_detail(&records, &*next, &signed, id)).await?.map(Json)
}

fn read_detail(records: &Records, next: &NextPages, signed: &Signed, id: AlarmId) -> Answer<Value> {
    let failed = |error| ApiError::internal("alarm", &error);
    let found = records.alarm(id).map_err(failed)?.ok_or_else(ApiError::not_found)?;
    signed.check_elder(records, found.view.elder_id, team_of(&found.view))?;
    let sight = signed.sight();
    let elder = match found.view.elder_id {
        Some(elder) => records.elder(elder).map_err(failed)?,
        None => None,
    };
    let detail = if sight == Sight::Clear { "" } else { "masked" };
    records.audit(Some(signed.person.id), "view_alarm", &format!("alarm/{id}"), detail).map_err(failed)?;
    let pages = found.pages.iter().map(|page| {
        json!({
            "id": page.id, "person": page.person.name, "channel": page.channel, "state": page.state,
            "state_zh": page.state.zh(), "state_en": page.state.en(), "queued_at": page.queued_at,
            "attempts": page.attempts, "step": page.step + 1,
        })
    });
    Ok(json!({
        "alarm": Alarm::new(&found.view, sight),
        "elder": elder.map(|elder| view::elder(&elder, sight)),
        "events": found.events.iter().map(|event| view::event(event, sight)).collect::<Vec<_>>(),
        "pages": pages.collect::<Vec<_>>(),
        "next": next(&found.view).map(|step| next_json(records, &step)).transpose()?,
    }))
}

/// The next step with the names of those it pages.
fn next_json(records: &Records, step: &NextStep) -> Answer<Value> {
    let names: Vec<_> = step.people.iter().filter_map(|person| view::person_name(records, Some(*person))).collect();
    let mut shown = to_value(step)?;
    shown["people"] = json!(names);
    Ok(shown)
}

/// `POST /api/alarms/{id}/claim`
pub(crate) async fn claim(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.claim(id, signed.person.id, key)).await
}

/// `POST /api/alarms/{id}/release`
pub(crate) async fn release(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.release(id, signed.person.id, key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolution {
    outcome: Option<Outcome>,
    #[serde(default)]
    note: String,
}

/// `POST /api/alarms/{id}/resolve {outcome, note}`
pub(crate) async fn resolve(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Resolution>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| {
        records.resolve(id, signed.person.id, sent.outcome, &sent.note, key)
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    note: String,
}

/// `POST /api/alarms/{id}/note {note}`
pub(crate) async fn note(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Note>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.note(id, signed.person.id, &sent.note, key)).await
}

/// Does one thing to an alarm within the person's row scope and answers the alarm as it is then.
pub(crate) async fn act<F>(app: App, signed: Signed, id: AlarmId, Key(key): Key, action: F) -> Answer<Json<Value>>
where
    F: FnOnce(&Records, &Signed, Option<&str>) -> Result<AlarmView, ActionError> + Send + 'static,
{
    let records = app.deps.records.clone();
    let done = app.calls.run("alarm action", move || {
        if !signed.sees_all() {
            let found = records.alarm(id).map_err(|error| ApiError::internal("alarm action", &error))?;
            let found = found.ok_or_else(ApiError::not_found)?;
            signed.check_elder(&records, found.view.elder_id, team_of(&found.view))?;
        }
        let alarm = action(&records, &signed, key.as_deref()).map_err(|error| refused(&error))?;
        to_value(&Alarm::new(&alarm, signed.sight()))
    });
    done.await?.map(Json)
}

pub(crate) fn to_value(shown: &impl serde::Serialize) -> Answer<Value> {
    serde_json::to_value(shown).map_err(|error| ApiError::internal("writing JSON", &error))
}
