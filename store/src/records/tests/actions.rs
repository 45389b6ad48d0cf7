//! What people may do with an alarm, once each.

#![allow(clippy::unwrap_used)]

use model::Handling;

use super::*;

#[test]
fn a_second_seat_sees_who_has_it() {
    let house = house();
    let id = house.sos();
    let view = house.records.claim(id, house.dispatcher, None).unwrap();
    assert_eq!((view.handling, view.page_due_at), (Handling::Claimed, None));
    let lease = Timers::default().lease_p1_us;
    assert_eq!(view.claim_until, Some(house.clock.now().plus_us(lease)));
    let name = view.claimed_by.unwrap().name;
    for refused in [
        house.records.claim(id, house.other_dispatcher, None),
        house.records.release(id, house.other_dispatcher, None),
        house.records.resolve(id, house.other_dispatcher, Some(Outcome::Test), "", None),
    ] {
        assert!(matches!(refused, Err(ActionError::AlreadyClaimedBy(who)) if who == name));
    }
    let doctor = house.records.claim(id, house.doctor, None);
    assert!(matches!(doctor, Err(ActionError::NotAllowed)), "doctors accept pages");
    assert!(matches!(house.records.claim(AlarmId(1), house.dispatcher, None), Err(ActionError::Gone)));
}

#[test]
fn a_key_does_it_once() {
    let house = house();
    let id = house.sos();
    let first = house.records.note(id, house.dispatcher, "rang the bell", Some("k1")).unwrap();
    let again = house.records.note(id, house.dispatcher, "rang the bell", Some("k1")).unwrap();
    assert_eq!(first, again);
    assert_eq!(house.kinds(id), ["raised", "note"]);
    // Another person's key is another key; the same key for something else is a mistake.
    house.records.note(id, house.other_dispatcher, "me too", Some("k1")).unwrap();
    assert_eq!(house.kinds(id), ["raised", "note", "note"]);
    let reused = house.records.claim(id, house.dispatcher, Some("k1"));
    assert!(matches!(reused, Err(ActionError::KeyReused)));
    // A refused action does not use up its key.
    let refused = house.records.resolve(id, house.dispatcher, None, "", Some("k2"));
    assert!(matches!(refused, Err(ActionError::NeedsOutcome)));
    house.records.resolve(id, house.dispatcher, Some(Outcome::TrueEmergency), "", Some("k2")).unwrap();
    let audit = house.records.audit_list(None, 10).unwrap();
    let done: Vec<_> = audit.iter().map(|row| row.action.as_str()).collect();
    assert_eq!(done, ["resolve", "note", "note"]);
    assert!(audit.iter().all(|row| row.subject == format!("alarm/{id}") && row.person.is_some()));
}

#[test]
fn a_lapsed_lease_returns_the_alarm_and_pages_again() {
    let house = house();
    let id = house.sos();
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.pass(120);
    house.records.note(id, house.dispatcher, "on the phone", None).unwrap();
    house.pass(120);
    assert!(house.due().is_empty(), "the note renewed the lease");
    house.pass(61);
    assert_eq!(house.due(), [(id, Deadline::Lease)]);
    let view = house.view(id);
    assert_eq!((view.handling, view.claimed_by), (Handling::Open, None));
    assert_eq!(house.kinds(id), ["raised", "claimed", "note", "returned"]);
    assert_eq!((house.steps(), house.steps()), (1, 0), "once");
    assert_eq!(house.page_of(id, house.nurse).round, 1);
}

#[test]
fn only_their_own_team_resolves() {
    let house = house();
    let id = house.sos();
    let stranger = house.records.create_person(&new_person("sun", Role::Doctor, None, Some(1))).unwrap();
    let refused = house.records.resolve(id, stranger, Some(Outcome::Test), "", None);
    assert!(matches!(refused, Err(ActionError::NotAllowed)));
    let view = house.records.resolve(id, house.nurse, Some(Outcome::TrueHandled), "去过了", None).unwrap();
    assert_eq!(view.resolved_by.unwrap().id, house.nurse.0);
    assert_eq!(view.outcome_note.as_deref(), Some("去过了"));
    let again = house.records.resolve(id, house.dispatcher, Some(Outcome::Test), "", None);
    assert!(matches!(again, Err(ActionError::AlreadyResolved)));
    house.records.set_disabled(house.dispatcher, true).unwrap();
    let refused = house.records.note(id, house.dispatcher, "x", None);
    assert!(matches!(refused, Err(ActionError::NotAllowed)), "a disabled person does nothing");
}

#[test]
fn the_list_shows_the_most_urgent_first_and_counts() {
    let house = house();
    let mut expected = Vec::new();
    for priority in [Priority::P3, Priority::P1, Priority::T, Priority::P2] {
        house.pass(1);
        let at = house.clock.now();
        let raised = house.change(&format!("rule_{}", priority.slug()), at, raised(priority, PRESSURE, at, false));
        expected.push((priority, raised.alarm));
        house.apply(&[raised]);
    }
    expected.sort();
    let listed: Vec<_> = house.records.alarms_open(10).unwrap().iter().map(|view| (view.priority, view.id)).collect();
    assert_eq!(listed, expected);
    house.records.claim(expected[0].1, house.dispatcher, None).unwrap();
    let counts = house.records.alarm_counts().unwrap();
    assert_eq!(counts, AlarmCounts { p1: 1, p2: 1, p3: 1, t: 1, unclaimed: 3, parked: 0, grouped: 0 });
    let of_elder = AlarmFilter { elder: Some(house.elder), open: true, ..AlarmFilter::default() };
    assert_eq!(house.records.alarms(of_elder, 3).unwrap().len(), 3);
    let nobody = AlarmFilter { elder: Some(ElderId(99)), ..AlarmFilter::default() };
    assert!(house.records.alarms(nobody, 3).unwrap().is_empty());
    assert_eq!(house.records.elder(house.elder).unwrap().unwrap().open_alarms, 4);
}

#[tokio::test]
async fn events_are_announced_and_can_be_read_from_any_number() {
    let house = house();
    let mut watch = house.records.watch_alarm_events();
    let pages = house.records.pages_notify();
    let id = house.sos();
    watch.changed().await.unwrap();
    pages.notified().await;
    let last = *watch.borrow();
    let events = house.records.alarm_events_after(last - 1, 10).unwrap();
    assert_eq!(events.iter().map(|event| (event.seq, event.alarm.id)).collect::<Vec<_>>(), [(last, id)]);
    house.records.claim(id, house.dispatcher, None).unwrap();
    let events = house.records.alarm_events_after(last, 10).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].by.as_ref().unwrap().id, house.dispatcher.0);
    assert_eq!(house.records.last_alarm_event().unwrap(), events[0].seq);
}
