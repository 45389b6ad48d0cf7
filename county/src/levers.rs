//! The sets of rules of a run: those of elders with a condition, and the changes that are tried beside.

use model::rule::{Against, Rule, RuleSet, Side, Test, Threshold, Trend};
use model::{Metric, Priority};

/// The set of an elder with a doctor's flag or heart failure.
pub(crate) fn own(set: &RuleSet, aged: bool, scale2: bool, heart_failure: bool) -> RuleSet {
    let mut set = if aged { set.for_aged() } else { set.clone() };
    if scale2 {
        // NEWS2, SpO2 scale 2: 83, 85 and 87 %.
        change(&mut set, |test| {
            if test.metric == Metric::Spo2 && test.side == Side::Low {
                for (level, limit) in test.levels.iter_mut().zip([83.0, 85.0, 87.0]) {
                    level.limit = limit;
                }
            }
        });
        set.name.push_str("+scale2");
    }
    let knows_weight = |rule: &Rule| matches!(rule.test, Test::Trend(trend) if trend.metric == Metric::Weight);
    if heart_failure && !set.rules.iter().any(knows_weight) {
        set.rules.push(weight_gain());
        set.name.push_str("+hf-weight");
    }
    set
}

/// More than 2 kg in three days (facts: `hf-weight`).
fn weight_gain() -> Rule {
    Rule {
        slug: "weight_gain".into(),
        zh: "体重骤增".into(),
        en: "Weight gain".into(),
        test: Test::Trend(Trend {
            metric: Metric::Weight,
            side: Side::High,
            by: 2.0,
            against: Against::LastDays { days: 3 },
            priority: Priority::P2,
        }),
        latching: false,
        hours: None,
    }
}

type Lever = fn(&mut RuleSet);

/// A change and the set with it.
pub(crate) fn levers(set: &RuleSet) -> Vec<(&'static str, RuleSet)> {
    let tried: [(&'static str, Lever); 4] = [
        ("oxygen must last 2 min for P1", oxygen),
        ("a pulse of cuffs and clips must last 5 min", pulse),
        ("silence after 2 h instead of 30 min", silence),
        ("a band taken off is no alarm", removed),
    ];
    let mut sets: Vec<_> = tried
        .iter()
        .map(|(name, lever)| {
            let mut changed = set.clone();
            lever(&mut changed);
            (*name, changed)
        })
        .collect();
    let mut all = set.clone();
    for (_, lever) in tried {
        lever(&mut all);
    }
    sets.push(("all of these", all));
    sets.retain(|(_, changed)| changed.check().is_ok());
    sets
}

fn change(set: &mut RuleSet, with: impl Fn(&mut Threshold)) {
    for rule in &mut set.rules {
        if let Test::Threshold(test) = &mut rule.test {
            with(test);
        }
    }
}

fn oxygen(set: &mut RuleSet) {
    lasts(set, &[Metric::Spo2], 120);
}

fn pulse(set: &mut RuleSet) {
    lasts(set, &[Metric::PulseRate], 300);
}

fn lasts(set: &mut RuleSet, metrics: &[Metric], least_s: u32) {
    change(set, |test| {
        for level in test.levels.iter_mut().filter(|_| metrics.contains(&test.metric)) {
            level.hold_s = level.hold_s.max(least_s);
        }
    });
}

fn silence(set: &mut RuleSet) {
    for rule in &mut set.rules {
        if let Test::Silence(test) = &mut rule.test {
            test.after_s = test.after_s.max(7_200);
        }
    }
}

fn removed(set: &mut RuleSet) {
    set.rules.retain(|rule| rule.slug != "device_removed");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_a_run_passes_its_check_and_every_lever_changes_something() {
        let set = engine::default_rules();
        for (aged, scale2, heart_failure) in [(false, true, true), (true, true, false), (true, false, true)] {
            own(&set, aged, scale2, heart_failure).check().unwrap();
        }
        let levers = levers(&set);
        assert_eq!(levers.len(), 5);
        assert!(levers.iter().all(|(_, changed)| changed.rules != set.rules));
    }
}
