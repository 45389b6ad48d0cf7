//! What is too old: the limits of retention as instants, by the newest `now` that `maintain` was told and that can be believed.

use std::collections::HashMap;

use model::Metric;

use super::config::Retention;
use super::row::Key;

/// A day in microseconds.
const DAY: i64 = 86_400_000_000;

/// So far ahead of the newest reading the clock is believed, microseconds. What it says beyond that makes nothing older.
const AHEAD: i64 = 2 * DAY;

/// The time by which things grow old: the clock's, but hardly later than the newest reading. One wrong clock must not end everything
/// that was ever stored. `None` while nothing is stored: then nothing is old.
///
/// `doubted` remembers whether it was said that the clock is not believed, until it is again.
pub(super) fn believe(now: i64, newest: Option<i64>, doubted: &mut bool) -> Option<i64> {
    let latest = newest?.saturating_add(AHEAD);
    if now > latest && !*doubted {
        let days = now.saturating_sub(latest).saturating_add(AHEAD) / DAY;
        tracing::warn!(
            days,
            "the clock is days ahead of the newest reading: retention waits until readings of that time come"
        );
    }
    *doubted = now > latest;
    Some(now.min(latest))
}

/// What is kept of some rows, from everything to nothing. The numbers are those of the `kept` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Keep {
    Rows = 0,
    /// Rollups of one minute and of one hour.
    Minutes = 1,
    Hours = 2,
    Nothing = 3,
}

impl Keep {
    pub(super) fn from_column(number: i64) -> Option<Self> {
        [Self::Rows, Self::Minutes, Self::Hours].into_iter().find(|keep| *keep as i64 == number)
    }
}

/// Instants before which readings, rollups and waveforms go.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    retention: Retention,
    /// Microseconds; `i64::MIN` until the first `maintain`: nothing is old.
    now: i64,
    raw: i64,
    raw_of: HashMap<u16, i64>,
    /// Rows of a metric before it are gone already, whatever the settings say by now: rollups answer there.
    gone: HashMap<u16, i64>,
    /// The latest of the limits of rows: a row at or after it needs no second look.
    latest: i64,
}

impl Limits {
    pub(super) fn new(retention: Retention, now: i64) -> Self {
        let (raw_of, gone) = (HashMap::new(), HashMap::new());
        let mut limits = Self { retention, now: i64::MIN, raw: i64::MIN, raw_of, gone, latest: i64::MIN };
        limits.advance(now);
        limits
    }

    pub(super) fn now(&self) -> i64 {
        self.now
    }

    /// Time goes on; it does not go back, because what is gone stays gone.
    pub(super) fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        self.raw = self.before(self.retention.raw_days);
        let days = &self.retention.raw_days_of;
        let of = days.iter().filter_map(|(word, days)| Some((Metric::from_slug(word)?.id(), self.before(*days))));
        self.raw_of = of.collect();
        self.latest = self.raw_of.values().chain(self.gone.values()).copied().fold(self.raw, i64::max);
    }

    /// Rows of this metric were deleted up to this instant: none before it is taken any more.
    pub(super) fn set_gone(&mut self, metric: u16, until: i64) {
        let gone = self.gone.entry(metric).or_insert(i64::MIN);
        *gone = until.max(*gone);
        self.latest = self.latest.max(until);
    }

    /// 0 days is for ever.
    fn before(&self, days: u32) -> i64 {
        if days == 0 { i64::MIN } else { self.now.saturating_sub(i64::from(days) * DAY) }
    }

    /// Rows of this series before it are not kept.
    pub(super) fn rows(&self, key: Key) -> i64 {
        let (metric, gone) = (key as u16, |metric| self.gone.get(&metric).copied().unwrap_or(i64::MIN));
        self.raw_of.get(&metric).copied().unwrap_or(self.raw).max(gone(metric))
    }

    pub(super) fn waveforms(&self) -> i64 {
        self.before(self.retention.waveform_days)
    }

    /// A row of this instant comes too late.
    pub(super) fn is_expired(&self, key: Key, at: i64) -> bool {
        at < self.latest && at < self.rows(key)
    }

    /// Nothing at or after this is expired, of any series.
    pub(super) fn latest(&self) -> i64 {
        self.latest
    }

    /// What is still kept of rows whose last one is at `t1`.
    pub(super) fn keep(&self, key: Key, t1: i64) -> Keep {
        if t1 >= self.rows(key) {
            Keep::Rows
        } else if t1 >= self.before(self.retention.minute_days) {
            Keep::Minutes
        } else if t1 >= self.before(self.retention.hour_days) {
            Keep::Hours
        } else {
            Keep::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::row::key_of;
    use model::{ElderId, Subject};

    #[test]
    fn each_step_has_its_own_time_and_metrics_their_own_days() {
        let raw_days_of = [("systolic".to_owned(), 0), ("spo2".to_owned(), 800)].into_iter().collect();
        let retention = Retention { raw_days_of, ..Retention::default() };
        let limits = Limits::new(retention, 5_000 * DAY);
        let keep =
            |metric, days_ago: i64| limits.keep(key_of(Subject::Elder(ElderId(1)), metric), (5_000 - days_ago) * DAY);
        let steps = [(90, Keep::Rows), (91, Keep::Minutes), (731, Keep::Hours), (3_651, Keep::Nothing)];
        for (days, kept) in steps {
            assert_eq!(keep(Metric::HeartRate, days), kept, "{days}");
        }
        assert_eq!(keep(Metric::Systolic, 4_999), Keep::Rows);
        assert_eq!((keep(Metric::Spo2, 799), keep(Metric::Spo2, 801)), (Keep::Rows, Keep::Hours));
    }

    #[test]
    fn a_clock_is_believed_two_days_beyond_the_newest_reading() {
        let mut doubted = false;
        assert_eq!(believe(9 * DAY, None, &mut doubted), None);
        assert_eq!((believe(9 * DAY, Some(8 * DAY), &mut doubted), doubted), (Some(9 * DAY), false));
        assert_eq!((believe(i64::MAX, Some(8 * DAY), &mut doubted), doubted), (Some(10 * DAY), true));
        assert_eq!((believe(i64::MIN, Some(i64::MAX), &mut doubted), doubted), (Some(i64::MIN), false));
    }

    #[test]
    fn nothing_is_old_before_anybody_said_what_time_it_is_and_time_does_not_go_back() {
        let mut limits = Limits::new(Retention::default(), i64::MIN);
        let key = key_of(Subject::Elder(ElderId(1)), Metric::Spo2);
        assert!(!limits.is_expired(key, i64::MIN));
        limits.advance(100 * DAY);
        limits.advance(0);
        assert!(limits.is_expired(key, 10 * DAY - 1) && !limits.is_expired(key, 10 * DAY));
    }
}
