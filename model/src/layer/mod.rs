//! Layers of rules as data: the national default set <- age band <- condition templates <- ability profile <- team <- elder
//! <- palliative care. A layer is a list of patches by rule; what is in force for one elder is worked out from the default set
//! and the layers assigned to them ([`effective`]), and every number keeps its origin.
//!
//! `effective.rs` puts layers together; `apply.rs` carries out one patch; `diff.rs` makes an elder's own layer from a set
//! somebody edited whole.

mod apply;
mod diff;
mod effective;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::alarm::words;
use crate::rule::{BadRule, Hours, Rule, Test};
use crate::{PersonId, Priority, Time};

pub use diff::{diff, own_layer};
pub use effective::{
    AGE_BAND, Effective, LevelOrigin, Origin, RuleOrigin, Superseded, SwitchedOff, effective, in_order,
};

words! {
    /// Where a layer stands. A later tier wins over an earlier one; within a tier what is assigned to a person wins over what
    /// is assigned to a team, that over an age band, and then the later beginning.
    Tier {
        Age = "age", "年龄段", "Age band";
        Condition = "condition", "病种模板", "Condition";
        Ability = "ability", "能力等级", "Ability level";
        Team = "team", "团队", "Team";
        /// An elder's own changes.
        Elder = "elder", "个人", "Elder";
        /// Above all others: what it switches off no other layer brings back.
        Palliative = "palliative", "安宁疗护", "Palliative care";
    }
}

/// One layer in one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// Stable word: `cn-htn-2024`. An elder's own layer is called [`Layer::OWN`].
    pub name: String,
    pub tier: Tier,
    pub zh: String,
    pub en: String,
    /// Where the numbers come from, with how sure that is.
    pub source: String,
    /// Year of the source. `None`: a decision made here, which has a date of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// Only a doctor may assign it: the assignment is the prescription, with name and date.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub doctor_only: bool,
    /// Only to a person, never to a team or an age band.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elder_only: bool,
    /// It is assigned for so many days at most and has to be said again then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_days: Option<u16>,
    /// Layers that may not be in force beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_with: Vec<String>,
    pub patches: Vec<Patch>,
}

/// What a layer does to one rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Slug; `*` for [`Change::Only`].
    pub rule: String,
    pub change: Change,
    /// Where this number comes from, shown beside it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The whole rule: added, or put in the place of the one with this slug.
    Rule(Rule),
    /// Another test; labels, hours and latching stay.
    Test(Test),
    /// Of a threshold: some of its levels.
    Levels(Levels),
    /// Time of day. `null`: always.
    Hours(Option<Hours>),
    /// Switched off, and shown as such.
    Off,
    /// Everything is switched off but these and calls for help.
    Only(Vec<String>),
}

/// Levels that are set (changed, or added where there is none of that priority) and dropped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Levels {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<LevelPatch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<Priority>,
}

/// What is not said stays as it is below.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelPatch {
    pub priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_s: Option<u32>,
}

/// To whom a layer is assigned. Later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everybody of so many years and more.
    AgeFrom(u32),
    Team(crate::TeamId),
    Elder(crate::ElderId),
}

/// A layer in force for somebody: who said so, why, from when until when.
#[derive(Clone, Copy, Debug)]
pub struct Assigned<'a> {
    /// Number of the assignment.
    pub id: u32,
    pub layer: &'a Layer,
    pub version: u32,
    pub scope: Scope,
    pub who: Option<PersonId>,
    pub why: &'a str,
    pub from: Time,
    /// Not part of it. `None`: until somebody ends it.
    pub until: Option<Time>,
}

impl Assigned<'_> {
    pub fn covers(&self, at: Time) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// The order in which layers are put together.
    pub(crate) fn order(&self) -> (Tier, Scope, Time, u32) {
        (self.layer.tier, self.scope, self.from, self.id)
    }
}

