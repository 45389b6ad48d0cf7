//! Whether an elder wears something that speaks all the time, or sat down for a measurement. Only who wears something can fall
//! silent within hours: a cuff tells a pulse too, and is not missed half an hour after breakfast.

use model::Time;
use serde::{Deserialize, Serialize};

use crate::SECOND_US;
use crate::clock::SetBack;
use crate::limit::STREAM_GAP_US;
use crate::state::{NEVER, Series};

/// A longer pause (70 minutes) between two values of a stream begins a new stretch of wearing: there are watches that tell one an hour.
const PAUSE_US: i64 = 4_200 * SECOND_US;
/// A shorter stretch (2 hours) is a sitting: a minute with a clip, three values of a cuff, a round in a health cabin.
const SITTING_US: i64 = 7_200 * SECOND_US;
/// Who wore something is known to for so long (a week) after: a band with a bad line is missed each time it falls silent.
const KNOWN_US: i64 = 7 * 86_400 * SECOND_US;

/// The stretch that goes on or was the last, in log time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Worn {
    from: Time,
    heard: Time,
    /// Until when the elder is known to wear something.
    until: Time,
}

impl Worn {
    pub(crate) const fn never() -> Self {
        Self { from: NEVER, heard: NEVER, until: NEVER }
    }

    /// A live value of a stream. `true`: from now on the elder is known to wear something, and was not before.
    pub(crate) fn hear(&mut self, now: Time) -> bool {
        let before = self.is_known();
        if self.heard == NEVER || now.since_us(self.heard) > PAUSE_US {
            self.from = now;
        }
        self.heard = now;
        if now.since_us(self.from) >= SITTING_US {
            self.until = now.plus_us(KNOWN_US);
        }
        !before && self.is_known()
    }

    pub(crate) fn is_known(&self) -> bool {
        self.heard != NEVER && self.heard <= self.until
    }

    /// Log time follows a clock that was set back.
    pub(crate) fn set_back(&mut self, back: SetBack) {
        back.set(&mut self.from);
        back.set(&mut self.heard);
        if self.until != NEVER {
            let mut told_at = self.until.plus_us(-KNOWN_US);
            back.set(&mut told_at);
            self.until = told_at.plus_us(KNOWN_US);
        }
    }
}

/// The same of one metric of one device: who wears a band may hold an ECG in the hand once a week.
impl Series {
    /// A judged value that is newer than all before.
    pub(crate) fn take(&mut self, at: Time) {
        if self.last_at == NEVER || at.since_us(self.last_at) > STREAM_GAP_US {
            self.from = at;
        }
        self.last_at = at;
        if at.since_us(self.from) >= SITTING_US {
            self.worn_at = at;
        }
    }

    /// It is worn now: told values for two hours, without a pause over which no hold time runs on. The next value is sure to
    /// come, and says whether the last one was true.
    pub(crate) fn is_worn(&self) -> bool {
        self.worn_at != NEVER && self.worn_at == self.last_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_US: i64 = 60 * SECOND_US;

    fn heard(worn: &mut Worn, minutes: impl IntoIterator<Item = i64>) -> Vec<bool> {
        minutes.into_iter().map(|minute| worn.hear(Time(minute * MINUTE_US))).collect()
    }

    #[test]
    fn a_sitting_is_not_wearing_and_two_hours_without_long_pauses_are() {
        let mut worn = Worn::never();
        heard(&mut worn, [0, 1, 2, 3, 600, 601, 602]);
        assert!(!worn.is_known());
        // A watch that speaks every hour, more or less, heard for two.
        assert_eq!(heard(&mut worn, [1_000, 1_061, 1_120]), [false, false, true]);
    }

    #[test]
    fn who_wore_something_is_known_to_for_a_week_whatever_the_pauses() {
        let mut worn = Worn::never();
        heard(&mut worn, (0..=120).step_by(10));
        heard(&mut worn, [120 + 6 * 1_440]);
        assert!(worn.is_known());
        heard(&mut worn, [120 + 8 * 1_440]);
        assert!(!worn.is_known());
    }

    #[test]
    fn a_watch_of_every_half_hour_is_worn_and_one_of_every_hour_tells_single_values() {
        for (every, worn) in [(1, true), (30, true), (60, false)] {
            let mut series =
                Series { metric: model::Metric::Spo2, source: 3, last_at: NEVER, from: NEVER, worn_at: NEVER };
            (0..=240).step_by(every).for_each(|minute| series.take(Time(minute * MINUTE_US)));
            assert_eq!(series.is_worn(), worn, "every {every} min");
            series.take(Time(300 * MINUTE_US));
            assert!(!series.is_worn(), "an hour later it begins anew");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_changes_nothing() {
        let mut worn = Worn::never();
        heard(&mut worn, (0..=110).step_by(10));
        worn.set_back(SetBack { at: Time(-9_890 * MINUTE_US), by_us: 10_000 * MINUTE_US });
        assert_eq!(heard(&mut worn, [-9_885, -9_880]), [false, true]);
    }
}
