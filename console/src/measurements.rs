//! Measurements of shared devices: the queue of those that belong to nobody, an elder's, whose they are, and the cards and codes by
//! which elders are known there.
//!
//! Values without a person are nobody's secret: every doctor, nurse and administrator sees the queue. Giving one to an elder,
//! taking one from an elder, and cards outlast a page: they need an elder of the person's own team.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::entry::Entry;
use model::identity::{KeyKind, Nobody};
use model::{DeviceId, ElderId, GatewayId, Subject};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{self, Measurement, MoveView, NewMove, REASON_CHARS_MAX, Records};

use crate::App;
use crate::access::Signed;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params, Sent};

const LIST_DEFAULT: usize = 50;
/// Measurements one list answers at most.
const LIST_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    before: Option<i64>,
    limit: Option<usize>,
}

impl ListQuery {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX)
    }
}

/// `GET /api/measurements?before=&limit=`: those that belong to nobody, newest first.
pub(crate) async fn queue(State(app): State<App>, Params(query): Params<ListQuery>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("measurements", move || {
        let failed = |error| ApiError::internal("measurements", &error);
        let found = records.measurements_of_nobody(query.before, query.limit()).map_err(failed)?;
        let count = records.measurements_of_nobody_count().map_err(failed)?;
        Ok(json!({ "count": count, "measurements": shown(&records, &found)? }))
    });
    found.await?.map(Json)
}

/// `GET /api/elders/{id}/measurements?before=&limit=`: what shared devices measured of an elder, newest first.
pub(crate) async fn of_elder(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Params(query): Params<ListQuery>,
) -> Answer<Json<Value>> {
    let (records, calls) = (app.deps.records.clone(), app.calls.clone());
    let found = calls.run("measurements", move || {
        elders::in_scope(&records, &signed, id)?;
        app.looks.at_readings(&records, signed.person.id, id, app.deps.clock.now())?;
        let found = records.measurements_of(id, query.before, query.limit());
        let found = found.map_err(|error| ApiError::internal("measurements", &error))?;
        Ok(json!({ "measurements": shown(&records, &found)? }))
    });
    found.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    measurements: Vec<i64>,
    /// `null`: taken back, nobody's again.
    elder: Option<ElderId>,
    reason: String,
    /// The unregistered card or code of these measurements is this elder's from now on.
    #[serde(default)]
    remember_key: bool,
}

/// `POST /api/measurements/attribute`: whose they are. The readings move, the rules look at them again. Sent twice it is done once.
pub(crate) async fn attribute(
    State(app): State<App>,
    signed: Signed,
    _key: Key,
    Sent(sent): Sent<Decision>,
) -> Answer<Json<Value>> {
    let reason = sent.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::bad_request(
            format!("请填写归属原因(1 至 {REASON_CHARS_MAX} 个字符)。"),
            format!("Give the reason (1 to {REASON_CHARS_MAX} characters)."),
        ));
    }
    let (records, decide) = (app.deps.records.clone(), app.deps.decide.clone());
    let done = app.calls.run("attribution", move || {
        if let Some(elder) = sent.elder {
            elders::in_team(&records, &signed, elder)?;
        }
        let failed = |error| ApiError::internal("attribution", &error);
        let now = records.measurements(&sent.measurements).map_err(failed)?;
        // Nobody takes from an elder whom another team treats.
        for elder in now.iter().filter_map(|one| one.elder) {
            elders::in_team(&records, &signed, elder)?;
        }
        let decision = NewMove {
            measurements: sent.measurements,
            to: sent.elder,
            by: signed.person.id,
            reason,
            remember_key: sent.remember_key,
        };
        let moved = decide(&decision).map_err(refused)?;
        Ok(json!({ "moved": moved }))
    });
    done.await?.map(Json)
}

/// `GET /api/elders/{id}/keys`
pub(crate) async fn keys(State(app): State<App>, signed: Signed, Id(id): Id<ElderId>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("keys", move || {
        elders::in_scope(&records, &signed, id)?;
        keys_json(&records, id)
    });
    found.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    kind: String,
    /// The number or text. Hashed at once, kept nowhere.
    value: String,
}

