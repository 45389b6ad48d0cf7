//! Alarm rules as data. A rule set is named, versioned and says where its numbers come from; the engine only evaluates it.
//!
//! `kinds.rs` holds the kinds of tests beyond thresholds, events and silence; `hours.rs` the time of day; `saving.rs` what is
//! asked of a set that a person saves, beyond what the engine needs; `v1.rs` the form of rule sets in journals of older versions.

mod hours;
mod kinds;
mod saving;
pub(crate) mod v1;

use serde::{Deserialize, Serialize};

use crate::{EventKind, Metric, Priority};

pub use hours::{BadHours, Hours};
pub use kinds::{Against, Confirm, Count, Score, ScoreLevel, ScoreName, Trend};

/// The rules in force for one elder (or, as the default set, for everybody without rules of their own).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Name of the set, e.g. `cn-basic-v3`.
    pub name: String,
    /// Counts up with every change; stored with each alarm.
    pub version: u32,
    /// Where the numbers come from, shown beside them.
    pub source: String,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable word, part of an alarm's identity: `systolic_high`.
    pub slug: String,
    /// Label on screens.
    pub zh: String,
    pub en: String,
    pub test: Test,
    /// The alarm stays on the list until a person resolves it, even when the condition clears.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latching: bool,
    /// Time of day in which this rule may raise; outside it the rule is asleep and a condition that stands goes on. `None`:
    /// always. Rules about calls for help have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Test {
    Threshold(Threshold),
    Event(EventTest),
    Silence(Silence),
    Trend(Trend),
    Score(Score),
    Count(Count),
}

/// One side of one metric, with one or more levels. Crossing a more urgent level worsens the same alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    pub metric: Metric,
    pub side: Side,
    /// Most urgent first.
    pub levels: Vec<Level>,
    /// Hysteresis in the metric's unit: cleared only when the value is inside the least urgent limit by this much.
    pub clear_margin: f64,
    /// Of measurements made now and then: how a first bad value asks for a second one. `None`: it waits for `hold_s` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A value at or above the limit is beyond it.
    High,
    /// A value at or below the limit is beyond it.
    Low,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    pub priority: Priority,
    /// In the metric's unit, inclusive.
    pub limit: f64,
    /// Seconds of event time for which every judged value must be beyond the limit. 0: one value is enough.
    pub hold_s: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTest {
    pub event: EventKind,
    pub priority: Priority,
    /// The same event within this many seconds of the last is "repeated" on the same alarm, not a new alarm.
    pub repeat_within_s: u32,
}

/// Nothing heard from an elder's live lanes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    pub after_s: u32,
    pub priority: Priority,
    /// Only this metric counts as a sign of life ("no blood pressure for 3 days"). `None`: anything that is heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

/// Why a rule set is refused, with the rule (and level) it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadRule {
    pub rule: String,
    pub level: Option<Priority>,
    pub reason: String,
}

impl std::fmt::Display for BadRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.level {
            Some(level) => write!(f, "rule {:?}, level {}: {}", self.rule, level.slug(), self.reason),
            None => write!(f, "rule {:?}: {}", self.rule, self.reason),
        }
    }
}

fn bad_of(rule: &str, reason: String) -> BadRule {
    BadRule { rule: rule.to_owned(), level: None, reason }
}

fn bad_level(rule: &str, level: Priority, reason: String) -> BadRule {
    BadRule { rule: rule.to_owned(), level: Some(level), reason }
}

impl Side {
    /// `value` is at or beyond `limit`.
    pub fn is_beyond(self, value: f64, limit: f64) -> bool {
        match self {
            Self::High => value >= limit,
            Self::Low => value <= limit,
        }
    }
}

impl RuleSet {
    /// Rules one set may hold.
    pub const RULES_MAX: usize = 64;
    /// Longest hold time: a day.
    pub const HOLD_S_MAX: u32 = 86_400;

    /// From this age the blood-pressure target is wider: 150/90 instead of 140/90 (国家基本公共卫生服务规范第三版).
    pub const AGED_FROM: u32 = 65;
    /// The systolic target from that age, mmHg.
    pub const AGED_SYSTOLIC: f64 = 150.0;

    /// This default set as it judges elders of [`RuleSet::AGED_FROM`] years and older: the worklist limit of a high systolic
    /// pressure is 150. A set whose limit is wider already, or whose next level would be reached before, stays as it is.
    #[must_use]
    pub fn for_aged(&self) -> Self {
        let mut set = self.clone();
        for rule in &mut set.rules {
            let Test::Threshold(test) = &mut rule.test else { continue };
            if test.metric != Metric::Systolic || test.side != Side::High {
                continue;
            }
            let next = test.levels.iter().rev().nth(1).map_or(f64::INFINITY, |level| level.limit);
            if let Some(last) = test.levels.last_mut()
                && last.priority == Priority::P3
                && last.limit < Self::AGED_SYSTOLIC
                && Self::AGED_SYSTOLIC < next
            {
                last.limit = Self::AGED_SYSTOLIC;
                set.name = format!("{}-{}", self.name, Self::AGED_FROM);
            }
        }
        set
    }

