//! What a handler takes from a request: a JSON body, query parameters, an id in the path, the idempotency key. Each
//! refuses with a JSON error that names the place.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::App;
use crate::error::ApiError;

/// Longest `Idempotency-Key`, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 128;
/// Longest time a body may take to arrive.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// A JSON body.
pub(crate) struct Sent<T>(pub(crate) T);

/// The raw bytes of a body, for signatures.
pub(crate) async fn raw_body(body: Body, bytes_max: usize) -> Result<bytes::Bytes, ApiError> {
    match tokio::time::timeout(BODY_WAIT, to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // `to_bytes` fails for a body above the limit and for a broken connection, where nobody reads the answer.
        Ok(Err(_)) => Err(ApiError::too_large(bytes_max)),
        Err(_) => {
            Err(ApiError::bad_request("请求内容未在 10 秒内到达。", "The body did not arrive within 10 seconds."))
        }
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let declared =
            request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if declared.is_some_and(|bytes| bytes > app.config.body_bytes_max) {
            return Err(ApiError::too_large(app.config.body_bytes_max));
        }
        let bytes = raw_body(request.into_body(), app.config.body_bytes_max).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|bad| {
            ApiError::bad_request(
                format!("请求内容有误(第 {} 行第 {} 列):{bad}", bad.line(), bad.column()),
                format!("The body is not what is expected here: {bad}."),
            )
        })
    }
}

/// Query parameters.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Query::from_request_parts(parts, app).await.map(|Query(inner)| Self(inner)).map_err(|bad| {
            let why = bad.body_text();
            ApiError::bad_request(format!("网址参数有误:{why}"), format!("A query parameter is wrong: {why}."))
        })
    }
}

/// The `{id}` of a path. Anything that is not one names nothing: 404.
pub(crate) struct Id<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Id<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        Path::from_request_parts(parts, app).await.map(|Path(inner)| Self(inner)).map_err(|_| ApiError::not_found())
    }
}

/// The `Idempotency-Key` of an action: sent again with the same key, it is done once.
pub(crate) struct Key(pub(crate) Option<String>);

impl FromRequestParts<App> for Key {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _app: &App) -> Result<Self, ApiError> {
        idempotency_key(&parts.headers).map(Self)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(text) if !text.is_empty() && text.len() <= KEY_BYTES_MAX => Ok(Some(text.to_owned())),
        _ => Err(ApiError::bad_request(
            format!("Idempotency-Key 应为 1 至 {KEY_BYTES_MAX} 个可见字符。"),
            format!("Idempotency-Key must have 1 to {KEY_BYTES_MAX} visible characters."),
        )),
    }
}
