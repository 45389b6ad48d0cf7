//! Rotas: who is on call and where nobody will be; changes by administrators, and by people about their own turns.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::people::{Duty, Role};
use model::{PersonId, TeamId, Time};
use rota::{Rota, Year};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{NewOverride, RotaError, Saved, problem_words};

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params, Sent};

/// Versions listed at most.
const VERSIONS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    team: Option<TeamId>,
    from: Option<Time>,
    days: Option<u32>,
}

/// `GET /api/rota?team=&from=&days=`
pub(crate) async fn board(State(app): State<App>, signed: Signed, Params(asked): Params<Asked>) -> Answer<Json<Value>> {
    let (records, now) = (app.deps.records.clone(), app.deps.clock.now());
    let found = app.calls.run("rota", move || {
        let team = in_scope(&signed, asked.team)?;
        let board = records.rota_board(team, asked.from.unwrap_or(now), asked.days.unwrap_or(7)).map_err(unread)?;
        to_value(&board)
    });
    found.await?.map(Json)
}

/// `GET /api/rota/versions?team=`: newest first.
pub(crate) async fn versions(
    State(app): State<App>,
    signed: Signed,
    Params(asked): Params<Asked>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("rota", move || {
        let team = in_scope(&signed, asked.team)?;
        let versions = records.rota_versions(team, VERSIONS_MAX).map_err(unread)?;
        Ok(json!({ "versions": to_value(&versions)? }))
    });
    found.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    rota: Rota,
    from: Option<Time>,
    /// The newest version that whoever changes it has seen; 0: there was none.
    version: Option<u32>,
    reason: String,
}

/// `PUT /api/rota {rota, from?, version?, reason}`
pub(crate) async fn put(State(app): State<App>, signed: Signed, Sent(sent): Sent<Change>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let saved = app.calls.run("saving a rota", move || {
        let newest = records.rota_versions(sent.rota.team, 1).map_err(unread)?.first().map_or(0, |one| one.version);
        if sent.version.is_some_and(|seen| seen != newest) {
            return Err(changed(newest));
        }
        told(records.save_rota(&sent.rota, sent.from, Some(signed.person.id), sent.reason.trim()))
    });
    saved.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    team: TeamId,
    from: Time,
    until: Time,
    out: Option<PersonId>,
    post: Option<String>,
    #[serde(rename = "in")]
    stand_in: PersonId,
    duty: Option<Duty>,
    reason: String,
}

