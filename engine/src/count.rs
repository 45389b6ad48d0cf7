//! So many values beyond a limit within a window of event time. A late value counts where it belongs in the window; what is
//! reached by one is a review item, which the next live one makes what the rule says.

use model::alarm::Change;
use model::rule::{Count, Side};
use model::{AlarmKind, Metric, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::clock::SetBack;
use crate::engine::Sink;
use crate::more::{More, Stand};
use crate::plan::Plan;
use crate::state::{State, add};
use crate::track::TOLD_US;

/// The newest values beyond the limit of one rule: as many as it counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) rule: u8,
    /// In order of time, none twice.
    pub(crate) times: Vec<Time>,
}

const fn within_us(test: &Count) -> i64 {
    test.within_s as i64 * SECOND_US
}

impl Counted {
    /// False when it was counted before, or is older than all that count.
    fn take(&mut self, at: Time, count: u16) -> bool {
        let count = usize::from(count.min(Count::COUNT_MAX));
        let Err(place) = self.times.binary_search(&at) else { return false };
        if self.times.len() >= count {
            if place == 0 {
                return false;
            }
            self.times.remove(0);
            self.times.insert(place - 1, at);
        } else {
            self.times.reserve_exact(count - self.times.len());
            self.times.insert(place, at);
        }
        true
    }

    /// From the first to the last of them, when there are enough.
    fn spread_us(&self, count: u16) -> Option<i64> {
        let (first, last) = (self.times.first()?, self.times.last()?);
        (self.times.len() >= usize::from(count)).then(|| last.since_us(*first))
    }

    /// Log time follows a clock that was set back.
    pub(crate) fn set_back(&mut self, back: SetBack) {
        self.times.iter_mut().for_each(|time| back.set(time));
        self.times.sort_unstable();
        self.times.dedup();
    }

    pub(crate) fn shrink(&mut self, count: u16) {
        let surplus = self.times.len().saturating_sub(usize::from(count));
        self.times.drain(..surplus);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.times.capacity() * size_of::<Time>()
    }
}

impl More {
    /// When too few of the values are left in the window, if no further one comes.
    pub(crate) fn count_ends_at(&self, test: &Count, stand: &Stand) -> Time {
        self.count_over_at(stand.rule, test, stand.heard)
    }

    fn count_over_at(&self, rule: u8, test: &Count, heard: Time) -> Time {
        let counted = self.counted.iter().find(|counted| counted.rule == rule);
        let spread_us = counted.and_then(|counted| counted.spread_us(test.count));
        spread_us.map_or(heard, |spread_us| heard.plus_us((within_us(test) - spread_us).max(0) + 1))
    }
}

impl State {
    pub(crate) fn count_value(
        &mut self,
        plan: &Plan,
        metric: Metric,
        at: Time,
        value: f64,
        late: bool,
        sink: &mut Sink<'_>,
    ) {
        let scale = 10_f64.powi(i32::from(metric.info().decimals));
        let shown = (value * scale + 0.5 + 1e-6).floor() / scale;
        for (rule, test) in plan.counts(metric) {
            if !test.side.is_beyond(shown, test.limit) {
                continue;
            }
            let all = &mut self.more().counted;
            let counted = match all.iter().position(|counted| counted.rule == *rule) {
                Some(index) => &mut all[index],
                None => add(all, Counted { rule: *rule, times: Vec::new() }),
            };
            let enough =
                counted.take(at, test.count) && counted.spread_us(test.count).is_some_and(|us| us <= within_us(test));
            let Some(heard) = counted.times.last().filter(|_| enough) else { continue };
            let heard = if late { *heard } else { sink.now };
            self.counted(plan, *rule, test, (at, heard, late), sink);
        }
    }

    fn counted(
        &mut self,
        plan: &Plan,
        rule: u8,
        test: &Count,
        (at, heard, late): (Time, Time, bool),
        sink: &mut Sink<'_>,
    ) {
        let Count { metric, limit, count, within_s, .. } = *test;
        let kind = AlarmKind::Count { metric, high: test.side == Side::High, limit, count, within_s };
        let news = (test.priority, kind);
        let more = self.more();
        sink.rewind = true;
        if let Some(stand) = more.stands.iter_mut().find(|stand| stand.rule == rule) {
            stand.heard = stand.heard.max(heard);
            let told = stand.is_news(plan, news, at, late, sink);
            if !told && !late && test.priority <= Priority::P2 && at.since_us(stand.told_at) >= TOLD_US {
                stand.told_at = at;
                sink.put(plan, rule, stand.alarm, at, Change::Repeated { kind });
            }
            return;
        }
        // An old history may have been enough once, and be over.
        if sink.now < more.count_over_at(rule, test, heard) {
            more.stand(plan, rule, news, (at, heard, late), 0, sink);
        }
    }
}
