//! What a gateway sounded while it was alone: in the history, on the alarm, and paged once.

#![allow(clippy::unwrap_used)]

use model::note::Push;
use model::push::PUSH_BYTES_MAX;
use model::{GatewayId, Handling, Name};

use super::*;

const HOUR_US: i64 = 3_600_000_000;
const FALL: AlarmKind = AlarmKind::Event { kind: EventKind::Fall };

fn sounded(ok: bool) -> Change {
    Change::Sounded { priority: Priority::P1, by: "command".into(), ok }
}

fn pages(house: &House, id: AlarmId) -> usize {
    house.records.alarm(id).unwrap().unwrap().pages.len()
}

#[test]
fn a_late_alarm_that_was_sounded_is_paged_once() {
    let house = house();
    let began = house.clock.now().plus_us(-8 * HOUR_US);
    let raised =
        Transition { at: began, ..house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, true)) };
    let id = raised.alarm;
    house.apply(&[raised]);
    assert_eq!(pages(&house, id), 0, "found late: a review item");
    let word = |at: Time, ok| Transition { at, ..house.change("systolic_high", began, sounded(ok)) };
    house.apply(&[word(began.plus_us(1_000_000), false)]);
    let (view, paged) = (house.view(id), pages(&house, id));
    assert_eq!(
        (view.sounded_ok, view.late, paged),
        (Some(false), true, 1),
        "it could not be heard: all the more it is paged"
    );
    house.apply(&[word(began.plus_us(3_000_000), true), word(began.plus_us(2_000_000), true)]);
    let view = house.view(id);
    assert_eq!((view.sounded_at, view.sounded_ok), (Some(began.plus_us(2_000_000)), Some(true)), "the first time");
    house.apply(&[house.change("systolic_high", began, Change::StillPresent)]);
    assert_eq!(pages(&house, id), 1, "being news is no reason to page again");
    assert_eq!(house.kinds(id), ["raised", "sounded", "sounded", "sounded", "present"]);
    assert!(house.records.audit_alarms(house.clock.now()).unwrap().is_empty());
}

#[test]
fn a_review_item_that_was_sounded_becomes_urgent() {
    let house = house();
    let began = house.clock.now().plus_us(-8 * HOUR_US);
    let raised =
        Transition { at: began, ..house.change("systolic_high", began, raised(Priority::P3, PRESSURE, began, true)) };
    let id = raised.alarm;
    house.apply(&[raised]);
    house.apply(&[Transition { at: began, ..house.change("systolic_high", began, sounded(true)) }]);
    assert_eq!((house.view(id).priority, pages(&house, id)), (Priority::P1, 1));
    assert!(house.view(id).page_due_at.is_some());
}

#[test]
fn live_and_sounded_is_one_page_in_either_order() {
    let house = house();
    let id = house.sos();
    let began = house.clock.now();
    house.apply(&[house.change("sos", began, sounded(true))]);
    assert_eq!(pages(&house, id), 1);
    house.pass(3_600);
    let now = house.clock.now();
    let both =
        [house.change("fall", now, raised(Priority::P1, FALL, now, false)), house.change("fall", now, sounded(true))];
    house.apply(&both);
    assert_eq!(pages(&house, both[0].alarm), 1);
}

#[test]
fn what_was_sounded_after_it_was_dealt_with_comes_back() {
    let house = house();
    let id = house.sos();
    let began = house.clock.now();
    house.pass(60);
    house.records.claim(id, house.dispatcher, None).unwrap();
    house.records.resolve(id, house.dispatcher, Some(Outcome::TrueHandled), "好", None).unwrap();
    let handled = house.view(id).handling;
    house.apply(&[Transition { at: began, ..house.change("sos", began, sounded(true)) }]);
    assert_eq!(house.view(id).handling, handled, "said late, of a moment before");
    house.pass(60);
    house.apply(&[house.change("sos", began, sounded(true))]);
    assert_eq!(house.view(id).handling, Handling::Open);
    assert_eq!(pages(&house, id), 2, "for the second time it is a matter for somebody");
}

#[test]
fn a_cancel_at_the_device_is_one_line() {
    let house = house();
    let id = house.sos();
    house.apply(&[house.change("sos", house.clock.now(), Change::Cancelled)]);
    assert_eq!((house.kinds(id), house.view(id).handling), (vec!["raised", "cancelled"], Handling::Open));
}

