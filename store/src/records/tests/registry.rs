//! Gateways, devices and bindings; rules; retained messages; quarantine.

#![allow(clippy::unwrap_used)]

use model::rule::{EventTest, Rule, RuleSet, Test};
use model::{DeviceId, GatewayId, Name};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn gateway(records: &Records) -> GatewayId {
    let site = records.create_site(&name("home-1")).unwrap();
    records.create_gateway(site, &name("gw-1"), Dialect::Vigil).unwrap().0
}

#[test]
fn a_token_is_known_only_by_its_hash() {
    let house = house();
    let records = &house.records;
    let site = records.create_site(&name("home-1")).unwrap();
    assert_eq!(records.create_site(&name("home-1")).unwrap(), site, "a site is made once");
    let (id, token) = records.create_gateway(site, &name("gw-1"), Dialect::Thingsboard).unwrap();
    let found = records.gateway_by_token_sha256(&token_sha256(&token)).unwrap().unwrap();
    assert_eq!((found.id, found.site_name.as_str(), found.dialect), (id, "home-1", Dialect::Thingsboard));
    let new = records.rotate_token(id).unwrap();
    assert_eq!(records.gateway_by_token_sha256(&token_sha256(&token)).unwrap(), None);
    assert_eq!(records.gateway_by_token_sha256(&token_sha256(&new)).unwrap().unwrap().id, id);
    let twice = records.create_gateway(site, &name("gw-1"), Dialect::Vigil);
    assert!(matches!(twice, Err(Error::Invalid(_))));
    let short = records.create_gateway_with_token(site, &name("gw-2"), Dialect::Vigil, "short");
    assert!(matches!(short, Err(Error::Invalid(_))));
}

#[test]
fn a_device_has_one_elder_at_a_time_and_keeps_its_history() {
    let house = house();
    let records = &house.records;
    let gateway = gateway(records);
    let device = records.ensure_device(gateway, &name("band-1")).unwrap();
    assert_eq!(records.ensure_device(gateway, &name("band-1")).unwrap(), device);
    assert!(matches!(records.ensure_device(GatewayId(99), &name("x")), Err(Error::NotFound(_))));
    let second = records.create_elder(&new_elder("李四", None)).unwrap();
    records.bind(device, house.elder, Time(100), None).unwrap();
    records.bind(device, house.elder, Time(150), None).unwrap();
    assert!(matches!(records.bind(device, second, Time(50), None), Err(Error::Invalid(_))), "not before its start");
    records.bind(device, second, Time(200), Some(house.dispatcher)).unwrap();
    assert_eq!(records.bindings().unwrap(), [(device, second)]);
    assert_eq!(records.devices_of(second).unwrap().len(), 1);
    assert!(records.devices_of(house.elder).unwrap().is_empty());
    records.unbind(device, Time(300), None).unwrap();
    records.unbind(device, Time(400), None).unwrap();
    assert!(records.bindings().unwrap().is_empty());
    let expected = [(house.elder, 100, 200), (second, 200, 300)].map(|(elder, from, until)| Binding {
        device,
        elder,
        from: Time(from),
        until: Some(Time(until)),
    });
    assert_eq!(records.registry().unwrap().bindings, expected);
    assert!(matches!(records.bind(DeviceId(99), second, Time(1), None), Err(Error::NotFound(_))));
}

