//! Samples as they arrive: which are judged, which only counted, and the live threshold conditions.
//!
//! Each device that streams a metric has tracks of its own: a band that reads 97 must not break off the hold time of a finger
//! clip that reads 85. What several devices find by one rule is one alarm.

use model::alarm::Change;
use model::{AlarmId, DeviceId, Priority, Quality, Sample, Time, metric::Shape};

use crate::LATE_US;
use crate::engine::Sink;
use crate::limit::{Limit, Seen};
use crate::plan::Plan;
use crate::state::{Episode, NEVER, SERIES_MAX, Series, State, add};
use crate::track::{Present, Track, Verdict};

/// What an elder's other devices find by a rule.
struct Others {
    /// The condition, if one of them stands in it.
    present: Option<Present>,
    /// One of them does, and its data have not stopped.
    known: bool,
}

/// A condition that people are to be told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Of its track.
    pub(crate) index: usize,
    pub(crate) level: usize,
    /// Of the level, or less when nobody confirmed it.
    pub(crate) priority: Priority,
    pub(crate) started_at: Time,
}

impl State {
    pub(crate) fn sample(&mut self, plan: &Plan, device: DeviceId, sample: &Sample, sink: &mut Sink<'_>) {
        let limits = plan.limits(sample.metric);
        let late = sample.taken_at < sink.received_at.plus_us(-LATE_US);
        let stream = sample.metric.info().shape == Shape::Stream;
        let source = if stream { device.0 } else { 0 };
        if !late && stream && self.worn.hear(sink.now) {
            sink.rewind = true;
        }
        let judged = sample.value().filter(|_| sample.quality.is_judged());
        let Some(value) = judged.or_else(|| sample.beyond_range()) else {
            sink.counters.not_judged += 1;
            if matches!(sample.quality, Quality::SensorOff | Quality::LeadOff) {
                self.sensor_off(limits, source, late, sink);
                if let (Some(more), false) = (&mut self.more, late) {
                    more.inputs.forget(sample.metric);
                }
            }
            return;
        };
        let mut at = sample.taken_at;
        if sink.calm.covers_values(at.min(sink.received_at)) {
            sink.counters.quiet += 1;
            return;
        }
        if late {
            sink.counters.late += 1;
            self.late_value(plan, limits, at, value, sink);
            return self.watched(plan, sample.metric, at, value, true, sink);
        }
        if !plan.looks_at(sample.metric) {
            sink.counters.no_rule += 1;
            return;
        }
        if at > sink.received_at {
            sink.counters.future += 1;
            at = sink.received_at;
        }
        let series = self.series_of(sample.metric, source);
        let last_at = series.last_at;
        if at > last_at {
            series.take(at);
            sink.counters.judged += 1;
            for limit in limits {
                let seen = limit.as_shown(value);
                self.in_order(plan, limit, source, at, seen, sink);
                self.ask(plan, limit, source, (at, seen), sink);
            }
        } else {
            *(if at == last_at { &mut sink.counters.duplicate } else { &mut sink.counters.out_of_order }) += 1;
            for limit in limits {
                self.out_of_order(plan, limit, source, (at, last_at), value, sink);
            }
        }
        self.watched(plan, sample.metric, at, value, false, sink);
    }

    fn series_of(&mut self, metric: model::Metric, source: u32) -> &mut Series {
        let same = |series: &Series| series.metric == metric && series.source == source;
        if let Some(index) = self.series.iter().position(same) {
            return &mut self.series[index];
        }
        if self.series.len() == SERIES_MAX
            && let Some(oldest) = (0..SERIES_MAX).min_by_key(|index| self.series[*index].last_at)
        {
            self.series.swap_remove(oldest);
        }
        add(&mut self.series, Series { metric, source, last_at: NEVER, from: NEVER, worn_at: NEVER })
    }

    /// What is not worn is not low: running hold times are broken off, present conditions stay.
    fn sensor_off(&mut self, limits: &[Limit], source: u32, late: bool, sink: &mut Sink<'_>) {
        let tracks = if late { &mut self.late } else { &mut self.tracks };
        tracks.retain_mut(|track| {
            let of_device = late || track.source == source;
            if !of_device || !limits.iter().any(|limit| limit.rule == track.rule) {
                return true;
            }
            track.restart();
            if track.is_pending() {
                sink.counters.interrupted += 1;
            }
            !track.is_pending()
        });
    }

