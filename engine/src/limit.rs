//! One ladder of levels made ready: a threshold rule, or the totals of a score as one.

use model::rule::{Level, Score, Side, Threshold};
use model::{AlarmKind, Metric, Priority, metric::Shape};

use crate::SECOND_US;
use crate::news2::TOTAL_MAX;

/// Levels a ladder can have: one per [`Priority`].
pub(crate) const LEVELS_MAX: usize = 4;
/// A stream without a judged value for this long is broken off, and what is held begins anew: 35 minutes, for watches that tell a
/// value every half hour, more or less ...
pub(crate) const STREAM_GAP_US: i64 = 2_100 * SECOND_US;
/// ... what stands is unknown earlier (10 minutes): most bands tell a value a minute, and a seat should know ...
const STREAM_LOSS_US: i64 = 600 * SECOND_US;
/// ... and a measurement made now and then (a cuff) only after a day and a half: "every morning" is not always 24 hours.
const SPOT_GAP_US: i64 = 36 * 3_600 * SECOND_US;

/// One rule with levels.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    /// Index in `set.rules`.
    pub(crate) rule: u8,
    /// Of a score: its totals as a ladder. The metric says nothing there.
    pub(crate) test: Threshold,
    pub(crate) score: Option<Score>,
    /// What a single parameter with 3 points counts as at least.
    three: Option<f64>,
    /// How many of the levels, from the top, are P1 or P2: only these count in late data.
    pub(crate) urgent: usize,
    /// Per level: longest event time between two judged values of one stretch.
    gaps_us: [i64; LEVELS_MAX],
    /// Log time without a judged value after which a condition is unknown.
    loss_us: i64,
    /// Limit of the least urgent level: a value inside it needs no further look.
    outermost: f64,
    /// Ten to the number of decimals shown.
    scale: f64,
}

/// What a ladder is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// As shown.
    pub(crate) value: f64,
    /// Of scores.
    points: Option<Points>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Points {
    min: u8,
    max: u8,
    single_three: bool,
}

impl Limit {
    pub(crate) fn new(rule: u8, test: &Threshold) -> Self {
        let info = test.metric.info();
        let (least_us, loss_us) = match info.shape {
            Shape::Stream | Shape::Waveform => (STREAM_GAP_US, STREAM_LOSS_US),
            Shape::Spot => (SPOT_GAP_US, SPOT_GAP_US),
        };
        Self { loss_us, ..Self::ladder(rule, test.clone(), least_us) }
    }

    /// A total clears two points below the lowest level: 4 after 5 is the same story.
    pub(crate) fn of_score(rule: u8, score: &Score) -> Self {
        let level = |priority, limit| Level { priority, limit, hold_s: score.hold_s };
        let mut levels: Vec<Level> =
            score.levels.iter().map(|step| level(step.priority, f64::from(step.at_least))).collect();
        let mut three = None;
        if let Some(priority) = score.single_three {
            let place = levels.partition_point(|level| level.priority < priority);
            if levels.get(place).is_none_or(|level| level.priority != priority) {
                // A level of its own, between two totals: no total reaches it.
                let above = place.checked_sub(1).and_then(|index| levels.get(index));
                let limit = above.map_or(f64::from(TOTAL_MAX) + 1.0, |level| level.limit) - 0.5;
                levels.insert(place, level(priority, limit));
            }
            three = levels.get(place).map(|level| level.limit);
        }
        let lowest = levels.last().map_or(0.0, |level| level.limit);
        let clear_margin = if lowest >= 2.0 { 1.0 } else { 0.0 };
        let metric = Metric::BodyTemperature;
        let test = Threshold { metric, side: Side::High, levels, clear_margin, confirm: None };
        let ladder = Self::ladder(rule, test, i64::from(score.window_s) * SECOND_US);
        Self { score: Some(score.clone()), three, urgent: 0, ..ladder }
    }

    fn ladder(rule: u8, mut test: Threshold, least_us: i64) -> Self {
        test.levels.truncate(LEVELS_MAX);
        let urgent = test.levels.iter().filter(|level| level.priority <= Priority::P2).count();
        let mut gaps_us = [least_us; LEVELS_MAX];
        for (gap_us, level) in gaps_us.iter_mut().zip(&test.levels) {
            *gap_us = least_us.max(3 * i64::from(level.hold_s) * SECOND_US);
        }
        let scale = 10_f64.powi(i32::from(test.metric.info().decimals));
        Self {
            rule,
            urgent,
            gaps_us,
            loss_us: least_us,
            outermost: test.outermost(),
            scale,
            test,
            score: None,
            three: None,
        }
    }

    /// Each device has hold times of its own.
    pub(crate) fn is_stream(&self) -> bool {
        self.score.is_none() && self.test.metric.info().shape == Shape::Stream
    }

    /// The value as screens show it, rounded half up. Judging what is shown leaves no value between two bands, and no
    /// "180" on the screen beside a silent limit of 180.
    pub(crate) fn as_shown(&self, value: f64) -> Seen {
        // The small addend undoes binary fractions: 39.05 is stored a hair below 39.05.
        Seen { value: (value * self.scale + 0.5 + 1e-6).floor() / self.scale, points: None }
    }

    /// A score as a place on the ladder.
    pub(crate) fn of_points(&self, min: u8, max: u8, single_three: bool) -> Seen {
        let least = self.three.filter(|_| single_three).unwrap_or(0.0);
        Seen { value: f64::from(min).max(least), points: Some(Points { min, max, single_three }) }
    }

