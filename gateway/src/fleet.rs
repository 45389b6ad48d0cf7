//! A fleet of direct devices over MQTT, for `vigil simulate`: many bands, one connection each, a steady rate of readings.
//!
//! Not a gateway: there is no outbox, and what is lost with a connection is counted, not sent again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use model::{Lane, Name, Sample};
use mqtt::load::LoadClient;
use mqtt::topic;
use mqtt::wire::{WireFrame, encode_cbor};
use runtime::{Clock, Stop};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::sim::{Person, Said};

/// Most devices of one fleet: beyond it one process runs out of ports.
pub const DEVICES_MAX: usize = 20_000;
/// Publishes of one device without an ack; beyond it the device skips a turn and counts it.
const WINDOW: usize = 16;
/// Connections made at once.
const CONNECT_STEP: Duration = Duration::from_micros(500);
/// Wait before a lost connection is made again.
const RECONNECT: Duration = Duration::from_secs(2);

/// One device of the fleet: its own gateway.
#[derive(Clone)]
pub struct Device {
    pub name: Name,
    /// Never logged.
    pub token: String,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The fleet and its pace.
#[derive(Clone, Debug)]
pub struct Fleet {
    pub server: SocketAddr,
    pub site: Name,
    pub devices: Vec<Device>,
    pub seed: u64,
    /// Readings per second of one device.
    pub rate: f64,
    /// Readings in one frame, 1..=1000.
    pub frame_samples: usize,
    /// None: until stopped.
    pub duration: Option<Duration>,
}

/// What the fleet has done. Live; also returned at the end.
#[derive(Debug, Default)]
pub struct Counters {
    pub connected: AtomicU64,
    pub frames: AtomicU64,
    pub readings: AtomicU64,
    pub acked: AtomicU64,
    /// Turns skipped because the server was behind with its acks.
    pub skipped: AtomicU64,
    /// Connections lost or refused.
    pub lost: AtomicU64,
}

/// Runs the fleet to its end and returns the frames acknowledged.
pub async fn run(fleet: Fleet, counters: Arc<Counters>, clock: Clock, stop: Stop) -> u64 {
    let stop = stop.child();
    let fleet = Arc::new(fleet);
    let mut devices = JoinSet::new();
    for index in 0..fleet.devices.len().min(DEVICES_MAX) {
        let (fleet, counters, clock, stop) = (Arc::clone(&fleet), Arc::clone(&counters), clock.clone(), stop.clone());
        devices.spawn(device(fleet, index, counters, clock, stop));
    }
    let end = async {
        match fleet.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = stop.requested() => {}
        () = end => stop.request(),
    }
    while devices.join_next().await.is_some() {}
    counters.acked.load(Relaxed)
}

/// One device: connects, publishes at its pace, and comes back when the connection breaks.
async fn device(fleet: Arc<Fleet>, index: usize, counters: Arc<Counters>, clock: Clock, stop: Stop) {
    let who = &fleet.devices[index];
    let frame_samples = fleet.frame_samples.clamp(1, 1_000);
    let every = Duration::from_secs_f64((frame_samples as f64 / fleet.rate.max(1e-3)).clamp(1e-3, 3_600.0));
    // Spread over one period, so that the fleet does not speak in chorus.
    let offset = CONNECT_STEP * index as u32 + every.mul_f64(index as f64 / fleet.devices.len().max(1) as f64);
    let mut ticks = interval_at(Instant::now() + offset, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // A fleet has no memory: each run is an epoch of its own.
    let epoch = u32::try_from(clock.now().secs()).unwrap_or(u32::MAX);
    let mut body = Body { person: Person::new(fleet.seed, index as u32, 1, 1), ready: Vec::new(), seq: 1, epoch };
    let topic = topic::up(&fleet.site, &who.name, Lane::Vit, &itself());
    let (mut client, mut acked) = (None, Vec::new());
    loop {
        tokio::select! {
            () = stop.requested() => return,
            _ = ticks.tick() => {}
        }
        let Some(link) = &mut client else {
            match LoadClient::connect(fleet.server, who.name.as_str(), who.name.as_str(), who.token.as_bytes()).await {
                Ok(link) => {
                    counters.connected.fetch_add(1, Relaxed);
                    client = Some(link);
                }
                Err(error) => {
                    counters.lost.fetch_add(1, Relaxed);
                    tracing::debug!(%error, "no connection");
                    tokio::time::sleep(RECONNECT).await;
                }
            }
            continue;
        };
        if link.waiting() >= WINDOW {
            counters.skipped.fetch_add(1, Relaxed);
        } else {
            let payload = body.frame(frame_samples, &clock);
            if link.queue(&topic, &payload, body.seq).is_ok() {
                counters.frames.fetch_add(1, Relaxed);
                counters.readings.fetch_add(frame_samples as u64, Relaxed);
            }
        }
        let turned = link.turn(every.min(Duration::from_millis(200)), &mut acked).await;
        counters.acked.fetch_add(acked.drain(..).count() as u64, Relaxed);
        if turned.is_err() {
            counters.lost.fetch_add(1, Relaxed);
            counters.connected.fetch_sub(1, Relaxed);
            client = None;
        }
    }
}

fn itself() -> Name {
    Name::new(topic::SELF).unwrap_or_else(|_| unreachable!("a valid constant name"))
}

/// A simulated wearer and the frames made of it.
struct Body {
    person: Person,
    ready: Vec<Sample>,
    seq: u64,
    epoch: u32,
}

impl Body {
    /// The next frame of exactly `samples` readings; all of them are of about now.
    fn frame(&mut self, samples: usize, clock: &Clock) -> Vec<u8> {
        let now = clock.now();
        let mut said: Vec<Said> = Vec::new();
        let mut at = now.plus_us(-(samples as i64) * 1_000);
        while self.ready.len() < samples {
            // A second of the body's time for each look, told at times of their own.
            self.person.set_band_interval(1);
            self.person.step(at, &mut said);
            at = at.plus_us(1_000);
            self.ready.extend(said.drain(..).flat_map(|said| said.samples));
        }
        let rest = self.ready.split_off(samples);
        let samples = std::mem::replace(&mut self.ready, rest);
        let gateway_time = model::Time::from_millis(now.millis());
        let frame = WireFrame { epoch: self.epoch, seq: self.seq, gateway_time, samples, ..WireFrame::default() };
        self.seq += 1;
        encode_cbor(&frame)
    }
}
