//! Frames on their way through a real journal, real records and a real readings store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use journal::Journal;
use model::entry::{Entry, Flags};
use model::{Event, EventKind, Lane, Metric, Name, Quality, Sample, Seq, Subject, Time};
use mqtt::door::{Gatekeeper, Identity, Intake, Login, LoginError, Publish, RetainedStore, Verdict};
use mqtt::{topic, wire};
use runtime::{Clock, Tasks};
use store::readings::Readings;
use store::records::{Dialect, NewElder, Records};
use vigil_ingest::{Config, Ingest};

const NOON: Time = Time::from_secs(1_800_000_000);

struct World {
    dir: tempfile::TempDir,
    clock: Clock,
    journal: Journal,
    records: Records,
    readings: Readings,
    ingest: Ingest,
    tasks: Tasks,
    gateway: Arc<Identity>,
    token: String,
    elder: model::ElderId,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(NOON);
        let records = Records::open(dir.path(), clock.clone()).unwrap();
        let site = records.create_site(&name("home")).unwrap();
        let (gateway, token) = records.create_gateway(site, &name("gw1"), Dialect::Vigil).unwrap();
        let device = records.ensure_device(gateway, &name("band")).unwrap();
        let elder = records.create_elder(&new_elder()).unwrap();
        records.bind(device, elder, Time::from_secs(0), None).unwrap();
        Self::open(dir, clock, records, token, elder)
    }

    fn open(dir: tempfile::TempDir, clock: Clock, records: Records, token: String, elder: model::ElderId) -> Self {
        let journal = Journal::open(dir.path(), "journal", &journal::Config::default()).unwrap();
        let readings = Readings::open(dir.path(), &store::readings::Config::default()).unwrap();
        let tasks = Tasks::new();
        let config = Config { tick_s: 60, writer_linger_ms: 1, ..Config::default() };
        let ingest = Ingest::start(config, dir.path(), &journal, &records, &readings, clock.clone(), &tasks).unwrap();
        let gateway = Arc::new(Gatekeeper::login(&ingest, &login("gw1", "gw1", &token)).unwrap());
        Self { dir, clock, journal, records, readings, ingest, tasks, gateway, token, elder }
    }

    async fn restart(self) -> Self {
        let Self { dir, clock, journal, records, readings, ingest, tasks, token, elder, .. } = self;
        assert!(tasks.stop(Duration::from_secs(10)).await.is_empty());
        drop((ingest, readings));
        tokio::task::spawn_blocking(move || journal.close()).await.unwrap();
        Self::open(dir, clock, records, token, elder)
    }

    async fn submit(&self, publishes: Vec<Publish>) -> Vec<Verdict> {
        let (done, verdicts) = tokio::sync::oneshot::channel();
        self.ingest.submit(&self.gateway, publishes, Box::new(move |got| done.send(got).unwrap()));
        verdicts.await.unwrap()
    }

    fn journalled(&self) -> Vec<Entry> {
        let mut reader = self.journal.reader(Seq(self.journal.first().0.saturating_sub(1)));
        let batch = reader.read(1 << 20, Duration::ZERO).unwrap();
        batch.iter().map(|(_, bytes)| Entry::decode(bytes).unwrap()).filter(|e| !matches!(e, Entry::Tick(_))).collect()
    }

    async fn until_stored(&self, count: u64) {
        while self.readings.count() < count {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.readings.count(), count);
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn new_elder() -> NewElder {
    let (name, sex) = ("测试".to_owned(), model::people::Sex::Unknown);
    NewElder {
        name,
        sex,
        birth_date: None,
        phone: String::new(),
        address: String::new(),
        notes: String::new(),
        team: None,
    }
}

fn login<'a>(client_id: &'a str, username: &'a str, token: &'a str) -> Login<'a> {
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    Login { client_id, username: Some(username), password: Some(token.as_bytes()), peer, tls: false }
}

fn publish(topic: String, payload: Vec<u8>) -> Publish {
    Publish { topic, payload: payload.into(), qos: 1, retain: false, dup: false, received_at: NOON, will: None }
}

