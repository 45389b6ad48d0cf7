//! Incidents: what is out of reach, and whom nobody watches, by risk. And what is known of an elder's risk.

use axum::Json;
use axum::extract::State;
use model::{ElderId, mask};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Error, Incident, Risk, Unwatched};

use crate::App;
use crate::access::{Sight, Signed};
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params, Sent};
use crate::view::Alarm;

/// Incidents one list answers at most.
const LIST_MAX: usize = 500;
/// Elders shown of one incident; the highest risk first.
const ELDERS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    state: ListState,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ListState {
    /// Not over.
    #[default]
    Open,
    All,
}

/// `GET /api/incidents?state=open|all`
pub(crate) async fn list(State(app): State<App>, Params(query): Params<ListQuery>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("incidents", move || {
        let incidents = records.incidents(query.state == ListState::Open, LIST_MAX);
        let incidents = incidents.map_err(|error| ApiError::internal("incidents", &error))?;
        Ok(json!({ "incidents": incidents.iter().map(incident_json).collect::<Vec<_>>() }))
    });
    found.await?.map(Json)
}

/// `GET /api/incidents/{id}`
pub(crate) async fn detail(State(app): State<App>, signed: Signed, Id(id): Id<i64>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("incident", move || {
        let found = records.incident(id).map_err(|error| ApiError::internal("incident", &error))?;
        let found = found.ok_or_else(ApiError::not_found)?;
        let written = records.audit(Some(signed.person.id), "view_incident", &format!("incident/{id}"), "");
        written.map_err(|error| ApiError::internal("incident", &error))?;
        let elders = found.elders.iter().take(ELDERS_MAX).map(|elder| unwatched_json(elder, signed.sight()));
        Ok(json!({
            "incident": incident_json(&found.incident),
            "alarm": Alarm::new(&found.alarm, signed.sight()),
            "unwatched": found.elders.len(),
            "elders": elders.collect::<Vec<_>>(),
        }))
    });
    found.await?.map(Json)
}

fn incident_json(incident: &Incident) -> Value {
    json!({
        "id": incident.id, "kind": incident.kind, "gateway": incident.gateway, "gateway_name": incident.gateway_name,
        "site": incident.site, "site_name": incident.site_name, "alarm": incident.alarm, "since": incident.since,
        "until": incident.until, "count": incident.count, "standing": incident.standing,
    })
}

/// A line of a list: masked for everybody, like all lists; the card is one click away and audited.
fn unwatched_json(elder: &Unwatched, sight: Sight) -> Value {
    json!({
        "id": elder.elder_id, "name_masked": mask::name(&elder.name), "age": elder.age,
        "address": (sight == Sight::Clear).then_some(elder.address.as_str()), "risk": elder.risk,
        "high_risk": elder.high_risk, "worst": elder.worst, "silent_since": elder.silent_since,
    })
}

/// `PUT /api/elders/{id}/risk {ability, lives_alone}`
pub(crate) async fn set_risk(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    _key: Key,
    Sent(risk): Sent<Risk>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let done = app.calls.run("risk", move || {
        elders::in_team(&records, &signed, id)?;
        match records.set_risk(id, risk, Some(signed.person.id)) {
            Ok(()) => Ok(json!(risk)),
            Err(Error::Invalid(why)) => Err(ApiError::bad_request("能力等级应为 0 至 4(GB/T 42195-2022)。", why)),
            Err(error) => Err(ApiError::internal("risk", &error)),
        }
    });
    done.await?.map(Json)
}
