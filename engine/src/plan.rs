//! A rule set made ready: per metric the thresholds to look at, lists of the rules of every other kind.

use model::rule::{Count, EventTest, Rule, RuleSet, Silence, Test, Trend};
use model::{EventKind, Metric, Time};

use crate::limit::Limit;
use crate::score::INPUTS;

/// Slots of the per-metric table: metric ids are below this (checked by a test).
const METRIC_IDS: usize = 64;

/// A compiled rule set. Shared by all elders who have an equal one.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) set: RuleSet,
    /// Sorted by metric; `by_metric` points into it.
    limits: Vec<Limit>,
    by_metric: [(u8, u8); METRIC_IDS],
    watched: [Watched; METRIC_IDS],
    scores: Vec<Limit>,
    events: Vec<(u8, EventTest)>,
    silences: Vec<(u8, Silence)>,
    trends: Vec<(u8, Trend)>,
    counts: Vec<(u8, Count)>,
}

/// What beside thresholds looks at a metric: a set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watched(u8);

impl Watched {
    pub(crate) const SCORE: u8 = 1;
    pub(crate) const TREND: u8 = 2;
    pub(crate) const COUNT: u8 = 4;
    pub(crate) const SILENCE: u8 = 8;

    pub(crate) const fn has(self, kind: u8) -> bool {
        self.0 & kind != 0
    }
}

impl Plan {
    /// Rules beyond [`RuleSet::RULES_MAX`] and levels beyond [`crate::limit::LEVELS_MAX`] are cut off; `RuleSet::check` refuses
    /// both.
    pub(crate) fn new(set: RuleSet) -> Self {
        let mut plan = Self {
            set,
            limits: Vec::new(),
            by_metric: [(0, 0); METRIC_IDS],
            watched: [Watched::default(); METRIC_IDS],
            scores: Vec::new(),
            events: Vec::new(),
            silences: Vec::new(),
            trends: Vec::new(),
            counts: Vec::new(),
        };
        let tests: Vec<Test> = plan.set.rules.iter().take(RuleSet::RULES_MAX).map(|rule| rule.test.clone()).collect();
        for (index, test) in (0_u8..).zip(tests) {
            plan.add(index, test);
        }
        plan.limits.sort_by_key(|limit| limit.test.metric);
        for (slot, limit) in (0_u8..).zip(&plan.limits) {
            if let Some(range) = plan.by_metric.get_mut(usize::from(limit.test.metric.id())) {
                let from = if range.1 == 0 { slot } else { range.0 };
                *range = (from, slot + 1);
            }
        }
        plan
    }

    fn add(&mut self, index: u8, test: Test) {
        match test {
            Test::Threshold(test) => self.limits.push(Limit::new(index, &test)),
            Test::Event(test) => self.events.push((index, test)),
            Test::Silence(test) => {
                test.metric.into_iter().for_each(|metric| self.watch(metric, Watched::SILENCE));
                self.silences.push((index, test));
            }
            Test::Trend(test) => {
                self.watch(test.metric, Watched::TREND);
                self.trends.push((index, test));
            }
            Test::Score(test) => {
                for metric in INPUTS {
                    self.watch(metric, Watched::SCORE);
                }
                self.scores.push(Limit::of_score(index, &test));
            }
            Test::Count(test) => {
                self.watch(test.metric, Watched::COUNT);
                self.counts.push((index, test));
            }
        }
    }

    fn watch(&mut self, metric: Metric, kind: u8) {
        if let Some(watched) = self.watched.get_mut(usize::from(metric.id())) {
            watched.0 |= kind;
        }
    }

    pub(crate) fn limits(&self, metric: Metric) -> &[Limit] {
        let Some((from, to)) = self.by_metric.get(usize::from(metric.id())) else { return &[] };
        self.limits.get(usize::from(*from)..usize::from(*to)).unwrap_or_default()
    }

    pub(crate) fn limit_of(&self, rule: u8) -> Option<&Limit> {
        self.limits.iter().chain(&self.scores).find(|limit| limit.rule == rule)
    }

    pub(crate) fn watched(&self, metric: Metric) -> Watched {
        self.watched.get(usize::from(metric.id())).copied().unwrap_or_default()
    }

    /// A rule judges values of this metric.
    pub(crate) fn looks_at(&self, metric: Metric) -> bool {
        !self.limits(metric).is_empty() || self.watched(metric) != Watched::default()
    }

    pub(crate) fn scores(&self) -> &[Limit] {
        &self.scores
    }

    pub(crate) fn trends(&self, metric: Metric) -> impl Iterator<Item = &(u8, Trend)> {
        self.trends.iter().filter(move |(_, test)| test.metric == metric)
    }

    pub(crate) fn trend(&self, rule: u8) -> Option<&Trend> {
        self.trends.iter().find(|(index, _)| *index == rule).map(|(_, test)| test)
    }

    pub(crate) fn counts(&self, metric: Metric) -> impl Iterator<Item = &(u8, Count)> {
        self.counts.iter().filter(move |(_, test)| test.metric == metric)
    }

    pub(crate) fn count(&self, rule: u8) -> Option<&Count> {
        self.counts.iter().find(|(index, _)| *index == rule).map(|(_, test)| test)
    }

    /// The rule may raise at `at`.
    pub(crate) fn is_awake(&self, rule: u8, at: Time) -> bool {
        self.rule(rule).and_then(|rule| rule.hours).is_none_or(|hours| hours.contains(at))
    }

    /// The rule may raise at `at`, or when it may next.
    pub(crate) fn awake_from(&self, rule: u8, at: Time) -> Time {
        let hours = self.rule(rule).and_then(|rule| rule.hours);
        hours.filter(|hours| !hours.contains(at)).map_or(at, |hours| hours.next_start(at))
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

    pub(crate) fn silence(&self, rule: u8) -> Option<&Silence> {
        self.silences.iter().find(|(index, _)| *index == rule).map(|(_, test)| test)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_fits_the_table() {
        for metric in Metric::ALL {
            assert!(usize::from(metric.id()) < METRIC_IDS, "{metric}: raise METRIC_IDS");
        }
    }
}
