//! Late data: the same ladders, judged apart from the live conditions. What they show is a review item ("was critical at
//! 02:10, now normal"), found once however often the data are uploaded.

use model::alarm::Change;
use model::{AlarmId, Priority, Time};

use crate::engine::Sink;
use crate::limit::{Limit, Seen};
use crate::plan::Plan;
use crate::state::{Episode, State, add};
use crate::track::{Track, Verdict};

impl State {
    pub(crate) fn late_value(&mut self, plan: &Plan, limits: &[Limit], at: Time, value: f64, sink: &mut Sink<'_>) {
        for limit in limits.iter().filter(|limit| limit.urgent > 0) {
            let seen = limit.as_shown(value);
            if !limit.is_beyond(seen) && !self.late.iter().any(|track| track.rule == limit.rule) {
                continue;
            }
            // Nobody can be asked for a second measurement any more. Of a stream more values may follow, as late: its hold time counts.
            if limit.test.confirm.is_some() {
                self.late_one(plan, &limit.at_once(), at, seen, sink);
            } else {
                self.late_one(plan, limit, at, seen, sink);
            }
        }
    }

    fn late_one(&mut self, plan: &Plan, limit: &Limit, at: Time, seen: Seen, sink: &mut Sink<'_>) {
        let urgent = limit.test.levels.get(limit.urgent - 1).map_or(f64::NAN, |level| level.limit);
        let beyond = limit.test.side.is_beyond(seen.value, urgent);
        let told = |track: &Track| {
            track.rule == limit.rule
                && track.present.is_some_and(|present| (present.started_at..=track.last_at).contains(&at))
        };
        if self.late.iter().any(told) {
            return;
        }
        if self.is_known(limit.rule, at) || (beyond && self.begins_earlier(limit, at)) {
            return;
        }
        let mut index = self.late.iter().position(|track| track.rule == limit.rule);
        if let Some(track) = index.and_then(|index| self.late.get_mut(index))
            && at <= track.last_at
        {
            // Back in time: a second upload, or another stretch.
            if track.present.is_some_and(|present| at >= present.started_at) {
                return;
            }
            self.end_late(plan, limit.rule, sink);
            index = None;
        }
        let index = match index {
            Some(index) => index,
            None if beyond => {
                add(&mut self.late, Track::new(limit.rule, 0));
                self.late.len() - 1
            }
            None => return,
        };
        let Some(track) = self.late.get_mut(index) else { return };
        track.heard = sink.now;
        sink.rewind = true;
        let started = track.present.map(|present| present.alarm);
        match (track.judge(limit, limit.urgent, at, seen), started) {
            (Verdict::Raise { level, started_at }, _) if plan.is_awake(limit.rule, at) => {
                let alarm = AlarmId::of(sink.subject, plan.slug(limit.rule), started_at);
                track.raised(alarm, started_at, limit.priority(level), at);
                let kind = limit.kind(seen, level);
                let change = Change::Raised { priority: Priority::P3, kind, started_at, late: true };
                sink.put(plan, limit.rule, alarm, at, change);
            }
            (Verdict::Clear, Some(alarm)) => {
                let from = track.present.map_or(at, |present| present.started_at);
                self.late.swap_remove(index);
                self.remember(Episode { rule: limit.rule, alarm, from, to: at });
                sink.put(plan, limit.rule, alarm, at, Change::Cleared);
            }
            (Verdict::Fleeting, _) => {
                self.late.swap_remove(index);
            }
            _ => {}
        }
    }

    /// A stream's bad value just before an episode that is known, or the review item that stands, is its beginning: of a history that comes newest first the end
    /// may have been young enough to be judged as live, and people were told.
    fn begins_earlier(&mut self, limit: &Limit, at: Time) -> bool {
        if !limit.is_stream() {
            return false;
        }
        let gap_us = limit.gap_us(limit.urgent - 1);
        let before = |from: Time| at < from && from.since_us(at) <= gap_us;
        let mine = self.late.iter_mut().find(|track| track.rule == limit.rule);
        if let Some(present) = mine.and_then(|track| track.present.as_mut())
            && before(present.started_at)
        {
            present.started_at = at;
            return true;
        }
        let past = self.episodes.iter_mut().find(|past| past.rule == limit.rule && before(past.from));
        let found = past.is_some();
        if let Some(past) = past {
            past.from = at;
        }
        found
    }

    /// The upload ended or turned elsewhere: how the episode ended is not in it. Newer live values without the condition
    /// say that it is over; without them it is unknown.
    pub(crate) fn end_late(&mut self, plan: &Plan, rule: u8, sink: &mut Sink<'_>) {
        let Some(index) = self.late.iter().position(|track| track.rule == rule) else { return };
        let track = self.late.swap_remove(index);
        let Some(present) = track.present else { return };
        self.remember(Episode { rule, alarm: present.alarm, from: present.started_at, to: track.last_at });
        let metric = plan.limit_of(rule).map(|limit| limit.test.metric);
        let newer = self.series.iter().any(|series| Some(series.metric) == metric && series.last_at > track.last_at);
        let live = self.tracks.iter().any(|live| live.rule == rule);
        let change = if newer && !live { Change::Cleared } else { Change::DataLost };
        sink.put(plan, rule, present.alarm, track.last_at, change);
    }
}
