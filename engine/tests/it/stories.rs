//! Stories: what happened to an elder, and what the engine said.

use model::alarm::{AlarmKind, Change};
use model::entry::{Entry, Flags, Frame};
use model::rule::{RuleSet, Test};
use model::{DeviceId, ElderId, EventKind, Lane, Metric, Priority, Quality, Sample, Subject, Time};

use crate::day::{Day, ELDER, NOTHING, at, frame, say};

#[test]
fn a_hypertensive_crisis_is_a_worklist_item_until_the_cuff_confirms_it() {
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::Systolic, 186.0), ["P3 systolic_high", "remeasure systolic_high"]);
    assert_eq!(day.reads(59, Metric::Systolic, 188.0), NOTHING, "a minute has not passed");
    assert_eq!(day.reads(90, Metric::Systolic, 190.0), ["worsened P1 systolic_high"]);
    assert_eq!(day.reads(900, Metric::Systolic, 150.0), NOTHING, "better, and still above the target");
    assert_eq!(day.reads(1_800, Metric::Systolic, 136.0), NOTHING, "inside the hysteresis");
    assert_eq!(day.reads(2_700, Metric::Systolic, 134.0), ["cleared systolic_high"]);
}

#[test]
fn the_alarm_says_when_it_began_and_by_what_value() {
    let mut day = Day::new();
    day.reads(100, Metric::PulseRate, 135.0);
    let samples = vec![Sample::new(Metric::PulseRate, at(160), 141.2, Quality::Ok)];
    let out = day.step(&Entry::Frame(Frame { samples, ..frame(161) }));
    let [raised] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!((raised.at, raised.received_at, raised.elder()), (at(160), at(161), Some(ELDER)));
    let kind = AlarmKind::Threshold { metric: Metric::PulseRate, high: true, value: 141.0, limit: 131.0 };
    let expected = Change::Raised { priority: Priority::P1, kind, started_at: at(100), late: false };
    assert_eq!(raised.change, expected);
    assert_eq!(raised.alarm, model::AlarmId::of(Subject::Elder(ELDER), "pulse_rate_high", at(100)));
}

#[test]
fn a_dip_shorter_than_the_hold_time_is_counted_and_nothing_else() {
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::Spo2, 89.0), NOTHING);
    assert_eq!(day.reads(20, Metric::Spo2, 97.0), NOTHING);
    assert_eq!(day.reads(40, Metric::Spo2, 89.0), NOTHING, "the hold time starts anew");
    assert_eq!(day.engine.counters().fleeting, 1);
    assert_eq!(day.reads(70, Metric::Spo2, 90.0), ["P1 spo2_low"]);
}

#[test]
fn a_second_desaturation_in_one_episode_is_told_again() {
    let mut day = Day::new();
    day.reads(0, Metric::Spo2, 88.0);
    assert_eq!(day.reads(60, Metric::Spo2, 88.0), ["P1 spo2_low"]);
    assert_eq!(day.reads(120, Metric::Spo2, 94.0), NOTHING, "better but not clear");
    assert_eq!(day.reads(180, Metric::Spo2, 88.0), NOTHING, "a flutter is one episode");
    assert_eq!(day.reads(240, Metric::Spo2, 94.0), NOTHING);
    assert_eq!(day.reads(600, Metric::Spo2, 94.0), NOTHING);
    assert_eq!(day.reads(900, Metric::Spo2, 87.0), NOTHING, "held by nobody yet");
    assert_eq!(day.reads(930, Metric::Spo2, 87.0), ["repeated spo2_low"]);
    assert_eq!(day.reads(990, Metric::Spo2, 87.0), NOTHING);
}

#[test]
fn a_sensor_that_comes_off_is_never_a_low_value() {
    let mut day = Day::new();
    day.reads(0, Metric::Spo2, 88.0);
    assert_eq!(day.absent(15, Metric::Spo2, Quality::SensorOff), NOTHING);
    assert_eq!(day.reads(40, Metric::Spo2, 88.0), NOTHING, "the hold time was broken off");
    assert_eq!(day.engine.counters().interrupted, 1);
    assert_eq!(day.reads(70, Metric::Spo2, 88.0), ["P1 spo2_low"]);
    assert_eq!(day.absent(80, Metric::Spo2, Quality::SensorOff), NOTHING, "absence does not end a condition");
    assert_eq!(day.engine.present(), 1);
    assert_eq!(day.tick(670), ["lost spo2_low"]);
    assert_eq!(day.tick(700), NOTHING, "told once");
    assert_eq!(day.reads(710, Metric::Spo2, 90.0), ["still spo2_low"]);
    assert_eq!(day.reads(720, Metric::Spo2, 97.0), ["cleared spo2_low"]);
}

