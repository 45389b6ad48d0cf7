//! A scripted MQTT 5 broker for one client: round-trip time, freezes, cuts, sessions kept or lost, acks withheld or negative.
//!
//! It speaks just enough of the protocol for rumqttc and keeps what it received: that is what tests assert on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Longest time any test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What the broker answers to one PUBLISH.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Ack(u8),
    Withhold,
}

/// One PUBLISH as the script sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// 1 for the first connection.
    pub connection: usize,
    pub packet_id: u16,
    pub topic: String,
    pub payload: Vec<u8>,
    /// How often this payload has come, this time included.
    pub times: usize,
}

pub struct Script {
    pub rtt: Duration,
    /// After this many PUBLISHes in all, each once: stop reading and acking for `freeze`, then close.
    pub cuts: Vec<usize>,
    pub freeze: Duration,
    /// Answer "session present" to a client that did not ask for a clean start.
    pub keep_session: bool,
    pub answer: Box<dyn Fn(&Seen) -> Answer + Send + Sync>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            rtt: Duration::ZERO,
            cuts: Vec::new(),
            freeze: Duration::ZERO,
            keep_session: false,
            answer: Box::new(|_| Answer::Ack(0)),
        }
    }
}

/// What the server holds.
#[derive(Default)]
pub struct Held {
    pub connections: usize,
    pub publishes: usize,
    /// Payload -> how often it came, whatever was answered.
    pub payloads: BTreeMap<Vec<u8>, usize>,
    /// Answered with 0x00.
    pub stored: BTreeMap<Vec<u8>, usize>,
    pub topics: BTreeMap<String, usize>,
    /// Every PUBLISH as it came: connection and payload.
    pub order: Vec<(usize, Vec<u8>)>,
    pub filters: Vec<String>,
    /// The will of the last CONNECT was there.
    pub will: bool,
    pub goodbyes: usize,
}

pub struct Broker {
    pub addr: SocketAddr,
    held: Arc<Mutex<Held>>,
    changes: watch::Receiver<u64>,
    _task: JoinSet<()>,
}

struct Shared {
    script: Script,
    held: Arc<Mutex<Held>>,
    changes: watch::Sender<u64>,
}

impl Broker {
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(Held::default()));
        let (notify, changes) = watch::channel(0);
        let shared = Arc::new(Shared { script, held: Arc::clone(&held), changes: notify });
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut links = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                links.spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { addr, held, changes, _task: task }
    }

    pub fn look<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.held.lock().unwrap())
    }

    /// Waits until the condition holds; false when it does not within `within`.
    pub async fn holds(&mut self, within: Duration, condition: impl Fn(&Held) -> bool) -> bool {
        let held = Arc::clone(&self.held);
        let wait = self.changes.wait_for(|_| condition(&held.lock().unwrap()));
        timeout(within, wait).await.is_ok_and(|seen| seen.is_ok())
    }

    pub async fn until(&mut self, what: &str, condition: impl Fn(&Held) -> bool) {
        let held = self.holds(PATIENCE, condition).await;
        let figures = self.look(|h| (h.connections, h.publishes, h.payloads.len(), h.stored.len()));
        assert!(held, "{what}: (connections, publishes, payloads, stored) = {figures:?}");
    }
}

impl Shared {
    fn note(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap());
        self.changes.send_modify(|n| *n += 1);
    }
}

/// Whether the link goes on after a packet.
enum Next {
    Go,
    Freeze,
    Close,
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let (mut read, write) = stream.into_split();
    let (out, due) = mpsc::channel(10_000);
    let mut writer = JoinSet::new();
    writer.spawn(write_late(write, due));
    let mut bytes = Vec::new();
    let mut connection = 0;
    loop {
        while let Some((kind, body)) = packet(&mut bytes) {
            match handle(kind, &body, &shared, &mut connection, &out) {
                Next::Go => {}
                Next::Close => return,
                Next::Freeze => {
                    // Acks on their way are lost with the link.
                    writer.abort_all();
                    sleep(shared.script.freeze).await;
                    return;
                }
            }
        }
        match read.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Sends each answer one round trip after its cause.
async fn write_late(mut write: OwnedWriteHalf, mut due: mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Some((at, bytes)) = due.recv().await {
        sleep_until(at).await;
        if write.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

fn handle(
    kind: u8,
    body: &[u8],
    shared: &Shared,
    connection: &mut usize,
    out: &mpsc::Sender<(Instant, Vec<u8>)>,
) -> Next {
    let due = Instant::now() + shared.script.rtt;
    let answer = |bytes: Vec<u8>| out.try_send((due, bytes)).unwrap();
    match kind >> 4 {
        1 => {
            let flags = body[7];
            let mut present = 0;
            shared.note(|held| {
                held.connections += 1;
                *connection = held.connections;
                held.will = flags & 4 != 0;
                let clean = flags & 2 != 0;
                present = u8::from(shared.script.keep_session && !clean && held.connections > 1);
            });
            answer(vec![0x20, 3, present, 0, 0]);
        }
        3 => return publish(kind, body, shared, *connection, answer),
        8 => {
            let (_, rest) = properties(&body[2..]);
            let filter = text(rest).0;
            shared.note(|held| held.filters.push(filter));
            answer(vec![0x90, 4, body[0], body[1], 0, 1]);
        }
        12 => answer(vec![0xd0, 0]),
        14 => {
            shared.note(|held| held.goodbyes += 1);
            return Next::Close;
        }
        _ => {}
    }
    Next::Go
}

fn publish(kind: u8, body: &[u8], shared: &Shared, connection: usize, answer: impl Fn(Vec<u8>)) -> Next {
    let (topic, rest) = text(body);
    assert_eq!(kind >> 1 & 3, 1, "everything of ours is QoS 1");
    let packet_id = u16::from_be_bytes([rest[0], rest[1]]);
    let payload = properties(&rest[2..]).1.to_vec();
    let mut next = Next::Go;
    shared.note(|held| {
        held.publishes += 1;
        *held.topics.entry(topic.clone()).or_default() += 1;
        held.order.push((connection, payload.clone()));
        let times = held.payloads.entry(payload.clone()).or_default();
        *times += 1;
        let seen = Seen { connection, packet_id, topic, payload: payload.clone(), times: *times };
        if shared.script.cuts.contains(&held.publishes) {
            next = Next::Freeze;
            return;
        }
        match (shared.script.answer)(&seen) {
            Answer::Withhold => {}
            Answer::Ack(code) => {
                if code == 0 {
                    *held.stored.entry(payload).or_default() += 1;
                }
                let [high, low] = packet_id.to_be_bytes();
                answer(if code == 0 { vec![0x40, 2, high, low] } else { vec![0x40, 4, high, low, code, 0] });
            }
        }
    });
    next
}

/// Takes one whole packet off the front.
fn packet(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let kind = *bytes.first()?;
    let (length, used) = varint(&bytes[1..])?;
    let end = 1 + used + length;
    if bytes.len() < end {
        return None;
    }
    let body = bytes[1 + used..end].to_vec();
    bytes.drain(..end);
    Some((kind, body))
}

fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (i, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
    }
    None
}

fn properties(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, used) = varint(bytes).unwrap();
    bytes[used..].split_at(length)
}

fn text(bytes: &[u8]) -> (String, &[u8]) {
    let length = usize::from(u16::from_be_bytes([bytes[0], bytes[1]]));
    (String::from_utf8(bytes[2..2 + length].to_vec()).unwrap(), &bytes[2 + length..])
}
