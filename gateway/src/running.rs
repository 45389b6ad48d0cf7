//! The gateway's parts put together, and taken apart in order: links, framer, uplink.

use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Lane, Time};
use mqtt::outbox::Outbox;
use mqtt::topic;
use mqtt::uplink::{self, Hello};
use runtime::{Clock, Stop};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::care::{self, Care};
use crate::config::{Config, Link};
use crate::custody::{self, Keeper, Kept, Resender};
use crate::down::Heard;
use crate::edge::Edge;
use crate::figures::{Figures, Snapshot};
use crate::framer::Framer;
use crate::health::Health;
use crate::lanes::{self, Lanes};
use crate::outlet::Outlet;
use crate::reception::Reception;
use crate::status::Desk;
use crate::{Error, link};

/// Messages of the server waiting to be looked at.
const DOWN_MAX: usize = 64;
/// Time the links have to answer what they have already heard when the gateway stops.
const LINKS_STOP: Duration = Duration::from_secs(3);

/// Wait for the outbox to be let go after the parts have ended, and how often.
const RELOCK_WAIT: Duration = Duration::from_millis(100);
const RELOCKS_MAX: u32 = 100;

/// The gateway's figures. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    pub(crate) uplink: Arc<uplink::Stats>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) kept: Arc<Kept>,
}

impl Stats {
    pub fn uplink(&self) -> uplink::Snapshot {
        self.uplink.snapshot()
    }

    /// What the links and the devices have done.
    pub fn links(&self) -> Snapshot {
        self.figures.snapshot()
    }

    /// Frames the server said it put into quarantine.
    pub fn rejected(&self) -> u64 {
        self.heard.rejected.load(Relaxed)
    }

    /// Server clock minus ours, milliseconds, once the server has told its time.
    pub fn clock_offset_ms(&self) -> Option<i64> {
        self.heard.server_offset_ms()
    }
}

/// A cut of the uplink, asked for by the simulator's `uplink_lost`.
pub(crate) struct Cut(pub(crate) Duration);

/// Reception, framer, outbox and uplink of one gateway, running.
pub(crate) struct Core {
    pub(crate) outbox: Outbox,
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) outlet: Outlet,
    pub(crate) care: Arc<Care>,
    pub(crate) cuts: mpsc::Sender<Cut>,
    pub(crate) parts: JoinSet<Result<(), Error>>,
    pub(crate) framing: JoinSet<Result<(), Error>>,
    /// Tells the framer that nothing more will come.
    closing: Stop,
}

impl Core {
    pub(crate) async fn start(config: &Config, clock: &Clock, stats: &Stats, stop: &Stop) -> Result<Self, Error> {
        Self::start_kept(config, config, care::Kept::default(), clock, stats, stop).await
    }

    /// As [`Core::start`], where `config` is what the gateway's `own` file and what the server pushed (`kept`) come to.
    async fn start_kept(
        own: &Config,
        config: &Config,
        kept: care::Kept,
        clock: &Clock,
        stats: &Stats,
        stop: &Stop,
    ) -> Result<Self, Error> {
        let (dir, limits, now) = (config.data_dir.clone(), config.outbox.clone(), clock.now());
        let opened = tokio::task::spawn_blocking(move || lanes::open(&dir, &limits, now)).await;
        let (outbox, lanes) = opened.map_err(|_| Error::Ended)??;
        let lanes = Arc::new(Mutex::new(lanes));
        let (cuts, cut) = mpsc::channel(1);
        let framer = Framer {
            site: config.site.clone(),
            gateway: config.name.clone(),
            encoding: config.encoding,
            outbox: outbox.clone(),
            lanes: Arc::clone(&lanes),
            clock: clock.clone(),
            flush: Duration::from_millis(config.flush_ms),
            bytes_max: config.outbox.bytes_max,
        };
        let (mut framing, closing) = (JoinSet::new(), Stop::new());
        let inlet = framer.start(&mut framing, &closing, stop);
        let (keys, dir, beside, at) = (config.edge.clone(), config.data_dir.clone(), outbox.clone(), clock.clone());
        let edge = tokio::task::spawn_blocking(move || Edge::open(&keys, &dir, beside, at)).await;
        let edge = Arc::new(edge.map_err(|_| Error::Ended)??);
        let care = Arc::new(Care::new(own.clone(), kept, Arc::clone(&edge), inlet.clone()));
        let mut parts = JoinSet::new();
        let sounder = Arc::clone(&edge).run(inlet.clone(), Arc::clone(&stats.uplink), stop.clone());
        spawn_part(&mut parts, sounder);
        let health = Health {
            every: Duration::from_secs(config.health_every_s),
            dir: config.data_dir.clone(),
            outbox: outbox.clone(),
            uplink: Arc::clone(&stats.uplink),
            clock: clock.clone(),
        };
        spawn_part(&mut parts, health.run(inlet.clone(), stop.clone()));
        let keeper = Keeper {
            outbox: outbox.clone(),
            inlet: inlet.clone(),
            clock: clock.clone(),
            bytes_max: config.outbox.bytes_max,
            history_after: Duration::from_secs(config.history_after_s.into()),
            kept: Arc::clone(&stats.kept),
        };
        spawn_part(&mut parts, keeper.run(stop.clone()));
        let resender = Resender { outbox: outbox.clone(), lanes: Arc::clone(&lanes), inlet: inlet.clone() };
        let reception = Reception::new(config, edge, inlet, stats, clock.clone())?;
        let desk = Desk {
            config: config.clone(),
            outbox: outbox.clone(),
            lanes: Arc::clone(&lanes),
            stats: stats.clone(),
            care: Arc::clone(&care),
            clock: clock.clone(),
            since: now,
        };
        spawn_part(&mut parts, desk.run(stop.clone()));
        let uplink = Uplink {
            config: config.clone(),
            outbox: outbox.clone(),
            lanes: Arc::clone(&lanes),
            since: now,
            care: Arc::clone(&care),
        };
        parts.spawn(uplink.run(resender, cut, clock.clone(), stats.clone(), stop.clone()));
        Ok(Self { outbox, lanes, outlet: Outlet::new(reception), care, cuts, parts, framing, closing })
    }

