//! Load for the fault stories: clients that number their frames and know which of them were acknowledged.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use model::{ElderId, Event, EventKind, Lane, Metric, Quality, Sample, Subject, Time};
use mqtt::load::LoadClient;
use runtime::{Clock, Stop};
use store::readings::Readings;
use tokio::sync::watch;
use vigil::seed::Gateway;

use crate::world::{World, frame};

/// Publishes of one client without an answer.
const WINDOW: usize = 20;
/// How long any step of a story may take before it counts as stuck.
pub(crate) const STUCK: Duration = Duration::from_mins(1);
/// Time between two readings of one gateway, in microseconds of event time.
const STEP_US: i64 = 10_000;

/// Start of the readings' own time: minutes ago and in whole milliseconds, so that the wire form keeps it exactly.
pub(crate) fn base() -> Time {
    Time::from_millis(Clock::system().now().millis() - 280_000)
}

/// When reading `seq` was taken.
pub(crate) fn taken_at(base: Time, seq: u64) -> Time {
    base.plus_us(seq as i64 * STEP_US)
}

/// Frame `seq` of a gateway: one heart rate that no rule minds, of its devices in turn.
pub(crate) fn calm(gateway: &Gateway, base: Time, seq: u64) -> (String, Vec<u8>) {
    let device = seq as usize % gateway.devices.len();
    let sample = Sample::new(Metric::HeartRate, taken_at(base, seq), 70.0 + (seq % 5) as f64, Quality::Ok);
    frame(gateway, device, Lane::Vit, seq, vec![sample], vec![])
}

/// A press of the SOS button of one device.
pub(crate) fn sos(gateway: &Gateway, device: usize, seq: u64) -> (String, Vec<u8>) {
    let at = Time::from_millis(Clock::system().now().millis());
    frame(gateway, device, Lane::Sos, seq, vec![], vec![Event { kind: EventKind::Sos, at }])
}

pub(crate) async fn login(addr: SocketAddr, gateway: &Gateway) -> std::io::Result<LoadClient> {
    let name = gateway.name.as_str();
    LoadClient::connect(addr, name, name, gateway.token.as_bytes()).await
}

/// Publishes frames in order on a new link until all are acknowledged or the server ends the link. Returns the tags of the
/// acknowledged ones.
pub(crate) async fn publish(addr: SocketAddr, gateway: &Gateway, frames: Vec<(u64, (String, Vec<u8>))>) -> Vec<u64> {
    let mut client = login(addr, gateway).await.unwrap();
    let (mut frames, mut acked) = (frames.into_iter().peekable(), Vec::new());
    while frames.peek().is_some() || client.waiting() > 0 {
        while client.waiting() < WINDOW
            && let Some((tag, (topic, payload))) = frames.next()
        {
            client.queue(&topic, &payload, tag).unwrap();
        }
        let before = (acked.len(), Instant::now());
        if client.turn(STUCK, &mut acked).await.is_err() {
            break;
        }
        assert!(acked.len() > before.0 || before.1.elapsed() < STUCK, "neither acknowledged nor closed");
    }
    acked.iter().map(|one| one.tag).collect()
}

/// A client that goes on publishing calm frames from number 0 until it is told to stop, or loses its link.
pub(crate) struct Steady {
    pub(crate) gateway: Gateway,
    pub(crate) base: Time,
    acked: watch::Receiver<u64>,
    stop: Stop,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Steady {
    pub(crate) fn start(addr: SocketAddr, gateway: &Gateway) -> Self {
        let (count, acked) = watch::channel(0);
        let (stop, base) = (Stop::new(), base());
        let task = tokio::spawn(steady(addr, gateway.clone(), base, count, stop.clone()));
        Self { gateway: gateway.clone(), base, acked, stop, task }
    }

    /// Frames acknowledged so far. Acknowledgements keep their order: it is frames 0 to this, exclusive.
    pub(crate) fn acked(&self) -> u64 {
        *self.acked.borrow()
    }

    /// Waits until so many frames are acknowledged.
    pub(crate) async fn until(&self, count: u64) {
        let mut acked = self.acked.clone();
        let reached = acked.wait_for(|acked| *acked >= count);
        tokio::time::timeout(STUCK, reached).await.expect("the load stands still").expect("the load lost its link");
    }

    /// Waits for the outstanding answers. How many frames were acknowledged, and whether the link lived to the end.
    pub(crate) async fn stop(self) -> (u64, std::io::Result<()>) {
        self.stop.request();
        let ended = tokio::time::timeout(STUCK, self.task).await.expect("the load does not end").unwrap();
        (*self.acked.borrow(), ended)
    }
}

async fn steady(
    addr: SocketAddr,
    gateway: Gateway,
    base: Time,
    count: watch::Sender<u64>,
    stop: Stop,
) -> std::io::Result<()> {
    let mut client = login(addr, &gateway).await?;
    let (mut next, mut acked) = (0, Vec::new());
    while !stop.is_requested() || client.waiting() > 0 {
        while !stop.is_requested() && client.waiting() < WINDOW {
            let (topic, payload) = calm(&gateway, base, next);
            client.queue(&topic, &payload, next)?;
            next += 1;
        }
        client.turn(Duration::from_millis(100), &mut acked).await?;
        for one in acked.drain(..) {
            assert_eq!(one.tag, *count.borrow(), "acknowledgements keep their order");
            count.send_modify(|count| *count += 1);
        }
    }
    Ok(())
}

/// The numbers of the calm frames that a stopped server has stored for a gateway, in order.
pub(crate) fn stored(readings: &Readings, gateway: &Gateway, base: Time) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::new();
    for elder in &gateway.elders {
        let rows =
            readings.raw(Subject::Elder(ElderId(*elder)), Metric::HeartRate, Time::MIN, Time::MAX, usize::MAX).unwrap();
        all.extend(rows.iter().map(|row| ((row.sample.taken_at.0 - base.0) / STEP_US) as u64));
    }
    all.sort_unstable();
    all
}

