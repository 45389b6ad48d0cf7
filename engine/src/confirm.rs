//! A second measurement: the first bad value of a cuff asks for another one before anybody is paged.
//!
//! The level itself is reached by the hold time of its ladder (`track.rs`): a second value beyond it, so much later. Here is
//! the question to the elder, and what happens when no answer comes.

use model::alarm::Change;
use model::rule::Confirm;
use model::{AlarmId, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::engine::Sink;
use crate::limit::{Limit, Seen};
use crate::plan::Plan;
use crate::state::{NEVER, State, add};
use crate::track::Track;

/// A question that is open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) rule: u8,
    /// The most urgent level that waits for a second value, and the value that reached it.
    pub(crate) level: u8,
    pub(crate) value: f64,
    /// Log time at which the answer is missed.
    pub(crate) due: Time,
}

impl Asked {
    pub(crate) const fn is_about(&self, track: &Track) -> bool {
        self.rule == track.rule
    }
}

/// What a value is that nobody confirmed: one class below its level, and no more than the rule allows.
fn unconfirmed(level: Priority, confirm: Confirm) -> Priority {
    let below = if level == Priority::P1 { Priority::P2 } else { Priority::P3 };
    below.max(confirm.unconfirmed)
}

impl Track {
    /// The most urgent level whose hold time runs and that people were not told of.
    fn waiting(&self, limit: &Limit) -> Option<usize> {
        let told = self.present.map(|present| present.priority);
        (0..limit.test.levels.len()).find(|level| {
            let since = self.since.get(*level).copied().unwrap_or(NEVER);
            since != NEVER
                && self.last_at.since_us(since) < limit.hold_us(*level)
                && told.is_none_or(|told| limit.priority(*level) < told)
        })
    }
}

impl State {
    /// Looks at the question of a rule after a value was judged.
    pub(crate) fn ask(&mut self, plan: &Plan, limit: &Limit, at: Time, seen: Seen, sink: &mut Sink<'_>) {
        let Some(confirm) = limit.test.confirm else { return };
        let track = self.tracks.iter().find(|track| track.rule == limit.rule);
        let waiting = track.and_then(|track| Some((track, track.waiting(limit)?)));
        let open = self.more.as_ref().and_then(|more| more.asked.iter().position(|asked| asked.rule == limit.rule));
        let Some((track, level)) = waiting else {
            // Confirmed, or well again.
            if let (Some(index), Some(more)) = (open, &mut self.more) {
                more.asked.swap_remove(index);
            }
            return;
        };
        let since = track.since.get(level).copied().unwrap_or(at);
        let alarm = match track.present {
            Some(present) => present.alarm,
            None => AlarmId::of(sink.subject, plan.slug(limit.rule), since),
        };
        if let (Some(index), Some(more)) = (open, &mut self.more) {
            if let Some(asked) = more.asked.get_mut(index)
                && since == at
            {
                asked.level = level as u8;
                asked.value = seen.value;
            }
            return;
        }
        // Asked once for a stretch: a value that only goes on is no new question.
        if since != at || !plan.is_awake(limit.rule, at) {
            return;
        }
        let due = sink.now.plus_us(i64::from(confirm.within_s) * SECOND_US);
        add(&mut self.more().asked, Asked { rule: limit.rule, level: level as u8, value: seen.value, due });
        sink.rewind = true;
        sink.put(plan, limit.rule, alarm, at, Change::RemeasureAsked { kind: limit.kind(seen, level), due });
    }

    /// Questions to which no answer came in time.
    pub(crate) fn unanswered(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        let Some(more) = &mut self.more else { return };
        let mut missed = Vec::new();
        more.asked.retain_mut(|asked| {
            if asked.due > sink.now {
                return true;
            }
            // Missed at night: told when the rule is awake.
            asked.due = plan.awake_from(asked.rule, sink.now);
            let wait = asked.due > sink.now;
            if !wait {
                missed.push(*asked);
            }
            wait
        });
        for asked in missed {
            self.missed(plan, asked, sink);
        }
    }

    fn missed(&mut self, plan: &Plan, asked: Asked, sink: &mut Sink<'_>) {
        let Some(limit) = plan.limit_of(asked.rule) else { return };
        let Some(confirm) = limit.test.confirm else { return };
        let level = usize::from(asked.level);
        let priority = unconfirmed(limit.priority(level), confirm);
        let kind = limit.kind(limit.as_shown(asked.value), level);
        let Some(track) = self.tracks.iter_mut().find(|track| track.rule == asked.rule) else { return };
        let started_at = track.since.get(level).copied().unwrap_or(NEVER);
        // Broken off, or others watch by now.
        if started_at == NEVER || sink.calm.covers_values(sink.now) {
            return;
        }
        sink.rewind = true;
        match &mut track.present {
            Some(present) if priority < present.priority => {
                present.reached(priority, started_at);
                let alarm = present.alarm;
                sink.put(plan, asked.rule, alarm, sink.now, Change::Worsened { priority, kind });
            }
            Some(_) => {}
            None => {
                let alarm = AlarmId::of(sink.subject, plan.slug(asked.rule), started_at);
                track.raised(alarm, started_at, priority, started_at);
                let change = Change::Raised { priority, kind, started_at, late: false };
                sink.put(plan, asked.rule, alarm, sink.now, change);
            }
        }
    }
}
