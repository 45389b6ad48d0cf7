//! The HTTP link: a kiosk that can only POST JSON. `POST /v1/readings` with a bearer token; 200 means "on the gateway's disk".
//! `/v1/session` says who stands at the shared devices (`session.rs`).
//!
//! What is deliberately absent: TLS (the kiosk stands in the same cabin, or a proxy is in front) and any way to read.

mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use codec::Decoded;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use model::Name;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::{Context, kiosk};
use crate::Error;
use crate::devices::Roster;
use crate::outlet::{DeviceKey, Heard, Refused};

/// Largest body, bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// Time for a request's head, for its body, and for the next request.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Shortest token, bytes.
const TOKEN_BYTES_MIN: usize = 16;

/// Keys of an HTTP link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub kiosks: Vec<Kiosk>,
    /// Connections at once, at most; one more waits.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
}

/// One kiosk.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kiosk {
    /// For which devices it may speak; the first one when a POST does not say.
    pub devices: Vec<Name>,
    /// At least 16 characters. Never logged.
    pub token: String,
}

impl std::fmt::Debug for Kiosk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kiosk").field("devices", &self.devices).finish_non_exhaustive()
    }
}

const fn connections_max() -> usize {
    64
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self, roster: &Roster) -> Result<(), Error> {
        let fault = |what: String| Err(Error::Key(format!("http link: {what}")));
        if self.kiosks.is_empty() || self.connections_max == 0 {
            return fault("kiosks must not be empty, connections_max must be 1 or more".to_owned());
        }
        for kiosk in &self.kiosks {
            if kiosk.token.len() < TOKEN_BYTES_MIN {
                return fault(format!("a token must have {TOKEN_BYTES_MIN} characters or more"));
            }
            if kiosk.devices.is_empty() {
                return fault("a kiosk needs devices".to_owned());
            }
            if let Some(name) = kiosk.devices.iter().find(|name| roster.named(name).is_none()) {
                return fault(format!("device {name} is not in [[devices]]"));
            }
        }
        Ok(())
    }
}

/// What the handlers share.
#[derive(Clone)]
struct Desk {
    context: Context,
    /// Digest of each kiosk's token, and its devices.
    kiosks: Arc<Vec<([u8; 32], Vec<Name>)>>,
}

/// Serves until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let kiosks = config.kiosks.iter().map(|kiosk| (digest(kiosk.token.as_bytes()), kiosk.devices.clone()));
    let desk = Desk { context: context.clone(), kiosks: Arc::new(kiosks.collect()) };
    let router =
        Router::new().route("/v1/readings", post(take)).route("/v1/session", session::route()).with_state(desk);
    let mut backoff = Backoff::default();
    loop {
        match TcpListener::bind(config.listen).await {
            Ok(listener) => {
                context.up(listener.local_addr().ok());
                serve(&listener, &router, config.connections_max, &context).await;
                return Ok(());
            }
            Err(error) => {
                let problem = format!("cannot listen on {}: {error}", config.listen);
                if !context.lost(&problem, &mut backoff).await {
                    return Ok(());
                }
            }
        }
    }
}

/// Accepts up to the limit; a request that was begun is answered before the end.
async fn serve(listener: &TcpListener, router: &Router, connections_max: usize, context: &Context) {
    let places = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = context.stop.requested() => break,
            _ended = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(listener, &places) => accepted,
        };
        let Ok((stream, place)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (service, stop) = (TowerToHyperService::new(router.clone()), context.stop.clone());
        connections.spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
            let _ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.requested() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// `POST /v1/readings`.
async fn take(State(desk): State<Desk>, request: Request) -> Response {
    match desk.take(request).await {
        Ok(device) => Json(json!({ "device": device, "stored": true })).into_response(),
        Err((status, error)) => {
            desk.context.count(|link| match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => link.refused += 1,
                _ => link.malformed += 1,
            });
            (status, Json(json!({ "error": error }))).into_response()
        }
    }
}

type Answer = (StatusCode, String);

impl Desk {
    async fn take(&self, request: Request) -> Result<Name, Answer> {
        let (head, body) = request.into_parts();
        let field = |name| head.headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let devices = self.kiosk(field(header::AUTHORIZATION))?;
        let form = field(header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let form = form.to_ascii_lowercase();
        let body = read(body).await?;
        let (device, decoded) = decoded(&form, &body)?;
        let device = match device {
            None => devices.first(),
            Some(named) => devices.iter().find(|device| **device == named),
        };
        let device = device.ok_or((StatusCode::FORBIDDEN, "the token is not of this device".to_owned()))?;
        let at = self.context.clock.now();
        let heard = Heard { device: DeviceKey::Named(device.clone()), at, decoded, waveforms: Vec::new() };
        match self.context.outlet.hear(heard).await {
            Ok(taken) => {
                self.context.count(|link| link.frames += 1);
                Ok(taken.device)
            }
            Err(Refused::UnknownDevice) => Err((StatusCode::FORBIDDEN, Refused::UnknownDevice.to_string())),
            Err(Refused::Closed) => Err((StatusCode::SERVICE_UNAVAILABLE, Refused::Closed.to_string())),
        }
    }

    /// The devices of a token.
    fn kiosk(&self, authorization: Option<&str>) -> Result<&[Name], Answer> {
        let token = authorization.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        let said = digest(token.trim().as_bytes());
        // Every kiosk is compared, and all bytes of each: the time tells nothing about the tokens.
        let differs =
            |known: &[u8; 32]| known.iter().zip(said).fold(0, |bits, (known, said)| bits | (known ^ said)) != 0;
        let mut found = None;
        for (known, devices) in self.kiosks.iter() {
            if !differs(known) {
                found = Some(devices.as_slice());
            }
        }
        found.ok_or((StatusCode::UNAUTHORIZED, "Authorization: Bearer TOKEN of a kiosk is expected".to_owned()))
    }
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

async fn read(body: Body) -> Result<bytes::Bytes, Answer> {
    match tokio::time::timeout(PATIENCE, axum::body::to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => {
            Err((StatusCode::PAYLOAD_TOO_LARGE, format!("a body of at most {BODY_BYTES_MAX} bytes is expected")))
        }
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())),
    }
}

fn decoded(form: &str, body: &[u8]) -> Result<(Option<Name>, Decoded), Answer> {
    let bad = |what: String| (StatusCode::BAD_REQUEST, what);
    match form {
        "application/json" => kiosk::decode(body).map_err(bad),
        "application/senml+json" | "application/senml+cbor" => {
            let codec = codec::find("senml").ok_or_else(|| bad("SenML is not read here".to_owned()))?;
            let decoded = (codec.decode)(body, &codec::Settings::default());
            decoded.map(|decoded| (None, decoded)).map_err(|error| bad(error.to_string()))
        }
        _ => Err((
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type application/json, application/senml+json or application/senml+cbor is expected".to_owned(),
        )),
    }
}
