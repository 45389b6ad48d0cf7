//! The layers we ship: data in `rules/`, one file a layer. The records take them over at the start; a person assigns them.

use model::layer::Layer;

const TEXTS: &[&str] = &[
    include_str!("../rules/ability-0-1.toml"),
    include_str!("../rules/ability-2.toml"),
    include_str!("../rules/ability-3-4.toml"),
    include_str!("../rules/attended.toml"),
    include_str!("../rules/cn-elder-80.toml"),
    include_str!("../rules/cn-elder-dm.toml"),
    include_str!("../rules/cn-elder-dm-frail.toml"),
    include_str!("../rules/cn-elder-dm-mid.toml"),
    include_str!("../rules/cn-elder-htn-2019.toml"),
    include_str!("../rules/cn-htn-2024.toml"),
    include_str!("../rules/cn-primary-htn-2025.toml"),
    include_str!("../rules/copd.toml"),
    include_str!("../rules/hf-weight.toml"),
    include_str!("../rules/insulin.toml"),
    include_str!("../rules/news2.toml"),
    include_str!("../rules/nhse-home-spo2.toml"),
    include_str!("../rules/palliative.toml"),
];

/// Every shipped layer, by name. A test shows that every file reads.
pub fn shipped_layers() -> Vec<Layer> {
    TEXTS.iter().filter_map(|text| toml::from_str(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::layer::{Assigned, Change, Scope, Tier, effective, is_scale2};
    use model::rule::{RuleSet, Test};
    use model::{ElderId, PersonId, Priority, Time};

    use super::*;

    fn assigned(layer: &Layer) -> Assigned<'_> {
        let scope = Scope::Elder(ElderId(1));
        let who = Some(PersonId(1));
        Assigned { id: 1, layer, version: 1, scope, who, why: "", from: Time(0), until: None }
    }

    fn together(names: &[&str], aged: bool) -> model::layer::Effective {
        let all = shipped_layers();
        let chosen: Vec<_> =
            names.iter().map(|name| assigned(all.iter().find(|layer| layer.name == *name).unwrap())).collect();
        effective(&crate::default_rules(), aged, &chosen, Time(1))
    }

    fn levels(set: &RuleSet, slug: &str) -> Vec<(Priority, f64)> {
        let found = set.rules.iter().find(|rule| rule.slug == slug).unwrap();
        let Test::Threshold(test) = &found.test else { panic!("{found:?}") };
        test.levels.iter().map(|level| (level.priority, level.limit)).collect()
    }

    #[test]
    fn every_file_reads_and_fits_the_default_alone_and_beside_every_other_it_may_stand_with() {
        for text in TEXTS {
            toml::from_str::<Layer>(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        }
        let all = shipped_layers();
        let names: BTreeSet<&str> = all.iter().map(|layer| layer.name.as_str()).collect();
        assert_eq!(names.len(), TEXTS.len());
        for layer in &all {
            layer.check().unwrap();
            assert!(layer.not_with.iter().all(|name| names.contains(name.as_str())), "{}", layer.name);
            for other in &all {
                assert_eq!(
                    layer.not_with.contains(&other.name),
                    other.not_with.contains(&layer.name),
                    "{} {}",
                    layer.name,
                    other.name
                );
                if layer.not_with.contains(&other.name) {
                    continue;
                }
                for aged in [false, true] {
                    let found = together(&[&layer.name, &other.name], aged);
                    assert!(found.left_out.is_empty(), "{} with {}: {:?}", layer.name, other.name, found.left_out);
                    found.set.check_saving().unwrap();
                }
            }
        }
    }

    /// Every patch changes a rule of the default or brings one; a misspelt slug would do nothing, silently.
    #[test]
    fn every_patch_is_about_a_rule_that_is_there() {
        let default = crate::default_rules();
        let known = |slug: &str| default.rules.iter().any(|rule| rule.slug == slug);
        for layer in shipped_layers() {
            for patch in &layer.patches {
                assert!(!patch.why.is_empty(), "{} {}", layer.name, patch.rule);
                match &patch.change {
                    Change::Only(kept) => assert!(kept.iter().all(|slug| known(slug)), "{kept:?}"),
                    Change::Rule(rule) => assert!(!rule.zh.is_empty() && !rule.en.is_empty()),
                    _ => assert!(known(&patch.rule), "{} {}", layer.name, patch.rule),
                }
            }
            assert!(layer.source.contains('['), "{} says how sure its numbers are", layer.name);
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_sources() {
        use Priority::{P1, P2, P3};
        let set = |name| together(&[name], true).set;
        assert_eq!(levels(&set("cn-htn-2024"), "systolic_high"), [(P1, 180.0), (P3, 140.0)]);
        assert_eq!(levels(&set("cn-primary-htn-2025"), "diastolic_high"), [(P1, 110.0), (P3, 80.0)]);
        assert_eq!(levels(&set("cn-elder-htn-2019"), "systolic_high")[1], (P3, 151.0));
        assert_eq!(levels(&set("cn-elder-80"), "systolic_low"), [(P1, 90.0), (P2, 100.0), (P3, 109.0)]);
        assert_eq!(levels(&set("copd"), "spo2_low"), [(P1, 83.0), (P2, 85.0), (P3, 87.0)]);
        assert_eq!(levels(&set("nhse-home-spo2"), "spo2_low"), [(P1, 92.0), (P2, 94.0)]);
        assert_eq!(levels(&set("attended"), "heart_rate_low"), [(P1, 40.0), (P2, 50.0)]);
        assert_eq!(levels(&set("attended"), "respiratory_rate_high"), [(P1, 25.0), (P2, 21.0)]);
        assert_eq!(levels(&set("insulin"), "glucose_low"), [(P1, 3.9), (P2, 4.9)]);
        assert_eq!(levels(&set("cn-elder-dm-frail"), "hba1c_high"), [(P3, 8.6)]);
    }

    #[test]
    fn what_only_a_doctor_may_say_needs_a_doctor() {
        for layer in shipped_layers() {
            let scale2 =
                |patch: &model::layer::Patch| matches!(&patch.change, Change::Rule(rule) if is_scale2(&rule.test));
            if layer.patches.iter().any(scale2) || layer.tier == Tier::Palliative {
                assert!(layer.doctor_only && layer.elder_only, "{}", layer.name);
            }
            assert_eq!(layer.tier == Tier::Palliative, layer.longest_days.is_some(), "{}", layer.name);
        }
    }

    #[test]
    fn palliative_care_leaves_the_call_the_battery_and_the_temperature() {
        let found = together(&["palliative", "news2", "ability-3-4"], true);
        let on: Vec<&str> = found.set.rules.iter().map(|rule| rule.slug.as_str()).collect();
        assert_eq!(on, ["sos", "fall", "unspecified_alarm", "temperature_high", "battery_low", "device_error"]);
        assert!(found.off.iter().any(|off| off.rule == "news2") && found.off.iter().any(|off| off.rule == "spo2_low"));
    }

    #[test]
    fn silence_follows_the_ability_level_and_the_time_of_day() {
        let silences = |name| {
            let set = together(&[name], true).set;
            let found = set.rules.into_iter().filter_map(|rule| match rule.test {
                Test::Silence(test) => Some((test.after_s, test.priority, rule.hours.map(|hours| hours.to_string()))),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        assert_eq!(silences("ability-0-1"), [(7_200, Priority::T, Some("07:00-22:00".to_owned()))]);
        assert_eq!(silences("ability-2"), [(3_600, Priority::T, Some("06:00-23:00".to_owned()))]);
        assert_eq!(silences("ability-3-4"), [(1_800, Priority::T, None), (3_600, Priority::P2, None)]);
    }
}
