//! A server that lost what it had acknowledged asks for it and gets it; what a gateway does not have any more is known with
//! its cause; `vigil gateway status` tells how it is.

use std::time::Duration;

use gateway::{Config, DeviceKey, Outlet, Report, Stats};
use model::note::LossCause;
use model::{Lane, Metric, Quality, Sample, Time};
use runtime::{Clock, Stop};
use store::records::GapState;
use vigil::server::Server;

use crate::load::STUCK;
use crate::world::{World, vigil};

const FRAMES: i64 = 60;

/// Waits for what has no event of its own.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let polled = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STUCK, polled).await.unwrap_or_else(|_| panic!("{what}: not in time"));
}

async fn hear(outlet: &Outlet, world: &World, base: Time, numbers: std::ops::Range<i64>) {
    for number in numbers {
        let at = base.plus_us(number * 1_000_000);
        let samples = vec![Sample::new(Metric::HeartRate, at, 70.0, Quality::Ok)];
        let key = DeviceKey::Named(world.gateways[0].devices[0].clone());
        outlet.hear_report(&key, at, Report { samples, ..Report::default() }).await.unwrap();
    }
}

async fn serve_on(world: &World, port: u16) -> Server {
    let mut config = world.config();
    config.mqtt.listen.set_port(port);
    Server::start(config, None).await.unwrap()
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn status(dir: &std::path::Path, words: &[&str]) -> String {
    let mut command = vigil(&["gateway", "status", "--data-dir", dir.to_str().unwrap()]);
    let output = command.args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_a_range_gets_it_again_and_status_tells_how_it_is() {
    let world = World::new(1, 1);
    let told = world.gateways[0].clone();
    let dir = world.dir.path().join("gateway");
    assert!(status(world.dir.path(), &[]).contains("no gateway runs"), "said plainly");
    let server = world.serve().await;
    let port = server.mqtt_addr.port();
    let config = Config {
        port,
        site: told.site.clone(),
        name: told.name.clone(),
        token: told.token.clone(),
        data_dir: dir.clone(),
        flush_ms: 0,
        ..Config::default()
    };
    let (stop, stats) = (Stop::new(), Stats::default());
    let (give, mut outlets) = tokio::sync::mpsc::channel(4);
    let running = tokio::spawn(gateway::run_fed(config, Clock::system(), stats.clone(), stop.clone(), move |outlet| {
        let _gone = give.try_send(outlet);
        std::future::pending()
    }));
    let outlet = outlets.recv().await.unwrap();
    let base = Clock::system().now().plus_us(-120_000_000);
    let base = Time::from_millis(base.millis());
    let stored = async |server: &Server, count: i64| {
        until("all stored", async || server.parts.readings.count() == count as u64).await;
    };
    hear(&outlet, &world, base, 0..FRAMES / 2).await;
    stored(&server, FRAMES / 2).await;
    server.stop().await;
    let backup = world.dir.path().join("backup");
    copy(&world.data_dir(), &backup);

    let server = serve_on(&world, port).await;
    hear(&outlet, &world, base, FRAMES / 2..FRAMES).await;
    stored(&server, FRAMES).await;
    until("all acknowledged", async || stats.uplink().oldest_waiting.is_none()).await;
    let up = serde_json::from_str::<serde_json::Value>(&status(&dir, &["--json"])).unwrap();
    assert_eq!((&up["uplink"]["connected"], &up["outbox"]["lanes"]["vit"]["waiting"]), (&true.into(), &0.into()));
    let device = &up["links"]["devices"][told.devices[0].as_str()];
    assert_eq!(device["reports"], FRAMES);
    server.stop().await;

    // The disk of the server is replaced, and the backup is half an hour old.
    std::fs::remove_dir_all(world.data_dir()).unwrap();
    copy(&backup, &world.data_dir());
    let down = status(&dir, &[]);
    assert!(down.contains("NOT connected") && down.contains("vit: 0 waiting"), "{down}");
    let server = serve_on(&world, port).await;
    stored(&server, FRAMES).await;
    let records = server.parts.records.clone();
    let closed = async || {
        let gaps = records.gaps(None, 10).unwrap();
        gaps.len() == 1 && gaps[0].state == GapState::Filled
    };
    until("the gap is filled", closed).await;
    let gap = &records.gaps(None, 1).unwrap()[0];
    assert_eq!((gap.lane, gap.first, gap.last, gap.lost), (Lane::Vit, FRAMES as u64 / 2 + 1, FRAMES as u64, 0));
    assert!(gap.asks > 0 && records.losses(None, 10).unwrap().is_empty());

    stop.request();
    running.await.unwrap().unwrap();
    // The way in keeps the outbox open.
    drop(outlet);
    let gone = status(&dir, &[]);
    assert!(gone.contains("no gateway runs") && gone.contains("vit: 0 waiting"), "{gone}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_outbox_closes_the_old_one_and_what_it_held_is_lost_with_its_cause() {
    use mqtt::load::LoadClient;
    let world = World::new(1, 1);
    let gateway = &world.gateways[0];
    let server = world.serve().await;
    let name = gateway.name.as_str();
    let mut client = LoadClient::connect(server.mqtt_addr, name, name, gateway.token.as_bytes()).await.unwrap();
    let base = Time::from_millis(Clock::system().now().plus_us(-60_000_000).millis());
    let vital = |epoch: u32, seq: u64| {
        let at = base.plus_us(i64::from(epoch) * 10_000_000 + seq as i64 * 1_000);
        let samples = vec![Sample::new(Metric::HeartRate, at, 70.0, Quality::Ok)];
        let frame = mqtt::wire::WireFrame { epoch, seq, gateway_time: at, samples, ..Default::default() };
        let topic = mqtt::topic::up(&gateway.site, &gateway.name, Lane::Vit, &gateway.devices[0]);
        (topic, mqtt::wire::encode_cbor(&frame))
    };
    let mut acked = Vec::new();
    for (number, (epoch, seq)) in [(1, 1), (1, 2), (1, 9), (2, 1)].into_iter().enumerate() {
        let (topic, payload) = vital(epoch, seq);
        client.queue(&topic, &payload, number as u64).unwrap();
    }
    while acked.len() < 4 {
        client.turn(Duration::from_millis(50), &mut acked).await.unwrap();
    }
    let records = server.parts.records.clone();
    until("a gap", async || records.gaps(None, 10).unwrap().len() == 1).await;
    let gap = records.gaps(None, 1).unwrap()[0].clone();
    assert_eq!((gap.epoch, gap.first, gap.last), (1, 3, 8));
    // This client reads no `d/resend`: it stays open, is asked for when somebody listens, and a note settles it.
    let note = model::Note::Gone { epoch: 1, lane: Lane::Vit, from: 3, to: 8, cause: LossCause::OutboxLost };
    let notes = vec![note.to_text()];
    let frame = mqtt::wire::WireFrame { epoch: 2, seq: 1, gateway_time: base, notes, ..Default::default() };
    let itself = model::Name::new(mqtt::topic::SELF).unwrap();
    let topic = mqtt::topic::up(&gateway.site, &gateway.name, Lane::Evt, &itself);
    client.queue(&topic, &mqtt::wire::encode_cbor(&frame), 9).unwrap();
    while acked.len() < 5 {
        client.turn(Duration::from_millis(50), &mut acked).await.unwrap();
    }
    until("lost", async || records.gaps(None, 1).unwrap()[0].state == GapState::Lost).await;
    let gap = &records.gaps(None, 1).unwrap()[0];
    assert_eq!((gap.lost, gap.missing, gap.cause), (6, 0, Some(LossCause::OutboxLost)));
    server.stop().await;
}
