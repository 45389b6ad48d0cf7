//! A health cabin: people present themselves, measure at devices that all share, and every value goes to who was measured, or to
//! nobody until staff say whose it is; also when the server is killed while they do.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use gateway::Stats;
use model::entry::Flags;
use model::{DeviceId, ElderId, Lane, Metric, Name, Quality, Sample, Subject, Time};
use mqtt::{topic, wire};
use runtime::{Clock, Stop};
use serde_json::{Value, json};
use store::readings::Readings;
use tokio::task::JoinHandle;
use vigil::server::Server;

use crate::load::{self, STUCK, Session};
use crate::world::{World, http, vigil};

const TOKEN: &str = "token-of-the-cabins-kiosk";
const CARD: &str = "990000194503010081";
const CODE: &str = "VIGIL:7f3a";
/// Longer than the tolerance of the cabin: what follows is told apart.
const APART: Duration = Duration::from_millis(60);

/// A cabin with a card reader and a kiosk, and the server it reports to.
struct Cabin {
    world: World,
    server: Server,
    stats: Stats,
    stop: Stop,
    gateway: JoinHandle<Result<(), gateway::Error>>,
    /// The reader's side of its serial line.
    reader: File,
}

impl Cabin {
    async fn open() -> Self {
        let world = World::new(1, 2).with_administrator();
        let key = world.dir.path().join("identity.key");
        std::fs::write(&key, "5a".repeat(32)).unwrap();
        let mut config = world.config();
        config.identity_key_file = Some(key.clone());
        world.write_config(&config);
        let server = Server::start(config, None).await.unwrap();
        let (reader, path) = port();
        let own = &world.gateways[0];
        let text = format!(
            r#"
            host = "127.0.0.1"
            port = {port}
            site = "{site}"
            name = "{name}"
            token = "{token}"
            data_dir = "{dir}"
            flush_ms = 20
            identity_key_file = "{key}"
            sessions = {{ timeout_s = 600, tolerance_ms = 20 }}
            [[devices]]
            name = "cuff"
            shared = true
            measures_for_s = 0
            [[devices]]
            name = "slow-cuff"
            shared = true
            [[devices]]
            name = "scale"
            shared = true
            [[links]]
            kind = "card"
            path = "{path}"
            [[links]]
            kind = "http"
            listen = "127.0.0.1:0"
            kiosks = [{{ devices = ["cuff", "slow-cuff", "scale"], token = "{TOKEN}" }}]
            "#,
            port = server.mqtt_addr.port(),
            site = own.site,
            name = own.name,
            token = own.token,
            dir = world.dir.path().join("gateway").display(),
            key = key.display(),
            path = path.display(),
        );
        let config: gateway::Config = toml::from_str(&text).unwrap();
        let (stats, stop) = (Stats::default(), Stop::new());
        let gateway = tokio::spawn(gateway::run_with(config, Clock::system(), stats.clone(), stop.clone()));
        Self { world, server, stats, stop, gateway, reader }
    }

    fn elder(&self, which: usize) -> u32 {
        self.world.gateways[0].elders[which]
    }

