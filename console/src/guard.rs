//! What every request passes: same-origin check of changes, security headers on every answer, a time limit.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;
use crate::error::ApiError;

/// Everything from this origin, nothing inline, nobody may frame the pages. `data:` only for small images in the CSS.
const CSP: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; \
                   frame-ancestors 'none'";

const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
];

/// The outermost layer.
pub(crate) async fn every_request(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let limit = Duration::from_secs(app.config.answer_s.max(1));
    let answer = match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::late().into_response(),
    };
    app.counts.answered(answer.status());
    with_headers(answer, is_api)
}

fn with_headers(mut response: Response, is_api: bool) -> Response {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if is_api {
        // Personal data must not stay in a shared machine's cache.
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

/// A change must come from our own pages. A foreign page can send neither this content type nor this header without
/// a preflight, which we never answer; the browser's own word about the origin is checked as well.
pub(crate) fn check_change(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let is_json = text("content-type").is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    let foreign_site = text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    let foreign_origin = match (headers.get(header::ORIGIN), text("host")) {
        (None, _) => false,
        (Some(origin), host) => !is_origin_of(origin.to_str().ok(), host),
    };
    if foreign_site || foreign_origin || !(is_json || headers.contains_key("idempotency-key")) {
        return Err(ApiError::new(
            axum::http::StatusCode::FORBIDDEN,
            "cross_site",
            "请求不是从本系统页面发出的;请在本系统页面中操作(内容类型须为 application/json)。",
            "The request does not come from this system's pages; use the pages, or send application/json.",
        ));
    }
    Ok(())
}

/// `http(s)://HOST` equals the host the request was sent to. A proxy in front must keep the `Host` header.
fn is_origin_of(origin: Option<&str>, host: Option<&str>) -> bool {
    let (Some(origin), Some(host)) = (origin, host) else { return false };
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    matches!(scheme, "http" | "https") && rest.eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("vigil.example:8080"));
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        check_change(method, &headers).is_ok()
    }

    #[test]
    fn changes_come_from_our_own_pages() {
        let json = ("content-type", "application/json; charset=utf-8");
        assert!(check(&Method::GET, &[("origin", "https://evil.example")]), "reading is the browser's business");
        assert!(check(&Method::POST, &[json]));
        assert!(check(&Method::POST, &[("idempotency-key", "k")]));
        assert!(check(
            &Method::POST,
            &[json, ("origin", "http://vigil.example:8080"), ("sec-fetch-site", "same-origin")]
        ));
        assert!(!check(&Method::POST, &[]), "a plain form");
        assert!(!check(&Method::POST, &[("content-type", "text/plain")]));
        assert!(!check(&Method::PUT, &[json, ("origin", "https://evil.example")]));
        assert!(!check(&Method::PUT, &[json, ("origin", "null")]));
        assert!(!check(&Method::POST, &[json, ("sec-fetch-site", "cross-site")]));
        assert!(!check(&Method::POST, &[json, ("sec-fetch-site", "same-site")]));
    }
}
