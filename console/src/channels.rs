//! Paging channels on the administrator's screen: health, quota, a test; people's addresses in them; and the code by which a
//! dispatcher records an answer that came by telephone.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use model::{PersonId, Time};
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{Error, Reply};

use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::{Id, Key, Sent};
use crate::refused::refused;

/// Wrong codes one person may type within [`WINDOW_US`].
const WRONG_MAX: u32 = 10;
const WINDOW_US: i64 = 15 * 60 * 1_000_000;
/// People remembered; more are only as many as can sign in.
const PEOPLE_MAX: usize = 10_000;

/// `GET /api/channels`
pub(crate) async fn list(State(app): State<App>) -> Answer<Json<Value>> {
    let states = app.deps.paging.states.clone();
    let found = app.calls.run("channels", move || states()).await?;
    found.map(|rows| Json(json!({ "channels": rows }))).map_err(|error| ApiError::internal("channels", &error))
}

/// `POST /api/channels/{name}/test`: to the administrator who asks.
pub(crate) async fn test(State(app): State<App>, signed: Signed, Path(name): Path<String>) -> Answer<Json<Value>> {
    let (records, person, subject) = (app.deps.records.clone(), signed.person.id, format!("channel/{name}"));
    let tried = (app.deps.paging.test)(name, person).await;
    let result = tried.map_err(|error| ApiError::internal("channel test", &error))?.ok_or_else(ApiError::not_found)?;
    let written = app.calls.run("audit", move || records.audit(Some(person), "test_channel", &subject, "")).await?;
    written.map_err(|error| ApiError::internal("audit", &error))?;
    Ok(Json(result))
}

/// `GET /api/people/{id}/contacts`
pub(crate) async fn contacts(State(app): State<App>, Id(id): Id<PersonId>) -> Answer<Json<Value>> {
    let records = app.deps.records.clone();
    let found = app.calls.run("contacts", move || records.person(id)?.map(|_| records.contacts_of(id)).transpose());
    let found = found.await?.map_err(|error: Error| ApiError::internal("contacts", &error))?;
    found.map(|contacts| Json(json!({ "contacts": contacts }))).ok_or_else(ApiError::not_found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewContact {
    channel: String,
    /// `null` takes it away.
    address: Option<String>,
}

/// `PUT /api/people/{id}/contacts {channel, address}`
pub(crate) async fn set_contact(
    State(app): State<App>,
    signed: Signed,
    Id(id): Id<PersonId>,
    Sent(sent): Sent<NewContact>,
) -> Answer<Json<Value>> {
    if !app.deps.channels.iter().any(|channel| channel.name == sent.channel) {
        return Err(ApiError::bad_request("没有这个通道。", "There is no such channel."));
    }
    let records = app.deps.records.clone();
    let done = app.calls.run("contact", move || {
        records.set_contact(id, &sent.channel, sent.address.as_deref(), signed.person.id)?;
        records.contacts_of(id)
    });
    match done.await? {
        Ok(contacts) => Ok(Json(json!({ "contacts": contacts }))),
        Err(Error::NotFound(_)) => Err(ApiError::not_found()),
        Err(Error::Invalid(why)) => {
            Err(ApiError::bad_request(format!("地址有误:{why}"), format!("The address is wrong: {why}.")))
        }
        Err(error) => Err(ApiError::internal("contact", &error)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    code: String,
}

/// `POST /api/pages/ack-code {code}`: the paged person said the code on the telephone; the page is accepted in their name, and
/// the audit says who typed it.
pub(crate) async fn ack_code(
    State(app): State<App>,
    signed: Signed,
    Key(key): Key,
    Sent(sent): Sent<Code>,
) -> Answer<Json<Value>> {
    let (now, typist) = (app.deps.clock.now(), signed.person.id);
    if app.wrong_codes.try_once(typist, now) {
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "locked",
            "应答码错误次数过多,请 15 分钟后再试,或在告警中直接处理。",
            "Too many wrong codes; try again in 15 minutes, or handle the alarm itself.",
        ));
    }
    let records = app.deps.records.clone();
    let found = app.calls.run("page code", move || {
        let found = records.page_of_code(sent.code.trim()).map_err(|error| ApiError::internal("page code", &error))?;
        let Some((page, person)) = found else { return Ok(None) };
        // First who did it: an acceptance without its author must not be.
        let written = records.audit(Some(typist), "ack_code", &format!("page/{page}"), "");
        written.map_err(|error| ApiError::internal("page code", &error))?;
        let page = records.answer_page(page, person, Reply::Accept, key.as_deref()).map_err(|error| refused(&error))?;
        Ok::<_, ApiError>(Some(
            json!({ "page": page.id, "alarm": page.alarm, "person": page.person, "state": page.state }),
        ))
    });
    let found = found.await??;
    if let Some(page) = found {
        app.wrong_codes.right(typist);
        return Ok(Json(page));
    }
    Err(ApiError::not_found())
}

/// Wrong codes by person.
#[derive(Debug, Default)]
pub(crate) struct WrongCodes(Mutex<HashMap<PersonId, (Time, u32)>>);

impl WrongCodes {
    /// Counts a try before it is looked at, so that many at once do not outrun the limit. True: no more tries for now.
    fn try_once(&self, person: PersonId, now: Time) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= PEOPLE_MAX {
            known.retain(|_, (since, _)| now.since_us(*since) < WINDOW_US);
        }
        let entry = known.entry(person).or_insert((now, 0));
        if now.since_us(entry.0) >= WINDOW_US {
            *entry = (now, 0);
        }
        if entry.1 >= WRONG_MAX {
            return true;
        }
        entry.1 += 1;
        false
    }

    /// The try was right: it does not count.
    fn right(&self, person: PersonId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = known.get_mut(&person) {
            entry.1 = entry.1.saturating_sub(1);
        }
    }
}
