//! Eight hours without an uplink, twenty devices, and a gateway that is killed twenty times meanwhile: nothing is lost, nothing
//! is doubled, an SOS overtakes the whole backlog, and the trend shows the past where it happened.
//!
//! The gateway is a process of its own (this test binary with a job in its environment), so that SIGKILL is a real one. While
//! the uplink is away its clock is simulated; the devices say one frame a minute.

use std::io::{BufRead, BufReader, Lines};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use gateway::status::{self, Found};
use gateway::{Config, DeviceKey, Outlet, Report, Stats};
use model::{ElderId, Event, EventKind, Metric, Name, Quality, Sample, Subject, Time};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use runtime::{Clock, Stop};
use serde::{Deserialize, Serialize};
use vigil::seed::Gateway;
use vigil::server::Server;

use crate::load::{STUCK, Session, caught_up};
use crate::world::World;

const DEVICES: usize = 20;
const MINUTES: i64 = 8 * 60;
const KILLS: usize = 20;
const MINUTE_US: i64 = 60_000_000;
/// What the environment of a gateway process holds.
const JOB: &str = "VIGIL_TEST_OUTAGE_JOB";

/// What a gateway process has to do.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    dir: std::path::PathBuf,
    /// The server's front door; port 1 while the uplink is away.
    port: u16,
    site: Name,
    name: Name,
    token: String,
    devices: Vec<Name>,
    base: Time,
    /// The next minute to be heard; `None`: the uplink is back, and somebody presses SOS.
    from: Option<i64>,
    /// The minute after the last one to be heard.
    upto: i64,
}

impl Job {
    fn new(world: &World, gateway: &Gateway, base: Time) -> Self {
        let Gateway { site, name, token, devices, .. } = gateway.clone();
        Self {
            dir: world.dir.path().join("gateway"),
            port: 1,
            site,
            name,
            token,
            devices,
            base,
            from: Some(0),
            upto: MINUTES,
        }
    }

    /// Starts a gateway process and follows what it says.
    fn spawn(&self) -> Edge {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "outage::a_gateway_process_does_its_job", "--nocapture"]);
        command.env(JOB, serde_json::to_string(self).unwrap());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Edge { child, lines }
    }
}

/// A gateway process; killed when dropped.
struct Edge {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Edge {
    /// The number of the next line of a kind. Blocking.
    fn next(&mut self, kind: &str) -> Option<i64> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            // The harness's own words may stand before ours on a line.
            let at = line.find(kind)?;
            line[at + kind.len()..].trim().parse().ok()
        })
    }

    /// SIGKILL. Returns the number of the last line of a kind that nobody had read yet.
    fn kill(mut self, kind: &str) -> Option<i64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::iter::from_fn(|| self.next(kind)).last()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Not a story of its own: what a process of the story below runs. Without a job there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_process_does_its_job() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).unwrap();
    let config = Config {
        port: job.port,
        site: job.site.clone(),
        name: job.name.clone(),
        token: job.token.clone(),
        data_dir: job.dir.clone(),
        flush_ms: 0,
        ..Config::default()
    };
    let clock = if job.from.is_some() { Clock::manual(job.base) } else { Clock::system() };
    let (stats, feeding) = (Stats::default(), clock.clone());
    let told = stats.clone();
    gateway::run_fed(config, clock, stats, Stop::new(), |outlet| {
        feed(job.clone(), outlet, feeding.clone(), told.clone())
    })
    .await
    .unwrap();
}

async fn feed(job: Job, outlet: Outlet, clock: Clock, stats: Stats) {
    for minute in job.from.into_iter().flat_map(|from| from..job.upto) {
        let at = job.base.plus_us(minute * MINUTE_US);
        clock.set(at);
        let heard = job.devices.iter().map(|device| {
            let (outlet, key) = (outlet.clone(), DeviceKey::Named(device.clone()));
            tokio::spawn(async move { outlet.hear_report(&key, at, vitals(at)).await })
        });
        for heard in heard.collect::<Vec<_>>() {
            heard.await.unwrap().unwrap();
        }
        vigil::server::say(&format!("durable {minute}"));
    }
    if job.from.is_none() {
        while !stats.uplink().connected {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let at = clock.now();
        let report = Report { events: vec![Event { kind: EventKind::Sos, at }], ..Report::default() };
        outlet.hear_report(&DeviceKey::Named(job.devices[0].clone()), at, report).await.unwrap();
        vigil::server::say(&format!("pressed {}", at.0));
    }
    std::future::pending::<()>().await;
}

fn vitals(at: Time) -> Report {
    let minute = at.0 / MINUTE_US % 10;
    let sample = |metric, value: f64| Sample::new(metric, at, value + minute as f64 / 10.0, Quality::Ok);
    Report { samples: vec![sample(Metric::HeartRate, 66.0), sample(Metric::Spo2, 97.0)], ..Report::default() }
}

/// The stream of a dispatcher, until an alarm of this elder is raised.
async fn raised(session: &Session, console: SocketAddr, elder: u32) {
    let mut stream = session.request(console, "/api/stream?after=0").send().await.unwrap();
    let mut pending = String::new();
    while let Some(chunk) = stream.chunk().await.unwrap() {
        pending.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = pending.find("\n\n") {
            let block: String = pending.drain(..end + 2).collect();
            let Some(data) = block.lines().find_map(|line| line.strip_prefix("data:")) else { continue };
            let data: serde_json::Value = serde_json::from_str(data.trim()).unwrap();
            if data["kind"] == "raised" && data["alarm"]["elder"]["id"] == elder {
                return;
            }
        }
    }
    panic!("the stream ended");
}

/// Frames that wait in the outbox of a running gateway.
fn waiting(dir: &std::path::Path) -> u64 {
    match status::ask(dir).unwrap() {
        Found::Running(told) => {
            let lanes = told["outbox"]["lanes"].as_object().unwrap();
            lanes.values().map(|lane| lane["waiting"].as_u64().unwrap()).sum()
        }
        other => panic!("{other:?}"),
    }
}

/// Eight hours are heard by processes of which each but the last is killed in the middle of it, and the last at its end.
fn produce_and_kill(job: &mut Job, rng: &mut SmallRng) {
    let mut next = 0;
    for kill in 1..=KILLS as i64 {
        // Every kill finds a share of the eight hours, and strikes somewhere in it.
        (job.from, job.upto) = (Some(next), kill * MINUTES / (KILLS as i64 + 1));
        let until = rng.random_range(next..job.upto);
        let mut edge = job.spawn();
        while next <= until {
            next = edge.next("durable ").expect("the gateway ended by itself") + 1;
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..8_000)));
        next = edge.kill("durable ").map_or(next, |last| last + 1);
    }
    (job.from, job.upto) = (Some(next), MINUTES);
    let mut edge = job.spawn();
    while next < MINUTES {
        next = edge.next("durable ").expect("the gateway ended by itself") + 1;
    }
    edge.kill("durable ");
}