fn frame(device: &str, seq: u64, value: f64) -> Publish {
    let at = NOON.plus_us(seq as i64 * 1_000_000);
    let samples = vec![Sample::new(Metric::HeartRate, at, value, Quality::Ok)];
    let frame = wire::WireFrame { epoch: 1, seq, gateway_time: NOON, samples, ..wire::WireFrame::default() };
    publish(topic::up(&name("home"), &name("gw1"), Lane::Vit, &name(device)), wire::encode_cbor(&frame))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_attributed_journalled_and_stored_once() {
    let world = World::new();
    assert_eq!(world.submit(vec![frame("band", 1, 72.0), frame("band", 2, 73.0)]).await, [Verdict::Stored; 2]);
    assert_eq!(world.submit(vec![frame("band", 2, 73.0)]).await, [Verdict::Duplicate]);
    let entries = world.journalled();
    assert_eq!(entries.len(), 2, "the duplicate is not journalled");
    assert!(entries.iter().all(|e| matches!(e, Entry::Frame(f) if f.subject == Subject::Elder(world.elder))));
    world.until_stored(2).await;
    let world = world.restart().await;
    assert_eq!(world.submit(vec![frame("band", 1, 72.0)]).await, [Verdict::Duplicate], "also after a restart");
    assert!(world.tasks.stop(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_device_is_registered_kept_and_nobodys() {
    let world = World::new();
    assert_eq!(world.submit(vec![frame("stranger", 1, 72.0)]).await, [Verdict::Stored]);
    let entries = world.journalled();
    assert!(matches!(&entries[..], [Entry::Frame(f)] if matches!(f.subject, Subject::Unattributed(_))), "{entries:?}");
    assert_eq!(world.ingest.counters().get("unattributed_frames"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_frame_belongs_to_who_wore_the_device_then() {
    let world = World::new();
    let device = world.records.ensure_device(world.gateway.gateway, &name("band")).unwrap();
    let other = world.records.create_elder(&new_elder()).unwrap();
    world.records.bind(device, other, NOON.plus_us(5_000_000), None).unwrap();
    world.ingest.refresh().unwrap();
    world.submit(vec![frame("band", 3, 72.0), frame("band", 6, 73.0)]).await;
    let owners: Vec<_> =
        world.journalled().into_iter().map(|e| if let Entry::Frame(f) = e { f.subject } else { panic!() }).collect();
    assert_eq!(owners, [Subject::Elder(world.elder), Subject::Elder(other)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_decode_is_quarantined_and_can_be_replayed() {
    let world = World::new();
    let up = topic::up(&name("home"), &name("gw1"), Lane::Vit, &name("band"));
    let good = frame("band", 1, 70.0);
    let verdicts = world.submit(vec![good, publish(up.clone(), b"rubbish".to_vec())]).await;
    assert!(matches!(verdicts[..], [Verdict::Stored, Verdict::Malformed(_)]), "{verdicts:?}");
    let kept = world.records.quarantine_list(10).unwrap();
    assert_eq!((kept.len(), kept[0].topic.as_str(), kept[0].bytes), (1, up.as_str(), 7));
    let error = world.ingest.replay_quarantined(kept[0].id).unwrap_err();
    assert!(error.contains("still does not decode"), "{error}");
    // The same bytes as a repaired decoder would see them: a good frame put there by hand.
    let id = world
        .records
        .quarantine_put(world.gateway.gateway, &up, &frame("band", 9, 71.0).payload, "old bug", NOON)
        .unwrap();
    world.ingest.replay_quarantined(id).unwrap();
    world.until_stored(2).await;
    assert!(world.ingest.replay_quarantined(id).is_err(), "not a second time");
}

#[tokio::test(flavor = "multi_thread")]
async fn impossible_values_and_times_are_kept_and_marked() {
    let world = World::new();
    let samples = vec![
        Sample::new(Metric::HeartRate, NOON, 900.0, Quality::Ok),
        Sample::new(Metric::Spo2, NOON.plus_us(3_600_000_000), 97.0, Quality::Ok),
        Sample::new(Metric::Systolic, Time::from_secs(5), 120.0, Quality::Ok),
    ];
    for (seq, sample) in samples.into_iter().enumerate() {
        let gateway_time = Time::from_millis(sample.taken_at.millis());
        let frame = wire::WireFrame {
            epoch: 1,
            seq: seq as u64,
            gateway_time,
            samples: vec![sample],
            ..wire::WireFrame::default()
        };
        let up = topic::up(&name("home"), &name("gw1"), Lane::Vit, &name("band"));
        assert_eq!(world.submit(vec![publish(up, wire::encode_json(&frame))]).await, [Verdict::Stored]);
    }
    let samples: Vec<Sample> =
        world.journalled().into_iter().flat_map(|e| if let Entry::Frame(f) = e { f.samples } else { vec![] }).collect();
    let marks: Vec<_> = samples.iter().map(|s| (s.quality, s.taken_at, s.value())).collect();
    assert_eq!(marks[0], (Quality::OutOfRange, NOON, Some(900.0)));
    assert_eq!(marks[1], (Quality::ClockSuspect, NOON, Some(97.0)));
    assert_eq!(marks[2], (Quality::ClockSuspect, NOON, Some(120.0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_store_delays_only_the_writer() {
    let world = World::new();
    world.readings.pause_writes(true);
    for seq in 0..50 {
        assert_eq!(world.submit(vec![frame("band", seq, 70.0)]).await, [Verdict::Stored]);
    }
    assert_eq!(world.readings.count(), 0);
    world.readings.pause_writes(false);
    world.until_stored(50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_thingsboard_device_connects_unchanged() {
    let world = World::new();
    let site = world.records.create_site(&name("home")).unwrap();
    let (gateway, token) = world.records.create_gateway(site, &name("tb1"), Dialect::Thingsboard).unwrap();
    world.ingest.refresh().unwrap();
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    let tb = Login { client_id: "anything at all", username: Some(&token), password: None, peer, tls: false };
    let identity = Arc::new(Gatekeeper::login(&world.ingest, &tb).unwrap());
    assert_eq!(identity.gateway, gateway);
    let (done, verdicts) = tokio::sync::oneshot::channel();
    let telemetry = publish("v1/devices/me/telemetry".into(), br#"{"heartRate":71,"sos":true}"#.to_vec());
    world.ingest.submit(&identity, vec![telemetry], Box::new(move |got| done.send(got).unwrap()));
    assert_eq!(verdicts.await.unwrap(), [Verdict::Stored]);
    let entries = world.journalled();
    let [Entry::Frame(frame)] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!(frame.samples[0].value(), Some(71.0));
    assert_eq!((frame.lane, frame.events[0]), (Lane::Sos, Event { kind: EventKind::Sos, at: NOON }));
    assert_eq!(frame.flags, Flags::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_retained_states() {
    let world = World::new();
    let refuse = |client, token: &str| Gatekeeper::login(&world.ingest, &login(client, "gw1", token)).unwrap_err();
    assert_eq!(refuse("gw1", "wrong"), LoginError::BadCredentials);
    assert_eq!(refuse("gw2", &world.token), LoginError::BadClientId);
    let topic = topic::state(&name("home"), &name("gw1"));
    let state = |payload: &[u8]| Publish { retain: true, ..publish(topic.clone(), payload.to_vec()) };
    let kept = || world.records.retained_all().unwrap().into_iter().map(|one| one.payload).collect::<Vec<_>>();
    // Once "stored" is said it is on disk, in whatever order the rest comes.
    let up = br#"{"state":"up"}"#;
    assert_eq!(world.submit(vec![frame("band", 1, 70.0), state(up)]).await, [Verdict::Stored; 2]);
    assert_eq!(kept(), [up.to_vec()]);
    // Without the flag, or what does not decode, changes nothing.
    assert_eq!(world.submit(vec![publish(topic.clone(), br#"{"state":"lost"}"#.to_vec())]).await, [Verdict::Stored]);
    assert!(matches!(world.submit(vec![state(b"rubbish")]).await[..], [Verdict::Malformed(_)]));
    assert_eq!(kept(), [up.to_vec()]);
    let world = world.restart().await;
    let filters = ["vigil/1/+/+/st", "vigil/1/home/gw1/st", "#", "vigil/1/home/gw1/st/#", "vigil/1/home/gw2/st", "w/#"];
    let found = filters.map(|filter| world.ingest.matching(filter, 10).len());
    assert_eq!(found, [1, 1, 1, 1, 0, 0], "it survives a restart");
    let kept = || world.records.retained_all().unwrap().len();
    assert_eq!(world.submit(vec![Publish { retain: true, ..publish(topic.clone(), vec![]) }]).await, [Verdict::Stored]);
    assert_eq!(kept(), 0, "an empty one with the flag removes it");
    assert_eq!(world.clock.now(), NOON);
}

fn wave(seq: u64, block: &str, rest: &str) -> Publish {
    let up = topic::up(&name("home"), &name("gw1"), Lane::Wav, &name("band"));
    let at = NOON.millis();
    publish(up, format!(r#"{{"v":1,"e":1,"s":{seq},"gt":{at},"w":{block}{rest}}}"#).into_bytes())
}

/// One second of 4 Hz: counts 0, -1, 1, 0.
fn good_block() -> String {
    format!(r#"{{"mdc":131328,"lead":131329,"t0":{},"hz":[4,1],"scale":0.5,"data":"AAEEAQ=="}}"#, NOON.millis() - 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waveform_is_journalled_and_stored_with_its_owner() {
    let world = World::new();
    assert_eq!(world.submit(vec![wave(1, &good_block(), "")]).await, [Verdict::Stored]);
    assert_eq!(world.submit(vec![wave(1, &good_block(), "")]).await, [Verdict::Duplicate]);
    let [Entry::Frame(kept)] = &world.journalled()[..] else { panic!() };
    let [block] = &kept.extras.waveforms[..] else { panic!() };
    assert_eq!((block.lead, block.start, &block.counts[..]), (131_329, NOON.plus_us(-1_000_000), &[0, -1, 1, 0][..]));
    while world.readings.wave_totals().unwrap().0 == 0 {
        tokio::task::yield_now().await;
    }
    let found = world.readings.waves(kept.subject, Metric::Ecg, NOON.plus_us(-1_000_000), NOON).unwrap();
    assert_eq!(found.iter().map(|wave| &wave.block).collect::<Vec<_>>(), [block]);
    assert_eq!(world.ingest.counters().get("stored_blocks"), Some(1));

    // A clock that was never set: the block ends at its arrival, and that is counted.
    let unset = good_block().replace(&(NOON.millis() - 1_000).to_string(), "5");
    assert_eq!(world.submit(vec![wave(2, &unset, "")]).await, [Verdict::Stored]);
    let [_, Entry::Frame(kept)] = &world.journalled()[..] else { panic!() };
    assert_eq!(kept.extras.waveforms[0].end(), NOON);
    assert_eq!(world.ingest.counters().get("clock_suspect_blocks"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_cannot_be_read_is_kept_whole_and_the_rest_of_its_frame_is_used() {
    let world = World::new();
    let bad = r#"{"hz":250}"#;
    assert_eq!(world.submit(vec![wave(1, bad, "")]).await, [Verdict::Malformed("waveform")]);
    assert_eq!(world.journalled(), [], "nothing of it can be stored");
    assert_eq!(world.submit(vec![wave(2, bad, r#","ev":[["sos",0]]"#)]).await, [Verdict::Stored]);
    let [Entry::Frame(kept)] = &world.journalled()[..] else { panic!() };
    assert_eq!(kept.events, [Event { kind: EventKind::Sos, at: NOON }]);
    let kept = world.records.quarantine_list(10).unwrap();
    assert_eq!(kept.len(), 2);
    assert!(kept.iter().all(|frame| frame.cause.starts_with("waveform: ")), "{kept:?}");
    assert_eq!(world.ingest.counters().get("waveform_frames"), Some(2));
    let error = world.ingest.replay_quarantined(kept[0].id).unwrap_err();
    assert!(error.contains("waveform"), "{error}");
    assert!(world.records.quarantine_list(1).unwrap()[0].replayed_at.is_none(), "still waiting for a version that can");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_an_older_version_put_aside_are_replayed_and_tell_no_event_twice() {
    let world = World::new();
    // That version journalled the SOS and kept the frame for its waveform; of another it could use nothing.
    let up = topic::up(&name("home"), &name("gw1"), Lane::Wav, &name("band"));
    let events = vec![Event { kind: EventKind::Sos, at: NOON }];
    let then = wire::WireFrame { epoch: 1, seq: 7, gateway_time: NOON, events, ..wire::WireFrame::default() };
    assert_eq!(world.submit(vec![publish(up, wire::encode_cbor(&then))]).await, [Verdict::Stored]);
    let cause = "waveform: the frame carries a waveform, which this version keeps only here";
    let keep = |publish: &Publish| {
        let (topic, payload) = (&publish.topic, &publish.payload);
        world.records.quarantine_put(world.gateway.gateway, topic, payload, cause, NOON).unwrap()
    };
    let ids = [keep(&wave(7, &good_block(), r#","ev":[["sos",0]]"#)), keep(&wave(8, &good_block(), ""))];
    for id in ids {
        world.ingest.replay_quarantined(id).unwrap();
        assert!(world.ingest.replay_quarantined(id).is_err(), "only once");
    }
    let entries = world.journalled();
    let frames: Vec<_> =
        entries.iter().map(|entry| if let Entry::Frame(frame) = entry { frame } else { panic!() }).collect();
    let told: Vec<_> = frames.iter().map(|f| (f.seq, f.events.len(), f.extras.waveforms.len())).collect();
    assert_eq!(told, [(7, 1, 0), (7, 0, 1), (8, 0, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sos_does_not_wait_for_the_rubbish_beside_it() {
    let world = World::new();
    // Another process holds the records: the desk cannot put anything into quarantine.
    let mut other = rusqlite::Connection::open(world.dir.path().join(store::records::FILE)).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let up = |lane| topic::up(&name("home"), &name("gw1"), lane, &name("band"));
    let events = vec![Event { kind: EventKind::Sos, at: NOON }];
    let sos = wire::WireFrame { epoch: 1, seq: 1, gateway_time: NOON, events, ..wire::WireFrame::default() };
    let publishes = vec![
        publish(up(Lane::Vit), b"rubbish".to_vec()),
        publish(up(Lane::Sos), wire::encode_cbor(&sos)),
        publish(up(Lane::Vit), Vec::new()),
    ];
    let (done, mut verdicts) = tokio::sync::oneshot::channel();
    world.ingest.submit(&world.gateway, publishes, Box::new(move |got| done.send(got).unwrap()));
    while world.journalled().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(verdicts.try_recv().is_err(), "the whole is answered when the quarantine has the rest");
    drop(held);
    let verdicts = verdicts.await.unwrap();
    assert_eq!(verdicts, [Verdict::Malformed("shape"), Verdict::Stored, Verdict::Malformed("empty")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sos_of_a_gateway_without_a_clock_is_an_sos_of_now() {
    let world = World::new();
    let events = vec![Event { kind: EventKind::Sos, at: Time::from_secs(40) }];
    let sos =
        wire::WireFrame { epoch: 1, seq: 1, gateway_time: Time::from_secs(40), events, ..wire::WireFrame::default() };
    let up = topic::up(&name("home"), &name("gw1"), Lane::Sos, &name("band"));
    assert_eq!(world.submit(vec![publish(up, wire::encode_cbor(&sos))]).await, [Verdict::Stored]);
    let [Entry::Frame(kept)] = &world.journalled()[..] else { panic!() };
    assert_eq!(kept.events[0].at, NOON);
    assert_eq!(world.ingest.counters().get("clock_suspect_events"), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_told_the_time_after_its_birth_and_what_was_refused() {
    let world = World::new();
    let at_door = Arc::new(world.ingest.clone());
    let config = mqtt::door::Config { listen: ([127, 0, 0, 1], 0).into(), ..mqtt::door::Config::default() };
    let (gate, intake, states) = (at_door.clone(), at_door.clone(), at_door);
    let door = mqtt::door::Door::bind(&config, gate, intake, states, world.clock.clone()).await.unwrap();
    world.ingest.attach(door.handle());
    let address = door.local_addr();
    world.tasks.spawn("mqtt.door", move |stop| door.run(stop));
    let token = world.token.clone();
    // A client of a few lines: the two messages must be what a gateway's own reader takes (gateway/src/down.rs).
    let heard = tokio::task::spawn_blocking(move || {
        let mut wire = std::net::TcpStream::connect(address).unwrap();
        let text = |text: &str| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
        let login = [text("gw1"), text("gw1"), text(&token)].concat();
        send(&mut wire, 0x10, &[text("MQTT"), vec![4, 0xc2, 0, 60], login].concat());
        assert_eq!(packet(&mut wire), (0x20, vec![0, 0]));
        send(&mut wire, 0x82, &[vec![0, 1], text("vigil/1/home/gw1/d/#"), vec![1]].concat());
        assert_eq!(packet(&mut wire).0, 0x90);
        send(&mut wire, 0x30, &[text("vigil/1/home/gw1/st"), br#"{"state":"up"}"#.to_vec()].concat());
        let time = packet(&mut wire);
        send(
            &mut wire,
            0x30,
            &[text("vigil/1/home/gw1/u/wav/band"), wave(7, r#"{"hz":250}"#, "").payload.to_vec()].concat(),
        );
        [time, packet(&mut wire)].map(|(_, body)| {
            let (topic, rest) = body[2..].split_at(usize::from(body[1]));
            let json: serde_json::Value = serde_json::from_slice(&rest[2..]).unwrap();
            (String::from_utf8(topic.to_vec()).unwrap(), json)
        })
    });
    let [(time_topic, time), (ack_topic, ack)] = heard.await.unwrap();
    assert_eq!((&*time_topic, &*ack_topic), ("vigil/1/home/gw1/d/time", "vigil/1/home/gw1/d/ack"));
    assert_eq!(time, serde_json::json!({ "ms": NOON.millis() }));
    let rejected = serde_json::json!([{ "seq": 7, "code": "waveform" }]);
    assert_eq!(ack, serde_json::json!({ "e": 1, "lane": "wav", "upto": 0, "holes": [], "rej": rejected }));
    assert!(world.tasks.stop(Duration::from_secs(10)).await.is_empty());
}

fn send(wire: &mut std::net::TcpStream, kind: u8, body: &[u8]) {
    let length = [(body.len() % 128) as u8 | if body.len() > 127 { 0x80 } else { 0 }, (body.len() / 128) as u8];
    let length = &length[..if body.len() > 127 { 2 } else { 1 }];
    std::io::Write::write_all(wire, &[&[kind], length, body].concat()).unwrap();
}

/// The next packet of fewer than 16 KiB: its type (without flags) and its body.
fn packet(wire: &mut std::net::TcpStream) -> (u8, Vec<u8>) {
    let mut byte = || {
        let mut one = [0];
        std::io::Read::read_exact(wire, &mut one).unwrap();
        one[0]
    };
    let (kind, low) = (byte(), byte());
    let length = usize::from(low & 0x7f) + if low & 0x80 == 0 { 0 } else { 128 * usize::from(byte()) };
    (kind & 0xf0, std::iter::repeat_with(byte).take(length).collect())
}

/// A door in front of the world, and a socket of the world's gateway that is logged in.
async fn connected(world: &World) -> (mqtt::door::DoorHandle, tokio::net::TcpStream) {
    let at_door = Arc::new(world.ingest.clone());
    let config = mqtt::door::Config { listen: ([127, 0, 0, 1], 0).into(), ..mqtt::door::Config::default() };
    let door = mqtt::door::Door::bind(&config, at_door.clone(), at_door.clone(), at_door, world.clock.clone());
    let door = door.await.unwrap();
    let (handle, addr) = (door.handle(), door.local_addr());
    world.ingest.attach(door.handle());
    world.tasks.spawn("door", move |stop| door.run(stop));
    let mut socket = tokio::net::TcpStream::connect(addr).await.unwrap();
    let mut body = b"\0\x04MQTT\x04\xC2\0\x3C\0\x03gw1\0\x03gw1\0".to_vec();
    body.push(u8::try_from(world.token.len()).unwrap());
    body.extend_from_slice(world.token.as_bytes());
    let connect = [&[0x10, u8::try_from(body.len()).unwrap()], &body[..]].concat();
    tokio::io::AsyncWriteExt::write_all(&mut socket, &connect).await.unwrap();
    let mut connack = [0; 4];
    tokio::io::AsyncReadExt::read_exact(&mut socket, &mut connack).await.unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    (handle, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_rights_change_is_put_out() {
    let world = World::new();
    let (door, mut socket) = connected(&world).await;
    world.ingest.refresh().unwrap();
    assert!(door.is_connected(world.gateway.gateway), "an unchanged registry disturbs nobody");
    world.records.rotate_token(world.gateway.gateway).unwrap();
    world.ingest.refresh().unwrap();
    // The link ends without waiting for the device.
    let mut rest = [0; 8];
    let ended = tokio::io::AsyncReadExt::read(&mut socket, &mut rest);
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), ended).await.unwrap().unwrap(), 0);
    assert_eq!(door.stats().closed(mqtt::door::CloseReason::Kicked), 1);
}

fn notes(seq: u64, notes: &[model::Note]) -> Publish {
    let notes = notes.iter().map(model::Note::to_text).collect();
    let frame = wire::WireFrame { epoch: 1, seq, gateway_time: NOON, notes, ..wire::WireFrame::default() };
    publish(topic::up(&name("home"), &name("gw1"), Lane::Evt, &name("_")), wire::encode_json(&frame))
}

/// What a gateway sounded is a journal entry about whoever wore the device then; a note of a later version is kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_sounded_is_in_the_journal_when_it_is_acknowledged() {
    let world = World::new();
    let began = NOON.plus_us(-3_600_000_000);
    let sounded = |device: &str, elder| model::Note::Sounded {
        elder,
        device: name(device),
        rule: "sos".into(),
        priority: model::Priority::P1,
        kind: model::AlarmKind::Event { kind: EventKind::Sos },
        started_at: began,
        sounded_at: began.plus_us(1_000_000),
        by: "command".into(),
        ok: true,
    };
    let said = [sounded("band", None), sounded("cuff", None), sounded("cuff", Some(world.elder))];
    let verdicts = world.submit(vec![notes(1, &said), notes(1, &said)]).await;
    assert_eq!(verdicts, [Verdict::Stored, Verdict::Stored]);
    let entries = world.journalled();
    let of = |entry: &Entry| match entry {
        Entry::Sounded(sounded) => Some((sounded.subject, sounded.started_at, sounded.at)),
        _ => None,
    };
    let cuff = world.records.devices().unwrap().into_iter().find(|device| device.name == name("cuff")).unwrap().id;
    let elder = Subject::Elder(world.elder);
    let found: Vec<_> = entries.iter().filter_map(of).collect();
    let expected = [elder, Subject::Unattributed(cuff), elder].map(|subject| (subject, began, NOON));
    assert!(found.starts_with(&expected), "{found:?}");
    assert_eq!(world.submit(vec![notes(1, &said)]).await, [Verdict::Duplicate]);

    let unknown = wire::WireFrame {
        epoch: 1,
        seq: 2,
        gateway_time: NOON,
        notes: vec![r#"{"k":"dance"}"#.into()],
        ..wire::WireFrame::default()
    };
    let topic = topic::up(&name("home"), &name("gw1"), Lane::Evt, &name("_"));
    assert_eq!(world.submit(vec![publish(topic, wire::encode_cbor(&unknown))]).await, [Verdict::Stored]);
    assert_eq!(world.records.quarantine_list(10).unwrap().len(), 1);
}

/// A frame of a device that many people share, with the key of who was measured.
fn shared(seq: u64, person: Option<&str>, systolic: f64) -> Publish {
    let at = NOON.plus_us(seq as i64 * 1_000);
    let frame = wire::WireFrame {
        epoch: 1,
        seq,
        gateway_time: NOON,
        flags: Flags(Flags::SHARED),
        person: person.map(str::to_owned),
        samples: vec![Sample::new(Metric::Systolic, at, systolic, Quality::Ok)],
        ..wire::WireFrame::default()
    };
    publish(topic::up(&name("home"), &name("gw1"), Lane::Vit, &name("cuff")), wire::encode_cbor(&frame))
}

fn systolic_of(world: &World, subject: Subject) -> Vec<f64> {
    let rows = world.readings.raw(subject, Metric::Systolic, Time::MIN, Time::MAX, 100).unwrap();
    rows.iter().filter_map(|row| row.sample.value()).collect()
}

/// A world with a cuff that is shared and yet, wrongly, bound to the elder.
fn cabin() -> (World, Subject) {
    let world = World::new();
    let device = world.records.ensure_device(world.gateway.gateway, &name("cuff")).unwrap();
    world.records.bind(device, world.elder, Time::from_secs(0), None).unwrap();
    world.ingest.refresh().unwrap();
    (world, Subject::Unattributed(device))
}

#[tokio::test]
async fn a_shared_device_measures_whoever_its_gateway_says_and_never_whom_it_is_bound_to() {
    use model::identity::{IdentityKey, KeyKind};
    let (world, nobody) = cabin();
    let key = IdentityKey::new([7; 32]).person(KeyKind::Card, "11010519491231002X", NOON).unwrap();
    let other = world.records.create_elder(&new_elder()).unwrap();
    world.records.add_key(other, &key, None).unwrap();
    world.ingest.refresh().unwrap();
    let unknown = format!("qr:{}", "0a".repeat(16));
    let own = format!("elder:{}", world.elder);
    let told = [
        None,
        Some("none:session_changed"),
        Some("elder:999"),
        Some("not a key"),
        Some(unknown.as_str()),
        Some(key.as_str()),
        Some(own.as_str()),
    ];
    for (seq, person) in told.iter().enumerate() {
        let verdicts = world.submit(vec![shared(1 + seq as u64, *person, 120.0 + seq as f64)]).await;
        assert_eq!(verdicts, [Verdict::Stored], "{person:?}");
    }
    world.until_stored(told.len() as u64).await;
    assert_eq!(systolic_of(&world, Subject::Elder(other)), [125.0]);
    assert_eq!(systolic_of(&world, Subject::Elder(world.elder)), [126.0]);
    assert_eq!(systolic_of(&world, nobody), [120.0, 121.0, 122.0, 123.0, 124.0]);
    let queue = world.records.measurements_of_nobody(None, 10).unwrap();
    let causes: Vec<_> = queue.iter().rev().filter_map(|one| one.cause.as_deref()).collect();
    assert_eq!(causes, ["no_session", "session_changed", "unknown_elder", "unknown_key", "unknown_key"]);
    assert_eq!(queue.iter().filter(|one| one.has_key).count(), 1);
    // The same frame again is a duplicate and no second line.
    assert_eq!(world.submit(vec![shared(1, None, 120.0)]).await, [Verdict::Duplicate]);
    assert_eq!(world.records.measurements_of_nobody(None, 10).unwrap().len(), 5);
}

#[tokio::test]
async fn an_sos_of_a_shared_device_waits_for_no_database() {
    let (world, nobody) = cabin();
    let frame = wire::WireFrame {
        epoch: 1,
        seq: 1,
        gateway_time: NOON,
        flags: Flags(Flags::SHARED),
        events: vec![Event { kind: EventKind::Sos, at: NOON }],
        ..wire::WireFrame::default()
    };
    let topic = topic::up(&name("home"), &name("gw1"), Lane::Sos, &name("cuff"));
    // Somebody holds the records' only write transaction.
    let lock = rusqlite_lock(world.dir.path());
    assert_eq!(world.submit(vec![publish(topic, wire::encode_cbor(&frame))]).await, [Verdict::Stored]);
    drop(lock);
    let Some(Entry::Frame(stored)) = world.journalled().pop() else { panic!("no frame") };
    assert_eq!(stored.subject, nobody);
    assert!(world.records.measurements_of_nobody(None, 10).unwrap().is_empty());
}

/// Keeps the records from being written while it lives.
fn rusqlite_lock(dir: &std::path::Path) -> rusqlite::Connection {
    let lock = rusqlite::Connection::open(dir.join(store::records::FILE)).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    lock
}

#[tokio::test]
async fn a_decision_moves_the_measurement_once_whenever_the_server_is_killed() {
    let (world, nobody) = cabin();
    let elder = Subject::Elder(world.elder);
    let by = world.records.create_person(&person()).unwrap();
    let verdicts = world.submit((1..=3).map(|seq| shared(seq, None, 120.0 + seq as f64)).collect()).await;
    assert_eq!(verdicts, [Verdict::Stored; 3]);
    let ids: Vec<i64> =
        world.records.measurements_of_nobody(None, 10).unwrap().iter().rev().map(|one| one.id).collect();
    let decision = |ids: &[i64], to| store::records::NewMove {
        measurements: ids.to_vec(),
        to,
        by,
        reason: "本人在场".into(),
        remember_key: false,
    };
    world.clock.set(NOON.plus_us(3_600_000_000));
    let (ingest, first) = (world.ingest.clone(), decision(&ids[..1], Some(world.elder)));
    assert_eq!(tokio::task::spawn_blocking(move || ingest.decide(&first)).await.unwrap().unwrap(), 1);
    until(|| systolic_of(&world, elder) == [121.0] && systolic_of(&world, nobody) == [122.0, 123.0]).await;
    let Some(Entry::Moved { from, frame }) = world.journalled().pop() else { panic!("not the last entry") };
    assert_eq!((from, frame.subject, frame.lane), (nobody, elder, Lane::Hist));
    assert_eq!((frame.samples[0].taken_at, frame.received_at), (NOON.plus_us(1_000), NOON.plus_us(3_600_000_000)));
    // The server dies between the records and the journal: the next start tells it.
    world.records.move_measurements(&decision(&ids[1..2], Some(world.elder))).unwrap();
    assert_eq!(world.records.moves_waiting(10).unwrap().len(), 1);
    let world = world.restart().await;
    assert!(world.records.moves_waiting(10).unwrap().is_empty());
    until(|| systolic_of(&world, elder) == [121.0, 122.0] && systolic_of(&world, nobody) == [123.0]).await;
    // It dies after the journal and before the records say so: told twice, moved once.
    let last = world.journalled().pop().unwrap();
    world.journal.append_wait(vec![last.to_bytes()]).await.unwrap();
    // And back.
    let (ingest, back) = (world.ingest.clone(), decision(&ids[..2], None));
    tokio::task::spawn_blocking(move || ingest.decide(&back)).await.unwrap().unwrap();
    until(|| systolic_of(&world, elder).is_empty() && systolic_of(&world, nobody) == [121.0, 122.0, 123.0]).await;
    let world = world.restart().await;
    until(|| systolic_of(&world, elder).is_empty() && systolic_of(&world, nobody) == [121.0, 122.0, 123.0]).await;
}

async fn until(is_so: impl Fn() -> bool) {
    let looked = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), looked).await.expect("it does not become so");
}

fn person() -> store::records::NewPerson {
    store::records::NewPerson {
        name: "护士".into(),
        phone: String::new(),
        role: model::people::Role::Nurse,
        login: "hushi".into(),
        password: "Test-only-1".into(),
        team: None,
        language: "zh".into(),
        on_call_order: None,
    }
}

#[tokio::test]
async fn the_clock_of_a_device_is_written_down() {
    let (world, nobody) = cabin();
    let pair = model::ClockPair { device: 5, gateway: NOON, sync: model::extra::sync::NTP, uncertainty_ms: 2_000 };
    let frame = wire::WireFrame {
        epoch: 1,
        seq: 1,
        gateway_time: NOON,
        clock: Some(pair),
        samples: vec![Sample::new(Metric::HeartRate, NOON, 70.0, Quality::Ok)],
        ..wire::WireFrame::default()
    };
    let topic = topic::up(&name("home"), &name("gw1"), Lane::Vit, &name("cuff"));
    assert_eq!(world.submit(vec![publish(topic, wire::encode_cbor(&frame))]).await, [Verdict::Stored]);
    let clocks = world.records.clocks().unwrap();
    assert_eq!(
        clocks.iter().map(|one| (Subject::Unattributed(one.device), one.pair)).collect::<Vec<_>>(),
        [(nobody, pair)]
    );
    assert!(
        world.records.measurements_of(world.elder, None, 10).unwrap().is_empty(),
        "its own elder's: no line needed"
    );
}
