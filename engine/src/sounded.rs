//! What a gateway sounded while the server was out of reach. Its word comes before, among or after the data it is about; in
//! whatever order, the condition is one alarm.
//!
//! An episode that is not known here is raised by the gateway's word and then stands like any other: the values behind it,
//! which are still on their way, are part of it, and the live ones go on from it.

use model::alarm::Change;
use model::{AlarmId, AlarmKind, Sounded, Time};

use crate::calm::Calm;
use crate::engine::{Engine, Sink};
use crate::limit::Limit;
use crate::plan::Plan;
use crate::state::{EVENTS_RECENT_MAX, Episode, EventAlarm, Happening, State, add};
use crate::track::Track;
use crate::{LATE_US, SECOND_US};

/// A condition that began here at most this long after the gateway sounded is the same one: while it stands the gateway
/// sounds again every 30 minutes (40 minutes).
const JOIN_US: i64 = 2_400 * SECOND_US;

impl Engine {
    pub(crate) fn sounded(&mut self, said: &Sounded, out: &mut Vec<model::alarm::Transition>) {
        self.advance(said.at);
        let slot = self.slot(said.subject.to_u32());
        let (Some(person), Some(due)) = (self.people.get_mut(slot), self.due.get_mut(slot)) else { return };
        let (subject, received_at, now) = (said.subject, said.at, self.now);
        let calm = Calm::of(&self.calm, &self.stops, subject, said.device);
        let mut sink = Sink::new(out, &mut self.counters, subject, (received_at, now), calm);
        person.state.sounded(&person.plan, said, &mut sink);
        *due = person.state.deadline(&person.plan, calm, now);
    }
}

impl State {
    fn sounded(&mut self, plan: &Plan, said: &Sounded, sink: &mut Sink<'_>) {
        // A clock of the gateway that is ahead tells of no future.
        let (from, to) = (said.started_at.min(said.at), said.sounded_at.min(said.at));
        let rule = plan.index_of(&said.rule);
        let limit = rule.and_then(|rule| plan.limit_of(rule));
        let alarm = match (rule, limit) {
            (_, Some(limit)) => self.threshold_sounded(plan, limit, said, (from, to), sink),
            (Some(rule), None) => self.event_sounded(plan, rule, said, from, sink),
            // Judged by rules that are not in force here any more: the records know whether it was raised.
            (None, None) => raise(plan, said, from, sink),
        };
        let change = Change::Sounded { priority: said.priority, by: said.by.clone(), ok: said.ok };
        sink.say(plan, &said.rule, alarm, to, change);
    }

    fn threshold_sounded(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        said: &Sounded,
        (from, to): (Time, Time),
        sink: &mut Sink<'_>,
    ) -> AlarmId {
        if let Some(alarm) = self.standing(limit.rule, said, (from, to)) {
            return alarm;
        }
        if let Some(alarm) = self.past(limit.rule, (from, to)) {
            return alarm;
        }
        let near = |track: &Track| track.present.is_some_and(|present| present.started_at.since_us(to) <= JOIN_US);
        let late = self.late.iter().position(|track| track.rule == limit.rule && near(track) && from <= track.last_at);
        let found = late.and_then(|index| self.late.swap_remove(index).present);
        let (alarm, from) = match found {
            // From here on it is no old story: it stands until live values say otherwise.
            Some(present) => (present.alarm, from.min(present.started_at)),
            None => (raise(plan, said, from, sink), from),
        };
        self.stand(plan, limit, said, (alarm, from, to), sink);
        alarm
    }

    /// The condition that stands here already, and is now known to have begun no later than the gateway says.
    fn standing(&mut self, rule: u8, said: &Sounded, (from, to): (Time, Time)) -> Option<AlarmId> {
        let mut same = None;
        for track in self.tracks.iter_mut().filter(|track| track.rule == rule) {
            if let Some(present) = &mut track.present
                && present.started_at.since_us(to) <= JOIN_US
            {
                present.started_at = present.started_at.min(from);
                if said.priority < present.priority {
                    present.reached(said.priority, to);
                }
                present.told_at = present.told_at.max(to);
                same = Some(present.alarm);
            }
        }
        same
    }

