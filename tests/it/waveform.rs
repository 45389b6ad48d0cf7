//! ECG from a file to the page's strip: imported, cut into blocks, through outbox, front door and journal into the store,
//! sample for sample; and a cabin's twelve leads as fast as the gateway takes them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use model::{ElderId, Metric, Subject, Time, lead};
use runtime::{Clock, Stop};
use serde_json::Value;
use store::readings::Readings;
use vigil::server::Server;

use crate::world::{PASSWORD, World, http, shared, tool, vigil};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// Counts by lead code.
type Leads = BTreeMap<u32, Vec<i16>>;

/// Writes a record in format 16; its header says first values and checksums.
fn write_record(dir: &Path, name: &str, rate: u32, leads: &[(&str, Vec<i16>)]) -> std::path::PathBuf {
    let frames = leads[0].1.len();
    let mut header = format!("{name} {} {rate} {frames}\n", leads.len());
    for (label, counts) in leads {
        let sum = counts.iter().fold(0_i16, |sum, count| sum.wrapping_add(*count));
        writeln!(header, "{name}.dat 16 200/mV 16 0 {} {sum} 0 {label}", counts[0]).unwrap();
    }
    let samples = (0..frames).flat_map(|i| leads.iter().flat_map(move |(_, counts)| counts[i].to_le_bytes()));
    std::fs::write(dir.join(format!("{name}.dat")), samples.collect::<Vec<u8>>()).unwrap();
    let path = dir.join(format!("{name}.hea"));
    std::fs::write(&path, header).unwrap();
    path
}

/// Counts that no two leads share, with a heart's steepness.
fn made(lead: usize, frames: usize) -> Vec<i16> {
    let beat = |i: usize| if (i + 31 * lead) % 203 < 7 { 900 - 100 * lead as i16 } else { 0 };
    (0..frames).map(|i| beat(i) + ((i * (7 + lead) + i / 91) % 61) as i16 - 30).collect()
}

/// Runs `vigil replay --ecg` against the server, and waits until all samples are stored.
async fn replay(world: &World, server: &Server, elder: ElderId, file: &Path, samples: u64) {
    let (config, elder, door) = (world.config_file(), elder.to_string(), server.mqtt_addr.to_string());
    let words = ["replay", "--ecg", file.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let mut command = vigil(&[&words[..], &["--elder", &elder, "--server", &door]].concat());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&answer["refused"], answer["samples"].as_u64()), (&Value::from(0), Some(samples)));
    until_stored(&server.parts.readings, samples).await;
}

