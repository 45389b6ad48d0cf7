//! A fall beside a running ECG: the strip that led to it follows it in lane evt, and is not told as something else later.

use std::collections::BTreeSet;

use model::{Lane, Time};
use runtime::{Clock, Stop};
use tokio::io::AsyncWriteExt;
use vigil_gateway::{Config, Stats, run, run_with};

use crate::server::{Held, Server, TOKEN};

/// Starts of the blocks in a lane, with their first count: the fingerprint of a block.
fn blocks(held: &Held, lane: Lane) -> BTreeSet<(Time, i16)> {
    let frames = held.waves.iter().filter(|(of, _)| *of == lane).map(|(_, frame)| frame);
    frames.flat_map(|frame| frame.waveforms.iter().map(|block| (block.start, block.counts[0]))).collect()
}

#[tokio::test]
async fn the_strip_follows_the_fall() {
    let mut server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    // One lead of 100 Hz for a minute; each sample its own number.
    let counts: Vec<u8> = (0..6_000_i16).flat_map(i16::to_le_bytes).collect();
    std::fs::write(dir.path().join("a.dat"), counts).unwrap();
    std::fs::write(dir.path().join("a.hea"), "a 1 100 6000\na.dat 16 200 16 0 0\n").unwrap();
    let text = format!(
        "host = \"127.0.0.1\"\nport = {}\nsite = \"s\"\nname = \"g\"\ntoken = \"{TOKEN}\"\ndata_dir = {:?}\nflush_ms = 20\n\
         [[links]]\nkind = \"sim\"\nelders = 1\nscenarios = [{{ at_s = 4, person = 1, kind = \"fall\" }}]\n\
         [[links]]\nkind = \"waveform\"\nfile = {:?}\ndevice = \"ecg-1\"\nspeed = 1\nblock_s = 1\n",
        server.addr.port(),
        dir.path().join("gateway"),
        dir.path().join("a.hea"),
    );
    let config: Config = toml::from_str(&text).unwrap();
    let stop = Stop::new();
    let running = tokio::spawn(run(config, Clock::system(), stop.clone()));
    server.until("the strip, and a block after it", |held| blocks(held, Lane::Evt).len() >= 5).await;
    stop.request();
    running.await.unwrap().unwrap();
    server.look(|held| {
        let is_fall =
            |frame: &mqtt::wire::WireFrame| frame.events.iter().any(|event| event.kind == model::EventKind::Fall);
        let fall = held.frames.iter().find_map(|(_, frame)| is_fall(frame).then(|| frame.events[0].at)).unwrap();
        let (strip, stream) = (blocks(held, Lane::Evt), blocks(held, Lane::Wav));
        let before = strip.iter().filter(|(start, _)| *start < fall).count();
        assert!(before >= 3 && strip.iter().any(|(start, _)| start.plus_us(1_000_000) > fall), "{fall}: {strip:?}");
        // What was sent before in its own lane is the same block, to be stored once; what came after came once.
        assert!(
            stream.iter().all(|block| block.0 < fall) && stream.iter().all(|block| strip.contains(block)),
            "{stream:?}"
        );
    });
}

/// Samples of all leads that the server holds, by lead, in the order of time.
fn held(held: &Held) -> std::collections::BTreeMap<u32, Vec<i16>> {
    let mut blocks: Vec<_> = held.waves.iter().flat_map(|(_, frame)| &frame.waveforms).collect();
    blocks.sort_by_key(|block| block.start);
    let mut leads = std::collections::BTreeMap::<u32, Vec<i16>>::new();
    for block in blocks {
        leads.entry(block.lead).or_default().extend(&block.counts);
    }
    leads
}

#[tokio::test]
async fn twelve_leads_of_a_front_end_arrive_whole() {
    const SECONDS: usize = 60;
    let mut server = Server::start().await;
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "host = \"127.0.0.1\"\nport = {}\nsite = \"s\"\nname = \"g\"\ntoken = \"{TOKEN}\"\ndata_dir = {:?}\nflush_ms = 5\n\
         [[links]]\nkind = \"samples\"\nlisten = \"127.0.0.1:0\"\ndevice = \"ecg-1\"\nrate = 250\nscale = 0.005\nblock_s = 1\n\
         leads = [\"I\", \"II\", \"III\", \"aVR\", \"aVL\", \"aVF\", \"V1\", \"V2\", \"V3\", \"V4\", \"V5\", \"V6\"]\n",
        server.addr.port(),
        dir.path().join("gateway"),
    );
    let config: Config = toml::from_str(&text).unwrap();
    let noon = Time::from_secs(1_800_000_000);
    let (stop, stats, clock) = (Stop::new(), Stats::default(), Clock::manual(noon));
    let running = tokio::spawn(run_with(config, clock.clone(), stats.clone(), stop.clone()));
    let address = loop {
        if let Some(address) = stats.links().links.get("samples-1").and_then(|link| link.address) {
            break address;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let mut device = tokio::net::TcpStream::connect(address).await.unwrap();
    let sample = |lead: usize, i: usize| (i * 13 + lead * 1_009) as i16;
    for second in 0..SECONDS {
        let units = second * 250..(second + 1) * 250;
        let bytes: Vec<u8> = units.flat_map(|i| (0..12).flat_map(move |lead| sample(lead, i).to_le_bytes())).collect();
        clock.set(noon.plus_us((second as i64 + 1) * 1_000_000));
        // In pieces that do not respect samples, as fast as they are taken; the clock waits for the blocks.
        for piece in bytes.chunks(997) {
            device.write_all(piece).await.unwrap();
        }
        server.until("a second of twelve leads", |held| held.waves.len() > second).await;
    }
    drop(device);
    server.until("all blocks", |now| held(now).values().map(Vec::len).sum::<usize>() == 12 * 250 * SECONDS).await;
    stop.request();
    running.await.unwrap().unwrap();
    server.look(|now| {
        let leads = held(now);
        let words = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
        for (lead, word) in words.into_iter().enumerate() {
            let expected: Vec<i16> = (0..250 * SECONDS).map(|i| sample(lead, i)).collect();
            assert!(leads[&model::lead::from_label(word).unwrap()] == expected, "{word}");
        }
    });
    assert_eq!(stats.links().links["samples-1"].skipped_bytes, 0);
}
