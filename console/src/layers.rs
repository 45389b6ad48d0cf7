//! Layers of rules and who has them. Doctors within their own team, administrators everywhere; nurses read.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::layer::{Layer, Scope};
use model::{ElderId, TeamId, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Assignment, AssignmentFilter, NewAssignment, Records, StoredLayer};

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params, Sent};
use crate::rules::{reason_of, saved};
use crate::view;

/// Versions and assignments one list answers at most.
const LIST_MAX: usize = 500;

/// `GET /api/layers`
pub(crate) async fn list(State(app): State<App>, _signed: Signed) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("layers", move || {
        let counts = saved("layers", records.assignment_counts())?;
        let layers = saved("layers", records.layers())?.into_iter().map(|stored| {
            let mut answer = layer_json(&records, &stored)?;
            let count = counts.get(&stored.layer.name).copied().unwrap_or_default();
            answer["assigned"] = json!({ "elders": count.elders, "teams": count.teams, "ages": count.ages });
            Ok(answer)
        });
        Ok(json!({ "layers": layers.collect::<Answer<Vec<_>>>()? }))
    });
    found.await?.map(Json)
}

/// `GET /api/layers/{name}`: every version, newest first.
pub(crate) async fn versions(State(app): State<App>, _signed: Signed, Id(name): Id<String>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("layer", move || {
        let versions = saved("layer", records.layer_versions(&name, LIST_MAX))?;
        if versions.is_empty() {
            return Err(ApiError::not_found());
        }
        let versions = versions.iter().map(|stored| layer_json(&records, stored));
        Ok(json!({ "versions": versions.collect::<Answer<Vec<_>>>()? }))
    });
    found.await?.map(Json)
}

fn layer_json(records: &Records, stored: &StoredLayer) -> Answer<Value> {
    let mut answer = to_value(stored)?;
    answer["by"] = json!(view::person_name(records, stored.author));
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    layer: Layer,
    reason: String,
}

/// `PUT /api/layers/{name} {layer, reason}`: a new version, in force at once wherever the layer is assigned. A doctor changes what the own team made
/// and nobody else has; what was shipped, or comes from another team, stays as its name and source say.
pub(crate) async fn put(
    State(app): State<App>,
    signed: Signed,
    Id(name): Id<String>,
    Sent(sent): Sent<Change>,
) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    if sent.layer.name != name {
        return Err(ApiError::bad_request(
            "规则层的名称须与网址一致。",
            "The layer's name must be that of the address.",
        ));
    }
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let done = app.calls.run("saving a layer", move || {
        if !signed.sees_all() {
            let team = signed.person.team_id().ok_or_else(ApiError::not_allowed)?;
            if !saved("saving a layer", records.layer_is_of_team(&name, team))? {
                return Err(not_theirs());
            }
        }
        let version = saved("saving a layer", records.save_layer(&sent.layer, signed.person.id, &reason))?;
        Ok(json!({ "name": name, "version": version, "in_force": publish() }))
    });
    done.await?.map(Json)
}

fn not_theirs() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "not_allowed",
        "该规则层随程序提供,或属于其他团队,只有管理员可以修改;请另存为新名称。",
        "This layer was shipped with the program, or others than your team made it or have it: administrators change it. Save yours under a new name.",
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    elder: Option<ElderId>,
    team: Option<TeamId>,
    layer: Option<String>,
    #[serde(default)]
    all: bool,
}