#[test]
fn every_quality_code_is_judged_or_not_as_its_row_says() {
    for quality in Quality::ALL {
        let mut day = Day::new();
        let mut told = Vec::new();
        for second in [0, 30, 60] {
            told.extend(day.sample(second, Sample::new(Metric::Spo2, at(second), 80.0, *quality)));
        }
        let expected: &[&str] = if quality.is_judged() { &["P1 spo2_low"] } else { &[] };
        assert_eq!(told, expected, "{quality:?}");
        let counters = day.engine.counters();
        assert_eq!((counters.judged, counters.not_judged), if quality.is_judged() { (3, 0) } else { (0, 3) });
    }
}

#[test]
fn a_glucose_that_the_meter_calls_lo_or_hi_is_beyond_every_limit_of_its_side() {
    let mut day = Day::new();
    let out = day.absent(0, Metric::Glucose, Quality::UnderRange);
    assert_eq!(out, ["P1 glucose_low"]);
    assert_eq!(day.reads(900, Metric::Glucose, 5.6), ["cleared glucose_low"]);
    assert_eq!(day.absent(1_800, Metric::Glucose, Quality::OverRange), ["P1 glucose_high"]);
    let mut day = Day::new();
    let lo = |taken: i64| Sample::absent(Metric::Glucose, at(taken), Quality::UnderRange);
    assert_eq!(day.sample(7_200, lo(0)), ["late P3 glucose_low"]);
    let mut out = Vec::new();
    let low = Frame { samples: vec![lo(8_000)], ..frame(8_000) };
    out.extend(day.step(&Entry::Frame(low)));
    let value = out.iter().find_map(|told| match told.change {
        Change::Raised { kind: AlarmKind::Threshold { value, .. }, .. } => Some(value),
        _ => None,
    });
    assert!(value.is_some_and(|value| !Metric::Glucose.is_plausible(value)), "no number that a meter could have read");
}

#[test]
fn zero_from_a_careless_device_is_guarded_before_it_comes_here() {
    let mut day = Day::new();
    for second in [0, 60, 120] {
        let sample = Sample::new(Metric::Spo2, at(second), 0.0, Quality::Ok).guarded();
        assert_eq!(day.sample(second, sample), NOTHING);
    }
}

#[test]
fn an_sos_is_at_once_and_a_second_press_is_the_same_alarm() {
    let mut day = Day::new();
    assert_eq!(day.event(0, 0, EventKind::Sos), ["P1 sos"]);
    assert_eq!(day.event(1, 0, EventKind::Sos), NOTHING, "the same press, delivered twice");
    assert_eq!(day.event(30, 30, EventKind::Sos), ["repeated sos"]);
    assert_eq!(day.event(31, 31, EventKind::Fall), ["P1 fall"]);
    assert_eq!(day.event(331, 331, EventKind::Sos), ["P1 sos"], "another call for help");
    assert_eq!(day.engine.counters().events_duplicate, 1);
}

#[test]
fn a_late_sos_still_calls_and_is_marked() {
    let mut day = Day::new();
    assert_eq!(day.event(7_200, 0, EventKind::Sos), ["late P1 sos"]);
    assert_eq!(day.event(7_201, 7_201, EventKind::Sos), ["P1 sos"], "the live one is an alarm of its own");
    assert_eq!(day.event(7_205, 60, EventKind::Sos), ["repeated sos"], "belongs to the late one");
    assert_eq!(day.event(9_000, 7_190, EventKind::Sos), ["repeated sos"], "belongs to the live one");
}

#[test]
fn a_test_press_and_a_test_value_raise_nothing() {
    let mut day = Day::new();
    let events = vec![model::Event { kind: EventKind::Sos, at: at(0) }];
    let samples = vec![Sample::new(Metric::Glucose, at(0), 2.0, Quality::Ok)];
    let flags = Flags(Flags::TEST);
    assert_eq!(day.told(&Entry::Frame(Frame { events, samples, flags, ..frame(0) })), NOTHING);
    assert_eq!(day.engine.counters().test, 2);
}

