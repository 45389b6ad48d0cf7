//! The figures of a group: what may be shown of it, and nothing else ever leaves this file. Pure.

use model::Metric;
use model::rule::{RuleSet, Side};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::profile::nearest;
use super::super::rounded;
use super::super::stats::{Sorted, mean};
use super::groups::{By, Group};
use super::guard::{Count, Hidden, K, hidden};

const QUANTILES: [(&str, f64); 5] = [("p10", 0.10), ("p25", 0.25), ("p50", 0.50), ("p75", 0.75), ("p90", 0.90)];

/// The limits of the default rules that a value reaches first; none of a metric they say nothing of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Range {
    low: Option<f64>,
    high: Option<f64>,
    /// As they are from [`RuleSet::AGED_FROM`] years on.
    aged_low: Option<f64>,
    aged_high: Option<f64>,
    aged_from: u32,
    source: String,
}

impl Range {
    pub(super) fn new(default: &RuleSet, metric: Metric) -> Self {
        let limit = |set: &RuleSet, side| nearest(set, metric, side).map(|(limit, _)| limit);
        let aged = default.for_aged();
        let (low, high) = (limit(default, Side::Low), limit(default, Side::High));
        let (aged_low, aged_high) = (limit(&aged, Side::Low), limit(&aged, Side::High));
        let source = format!("{} {}", default.name, default.source);
        Self { low, high, aged_low, aged_high, aged_from: RuleSet::AGED_FROM, source }
    }

    /// There are limits below and above, to count by.
    pub(super) fn has(&self) -> (bool, bool) {
        (self.low.or(self.aged_low).is_some(), self.high.or(self.aged_high).is_some())
    }

    pub(super) fn is_below(&self, value: f64, aged: bool) -> bool {
        if aged { self.aged_low } else { self.low }.is_some_and(|low| value <= low)
    }

    pub(super) fn is_above(&self, value: f64, aged: bool) -> bool {
        if aged { self.aged_high } else { self.high }.is_some_and(|high| value >= high)
    }
}

/// One group as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figures {
    key: String,
    zh: String,
    en: String,
    /// `None`: few of them, or few who were not measured, could be worked out.
    elders: Option<usize>,
    measured: usize,
    mean: Option<f64>,
    quantiles: [Option<f64>; 5],
    below: Option<f64>,
    above: Option<f64>,
    pub(super) hidden: Option<Hidden>,
}

/// A table with its total.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Population {
    pub(super) total: Figures,
    pub(super) groups: Vec<Figures>,
}

impl Population {
    pub(super) fn new(groups: &[Group], by: By) -> Self {
        let mut whole = Group { key: "total".into(), zh: "合计".into(), en: "Total".into(), ..Group::default() };
        for group in groups {
            whole.elders += group.elders;
            whole.values.extend(&group.values);
            whole.below = sum(whole.below, group.below);
            whole.above = sum(whole.above, group.above);
        }
        let total = figures(std::slice::from_ref(&whole), By::All).pop();
        let total = total.unwrap_or_else(|| Figures::of(&whole, Some(Hidden::Small), Unsaid::default()));
        Self { total, groups: figures(groups, by) }
    }
}

fn sum(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    other.map(|other| one.unwrap_or(0) + other).or(one)
}

fn figures(groups: &[Group], by: By) -> Vec<Figures> {
    let within: Vec<usize> = groups.iter().map(|group| if by == By::Team { group.within } else { 0 }).collect();
    let counts = |c: fn(&Group) -> usize| -> Vec<Count> {
        groups.iter().map(|group| Count { n: group.values.len(), c: c(group) }).collect()
    };
    let sizes = hidden(&counts(|_| 0), &within, Count::size_shows);
    let below = hidden(&counts(|group| group.below.unwrap_or(0)), &within, Count::share_shows);
    let above = hidden(&counts(|group| group.above.unwrap_or(0)), &within, Count::share_shows);
    // Whoever is neither below nor above is the rest of both shares.
    let middle = hidden(&counts(Group::middle), &within, Count::rest_shows);
    let everybody: Vec<Count> = groups
        .iter()
        .map(|group| Count { n: group.elders, c: group.elders.saturating_sub(group.values.len()) })
        .collect();
    let everybody = hidden(&everybody, &within, Count::rest_shows);
    let unsaid = everybody.into_iter().zip(below).zip(above).zip(middle);
    let unsaid = unsaid.map(|(((elders, below), above), middle)| Unsaid {
        elders: elders.is_some(),
        below: below.or(middle).is_some(),
        above: above.or(middle).is_some(),
    });
    let rows = groups.iter().zip(sizes).zip(unsaid);
    rows.map(|((group, size), unsaid)| Figures::of(group, size, unsaid)).collect()
}

/// What is not said of a group that is shown.
#[derive(Clone, Copy, Debug, Default)]
struct Unsaid {
    elders: bool,
    below: bool,
    above: bool,
}

