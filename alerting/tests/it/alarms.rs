//! From the journal to the records.

use model::alarm::AlarmEventKind as Kind;
use model::entry::Entry;
use model::rule::Test;
use model::{AlarmKind, Condition, Handling, Metric, Priority};
use vigil_alerting::{Config, publish_rules_wait};

use crate::world::{World, at, judged, kinds, reads, sos, stop};

#[tokio::test]
async fn a_desaturation_becomes_an_alarm_with_its_story() {
    let world = World::new();
    let (alerting, tasks) = world.start(&Config::default());
    for (second, value) in [(0, 96.0), (60, 88.0), (120, 87.0)] {
        world.say(&reads(world.elder, second, Metric::Spo2, value)).await;
    }
    let alarm = world.alarm_when("the alarm", |_| true).await;
    let view = &alarm.view;
    assert_eq!((view.rule.as_str(), view.priority, view.handling), ("spo2_low", Priority::P1, Handling::Open));
    assert_eq!((view.rule_zh.as_str(), view.latching), ("血氧偏低", false));
    assert_eq!((view.elder_id, view.started_at, view.raised_at), (Some(world.elder), at(60), at(120)));
    assert!(matches!(view.kind, AlarmKind::Threshold { metric: Metric::Spo2, high: false, .. }));
    let last = world.say(&reads(world.elder, 180, Metric::Spo2, 97.0)).await;
    judged(&alerting, last).await;
    let alarm = world.alarm_when("the end of it", |alarm| alarm.view.condition == Condition::Cleared).await;
    assert_eq!((kinds(&alarm)[0], alarm.view.handling), (Kind::Raised, Handling::Open), "people still have to look");
    assert!(kinds(&alarm).contains(&Kind::Cleared));
    stop(tasks).await;
}

#[tokio::test]
async fn an_entry_that_does_not_decode_is_skipped_and_counted() {
    let world = World::new();
    let (alerting, tasks) = world.start(&Config::default());
    world.journal.append_wait(vec![vec![0xff, 1, 2, 3]]).await.unwrap();
    world.journal.append_wait(vec![vec![]]).await.unwrap();
    world.say(&sos(world.elder, 10)).await;
    world.alarm_when("the SOS behind the rubbish", |alarm| alarm.view.rule == "sos").await;
    assert_eq!(alerting.stats().undecodable, 2);
    stop(tasks).await;
}

#[tokio::test]
async fn a_doctors_new_limits_judge_from_the_next_reading_on() {
    let world = World::new();
    let (alerting, tasks) = world.start(&Config::default());
    let mut set = world.records.rules_for(world.elder).unwrap().set;
    for rule in &mut set.rules {
        if let Test::Threshold(test) = &mut rule.test
            && rule.slug == "heart_rate_high"
        {
            test.levels[0].limit = 120.0;
            test.levels[1].limit = 105.0;
        }
    }
    let version = world.records.save_rules(Some(world.elder), set.clone(), None, "心衰").unwrap();
    set.version = version;
    publish_rules_wait(&world.journal, Some(world.elder), set, at(0)).await.unwrap();
    world.say(&reads(world.elder, 0, Metric::HeartRate, 125.0)).await;
    let last = world.say(&reads(world.elder, 60, Metric::HeartRate, 125.0)).await;
    let alarm = world.alarm_when("the alarm", |_| true).await;
    assert_eq!((alarm.view.priority, alarm.view.rules_version), (Priority::P1, version));
    judged(&alerting, last).await;
    assert_eq!(alerting.stats().engine.rules_refused, 0);
    stop(tasks).await;
}

/// The process ended between saving and publishing: the next start makes up for it.
#[tokio::test]
async fn rules_that_were_saved_and_not_published_come_into_force_at_the_next_start() {
    let world = World::new();
    let mut set = engine::for_age(80);
    set.version = world.records.save_rules(Some(world.elder), set.clone(), None, "年龄").unwrap();
    let (_, tasks) = world.start(&Config::default());
    let mut reader = world.journal.reader(model::Seq(0));
    let mut heads = world.journal.watch();
    heads.wait_for(|head| head.0 >= 3).await.unwrap();
    let batch = reader.read(1 << 20, std::time::Duration::ZERO).unwrap();
    let rules: Vec<_> = batch
        .iter()
        .filter_map(|(_, bytes)| match Entry::decode(bytes).unwrap() {
            Entry::Rules { elders, set, .. } => Some((elders.first().copied(), set.name)),
            Entry::Aged { aged: true, elders, .. } if elders == [world.elder] => None,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(None, "cn-basic-v3".to_owned()), (Some(world.elder), "cn-basic-v3-65".to_owned())];
    assert_eq!(rules, expected, "the default came first, before any frame");
    stop(tasks).await;
}

#[tokio::test]
async fn a_journal_older_than_the_records_is_refused_with_a_reason() {
    let world = World::new();
    world.records.apply(&[], model::Seq(99), at(0), &|_| vec![]).unwrap();
    let tasks = runtime::Tasks::new();
    let error = vigil_alerting::start(&Config::default(), &world.deps(), &tasks).unwrap_err().to_string();
    assert!(error.contains("same one") && error.contains("99"), "{error}");
}

#[tokio::test]
async fn an_elder_of_85_is_judged_by_the_wider_default_and_the_screens_show_it() {
    let world = World::new();
    let stranger = world.records.create_elder(&World::another("1990-05-06")).unwrap();
    let (alerting, tasks) = world.start(&Config::default());
    world.say(&reads(world.elder, 0, Metric::Systolic, 148.0)).await;
    let last = world.say(&reads(stranger, 0, Metric::Systolic, 148.0)).await;
    judged(&alerting, last).await;
    let alarms = world.alarms();
    assert_eq!(alarms.iter().map(|alarm| alarm.view.elder_id).collect::<Vec<_>>(), [Some(stranger)]);
    for (elder, expected) in [(world.elder, 150.0), (stranger, 140.0)] {
        let set = world.records.rules_for(elder).unwrap().set;
        let limits = set.rules.iter().find_map(|rule| match &rule.test {
            Test::Threshold(test) if rule.slug == "systolic_high" => Some(test.outermost()),
            _ => None,
        });
        assert_eq!(limits, Some(expected));
    }
    stop(tasks).await;
}

/// A button nobody wears: somebody pressed it, and somebody must look.
#[tokio::test]
async fn a_call_for_help_of_nobodys_device_pages_whoever_is_on_call() {
    let world = World::new();
    let (_, tasks) = world.start(&Config::default());
    let Entry::Frame(mut frame) = sos(world.elder, 5) else { panic!() };
    frame.subject = model::Subject::Unattributed(model::DeviceId(9));
    world.say(&Entry::Frame(frame)).await;
    let alarm = world.alarm_when("the alarm", |alarm| !alarm.pages.is_empty()).await;
    assert_eq!((alarm.view.priority, alarm.view.elder_id), (Priority::P1, None));
    assert_eq!(alarm.pages[0].person.id, world.doctors[0].0);
    stop(tasks).await;
}
