//! Stories of the further kinds of rules: a second measurement, change over days, scores, counts, silence of one metric.

use model::alarm::{AlarmKind, Change};
use model::entry::{Entry, Frame};
use model::rule::{Rule, RuleSet};
use model::{Metric, Priority, Quality, Sample};

use crate::day::{Day, NOTHING, at, frame, say};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// `at(MORNING)` is 08:00 in Shanghai.
const MORNING: i64 = DAY - 1_800_000_000 % DAY;

/// A set of one rule, as it stands in a file.
pub(crate) fn only(slug: &str, rule: &str) -> RuleSet {
    let text = format!("slug = \"{slug}\"\nzh = \"一\"\nen = \"one\"\n{rule}");
    let rule: Rule = toml::from_str(&text).unwrap();
    let set = RuleSet { name: "one".into(), version: 1, source: "a test".into(), rules: vec![rule] };
    set.check().unwrap();
    set
}

pub(crate) const WEIGHT: &str = r#"test.trend = { metric = "weight", side = "high", by = 2.0, against = { last_days = { days = 3 } }, priority = "P2" }"#;
pub(crate) const LOWS: &str =
    r#"test.count = { metric = "glucose", side = "low", limit = 3.9, count = 3, within_s = 604800, priority = "P2" }"#;
pub(crate) const NEWS2: &str = r#"
[test.score]
score = "news2"
window_s = 900
single_three = "P2"
levels = [{ priority = "P1", at_least = 7 }, { priority = "P2", at_least = 5 }]
"#;
pub(crate) const CUFF: &str = r#"
[test.threshold]
metric = "systolic"
side = "high"
clear_margin = 5.0
confirm = { within_s = 600, unconfirmed = "P2" }
levels = [
  { priority = "P1", limit = 180.0, hold_s = 60 },
  { priority = "P2", limit = 160.0, hold_s = 60 },
  { priority = "P3", limit = 140.0, hold_s = 0 },
]
"#;

/// Several values at once.
fn reads(day: &mut Day, second: i64, values: &[(Metric, f64)]) -> Vec<String> {
    day.told(&values_at(second, values))
}

fn values_at(second: i64, values: &[(Metric, f64)]) -> Entry {
    let sample = |(metric, value): &(Metric, f64)| Sample::new(*metric, at(second), *value, Quality::Ok);
    Entry::Frame(Frame { samples: values.iter().map(sample).collect(), ..frame(second) })
}

#[test]
fn morning_is_morning() {
    assert_eq!(at(MORNING).to_string().get(11..19), Some("00:00:00"), "UTC, 08:00 in Shanghai");
}

#[test]
fn a_crisis_asks_for_a_second_measurement_which_confirms_it() {
    let mut day = Day::with(only("cuff", CUFF));
    assert_eq!(day.reads(0, Metric::Systolic, 186.0), ["P3 cuff", "remeasure cuff"]);
    assert_eq!(day.reads(30, Metric::Systolic, 188.0), NOTHING, "not a minute later: no second measurement");
    assert_eq!(day.tick(300), NOTHING);
    assert_eq!(day.reads(400, Metric::Systolic, 184.0), ["worsened P1 cuff"]);
    assert_eq!(day.tick(4_000), NOTHING, "the question is answered");
}

#[test]
fn the_question_says_what_it_is_about_and_until_when() {
    let mut day = Day::with(only("cuff", CUFF));
    let out = day.step(&values_at(0, &[(Metric::Systolic, 186.0)]));
    let kind = AlarmKind::Threshold { metric: Metric::Systolic, high: true, value: 186.0, limit: 180.0 };
    assert_eq!(out[1].change, Change::RemeasureAsked { kind, due: at(600) });
    assert_eq!(out[1].alarm, out[0].alarm, "it stands in the history of the worklist item");
}

#[test]
fn a_second_measurement_inside_the_limits_ends_the_matter() {
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    assert_eq!(day.reads(200, Metric::Systolic, 150.0), NOTHING, "still above the target: the worklist item stands");
    assert_eq!(day.tick(4_000), NOTHING, "and nobody is called");
    assert_eq!(day.reads(5_000, Metric::Systolic, 182.0), ["remeasure cuff"], "another crisis asks anew");
}

