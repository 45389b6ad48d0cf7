//! A door on a free port, an intake in memory that can hold, refuse and fail, and a client that writes packets by hand.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::{GatewayId, Name};
use runtime::{Clock, Stop};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use vigil_mqtt::door::{
    Config, Dialect, Done, Door, DoorHandle, Gatekeeper, Identity, Intake, LinkChange, Login, LoginError, Publish,
    Retained, RetainedStore, Stats, Verdict,
};

/// Longest wait for anything. A test that reaches it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);
pub const PASSWORD: &str = "token";

/// What the intake answers.
#[derive(Clone, Copy)]
pub enum Mode {
    /// At once, this verdict for each publish.
    Answer(fn(&Publish) -> Verdict),
    /// Keeps the answers back until [`FakeIntake::release`].
    Hold,
    /// Drops `done` without calling it.
    Drop,
    /// Stores nothing, to measure memory.
    Forget,
}

pub fn stored(_: &Publish) -> Verdict {
    Verdict::Stored
}

pub struct FakeIntake {
    mode: Mutex<Mode>,
    pub publishes: Mutex<Vec<(GatewayId, Publish)>>,
    pub links: Mutex<Vec<(GatewayId, LinkChange)>>,
    held: Mutex<VecDeque<(usize, Done)>>,
    batches: Mutex<Vec<usize>>,
    changes: watch::Sender<u64>,
}

impl FakeIntake {
    pub fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            mode: Mutex::new(mode),
            publishes: Mutex::default(),
            links: Mutex::default(),
            held: Mutex::default(),
            batches: Mutex::default(),
            changes: watch::Sender::new(0),
        })
    }

    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    /// Answers held batches with `Stored`: the first one, or from the back when `last`.
    pub fn release(&self, last: bool) -> bool {
        let next = {
            let mut held = self.held.lock().unwrap();
            if last { held.pop_back() } else { held.pop_front() }
        };
        next.map(|(count, done)| done(vec![Verdict::Stored; count])).is_some()
    }

    pub fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    pub fn payloads(&self) -> Vec<String> {
        let publishes = self.publishes.lock().unwrap();
        publishes.iter().map(|(_, publish)| String::from_utf8_lossy(&publish.payload).into_owned()).collect()
    }

    pub fn wills(&self) -> Vec<Publish> {
        let publishes = self.publishes.lock().unwrap();
        publishes.iter().map(|(_, publish)| publish.clone()).filter(|publish| publish.will.is_some()).collect()
    }

    pub fn links(&self) -> Vec<LinkChange> {
        self.links.lock().unwrap().iter().map(|(_, change)| *change).collect()
    }

    /// Waits until something about the intake is true.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        let waited = tokio::time::timeout(PATIENCE, async {
            while !condition(self) {
                changes.changed().await.unwrap();
            }
        });
        assert!(waited.await.is_ok(), "never happened: {what}");
    }

    pub async fn until_count(&self, count: usize) {
        self.until(&format!("{count} publishes"), |intake| intake.publishes.lock().unwrap().len() >= count).await;
    }
}

impl Intake for FakeIntake {
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let mode = *self.mode.lock().unwrap();
        let answer = match mode {
            Mode::Answer(verdict) => Some(publishes.iter().map(verdict).collect()),
            Mode::Forget => return done(vec![Verdict::Stored; publishes.len()]),
            Mode::Hold | Mode::Drop => None,
        };
        self.batches.lock().unwrap().push(publishes.len());
        let count = publishes.len();
        self.publishes.lock().unwrap().extend(publishes.into_iter().map(|publish| (from.gateway, publish)));
        match (answer, mode) {
            (Some(verdicts), _) => done(verdicts),
            (None, Mode::Hold) => self.held.lock().unwrap().push_back((count, done)),
            _ => drop(done),
        }
        self.changes.send_modify(|n| *n += 1);
    }

    fn link(&self, from: &Arc<Identity>, change: LinkChange) {
        self.links.lock().unwrap().push((from.gateway, change));
        self.changes.send_modify(|n| *n += 1);
    }
}

/// Knows every client id that is a name: `gw7` is gateway 7, `open7` may do anything, `tb7` speaks ThingsBoard.
pub struct FakeGatekeeper {
    pub logins: Mutex<HashSet<String>>,
}

impl Gatekeeper for FakeGatekeeper {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        self.logins.lock().unwrap().insert(login.client_id.to_owned());
        match login.client_id {
            "down" => return Err(LoginError::Unavailable),
            "retired" => return Err(LoginError::NotAuthorised),
            _ => {}
        }
        if login.password != Some(PASSWORD.as_bytes()) {
            return Err(LoginError::BadCredentials);
        }
        // As the real one: a token belongs to a gateway, whatever the client calls itself.
        let name = match login.username {
            Some(user) if !user.is_empty() => user,
            _ => login.client_id,
        };
        let name = Name::new(name).map_err(|_| LoginError::BadClientId)?;
        let number = name.as_str().trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0);
        let dialect = if name.as_str().starts_with("tb") { Dialect::ThingsBoard } else { Dialect::Vigil };
        let open_acl = name.as_str().starts_with("open");
        Ok(Identity { gateway: GatewayId(number), site: Name::new("s1").unwrap(), name, dialect, open_acl })
    }
}

