//! The rules that the server pushed: on disk, and into the engine.

use std::io;
use std::path::Path;

use model::entry::Entry;
use model::push::{EdgeRules, Pushed};
use model::{ElderId, Time};

use super::Inner;
use crate::whole;

const FILE: &str = "rules.json";

/// `None`: the server has not pushed any yet, or they cannot be read, and it will push them again at the next birth.
pub(super) fn load(dir: &Path) -> Option<Pushed<EdgeRules>> {
    let bytes = std::fs::read(dir.join(FILE)).ok()?;
    match serde_json::from_slice::<Pushed<EdgeRules>>(&bytes) {
        Ok(rules) if rules.body.check().is_ok() => Some(rules),
        _ => {
            tracing::error!("{FILE} cannot be used; the rules of the program judge until the server pushes them again");
            None
        }
    }
}

pub(super) fn save(dir: &Path, rules: &Pushed<EdgeRules>) -> io::Result<()> {
    whole::replace(&dir.join(FILE), &serde_json::to_vec(rules)?)
}

impl Inner {
    /// Puts rules into force that passed their check. Running conditions go on as the engine's do at the server.
    pub(super) fn adopt(&mut self, rules: Pushed<EdgeRules>, at: Time) {
        let body = &rules.body;
        let mut entries = vec![Entry::Rules { elders: Vec::new(), at, set: body.default.clone() }];
        let (aged, younger): (Vec<_>, Vec<_>) = body.elders.iter().partition(|elder| elder.aged);
        for (aged, elders) in [(true, aged), (false, younger)] {
            let elders: Vec<ElderId> = elders.iter().map(|elder| elder.elder).collect();
            entries.push(Entry::Aged { aged, at, elders });
        }
        for elder in &body.elders {
            let default = || if elder.aged { body.default.for_aged() } else { body.default.clone() };
            // Rules of their own that were taken back: an own set equal to the default.
            let had_own = self.engine.own_set(elder.elder).is_some();
            let set = body.set_of(elder).cloned().or_else(|| had_own.then(default));
            entries.extend(set.map(|set| Entry::Rules { elders: vec![elder.elder], at, set }));
        }
        for entry in entries {
            self.step(&entry);
        }
        self.owners = body.devices.iter().map(|owned| (owned.device.clone(), owned.elder)).collect();
        self.rules = Some(rules);
    }
}
