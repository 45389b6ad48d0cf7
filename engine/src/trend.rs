//! Change over days: the mean of a day of Asia/Shanghai against the days before it.
//!
//! Late values belong to the day on which they were taken. The newest value of all decides, also when it is told late (a scale
//! whose phone is asked in the evening): it raises a review item, which the next live one makes what the rule says. Within a day
//! a value that is not newer than the newest one counted is left out: so whatever is said twice counts once.

use model::alarm::Change;
use model::rule::{Against, Side, Trend};
use model::{AlarmKind, Metric, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::engine::Sink;
use crate::plan::Plan;
use crate::state::{State, add};

const DAY_US: i64 = 86_400_000_000;
/// Asia/Shanghai is ahead of UTC by so much.
const ZONE_US: i64 = 8 * 3_600_000_000;
/// A trend that stands is unknown after so long (3 days of log time) without a value.
pub(crate) const LOSS_US: i64 = 3 * DAY_US;

/// The days of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Days {
    pub(crate) metric: Metric,
    /// Oldest first, none twice.
    known: Vec<Day>,
    /// The newest value was told late: what comes of the days before it may be what it is to be compared with.
    late: bool,
}

/// The values of one day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    /// Days since 1970-01-01 in Asia/Shanghai.
    number: u16,
    count: u16,
    mean: f32,
    /// Milliseconds since midnight of the newest value in it.
    last_ms: u32,
}

impl Day {
    fn last_at(self) -> Time {
        Time(i64::from(self.number) * DAY_US - ZONE_US + i64::from(self.last_ms) * 1_000)
    }
}

/// The day of an instant and the milliseconds since its midnight; `None` outside 1970 to 2149.
fn day_of(at: Time) -> Option<(u16, u32)> {
    let local = at.0.saturating_add(ZONE_US);
    let day = u16::try_from(local.div_euclid(DAY_US)).ok()?;
    Some((day, u32::try_from(local.rem_euclid(DAY_US) / 1_000).ok()?))
}

/// The day of an instant; the first outside 1970 to 2149.
pub(crate) fn day(at: Time) -> u16 {
    day_of(at).map_or(0, |(day, _)| day)
}

/// Days before today that a rule looks at.
const fn days_back(test: &Trend) -> u16 {
    match test.against {
        Against::LastDays { days } | Against::Baseline { days, .. } => days,
    }
}

/// Rounded as screens show it.
fn shown(metric: Metric, value: f64) -> f64 {
    let scale = 10_f64.powi(i32::from(metric.info().decimals));
    // Means are kept in 32 bits: the addend is larger than what that may lose.
    (value * scale + 0.5 + 1e-3).floor() / scale
}

impl Days {
    /// Counts a value in. Returns the time and day of the newest one if it is to be judged now; `None` also when the value is too
    /// old, or was counted before.
    fn take(&mut self, at: Time, value: f64, late: bool, keep: u16) -> Option<(Time, u16)> {
        let day = self.count(at, value, keep)?;
        let newest = *self.known.last()?;
        if day == newest.number {
            self.late = late;
            return Some((at, day));
        }
        (late && self.late).then(|| (newest.last_at(), newest.number))
    }

    /// `None` when the value is too old, or was counted before.
    fn count(&mut self, at: Time, value: f64, keep: u16) -> Option<u16> {
        let (day, ms) = day_of(at)?;
        let newest = self.known.last().map_or(day, |last| last.number.max(day));
        if day < newest.saturating_sub(keep) {
            return None;
        }
        match self.known.binary_search_by_key(&day, |known| known.number) {
            Ok(index) => {
                let known = self.known.get_mut(index).filter(|known| ms > known.last_ms)?;
                known.count = known.count.saturating_add(1);
                known.mean += (value as f32 - known.mean) / f32::from(known.count);
                known.last_ms = ms;
            }
            Err(index) => {
                self.known.reserve_exact(1);
                self.known.insert(index, Day { number: day, count: 1, mean: value as f32, last_ms: ms });
            }
        }
        let oldest = newest.saturating_sub(keep);
        if self.known.first().is_some_and(|first| first.number < oldest) {
            self.known.retain(|known| known.number >= oldest);
        }
        Some(day)
    }

