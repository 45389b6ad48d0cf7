//! Waveform blocks, and those that cannot be read.

use model::entry::Entry;
use model::{Event, EventKind, Lane, Metric};
use mqtt::door::{Publish, Verdict};
use mqtt::{topic, wire};

use crate::world::*;

pub(crate) fn wave(seq: u64, block: &str, rest: &str) -> Publish {
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