#[test]
fn pushes_count_up_are_wanted_until_answered_and_are_kept_within_limits() {
    let house = house();
    let records = &house.records;
    let site = records.create_site(&Name::new("home").unwrap()).unwrap();
    let (gateway, _) = records.create_gateway(site, &Name::new("gw-1").unwrap(), Dialect::Vigil).unwrap();
    let save = |body: &str| records.push_save(gateway, Push::Config, body, Some(house.doctor)).unwrap();
    assert_eq!((save("{}"), save("{}"), save(r#"{"port":1}"#)), (1, 1, 2), "the same body is the same version");
    let wanted = records.push_wanted(gateway).unwrap();
    assert_eq!((wanted.len(), wanted[0].version, wanted[0].body.as_str()), (1, 2, r#"{"port":1}"#));
    assert_eq!(records.gateways_to_push().unwrap(), [gateway]);
    records.push_sent(gateway, Push::Config, 2).unwrap();
    assert!(!records.push_wanted(gateway).unwrap()[0].due, "sent is not answered: it is wanted still");
    assert_eq!(records.gateways_to_push().unwrap(), []);
    house.pass(119);
    assert_eq!(records.gateways_to_push().unwrap(), [], "the answer may be on its way");
    house.pass(1);
    assert_eq!(records.gateways_to_push().unwrap(), [gateway], "the connection may have ended under it");
    assert!(records.push_wanted(gateway).unwrap()[0].due);
    records.push_sent(gateway, Push::Config, 2).unwrap();
    assert_eq!(records.gateways_to_push().unwrap(), [], "once in that time");
    house.pass(86_400);
    assert_eq!(records.gateways_to_push().unwrap(), [], "not for ever: at its next birth");
    assert_eq!(records.push_wanted(gateway).unwrap().len(), 1);
    records.push_applied(gateway, Push::Config, 1).unwrap();
    records.push_refused(gateway, Push::Config, 2, "no such key").unwrap();
    assert_eq!(records.push_wanted(gateway).unwrap(), []);
    let state = &records.push_states().unwrap()[0];
    assert_eq!((state.wanted, state.applied, state.refused.as_deref()), (2, Some(1), Some("no such key")));
    assert_eq!(save(r#"{"port":1}"#), 3, "what was refused may be tried again");
    records.push_applied(gateway, Push::Config, 3).unwrap();
    assert_eq!(records.push_states().unwrap()[0].applied, Some(3));
    for port in 0..20 {
        save(&format!("{{\"port\":{port}}}"));
    }
    let large = "x".repeat(PUSH_BYTES_MAX + 1);
    assert!(matches!(records.push_save(gateway, Push::Config, &large, None), Err(Error::TooMany { .. })));
    assert!(records.push_save(GatewayId(99), Push::Config, "{}", None).is_err(), "of no gateway");
}

#[test]
fn the_rules_of_a_gateway_are_those_of_the_elders_bound_there() {
    let house = house();
    let records = &house.records;
    let name = |text: &str| Name::new(text).unwrap();
    let site = records.create_site(&name("home")).unwrap();
    let (gateway, _) = records.create_gateway(site, &name("gw-1"), Dialect::Vigil).unwrap();
    let (other, _) = records.create_gateway(site, &name("gw-2"), Dialect::Vigil).unwrap();
    let device = records.ensure_device(gateway, &name("band-1")).unwrap();
    records.ensure_device(gateway, &name("spare")).unwrap();
    assert_eq!(records.edge_rules(&[gateway]).unwrap(), [], "nothing is known of rules yet");
    let set = model::rule::RuleSet { name: "x".into(), version: 1, source: String::new(), rules: vec![] };
    records.ensure_default_rules(&set).unwrap();
    let before = records.care_mark().unwrap();
    records.bind(device, house.elder, START, None).unwrap();
    assert_ne!(records.care_mark().unwrap(), before);
    let rules = records.edge_rules(&[gateway, other]).unwrap();
    assert_eq!((rules[0].0, rules[0].1.devices.len(), rules[1].1.devices.len()), (gateway, 1, 0));
    let elder = &rules[0].1.elders[0];
    assert_eq!((elder.elder, elder.aged, elder.set), (house.elder, true, None));
    let before = records.care_mark().unwrap();
    let layer = "palliative-test";
    records.ensure_layers(&[super::layers::off(layer, "none")]).unwrap();
    let scope = model::layer::Scope::Elder(house.elder);
    let new = NewAssignment { layer: layer.into(), scope, from: None, until: None, reason: "高龄".into() };
    records.assign(&new, house.doctor).unwrap();
    assert_eq!(records.care_mark().unwrap(), before, "gateways follow what the journal was told");
    super::layers::tell(records);
    assert_ne!(records.care_mark().unwrap(), before);
    let rules = records.edge_rules(&[gateway]).unwrap();
    let (elder, sets) = (&rules[0].1.elders[0], &rules[0].1.sets);
    assert_eq!((sets.len(), elder.set, elder.rules.as_ref()), (1, Some(0), None));
    assert_eq!(sets[0].name, "x+palliative-test@1");
    rules[0].1.check().unwrap();
}
