//! Signing in and out: the cookie (renewed by asking who "me" is), the limit on wrong passwords per address, and who "me" is.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use model::Time;
use serde::Deserialize;
use serde_json::{Value, json};
use store::records::{LoginError, Person};

use crate::App;
use crate::access::Signed;
use crate::error::{Answer, ApiError};
use crate::input::Sent;

const COOKIE: &str = "vigil_session";
/// Longest token looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 128;
/// Passwords compared at once.
pub(crate) const LOGINS_MAX: usize = 2;
/// Wrong passwords one address may send within [`FAILURES_WINDOW_US`]. An office behind one address shares it.
const FAILURES_MAX: u32 = 30;
const FAILURES_WINDOW_US: i64 = 15 * 60 * 1_000_000;
/// Addresses remembered.
const ADDRESSES_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    login: String,
    password: String,
}

/// `POST /api/login`
pub(crate) async fn login(
    State(app): State<App>,
    Extension(ConnectInfo(peer)): Extension<ConnectInfo<SocketAddr>>,
    headers: HeaderMap,
    Sent(sent): Sent<Credentials>,
) -> Answer<Response> {
    let now = app.deps.clock.now();
    let from = address_of(peer.ip().to_canonical(), &headers);
    if app.failures.is_over(from, now) {
        return Err(locked());
    }
    let records = app.deps.records.clone();
    let tried = app.login_calls.run("login", move || records.login(&sent.login, &sent.password)).await?;
    match tried {
        Ok((person, token)) => {
            Ok(([(header::SET_COOKIE, kept(&app, &token.0)?)], Json(me_json(&person))).into_response())
        }
        Err(LoginError::BadCredentials) => {
            app.failures.count(from, now);
            app.counts.login_failures.fetch_add(1, Relaxed);
            Err(ApiError::new(
                StatusCode::UNAUTHORIZED,
                "bad_credentials",
                "账号或密码不正确,请检查后重试。",
                "The login or the password is wrong; check both and try again.",
            ))
        }
        Err(LoginError::Locked { .. }) => {
            app.failures.count(from, now);
            Err(locked())
        }
        Err(LoginError::Store(error)) => Err(ApiError::internal("login", &error)),
    }
}

/// `POST /api/logout`
pub(crate) async fn logout(State(app): State<App>, signed: Signed) -> Answer<Response> {
    let records = app.deps.records.clone();
    let done = app.calls.run("logout", move || records.logout(&signed.token)).await?;
    done.map_err(|error| ApiError::internal("logout", &error))?;
    let cookie = cookie("", 0, app.config.secure_cookie)?;
    Ok(([(header::SET_COOKIE, cookie)], StatusCode::NO_CONTENT).into_response())
}

/// `GET /api/me`. Every use renews the session; this also renews the browser's cookie, which would otherwise end in the
/// middle of a shift, so many hours after the sign-in. Not with every answer: one that comes late could undo another sign-in.
pub(crate) async fn me(State(app): State<App>, signed: Signed) -> Answer<Response> {
    Ok(([(header::SET_COOKIE, kept(&app, &signed.token)?)], Json(me_json(&signed.person))).into_response())
}

/// The cookie, for as long as the browser keeps it.
fn kept(app: &App, token: &str) -> Answer<HeaderValue> {
    cookie(token, i64::from(app.config.session_hours) * 3_600, app.config.secure_cookie)
}

fn me_json(person: &Person) -> Value {
    json!({
        "id": person.id, "name": person.name, "role": person.role, "role_zh": person.role.zh(),
        "role_en": person.role.en(), "team": person.team, "language": person.language,
    })
}

fn locked() -> ApiError {
    ApiError::new(
        StatusCode::TOO_MANY_REQUESTS,
        "locked",
        "密码错误次数过多,账号已暂时锁定,请 15 分钟后再试或联系管理员。",
        "Too many wrong passwords; locked for now. Try again in 15 minutes or ask an administrator.",
    )
}

fn cookie(token: &str, age_s: i64, secure: bool) -> Answer<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={age_s}{secure}");
    HeaderValue::from_str(&text).map_err(|error| ApiError::internal("session cookie", &error))
}

/// Whom wrong passwords are counted for. Behind a proxy on this machine everybody would be one address, and thirty wrong
/// passwords would lock everybody out; there the last address the proxy has written down counts. From anywhere else the
/// header is a stranger's word and is not believed.
fn address_of(peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    if !peer.is_loopback() {
        return peer;
    }
    let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
    let last = lines.flat_map(|line| line.split(',')).next_back();
    last.and_then(|address| address.trim().parse::<IpAddr>().ok()).map_or(peer, |address| address.to_canonical())
}

/// The session token a request carries.
pub(crate) fn token_of(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty() && value.len() <= TOKEN_BYTES_MAX)
        .map(|(_, value)| value.to_owned())
}

/// Who is signed in with this token.
pub(crate) async fn signed(app: &App, token: String) -> Answer<Option<Signed>> {
    let records = app.deps.records.clone();
    let looked_up = app.calls.run("session", move || {
        let person = records.session(&token);
        person.map(|person| person.map(|person| Signed { person, token }))
    });
    looked_up.await?.map_err(|error| ApiError::internal("session", &error))
}

/// Wrong passwords per address, bounded.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<HashMap<IpAddr, (u32, Time)>>);

impl Failures {
    fn is_over(&self, from: IpAddr, now: Time) -> bool {
        let table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.get(&from).is_some_and(|(count, since)| *count >= FAILURES_MAX && !is_past(*since, now))
    }

    fn count(&self, from: IpAddr, now: Time) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.len() >= ADDRESSES_MAX && !table.contains_key(&from) {
            table.retain(|_, (_, since)| !is_past(*since, now));
            if table.len() >= ADDRESSES_MAX {
                // A flood from everywhere: accounts still lock by themselves.
                return;
            }
        }
        let entry = table.entry(from).or_insert((0, now));
        if is_past(entry.1, now) {
            *entry = (0, now);
        }
        entry.0 = entry.0.saturating_add(1);
    }
}

fn is_past(since: Time, now: Time) -> bool {
    now.since_us(since) > FAILURES_WINDOW_US
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_fail_thirty_times_in_a_quarter_of_an_hour() {
        let failures = Failures::default();
        let (from, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        for _ in 0..FAILURES_MAX {
            assert!(!failures.is_over(from, Time(0)));
            failures.count(from, Time(0));
        }
        assert!(failures.is_over(from, Time(FAILURES_WINDOW_US)));
        assert!(!failures.is_over(other, Time(0)));
        assert!(!failures.is_over(from, Time(FAILURES_WINDOW_US + 1)));
    }

    #[test]
    fn only_a_proxy_on_this_machine_says_who_came() {
        let (local, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 9]));
        let mut headers = HeaderMap::new();
        assert_eq!(address_of(local, &headers), local);
        headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.1, 198.51.100.7"));
        headers.append("x-forwarded-for", HeaderValue::from_static("203.0.113.1, ::ffff:198.51.100.8"));
        assert_eq!(address_of(local, &headers), IpAddr::from([198, 51, 100, 8]), "what the proxy itself has seen");
        assert_eq!(address_of(far, &headers), far);
        headers.insert("x-forwarded-for", HeaderValue::from_static("unknown"));
        assert_eq!(address_of(local, &headers), local);
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=b; vigil_session=t0ken; c=d"));
        assert_eq!(token_of(&headers).as_deref(), Some("t0ken"));
        headers.insert(header::COOKIE, HeaderValue::from_static("xvigil_session=t0ken; vigil_session="));
        assert_eq!(token_of(&headers), None);
    }
}
