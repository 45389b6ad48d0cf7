//! For administrators: which frames of gateways are missing, what was declared lost and why, and asking again.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::{GatewayId, Name};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Gap, Loss};

use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Params};

/// Gaps and losses of one answer, each, by default and at most.
const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// A gateway's name; all of them without it.
    gateway: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/custody`: gaps that stand first, then closed ones, newest first; declared losses, newest first; sums.
pub(crate) async fn list(State(app): State<App>, Params(query): Params<Query>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("custody", move || {
        let failed = |error| ApiError::internal("custody", &error);
        let limit = query.limit.unwrap_or(LIST_DEFAULT).clamp(1, LIST_MAX);
        let gateways = records.gateways().map_err(failed)?;
        let names: HashMap<GatewayId, &Name> = gateways.iter().map(|gateway| (gateway.id, &gateway.name)).collect();
        let wanted = match &query.gateway {
            Some(name) => {
                let known = gateways.iter().find(|gateway| gateway.name.as_str() == name);
                Some(known.ok_or_else(ApiError::not_found)?.id)
            }
            None => None,
        };
        let gaps = records.gaps(wanted, limit).map_err(failed)?;
        let losses = records.losses(wanted, limit).map_err(failed)?;
        let counts = records.loss_counts().map_err(failed)?;
        Ok(json!({
            "gaps": gaps.iter().map(|gap| gap_json(gap, &names)).collect::<Vec<_>>(),
            "losses": losses.iter().map(|loss| loss_json(loss, &names)).collect::<Vec<_>>(),
            "lost_frames": counts.frames, "thinned_readings": counts.readings_thinned,
        }))
    });
    found.await?.map(Json)
}

fn gap_json(gap: &Gap, names: &HashMap<GatewayId, &Name>) -> Value {
    json!({
        "id": gap.id, "gateway": names.get(&gap.gateway), "epoch": gap.epoch, "lane": gap.lane.as_str(),
        "first": gap.first, "last": gap.last, "missing_first": gap.missing_first, "missing_last": gap.missing_last,
        "missing": gap.missing, "lost": gap.lost, "state": gap.state, "cause": gap.cause, "opened_at": gap.opened_at,
        "asks": gap.asks, "asked_at": gap.asked_at, "closed_at": gap.closed_at,
    })
}

fn loss_json(loss: &Loss, names: &HashMap<GatewayId, &Name>) -> Value {
    json!({
        "gateway": names.get(&loss.gateway), "epoch": loss.epoch, "lane": loss.lane.as_str(), "first": loss.first,
        "last": loss.last, "cause": loss.cause, "by_server": loss.by_server, "thinned": loss.thinned,
        "readings": loss.readings, "kept": loss.kept, "declared_at": loss.declared_at,
    })
}

/// `POST /api/custody/{id}/ask`: asks the gateway for a gap at once. It answers later, with frames or with a note.
pub(crate) async fn ask(State(app): State<App>, signed: Signed, Id(id): Id<i64>, _key: Key) -> Answer<Json<Value>> {
    let (records, again) = (app.deps.records.clone(), app.deps.ask_again.clone());
    let done = app.calls.run("custody ask", move || {
        let failed = |error| ApiError::internal("custody ask", &error);
        records.gap(id).map_err(failed)?.ok_or_else(ApiError::not_found)?;
        records.audit(Some(signed.person.id), "ask_again", &format!("gap/{id}"), "").map_err(failed)?;
        again(id).map_err(|cause| {
            ApiError::new(
                StatusCode::CONFLICT,
                "ask_failed",
                format!("未能再次请求:{cause}"),
                format!("The request could not be made: {cause}"),
            )
        })?;
        Ok(json!({ "id": id }))
    });
    done.await?.map(Json)
}
