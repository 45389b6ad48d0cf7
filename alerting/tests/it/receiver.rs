//! A pager service of our own: answers as it is told, and remembers every request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use tokio::sync::mpsc;

use crate::world::{KEY, PATIENCE};

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    With(u16, &'static str, String),
    /// Takes the request and never answers.
    Hang,
    /// 200 with a body larger than anybody should read.
    Flood,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) body: serde_json::Value,
    pub(crate) text: String,
}

#[derive(Clone)]
struct Desk {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    requests: mpsc::Sender<Request>,
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    desk: Desk,
    requests: mpsc::Receiver<Request>,
}

impl Receiver {
    /// Answers as listed, then 200 for ever.
    pub(crate) async fn new(answers: &[Answer]) -> Self {
        let (sender, requests) = mpsc::channel(1_000);
        let desk = Desk { answers: Arc::new(Mutex::new(answers.iter().cloned().collect())), requests: sender };
        let app =
            Router::new().route("/hook", post(answer)).route("/elsewhere", any(followed)).with_state(desk.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, desk, requests }
    }

    pub(crate) fn next_answers(&self, answers: &[Answer]) {
        self.desk.answers.lock().unwrap().extend(answers.iter().cloned());
    }

    pub(crate) async fn request(&mut self) -> Request {
        tokio::time::timeout(PATIENCE, self.requests.recv()).await.expect("no request came").unwrap()
    }

    /// Any message nobody expected fails.
    pub(crate) fn nothing_more(&mut self) {
        if let Ok(request) = self.requests.try_recv() {
            panic!("unexpected: {request:?}");
        }
    }
}

async fn answer(State(desk): State<Desk>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (id, stamp) = (text("webhook-id"), text("webhook-timestamp"));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    mac.update(format!("{id}.{stamp}.").as_bytes());
    mac.update(&body);
    let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    assert_eq!(text("webhook-signature"), format!("v1,{expected}"));
    assert_eq!(text("content-type"), "application/json");
    let request =
        Request { id, body: serde_json::from_slice(&body).unwrap(), text: String::from_utf8(body.to_vec()).unwrap() };
    let answer = desk.answers.lock().unwrap().pop_front();
    desk.requests.send(request).await.unwrap();
    match answer.unwrap_or(Answer::Status(200)) {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::With(status, name, value) => (StatusCode::from_u16(status).unwrap(), [(name, value)]).into_response(),
        Answer::Hang => {
            tokio::time::sleep(Duration::from_hours(1)).await;
            StatusCode::OK.into_response()
        }
        Answer::Flood => vec![b'x'; 1 << 20].into_response(),
    }
}

/// Nobody should ever come here; `nothing_more` then finds the request.
async fn followed(State(desk): State<Desk>) -> StatusCode {
    let request = Request { id: "redirected".into(), body: serde_json::Value::Null, text: String::new() };
    desk.requests.send(request).await.unwrap();
    StatusCode::OK
}