#[test]
fn without_a_second_measurement_somebody_is_called_one_class_lower() {
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    assert_eq!(day.tick(599), NOTHING);
    assert_eq!(day.tick(600), ["worsened P2 cuff"]);
    assert_eq!(day.tick(1_200), NOTHING, "once");
    assert_eq!(day.reads(2_000, Metric::Systolic, 190.0), ["worsened P1 cuff"], "confirmed late is confirmed");
    let mut day = Day::with(only("cuff", CUFF));
    assert_eq!(day.reads(0, Metric::Systolic, 165.0), ["P3 cuff", "remeasure cuff"]);
    assert_eq!(day.tick(700), NOTHING, "an unconfirmed P2 is the worklist item that it is already");
    assert_eq!(day.reads(800, Metric::Systolic, 165.0), ["worsened P2 cuff"]);
}

#[test]
fn a_ladder_without_a_worklist_level_raises_what_nobody_confirmed() {
    let only_p1 = CUFF.replace("  { priority = \"P2\", limit = 160.0, hold_s = 60 },\n", "");
    let only_p1 = only_p1.replace("  { priority = \"P3\", limit = 140.0, hold_s = 0 },\n", "");
    let mut day = Day::with(only("cuff", &only_p1));
    assert_eq!(
        day.reads(0, Metric::Systolic, 186.0),
        ["P3 cuff", "remeasure cuff"],
        "a question needs a place to stand"
    );
    assert_eq!(day.tick(600), ["worsened P2 cuff"]);
    assert_eq!(day.reads(700, Metric::Systolic, 130.0), ["cleared cuff"]);
    assert_eq!(day.reads(800, Metric::Systolic, 186.0), ["P3 cuff", "remeasure cuff"]);
    assert_eq!(day.reads(900, Metric::Systolic, 130.0), ["cleared cuff"]);
    assert_eq!(day.tick(9_000), NOTHING);
    assert_eq!(day.engine.pending() + day.engine.present(), 0);
}

/// The rules of the cuff with some text changed, from `second` on.
fn change(day: &mut Day, second: i64, from: &str, to: &str) -> Vec<String> {
    assert!(CUFF.contains(from));
    let set = only("cuff", &CUFF.replace(from, to));
    day.told(&Entry::Rules { elders: vec![], at: at(second), set })
}

#[test]
fn new_rules_do_not_forget_a_question() {
    for (from, to) in
        [("limit = 140.0", "limit = 151.0"), ("margin = 5.0", "margin = 8.0"), ("within_s = 600", "within_s = 900")]
    {
        let mut day = Day::with(only("cuff", CUFF));
        assert_eq!(day.reads(0, Metric::Systolic, 186.0), ["P3 cuff", "remeasure cuff"]);
        assert_eq!(change(&mut day, 300, from, to), NOTHING);
        let mut confirmed = day.reloaded();
        assert_eq!(confirmed.reads(360, Metric::Systolic, 184.0), ["worsened P1 cuff"], "{to}");
        assert_eq!(confirmed.tick(900), NOTHING);
        assert_eq!(day.tick(599), NOTHING);
        assert_eq!(day.tick(600), ["worsened P2 cuff"], "{to}");
    }
}

#[test]
fn a_question_about_a_level_that_changed_is_about_the_new_one() {
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    assert_eq!(change(&mut day, 300, "limit = 180.0", "limit = 170.0"), NOTHING);
    assert_eq!(day.reads(360, Metric::Systolic, 172.0), ["worsened P1 cuff"], "a second value beyond the new limit");
    // What is P1 no more is P2, of which nobody hears without a second value.
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    change(&mut day, 300, "limit = 180.0", "limit = 190.0");
    let mut silent = day.reloaded();
    assert_eq!(silent.tick(600), NOTHING);
    assert_eq!(day.reads(360, Metric::Systolic, 186.0), ["worsened P2 cuff"]);
    // Nor does a wider worklist level ask anything.
    let mut day = Day::with(only("cuff", &CUFF.replace("limit = 180.0", "limit = 195.0")));
    assert_eq!(day.reads(0, Metric::Systolic, 165.0), ["P3 cuff", "remeasure cuff"]);
    change(&mut day, 300, "limit = 160.0", "limit = 170.0");
    assert_eq!(day.tick(600), NOTHING);
    assert_eq!(day.reads(700, Metric::Systolic, 165.0), NOTHING);
}

