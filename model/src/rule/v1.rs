//! The form of rule sets in journals written before rules were JSON there: postcard of these structures. Read, never written.

use serde::Deserialize;

use super::{EventTest, Level, Rule, RuleSet, Side, Silence, Test, Threshold};
use crate::{Metric, Priority};

#[derive(Deserialize)]
pub(crate) struct RuleSetV1 {
    name: String,
    version: u32,
    source: String,
    rules: Vec<RuleV1>,
}

#[derive(Deserialize)]
struct RuleV1 {
    slug: String,
    zh: String,
    en: String,
    test: TestV1,
    latching: bool,
}

#[derive(Deserialize)]
enum TestV1 {
    Threshold { metric: Metric, side: Side, levels: Vec<Level>, clear_margin: f64 },
    Event(EventTest),
    Silence { after_s: u32, priority: Priority },
}

impl From<RuleSetV1> for RuleSet {
    fn from(RuleSetV1 { name, version, source, rules }: RuleSetV1) -> Self {
        Self { name, version, source, rules: rules.into_iter().map(Rule::from).collect() }
    }
}

impl From<RuleV1> for Rule {
    fn from(RuleV1 { slug, zh, en, test, latching }: RuleV1) -> Self {
        let test = match test {
            TestV1::Threshold { metric, side, levels, clear_margin } => {
                Test::Threshold(Threshold { metric, side, levels, clear_margin, confirm: None })
            }
            TestV1::Event(test) => Test::Event(test),
            TestV1::Silence { after_s, priority } => Test::Silence(Silence { after_s, priority, metric: None }),
        };
        Self { slug, zh, en, test, latching, hours: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_an_older_journal_reads() {
        // Written by the program as it was: name "a", version 2, source "s", one rule "hr": threshold on heart rate, high,
        // [P1 at 131 for 60 s], margin 4, latching.
        let mut bytes = b"\x01a\x02\x01s\x01\x02hr\x01z\x01e\x00".to_vec();
        bytes.extend(postcard::to_allocvec(&(Metric::HeartRate, Side::High)).unwrap());
        bytes.extend([1]);
        bytes.extend(postcard::to_allocvec(&(Priority::P1, 131.0_f64, 60_u32)).unwrap());
        bytes.extend(4.0_f64.to_le_bytes());
        bytes.push(1);
        let set: RuleSet = postcard::from_bytes::<RuleSetV1>(&bytes).unwrap().into();
        let Test::Threshold(test) = &set.rules[0].test else { panic!("{set:?}") };
        assert!(set.version == 2 && set.rules[0].latching && test.confirm.is_none());
        assert_eq!(test.levels, [Level { priority: Priority::P1, limit: 131.0, hold_s: 60 }]);
        set.check().unwrap();
    }
}
