//! A paging service on this machine: takes every page and remembers when it came. For the benchmark and for tests.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use model::{AlarmId, Time};
use runtime::Clock;
use serde::Deserialize;
use tokio::sync::watch;

/// One attempt that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// The page's, the same at every attempt.
    pub id: String,
    pub alarm: AlarmId,
    /// When the condition began: when the button was pressed.
    pub pressed_at: Time,
    pub came_at: Time,
}

#[derive(Deserialize)]
struct Body {
    alarm: AlarmId,
    at: Time,
}

#[derive(Clone)]
struct Desk {
    calls: Arc<Mutex<Vec<Call>>>,
    count: Arc<watch::Sender<usize>>,
}

pub struct Phone {
    pub addr: SocketAddr,
    /// `whsec_` and the key in base64, for the configuration.
    pub secret: String,
    desk: Desk,
    task: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Phone {
    /// Listens until dropped.
    pub async fn bind() -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let desk = Desk { calls: Arc::default(), count: Arc::new(watch::Sender::new(0)) };
        let app = Router::new().route("/", post(take)).with_state(desk.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the paging service has ended");
            }
        });
        Ok(Self { addr, secret: crate::demo::secret()?, desk, task })
    }

    /// The table `[alerting.channels.webhook]` for it.
    pub fn config(&self) -> String {
        format!("url = \"http://{}/\"\nsecret = \"{}\"\nallow_private = true\n", self.addr, self.secret)
    }

    /// All attempts so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.desk.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first attempt about each alarm.
    pub fn first_calls(&self) -> Vec<Call> {
        let mut known = HashSet::new();
        self.calls().into_iter().filter(|call| known.insert(call.alarm)).collect()
    }

    /// Follows how many attempts have come.
    pub fn watch(&self) -> watch::Receiver<usize> {
        self.desk.count.subscribe()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(desk): State<Desk>, headers: HeaderMap, Json(body): Json<Body>) -> StatusCode {
    let came_at = Clock::system().now();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let mut calls = desk.calls.lock().unwrap_or_else(PoisonError::into_inner);
    calls.push(Call { id, alarm: body.alarm, pressed_at: body.at, came_at });
    desk.count.send_replace(calls.len());
    StatusCode::NO_CONTENT
}
