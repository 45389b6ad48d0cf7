//! The rules we ship: data in `rules/cn-basic-v3.toml`, and its variant for the aged.

use std::sync::LazyLock;

use model::rule::RuleSet;

const TEXT: &str = include_str!("../rules/cn-basic-v3.toml");

/// The file is part of the program; a test shows that it reads and passes its check. Without it nothing would be judged, so
/// a build in which it does not read has an empty set named "unreadable".
static DEFAULT: LazyLock<RuleSet> = LazyLock::new(|| {
    toml::from_str(TEXT).unwrap_or_else(|_| RuleSet {
        name: "unreadable".into(),
        version: 0,
        source: String::new(),
        rules: Vec::new(),
    })
});

/// `cn-basic-v3`: for everybody without rules of their own.
pub fn default_rules() -> RuleSet {
    DEFAULT.clone()
}

/// The default set for a person of `age` years.
pub fn for_age(age: u32) -> RuleSet {
    if age < RuleSet::AGED_FROM { default_rules() } else { DEFAULT.for_aged() }
}

#[cfg(test)]
mod tests {
    use model::rule::Test;
    use model::{Metric, Priority};

    use super::*;

    #[test]
    fn the_shipped_rules_read_and_pass_their_check() {
        let set: RuleSet = toml::from_str(TEXT).unwrap();
        set.check().unwrap();
        assert_eq!(set.name, "cn-basic-v3");
        assert!(!set.source.is_empty());
        for rule in &set.rules {
            assert!(!rule.zh.is_empty() && !rule.en.is_empty(), "{}", rule.slug);
        }
    }

    #[test]
    fn an_elder_of_65_has_the_wider_target() {
        for_age(65).check().unwrap();
        let outermost = |set: &RuleSet| {
            set.rules.iter().find_map(|rule| match &rule.test {
                Test::Threshold(t) if rule.slug == "systolic_high" => Some(t.outermost()),
                _ => None,
            })
        };
        assert_eq!(outermost(&for_age(64)), Some(140.0));
        assert_eq!(outermost(&for_age(65)), Some(150.0));
    }

    /// A cuff alone never pages: P1 and P2 of a high pressure need a second measurement a minute later.
    #[test]
    fn a_single_cuff_reading_is_at_most_a_worklist_item_when_high() {
        for rule in default_rules().rules {
            let Test::Threshold(threshold) = rule.test else { continue };
            if matches!(threshold.metric, Metric::Systolic | Metric::Diastolic) {
                for level in threshold.levels.iter().filter(|level| level.priority == Priority::P1) {
                    assert!(level.hold_s >= 60, "{}", rule.slug);
                }
            }
        }
    }
}