    /// Resolves when all that was handed over is durable. Nothing can be handed over any more.
    pub(crate) async fn framed(&mut self) -> Result<(), Error> {
        self.closing.request();
        let mut first = Ok(());
        while let Some(ended) = self.framing.join_next().await {
            first = first.and(ended.unwrap_or(Err(Error::Ended)));
        }
        first
    }

    /// Ends in order: what the links reported is durable, then the uplink says goodbye.
    pub(crate) async fn finish(mut self, stop: &Stop) -> Result<(), Error> {
        let mut first = self.framed().await;
        stop.request();
        while let Some(ended) = self.parts.join_next().await {
            first = first.and(ended.unwrap_or(Err(Error::Ended)));
        }
        first
    }
}

/// Starts a part that ends only when it is told to.
fn spawn_part(parts: &mut JoinSet<Result<(), Error>>, part: impl Future<Output = ()> + Send + 'static) {
    parts.spawn(async move {
        part.await;
        Ok(())
    });
}

/// The uplink with its hello, and the cuts a simulation asks for.
struct Uplink {
    config: Config,
    outbox: Outbox,
    lanes: Arc<Mutex<Lanes>>,
    since: Time,
    care: Arc<Care>,
}

impl Uplink {
    async fn run(
        self,
        resender: Resender,
        mut cuts: mpsc::Receiver<Cut>,
        clock: Clock,
        stats: Stats,
        stop: Stop,
    ) -> Result<(), Error> {
        let (down, mut heard) = mpsc::channel(DOWN_MAX);
        let mut listening = JoinSet::new();
        let (asks, to_answer) = mpsc::channel(custody::ASKS_MAX);
        listening.spawn(resender.run(to_answer));
        let (counters, at, care) = (Arc::clone(&stats.heard), clock.clone(), Arc::clone(&self.care));
        listening.spawn(async move {
            while let Some(message) = heard.recv().await {
                if !care.hears(&message).await {
                    counters.take(&message, &at, &asks);
                }
            }
        });
        let outcome = self.turn(&mut cuts, &down, &clock, &stats, &stop).await;
        // It holds the outbox: to be opened again only when it has ended.
        listening.shutdown().await;
        outcome
    }