    pub(crate) fn in_order(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        source: u32,
        at: Time,
        seen: Seen,
        sink: &mut Sink<'_>,
    ) {
        let index = match self.tracks.iter().position(|track| track.rule == limit.rule && track.source == source) {
            Some(index) => index,
            None if limit.is_beyond(seen) => {
                self.forget_pending(limit, at);
                add(&mut self.tracks, Track::new(limit.rule, source));
                self.tracks.len() - 1
            }
            None => return self.end_unseen(plan, limit, at, seen, sink),
        };
        let others = self.others(limit.rule, source);
        let Some(track) = self.tracks.get_mut(index) else { return };
        // A score has no series of its own: its inputs may share a time.
        if at < track.last_at || (at == track.last_at && limit.score.is_none()) {
            // A gateway sounded later than this was measured: the condition stood then.
            return;
        }
        track.heard = sink.now;
        let verdict = track.judge(limit, limit.test.levels.len(), at, seen);
        let before = track.present;
        if let Some(present) = &mut track.present
            && std::mem::take(&mut present.unknown)
        {
            sink.rewind = true;
            if verdict != Verdict::Clear && !others.known {
                sink.put(plan, limit.rule, present.alarm, at, Change::StillPresent);
            }
        }
        match (verdict, before) {
            (Verdict::Raise { level, started_at }, _) => {
                let found = Found { index, level, priority: limit.priority(level), started_at };
                self.raise(plan, limit, found, (at, seen), sink);
            }
            (Verdict::Worsen { level }, Some(present)) => {
                let priority = limit.priority(level);
                self.told(limit.rule, priority, at);
                // A more urgent level may wait less long for data.
                sink.rewind = true;
                let change = Change::Worsened { priority, kind: limit.kind(seen, level) };
                sink.put(plan, limit.rule, present.alarm, at, change);
            }
            (Verdict::Repeat { level }, Some(present)) => {
                self.told_again(limit.rule, limit.priority(level), at);
                let kind = limit.kind(seen, level);
                sink.put(plan, limit.rule, present.alarm, at, Change::Repeated { kind });
            }
            (Verdict::Clear, Some(present)) => {
                self.tracks.swap_remove(index);
                if !others.known {
                    self.end(plan, limit.rule, present, at, sink);
                }
            }
            (Verdict::Fleeting, _) => {
                self.tracks.swap_remove(index);
                sink.counters.fleeting += 1;
                self.end_unseen(plan, limit, at, seen, sink);
            }
            _ => {}
        }
    }

    /// A hold time is through, or a single value stayed alone.
    pub(crate) fn raise(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        found: Found,
        (at, seen): (Time, Seen),
        sink: &mut Sink<'_>,
    ) {
        let Some(source) = self.tracks.get(found.index).map(|track| track.source) else { return };
        let others = self.others(limit.rule, source);
        let Some(track) = self.tracks.get_mut(found.index) else { return };
        sink.rewind = true;
        if let Some(shared) = others.present {
            track.raised(shared.alarm, shared.started_at, shared.priority, shared.told_at);
            return self.join(plan, limit, found, (shared, others.known), (at, seen), sink);
        }
        if !plan.is_awake(limit.rule, at) {
            sink.counters.asleep += 1;
            return;
        }
        let Found { level, priority, mut started_at, .. } = found;
        // An episode that another device began at the very same time, and that is over, has this name.
        while self.episodes.iter().any(|past| past.rule == limit.rule && past.from == started_at) {
            started_at = started_at.plus_us(1);
        }
        let alarm = AlarmId::of(sink.subject, plan.slug(limit.rule), started_at);
        track.raised(alarm, started_at, priority, at);
        let kind = limit.kind(seen, level);
        sink.put(plan, limit.rule, alarm, at, Change::Raised { priority, kind, started_at, late: false });
    }

    /// A device finds a condition in which another one stands already.
    fn join(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        found: Found,
        (shared, known): (Present, bool),
        (at, seen): (Time, Seen),
        sink: &mut Sink<'_>,
    ) {
        if !known {
            sink.put(plan, limit.rule, shared.alarm, at, Change::StillPresent);
        }
        let priority = found.priority;
        if priority < shared.priority {
            self.told(limit.rule, priority, at);
            let change = Change::Worsened { priority, kind: limit.kind(seen, found.level) };
            sink.put(plan, limit.rule, shared.alarm, at, change);
        }
    }

