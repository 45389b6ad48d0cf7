//! What two sets of rules make of the same readings: counts, and what one raises that the other does not.

use std::collections::{BTreeMap, HashMap};

use model::{Priority, Time};
use serde::Serialize;

use crate::judge::Judged;

/// Alarms of the same rule so near to each other are about the same thing (10 minutes).
const SAME_US: i64 = 600_000_000;

/// Alarms that one set of rules raises.
#[derive(Debug, Default, Serialize)]
pub struct Count {
    pub alarms: usize,
    /// For the caller to fill in: it knows the days.
    pub per_day: f64,
    pub by_priority: BTreeMap<Priority, usize>,
    pub by_rule: BTreeMap<String, usize>,
}

impl Count {
    pub fn add(&mut self, alarms: &[Judged]) {
        self.alarms += alarms.len();
        for alarm in alarms {
            *self.by_priority.entry(alarm.priority).or_default() += 1;
            *self.by_rule.entry(alarm.rule.clone()).or_default() += 1;
        }
    }
}

/// Alarms to which the other side has nothing of the same rule, at least as urgent, at about the same time.
pub fn without<'a>(of: &'a [Judged], other: &'a [Judged]) -> impl Iterator<Item = &'a Judged> {
    let mut by_rule: HashMap<&str, Vec<&Judged>> = HashMap::new();
    for alarm in other {
        by_rule.entry(alarm.rule.as_str()).or_default().push(alarm);
    }
    of.iter().filter(move |alarm| {
        let end = |alarm: &Judged| alarm.cleared_at.map_or(Time::MAX, |at| at.plus_us(SAME_US));
        let meets = |found: &&&Judged| {
            found.priority <= alarm.priority && found.started_at <= end(alarm) && alarm.started_at <= end(found)
        };
        !by_rule.get(alarm.rule.as_str()).is_some_and(|found| found.iter().any(|found| meets(&found)))
    })
}
