//! What is in force when layers are put together.

use proptest::prelude::*;

use super::*;
use crate::rule::{EventTest, Level, RuleSet, Side, Threshold};
use crate::{ElderId, EventKind, Metric, TeamId};

fn rule(slug: &str, test: Test) -> Rule {
    Rule { slug: slug.into(), zh: slug.into(), en: slug.into(), test, latching: slug == "sos", hours: None }
}

fn threshold(metric: Metric, side: Side, levels: &[(Priority, f64)]) -> Test {
    let levels =
        levels.iter().map(|(priority, limit)| Level { priority: *priority, limit: *limit, hold_s: 60 }).collect();
    Test::Threshold(Threshold { metric, side, levels, clear_margin: 4.0, confirm: None })
}

fn default_set() -> RuleSet {
    use Priority::{P1, P2, P3};
    let sos = Test::Event(EventTest { event: EventKind::Sos, priority: P1, repeat_within_s: 300 });
    let rules = vec![
        rule("sos", sos),
        rule("systolic_high", threshold(Metric::Systolic, Side::High, &[(P1, 180.0), (P2, 160.0), (P3, 140.0)])),
        rule("systolic_low", threshold(Metric::Systolic, Side::Low, &[(P1, 90.0), (P2, 100.0)])),
        rule("spo2_low", threshold(Metric::Spo2, Side::Low, &[(P1, 91.0), (P2, 93.0)])),
    ];
    let set = RuleSet { name: "national".into(), version: 7, source: "standard".into(), rules };
    set.check().unwrap();
    set
}

fn layer(name: &str, tier: Tier, patches: &[(&str, Change)]) -> Layer {
    Layer {
        name: name.into(),
        tier,
        zh: name.into(),
        en: name.into(),
        source: format!("source of {name}"),
        year: Some(2024),
        doctor_only: false,
        elder_only: false,
        longest_days: None,
        not_with: vec![],
        patches: patches
            .iter()
            .map(|(rule, change)| Patch { rule: (*rule).into(), change: change.clone(), why: format!("{name} says") })
            .collect(),
    }
}

fn limit(priority: Priority, limit: f64) -> Change {
    Change::Levels(Levels { set: vec![LevelPatch { priority, limit: Some(limit), hold_s: None }], drop: vec![] })
}

fn assigned(layer: &Layer, scope: Scope, from: i64, until: Option<i64>) -> Assigned<'_> {
    Assigned {
        id: 1,
        layer,
        version: 3,
        scope,
        who: Some(PersonId(5)),
        why: "why",
        from: Time(from),
        until: until.map(Time),
    }
}

fn limits(effective: &Effective, slug: &str) -> Vec<(Priority, f64)> {
    let found = effective.set.rules.iter().find(|rule| rule.slug == slug);
    match found.map(|rule| &rule.test) {
        Some(Test::Threshold(test)) => test.levels.iter().map(|level| (level.priority, level.limit)).collect(),
        _ => vec![],
    }
}

const ME: Scope = Scope::Elder(ElderId(1));
const TEAM: Scope = Scope::Team(TeamId(1));

/// At 08:00 elder 王 has the default; the team narrows, the doctor widens for her; each number says where it comes from.
#[test]
fn later_tiers_win_and_every_number_keeps_its_origin() {
    use Priority::{P1, P2, P3};
    let template = layer("htn", Tier::Condition, &[("systolic_high", limit(P3, 130.0))]);
    let team = layer("team", Tier::Team, &[("systolic_high", limit(P2, 155.0)), ("spo2_low", Change::Off)]);
    let own = layer(Layer::OWN, Tier::Elder, &[("systolic_high", limit(P1, 175.0))]);
    let all = [assigned(&own, ME, 0, None), assigned(&team, TEAM, 0, None), assigned(&template, ME, 0, None)];
    let found = effective(&default_set(), true, &all, Time(10));
    assert_eq!(limits(&found, "systolic_high"), [(P1, 175.0), (P2, 155.0), (P3, 130.0)]);
    assert_eq!(found.set.name, "national-65+htn@3+team@3+own");
    let names: Vec<&str> = found.origins.iter().map(|origin| origin.layer.as_str()).collect();
    assert_eq!(names, ["national", AGE_BAND, "htn", "team", "own"]);
    let pressure = found.rules.iter().find(|origin| origin.rule == "systolic_high").unwrap();
    let levels: Vec<_> = pressure.levels.iter().map(|level| (level.priority, names[level.origin])).collect();
    assert_eq!(levels, [(P1, "own"), (P2, "team"), (P3, "htn")]);
    assert_eq!((found.origins[2].who, found.origins[2].year), (Some(PersonId(5)), Some(2024)));
    assert_eq!(
        found.off,
        [SwitchedOff { rule: "spo2_low".into(), zh: "spo2_low".into(), en: "spo2_low".into(), origin: 3 }]
    );
    assert!(found.left_out.is_empty());
}