/// `GET /api/assignments?elder=&team=&layer=&all=`; who does not see all elders sees their own team's without `elder`.
pub(crate) async fn assignments(
    State(app): State<App>,
    signed: Signed,
    Params(query): Params<Query>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("assignments", move || {
        let Query { elder, team, layer, all } = query;
        let team = if signed.sees_all() { team } else { team.or(signed.person.team_id()) };
        let scope = match (elder, team) {
            (Some(elder), _) => Some(Scope::Elder(elder)),
            (None, Some(team)) => Some(Scope::Team(team)),
            (None, None) if signed.sees_all() => None,
            (None, None) => return Err(ApiError::not_allowed()),
        };
        if let Some(scope) = scope {
            in_scope(&records, &signed, scope)?;
        }
        let filter = AssignmentFilter { scope, layer, all };
        let found = saved("assignments", records.assignments(&filter, LIST_MAX))?;
        let found = found.iter().map(|one| assignment_json(&records, one));
        Ok(json!({ "assignments": found.collect::<Answer<Vec<_>>>()? }))
    });
    found.await?.map(Json)
}

fn assignment_json(records: &Records, one: &Assignment) -> Answer<Value> {
    let mut answer = to_value(one)?;
    answer["by"] = json!(view::person_name(records, one.author));
    answer["ended_by_name"] = json!(view::person_name(records, one.ended_by));
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    layer: String,
    elder: Option<ElderId>,
    team: Option<TeamId>,
    /// Everybody of so many years and more.
    age_from: Option<u32>,
    from: Option<Time>,
    until: Option<Time>,
    reason: String,
}

/// `POST /api/assignments {layer, elder|team|age_from, from?, until?, reason}`
pub(crate) async fn assign(State(app): State<App>, signed: Signed, Sent(sent): Sent<Assign>) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    let scope = match (sent.elder, sent.team, sent.age_from) {
        (Some(elder), None, None) => Scope::Elder(elder),
        (None, Some(team), None) => Scope::Team(team),
        (None, None, Some(years)) => Scope::AgeFrom(years),
        _ => {
            return Err(ApiError::bad_request(
                "请指定老人、团队或年龄段之一。",
                "Say to whom: one of elder, team, age_from.",
            ));
        }
    };
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let done = app.calls.run("assigning a layer", move || {
        may_change(&records, &signed, scope)?;
        let new = NewAssignment { layer: sent.layer, scope, from: sent.from, until: sent.until, reason };
        let id = saved("assigning a layer", records.assign(&new, signed.person.id))?;
        let in_force = publish();
        let mut answer = found(&records, id)?;
        answer["in_force"] = json!(in_force);
        Ok(answer)
    });
    done.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    reason: String,
}

/// `POST /api/assignments/{id}/end {reason}`
pub(crate) async fn end(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<u32>,
    Sent(sent): Sent<End>,
) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let done = app.calls.run("ending an assignment", move || {
        let known = saved("ending an assignment", records.assignment(id))?.ok_or_else(ApiError::not_found)?;
        may_change(&records, &signed, known.scope)?;
        saved("ending an assignment", records.end_assignment(id, signed.person.id, &reason))?;
        publish();
        found(&records, id)
    });
    done.await?.map(Json)
}

fn found(records: &Records, id: u32) -> Answer<Value> {
    let one = saved("assignments", records.assignment(id))?.ok_or_else(ApiError::not_found)?;
    assignment_json(records, &one)
}

/// As [`in_scope`], for what outlasts a page: only the elder's own team.
fn may_change(records: &Records, signed: &Signed, scope: Scope) -> Answer<()> {
    match scope {
        Scope::Elder(elder) => elders::in_team(records, signed, elder).map(drop),
        Scope::Team(_) | Scope::AgeFrom(_) => in_scope(records, signed, scope),
    }
}

/// An age band is everybody's: only who sees all elders.
fn in_scope(records: &Records, signed: &Signed, scope: Scope) -> Answer<()> {
    match scope {
        Scope::Elder(elder) => elders::in_scope(records, signed, elder).map(drop),
        Scope::Team(team) if signed.has_team(Some(team)) => Ok(()),
        Scope::AgeFrom(_) if signed.sees_all() => Ok(()),
        Scope::Team(_) | Scope::AgeFrom(_) => Err(ApiError::not_allowed()),
    }
}
