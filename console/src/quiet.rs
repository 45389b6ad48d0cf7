//! Quiet periods: an elder away or in hospital, a device under maintenance. Everybody sees which are in force.

use axum::Json;
use axum::extract::State;
use model::{DeviceId, ElderId, QuietKind, Time, Whose, mask};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{NewQuiet, QuietFilter, QuietView, Records};

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Params, Sent};
use crate::rules::{reason_of, saved};
use crate::view;

/// Quiet periods one list answers at most.
const LIST_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    elder: Option<ElderId>,
    device: Option<DeviceId>,
    #[serde(default)]
    all: bool,
}

/// `GET /api/quiet?elder=&device=&all=`: in force and planned; with `all` also those that are over.
pub(crate) async fn list(State(app): State<App>, signed: Signed, Params(query): Params<Query>) -> Answer<Json<Value>> {
    let (records, now) = (app.deps.records.clone(), app.deps.clock.now());
    let found = app.calls.run("quiet periods", move || {
        let whose = query.elder.map(Whose::Elder).or(query.device.map(Whose::Device));
        if let Some(whose) = whose {
            in_scope(&records, &signed, whose)?;
        }
        let filter = QuietFilter { whose, all: query.all };
        let mut found = saved("quiet periods", records.quiets(filter, LIST_MAX))?;
        if whose.is_none() && !signed.sees_all() {
            found.retain(|one| in_scope(&records, &signed, one.quiet.whose).is_ok());
        }
        let found = found.iter().map(|one| quiet_json(&records, one, now));
        Ok(json!({ "quiet": found.collect::<Answer<Vec<_>>>()? }))
    });
    found.await?.map(Json)
}

fn quiet_json(records: &Records, one: &QuietView, now: Time) -> Answer<Value> {
    let mut answer = to_value(one)?;
    answer["kind_zh"] = json!(one.quiet.kind.zh());
    answer["kind_en"] = json!(one.quiet.kind.en());
    answer["elder_name_masked"] = json!(one.elder_name.as_deref().map(mask::name));
    answer["by"] = json!(view::person_name(records, one.author));
    answer["ended_by_name"] = json!(view::person_name(records, one.ended_by));
    answer["in_force"] = json!(one.quiet.covers(now));
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    kind: QuietKind,
    elder: Option<ElderId>,
    device: Option<DeviceId>,
    from: Option<Time>,
    until: Time,
    reason: String,
}

/// `POST /api/quiet {kind, elder|device, from?, until, reason}`
pub(crate) async fn begin(State(app): State<App>, signed: Signed, Sent(sent): Sent<Begin>) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    let whose = match (sent.elder, sent.device) {
        (Some(elder), None) => Whose::Elder(elder),
        (None, Some(device)) => Whose::Device(device),
        _ => {
            return Err(ApiError::bad_request("请指定老人或设备之一。", "Say whose it is: one of elder, device."));
        }
    };
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let now = app.deps.clock.now();
    let done = app.calls.run("quiet period", move || {
        in_team(&records, &signed, whose)?;
        let new = NewQuiet { kind: sent.kind, whose, from: sent.from, until: sent.until, reason };
        let id = saved("quiet period", records.quiet_begin(&new, signed.person.id))?;
        publish();
        found(&records, id, now)
    });
    done.await?.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    reason: String,
}

/// `POST /api/quiet/{id}/end {reason}`
pub(crate) async fn end(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<u32>,
    Sent(sent): Sent<End>,
) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let now = app.deps.clock.now();
    let done = app.calls.run("quiet period", move || {
        let known = saved("quiet period", records.quiet(id))?.ok_or_else(ApiError::not_found)?;
        in_team(&records, &signed, known.quiet.whose)?;
        saved("quiet period", records.quiet_end(id, signed.person.id, &reason))?;
        publish();
        found(&records, id, now)
    });
    done.await?.map(Json)
}

fn found(records: &Records, id: u32, now: Time) -> Answer<Value> {
    let one = saved("quiet period", records.quiet(id))?.ok_or_else(ApiError::not_found)?;
    quiet_json(records, &one, now)
}

/// Who may see it.
fn in_scope(records: &Records, signed: &Signed, whose: Whose) -> Answer<()> {
    match whose_elder(records, signed, whose)? {
        Some(elder) => elders::in_scope(records, signed, elder).map(drop),
        None => Ok(()),
    }
}

/// Who may begin and end it: it lasts longer than a page.
fn in_team(records: &Records, signed: &Signed, whose: Whose) -> Answer<()> {
    match whose_elder(records, signed, whose)? {
        Some(elder) => elders::in_team(records, signed, elder).map(drop),
        None => Ok(()),
    }
}

/// A device is in the scope of whoever sees all elders (`None`: nobody has to be asked for), or the one who wears it.
fn whose_elder(records: &Records, signed: &Signed, whose: Whose) -> Answer<Option<ElderId>> {
    match whose {
        Whose::Elder(elder) => Ok(Some(elder)),
        Whose::Device(_) if signed.sees_all() => Ok(None),
        Whose::Device(device) => {
            let open = saved("quiet period", records.bindings())?;
            let wearer = open.iter().find(|(worn, _)| *worn == device).map(|(_, elder)| *elder);
            wearer.map(Some).ok_or_else(ApiError::not_allowed)
        }
    }
}