#[test]
fn a_rule_that_asks_no_more_has_missed_its_answer() {
    let mut day = Day::with(only("cuff", CUFF));
    day.reads(0, Metric::Systolic, 186.0);
    let out = change(&mut day, 300, "confirm = { within_s = 600, unconfirmed = \"P2\" }\n", "");
    assert_eq!(out, ["worsened P2 cuff"]);
    assert_eq!(day.tick(600), NOTHING);
}

#[test]
fn hold_times_of_levels_that_stay_go_on_under_new_rules() {
    let low = r#"test.threshold = { metric = "spo2", side = "low", clear_margin = 1.0, levels = [
        { priority = "P1", limit = 91.0, hold_s = 30 }, { priority = "P2", limit = 93.0, hold_s = 60 }] }"#;
    let mut day = Day::with(only("low", low));
    day.reads(0, Metric::Spo2, 85.0);
    let set = only("low", &low.replace("93.0", "92.0"));
    day.told(&Entry::Rules { elders: vec![], at: at(10), set });
    assert_eq!(day.reads(30, Metric::Spo2, 85.0), ["P1 low"]);
    // Of a band that is worn: a single value of a clip is a question, which goes on.
    let set = only("low", &low.replace("91.0", "90.0"));
    let mut day = Day::with(only("low", low));
    for minutes in (0..=120).step_by(30) {
        day.reads(-7_260 + minutes * 60, Metric::Spo2, 97.0);
    }
    day.reads(0, Metric::Spo2, 85.0);
    day.told(&Entry::Rules { elders: vec![], at: at(10), set });
    assert_eq!(day.reads(30, Metric::Spo2, 85.0), NOTHING, "another limit is another hold time");
    assert_eq!(day.reads(60, Metric::Spo2, 85.0), ["P1 low"]);
}

#[test]
fn two_kilograms_in_three_days() {
    let mut day = Day::with(only("weight_gain", WEIGHT));
    let morning = |days: i64| MORNING + days * DAY;
    assert_eq!(day.reads(morning(0), Metric::Weight, 70.0), NOTHING, "nothing to compare with");
    assert_eq!(day.reads(morning(1), Metric::Weight, 70.6), NOTHING);
    assert_eq!(day.reads(morning(2), Metric::Weight, 71.9), NOTHING, "1.9 kg");
    let out = day.step(&values_at(morning(3), &[(Metric::Weight, 72.1)]));
    let kind = AlarmKind::Trend { metric: Metric::Weight, high: true, value: 72.1, change: 2.1, by: 2.0, days: 3 };
    let started_at = at(morning(3));
    assert_eq!(out[0].change, Change::Raised { priority: Priority::P2, kind, started_at, late: false });
    assert_eq!(day.reads(morning(3) + HOUR, Metric::Weight, 71.0), NOTHING, "the same day does not end it");
    assert_eq!(day.reads(morning(4), Metric::Weight, 72.7), ["repeated weight_gain"], "told again on another day");
    assert_eq!(day.reads(morning(5), Metric::Weight, 72.8), ["cleared weight_gain"], "against 71.6 of three days ago");
}

#[test]
fn days_are_those_of_shanghai() {
    let mut day = Day::with(only("weight_gain", WEIGHT));
    // 23:59 and 00:01 are two days, though one day in UTC.
    assert_eq!(day.reads(MORNING + 15 * HOUR + 3_540, Metric::Weight, 70.0), NOTHING);
    assert_eq!(day.reads(MORNING + 16 * HOUR + 60, Metric::Weight, 72.0), ["P2 weight_gain"]);
}

#[test]
fn a_baseline_needs_its_days_and_forgets_old_ones() {
    let rule = r#"test.trend = { metric = "systolic", side = "high", by = 20.0, against = { baseline = { days = 14, at_least = 5 } }, priority = "P3" }"#;
    let mut day = Day::with(only("bp_up", rule));
    for days in 0..4 {
        assert_eq!(day.reads(MORNING + days * DAY, Metric::Systolic, 120.0), NOTHING);
    }
    assert_eq!(day.reads(MORNING + 4 * DAY, Metric::Systolic, 150.0), NOTHING, "four days are no baseline");
    assert_eq!(day.reads(MORNING + 5 * DAY, Metric::Systolic, 146.0), ["P3 bp_up"], "126 on the mean of five");
    assert_eq!(day.tick(MORNING + 8 * DAY), ["lost bp_up"], "three days without a value");
    assert_eq!(day.reads(MORNING + 9 * DAY, Metric::Systolic, 150.0), ["still bp_up"]);
    assert_eq!(day.reads(MORNING + 10 * DAY, Metric::Systolic, 130.0), ["cleared bp_up"]);
    assert_eq!(
        day.reads(MORNING + 40 * DAY, Metric::Systolic, 190.0),
        NOTHING,
        "a month later nothing is left to compare"
    );
}