#[test]
fn maintenance_silences_values_but_not_a_call_for_help() {
    let mut day = Day::new();
    let events = vec![model::Event { kind: EventKind::Sos, at: at(0) }];
    let samples = vec![Sample::new(Metric::Glucose, at(0), 2.0, Quality::Ok)];
    let flags = Flags(Flags::MAINTENANCE);
    assert_eq!(day.told(&Entry::Frame(Frame { events, samples, flags, ..frame(0) })), ["P1 sos"]);
}

#[test]
fn a_strangers_values_are_never_judged_but_a_call_for_help_is_an_alarm_about_the_device() {
    let mut day = Day::new();
    let subject = Subject::Unattributed(DeviceId(3));
    let samples = vec![Sample::new(Metric::Glucose, at(0), 2.0, Quality::Ok)];
    assert_eq!(day.told(&Entry::Frame(Frame { subject, samples: samples.clone(), ..frame(0) })), NOTHING);
    assert_eq!((day.engine.counters().unattributed, day.engine.subjects()), (1, 0));
    let event = |kind, second| vec![model::Event { kind, at: at(second) }];
    let frame = |events, second| Entry::Frame(Frame { subject, samples: samples.clone(), events, ..frame(second) });
    assert_eq!(day.told(&frame(event(EventKind::LowBattery, 5), 5)), NOTHING);
    let raised = day.step(&frame(event(EventKind::Sos, 10), 10));
    assert_eq!(raised.iter().map(model::alarm::Transition::elder).collect::<Vec<_>>(), [None]);
    assert_eq!(raised[0].subject, subject.to_u32());
    assert_eq!(day.told(&frame(event(EventKind::Sos, 20), 20)), ["repeated sos"]);
    assert_eq!(day.tick(90_000), NOTHING, "nobody expects to hear from it");
    assert_eq!(day.engine.counters().judged, 0);
}

#[test]
fn a_night_in_the_outbox_becomes_one_review_item_however_often_it_is_sent() {
    let mut day = Day::new();
    for before in [7_200, 3_600, 0] {
        day.reads(36_000 - before, Metric::Spo2, 97.0);
    }
    let night: Vec<(i64, f64)> = (0..60).map(|i| (i * 60, if (20..40).contains(&i) { 88.0 } else { 97.0 })).collect();
    let mut told = Vec::new();
    for (i, (taken, value)) in night.iter().enumerate() {
        told.extend(day.reads_late(36_001 + i as i64, *taken, Metric::Spo2, *value));
    }
    assert_eq!(told, ["late P3 spo2_low", "cleared spo2_low"]);
    for (i, (taken, value)) in night.iter().enumerate() {
        assert_eq!(day.reads_late(36_100 + i as i64, *taken, Metric::Spo2, *value), NOTHING, "{taken}");
    }
    assert_eq!(day.engine.pending() + day.engine.present(), 0, "live conditions were not touched");
    assert_eq!(day.tick(40_000), ["T silence"], "and no timer was left behind");
}

#[test]
fn late_data_do_not_disturb_a_live_hold_or_condition() {
    let mut day = Day::new();
    day.reads(7_200, Metric::PulseRate, 140.0);
    assert_eq!(day.reads_late(7_210, 600, Metric::PulseRate, 70.0), NOTHING);
    assert_eq!(day.reads(7_260, Metric::PulseRate, 140.0), ["P1 pulse_rate_high"]);
    assert_eq!(day.reads_late(7_270, 660, Metric::PulseRate, 70.0), NOTHING, "does not clear");
    assert_eq!(day.reads_late(7_280, 600, Metric::PulseRate, 125.0), NOTHING);
    assert_eq!(day.reads_late(7_281, 660, Metric::PulseRate, 125.0), ["late P3 pulse_rate_high"]);
    assert_eq!(day.reads(7_300, Metric::PulseRate, 80.0), ["cleared pulse_rate_high"]);
    assert_eq!(day.tick(7_882), ["cleared pulse_rate_high"], "the late one: newer live values show that it is over");
}

