//! An elder's alarm rules: what is in force and who said so, and a change by a doctor or an administrator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::ElderId;
use model::rule::RuleSet;
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::Records;

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::deps::{RuleChange, RuleChangeError};
use crate::elders;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Sent};
use crate::view;

/// Characters of the reason for a change.
const REASON_CHARS_MAX: usize = 500;

/// `GET /api/elders/{id}/rules`
pub(crate) async fn get(State(app): State<App>, signed: Signed, Id(id): Id<ElderId>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("rules", move || {
        elders::in_scope(&records, &signed, id)?;
        rules_json(&records, id)
    });
    found.await?.map(Json)
}

fn rules_json(records: &Records, id: ElderId) -> Answer<Value> {
    let stored = match records.rules_for(id) {
        Ok(stored) => stored,
        Err(store::records::Error::NotFound(_)) => return Err(ApiError::not_found()),
        Err(error) => return Err(ApiError::internal("rules", &error)),
    };
    let mut answer = to_value(&stored.set)?;
    answer["own"] = json!(stored.own);
    answer["author"] = json!(view::person_name(records, stored.author));
    answer["saved_at"] = json!(stored.saved_at);
    answer["reason"] = json!(stored.reason);
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    set: RuleSet,
    reason: String,
}

/// `PUT /api/elders/{id}/rules {set, reason}`
pub(crate) async fn put(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Sent(sent): Sent<Change>,
) -> Answer<Json<Value>> {
    let reason = sent.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::bad_request(
            format!("请填写修改原因(1 至 {REASON_CHARS_MAX} 个字符)。"),
            format!("Give the reason for the change (1 to {REASON_CHARS_MAX} characters)."),
        ));
    }
    // Checked here as well, so that a bad set never gets further than the door.
    sent.set.check().map_err(|bad| refused(RuleChangeError::Bad(bad)))?;
    let (records, save) = (app.deps.records.clone(), app.deps.save_rules.clone());
    let saved = app.calls.run("saving rules", move || {
        elders::in_scope(&records, &signed, id)?;
        let change = RuleChange { elder: Some(id), set: sent.set, author: signed.person.id, reason };
        save(change).map_err(refused)?;
        rules_json(&records, id)
    });
    saved.await?.map(Json)
}

pub(crate) fn refused(error: RuleChangeError) -> ApiError {
    match error {
        RuleChangeError::Bad(bad) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_rule",
            format!("规则 {:?} 有误,请修改后再保存:{}", bad.rule, bad.reason),
            format!("Rule {:?} is wrong, change it and save again: {}.", bad.rule, bad.reason),
        )
        .with("rule", bad.rule),
        RuleChangeError::Failed(cause) => ApiError::internal("saving rules", &cause),
    }
}
