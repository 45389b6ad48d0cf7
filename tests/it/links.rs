//! How bytes arrive: a serial port, MLLP, ASTM, a watch, a kiosk, MQTT in the house. Each from the device's bytes to the reading
//! in the server's store, through a whole gateway and a whole server.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use gateway::Stats;
use model::{ElderId, Metric, Sample, Subject, Time};
use mqtt::load::LoadClient;
use runtime::{Clock, Stop};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use vigil::server::Server;

use crate::load::STUCK;
use crate::world::{World, http, tool};

/// A home with a gateway and the server it reports to.
struct House {
    world: World,
    server: Server,
    stats: Stats,
    stop: Stop,
    gateway: JoinHandle<Result<(), gateway::Error>>,
}

impl House {
    /// A gateway with these `[[devices]]` and `[[links]]`; its devices `d000`.. are worn by elders of their own.
    async fn open(devices: usize, links: &str) -> Self {
        Self::open_in(World::new(1, devices), links).await
    }

    async fn open_in(world: World, links: &str) -> Self {
        let server = world.serve().await;
        let own = &world.gateways[0];
        let text = format!(
            "host = \"127.0.0.1\"\nport = {}\nsite = \"{}\"\nname = \"{}\"\ntoken = \"{}\"\ndata_dir = \"{}\"\nflush_ms = 100\n{links}",
            server.mqtt_addr.port(),
            own.site,
            own.name,
            own.token,
            world.dir.path().join("gateway").display(),
        );
        let config: gateway::Config = toml::from_str(&text).unwrap();
        let (stats, stop) = (Stats::default(), Stop::new());
        let gateway = tokio::spawn(gateway::run_with(config, Clock::system(), stats.clone(), stop.clone()));
        Self { world, server, stats, stop, gateway }
    }

    /// Where a link listens, once it does.
    async fn address(&self, link: &str) -> SocketAddr {
        let mut found = None;
        until("the link listens", || {
            found = self.stats.links().links.get(link).and_then(|link| link.address);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Samples of a metric of the elder who wears a device, once there are `count`.
    async fn stored(&self, device: usize, metric: Metric, count: usize) -> Vec<Sample> {
        let subject = Subject::Elder(ElderId(self.world.gateways[0].elders[device]));
        let readings = &self.server.parts.readings;
        let mut found = Vec::new();
        until("the readings are in the store", || {
            found = readings.raw(subject, metric, Time::MIN, Time::MAX, usize::MAX).unwrap();
            found.len() >= count
        })
        .await;
        found.into_iter().map(|reading| reading.sample).collect()
    }

    /// Events that the server has taken, by kind.
    fn events(&self) -> BTreeMap<&'static str, usize> {
        let journal = &self.server.parts.journal;
        let mut reader = journal.reader(model::Seq(0));
        let mut kinds = BTreeMap::new();
        while reader.position() < journal.head() {
            for (_, bytes) in reader.read(1 << 20, Duration::ZERO).unwrap().iter() {
                if let Ok(model::entry::Entry::Frame(frame)) = model::entry::Entry::decode(bytes) {
                    frame.events.iter().for_each(|event| *kinds.entry(event.kind.slug()).or_default() += 1);
                }
            }
        }
        kinds
    }

    async fn close(self) {
        self.stop.request();
        self.gateway.await.unwrap().unwrap();
        self.server.stop().await;
    }
}

/// Waits for something that happens elsewhere.
async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(STUCK, waiting).await.is_ok(), "never happened: {what}");
}

fn values(samples: &[Sample]) -> Vec<Option<f64>> {
    samples.iter().map(Sample::value).collect()
}

/// Now, on the wall of a house in China.
fn wall() -> String {
    Clock::system().now().plus_us(8 * 3_600 * 1_000_000).to_string()
}

/// `yyyy<between>mm<between>dd` and `hh<between>mm` of now.
fn stamp(between: &str) -> (String, String) {
    let wall = wall();
    let (date, time) = wall.split_once('T').unwrap();
    (date.replace('-', between), time.get(..5).unwrap().replace(':', between))
}

/// A pty: the device's side of a serial port, and the path of the gateway's.
fn port() -> (File, std::path::PathBuf) {
    let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
    let device: OwnedFd = rustix::pty::openpt(flags).unwrap();
    rustix::pty::grantpt(&device).unwrap();
    rustix::pty::unlockpt(&device).unwrap();
    let path = rustix::pty::ptsname(&device, Vec::new()).unwrap();
    (File::from(device), path.into_string().unwrap().into())
}