#[test]
fn a_late_episode_without_an_end_in_the_data_is_unknown() {
    let mut day = Day::new();
    day.reads_late(7_200, 600, Metric::PulseRate, 125.0);
    assert_eq!(day.reads_late(7_200, 660, Metric::PulseRate, 125.0), ["late P3 pulse_rate_high"]);
    assert_eq!(day.tick(7_800), ["lost pulse_rate_high"]);
}

#[test]
fn a_late_mild_value_is_no_review_item() {
    let mut day = Day::new();
    for taken in [0, 60, 120] {
        assert_eq!(day.reads_late(7_200 + taken, taken, Metric::Systolic, 150.0), NOTHING);
    }
}

#[test]
fn values_that_overtake_each_other_do_not_cheat_the_hold_time() {
    let mut day = Day::new();
    day.reads_late(60, 60, Metric::PulseRate, 140.0);
    assert_eq!(day.reads_late(61, 0, Metric::PulseRate, 140.0), NOTHING, "older than the last judged");
    assert_eq!(day.engine.counters().out_of_order, 1);
    assert_eq!(day.reads_late(90, 90, Metric::PulseRate, 140.0), NOTHING);
    assert_eq!(day.reads_late(120, 120, Metric::PulseRate, 140.0), ["P1 pulse_rate_high"]);
    // A level without a hold time is decided by a single value, whenever it comes.
    assert_eq!(day.reads(200, Metric::Glucose, 6.0), NOTHING);
    assert_eq!(day.reads_late(201, 100, Metric::Glucose, 3.0), ["P1 glucose_low", "cleared glucose_low"]);
    assert_eq!(day.reads_late(202, 100, Metric::Glucose, 3.0), NOTHING, "once");
}

#[test]
fn a_clock_ahead_of_ours_does_not_blind_the_engine() {
    let mut day = Day::new();
    day.reads_late(0, 86_400, Metric::PulseRate, 140.0);
    assert_eq!(day.reads(60, Metric::PulseRate, 140.0), ["P1 pulse_rate_high"]);
    assert_eq!(day.engine.counters().future, 1);
}

#[test]
fn a_clock_set_back_does_not_stop_the_timers() {
    const YEAR: i64 = 31_536_000;
    let mut day = Day::new();
    day.wears(YEAR);
    assert_eq!(day.tick(YEAR + 600), NOTHING, "quiet for ten minutes");
    assert_eq!(day.tick(600), NOTHING, "the clock is set right: still ten minutes");
    assert_eq!(day.tick(1_799), NOTHING);
    assert_eq!(day.tick(1_800), ["T silence"], "not in a year");
    day.reads(1_900, Metric::PulseRate, 140.0);
    assert_eq!(day.reads(1_960, Metric::PulseRate, 140.0), ["P1 pulse_rate_high"], "and values are in order again");
}

const YEAR: i64 = 31_536_000;

