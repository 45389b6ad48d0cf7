//! A reading: one measured value of one metric at one instant, or its coded absence.

use serde::{Deserialize, Serialize};

use crate::metric::Shape;
use crate::{DeviceId, Metric, Quality, Subject, Time};

/// What a codec makes of a frame: a measurement that does not yet belong to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub metric: Metric,
    pub quality: Quality,
    /// When it was taken. `n`-th readings of one metric at one device time differ by `n` microseconds.
    pub taken_at: Time,
    /// In the metric's UCUM unit. Meaningless (and 0.0) when `quality.has_value()` is false; read it by [`Sample::value`].
    raw: f64,
}

impl Sample {
    /// A value with its quality. A number that is not finite, or a quality that says "absent", becomes absence.
    pub fn new(metric: Metric, taken_at: Time, value: f64, quality: Quality) -> Self {
        if !quality.has_value() {
            return Self { metric, quality, taken_at, raw: 0.0 };
        }
        if !value.is_finite() {
            return Self { metric, quality: Quality::SpecialValue, taken_at, raw: 0.0 };
        }
        Self { metric, quality, taken_at, raw: value }
    }

    /// A measurement without a value, and why.
    pub fn absent(metric: Metric, taken_at: Time, cause: Quality) -> Self {
        let quality = if cause.has_value() { Quality::Absent } else { cause };
        Self { metric, quality, taken_at, raw: 0.0 }
    }

    /// Where a measurement made now and then that the device could only call below or above its range stands for a limit: just outside
    /// of [`MetricInfo::plausible`](crate::metric::MetricInfo::plausible), where no judged value is. `None` for every other sample.
    pub fn beyond_range(&self) -> Option<f64> {
        let info = self.metric.info();
        let step = 0.1_f64.powi(i32::from(info.decimals));
        match self.quality {
            _ if info.shape != Shape::Spot => None,
            Quality::UnderRange => Some(info.plausible.start() - step),
            Quality::OverRange => Some(info.plausible.end() + step),
            _ => None,
        }
    }

    pub fn value(&self) -> Option<f64> {
        self.quality.has_value().then_some(self.raw)
    }

    /// Marks a value outside the metric's plausible range. The value is kept; rules will not judge it.
    #[must_use]
    pub fn guarded(self) -> Self {
        match self.value() {
            Some(value) if !self.metric.is_plausible(value) => Self { quality: Quality::OutOfRange, ..self },
            _ => self,
        }
    }
}

/// A sample with its owner and its device: what is stored and judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub subject: Subject,
    pub device: DeviceId,
    pub sample: Sample,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_special_number_is_absence_never_a_value() {
        let sample = Sample::new(Metric::Spo2, Time(0), f64::NAN, Quality::Ok);
        assert_eq!((sample.value(), sample.quality), (None, Quality::SpecialValue));
        let off = Sample::new(Metric::Spo2, Time(0), 0.0, Quality::SensorOff);
        assert_eq!(off.value(), None);
    }

    #[test]
    fn an_impossible_value_is_kept_but_not_judged() {
        let sample = Sample::new(Metric::HeartRate, Time(0), 900.0, Quality::Ok).guarded();
        assert_eq!((sample.value(), sample.quality.is_judged()), (Some(900.0), false));
    }
}