    /// Checks what the type system cannot: order of levels, plausibility of limits, unique slugs, low below high.
    pub fn check(&self) -> Result<(), BadRule> {
        let bad = |rule: &str, reason: String| Err(bad_of(rule, reason));
        if self.rules.len() > Self::RULES_MAX {
            return bad(&self.name, format!("a set holds at most {} rules", Self::RULES_MAX));
        }
        for (i, rule) in self.rules.iter().enumerate() {
            if rule.slug.is_empty() || rule.slug.len() > 64 {
                return bad(&rule.slug, "the slug must have 1 to 64 characters".into());
            }
            if self.rules[..i].iter().any(|other| other.slug == rule.slug) {
                return bad(&rule.slug, "the slug is used twice".into());
            }
            match &rule.test {
                Test::Threshold(threshold) => threshold.check(&rule.slug)?,
                Test::Silence(silence) if silence.after_s < 60 => {
                    return bad(&rule.slug, "after_s must be at least 60".into());
                }
                Test::Event(test) if test.event.calls_for_help() && rule.hours.is_some() => {
                    return bad(&rule.slug, "a call for help is heard at every hour: it has no hours".into());
                }
                Test::Silence(_) | Test::Event(_) => {}
                Test::Trend(test) => test.check().map_err(|reason| bad_of(&rule.slug, reason))?,
                Test::Score(test) => test.check().map_err(|reason| bad_of(&rule.slug, reason))?,
                Test::Count(test) => test.check().map_err(|reason| bad_of(&rule.slug, reason))?,
            }
        }
        self.check_low_below_high()
    }

    /// A value can never be both too low and too high.
    fn check_low_below_high(&self) -> Result<(), BadRule> {
        let thresholds = || {
            self.rules.iter().filter_map(|rule| match &rule.test {
                Test::Threshold(threshold) => Some((rule, threshold)),
                _ => None,
            })
        };
        for (low_rule, low) in thresholds().filter(|(_, t)| t.side == Side::Low) {
            for (high_rule, high) in thresholds().filter(|(_, t)| t.side == Side::High && t.metric == low.metric) {
                if low.outermost() >= high.outermost() {
                    return Err(BadRule {
                        rule: low_rule.slug.clone(),
                        level: low.levels.last().map(|level| level.priority),
                        reason: format!(
                            "its limit {} is not below the limit {} of {:?}: a value would be too low and too high at once",
                            low.outermost(),
                            high.outermost(),
                            high_rule.slug
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

impl Threshold {
    /// The limit of the least urgent level: inside it nothing is wrong.
    pub fn outermost(&self) -> f64 {
        self.levels.last().map_or(f64::NAN, |level| level.limit)
    }

    /// The value is back inside every level by the hysteresis margin.
    pub fn is_clear(&self, value: f64) -> bool {
        match self.side {
            Side::High => value < self.outermost() - self.clear_margin,
            Side::Low => value > self.outermost() + self.clear_margin,
        }
    }

    fn check(&self, slug: &str) -> Result<(), BadRule> {
        let bad = |reason: String| Err(bad_of(slug, reason));
        if self.levels.is_empty() {
            return bad("a threshold needs at least one level".into());
        }
        if !self.clear_margin.is_finite() || self.clear_margin < 0.0 {
            return bad("clear_margin must be 0 or more".into());
        }
        for level in &self.levels {
            if !self.metric.is_plausible(level.limit) {
                let range = &self.metric.info().plausible;
                let (from, to) = (range.start(), range.end());
                let reason = format!("limit {} is outside {from}..={to} of {}", level.limit, self.metric);
                return Err(bad_level(slug, level.priority, reason));
            }
            if level.hold_s > RuleSet::HOLD_S_MAX {
                return Err(bad_level(slug, level.priority, format!("hold_s is at most {}", RuleSet::HOLD_S_MAX)));
            }
        }
        if let Some(confirm) = &self.confirm {
            confirm.check(self).map_err(|reason| bad_of(slug, reason))?;
        }
        for pair in self.levels.windows(2) {
            let [urgent, lesser] = pair else { continue };
            let ordered = urgent.priority < lesser.priority
                && urgent.limit.total_cmp(&lesser.limit).is_ne()
                && self.side.is_beyond(urgent.limit, lesser.limit);
            if !ordered {
                let reason = format!(
                    "levels go from the most urgent to the least, each limit inside the one before: {} is not inside {}",
                    lesser.limit, urgent.limit
                );
                return Err(bad_level(slug, lesser.priority, reason));
            }
        }
        Ok(())
    }
}