#[test]
fn a_hold_time_goes_on_over_a_clock_set_back() {
    let mut day = Day::new();
    assert_eq!(day.reads(YEAR, Metric::Spo2, 85.0), NOTHING);
    day.tick(600);
    day.reads(610, Metric::Spo2, 85.0);
    assert_eq!(day.reads(650, Metric::Spo2, 85.0), ["P1 spo2_low"]);
    // Twenty seconds before the clock was set right count.
    let mut day = Day::new();
    day.reads(YEAR, Metric::Spo2, 85.0);
    day.tick(YEAR + 20);
    day.tick(600);
    assert_eq!(day.reads(609, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads(610, Metric::Spo2, 85.0), ["P1 spo2_low"]);
}

#[test]
fn a_level_that_stands_is_told_again_after_a_clock_set_back() {
    let mut day = Day::new();
    day.reads(YEAR, Metric::Spo2, 85.0);
    assert_eq!(day.reads(YEAR + 30, Metric::Spo2, 85.0), ["P1 spo2_low"]);
    day.tick(600);
    assert_eq!(day.reads(630, Metric::Spo2, 85.0), NOTHING);
    assert_eq!(day.reads(600 + 1_800, Metric::Spo2, 85.0), ["repeated spo2_low"]);
    assert_eq!(day.reads(2_500, Metric::Spo2, 97.0), ["cleared spo2_low"]);
    // Relief of ten minutes that was seen in the future.
    let mut day = Day::new();
    day.reads(YEAR, Metric::Spo2, 85.0);
    day.reads(YEAR + 30, Metric::Spo2, 85.0);
    day.reads(YEAR + 60, Metric::Spo2, 93.0);
    day.tick(600);
    day.reads(900, Metric::Spo2, 93.0);
    day.reads(1_200, Metric::Spo2, 85.0);
    assert_eq!(day.reads(1_240, Metric::Spo2, 85.0), ["repeated spo2_low"]);
}

#[test]
fn a_late_episode_goes_on_over_a_clock_set_back() {
    let mut day = Day::new();
    day.reads_late(YEAR + 1_000, YEAR, Metric::Spo2, 85.0);
    day.tick(600);
    // What was taken after it by the clock that is right, and is late all the same.
    assert_eq!(day.reads_late(1_400, 650, Metric::Spo2, 85.0), ["late P3 spo2_low"]);
}

#[test]
fn a_second_call_for_help_after_a_clock_set_back_is_another_one() {
    let mut day = Day::new();
    assert_eq!(day.event(YEAR, YEAR, EventKind::Sos), ["P1 sos"]);
    day.tick(YEAR + 3_000);
    day.tick(600);
    assert_eq!(day.event(610, 610, EventKind::Cancelled), ["cancelled sos"], "of the last hour");
    assert_eq!(day.event(700, 700, EventKind::Sos), ["P1 sos"], "50 minutes after the first");
    assert_eq!(day.event(760, 760, EventKind::Sos), ["repeated sos"]);
}

#[test]
fn who_was_heard_before_a_clock_jumped_ahead_and_back_is_not_missed() {
    let mut day = Day::new();
    day.wears(0);
    day.tick(60);
    let out = day.after_a_stop(&Entry::Tick(at(YEAR)));
    assert_eq!(out.iter().map(say).collect::<Vec<_>>(), NOTHING);
    assert_eq!(day.tick(120), NOTHING);
    assert_eq!(day.tick(1_799), NOTHING);
}

#[test]
fn a_band_that_falls_silent_is_a_technical_alarm_until_it_speaks() {
    let mut day = Day::new();
    day.wears(0);
    assert_eq!(day.tick(1_799), NOTHING);
    assert_eq!(day.tick(1_800), ["T silence"]);
    assert_eq!(day.tick(3_600), NOTHING, "told once");
    let hist = Frame { lane: Lane::Hist, ..frame(3_700) };
    assert_eq!(day.told(&Entry::Frame(hist)), NOTHING, "old data are no sign of life");
    assert_eq!(day.absent(3_800, Metric::PulseRate, Quality::SensorOff), ["cleared silence"], "off, but it speaks");
    assert_eq!(day.tick(5_599), NOTHING);
    assert_eq!(day.tick(5_600), ["T silence"]);
}

#[test]
fn a_cuff_used_at_breakfast_is_not_silent_at_noon() {
    let mut day = Day::new();
    for second in [0, 120, 300] {
        day.reads(second, Metric::Systolic, 120.0);
        day.reads(second, Metric::PulseRate, 70.0);
    }
    assert_eq!(day.tick(20_000), NOTHING);
}

#[test]
fn a_level_that_stands_is_told_again_every_half_hour() {
    let mut day = Day::new();
    let mut told = Vec::new();
    for minute in 0..=92 {
        told.extend(day.reads(minute * 60, Metric::Spo2, 85.0).into_iter().map(|what| (minute, what)));
    }
    let told: Vec<(i64, &str)> = told.iter().map(|(minute, what)| (*minute, what.as_str())).collect();
    let again = "repeated spo2_low";
    assert_eq!(told, [(1, "P1 spo2_low"), (31, again), (61, again), (91, again)]);
}

#[test]
fn a_crisis_on_the_next_morning_is_told_again() {
    let mut day = Day::new();
    day.reads(0, Metric::Systolic, 186.0);
    assert_eq!(day.reads(300, Metric::Systolic, 184.0), ["worsened P1 systolic_high"]);
    // 25 hours later: a morning cuff is not on the minute, and yesterday is not forgotten.
    assert_eq!(day.tick(90_000), NOTHING);
    assert_eq!(day.reads(90_300, Metric::Systolic, 187.0), ["repeated systolic_high"]);
}

#[test]
fn from_65_years_on_the_default_is_wider_and_an_own_set_stays_what_it_is() {
    let ages =
        |aged, elders: &[u32]| Entry::Aged { aged, at: at(0), elders: elders.iter().map(|id| ElderId(*id)).collect() };
    let cuff = |day: &mut Day, elder, second, value| {
        let samples = vec![Sample::new(Metric::Systolic, at(second), value, Quality::Ok)];
        day.told(&Entry::Frame(Frame { subject: Subject::Elder(ElderId(elder)), samples, ..frame(second) }))
    };
    let mut day = Day::new();
    day.told(&ages(true, &[7, 8, 9]));
    day.told(&Entry::Rules { elders: vec![ElderId(9)], at: at(0), set: vigil_engine::default_rules() });
    assert_eq!(cuff(&mut day, 7, 10, 149.0), NOTHING);
    assert_eq!(cuff(&mut day, 6, 10, 140.0), ["P3 systolic_high"], "younger, or of unknown age");
    assert_eq!(cuff(&mut day, 9, 10, 140.0), ["P3 systolic_high"], "a doctor's own limits");
    assert_eq!(cuff(&mut day, 7, 20, 150.0), ["P3 systolic_high"]);
    assert_eq!(day.engine.set_of(ElderId(7)).name, "cn-basic-v3-65");
    // The age goes with the checkpoint, with a new default, and away with a corrected birth date.
    let mut day = day.reloaded();
    assert_eq!(cuff(&mut day, 8, 30, 149.0), NOTHING);
    let set = RuleSet { version: 9, ..vigil_engine::default_rules() };
    day.told(&Entry::Rules { elders: vec![], at: at(40), set });
    assert_eq!(cuff(&mut day, 8, 50, 149.0), NOTHING);
    assert_eq!(day.engine.set_of(ElderId(8)).version, 9);
    day.told(&ages(false, &[8]));
    assert_eq!(cuff(&mut day, 8, 60, 149.0), ["P3 systolic_high"]);
}

#[test]
fn a_stream_with_a_hole_starts_its_hold_time_anew() {
    let mut day = Day::new();
    day.reads(0, Metric::PulseRate, 140.0);
    assert_eq!(day.reads(7_200, Metric::PulseRate, 140.0), NOTHING, "two hours nobody saw");
    assert_eq!(day.reads(7_260, Metric::PulseRate, 140.0), ["P1 pulse_rate_high"]);
}

#[test]
fn the_default_waits_two_minutes_for_a_band_and_half_an_hour_for_a_watch_that_speaks_so_seldom() {
    let mut band = Day::new();
    band.reads(0, Metric::HeartRate, 35.0);
    assert_eq!(band.reads(60, Metric::HeartRate, 35.0), NOTHING);
    assert_eq!(band.reads(120, Metric::HeartRate, 35.0), ["P1 heart_rate_low"]);
    let mut watch = Day::new();
    watch.reads(0, Metric::HeartRate, 35.0);
    assert_eq!(watch.reads(1_830, Metric::HeartRate, 35.0), ["P1 heart_rate_low"], "half an hour, more or less");
    assert_eq!(watch.tick(1_830 + 599), NOTHING);
    assert_eq!(watch.tick(1_830 + 600), ["lost heart_rate_low"], "a seat knows early that nothing comes");
    assert_eq!(watch.reads(3_660, Metric::HeartRate, 35.0), ["still heart_rate_low", "repeated heart_rate_low"]);
}

#[test]
fn one_low_pressure_asks_again_and_one_that_comes_late_is_looked_at() {
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::Systolic, 85.0), ["P3 systolic_low", "remeasure systolic_low"]);
    assert_eq!(day.tick(600), ["worsened P2 systolic_low"]);
    let mut late = Day::new();
    assert_eq!(late.reads_late(7_200, 0, Metric::Systolic, 85.0), ["late P3 systolic_low"]);
}

