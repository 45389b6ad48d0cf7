//! Stories of quiet periods and of the hours of rules: what they mute, what they never mute, and how they end by themselves.

use model::entry::{Entry, Frame};
use model::quiet::{Quiet, QuietKind, Whose};
use model::rule::{Hours, RuleSet};
use model::{DeviceId, ElderId, EventKind, Metric, Quality, Sample};

use crate::day::{Day, ELDER, NOTHING, at, frame};
use crate::kinds::{CUFF, LOWS, NEWS2, WEIGHT, only};

const HOUR: i64 = 3_600;
/// `at(MIDNIGHT)` is midnight in Shanghai.
const MIDNIGHT: i64 = 8 * HOUR;

fn quiet(id: u32, kind: QuietKind, from: i64, until: i64) -> Entry {
    let whose = if kind == QuietKind::Maintenance { Whose::Device(DeviceId(3)) } else { Whose::Elder(ELDER) };
    Entry::Quiet(Quiet { id, kind, whose, from: at(from), until: at(until), at: at(from.min(0)) })
}

/// The default, with hours for one rule.
fn with_hours(slug: &str, hours: &str) -> RuleSet {
    let mut set = vigil_engine::default_rules();
    let rule = set.rules.iter_mut().find(|rule| rule.slug == slug).unwrap();
    rule.hours = Some(Hours::parse(hours).unwrap());
    set.check().unwrap();
    set
}

#[test]
fn a_traveller_is_not_missed_and_counts_anew_from_the_return() {
    let mut day = Day::new();
    day.wears(0);
    assert_eq!(day.told(&quiet(1, QuietKind::Travel, 600, 10 * HOUR)), NOTHING);
    assert_eq!(day.tick(5 * HOUR), NOTHING);
    assert_eq!(day.tick(10 * HOUR + 1_799), NOTHING);
    assert_eq!(day.tick(10 * HOUR + 1_800), ["T silence"], "half an hour after the return");
}

#[test]
fn a_silence_that_stood_before_the_journey_is_none_of_its_matter() {
    let mut day = Day::new();
    day.wears(0);
    day.told(&quiet(1, QuietKind::Travel, 2_000, 10 * HOUR));
    assert_eq!(day.tick(1_800), ["T silence"]);
}

#[test]
fn what_a_traveller_wears_is_judged() {
    let mut day = Day::new();
    day.told(&quiet(1, QuietKind::Travel, 0, 10 * HOUR));
    assert_eq!(day.reads(60, Metric::Glucose, 3.0), ["P1 glucose_low"]);
}

#[test]
fn in_hospital_others_watch_the_values_and_a_call_is_still_a_call() {
    let mut day = Day::new();
    day.reads(0, Metric::Spo2, 85.0);
    assert_eq!(day.reads(60, Metric::Spo2, 85.0), ["P1 spo2_low"]);
    day.told(&quiet(1, QuietKind::Hospital, 100, 10 * HOUR));
    assert_eq!(day.reads(120, Metric::Glucose, 3.0), NOTHING);
    assert_eq!(day.engine.counters().quiet, 1);
    assert_eq!(day.event(130, 130, EventKind::Sos), ["P1 sos"]);
    assert_eq!(day.event(140, 140, EventKind::Fall), ["P1 fall"]);
    assert_eq!(day.event(150, 150, EventKind::UnspecifiedAlarm), ["P1 unspecified_alarm"]);
    assert_eq!(day.tick(700), ["lost spo2_low"], "what stood is unknown from here");
    assert_eq!(day.tick(5 * HOUR), NOTHING, "no silence");
    assert_eq!(day.reads(10 * HOUR, Metric::Spo2, 86.0), ["still spo2_low"], "and it ended by itself");
    assert_eq!(day.reads_late(11 * HOUR, 3 * HOUR, Metric::Glucose, 2.5), NOTHING, "taken in hospital, told later");
    assert_eq!(day.reads_late(11 * HOUR, 10, Metric::Glucose, 2.5), ["late P3 glucose_low"], "taken before");
}

#[test]
fn a_question_for_a_second_measurement_does_not_follow_into_hospital() {
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    day.told(&quiet(1, QuietKind::Hospital, 100, 10 * HOUR));
    assert_eq!(day.tick(700), NOTHING);
}

#[test]
fn maintenance_mutes_one_device() {
    let mut day = Day::new();
    day.told(&quiet(1, QuietKind::Maintenance, 0, 10 * HOUR));
    assert_eq!(day.reads(60, Metric::Glucose, 3.0), NOTHING);
    assert_eq!(day.event(61, 61, EventKind::DeviceError), NOTHING);
    assert_eq!(day.event(62, 62, EventKind::Sos), ["P1 sos"]);
    let samples = vec![Sample::new(Metric::Glucose, at(70), 3.0, Quality::Ok)];
    let other = Frame { device: DeviceId(4), samples, ..frame(70) };
    assert_eq!(day.told(&Entry::Frame(other)), ["P1 glucose_low"], "the other meter is not served");
    assert_eq!(day.event(10 * HOUR, 10 * HOUR, EventKind::DeviceError), ["T device_error"]);
}

#[test]
fn a_later_word_with_the_same_number_replaces_the_first() {
    let mut day = Day::new();
    day.told(&quiet(1, QuietKind::Hospital, 0, 10 * HOUR));
    assert_eq!(day.reads(60, Metric::Glucose, 3.0), NOTHING);
    day.told(&quiet(1, QuietKind::Hospital, 0, 100));
    assert_eq!(day.reads(120, Metric::Glucose, 3.0), ["P1 glucose_low"], "home early");
    // Even when it was about somebody else.
    let whose = Whose::Elder(ElderId(9));
    day.told(&quiet(2, QuietKind::Hospital, 0, 10 * HOUR));
    let moved = Quiet { id: 2, kind: QuietKind::Hospital, whose, from: at(0), until: at(10 * HOUR), at: at(0) };
    day.told(&Entry::Quiet(moved));
    assert_eq!(day.reads(200, Metric::Glucose, 20.0), ["P1 glucose_high", "cleared glucose_low"]);
}

