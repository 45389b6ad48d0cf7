//! Strangers at the front door: wrong passwords, forged names, foreign topics, giants, the silent and the mad. Each is sent
//! away and counted under its reason, and one honest client never notices. And devices that nobody wears: kept, shown, not judged.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;

use model::{ElderId, Lane, Metric, Name, Quality, Sample, Subject};
use mqtt::load::LoadClient;
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vigil::seed::Gateway;

use crate::load::{self, Session, Steady, base, caught_up, figure, metrics, metrics_until, publish, readings_of};
use crate::world::{Process, World, frame, vigil};

/// Sockets that send noise.
const MAD: u64 = 40;
/// Bytes of the giant publish.
const GIANT: usize = 10 * 1024 * 1024;

fn spawn(world: &World, config: &config::Server) -> (Process, std::path::PathBuf) {
    let log = world.dir.path().join("stderr");
    let mut command = vigil(&["serve", "--config", world.write_config(config).to_str().unwrap()]);
    command.stderr(File::create(&log).unwrap());
    (Process::run(command), log)
}

/// Links ended, by reason; reasons that never happened are left out.
fn closed(text: &str) -> BTreeMap<String, u64> {
    let reasons = text.lines().filter_map(|line| line.strip_prefix("vigil_mqtt_closed_total{reason=\""));
    let counts = reasons.map(|rest| rest.split_once("\"} ").unwrap());
    counts.map(|(reason, count)| (reason.to_owned(), count.parse().unwrap())).filter(|(_, count)| *count > 0).collect()
}

/// An MQTT 3.1.1 packet: first byte, length, the rest.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let (mut out, mut left) = (vec![first], body.len());
    loop {
        let more = left >= 128;
        out.push((left % 128) as u8 | if more { 128 } else { 0 });
        left /= 128;
        if !more {
            out.extend_from_slice(body);
            return out;
        }
    }
}

/// A string as MQTT writes it.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A CONNECT with any client id, also one that a library would not send.
fn connect(client_id: &str, user: &str, password: &str, keep_alive_s: u16) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0b1100_0010];
    body.extend_from_slice(&keep_alive_s.to_be_bytes());
    for one in [client_id, user, password] {
        text(&mut body, one);
    }
    packet(0x10, &body)
}