#[test]
fn a_late_weight_of_a_day_before_belongs_to_its_day_and_leaves_the_judging_to_live_ones() {
    let mut day = Day::with(only("weight_gain", WEIGHT));
    day.reads(MORNING + 2 * DAY, Metric::Weight, 72.0);
    assert_eq!(day.reads_late(MORNING + 2 * DAY + 60, MORNING + DAY, Metric::Weight, 69.0), NOTHING);
    assert_eq!(day.reads_late(MORNING + 2 * DAY + 61, MORNING + DAY, Metric::Weight, 69.0), NOTHING);
    assert_eq!(day.reads(MORNING + 2 * DAY + HOUR, Metric::Weight, 72.0), ["P2 weight_gain"]);
}

/// A scale whose phone is asked in the evening, when all it knows is hours old.
#[test]
fn a_scale_that_tells_each_evening_raises_review_items() {
    let (morning, evening) = (|days: i64| MORNING + days * DAY, |days: i64| MORNING + days * DAY + 12 * HOUR);
    let mut day = Day::with(only("weight_gain", WEIGHT));
    let weighs = |day: &mut Day, days: i64, kg: f64| day.reads_late(evening(days), morning(days), Metric::Weight, kg);
    assert_eq!(weighs(&mut day, 0, 70.0), NOTHING);
    assert_eq!(weighs(&mut day, 1, 70.6), NOTHING);
    assert_eq!(weighs(&mut day, 2, 72.1), ["late P3 weight_gain"]);
    assert_eq!(weighs(&mut day, 2, 72.1), NOTHING, "said twice");
    assert_eq!(weighs(&mut day, 3, 72.3), ["repeated weight_gain"], "counted up, and no more");
    let mut live = day.reloaded();
    assert_eq!(live.reads(morning(4), Metric::Weight, 73.0), ["worsened P2 weight_gain"], "told as it happens");
    assert_eq!(live.reads(morning(5), Metric::Weight, 75.0), ["repeated weight_gain"]);
    assert_eq!(weighs(&mut day, 4, 71.0), ["cleared weight_gain"]);
    assert_eq!(weighs(&mut day, 5, 74.0), ["late P3 weight_gain"], "another one");
    assert_eq!(day.tick(evening(8)), ["lost weight_gain"]);
}

#[test]
fn a_history_of_weights_that_comes_newest_first_is_judged_by_its_newest() {
    let mut day = Day::with(only("weight_gain", WEIGHT));
    let evening = MORNING + 3 * DAY + 12 * HOUR;
    assert_eq!(day.reads_late(evening, MORNING + 3 * DAY, Metric::Weight, 72.1), NOTHING);
    assert_eq!(day.reads_late(evening, MORNING + 2 * DAY, Metric::Weight, 71.0), NOTHING);
    assert_eq!(day.reads_late(evening, MORNING + DAY, Metric::Weight, 70.0), ["late P3 weight_gain"]);
    assert_eq!(day.reads_late(evening, MORNING, Metric::Weight, 69.0), NOTHING, "stands");
    // Weeks old: history, and nothing to look at.
    let mut day = Day::with(only("weight_gain", WEIGHT));
    for (days, kg) in [(0, 70.0), (1, 73.0), (2, 76.0)] {
        assert_eq!(day.reads_late(MORNING + 20 * DAY, MORNING + days * DAY, Metric::Weight, kg), NOTHING);
    }
}

#[test]
fn what_is_beyond_the_range_of_a_device_counts_and_weighs_nothing() {
    let mut day = Day::with(only("lows", LOWS));
    for days in 0..2 {
        assert_eq!(day.absent(days * DAY, Metric::Glucose, Quality::UnderRange), NOTHING);
    }
    assert_eq!(day.absent(2 * DAY, Metric::Glucose, Quality::UnderRange), ["P2 lows"]);
    let mut day = Day::with(only("weight_gain", WEIGHT));
    day.reads(MORNING, Metric::Weight, 70.0);
    assert_eq!(day.absent(MORNING + DAY, Metric::Weight, Quality::OverRange), NOTHING);
    assert_eq!(day.reads(MORNING + 2 * DAY, Metric::Weight, 72.0), ["P2 weight_gain"]);
}

