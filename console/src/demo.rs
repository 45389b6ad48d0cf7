//! The demo's stand-in for a doctor's phone: a webhook receiver that checks Standard Webhooks signatures and keeps the
//! last deliveries in memory. Exists only when the program runs the demo.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use model::Time;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::App;
use crate::error::{Answer, ApiError};
use crate::input;

/// Deliveries kept; the oldest goes.
const DELIVERIES_MAX: usize = 100;
/// Signatures older or newer than this are refused, in seconds (the specification's default).
const CLOCK_S_MAX: i64 = 300;
/// Largest delivery, in bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest `webhook-id`, in bytes.
const ID_BYTES_MAX: usize = 256;

/// What the phone received, newest last.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<VecDeque<Delivery>>);

#[derive(Clone, Debug, Serialize)]
struct Delivery {
    /// `webhook-id`: the same for every attempt to send one thing.
    id: String,
    received_at: Time,
    /// How often it arrived. More than once is allowed: a duplicate is better than a loss.
    times: u32,
    body: Value,
}

/// `POST /demo/phone`
pub(crate) async fn receive(State(app): State<App>, request: Request) -> Answer<Json<Value>> {
    let Some(demo) = &app.deps.demo else { return Err(ApiError::not_found()) };
    let (parts, body) = request.into_parts();
    let body = input::raw_body(body, BODY_BYTES_MAX).await?;
    let now = app.deps.clock.now();
    let Some(id) = verified(&demo.webhook_secret, &parts.headers, &body, now) else {
        return Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "bad_signature",
            "签名无效或时间相差超过 5 分钟,请检查密钥和时钟。",
            "The signature does not fit or the clock is more than 5 minutes off; check the secret and the clock.",
        ));
    };
    let body: Value = serde_json::from_slice(&body).map_err(|bad| {
        ApiError::bad_request(format!("内容不是 JSON:{bad}"), format!("The body is not JSON: {bad}."))
    })?;
    app.inbox.keep(id, now, body);
    Ok(Json(json!({ "ok": true })))
}

/// `GET /demo/phone`: newest first.
pub(crate) async fn show(State(app): State<App>) -> Answer<Json<Value>> {
    if app.deps.demo.is_none() {
        return Err(ApiError::not_found());
    }
    let inbox = app.inbox.0.lock().unwrap_or_else(PoisonError::into_inner);
    let newest_first: Vec<_> = inbox.iter().rev().collect();
    Ok(Json(json!({ "deliveries": newest_first })))
}

impl Inbox {
    fn keep(&self, id: String, received_at: Time, body: Value) {
        let mut inbox = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = inbox.iter_mut().find(|known| known.id == id) {
            known.times = known.times.saturating_add(1);
            return;
        }
        inbox.push_back(Delivery { id, received_at, times: 1, body });
        if inbox.len() > DELIVERIES_MAX {
            inbox.pop_front();
        }
    }
}

/// The delivery's id when one of its signatures fits and its clock is near ours.
pub(crate) fn verified(secret: &str, headers: &HeaderMap, body: &[u8], now: Time) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (id, stamp, signatures) = (text("webhook-id")?, text("webhook-timestamp")?, text("webhook-signature")?);
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return None;
    }
    let sent_s: i64 = stamp.parse().ok()?;
    if now.secs().saturating_sub(sent_s).saturating_abs() > CLOCK_S_MAX {
        return None;
    }
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(id.as_bytes());
    mac.update(b".");
    mac.update(stamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let fits = signatures
        .split(' ')
        .filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok())
        // Compared in constant time.
        .any(|signature| mac.clone().verify_slice(&signature).is_ok());
    fits.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = b"{\"test\": 2432232314}";

    fn check(fields: [&'static str; 3], body: &[u8], now_s: i64) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in ["webhook-id", "webhook-timestamp", "webhook-signature"].into_iter().zip(fields) {
            headers.insert(name, value.parse().unwrap());
        }
        verified(SECRET, &headers, body, Time::from_secs(now_s)).is_some()
    }

    #[test]
    fn the_published_vector_fits_and_nothing_else() {
        // Standard Webhooks 1.0.0, the example of the specification.
        let (id, at) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(check([id, at, good], BODY, 1_614_265_330));
        let two = "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(check([id, at, two], BODY, 1_614_265_330), "a second key during a change");
        assert!(!check([id, at, good], b"{\"test\": 1}", 1_614_265_330), "another body");
        assert!(!check(["msg_2", at, good], BODY, 1_614_265_330), "another id");
        assert!(!check([id, at, good], BODY, 1_614_265_330 + 301), "too old");
        assert!(!check([id, at, "v1a,AAAA"], BODY, 1_614_265_330), "another scheme");
    }

    #[test]
    fn the_inbox_is_bounded_and_counts_repeats() {
        let inbox = Inbox::default();
        for i in 0..=DELIVERIES_MAX {
            inbox.keep(format!("p-{i}"), Time(0), Value::Null);
        }
        inbox.keep("p-7".to_owned(), Time(1), Value::Null);
        let kept = inbox.0.lock().unwrap();
        assert_eq!(kept.len(), DELIVERIES_MAX);
        assert_eq!((kept[0].id.as_str(), kept[6].times), ("p-1", 2));
    }
}