#[derive(Default)]
pub struct FakeRetained(pub Mutex<BTreeMap<String, Bytes>>);

impl RetainedStore for FakeRetained {
    fn put(&self, _: &Arc<Identity>, topic: &str, payload: &Bytes) {
        self.0.lock().unwrap().insert(topic.to_owned(), payload.clone());
    }
    fn remove(&self, _: &Arc<Identity>, topic: &str) {
        self.0.lock().unwrap().remove(topic);
    }
    fn matching(&self, filter: &str, limit: usize) -> Vec<Retained> {
        let all = self.0.lock().unwrap();
        let found = all.iter().filter(|(topic, _)| {
            let prefix = filter.trim_end_matches(['#', '+']);
            filter == "vigil/1/+/+/st" || filter == topic.as_str() || (prefix != filter && topic.starts_with(prefix))
        });
        found.map(|(topic, payload)| Retained { topic: topic.clone(), payload: payload.clone() }).take(limit).collect()
    }
}

/// A running door.
pub struct House {
    pub addr: SocketAddr,
    pub tls_addr: Option<SocketAddr>,
    pub intake: Arc<FakeIntake>,
    pub retained: Arc<FakeRetained>,
    pub gatekeeper: Arc<FakeGatekeeper>,
    pub handle: DoorHandle,
    pub stop: Stop,
    running: tokio::task::JoinHandle<()>,
}

pub fn test_config() -> Config {
    Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() }
}

impl House {
    pub async fn open() -> Self {
        Self::with(test_config()).await
    }

    pub async fn with(config: Config) -> Self {
        let intake = FakeIntake::new(Mode::Answer(stored));
        let retained = Arc::new(FakeRetained::default());
        let gatekeeper = Arc::new(FakeGatekeeper { logins: Mutex::default() });
        let door =
            Door::bind(&config, gatekeeper.clone(), intake.clone(), retained.clone(), Clock::system()).await.unwrap();
        let (addr, tls_addr, handle, stop) = (door.local_addr(), door.tls_addr(), door.handle(), Stop::new());
        let running = tokio::spawn(door.run(stop.clone()));
        Self { addr, tls_addr, intake, retained, gatekeeper, handle, stop, running }
    }

    pub async fn stopped(self) {
        self.stop.request();
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }

    /// Waits until the statistics say something. They have no event of their own: asked every few milliseconds.
    pub async fn stats(&self, what: &str, condition: impl Fn(&Stats) -> bool) -> Stats {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let stats = self.handle.stats();
                if condition(&stats) {
                    return stats;
                }
                pause.tick().await;
            }
        });
        match waited.await {
            Ok(stats) => stats,
            Err(_) => panic!("never happened: {what}; {:?}", self.handle.stats()),
        }
    }

    pub async fn socket(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(self.addr).await.unwrap())
    }

    /// A client that is logged in.
    pub async fn client(&self, connect: &Connect<'_>) -> Client<TcpStream> {
        let mut client = self.socket().await;
        client.send(&connect.bytes()).await;
        let connack = client.packet().await;
        assert_eq!((connack.first, connack.body[1]), (0x20, 0), "CONNACK {connack:?}");
        client
    }

    /// Connects, subscribes, publishes and is acknowledged: the house stands.
    pub async fn probe(&self) {
        let mut client = self.client(&Connect::v3("gw999")).await;
        client.send(&subscribe(false, 1, &[("vigil/1/s1/gw999/d/#", 1)])).await;
        assert_eq!(client.packet().await, Packet { first: 0x90, body: vec![0, 1, 1] });
        client.send(&publish(false, 1, 2, "vigil/1/s1/gw999/u/vit/_", b"probe")).await;
        assert_eq!(client.packet().await, puback(2));
        client.send(&[0xE0, 0]).await;
        client.closed().await;
    }
}

/// A packet from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub first: u8,
    pub body: Vec<u8>,
}

pub fn puback(id: u16) -> Packet {
    Packet { first: 0x40, body: id.to_be_bytes().to_vec() }
}

pub fn puback_code(id: u16, code: u8) -> Packet {
    Packet { first: 0x40, body: [id.to_be_bytes().as_slice(), &[code]].concat() }
}

