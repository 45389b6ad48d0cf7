//! Kinds of tests beyond thresholds, events and silence: change over days, a score of several values, a count in a window, and
//! the confirmation of a single measurement.

use serde::{Deserialize, Serialize};

use super::{Side, Threshold};
use crate::metric::Shape;
use crate::{Metric, Priority};

/// Asks for a second measurement: a cuff alone never pages P1 (docs/alarms.md).
///
/// The first value beyond a level with a hold time asks the elder to measure again (`Change::RemeasureAsked`). A second value
/// beyond it within `within_s` confirms, and the level is reached; one inside it ends the matter. When nothing comes in time
/// the alarm is raised, or worsened: somebody has to call. It is then one class below the level, and at most `unconfirmed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Seconds after the first value until the second one is missed. 60 to 3600.
    pub within_s: u32,
    /// What an unconfirmed value is at most: P2 or P3.
    pub unconfirmed: Priority,
}

/// Change over days: weight against three days ago, blood pressure against the elder's own baseline. Days are those of
/// Asia/Shanghai; a day's value is the mean of its judged values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    pub metric: Metric,
    /// `High`: it rose by `by` or more.
    pub side: Side,
    /// In the metric's unit, above 0.
    pub by: f64,
    pub against: Against,
    pub priority: Priority,
}

/// What today's mean is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Against {
    /// The lowest (for `High`; else the highest) day of the last `days`. 1 to 14.
    LastDays { days: u16 },
    /// The mean of the `days` before today, of which at least `at_least` have a value. `days` 7 to 60.
    Baseline { days: u16, at_least: u16 },
}

/// A score of several values, with what is missing as an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    pub score: ScoreName,
    /// Inputs older than this are missing. 60 to 14400 (facts: total within 15 min, interval up to 30 min).
    pub window_s: u32,
    /// SpO2 by scale 2: only for hypercapnic respiratory failure with a prescribed target of 88-92 %, by a doctor's flag.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spo2_scale2: bool,
    /// A single parameter that scores 3 has at least this priority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_three: Option<Priority>,
    /// Seconds for which a level must be reached before it counts, by event time or, when nothing else is said, by the clock: one
    /// noisy value of a band pages nobody, a set measured once in a cabin does. 0 to 600.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_s: u32,
    /// Most urgent first. Judged by the least total that is certain: missing inputs count 0 here and are told.
    pub levels: Vec<ScoreLevel>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form serde calls")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreName {
    /// National Early Warning Score 2, Royal College of Physicians 2017. 0 to 20.
    News2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreLevel {
    pub priority: Priority,
    pub at_least: u8,
}

/// So many values beyond a limit within a window of event time ("three low glucose values in a week").
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    pub metric: Metric,
    pub side: Side,
    /// In the metric's unit, inclusive.
    pub limit: f64,
    /// 2 to 16.
    pub count: u16,
    /// Seconds. 60 to 30 days.
    pub within_s: u32,
    pub priority: Priority,
}

impl Confirm {
    pub(super) fn check(self, test: &Threshold) -> Result<(), String> {
        if test.metric.info().shape != Shape::Spot {
            return Err(format!("confirm is for measurements made now and then; {} is a stream", test.metric));
        }
        if !(60..=3_600).contains(&self.within_s) {
            return Err("confirm.within_s must be 60 to 3600".into());
        }
        if !matches!(self.unconfirmed, Priority::P2 | Priority::P3) {
            return Err("confirm.unconfirmed must be P2 or P3: one value alone never pages P1".into());
        }
        if !test.levels.iter().any(|level| level.hold_s > 0) {
            return Err("confirm needs a level with hold_s above 0".into());
        }
        Ok(())
    }
}

impl Trend {
    /// Days a trend looks back at most.
    pub const DAYS_MAX: u16 = 60;

    pub(super) fn check(&self) -> Result<(), String> {
        if !(self.by.is_finite() && self.by > 0.0) {
            return Err("by must be above 0".into());
        }
        let range = &self.metric.info().plausible;
        if self.by > range.end() - range.start() {
            return Err(format!("by is larger than all of {}..={} of {}", range.start(), range.end(), self.metric));
        }
        match self.against {
            Against::LastDays { days } if !(1..=14).contains(&days) => Err("last_days.days must be 1 to 14".into()),
            Against::Baseline { days, .. } if !(7..=Self::DAYS_MAX).contains(&days) => {
                Err("baseline.days must be 7 to 60".into())
            }
            Against::Baseline { days, at_least } if !(3..=days).contains(&at_least) => {
                Err("baseline.at_least must be 3 to days".into())
            }
            _ => Ok(()),
        }
    }
}

impl Score {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(60..=14_400).contains(&self.window_s) {
            return Err("window_s must be 60 to 14400".into());
        }
        if self.hold_s > 600 {
            return Err("hold_s must be 0 to 600".into());
        }
        if self.levels.is_empty() {
            return Err("a score needs at least one level".into());
        }
        let ScoreName::News2 = self.score;
        if self.levels.iter().any(|level| !(1..=20).contains(&level.at_least)) {
            return Err("at_least must be 1 to 20".into());
        }
        let ordered = self.levels.windows(2).all(|pair| {
            matches!(pair, [urgent, lesser] if urgent.priority < lesser.priority && urgent.at_least > lesser.at_least)
        });
        if ordered {
            Ok(())
        } else {
            Err("levels go from the most urgent to the least, each total below the one before".into())
        }
    }
}

impl Count {
    /// Values a count remembers at most.
    pub const COUNT_MAX: u16 = 16;

    pub(super) fn check(&self) -> Result<(), String> {
        if !self.metric.is_plausible(self.limit) {
            let range = &self.metric.info().plausible;
            return Err(format!(
                "limit {} is outside {}..={} of {}",
                self.limit,
                range.start(),
                range.end(),
                self.metric
            ));
        }
        if !(2..=Self::COUNT_MAX).contains(&self.count) {
            return Err("count must be 2 to 16".into());
        }
        if !(60..=30 * 86_400).contains(&self.within_s) {
            return Err("within_s must be 60 to 2592000 (30 days)".into());
        }
        Ok(())
    }
}
