//! The MQTT link: the same front door as the server's, for devices in the house. A PUBACK means "on the gateway's disk".
//!
//! Each client has its row in the configuration: its token, its dialect, the devices it may speak for. What it publishes goes
//! through the reception as everything else does; its own numbers (epoch, seq) only serve to drop what it sends again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use ::mqtt::door::{
    self, Dialect, Done, Door, Gatekeeper, Identity, Intake, LinkChange, Login, LoginError, Publish, Retained,
    RetainedStore, TlsConfig, Verdict,
};
use ::mqtt::topic::{SELF, Topic};
use ::mqtt::{thingsboard, wire};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt};
use model::entry::Flags;
use model::{GatewayId, Lane, Name, Time};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Context;
use super::backoff::Backoff;
use crate::Error;
use crate::devices::Roster;
use crate::outlet::{DeviceKey, Heard, Refused};
use crate::report::Report;

/// Submits of one client that wait for the disk; one more is "busy". As many again may wait that have events.
const WAITING_MAX: usize = 64;
/// Frames of one client remembered by their number, to know what is sent again.
const REMEMBERED_MAX: usize = 1_024;
/// Clients of one link, at most.
const CLIENTS_MAX: usize = 256;
/// Shortest token, bytes.
const TOKEN_BYTES_MIN: usize = 8;

/// Keys of an MQTT link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    /// A TLS listener beside the plain one.
    pub tls: Option<TlsConfig>,
    pub clients: Vec<Client>,
}

/// One client.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The device's name in `[[devices]]`; with the `vigil` dialect also its MQTT client id.
    pub name: Name,
    /// Password, or user name of a ThingsBoard device. At least 8 characters. Never logged.
    pub token: String,
    #[serde(default)]
    pub dialect: Speech,
    /// Other devices for which it speaks (`vigil` dialect: the `dev` of its topics).
    #[serde(default)]
    pub devices: Vec<Name>,
}

/// What a client speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speech {
    #[default]
    Vigil,
    Thingsboard,
    Senml,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("name", &self.name).field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self, roster: &Roster) -> Result<(), Error> {
        let fault = |what: String| Err(Error::Key(format!("mqtt link: {what}")));
        if self.clients.is_empty() || self.clients.len() > CLIENTS_MAX {
            return fault(format!("1 to {CLIENTS_MAX} clients are expected"));
        }
        let mut tokens = BTreeSet::new();
        for client in &self.clients {
            if !tokens.insert(&client.token) {
                return fault(format!("client {}: its token is another client's", client.name));
            }
            if client.token.len() < TOKEN_BYTES_MIN {
                return fault(format!(
                    "client {}: its token must have {TOKEN_BYTES_MIN} characters or more",
                    client.name
                ));
            }
            let mut names = std::iter::once(&client.name).chain(&client.devices);
            if let Some(name) = names.find(|name| roster.named(name).is_none()) {
                return fault(format!("device {name} is not in [[devices]]"));
            }
        }
        Ok(())
    }
}

/// The clients by the digest of their token.
struct Gate {
    site: Name,
    clients: BTreeMap<[u8; 32], (GatewayId, Client)>,
}

impl Gatekeeper for Gate {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        let token = match (login.password, login.username) {
            (Some([]) | None, Some(username)) => username.as_bytes(),
            (Some(password), _) => password,
            (None, None) => return Err(LoginError::BadCredentials),
        };
        // Looked up by digest: the time of the search tells nothing about the token.
        let digest: [u8; 32] = Sha256::digest(token).into();
        let (id, client) = self.clients.get(&digest).ok_or(LoginError::BadCredentials)?;
        if client.dialect == Speech::Vigil && login.client_id != client.name.as_str() {
            return Err(LoginError::BadClientId);
        }
        let dialect = match client.dialect {
            Speech::Vigil => Dialect::Vigil,
            Speech::Thingsboard => Dialect::ThingsBoard,
            Speech::Senml => Dialect::Senml,
        };
        Ok(Identity { gateway: *id, site: self.site.clone(), name: client.name.clone(), dialect, open_acl: false })
    }
}

/// One call of [`Intake::submit`].
struct Submit {
    publishes: Vec<Publish>,
    done: Done,
}

/// A queue a client, so that each one's publishes stay in order and nobody waits for another.
struct Desk {
    queues: BTreeMap<GatewayId, mpsc::Sender<Submit>>,
}

impl Intake for Desk {
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let busy = |submit: Submit| (submit.done)(vec![Verdict::Busy; submit.publishes.len()]);
        let submit = Submit { publishes, done };
        match self.queues.get(&from.gateway) {
            Some(queue) => {
                if let Err(error) = queue.try_send(submit) {
                    busy(error.into_inner());
                }
            }
            None => busy(submit),
        }
    }

    fn link(&self, _from: &Arc<Identity>, _change: LinkChange) {}
}

/// A device's retained state is nothing this gateway keeps.
struct NoRetained;

