//! The live stream of alarm events (Server-Sent Events) at `GET /api/stream`.
//!
//! One tail task reads every new event from the records store once, when the store pokes it, and puts its text into
//! the ring. Each client walks on from the last number it has seen: from the ring, or from the store when it is
//! further back. The number of the event is the SSE id, so a browser that reconnects names the last one it has:
//! every event reaches every client once and in order, also over reconnections.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use model::TeamId;
use runtime::Stop;
use serde::Deserialize;
use serde_json::json;
use store::records::{AlarmEventView, Storm};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::App;
use crate::access::{Sight, Signed};
use crate::error::{Answer, ApiError};
use crate::input::Params;
use crate::ring::{After, Frame};
use crate::session;
use crate::view::StreamEvent;

/// Events read from the store in one go.
const READ_EVENTS: usize = 500;
/// Events sent in one piece: what a slow client holds in memory at most.
const SEND_EVENTS: usize = 100;
/// The tail looks at the store this often even when nothing poked it.
const RECONCILE: Duration = Duration::from_secs(15);
/// Pause of the tail after the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// What a browser waits before it connects again, in milliseconds.
const RECONNECT_MS: u32 = 1_000;

/// Fills the ring until stopped.
pub(crate) async fn tail(app: &App, stop: Stop) {
    let mut poked = app.deps.records.watch_alarm_events();
    // Clients that are further back read the store: the ring needs no history.
    let mut last = *poked.borrow_and_update();
    app.ring.start(last);
    loop {
        poked.mark_unchanged();
        let pause = match read_frames(app, last).await {
            Ok(frames) => {
                if let Some(newest) = frames.last() {
                    last = newest.seq;
                    app.ring.push(frames);
                    continue;
                }
                tokio::select! {
                    // The sender lives in the records store, which we hold.
                    _changed = poked.changed() => continue,
                    () = tokio::time::sleep(RECONCILE) => continue,
                    () = stop.requested() => return,
                }
            }
            Err(_logged) => RETRY,
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.requested() => return,
        }
    }
}

async fn read_frames(app: &App, after: i64) -> Answer<Vec<Arc<Frame>>> {
    let records = app.deps.records.clone();
    // Past the gate: the one tail serves everybody and must not queue behind their requests.
    let read = tokio::task::spawn_blocking(move || {
        let events = records.alarm_events_after(after, READ_EVENTS)?;
        Ok::<_, store::records::Error>(events.iter().map(frame).collect())
    });
    match read.await {
        Ok(Ok(frames)) => Ok(frames),
        Ok(Err(error)) => Err(ApiError::internal("reading alarm events", &error)),
        Err(panicked) => Err(ApiError::internal("reading alarm events", &panicked)),
    }
}

fn frame(event: &AlarmEventView) -> Arc<Frame> {
    let text = |sight| match serde_json::to_string(&StreamEvent::new(event, sight)) {
        Ok(data) => Bytes::from(format!("event: alarm\nid: {}\ndata: {data}\n\n", event.seq)),
        Err(error) => {
            tracing::error!(seq = event.seq, %error, "an alarm event cannot be written as JSON");
            Bytes::new()
        }
    };
    let team = event.alarm.team.as_ref().map(|team| TeamId(team.id));
    Arc::new(Frame { seq: event.seq, team, text: text(Sight::Clear), text_masked: text(Sight::Masked) })
}

#[derive(Deserialize)]
pub(crate) struct From {
    after: Option<i64>,
}

/// `GET /api/stream?after=SEQ`, or with `Last-Event-ID`.
pub(crate) async fn stream(
    State(app): State<App>,
    signed: Signed,
    headers: HeaderMap,
    Params(from): Params<From>,
) -> Answer<Response> {
    let Ok(place) = Arc::clone(&app.streams).try_acquire_owned() else { return Err(ApiError::busy()) };
    let newest = *app.deps.records.watch_alarm_events().borrow();
    // A browser that reconnects repeats the first address: its header is the newer word.
    let resumed = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse::<i64>().ok());
    let asked = resumed.or(from.after).unwrap_or(newest);
    // A number we never gave is from another database; neither can be continued.
    let lost = asked < 0 || asked > newest || newest - asked > i64::from(app.config.sse_behind_max);
    let last = if lost { newest } else { asked };
    app.counts.stream_resets.fetch_add(u64::from(lost), Relaxed);
    let first = opening(&app, newest, lost);
    let every = Duration::from_secs(app.config.sse_heartbeat_s.max(1));
    let mut heartbeat = tokio::time::interval_at(Instant::now() + every, every);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let client = Client {
        pushed: app.ring.watch(),
        storm: app.deps.records.watch_storm(),
        signed,
        last,
        told: last,
        checked: Instant::now(),
        heartbeat,
        first: Some(first),
        backlog: VecDeque::new(),
        app,
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(client, Client::next));
    let fields = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Proxies (nginx) must pass frames on as they come.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((fields, body).into_response())
}