#[test]
fn a_period_without_sense_or_end_is_refused() {
    let mut day = Day::new();
    day.told(&quiet(1, QuietKind::Hospital, 0, 91 * 24 * HOUR));
    day.told(&quiet(2, QuietKind::Hospital, 100, 0));
    assert_eq!(day.engine.counters().quiet_refused, 2);
    assert_eq!(day.reads(120, Metric::Glucose, 3.0), ["P1 glucose_low"]);
}

#[test]
fn only_so_many_periods_are_kept_and_they_are_saved() {
    let mut day = Day::new();
    for id in 0..30 {
        let from = i64::from(id) * HOUR;
        day.told(&quiet(id, QuietKind::Hospital, from, from + 60));
    }
    let bytes = day.engine.save();
    let mut back = day.reloaded();
    assert_eq!(back.engine.save(), bytes);
    assert_eq!(back.reads(29 * HOUR + 10, Metric::Glucose, 3.0), NOTHING);
    assert_eq!(back.reads(29 * HOUR + 70, Metric::Glucose, 3.0), ["P1 glucose_low"]);
}

#[test]
fn outside_its_hours_a_rule_raises_nothing_and_what_stands_goes_on() {
    let mut day = Day::with(with_hours("systolic_high", "07:00-22:00"));
    let night = MIDNIGHT + 2 * HOUR;
    assert_eq!(day.reads(night, Metric::Systolic, 150.0), NOTHING);
    assert_eq!(day.engine.counters().asleep, 1);
    let morning = MIDNIGHT + 7 * HOUR;
    assert_eq!(day.reads(morning, Metric::Systolic, 150.0), ["P3 systolic_high"], "still so when the rule wakes");
    assert_eq!(day.reads(night + 24 * HOUR, Metric::Systolic, 130.0), ["cleared systolic_high"], "ends at any hour");
}

#[test]
fn what_was_raised_by_day_gets_worse_at_night_too() {
    let mut day = Day::with(with_hours("pulse_rate_high", "07:00-22:00"));
    let evening = MIDNIGHT + 22 * HOUR - 60;
    day.reads(evening - 60, Metric::PulseRate, 120.0);
    assert_eq!(day.reads(evening, Metric::PulseRate, 120.0), ["P2 pulse_rate_high"]);
    day.reads(evening + 120, Metric::PulseRate, 140.0);
    assert_eq!(day.reads(evening + 180, Metric::PulseRate, 140.0), ["worsened P1 pulse_rate_high"]);
}

#[test]
fn a_silence_that_comes_due_at_night_waits_for_the_morning() {
    let mut day = Day::with(with_hours("silence", "07:00-22:00"));
    day.wears(MIDNIGHT + 23 * HOUR);
    assert_eq!(day.tick(MIDNIGHT + 24 * HOUR), NOTHING);
    assert_eq!(day.tick(MIDNIGHT + 31 * HOUR - 1), NOTHING);
    assert_eq!(day.tick(MIDNIGHT + 31 * HOUR), ["T silence"]);
    let mut day = Day::with(with_hours("silence", "07:00-22:00"));
    day.wears(MIDNIGHT + 23 * HOUR);
    day.reads(MIDNIGHT + 30 * HOUR + 3_000, Metric::PulseRate, 70.0);
    assert_eq!(day.tick(MIDNIGHT + 31 * HOUR), NOTHING, "heard before the rule woke");
}

#[test]
fn a_missed_second_measurement_waits_for_the_hours_of_its_rule() {
    let set = only("cuff", &format!("hours = \"07:00-22:00\"\n{}", CUFF.replace("140.0", "159.0")));
    let mut day = Day::with(set);
    let evening = MIDNIGHT + 22 * HOUR - 60;
    assert_eq!(day.reads(evening, Metric::Systolic, 186.0), ["P3 cuff", "remeasure cuff"]);
    assert_eq!(day.tick(evening + 700), NOTHING);
    assert_eq!(day.tick(MIDNIGHT + 31 * HOUR), ["worsened P2 cuff"]);
}

#[test]
fn the_other_kinds_sleep_too() {
    let night = MIDNIGHT + 2 * HOUR;
    let hours = "hours = \"07:00-22:00\"";
    let mut day = Day::with(only("lows", &format!("{hours}\n{LOWS}")));
    for second in [0, 60, 120] {
        assert_eq!(day.reads(night + second, Metric::Glucose, 3.0), NOTHING);
    }
    assert_eq!(day.reads(MIDNIGHT + 8 * HOUR, Metric::Glucose, 3.0), ["P2 lows"]);
    let mut day = Day::with(only("weight", &format!("{hours}\n{WEIGHT}")));
    day.reads(night, Metric::Weight, 70.0);
    assert_eq!(day.reads(night + 24 * HOUR, Metric::Weight, 73.0), NOTHING);
    assert_eq!(day.reads(MIDNIGHT + 32 * HOUR, Metric::Weight, 73.0), ["P2 weight"]);
    let mut day = Day::with(only("news2", &format!("{hours}\n{NEWS2}")));
    assert_eq!(day.reads(night, Metric::RespiratoryRate, 26.0), NOTHING);
    assert_eq!(day.reads(MIDNIGHT + 7 * HOUR, Metric::RespiratoryRate, 26.0), ["P2 news2"]);
}
