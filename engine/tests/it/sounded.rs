//! What a gateway sounded during an outage and the data about it come in any order: one alarm, paged once.

use std::collections::HashSet;

use model::alarm::{Change, Transition};
use model::entry::{Entry, Flags, Frame};
use model::rule::Test;
use model::{AlarmId, DeviceId, EventKind, Lane, Metric, Priority, Quality, Sample, Seq, Sounded, Subject};
use proptest::prelude::*;
use vigil_engine::Engine;

use crate::day::{Day, ELDER, NOTHING, at, frame, word};

const HOUR: i64 = 3_600;

#[test]
fn a_word_before_the_history_is_the_alarm_and_the_history_belongs_to_it() {
    let mut day = Day::new();
    assert_eq!(day.sounded(8 * HOUR, "spo2_low", HOUR, HOUR + 31), ["late P1 spo2_low", "sounded spo2_low"]);
    assert_eq!(day.engine.present(), 1, "nobody knows better yet");
    for second in 0..20 {
        let value = if second < 10 { 85.0 } else { 97.0 };
        assert_eq!(day.reads_late(8 * HOUR, HOUR + second * 10, Metric::Spo2, value), NOTHING, "{second}");
    }
    assert_eq!(day.reads(8 * HOUR + 5, Metric::Spo2, 97.0), ["cleared spo2_low"]);
    assert_eq!(day.reads_late(8 * HOUR + 6, HOUR + 40, Metric::Spo2, 84.0), NOTHING, "uploaded again");
    assert_eq!(day.reads(8 * HOUR + 10, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads(8 * HOUR + 40, Metric::Spo2, 85.0), ["P1 spo2_low"], "a new one");
}

#[test]
fn what_still_stands_when_the_link_is_back_goes_on() {
    let mut day = Day::new();
    day.sounded(8 * HOUR, "spo2_low", HOUR, HOUR + 31);
    assert_eq!(day.reads(8 * HOUR + 5, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads(8 * HOUR + 65, Metric::Spo2, 85.0), ["repeated spo2_low"], "nobody was told for hours");
    assert_eq!(day.reads(8 * HOUR + 75, Metric::Spo2, 97.0), ["cleared spo2_low"]);
}

#[test]
fn live_values_may_come_before_the_word() {
    let mut day = Day::new();
    assert_eq!(day.reads(HOUR, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads(HOUR + 30, Metric::Spo2, 85.0), ["P1 spo2_low"]);
    assert_eq!(day.sounded(HOUR + 31, "spo2_low", HOUR - 900, HOUR - 800), ["sounded spo2_low"]);
    assert_eq!(day.reads_late(HOUR + 32, HOUR - 890, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads_late(HOUR + 33, HOUR - 790, Metric::Spo2, 85.0), NOTHING);
}

#[test]
fn what_is_over_when_the_word_comes_is_told_once_and_cleared() {
    let mut day = Day::new();
    assert_eq!(day.reads(HOUR, Metric::Spo2, 97.0), NOTHING);
    let told = day.sounded(HOUR + 31, "spo2_low", HOUR - 900, HOUR - 800);
    assert_eq!(told, ["late P1 spo2_low", "cleared spo2_low", "sounded spo2_low"]);
    assert_eq!(day.sounded(HOUR + 32, "spo2_low", HOUR - 900, HOUR - 700), ["sounded spo2_low"], "the other hook");
    assert_eq!(day.engine.present(), 0);
}

#[test]
fn a_review_item_found_in_the_history_becomes_the_alarm() {
    let mut day = Day::new();
    day.reads_late(8 * HOUR, HOUR, Metric::Spo2, 85.0);
    assert_eq!(day.reads_late(8 * HOUR, HOUR + 60, Metric::Spo2, 85.0), ["late P3 spo2_low"]);
    assert_eq!(day.sounded(8 * HOUR + 1, "spo2_low", HOUR, HOUR + 31), ["sounded spo2_low"]);
    assert_eq!(day.reads(8 * HOUR + 5, Metric::Spo2, 85.0), NOTHING, "goes on");
    assert_eq!(day.reads(8 * HOUR + 6, Metric::Spo2, 97.0), ["cleared spo2_low"]);
}

#[test]
fn an_sos_and_the_word_about_it_are_one_alarm_in_either_order() {
    let mut day = Day::new();
    assert_eq!(day.sounded(8 * HOUR, "sos", HOUR, HOUR + 1), ["late P1 sos", "sounded sos"]);
    assert_eq!(day.event(8 * HOUR, HOUR, EventKind::Sos), NOTHING, "the very press");
    assert_eq!(day.event(8 * HOUR, HOUR + 20, EventKind::Sos), ["repeated sos"], "pressed again then");
    assert_eq!(day.event(8 * HOUR, 8 * HOUR, EventKind::Sos), ["P1 sos"], "pressed now");
    assert_eq!(day.sounded(8 * HOUR, "sos", HOUR, HOUR + 21), ["sounded sos"]);

    let mut day = Day::new();
    assert_eq!(day.event(8 * HOUR, HOUR, EventKind::Fall), ["late P1 fall"]);
    assert_eq!(day.sounded(8 * HOUR, "fall", HOUR, HOUR + 1), ["sounded fall"]);
}

#[test]
fn a_rule_that_is_not_in_force_here_is_raised_all_the_same() {
    let mut day = Day::new();
    assert_eq!(
        day.sounded(8 * HOUR, "of_another_set", HOUR, HOUR),
        ["late P1 of_another_set", "sounded of_another_set"]
    );
}

#[test]
fn a_standing_word_without_any_value_becomes_unknown() {
    let mut day = Day::new();
    day.sounded(8 * HOUR, "spo2_low", HOUR, HOUR + 31);
    assert_eq!(day.tick(8 * HOUR + 590), NOTHING);
    assert_eq!(day.tick(8 * HOUR + 601), ["lost spo2_low"]);
}

#[test]
fn a_cancel_is_a_line_of_history_and_ends_nothing() {
    let mut day = Day::new();
    assert_eq!(day.event(0, 0, EventKind::Cancelled), NOTHING, "of nothing");
    day.event(10, 10, EventKind::Sos);
    assert_eq!(day.event(20, 20, EventKind::Cancelled), ["cancelled sos"]);
    assert_eq!(day.event(30, 30, EventKind::Sos), ["repeated sos"]);
    assert_eq!(day.event(2 * HOUR, 2 * HOUR, EventKind::Cancelled), NOTHING, "too long ago");
}

#[test]
fn an_alarm_without_a_name_is_a_call_for_help_by_any_rules() {
    let mut day = Day::new();
    assert_eq!(day.event(0, 0, EventKind::UnspecifiedAlarm), ["P1 unspecified_alarm"]);
    let mut old = vigil_engine::default_rules();
    old.rules.retain(|rule| rule.slug == "sos");
    let mut day = Day::with(old);
    assert_eq!(day.event(0, 0, EventKind::UnspecifiedAlarm), ["P1 sos"]);
}

#[test]
fn faults_of_devices_are_technical_whoever_wears_them() {
    for (kind, expected) in [
        (EventKind::DeviceError, "T device_error"),
        (EventKind::DeviceMoved, "T device_moved"),
        (EventKind::UnknownDevice, "T unknown_device"),
    ] {
        let mut day = Day::new();
        let events = vec![model::Event { kind, at: at(0) }];
        let subject = Subject::Unattributed(DeviceId(9));
        assert_eq!(day.told(&Entry::Frame(Frame { events, subject, lane: Lane::Evt, ..frame(0) })), [expected]);
        assert_eq!(day.event(1, 1, kind), [expected]);
    }
    assert_eq!(Day::new().event(0, 0, EventKind::Collision), ["P2 collision"]);
}

/// Which alarms people are called to: raised as news, or sounded by a gateway; and P1 or P2.
fn paged(told: &[Transition]) -> HashSet<AlarmId> {
    let news = |transition: &&Transition| match transition.change {
        Change::Raised { late: false, priority, .. } | Change::Worsened { priority, .. } => priority <= Priority::P2,
        Change::Sounded { .. } => true,
        _ => false,
    };
    told.iter().filter(news).map(|transition| transition.alarm).collect()
}

/// A crisis of SpO2 in an outage, value by value as the gateway sees it (a value every ten seconds), and what it sounds.
fn outage(values: &[Sample]) -> Vec<Sounded> {
    let mut edge = Engine::new(vigil_engine::default_rules());
    let mut words = Vec::new();
    for (seq, sample) in (1..).zip(values) {
        let mut out = Vec::new();
        let second = (sample.taken_at.micros() - at(0).micros()) / 1_000_000;
        edge.step(Seq(seq), &Entry::Frame(Frame { samples: vec![*sample], ..frame(second) }), &mut out);
        for transition in out {
            if let Change::Raised { priority: Priority::P1, started_at, .. } = transition.change {
                words.push(Sounded { started_at, sounded_at: transition.at, ..word(second, "spo2_low", 0, 0) });
            }
        }
    }
    words
}

fn spo2(second: i64, value: f64) -> Sample {
    Sample::new(Metric::Spo2, at(second), value, Quality::Ok)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// One crisis, sounded once; the gateway's word, the history (in pieces, oldest or newest first) and the live values come
    /// in any order: people are called to exactly one alarm, and it says that it was sounded.
    #[test]
    fn one_crisis_is_one_page(
        began in 0_i64..20, lasts in 4_usize..30, calm in 0_usize..30, back_after in 0_i64..20_000,
        piece in 1_usize..12, newest_first: bool, word_after in 0_usize..6, live_after in 0_usize..6, again: bool,
    ) {
        let beyond = (0..lasts).map(|n| spo2(began + n as i64 * 10, 85.0));
        let within = (0..calm).map(|n| spo2(began + (lasts + n) as i64 * 10, 98.0));
        let values: Vec<Sample> = beyond.chain(within).collect();
        let words = outage(&values);
        prop_assert_eq!(words.len(), 1);
        let last = began + (lasts + calm) as i64 * 10;
        let back = last + back_after;
        let mut now = back;
        let mut frame_of = |samples: Vec<Sample>, lane| {
            now += 1;
            let flags = Flags(if lane == Lane::Hist { Flags::HIST } else { 0 });
            Entry::Frame(Frame { samples, lane, flags, ..frame(now) })
        };
        let mut log: Vec<Entry> = values.chunks(piece).map(|part| frame_of(part.to_vec(), Lane::Hist)).collect();
        if newest_first {
            log.reverse();
        }
        // Live values go on as the outage ended: calm when it had calmed.
        let live: Vec<Entry> = (0..3)
            .map(|n| frame_of(vec![spo2(back + n, if calm == 0 { 85.0 } else { 98.0 })], Lane::Vit))
            .collect();
        let at_live = live_after.min(log.len());
        log.splice(at_live..at_live, live);
        let said = Entry::Sounded(Sounded { at: at(back), ..words[0].clone() });
        let at_word = word_after.min(log.len());
        log.insert(at_word, said.clone());
        if again {
            log.push(said);
        }
        // The log's own order is the order of receipt.
        let mut engine = Engine::new(vigil_engine::default_rules());
        let mut told = Vec::new();
        for (seq, entry) in (1..).zip(&log) {
            engine.step(Seq(seq), entry, &mut told);
        }
        let paged = paged(&told);
        prop_assert_eq!(paged.len(), 1, "{:#?}", told);
        let sounded = |transition: &Transition| matches!(transition.change, Change::Sounded { .. });
        prop_assert!(told.iter().any(|transition| sounded(transition) && paged.contains(&transition.alarm)));
        prop_assert_eq!(told[0].elder(), Some(ELDER));
    }
}

#[test]
fn the_rules_that_may_sound_exist() {
    let urgent = |rule: &model::rule::Rule| match &rule.test {
        Test::Threshold(test) => test.levels.first().is_some_and(|level| level.priority == Priority::P1),
        Test::Event(test) => test.priority == Priority::P1,
        _ => false,
    };
    let rules = vigil_engine::default_rules().rules;
    let slugs: Vec<&str> = rules.iter().filter(|rule| urgent(rule)).map(|rule| rule.slug.as_str()).collect();
    assert!(["sos", "fall", "unspecified_alarm", "spo2_low"].iter().all(|slug| slugs.contains(slug)), "{slugs:?}");
}
