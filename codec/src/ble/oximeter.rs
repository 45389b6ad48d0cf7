//! What both measurements of a pulse oximeter share. Pulse Oximeter Service 1.0.

use model::{Metric, Quality};

use super::fields::{bit, words};
use super::ieee11073::Number;
use crate::{Facts, Measured, unit};

/// Measurement Status; bits 0-4 are reserved.
const MEASUREMENT: &[(u8, &str)] = &[
    (5, "measurement_ongoing"),
    (6, "early_estimate"),
    (7, "validated"),
    (8, "fully_qualified"),
    (9, "from_storage"),
    (10, "demonstration"),
    (11, "testing"),
    (12, "calibration_ongoing"),
    (13, "measurement_unavailable"),
    (14, "questionable_measurement"),
    (15, "invalid_measurement"),
];

/// Device and Sensor Status; bits 16-23 are reserved.
const SENSOR: &[(u8, &str)] = &[
    (0, "extended_display_update"),
    (1, "equipment_malfunction"),
    (2, "signal_irregularity"),
    (3, "inadequate_signal"),
    (4, "poor_signal"),
    (5, "low_perfusion"),
    (6, "erratic_signal"),
    (7, "nonpulsatile_signal"),
    (8, "questionable_pulse"),
    (9, "signal_analysis_ongoing"),
    (10, "sensor_interference"),
    (11, "sensor_unconnected_to_user"),
    (12, "unknown_sensor"),
    (13, "sensor_displaced"),
    (14, "sensor_malfunctioning"),
    (15, "sensor_disconnected"),
];

/// Both fields of status, where the frame has them.
#[derive(Clone, Copy, Default)]
pub(super) struct Status {
    pub(super) measurement: Option<u16>,
    pub(super) sensor: Option<u32>,
}

impl Status {
    fn measurement(self, any: &[u8]) -> bool {
        self.measurement.is_some_and(|flags| any.iter().any(|number| bit(flags, *number)))
    }

    fn sensor(self, any: &[u8]) -> bool {
        self.sensor.is_some_and(|flags| any.iter().any(|number| bit(flags, *number)))
    }

    pub(super) fn is_stored(self) -> bool {
        self.measurement(&[9])
    }

    /// No person's value: finger out, measurement invalid, or data for show.
    fn absence(self) -> Option<Quality> {
        if self.sensor(&[11, 13, 15]) {
            Some(Quality::SensorOff)
        } else if self.measurement(&[13, 15]) {
            Some(Quality::MeasurementFailed)
        } else {
            self.measurement(&[10, 11]).then_some(Quality::Absent)
        }
    }

    /// The device measures and does not believe it.
    fn doubts(self) -> bool {
        self.measurement(&[14]) || self.sensor(&[1, 2, 3, 6, 7, 8, 14])
    }

    pub(super) fn tell(self, device: &mut Facts) {
        device.other.extend(self.measurement.map(|flags| ("measurement_status", words(flags, MEASUREMENT))));
        device.other.extend(self.sensor.map(|flags| ("device_sensor_status", words(flags, SENSOR))));
    }

    fn marked(self, reading: Measured) -> Measured {
        let reading = self.absence().map_or(reading.clone(), |cause| reading.withheld(cause)).plausible();
        if self.doubts() { reading.doubted(Quality::Questionable) } else { reading }
    }

    /// Saturation, pulse and, where there, the amplitude of the pulse.
    pub(super) fn readings(self, spo2: Number, pulse: Number, amplitude: Option<Number>) -> Vec<Measured> {
        let saturation = spo2.measured(Metric::Spo2, unit::PERCENT);
        // Nobody alive has 0 %: it is what an oximeter counts without a finger.
        let off = saturation.value == Some(0.0);
        let saturation = if off { saturation.withheld(Quality::SensorOff) } else { saturation };
        let amplitude = amplitude.map(|pai| pai.measured(Metric::PerfusionIndex, unit::PERCENT));
        [saturation, super::pulse(pulse)].into_iter().chain(amplitude).map(|reading| self.marked(reading)).collect()
    }
}