fn publish_to(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    text(&mut body, topic);
    body.extend_from_slice(&7_u16.to_be_bytes());
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

/// Sends the bytes and reads until the server ends the link. What it said before.
async fn sent_away(addr: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(addr).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut said = Vec::new();
    let talk = async {
        // A server that has heard enough resets the rest: both are an end.
        let (_sent, _read) = tokio::join!(write.write_all(bytes), read.read_to_end(&mut said));
    };
    tokio::time::timeout(load::STUCK, talk).await.expect("the server keeps a stranger");
    said
}

fn logged_in(gateway: &Gateway, then: &[u8]) -> Vec<u8> {
    let name = gateway.name.as_str();
    [&connect(name, name, &gateway.token, 0), then].concat()
}

/// CONNACK of 3.1.1 with a return code.
const fn connack(code: u8) -> [u8; 4] {
    [0x20, 2, 0, code]
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_sent_away_and_the_honest_do_not_notice() {
    let world = World::new(2, 1);
    let mut config = world.config();
    config.mqtt.login_timeout_ms = 300;
    let (server, log) = spawn(&world, &config);
    let (honest, other) = (&world.gateways[0], &world.gateways[1]);
    let steady = Steady::start(server.mqtt, honest);
    steady.until(50).await;
    let name = other.name.as_str();

    assert_eq!(sent_away(server.mqtt, &connect(name, name, "a wrong password", 0)).await, connack(4));
    for id in ["gw+", "gw#", "$gw", "g/w", honest.name.as_str()] {
        assert_eq!(sent_away(server.mqtt, &connect(id, name, &other.token, 0)).await, connack(2), "{id}");
    }
    // Another gateway's lane, the server's own down-link, the broker's world.
    let (foreign, payload) = load::calm(honest, base(), 0);
    for topic in [foreign.as_str(), "vigil/1/home/gw1/d/cmd", "$SYS/broker"] {
        let said = sent_away(server.mqtt, &logged_in(other, &publish_to(topic, &payload))).await;
        assert_eq!(said, connack(0), "{topic}: no PUBACK");
    }
    let own = mqtt::topic::up(&other.site, &other.name, Lane::Vit, &other.devices[0]);
    let said = sent_away(server.mqtt, &logged_in(other, &publish_to(&own, &vec![b'x'; GIANT]))).await;
    assert!(said.is_empty() || said == connack(0), "a reset may overtake the CONNACK, a PUBACK never comes: {said:?}");
    let said = sent_away(server.mqtt, &logged_in(other, &publish_to("vigil/1/home/gw1/u/vit/+", &payload))).await;
    assert_eq!(said, connack(0), "a wildcard in a topic name");
    // The CONNECT that never comes, or only half of it.
    assert!(sent_away(server.mqtt, &[]).await.is_empty());
    assert!(sent_away(server.mqtt, &connect(name, name, &other.token, 0)[..9]).await.is_empty());
    // A peer that vanished without a word, seen from here: logged in, and nothing more in 1.5 times its keep-alive.
    assert_eq!(sent_away(server.mqtt, &connect(name, name, &other.token, 1)).await, connack(0));

    let expected = [
        ("bad_credentials", 1),
        ("bad_client_id", 5),
        ("not_authorised", 3),
        ("too_large", 1),
        ("bad_topic", 1),
        ("connect_timeout", 2),
        ("keep_alive", 1),
    ];
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect();
    let total: u64 = expected.values().sum();
    let text = metrics_until(server.console, |text| closed(text).values().sum::<u64>() >= total).await;
    assert_eq!(closed(&text), expected);
    assert!(figure(&text, "vigil_mqtt_publishes_refused_total") >= 4, "{text}");

    // Noise: whatever it looks like, each ends under some reason.
    let mut rng = SmallRng::seed_from_u64(7);
    for i in 0..MAD {
        let mut noise = vec![0; rng.random_range(1..600)];
        rng.fill_bytes(&mut noise);
        // Every other one begins like a CONNECT, or speaks after a proper login.
        match i % 4 {
            1 => noise = [&connect(name, name, &other.token, 0)[..4], &noise].concat(),
            3 => noise = logged_in(other, &noise),
            _ => {}
        }
        let mut stream = TcpStream::connect(server.mqtt).await.unwrap();
        stream.write_all(&noise).await.unwrap();
    }
    metrics_until(server.console, |text| closed(text).values().sum::<u64>() >= total + MAD).await;

    let so_far = steady.acked();
    steady.until(so_far + 200).await;
    let base = steady.base;
    let (acked, ended) = steady.stop().await;
    ended.expect("the honest client lost its link");
    caught_up(server.console).await;
    server.stop();
    load::assert_stored(&readings_of(&world.data_dir()), honest, base, acked);
    let said = std::fs::read_to_string(log).unwrap();
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_nobody_wears_is_kept_and_shown_and_alarms_nobody() {
    let world = World::new(1, 1).with_administrator();
    let loose = Name::new("loose").unwrap();
    let records = world.records();
    let id = records.gateway_by_name(&world.gateways[0].name).unwrap().unwrap().id;
    records.ensure_device(id, &loose).unwrap();
    drop(records);
    // One device that is bound, one that is known and bound to nobody, one that was never heard of.
    let mut gateway = world.gateways[0].clone();
    gateway.devices.extend([loose, Name::new("never-seen").unwrap()]);
    let (server, _log) = spawn(&world, &world.config());
    let base = base();
    let critical = |seq: u64| {
        let at = base.plus_us((seq / 3) as i64 * 1_000_000);
        let sample = Sample::new(Metric::Spo2, at, 70.0, Quality::Ok);
        (seq, frame(&gateway, seq as usize % 3, Lane::Vit, seq, vec![sample], vec![]))
    };
    let frames: Vec<_> = (0..600).map(critical).collect();
    // The unheard device is registered beside the line, and what waits for it may be refused as "busy" once: again then.
    let mut acked = publish(server.mqtt, &gateway, frames.clone()).await;
    if acked.len() < frames.len() {
        acked = publish(server.mqtt, &gateway, frames).await;
    }
    assert_eq!(acked.len(), 600, "all are kept");
    caught_up(server.console).await;
    let administrator = Session::open(server.console, "guanli").await;
    let shown = administrator.get(server.console, "/api/unattributed").await;
    let devices: BTreeMap<_, _> = shown["devices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["device"].as_str().unwrap().to_owned(), one["latest"][0]["value"].clone()))
        .collect();
    let value = serde_json::json!(70.0);
    assert_eq!(devices, BTreeMap::from([("loose".to_owned(), value.clone()), ("never-seen".to_owned(), value)]));
    let alarms = Session::open(server.console, "zuoxi").await.alarms(server.console, 1).await;
    let elders: Vec<_> = alarms.iter().map(|alarm| alarm["elder"]["id"].clone()).collect();
    assert!(elders.iter().all(|id| *id == world.gateways[0].elders[0]), "only the one who wears a device: {alarms:#?}");
    assert!(figure(&metrics(server.console).await, "vigil_ingest_unattributed_frames_total") >= 400);
    server.stop();
    let readings = readings_of(&world.data_dir());
    for device in world.records().devices().unwrap() {
        let bound = device.name == gateway.devices[0];
        let subject = if bound { Subject::Elder(ElderId(gateway.elders[0])) } else { Subject::Unattributed(device.id) };
        let rows = readings.raw(subject, Metric::Spo2, model::Time::MIN, model::Time::MAX, usize::MAX).unwrap();
        assert_eq!(rows.len(), 200, "{}", device.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_never_logs_in() {
    let world = World::new(1, 1);
    let (server, _log) = spawn(&world, &world.config());
    let name = world.gateways[0].name.as_str();
    for token in ["", "x", &"a".repeat(2_000)] {
        let refused = LoadClient::connect(server.mqtt, name, name, token.as_bytes()).await;
        assert_eq!(refused.err().map(|error| error.kind()), Some(std::io::ErrorKind::PermissionDenied));
    }
    assert_eq!(figure(&metrics(server.console).await, "vigil_mqtt_logins_total"), 0);
    server.stop();
}