/// Why a layer is refused, with the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Refused {
    pub layer: String,
    /// Empty: it is about the layer as a whole.
    pub rule: String,
    pub level: Option<Priority>,
    pub reason: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "layer {:?}", self.layer)?;
        if !self.rule.is_empty() {
            write!(f, ", rule {:?}", self.rule)?;
        }
        if let Some(level) = self.level {
            write!(f, ", level {}", level.slug())?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl Refused {
    pub(crate) fn of(layer: &str, bad: BadRule) -> Self {
        let BadRule { rule, level, reason } = bad;
        Self { layer: layer.to_owned(), rule, level, reason }
    }
}

impl Layer {
    /// Name of every elder's own layer.
    pub const OWN: &'static str = "own";
    /// The rule of [`Change::Only`].
    pub const EVERY: &'static str = "*";
    pub const NAME_CHARS_MAX: usize = 48;
    pub const TEXT_CHARS_MAX: usize = 1_000;
    pub const PATCHES_MAX: usize = 128;
    /// Longest [`Layer::longest_days`].
    pub const DAYS_MAX: u16 = 366;

    /// What can be said of a layer alone. Whether it fits what it is put upon, [`effective`] says.
    pub fn check(&self) -> Result<(), Refused> {
        let bad = |reason: &str| Err(self.refuse("", None, reason));
        let word = |text: &str| text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if self.name.is_empty() || self.name.len() > Self::NAME_CHARS_MAX || !word(&self.name) {
            return bad("a name is 1 to 48 of a-z 0-9 _ -");
        }
        if [&self.zh, &self.en, &self.source].iter().any(|text| text.trim().is_empty()) {
            return bad("a layer says what it is (zh, en) and where its numbers come from (source)");
        }
        let long = |text: &str| text.chars().count() > Self::TEXT_CHARS_MAX;
        if [&self.zh, &self.en, &self.source].iter().any(|text| long(text)) || self.not_with.len() > 16 {
            return bad("zh, en and source have at most 1000 characters, not_with at most 16 names");
        }
        if self.year.is_some_and(|year| !(1950..=2100).contains(&year)) {
            return bad("the year of the source is 1950 to 2100");
        }
        if self.longest_days.is_some_and(|days| !(1..=Self::DAYS_MAX).contains(&days)) {
            return bad("longest_days is 1 to 366");
        }
        if self.patches.len() > Self::PATCHES_MAX {
            return bad("a layer has at most 128 patches");
        }
        self.patches.iter().try_for_each(|patch| self.check_patch(patch))
    }

    /// They may not stand beside each other.
    pub fn excludes(&self, other: &Self) -> bool {
        self.not_with.contains(&other.name) || other.not_with.contains(&self.name)
    }

    fn check_patch(&self, patch: &Patch) -> Result<(), Refused> {
        let bad = |level, reason: &str| Err(self.refuse(&patch.rule, level, reason));
        if patch.rule.is_empty() || patch.rule.len() > 64 || patch.why.chars().count() > Self::TEXT_CHARS_MAX {
            return bad(None, "a patch names a rule of 1 to 64 characters, and says why in at most 1000");
        }
        if (patch.rule == Self::EVERY) != matches!(patch.change, Change::Only(_)) {
            return bad(None, "`only` is about all rules (*), every other change about one");
        }
        let signed = self.doctor_only && self.elder_only;
        match &patch.change {
            Change::Rule(rule) if rule.slug != patch.rule => bad(None, "the rule in it has another slug"),
            Change::Rule(Rule { test, .. }) | Change::Test(test) if is_scale2(test) && !signed => bad(
                None,
                "SpO2 scale 2 is a doctor's decision for one person: the layer must have doctor_only and elder_only",
            ),
            Change::Levels(Levels { set, drop }) if set.is_empty() && drop.is_empty() => {
                bad(None, "nothing is set and nothing is dropped")
            }
            Change::Levels(Levels { set, .. }) => {
                match set.iter().find(|level| level.limit.is_none() && level.hold_s.is_none()) {
                    Some(level) => bad(Some(level.priority), "says neither limit nor hold_s"),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn refuse(&self, rule: &str, level: Option<Priority>, reason: &str) -> Refused {
        Refused { layer: self.name.clone(), rule: rule.to_owned(), level, reason: reason.to_owned() }
    }
}

/// Scores oxygen by scale 2, which only a doctor prescribes.
pub fn is_scale2(test: &Test) -> bool {
    matches!(test, Test::Score(score) if score.spo2_scale2)
}
