//! Which waveform a heart is listened to by: what is read of it, and which rates it speaks for.

use ecg::{Finding, pulse};
use model::{Metric, Quality};

use super::lead::Lead;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Ecg,
    Ppg,
}

impl Source {
    pub(super) const ALL: [Self; 2] = [Self::Ecg, Self::Ppg];

    pub(super) const fn metric(self) -> Metric {
        match self {
            Self::Ecg => Metric::Ecg,
            Self::Ppg => Metric::Ppg,
        }
    }

    /// What is derived from it.
    pub(super) const fn derives(self) -> Metric {
        match self {
            Self::Ecg => Metric::HeartRate,
            Self::Ppg => Metric::PulseRate,
        }
    }

    /// Beats a minute: a device that tells them itself needs nobody to derive them.
    pub(super) const fn is_rate(self, metric: Metric) -> bool {
        matches!((self, metric), (_, Metric::HeartRate) | (Self::Ppg, Metric::PulseRate))
    }

    /// A reading that this waveform would be the source of.
    pub(super) const fn is_of(self, metric: Metric) -> bool {
        self.is_rate(metric) || matches!(metric, Metric::RrInterval)
    }

    pub(super) fn read(self, lead: &Lead, counts: &[i16]) -> Finding {
        match self {
            Self::Ecg => ecg::read(lead.rate, lead.scale, counts),
            Self::Ppg => pulse::read(lead.rate, lead.scale, lead.offset, counts).into(),
        }
    }

    /// Why nothing is there when the electrode or the sensor is off.
    pub(super) const fn off(self) -> Quality {
        match self {
            Self::Ecg => Quality::LeadOff,
            Self::Ppg => Quality::SensorOff,
        }
    }

    /// Raw value and unit of a derived rate.
    pub(super) fn origin(self, lead: Option<&str>) -> (String, String) {
        match self {
            Self::Ecg => (format!("ecg:{}", lead.unwrap_or("?")), "mV".to_owned()),
            Self::Ppg => ("ppg".to_owned(), "1".to_owned()),
        }
    }
}
