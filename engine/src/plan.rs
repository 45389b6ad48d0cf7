//! A rule set made ready: per metric the thresholds to look at, lists of event and silence rules.

use model::rule::{EventTest, Rule, RuleSet, Silence, Test, Threshold};
use model::{AlarmKind, EventKind, Metric, Priority, metric::Shape};

use crate::SECOND_US;

/// Levels a ladder can have: one per [`Priority`].
pub(crate) const LEVELS_MAX: usize = 4;
/// Slots of the per-metric table: metric ids are below this (checked by a test).
const METRIC_IDS: usize = 64;
/// A stream without a judged value for this long is broken off (10 minutes) ...
const STREAM_GAP_US: i64 = 600 * SECOND_US;
/// ... and a measurement made now and then (a cuff) only after a day and a half: "every morning" is not always 24 hours.
const SPOT_GAP_US: i64 = 36 * 3_600 * SECOND_US;

/// A compiled rule set. Shared by all elders who have an equal one.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) set: RuleSet,
    /// Sorted by metric; `by_metric` points into it.
    limits: Vec<Limit>,
    by_metric: [(u8, u8); METRIC_IDS],
    events: Vec<(u8, EventTest)>,
    silences: Vec<(u8, Silence)>,
}

/// One threshold rule.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// Index in `set.rules`.
    pub(crate) rule: u8,
    pub(crate) test: Threshold,
    /// How many of the levels, from the top, are P1 or P2: only these count in late data.
    pub(crate) urgent: usize,
    /// Per level: longest time between two judged values of one stretch, in event time for holds, in log time for loss.
    gaps_us: [i64; LEVELS_MAX],
    /// Limit of the least urgent level: a value inside it needs no further look.
    outermost: f64,
    /// Ten to the number of decimals shown.
    scale: f64,
}

impl Plan {
    /// Rules beyond [`RuleSet::RULES_MAX`] and levels beyond [`LEVELS_MAX`] are cut off; `RuleSet::check` refuses both.
    pub(crate) fn new(set: RuleSet) -> Self {
        let mut limits = Vec::new();
        let mut events = Vec::new();
        let mut silences = Vec::new();
        for (index, rule) in (0_u8..).zip(set.rules.iter().take(RuleSet::RULES_MAX)) {
            match &rule.test {
                Test::Threshold(test) => limits.push(Limit::new(index, test)),
                Test::Event(test) => events.push((index, test.clone())),
                Test::Silence(test) => silences.push((index, test.clone())),
                Test::Trend(_) | Test::Score(_) | Test::Count(_) => {}
            }
        }
        limits.sort_by_key(|limit| limit.test.metric);
        let mut by_metric = [(0, 0); METRIC_IDS];
        for (slot, limit) in (0_u8..).zip(&limits) {
            if let Some(range) = by_metric.get_mut(usize::from(limit.test.metric.id())) {
                let from = if range.1 == 0 { slot } else { range.0 };
                *range = (from, slot + 1);
            }
        }
        Self { set, limits, by_metric, events, silences }
    }

    pub(crate) fn limits(&self, metric: Metric) -> &[Limit] {
        let Some((from, to)) = self.by_metric.get(usize::from(metric.id())) else { return &[] };
        self.limits.get(usize::from(*from)..usize::from(*to)).unwrap_or_default()
    }

    pub(crate) fn limit_of(&self, rule: u8) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.rule == rule)
    }

    pub(crate) fn event(&self, kind: EventKind) -> impl Iterator<Item = &(u8, EventTest)> {
        self.events.iter().filter(move |(_, test)| test.event == kind)
    }

    pub(crate) fn event_test(&self, rule: u8) -> Option<&EventTest> {
        self.events.iter().find(|(index, _)| *index == rule).map(|(_, test)| test)
    }

    pub(crate) fn silences(&self) -> &[(u8, Silence)] {
        &self.silences
    }

    pub(crate) fn rule(&self, index: u8) -> Option<&Rule> {
        self.set.rules.get(usize::from(index))
    }

    pub(crate) fn slug(&self, index: u8) -> &str {
        self.rule(index).map_or("", |rule| rule.slug.as_str())
    }

    pub(crate) fn index_of(&self, slug: &str) -> Option<u8> {
        let index = self.set.rules.iter().take(RuleSet::RULES_MAX).position(|rule| rule.slug == slug)?;
        u8::try_from(index).ok()
    }
}

impl Limit {
    fn new(rule: u8, test: &Threshold) -> Self {
        let mut test = test.clone();
        test.levels.truncate(LEVELS_MAX);
        let urgent = test.levels.iter().filter(|level| level.priority <= Priority::P2).count();
        let info = test.metric.info();
        let least_us = match info.shape {
            Shape::Stream | Shape::Waveform => STREAM_GAP_US,
            Shape::Spot => SPOT_GAP_US,
        };
        let mut gaps_us = [least_us; LEVELS_MAX];
        for (gap_us, level) in gaps_us.iter_mut().zip(&test.levels) {
            *gap_us = least_us.max(3 * i64::from(level.hold_s) * SECOND_US);
        }
        Self { rule, urgent, gaps_us, outermost: test.outermost(), scale: 10_f64.powi(i32::from(info.decimals)), test }
    }

    /// The value as screens show it, rounded half up. Judging what is shown leaves no value between two bands, and no
    /// "180" on the screen beside a silent limit of 180.
    pub(crate) fn as_shown(&self, value: f64) -> f64 {
        // The small addend undoes binary fractions: 39.05 is stored a hair below 39.05.
        (value * self.scale + 0.5 + 1e-6).floor() / self.scale
    }

    pub(crate) fn is_beyond(&self, value: f64) -> bool {
        self.test.side.is_beyond(value, self.outermost)
    }

    /// Without a judged value for longer, nobody knows what was between.
    pub(crate) fn gap_us(&self, level: usize) -> i64 {
        self.gaps_us.get(level).copied().unwrap_or(STREAM_GAP_US)
    }

    /// The gap that makes a condition of this priority unknown.
    pub(crate) fn loss_us(&self, priority: Priority) -> i64 {
        self.gap_us(self.test.levels.iter().position(|level| level.priority == priority).unwrap_or(0))
    }

    pub(crate) fn kind(&self, value: f64, level: usize) -> AlarmKind {
        AlarmKind::Threshold {
            metric: self.test.metric,
            high: self.test.side == model::rule::Side::High,
            value,
            limit: self.test.levels.get(level).map_or(self.outermost, |level| level.limit),
        }
    }

    pub(crate) fn priority(&self, level: usize) -> Priority {
        self.test.levels.get(level).map_or(Priority::P3, |level| level.priority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_fits_the_table() {
        for metric in Metric::ALL {
            assert!(usize::from(metric.id()) < METRIC_IDS, "{metric}: raise METRIC_IDS");
        }
    }

    #[test]
    fn values_are_judged_as_shown() {
        let set = crate::default_rules();
        let plan = Plan::new(set);
        let temperature = &plan.limits(Metric::BodyTemperature)[0];
        for (raw, shown) in [(39.05, 39.1), (35.05, 35.1), (36.05, 36.1), (38.05, 38.1), (39.04, 39.0), (39.1, 39.1)] {
            assert!((temperature.as_shown(raw) - shown).abs() < 1e-12, "{raw}");
        }
        let pressure = &plan.limits(Metric::Systolic)[0];
        assert!((pressure.as_shown(179.5) - 180.0).abs() < f64::EPSILON);
        assert!((pressure.as_shown(179.4) - 179.0).abs() < f64::EPSILON);
    }
}