#[test]
fn three_low_values_in_a_week() {
    let mut day = Day::with(only("lows", LOWS));
    assert_eq!(day.reads(0, Metric::Glucose, 3.8), NOTHING);
    assert_eq!(day.reads(DAY, Metric::Glucose, 6.0), NOTHING);
    assert_eq!(day.reads(2 * DAY, Metric::Glucose, 3.9), NOTHING);
    let out = day.step(&values_at(7 * DAY, &[(Metric::Glucose, 3.9)]));
    let kind = AlarmKind::Count { metric: Metric::Glucose, high: false, limit: 3.9, count: 3, within_s: 604_800 };
    let started_at = at(7 * DAY);
    assert_eq!(out[0].change, Change::Raised { priority: Priority::P2, kind, started_at, late: false });
    assert_eq!(day.reads(7 * DAY, Metric::Glucose, 3.9), NOTHING, "said twice");
    assert_eq!(day.tick(7 * DAY + 1), ["cleared lows"], "the first is a week old: two are left");
    assert_eq!(day.reads(8 * DAY, Metric::Glucose, 3.0), ["P2 lows"], "the second, the third and this one");
    assert_eq!(day.reads(8 * DAY + HOUR, Metric::Glucose, 3.0), ["repeated lows"], "once more, an hour later");
    assert_eq!(day.reads(8 * DAY + HOUR + 60, Metric::Glucose, 3.0), NOTHING, "told a minute ago");
    assert_eq!(day.tick(14 * DAY), NOTHING);
    assert_eq!(day.tick(15 * DAY + HOUR), ["cleared lows"]);
}

/// A glucose meter whose phone is asked in the evening.
#[test]
fn what_late_values_are_enough_for_is_a_review_item_until_a_live_one_comes() {
    let mut day = Day::with(only("lows", LOWS));
    for taken in [100, 100, 200] {
        assert_eq!(day.reads_late(DAY, taken, Metric::Glucose, 3.0), NOTHING, "said twice is said once");
    }
    assert_eq!(day.reads_late(DAY, 150, Metric::Glucose, 3.0), ["late P3 lows"], "wherever it belongs");
    assert_eq!(day.reads_late(2 * DAY, DAY + 300, Metric::Glucose, 3.0), NOTHING, "it stands");
    let mut live = day.reloaded();
    assert_eq!(live.reads(2 * DAY + 10, Metric::Glucose, 3.5), ["worsened P2 lows"]);
    assert_eq!(live.reads(2 * DAY + HOUR, Metric::Glucose, 3.5), ["repeated lows"]);
    assert_eq!(day.tick(7 * DAY + 150), NOTHING);
    assert_eq!(day.tick(7 * DAY + 151), ["cleared lows"], "by when they were taken, not by when they were told");
    let mut day = Day::with(only("lows", LOWS));
    for taken in [100, 200, 300] {
        assert_eq!(day.reads_late(8 * DAY, taken, Metric::Glucose, 3.0), NOTHING, "over before it was told");
    }
    let mut day = Day::with(only("lows", LOWS));
    assert_eq!(day.reads_late(DAY, 100, Metric::Glucose, 3.0), NOTHING);
    assert_eq!(day.reads_late(DAY, 200, Metric::Glucose, 3.0), NOTHING);
    assert_eq!(day.reads(DAY + 10, Metric::Glucose, 3.5), ["P2 lows"], "the live one is the third");
}