#[test]
fn the_age_band_is_the_aged_default_and_is_shown() {
    let found = effective(&default_set(), true, &[], Time(0));
    assert_eq!(found.set, RuleSet { version: 0, ..default_set().for_aged() });
    let pressure = &found.rules[1];
    assert_eq!(pressure.levels.iter().map(|level| level.origin).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(effective(&default_set(), false, &[], Time(0)).origins.len(), 1);
}

#[test]
fn a_layer_judges_from_its_beginning_and_not_at_its_end() {
    let template = layer("htn", Tier::Condition, &[("systolic_high", limit(Priority::P3, 130.0))]);
    let all = [assigned(&template, ME, 100, Some(200))];
    let at = |at| limits(&effective(&default_set(), false, &all, Time(at)), "systolic_high")[2].1;
    assert_eq!((at(99), at(100), at(199), at(200)), (140.0, 130.0, 130.0, 140.0));
}

#[test]
fn palliative_care_leaves_calls_for_help_and_what_it_names_whatever_others_add() {
    let only = layer("palliative", Tier::Palliative, &[("*", Change::Only(vec!["systolic_low".into()]))]);
    let extra = rule("extra", threshold(Metric::HeartRate, Side::High, &[(Priority::P2, 120.0)]));
    let team = layer("team", Tier::Team, &[("extra", Change::Rule(extra))]);
    let all = [assigned(&only, ME, 0, None), assigned(&team, TEAM, 50, None)];
    let found = effective(&default_set(), false, &all, Time(60));
    let on: Vec<&str> = found.set.rules.iter().map(|rule| rule.slug.as_str()).collect();
    assert_eq!(on, ["sos", "systolic_low"]);
    assert_eq!(found.off.len(), 3, "visible: {:?}", found.off);
}

#[test]
fn a_call_for_help_is_never_changed() {
    for change in [Change::Off, Change::Hours(None), Change::Test(threshold(Metric::Spo2, Side::Low, &[]))] {
        let bad = layer("bad", Tier::Team, &[("systolic_high", limit(Priority::P3, 130.0)), ("sos", change)]);
        let found = effective(&default_set(), false, &[assigned(&bad, TEAM, 0, None)], Time(0));
        assert_eq!((found.left_out[0].rule.as_str(), found.left_out[0].layer.as_str()), ("sos", "bad"));
        assert_eq!(found.set.rules, default_set().rules, "none of the layer is in force");
    }
}

#[test]
fn low_above_high_between_two_layers_is_found_with_its_place() {
    use Priority::{P2, P3};
    let a = layer("a", Tier::Condition, &[("systolic_low", limit(P3, 128.0))]);
    let b = layer("b", Tier::Team, &[("systolic_high", limit(P3, 125.0))]);
    let all = [assigned(&a, ME, 0, None), assigned(&b, TEAM, 0, None)];
    let found = effective(&default_set(), false, &all, Time(0));
    found.set.check().unwrap();
    assert_eq!((found.left_out.len(), found.left_out[0].layer.as_str(), found.left_out[0].level), (1, "b", Some(P3)));
    assert!(found.left_out[0].to_string().contains("128"), "{}", found.left_out[0]);
    // Together with a third that makes it right, nothing is left out: only the whole counts.
    let c = layer("c", Tier::Elder, &[("systolic_low", Change::Levels(Levels { set: vec![], drop: vec![P3, P2] }))]);
    let all = [assigned(&a, ME, 0, None), assigned(&b, TEAM, 0, None), assigned(&c, ME, 0, None)];
    assert!(effective(&default_set(), false, &all, Time(0)).left_out.is_empty());
}

#[test]
fn of_two_layers_that_exclude_each_other_the_more_specific_one_judges() {
    use Priority::P3;
    let team = layer("htn", Tier::Condition, &[("systolic_high", limit(P3, 130.0))]);
    let mut hers = layer("frail", Tier::Condition, &[("systolic_high", limit(P3, 151.0))]);
    hers.not_with = vec!["htn".into()];
    let all = [assigned(&hers, ME, 0, None), assigned(&team, TEAM, 50, None), assigned(&hers, TEAM, 0, None)];
    let found = effective(&default_set(), false, &all, Time(60));
    assert_eq!(limits(&found, "systolic_high")[2], (P3, 151.0));
    assert_eq!(found.superseded, [Superseded { layer: "htn".into(), by: "frail".into() }]);
    assert_eq!(found.origins.len(), 2, "assigned twice, it counts once");
}

/// A stray value must not page because a layer gave a limit and no time.
#[test]
fn a_level_that_a_layer_adds_is_as_slow_as_the_more_urgent_one() {
    let added = layer("team", Tier::Team, &[("systolic_low", limit(Priority::P3, 105.0))]);
    let found = effective(&default_set(), false, &[assigned(&added, TEAM, 0, None)], Time(10));
    let rule = found.set.rules.iter().find(|rule| rule.slug == "systolic_low").unwrap();
    let Test::Threshold(test) = &rule.test else { panic!("{rule:?}") };
    let added = Level { priority: Priority::P3, limit: 105.0, hold_s: 60 };
    assert_eq!(test.levels.last(), Some(&added));
}

#[test]
fn a_layer_alone_is_checked() {
    let good = layer("a", Tier::Team, &[("spo2_low", Change::Off)]);
    good.check().unwrap();
    let score = crate::rule::Score {
        score: crate::rule::ScoreName::News2,
        window_s: 900,
        spo2_scale2: true,
        single_three: None,
        hold_s: 0,
        levels: vec![],
    };
    let bad = [
        Layer { name: "A b".into(), ..good.clone() },
        Layer { source: " ".into(), ..good.clone() },
        Layer { year: Some(24), ..good.clone() },
        Layer { longest_days: Some(0), ..good.clone() },
        layer("a", Tier::Team, &[("*", Change::Off)]),
        layer("a", Tier::Team, &[("sos", Change::Only(vec![]))]),
        layer("a", Tier::Team, &[("r", Change::Levels(Levels::default()))]),
        layer("a", Tier::Team, &[("r", Change::Rule(rule("s", Test::Score(score.clone()))))]),
        layer("a", Tier::Team, &[("news2", Change::Test(Test::Score(score.clone())))]),
    ];
    for layer in bad {
        assert!(layer.check().is_err(), "{layer:?}");
    }
    let signed = layer("a", Tier::Condition, &[("news2", Change::Test(Test::Score(score)))]);
    Layer { doctor_only: true, elder_only: true, ..signed }.check().unwrap();
}

#[test]
fn an_elders_own_layer_keeps_what_palliative_care_hides_and_only_what_was_touched() {
    let base = effective(&default_set(), true, &[], Time(0));
    let mut wanted = base.set.clone();
    let Test::Threshold(test) = &mut wanted.rules[3].test else { panic!() };
    test.levels[0].limit = 88.0;
    let own = own_layer(&base, None, &wanted, false, "COPD").unwrap();
    assert_eq!(own.patches.len(), 1);
    assert_eq!((own.patches[0].rule.as_str(), own.patches[0].why.as_str()), ("spo2_low", "COPD"));
    // Under palliative care the doctor sees and saves the SOS alone: what was said before comes back when it ends.
    let only = layer("palliative", Tier::Palliative, &[("*", Change::Only(vec![]))]);
    let hidden = effective(&default_set(), true, &[assigned(&only, ME, 0, None)], Time(0));
    let again = own_layer(&hidden, Some(&own), &hidden.set, false, "x").unwrap();
    assert_eq!(again.patches, own.patches);
}

fn changes() -> impl Strategy<Value = Vec<(usize, Change)>> {
    let priority = prop::sample::select(vec![Priority::P1, Priority::P2, Priority::P3, Priority::T]);
    let level = (priority.clone(), prop::option::of(40.0..300.0_f64), prop::option::of(0..100_000_u32))
        .prop_map(|(priority, limit, hold_s)| LevelPatch { priority, limit, hold_s });
    let levels = (prop::collection::vec(level, 0..3), prop::collection::vec(priority, 0..2))
        .prop_map(|(set, drop)| Change::Levels(Levels { set, drop }));
    let test = (40.0..300.0_f64, prop::bool::ANY).prop_map(|(limit, high)| {
        let side = if high { Side::High } else { Side::Low };
        Change::Test(threshold(Metric::Systolic, side, &[(Priority::P2, limit)]))
    });
    let added = (40.0..300.0_f64).prop_map(|limit| {
        Change::Rule(rule("extra", threshold(Metric::Systolic, Side::Low, &[(Priority::P2, limit)])))
    });
    let hours = Just(Change::Hours(Some(crate::rule::Hours::parse("22:00-06:00").unwrap())));
    let change = prop_oneof![4 => levels, 1 => test, 1 => added, 1 => hours, 1 => Just(Change::Off)];
    prop::collection::vec((0..5_usize, change), 0..4)
}

proptest! {
    /// Whatever layers say: the result passes its check, calls for help are in it, and it is the same in every order of the list.
    #[test]
    fn the_result_always_passes_its_check(layers in prop::collection::vec((changes(), 0..5_usize, prop::bool::ANY), 0..5), aged: bool) {
        const SLUGS: [&str; 5] = ["sos", "systolic_high", "systolic_low", "spo2_low", "extra"];
        let layers: Vec<Layer> = layers.into_iter().enumerate().map(|(nth, (changes, tier, only))| {
            let mut patches: Vec<_> = changes.into_iter().map(|(slug, change)| {
                let slug = if matches!(change, Change::Rule(_)) { "extra" } else { SLUGS[slug] };
                (slug, change)
            }).collect();
            if only { patches.push(("*", Change::Only(vec!["spo2_low".into()]))); }
            layer(&format!("l{nth}"), Tier::ALL[tier], &patches)
        }).collect();
        let mut all: Vec<_> = layers.iter().enumerate().map(|(nth, layer)| {
            Assigned { id: nth as u32, ..assigned(layer, ME, 0, None) }
        }).collect();
        let found = effective(&default_set(), aged, &all, Time(0));
        prop_assert!(found.set.check().is_ok());
        prop_assert_eq!(&found.set.rules[0], &default_set().rules[0]);
        prop_assert_eq!(found.rules.len(), found.set.rules.len());
        prop_assert!(found.rules.iter().all(|rule| rule.origin < found.origins.len()));
        all.reverse();
        prop_assert_eq!(effective(&default_set(), aged, &all, Time(0)), found);
    }

    /// An own layer made from an edited set brings exactly that set.
    #[test]
    fn a_difference_brings_what_was_wanted(changes in changes(), aged: bool) {
        let base = effective(&default_set(), aged, &[], Time(0));
        let patches: Vec<_> = changes.into_iter().filter(|(_, change)| !matches!(change, Change::Rule(_)))
            .map(|(slug, change)| (["systolic_high", "systolic_low", "spo2_low"][slug % 3], change)).collect();
        let edit = layer("edit", Tier::Team, &patches);
        let wanted = effective(&default_set(), aged, &[assigned(&edit, TEAM, 0, None)], Time(0));
        let own = Layer { name: Layer::OWN.into(), tier: Tier::Elder, patches: diff(&base.set, &wanted.set), ..edit.clone() };
        let found = effective(&default_set(), aged, &[assigned(&own, ME, 0, None)], Time(0));
        prop_assert_eq!(found.set.rules, wanted.set.rules);
    }
}
