//! An elder's alarm rules: what is in force, where each number comes from, and a change by a doctor or an administrator.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use model::layer::{Layer, Origin, Refused};
use model::rule::{BadRule, RuleSet};
use model::{ElderId, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{self, Records};

use crate::App;
use crate::access::Signed;
use crate::alarms::to_value;
use crate::authors::Authors;
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
    let found = saved("rules", records.elder_rules(id))?;
    let (stored, effective) = (&found.stored, &found.effective);
    let own = effective.origins.iter().find(|origin| origin.layer == Layer::OWN && origin.assignment.is_some());
    let mut answer = to_value(&stored.set)?;
    answer["own"] = json!(stored.own);
    answer["author"] = json!(view::person_name(records, stored.author));
    answer["saved_at"] = json!(stored.saved_at);
    answer["reason"] = json!(stored.reason);
    answer["until"] = json!(own.and_then(|own| own.until));
    let authors = Authors::new(records, id);
    let layers = effective.origins.iter().map(|origin| origin_json(records, &authors, origin));
    answer["layers"] = layers.collect::<Answer<_>>()?;
    answer["origins"] = to_value(&effective.rules)?;
    answer["off"] = to_value(&effective.off)?;
    answer["superseded"] = to_value(&effective.superseded)?;
    answer["left_out"] = to_value(&effective.left_out)?;
    Ok(answer)
}

/// A layer in force with the names of who assigned it and of who saved this version.
fn origin_json(records: &Records, authors: &Authors<'_>, origin: &Origin) -> Answer<Value> {
    let mut answer = to_value(origin)?;
    answer["by"] = json!(view::person_name(records, origin.who));
    answer["tier_zh"] = json!(origin.tier.map(model::layer::Tier::zh));
    answer["tier_en"] = json!(origin.tier.map(model::layer::Tier::en));
    authors.add(origin, &mut answer)?;
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    set: RuleSet,
    reason: String,
    /// Then the elder's own layer ends by itself.
    #[serde(default)]
    until: Option<Time>,
}

/// `PUT /api/elders/{id}/rules {set, reason, until?}`: what differs from what is in force without it becomes the elder's own layer.
pub(crate) async fn put(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<ElderId>,
    Sent(sent): Sent<Change>,
) -> Answer<Json<Value>> {
    let reason = reason_of(&sent.reason)?;
    // Checked here as well, so that a bad set never gets further than the door.
    sent.set.check_saving().map_err(bad_rule)?;
    let (records, publish) = (app.deps.records.clone(), app.deps.publish_rules.clone());
    let done = app.calls.run("saving rules", move || {
        elders::in_team(&records, &signed, id)?;
        let author = Some(signed.person.id);
        saved("saving rules", records.save_own_rules(id, &sent.set, sent.until, author, &reason))?;
        publish();
        rules_json(&records, id)
    });
    done.await?.map(Json)
}

/// The reason for a change, which everybody has to give.
pub(crate) fn reason_of(text: &str) -> Answer<String> {
    let reason = text.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS_MAX {
        return Err(ApiError::bad_request(
            format!("请填写修改原因(1 至 {REASON_CHARS_MAX} 个字符)。"),
            format!("Give the reason for the change (1 to {REASON_CHARS_MAX} characters)."),
        ));
    }
    Ok(reason)
}

/// What the records say to something that a person wants saved.
pub(crate) fn saved<T>(doing: &'static str, result: records::Result<T>) -> Answer<T> {
    result.map_err(|error| match error {
        records::Error::Rules(refused) => not_taken(refused),
        records::Error::NotFound(_) => ApiError::not_found(),
        records::Error::Invalid(why) => {
            ApiError::bad_request(format!("无法保存:{why}。"), format!("This cannot be saved: {why}."))
        }
        records::Error::TooMany { what, limit } => ApiError::bad_request(
            format!("已达上限({limit} 条),请先结束不再需要的。"),
            format!("The limit of {limit} {what} is reached; end what is no longer needed."),
        ),
        other => ApiError::internal(doing, &other),
    })
}

pub(crate) fn bad_rule(bad: BadRule) -> ApiError {
    not_taken(Refused { layer: String::new(), rule: bad.rule, level: bad.level, reason: bad.reason })
}

/// With the place: layer, rule and level, as far as it is about them.
fn not_taken(refused: Refused) -> ApiError {
    let Refused { layer, rule, level, reason } = refused;
    let level = level.map(|level| level.slug().to_owned());
    let words = [
        ("规则层", "Layer", layer.as_str()),
        ("规则", "rule", &rule),
        ("级别", "level", level.as_deref().unwrap_or("")),
    ];
    let there = || words.iter().filter(|(.., what)| !what.is_empty());
    let zh: Vec<String> = there().map(|(word, _, what)| format!("{word} {what:?}")).collect();
    let en: Vec<String> = there().map(|(_, word, what)| format!("{word} {what:?}")).collect();
    let zh = format!("{} 有误,请修改后再保存:{reason}", zh.join(","));
    let en = format!("{} is wrong, change it and save again: {reason}.", en.join(", "));
    let places = [("layer", Some(layer)), ("rule", Some(rule)), ("level", level)];
    let error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_rule", zh, en).with("reason", reason);
    places.into_iter().fold(error, |error, (key, what)| match what.filter(|what| !what.is_empty()) {
        Some(what) => error.with(key, what),
        None => error,
    })
}
