//! A band: a report a minute of heart rate, oxygen and respiration, with the body's wander, the sensor's scatter, stray values, motion,
//! lost contact, charging and an empty battery.

use model::{ElderId, Metric, Quality, Sample, Time};

use crate::dice::Dice;
use crate::figures as f;
use crate::people::Truth;

pub(crate) const METRICS: [Metric; 3] = [Metric::HeartRate, Metric::Spo2, Metric::RespiratoryRate];
/// Battery is told every so many minutes.
const BATTERY_EVERY_MIN: i64 = 10;
/// A band on its charger is full within so many minutes.
const CHARGES_IN_MIN: u32 = 60;
/// Battery at which a band is silent, %.
const EMPTY: f32 = 1.0;

/// One band on one wrist.
#[derive(Debug)]
pub(crate) struct Band {
    pub(crate) elder: ElderId,
    /// When in the minute it speaks.
    pub(crate) phase_us: i64,
    dice: Dice,
    signs: [State; 3],
    activity: f32,
    sensor_off_min: u32,
    battery: f32,
    charging_min: u32,
    /// Minute of today at which it goes on the charger.
    charge_at: i64,
    /// A crisis of the scenario: which sign, its value, until when. The band is worn and charged as long.
    forced: Option<(usize, f32, Time)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    mean: f32,
    wander: f32,
    stray_min: u32,
    stray_by: f32,
    stray_marked: bool,
}

/// What is not a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Nothing,
    Report,
    /// The report says also that the band was taken off.
    Removed,
}

impl Band {
    pub(crate) fn new(seed: u64, elder: ElderId) -> Self {
        let mut dice = Dice::new(seed, (u64::from(elder.0) << 8) + 1);
        let mut signs = [State::default(); 3];
        for (state, sign) in signs.iter_mut().zip(&f::SIGNS) {
            state.mean = dice.around(sign.mean) as f32;
            state.wander = dice.bell() * sign.body_sd;
        }
        signs[1].mean = signs[1].mean.min(98.5);
        let phase_us = dice.below(f::MINUTE_US as u32).into();
        let battery = dice.between((30.0, 100.0)) as f32;
        Self {
            elder,
            phase_us,
            dice,
            signs,
            activity: 0.0,
            sensor_off_min: 0,
            battery,
            charging_min: 0,
            charge_at: -1,
            forced: None,
        }
    }

    pub(crate) fn force(&mut self, sign: usize, value: f64, until: Time) {
        self.forced = Some((sign, value as f32, until));
        self.battery = self.battery.max(50.0);
        self.charging_min = 0;
    }

    /// The minute that begins at `now`, `minute` of the day: appends samples, notes the truth.
    pub(crate) fn minute(&mut self, now: Time, minute: i64, samples: &mut Vec<Sample>, truth: &mut Truth) -> Said {
        if self.forced.is_some_and(|(_, _, until)| now >= until) {
            self.forced = None;
        }
        if minute == 0 || self.charge_at < 0 {
            self.charge_at = 1_140 + i64::from(self.dice.below(120));
        }
        let mut removed = false;
        if minute == self.charge_at && self.forced.is_none() && !self.dice.chance(f::FORGETS_TO_CHARGE) {
            self.charging_min = CHARGES_IN_MIN;
            removed = self.dice.chance(f::SAYS_REMOVED);
        }
        let worn = self.power();
        if self.battery < EMPTY {
            return Said::Nothing;
        }
        let awake = (390..1_320).contains(&minute);
        self.activity = self.activity * 0.93 + 0.13 * self.dice.bell();
        let activity = self.activity.abs().min(1.0) * if awake { 1.0 } else { 0.1 };
        let moved = activity > f::MOTION_FROM && self.dice.chance(0.5);
        let no_contact = self.contact_is_lost();
        for (index, metric) in METRICS.into_iter().enumerate() {
            let body = self.body(index, activity, if awake { 0.0 } else { 1.0 });
            truth.set(self.elder, metric, f64::from(body));
            let lost = !worn || (index == 1 && no_contact);
            samples.push(self.measured(index, now, body, lost, moved));
        }
        if minute % BATTERY_EVERY_MIN == 0 {
            samples.push(Sample::new(Metric::Battery, now, f64::from(self.battery.round()), Quality::Ok));
        }
        if removed { Said::Removed } else { Said::Report }
    }

    /// Drains or charges; true: on the wrist.
    fn power(&mut self) -> bool {
        if self.charging_min > 0 {
            self.charging_min -= 1;
            self.battery = (self.battery + 100.0 / CHARGES_IN_MIN as f32).min(100.0);
            return false;
        }
        self.battery = (self.battery - f::DRAIN).max(0.0);
        true
    }

    fn contact_is_lost(&mut self) -> bool {
        if self.sensor_off_min > 0 {
            self.sensor_off_min -= 1;
        } else if self.forced.is_none() && self.dice.chance(f::SENSOR_OFF) {
            self.sensor_off_min = self.dice.wait(f::SENSOR_OFF_MIN).ceil() as u32;
        }
        self.sensor_off_min > 0
    }

    fn body(&mut self, index: usize, activity: f32, night: f32) -> f32 {
        let (sign, state) = (&f::SIGNS[index], &mut self.signs[index]);
        let keep = 1.0 - 1.0 / sign.body_memory_min;
        state.wander = state.wander * keep + self.dice.bell() * sign.body_sd * (1.0 - keep * keep).sqrt();
        let usual = state.mean + state.wander + sign.activity * activity + sign.night * night;
        match self.forced {
            Some((forced, value, _)) if forced == index => value + state.wander * 0.3,
            _ if index == 1 => usual.min(99.5),
            _ => usual,
        }
    }

    fn measured(&mut self, index: usize, now: Time, body: f32, lost: bool, moved: bool) -> Sample {
        let (sign, state) = (&f::SIGNS[index], &mut self.signs[index]);
        if state.stray_min > 0 {
            state.stray_min = u32::from(self.dice.chance(f::STRAY_GOES_ON));
        } else if self.dice.chance(sign.stray) {
            state.stray_min = 1;
            let up = if self.dice.chance(sign.stray_up) { 1.0 } else { -1.0 };
            state.stray_by = (up * self.dice.between(sign.stray_by)) as f32;
            state.stray_marked = self.dice.chance(f::STRAY_MARKED);
        }
        let metric = METRICS[index];
        if lost {
            return Sample::absent(metric, now, Quality::SensorOff);
        }
        let stray = state.stray_min > 0;
        let off = if stray { state.stray_by } else { 0.0 };
        let value = f64::from((body + self.dice.bell() * sign.sensor_sd + off).round());
        let value = if index == 1 { value.min(100.0) } else { value };
        let marked = (stray && state.stray_marked) || moved;
        Sample::new(metric, now, value, if marked { Quality::Motion } else { Quality::Ok }).guarded()
    }
}