    pub(crate) fn is_beyond(&self, seen: Seen) -> bool {
        self.test.side.is_beyond(seen.value, self.outermost)
    }

    /// Without a judged value for longer, nobody knows what was between.
    pub(crate) fn gap_us(&self, level: usize) -> i64 {
        self.gaps_us.get(level).copied().unwrap_or(STREAM_GAP_US)
    }

    /// Without a judged value for longer, a condition that stands is unknown.
    pub(crate) const fn loss_us(&self) -> i64 {
        self.loss_us
    }

    /// How many of the levels, from the top, a single value asks a second measurement for: P1 and P2, or whatever there is.
    pub(crate) const fn asks(&self) -> usize {
        if self.urgent > 0 { self.urgent } else { self.test.levels.len() }
    }

    /// The same without hold times: late data ask nobody for a second measurement, so one is enough to be looked at.
    pub(crate) fn at_once(&self) -> Self {
        let mut once = self.clone();
        once.test.levels.iter_mut().for_each(|level| level.hold_s = 0);
        once
    }

    /// A value that is not beyond the level lets its hold time run on, `ran_us` after it began: one just inside the limit (by
    /// `clear_margin`) is no recovery. It reaches no level; that takes a value beyond it. A second measurement leaves the
    /// question open as long as there is one. Totals of a score have no such margin.
    pub(crate) fn holds_on(&self, level: usize, value: f64, ran_us: i64) -> bool {
        // The small addend undoes binary fractions, as in `as_shown`.
        let margin = if self.score.is_some() { return false } else { self.test.clear_margin + 1e-6 };
        let Some(limit) = self.test.levels.get(level).map(|level| level.limit) else { return false };
        let near = match self.test.side {
            Side::High => value >= limit - margin,
            Side::Low => value <= limit + margin,
        };
        let longest_us = match self.test.confirm {
            Some(confirm) => i64::from(confirm.within_s) * SECOND_US,
            // Longer, and two values an hour apart would be a level with nothing but near misses between.
            None => 2 * self.hold_us(level),
        };
        near && ran_us <= longest_us
    }

    pub(crate) fn hold_us(&self, level: usize) -> i64 {
        self.test.levels.get(level).map_or(0, |level| i64::from(level.hold_s) * SECOND_US)
    }

    pub(crate) fn kind(&self, seen: Seen, level: usize) -> AlarmKind {
        let limit = self.test.levels.get(level).map_or(self.outermost, |level| level.limit);
        if let (Some(score), Some(Points { min, max, single_three })) = (&self.score, seen.points) {
            // A level that only a single 3 reaches has no total.
            let at_least = if limit.fract() == 0.0 { limit as u8 } else { 0 };
            return AlarmKind::Score { score: score.score, min, max, at_least, single_three };
        }
        let high = self.test.side == Side::High;
        AlarmKind::Threshold { metric: self.test.metric, high, value: seen.value, limit }
    }

    pub(crate) fn priority(&self, level: usize) -> Priority {
        self.test.levels.get(level).map_or(Priority::P3, |level| level.priority)
    }
}

#[cfg(test)]
mod tests {
    use model::rule::{ScoreLevel, ScoreName};

    use super::*;
    use crate::plan::Plan;

    #[test]
    fn values_are_judged_as_shown() {
        let set = crate::default_rules();
        let plan = Plan::new(set);
        let temperature = &plan.limits(Metric::BodyTemperature)[0];
        for (raw, shown) in [(39.05, 39.1), (35.05, 35.1), (36.05, 36.1), (38.05, 38.1), (39.04, 39.0), (39.1, 39.1)] {
            assert!((temperature.as_shown(raw).value - shown).abs() < 1e-12, "{raw}");
        }
        let pressure = &plan.limits(Metric::Systolic)[0];
        assert!((pressure.as_shown(179.5).value - 180.0).abs() < f64::EPSILON);
        assert!((pressure.as_shown(179.4).value - 179.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_single_three_has_a_place_among_the_totals() {
        let step = |priority, at_least| ScoreLevel { priority, at_least };
        let of = |single_three, levels| {
            let score =
                Score { score: ScoreName::News2, window_s: 900, spo2_scale2: false, single_three, hold_s: 0, levels };
            let limit = Limit::of_score(0, &score);
            (0_u8..=20).map(move |total| {
                let seen = limit.of_points(total, total, single_three.is_some() && total == 3);
                let level = limit.test.levels.iter().position(|level| seen.value >= level.limit);
                level.map(|level| limit.priority(level))
            })
        };
        let all = [step(Priority::P1, 7), step(Priority::P2, 5), step(Priority::P3, 1)];
        let at = |priorities: Vec<Option<Priority>>| (priorities[2], priorities[3], priorities[4], priorities[6]);
        let (p1, p2, p3) = (Some(Priority::P1), Some(Priority::P2), Some(Priority::P3));
        assert_eq!(at(of(Some(Priority::P2), all.to_vec()).collect()), (p3, p2, p3, p2));
        assert_eq!(at(of(None, all.to_vec()).collect()), (p3, p3, p3, p2));
        // No level has that priority: the single 3 alone does.
        assert_eq!(at(of(Some(Priority::P2), vec![all[0]]).collect()), (None, p2, None, None));
        assert_eq!(at(of(Some(Priority::P1), vec![all[1]]).collect()), (None, p1, None, p2));
        assert_eq!(at(of(Some(Priority::P3), vec![all[1]]).collect()), (None, p3, None, p2));
    }
}