    /// The episode that is over here already: the one in which the gateway sounded, else the next that began soon after (of
    /// a history that came newest first, only its end may be known).
    fn past(&mut self, rule: u8, (from, to): (Time, Time)) -> Option<AlarmId> {
        let near = |past: &&mut Episode| past.rule == rule && from <= past.to && past.from.since_us(to) <= JOIN_US;
        let past = self.episodes.iter_mut().filter(near).min_by_key(|past| past.from)?;
        past.from = past.from.min(from);
        Some(past.alarm)
    }

    /// Has the condition stand, or keeps it as past when newer values know nothing of it.
    fn stand(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        said: &Sounded,
        (alarm, from, to): (AlarmId, Time, Time),
        sink: &mut Sink<'_>,
    ) {
        let rule = limit.rule;
        let source = if limit.is_stream() { said.device.0 } else { 0 };
        let mine = self.tracks.iter().position(|track| track.rule == rule && track.source == source);
        let of_metric = limit.score.is_none().then_some(limit.test.metric);
        let same = |series: &&crate::state::Series| Some(series.metric) == of_metric && series.source == source;
        let newest = self.series.iter().find(same).map(|series| series.last_at).filter(|last_at| *last_at > to);
        let later = self.tracks.iter().find_map(|track| track.present.filter(|_| track.rule == rule));
        let over_at = later.map(|present| present.started_at).or(newest.filter(|_| mine.is_none()));
        if let Some(over_at) = over_at {
            self.remember(Episode { rule, alarm, from, to: over_at });
            sink.put(plan, rule, alarm, over_at, Change::Cleared);
            return;
        }
        let track = match mine.and_then(|index| self.tracks.get_mut(index)) {
            Some(track) => track,
            None => add(&mut self.tracks, Track::new(rule, source)),
        };
        track.last_at = track.last_at.max(to);
        track.heard = sink.now;
        if limit.score.is_some() && track.parts == 0 {
            // The gateway does not say of what the total was made: only all of it is a recovery.
            track.parts = crate::score::MEASURED;
        }
        track.raised(alarm, from, said.priority, to);
    }

    fn event_sounded(&mut self, plan: &Plan, rule: u8, said: &Sounded, at: Time, sink: &mut Sink<'_>) -> AlarmId {
        let Some(test) = plan.event_test(rule) else { return raise(plan, said, at, sink) };
        let within_us = i64::from(test.repeat_within_s) * SECOND_US;
        let happening = match self.happenings.iter_mut().find(|happening| happening.rule == rule) {
            Some(happening) => happening,
            None => add(&mut self.happenings, Happening { rule, live: None, late: None }),
        };
        let near = |known: &&mut EventAlarm| {
            at >= known.first_at.plus_us(-within_us) && at <= known.last_at.plus_us(within_us)
        };
        if let Some(known) = [&mut happening.live, &mut happening.late].into_iter().flatten().find(near) {
            return known.alarm;
        }
        let alarm = raise(plan, said, at, sink);
        let slot = if is_late(at, sink) { &mut happening.late } else { &mut happening.live };
        *slot = Some(EventAlarm { alarm, first_at: at, last_at: at });
        // The device's own word for it, when it comes, is this one and no repetition.
        if let AlarmKind::Event { kind } = said.kind {
            if self.recent.len() == EVENTS_RECENT_MAX {
                self.recent.remove(0);
            }
            add(&mut self.recent, (said.device.0, kind.id(), said.started_at));
        }
        alarm
    }
}

fn is_late(at: Time, sink: &Sink<'_>) -> bool {
    at < sink.received_at.plus_us(-LATE_US)
}

fn raise(plan: &Plan, said: &Sounded, started_at: Time, sink: &mut Sink<'_>) -> AlarmId {
    let alarm = AlarmId::of(sink.subject, &said.rule, started_at);
    let (priority, kind, late) = (said.priority, said.kind, is_late(started_at, sink));
    sink.say(plan, &said.rule, alarm, started_at, Change::Raised { priority, kind, started_at, late });
    alarm
}