fn without(slug: &str) -> RuleSet {
    let mut set = vigil_engine::default_rules();
    set.rules.retain(|rule| rule.slug != slug);
    set.version += 1;
    set
}

#[test]
fn new_rules_keep_what_still_holds_and_clear_what_has_no_rule() {
    let mut day = Day::new();
    day.reads(0, Metric::PulseRate, 140.0);
    day.reads(60, Metric::PulseRate, 140.0);
    day.reads(60, Metric::Glucose, 20.0);
    let rules = |elder: Option<ElderId>, set| Entry::Rules { elders: elder.into_iter().collect(), at: at(70), set };
    assert_eq!(day.told(&rules(None, without("glucose_high"))), ["cleared glucose_high"]);
    assert_eq!(day.engine.present(), 1);
    assert_eq!(day.reads(80, Metric::PulseRate, 140.0), NOTHING, "the same alarm goes on");
    assert_eq!(day.told(&rules(Some(ELDER), without("pulse_rate_high"))), ["cleared pulse_rate_high"]);
    assert_eq!(day.told(&rules(None, vigil_engine::default_rules())), NOTHING, "this elder has rules of its own");
    assert_eq!(day.reads(140, Metric::PulseRate, 140.0), NOTHING);
    assert_eq!(day.reads(200, Metric::PulseRate, 140.0), NOTHING);
    assert_eq!(day.engine.set_of(ElderId(8)).version, vigil_engine::default_rules().version);
}

