//! What the engine remembers of an elder whose rules have more kinds than thresholds, events and plain silence. Most elders
//! have none of it. All of it is bounded by the rules.

use model::alarm::Change;
use model::{AlarmId, AlarmKind, Metric, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::adopt::Ladder;
use crate::clock::SetBack;
use crate::confirm::Asked;
use crate::count::Counted;
use crate::engine::Sink;
use crate::plan::{Plan, Watched};
use crate::score::Inputs;
use crate::state::{State, add};
use crate::trend::{self, Days};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct More {
    pub(crate) inputs: Inputs,
    /// One per metric that a trend rule follows.
    pub(crate) days: Vec<Days>,
    /// One per count rule.
    pub(crate) counted: Vec<Counted>,
    /// Trends and counts that stand.
    pub(crate) stands: Vec<Stand>,
    /// Per metric that a silence rule waits for: when it was last heard, in log time.
    pub(crate) heard: Vec<(Metric, Time)>,
    /// Second measurements that are waited for, at most one per rule.
    pub(crate) asked: Vec<Asked>,
}

/// A trend or a count that was raised and not cleared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stand {
    pub(crate) rule: u8,
    pub(crate) alarm: AlarmId,
    pub(crate) started_at: Time,
    /// Event time at which people were last told.
    pub(crate) told_at: Time,
    /// Log time of the newest value that showed it.
    pub(crate) heard: Time,
    /// Of trends: the day it was last beyond.
    pub(crate) day: u16,
    /// The data stopped.
    pub(crate) unknown: bool,
    /// Found in values that were told late: so far a review item.
    pub(crate) late: bool,
}

impl Stand {
    /// The first live value of what so far was a review item makes it what the rule says. `true`: people are told of it.
    pub(crate) fn is_news(
        &mut self,
        plan: &Plan,
        (priority, kind): (Priority, AlarmKind),
        at: Time,
        late: bool,
        sink: &mut Sink<'_>,
    ) -> bool {
        let first = self.late && !late;
        self.late &= late;
        if !first || priority >= Priority::P3 {
            return false;
        }
        self.told_at = at;
        sink.put(plan, self.rule, self.alarm, at, Change::Worsened { priority, kind });
        true
    }
}

impl State {
    pub(crate) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// A judged value of a metric at which more than thresholds look.
    pub(crate) fn watched(
        &mut self,
        plan: &Plan,
        metric: Metric,
        at: Time,
        value: f64,
        late: bool,
        sink: &mut Sink<'_>,
    ) {
        let watched = plan.watched(metric);
        if watched.has(Watched::SILENCE) {
            self.heard_metric(plan, metric, if late { at } else { sink.now }, sink);
        }
        if watched.has(Watched::SCORE) && !late {
            sink.scored |= self.more().inputs.take(metric, at, value);
        }
        if watched.has(Watched::TREND) {
            self.trend_value(plan, metric, at, value, late, sink);
        }
        if watched.has(Watched::COUNT) {
            self.count_value(plan, metric, at, value, late, sink);
        }
    }

    /// Log time of the next timer of these kinds.
    pub(crate) fn more_deadline(&self, plan: &Plan) -> Time {
        let Some(more) = &self.more else { return Time(i64::MAX) };
        let asked = more.asked.iter().map(|asked| asked.due);
        let stands = more.stands.iter().filter_map(|stand| more.ends_at(plan, stand));
        asked.chain(stands).min().unwrap_or(Time(i64::MAX))
    }

    pub(crate) fn run_more(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        if self.more.is_none() {
            return;
        }
        self.unanswered(plan, sink);
        let Some(more) = &mut self.more else { return };
        let due: Vec<Stand> = more
            .stands
            .iter()
            .filter(|stand| more.ends_at(plan, stand).is_some_and(|at| at <= sink.now))
            .copied()
            .collect();
        for stand in due {
            let change = if plan.count(stand.rule).is_some() {
                more.stands.retain(|other| other.rule != stand.rule);
                Change::Cleared
            } else {
                more.stands.iter_mut().filter(|other| other.rule == stand.rule).for_each(|other| other.unknown = true);
                Change::DataLost
            };
            sink.put(plan, stand.rule, stand.alarm, sink.now, change);
        }
    }
}

