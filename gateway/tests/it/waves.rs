//! A fall beside a running ECG: the strip that led to it follows it in lane evt, and is not told as something else later.

use std::collections::BTreeSet;

use model::{Lane, Time};
use runtime::{Clock, Stop};
use vigil_gateway::{Config, run};

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
