//! A real front door whose intake keeps frames in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use model::{GatewayId, Lane, Name};
use mqtt::door::{
    Config, Dialect, Done, Door, Gatekeeper, Identity, Intake, LinkChange, Login, LoginError, Publish, Retained,
    RetainedStore, Verdict,
};
use mqtt::topic::Topic;
use mqtt::wire::{self, WireFrame};
use runtime::{Clock, Stop};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub const TOKEN: &str = "secret";

/// What the server holds.
#[derive(Default)]
pub struct Held {
    /// (gateway, epoch, lane) -> sequence numbers.
    pub seqs: BTreeMap<(String, u32, Lane), BTreeSet<u64>>,
    pub frames: Vec<(String, WireFrame)>,
    /// Those with waveforms, by lane.
    pub waves: Vec<(Lane, WireFrame)>,
    pub states: Vec<String>,
}

pub struct Hall {
    held: Mutex<Held>,
    changes: watch::Sender<u64>,
}

pub struct Server {
    pub addr: SocketAddr,
    pub hall: Arc<Hall>,
    changes: watch::Receiver<u64>,
    _task: JoinSet<()>,
}

impl Server {
    pub async fn start() -> Self {
        let (notify, changes) = watch::channel(0);
        let hall = Arc::new(Hall { held: Mutex::default(), changes: notify });
        let config = Config { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Config::default() };
        let door = Door::bind(&config, hall.clone(), hall.clone(), hall.clone(), Clock::system()).await.unwrap();
        let addr = door.local_addr();
        let mut task = JoinSet::new();
        task.spawn(door.run(Stop::new()));
        Self { addr, hall, changes, _task: task }
    }

    pub fn look<T>(&self, look: impl FnOnce(&Held) -> T) -> T {
        look(&self.hall.held.lock().unwrap())
    }

    pub async fn until(&mut self, what: &str, condition: impl Fn(&Held) -> bool) {
        let hall = Arc::clone(&self.hall);
        let wait = self.changes.wait_for(|_| condition(&hall.held.lock().unwrap()));
        let held = timeout(Duration::from_secs(30), wait).await.is_ok_and(|seen| seen.is_ok());
        assert!(
            held,
            "{what}: {:?}",
            self.look(|h| h.seqs.iter().map(|(k, v)| (k.clone(), v.len())).collect::<Vec<_>>())
        );
    }
}

impl Hall {
    fn note(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.held.lock().unwrap());
        self.changes.send_modify(|n| *n += 1);
    }
}

impl Gatekeeper for Hall {
    fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        if login.password != Some(TOKEN.as_bytes()) {
            return Err(LoginError::BadCredentials);
        }
        Ok(Identity {
            gateway: GatewayId(1),
            site: Name::new("s").unwrap(),
            name: Name::new(login.client_id).map_err(|_| LoginError::BadClientId)?,
            dialect: Dialect::Vigil,
            open_acl: false,
        })
    }
}

impl Intake for Hall {
    fn submit(&self, from: &Arc<Identity>, publishes: Vec<Publish>, done: Done) {
        let mut verdicts = Vec::new();
        self.note(|held| {
            for publish in &publishes {
                match Topic::parse(&publish.topic).unwrap() {
                    Topic::Up { lane, device, .. } => {
                        let frame = wire::decode(&publish.payload).unwrap();
                        let key = (from.name.to_string(), frame.epoch, lane);
                        if held.seqs.entry(key).or_default().insert(frame.seq) {
                            if !frame.waveforms.is_empty() {
                                held.waves.push((lane, frame.clone()));
                            }
                            held.frames.push((device.to_owned(), frame));
                        }
                    }
                    Topic::State { .. } => held.states.push(String::from_utf8(publish.payload.to_vec()).unwrap()),
                    other => panic!("{other:?}"),
                }
                verdicts.push(Verdict::Stored);
            }
        });
        done(verdicts);
    }

    fn link(&self, _: &Arc<Identity>, _: LinkChange) {}
}

impl RetainedStore for Hall {
    fn put(&self, _: &Arc<Identity>, _: &str, _: &Bytes) {}
    fn remove(&self, _: &Arc<Identity>, _: &str) {}
    fn matching(&self, _: &str, _: usize) -> Vec<Retained> {
        Vec::new()
    }
}