impl More {
    /// Raises a trend or a count; one that was found in late values as a review item.
    pub(crate) fn stand(
        &mut self,
        plan: &Plan,
        rule: u8,
        (priority, kind): (Priority, AlarmKind),
        (at, heard, late): (Time, Time, bool),
        day: u16,
        sink: &mut Sink<'_>,
    ) {
        if !plan.is_awake(rule, at) {
            sink.counters.asleep += 1;
            return;
        }
        let alarm = AlarmId::of(sink.subject, plan.slug(rule), at);
        add(&mut self.stands, Stand { rule, alarm, started_at: at, told_at: at, heard, day, unknown: false, late });
        sink.rewind = true;
        let priority = if late { priority.max(Priority::P3) } else { priority };
        sink.put(plan, rule, alarm, at, Change::Raised { priority, kind, started_at: at, late });
    }

    /// When the stand is over, or unknown, if no further value comes.
    fn ends_at(&self, plan: &Plan, stand: &Stand) -> Option<Time> {
        if let Some(test) = plan.count(stand.rule) {
            return Some(self.count_ends_at(test, stand));
        }
        (!stand.unknown).then(|| stand.heard.plus_us(crate::trend::LOSS_US))
    }

    /// Log time follows a clock that was set back.
    pub(crate) fn set_back(&mut self, back: SetBack) {
        for stand in &mut self.stands {
            for time in [&mut stand.started_at, &mut stand.told_at, &mut stand.heard] {
                back.set(time);
            }
            stand.day = stand.day.min(trend::day(back.at));
        }
        self.heard.iter_mut().for_each(|(_, heard)| back.set(heard));
        for asked in &mut self.asked {
            asked.due = asked.due.plus_us(-back.by_us);
        }
        self.inputs.set_back(back);
        for days in &mut self.days {
            days.set_back(back.at);
        }
        for counted in &mut self.counted {
            counted.set_back(back);
        }
    }

    /// Follows new rules by slug: what stands goes on where the rule still looks at the same, and is cleared elsewhere.
    pub(crate) fn adopt(&mut self, old: &Plan, new: &Plan, at: Time, sink: &mut Sink<'_>) {
        let index = |rule: u8| new.index_of(old.slug(rule));
        let counts_same = |rule: u8| {
            let (before, after) = (old.count(rule)?, new.count(index(rule)?)?);
            (before.metric == after.metric
                && before.side == after.side
                && before.limit.to_bits() == after.limit.to_bits())
            .then_some(after)
        };
        let trends_same = |rule: u8| {
            let (before, after) = (old.trend(rule)?, new.trend(index(rule)?)?);
            (before.metric == after.metric && before.side == after.side).then_some(())
        };
        self.stands.retain_mut(|stand| {
            if counts_same(stand.rule).is_some() || trends_same(stand.rule).is_some() {
                stand.rule = index(stand.rule).unwrap_or(stand.rule);
                return true;
            }
            sink.put(old, stand.rule, stand.alarm, at, Change::Cleared);
            false
        });
        self.counted.retain_mut(|counted| {
            let Some(test) = counts_same(counted.rule) else { return false };
            counted.rule = index(counted.rule).unwrap_or(counted.rule);
            counted.shrink(test.count);
            true
        });
        self.asked.retain_mut(|asked| {
            let ladder = Ladder::of(old, new, asked.rule);
            let Some((rule, level)) = ladder.and_then(|ladder| Some((ladder.rule, ladder.level_of(asked)?))) else {
                return false;
            };
            (asked.rule, asked.level) = (rule, level as u8);
            true
        });
        self.days.retain(|days| new.watched(days.metric).has(Watched::TREND));
        self.heard.retain(|(metric, _)| new.watched(*metric).has(Watched::SILENCE));
        if new.scores().is_empty() {
            self.inputs = Inputs::default();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Heap and self, bytes.
    pub(crate) fn bytes(&self) -> usize {
        let days: usize = self.days.iter().map(Days::bytes).sum();
        let counted: usize = self.counted.iter().map(Counted::bytes).sum();
        size_of::<Self>()
            + self.days.capacity() * size_of::<Days>()
            + days
            + self.counted.capacity() * size_of::<Counted>()
            + counted
            + self.stands.capacity() * size_of::<Stand>()
            + self.heard.capacity() * size_of::<(Metric, Time)>()
            + self.asked.capacity() * size_of::<Asked>()
    }
}
