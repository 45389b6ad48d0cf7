//! Log time: how it goes on, and what it means when it jumps ahead or falls back.
//!
//! A server that runs writes something every few seconds, if only a tick. A hole in log time is a stop, in which nobody could be
//! heard: it is no silence, and who comes back has time to ([`RETURN_US`]). All of it follows from the log.

use model::Time;
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::calm::Calm;
use crate::engine::Engine;
use crate::state::{NEVER, Person, State};

/// Log time that goes on by more than this at once (2 minutes) was not written: the server stood still.
const STOPPED_US: i64 = 120 * SECOND_US;
/// After a stop the gateways have so long (15 minutes, as `gateway_lost_s` of the incidents) to come back and say what they kept.
const RETURN_US: i64 = 900 * SECOND_US;
/// Stops that are remembered, of everybody together: the newest.
const STOPS_MAX: usize = 8;
/// A tick this much before log time (5 minutes) means that the server's clock was ahead and has been set right.
const SET_BACK_US: i64 = 300 * SECOND_US;

/// A hole in log time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// The last log time before it.
    from: Time,
    /// The first after it.
    back: Time,
}

impl Stop {
    /// Until when nobody is missed who was not heard since.
    const fn until(self) -> Time {
        self.back.plus_us(RETURN_US)
    }
}

/// The server's clock was set back: what it said later than now was said so much earlier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetBack {
    pub(crate) at: Time,
    pub(crate) by_us: i64,
}

impl SetBack {
    /// Moves a time of ours that has not come yet. Older ones are of before the clock went wrong, or of a device's own clock.
    pub(crate) fn set(self, time: &mut Time) {
        if *time > self.at {
            *time = time.plus_us(-self.by_us).min(self.at);
        }
    }
}

impl Engine {
    /// Log time goes on to `at`, unless it is there already.
    pub(crate) fn advance(&mut self, at: Time) {
        if self.now != NEVER && at.since_us(self.now) > STOPPED_US {
            self.stopped(Stop { from: self.now, back: at });
        }
        self.now = self.now.max(at);
    }

    fn stopped(&mut self, stop: Stop) {
        if self.stops.len() == STOPS_MAX {
            self.stops.remove(0);
        }
        self.stops.push(stop);
        // A stop that is forgotten brings timers nearer.
        self.due.fill(NEVER);
        // Whoever was asked for a second measurement may have made it, and the gateway has it.
        for asked in
            self.people.iter_mut().filter_map(|person| person.state.more.as_mut()).flat_map(|more| &mut more.asked)
        {
            if asked.due >= stop.from {
                asked.due = asked.due.max(stop.until());
            }
        }
    }

    /// As [`Engine::advance`] by a tick, which alone may say that the clock was set back.
    pub(crate) fn advance_by_tick(&mut self, at: Time) {
        if self.now != NEVER && self.now.since_us(at) > SET_BACK_US {
            self.set_back(SetBack { at, by_us: self.now.since_us(at) });
        }
        self.advance(at);
    }

    /// Log time follows a clock that was set back, and everything that it dated in a future that has not come moves with it: so a
    /// silence and a hold time count on from where they stood. Otherwise nothing would be due until the clock has caught up.
    fn set_back(&mut self, back: SetBack) {
        self.now = back.at;
        for Person { state, .. } in &mut self.people {
            state.set_back(back);
        }
        for stop in &mut self.stops {
            back.set(&mut stop.from);
            back.set(&mut stop.back);
            stop.back = stop.back.max(stop.from);
        }
        self.due.fill(NEVER);
    }
}

impl State {
    /// Not the quiet periods, which people dated, nor the times in `recent`, which are only compared with those a device says again.
    fn set_back(&mut self, back: SetBack) {
        back.set(&mut self.heard);
        self.worn.set_back(back);
        for series in &mut self.series {
            for time in [&mut series.last_at, &mut series.from, &mut series.worn_at] {
                back.set(time);
            }
        }
        for track in self.tracks.iter_mut().chain(&mut self.late) {
            track.set_back(back);
        }
        for episode in &mut self.episodes {
            back.set(&mut episode.from);
            back.set(&mut episode.to);
            episode.to = episode.to.max(episode.from);
        }
        for known in self.happenings.iter_mut().flat_map(|known| [&mut known.live, &mut known.late]).flatten() {
            back.set(&mut known.first_at);
            back.set(&mut known.last_at);
            known.last_at = known.last_at.max(known.first_at);
        }
        if let Some(more) = &mut self.more {
            more.set_back(back);
        }
    }
}

impl Calm<'_> {
    /// The server stood still, and what was quiet since may be heard again.
    pub(crate) fn is_returning(&self, now: Time) -> bool {
        self.stops.last().is_some_and(|stop| now <= stop.until())
    }

    /// When somebody heard at `from` is missed: after so much time in which they could have been heard.
    pub(crate) fn missed_at(&self, from: Time, after_us: i64) -> Time {
        let (mut due, mut counted) = (from.plus_us(after_us), from);
        for stop in self.stops {
            let deaf_from = stop.from.max(counted);
            if from < stop.back && due >= deaf_from && stop.until() > deaf_from {
                due = due.plus_us(stop.until().since_us(deaf_from));
                counted = stop.until();
            }
        }
        due
    }

    /// When something last heard of at `from` has ended, if it ends so long after: not while nobody could be heard.
    pub(crate) fn ended_at(&self, from: Time, after_us: i64) -> Time {
        let over =
            |due: Time, stop: &Stop| if from < stop.back && due >= stop.from { due.max(stop.until()) } else { due };
        self.stops.iter().fold(from.plus_us(after_us), over)
    }
}
