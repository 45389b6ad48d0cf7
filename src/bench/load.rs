//! The load generator: gateways that publish as fast as they are acknowledged, then at half that rate beside SOS presses
//! whose way into the dispatcher's stream is timed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use model::entry::Flags;
use model::{Event, EventKind, Lane, Metric, Quality, Sample, Time};
use mqtt::load::{Acked, LoadClient};
use mqtt::{topic, wire};
use runtime::Clock;
use serde::{Deserialize, Serialize};

use super::Quantiles;
use super::plan::{LOADED_PRESSES, Load, QUIET_PRESSES, Shape};
use crate::seed::Gateway;

/// Publishes of one connection without an acknowledgement. The front door allows 64.
const WINDOW: usize = 60;
/// SOS presses a second in the second half.
const SOS_PER_S: u64 = 20;
/// How far back the load's time begins: below the ten minutes after which readings count as late.
const HEAD_START_US: i64 = 280_000_000;
/// Between the load and the presses on a quiet server.
const QUIET: Duration = Duration::from_secs(2);
/// After the last press: time for it to reach the stream.
const LAST_SOS: Duration = Duration::from_secs(5);

/// What the load generator tells `vigil bench`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub full_s: f64,
    pub acked_publishes_full: u64,
    pub acked_readings_full: u64,
    pub acked_readings: u64,
    pub puback_full_ms: Quantiles,
    pub puback_half_ms: Quantiles,
    pub sos_ms: Quantiles,
    pub sos_sent: u64,
    pub sos_seen: u64,
    /// From here on the buttons were pressed without any other load.
    pub quiet_from: Time,
    pub quiet_sent: u64,
    pub quiet_seen: u64,
}

/// What the connections do now.
struct Pace {
    /// Publishes a second and connection; 0 is as fast as possible.
    per_s: AtomicU64,
    stop: AtomicBool,
}

#[derive(Default)]
struct Tally {
    publishes: u64,
    readings: u64,
    us: Vec<u64>,
}

/// Runs the plan.
pub async fn run(load: Load) -> anyhow::Result<Outcome> {
    let stream = super::watch::Stream::open(load.console, &load.login, &load.password).await?;
    let pace = Arc::new(Pace { per_s: AtomicU64::new(0), stop: AtomicBool::new(false) });
    let full = Arc::new(Mutex::new(Tally::default()));
    let half = Arc::new(Mutex::new(Tally::default()));
    let mut connections = Vec::new();
    for gateway in load.gateways.clone() {
        let (pace, full, half) = (Arc::clone(&pace), Arc::clone(&full), Arc::clone(&half));
        let client =
            LoadClient::connect(load.mqtt, gateway.name.as_str(), gateway.name.as_str(), gateway.token.as_bytes())
                .await
                .with_context(|| format!("gateway {} cannot log in", gateway.name))?;
        connections.push(tokio::spawn(publish(client, gateway, load.shape, pace, full, half)));
    }
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(load.seconds)).await;
    let full_s = begun.elapsed().as_secs_f64();
    let (acked_publishes_full, acked_readings_full) = {
        let full = full.lock().unwrap_or_else(PoisonError::into_inner);
        (full.publishes, full.readings)
    };
    let per_connection = (acked_publishes_full as f64 / full_s / 2.0 / connections.len() as f64).max(1.0);
    pace.per_s.store(per_connection as u64, Ordering::Relaxed);
    let mut stream = stream;
    let count = (load.seconds * SOS_PER_S).min(LOADED_PRESSES as u64);
    let sos = press(&load, &mut stream, 0, count).await?;
    pace.stop.store(true, Ordering::Relaxed);
    for connection in connections {
        connection.await??;
    }
    tokio::time::sleep(QUIET).await;
    let quiet_from = Clock::system().now();
    let quiet_count = (load.seconds * SOS_PER_S).min(QUIET_PRESSES as u64);
    let quiet = press(&load, &mut stream, LOADED_PRESSES as u64, quiet_count).await?;
    let mut full = std::mem::take(&mut *full.lock().unwrap_or_else(PoisonError::into_inner));
    let mut half = std::mem::take(&mut *half.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Outcome {
        full_s,
        acked_publishes_full,
        acked_readings_full,
        acked_readings: full.readings + half.readings,
        puback_full_ms: Quantiles::of(&mut full.us),
        puback_half_ms: Quantiles::of(&mut half.us),
        sos_ms: sos.0,
        sos_sent: sos.1,
        sos_seen: sos.2,
        quiet_from,
        quiet_sent: quiet.1,
        quiet_seen: quiet.2,
    })
}

