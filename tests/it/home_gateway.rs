//! What a gateway costs: a process of its own with ten watches that each say something once a second. Prints figures (processor,
//! memory, writes to the disk) and asserts no time; `VIGIL_MEASURE_S=60` measures longer. docs/performance.md has the figures.

use std::process::Stdio;
use std::time::{Duration, Instant};

use model::{ElderId, Metric, Subject, Time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::load::STUCK;
use crate::world::{World, vigil};

const WATCHES: usize = 10;
/// Time before the measurement begins: connections and first frames are no steady state.
const SETTLE: Duration = Duration::from_secs(2);

/// Figures of a process from /proc.
#[derive(Debug)]
struct Cost {
    cpu_s: f64,
    rss_kib: u64,
    rss_max_kib: u64,
    written: u64,
}

impl Cost {
    fn of(pid: u32) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let (stat, status, io) = (read("stat"), read("status"), read("io"));
        // Fields 14 and 15 (user, system), counted after the name in brackets.
        let times = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        let ticks: u64 = times.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        let figure = |text: &str, key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        Self {
            cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            rss_kib: figure(&status, "VmRSS:"),
            rss_max_kib: figure(&status, "VmHWM:"),
            written: figure(&io, "write_bytes:"),
        }
    }
}

/// A watch: its pulse once a second until it is dropped.
async fn watch(address: std::net::SocketAddr, number: usize) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.split();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let say = async {
        for beat in 0.. {
            ticks.tick().await;
            let content = format!("heart,{}", 60 + beat % 40);
            let frame = format!("[3G*{:010}*{:04X}*{content}]", 8_800_000_000 + number as u64, content.len());
            write.write_all(frame.as_bytes()).await.unwrap();
        }
    };
    let mut answers = [0; 256];
    let listen = async { while read.read(&mut answers).await.unwrap() > 0 {} };
    tokio::select! { () = say => {} () = listen => {} }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_watches_once_a_second_cost_little() {
    let seconds = std::env::var("VIGIL_MEASURE_S").map_or(5, |text| text.parse().unwrap());
    let world = World::new(1, WATCHES);
    let server = world.serve().await;
    let own = &world.gateways[0];
    // A port that is free now: the gateway's process does not say which one it took.
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let main = format!(
        "host = \"127.0.0.1\"\nport = {}\nsite = \"{}\"\nname = \"{}\"\ntoken = \"{}\"\ndata_dir = \"{}\"\n",
        server.mqtt_addr.port(),
        own.site,
        own.name,
        own.token,
        world.dir.path().join("gateway").display(),
    );
    let device = |(id, name): (u64, &model::Name)| {
        format!("[[devices]]\nname = \"{name}\"\ncodec = \"watch3g\"\nid = \"{id}\"\n")
    };
    let devices: String = (8_800_000_000..).zip(&own.devices).map(device).collect();
    let link = format!("[[links]]\nkind = \"tcp\"\nlisten = \"{address}\"\ncodec = \"watch3g\"\n");
    let file = world.dir.path().join("gateway.toml");
    std::fs::write(&file, [main, devices, link].concat()).unwrap();
    let mut gateway = vigil(&["gateway", "--config", file.to_str().unwrap()]);
    let mut gateway = gateway.stdout(Stdio::null()).spawn().unwrap();
    let ready = async {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(STUCK, ready).await.expect("the gateway does not listen");
    let watches: Vec<_> = (0..WATCHES).map(|number| tokio::spawn(watch(address, number))).collect();
    tokio::time::sleep(SETTLE).await;
    let (before, began) = (Cost::of(gateway.id()), Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (after, took) = (Cost::of(gateway.id()), began.elapsed().as_secs_f64());
    eprintln!(
        "{WATCHES} watches at 1 Hz, {took:.0} s: {:.2} % of one core, resident {:.1} MiB (at most {:.1}), {:.1} KiB/s written",
        100.0 * (after.cpu_s - before.cpu_s) / took,
        after.rss_kib as f64 / 1024.0,
        after.rss_max_kib as f64 / 1024.0,
        (after.written - before.written) as f64 / 1024.0 / took,
    );
    for watch in watches {
        watch.abort();
    }
    // What the watches said is at the server: the figures are those of a gateway that works.
    let readings = &server.parts.readings;
    for elder in &own.elders {
        let subject = Subject::Elder(ElderId(*elder));
        let stored = async {
            loop {
                let of = |metric| readings.raw(subject, metric, Time::MIN, Time::MAX, usize::MAX).unwrap().len() as u64;
                if of(Metric::HeartRate) + of(Metric::PulseRate) >= seconds {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(STUCK, stored).await.expect("readings are missing");
    }
    gateway.kill().unwrap();
    gateway.wait().unwrap();
    server.stop().await;
}