fn opening(app: &App, newest: i64, lost: bool) -> Bytes {
    let storm = *app.deps.records.watch_storm().borrow();
    let hello = json!({ "server_time": app.deps.clock.now(), "last_event": newest, "storm": storm });
    let hello = format!("retry: {RECONNECT_MS}\nevent: hello\ndata: {hello}\n\n");
    if !lost {
        return Bytes::from(hello);
    }
    // With the id: the next reconnection continues from here.
    let reset = json!({ "last_event": newest });
    Bytes::from(format!("{hello}event: reset\nid: {newest}\ndata: {reset}\n\n"))
}

/// One connected browser.
struct Client {
    app: App,
    signed: Signed,
    /// Everything up to this number was sent or is not for this person.
    last: i64,
    /// The newest number the browser knows.
    told: i64,
    pushed: watch::Receiver<i64>,
    /// More alarms than the seats can look at: told when it begins and when it is over.
    storm: watch::Receiver<Option<Storm>>,
    heartbeat: tokio::time::Interval,
    /// When the session was last found alive.
    checked: Instant,
    first: Option<Bytes>,
    /// Frames read from the store for this client alone, not yet sent.
    backlog: VecDeque<Arc<Frame>>,
    _place: OwnedSemaphorePermit,
}

impl Client {
    /// The next piece of the stream; `None` ends it.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if let Some(first) = self.first.take() {
            return Some((Ok(first), self));
        }
        loop {
            if self.app.stop.is_requested() || !self.is_still_signed_in().await {
                return None;
            }
            self.pushed.mark_unchanged();
            let frames = self.frames().await?;
            if let Some(newest) = frames.last() {
                self.last = newest.seq;
                let text = self.visible(&frames);
                if !text.is_empty() {
                    return Some((Ok(text), self));
                }
                continue;
            }
            tokio::select! {
                changed = self.pushed.changed() => changed.ok()?,
                changed = self.storm.changed() => {
                    changed.ok()?;
                    let storm = *self.storm.borrow_and_update();
                    let told = json!({ "storm": storm });
                    return Some((Ok(Bytes::from(format!("event: storm\ndata: {told}\n\n"))), self));
                }
                _tick = self.heartbeat.tick() => return Some((Ok(self.sign_of_life()), self)),
                () = self.app.stop.requested() => return None,
            }
        }
    }

    /// The next events after `last`, oldest first. `None`: the store failed; the browser will connect again.
    async fn frames(&mut self) -> Option<Vec<Arc<Frame>>> {
        if self.backlog.is_empty() {
            match self.app.ring.after(self.last, SEND_EVENTS) {
                After::Frames(frames) => return Some(frames),
                After::Outside => self.backlog = read_frames(&self.app, self.last).await.ok()?.into(),
            }
        }
        let count = self.backlog.len().min(SEND_EVENTS);
        Some(self.backlog.drain(..count).collect())
    }

    /// The text of what this person may see.
    fn visible(&mut self, frames: &[Arc<Frame>]) -> Bytes {
        let masked = self.signed.sight() == Sight::Masked;
        let mut text = BytesMut::new();
        for frame in frames {
            if self.signed.has_team(frame.team) {
                text.extend_from_slice(if masked { &frame.text_masked } else { &frame.text });
                self.told = frame.seq;
                self.app.counts.stream_events.fetch_add(1, Relaxed);
            }
        }
        text.freeze()
    }

    /// An event the page can hear (a comment it cannot: a connection that died without a word would look alive), and the
    /// number reached: events of other teams need not be walked through again on reconnection.
    fn sign_of_life(&mut self) -> Bytes {
        if self.told == self.last {
            return Bytes::from_static(b"event: alive\ndata: {}\n\n");
        }
        self.told = self.last;
        Bytes::from(format!("event: alive\nid: {}\ndata: {{}}\n\n", self.last))
    }

    async fn is_still_signed_in(&mut self) -> bool {
        if self.checked.elapsed() < self.heartbeat.period() {
            return true;
        }
        self.checked = Instant::now();
        match session::signed(&self.app, self.signed.token.clone()).await {
            Ok(Some(signed)) => {
                self.signed = signed;
                true
            }
            Ok(None) => false,
            // The store is busy: not a reason to go blind.
            Err(_) => true,
        }
    }
}
