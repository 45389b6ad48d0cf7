//! Scores of several values: the newest value of each input within the window, as one place on a ladder (`limit.rs`).
//!
//! - Raised by the total that is certain: what is missing counts nothing and is told as the interval.
//! - A total that is less because an input is missing is no recovery: it is looked at only when every parameter that made up
//!   the score when it was last beyond a level is there again. Until then the condition stands, and is unknown after the window.
//! - Consciousness and oxygen are no metrics: in what devices send they are always missing.
//! - Late values take no part.

use model::rule::Score;
use model::{Metric, Time};
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::clock::SetBack;
use crate::engine::Sink;
use crate::limit::Limit;
use crate::news2::{self, Parameter, Scale};
use crate::plan::Plan;
use crate::state::{NEVER, State};

/// Metrics from which a score is made.
pub(crate) const INPUTS: [Metric; 6] = [
    Metric::RespiratoryRate,
    Metric::Spo2,
    Metric::Systolic,
    Metric::HeartRate,
    Metric::PulseRate,
    Metric::BodyTemperature,
];

/// The parameters that devices measure, as bits by their place in `Parameter::ALL`: all but oxygen and consciousness.
pub(crate) const MEASURED: u8 = 0b101_1011;

/// The newest value of each of [`INPUTS`], from whatever device: whole numbers, the temperature in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    at: [Time; INPUTS.len()],
    value: [u16; INPUTS.len()],
}

impl Default for Inputs {
    fn default() -> Self {
        Self { at: [NEVER; INPUTS.len()], value: [0; INPUTS.len()] }
    }
}

impl Inputs {
    /// True when the value is newer than the one known.
    pub(crate) fn take(&mut self, metric: Metric, at: Time, value: f64) -> bool {
        let Some(index) = INPUTS.iter().position(|input| *input == metric) else { return false };
        let (Some(known_at), Some(known)) = (self.at.get_mut(index), self.value.get_mut(index)) else { return false };
        if at <= *known_at {
            return false;
        }
        *known_at = at;
        *known = if metric == Metric::BodyTemperature { news2::tenths(value) } else { news2::whole(value) };
        true
    }

    /// A sensor came off: what it said last is missing from now on.
    pub(crate) fn forget(&mut self, metric: Metric) {
        for (known, _) in self.at.iter_mut().zip(INPUTS).filter(|(_, input)| *input == metric) {
            *known = NEVER;
        }
    }

    pub(crate) fn set_back(&mut self, back: SetBack) {
        self.at.iter_mut().for_each(|known| back.set(known));
    }

    fn newest(&self) -> Time {
        self.at.iter().copied().max().unwrap_or(NEVER)
    }

    /// What is known at `at`, of the last `window_s`.
    fn of(&self, test: &Score, at: Time) -> news2::Inputs {
        let [rate, spo2, systolic, heart, pulse, temperature] = std::array::from_fn(|index| {
            let (taken, value) = (self.at.get(index)?, self.value.get(index)?);
            (*taken != NEVER && at.since_us(*taken) <= i64::from(test.window_s) * SECOND_US).then_some((*taken, *value))
        });
        let value = |input: Option<(Time, u16)>| input.map(|(_, value)| value);
        // The newer one; of the same time the heart rate.
        let beats = if heart.map(|(at, _)| at) >= pulse.map(|(at, _)| at) { heart } else { pulse };
        news2::Inputs {
            respiratory_rate: value(rate),
            spo2: value(spo2),
            spo2_scale: if test.spo2_scale2 { Scale::Two } else { Scale::One },
            on_oxygen: None,
            systolic: value(systolic),
            heart_rate: value(beats),
            consciousness: None,
            temperature_tenths: value(temperature),
        }
    }
}

impl State {
    /// Looks at every score after a report that brought an input.
    pub(crate) fn score(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        for limit in plan.scores() {
            let Some(newest) = self.more.as_ref().map(|more| more.inputs.newest()) else { return };
            self.score_at(plan, limit, newest, sink);
        }
    }

    /// Judges one score at `at`. False when what is known decides nothing.
    fn score_at(&mut self, plan: &Plan, limit: &Limit, at: Time, sink: &mut Sink<'_>) -> bool {
        let (Some(test), Some(more)) = (&limit.score, &self.more) else { return false };
        let (parts, min, max) = news2::range(&more.inputs.of(test, at));
        let seen = limit.of_points(min, max, parts.has_three());
        let bits = |counts: fn(u8) -> bool| {
            let has = |parameter: &Parameter| parts.get(*parameter).is_some_and(counts);
            Parameter::ALL
                .iter()
                .enumerate()
                .fold(0_u8, |bits, (bit, parameter)| bits | u8::from(has(parameter)) << bit)
        };
        let beyond = limit.is_beyond(seen);
        let mine = |track: &&mut crate::track::Track| track.rule == limit.rule;
        if !beyond {
            let Some(track) = self.tracks.iter_mut().find(mine) else { return true };
            if track.parts & !bits(|_| true) != 0 {
                return false;
            }
        }
        self.in_order(plan, limit, 0, at, seen, sink);
        // A level may wait from here on, and be through by the clock.
        sink.rewind |= beyond;
        if beyond && let Some(track) = self.tracks.iter_mut().find(mine) {
            track.parts = bits(|points| points > 0);
        }
        true
    }

    /// Log time at which a level that waits is through when nothing else is said: a set that is measured once in a cabin.
    pub(crate) fn score_deadline(&self, plan: &Plan, now: Time) -> Option<Time> {
        let waits = self.tracks.iter().filter_map(|track| {
            let limit = plan.scores().iter().find(|limit| limit.rule == track.rule)?;
            Some(plan.awake_from(limit.rule, track.heard.plus_us(track.waits_us(limit)?).max(now)))
        });
        waits.min()
    }

    /// Hold times that are through by log time.
    pub(crate) fn hold_scores(&mut self, plan: &Plan, sink: &mut Sink<'_>) {
        for limit in plan.scores() {
            let Some(track) = self.tracks.iter().find(|track| track.rule == limit.rule) else { continue };
            let Some(wait_us) = track.waits_us(limit) else { continue };
            let (heard, last_at) = (track.heard, track.last_at);
            if sink.now.since_us(heard) < wait_us || !plan.is_awake(limit.rule, sink.now) {
                continue;
            }
            let at = last_at.plus_us(sink.now.since_us(heard));
            let judged = !sink.calm.covers_values(at) && self.score_at(plan, limit, at, sink);
            self.after_hold(limit, (heard, last_at), judged);
        }
    }

    /// The clock is no value: what comes next is newer than the last value, not than the tick.
    fn after_hold(&mut self, limit: &Limit, (heard, last_at): (Time, Time), judged: bool) {
        let Some(index) = self.tracks.iter().position(|track| track.rule == limit.rule) else { return };
        let Some(track) = self.tracks.get_mut(index) else { return };
        (track.heard, track.last_at) = (heard, last_at);
        if !judged {
            track.restart();
            if track.is_pending() {
                self.tracks.swap_remove(index);
            }
        }
    }
}