    /// What devices other than `source` find by a rule.
    fn others(&self, rule: u8, source: u32) -> Others {
        let mut others = Others { present: None, known: false };
        for track in self.tracks.iter().filter(|track| track.rule == rule && track.source != source) {
            others.present = others.present.or(track.present);
            others.known |= track.present.is_some_and(|present| !present.unknown);
        }
        others
    }

    /// Every device's track of the rule knows that people were told.
    pub(crate) fn told(&mut self, rule: u8, priority: Priority, at: Time) {
        for track in self.tracks.iter_mut().filter(|track| track.rule == rule) {
            if let Some(present) = &mut track.present {
                present.reached(priority, at);
            }
        }
    }

    /// Told again at `at`. A level that is less urgent than the one reached says nothing of a relief.
    fn told_again(&mut self, rule: u8, priority: Priority, at: Time) {
        for track in self.tracks.iter_mut().filter(|track| track.rule == rule) {
            match &mut track.present {
                Some(present) if priority > present.priority => present.told_at = at,
                Some(present) => present.reached(priority, at),
                None => {}
            }
        }
    }

    /// The condition is over: also for devices from which nothing is heard any more.
    fn end(&mut self, plan: &Plan, rule: u8, present: Present, at: Time, sink: &mut Sink<'_>) {
        self.tracks.retain(|track| track.rule != rule || track.is_pending());
        self.remember(Episode { rule, alarm: present.alarm, from: present.started_at, to: at });
        sink.put(plan, rule, present.alarm, at, Change::Cleared);
    }

    /// A good value ends what only devices found that are not heard any more: the band was changed.
    fn end_unseen(&mut self, plan: &Plan, limit: &Limit, at: Time, seen: Seen, sink: &mut Sink<'_>) {
        if self.tracks.is_empty() || !limit.test.is_clear(seen.value) {
            return;
        }
        // No device has this number.
        let all = self.others(limit.rule, u32::MAX);
        if let Some(present) = all.present.filter(|_| !all.known) {
            self.end(plan, limit.rule, present, at, sink);
        }
    }

    /// Drops hold times of devices without a value for so long that they would start anew, so that devices that are gone
    /// leave nothing behind.
    fn forget_pending(&mut self, limit: &Limit, at: Time) {
        let longest = (0..limit.test.levels.len()).map(|level| limit.gap_us(level)).max().unwrap_or(0);
        let keep = |track: &Track| !track.is_pending() || at.since_us(track.last_at) <= longest;
        self.tracks.retain(|track| track.rule != limit.rule || keep(track));
    }

    /// A value older than the last judged one: only a level without a hold time can still be decided by it.
    fn out_of_order(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        source: u32,
        (at, last_at): (Time, Time),
        value: f64,
        sink: &mut Sink<'_>,
    ) {
        let seen = limit.as_shown(value);
        let beyond =
            |level: &model::rule::Level| level.hold_s == 0 && limit.test.side.is_beyond(seen.value, level.limit);
        let Some(level) = limit.test.levels.iter().position(beyond) else { return };
        let priority = limit.priority(level);
        let kind = limit.kind(seen, level);
        if self.is_past(limit.rule, at) {
            return;
        }
        if let Some(present) = self.others(limit.rule, u32::MAX).present {
            // The same stretch, of which the beginning comes after the rest.
            if priority < present.priority {
                self.told(limit.rule, priority, at);
                sink.rewind = true;
                sink.put(plan, limit.rule, present.alarm, at, Change::Worsened { priority, kind });
            }
            return;
        }
        if !plan.is_awake(limit.rule, at) {
            sink.counters.asleep += 1;
            return;
        }
        let alarm = AlarmId::of(sink.subject, plan.slug(limit.rule), at);
        sink.put(plan, limit.rule, alarm, at, Change::Raised { priority, kind, started_at: at, late: false });
        let mine = |track: &&mut Track| track.rule == limit.rule && track.source == source;
        let Some(track) = self.tracks.iter_mut().find(mine) else {
            // The newer value was not beyond any level: this one is over.
            self.remember(Episode { rule: limit.rule, alarm, from: at, to: last_at });
            sink.put(plan, limit.rule, alarm, last_at, Change::Cleared);
            return;
        };
        track.raised(alarm, at, priority, at);
        sink.rewind = true;
    }
}
