//! Simulated elders with a band and a cuff each, and what may happen to them, all from one seed.

mod person;

pub use person::{Part, Person, Said, Scenario};

use model::Name;
use serde::Deserialize;

use crate::Error;

/// Most simulated elders of one link.
pub const ELDERS_MAX: u32 = 999;
/// Longest backfill, hours (30 days: the longest trend on screen).
const BACKFILL_MAX_H: u32 = 720;

/// Keys of the simulator.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// 1..=999.
    pub elders: u32,
    /// The same seed gives the same people.
    pub seed: u64,
    /// Seconds between two reports of a band.
    pub interval_s: u32,
    /// Seconds between two measurements of a cuff.
    pub cuff_interval_s: u32,
    /// Hours of the past, one value a minute, sent in lane `hist` when the gateway is new.
    pub backfill_h: u32,
    /// What happens, and when.
    pub scenarios: Vec<Planned>,
}

/// One planned happening.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Seconds after the start.
    pub at_s: u64,
    /// 1 is the first elder. Ignored by `uplink_lost`.
    #[serde(default = "first")]
    pub person: u32,
    pub kind: Scenario,
    /// How long it lasts, seconds; 0 = as is usual for its kind.
    #[serde(default)]
    pub for_s: u64,
    /// Comes again after so many seconds; 0 = once.
    #[serde(default)]
    pub every_s: u64,
}

const fn first() -> u32 {
    1
}

impl Default for Config {
    fn default() -> Self {
        Self { elders: 10, seed: 1, interval_s: 10, cuff_interval_s: 1_800, backfill_h: 0, scenarios: Vec::new() }
    }
}

impl Config {
    /// Refuses what can never work.
    pub fn validate(&self) -> Result<(), Error> {
        let fault = |what: String| Err(Error::Key(what));
        if !(1..=ELDERS_MAX).contains(&self.elders) {
            return fault(format!("elders must be 1..={ELDERS_MAX}"));
        }
        if self.interval_s == 0 || self.cuff_interval_s == 0 {
            return fault("interval_s and cuff_interval_s must be 1 or more".to_owned());
        }
        if self.backfill_h > BACKFILL_MAX_H {
            return fault(format!("backfill_h must be at most {BACKFILL_MAX_H}"));
        }
        match self.scenarios.iter().find(|planned| !(1..=self.elders).contains(&planned.person)) {
            Some(planned) => fault(format!("a scenario is for person {}, there are {}", planned.person, self.elders)),
            None => Ok(()),
        }
    }

    /// All simulated devices with the number of their elder (1 is the first).
    pub fn devices(&self) -> impl Iterator<Item = (Name, u32)> {
        (1..=self.elders.min(ELDERS_MAX)).flat_map(|person| Part::ALL.map(|part| (device(person, part), person)))
    }
}

/// Name of a simulated device: `band-001`, `cuff-001`.
pub fn device(person: u32, part: Part) -> Name {
    let person = person.min(ELDERS_MAX);
    Name::new(&format!("{}-{person:03}", part.as_str())).unwrap_or_else(|_| unreachable!("a word and three digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_and_owners() {
        let config = Config { elders: 2, ..Config::default() };
        let devices: Vec<_> = config.devices().map(|(name, person)| (name.to_string(), person)).collect();
        let expected = [("band-001", 1), ("cuff-001", 1), ("band-002", 2), ("cuff-002", 2)];
        assert_eq!(devices, expected.map(|(name, person)| (name.to_owned(), person)));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let planned = Planned { at_s: 1, person: 11, kind: Scenario::Fall, for_s: 0, every_s: 0 };
        for config in [
            Config { elders: 0, ..Config::default() },
            Config { elders: 1_000, ..Config::default() },
            Config { interval_s: 0, ..Config::default() },
            Config { backfill_h: 721, ..Config::default() },
            Config { scenarios: vec![planned], ..Config::default() },
        ] {
            assert!(config.validate().is_err(), "{config:?}");
        }
        Config::default().validate().unwrap();
    }
}
