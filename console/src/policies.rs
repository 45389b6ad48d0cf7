//! Escalation policies: what is in force and who said so, and a change by an administrator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::people::Role;
use model::policy::{BadPolicy, Policy, Target};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::records::{Records, StoredPolicy};

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::deps::ChannelName;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Sent};
use crate::view;

/// Something that may be saved, and that somebody should look at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Warning {
    /// `step 2`
    place: String,
    /// `channel_not_configured`, `nobody`
    code: &'static str,
    zh: String,
    en: String,
}

/// `GET /api/policies`
pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let (records, channels) = (app.deps.records.clone(), app.deps.channels.clone());
    let found = app.calls.run("policies", move || {
        let stored = records.policies().map_err(|error| ApiError::internal("policies", &error))?;
        let policies: Answer<Vec<Value>> = stored.iter().map(|one| policy_json(&records, &channels, one)).collect();
        Ok(json!({ "policies": policies?, "channels": &*channels }))
    });
    found.await?.map(Json)
}

/// `GET /api/policies/{name}`: every version, newest first.
pub(crate) async fn versions(State(app): State<App>, Id(name): Id<String>) -> Answer<Json<Value>> {
    let (records, channels) = (app.deps.records.clone(), app.deps.channels.clone());
    let found = app.calls.run("policies", move || {
        let stored = records.policy_versions(&name).map_err(|error| ApiError::internal("policies", &error))?;
        if stored.is_empty() {
            return Err(ApiError::not_found());
        }
        let policies: Answer<Vec<Value>> = stored.iter().map(|one| policy_json(&records, &channels, one)).collect();
        Ok(json!({ "versions": policies? }))
    });
    found.await?.map(Json)
}

fn policy_json(records: &Records, channels: &[ChannelName], stored: &StoredPolicy) -> Answer<Value> {
    let mut answer = to_value(&stored.policy)?;
    answer["author"] = json!(view::person_name(records, stored.author));
    answer["reason"] = json!(stored.reason);
    answer["saved_at"] = json!(stored.saved_at);
    let warnings = warnings(records, channels, &stored.policy);
    answer["warnings"] = json!(warnings.map_err(|error| ApiError::internal("policies", &error))?);
    Ok(answer)
}

/// What of a policy would page nobody as things are now.
fn warnings(records: &Records, channels: &[ChannelName], policy: &Policy) -> store::records::Result<Vec<Warning>> {
    let persons = records.persons()?;
    let teams = records.teams()?;
    let mut found = Vec::new();
    for (number, step) in (1..).zip(&policy.steps) {
        let place = format!("step {number}");
        for channel in &step.channels {
            if !channels.iter().any(|known| known.name == *channel && known.configured) {
                found.push(Warning {
                    place: place.clone(),
                    code: "channel_not_configured",
                    zh: format!("通道 {channel} 尚未配置,经由它的寻呼都会失败。"),
                    en: format!("The channel {channel} is not configured: every page by it fails."),
                });
            }
        }
        for target in &step.targets {
            let somebody = match target {
                Target::Person { person } => persons.iter().any(|one| one.id == *person && !one.disabled),
                Target::Team { team } => teams.iter().any(|one| one.id == *team),
                Target::Supervisors => persons.iter().any(|one| one.role == Role::Supervisor && !one.disabled),
                Target::OnCall { .. } | Target::Responders => true,
            };
            if !somebody {
                let word = to_text(target);
                found.push(Warning {
                    place: place.clone(),
                    code: "nobody",
                    zh: format!("对象 {word} 目前没有任何人,这一级会被跳过。"),
                    en: format!("The target {word} means nobody at present."),
                });
            }
        }
    }
    Ok(found)
}

fn to_text(target: &Target) -> String {
    serde_json::to_string(target).unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Its `version` is the one that was changed; 0 for a new policy.
    policy: Policy,
    reason: String,
}

/// `PUT /api/policies {policy, reason}`
pub(crate) async fn put(State(app): State<App>, signed: Signed, Sent(sent): Sent<Change>) -> Answer<Json<Value>> {
    let (records, channels) = (app.deps.records.clone(), app.deps.channels.clone());
    let saved = app.calls.run("saving a policy", move || {
        let is_channel = |name: &str| channels.iter().any(|known| known.name == name);
        let Change { policy, reason } = sent;
        let (name, author) = (policy.name.clone(), Some(signed.person.id));
        records.save_policy(policy, &is_channel, author, reason.trim()).map_err(|error| refused(&error))?;
        let stored = records.policies().map_err(|error| ApiError::internal("policies", &error))?;
        let stored = stored.iter().find(|one| one.policy.name == name).ok_or_else(ApiError::not_found)?;
        policy_json(&records, &channels, stored)
    });
    saved.await?.map(Json)
}

fn refused(error: &store::records::Error) -> ApiError {
    use store::records::Error;
    match error {
        Error::Policy(BadPolicy { place, reason, .. }) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_policy",
            format!("升级策略有误({place}),请修改后再保存:{reason}"),
            format!("The policy is wrong at {place}, change it and save again: {reason}."),
        )
        .with("place", place.clone()),
        Error::PolicyChanged { version } => ApiError::new(
            StatusCode::CONFLICT,
            "policy_changed",
            format!("该策略已被他人修改(现为第 {version} 版),请重新载入。"),
            format!("Somebody else changed this policy meanwhile (it is at version {version}); load it again."),
        ),
        Error::Invalid(why) => ApiError::bad_request(format!("无法保存:{why}"), format!("It cannot be saved: {why}.")),
        Error::TooMany { what, limit } => {
            ApiError::bad_request(format!("最多 {limit} 个({what})。"), format!("There may be at most {limit} {what}."))
        }
        error => ApiError::internal("saving a policy", error),
    }
}