    /// The kiosk's request; its status and answer.
    async fn ask(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let kiosk = self.kiosk().await;
        let mut request = http().request(method, format!("http://{kiosk}{path}")).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn kiosk(&self) -> SocketAddr {
        let mut found = None;
        until("the kiosk's link listens", async || {
            found = self.stats.links().links.values().find_map(|link| link.address);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    async fn measure(&self, device: &str, metric: &str, value: f64) {
        let body = json!({ "device": device, "readings": [{ "metric": metric, "value": value }] });
        assert_eq!(self.ask(reqwest::Method::POST, "/v1/readings", Some(body)).await.0, 200);
    }

    async fn session(&self, wanted: impl Fn(&Value) -> bool) {
        until("the session is as expected", async || {
            let (status, state) = self.ask(reqwest::Method::GET, "/v1/session", None).await;
            assert_eq!(status, 200);
            wanted(&state)
        })
        .await;
        tokio::time::sleep(APART).await;
    }

    /// Values of a metric that the server holds of an elder, once there are so many.
    async fn values(&self, elder: usize, metric: Metric, count: usize) -> Vec<f64> {
        let subject = Subject::Elder(ElderId(self.elder(elder)));
        let mut found = Vec::new();
        until("the values are in the store", async || {
            found = values(&self.server.parts.readings, subject, metric);
            found.len() >= count
        })
        .await;
        found
    }

    async fn close(self) {
        self.stop.request();
        self.gateway.await.unwrap().unwrap();
        self.server.stop().await;
    }
}

fn values(readings: &Readings, subject: Subject, metric: Metric) -> Vec<f64> {
    let rows = readings.raw(subject, metric, Time::MIN, Time::MAX, usize::MAX).unwrap();
    rows.iter().filter_map(|row| row.sample.value()).collect()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let looked = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(STUCK, looked).await.is_ok(), "never happened: {what}");
}

/// A pty: the reader's side of a serial line, and the path of the gateway's.
fn port() -> (File, PathBuf) {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let device: OwnedFd = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&device).unwrap();
    rustix::pty::unlockpt(&device).unwrap();
    let path = rustix::pty::ptsname(&device, Vec::new()).unwrap();
    (File::from(device), path.into_string().unwrap().into())
}

async fn post(session: &Session, console: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    let cookie = session.request(console, path).build().unwrap().headers()["cookie"].clone();
    let request = session.http.post(format!("http://{console}{path}")).header("cookie", cookie).json(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// `vigil add key`, as an operator types it.
fn add_key(cabin: &Cabin, elder: u32, text: &str) {
    let file = cabin.world.dir.path().join("vigil.toml");
    let mut command =
        vigil(&["add", "key", "--config", file.to_str().unwrap(), "--elder", &elder.to_string(), "--card"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{text}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(!String::from_utf8_lossy(&output.stdout).contains(text), "the number is not repeated");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_in_one_minute_never_swap_values() {
    let mut cabin = Cabin::open().await;
    let console = cabin.server.console_addr;
    add_key(&cabin, cabin.elder(0), CARD);
    let admin = Session::open(console, "guanli").await;
    let code = json!({ "kind": "qr", "value": CODE });
    let path = format!("/api/elders/{}/keys", cabin.elder(1));
    assert_eq!(post(&admin, console, &path, &code).await.0, 200);
    cabin.server.parts.ingest.refresh().unwrap();

    // Nobody is there yet.
    cabin.measure("scale", "weight", 99.9).await;
    // The first: by card at the reader. What is no card opens nothing.
    until("the reader's line is open", async || cabin.stats.links().links.values().any(|l| l.kind == "card" && l.up))
        .await;
    writeln!(cabin.reader, "{CARD}\r").unwrap();
    cabin.session(|state| state["kind"] == "card").await;
    cabin.measure("scale", "weight", 60.1).await;
    cabin.measure("cuff", "systolic", 121.0).await;
    tokio::time::sleep(APART).await;
    // The second, half a minute later in a real cabin: by code at the kiosk.
    let bad = json!({ "kind": "card", "value": "990000194503010082" });
    let (status, refused) = cabin.ask(reqwest::Method::POST, "/v1/session", Some(bad)).await;
    assert_eq!(status, 400);
    assert!(!refused.to_string().contains("9900001945"), "{refused}");
    assert_eq!(cabin.ask(reqwest::Method::POST, "/v1/session", Some(code)).await.0, 200);
    cabin.session(|state| state["kind"] == "qr").await;
    // A cuff that was still inflating when they changed is nobody's.
    cabin.measure("slow-cuff", "systolic", 177.0).await;
    cabin.measure("scale", "weight", 80.2).await;
    cabin.measure("cuff", "systolic", 151.0).await;
    tokio::time::sleep(APART).await;
    assert_eq!(cabin.ask(reqwest::Method::DELETE, "/v1/session", None).await.1["open"], false);
    tokio::time::sleep(APART).await;
    cabin.measure("scale", "weight", 70.7).await;

    assert_eq!(cabin.values(0, Metric::Weight, 1).await, [60.1]);
    assert_eq!(cabin.values(0, Metric::Systolic, 1).await, [121.0]);
    assert_eq!(cabin.values(1, Metric::Weight, 1).await, [80.2]);
    assert_eq!(cabin.values(1, Metric::Systolic, 1).await, [151.0]);
    let mut queue = Value::Null;
    until("the queue has what is nobody's", async || {
        queue = admin.get(console, "/api/measurements").await;
        queue["count"] == 3
    })
    .await;
    let told: Vec<_> = queue["measurements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["device"].as_str().unwrap(),
                one["values"][0]["value"].as_f64().unwrap(),
                one["cause"]["slug"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted =
        [("scale", 70.7, "no_session"), ("slow-cuff", 177.0, "session_changed"), ("scale", 99.9, "no_session")];
    assert_eq!(told, wanted);
    for file in std::fs::read_dir(cabin.world.dir.path().join("gateway")).unwrap() {
        let file = file.unwrap();
        // `gateway.sock` holds nothing.
        if !file.file_type().unwrap().is_file() {
            continue;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(
            !bytes.windows(CARD.len()).any(|part| part == CARD.as_bytes()),
            "a card's number is on the gateway's disk"
        );
    }
    cabin.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_give_a_measurement_to_an_elder_and_the_rules_look_at_it_again() {
    let cabin = Cabin::open().await;
    let console = cabin.server.console_addr;
    // Twenty minutes ago somebody in crisis measured without a card.
    let taken = Clock::system().now().plus_us(-1_200_000_000);
    let again = taken.plus_us(90_000_000);
    let readings = json!([
        { "metric": "systolic", "value": 192.0, "taken_at": taken },
        { "metric": "systolic", "value": 194.0, "taken_at": again },
    ]);
    let body = json!({ "device": "cuff", "stored": true, "readings": readings });
    assert_eq!(cabin.ask(reqwest::Method::POST, "/v1/readings", Some(body)).await.0, 200);
    let doctor = Session::open(console, "yisheng").await;
    let mut queue = Value::Null;
    until("the measurement waits", async || {
        queue = doctor.get(console, "/api/measurements").await;
        queue["count"] == 1
    })
    .await;
    let desk = Session::open(console, "zuoxi").await;
    assert_eq!(desk.get(console, "/api/alarms?state=all").await["alarms"], json!([]), "nobody's value is judged");
    let elder = cabin.elder(0);
    let decision = json!({ "measurements": [queue["measurements"][0]["id"]], "elder": elder, "reason": "本人在场" });
    assert_eq!(post(&doctor, console, "/api/measurements/attribute", &decision).await, (200, json!({ "moved": 1 })));
    assert_eq!(cabin.values(0, Metric::Systolic, 2).await, [192.0, 194.0]);
    let alarms = desk.alarms(console, 1).await;
    assert_eq!(alarms.len(), 1);
    assert_eq!(
        (&alarms[0]["elder"]["id"], &alarms[0]["late"]),
        (&json!(elder), &json!(true)),
        "found late: {}",
        alarms[0]
    );
    let path = format!(
        "/api/elders/{elder}/trend?metrics=systolic&from={}&to={}",
        taken.plus_us(-60_000_000),
        taken.plus_us(60_000_000)
    );
    let trend = doctor.get(console, &path).await;
    assert_eq!(trend["series"][0]["points"][0][4], 192.0, "on the elder's trend at its time: {trend}");
    let device =
        cabin.server.parts.records.devices().unwrap().into_iter().find(|one| one.name.as_str() == "cuff").unwrap();
    let nobody = Subject::Unattributed(device.id);
    assert_eq!(
        values(&cabin.server.parts.readings, nobody, Metric::Systolic),
        Vec::<f64>::new(),
        "not the device's any more"
    );
    let audit = cabin.server.parts.records.audit_list(None, 50).unwrap();
    let row = audit.iter().find(|row| row.action == "attribute").unwrap();
    assert!(row.person.is_some() && row.detail == format!("from device/{} to elder/{elder}", device.id), "{row:?}");
    // It was somebody else: corrected, and gone from the first.
    let other = cabin.elder(1);
    let corrected = json!({ "measurements": decision["measurements"], "elder": other, "reason": "误用证件" });
    assert_eq!(post(&doctor, console, "/api/measurements/attribute", &corrected).await.1["moved"], 1);
    assert_eq!(cabin.values(1, Metric::Systolic, 2).await, [192.0, 194.0]);
    let first = Subject::Elder(ElderId(elder));
    until("the first has it no more", async || {
        values(&cabin.server.parts.readings, first, Metric::Systolic).is_empty()
    })
    .await;
    let latest = doctor.get(console, &format!("/api/elders/{elder}/latest")).await;
    assert_eq!(latest["latest"], json!([]));
    cabin.close().await;
}

const MEASUREMENTS: u64 = 24;

/// Frame `seq` of a shared cuff without a person: crises at different times, hours ago.
fn nobodys(world: &World, base: Time, seq: u64) -> (String, Vec<u8>) {
    let own = &world.gateways[0];
    let at = base.plus_us(seq as i64 * 600_000_000);
    let frame = wire::WireFrame {
        epoch: 1,
        seq,
        gateway_time: at,
        flags: Flags(Flags::SHARED | Flags::HIST),
        samples: vec![Sample::new(Metric::Systolic, at, 185.0 + seq as f64 / 10.0, Quality::Ok)],
        ..wire::WireFrame::default()
    };
    (topic::up(&own.site, &own.name, Lane::Hist, &Name::new("cuff").unwrap()), wire::encode_cbor(&frame))
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_carried_out_once_though_the_server_is_killed_in_the_middle() {
    let world = World::new(1, 1);
    let elder = world.gateways[0].elders[0];
    let base = Time::from_millis(Clock::system().now().millis() - 20_000_000);
    let server = world.spawn();
    let frames = (1..=MEASUREMENTS).map(|seq| (seq, nobodys(&world, base, seq))).collect();
    assert_eq!(load::publish(server.mqtt, &world.gateways[0], frames).await.len() as u64, MEASUREMENTS);
    let doctor = Session::open(server.console, "yisheng").await;
    let queue = doctor.get(server.console, &format!("/api/measurements?limit={MEASUREMENTS}")).await;
    let ids: Vec<i64> =
        queue["measurements"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len() as u64, MEASUREMENTS);
    server.kill();
    let decision = |ids: &[i64]| json!({ "measurements": ids, "elder": elder, "reason": "补登记" });
    // Each decision is cut off by a kill, a little later every time: before it, in it, after it.
    for (round, ids) in ids.chunks(3).enumerate() {
        let server = world.spawn();
        let doctor = Session::open(server.console, "yisheng").await;
        let (console, body) = (server.console, decision(ids));
        let asked = tokio::spawn(async move {
            let request = doctor.request(console, "/api/me").build().unwrap().headers()["cookie"].clone();
            let path = format!("http://{console}/api/measurements/attribute");
            // The answer may never come.
            let _cut = doctor.http.post(path).header("cookie", request).json(&body).send().await;
        });
        tokio::time::sleep(Duration::from_millis(2 * round as u64)).await;
        server.kill();
        asked.await.unwrap();
    }
    let server = world.spawn();
    let doctor = Session::open(server.console, "yisheng").await;
    // What was not decided is decided now; what was, moves no second time.
    let (status, answer) = post(&doctor, server.console, "/api/measurements/attribute", &decision(&ids)).await;
    assert_eq!(status, 200, "{answer}");
    load::caught_up(server.console).await;
    let alarms = Session::open(server.console, "zuoxi").await.alarms(server.console, 1).await;
    server.stop();
    let readings = load::readings_of(&world.data_dir());
    let expected: Vec<f64> = (1..=MEASUREMENTS).map(|seq| 185.0 + seq as f64 / 10.0).collect();
    assert_eq!(values(&readings, Subject::Elder(ElderId(elder)), Metric::Systolic), expected, "each once");
    let records = world.records();
    let cuff: Vec<DeviceId> =
        records.devices().unwrap().into_iter().filter(|d| d.name.as_str() == "cuff").map(|d| d.id).collect();
    assert_eq!(values(&readings, Subject::Unattributed(cuff[0]), Metric::Systolic), Vec::<f64>::new());
    assert!(records.moves_waiting(10).unwrap().is_empty());
    for one in records.measurements(&ids).unwrap() {
        assert_eq!((one.elder, one.moves.len()), (Some(ElderId(elder)), 1), "decided once");
    }
    let mut seen: Vec<_> = alarms.iter().map(|alarm| alarm["id"].to_string()).collect();
    seen.dedup();
    assert_eq!(seen.len(), alarms.len(), "no alarm twice");
    assert!(alarms.iter().all(|alarm| alarm["late"] == true));
}
