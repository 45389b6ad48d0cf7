//! Devices that many people share.

use std::time::Duration;

use model::entry::{Entry, Flags};
use model::{Event, EventKind, Lane, Metric, Quality, Sample, Subject, Time};
use mqtt::door::{Publish, Verdict};
use mqtt::{topic, wire};

use crate::world::*;

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
