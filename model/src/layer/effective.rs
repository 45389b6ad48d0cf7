//! What is in force for one elder, and where each number of it comes from.

use serde::Serialize;

use super::apply::{Work, apply};
use super::{Assigned, Refused, Tier};
use crate::rule::{RuleSet, Test};
use crate::{PersonId, Priority, Time};

/// Name of the origin of what [`RuleSet::for_aged`] changes.
pub const AGE_BAND: &str = "age-65";

/// The rules in force and their origins.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Version 0: the records number it.
    pub set: RuleSet,
    /// The default set first, then the layers in the order in which they were put upon it.
    pub origins: Vec<Origin>,
    /// One per rule of the set, in its order.
    pub rules: Vec<RuleOrigin>,
    pub off: Vec<SwitchedOff>,
    /// Layers that a more specific one takes the place of.
    pub superseded: Vec<Superseded>,
    /// Layers that do not fit together with the others and are not in force. Saving refuses what would lead here; it can
    /// only come of what nobody said (an elder moved to another team), and screens show it.
    pub left_out: Vec<Refused>,
}

/// Where something comes from: who set it, why, from when until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Origin {
    pub layer: String,
    pub version: u32,
    /// `None`: the default set.
    pub tier: Option<Tier>,
    pub zh: String,
    pub en: String,
    pub source: String,
    pub year: Option<u16>,
    /// Number of the assignment.
    pub assignment: Option<u32>,
    pub who: Option<PersonId>,
    pub why: String,
    pub from: Option<Time>,
    pub until: Option<Time>,
}

/// Numbers are places in [`Effective::origins`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleOrigin {
    pub rule: String,
    pub origin: usize,
    pub levels: Vec<LevelOrigin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<usize>,
    /// What the layer says of this number.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LevelOrigin {
    pub priority: Priority,
    pub origin: usize,
}

/// A rule that would be there and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchedOff {
    pub rule: String,
    pub zh: String,
    pub en: String,
    pub origin: usize,
}

/// A layer that is assigned and has no say, because a more specific one may not stand beside it (`Layer::not_with`): what a doctor
/// assigns to an elder goes before what the team has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Superseded {
    pub layer: String,
    pub by: String,
}

