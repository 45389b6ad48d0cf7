//! From the journal to the records.

use model::alarm::AlarmEventKind as Kind;
use model::entry::Entry;
use model::rule::Test;
use model::{AlarmKind, Condition, Handling, Metric, Priority};
use store::records::{NewAssignment, NewQuiet};
use vigil_alerting::Config;

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
            && rule.slug == "pulse_rate_high"
        {
            test.levels[0].limit = 120.0;
            test.levels[1].limit = 105.0;
        }
    }
    let version = world.records.save_rules(Some(world.elder), set.clone(), None, "心衰").unwrap();
    publish(&alerting).await;
    world.say(&reads(world.elder, 0, Metric::PulseRate, 125.0)).await;
    let last = world.say(&reads(world.elder, 60, Metric::PulseRate, 125.0)).await;
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
    world.records.ensure_default_rules(&engine::default_rules()).unwrap();
    let mut set = world.records.rules_for(world.elder).unwrap().set;
    set.rules.retain(|rule| rule.slug != "silence");
    world.records.save_rules(Some(world.elder), set, None, "年龄").unwrap();
    let (_, tasks) = world.start(&Config::default());
    let rules = |entry| match entry {
        Entry::Rules { elders, set, .. } => (elders, set.name),
        Entry::Aged { elders, .. } => (elders, "aged".to_owned()),
        other => panic!("{other:?}"),
    };
    let told: Vec<_> = entries(&world).into_iter().map(rules).collect();
    let (mine, default) = (vec![world.elder], (vec![], "cn-basic-v3".to_owned()));
    let expected = [default, (mine.clone(), "aged".to_owned()), (mine, "cn-basic-v3-65+own".to_owned())];
    assert_eq!(told, expected, "all of it before any frame, the default first");
    stop(tasks).await;
    // Told once: the next start has nothing to say.
    let (alerting, tasks) = world.start(&Config::default());
    publish(&alerting).await;
    assert_eq!(entries(&world).len(), 3);
    stop(tasks).await;
}

/// A doctor gives the team a template; a nurse notes that she is in hospital; it ends, and the default judges again.
#[tokio::test]
async fn layers_and_quiet_periods_reach_the_journal_when_they_are_saved_and_when_they_end() {
    let world = World::new();
    let (alerting, tasks) = world.start(&Config::default());
    let before = entries(&world).len();
    let until = at(3_600);
    let scope = model::layer::Scope::Elder(world.elder);
    let layer = "cn-elder-htn-2019".to_owned();
    let new = NewAssignment { layer, scope, from: None, until: Some(until), reason: "高血压".into() };
    world.records.assign(&new, world.doctors[0]).unwrap();
    let whose = model::Whose::Elder(world.elder);
    let stay = NewQuiet { kind: model::QuietKind::Hospital, whose, from: None, until, reason: "住院".into() };
    world.records.quiet_begin(&stay, world.doctors[0]).unwrap();
    publish(&alerting).await;
    let told = entries(&world).split_off(before);
    let version = world.records.rules_for(world.elder).unwrap().set.version;
    assert!(
        matches!(&told[..], [Entry::Rules { elders, set, .. }, Entry::Quiet(quiet)]
            if *elders == [world.elder] && set.version == version && quiet.until == until),
        "{told:?}"
    );
    world.clock.set(until);
    publish(&alerting).await;
    let told = entries(&world).split_off(before + 2);
    assert!(matches!(&told[..], [Entry::Rules { set, .. }] if set.name == "cn-basic-v3-65"), "{told:?}");
    let last = world.say(&reads(world.elder, 3_600, Metric::Systolic, 148.0)).await;
    judged(&alerting, last).await;
    assert_eq!(world.alarms().len(), 0, "148 at 86 years, by the default of the aged");
    stop(tasks).await;
}

async fn publish(alerting: &vigil_alerting::Alerting) {
    let alerting = alerting.clone();
    assert!(tokio::task::spawn_blocking(move || alerting.publish_rules()).await.unwrap());
}

fn entries(world: &World) -> Vec<Entry> {
    let batch = world.journal.reader(model::Seq(0)).read(1 << 20, std::time::Duration::ZERO).unwrap();
    batch.iter().map(|(_, bytes)| Entry::decode(bytes).unwrap()).collect()
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
