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
use futures_util::future::join_all;
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

/// Submits of one client that wait for the disk; one more is "busy".
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

/// Takes one client's publishes in order.
struct Worker {
    context: Context,
    client: Client,
    seen: Seen,
}

/// What a publish is to the reception.
enum Told {
    /// Known already, or nothing to keep.
    Nothing(Verdict),
    /// The same frame as an earlier one of these publishes: what holds for that one holds for it.
    Twin(usize),
    Report {
        device: Name,
        at: Time,
        report: Box<Report>,
        number: Option<Number>,
    },
    Heard(Box<Heard>),
}

impl Worker {
    fn new(client: &Client, context: &Context) -> Self {
        Self { context: context.clone(), client: client.clone(), seen: Seen::default() }
    }

    async fn run(mut self, mut submits: mpsc::Receiver<Submit>) {
        loop {
            let submit = tokio::select! {
                submit = submits.recv() => submit,
                () = self.context.stop.requested(), if !submits.is_closed() => {
                    submits.close();
                    continue;
                }
            };
            let Some(Submit { publishes, done }) = submit else { return };
            let told = self.all_told(&publishes);
            let twins: Vec<_> =
                told.iter().map(|told| if let Told::Twin(of) = told { Some(*of) } else { None }).collect();
            let outcomes = join_all(told.into_iter().map(|told| self.take(told))).await;
            let mut verdicts = Vec::with_capacity(outcomes.len());
            for ((verdict, number), twin) in outcomes.into_iter().zip(twins) {
                if let (Verdict::Stored, Some(number)) = (verdict, number) {
                    self.seen.add(number);
                }
                verdicts.push(match twin.and_then(|of| verdicts.get(of).copied()) {
                    Some(Verdict::Stored) => Verdict::Duplicate,
                    Some(same) => same,
                    None => verdict,
                });
            }
            done(verdicts);
        }
    }

    /// What each of the publishes is; one that repeats an earlier one of them is its twin.
    fn all_told(&self, publishes: &[Publish]) -> Vec<Told> {
        let mut numbers = BTreeMap::new();
        let tell = |(index, publish)| {
            let told = self.told(publish);
            if let Told::Report { number: Some(number), .. } = &told {
                let first = *numbers.entry(*number).or_insert(index);
                if first != index {
                    return Told::Twin(first);
                }
            }
            told
        };
        publishes.iter().enumerate().map(tell).collect()
    }

    /// Durable when it returns `Stored`.
    async fn take(&self, told: Told) -> (Verdict, Option<Number>) {
        let (taken, number) = match told {
            Told::Nothing(verdict) => {
                if matches!(verdict, Verdict::Malformed(_)) {
                    self.context.count(|link| link.malformed += 1);
                }
                return (verdict, None);
            }
            // The verdict of the other one takes its place.
            Told::Twin(_) => return (Verdict::Busy, None),
            Told::Heard(heard) => (self.context.outlet.hear(*heard).await, None),
            Told::Report { device, at, report, number } => {
                (self.context.outlet.hear_report(&DeviceKey::Named(device), at, *report).await, number)
            }
        };
        match taken {
            Ok(_) => {
                self.context.count(|link| link.frames += 1);
                (Verdict::Stored, number)
            }
            Err(Refused::UnknownDevice) => {
                self.context.count(|link| link.refused += 1);
                (Verdict::NotAuthorised, None)
            }
            Err(Refused::Closed) => (Verdict::Busy, None),
        }
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
mod tests {
    use super::*;

    #[test]
    fn what_waited_at_the_client_is_history_here() {
        assert_eq!(samples_lane(Lane::Vit, Flags(0)), Lane::Vit);
        assert_eq!(samples_lane(Lane::Vit, Flags(Flags::HIST)), Lane::Hist);
        assert_eq!(samples_lane(Lane::Hist, Flags(0)), Lane::Hist);
    }

    #[test]
    fn two_clients_do_not_share_a_token() {
        let device = |name: &str| toml::from_str(&format!("name = {name:?}")).unwrap();
        let roster = Roster::new(&[device("a"), device("b")], None).unwrap();
        let link = |other: &str| -> Config {
            let client = |name: &str, token: &str| format!("[[clients]]\nname = {name:?}\ntoken = {token:?}\n");
            toml::from_str(&format!("listen = \"127.0.0.1:0\"\n{}{}", client("a", "long-token"), client("b", other)))
                .unwrap()
        };
        assert!(link("other-token").validate(&roster).is_ok());
        assert!(link("long-token").validate(&roster).is_err());
    }

    #[test]
    fn what_is_sent_again_is_known_for_a_while() {
        let mut seen = Seen::default();
        let number = |seq| Number { lane: 2, epoch: 1, seq };
        for seq in 0..=REMEMBERED_MAX as u64 {
            seen.add(number(seq));
            seen.add(number(seq));
        }
        assert!(!seen.has(number(0)) && seen.has(number(1)) && seen.has(number(REMEMBERED_MAX as u64)));
    }
}
