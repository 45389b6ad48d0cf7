//! The TCP link: watches and pendants, MLLP, ASTM. It listens, or connects to a machine that is itself a TCP server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use codec::Codec;
use model::Name;
use runtime::Stop;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Context;
use super::backoff::Backoff;
use super::talk::{self, Ended, Limits, Talk};
use crate::Error;
use crate::devices::Roster;
use crate::outlet::DeviceKey;

/// Pause after a failed accept (no file descriptor left, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// Time a machine has to accept our connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// TCP's own keep-alive: first probe, pause between probes.
const TCP_IDLE: Duration = Duration::from_mins(1);
const TCP_PROBE: Duration = Duration::from_secs(20);

/// Keys of a TCP link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where devices connect. One of `listen` and `connect`.
    pub listen: Option<SocketAddr>,
    /// `host:port` of a machine that is a TCP server.
    pub connect: Option<String>,
    /// How the bytes are read: `watch3g`, `iw`, `jt808`, `gt06`, `h02`, `hl7`, `astm`.
    pub codec: String,
    /// All that comes is of this device, whatever the frames say. Without it the id in the frames decides.
    pub device: Option<Name>,
    /// Connections at once, at most; one more is closed.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// A connection on which nothing is said for so long is closed, seconds.
    #[serde(default = "idle_s")]
    pub idle_s: u64,
    /// Bytes a second that one connection may send for long; it is read no faster.
    #[serde(default = "bytes_per_s")]
    pub bytes_per_s: u32,
    /// Silence after which half a frame is given up, milliseconds.
    #[serde(default = "half_frame_ms")]
    pub half_frame_ms: u64,
}

const fn connections_max() -> usize {
    256
}

/// Longer than the longest heartbeat of the watches (10 minutes).
const fn idle_s() -> u64 {
    1_200
}

const fn bytes_per_s() -> u32 {
    65_536
}

const fn half_frame_ms() -> u64 {
    10_000
}

impl Config {
    /// Refuses what can never work.
    pub(crate) fn validate(&self, roster: &Roster) -> Result<(), Error> {
        let fault = |what: &str| Err(Error::Key(format!("tcp link with codec {}: {what}", self.codec)));
        let Some(codec) = codec::find(&self.codec) else {
            return fault("there is no such codec; `vigil decode --list` names them");
        };
        talk::framer(codec)?;
        if self.listen.is_some() == self.connect.is_some() {
            return fault("either listen or connect is needed");
        }
        if self.connections_max == 0 || self.idle_s == 0 || self.bytes_per_s == 0 || self.half_frame_ms == 0 {
            return fault("connections_max, idle_s, bytes_per_s and half_frame_ms must be 1 or more");
        }
        match &self.device {
            Some(name) if roster.named(name).is_none() => fault("its device is not in [[devices]]"),
            _ => Ok(()),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            idle: Some(Duration::from_secs(self.idle_s)),
            half_frame: Duration::from_millis(self.half_frame_ms),
            bytes_per_s: self.bytes_per_s,
        }
    }
}

/// Listens or connects until the gateway stops.
pub(crate) async fn run(config: Config, context: Context) -> Result<(), Error> {
    let Some(codec) = codec::find(&config.codec) else { return Err(Error::Ended) };
    let mut backoff = Backoff::default();
    loop {
        let problem = match (config.listen, &config.connect) {
            (Some(address), _) => match TcpListener::bind(address).await {
                Ok(listener) => {
                    context.up(listener.local_addr().ok());
                    return listen(&listener, codec, &config, &context).await;
                }
                Err(error) => format!("cannot listen on {address}: {error}"),
            },
            (None, machine) => {
                let machine = machine.as_deref().unwrap_or_default();
                match call(machine, codec, &config, &context, &mut backoff).await? {
                    Ended::Stop => return Ok(()),
                    ended => format!("{machine}: {ended}"),
                }
            }
        };
        if !context.lost(&problem, &mut backoff).await {
            return Ok(());
        }
    }
}

/// One connection to a machine that is a TCP server.
async fn call(
    machine: &str,
    codec: &'static Codec,
    config: &Config,
    context: &Context,
    backoff: &mut Backoff,
) -> Result<Ended, Error> {
    let talk = Talk::new(context, codec, config.device.clone().map(DeviceKey::Named), config.limits())?;
    let connecting = tokio::time::timeout(CONNECT_MAX, TcpStream::connect(machine));
    let connected = tokio::select! {
        () = context.stop.requested() => return Ok(Ended::Stop),
        connected = connecting => connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())),
    };
    match connected {
        Ok(mut stream) => {
            prepare(&stream);
            context.up(stream.local_addr().ok());
            backoff.worked();
            Ok(talk.run(&mut stream).await)
        }
        Err(error) => Ok(Ended::Broken(error)),
    }
}

async fn listen(
    listener: &TcpListener,
    codec: &'static Codec,
    config: &Config,
    context: &Context,
) -> Result<(), Error> {
    let places = Arc::new(Semaphore::new(config.connections_max));
    let mut talks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = context.stop.requested() => break,
            _ended = talks.join_next(), if !talks.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let mut stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(link = context.name, %error, "cannot accept connections; trying again");
                pause(&context.stop, ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            context.count(|link| link.turned_away += 1);
            continue;
        };
        prepare(&stream);
        let talk = Talk::new(context, codec, config.device.clone().map(DeviceKey::Named), config.limits())?;
        let name = context.name.clone();
        talks.spawn(async move {
            let ended = talk.run(&mut stream).await;
            tracing::debug!(link = name, %ended, "a connection ended");
            drop(place);
        });
    }
    while talks.join_next().await.is_some() {}
    Ok(())
}

async fn pause(stop: &Stop, time: Duration) {
    tokio::select! {
        () = stop.requested() => {}
        () = tokio::time::sleep(time) => {}
    }
}

/// Small answers leave at once, and a peer that vanished without a word is noticed.
fn prepare(stream: &TcpStream) {
    let _best_effort = stream.set_nodelay(true);
    let keep_alive = socket2::TcpKeepalive::new().with_time(TCP_IDLE).with_interval(TCP_PROBE);
    let _best_effort = socket2::SockRef::from(stream).set_tcp_keepalive(&keep_alive);
}