/// All of frames 0 to `acked` are stored, each once.
pub(crate) fn assert_stored(readings: &Readings, gateway: &Gateway, base: Time, acked: u64) {
    let found = stored(readings, gateway, base);
    let numbers: Vec<u64> = (0..found.len() as u64).collect();
    assert!(found.len() as u64 >= acked, "{acked} were acknowledged, {} are stored", found.len());
    assert_eq!(found, numbers, "each once, and none is missing");
}

/// The readings of a stopped server.
pub(crate) fn readings_of(dir: &std::path::Path) -> Readings {
    Readings::open(dir, &store::readings::Config::default()).unwrap()
}

/// One figure of `/metrics`.
pub(crate) fn figure(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).trim().parse::<f64>().unwrap() as u64
}

pub(crate) async fn metrics(console: SocketAddr) -> String {
    let answer = crate::world::http().get(format!("http://{console}/metrics")).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Waits until `/metrics` is as wanted.
pub(crate) async fn metrics_until(console: SocketAddr, wanted: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    let looked = async {
        loop {
            last = metrics(console).await;
            if wanted(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(STUCK, looked).await;
    assert!(found.is_ok(), "not so after {STUCK:?}:\n{last}");
    last
}

/// Waits until all that is in the journal now is stored and judged. A tick may come at any moment: one entry is no lag.
pub(crate) async fn caught_up(console: SocketAddr) {
    let head = figure(&metrics(console).await, "vigil_journal_head");
    metrics_until(console, |text| {
        let lag = figure(text, "vigil_journal_lag_entries{cursor=\"writer\"}");
        let stored = figure(text, "vigil_journal_head").saturating_sub(lag);
        stored >= head && figure(text, "vigil_alerting_position") >= head
    })
    .await;
}

/// Somebody signed in at the console.
pub(crate) struct Session {
    cookie: String,
    pub(crate) http: reqwest::Client,
}

impl Session {
    pub(crate) async fn open(console: SocketAddr, login: &str) -> Self {
        let http = crate::world::http();
        let words = serde_json::json!({ "login": login, "password": crate::world::PASSWORD });
        let answer = http.post(format!("http://{console}/api/login")).json(&words).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        Self { cookie: cookie.split(';').next().unwrap().to_owned(), http }
    }

    pub(crate) fn request(&self, console: SocketAddr, path: &str) -> reqwest::RequestBuilder {
        self.http.get(format!("http://{console}{path}")).header("cookie", &self.cookie)
    }

    pub(crate) async fn get(&self, console: SocketAddr, path: &str) -> serde_json::Value {
        let answer = self.request(console, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// The alarm list, once it has as many alarms as wanted.
    pub(crate) async fn alarms(&self, console: SocketAddr, count: usize) -> Vec<serde_json::Value> {
        let looked = async {
            loop {
                let list = self.get(console, "/api/alarms?state=all").await["alarms"].as_array().unwrap().clone();
                if list.len() >= count {
                    return list;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(STUCK, looked).await.expect("the alarms do not come")
    }
}

impl World {
    /// As [`World::records`], and an administrator `guanli` beside the others.
    pub(crate) fn with_administrator(self) -> Self {
        let role = model::people::Role::Administrator;
        vigil::seed::person(&self.records(), "guanli", crate::world::PASSWORD, "管理员", role, None).unwrap();
        self
    }
}
