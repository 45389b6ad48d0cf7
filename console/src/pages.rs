//! Pages (寻呼) of the signed-in person: the list, one page with the elder's card, accept and decline. Responders see the way there
//! and nothing of the clinical side.

use axum::Json;
use axum::extract::State;
use model::page::PageState;
use model::{ElderId, PageId, PersonId, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{ActionError, AlarmView, PageView, Records};

use crate::App;
use crate::access::{Sight, Signed};
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params, Sent};
use crate::looks;
use crate::refused::refused;
use crate::view::{self, Alarm};

/// Pages one list answers at most.
const LIST_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    state: ListState,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListState {
    /// Waiting for this person's answer.
    #[default]
    Open,
    All,
}

/// `GET /api/pages?state=open|all`
pub(crate) async fn list(
    State(app): State<App>,
    signed: Signed,
    Params(query): Params<ListQuery>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("page list", move || {
        let pages = records.pages_of(signed.person.id, query.state == ListState::Open, LIST_MAX);
        let pages = pages.map_err(|error| ApiError::internal("page list", &error))?;
        let rows = pages.iter().map(|(page, alarm)| page_json(page, alarm, &signed));
        Ok(json!({ "pages": rows.collect::<Vec<_>>() }))
    });
    found.await?.map(Json)
}

fn page_json(page: &PageView, alarm: &AlarmView, signed: &Signed) -> Value {
    json!({
        "id": page.id, "alarm": Alarm::new(alarm, signed.sight()), "state": page.state, "state_zh": page.state.zh(),
        "state_en": page.state.en(), "queued_at": page.queued_at, "repeat": page.round,
    })
}

/// `GET /api/pages/{id}`: opening it marks it as read, and the look at the elder's card is audited.
pub(crate) async fn detail(State(app): State<App>, signed: Signed, Id(id): Id<PageId>) -> Answer<Json<Value>> {
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let found = app.calls.run("page", move || {
        let page = records.mark_read(id, signed.person.id).map_err(|error| refused(&error))?;
        let failed = |error| ApiError::internal("page", &error);
        let alarm = records.alarm_view(page.alarm).map_err(failed)?.ok_or_else(ApiError::not_found)?;
        let (mut card, mut latest) = (Value::Null, Value::Array(Vec::new()));
        if let Some(elder_id) = alarm.elder_id {
            looks::at_elder(&records, signed.person.id, "view_page", elder_id)?;
            let elder = records.elder(elder_id).map_err(failed)?;
            card = elder.map_or(Value::Null, |elder| view::elder(&elder, signed.sight()));
            if signed.sight() == Sight::Clear {
                latest = elders::latest_json(&records, &readings, Subject::Elder(elder_id))?;
            }
        }
        Ok(json!({
            "page": page_json(&page, &alarm, &signed),
            "alarm": Alarm::new(&alarm, signed.sight()),
            "elder": card,
            "latest": latest,
        }))
    });
    found.await?.map(Json)
}

/// `POST /api/pages/{id}/accept`
pub(crate) async fn accept(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<PageId>,
    key: Key,
) -> Answer<Json<Value>> {
    answer(app, signed, key, move |records, by, key| records.accept_page(id, by, key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    #[serde(default)]
    reason: String,
}

/// `POST /api/pages/{id}/decline {reason}`
pub(crate) async fn decline(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<PageId>,
    key: Key,
    Sent(sent): Sent<Refusal>,
) -> Answer<Json<Value>> {
    answer(app, signed, key, move |records, by, key| records.decline_page(id, by, &sent.reason, key)).await
}

pub(crate) async fn answer<F>(app: App, signed: Signed, Key(key): Key, action: F) -> Answer<Json<Value>>
where
    F: FnOnce(&Records, PersonId, Option<&str>) -> Result<PageView, ActionError> + Send + 'static,
{
    let records = app.deps.records.clone();
    let done = app.calls.run("page answer", move || {
        let page = action(&records, signed.person.id, key.as_deref()).map_err(|error| refused(&error))?;
        let alarm = records.alarm_view(page.alarm).map_err(|error| ApiError::internal("page answer", &error))?;
        let alarm = alarm.ok_or_else(ApiError::not_found)?;
        Ok(page_json(&page, &alarm, &signed))
    });
    done.await?.map(Json)
}

/// The person has been asked about an alarm of this elder that is not over. Blocks.
pub(crate) fn is_paged_for(records: &Records, person: PersonId, elder: Option<ElderId>) -> Answer<bool> {
    let pages = records.pages_of(person, false, LIST_MAX).map_err(|error| ApiError::internal("pages", &error))?;
    Ok(pages.iter().any(|(page, alarm)| {
        let refused = matches!(page.state, PageState::Declined | PageState::Superseded);
        alarm.elder_id == elder && !alarm.is_done() && !refused
    }))
}
