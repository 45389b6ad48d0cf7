//! The state machine of one threshold rule: pending (the hold time runs), present, gone. Live and late data each have
//! their own track.

use model::{AlarmId, Priority, Time};
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::clock::SetBack;
use crate::limit::{LEVELS_MAX, Limit, Seen};
use crate::state::NEVER;

/// Relief of this long (10 minutes) between two crossings of one level makes the second a repetition.
const RELIEF_US: i64 = 600 * SECOND_US;
/// A P1 or P2 level that is still reached so long (30 minutes) after it was told is told again.
pub(crate) const TOLD_US: i64 = 1_800 * SECOND_US;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Track {
    /// Index in the plan's rules.
    pub(crate) rule: u8,
    /// The device, for streams: what one band sees says nothing about the hold time of another. 0 for measurements made now
    /// and then: a second cuff confirms the first.
    pub(crate) source: u32,
    /// Of scores: the parameters that made up the total when it was last beyond a level. Only with them it is less.
    pub(crate) parts: u8,
    /// Per level: event time of the value with which its hold time began. Every one since was beyond it, or so near that it may be
    /// the same again ([`Limit::holds_on`]).
    pub(crate) since: [Time; LEVELS_MAX],
    /// Event time of the newest value judged here.
    pub(crate) last_at: Time,
    /// Log time of it.
    pub(crate) heard: Time,
    pub(crate) present: Option<Present>,
}

/// A condition that was raised and not cleared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Present {
    pub(crate) alarm: AlarmId,
    pub(crate) started_at: Time,
    /// Of the most urgent level reached; never falls while the condition lasts.
    pub(crate) priority: Priority,
    /// The data stopped.
    pub(crate) unknown: bool,
    /// Since when the values are inside the level reached, by the hysteresis margin.
    relieved_since: Time,
    /// They were inside for long enough: reaching the level again is told again.
    again: bool,
    /// Event time at which people were last told of this level.
    pub(crate) told_at: Time,
}

/// What a value did to a track. Levels are indices into the rule's ladder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Pending or present as before.
    Same,
    /// Pending no longer; was never raised.
    Fleeting,
    Raise {
        level: usize,
        started_at: Time,
    },
    Worsen {
        level: usize,
    },
    /// The level is reached again after a relief within one episode, or still stands; then it may be a less urgent one than was reached.
    Repeat {
        level: usize,
    },
    Clear,
}

impl Track {
    pub(crate) const fn new(rule: u8, source: u32) -> Self {
        Self { rule, source, parts: 0, since: [NEVER; LEVELS_MAX], last_at: NEVER, heard: NEVER, present: None }
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.present.is_none()
    }

    /// Forgets the running hold times.
    pub(crate) fn restart(&mut self) {
        self.since = [NEVER; LEVELS_MAX];
    }

    /// Judges a value that is newer than all before. `levels` are the first so many of the ladder that count.
    /// After [`Verdict::Raise`] the caller sets the alarm by [`Track::raised`].
    pub(crate) fn judge(&mut self, limit: &Limit, levels: usize, at: Time, seen: Seen) -> Verdict {
        let value = seen.value;
        let held = self.hold(limit, levels, at, value);
        self.last_at = at;
        let Some(present) = &mut self.present else {
            return match held {
                Some(level) => Verdict::Raise { level, started_at: self.since.get(level).copied().unwrap_or(at) },
                None if self.since.iter().all(|since| *since == NEVER) => Verdict::Fleeting,
                None => Verdict::Same,
            };
        };
        if limit.test.is_clear(value) {
            return Verdict::Clear;
        }
        present.watch_relief(limit, at, value);
        let Some(level) = held else { return Verdict::Same };
        let priority = limit.priority(level);
        if priority < present.priority {
            present.reached(priority, at);
            return Verdict::Worsen { level };
        }
        let stands = priority <= Priority::P2 && at.since_us(present.told_at) >= TOLD_US;
        if priority == present.priority && (present.again || stands) {
            present.reached(priority, at);
            return Verdict::Repeat { level };
        }
        // Less than it was, and still urgent: said again, or who resolved it would never hear that it stands.
        if stands {
            present.told_at = at;
            return Verdict::Repeat { level };
        }
        Verdict::Same
    }

    /// Runs the hold time of each level, anew after a hole in the data; returns the most urgent one that is through.
    fn hold(&mut self, limit: &Limit, levels: usize, at: Time, value: f64) -> Option<usize> {
        let mut held = None;
        for (index, (level, since)) in limit.test.levels.iter().zip(&mut self.since).take(levels).enumerate() {
            let hole = self.last_at != NEVER && at.since_us(self.last_at) > limit.gap_us(index);
            if !limit.test.side.is_beyond(value, level.limit) {
                if hole || *since == NEVER || !limit.holds_on(index, value, at.since_us(*since)) {
                    *since = NEVER;
                }
                continue;
            }
            if *since == NEVER || hole {
                *since = at;
            }
            if held.is_none() && at.since_us(*since) >= i64::from(level.hold_s) * SECOND_US {
                held = Some(index);
            }
        }
        held
    }

    /// Event time until the next level is through, from the newest value on, if no value says otherwise. `None`: no level
    /// waits.
    pub(crate) fn waits_us(&self, limit: &Limit) -> Option<i64> {
        let told = self.present.map(|present| present.priority);
        let waits = self.since.iter().enumerate().filter_map(|(level, since)| {
            let counts = *since != NEVER && told.is_none_or(|told| limit.priority(level) < told);
            counts.then(|| limit.hold_us(level) - self.last_at.since_us(*since))
        });
        waits.filter(|wait| *wait > 0).min()
    }

    /// Log time follows a clock that was set back.
    pub(crate) fn set_back(&mut self, back: SetBack) {
        self.since.iter_mut().for_each(|since| back.set(since));
        back.set(&mut self.heard);
        back.set(&mut self.last_at);
        // No value is older than the beginning of its stretch.
        self.last_at = self.since.iter().copied().fold(self.last_at, Time::max);
        if let Some(present) = &mut self.present {
            for time in [&mut present.started_at, &mut present.told_at, &mut present.relieved_since] {
                back.set(time);
            }
        }
    }

    pub(crate) fn raised(&mut self, alarm: AlarmId, started_at: Time, priority: Priority, told_at: Time) {
        self.present =
            Some(Present { alarm, started_at, priority, unknown: false, relieved_since: NEVER, again: false, told_at });
    }
}

impl Present {
    /// People are told of this level at `at`.
    pub(crate) fn reached(&mut self, priority: Priority, at: Time) {
        self.priority = priority;
        self.told_at = at;
        self.relieved_since = NEVER;
        self.again = false;
    }

    fn watch_relief(&mut self, limit: &Limit, at: Time, value: f64) {
        let Some(level) = limit.test.levels.iter().find(|level| level.priority == self.priority) else { return };
        if limit.test.side.is_beyond(value, level.limit) {
            if self.relieved_since != NEVER && at.since_us(self.relieved_since) >= RELIEF_US {
                self.again = true;
            }
            self.relieved_since = NEVER;
            return;
        }
        let inside = match limit.test.side {
            model::rule::Side::High => level.limit - value,
            model::rule::Side::Low => value - level.limit,
        };
        if inside > limit.test.clear_margin && self.relieved_since == NEVER {
            self.relieved_since = at;
        }
    }
}
