//! Who lives in the county and what they have at home.

use model::{AlarmKind, ElderId, Metric, Time};

use crate::dice::Dice;
use crate::figures as f;

/// Devices of an elder; the number of a device is the elder's number with one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Device {
    Band = 0,
    Cuff = 1,
    Meter = 2,
    Clip = 3,
    Thermometer = 4,
    Scale = 5,
    /// A button at the neck or on the wall.
    Pendant = 6,
}

/// One elder.
#[derive(Debug)]
pub(crate) struct Elder {
    pub(crate) id: ElderId,
    /// 65 years and older.
    pub(crate) aged: bool,
    has: u8,
    /// The doctor set the flag for NEWS2 scale 2.
    pub(crate) scale2: bool,
    pub(crate) means: Means,
    /// Seconds by which the clocks of the spot devices are off, after correction.
    pub(crate) clock_off_s: i64,
    /// The glucose meter's clock was never set.
    pub(crate) no_clock: bool,
    /// Kilograms on top of the usual weight: heart failure that fills with water.
    pub(crate) water: [f64; 4],
    /// The day on which `water` begins.
    pub(crate) water_from: Option<i64>,
    pub(crate) dice: Dice,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    pub(crate) systolic: f64,
    pub(crate) diastolic: f64,
    pub(crate) glucose: f64,
    pub(crate) temperature: f64,
    pub(crate) weight: f64,
    pub(crate) clip: f64,
}

impl Elder {
    pub(crate) fn new(seed: u64, id: ElderId, wearers_percent: f64) -> Self {
        let mut dice = Dice::new(seed, u64::from(id.0) << 8);
        let mut has = 1 << Device::Pendant as u8;
        for (device, share) in [
            (Device::Band, wearers_percent / 100.0),
            (Device::Cuff, f::CUFF),
            (Device::Meter, f::GLUCOSE),
            (Device::Clip, f::CLIP),
            (Device::Thermometer, f::THERMOMETER),
            (Device::Scale, f::HEART_FAILURE),
        ] {
            has |= u8::from(dice.chance(share)) << device as u8;
        }
        let aged = !dice.chance(f::YOUNGER_THAN_65);
        let scale2 = has & (1 << Device::Clip as u8) != 0 && dice.chance(f::CLIP_SCALE2);
        let healthy_clip = (f::SIGNS[1].mean.0 - 0.5, f::SIGNS[1].mean.1);
        let means = Means {
            systolic: dice.around(f::SYSTOLIC),
            diastolic: dice.around(f::DIASTOLIC),
            glucose: dice.around(f::GLUCOSE_MEAN).max(5.2),
            temperature: dice.around(f::TEMPERATURE),
            weight: dice.around(f::WEIGHT).max(35.0),
            clip: dice.around(if scale2 { f::CLIP_SCALE2_MEAN } else { healthy_clip }).min(99.0),
        };
        let off = dice.chance(f::CLOCK_OFF);
        let clock_off_s = if off { dice.between((-f::CLOCK_OFF_S, f::CLOCK_OFF_S)) as i64 } else { 0 };
        let no_clock = dice.chance(f::CLOCK_NEVER_SET);
        Self { id, aged, has, scale2, means, clock_off_s, no_clock, water: [0.0; 4], water_from: None, dice }
    }

    pub(crate) const fn has(&self, device: Device) -> bool {
        self.has & (1 << device as u8) != 0
    }

    /// One in ten lives in each township.
    pub(crate) const fn township(&self) -> u32 {
        self.id.0 % f::TOWNSHIPS
    }

    /// Weight of the body on `day`.
    pub(crate) fn weight_on(&mut self, day: i64) -> f64 {
        let since = self.water_from.map_or(-1, |from| day - from);
        let water = usize::try_from(since).ok().and_then(|day| self.water.get(day)).copied().unwrap_or(0.0);
        self.means.weight + water + f::WEIGHT_BODY_SD * self.dice.normal()
    }
}

/// What the bodies are really like at this moment, without sensors: the truth by which an alarm is called real or false.
#[derive(Debug)]
pub(crate) struct Truth(Vec<[f32; SLOTS]>);

const SLOTS: usize = 7;

const fn slot(metric: Metric) -> Option<usize> {
    match metric {
        Metric::HeartRate | Metric::PulseRate => Some(0),
        Metric::Spo2 => Some(1),
        Metric::RespiratoryRate => Some(2),
        Metric::Systolic => Some(3),
        Metric::Diastolic => Some(4),
        Metric::Glucose => Some(5),
        Metric::BodyTemperature => Some(6),
        _ => None,
    }
}

impl Truth {
    pub(crate) fn new(elders: u32) -> Self {
        Self(vec![[f32::NAN; SLOTS]; elders as usize + 1])
    }

    pub(crate) fn set(&mut self, elder: ElderId, metric: Metric, value: f64) {
        if let (Some(row), Some(slot)) = (self.0.get_mut(elder.0 as usize), slot(metric)) {
            row[slot] = value as f32;
        }
    }

    pub(crate) fn get(&self, elder: ElderId, metric: Metric) -> Option<f64> {
        let value = f64::from(*self.0.get(elder.0 as usize)?.get(slot(metric)?)?);
        (!value.is_nan()).then_some(value)
    }

    /// The body, not the sensor, is beyond the limit that was reached. `None`: not a question of one value.
    pub(crate) fn is_beyond(&self, elder: ElderId, kind: &AlarmKind) -> Option<bool> {
        let (AlarmKind::Threshold { metric, high, limit, .. } | AlarmKind::Count { metric, high, limit, .. }) = *kind
        else {
            return None;
        };
        let value = self.get(elder, metric)?;
        Some(if high { value >= limit - 0.5 * last_digit(metric) } else { value < limit + 0.5 * last_digit(metric) })
    }
}

fn last_digit(metric: Metric) -> f64 {
    0.1_f64.powi(i32::from(metric.info().decimals))
}

/// Start of a day of the run.
pub(crate) const fn midnight(day: i64) -> Time {
    Time::from_secs(f::START_S + day * 86_400)
}

/// A moment of a day, in minutes since midnight.
pub(crate) fn at_minute(day: i64, minute: f64) -> Time {
    midnight(day).plus_us((minute * f::MINUTE_US as f64) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The means of the model give the share of crisis readings that the facts have.
    #[test]
    fn one_cuff_reading_in_a_hundred_is_in_crisis() {
        let (mut readings, mut crises) = (0, 0);
        for id in 1..=40_000 {
            let mut elder = Elder::new(1, ElderId(id), 10.0);
            let (systolic, diastolic) = crate::spot::pressures(&mut elder);
            let (systolic, diastolic) = crate::spot::cuffed(&mut elder, (systolic, diastolic));
            readings += 1;
            crises += u32::from(systolic >= 180.0 || diastolic >= 110.0);
        }
        let share = f64::from(crises) / f64::from(readings);
        assert!((0.008..0.013).contains(&share), "{share}");
    }
}