#[test]
fn an_elders_own_limits_judge_only_that_elder() {
    let mut day = Day::new();
    let mut set = vigil_engine::default_rules();
    for rule in &mut set.rules {
        if let Test::Threshold(threshold) = &mut rule.test
            && rule.slug == "pulse_rate_high"
        {
            threshold.levels[0].limit = 125.0;
        }
    }
    day.told(&Entry::Rules { elders: vec![ELDER], at: at(0), set });
    for (elder, expected) in [(ELDER, vec!["P1 pulse_rate_high"]), (ElderId(8), vec!["P2 pulse_rate_high"])] {
        let mut told = Vec::new();
        for second in [10, 70] {
            let samples = vec![Sample::new(Metric::PulseRate, at(second), 126.0, Quality::Ok)];
            let subject = Subject::Elder(elder);
            told.extend(day.told(&Entry::Frame(Frame { subject, samples, ..frame(second) })));
        }
        assert_eq!(told, expected, "{elder}");
    }
}

#[test]
fn rules_that_fail_their_check_change_nothing() {
    let mut day = Day::new();
    let mut set = vigil_engine::default_rules();
    let again = set.rules[0].clone();
    set.rules.push(again);
    assert_eq!(day.told(&Entry::Rules { elders: vec![], at: at(0), set }), NOTHING);
    assert_eq!(day.engine.counters().rules_refused, 1);
    assert_eq!(day.event(1, 1, EventKind::Sos), ["P1 sos"]);
}

#[test]
fn a_recording_is_judged_alarm_by_alarm() {
    let rows = (0..60).map(|minute| {
        let value = if (10..20).contains(&minute) { 85.0 + f64::from(minute % 4) } else { 97.0 };
        let taken_at = at(i64::from(minute) * 60);
        (taken_at, vec![Sample::new(Metric::Spo2, taken_at, value, Quality::Ok)])
    });
    let (alarms, counters) = vigil_engine::judge::judge(vigil_engine::default_rules(), rows);
    let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert_eq!((alarm.rule.as_str(), alarm.priority), ("spo2_low", Priority::P1));
    assert_eq!((alarm.started_at, alarm.raised_at, alarm.cleared_at), (at(600), at(660), Some(at(1_200))));
    assert_eq!((alarm.worst, counters.judged), (Some(85.0), 60));
    let line = serde_json::to_value(alarm).unwrap();
    assert_eq!(line["kind"]["metric"], "spo2");
    assert_eq!(line["started_at"], Time::to_string(&at(600)));
}

/// A test press is a sign of life: a silence that it ends is watched for again, though nothing else is judged.
#[test]
fn after_a_test_press_silence_counts_anew() {
    let mut day = Day::new();
    day.wears(0);
    assert_eq!(day.tick(1_800), ["T silence"]);
    let test = Frame { flags: Flags(Flags::TEST), ..frame(2_000) };
    assert_eq!(day.told(&Entry::Frame(test)), ["cleared silence"]);
    assert_eq!(day.tick(2_000 + 1_799), NOTHING);
    assert_eq!(day.tick(2_000 + 1_800), ["T silence"]);
}
