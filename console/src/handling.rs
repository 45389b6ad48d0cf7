//! What people do with an alarm beyond claiming and resolving it: hand it over, park it, send somebody, say that they are there, open
//! it again, void it. Each answers the alarm as it is then, or 409 with who has it.

use axum::Json;
use axum::extract::State;
use model::{AlarmId, PageId, PersonId, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Dispatch, VoidReason};

use crate::App;
use crate::access::Signed;
use crate::alarms::act;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Sent};
use crate::pages;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HandOver {
    to: PersonId,
}

/// `POST /api/alarms/{id}/hand-over {to}`
pub(crate) async fn hand_over(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<HandOver>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.hand_over(id, signed.person.id, sent.to, key)).await
}

/// `POST /api/alarms/{id}/hand-over/accept`
pub(crate) async fn accept(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.accept_hand_over(id, signed.person.id, key)).await
}

/// `POST /api/alarms/{id}/hand-over/decline`
pub(crate) async fn decline(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.decline_hand_over(id, signed.person.id, key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Park {
    until: Time,
    reason: String,
}

/// `POST /api/alarms/{id}/park {until, reason}`
pub(crate) async fn park(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Park>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| {
        records.park(id, signed.person.id, sent.until, &sent.reason, key)
    })
    .await
}

/// One of our people, or somebody in words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Send {
    person: Option<PersonId>,
    who: Option<String>,
}

/// `POST /api/alarms/{id}/dispatch {person} or {who}`
pub(crate) async fn dispatch(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Send>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| {
        let who = match (sent.person, &sent.who) {
            (Some(person), _) => Dispatch::Person(person),
            (None, who) => Dispatch::Words(who.as_deref().unwrap_or_default()),
        };
        records.dispatch(id, signed.person.id, who, key)
    })
    .await
}

/// `POST /api/alarms/{id}/arrived`
pub(crate) async fn arrived(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.arrived(id, signed.person.id, key)).await
}

/// `POST /api/pages/{id}/arrived`: the paged person is there.
pub(crate) async fn arrived_by_page(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<PageId>,
    key: Key,
) -> Answer<Json<Value>> {
    pages::answer(app, signed, key, move |records, by, key| records.arrived_by_page(id, by, key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reopen {
    reason: String,
}

/// `POST /api/alarms/{id}/reopen {reason}`
pub(crate) async fn reopen(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Reopen>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| records.reopen(id, signed.person.id, &sent.reason, key)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Void {
    reason: VoidReason,
    #[serde(default)]
    note: String,
}

/// `POST /api/alarms/{id}/void {reason, note}`
pub(crate) async fn void(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<AlarmId>,
    key: Key,
    Sent(sent): Sent<Void>,
) -> Answer<Json<Value>> {
    act(app, signed, id, key, move |records, signed, key| {
        records.void(id, signed.person.id, sent.reason, &sent.note, key)
    })
    .await
}

/// `GET /api/teams`: names only, for whoever chooses one.
pub(crate) async fn teams(State(app): State<App>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("teams", move || {
        let teams = records.teams().map_err(|error| ApiError::internal("teams", &error))?;
        let names = teams.iter().map(|team| json!({ "id": team.id, "name": team.name }));
        Ok(json!({ "teams": names.collect::<Vec<_>>() }))
    });
    found.await?.map(Json)
}

/// `GET /api/helpers`: to whom an alarm can be handed over (dispatchers, supervisors), and who can be sent.
pub(crate) async fn helpers(State(app): State<App>) -> Answer<Json<Value>> {
    let (records, now) = (app.deps.records.clone(), app.deps.clock.now());
    let found = app.calls.run("helpers", move || {
        let helpers = records.helpers(now).map_err(|error| ApiError::internal("helpers", &error))?;
        Ok(json!({ "helpers": helpers }))
    });
    found.await?.map(Json)
}