#[test]
fn counts_and_days_go_on_over_a_clock_set_back() {
    let ahead = 365 * DAY;
    let mut day = Day::with(only("lows", LOWS));
    day.reads(ahead, Metric::Glucose, 3.0);
    day.reads(ahead + HOUR, Metric::Glucose, 3.0);
    day.tick(DAY);
    assert_eq!(day.reads(DAY + HOUR, Metric::Glucose, 3.0), ["P2 lows"]);
    assert_eq!(day.reads(DAY + 2 * HOUR, Metric::Glucose, 3.0), ["repeated lows"]);
    day.tick(DAY - HOUR);
    assert_eq!(day.reads(DAY, Metric::Glucose, 3.0), ["repeated lows"], "told an hour ago, not in two hours");
    let mut day = Day::with(only("weight_gain", WEIGHT));
    day.reads(MORNING + ahead - DAY, Metric::Weight, 70.0);
    assert_eq!(day.reads(MORNING + ahead, Metric::Weight, 73.0), ["P2 weight_gain"]);
    day.tick(MORNING);
    day.reads(MORNING + 60, Metric::Weight, 70.0);
    assert_eq!(day.reads(MORNING + DAY, Metric::Weight, 70.0), ["cleared weight_gain"], "not in a year");
}

const WELL: [(Metric, f64); 5] = [
    (Metric::RespiratoryRate, 18.0),
    (Metric::Spo2, 97.0),
    (Metric::Systolic, 120.0),
    (Metric::HeartRate, 80.0),
    (Metric::BodyTemperature, 37.0),
];

#[test]
fn a_score_is_raised_by_what_is_certain_and_says_what_is_possible() {
    let mut day = Day::with(only("news2", NEWS2));
    assert_eq!(reads(&mut day, 0, &WELL), NOTHING);
    let ill =
        [(Metric::Systolic, 105.0), (Metric::PulseRate, 112.0), (Metric::Spo2, 93.0), (Metric::BodyTemperature, 38.4)];
    let out = day.step(&values_at(60, &ill));
    // Respiration is known from a minute ago: 0.
    let score = model::rule::ScoreName::News2;
    let kind = AlarmKind::Score { score, min: 6, max: 11, at_least: 5, single_three: false };
    assert_eq!(out[0].change, Change::Raised { priority: Priority::P2, kind, started_at: at(60), late: false });
    assert_eq!(day.reads(120, Metric::RespiratoryRate, 21.0), ["worsened P1 news2"]);
    assert_eq!(day.reads(180, Metric::RespiratoryRate, 18.0), NOTHING, "6 is inside the levels reached");
    assert_eq!(reads(&mut day, 200, &WELL), ["cleared news2"]);
}

#[test]
fn one_parameter_alone_is_urgent() {
    let mut day = Day::with(only("news2", NEWS2));
    let out = day.step(&values_at(0, &[(Metric::RespiratoryRate, 25.0)]));
    assert_eq!(out.iter().map(say).collect::<Vec<_>>(), ["P2 news2"]);
    assert!(matches!(
        out[0].change,
        Change::Raised { kind: AlarmKind::Score { min: 3, max: 20, single_three: true, .. }, .. }
    ));
}

#[test]
fn an_input_that_is_missing_is_no_recovery() {
    let mut day = Day::with(only("news2", NEWS2));
    assert_eq!(reads(&mut day, 0, &[(Metric::Spo2, 90.0), (Metric::HeartRate, 120.0)]), ["P2 news2"]);
    // The clip is off; the band goes on and is well: of the oxygen nobody knows.
    assert_eq!(day.absent(60, Metric::Spo2, Quality::SensorOff), NOTHING);
    for minute in 2..15 {
        assert_eq!(day.reads(minute * 60, Metric::HeartRate, 80.0), NOTHING);
        assert_eq!(day.tick(minute * 60), NOTHING);
    }
    assert_eq!(day.tick(900), ["lost news2"], "nothing that decides for the whole window");
    assert_eq!(day.reads(1_000, Metric::Spo2, 97.0), ["cleared news2"]);
}

#[test]
fn inputs_older_than_the_window_are_missing() {
    let mut day = Day::with(only("news2", NEWS2));
    assert_eq!(
        reads(&mut day, 0, &[(Metric::RespiratoryRate, 22.0), (Metric::Systolic, 95.0)]),
        NOTHING,
        "4 is certain"
    );
    assert_eq!(day.reads(901, Metric::HeartRate, 95.0), NOTHING, "1 is certain");
    assert_eq!(day.reads(902, Metric::Systolic, 95.0), NOTHING);
    assert_eq!(day.reads(903, Metric::RespiratoryRate, 22.0), ["P2 news2"], "and 5");
}

