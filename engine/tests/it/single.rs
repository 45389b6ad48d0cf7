//! Stories of a value that stays alone: an ECG held in the hand, a finger clip, a cabin, the pulse of a cuff. Somebody is told.

use model::{Metric, Quality};

use crate::day::{Day, NOTHING, of_device};

const HOUR: i64 = 3_600;

#[test]
fn one_ecg_held_in_the_hand_asks_for_another_and_then_somebody_calls() {
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::HeartRate, 180.0), NOTHING, "the device may go on");
    assert_eq!(day.tick(119), NOTHING);
    assert_eq!(day.tick(120), ["P3 heart_rate_high", "remeasure heart_rate_high"]);
    assert_eq!(day.tick(599), NOTHING);
    assert_eq!(day.tick(600), ["worsened P2 heart_rate_high", "lost heart_rate_high"]);
    assert_eq!(day.tick(5_000), NOTHING, "once");
}

#[test]
fn every_stream_of_the_default_set_is_told_of_by_a_single_value() {
    for (metric, value, rule) in [
        (Metric::HeartRate, 35.0, "heart_rate_low"),
        (Metric::Spo2, 78.0, "spo2_low"),
        (Metric::PulseRate, 180.0, "pulse_rate_high"),
        (Metric::PulseRate, 36.0, "pulse_rate_low"),
        (Metric::RespiratoryRate, 30.0, "respiratory_rate_high"),
        (Metric::RespiratoryRate, 6.0, "respiratory_rate_low"),
    ] {
        let mut day = Day::new();
        day.reads(0, metric, value);
        assert_eq!(day.tick(120), [format!("P3 {rule}"), format!("remeasure {rule}")]);
        assert_eq!(day.tick(600)[0], format!("worsened P2 {rule}"));
    }
}

#[test]
fn a_second_value_confirms_or_ends_what_the_first_one_asked() {
    let mut day = Day::new();
    day.reads(0, Metric::HeartRate, 180.0);
    day.tick(120);
    assert_eq!(day.reads(300, Metric::HeartRate, 176.0), ["worsened P1 heart_rate_high"]);
    assert_eq!(day.tick(600), NOTHING, "answered");
    let mut day = Day::new();
    day.reads(0, Metric::HeartRate, 180.0);
    day.tick(120);
    assert_eq!(day.reads(300, Metric::HeartRate, 76.0), ["cleared heart_rate_high"]);
    assert_eq!(day.tick(9_000), NOTHING);
    assert_eq!(day.engine.pending() + day.engine.present(), 0);
}

#[test]
fn a_lesser_band_alone_is_a_worklist_item_and_stays_one() {
    let mut day = Day::new();
    day.reads(0, Metric::PulseRate, 115.0);
    assert_eq!(day.tick(120), ["P3 pulse_rate_high", "remeasure pulse_rate_high"]);
    assert_eq!(day.tick(600), ["lost pulse_rate_high"]);
    let mut mild = Day::new();
    mild.reads(0, Metric::Spo2, 95.0);
    assert_eq!(mild.tick(9_000), NOTHING, "what is worklist at most is not asked again");
}

#[test]
fn a_sitting_that_ends_before_the_hold_time_is_a_single_measurement() {
    let mut day = Day::new();
    for second in [0, 10, 20] {
        assert_eq!(day.reads(second, Metric::Spo2, 86.0), NOTHING);
    }
    assert_eq!(day.tick(130), NOTHING, "two minutes after the last");
    assert_eq!(day.tick(140), ["P3 spo2_low", "remeasure spo2_low"]);
}

#[test]
fn a_stray_value_of_a_band_that_is_worn_raises_nothing() {
    let mut day = Day::new();
    let mut told = Vec::new();
    for minute in 0..180 {
        let value = if [30, 100, 150, 179].contains(&minute) { 78.0 } else { 97.0 };
        told.extend(day.reads(minute * 60, Metric::Spo2, value));
        told.extend(day.tick(minute * 60 + 30));
    }
    // The last one was stray, and then the line is cut: what it held back will say.
    told.extend((0..20).flat_map(|minute| day.tick((180 + minute) * 60)));
    assert_eq!(told, NOTHING);
}