/// Puts the layers that cover `at` upon the default set, in order of tier, scope and beginning. `aged`: the elder has the age of
/// [`RuleSet::AGED_FROM`]. If `default` passes its check, so does the result.
pub fn effective(default: &RuleSet, aged: bool, layers: &[Assigned<'_>], at: Time) -> Effective {
    let mut base = Base::new(default, aged);
    let (inside, superseded) = in_order(layers, at);
    base.superseded = superseded;
    if let Some(whole) = all_at_once(&base, &inside) {
        return whole;
    }
    // Something does not fit: found by putting them on one by one, and left out.
    let mut left_out = Vec::new();
    let mut rules = base.rules.clone();
    for assigned in inside {
        let mut next = rules.clone();
        let origin = base.origins.len();
        let fits = apply(&mut next, assigned.layer, origin)
            .and_then(|()| base.set(&next).check().map_err(|bad| Refused::of(&assigned.layer.name, bad)));
        match fits {
            Ok(()) => {
                base.add(assigned);
                rules = next;
            }
            Err(refused) => left_out.push(refused),
        }
    }
    base.finish(rules, left_out)
}

/// The layers that have a say at `at`, in the order in which they are put on. One that is assigned twice counts once, at its
/// latest place.
pub fn in_order<'a>(layers: &'a [Assigned<'a>], at: Time) -> (Vec<&'a Assigned<'a>>, Vec<Superseded>) {
    let mut covering: Vec<&Assigned<'_>> = layers.iter().filter(|assigned| assigned.covers(at)).collect();
    covering.sort_by_key(|assigned| std::cmp::Reverse(assigned.order()));
    let mut inside: Vec<&Assigned<'_>> = Vec::with_capacity(covering.len());
    let mut superseded = Vec::new();
    for assigned in covering {
        let layer = assigned.layer;
        if inside.iter().any(|later| later.layer.name == layer.name) {
            continue;
        }
        match inside.iter().find(|later| later.layer.excludes(layer)) {
            Some(later) => superseded.push(Superseded { layer: layer.name.clone(), by: later.layer.name.clone() }),
            None => inside.push(assigned),
        }
    }
    inside.reverse();
    (inside, superseded)
}

fn all_at_once(base: &Base, layers: &[&Assigned<'_>]) -> Option<Effective> {
    let mut base = base.clone();
    let mut rules = base.rules.clone();
    for assigned in layers {
        apply(&mut rules, assigned.layer, base.origins.len()).ok()?;
        base.add(assigned);
    }
    base.set(&rules).check().ok()?;
    Some(base.finish(rules, Vec::new()))
}

/// What layers are put upon.
#[derive(Clone)]
struct Base {
    name: String,
    source: String,
    origins: Vec<Origin>,
    rules: Vec<Work>,
    superseded: Vec<Superseded>,
}

impl Base {
    fn new(default: &RuleSet, aged: bool) -> Self {
        let mut rules: Vec<Work> = default.rules.iter().map(|rule| Work::new(rule.clone(), 0)).collect();
        let mut origins = vec![Origin::of_default(default)];
        let mut name = default.name.clone();
        if aged {
            let wider = default.for_aged();
            if wider.name != default.name {
                for (work, rule) in rules.iter_mut().zip(wider.rules) {
                    mark_changed_levels(work, &rule.test);
                    work.rule = rule;
                }
                origins.push(Origin::of_age_band(default));
                name = wider.name;
            }
        }
        Self { name, source: default.source.clone(), origins, rules, superseded: Vec::new() }
    }

    fn add(&mut self, assigned: &Assigned<'_>) {
        let Assigned { id, layer, version, who, why, from, until, .. } = *assigned;
        self.name = format!("{}+{}", self.name, layer.name);
        if layer.name != super::Layer::OWN {
            self.name = format!("{}@{version}", self.name);
        }
        if !self.source.contains(&layer.source) {
            self.source = format!("{}; {}", self.source, layer.source);
        }
        self.origins.push(Origin {
            layer: layer.name.clone(),
            version,
            tier: Some(layer.tier),
            zh: layer.zh.clone(),
            en: layer.en.clone(),
            source: layer.source.clone(),
            year: layer.year,
            assignment: Some(id),
            who,
            why: why.to_owned(),
            from: Some(from),
            until,
        });
    }

    fn set(&self, rules: &[Work]) -> RuleSet {
        let rules = rules.iter().filter(|work| work.off.is_none()).map(|work| work.rule.clone()).collect();
        RuleSet { name: self.name.clone(), version: 0, source: self.source.clone(), rules }
    }

    fn finish(self, rules: Vec<Work>, left_out: Vec<Refused>) -> Effective {
        let set = self.set(&rules);
        let (on, off): (Vec<Work>, Vec<Work>) = rules.into_iter().partition(|work| work.off.is_none());
        let off = off.into_iter().map(|work| SwitchedOff {
            rule: work.rule.slug,
            zh: work.rule.zh,
            en: work.rule.en,
            origin: work.off.unwrap_or_default(),
        });
        let on = on.into_iter().map(|work| RuleOrigin {
            rule: work.rule.slug,
            origin: work.origin,
            levels: work.levels.into_iter().map(|(priority, origin)| LevelOrigin { priority, origin }).collect(),
            hours: work.hours,
            note: work.note,
        });
        Effective {
            set,
            origins: self.origins,
            rules: on.collect(),
            off: off.collect(),
            superseded: self.superseded,
            left_out,
        }
    }
}

fn mark_changed_levels(work: &mut Work, wider: &Test) {
    let (Test::Threshold(before), Test::Threshold(after)) = (&work.rule.test, wider) else { return };
    for (level, (priority, origin)) in after.levels.iter().zip(&mut work.levels) {
        if level.priority == *priority && !before.levels.contains(level) {
            *origin = 1;
        }
    }
}

impl Origin {
    fn of_default(set: &RuleSet) -> Self {
        Self {
            layer: set.name.clone(),
            version: set.version,
            tier: None,
            zh: "默认规则".into(),
            en: "Default rules".into(),
            source: set.source.clone(),
            year: None,
            assignment: None,
            who: None,
            why: String::new(),
            from: None,
            until: None,
        }
    }

    fn of_age_band(set: &RuleSet) -> Self {
        Self {
            layer: AGE_BAND.into(),
            tier: Some(Tier::Age),
            zh: "65 岁及以上".into(),
            en: "65 years and over".into(),
            source: "国家基本公共卫生服务规范(第三版):65 岁及以上 150/90 [S]".into(),
            ..Self::of_default(set)
        }
    }
}
