//! Events: an SOS or a fall raises at once; the same again soon after is a repetition on the same alarm.
//!
//! An event is a moment, not a state: it is never `Cleared` by data. People end the alarm.

use model::alarm::Change;
use model::rule::EventTest;
use model::{AlarmId, AlarmKind, DeviceId, Event, EventKind, Time};

use crate::engine::Sink;
use crate::plan::Plan;
use crate::state::{EVENTS_RECENT_MAX, EventAlarm, Happening, State, add};
use crate::{LATE_US, SECOND_US};

/// A cancel at the device is about a call for help not older than this (1 hour).
const CANCEL_US: i64 = 3_600 * SECOND_US;

impl State {
    pub(crate) fn event(&mut self, plan: &Plan, device: DeviceId, event: Event, sink: &mut Sink<'_>) {
        let key = (device.0, event.kind.id(), event.at);
        if self.recent.contains(&key) {
            sink.counters.events_duplicate += 1;
            return;
        }
        if self.recent.len() == EVENTS_RECENT_MAX {
            self.recent.remove(0);
        }
        add(&mut self.recent, key);
        let mut at = event.at;
        if at > sink.received_at {
            sink.counters.future += 1;
            at = sink.received_at;
        }
        if event.kind == EventKind::Cancelled {
            self.cancelled(plan, at, sink);
        }
        // A call for help is never quiet.
        if event.kind.is_technical() && sink.calm.covers_technical(at) {
            sink.counters.quiet += 1;
            return;
        }
        let mut judged = false;
        for (rule, test) in plan.event(judged_as(plan, event.kind)) {
            judged = true;
            self.happened(plan, *rule, test, at, sink);
        }
        *(if judged { &mut sink.counters.events } else { &mut sink.counters.events_no_rule }) += 1;
    }

    /// The person says that the call was a mistake. It stays a call until somebody has looked: only its history tells.
    fn cancelled(&self, plan: &Plan, at: Time, sink: &mut Sink<'_>) {
        for happening in &self.happenings {
            let calls = plan.event_test(happening.rule).is_some_and(|test| test.event.calls_for_help());
            for known in [&happening.live, &happening.late].into_iter().flatten() {
                if calls && known.first_at <= at && at.since_us(known.last_at) <= CANCEL_US {
                    sink.put(plan, happening.rule, known.alarm, at, Change::Cancelled);
                }
            }
        }
    }

    fn happened(&mut self, plan: &Plan, rule: u8, test: &EventTest, at: Time, sink: &mut Sink<'_>) {
        let late = at < sink.received_at.plus_us(-LATE_US);
        let within_us = i64::from(test.repeat_within_s) * SECOND_US;
        let kind = AlarmKind::Event { kind: test.event };
        let happening = match self.happenings.iter_mut().find(|happening| happening.rule == rule) {
            Some(happening) => happening,
            None => add(&mut self.happenings, Happening { rule, live: None, late: None }),
        };
        for known in [&mut happening.live, &mut happening.late].into_iter().flatten() {
            if at >= known.first_at.plus_us(-within_us) && at <= known.last_at.plus_us(within_us) {
                known.first_at = known.first_at.min(at);
                known.last_at = known.last_at.max(at);
                sink.put(plan, rule, known.alarm, at, Change::Repeated { kind });
                return;
            }
        }
        if !plan.is_awake(rule, at) {
            sink.counters.asleep += 1;
            return;
        }
        let alarm = AlarmId::of(sink.subject, plan.slug(rule), at);
        let slot = if late { &mut happening.late } else { &mut happening.live };
        *slot = Some(EventAlarm { alarm, first_at: at, last_at: at });
        sink.put(plan, rule, alarm, at, Change::Raised { priority: test.priority, kind, started_at: at, late });
    }
}

/// An alarm that the device does not name is a call for help, also by rules that are older than the word for it.
fn judged_as(plan: &Plan, kind: EventKind) -> EventKind {
    let unnamed = kind == EventKind::UnspecifiedAlarm && plan.event(kind).next().is_none();
    if unnamed { EventKind::Sos } else { kind }
}