#[test]
fn who_wears_a_band_may_hold_a_clip_too() {
    let mut day = Day::new();
    for minute in 0..180 {
        of_device(&mut day, 3, minute * 60, Metric::Spo2, 97.0);
    }
    assert_eq!(of_device(&mut day, 4, 3 * HOUR, Metric::Spo2, 78.0), NOTHING);
    assert_eq!(of_device(&mut day, 3, 3 * HOUR + 60, Metric::Spo2, 97.0), NOTHING, "another device");
    assert_eq!(day.tick(3 * HOUR + 120), ["P3 spo2_low", "remeasure spo2_low"]);
}

#[test]
fn a_watch_that_speaks_once_an_hour_tells_single_values() {
    let mut day = Day::new();
    for hour in 0..5 {
        assert_eq!(day.reads(hour * HOUR, Metric::HeartRate, 75.0), NOTHING);
    }
    day.reads(5 * HOUR, Metric::HeartRate, 180.0);
    assert_eq!(day.tick(5 * HOUR + 120), ["P3 heart_rate_high", "remeasure heart_rate_high"]);
    assert_eq!(day.tick(5 * HOUR + 600)[0], "worsened P2 heart_rate_high");
    assert_eq!(day.reads(6 * HOUR, Metric::HeartRate, 178.0), ["still heart_rate_high"]);
    assert_eq!(day.tick(6 * HOUR + 120), ["remeasure heart_rate_high"]);
    assert_eq!(day.tick(6 * HOUR + 600)[0], "repeated heart_rate_high", "it stands: told again");
}

#[test]
fn two_devices_that_find_single_values_are_one_alarm() {
    let mut day = Day::new();
    of_device(&mut day, 3, 0, Metric::HeartRate, 180.0);
    of_device(&mut day, 4, 60, Metric::HeartRate, 178.0);
    assert_eq!(day.tick(120), ["P3 heart_rate_high", "remeasure heart_rate_high"]);
    assert_eq!(day.tick(180), ["remeasure heart_rate_high"]);
    assert_eq!(day.tick(600)[0], "worsened P2 heart_rate_high");
    assert!(!day.tick(660).iter().any(|told| told.starts_with('P') || told.starts_with("worsened")));
}

#[test]
fn a_sensor_that_comes_off_breaks_the_question_off() {
    let mut day = Day::new();
    day.reads(0, Metric::Spo2, 78.0);
    day.absent(20, Metric::Spo2, Quality::SensorOff);
    assert_eq!(day.tick(9_000), NOTHING);
}

#[test]
fn one_low_temperature_asks_and_is_p2_when_nobody_measures_again() {
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::BodyTemperature, 34.0), ["P3 temperature_low", "remeasure temperature_low"]);
    assert_eq!(day.tick(600), ["worsened P2 temperature_low"]);
    let mut day = Day::new();
    day.reads(0, Metric::BodyTemperature, 34.0);
    assert_eq!(day.reads(200, Metric::BodyTemperature, 34.3), ["worsened P1 temperature_low"]);
    let mut day = Day::new();
    assert_eq!(day.reads(0, Metric::BodyTemperature, 35.7), NOTHING, "a worklist level asks for nothing");
    assert_eq!(day.tick(9_000), NOTHING);
}

#[test]
fn a_single_spot_value_that_comes_late_is_a_review_item() {
    let mut day = Day::new();
    assert_eq!(day.reads_late(2 * HOUR, 0, Metric::BodyTemperature, 34.0), ["late P3 temperature_low"]);
    assert_eq!(day.reads_late(2 * HOUR + 1, 0, Metric::BodyTemperature, 34.0), NOTHING, "uploaded again");
    // Of a stream more may follow, as late: a month of a device that is new here must not be an item for every dip.
    assert_eq!(day.reads_late(2 * HOUR + 2, 0, Metric::Spo2, 78.0), NOTHING);
    assert_eq!(day.reads_late(2 * HOUR + 3, 40, Metric::Spo2, 78.0), ["late P3 spo2_low"]);
}