fn point(link: &Path, to: &Path) {
    let _was = std::fs::remove_file(link);
    std::os::unix::fs::symlink(to, link).unwrap();
}

/// A line of an Omron HBP-9030, as it sends it now.
fn cuff_line(systolic: u16) -> Vec<u8> {
    let (date, time) = stamp(",");
    format!("{date},{time},00000000000000000000,0,{systolic:>3}, 82, 71,0\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cuff_on_a_serial_port_that_is_pulled_and_comes_back() {
    let (mut cuff, path) = port();
    let world = World::new(1, 1);
    let link = world.dir.path().join("port");
    point(&link, &path);
    let links = format!(
        "[[devices]]\nname = \"d000\"\ncodec = \"serial:hbp9030\"\n[[links]]\nkind = \"serial\"\ndevice = \"d000\"\n\
         path = \"{}\"\nbaud = 2400\nparity = \"even\"\nstop_bits = 2\n",
        link.display()
    );
    let house = House::open_in(world, &links).await;
    let state = |house: &House| house.stats.links().links.get("serial-1").cloned().unwrap_or_default();
    until("the port is open", || state(&house).up).await;
    cuff.write_all(&cuff_line(128)).unwrap();
    assert_eq!(values(&house.stored(0, Metric::Systolic, 1).await), [Some(128.0)]);
    // Half a line, and the plug is pulled.
    cuff.write_all(&cuff_line(199)[..20]).unwrap();
    drop(cuff);
    until("the link is down", || !state(&house).up).await;
    assert_eq!(state(&house).lost, 1);
    let (mut cuff, path) = port();
    point(&link, &path);
    until("the port is open again", || state(&house).up).await;
    // The next line is of the next minute: the cuff tells no seconds.
    cuff.write_all(&cuff_line(133)).unwrap();
    let systolic = house.stored(0, Metric::Systolic, 1).await;
    assert!(!values(&systolic).contains(&Some(199.0)), "half a line is no reading");
    until("both lines came", || state(&house).frames == 2).await;
    house.close().await;
}

/// Sends the bytes and reads until the answer is as long as expected.
async fn ask(stream: &mut TcpStream, bytes: &[u8], expected: usize) -> Vec<u8> {
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; expected];
    let read = tokio::time::timeout(STUCK, stream.read_exact(&mut answer)).await;
    read.expect("no answer in time").unwrap();
    answer
}

fn watch(id: &str, content: &str) -> Vec<u8> {
    format!("[3G*{id}*{:04X}*{content}]", content.len()).into_bytes()
}