impl Figures {
    fn of(group: &Group, hidden: Option<Hidden>, unsaid: Unsaid) -> Self {
        let n = group.values.len();
        let open = hidden.is_none();
        let sorted = Sorted::new(if open { group.values.clone() } else { Vec::new() });
        // As many must lie beyond a percentile as a group must have.
        let enough = |q: f64| n as f64 * q.min(1.0 - q) >= K as f64;
        let share = |count: Option<usize>, no: bool| {
            count.filter(|_| open && n > 0 && !no).map(|count| rounded(count as f64 / n as f64, 2))
        };
        Self {
            key: group.key.clone(),
            zh: group.zh.clone(),
            en: group.en.clone(),
            elders: Some(group.elders).filter(|_| open && !unsaid.elders),
            measured: n,
            mean: mean(&group.values).filter(|_| open),
            quantiles: QUANTILES.map(|(_, q)| sorted.quantile(q).filter(|_| enough(q))),
            below: share(group.below, unsaid.below),
            above: share(group.above, unsaid.above),
            hidden,
        }
    }

    pub(super) fn json(&self, decimals: u8) -> Value {
        let open = self.hidden.is_none();
        let mut row = json!({
            "key": self.key, "zh": self.zh, "en": self.en, "elders": self.elders,
            "measured": open.then_some(self.measured), "mean": self.mean.map(|mean| rounded(mean, decimals)), "below": self.below,
            "above": self.above, "hidden": self.hidden.map(Hidden::slug),
        });
        for ((name, _), value) in QUANTILES.iter().zip(self.quantiles) {
            row[*name] = json!(value.map(|value| rounded(value, decimals)));
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(key: &str, values: Vec<f64>, above: usize) -> Group {
        Group { key: key.into(), elders: values.len() + 1, values, above: Some(above), ..Group::default() }
    }

    #[test]
    fn nothing_of_a_hidden_group_is_in_the_answer() {
        let groups = [group("a", vec![100.0; 200], 50), group("b", vec![123.0; 4], 4), group("c", vec![110.0; 30], 15)];
        let made = Population::new(&groups, By::Sex);
        assert_eq!((made.total.measured, made.total.hidden), (234, None));
        let [a, b, c] = [0, 1, 2].map(|place| made.groups[place].json(0));
        assert_eq!(
            (&a["measured"], &a["mean"], &a["above"], &a["p10"]),
            (&json!(200), &json!(100.0), &json!(0.25), &json!(100.0))
        );
        assert_eq!((&b["hidden"], &c["hidden"]), (&json!("small"), &json!("beside_small")));
        for name in ["elders", "measured", "mean", "below", "above", "p10", "p50"] {
            assert_eq!((&b[name], &c[name]), (&Value::Null, &Value::Null), "{name}");
        }
        assert!(!b.to_string().contains("123"));
        assert_eq!(a["below"], Value::Null, "without a limit there is no share");
    }

    #[test]
    fn few_who_were_not_measured_are_not_counted_out() {
        let group = |key: &str, elders: usize, measured: usize| Group {
            key: key.into(),
            elders,
            values: vec![100.0; measured],
            ..Group::default()
        };
        let elders = |groups: &[Group]| -> Vec<Value> {
            let made = Population::new(groups, By::Sex);
            made.groups.iter().chain([&made.total]).map(|one| one.json(0)["elders"].clone()).collect()
        };
        assert_eq!(elders(&[group("a", 40, 29), group("b", 30, 30)]), [json!(40), json!(30), json!(70)]);
        // One of 40 has no value; the total has the same one, and the others would give it away.
        assert_eq!(elders(&[group("a", 40, 39), group("b", 30, 30)]), [Value::Null, Value::Null, Value::Null]);
        // 12 in all are enough, but 1 is the total less 11.
        assert_eq!(elders(&[group("a", 40, 39), group("b", 41, 30)]), [Value::Null, Value::Null, json!(81)]);
        // A hidden row of 4 whom nobody measured.
        assert_eq!(elders(&[group("a", 400, 300), group("b", 4, 0)])[1], Value::Null);
        let measured = Population::new(&[group("a", 40, 39)], By::All).total.json(0);
        assert_eq!((&measured["measured"], &measured["mean"]), (&json!(39), &json!(100.0)), "these may be shown");
    }

    #[test]
    fn a_small_middle_hides_both_shares() {
        let shares = |below: usize, above: usize| {
            let group = Group {
                key: "a".into(),
                elders: 100,
                values: vec![100.0; 100],
                below: Some(below),
                above: Some(above),
                ..Group::default()
            };
            let total = Population::new(&[group], By::All).total.json(0);
            (total["below"].clone(), total["above"].clone())
        };
        assert_eq!(shares(40, 49), (json!(0.4), json!(0.49)), "11 between");
        assert_eq!(shares(40, 60), (json!(0.4), json!(0.6)), "nobody between");
        assert_eq!(shares(40, 50), (Value::Null, Value::Null), "10 between");
        assert_eq!(shares(0, 80), (json!(0.0), json!(0.8)));
        assert_eq!(shares(5, 80), (Value::Null, json!(0.8)), "few below: only that share");
    }

    #[test]
    fn percentiles_need_as_many_beyond_them() {
        let made = Population::new(&[group("a", (0..44).map(f64::from).collect(), 0)], By::All);
        let total = made.total.json(0);
        // A quarter of 44 is 11; a tenth is not.
        assert_eq!((&total["p10"], &total["p25"], &total["p50"]), (&Value::Null, &json!(11.0), &json!(22.0)));
        assert_eq!((&total["above"], made.groups.len()), (&json!(0.0), 1));
        let few = Population::new(&[group("a", vec![1.0; 10], 0)], By::All);
        assert_eq!(few.total.json(0)["hidden"], json!("small"));
    }
}
