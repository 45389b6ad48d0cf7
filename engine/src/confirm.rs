//! A second measurement: a single value beyond a level that must last asks for another one before anybody is paged.
//!
//! The level itself is reached by the hold time of its ladder (`track.rs`): a second value beyond it, so much later. Here is
//! the question to the elder, and what happens when no answer comes. Of a cuff it is asked at once (`Threshold::confirm`). A
//! device that streams goes on by itself; only when it falls silent, and is not one that is worn, was the value a single one:
//! an ECG held in the hand, a minute with a finger clip, a round in a health cabin.
//!
//! A question is a line in the history of an alarm: where none stands yet, a worklist item is raised with it.

use model::alarm::Change;
use model::rule::Confirm;
use model::{AlarmId, Metric, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::engine::Sink;
use crate::limit::{Limit, Seen};
use crate::live::Found;
use crate::plan::Plan;
use crate::state::{NEVER, State, add};
use crate::track::{TOLD_US, Track};

/// A device that streams and is silent for so long (2 minutes) after a value beyond a level has told a single measurement.
const SILENT_US: i64 = 120 * SECOND_US;
/// How a single value of such a device is asked about: as the cuffs of the default set, 10 minutes after the value itself.
const STREAM: Confirm = Confirm { within_s: 600 - 120, unconfirmed: Priority::P2 };

/// A question that is open, or that will be asked when the device stays silent. At most one per rule and source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) rule: u8,
    /// As in a track.
    source: u32,
    /// The most urgent level that waits for a second value, and the value that reached it.
    pub(crate) level: u8,
    pub(crate) value: f64,
    /// Asked. False: the device may go on by itself.
    out: bool,
    /// Log time at which the answer is missed; of what is not asked yet, at which it is.
    pub(crate) due: Time,
}

impl Asked {
    pub(crate) const fn is_about(&self, track: &Track) -> bool {
        self.rule == track.rule && self.source == track.source
    }
}

/// What a value is that nobody confirmed: one class below its level, and no more than the rule allows.
fn unconfirmed(level: Priority, confirm: Confirm) -> Priority {
    let below = if level == Priority::P1 { Priority::P2 } else { Priority::P3 };
    below.max(confirm.unconfirmed)
}

/// `None`: the rule waits for its hold times alone.
fn confirm_of(limit: &Limit) -> Option<Confirm> {
    limit.test.confirm.or_else(|| limit.is_stream().then_some(STREAM))
}

impl Track {
    /// The most urgent level whose hold time runs and that people were not told of.
    fn waiting(&self, limit: &Limit) -> Option<usize> {
        let told = self.present.map(|present| present.priority);
        (0..limit.asks()).find(|level| {
            let since = self.since.get(*level).copied().unwrap_or(NEVER);
            let counts = since != NEVER && limit.hold_us(*level) > 0;
            counts && told.is_none_or(|told| limit.priority(*level) < told)
        })
    }
}

impl State {
    fn question(&self, limit: &Limit, source: u32) -> Option<usize> {
        let mine = |asked: &Asked| asked.rule == limit.rule && asked.source == source;
        self.more.as_ref()?.asked.iter().position(mine)
    }

    fn is_worn(&self, metric: Metric, source: u32) -> bool {
        self.series.iter().any(|series| series.metric == metric && series.source == source && series.is_worn())
    }