impl RetainedStore for NoRetained {
    fn put(&self, _from: &Arc<Identity>, _topic: &str, _payload: &Bytes) {}
    fn remove(&self, _from: &Arc<Identity>, _topic: &str) {}
    fn matching(&self, _filter: &str, _limit: usize) -> Vec<Retained> {
        Vec::new()
    }
}

/// Serves until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let (mut queues, mut clients, mut workers) = (BTreeMap::new(), BTreeMap::new(), JoinSet::new());
    for (number, client) in (1..).zip(&config.clients) {
        let (queue, submits) = mpsc::channel(WAITING_MAX);
        queues.insert(GatewayId(number), queue);
        clients.insert(Sha256::digest(client.token.as_bytes()).into(), (GatewayId(number), client.clone()));
        workers.spawn(Worker::new(client, &context).run(submits));
    }
    // The site stands in the topics of the vigil dialect: the house's own name for itself.
    let gate = Arc::new(Gate { site: context.outlet.site(), clients });
    let desk = Arc::new(Desk { queues });
    let door_config = door::Config {
        listen: config.listen,
        tls: config.tls.clone(),
        links_max: 2 * config.clients.len(),
        strangers_max: 64,
        ..door::Config::default()
    };
    let mut backoff = Backoff::default();
    loop {
        let (gate, desk) = (Arc::clone(&gate), Arc::clone(&desk));
        match Door::bind(&door_config, gate, desk, Arc::new(NoRetained), context.clock.clone()).await {
            Ok(door) => {
                context.up(Some(door.local_addr()));
                door.run(context.stop.clone()).await;
                break;
            }
            Err(error) => {
                if !context.lost(&error.to_string(), &mut backoff).await {
                    break;
                }
            }
        }
    }
    drop(desk);
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// Takes one client's publishes in order. The next ones are taken up while earlier ones wait for the disk, so that a call for
/// help does not stand behind readings; each submit has its verdicts when all of it is settled.
struct Worker {
    context: Context,
    client: Client,
    seen: Seen,
    /// Frames on their way to the disk: one that is sent again meanwhile waits for the same verdict.
    going: BTreeMap<Number, Going>,
}

type Going = Shared<BoxFuture<'static, Verdict>>;

/// Verdicts of one submit, and the numbers of the frames that it took up.
struct Settled {
    verdicts: Vec<Verdict>,
    numbers: Vec<(usize, Number)>,
    done: Done,
}

/// What a publish is to the reception.
enum Told {
    /// Known already, or nothing to keep.
    Nothing(Verdict),
    Report {
        device: Name,
        at: Time,
        report: Box<Report>,
        number: Option<Number>,
    },
    Heard(Box<Heard>),
}

impl Told {
    /// Says more than readings.
    fn is_urgent(&self) -> bool {
        match self {
            Self::Nothing(_) => false,
            Self::Report { report, .. } => !report.events.is_empty(),
            Self::Heard(heard) => !heard.decoded.events.is_empty(),
        }
    }

    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing(_))
    }
}

impl Worker {
    fn new(client: &Client, context: &Context) -> Self {
        Self { context: context.clone(), client: client.clone(), seen: Seen::default(), going: BTreeMap::new() }
    }

    async fn run(mut self, mut submits: mpsc::Receiver<Submit>) {
        let (stop, mut under_way) = (self.context.stop.clone(), FuturesUnordered::new());
        loop {
            tokio::select! {
                Some(settled) = under_way.next() => self.settle(settled),
                Some(submit) = submits.recv() => {
                    if let Some(taken) = self.take_up(submit, under_way.len()) {
                        under_way.push(taken);
                    }
                }
                () = stop.requested(), if !submits.is_closed() => submits.close(),
                else => return,
            }
        }
    }

