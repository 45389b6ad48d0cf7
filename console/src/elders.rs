//! Elders: the masked list, one elder's card (audited), the latest values.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use model::{DeviceId, ElderId, Origin, Reading, Subject, Time, mask};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::Readings;
use store::records::{Elder, Records};

use crate::App;
use crate::access::{Sight, Signed};
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params};
use crate::looks;
use crate::view;

const LIST_DEFAULT: usize = 100;
/// Elders one list answers at most.
const LIST_MAX: usize = 500;
/// Characters of a search text.
const SEARCH_CHARS_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default)]
    q: String,
    limit: Option<usize>,
}

/// `GET /api/elders?q=&limit=`
pub(crate) async fn list(
    State(app): State<App>,
    signed: Signed,
    Params(query): Params<ListQuery>,
) -> Answer<Json<Value>> {
    if query.q.chars().count() > SEARCH_CHARS_MAX {
        return Err(ApiError::bad_request(
            format!("搜索内容最多 {SEARCH_CHARS_MAX} 个字符。"),
            format!("The search text has at most {SEARCH_CHARS_MAX} characters."),
        ));
    }
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let found = app.calls.run("elder list", move || {
        let limit = query.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX);
        let elders = search(&records, &signed, &query.q, limit)?;
        let rows = elders.iter().map(|elder| {
            json!({
                "id": elder.id, "name_masked": mask::name(&elder.name), "age": elder.age, "sex": elder.sex,
                "team": elder.team, "latest_at": latest_at(&readings, elder.id), "open_alarms": elder.open_alarms,
            })
        });
        Ok(json!({ "elders": rows.collect::<Vec<_>>() }))
    });
    found.await?.map(Json)
}

fn search(records: &Records, signed: &Signed, text: &str, limit: usize) -> Answer<Vec<Elder>> {
    let failed = |error| ApiError::internal("elder list", &error);
    if signed.sees_all() && signed.sight() != Sight::Clear && !text.trim().is_empty() {
        return by_number_or_team(records, text.trim(), limit);
    }
    if signed.sees_all() {
        return records.elders(text, limit).map_err(failed);
    }
    let Some(team) = signed.person.team_id() else { return Ok(Vec::new()) };
    let mut elders = records.elders_of_team(team, store::records::ROWS_MAX).map_err(failed)?;
    let text = text.trim();
    elders.retain(|elder| [&elder.name, &elder.phone, &elder.address].iter().any(|field| field.contains(text)));
    elders.truncate(limit);
    Ok(elders)
}

/// A masked role must not find out a name or a phone number by trying: it searches by what its lists show.
fn by_number_or_team(records: &Records, text: &str, limit: usize) -> Answer<Vec<Elder>> {
    let failed = |error| ApiError::internal("elder list", &error);
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number has: nobody's.
        let number = text.parse().map(ElderId).ok();
        let elder = number.map(|number| records.elder(number)).transpose().map_err(failed)?;
        return Ok(elder.flatten().into_iter().collect());
    }
    let teams = records.teams().map_err(failed)?.into_iter().filter(|team| team.name.contains(text));
    let mut found = Vec::new();
    let mut any = false;
    for team in teams {
        any = true;
        found.extend(records.elders_of_team(team.id, limit).map_err(failed)?);
    }
    if !any {
        return Err(ApiError::bad_request(
            "管理员只能按老人编号或团队名称搜索,姓名、电话和地址不可搜索。",
            "Administrators search by an elder's number or a team's name; names, phones and addresses are not searched.",
        ));
    }
    found.sort_by_key(|elder| elder.id);
    found.truncate(limit);
    Ok(found)
}

fn latest_at(readings: &Readings, elder: ElderId) -> Option<Time> {
    readings.latest(Subject::Elder(elder)).iter().map(|reading| reading.sample.taken_at).max()
}

/// The elder, when this person may see them at all. Blocks.
pub(crate) fn in_scope(records: &Records, signed: &Signed, id: ElderId) -> Answer<Elder> {
    let found = records.elder(id).map_err(|error| ApiError::internal("elder", &error))?;
    let elder = found.ok_or_else(ApiError::not_found)?;
    signed.check_elder(records, Some(id), elder.team.as_ref().map(|team| model::TeamId(team.id)))?;
    Ok(elder)
}

