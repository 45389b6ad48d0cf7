//! Whose a frame is, and what becomes of one that is unknown, unreadable or impossible.

use std::sync::Arc;
use std::time::Duration;

use model::entry::{Entry, Flags};
use model::{Event, EventKind, Lane, Metric, Quality, Sample, Subject, Time};
use mqtt::door::{Gatekeeper, Intake, Login, LoginError, Publish, RetainedStore, Verdict};
use mqtt::{topic, wire};
use store::records::Dialect;

use crate::world::*;

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
