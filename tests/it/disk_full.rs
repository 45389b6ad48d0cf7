//! The disk fills up, and the journal does. Nothing that cannot be kept is acknowledged, an SOS still finds its reserve,
//! and when there is room again the server goes on by itself with nothing acknowledged lost.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use runtime::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vigil::seed::Gateway;
use vigil::server::Server;

use crate::bad_input::Mount;
use crate::load::{self, Session, base, calm, caught_up, figure, metrics_until, publish, readings_of, sos, stored};
use crate::strangers::{packet, text};
use crate::world::{Process, World, vigil};

/// The whole disk of the test, MiB.
const DISK_MIB: u32 = 48;
const MIB: u64 = 1024 * 1024;
/// Free space below which ordinary frames are refused, bytes.
const FREE_MIN: u64 = 8 * MIB;
/// PUBACK reason of MQTT 5: try again later.
const QUOTA_EXCEEDED: u8 = 0x97;
/// Ordinary frames of one step.
const STEP: u64 = 100;

/// Free bytes of the file system.
fn free(dir: &Path) -> u64 {
    let stat = rustix::fs::statvfs(dir).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Fills the disk until only so many bytes are free, with a file that is not the server's.
fn fill(dir: &Path, leave: u64) {
    let mut ballast = File::options().create(true).append(true).open(dir.join("ballast")).unwrap();
    let mut block = vec![0; 64 * 1024];
    while free(dir) > leave {
        block.truncate((free(dir) - leave).min(block.len() as u64) as usize);
        // Somebody else was quicker: full is full.
        if ballast.write_all(&block).is_err() {
            break;
        }
    }
}

/// Logs in with MQTT 5, publishes once with QoS 1, and returns the reason code of the PUBACK.
async fn puback_of_v5(addr: SocketAddr, gateway: &Gateway, (topic, payload): &(String, Vec<u8>)) -> u8 {
    // Clean start, name and password, no keep-alive, no properties.
    let mut connect = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0b1100_0010, 0, 0, 0];
    for word in [gateway.name.as_str(), gateway.name.as_str(), &gateway.token] {
        text(&mut connect, word);
    }
    let mut publish = Vec::new();
    text(&mut publish, topic);
    publish.extend_from_slice(&[0, 7, 0]);
    publish.extend_from_slice(payload);
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(&[packet(0x10, &connect), packet(0x32, &publish)].concat()).await.unwrap();
    let mut heard = Vec::new();
    loop {
        let read = tokio::time::timeout(load::STUCK, stream.read_buf(&mut heard)).await.expect("no PUBACK");
        assert!(read.unwrap() > 0, "closed instead: {heard:?}");
        // PUBACK, its length, packet id 7, and a reason unless it is 0.
        let found = heard.windows(4).position(|bytes| bytes[0] == 0x40 && bytes[2..] == [0, 7]);
        if let Some(puback) = found.map(|at| &heard[at..])
            && puback.len() >= 2 + usize::from(puback[1])
        {
            return if puback[1] == 2 { 0 } else { puback[4] };
        }
    }
}

fn journal_is(ok: bool) -> impl Fn(&serde_json::Value) -> bool {
    move |health| {
        health["checks"].as_array().unwrap().iter().any(|check| check["name"] == "journal" && check["ok"] == ok)
    }
}

