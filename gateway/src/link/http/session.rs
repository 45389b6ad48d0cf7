//! `/v1/session`: who is at the shared devices, for a kiosk with a card reader, a camera for codes, or a keypad. A reader that types
//! like a keyboard goes into a field of the kiosk's page, which posts it here.
//!
//! | request | body | answer |
//! |---|---|---|
//! | `POST` | `{"kind":"card"\|"qr"\|"elder","value":".."}` | the session; 400 and a sentence when the value is none |
//! | `GET` | | the session |
//! | `DELETE` | | the session, closed |
//!
//! A session is `{"open":true,"kind":"card","since":..,"until":..}` or `{"open":false}`: nothing in it says who the person is.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use model::identity::KeyKind;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Desk, read};
use crate::who::SessionState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Presented {
    kind: String,
    value: String,
}

pub(super) fn route() -> MethodRouter<Desk> {
    get(state).post(open).delete(close)
}

async fn state(State(desk): State<Desk>, request: Request) -> Response {
    let admitted = desk.admit(&request);
    desk.answer(admitted.map(|()| desk.context.outlet.session(desk.context.clock.now())))
}

async fn close(State(desk): State<Desk>, request: Request) -> Response {
    let answer = match desk.admit(&request) {
        Ok(()) => Ok(desk.context.outlet.leave(desk.context.clock.now()).await),
        Err(refused) => Err(refused),
    };
    desk.answer(answer)
}

async fn open(State(desk): State<Desk>, request: Request) -> Response {
    let answer = desk.open(request).await;
    desk.answer(answer)
}

impl Desk {
    fn admit(&self, request: &Request) -> Result<(), Answer> {
        let said = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.kiosk(said).map(drop)
    }

    async fn open(&self, request: Request) -> Result<SessionState, Answer> {
        self.admit(&request)?;
        let bad = |what: String| (StatusCode::BAD_REQUEST, what);
        let body = read(request.into_body()).await?;
        // The error's own text may quote the value, which may be a number of a card.
        let presented: Presented = serde_json::from_slice(&body)
            .map_err(|_| bad("a JSON object with the texts kind and value is expected".to_owned()))?;
        let kind = KeyKind::parse(&presented.kind).ok_or_else(|| bad("kind is card, qr or elder".to_owned()))?;
        let now = self.context.clock.now();
        self.context.outlet.present(kind, &presented.value, now).await.map_err(|denied| bad(denied.to_string()))
    }

    fn answer(&self, answer: Result<SessionState, Answer>) -> Response {
        match answer {
            Ok(state) => Json(state).into_response(),
            Err((status, error)) => {
                self.context.count(|link| match status {
                    StatusCode::UNAUTHORIZED => link.refused += 1,
                    _ => link.malformed += 1,
                });
                (status, Json(json!({ "error": error }))).into_response()
            }
        }
    }
}