    /// Begins with a submit, or says "busy" when too many are under way. Half of the places are for those with
    /// events, and those that wait for nothing.
    fn take_up(&mut self, submit: Submit, under_way: usize) -> Option<BoxFuture<'static, Settled>> {
        let Submit { publishes, done } = submit;
        let told: Vec<_> = publishes.iter().map(|publish| self.told(publish)).collect();
        let first = told.iter().any(Told::is_urgent) || told.iter().all(Told::is_nothing);
        let places = if first { 2 * WAITING_MAX } else { WAITING_MAX };
        if under_way >= places {
            done(vec![Verdict::Busy; publishes.len()]);
            return None;
        }
        let mut numbers = Vec::new();
        let mut takes = Vec::with_capacity(told.len());
        for (index, told) in told.into_iter().enumerate() {
            let Told::Report { number: Some(number), .. } = told else {
                takes.push(take(self.context.clone(), told).boxed());
                continue;
            };
            if let Some(going) = self.going.get(&number).cloned() {
                takes.push(going.map(again).boxed());
                continue;
            }
            let going = take(self.context.clone(), told).boxed().shared();
            self.going.insert(number, going.clone());
            numbers.push((index, number));
            takes.push(going.boxed());
        }
        Some(async move { Settled { verdicts: join_all(takes).await, numbers, done } }.boxed())
    }

    fn settle(&mut self, settled: Settled) {
        let Settled { verdicts, numbers, done } = settled;
        for (index, number) in numbers {
            self.going.remove(&number);
            if verdicts.get(index) == Some(&Verdict::Stored) {
                self.seen.add(number);
            }
        }
        done(verdicts);
    }

    fn told(&self, publish: &Publish) -> Told {
        let at = publish.received_at;
        match self.client.dialect {
            Speech::Vigil => self.frame(publish),
            Speech::Thingsboard => match thingsboard::decode(&publish.payload, at) {
                Ok(told) => {
                    let report = Report { samples: told.samples, events: told.events, ..Report::default() };
                    Told::Report { device: self.client.name.clone(), at, report: Box::new(report), number: None }
                }
                Err(bad) => Told::Nothing(Verdict::Malformed(bad.code())),
            },
            Speech::Senml => {
                let Some(codec) = codec::find("senml") else { return Told::Nothing(Verdict::Malformed("senml")) };
                match (codec.decode)(&publish.payload, &codec::Settings::default()) {
                    Ok(decoded) => {
                        let device = DeviceKey::Named(self.client.name.clone());
                        Told::Heard(Box::new(Heard { device, at, decoded, waveforms: Vec::new() }))
                    }
                    Err(bad) => Told::Nothing(Verdict::Malformed(bad.code())),
                }
            }
        }
    }

    /// A frame of Vigil's own.
    fn frame(&self, publish: &Publish) -> Told {
        let (lane, device) = match Topic::parse(&publish.topic) {
            Ok(Topic::Up { lane, device, .. }) => (lane, device),
            // Births and wills: nothing to keep.
            Ok(Topic::State { .. }) => return Told::Nothing(Verdict::Stored),
            _ => return Told::Nothing(Verdict::NotAuthorised),
        };
        let mut own = std::iter::once(&self.client.name).chain(&self.client.devices);
        let device = if device == SELF { Some(&self.client.name) } else { own.find(|name| name.as_str() == device) };
        let Some(device) = device else { return Told::Nothing(Verdict::NotAuthorised) };
        let frame = match wire::decode(&publish.payload) {
            Ok(frame) => frame,
            Err(bad) => return Told::Nothing(Verdict::Malformed(bad.code())),
        };
        let number = Number { lane: lane as u8, epoch: frame.epoch, seq: frame.seq };
        if self.seen.has(number) {
            return Told::Nothing(Verdict::Duplicate);
        }
        let report = Report {
            lane: samples_lane(lane, frame.flags),
            samples: frame.samples,
            origins: frame.origins,
            events: frame.events,
            waveforms: frame.waveforms,
            clock: frame.clock,
            person: frame.person,
            ..Report::default()
        };
        let (device, at) = (device.clone(), publish.received_at);
        Told::Report { device, at, report: Box::new(report), number: Some(number) }
    }
}

/// The verdict of a frame that was sent again while the first was on its way.
const fn again(first: Verdict) -> Verdict {
    match first {
        Verdict::Stored => Verdict::Duplicate,
        other => other,
    }
}

/// Durable when it returns `Stored`.
async fn take(context: Context, told: Told) -> Verdict {
    let taken = match told {
        Told::Nothing(verdict) => {
            if matches!(verdict, Verdict::Malformed(_)) {
                context.count(|link| link.malformed += 1);
            }
            return verdict;
        }
        Told::Heard(heard) => context.outlet.hear(*heard).await,
        Told::Report { device, at, report, .. } => {
            context.outlet.hear_report(&DeviceKey::Named(device), at, *report).await
        }
    };
    match taken {
        Ok(_) => {
            context.count(|link| link.frames += 1);
            Verdict::Stored
        }
        Err(Refused::UnknownDevice) => {
            context.count(|link| link.refused += 1);
            Verdict::NotAuthorised
        }
        Err(Refused::Closed) => Verdict::Busy,
    }
}

/// A reading that waited at the client is history here too: its gateway sends it in lane `vit`, and says so.
const fn samples_lane(lane: Lane, flags: Flags) -> Lane {
    if matches!(lane, Lane::Hist) || flags.has(Flags::HIST) { Lane::Hist } else { Lane::Vit }
}

/// Identity of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    lane: u8,
    epoch: u32,
    seq: u64,
}

/// The newest frames of a client, by number.
#[derive(Debug, Default)]
struct Seen {
    known: BTreeSet<Number>,
    order: VecDeque<Number>,
}

impl Seen {
    fn has(&self, number: Number) -> bool {
        self.known.contains(&number)
    }

    fn add(&mut self, number: Number) {
        if self.known.insert(number) {
            self.order.push_back(number);
        }
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
#[path = "mqtt_tests.rs"]
mod tests;
