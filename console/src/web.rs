//! The web app, embedded in the binary: hashed assets cached for ever, `index.html` for every page address.

use axum::body::Body;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

use crate::error::ApiError;

#[derive(Embed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// Shown when the binary was built without the web app.
const NOT_BUILT: &str = include_str!("not-built.html");

/// Everything that is not an API route.
pub(crate) async fn fallback(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") || path.starts_with("/demo/") {
        return ApiError::not_found().into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        return ApiError::not_found().into_response();
    }
    let name = path.trim_start_matches('/');
    if let Some(found) = Dist::get(name) {
        return file(name, &found, &headers);
    }
    // A missing asset is missing; only page addresses (no dot in the last part) fall back to the app.
    if name.rsplit('/').next().is_some_and(|last| last.contains('.')) {
        return ApiError::not_found().into_response();
    }
    match Dist::get("index.html") {
        Some(index) => file("index.html", &index, &headers),
        None => Html(NOT_BUILT).into_response(),
    }
}

fn file(name: &str, found: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = found.metadata.sha256_hash();
    let etag = format!("\"{}\"", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, hash));
    // Vite puts a content hash into every name under assets/, so those never change; all else is asked for again.
    let cache = if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|seen| {
        seen.to_str().is_ok_and(|seen| seen.split(',').any(|one| one.trim().trim_start_matches("W/") == etag))
    });
    let fields = [(header::ETAG, etag), (header::CACHE_CONTROL, cache.to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, fields).into_response();
    }
    let kind = [(header::CONTENT_TYPE, content_type(name))];
    (fields, kind, Body::from(found.data.clone().into_owned())).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wav" => "audio/wav",
        "mp3" => "audio/mpeg",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
