//! A provider on this machine: plain HTTP/1.1 by hand, so that it can also hang, reset, cut its answer short or flood.
//!
//! What it takes and says is the provider's (`Provider`); what goes wrong on the way is scripted (`Fault`). Every request is in
//! the journal; one that no test has read fails the test.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use model::Time;
use runtime::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::world::{PATIENCE, at};

/// Larger requests are a mistake of the client.
const REQUEST_BYTES_MAX: usize = 256 * 1024;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// As it was written.
    pub(crate) query: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|header| header.0 == name).map_or("", |header| &header.1)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Names and values, decoded.
    pub(crate) fn parameters(&self) -> Vec<(String, String)> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decoded(n), decoded(v))).collect()
    }

    pub(crate) fn parameter(&self, name: &str) -> String {
        self.parameters().into_iter().find(|pair| pair.0 == name).map(|pair| pair.1).unwrap_or_default()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(out).unwrap()
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) fn reply(status: u16, body: &Value) -> Reply {
    Reply { status, headers: vec![], body: body.to_string() }
}

/// What a provider does with a request.
pub(crate) trait Provider: Send + 'static {
    fn answer(&mut self, request: &Request, now: Time) -> Reply;
}

#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Says this instead; the provider never sees the request.
    Say(u16, String),
    /// The same, with one header.
    With(u16, &'static str, &'static str, String),
    /// 200 and more than anybody should read.
    Flood,
    /// The provider takes it, and the answer does not come.
    Hang,
    /// The provider takes it, and the connection is reset.
    Reset,
    /// The provider takes it, and its answer breaks off.
    Cut,
    /// The provider takes it and answers when the test says so.
    Held(Arc<tokio::sync::Notify>),
}

pub(crate) struct Fake<P> {
    pub(crate) url: String,
    pub(crate) clock: Clock,
    provider: Arc<Mutex<P>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    journal: mpsc::Receiver<Request>,
}

struct Desk<P> {
    clock: Clock,
    provider: Arc<Mutex<P>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    journal: mpsc::Sender<Request>,
}

impl<P: Provider> Fake<P> {
    pub(crate) async fn start(provider: P) -> Self {
        Self::start_at(provider, Clock::manual(at(0))).await
    }

    pub(crate) async fn start_at(provider: P, clock: Clock) -> Self {
        let (sender, journal) = mpsc::channel(1_000);
        let (provider, faults) = (Arc::new(Mutex::new(provider)), Arc::new(Mutex::new(VecDeque::new())));
        let desk = Arc::new(Desk {
            clock: clock.clone(),
            provider: Arc::clone(&provider),
            faults: Arc::clone(&faults),
            journal: sender,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let desk = Arc::clone(&desk);
                tokio::spawn(async move { desk.serve(socket).await });
            }
        });
        Self { url, clock, provider, faults, journal }
    }

    pub(crate) fn provider(&self) -> MutexGuard<'_, P> {
        self.provider.lock().unwrap()
    }

    /// Of the next requests, in this order.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// The next request of the journal.
    pub(crate) async fn request(&mut self) -> Request {
        tokio::time::timeout(PATIENCE, self.journal.recv()).await.expect("no request came").unwrap()
    }

    /// Everything since the last look, by path.
    pub(crate) fn paths(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.journal.try_recv().ok()).map(|request| request.path).collect()
    }
}

impl<P> Drop for Fake<P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Ok(request) = self.journal.try_recv() {
            panic!("nobody expected {} {}", request.method, request.path);
        }
    }
}

impl<P: Provider> Desk<P> {
    async fn serve(&self, mut socket: TcpStream) {
        let Some(request) = read(&mut socket).await else { return };
        let fault = self.faults.lock().unwrap().pop_front();
        let said = match &fault {
            Some(Fault::Say(status, body)) => Reply { status: *status, headers: vec![], body: body.clone() },
            Some(Fault::With(status, name, value, body)) => {
                Reply { status: *status, headers: vec![(name, (*value).to_owned())], body: body.clone() }
            }
            Some(Fault::Flood) => Reply { status: 200, headers: vec![], body: "x".repeat(4 << 20) },
            _ => self.provider.lock().unwrap().answer(&request, self.clock.now()),
        };
        self.journal.send(request).await.unwrap();
        let text = text(&said);
        match fault {
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Reset) => socket.set_zero_linger().unwrap(),
            Some(Fault::Cut) => {
                let _gone = socket.write_all(&text.as_bytes()[..text.len() - 2]).await;
            }
            Some(Fault::Held(go)) => {
                go.notified().await;
                let _gone = socket.write_all(text.as_bytes()).await;
            }
            _ => {
                let _gone = socket.write_all(text.as_bytes()).await;
                let _gone = socket.shutdown().await;
            }
        }
    }
}

fn text(said: &Reply) -> String {
    let mut head = format!("HTTP/1.1 {} X\r\nconnection: close\r\ncontent-type: application/json\r\n", said.status);
    for (name, value) in &said.headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    format!("{head}content-length: {}\r\n\r\n{}", said.body.len(), said.body)
}

async fn read(socket: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        more(socket, &mut bytes).await?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|header| header.0 == "content-length").map_or(0, |h| h.1.parse().unwrap());
    while bytes.len() < end + 4 + length {
        more(socket, &mut bytes).await?;
    }
    let body = bytes[end + 4..end + 4 + length].to_vec();
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

async fn more(socket: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut part = [0; 4096];
    let read = socket.read(&mut part).await.ok().filter(|read| *read > 0)?;
    bytes.extend_from_slice(&part[..read]);
    assert!(bytes.len() < REQUEST_BYTES_MAX, "a request without end");
    Some(())
}

/// The lines of these headers, as providers sign them.
pub(crate) fn header_lines<'a>(request: &Request, names: impl Iterator<Item = &'a str>) -> String {
    names.fold(String::new(), |mut lines, name| {
        writeln!(lines, "{name}:{}", request.header(name)).unwrap();
        lines
    })
}

/// How many of these times lie in the `window` before `now`.
pub(crate) fn within(times: &[Time], now: Time, window: Duration) -> usize {
    times.iter().filter(|time| **time > now - window).count()
}