/// The elder, when this person's team treats them. To be paged for somebody opens the card and the alarm; it does not let a
/// doctor of another team change what outlasts the alarm. Blocks.
pub(crate) fn in_team(records: &Records, signed: &Signed, id: ElderId) -> Answer<Elder> {
    let elder = in_scope(records, signed, id)?;
    let team = elder.team.as_ref().map(|team| model::TeamId(team.id));
    if signed.has_team(team) { Ok(elder) } else { Err(ApiError::not_allowed()) }
}

/// `GET /api/elders/{id}`
pub(crate) async fn detail(State(app): State<App>, signed: Signed, Id(id): Id<ElderId>) -> Answer<Json<Value>> {
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let found = app.calls.run("elder", move || {
        let elder = in_scope(&records, &signed, id)?;
        looks::at_elder(&records, signed.person.id, "view_elder", id)?;
        let mut seen: HashMap<DeviceId, Time> = HashMap::new();
        for reading in readings.latest(Subject::Elder(id)) {
            let at = seen.entry(reading.device).or_insert(reading.sample.taken_at);
            *at = (*at).max(reading.sample.taken_at);
        }
        let devices = records.devices_of(id).map_err(|error| ApiError::internal("elder", &error))?;
        let devices = devices.iter().map(|device| {
            json!({
                "id": device.id, "name": device.name, "kind": Some(&device.kind).filter(|kind| !kind.is_empty()),
                "last_seen": seen.get(&device.id),
            })
        });
        let mut card = view::elder(&elder, signed.sight());
        card["devices"] = devices.collect();
        card["risk"] = json!(records.risk(id).map_err(|error| ApiError::internal("elder", &error))?);
        Ok(card)
    });
    found.await?.map(Json)
}

/// `GET /api/elders/{id}/latest`
pub(crate) async fn latest(State(app): State<App>, signed: Signed, Id(id): Id<ElderId>) -> Answer<Json<Value>> {
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let calls = app.calls.clone();
    let found = calls.run("latest values", move || {
        in_scope(&records, &signed, id)?;
        app.looks.at_readings(&records, signed.person.id, id, app.deps.clock.now())?;
        Ok(json!({ "latest": latest_json(&records, &readings, Subject::Elder(id))? }))
    });
    found.await?.map(Json)
}

/// The newest reading of every metric, devices by name. Blocks.
pub(crate) fn latest_json(records: &Records, readings: &Readings, subject: Subject) -> Answer<Value> {
    let latest = readings.latest(subject);
    if latest.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let devices = match subject {
        Subject::Elder(elder) => records.devices_of(elder),
        Subject::Unattributed(_) => Ok(Vec::new()),
    };
    let devices = devices.map_err(|error| ApiError::internal("latest values", &error))?;
    let names: HashMap<DeviceId, &str> = devices.iter().map(|device| (device.id, device.name.as_str())).collect();
    let mut rows = Vec::with_capacity(latest.len());
    for reading in &latest {
        let (metric, at) = (reading.sample.metric, reading.sample.taken_at);
        let origin =
            readings.origin(subject, metric, at).map_err(|error| ApiError::internal("latest values", &error))?;
        rows.push(reading_json(reading, names.get(&reading.device).copied(), origin.as_ref()));
    }
    Ok(Value::Array(rows))
}

fn reading_json(reading: &Reading, device: Option<&str>, origin: Option<&Origin>) -> Value {
    let sample = &reading.sample;
    json!({
        "metric": sample.metric, "value": sample.value(), "quality": sample.quality, "taken_at": sample.taken_at,
        "device": device, "origin": origin.map(origin_json),
    })
}

/// What the device itself wrote. Its clock is a wall clock of nobody knows which zone: no RFC 3339 instant.
fn origin_json(origin: &Origin) -> Value {
    let (raw, unit) = origin.raw.as_ref().map(|(raw, unit)| (raw, unit)).unzip();
    let wall = origin.device_ms.map(|ms| Time::from_millis(ms).to_string().trim_end_matches('Z').to_owned());
    json!({ "raw": raw, "unit": unit, "device_time": wall, "uncertainty_ms": origin.uncertainty_ms })
}