    async fn turn(
        &self,
        cuts: &mut mpsc::Receiver<Cut>,
        down: &mpsc::Sender<uplink::Down>,
        clock: &Clock,
        stats: &Stats,
        stop: &Stop,
    ) -> Result<(), Error> {
        loop {
            let mut uplink = JoinSet::new();
            let (outbox, counters) = (self.outbox.clone(), Arc::clone(&stats.uplink));
            let hello = hello(&self.config, &outbox, &self.lanes, self.since, &self.care);
            let (config, down) = (self.config.uplink(), down.clone());
            uplink.spawn(uplink::run(config, outbox, hello, down, counters, clock.clone(), stop.clone()));
            let cut = tokio::select! {
                ended = uplink.join_next() => {
                    return ended.and_then(Result::ok).map_or(Err(Error::Ended), |ended| ended.map_err(Error::from));
                }
                Some(cut) = cuts.recv() => cut,
            };
            // As a cable is pulled: no goodbye. The outbox keeps what was under way.
            drop(uplink);
            tracing::warn!(seconds = cut.0.as_secs(), "the uplink is cut by the simulation");
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(cut.0) => {}
            }
        }
    }
}

fn hello(config: &Config, outbox: &Outbox, lanes: &Arc<Mutex<Lanes>>, since: Time, care: &Arc<Care>) -> Hello {
    let (site, name) = (&config.site, &config.name);
    let epoch = lanes.lock().unwrap_or_else(PoisonError::into_inner).epoch();
    let (lanes, outbox, devices, care) = (Arc::clone(lanes), outbox.clone(), devices(config), Arc::clone(care));
    Hello {
        down_filter: topic::down_filter(site, name),
        state_topic: topic::state(site, name),
        birth: Arc::new(move || birth(&lanes, &outbox, since, &devices, &care)),
        will: serde_json::json!({ "v": 1, "epoch": epoch, "state": "lost" }).to_string().into_bytes(),
    }
}

/// Blocking: it looks into the outbox for the first number of each lane that waits.
fn birth(lanes: &Mutex<Lanes>, outbox: &Outbox, since: Time, devices: &[String], care: &Care) -> Vec<u8> {
    let lanes = lanes.lock().unwrap_or_else(PoisonError::into_inner);
    let epoch = lanes.epoch();
    let waits = |lane| custody::first_waiting(outbox, lane).filter(|(of, _)| *of == epoch).map(|(_, seq)| seq);
    let next: serde_json::Map<_, _> = Lane::ALL
        .into_iter()
        .zip(lanes.durable())
        .map(|(lane, next)| (lane.as_str().to_owned(), serde_json::json!({ "first": waits(lane), "next": next })))
        .collect();
    let devices: Vec<_> = devices.iter().map(|device| serde_json::json!({ "dev": device })).collect();
    let birth = serde_json::json!({
        "v": 1, "epoch": lanes.epoch(), "state": "up", "fw": env!("CARGO_PKG_VERSION"), "since": since.millis(),
        "lanes": next, "devices": devices, "cfg": care.versions(),
    });
    birth.to_string().into_bytes()
}

fn devices(config: &Config) -> Vec<String> {
    let of = |link: &Link| match link {
        Link::Sim(sim) => sim.devices().map(|(device, _)| device.to_string()).collect(),
        Link::Csv(csv) => vec![csv.device.to_string()],
        Link::Waveform(waveform) => vec![waveform.device.to_string()],
        Link::Samples(samples) => vec![samples.device.to_string()],
        _ => Vec::new(),
    };
    let listed = config.devices.iter().map(|device| device.name.to_string());
    listed.chain(config.links.iter().flat_map(of)).collect()
}

/// Runs a gateway until it is stopped. What the links have said by then is durable when it returns.
pub async fn run(config: Config, clock: Clock, stop: Stop) -> Result<(), Error> {
    run_with(config, clock, Stats::default(), stop).await
}

/// As [`run`], with figures for whoever shows them.
pub async fn run_with(config: Config, clock: Clock, stats: Stats, stop: Stop) -> Result<(), Error> {
    run_fed(config, clock, stats, stop, |_| std::future::ready(())).await
}

/// A link that the caller of the gateway is.
type Feed<'a> = dyn Fn(Outlet) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync + 'a;

/// As [`run_with`], with one more link, which the caller is: `feed` gets the way into the gateway, a new one each time the
/// gateway puts itself together anew.
pub async fn run_fed<F>(
    config: Config,
    clock: Clock,
    stats: Stats,
    stop: Stop,
    feed: impl Fn(Outlet) -> F + Send + Sync,
) -> Result<(), Error>
where
    F: Future<Output = ()> + Send + 'static,
{
    config.validate()?;
    let feed = |outlet| -> Pin<Box<dyn Future<Output = ()> + Send>> { Box::pin(feed(outlet)) };
    // Only after a restart of our own: at the first start a lock is another process.
    let mut relocks = 0;
    loop {
        let kept = load_kept(&config).await?;
        let problem = match kept.over(&config) {
            Ok(effective) => match once(&config, effective, kept, &clock, &stats, &stop, &feed).await {
                Ok(Next::Stop) => return Ok(()),
                Ok(Next::Reload) => {
                    relocks = RELOCKS_MAX;
                    continue;
                }
                // What reads or writes the outbox on a thread of its own may hold it a moment longer than its task.
                Err(Error::Outbox(journal::Error::Locked(_))) if relocks > 0 => {
                    relocks -= 1;
                    tokio::time::sleep(RELOCK_WAIT).await;
                    continue;
                }
                // As it is now: a configuration that has passed its trial since is not taken back.
                Err(error) if !load_kept(&config).await?.trial => return Err(error),
                Err(error) => error.to_string(),
            },
            Err(problem) => problem,
        };
        fall_back(&config, &problem).await?;
    }
}

