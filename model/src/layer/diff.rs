//! An elder's own layer, from a rule set that somebody edited whole.

use super::{Change, Effective, Layer, LevelPatch, Levels, Patch, Refused, Tier, is_scale2};
use crate::Priority;
use crate::rule::{Rule, RuleSet, Test, Threshold};

/// The patches that make `wanted` of `base`. Rules of `wanted` that `base` has are patched as little as possible, so that what
/// the person did not touch follows the layers below.
pub fn diff(base: &RuleSet, wanted: &RuleSet) -> Vec<Patch> {
    let mut patches = Vec::new();
    for rule in &wanted.rules {
        match base.rules.iter().find(|known| known.slug == rule.slug) {
            Some(known) => changes(known, rule, &mut patches),
            None => patches.push(patch(&rule.slug, Change::Rule(rule.clone()))),
        }
    }
    let gone = base.rules.iter().filter(|known| wanted.rules.iter().all(|rule| rule.slug != known.slug));
    patches.extend(gone.map(|known| patch(&known.slug, Change::Off)));
    patches
}

fn patch(rule: &str, change: Change) -> Patch {
    Patch { rule: rule.to_owned(), change, why: String::new() }
}

fn changes(before: &Rule, after: &Rule, patches: &mut Vec<Patch>) {
    if before == after {
        return;
    }
    if (&before.zh, &before.en, before.latching) != (&after.zh, &after.en, after.latching) {
        patches.push(patch(&after.slug, Change::Rule(after.clone())));
        return;
    }
    if before.hours != after.hours {
        patches.push(patch(&after.slug, Change::Hours(after.hours)));
    }
    if before.test == after.test {
        return;
    }
    let change = match (&before.test, &after.test) {
        (Test::Threshold(before), Test::Threshold(after)) if same_but_levels(before, after) => {
            Change::Levels(levels(before, after))
        }
        _ => Change::Test(after.test.clone()),
    };
    patches.push(patch(&after.slug, change));
}

fn same_but_levels(before: &Threshold, after: &Threshold) -> bool {
    let each_once = |test: &Threshold| {
        let times = |priority| test.levels.iter().filter(|level| level.priority == priority).count();
        Priority::ALL.iter().all(|priority| times(*priority) <= 1)
    };
    Threshold { levels: Vec::new(), ..before.clone() } == Threshold { levels: Vec::new(), ..after.clone() }
        && each_once(before)
        && each_once(after)
}

fn levels(before: &Threshold, after: &Threshold) -> Levels {
    let same = |a: f64, b: f64| a.total_cmp(&b).is_eq();
    let mut changed = Levels::default();
    for level in &after.levels {
        let known = before.levels.iter().find(|known| known.priority == level.priority);
        let limit = known.is_none_or(|known| !same(known.limit, level.limit)).then_some(level.limit);
        let hold_s = known.is_none_or(|known| known.hold_s != level.hold_s).then_some(level.hold_s);
        if limit.is_some() || hold_s.is_some() {
            changed.set.push(LevelPatch { priority: level.priority, limit, hold_s });
        }
    }
    let gone = |priority: Priority| after.levels.iter().all(|level| level.priority != priority);
    changed.drop = before.levels.iter().map(|level| level.priority).filter(|priority| gone(*priority)).collect();
    changed
}

/// The elder's own layer that makes `wanted` of what is in force without it. Of the layer before, what is about rules that
/// another layer hides at the moment stays.
pub fn own_layer(
    without: &Effective,
    before: Option<&Layer>,
    wanted: &RuleSet,
    by_doctor: bool,
    reason: &str,
) -> Result<Layer, Refused> {
    let mut layer = Layer {
        name: Layer::OWN.into(),
        tier: Tier::Elder,
        zh: "个人规则".into(),
        en: "Own rules".into(),
        source: "医生或管理员为本人设定".into(),
        year: None,
        doctor_only: by_doctor,
        elder_only: true,
        longest_days: None,
        not_with: Vec::new(),
        patches: diff(&without.set, wanted),
    };
    for patch in &mut layer.patches {
        reason.clone_into(&mut patch.why);
    }
    let hidden = |patch: &&Patch| without.off.iter().any(|off| off.rule == patch.rule);
    let kept = before.into_iter().flat_map(|before| before.patches.iter().filter(hidden));
    let kept: Vec<Patch> =
        kept.filter(|patch| wanted.rules.iter().all(|rule| rule.slug != patch.rule)).cloned().collect();
    layer.patches.extend(kept);
    let scale2 = wanted.rules.iter().any(|rule| is_scale2(&rule.test));
    let had = without.set.rules.iter().any(|rule| is_scale2(&rule.test));
    if scale2 && !had && !by_doctor {
        return Err(layer.refuse("", None, "SpO2 scale 2 is a doctor's decision: a doctor has to save it"));
    }
    layer.check()?;
    Ok(layer)
}