#[test]
fn rules_are_versioned_and_an_own_set_wins() {
    let house = house();
    let records = &house.records;
    assert!(matches!(records.rules_for(house.elder), Err(Error::NotFound(_))));
    let test = Test::Event(EventTest { event: EventKind::Sos, priority: Priority::P1, repeat_within_s: 60 });
    let rule =
        Rule { slug: "sos".into(), zh: "紧急呼叫".into(), en: "SOS".into(), test, hours: None, latching: true };
    let set = RuleSet { name: "shipped".into(), version: 3, source: "test".into(), rules: vec![rule] };
    assert_eq!(records.ensure_default_rules(&set).unwrap().set, set, "keeps the version it was shipped with");
    let changed = RuleSet { name: "newer".into(), ..set.clone() };
    let newer = RuleSet { version: 4, ..changed.clone() };
    assert_eq!(records.ensure_default_rules(&changed).unwrap().set, newer, "the next program brings its own");
    assert_eq!(records.ensure_default_rules(&changed).unwrap().set, newer, "once");
    let mut own = set.clone();
    own.rules[0].en = "Help".into();
    let version = records.save_rules(Some(house.elder), own, Some(house.doctor), "高龄").unwrap();
    assert_eq!(version, 5);
    let found = records.rules_for(house.elder).unwrap();
    assert_eq!((found.own, found.set.version, found.author), (true, 5, Some(house.doctor)));
    assert_eq!((found.set.name.as_str(), found.set.rules[0].en.as_str()), ("newer+own", "Help"));
    assert!(!records.rules_for(ElderId(99)).unwrap().own);
    assert_eq!(records.own_rules().unwrap().len(), 0, "nothing was told yet");
    let county = records.save_rules(None, RuleSet { name: "county".into(), ..set.clone() }, Some(house.doctor), "本县");
    assert_eq!(county.unwrap(), 6);
    assert_eq!(
        records.ensure_default_rules(&set).unwrap().set.name,
        "county",
        "what a person saved is not overwritten"
    );
    let mut bad = set.clone();
    bad.rules.push(bad.rules[0].clone());
    assert!(matches!(records.save_rules(None, bad, None, "twice"), Err(Error::Invalid(_))));
    assert!(matches!(records.save_rules(None, set, None, " "), Err(Error::Invalid(_))), "a reason is needed");
}

#[test]
fn retained_messages_are_replaced_removed_and_limited() {
    let house = house();
    let records = &house.records;
    let put = |topic: &str, payload: &[u8]| records.retained_put(GatewayId(1), topic, payload, START);
    put("a", b"1").unwrap();
    put("a", b"2").unwrap();
    put("b", b"3").unwrap();
    put("b", b"").unwrap();
    let all = records.retained_all().unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].topic.as_str(), all[0].payload.as_slice()), ("a", b"2".as_slice()));
    for i in 1..RETAINED_PER_GATEWAY_MAX {
        put(&format!("t{i}"), b"x").unwrap();
    }
    assert!(matches!(put("one-more", b"x"), Err(Error::TooMany { .. })));
    put("a", b"4").unwrap();
}

#[test]
fn a_quarantined_frame_can_be_read_and_marked() {
    let house = house();
    let records = &house.records;
    let first = records.quarantine_put(GatewayId(1), "t", b"\xff\x00", "not JSON", START).unwrap();
    let big = vec![7_u8; 1024 * 1024 + 1];
    let second = records.quarantine_put(GatewayId(1), "t", &big, "too long", START).unwrap();
    let list = records.quarantine_list(10).unwrap();
    assert_eq!(list.iter().map(|frame| frame.id).collect::<Vec<_>>(), [second, first]);
    assert!(list[0].cause.contains("cut from 1048577 bytes"));
    records.quarantine_mark_replayed(first, Time(5)).unwrap();
    let (frame, bytes) = records.quarantine_get(first).unwrap().unwrap();
    assert_eq!((frame.replayed_at, bytes.as_slice()), (Some(Time(5)), b"\xff\x00".as_slice()));
    assert!(matches!(records.quarantine_mark_replayed(99, Time(5)), Err(Error::NotFound(_))));
}

#[test]
fn a_full_quarantine_gives_up_the_oldest_and_counts_them() {
    let house = house();
    let records = &house.records;
    // The bulk by hand: ten thousand durable commits would only test the disk.
    let conn = rusqlite::Connection::open(&records.0.path).unwrap();
    conn.execute_batch(&format!(
        "INSERT INTO counter (name, last) VALUES ('quarantine', {QUARANTINE_ROWS_MAX});
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {QUARANTINE_ROWS_MAX})
         INSERT INTO quarantine (id, gateway, topic, payload, cause, at, replayed_at)
         SELECT i, 1, 't', x'00', 'c', 1, CASE WHEN i = 70 THEN 5 END FROM n"
    ))
    .unwrap();
    let newest = records.quarantine_put(GatewayId(1), "t", b"x", "c", START).unwrap();
    let kept = records.quarantine_list(QUARANTINE_ROWS_MAX).unwrap();
    assert_eq!((kept.len(), kept[0].id), (QUARANTINE_ROWS_MAX - 99, newest), "100 went for one that came");
    assert_eq!(records.quarantine_dropped(), 99, "the replayed one went first and is no loss");
    assert_eq!(kept.last().unwrap().id, 101);
}