/// Once a minute of every device and metric.
fn nothing_lost_nothing_doubled(server: &Server, gateway: &Gateway, base: Time) {
    for elder in &gateway.elders {
        for metric in [Metric::HeartRate, Metric::Spo2] {
            let subject = Subject::Elder(ElderId(*elder));
            let rows = server.parts.readings.raw(subject, metric, Time::MIN, Time::MAX, usize::MAX).unwrap();
            let minutes: Vec<i64> = rows.iter().map(|row| row.sample.taken_at.since_us(base) / MINUTE_US).collect();
            assert_eq!(minutes, (0..MINUTES).collect::<Vec<_>>(), "{elder} {metric:?}: once a minute, each");
        }
    }
}

/// One alarm, and a trend with every minute.
async fn shown_where_it_happened(server: &Server, session: &Session, elder: u32, base: Time) {
    let alarms = session.alarms(server.console_addr, 1).await;
    assert_eq!(alarms.len(), 1, "one SOS is one alarm, and history raises none: {alarms:#?}");

    let (from, to) = (base.to_string(), base.plus_us(MINUTES * MINUTE_US).to_string());
    let path = format!("/api/elders/{elder}/trend?metrics=heart_rate&from={from}&to={to}");
    let trend = session.get(server.console_addr, &path).await;
    let points = trend["series"][0]["points"].as_array().unwrap();
    let shown: Vec<(i64, i64)> = points.iter().map(|p| (p[0].as_i64().unwrap(), p[1].as_i64().unwrap())).collect();
    let happened: Vec<(i64, i64)> = (0..MINUTES).map(|minute| (base.millis() + minute * 60_000, 1)).collect();
    assert_eq!(shown, happened, "the trend shows every minute where it happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_hours_and_twenty_kills_lose_nothing_and_an_sos_passes_the_backlog() {
    let world = World::new(1, DEVICES);
    let gateway = world.gateways[0].clone();
    let now = Clock::system().now().millis() * 1_000;
    let base = Time(now - now.rem_euclid(MINUTE_US)).plus_us(-MINUTES * MINUTE_US);
    let seed = now as u64;
    eprintln!("seed {seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut job = Job::new(&world, &gateway, base);

    produce_and_kill(&mut job, &mut rng);

    let server = world.serve().await;
    let session = Session::open(server.console_addr, "zuoxi").await;
    (job.from, job.port) = (None, server.mqtt_addr.port());
    let elder = gateway.elders[0];
    let seen = async {
        raised(&session, server.console_addr, elder).await;
        Clock::system().now()
    };
    let mut edge = job.spawn();
    let pressed = tokio::task::spawn_blocking(move || (edge.next("pressed "), edge));
    let (seen, pressed) = tokio::join!(tokio::time::timeout(STUCK, seen), pressed);
    let ((pressed, edge), seen) = (pressed.unwrap(), seen.expect("the SOS does not come"));
    let left = waiting(&job.dir);
    let ms = seen.since_us(Time(pressed.unwrap())) / 1_000;
    eprintln!("SOS pressed at reconnect: {ms} ms to the dispatcher's stream, {left} frames of the backlog left");
    assert!(left > 0, "the SOS came when all was sent already");

    let produced = MINUTES as u64 * DEVICES as u64 * 2;
    let begun = Instant::now();
    while waiting(&job.dir) > 0 {
        assert!(begun.elapsed() < STUCK * 4, "{} frames still wait", waiting(&job.dir));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    caught_up(server.console_addr).await;
    drop(edge);
    let count = |name| server.parts.ingest.counters().get(name).unwrap_or(0);
    eprintln!(
        "{produced} readings drained in {} ms after that; {} frames came twice",
        begun.elapsed().as_millis(),
        count("duplicate_frames")
    );
    assert_eq!(server.parts.readings.count(), produced);
    nothing_lost_nothing_doubled(&server, &gateway, base);
    shown_where_it_happened(&server, &session, elder, base).await;
    assert!(server.parts.records.losses(None, 10).unwrap().is_empty());
    // The holes of the drain are closed by what came, at the auditor's next look.
    let closed = async {
        while server.parts.ingest.missing().gaps > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(STUCK, closed).await.expect("gaps stand although nothing is missing");
    server.stop().await;
}