/// `POST /api/elders/{id}/keys`: this card or code means this elder.
pub(crate) async fn add_key(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    _key: Key,
    Sent(sent): Sent<NewKey>,
) -> Answer<Json<Value>> {
    let Some(site) = app.deps.identity_key.clone() else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "no_identity_key",
            "服务器未配置 identity_key_file,无法登记证件。",
            "The server has no identity_key_file: cards and codes cannot be registered.",
        ));
    };
    let Some(kind @ (KeyKind::Card | KeyKind::Qr)) = KeyKind::parse(&sent.kind) else {
        return Err(ApiError::bad_request("kind 须为 card 或 qr。", "kind must be card or qr."));
    };
    let made = site.person(kind, &sent.value, app.deps.clock.now());
    let key = made.map_err(|bad| {
        ApiError::bad_request(format!("证件号码或二维码有误:{bad}。"), format!("The card or code is wrong: {bad}."))
    })?;
    let records = app.deps.records.clone();
    let done = app.calls.run("keys", move || {
        elders::in_team(&records, &signed, id)?;
        records.add_key(id, &key, Some(signed.person.id)).map_err(refused)?;
        keys_json(&records, id)
    });
    done.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OldKey {
    fingerprint: String,
}

/// `POST /api/elders/{id}/keys/remove`
pub(crate) async fn remove_key(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    _key: Key,
    Sent(sent): Sent<OldKey>,
) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let done = app.calls.run("keys", move || {
        elders::in_team(&records, &signed, id)?;
        records.remove_key(id, &sent.fingerprint, Some(signed.person.id)).map_err(refused)?;
        keys_json(&records, id)
    });
    done.await?.map(Json)
}

fn keys_json(records: &Records, id: ElderId) -> Answer<Value> {
    let keys = records.keys_of(id).map_err(|error| ApiError::internal("keys", &error))?;
    Ok(json!({ "keys": keys }))
}

fn refused(error: records::Error) -> ApiError {
    match error {
        records::Error::NotFound(_) => ApiError::not_found(),
        records::Error::Invalid(_) | records::Error::TooMany { .. } => {
            ApiError::bad_request(format!("无法执行:{error}。"), format!("That cannot be done: {error}."))
        }
        other => ApiError::internal("measurements", &other),
    }
}

/// Where a device stands.
struct Places {
    devices: HashMap<DeviceId, (String, GatewayId)>,
    gateways: HashMap<GatewayId, (String, String)>,
}

fn shown(records: &Records, measurements: &[Measurement]) -> Answer<Vec<Value>> {
    if measurements.is_empty() {
        return Ok(Vec::new());
    }
    let failed = |error| ApiError::internal("measurements", &error);
    let devices = records.devices().map_err(failed)?;
    let gateways = records.gateways().map_err(failed)?;
    let places = Places {
        devices: devices.into_iter().map(|device| (device.id, (device.name.to_string(), device.gateway))).collect(),
        gateways: gateways.into_iter().map(|g| (g.id, (g.name.to_string(), g.site_name.to_string()))).collect(),
    };
    Ok(measurements.iter().map(|one| measurement_json(one, &places)).collect())
}

fn measurement_json(one: &Measurement, places: &Places) -> Value {
    let device = places.devices.get(&one.device).map(|(name, _)| name);
    let gateway = places.gateways.get(&one.gateway);
    let cause = one.cause.as_deref().and_then(Nobody::parse);
    let cause = cause.map(|why| json!({ "slug": why.slug(), "zh": why.zh(), "en": why.en() }));
    let frame = match Entry::decode(&one.frame) {
        Ok(Entry::Frame(frame)) => Some(frame),
        _ => None,
    };
    let values: Vec<Value> = frame.iter().flat_map(|frame| &frame.samples).map(|sample| {
        json!({ "metric": sample.metric, "value": sample.value(), "quality": sample.quality, "taken_at": sample.taken_at })
    }).collect();
    let blocks = frame.as_ref().map_or(0, |frame| frame.extras.waveforms.len());
    json!({
        "id": one.id, "device": device, "gateway": gateway.map(|(name, _)| name), "site": gateway.map(|(_, site)| site),
        "taken_at": one.taken_at, "received_at": one.received_at, "elder": one.elder, "cause": cause,
        "has_key": one.has_key, "values": values, "waveform_blocks": blocks,
        "moves": one.moves.iter().map(move_json).collect::<Vec<_>>(),
    })
}

fn move_json(one: &MoveView) -> Value {
    let elder = |subject: Subject| subject.elder();
    json!({
        "at": one.at, "by": { "id": one.by, "name": one.by_name }, "from": elder(one.from), "to": elder(one.to),
        "reason": one.reason,
    })
}
