//! Applying what the engine found: one transaction, and a replay changes nothing.

#![allow(clippy::unwrap_used)]

use model::page::PageState;
use model::rule::{EventTest, Rule, RuleSet, Test};
use model::{Condition, Handling};

use super::*;

/// Everything a replay could damage.
fn picture(records: &Records) -> (Vec<AlarmView>, Vec<AlarmEventView>, usize) {
    let due = records.pages_due(Time::MAX, 1_000).unwrap().len();
    (records.alarms(AlarmFilter::default(), 1_000).unwrap(), records.alarm_events_after(0, 1_000).unwrap(), due)
}

#[test]
fn an_sos_is_an_alarm_with_a_page() {
    let house = house();
    let id = house.sos();
    let view = house.view(id);
    assert_eq!((view.priority, view.elder_name.as_deref()), (Priority::P1, Some("张三")));
    assert_eq!((view.rule_zh.as_str(), view.latching, view.elder_age), ("紧急呼叫", true, Some(86)));
    assert_eq!((view.handling, view.condition), (Handling::Open, Condition::Present));
    assert_eq!(house.kinds(id), ["raised"]);
    let due = house.records.pages_due(house.clock.now(), 10).unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].person, due[0].alarm.id), (house.doctor, id));
    assert_eq!(house.records.watch_alarm_events().borrow().to_owned(), view.seq);
}

#[test]
fn a_replay_from_any_older_cursor_changes_nothing() {
    let house = house();
    let began = house.clock.now();
    let mut log = vec![house.change("systolic_high", began, raised(Priority::P2, PRESSURE, began, false))];
    for change in [
        Change::Worsened { priority: Priority::P1, kind: PRESSURE },
        Change::Repeated { kind: PRESSURE },
        Change::DataLost,
        Change::StillPresent,
        Change::Cleared,
    ] {
        house.pass(60);
        log.push(house.change("systolic_high", began, change));
    }
    let records = &house.records;
    for (i, transition) in log.iter().enumerate() {
        let cursor = Seq(i as u64 + 1);
        records.apply(std::slice::from_ref(transition), cursor, house.clock.now(), &house.plan()).unwrap();
    }
    let before = picture(records);
    assert_eq!(before.1.len(), 6);
    assert_eq!(before.0[0].repeats, 1);

    let again = records.apply(&log, Seq(6), house.clock.now(), &house.plan()).unwrap();
    assert_eq!(again, Applied::default(), "the batch ends at the stored cursor");
    let again = records.apply(&log, Seq(9), house.clock.now(), &house.plan()).unwrap();
    assert_eq!(again, Applied::default(), "every change is recorded already");
    assert_eq!(picture(records), before);
    assert_eq!(records.alerting_cursor().unwrap(), Seq(9));
    let again = records.apply(&log, Seq(3), house.clock.now(), &house.plan()).unwrap();
    assert_eq!((again, records.alerting_cursor().unwrap()), (Applied::default(), Seq(9)), "a cursor never goes back");
    let unseen = house.change("systolic_high", house.clock.now(), raised(Priority::P1, PRESSURE, began, false));
    let again = records.apply(&[unseen], Seq(9), house.clock.now(), &house.plan()).unwrap();
    assert_eq!(again, Applied::default(), "the log up to the cursor is complete, whatever a caller says");
}

#[test]
fn a_batch_that_breaks_halfway_leaves_nothing() {
    let house = house();
    let at = house.clock.now();
    let log = [
        house.change("sos", at, raised(Priority::P1, SOS, at, false)),
        house.change("systolic_high", at, raised(Priority::P1, PRESSURE, at, false)),
    ];
    let nothing = picture(&house.records);
    let watch = house.records.watch_alarm_events();

    // The database refuses the second page ...
    let raw = rusqlite::Connection::open(house.dir.path().join(FILE)).unwrap();
    raw.execute_batch(
        "CREATE TRIGGER broken BEFORE INSERT ON page WHEN (SELECT COUNT(*) FROM page) = 1 \
         BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END",
    )
    .unwrap();
    house.records.apply(&log, Seq(1), at, &house.plan()).unwrap_err();
    assert_eq!((picture(&house.records), house.records.alerting_cursor().unwrap()), (nothing.clone(), Seq(0)));
    raw.execute_batch("DROP TRIGGER broken").unwrap();

    // ... or the plan panics.
    let plan = |view: &AlarmView| {
        assert!(view.rule == "sos", "on purpose");
        vec![page_to(house.doctor)]
    };
    let panicked = std::panic::AssertUnwindSafe(|| house.records.apply(&log, Seq(1), at, &plan));
    std::panic::catch_unwind(panicked).unwrap_err();
    assert_eq!((picture(&house.records), house.records.alerting_cursor().unwrap()), (nothing, Seq(0)));
    assert!(!watch.has_changed().unwrap(), "nothing was announced");

    let applied = house.records.apply(&log, Seq(1), at, &house.plan()).unwrap();
    assert_eq!((applied.events.len(), applied.pages), (2, 2));
    assert!(watch.has_changed().unwrap());
}