/// `POST /api/rota/overrides {team, from, until, out?, post?, in, duty?, reason}`
pub(crate) async fn stand_in(State(app): State<App>, signed: Signed, Sent(sent): Sent<Turn>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let saved = app.calls.run("saving an override", move || {
        // People give their own turns away, or take one over in their own team, with the duty that is theirs.
        let own = sent.out == Some(signed.person.id) || signed.person.id == sent.stand_in;
        if !is_administrator(&signed) && (!own || !signed.has_team(Some(sent.team)) || sent.duty.is_some()) {
            return Err(ApiError::not_allowed());
        }
        let Turn { team, from, until, out, post, stand_in, duty, reason } = sent;
        let reason = reason.trim().to_owned();
        let new = NewOverride { team, from, until, out, post, stand_in, duty, reason };
        told(records.add_override(&new, Some(signed.person.id)))
    });
    saved.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Half {
    person: PersonId,
    from: Time,
    until: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Swap {
    team: TeamId,
    first: Half,
    second: Half,
    reason: String,
}

/// `POST /api/rota/swaps {team, first: {person, from, until}, second: {..}, reason}`
pub(crate) async fn swap(State(app): State<App>, signed: Signed, Sent(sent): Sent<Swap>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let saved = app.calls.run("saving a swap", move || {
        let me = signed.person.id;
        let own = me == sent.first.person || me == sent.second.person;
        if !is_administrator(&signed) && (!own || !signed.has_team(Some(sent.team))) {
            return Err(ApiError::not_allowed());
        }
        let half = |half: &Half| (half.person, half.from, half.until);
        let (first, second) = (half(&sent.first), half(&sent.second));
        let saved = records.add_swap(sent.team, first, second, sent.reason.trim(), Some(me)).map_err(refused)?;
        Ok(json!({ "overrides": to_value(&saved)? }))
    });
    saved.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Away {
    /// Nobody: who asks.
    person: Option<PersonId>,
    from: Time,
    until: Time,
    reason: String,
}

/// `POST /api/rota/leave {person?, from, until, reason}`
pub(crate) async fn leave(State(app): State<App>, signed: Signed, Sent(sent): Sent<Away>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let saved = app.calls.run("saving a leave", move || {
        let person = sent.person.unwrap_or(signed.person.id);
        own(&signed, &[Some(person)])?;
        told(records.add_leave(person, (sent.from, sent.until), sent.reason.trim(), Some(signed.person.id)))
    });
    saved.await?.map(Json)
}

/// `POST /api/rota/overrides/{id}/cancel`
pub(crate) async fn cancel_override(State(app): State<App>, signed: Signed, Id(id): Id<u32>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let done = app.calls.run("cancelling an override", move || {
        let row = records.override_row(id).map_err(unread)?.ok_or_else(ApiError::not_found)?;
        own(&signed, &[row.out, Some(row.stand_in), row.author])?;
        records.cancel_override(id, Some(signed.person.id)).map_err(unread)?;
        Ok(json!({ "cancelled": id }))
    });
    done.await?.map(Json)
}

/// `POST /api/rota/leave/{id}/cancel`
pub(crate) async fn cancel_leave(State(app): State<App>, signed: Signed, Id(id): Id<u32>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let done = app.calls.run("cancelling a leave", move || {
        let rows = records.leave_rows(None, Time::MIN).map_err(unread)?;
        let row = rows.into_iter().find(|row| row.id == id).ok_or_else(ApiError::not_found)?;
        own(&signed, &[Some(row.person), row.author])?;
        records.cancel_leave(id, Some(signed.person.id)).map_err(unread)?;
        Ok(json!({ "cancelled": id }))
    });
    done.await?.map(Json)
}

/// `POST /api/rota/holidays`: one year in the shape of NateScarlet/holiday-cn.
pub(crate) async fn holidays(State(app): State<App>, signed: Signed, Sent(year): Sent<Year>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let done = app.calls.run("importing holidays", move || {
        year.check().map_err(|bad| {
            ApiError::bad_request(
                format!("节假日文件未导入:{bad}。"),
                format!("The holidays were not imported: {bad}."),
            )
        })?;
        let changed = records.import_holidays(&year, Some(signed.person.id)).map_err(unread)?;
        Ok(json!({ "year": year.year, "changed": changed }))
    });
    done.await?.map(Json)
}

/// The team asked for, or one's own.
fn in_scope(signed: &Signed, team: Option<TeamId>) -> Answer<TeamId> {
    let none = || ApiError::bad_request("请写明团队 team。", "Say which team.");
    let team = team.or(signed.person.team_id()).ok_or_else(none)?;
    if signed.has_team(Some(team)) { Ok(team) } else { Err(ApiError::not_allowed()) }
}

fn is_administrator(signed: &Signed) -> bool {
    signed.person.role == Role::Administrator
}

fn own(signed: &Signed, people: &[Option<PersonId>]) -> Answer<()> {
    let is_own = is_administrator(signed) || people.contains(&Some(signed.person.id));
    if is_own { Ok(()) } else { Err(ApiError::not_allowed()) }
}

fn told(saved: Result<Saved, RotaError>) -> Answer<Value> {
    to_value(&saved.map_err(refused)?)
}

fn changed(newest: u32) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "rota_changed",
        format!("值班表已被他人修改(现为第 {newest} 版),请重新载入。"),
        format!("Somebody else changed this rota meanwhile (it is at version {newest}); load it again."),
    )
}

fn refused(error: RotaError) -> ApiError {
    match error {
        RotaError::Refused(problems) => {
            let (zh, en) = problem_words(&problems);
            let place = problems.first().map(|problem| problem.place.to_string()).unwrap_or_default();
            ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad_rota",
                format!("未保存,请修改后重试:{zh}。"),
                format!("Not saved; change it and try again: {en}."),
            )
            .with("place", place)
        }
        RotaError::Store(error) => unread(error),
    }
}

fn unread(error: store::records::Error) -> ApiError {
    use store::records::Error;
    match error {
        Error::NotFound(_) => ApiError::not_found(),
        Error::Invalid(why) => {
            ApiError::bad_request(format!("无法保存:{why}。"), format!("It cannot be saved: {why}."))
        }
        error => ApiError::internal("rota", &error),
    }
}
