//! Limits of channels, their health, and people's addresses in them.

use model::{Handling, Priority};

use super::*;

const MINUTE_US: i64 = 60_000_000;

fn sliding(house: &House, count: u32, us: i64) -> SendLimit {
    SendLimit { count, since: house.clock.now().plus_us(-us), until: None }
}

#[test]
fn a_limit_of_any_minute_lets_the_next_through_when_the_first_has_left_it() {
    let house = house();
    let take = |house: &House, target: &str| {
        house.records.take_quota("aliyun_voice", target, &[sliding(house, 2, MINUTE_US)]).unwrap()
    };
    let start = house.clock.now();
    assert!(matches!(take(&house, "1"), Quota::Taken(_)));
    house.pass(20);
    assert!(matches!(take(&house, "1"), Quota::Taken(_)));
    house.pass(20);
    assert_eq!(take(&house, "1"), Quota::Until(start.plus_us(MINUTE_US)));
    assert!(matches!(take(&house, "2"), Quota::Taken(_)), "another number has its own limit");
    house.pass(20);
    assert!(matches!(take(&house, "1"), Quota::Taken(_)), "the first has left the minute");
    assert_eq!(take(&house, "1"), Quota::Until(start.plus_us(MINUTE_US + 20_000_000)));
}

#[test]
fn a_used_up_day_is_remembered_over_a_restart_and_ends_at_midnight() {
    let house = house();
    let midnight = house.clock.now().plus_us(3_600_000_000);
    let day = |house: &House| SendLimit {
        count: 2,
        since: midnight.plus_us(-24 * 3_600_000_000),
        until: Some(if house.clock.now() < midnight { midnight } else { midnight.plus_us(24 * 3_600_000_000) }),
    };
    for _ in 0..2 {
        assert!(matches!(house.records.take_quota("tencent_sms", "1", &[day(&house)]).unwrap(), Quota::Taken(_)));
    }
    let path = house.dir.path().to_owned();
    let again = Records::open(&path, house.clock.clone()).unwrap();
    assert_eq!(again.take_quota("tencent_sms", "1", &[day(&house)]).unwrap(), Quota::Until(midnight));
    assert_eq!(again.quota_used("tencent_sms", midnight.plus_us(-24 * 3_600_000_000)).unwrap(), (2, 2));
    house.pass(3_601);
    let next_day = SendLimit { since: midnight, ..day(&house) };
    assert!(matches!(again.take_quota("tencent_sms", "1", &[next_day]).unwrap(), Quota::Taken(_)));
}

#[test]
fn what_did_not_go_out_does_not_count() {
    let house = house();
    let limit = sliding(&house, 1, MINUTE_US);
    let Quota::Taken(id) = house.records.take_quota("x", "", &[limit]).unwrap() else { panic!("refused") };
    assert!(matches!(house.records.take_quota("x", "", &[limit]).unwrap(), Quota::Until(_)));
    house.records.give_back_quota(id).unwrap();
    assert!(matches!(house.records.take_quota("x", "", &[limit]).unwrap(), Quota::Taken(_)));
    house.pass(3 * 24 * 3_600);
    house.records.sweep_channels().unwrap();
    assert_eq!(house.records.quota_used("x", Time(0)).unwrap(), (0, 0));
}

fn result(ok: bool, canary: bool) -> ChannelResult<'static> {
    ChannelResult { channel: "aliyun_sms", zh: "阿里云短信", en: "Aliyun SMS", ok, canary, detail: "HTTP 500" }
}

#[test]
fn a_channel_that_fails_again_and_again_raises_one_technical_alarm_until_it_works() {
    let house = house();
    let alarms = || house.records.alarms(AlarmFilter::default(), 10).unwrap();
    for dead in [false, false, true, true] {
        assert_eq!(house.records.channel_result(&result(false, false)).unwrap(), dead);
        house.pass(10);
    }
    let [alarm] = alarms().try_into().unwrap();
    assert_eq!((alarm.priority, alarm.rule.as_str(), alarm.elder_id), (Priority::T, "channel_aliyun_sms", None));
    assert_eq!(alarm.rule_zh, "寻呼通道失效:阿里云短信");
    assert_eq!(alarm.page_due_at, None, "nobody is paged about a channel by a channel");
    let health = house.records.channel_health().unwrap().remove(0);
    assert_eq!((health.failures, health.detail.as_str(), health.dead_since.is_some()), (4, "HTTP 500", true));
    assert!(!house.records.channel_result(&result(true, false)).unwrap());
    assert_eq!(house.view(alarm.id).handling, Handling::Closed, "nobody had taken it: it went by itself");
    assert_eq!(house.kinds(alarm.id), ["raised", "cleared", "closed"]);
    let health = house.records.channel_health().unwrap().remove(0);
    assert_eq!((health.failures, health.dead_since, health.canary_at), (0, None, None));
    // Another time is another alarm.
    house.pass(60);
    house.records.channel_result(&result(false, true)).unwrap();
    assert_ne!(alarms()[0].id, alarm.id, "a test that fails is enough");
}

#[test]
fn an_address_belongs_to_a_person_and_a_channel() {
    let house = house();
    let records = &house.records;
    records.set_contact(house.doctor, "smtp", Some("li@example.org"), house.dispatcher).unwrap();
    records.set_contact(house.doctor, "wecom_app", Some(" li.jianhua "), house.dispatcher).unwrap();
    assert_eq!(records.contact(house.doctor, "wecom_app").unwrap().as_deref(), Some("li.jianhua"));
    assert_eq!(records.contact(house.nurse, "wecom_app").unwrap(), None);
    records.flag_contact(house.doctor, "smtp").unwrap();
    let of = |records: &Records| records.contacts_of(house.doctor).unwrap();
    assert!(of(records)[0].refused_at.is_some());
    records.set_contact(house.doctor, "smtp", Some("jianhua@example.org"), house.dispatcher).unwrap();
    assert_eq!(of(records)[0].refused_at, None, "a new address is tried anew");
    records.set_contact(house.doctor, "smtp", None, house.dispatcher).unwrap();
    assert_eq!(of(records).len(), 1);
    for bad in ["", " ", "two\nlines"] {
        assert!(records.set_contact(house.doctor, "smtp", Some(bad), house.dispatcher).is_err(), "{bad:?}");
    }
    let long = "x".repeat(ADDRESS_CHARS_MAX + 1);
    assert!(records.set_contact(house.doctor, "smtp", Some(&long), house.dispatcher).is_err());
    assert!(records.set_contact(PersonId(99), "smtp", Some("a@b.c"), house.dispatcher).is_err());
    let audit = records.audit_list(None, 10).unwrap();
    assert!(audit.iter().all(|row| row.action == "set_contact" && !row.detail.contains('@')));
}
