//! Shared devices: keys, the queue, decisions and their way to the journal.

use model::identity::{IdentityKey, KeyKind, Nobody};
use model::{DeviceId, ElderId, GatewayId, Lane, PersonKey, Subject, Time};

use super::*;
use crate::records::{Error, NewMeasurement, NewMove};

fn card(number: &str) -> PersonKey {
    IdentityKey::new([7; 32]).person(KeyKind::Card, number, START).unwrap()
}

fn measurement(seq: u64, elder: Option<ElderId>) -> NewMeasurement {
    NewMeasurement {
        gateway: GatewayId(1),
        lane: Lane::Vit,
        epoch: 1,
        seq,
        device: DeviceId(4),
        taken_at: Time::from_secs(1_000 + seq as i64),
        received_at: Time::from_secs(1_001 + seq as i64),
        elder,
        cause: elder.is_none().then_some(Nobody::NoSession.slug()),
        unknown_key: None,
        frame: vec![1, 2, 3],
    }
}

#[test]
fn a_card_is_one_elders() {
    let world = house();
    let (one, other) = (world.elder, world.records.create_elder(&new_elder("李四", None)).unwrap());
    let key = card("11010519491231002X");
    world.records.add_key(one, &key, None).unwrap();
    world.records.add_key(one, &key, None).unwrap();
    let error = world.records.add_key(other, &key, None).unwrap_err().to_string();
    assert!(error.contains(&format!("elder {one}")) && !error.contains(key.as_str()), "{error}");
    assert!(matches!(
        world.records.add_key(ElderId(999), &card("990000194503010081"), None),
        Err(Error::NotFound("elder"))
    ));
    assert!(world.records.add_key(one, &PersonKey::elder(other), None).is_err(), "a number needs no registration");
    let keys = world.records.keys_of(one).unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(world.records.registry().unwrap().keys, [(key.as_str().to_owned(), one)]);
    world.records.remove_key(one, &keys[0].fingerprint, None).unwrap();
    assert!(world.records.registry().unwrap().keys.is_empty());
    world.records.add_key(other, &key, None).unwrap();
}

#[test]
fn a_measurement_told_again_is_whose_people_said_it_is() {
    let world = house();
    let (elder, by) = (world.elder, world.nurse);
    let nobody = Subject::Unattributed(DeviceId(4));
    assert_eq!(world.records.measurement_put(&measurement(1, None)).unwrap(), nobody);
    assert_eq!(world.records.measurement_put(&measurement(1, None)).unwrap(), nobody);
    let queue = world.records.measurements_of_nobody(None, 10).unwrap();
    assert_eq!(queue.len(), 1);
    let decide =
        |to| NewMove { measurements: vec![queue[0].id], to, by, reason: "本人在场".into(), remember_key: false };
    assert_eq!(world.records.move_measurements(&decide(Some(elder))).unwrap(), 1);
    assert_eq!(world.records.move_measurements(&decide(Some(elder))).unwrap(), 0, "it is there already");
    assert_eq!(world.records.measurement_put(&measurement(1, None)).unwrap(), Subject::Elder(elder));
    assert!(world.records.measurements_of_nobody(None, 10).unwrap().is_empty());
    let found = world.records.measurements_of(elder, None, 10).unwrap();
    assert_eq!((found[0].moves.len(), found[0].moves[0].to, found[0].moves[0].by), (1, Subject::Elder(elder), by));
    assert_eq!(world.records.move_measurements(&decide(None)).unwrap(), 1);
    let queue = world.records.measurements_of_nobody(None, 10).unwrap();
    assert_eq!(queue[0].cause.as_deref(), Some("taken_back"));
    let audit = world.records.audit_list(None, 10).unwrap();
    let told: Vec<_> = audit.iter().filter(|row| row.action == "attribute").map(|row| row.detail.as_str()).collect();
    assert_eq!(told, [format!("from elder/{elder} to device/4"), format!("from device/4 to elder/{elder}")]);
    assert!(audit.iter().all(|row| !row.detail.contains("本人")), "what people write stays out of the audit");
}

#[test]
fn decisions_wait_for_the_journal_in_their_order() {
    let world = house();
    let (one, other, by) = (world.elder, world.records.create_elder(&new_elder("李四", None)).unwrap(), world.nurse);
    for seq in 1..=3 {
        world.records.measurement_put(&measurement(seq, None)).unwrap();
    }
    let ids: Vec<i64> = world.records.measurements_of_nobody(None, 10).unwrap().iter().map(|one| one.id).collect();
    let decide = |ids: &[i64], to| NewMove {
        measurements: ids.to_vec(),
        to: Some(to),
        by,
        reason: "x".into(),
        remember_key: false,
    };
    world.records.move_measurements(&decide(&ids, one)).unwrap();
    world.records.move_measurements(&decide(&ids[..1], other)).unwrap();
    let waiting = world.records.moves_waiting(10).unwrap();
    assert_eq!(waiting.len(), 4);
    assert_eq!((waiting[3].from, waiting[3].to), (Subject::Elder(one), Subject::Elder(other)));
    assert!(waiting.windows(2).all(|pair| pair[0].id < pair[1].id));
    world.records.moves_journalled(&[waiting[0].id, waiting[1].id]).unwrap();
    assert_eq!(world.records.moves_waiting(10).unwrap()[0].id, waiting[2].id);
    // All of a decision or nothing.
    assert!(world.records.move_measurements(&decide(&[ids[1], 999], other)).is_err());
    assert_eq!(world.records.moves_waiting(10).unwrap().len(), 2);
    assert!(world.records.move_measurements(&NewMove { reason: " ".into(), ..decide(&ids, other) }).is_err());
}

#[test]
fn an_unknown_card_can_be_remembered_with_the_decision() {
    let world = house();
    let (elder, by) = (world.elder, world.nurse);
    let key = card("990000194503010081");
    let told = NewMeasurement {
        cause: Some(Nobody::UnknownKey.slug()),
        unknown_key: Some(key.clone()),
        ..measurement(1, None)
    };
    world.records.measurement_put(&told).unwrap();
    let queue = world.records.measurements_of_nobody(None, 10).unwrap();
    assert!(queue[0].has_key);
    let decision =
        NewMove {
            measurements: vec![queue[0].id], to: Some(elder), by, reason: "新证件".into(), remember_key: true
        };
    world.records.move_measurements(&decision).unwrap();
    assert_eq!(world.records.registry().unwrap().keys, [(key.as_str().to_owned(), elder)]);
}
