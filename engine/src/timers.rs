//! What happens when nothing happens: silence of an elder or of one metric, loss of a condition's data, the end of a late
//! upload. All in log time, on ticks only.

use model::alarm::{Change, Transition};
use model::rule::Silence;
use model::{AlarmId, AlarmKind, Metric, Subject, Time};

use crate::SECOND_US;
use crate::calm::Calm;
use crate::engine::{Engine, Sink};
use crate::plan::Plan;
use crate::state::{NEVER, Person, Silent, State, add};

/// A late upload without a further value for this long (10 minutes of log time) has ended.
const LATE_IDLE_US: i64 = 600 * SECOND_US;
/// A silence shorter than this (a day) concerns only elders who wear something ([`crate::worn`]): a cuff used at breakfast is not silent at noon.
const SPOT_SILENCE_S: u32 = 86_400;

const fn after_us(test: &Silence) -> i64 {
    test.after_s as i64 * SECOND_US
}

impl Engine {
    pub(crate) fn tick(&mut self, at: Time, out: &mut Vec<Transition>) {
        self.advance_by_tick(at);
        let now = self.now;
        for (slot, due) in self.due.iter_mut().enumerate() {
            if now < *due {
                continue;
            }
            let Some(Person { elder, plan, state }) = self.people.get_mut(slot) else { continue };
            let subject = Subject::from_u32(*elder);
            let calm = Calm::of_elder(&self.calm, &self.stops, *elder);
            let mut sink = Sink::new(&mut *out, &mut self.counters, subject, (at, now), calm);
            state.run_timers(plan, &mut sink);
            *due = state.deadline(plan, calm, now);
        }
    }
}

impl State {
    /// A frame came in a live lane: ends a silence of everything.
    pub(crate) fn heard(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        self.heard = sink.now;
        self.silent.retain(|silent| {
            if plan.silence(silent.rule).is_some_and(|test| test.metric.is_some()) {
                return true;
            }
            sink.rewind = true;
            sink.put(plan, silent.rule, silent.alarm, sink.received_at, Change::Cleared);
            false
        });
    }

    /// A value of a metric that a silence rule waits for, `at` in log time; of a late one, when it was taken.
    pub(crate) fn heard_metric(&mut self, plan: &Plan, metric: Metric, at: Time, sink: &mut Sink<'_>) {
        let all = &mut self.more().heard;
        match all.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, heard)) if at <= *heard => return,
            Some((_, heard)) => *heard = at,
            None => _ = add(all, (metric, at)),
        }
        sink.rewind = true;
        self.silent.retain(|silent| {
            let test = plan.silence(silent.rule).filter(|test| test.metric == Some(metric));
            let over = test.is_some_and(|test| sink.now.since_us(at) < after_us(test));
            if over {
                sink.put(plan, silent.rule, silent.alarm, sink.received_at, Change::Cleared);
            }
            !over
        });
    }

    /// Log time at which the next timer is due; the far future when none runs.
    pub(crate) fn deadline(&self, plan: &Plan, calm: Calm<'_>, now: Time) -> Time {
        let mut next = self.more_deadline(plan);
        if let Some(held) = self.score_deadline(plan, now) {
            next = next.min(held);
        }
        for (rule, test) in plan.silences() {
            if let Some((_, due)) = self.silence_due(*rule, test, calm) {
                next = next.min(plan.awake_from(*rule, due.max(now)));
            }
        }
        for track in &self.tracks {
            if let (Some(present), Some(limit)) = (track.present, plan.limit_of(track.rule))
                && !present.unknown
            {
                next = next.min(calm.ended_at(track.heard, limit.loss_us()));
            }
        }
        for track in &self.late {
            next = next.min(calm.ended_at(track.heard, LATE_IDLE_US));
        }
        next
    }

    /// Since when it is silent, and when that is too long. `None`: nobody waits.
    fn silence_due(&self, rule: u8, test: &Silence, calm: Calm<'_>) -> Option<(Time, Time)> {
        if self.silent.iter().any(|silent| silent.rule == rule) {
            return None;
        }
        let heard = match test.metric {
            Some(metric) => self.more.as_ref()?.heard.iter().find(|(known, _)| *known == metric)?.1,
            None => Some(self.heard).filter(|_| self.worn.is_known() || test.after_s >= SPOT_SILENCE_S)?,
        };
        (heard != NEVER).then(|| (heard, calm.silent_at(heard, after_us(test))))
    }

    fn silences(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        for (rule, test) in plan.silences() {
            let Some((started_at, due)) = self.silence_due(*rule, test, sink.calm) else { continue };
            if sink.now < due || !plan.is_awake(*rule, sink.now) {
                continue;
            }
            let alarm = AlarmId::of(sink.subject, plan.slug(*rule), started_at);
            add(&mut self.silent, Silent { rule: *rule, alarm });
            let silent_s = u32::try_from(sink.now.since_us(started_at) / SECOND_US).unwrap_or(u32::MAX);
            let kind = AlarmKind::Silence { silent_s };
            let change = Change::Raised { priority: test.priority, kind, started_at, late: false };
            sink.put(plan, *rule, alarm, sink.now, change);
        }
    }

    fn run_timers(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        self.silences(plan, sink);
        self.hold_scores(plan, sink);
        self.run_more(plan, sink);
        for index in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(index) else { continue };
            let (Some(present), Some(limit)) = (&mut track.present, plan.limit_of(track.rule)) else { continue };
            if present.unknown || sink.now < sink.calm.ended_at(track.heard, limit.loss_us()) {
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
        let idle = |track: &&crate::track::Track| sink.now >= sink.calm.ended_at(track.heard, LATE_IDLE_US);
        let mut ended: Vec<u8> = self.late.iter().filter(idle).map(|track| track.rule).collect();
        // In the order of the rules, not of what came twice.
        ended.sort_unstable();
        for rule in ended {
            self.end_late(plan, rule, sink);
        }
    }
}