/// One connection until told to stop; then waits for its last acknowledgements.
async fn publish(
    mut client: LoadClient,
    gateway: Gateway,
    shape: Shape,
    pace: Arc<Pace>,
    full: Arc<Mutex<Tally>>,
    half: Arc<Mutex<Tally>>,
) -> anyhow::Result<()> {
    let mut source = Source::new(&gateway, shape);
    let mut acked: Vec<Acked> = Vec::new();
    let mut paced: Option<(Instant, u64)> = None;
    loop {
        let stopping = pace.stop.load(Ordering::Relaxed);
        if stopping && client.waiting() == 0 {
            return Ok(());
        }
        let rate = pace.per_s.load(Ordering::Relaxed);
        let budget = match (stopping, rate) {
            (true, _) => 0,
            (_, 0) => WINDOW,
            (_, rate) => {
                let (since, sent) = paced.get_or_insert_with(|| (Instant::now(), 0));
                let due = (since.elapsed().as_secs_f64() * rate as f64) as u64;
                let now = due.saturating_sub(*sent).min(WINDOW as u64);
                *sent += now;
                now as usize
            }
        };
        for _ in 0..budget.min(WINDOW - client.waiting().min(WINDOW)) {
            let (topic, payload, readings) = source.next();
            client.queue(topic, &payload, readings)?;
        }
        acked.clear();
        client.turn(Duration::from_millis(if rate == 0 { 100 } else { 2 }), &mut acked).await?;
        let tally = if paced.is_some() { &half } else { &full };
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        for one in &acked {
            tally.publishes += 1;
            tally.readings += one.tag;
            tally.us.push(one.after.as_micros() as u64);
        }
    }
}

/// Makes the publishes of one gateway: its devices in turn, their time running ahead a step a frame.
struct Source {
    shape: Shape,
    topics: Vec<String>,
    seq: u64,
    clock: Clock,
    /// Per device: readings made so far.
    made: Vec<i64>,
    start: Time,
}

impl Source {
    fn new(gateway: &Gateway, shape: Shape) -> Self {
        let topics =
            gateway.devices.iter().map(|device| topic::up(&gateway.site, &gateway.name, Lane::Vit, device)).collect();
        let clock = Clock::system();
        // Every reading lies in the last minutes, however fast the load makes time run: live, and never in the future.
        let start = clock.now().plus_us(-HEAD_START_US);
        Self { made: vec![0; gateway.devices.len()], shape, topics, seq: 0, clock, start }
    }

    /// Topic, payload, and how many readings are in it.
    fn next(&mut self) -> (&str, Vec<u8>, u64) {
        let device = self.seq as usize % self.topics.len();
        let count = match self.shape {
            Shape::Frames30 => 30,
            Shape::Single => 1,
            Shape::Mixed => {
                if self.seq.is_multiple_of(4) {
                    30
                } else {
                    1
                }
            }
        };
        let samples = (0..count).map(|_| self.sample(device)).collect();
        let frame = wire::WireFrame {
            epoch: 1,
            seq: self.seq,
            gateway_time: Time::from_millis(self.clock.now().millis()),
            flags: Flags::default(),
            samples,
            ..wire::WireFrame::default()
        };
        self.seq += 1;
        (&self.topics[device], wire::encode_cbor(&frame), count)
    }

    /// Plausible and quiet: a heart rate and an oxygen saturation that no rule objects to. Every reading of a device is a
    /// millisecond after the one before, so that none is a duplicate however fast the load runs.
    fn sample(&mut self, device: usize) -> Sample {
        let made = self.made[device];
        self.made[device] += 1;
        let at = Time::from_millis(self.start.millis() + made);
        let (metric, value) = if made % 2 == 0 {
            (Metric::HeartRate, 70 + (made / 2 + device as i64) % 9)
        } else {
            (Metric::Spo2, 96 + (made / 7) % 3)
        };
        Sample::new(metric, at, value as f64, Quality::Ok)
    }
}

/// Presses `count` SOS buttons from the `first` on at a steady rate and waits for each in the stream. Milliseconds, sent, seen.
async fn press(
    load: &Load,
    stream: &mut super::watch::Stream,
    first: u64,
    count: u64,
) -> anyhow::Result<(Quantiles, u64, u64)> {
    let gateway = &load.sos;
    let mut client =
        LoadClient::connect(load.mqtt, gateway.name.as_str(), gateway.name.as_str(), gateway.token.as_bytes()).await?;
    let clock = Clock::system();
    let mut pressed: HashMap<u32, Instant> = HashMap::new();
    let mut us = Vec::new();
    let mut acked = Vec::new();
    let begun = Instant::now();
    let mut sent = 0_u64;
    while begun.elapsed() < Duration::from_secs(load.seconds) + LAST_SOS && (us.len() as u64) < count {
        if sent < count && begun.elapsed() >= Duration::from_secs_f64(sent as f64 / SOS_PER_S as f64) {
            let button = (first + sent) as usize;
            let now = Time::from_millis(clock.now().millis());
            let events = vec![Event { kind: EventKind::Sos, at: now }];
            let seq = first + sent;
            let frame = wire::WireFrame { epoch: 1, seq, gateway_time: now, events, ..wire::WireFrame::default() };
            let topic = topic::up(&gateway.site, &gateway.name, Lane::Sos, &gateway.devices[button]);
            pressed.insert(gateway.elders[button], Instant::now());
            client.queue(&topic, &wire::encode_cbor(&frame), 0)?;
            sent += 1;
        }
        client.turn(Duration::from_millis(1), &mut acked).await?;
        for elder in stream.seen(Duration::from_millis(1)).await? {
            if let Some(at) = pressed.remove(&elder) {
                us.push(at.elapsed().as_micros() as u64);
            }
        }
    }
    let seen = us.len() as u64;
    Ok((Quantiles::of(&mut us), sent, seen))
}