#[test]
fn what_the_data_say_never_changes_what_people_did() {
    let house = house();
    let began = house.clock.now();
    house.apply(&[house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, false))]);
    let id = AlarmId::of(Subject::Elder(house.elder), "systolic_high", began);
    house.records.claim(id, house.dispatcher, None).unwrap();
    for (change, condition) in [
        (Change::DataLost, Condition::Unknown),
        (Change::StillPresent, Condition::Present),
        (Change::Cleared, Condition::Cleared),
    ] {
        house.pass(5);
        house.apply(&[house.change("systolic_high", began, change)]);
        let view = house.view(id);
        assert_eq!((view.condition, view.handling), (condition, Handling::Claimed));
    }
    // Cleared, but a P1: it waits for an outcome, then closes at once.
    let view = house.records.resolve(id, house.dispatcher, Some(Outcome::TrueHandled), "ok", None).unwrap();
    assert_eq!(view.handling, Handling::Closed);
}

#[test]
fn resolved_while_present_closes_when_the_condition_clears() {
    let house = house();
    let began = house.clock.now();
    house.apply(&[house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, false))]);
    let id = AlarmId::of(Subject::Elder(house.elder), "systolic_high", began);
    let view = house.records.resolve(id, house.dispatcher, Some(Outcome::Referred), "", None).unwrap();
    assert_eq!(view.handling, Handling::Resolved);
    house.pass(60);
    house.apply(&[house.change("systolic_high", began, Change::Cleared)]);
    assert_eq!(house.view(id).handling, Handling::Closed);
    assert_eq!(house.kinds(id), ["raised", "resolved", "cleared", "closed"]);
}

#[test]
fn only_a_lesser_alarm_that_does_not_latch_closes_itself() {
    let house = house();
    let rule = |slug: &str, latching| Rule {
        slug: slug.into(),
        zh: "测试".into(),
        en: "test".into(),
        test: Test::Event(EventTest { event: EventKind::DeviceRemoved, priority: Priority::P3, repeat_within_s: 60 }),
        latching,
        hours: None,
    };
    let rules = vec![rule("loose", false), rule("latched", true)];
    let set = RuleSet { name: "test".into(), version: 1, source: String::new(), rules };
    house.records.ensure_default_rules(&set).unwrap();
    let at = house.clock.now();
    for (slug, priority, handling) in [
        ("loose", Priority::P3, Handling::Closed),
        ("loose", Priority::T, Handling::Closed),
        ("loose", Priority::P2, Handling::Open),
        ("latched", Priority::P3, Handling::Open),
    ] {
        house.pass(1);
        let began = house.clock.now();
        let raised = house.change(slug, began, raised(priority, PRESSURE, at, false));
        let cleared = house.change(slug, began, Change::Cleared);
        house.apply(&[raised.clone(), cleared]);
        let view = house.view(raised.alarm);
        assert_eq!((view.handling, view.condition), (handling, Condition::Cleared), "{slug} {priority:?}");
        assert_eq!(view.rule_zh, "测试");
    }
    // Whoever was paged about one that closes itself is left alone from then on.
    let began = house.clock.now();
    let raised = house.change("other", began, raised(Priority::P3, PRESSURE, at, false));
    let cleared = Transition { change: Change::Cleared, ..raised.clone() };
    let plan = |_: &AlarmView| vec![page_to(house.nurse)];
    house.records.apply(&[raised.clone(), cleared], Seq(100), began, &plan).unwrap();
    assert_eq!(house.page_of(raised.alarm, house.nurse).state, PageState::Superseded);
}

#[test]
fn pressing_again_after_it_was_closed_reopens_and_pages() {
    let house = house();
    let began = house.clock.now();
    let id = house.sos();
    let view = house.records.resolve(id, house.dispatcher, Some(Outcome::FalseAlarm), "", None).unwrap();
    assert_eq!((view.handling, view.page_due_at), (Handling::Closed, None));
    assert!(house.records.pages_due(Time::MAX, 10).unwrap().is_empty());
    house.pass(30);
    house.apply(&[house.change("sos", began, Change::Repeated { kind: SOS })]);
    let view = house.view(id);
    assert_eq!((view.handling, view.repeats, view.outcome), (Handling::Open, 1, None));
    assert_eq!(house.records.pages_due(house.clock.now(), 10).unwrap().len(), 1);
    assert!(view.page_due_at.is_some());
}

