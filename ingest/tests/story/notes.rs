//! What a gateway says about itself.

use model::entry::Entry;
use model::{EventKind, Lane, Subject};
use mqtt::door::{Publish, Verdict};
use mqtt::{topic, wire};

use crate::world::*;

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