const WATCH: &str = "[[devices]]\nname = \"d000\"\ncodec = \"watch3g\"\nid = \"8800000015\"\n\
    [[links]]\nkind = \"tcp\"\nlisten = \"127.0.0.1:0\"\ncodec = \"watch3g\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_is_answered_after_its_sos_is_safe() {
    let house = House::open(1, WATCH).await;
    let address = house.address("tcp-1").await;
    let mut device = TcpStream::connect(address).await.unwrap();
    let answer = ask(&mut device, &watch("8800000015", "LK,50,100,88"), 23).await;
    assert_eq!(String::from_utf8_lossy(&answer), "[3G*8800000015*0002*LK]");
    assert_eq!(house.stored(0, Metric::Battery, 1).await[0].value(), Some(88.0));
    let wall = wall();
    let day = format!("{}{}{}", &wall[8..10], &wall[5..7], &wall[2..4]);
    let time = wall[11..19].replace(':', "");
    let alarm = format!("AL,{day},{time},V,22.5,N,114.0,E,0,0,0,0,100,80,1000,0,00010000,0,0");
    let answer = ask(&mut device, &watch("8800000015", &alarm), 23).await;
    assert_eq!(String::from_utf8_lossy(&answer), "[3G*8800000015*0002*AL]");
    until("the SOS is at the server", || house.events().get("sos") == Some(&1)).await;
    // Pulse without a time of its own, split in the middle of the frame.
    let pulse = watch("8800000015", "heart,72");
    let (head, tail) = pulse.split_at(11);
    device.write_all(head).await.unwrap();
    device.flush().await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    device.write_all(tail).await.unwrap();
    let pulse = async {
        let heart = house.server.parts.readings.clone();
        let subject = Subject::Elder(ElderId(house.world.gateways[0].elders[0]));
        until("the pulse is in the store", || {
            [Metric::HeartRate, Metric::PulseRate].iter().any(|metric| {
                let found = heart.raw(subject, *metric, Time::MIN, Time::MAX, 10).unwrap();
                found.iter().any(|reading| reading.sample.value() == Some(72.0))
            })
        })
        .await;
    };
    pulse.await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_refused_and_told_and_a_second_connection_is_noticed() {
    let house = House::open(1, WATCH).await;
    let address = house.address("tcp-1").await;
    let mut stranger = TcpStream::connect(address).await.unwrap();
    let frame = watch("9900000099", "LK,50,100,88");
    stranger.write_all(&[frame.clone(), frame.clone(), frame].concat()).await.unwrap();
    let mut said = Vec::new();
    tokio::time::timeout(STUCK, stranger.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.is_empty(), "a stranger gets no answer");
    let links = house.stats.links();
    assert_eq!((links.strangers.len(), links.strangers_refused, links.links["tcp-1"].refused), (1, 3, 3));
    let mut first = TcpStream::connect(address).await.unwrap();
    ask(&mut first, &watch("8800000015", "LK,50,100,88"), 23).await;
    let mut second = TcpStream::connect(address).await.unwrap();
    ask(&mut second, &watch("8800000015", "LK,50,100,87"), 23).await;
    let mut rest = Vec::new();
    tokio::time::timeout(STUCK, first.read_to_end(&mut rest)).await.expect("the older connection is closed").unwrap();
    ask(&mut second, &watch("8800000015", "LK,50,100,86"), 23).await;
    until("the server knows of both", || {
        let events = house.events();
        events.get("unknown_device") == Some(&1) && events.get("device_moved") == Some(&1)
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hospital_sends_hl7_and_gets_its_ack() {
    let links = "[[devices]]\nname = \"d000\"\ncodec = \"hl7\"\n\
        [[links]]\nkind = \"tcp\"\nlisten = \"127.0.0.1:0\"\ncodec = \"hl7\"\ndevice = \"d000\"\n";
    let house = House::open(1, links).await;
    let mut sender = TcpStream::connect(house.address("tcp-1").await).await.unwrap();
    let (date, time) = stamp("");
    let message = format!(
        "\x0BMSH|^~\\&|LAB|A|VIGIL||{date}{time}00+0800||ORU^R01^ORU_R01|M-7|P|2.6\rPID|1||1001\rOBR|1|||1554-5^GLUCOSE^LN|||{date}{time}00\r\
         OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC||97|262688^MDC_DIM_PERCENT^MDC|||||F|||{date}{time}00\r\x1C\r"
    );
    sender.write_all(message.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x1C\r") {
        let mut byte = [0];
        tokio::time::timeout(STUCK, sender.read_exact(&mut byte)).await.expect("no ACK").unwrap();
        answer.push(byte[0]);
    }
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("MSA|AA|M-7"), "{answer:?}");
    assert_eq!(values(&house.stored(0, Metric::Spo2, 1).await), [Some(97.0)]);
    house.close().await;
}

/// An ASTM frame with its checksum.
fn astm(number: u8, record: &str) -> Vec<u8> {
    let body = format!("{number}{record}\r\x03");
    let sum = body.bytes().fold(0_u8, u8::wrapping_add);
    format!("\x02{body}{sum:02X}\r\n").into_bytes()
}

/// Plays an analyser that is a TCP server itself: waits for the gateway to call.
#[tokio::test(flavor = "multi_thread")]
async fn an_analyser_that_is_a_server_is_called_again_after_it_restarted() {
    let analyser = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = analyser.local_addr().unwrap();
    let links = format!(
        "[[devices]]\nname = \"d000\"\ncodec = \"astm\"\n\
         [[links]]\nkind = \"tcp\"\nconnect = \"{address}\"\ncodec = \"astm\"\ndevice = \"d000\"\n"
    );
    let house = House::open(1, &links).await;
    for glucose in ["5.6", "6.1"] {
        let (mut line, _) = tokio::time::timeout(STUCK, analyser.accept()).await.expect("nobody calls").unwrap();
        let (date, time) = stamp("");
        let seconds = if glucose == "5.6" { "01" } else { "02" };
        let records = [
            format!("H|\\^&|||POC-7|||||||P|LIS2-A2|{date}{time}00"),
            "P|1|1001".to_owned(),
            "O|1|S-9||^^^GLU|R".to_owned(),
            format!("R|1|^^^GLU^Glucose|{glucose}|mmol/L|3.9^6.1||N||F|||{date}{time}{seconds}"),
            "L|1|N".to_owned(),
        ];
        assert_eq!(ask(&mut line, b"\x05", 1).await, b"\x06", "ENQ is acknowledged");
        for (number, record) in (1..).zip(&records) {
            assert_eq!(ask(&mut line, &astm(number, record), 1).await, b"\x06", "{record}");
        }
        line.write_all(b"\x04").await.unwrap();
        // The analyser is switched off and on: the gateway calls again.
    }
    let glucose = values(&house.stored(0, Metric::Glucose, 2).await);
    assert!(glucose.contains(&Some(5.6)) && glucose.contains(&Some(6.1)), "{glucose:?}");
    assert!(house.stats.links().links["tcp-1"].lost >= 1);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kiosk_posts_json_and_senml() {
    let token = "a-token-of-the-kiosk";
    let links = format!(
        "[[devices]]\nname = \"d000\"\n[[devices]]\nname = \"d001\"\n[[devices]]\nname = \"d002\"\n\
         [[links]]\nkind = \"http\"\nlisten = \"127.0.0.1:0\"\nkiosks = [{{ devices = [\"d000\", \"d001\"], token = \"{token}\" }}]\n"
    );
    let house = House::open(3, &links).await;
    let url = format!("http://{}/v1/readings", house.address("http-1").await);
    let client = http();
    let post = |bearer: &str, form: &str, body: String| {
        let request =
            client.post(&url).header("authorization", format!("Bearer {bearer}")).header("content-type", form);
        let sent = request.body(body).send();
        async move {
            let answer = sent.await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        }
    };
    // A frame counts in milliseconds.
    let now = Time::from_millis(Clock::system().now().millis());
    let reading = r#"{"metric":"systolic","value":16,"unit":"kPa"}"#;
    let (status, said) = post(token, "application/json", format!(r#"{{"readings":[{reading}]}}"#)).await;
    assert_eq!(status, 200, "{said}");
    let systolic = house.stored(0, Metric::Systolic, 1).await;
    assert!((systolic[0].value().unwrap() - 120.01).abs() < 0.01 && systolic[0].taken_at >= now);
    let (status, said) =
        post(token, "application/json", format!(r#"{{"device":"d001","readings":[{reading}]}}"#)).await;
    assert_eq!(status, 200, "{said}");
    house.stored(1, Metric::Systolic, 1).await;
    let senml = r#"[{"n":"heart_rate","u":"beat/min","v":71}]"#;
    let (status, said) = post(token, "application/senml+json", senml.to_owned()).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(values(&house.stored(0, Metric::HeartRate, 1).await), [Some(71.0)]);
    for (bearer, form, body, expected) in [
        ("another-token-of-16", "application/json", format!(r#"{{"readings":[{reading}]}}"#), 401),
        (token, "application/json", format!(r#"{{"device":"d002","readings":[{reading}]}}"#), 403),
        (token, "application/json", r#"{"readings":[{"metric":"hr","value":1}]}"#.to_owned(), 400),
        (token, "text/plain", "hello".to_owned(), 415),
        (token, "application/json", " ".repeat(300 * 1024), 413),
    ] {
        let (status, said) = post(bearer, form, body).await;
        assert_eq!(status, expected, "{said}");
        assert!(said.contains("error") && !said.contains(token), "{said}");
    }
    house.close().await;
}

const MQTT: &str = "[[devices]]\nname = \"d000\"\n[[devices]]\nname = \"d001\"\n[[devices]]\nname = \"d002\"\n\
    [[links]]\nkind = \"mqtt\"\nlisten = \"127.0.0.1:0\"\nclients = [\n\
    { name = \"d000\", token = \"token-of-d000\" },\n\
    { name = \"d001\", token = \"token-of-d001\", dialect = \"thingsboard\" },\n\
    { name = \"d002\", token = \"token-of-d002\", dialect = \"senml\" }]\n";

#[tokio::test(flavor = "multi_thread")]
async fn devices_in_the_house_speak_mqtt() {
    let house = House::open(3, MQTT).await;
    let address = house.address("mqtt-1").await;
    let site = house.world.gateways[0].site.clone();
    let now = Clock::system().now();
    let sample = Sample::new(Metric::HeartRate, Time::from_millis(now.millis()), 77.0, model::Quality::Ok);
    let frame = mqtt::wire::WireFrame {
        epoch: 1,
        seq: 1,
        gateway_time: Time::from_millis(now.millis()),
        samples: vec![sample],
        ..mqtt::wire::WireFrame::default()
    };
    let frame = mqtt::wire::encode_cbor(&frame);
    let own = format!("vigil/1/{site}/d000/u/vit/_");
    // The frame comes twice, as after a lost PUBACK.
    publish(address, "d000", "token-of-d000", &own, &[&frame, &frame]).await.unwrap();
    publish(address, "d001", "token-of-d001", "v1/devices/me/telemetry", &[br#"{"heartRate":78}"#]).await.unwrap();
    publish(address, "d002", "token-of-d002", "senml/1", &[br#"[{"n":"heart_rate","u":"beat/min","v":79}]"#])
        .await
        .unwrap();
    for (device, value) in [(0, 77.0), (1, 78.0), (2, 79.0)] {
        assert_eq!(values(&house.stored(device, Metric::HeartRate, 1).await), [Some(value)]);
    }
    assert_eq!(house.stats.links().links["mqtt-1"].frames, 3, "the frame sent again is no second one");
    assert!(publish(address, "d000", "a wrong token", &own, &[&frame]).await.is_err());
    let other = format!("vigil/1/{site}/d000/u/vit/d001");
    assert!(publish(address, "d000", "token-of-d000", &other, &[&frame]).await.is_err(), "not its device");
    if let Some(publisher) = tool("mosquitto_pub") {
        let port = address.port().to_string();
        let words = ["-h", "127.0.0.1", "-p", &port, "-u", "token-of-d001", "-q", "1"];
        let message = ["-t", "v1/devices/me/telemetry", "-m", "{\"spo2\":97}"];
        let output = std::process::Command::new(publisher).args(words).args(message).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        house.stored(1, Metric::Spo2, 1).await;
    }
    house.close().await;
}

/// Publishes and waits for all PUBACKs.
async fn publish(address: SocketAddr, name: &str, token: &str, topic: &str, payloads: &[&[u8]]) -> std::io::Result<()> {
    let mut client = LoadClient::connect(address, name, name, token.as_bytes()).await?;
    for (tag, payload) in (0..).zip(payloads) {
        client.queue(topic, payload, tag)?;
    }
    let mut acked = Vec::new();
    while client.waiting() > 0 {
        client.turn(Duration::from_secs(1), &mut acked).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_slowed_and_the_neighbour_does_not_notice() {
    let flood = format!("[floods]\nframes_per_s = 50\nburst = 100\n{MQTT}");
    let house = House::open(3, &flood).await;
    let address = house.address("mqtt-1").await;
    let mad = tokio::spawn(async move {
        let mut client = LoadClient::connect(address, "d001", "d001", b"token-of-d001").await.unwrap();
        let mut acked = Vec::new();
        for tag in 0.. {
            while client.waiting() >= 50 {
                client.turn(Duration::from_secs(1), &mut acked).await.unwrap();
            }
            let body = format!(r#"{{"heartRate":{}}}"#, 60 + tag % 60);
            client.queue("v1/devices/me/telemetry", body.as_bytes(), tag).unwrap();
        }
    });
    until("the flood is slowed", || {
        house.stats.links().devices.iter().any(|(name, device)| name.as_str() == "d001" && device.slowed > 0)
    })
    .await;
    for value in 70..80 {
        let body = format!(r#"[{{"n":"heart_rate","u":"beat/min","v":{value}}}]"#);
        publish(address, "d002", "token-of-d002", "senml", &[body.as_bytes()]).await.unwrap();
    }
    house.stored(2, Metric::HeartRate, 10).await;
    let links = house.stats.links();
    let slowed =
        |name: &str| links.devices.iter().find(|(device, _)| device.as_str() == name).map(|(_, device)| device.slowed);
    assert_eq!(slowed("d002"), Some(0), "the neighbour is not slowed");
    until("the server is told", || house.events().get("flooding") == Some(&1)).await;
    mad.abort();
    house.close().await;
}
