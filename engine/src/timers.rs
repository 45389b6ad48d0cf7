//! What happens when nothing happens: silence of an elder, loss of a condition's data, the end of a late upload. All in log
//! time, on ticks only.

use model::alarm::{Change, Transition};
use model::rule::Silence;
use model::{AlarmId, AlarmKind, Subject, Time};

use crate::SECOND_US;
use crate::engine::{Engine, Sink};
use crate::plan::Plan;
use crate::state::{NEVER, Person, Silent, State};

/// A late upload without a further value for this long (10 minutes of log time) has ended.
const LATE_IDLE_US: i64 = 600 * SECOND_US;
/// A silence shorter than this (a day) concerns only elders who wear a stream: a cuff used at breakfast is not silent at noon.
const SPOT_SILENCE_S: u32 = 86_400;

/// A tick this much before log time (5 minutes) means that the server's clock was ahead and has been set right.
const SET_BACK_US: i64 = 300 * SECOND_US;

impl Engine {
    pub(crate) fn tick(&mut self, at: Time, out: &mut Vec<Transition>) {
        if self.now != NEVER && self.now.since_us(at) > SET_BACK_US {
            self.set_back(at);
        }
        self.now = self.now.max(at);
        let now = self.now;
        for (slot, due) in self.due.iter_mut().enumerate() {
            if now < *due {
                continue;
            }
            let Some(Person { elder, plan, state }) = self.people.get_mut(slot) else { continue };
            let subject = Subject::from_u32(*elder);
            let counters = &mut self.counters;
            let mut sink = Sink { out: &mut *out, counters, subject, received_at: at, now, rewind: false };
            state.run_timers(plan, &mut sink);
            *due = state.deadline(plan);
        }
    }
}

impl Engine {
    /// Log time follows a clock that was set back. Everything heard moves with it, so that a silence counts on from where it
    /// stood; otherwise no timer would run until the clock has caught up.
    fn set_back(&mut self, at: Time) {
        let back_us = self.now.since_us(at);
        self.now = at;
        for Person { state, .. } in &mut self.people {
            let tracks = state.tracks.iter_mut().chain(&mut state.late).map(|track| &mut track.heard);
            for heard in tracks.chain([&mut state.heard]).filter(|heard| **heard != NEVER) {
                *heard = heard.plus_us(-back_us);
            }
            // Values that had no time but ours were taken in the future: what comes now is newer all the same.
            for series in &mut state.series {
                series.last_at = series.last_at.min(at);
            }
            for track in &mut state.tracks {
                track.last_at = track.last_at.min(at);
            }
        }
        self.due.fill(NEVER);
    }
}

impl State {
    /// A frame came in a live lane: ends a silence.
    pub(crate) fn heard(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        self.heard = sink.now;
        while let Some(silent) = self.silent.pop() {
            sink.rewind = true;
            sink.put(plan, silent.rule, silent.alarm, sink.received_at, Change::Cleared);
        }
    }

    /// Log time at which the next timer is due; the far future when none runs.
    pub(crate) fn deadline(&self, plan: &Plan) -> Time {
        let mut next = Time(i64::MAX);
        for (rule, test) in plan.silences() {
            if self.watches(*rule, test) {
                next = next.min(self.heard.plus_us(i64::from(test.after_s) * SECOND_US));
            }
        }
        for track in &self.tracks {
            if let (Some(present), Some(limit)) = (track.present, plan.limit_of(track.rule))
                && !present.unknown
            {
                next = next.min(track.heard.plus_us(limit.loss_us(present.priority)));
            }
        }
        for track in &self.late {
            next = next.min(track.heard.plus_us(LATE_IDLE_US));
        }
        next
    }

    fn watches(&self, rule: u8, test: &Silence) -> bool {
        self.heard != NEVER
            && (self.streams || test.after_s >= SPOT_SILENCE_S)
            && !self.silent.iter().any(|silent| silent.rule == rule)
    }

    fn run_timers(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        for (rule, test) in plan.silences() {
            let quiet_us = sink.now.since_us(self.heard);
            if !self.watches(*rule, test) || quiet_us < i64::from(test.after_s) * SECOND_US {
                continue;
            }
            let started_at = self.heard;
            let alarm = AlarmId::of(sink.subject, plan.slug(*rule), started_at);
            self.silent.push(Silent { rule: *rule, alarm });
            let silent_s = u32::try_from(quiet_us / SECOND_US).unwrap_or(u32::MAX);
            let kind = AlarmKind::Silence { silent_s };
            let change = Change::Raised { priority: test.priority, kind, started_at, late: false };
            sink.put(plan, *rule, alarm, sink.now, change);
        }
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(index) else { continue };
            let (Some(present), Some(limit)) = (&mut track.present, plan.limit_of(track.rule)) else { continue };
            if present.unknown || sink.now.since_us(track.heard) < limit.loss_us(present.priority) {
                continue;
            }
            present.unknown = true;
            let (rule, alarm) = (track.rule, present.alarm);
            let heard = |track: &crate::track::Track| track.present.is_some_and(|present| !present.unknown);
            // Lost when no device is left that still sees it.
            if !self.tracks.iter().any(|track| track.rule == rule && heard(track)) {
                sink.put(plan, rule, alarm, sink.now, Change::DataLost);
            }
        }
        let idle = |track: &&crate::track::Track| sink.now.since_us(track.heard) >= LATE_IDLE_US;
        let ended: Vec<u8> = self.late.iter().filter(idle).map(|track| track.rule).collect();
        for rule in ended {
            self.end_late(plan, rule, sink);
        }
    }
}
