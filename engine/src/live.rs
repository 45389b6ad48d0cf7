//! Samples as they arrive: which are judged, which only counted, and the live threshold conditions.

use model::alarm::Change;
use model::{AlarmId, Quality, Sample, Time, metric::Shape};

use crate::LATE_US;
use crate::engine::Sink;
use crate::plan::{Limit, Plan};
use crate::state::{Episode, Series, State};
use crate::track::{Track, Verdict};

impl State {
    pub(crate) fn sample(&mut self, plan: &Plan, sample: &Sample, sink: &mut Sink<'_>) {
        let limits = plan.limits(sample.metric);
        let late = sample.taken_at < sink.received_at.plus_us(-LATE_US);
        if !late && !self.streams && sample.metric.info().shape == Shape::Stream {
            self.streams = true;
            sink.rewind = true;
        }
        let value = match sample.value() {
            Some(value) if sample.quality.is_judged() => value,
            _ => {
                sink.counters.not_judged += 1;
                if matches!(sample.quality, Quality::SensorOff | Quality::LeadOff) {
                    self.sensor_off(limits, late, sink);
                }
                return;
            }
        };
        if late {
            sink.counters.late += 1;
            self.late_value(plan, limits, sample.taken_at, value, sink);
            return;
        }
        if limits.is_empty() {
            sink.counters.no_rule += 1;
            return;
        }
        let mut at = sample.taken_at;
        if at > sink.received_at {
            sink.counters.future += 1;
            at = sink.received_at;
        }
        let series = match self.series.iter_mut().find(|series| series.metric == sample.metric) {
            Some(series) => series,
            None => self.series.push_mut(Series { metric: sample.metric, last_at: Time(i64::MIN) }),
        };
        let last_at = series.last_at;
        if at > last_at {
            series.last_at = at;
            sink.counters.judged += 1;
            for limit in limits {
                self.in_order(plan, limit, at, value, sink);
            }
        } else {
            *(if at == last_at { &mut sink.counters.duplicate } else { &mut sink.counters.out_of_order }) += 1;
            for limit in limits {
                self.out_of_order(plan, limit, at, last_at, value, sink);
            }
        }
    }

    /// What is not worn is not low: running hold times are broken off, present conditions stay.
    fn sensor_off(&mut self, limits: &[Limit], late: bool, sink: &mut Sink<'_>) {
        let tracks = if late { &mut self.late } else { &mut self.tracks };
        tracks.retain_mut(|track| {
            if !limits.iter().any(|limit| limit.rule == track.rule) {
                return true;
            }
            track.restart();
            if track.is_pending() {
                sink.counters.interrupted += 1;
            }
            !track.is_pending()
        });
    }

    fn in_order(&mut self, plan: &Plan, limit: &Limit, at: Time, value: f64, sink: &mut Sink<'_>) {
        let value = limit.as_shown(value);
        let index = match self.tracks.iter().position(|track| track.rule == limit.rule) {
            Some(index) => index,
            None if limit.is_beyond(value) => {
                self.tracks.push(Track::new(limit.rule));
                self.tracks.len() - 1
            }
            None => return,
        };
        let Some(track) = self.tracks.get_mut(index) else { return };
        track.heard = sink.now;
        let verdict = track.judge(limit, limit.test.levels.len(), at, value);
        let before = track.present;
        if let Some(present) = &mut track.present
            && std::mem::take(&mut present.unknown)
        {
            sink.rewind = true;
            if verdict != Verdict::Clear {
                sink.put(plan, limit.rule, present.alarm, at, Change::StillPresent);
            }
        }
        match (verdict, before) {
            (Verdict::Raise { level, started_at }, _) => {
                let alarm = AlarmId::of(sink.subject, plan.slug(limit.rule), started_at);
                let priority = limit.priority(level);
                track.raised(alarm, started_at, priority);
                sink.rewind = true;
                let kind = limit.kind(value, level);
                sink.put(plan, limit.rule, alarm, at, Change::Raised { priority, kind, started_at, late: false });
            }
            (Verdict::Worsen { level }, Some(present)) => {
                let kind = limit.kind(value, level);
                let change = Change::Worsened { priority: limit.priority(level), kind };
                // A more urgent level may wait less long for data.
                sink.rewind = true;
                sink.put(plan, limit.rule, present.alarm, at, change);
            }
            (Verdict::Repeat { level }, Some(present)) => {
                let kind = limit.kind(value, level);
                sink.put(plan, limit.rule, present.alarm, at, Change::Repeated { kind });
            }
            (Verdict::Clear, Some(present)) => {
                self.tracks.swap_remove(index);
                self.remember(Episode { rule: limit.rule, from: present.started_at, to: at });
                sink.put(plan, limit.rule, present.alarm, at, Change::Cleared);
            }
            (Verdict::Fleeting, _) => {
                self.tracks.swap_remove(index);
                sink.counters.fleeting += 1;
            }
            _ => {}
        }
    }

    /// A value older than the last judged one: only a level without a hold time can still be decided by it.
    fn out_of_order(&mut self, plan: &Plan, limit: &Limit, at: Time, last_at: Time, value: f64, sink: &mut Sink<'_>) {
        let value = limit.as_shown(value);
        let beyond = |level: &model::rule::Level| level.hold_s == 0 && limit.test.side.is_beyond(value, level.limit);
        let Some(level) = limit.test.levels.iter().position(beyond) else { return };
        let priority = limit.priority(level);
        let kind = limit.kind(value, level);
        if self.is_past(limit.rule, at) {
            return;
        }
        let track = self.tracks.iter_mut().find(|track| track.rule == limit.rule);
        if let Some(present) = track.and_then(|track| track.present.as_mut()) {
            // The same stretch, of which the beginning comes after the rest.
            if priority < present.priority {
                present.reached(priority);
                sink.rewind = true;
                sink.put(plan, limit.rule, present.alarm, at, Change::Worsened { priority, kind });
            }
            return;
        }
        let alarm = AlarmId::of(sink.subject, plan.slug(limit.rule), at);
        sink.put(plan, limit.rule, alarm, at, Change::Raised { priority, kind, started_at: at, late: false });
        let Some(track) = self.tracks.iter_mut().find(|track| track.rule == limit.rule) else {
            // The newer value was not beyond any level: this one is over.
            self.remember(Episode { rule: limit.rule, from: at, to: last_at });
            sink.put(plan, limit.rule, alarm, last_at, Change::Cleared);
            return;
        };
        track.raised(alarm, at, priority);
        sink.rewind = true;
    }
}
