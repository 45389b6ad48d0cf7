//! The server is killed at random moments under load, twenty times. Every acknowledged reading must be stored once, every
//! alarm must exist once, and the alarms must equal those of a run that nobody disturbed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{Event, EventKind, Lane, Metric, Quality, Sample, Seq, Subject, Time};
use mqtt::load::LoadClient;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use runtime::Clock;
use store::readings::Readings;
use store::records::Records;
use vigil::seed::Gateway;

use crate::world::{Process, World, frame};

const KILLS: usize = 20;
const GATEWAYS: usize = 4;
const DEVICES: usize = 5;
/// Frames of one gateway, its devices in turn.
const FRAMES: u64 = 6_000;
const WINDOW: usize = 50;

/// The whole day of one gateway, made from a seed: frame `i` is always the same bytes.
struct Script {
    base: Time,
}

impl Script {
    /// Topic, payload, and how many readings it has.
    fn frame(&self, gateway: &Gateway, i: u64) -> (String, Vec<u8>) {
        let device = i as usize % DEVICES;
        let step = i as i64 / DEVICES as i64;
        // All of it within the last five minutes: live, never in the future.
        let at = self.base.plus_us(step * 200_000);
        let elder = gateway.elders[device];
        if i % 997 == 500 {
            return frame(gateway, device, Lane::Sos, i, vec![], vec![Event { kind: EventKind::Sos, at }]);
        }
        let mut rng = SmallRng::seed_from_u64(u64::from(elder) << 32 | step as u64);
        // Every elder has bad minutes of their own: far above and far below, and a sensor that comes off.
        let phase = (step / 150 + i64::from(elder)) % 6;
        let heart_rate = if phase == 1 { 140.0 } else { 72.0 } + f64::from(rng.random_range(0..5));
        let spo2 = if phase == 3 { 86.0 } else { 97.0 } - f64::from(rng.random_range(0..2));
        let samples = vec![
            Sample::new(Metric::HeartRate, at, heart_rate, Quality::Ok),
            if phase == 4 {
                Sample::absent(Metric::Spo2, at, Quality::SensorOff)
            } else {
                Sample::new(Metric::Spo2, at, spo2, Quality::Ok)
            },
            Sample::new(Metric::Systolic, at, if phase == 5 { 188.0 } else { 128.0 }, Quality::Ok),
        ];
        frame(gateway, device, Lane::Vit, i, samples, vec![])
    }
}

/// Publishes from `next` up to `limit` and stays until the server is gone, or until all is acknowledged. Returns the first frame that is not
/// acknowledged: sending goes on there, in order.
async fn publish(script: &Script, gateway: &Gateway, addr: std::net::SocketAddr, mut next: u64, limit: u64) -> u64 {
    let Ok(mut client) =
        LoadClient::connect(addr, gateway.name.as_str(), gateway.name.as_str(), gateway.token.as_bytes()).await
    else {
        return next;
    };
    let mut acked = Vec::new();
    loop {
        while next < limit && client.waiting() < WINDOW {
            let (topic, payload) = script.frame(gateway, next);
            client.queue(&topic, &payload, next).unwrap();
            next += 1;
        }
        let gone = client.turn(Duration::from_millis(20), &mut acked).await.is_err();
        acked.clear();
        if gone || (next >= limit && client.waiting() == 0 && limit == FRAMES) {
            return client.unacked().into_iter().min().unwrap_or(next);
        }
    }
}

/// Runs all gateways against one server for a while; `next` is moved on.
async fn round(script: &Script, world: &World, server: &Process, next: &mut [u64], limit: u64) {
    let one = |(gateway, from): (&Gateway, u64)| {
        let (script, gateway, addr) = (Script { base: script.base }, gateway.clone(), server.mqtt);
        tokio::spawn(async move { publish(&script, &gateway, addr, from, limit).await })
    };
    let tasks: Vec<_> = world.gateways.iter().zip(next.iter().copied()).map(one).collect();
    for (task, next) in tasks.into_iter().zip(next) {
        *next = task.await.unwrap();
    }
}

/// Time, bits of the value, quality.
type Row = (i64, Option<u64>, u8);