    /// Today's mean, and what it is compared with.
    fn compared(&self, test: &Trend, today: u16) -> Option<(f64, f64)> {
        let last = self.known.last().filter(|last| last.number == today)?;
        let from = today.saturating_sub(days_back(test));
        let before = || {
            self.known.iter().filter(|known| (from..today).contains(&known.number)).map(|known| f64::from(known.mean))
        };
        let base = match test.against {
            Against::LastDays { .. } => before().reduce(if test.side == Side::High { f64::min } else { f64::max })?,
            Against::Baseline { at_least, .. } => {
                let days = before().count();
                if days < usize::from(at_least.max(1)) {
                    return None;
                }
                before().sum::<f64>() / days as f64
            }
        };
        Some((shown(self.metric, f64::from(last.mean)), shown(self.metric, base)))
    }

    /// Days that have not come yet by a clock that was set right.
    pub(crate) fn set_back(&mut self, at: Time) {
        let Some((today, ms)) = day_of(at) else { return };
        self.known.retain(|known| known.number <= today);
        if let Some(last) = self.known.last_mut().filter(|last| last.number == today) {
            last.last_ms = last.last_ms.min(ms);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.known.capacity() * size_of::<Day>()
    }
}

impl State {
    pub(crate) fn trend_value(
        &mut self,
        plan: &Plan,
        metric: Metric,
        at: Time,
        value: f64,
        late: bool,
        sink: &mut Sink<'_>,
    ) {
        if !metric.is_plausible(value) {
            // Beyond the range of its device: bad enough for a limit, and no number to reckon with.
            return;
        }
        let keep = plan.trends(metric).map(|(_, test)| days_back(test)).max().unwrap_or(0);
        let all = &mut self.more().days;
        let index = all.iter().position(|days| days.metric == metric).unwrap_or_else(|| {
            add(all, Days { metric, known: Vec::new(), late: false });
            all.len() - 1
        });
        let Some((at, today)) = all.get_mut(index).and_then(|days| days.take(at, value, late, keep)) else { return };
        for (rule, test) in plan.trends(metric) {
            let compared = self.more().days.get(index).and_then(|days| days.compared(test, today));
            if let Some(compared) = compared {
                self.trend(plan, *rule, test, (at, today, late), compared, sink);
            }
        }
    }

    fn trend(
        &mut self,
        plan: &Plan,
        rule: u8,
        test: &Trend,
        (at, today, late): (Time, u16, bool),
        (value, base): (f64, f64),
        sink: &mut Sink<'_>,
    ) {
        let scale = 10_f64.powi(i32::from(test.metric.info().decimals));
        let change = ((value - base) * scale).round() / scale;
        let high = test.side == Side::High;
        let beyond = if high { change >= test.by } else { change <= -test.by };
        let kind = AlarmKind::Trend { metric: test.metric, high, value, change, by: test.by, days: days_back(test) };
        let heard = if late { at } else { sink.now };
        let Some(index) = self.more().stands.iter().position(|stand| stand.rule == rule) else {
            // Of a history as old as that nothing is known any more.
            if beyond && sink.now.since_us(heard) < LOSS_US {
                self.more().stand(plan, rule, (test.priority, kind), (at, heard, late), today, sink);
            }
            return;
        };
        let Some(stand) = self.more().stands.get_mut(index) else { return };
        let (alarm, newer) = (stand.alarm, today > stand.day);
        sink.rewind = true;
        if beyond {
            let was_unknown = std::mem::take(&mut stand.unknown);
            (stand.heard, stand.day) = (stand.heard.max(heard), today);
            if was_unknown {
                sink.put(plan, rule, alarm, at, Change::StillPresent);
            }
            if !stand.is_news(plan, (test.priority, kind), at, late, sink)
                && !was_unknown
                && newer
                && test.priority <= Priority::P2
            {
                stand.told_at = at;
                sink.put(plan, rule, alarm, at, Change::Repeated { kind });
            }
        } else if newer {
            // A second weighing of the same day does not end it: only another day does.
            self.more().stands.swap_remove(index);
            sink.put(plan, rule, alarm, at, Change::Cleared);
        }
    }
}