async fn until_stored(readings: &Readings, samples: u64) {
    let stored = || readings.wave_totals().unwrap().1;
    let all = async {
        while stored() < samples {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{} of {samples} samples are stored", stored());
    assert_eq!(stored(), samples, "and nothing twice");
}

/// All that the store holds of an elder, by lead in the order of time, and the beginning.
fn stored(readings: &Readings, elder: ElderId) -> (Time, Leads) {
    let subject = Subject::Elder(elder);
    let stretches = readings.stretches(subject, Metric::Ecg, Time::MIN, Time::MAX, 100).unwrap();
    let first = stretches.found.iter().map(|one| one.from).min().unwrap();
    let last = stretches.found.iter().map(|one| one.to).max().unwrap();
    let mut leads = Leads::new();
    let (mut from, minute) = (first, 60_000_000);
    while from < last {
        for wave in readings.waves(subject, Metric::Ecg, from, from.plus_us(minute)).unwrap() {
            // A block that began in the minute before was taken then.
            if wave.block.start >= from {
                leads.entry(wave.block.lead).or_default().extend(wave.block.counts);
            }
        }
        from = from.plus_us(minute);
    }
    for stretch in &stretches.found {
        assert_eq!((stretch.from, stretch.to), (first, last), "one stretch a lead, without a gap");
    }
    (first, leads)
}

/// The strip endpoint's answer for ten seconds that begin `after` seconds into the recording, as a doctor gets it.
async fn strip(server: &Server, elder: ElderId, first: Time, after: i64) -> Value {
    let base = format!("http://{}", server.console_addr);
    let login = serde_json::json!({ "login": "yisheng", "password": PASSWORD });
    let answer = http().post(format!("{base}/api/login")).json(&login).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let (from, to) = (first.plus_us(after * 1_000_000), first.plus_us((after + 10) * 1_000_000));
    let path = format!("{base}/api/elders/{elder}/strip?metric=ecg&from={from}&to={to}");
    let answer = http().get(path).header("cookie", cookie).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// The strip says the same as the recording.
async fn assert_strip(server: &Server, elder: ElderId, first: Time, rate: usize, scale: f64, leads: &Leads) {
    let strip = strip(server, elder, first, 7).await;
    let shown = strip["leads"].as_array().unwrap();
    assert_eq!(shown.len(), leads.len(), "{strip}");
    for lead in shown {
        assert_eq!((&lead["rate"], lead["scale"].as_f64()), (&serde_json::json!([rate, 1]), Some(scale)));
        let parts = lead["parts"].as_array().unwrap();
        assert_eq!(parts.len(), 1, "no gap");
        let counts: Vec<i16> = serde_json::from_value(parts[0]["counts"].clone()).unwrap();
        let code = lead["lead"].as_u64().unwrap() as u32;
        assert_eq!(counts, leads[&code][7 * rate..17 * rate], "{}", lead["label"]);
    }
}

/// A real Chromium shows the strip on the elder's page.
async fn assert_drawn(server: &Server, elder: ElderId) {
    let (Some(node), Some(_)) = (tool("node"), tool("chromium")) else { return };
    let mut story = tokio::process::Command::new(node);
    story.arg("e2e/ecg.mjs").current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/console/web"));
    story.env("BASE", format!("http://{}", server.console_addr)).env("ELDER", elder.to_string());
    story.env("LOGIN", "yisheng").env("PW", PASSWORD);
    story.env("VIGIL_SHOTS", concat!(env!("CARGO_MANIFEST_DIR"), "/target/screenshots"));
    let story = story.output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&story.stdout), String::from_utf8_lossy(&story.stderr));
    eprintln!("{said}");
    assert!(story.status.success(), "{said}");
}

/// Format 212 by hand, not by the importer: pairs of 12-bit numbers in three bytes.
fn unpack_212(bytes: &[u8]) -> [Vec<i16>; 2] {
    let signed = |raw: u16| if raw >= 2_048 { raw as i16 - 4_096 } else { raw as i16 };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for triple in bytes.as_chunks::<3>().0 {
        first.push(signed(u16::from(triple[0]) + 256 * u16::from(triple[1] % 16)));
        second.push(signed(u16::from(triple[2]) + 256 * u16::from(triple[1] / 16)));
    }
    [first, second]
}

async fn served(world: &World) -> Server {
    let mut config = world.config();
    config.ingest.registry_refresh_s = 1;
    Server::start(config, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn mit_bih_100_arrives_sample_for_sample() {
    let (Some(header), Some(data)) = (shared("ecg/100.hea"), shared("ecg/100.dat")) else { return };
    let world = World::new(1, 1);
    let elder = ElderId(world.gateways[0].elders[0]);
    let server = served(&world).await;
    replay(&world, &server, elder, &header, 2 * 650_000).await;
    let (first, leads) = stored(&server.parts.readings, elder);
    let [ml, v5] = unpack_212(&std::fs::read(data).unwrap());
    assert_eq!((ml.len(), v5.len()), (650_000, 650_000));
    let code = |word: &str| lead::from_label(word).unwrap();
    let expected = Leads::from([(code("MLII"), ml), (code("V5"), v5)]);
    assert!(leads == expected, "every sample of both leads, in order");
    let bytes = server.parts.readings.stats().unwrap().file_bytes;
    eprintln!("MIT-BIH 100: {:.2} bytes a sample in readings.db", bytes as f64 / 1.3e6);
    assert_strip(&server, elder, first, 360, 0.005, &expected).await;
    assert_drawn(&server, elder).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_arrives_sample_for_sample_and_once() {
    let world = World::new(1, 1);
    let elder = ElderId(world.gateways[0].elders[0]);
    let server = served(&world).await;
    let made = [("II", made(0, 25_003)), ("V1", made(1, 25_003))];
    let file = write_record(world.dir.path(), "rec", 250, &made);
    replay(&world, &server, elder, &file, 2 * 25_003).await;
    let (first, leads) = stored(&server.parts.readings, elder);
    let expected: Leads = made.iter().map(|(word, counts)| (lead::from_label(word).unwrap(), counts.clone())).collect();
    assert_eq!(leads, expected);
    assert_strip(&server, elder, first, 250, 0.005, &expected).await;
    server.stop().await;
}

/// A health cabin's twelve leads at 250 Hz, five minutes of them as fast as they are taken.
#[tokio::test(flavor = "multi_thread")]
async fn a_cabin_takes_twelve_leads_without_loss() {
    const WORDS: [&str; 12] = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"];
    const FRAMES: usize = 250 * 300;
    let world = World::new(1, 1);
    let gateway = &world.gateways[0];
    let elder = ElderId(gateway.elders[0]);
    let server = served(&world).await;
    let made: Vec<_> = WORDS.iter().enumerate().map(|(i, word)| (*word, made(i, FRAMES))).collect();
    let file = write_record(world.dir.path(), "cabin", 250, &made);
    let text = format!(
        "host = \"127.0.0.1\"\nport = {}\nsite = \"{}\"\nname = \"{}\"\ntoken = \"{}\"\ndata_dir = {:?}\nflush_ms = 20\n\
         [[links]]\nkind = \"waveform\"\nfile = {:?}\ndevice = \"{}\"\nspeed = 0\n",
        server.mqtt_addr.port(),
        gateway.site,
        gateway.name,
        gateway.token,
        world.dir.path().join("gateway"),
        file,
        gateway.devices[0],
    );
    let config: gateway::Config = toml::from_str(&text).unwrap();
    let (stop, started) = (Stop::new(), Instant::now());
    let running = tokio::spawn(gateway::run(config, Clock::system(), stop.clone()));
    until_stored(&server.parts.readings, 12 * FRAMES as u64).await;
    let took = started.elapsed().as_secs_f64();
    stop.request();
    running.await.unwrap().unwrap();
    let (_, leads) = stored(&server.parts.readings, elder);
    let expected: Leads = made.into_iter().map(|(word, counts)| (lead::from_label(word).unwrap(), counts)).collect();
    assert!(leads == expected, "every sample of all leads, in order");
    let samples = 12.0 * FRAMES as f64;
    eprintln!(
        "twelve leads of 250 Hz for 300 s: {samples} samples from file to store in {took:.1} s, {:.0} samples/s, {:.0} times real time",
        samples / took,
        300.0 / took
    );
    server.stop().await;
}