async fn load_kept(config: &Config) -> Result<care::Kept, Error> {
    let dir = config.data_dir.clone();
    tokio::task::spawn_blocking(move || care::Kept::load(&dir)).await.map_err(|_| Error::Ended)
}

/// What to do when the parts have ended.
enum Next {
    Stop,
    /// Something was pushed, or was taken back.
    Reload,
}

/// What was pushed does not work with the gateway's own file as it is now: the file wins.
async fn fall_back(own: &Config, problem: &str) -> Result<(), Error> {
    let mut next = load_kept(own).await?;
    next.fall_back(problem);
    if next.over(own).is_err() {
        tracing::error!(problem, "the pushed list of devices does not work; that of the gateway's own file counts");
        next.devices = None;
    }
    let saved = tokio::task::spawn_blocking(move || next.save()).await.map_err(|_| Error::Ended)?;
    saved.map_err(|source| Error::Dir { path: own.data_dir.clone(), source })
}

async fn once(
    own: &Config,
    config: Config,
    kept: care::Kept,
    clock: &Clock,
    stats: &Stats,
    stop: &Stop,
    feed: &Feed<'_>,
) -> Result<Next, Error> {
    tracing::info!(gateway = ?config, "starting");
    // The parts end on their own signal, after the links have.
    let inner = Stop::new();
    let mut core = Core::start_kept(own, &config, kept, clock, stats, &inner).await?;
    let care = Arc::clone(&core.care);
    // The links end with the gateway, or when they are to be put together anew.
    let ending = Stop::new();
    let mut next = Next::Stop;
    let watching = care.watch(|| stats.uplink.snapshot().connected);
    tokio::pin!(watching);
    let mut links = JoinSet::new();
    let fresh = core.lanes.lock().unwrap_or_else(PoisonError::into_inner).next()[Lane::Hist as usize] == 1;
    let presence = link::Presence::default();
    for (number, link) in (1..).zip(config.links.clone()) {
        let context = link::Context {
            name: format!("{}-{number}", link.kind()),
            outlet: core.outlet.clone(),
            figures: Arc::clone(&stats.figures),
            presence: presence.clone(),
            cuts: core.cuts.clone(),
            dir: config.data_dir.clone(),
            fresh,
            clock: clock.clone(),
            stop: ending.clone(),
        };
        links.spawn(link.run(context));
    }
    let fed = feed(core.outlet.clone());
    links.spawn(async move {
        fed.await;
        Ok(())
    });
    let mut outcome = Ok(());
    loop {
        tokio::select! {
            () = stop.requested() => break,
            () = &mut watching => {
                next = Next::Reload;
                break;
            }
            () = care.reloaded() => {
                tracing::info!("the links start anew with what the server pushed");
                next = Next::Reload;
                break;
            }
            Some(ended) = links.join_next(), if !links.is_empty() => {
                // A recording that has ended is no reason to stop: its frames may still be on their way.
                if let Err(error) = ended.unwrap_or(Err(Error::Ended)) {
                    outcome = Err(error);
                    break;
                }
            }
            ended = core.parts.join_next() => {
                outcome = ended.and_then(Result::ok).unwrap_or(Err(Error::Ended)).and(Err(Error::Ended));
                break;
            }
            ended = core.framing.join_next() => {
                outcome = ended.and_then(Result::ok).unwrap_or(Err(Error::Ended)).and(Err(Error::Ended));
                break;
            }
        }
    }
    ending.request();
    if outcome.is_ok() {
        let orderly = async { while links.join_next().await.is_some() {} };
        let _in_time = tokio::time::timeout(LINKS_STOP, orderly).await;
    }
    links.shutdown().await;
    outcome.and(core.finish(&inner).await).map(|()| next)
}
