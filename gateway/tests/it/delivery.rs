//! From the simulated body to the server: nothing is lost over a cut, a restart or a replay, and numbers have no gaps.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{EventKind, Lane, Metric, Name, Quality, Time};
use runtime::{Clock, Stop};
use vigil_gateway::fleet::{self, Counters, Fleet};
use vigil_gateway::sim::{self, Planned, Scenario};
use vigil_gateway::{Config, Link, Recorded, Replay, Stats, recording, replay, run_with};

use crate::server::{Server, TOKEN};

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn config(dir: &Path, server: &Server, links: Vec<Link>) -> Config {
    Config {
        port: server.addr.port(),
        site: name("s"),
        name: name("g"),
        token: TOKEN.to_owned(),
        data_dir: dir.join("gateway"),
        links,
        ..Config::default()
    }
}

/// Next numbers by lane, as the gateway remembers them.
fn next(dir: &Path) -> Vec<u64> {
    let text = std::fs::read(dir.join("gateway/lanes.json")).unwrap();
    let saved: serde_json::Value = serde_json::from_slice(&text).unwrap();
    saved["next"].as_array().unwrap().iter().map(|next| next.as_u64().unwrap()).collect()
}

fn births(held: &crate::server::Held) -> usize {
    held.states.iter().filter(|state| state.contains("\"state\":\"up\"")).count()
}

fn planned(at_s: u64, kind: Scenario, for_s: u64) -> Planned {
    Planned { at_s, person: 1, kind, for_s, every_s: 0 }
}

#[tokio::test]
async fn a_simulated_day_arrives_whole_over_a_cut_and_a_restart() {
    let mut server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let sim = sim::Config {
        elders: 2,
        interval_s: 1,
        backfill_h: 24,
        scenarios: vec![planned(1, Scenario::UplinkLost, 1), planned(1, Scenario::Fall, 0)],
        ..sim::Config::default()
    };
    let (stop, stats) = (Stop::new(), Stats::default());
    let config_sim = config(dir.path(), &server, vec![Link::Sim(sim)]);
    let running = tokio::spawn(run_with(config_sim, Clock::system(), stats.clone(), stop.clone()));
    let key = |lane| ("g".to_owned(), 1, lane);
    server
        .until("a fall after a cut, and live readings", |held| {
            births(held) >= 2
                && held.seqs.contains_key(&key(Lane::Sos))
                && held.seqs.get(&key(Lane::Vit)).is_some_and(|seqs| seqs.len() >= 6)
        })
        .await;
    stop.request();
    running.await.unwrap().unwrap();

    // A gateway without links delivers what the first one left.
    let stop = Stop::new();
    let config_idle = config(dir.path(), &server, Vec::new());
    let running = tokio::spawn(run_with(config_idle, Clock::system(), Stats::default(), stop.clone()));
    let next = next(dir.path());
    for lane in [Lane::Sos, Lane::Vit, Lane::Hist] {
        let whole: BTreeSet<u64> = (1..next[lane as usize]).collect();
        assert!(!whole.is_empty(), "{lane:?}");
        server.until("no gap", |held| held.seqs.get(&key(lane)) == Some(&whole)).await;
    }
    server.until("a birth of each connection", |held| births(held) >= 3).await;
    stop.request();
    running.await.unwrap().unwrap();
    let hist = server.look(|held| {
        let fall = held.frames.iter().flat_map(|(device, frame)| frame.events.iter().map(move |event| (device, event)));
        let falls: Vec<_> = fall.map(|(device, event)| (device.clone(), event.kind)).collect();
        assert_eq!(falls, [("band-001".to_owned(), EventKind::Fall)]);
        let samples = held.frames.iter().filter(|(_, frame)| frame.flags.has(1)).flat_map(|(_, frame)| &frame.samples);
        samples.filter(|sample| sample.metric == Metric::HeartRate).count()
    });
    assert_eq!(hist, 2 * 24 * 60, "one heart rate a minute for two elders");
}

#[tokio::test]
async fn a_recording_arrives_row_by_row_and_numbers_go_on() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut text = "t_s,HR[bpm],SpO2[%]\n".to_owned();
    for row in 0..500 {
        let oxygen = if row % 5 == 0 { 0 } else { 97 };
        writeln!(text, "{},{},{oxygen}", row * 60, 60 + row % 40).unwrap();
    }
    let recording = recording::read(text.as_bytes(), &[]).unwrap();
    let play = Replay { device: name("monitor"), base: Time::from_secs(1_700_000_000), speed: 0.0, lane: Lane::Hist };
    let config = config(dir.path(), &server, Vec::new());
    for round in 1..=2 {
        let done = replay(&config, &play, Recorded::Rows(&recording), Clock::system(), Stop::new()).await.unwrap();
        assert!(done.complete, "{done:?}");
        assert_eq!((done.rows, done.samples, done.acked, done.refused), (500, 1_000, 500, 0));
        let seqs = server.look(|held| held.seqs[&("g".to_owned(), 1, Lane::Hist)].clone());
        assert_eq!(seqs, (1..=500 * round).collect());
    }
    server.look(|held| {
        let (device, frame) = &held.frames[5];
        assert_eq!((device.as_str(), frame.samples[0].taken_at), ("monitor", Time::from_secs(1_700_000_300)));
        assert_eq!((frame.samples[0].value(), frame.samples[1].quality), (Some(65.0), Quality::SensorOff));
    });
}

#[tokio::test]
async fn a_new_outbox_is_a_new_epoch() {
    let server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let recording = recording::read("t_s,HR\n0,70\n".as_bytes(), &[]).unwrap();
    let play = Replay { device: name("m"), base: Time(0), speed: 0.0, lane: Lane::Vit };
    let config = config(dir.path(), &server, Vec::new());
    for _ in 0..2 {
        assert!(
            replay(&config, &play, Recorded::Rows(&recording), Clock::system(), Stop::new()).await.unwrap().complete
        );
        for entry in std::fs::read_dir(&config.data_dir).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("outbox") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
    let keys = server.look(|held| held.seqs.keys().map(|(_, epoch, _)| *epoch).collect::<Vec<_>>());
    assert_eq!(keys, [1, 2]);
}

#[tokio::test]
async fn a_fleet_publishes_at_its_pace() {
    let server = Server::start().await;
    let devices = (0..5).map(|i| fleet::Device { name: name(&format!("sim-{i:04}")), token: TOKEN.to_owned() });
    let fleet = Fleet {
        server: server.addr,
        site: name("s"),
        devices: devices.collect(),
        seed: 1,
        rate: 300.0,
        frame_samples: 30,
        duration: Some(Duration::from_secs(2)),
    };
    let counters = Arc::new(Counters::default());
    let acked = fleet::run(fleet, Arc::clone(&counters), Clock::system(), Stop::new()).await;
    let (gateways, frames) = server.look(|held| (held.seqs.len(), held.frames.len() as u64));
    assert_eq!(gateways, 5);
    assert!(acked > 0 && acked <= frames, "{acked} acked, {frames} held");
    assert!(server.look(|held| held.frames.iter().all(|(_, frame)| frame.samples.len() == 30)));
}
