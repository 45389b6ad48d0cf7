//! What truly happens to people, and whether an alarm said so.

use std::collections::HashMap;

use model::{AlarmKind, ElderId, EventKind, Metric, Priority, Time};
use serde::Serialize;

/// Event time around a crisis within which an alarm is about it.
const BEFORE_US: i64 = 60_000_000;
const AFTER_US: i64 = 600_000_000;

/// Kinds of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CrisisKind {
    /// Every press of the button, real or not, has to become an alarm.
    Sos,
    /// The same for what a fall detector says.
    Fall,
    HypertensiveCrisis,
    Desaturation,
    Bradycardia,
    Tachycardia,
    Hypoglycaemia,
    Fever,
    WeightGain,
}

impl CrisisKind {
    pub const ALL: [Self; 9] = [
        Self::Sos,
        Self::Fall,
        Self::HypertensiveCrisis,
        Self::Desaturation,
        Self::Bradycardia,
        Self::Tachycardia,
        Self::Hypoglycaemia,
        Self::Fever,
        Self::WeightGain,
    ];

    /// Word in the report.
    pub const fn slug(self) -> &'static str {
        match self {
            Self::Sos => "sos",
            Self::Fall => "fall",
            Self::HypertensiveCrisis => "hypertensive_crisis",
            Self::Desaturation => "desaturation",
            Self::Bradycardia => "bradycardia",
            Self::Tachycardia => "tachycardia",
            Self::Hypoglycaemia => "hypoglycaemia",
            Self::Fever => "fever",
            Self::WeightGain => "weight_gain",
        }
    }

    /// An alarm of this kind is about such a crisis.
    pub(crate) fn suits(self, kind: &AlarmKind) -> bool {
        let (metric, high) = match *kind {
            AlarmKind::Event { kind } => {
                return matches!((self, kind), (Self::Sos, EventKind::Sos) | (Self::Fall, EventKind::Fall));
            }
            AlarmKind::Threshold { metric, high, .. }
            | AlarmKind::Trend { metric, high, .. }
            | AlarmKind::Count { metric, high, .. } => (metric, high),
            AlarmKind::Score { .. } | AlarmKind::Silence { .. } => return false,
        };
        match self {
            Self::Sos | Self::Fall => false,
            Self::HypertensiveCrisis => high && matches!(metric, Metric::Systolic | Metric::Diastolic),
            Self::Desaturation => !high && metric == Metric::Spo2,
            Self::Bradycardia => !high && matches!(metric, Metric::HeartRate | Metric::PulseRate),
            Self::Tachycardia => high && matches!(metric, Metric::HeartRate | Metric::PulseRate),
            Self::Hypoglycaemia => !high && metric == Metric::Glucose,
            Self::Fever => high && metric == Metric::BodyTemperature,
            Self::WeightGain => high && metric == Metric::Weight,
        }
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Crisis {
    pub kind: CrisisKind,
    pub elder: ElderId,
    pub begin: Time,
    pub until: Time,
    /// False: a press or a fall detection without need.
    pub real: bool,
}

/// How an alarm told of a crisis.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Found {
    /// Log time.
    pub(crate) at: Time,
    pub(crate) priority: Priority,
    /// A review item: found in data that came late.
    pub(crate) late: bool,
}

/// All crises so far.
#[derive(Debug, Default)]
pub(crate) struct Crises {
    pub(crate) all: Vec<Crisis>,
    of: HashMap<u32, Vec<u32>>,
}

impl Crises {
    pub(crate) fn add(&mut self, crisis: Crisis) -> usize {
        let index = self.all.len();
        self.all.push(crisis);
        self.of.entry(crisis.elder.0).or_default().push(index as u32);
        index
    }

    pub(crate) fn is_busy(&self, elder: ElderId) -> bool {
        self.of.contains_key(&elder.0)
    }

    /// Crises of an elder that something of this kind at this event time is about.
    pub(crate) fn about(&self, elder: u32, kind: &AlarmKind, at: Time) -> impl Iterator<Item = (usize, &Crisis)> {
        let of = self.of.get(&elder).map_or(&[][..], Vec::as_slice);
        let kind = *kind;
        of.iter().map(|index| *index as usize).filter_map(move |index| {
            let crisis = self.all.get(index)?;
            let during = (crisis.begin.plus_us(-BEFORE_US)..=crisis.until.plus_us(AFTER_US)).contains(&at);
            (during && crisis.kind.suits(&kind)).then_some((index, crisis))
        })
    }
}