/// Waits until the health page says so of the journal.
async fn until_journal_is(server: &Process, ok: bool) {
    let looked = async {
        loop {
            let url = format!("http://{}/api/health", server.console);
            let health = crate::world::http().get(url).send().await.unwrap().json().await.unwrap();
            if journal_is(ok)(&health) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(load::STUCK, looked).await.expect("the journal's health does not change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_withholds_pubacks_and_recovers() {
    let world = World::new(2, 1);
    let disk = world.dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let Some(mount) = Mount::small(&disk, DISK_MIB) else {
        eprintln!("SKIPPED: this user may not mount a small disk; the full journal is tested below");
        return;
    };
    for entry in std::fs::read_dir(world.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, disk.join(path.file_name().unwrap())).unwrap();
    }
    let mut config = world.config();
    config.data_dir.clone_from(&disk);
    config.journal.disk_free_bytes_min = FREE_MIN;
    config.mqtt.busy_close_ms = 50;
    let log = world.dir.path().join("stderr");
    let mut command = vigil(&["serve", "--config", world.write_config(&config).to_str().unwrap()]);
    command.stderr(File::create(&log).unwrap());
    let server = Process::run(command);

    let (gateway, presser, base) = (&world.gateways[0], &world.gateways[1], base());
    let step = |n: u64| (n * STEP..(n + 1) * STEP).map(|seq| (seq, calm(gateway, base, seq))).collect::<Vec<_>>();
    let whole = |n: u64| (n * STEP..(n + 1) * STEP).collect::<Vec<_>>();
    assert_eq!(publish(server.mqtt, gateway, step(0)).await, whole(0));

    // Short of space: the reserve is for SOS.
    fill(&disk, FREE_MIN / 2);
    until_journal_is(&server, false).await;
    assert!(publish(server.mqtt, gateway, step(1)).await.is_empty(), "nothing is acknowledged that has no room");
    let text = metrics_until(server.console, |text| figure(text, "vigil_mqtt_closed_total{reason=\"busy\"}") > 0).await;
    assert!(figure(&text, "vigil_ingest_busy_total") > 0 && figure(&text, "vigil_journal_refused_total") > 0, "{text}");
    assert_eq!(publish(server.mqtt, presser, vec![(0, sos(presser, 0, 0))]).await, [0], "an SOS is still taken");

    // Nothing left at all, for anybody.
    fill(&disk, 0);
    assert!(publish(server.mqtt, gateway, step(1)).await.is_empty());
    // Whether there was room for one more SOS depends on SQLite's pages; if it was acknowledged, it must be there later.
    let pressed = publish(server.mqtt, presser, vec![(1, sos(presser, 0, 1))]).await;

    // Room again: without a restart it goes on, and the client's next try is taken.
    std::fs::remove_file(disk.join("ballast")).unwrap();
    until_journal_is(&server, true).await;
    assert_eq!(publish(server.mqtt, gateway, step(1)).await, whole(1));
    assert_eq!(publish(server.mqtt, gateway, step(2)).await, whole(2));
    let dispatcher = Session::open(server.console, "zuoxi").await;
    assert_eq!(dispatcher.alarms(server.console, 1).await[0]["priority"], "P1");
    caught_up(server.console).await;
    server.stop();
    assert_eq!(stored(&readings_of(&disk), gateway, base), (0..3 * STEP).collect::<Vec<_>>());
    let records = store::records::Records::open(&disk, Clock::system()).unwrap();
    let alarms = records.alarms(store::records::AlarmFilter::default(), 100).unwrap();
    assert!(!alarms.is_empty() && alarms.iter().all(|alarm| alarm.rule.starts_with("sos")), "{alarms:#?}");
    eprintln!("at the very end {} more SOS were taken", pressed.len());
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    drop((records, mount));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_pushes_back_and_keeps_room_for_an_sos() {
    let world = World::new(2, 1);
    let mut config = world.config();
    config.journal.bytes_max = 64 * 1024;
    config.mqtt.busy_close_ms = 50;
    // Every reader's cursor is committed often: what they all have passed makes room.
    config.ingest.ledger_save_s = 1;
    config.alerting.checkpoint_s = 1;
    let server = Server::start(config, None).await.unwrap();
    // What the readings store has not taken may not be trimmed.
    server.parts.readings.pause_writes(true);
    let (gateway, presser, base) = (&world.gateways[0], &world.gateways[1], base());
    let frames = |from: u64| (from..2_000).map(|seq| (seq, calm(gateway, base, seq))).collect::<Vec<_>>();
    let acked = publish(server.mqtt_addr, gateway, frames(0)).await;
    let mut taken = acked.len() as u64;
    assert!((100..2_000).contains(&taken), "{taken} frames were taken by 64 KiB");
    assert_eq!(acked, (0..taken).collect::<Vec<_>>(), "up to the limit all were");
    // What did not fit as a group may still fit alone; the last one is told why, and keeps its link, in MQTT 5.
    let reason = loop {
        match puback_of_v5(server.mqtt_addr, gateway, &calm(gateway, base, taken)).await {
            0 => taken += 1,
            reason => break reason,
        }
    };
    assert_eq!(reason, QUOTA_EXCEEDED);
    assert!(publish(server.mqtt_addr, gateway, frames(taken)).await.is_empty(), "and then nothing");
    assert_eq!(publish(server.mqtt_addr, presser, vec![(0, sos(presser, 0, 0))]).await, [0]);
    server.parts.readings.pause_writes(false);
    let (mut next, begun) = (taken, Instant::now());
    while next < 2_000 {
        assert!(begun.elapsed() < load::STUCK, "only {next} were taken");
        // A link that is told "busy" is closed; what was not acknowledged is sent again, as gateways do.
        next += publish(server.mqtt_addr, gateway, frames(next)).await.len() as u64;
    }
    let records = server.parts.records.clone();
    let mut events = records.watch_alarm_events();
    while records.alarms_open(10).unwrap().is_empty() {
        tokio::time::timeout(load::STUCK, events.changed()).await.expect("the SOS raises no alarm").unwrap();
    }
    caught_up(server.console_addr).await;
    assert_eq!(stored(&server.parts.readings, gateway, base), (0..2_000).collect::<Vec<_>>());
    server.stop().await;
}