#[test]
fn late_data_is_a_review_item_but_a_late_sos_is_still_a_call_for_help() {
    let house = house();
    let began = house.clock.now().plus_us(-3_600_000_000);
    let review = house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, true));
    let applied = house.apply(std::slice::from_ref(&review));
    assert_eq!((applied.events.len(), applied.pages), (1, 0));
    assert_eq!(house.view(review.alarm).page_due_at, None);
    assert!(house.records.audit_alarms(house.clock.now()).unwrap().is_empty());
    let sos = house.change("sos", began, raised(Priority::P1, SOS, began, true));
    assert_eq!(house.apply(&[sos]).pages, 1);
    // The review item turns into news: the pressure is still too high, now.
    house.pass(60);
    let applied = house.apply(&[house.change("systolic_high", began, Change::StillPresent)]);
    assert_eq!((applied.pages, house.view(review.alarm).late), (1, false));
}

#[test]
fn an_alarm_of_an_unknown_elder_is_recorded_all_the_same() {
    let house = house();
    let subject = Subject::Elder(ElderId(999));
    let at = house.clock.now();
    let mut raised = house.change("sos", at, raised(Priority::P1, SOS, at, false));
    raised.subject = subject.to_u32();
    raised.alarm = AlarmId::of(subject, "sos", at);
    // The plan names a person who does not exist: left out, and said so.
    let plan = |_: &AlarmView| vec![page_to(PersonId(999))];
    let applied = house.records.apply(std::slice::from_ref(&raised), Seq(1), at, &plan).unwrap();
    assert_eq!(applied.pages, 0);
    let view = house.view(raised.alarm);
    assert_eq!((view.elder_id, view.elder_name.as_deref()), (Some(ElderId(999)), None));
    assert_eq!(house.kinds(raised.alarm), ["raised", "page_failed"]);
    assert!(view.page_due_at.is_some(), "somebody will be paged again");
    // A change of an alarm nobody knows is skipped, not an error that stops all alarms.
    let unknown = house.change("never_raised", at, Change::Cleared);
    assert!(house.apply(&[unknown]).events.is_empty());
}

/// What was critical in the night and is over when the data arrive waits for a person all the same.
#[test]
fn an_item_found_in_late_data_does_not_close_itself() {
    let house = house();
    let began = house.clock.now().plus_us(-3_600_000_000);
    let found = house.change("systolic_high", began, raised(Priority::P3, PRESSURE, began, true));
    house.apply(&[found.clone(), house.change("systolic_high", began, Change::Cleared)]);
    let view = house.view(found.alarm);
    assert_eq!((view.handling, view.condition, view.late), (Handling::Open, Condition::Cleared, true));
    let view = house.records.resolve(found.alarm, house.dispatcher, None, "", None).unwrap();
    assert_eq!(view.handling, Handling::Closed);
}

/// Resolved while the values were bad: bad values told again, or heard again after a silence, bring it back to people.
#[test]
fn an_alarm_resolved_while_it_stands_comes_back() {
    for back in [Change::Repeated { kind: PRESSURE }, Change::StillPresent] {
        let house = house();
        let began = house.clock.now();
        let raise = house.change("systolic_high", began, raised(Priority::P1, PRESSURE, began, false));
        house.apply(std::slice::from_ref(&raise));
        house.records.resolve(raise.alarm, house.dispatcher, Some(Outcome::TrueHandled), "", None).unwrap();
        assert_eq!(house.view(raise.alarm).handling, Handling::Resolved);
        house.pass(1_800);
        let applied = house.apply(&[house.change("systolic_high", began, back.clone())]);
        let view = house.view(raise.alarm);
        assert_eq!((view.handling, view.outcome, applied.pages), (Handling::Open, None, 1), "{back:?}");
        assert!(view.page_due_at.is_some());
    }
}

/// The engine lost its state and the beginning of the log: it calls the episode by another name, and then it gets worse.
#[test]
fn getting_worse_is_never_lost_because_the_alarm_is_not_recorded() {
    let house = house();
    let began = house.clock.now().plus_us(-1);
    let worse = house.change("systolic_high", began, Change::Worsened { priority: Priority::P1, kind: PRESSURE });
    assert_eq!(house.apply(std::slice::from_ref(&worse)).pages, 1);
    assert_eq!((house.view(worse.alarm).priority, house.view(worse.alarm).handling), (Priority::P1, Handling::Open));
    let again = house.change("sos", began, Change::Repeated { kind: SOS });
    assert_eq!(house.apply(std::slice::from_ref(&again)).pages, 1);
    assert_eq!(house.view(again.alarm).priority, Priority::P1);
    // Good news about what is not recorded is no news.
    let over = house.change("spo2_low", began, Change::Cleared);
    assert!(house.apply(std::slice::from_ref(&over)).events.is_empty());
}
