//! The limits of one metric over time, to be drawn behind its curve: each with where it comes from, and from when until when.

use model::layer::{Effective, Origin};
use model::rule::{Side, Test};
use model::{Metric, Priority, Time};
use serde_json::{Value, json};
use store::records::RulesHistory;

use crate::authors::Authors;
use crate::error::Answer;

/// One limit during one stretch.
#[derive(Clone, Debug, PartialEq)]
struct Band {
    rule: String,
    side: Side,
    priority: Priority,
    limit: f64,
    origin: Option<Origin>,
    /// `None`: since before the range.
    from: Option<Time>,
    /// `None`: until its end.
    until: Option<Time>,
}

/// The bands of a metric; one that does not change is one, however often something else did.
pub(super) fn bands(history: &RulesHistory, metric: Metric, authors: &Authors<'_>) -> Answer<Vec<Value>> {
    pieces(history, metric).iter().map(|band| band.json(authors)).collect()
}

fn pieces(history: &RulesHistory, metric: Metric) -> Vec<Band> {
    let mut done: Vec<Band> = Vec::new();
    let mut open: Vec<Band> = Vec::new();
    for (place, span) in history.spans.iter().enumerate() {
        let from = (place > 0 || history.known_from.is_some()).then_some(span.from);
        let now = limits(&span.effective, metric, from);
        let (mut kept, ended): (Vec<Band>, Vec<Band>) =
            open.into_iter().partition(|band| now.iter().any(|one| one.is_like(band)));
        done.extend(ended.into_iter().map(|band| Band { until: Some(span.from), ..band }));
        let fresh: Vec<Band> = now.into_iter().filter(|one| !kept.iter().any(|band| band.is_like(one))).collect();
        kept.extend(fresh);
        open = kept;
    }
    done.extend(open);
    done
}

fn limits(effective: &Effective, metric: Metric, from: Option<Time>) -> Vec<Band> {
    let mut bands = Vec::new();
    for (place, rule) in effective.set.rules.iter().enumerate() {
        let Test::Threshold(threshold) = &rule.test else { continue };
        if threshold.metric != metric {
            continue;
        }
        let origins = effective.rules.get(place).filter(|origin| origin.rule == rule.slug);
        for level in &threshold.levels {
            let of_level = |one: &&model::layer::LevelOrigin| one.priority == level.priority;
            let number = origins.and_then(|origin| origin.levels.iter().find(of_level)).map(|one| one.origin);
            let origin = number.or(origins.map(|origin| origin.origin)).and_then(|place| effective.origins.get(place));
            bands.push(Band {
                rule: rule.slug.clone(),
                side: threshold.side,
                priority: level.priority,
                limit: level.limit,
                origin: origin.cloned(),
                from,
                until: None,
            });
        }
    }
    bands
}

impl Band {
    /// The same limit from the same place.
    fn is_like(&self, other: &Self) -> bool {
        let of =
            |band: &Self| band.origin.as_ref().map(|origin| (origin.layer.clone(), origin.version, origin.assignment));
        // A limit is a number somebody wrote, never the result of arithmetic.
        let same_limit = self.limit.total_cmp(&other.limit).is_eq();
        (&self.rule, self.side, self.priority) == (&other.rule, other.side, other.priority)
            && same_limit
            && of(self) == of(other)
    }

    fn json(&self, authors: &Authors<'_>) -> Answer<Value> {
        let origin = self.origin.as_ref().map(|origin| {
            let mut answer = json!({
                "layer": origin.layer, "version": origin.version, "zh": origin.zh, "en": origin.en, "source": origin.source,
                "year": origin.year,
            });
            authors.add(origin, &mut answer)?;
            Ok(answer)
        });
        let origin = origin.transpose()?;
        Ok(json!({
            "side": self.side, "priority": self.priority, "limit": self.limit, "rule": self.rule, "from": self.from,
            "until": self.until, "origin": origin,
        }))
    }
}