/// A client that says exactly what the test wants.
pub struct Client<S> {
    pub io: S,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn new(io: S) -> Self {
        Self { io }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        tokio::time::timeout(PATIENCE, self.io.write_all(bytes)).await.unwrap().unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next packet, or `None` when the server closed the link.
    pub async fn next(&mut self) -> Option<Packet> {
        let read = async {
            let first = self.io.read_u8().await.ok()?;
            let (mut length, mut shift) = (0_usize, 0);
            loop {
                let byte = self.io.read_u8().await.ok()?;
                length |= usize::from(byte & 0x7F) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let mut body = vec![0; length];
            self.io.read_exact(&mut body).await.ok()?;
            Some(Packet { first, body })
        };
        tokio::time::timeout(PATIENCE, read).await.expect("the server says nothing")
    }

    pub async fn packet(&mut self) -> Packet {
        self.next().await.expect("the server closed the link")
    }

    /// The server closes without another word.
    pub async fn closed(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// A v5 DISCONNECT with this code, then the end.
    pub async fn disconnected(&mut self, code: u8) {
        assert_eq!(self.packet().await, Packet { first: 0xE0, body: vec![code] });
        self.closed().await;
    }

    /// A round trip: what was sent before has been handled.
    pub async fn ping(&mut self) {
        self.send(&[0xC0, 0]).await;
        assert_eq!(self.packet().await, Packet { first: 0xD0, body: vec![] });
    }
}

/// A CONNECT.
#[derive(Clone)]
pub struct Connect<'a> {
    pub v5: bool,
    pub id: &'a [u8],
    pub user: &'a str,
    pub password: &'a str,
    pub keep_alive: u16,
    pub clean: bool,
    /// Topic, payload, QoS, retain, delay in seconds (v5).
    pub will: Option<(&'a str, &'a str, u8, bool, u32)>,
    pub properties: Vec<u8>,
}

impl<'a> Connect<'a> {
    pub fn v3(id: &'a str) -> Self {
        Self {
            v5: false,
            id: id.as_bytes(),
            user: "",
            password: PASSWORD,
            keep_alive: 30,
            clean: true,
            will: None,
            properties: Vec::new(),
        }
    }

    pub fn v5(id: &'a str) -> Self {
        Self { v5: true, ..Self::v3(id) }
    }

    pub fn of(v5: bool, id: &'a str) -> Self {
        Self { v5, ..Self::v3(id) }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = 0xC0 | (u8::from(self.clean) << 1);
        if let Some((_, _, qos, retain, _)) = self.will {
            flags |= 0x04 | (qos << 3) | (u8::from(retain) << 5);
        }
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', if self.v5 { 5 } else { 4 }, flags];
        body.extend_from_slice(&self.keep_alive.to_be_bytes());
        if self.v5 {
            body.push(u8::try_from(self.properties.len()).unwrap());
            body.extend_from_slice(&self.properties);
        }
        field(&mut body, self.id);
        if let Some((topic, payload, _, _, delay)) = self.will {
            if self.v5 {
                body.extend_from_slice(&[5, 0x18]);
                body.extend_from_slice(&delay.to_be_bytes());
            }
            field(&mut body, topic.as_bytes());
            field(&mut body, payload.as_bytes());
        }
        field(&mut body, self.user.as_bytes());
        field(&mut body, self.password.as_bytes());
        packet(0x10, &body)
    }
}

pub fn field(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_be_bytes());
    out.extend_from_slice(bytes);
}

pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut out, mut length) = (vec![first], body.len());
    loop {
        let low = (length & 0x7F) as u8;
        length >>= 7;
        out.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

/// PUBLISH with the given QoS; no other flags.
pub fn publish(v5: bool, qos: u8, id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    publish_flags(v5, qos << 1, id, topic, payload)
}

/// PUBLISH with the flags of its first byte as given: dup 8, QoS 2 or 4, retain 1.
pub fn publish_flags(v5: bool, flags: u8, id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    publish_properties(v5.then_some(&[]), flags, id, topic, payload)
}

pub fn publish_properties(properties: Option<&[u8]>, flags: u8, id: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    field(&mut body, topic.as_bytes());
    if flags & 6 != 0 {
        body.extend_from_slice(&id.to_be_bytes());
    }
    if let Some(properties) = properties {
        body.push(u8::try_from(properties.len()).unwrap());
        body.extend_from_slice(properties);
    }
    body.extend_from_slice(payload);
    packet(0x30 | flags, &body)
}

pub fn subscribe(v5: bool, id: u16, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    for (filter, options) in filters {
        field(&mut body, filter.as_bytes());
        body.push(*options);
    }
    packet(0x82, &body)
}

pub fn unsubscribe(v5: bool, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    for filter in filters {
        field(&mut body, filter.as_bytes());
    }
    packet(0xA2, &body)
}

/// A SUBACK or UNSUBACK.
pub fn suback(first: u8, v5: bool, id: u16, codes: &[u8]) -> Packet {
    let mut body = id.to_be_bytes().to_vec();
    if v5 {
        body.push(0);
    }
    body.extend_from_slice(codes);
    Packet { first, body }
}

/// The topic of a gateway's live readings.
pub fn up(gateway: &str) -> String {
    format!("vigil/1/s1/{gateway}/u/vit/_")
}

pub fn state(gateway: &str) -> String {
    format!("vigil/1/s1/{gateway}/st")
}
