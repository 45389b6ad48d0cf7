//! Gateways as their administrators see them: who is connected, what each is to have and has, and how it does. And what is
//! pushed to them. What was pushed is never shown again: it may hold keys of devices.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::note::Push;
use model::{GatewayId, Metric, Subject, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::Readings;
use store::records::{Error, PushState, Records, RegistrySnapshot, Retained};

use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Sent};

/// Gateways listed at most: beyond it a county has other means than one table.
const LIST_MAX: usize = 2_000;
/// The readings a gateway makes of itself.
const HEALTH: [Metric; 5] =
    [Metric::DiskUsed, Metric::MemoryUsed, Metric::BoardTemperature, Metric::OutboxAge, Metric::OutboxDepth];
/// The device that is the gateway itself.
const ITSELF: &str = "_";

/// The retained state of a gateway: its birth or its will.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LastWord {
    state: Option<String>,
    fw: Option<String>,
    since: Option<i64>,
    cfg: HashMap<String, u64>,
}

/// `GET /api/gateways`
pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let found = app.calls.run("gateways", move || read(&records, &readings));
    found.await?.map(Json)
}

fn read(records: &Records, readings: &Readings) -> Answer<Value> {
    let failed = |error| ApiError::internal("gateways", &error);
    let registry = records.registry().map_err(failed)?;
    let words: HashMap<GatewayId, Retained> =
        records.retained_all().map_err(failed)?.into_iter().map(|word| (word.gateway, word)).collect();
    let mut pushes: HashMap<GatewayId, Vec<PushState>> = HashMap::new();
    for push in records.push_states().map_err(failed)? {
        pushes.entry(push.gateway).or_default().push(push);
    }
    let rows: Vec<Value> = registry
        .gateways
        .iter()
        .take(LIST_MAX)
        .map(|gateway| {
            let word = words.get(&gateway.id);
            let said: LastWord = word.and_then(|word| serde_json::from_slice(&word.payload).ok()).unwrap_or_default();
            let health = health(&registry, readings, gateway.id);
            let health_at = health.iter().map(|row| row.2).max();
            json!({
                "id": gateway.id, "site": gateway.site_name, "name": gateway.name, "dialect": gateway.dialect.slug(),
                "disabled": gateway.disabled, "state": said.state, "firmware": said.fw,
                "since": said.since.map(Time::from_millis),
                "seen_at": word.map(|word| word.at).into_iter().chain(health_at).max(),
                "devices": registry.devices.iter().filter(|d| d.gateway == gateway.id && d.name.as_str() != ITSELF).count(),
                "in_force": said.cfg, "pushes": pushes.get(&gateway.id).map_or(&[][..], Vec::as_slice),
                "health": health.iter().map(|(metric, value, at)| json!({ "metric": metric, "value": value, "at": at }))
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    Ok(json!({ "gateways": rows, "all": registry.gateways.len() }))
}

fn health(registry: &RegistrySnapshot, readings: &Readings, gateway: GatewayId) -> Vec<(Metric, Option<f64>, Time)> {
    let itself = registry.devices.iter().find(|device| device.gateway == gateway && device.name.as_str() == ITSELF);
    let Some(itself) = itself else { return Vec::new() };
    let latest = readings.latest(Subject::Unattributed(itself.id));
    let of = |metric: &Metric| latest.iter().find(|reading| reading.sample.metric == *metric);
    HEALTH.iter().filter_map(|metric| of(metric).map(|r| (*metric, r.sample.value(), r.sample.taken_at))).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    what: Push,
    body: Value,
}

/// `POST /api/gateways/{id}/push {what, body}`: a new configuration or list of devices. The gateway gets it within seconds
/// when it is connected, else when it comes back; what becomes of it is in the list.
pub(crate) async fn push(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<GatewayId>,
    _key: Key,
    Sent(sent): Sent<Change>,
) -> Answer<Json<Value>> {
    let shaped = match sent.what {
        Push::Config => sent.body.is_object(),
        Push::Devices => sent.body.is_array(),
        Push::Rules => false,
    };
    if !shaped {
        return Err(ApiError::bad_request(
            "config 的 body 应为对象,devices 的 body 应为数组;rules 由系统自动下发。".to_owned(),
            "The body of config is an object, that of devices an array; rules are pushed by themselves.".to_owned(),
        ));
    }
    let records = app.deps.records.clone();
    let saved = app.calls.run("push", move || {
        let known = records.gateways().map_err(|error| ApiError::internal("push", &error))?;
        known.iter().find(|gateway| gateway.id == id).ok_or_else(ApiError::not_found)?;
        match records.push_save(id, sent.what, &sent.body.to_string(), Some(signed.person.id)) {
            Ok(version) => Ok(json!({ "what": sent.what, "version": version })),
            Err(Error::TooMany { limit, .. }) => Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("内容超过 {limit} 字节。"),
                format!("The body is larger than {limit} bytes."),
            )),
            Err(error) => Err(ApiError::internal("push", &error)),
        }
    });
    saved.await?.map(Json)
}
