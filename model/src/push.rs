//! What the server pushes to a gateway (`d/cfg`), and the rules in the form in which they are pushed.

use serde::{Deserialize, Serialize};

use crate::note::Push;
use crate::rule::{BadRule, RuleSet};
use crate::{ElderId, Name};

/// Largest body of a push, bytes: one MQTT packet of the smallest limit a gateway may have, and room for its head.
pub const PUSH_BYTES_MAX: usize = 200 * 1024;

/// One push. Versions count up per gateway and kind; a higher one replaces a lower one whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed<B> {
    pub what: Push,
    pub version: u64,
    pub body: B,
}

/// Who is judged by what at one gateway. Elders are numbers here and nothing else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeRules {
    /// Of everybody without rules of their own.
    pub default: RuleSet,
    /// Sets of elders with layers, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<RuleSet>,
    pub elders: Vec<EdgeElder>,
    /// Which device of this gateway belongs to whom.
    pub devices: Vec<EdgeDevice>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeElder {
    pub elder: ElderId,
    /// Judged by the default of the aged.
    #[serde(default)]
    pub aged: bool,
    /// Place in [`EdgeRules::sets`]. `None`: the default judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<usize>,
    /// The set itself, as servers of older versions pushed it. Read, never written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RuleSet>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeDevice {
    pub device: Name,
    pub elder: ElderId,
}

impl EdgeRules {
    /// Of a gateway without elders.
    pub fn of(default: RuleSet) -> Self {
        Self { default, sets: Vec::new(), elders: Vec::new(), devices: Vec::new() }
    }

    /// One more elder. `set`: of their layers.
    pub fn push(&mut self, elder: ElderId, aged: bool, set: Option<&RuleSet>) {
        let set = set.map(|set| {
            self.sets.iter().position(|known| known.version == set.version).unwrap_or_else(|| {
                self.sets.push(set.clone());
                self.sets.len() - 1
            })
        });
        self.elders.push(EdgeElder { elder, aged, set, rules: None });
    }

    /// The set of an elder's layers. `None`: the default judges.
    pub fn set_of<'a>(&'a self, elder: &'a EdgeElder) -> Option<&'a RuleSet> {
        elder.set.and_then(|place| self.sets.get(place)).or(elder.rules.as_ref())
    }

    /// All sets pass their check.
    pub fn check(&self) -> Result<(), BadRule> {
        self.default.check()?;
        self.sets.iter().try_for_each(RuleSet::check)?;
        self.elders.iter().filter_map(|elder| elder.rules.as_ref()).try_for_each(RuleSet::check)
    }
}