#[test]
fn a_question_survives_a_restart() {
    for cut in [60, 300] {
        let mut day = Day::new();
        day.reads(0, Metric::HeartRate, 180.0);
        let mut told = if cut > 120 { day.tick(120) } else { vec![] };
        day.engine = vigil_engine::Engine::load(&day.engine.save()).unwrap();
        for second in (0..=600).step_by(5).filter(|second| *second > cut) {
            told.extend(day.tick(second));
        }
        let expected =
            ["P3 heart_rate_high", "remeasure heart_rate_high", "worsened P2 heart_rate_high", "lost heart_rate_high"];
        assert_eq!(told, expected, "after {cut} s");
    }
}

/// Every minute one of `values` in turn, for `minutes`; what is told with its minute.
fn each_minute(metric: Metric, values: &[f64], minutes: usize) -> Vec<(usize, String)> {
    let mut day = Day::new();
    (0..minutes)
        .flat_map(|minute| {
            let told = day.reads(minute as i64 * 60, metric, values[minute % values.len()]);
            told.into_iter().map(move |what| (minute, what))
        })
        .collect()
}

#[test]
fn a_value_just_inside_the_limit_does_not_throw_the_hold_time_away() {
    let breath = each_minute(Metric::RespiratoryRate, &[26.0, 26.0, 24.0], 20);
    assert_eq!(breath, [(6, "P1 respiratory_rate_high".to_owned())], "the fifth minute is inside and reaches nothing");
    let heart = each_minute(Metric::HeartRate, &[140.0, 130.0], 10);
    assert_eq!(heart, [(2, "P1 heart_rate_high".to_owned())]);
    // Well inside: it begins anew, and the lesser level goes on.
    let heart = each_minute(Metric::HeartRate, &[140.0, 120.0], 12);
    assert_eq!(heart, [(10, "P2 heart_rate_high".to_owned())]);
    assert_eq!(each_minute(Metric::HeartRate, &[140.0, 90.0], 60), []);
}

#[test]
fn values_just_inside_the_limit_reach_nothing_and_are_not_for_ever() {
    let mut day = Day::new();
    day.reads(0, Metric::HeartRate, 140.0);
    let told: Vec<String> = (1..50).flat_map(|minute| day.reads(minute * 60, Metric::HeartRate, 129.0)).collect();
    assert_eq!(told, ["P2 heart_rate_high", "repeated heart_rate_high"], "of the lesser band");
    assert_eq!(day.reads(50 * 60, Metric::HeartRate, 140.0), NOTHING, "the hold time begins anew");
    assert_eq!(day.reads(52 * 60, Metric::HeartRate, 140.0), ["worsened P1 heart_rate_high"]);
}

#[test]
fn to_measure_again_never_tells_fewer_people_than_not_to() {
    for (metric, first, second, rule) in [
        (Metric::Systolic, 186.0, 179.0, "systolic_high"),
        (Metric::Systolic, 186.0, 175.0, "systolic_high"),
        (Metric::Diastolic, 112.0, 108.0, "diastolic_high"),
        (Metric::BodyTemperature, 34.9, 35.2, "temperature_low"),
    ] {
        let mut day = Day::new();
        assert_eq!(day.reads(0, metric, first).len(), 2);
        assert_eq!(day.reads(240, metric, second), NOTHING, "the question stays open");
        assert_eq!(day.tick(600), [format!("worsened P2 {rule}")], "{first} then {second}");
        assert_eq!(day.reads(700, metric, first), [format!("worsened P1 {rule}")], "confirmed late is confirmed");
    }
    let mut third = Day::new();
    third.reads(0, Metric::Systolic, 186.0);
    third.reads(240, Metric::Systolic, 179.0);
    assert_eq!(third.reads(400, Metric::Systolic, 182.0), ["worsened P1 systolic_high"]);
    let mut well = Day::new();
    well.reads(0, Metric::Systolic, 186.0);
    assert_eq!(well.reads(240, Metric::Systolic, 174.0), NOTHING);
    assert_eq!(well.tick(600), NOTHING, "well inside ends the matter");
    let mut low = Day::new();
    low.reads(0, Metric::Systolic, 88.0);
    assert_eq!(low.reads(240, Metric::Systolic, 93.0), ["worsened P2 systolic_low"], "the lesser level is confirmed");
    assert_eq!(low.reads(400, Metric::Systolic, 89.0), ["worsened P1 systolic_low"]);
}