#[test]
fn a_noisy_value_waits_and_a_set_that_is_measured_once_does_not_wait_for_ever() {
    let held = NEWS2.replace("window_s = 900", "window_s = 900\nhold_s = 60");
    let mut day = Day::with(only("news2", &held));
    assert_eq!(day.reads(0, Metric::HeartRate, 135.0), NOTHING);
    assert_eq!(day.reads(10, Metric::HeartRate, 90.0), NOTHING, "the band slipped");
    assert_eq!(day.tick(100), NOTHING);
    assert_eq!(day.reads(200, Metric::HeartRate, 135.0), NOTHING);
    assert_eq!(day.reads(230, Metric::HeartRate, 133.0), NOTHING);
    assert_eq!(day.reads(260, Metric::HeartRate, 134.0), ["P2 news2"]);
    let mut day = Day::with(only("news2", &held));
    assert_eq!(
        reads(&mut day, 0, &[(Metric::Systolic, 85.0), (Metric::Spo2, 90.0), (Metric::HeartRate, 120.0)]),
        NOTHING
    );
    assert_eq!(day.tick(59), NOTHING);
    assert_eq!(day.tick(60), ["P1 news2"], "nothing said otherwise for a minute");
    assert_eq!(day.tick(120), NOTHING);
    assert_eq!(reads(&mut day, 200, &WELL), ["cleared news2"]);
    // A standing P2 that gets worse once is worse a minute later, whatever else is silent.
    assert_eq!(reads(&mut day, 300, &[(Metric::RespiratoryRate, 26.0)]), NOTHING);
    assert_eq!(day.tick(360), ["P2 news2"]);
    assert_eq!(reads(&mut day, 400, &[(Metric::Systolic, 80.0), (Metric::Spo2, 93.0)]), NOTHING);
    assert_eq!(day.tick(459), NOTHING);
    assert_eq!(day.tick(460), ["worsened P1 news2"]);
}

#[test]
fn a_score_that_a_gateway_sounded_is_over_only_when_all_of_it_is_well() {
    let mut day = Day::with(only("news2", NEWS2));
    day.tick(600);
    let score = model::rule::ScoreName::News2;
    let kind = AlarmKind::Score { score, min: 8, max: 13, at_least: 7, single_three: true };
    let told = day.told(&Entry::Sounded(model::Sounded { kind, ..crate::day::word(600, "news2", 500, 520) }));
    assert_eq!(told, ["P1 news2", "sounded news2"]);
    assert_eq!(day.reads(610, Metric::HeartRate, 80.0), NOTHING, "one value is not a recovery");
    assert_eq!(reads(&mut day, 620, &WELL), ["cleared news2"]);
}

#[test]
fn late_values_are_no_input_of_a_score() {
    let mut day = Day::with(only("news2", NEWS2));
    assert_eq!(day.reads_late(DAY, 0, Metric::RespiratoryRate, 30.0), NOTHING);
    assert_eq!(day.reads(DAY + 1, Metric::HeartRate, 115.0), NOTHING);
}

#[test]
fn no_blood_pressure_for_three_days() {
    let rule = r#"test.silence = { after_s = 259200, priority = "P3", metric = "systolic" }"#;
    let mut day = Day::with(only("no_bp", rule));
    assert_eq!(day.tick(0), NOTHING);
    day.reads(0, Metric::HeartRate, 70.0);
    assert_eq!(day.tick(4 * DAY), NOTHING, "who never measured is not missed");
    day.reads(4 * DAY, Metric::Systolic, 120.0);
    day.reads(6 * DAY, Metric::HeartRate, 70.0);
    assert_eq!(day.tick(7 * DAY - 1), NOTHING);
    assert_eq!(day.tick(7 * DAY), ["P3 no_bp"], "the band is no cuff");
    assert_eq!(day.reads(7 * DAY + 1, Metric::HeartRate, 70.0), NOTHING);
    assert_eq!(day.absent(7 * DAY + 2, Metric::Systolic, Quality::SensorOff), NOTHING, "a failed measurement is none");
    assert_eq!(
        day.reads_late(7 * DAY + 3, 4 * DAY + 100, Metric::Systolic, 120.0),
        ["cleared no_bp"],
        "it was measured"
    );
    assert_eq!(day.tick(7 * DAY + 99), NOTHING);
    assert_eq!(day.tick(7 * DAY + 100), ["P3 no_bp"]);
    assert_eq!(day.reads(7 * DAY + 200, Metric::Systolic, 120.0), ["cleared no_bp"]);
}
