//! Stories of several devices that measure the same of one elder.

use model::entry::{Entry, Frame};
use model::{DeviceId, Metric, Quality, Sample, Subject};

use crate::day::{Day, ELDER, NOTHING, at, frame, of_device};

#[test]
fn a_careless_band_does_not_hide_what_the_finger_clip_sees() {
    let mut day = Day::new();
    let mut told = Vec::new();
    for minute in 0..10 {
        told.extend(of_device(&mut day, 3, minute * 60, Metric::Spo2, 85.0));
        told.extend(of_device(&mut day, 4, minute * 60 + 30, Metric::Spo2, 97.0));
    }
    assert_eq!(told, ["P1 spo2_low"], "once, and not over because another device says so");
    assert_eq!(of_device(&mut day, 3, 600, Metric::Spo2, 97.0), ["cleared spo2_low"]);
}

#[test]
fn two_devices_that_see_the_same_are_one_alarm() {
    let mut day = Day::new();
    of_device(&mut day, 3, 0, Metric::PulseRate, 115.0);
    assert_eq!(of_device(&mut day, 3, 60, Metric::PulseRate, 115.0), ["P2 pulse_rate_high"]);
    of_device(&mut day, 4, 70, Metric::PulseRate, 140.0);
    assert_eq!(of_device(&mut day, 4, 130, Metric::PulseRate, 140.0), ["worsened P1 pulse_rate_high"]);
    assert_eq!(of_device(&mut day, 3, 140, Metric::PulseRate, 80.0), NOTHING, "the other one still sees it");
    assert_eq!(day.tick(731), ["lost pulse_rate_high"]);
    assert_eq!(of_device(&mut day, 3, 740, Metric::PulseRate, 80.0), ["cleared pulse_rate_high"], "the only one left");
    assert_eq!((day.engine.pending(), day.engine.present()), (0, 0));
}

#[test]
fn a_device_that_goes_on_after_the_other_is_done_has_an_alarm_of_its_own() {
    let mut day = Day::new();
    for device in [3, 4] {
        of_device(&mut day, device, 0, Metric::PulseRate, 115.0);
    }
    assert_eq!(of_device(&mut day, 3, 60, Metric::PulseRate, 115.0), ["P2 pulse_rate_high"]);
    assert_eq!(of_device(&mut day, 3, 70, Metric::PulseRate, 80.0), ["cleared pulse_rate_high"]);
    let samples = vec![Sample::new(Metric::PulseRate, at(80), 115.0, Quality::Ok)];
    let raised = day.step(&Entry::Frame(Frame { device: DeviceId(4), samples, ..frame(80) }));
    let first = model::AlarmId::of(Subject::Elder(ELDER), "pulse_rate_high", at(0));
    assert!(raised.len() == 1 && raised[0].alarm != first, "the records would take it for the first: {raised:?}");
}

#[test]
fn a_new_band_takes_over_the_condition_of_the_old_one() {
    let mut day = Day::new();
    of_device(&mut day, 3, 0, Metric::Spo2, 85.0);
    assert_eq!(of_device(&mut day, 3, 60, Metric::Spo2, 85.0), ["P1 spo2_low"]);
    assert_eq!(day.tick(660), ["lost spo2_low"]);
    of_device(&mut day, 4, 700, Metric::Spo2, 86.0);
    assert_eq!(of_device(&mut day, 4, 760, Metric::Spo2, 86.0), ["still spo2_low"]);
    assert_eq!(of_device(&mut day, 4, 820, Metric::Spo2, 97.0), ["cleared spo2_low"]);
    assert_eq!((day.engine.pending(), day.engine.present()), (0, 0));
}

#[test]
fn a_second_cuff_confirms_the_first() {
    let mut day = Day::new();
    assert_eq!(of_device(&mut day, 3, 0, Metric::Systolic, 186.0), ["P3 systolic_high", "remeasure systolic_high"]);
    assert_eq!(of_device(&mut day, 4, 300, Metric::Systolic, 184.0), ["worsened P1 systolic_high"]);
}