/// What a run leaves behind.
#[derive(Debug, PartialEq)]
struct Result {
    /// Per elder and metric: every reading.
    readings: BTreeMap<(u32, u16), Vec<Row>>,
    /// Alarm id -> what it is and how often it was repeated.
    alarms: BTreeMap<String, String>,
}

/// Waits until everything is stored and judged, stops the server, and reads the stores.
async fn result(world: &World, server: Process) -> Result {
    let client = crate::world::http();
    let begun = Instant::now();
    loop {
        let text = client.get(format!("http://{}/metrics", server.console)).send().await.unwrap().text().await.unwrap();
        let lag = |cursor: &str| {
            let name = format!("vigil_journal_lag_entries{{cursor=\"{cursor}\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse::<u64>().unwrap()
        };
        let number =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().parse::<f64>().unwrap();
        // A tick may come at any moment: one entry behind is caught up.
        let judged = number("vigil_journal_head ") - number("vigil_alerting_position ") <= 1.0;
        if lag("writer") <= 1 && judged {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "the readers do not catch up:\n{text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop();
    Result { readings: readings(&world.data_dir(), world), alarms: alarms(world) }
}

fn readings(dir: &Path, world: &World) -> BTreeMap<(u32, u16), Vec<Row>> {
    let store = Readings::open(dir, &store::readings::Config::default()).unwrap();
    assert!(store.cursor() > Seq(0));
    let mut all = BTreeMap::new();
    for elder in world.gateways.iter().flat_map(|gateway| &gateway.elders) {
        for metric in [Metric::HeartRate, Metric::Spo2, Metric::Systolic] {
            let subject = Subject::Elder(model::ElderId(*elder));
            let rows = store.raw(subject, metric, Time::MIN, Time::MAX, usize::MAX).unwrap();
            let row =
                |r: model::Reading| (r.sample.taken_at.0, r.sample.value().map(f64::to_bits), r.sample.quality.id());
            all.insert((*elder, metric.id()), rows.into_iter().map(row).collect());
        }
    }
    all
}

fn alarms(world: &World) -> BTreeMap<String, String> {
    let records: Records = world.records();
    let all = records.alarms(store::records::AlarmFilter::default(), 10_000).unwrap();
    let alarms: BTreeMap<_, _> = all
        .iter()
        .map(|a| {
            let told = format!(
                "{:?} {} {:?} {:?} {:?} x{}",
                a.elder_id, a.rule, a.priority, a.condition, a.started_at, a.repeats
            );
            (a.id.to_string(), told)
        })
        .collect();
    assert_eq!(alarms.len(), all.len(), "an alarm is there twice");
    alarms
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_change_nothing() {
    let seed = Clock::system().now().0 as u64;
    eprintln!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let script = Script { base: Clock::system().now().plus_us(-280_000_000) };

    let calm = World::new(GATEWAYS, DEVICES);
    let server = calm.spawn();
    let mut next = vec![0; GATEWAYS];
    round(&script, &calm, &server, &mut next, FRAMES).await;
    assert_eq!(next, [FRAMES; GATEWAYS]);
    let expected = result(&calm, server).await;
    assert!(expected.alarms.len() >= 20, "the script must raise alarms: {:#?}", expected.alarms);

    let world = World::new(GATEWAYS, DEVICES);
    let mut next = vec![0; GATEWAYS];
    for kill in 0..KILLS {
        let server = world.spawn();
        let pid = rustix::process::Pid::from_child(&server.child);
        // The load is throttled by nothing: a kill comes while frames are in every stage.
        let wait = Duration::from_millis(rng.random_range(20..200));
        let killer = tokio::task::spawn_blocking(move || {
            std::thread::sleep(wait);
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        // No more than this kill's share, so that all twenty find work to interrupt.
        let limit = (kill as u64 + 1) * FRAMES / (KILLS as u64 + 1);
        round(&script, &world, &server, &mut next, limit).await;
        killer.await.unwrap();
        server.kill();
    }
    let server = world.spawn();
    round(&script, &world, &server, &mut next, FRAMES).await;
    assert_eq!(next, [FRAMES; GATEWAYS]);
    let found = result(&world, server).await;
    assert_eq!(found.alarms, expected.alarms);
    assert_eq!(found, expected);
}
