//! For those who run the system: devices nobody wears, quarantined frames, health, figures, and the tables of words.

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use model::alarm::AlarmEventKind;
use model::page::PageState;
use model::{EventKind, GatewayId, Metric, Outcome, Priority, Quality, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use store::readings::Readings;
use store::records::Records;

use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params};

/// Rows of the lists below, by default and at most.
const LIST_DEFAULT: usize = 200;
const LIST_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    limit: Option<usize>,
}

impl ListQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX)
    }
}

/// `GET /api/unattributed`: devices that belong to no elder, with what they said last. Nobody's rules judge it.
pub(crate) async fn unattributed(State(app): State<App>, Params(query): Params<ListQuery>) -> Answer<Json<Value>> {
    let (records, readings) = (app.deps.records.clone(), app.deps.readings.clone());
    let found = app.calls.run("unattributed devices", move || {
        let devices = read_unattributed(&records, &readings, query.limit())?;
        Ok(json!({ "devices": devices }))
    });
    found.await?.map(Json)
}

fn read_unattributed(records: &Records, readings: &Readings, limit: usize) -> Answer<Vec<Value>> {
    let registry = records.registry().map_err(|error| ApiError::internal("unattributed devices", &error))?;
    let bound: HashSet<_> = registry.bindings.iter().filter(|b| b.until.is_none()).map(|b| b.device).collect();
    let gateways: HashMap<GatewayId, &str> = registry.gateways.iter().map(|g| (g.id, g.name.as_str())).collect();
    let loose = registry.devices.iter().filter(|device| !bound.contains(&device.id)).take(limit);
    loose
        .map(|device| {
            let subject = Subject::Unattributed(device.id);
            let last_seen = readings.latest(subject).iter().map(|reading| reading.sample.taken_at).max();
            Ok(json!({
                "id": device.id, "device": device.name, "gateway": gateways.get(&device.gateway),
                "last_seen": last_seen, "latest": elders::latest_json(records, readings, subject)?,
            }))
        })
        .collect()
}

/// `GET /api/quarantine`
pub(crate) async fn quarantine(State(app): State<App>, Params(query): Params<ListQuery>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("quarantine", move || {
        let failed = |error| ApiError::internal("quarantine", &error);
        let gateways = records.gateways().map_err(failed)?;
        let names: HashMap<GatewayId, &str> = gateways.iter().map(|g| (g.id, g.name.as_str())).collect();
        let frames = records.quarantine_list(query.limit()).map_err(failed)?;
        let rows = frames.iter().map(|frame| {
            json!({
                "id": frame.id, "gateway": names.get(&frame.gateway), "topic": frame.topic, "cause": frame.cause,
                "at": frame.at, "bytes": frame.bytes, "replayed_at": frame.replayed_at,
            })
        });
        Ok(json!({ "frames": rows.collect::<Vec<_>>() }))
    });
    found.await?.map(Json)
}

/// `POST /api/quarantine/{id}/replay`: through the front door's checks again. Twice is harmless: readings are
/// de-duplicated.
pub(crate) async fn replay(State(app): State<App>, signed: Signed, Id(id): Id<i64>, _key: Key) -> Answer<Json<Value>> {
    let (records, again) = (app.deps.records.clone(), app.deps.replay_quarantine.clone());
    let done = app.calls.run("quarantine replay", move || {
        let failed = |error| ApiError::internal("quarantine replay", &error);
        records.quarantine_get(id).map_err(failed)?.ok_or_else(ApiError::not_found)?;
        records.audit(Some(signed.person.id), "replay", &format!("quarantine/{id}"), "").map_err(failed)?;
        again(id).map_err(|cause| {
            ApiError::new(
                StatusCode::CONFLICT,
                "replay_failed",
                format!("重放未成功,帧仍保留在隔离区:{cause}"),
                format!("The replay failed and the frame stays in quarantine: {cause}"),
            )
        })?;
        let frame = records.quarantine_get(id).map_err(failed)?;
        Ok(json!({ "id": id, "replayed_at": frame.and_then(|(frame, _)| frame.replayed_at) }))
    });
    done.await?.map(Json)
}

/// `GET /api/health`, for everybody: no personal data in it.
pub(crate) async fn health(State(app): State<App>) -> Json<Value> {
    let checks = (app.deps.health)();
    let status = if checks.iter().all(|check| check.ok) { "ok" } else { "degraded" };
    Json(json!({ "status": status, "version": env!("CARGO_PKG_VERSION"), "checks": checks }))
}

/// `GET /api/writer`: how far readings are stored, how late, how quickly, and what is in the way.
pub(crate) async fn writer(State(app): State<App>) -> Json<Value> {
    Json((app.deps.writer)())
}

/// `GET /metrics`, Prometheus text.
pub(crate) async fn figures(State(app): State<App>) -> impl IntoResponse {
    let streams = app.config.sse_clients_max.saturating_sub(app.streams.available_permits());
    let text = (app.deps.metrics)() + &app.counts.text(streams);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

/// `GET /api/metrics`: the words of the domain, so that the pages need no list of their own.
pub(crate) async fn words() -> Json<Value> {
    let metrics: Vec<_> = Metric::ALL.iter().map(|metric| metric.info()).collect();
    let qualities: Vec<_> = Quality::ALL
        .iter()
        .map(|quality| json!({ "slug": quality, "zh": quality.zh(), "has_value": quality.has_value() }))
        .collect();
    macro_rules! words {
        ($type:ident) => {
            $type::ALL.iter().map(|w| json!({ "slug": w.slug(), "zh": w.zh(), "en": w.en() })).collect::<Vec<_>>()
        };
    }
    Json(json!({
        "metrics": metrics,
        "qualities": qualities,
        "outcomes": words!(Outcome),
        "priorities": words!(Priority),
        "events": words!(EventKind),
        "alarm_events": words!(AlarmEventKind),
        "page_states": words!(PageState),
    }))
}