    /// Looks at the question of a rule after a value was judged.
    pub(crate) fn ask(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        source: u32,
        (at, seen): (Time, Seen),
        sink: &mut Sink<'_>,
    ) {
        let open = self.question(limit, source);
        if open.is_none() && !limit.is_beyond(seen) {
            return;
        }
        let Some(confirm) = confirm_of(limit) else { return };
        let mine = |track: &&Track| track.rule == limit.rule && track.source == source;
        let waiting = self.tracks.iter().find(mine).and_then(|track| Some((track, track.waiting(limit)?)));
        let Some((track, level)) = waiting else {
            // Confirmed, or well again.
            if let (Some(index), Some(more)) = (open, &mut self.more) {
                more.asked.swap_remove(index);
            }
            return;
        };
        let begins = track.since.get(level) == Some(&at);
        let silent_at = sink.now.plus_us(SILENT_US);
        if let (Some(index), Some(more)) = (open, &mut self.more) {
            if let Some(asked) = more.asked.get_mut(index) {
                if begins {
                    (asked.level, asked.value) = (level as u8, seen.value);
                }
                if !asked.out {
                    asked.due = silent_at;
                }
            }
            return;
        }
        // Asked once for a stretch: a value that only goes on is no new question.
        if !begins || !plan.is_awake(limit.rule, at) {
            return;
        }
        let mut question =
            Asked { rule: limit.rule, source, level: level as u8, value: seen.value, out: false, due: silent_at };
        if limit.test.confirm.is_some() {
            self.put_question(plan, limit, &mut question, confirm, at, sink);
        } else if self.is_worn(limit.test.metric, source) {
            return;
        }
        sink.rewind = true;
        add(&mut self.more().asked, question);
    }

    /// Asks the elder, in the history of the alarm that stands or of a worklist item.
    fn put_question(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        question: &mut Asked,
        confirm: Confirm,
        at: Time,
        sink: &mut Sink<'_>,
    ) {
        let Some(alarm) = self.tell_single(plan, limit, question, Priority::P3, at, sink) else { return };
        (question.out, question.due) = (true, sink.now.plus_us(i64::from(confirm.within_s) * SECOND_US));
        let kind = limit.kind(limit.as_shown(question.value), usize::from(question.level));
        sink.put(plan, limit.rule, alarm, at, Change::RemeasureAsked { kind, due: question.due });
    }

    /// What is due of the questions: some are asked now, to others no answer came in time.
    pub(crate) fn unanswered(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        let Some(more) = &mut self.more else { return };
        let mut due = Vec::new();
        more.asked.retain_mut(|asked| {
            if asked.due > sink.now {
                return true;
            }
            // Missed at night: told when the rule is awake.
            asked.due = plan.awake_from(asked.rule, sink.now);
            let wait = asked.due > sink.now;
            if !wait {
                due.push(*asked);
            }
            wait
        });
        for mut question in due {
            let Some(limit) = plan.limit_of(question.rule) else { continue };
            let Some(confirm) = confirm_of(limit) else { continue };
            // Others watch by now.
            if sink.calm.covers_values(sink.now) {
                continue;
            }
            if question.out {
                let priority = unconfirmed(limit.priority(usize::from(question.level)), confirm);
                self.tell_single(plan, limit, &question, priority, sink.now, sink);
                continue;
            }
            self.put_question(plan, limit, &mut question, confirm, sink.now, sink);
            if question.out {
                add(&mut self.more().asked, question);
            }
        }
    }

    /// Raises or worsens what a question is about to `priority`. `None`: its hold time was broken off.
    fn tell_single(
        &mut self,
        plan: &Plan,
        limit: &Limit,
        question: &Asked,
        priority: Priority,
        at: Time,
        sink: &mut Sink<'_>,
    ) -> Option<AlarmId> {
        let mine = |track: &Track| track.rule == limit.rule && track.source == question.source;
        let index = self.tracks.iter().position(mine)?;
        let level = usize::from(question.level);
        let started_at = self.tracks.get(index)?.since.get(level).copied().filter(|since| *since != NEVER)?;
        let seen = limit.as_shown(question.value);
        let Some(present) = self.tracks.get(index)?.present else {
            self.raise(plan, limit, Found { index, level, priority, started_at }, (at, seen), sink);
            return self.tracks.get(index)?.present.map(|present| present.alarm);
        };
        let kind = limit.kind(seen, level);
        if priority < present.priority {
            self.told(limit.rule, priority, at);
            sink.rewind = true;
            sink.put(plan, limit.rule, present.alarm, at, Change::Worsened { priority, kind });
        } else if priority == present.priority && priority <= Priority::P2 && at.since_us(present.told_at) >= TOLD_US {
            self.told(limit.rule, priority, at);
            sink.put(plan, limit.rule, present.alarm, at, Change::Repeated { kind });
        }
        Some(present.alarm)
    }
}
