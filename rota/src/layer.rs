//! The days of duty of one layer: when each begins and ends in UTC, and whose turn it is.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Time;

use crate::calendar::Calendar;
use crate::plan::{Layer, Only};
use crate::wall;

/// One day of duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Time,
    pub(crate) until: Time,
    /// Counted from the layer's first day.
    pub(crate) turn: i64,
    /// The year that would have to be known to say whether the layer acts on this day at all.
    pub(crate) unknown: Option<i16>,
}

impl Span {
    pub(crate) fn contains(&self, at: Time) -> bool {
        self.from <= at && at < self.until
    }
}

impl Layer {
    /// Its days of duty that touch `from..until`, ascending.
    pub(crate) fn spans(&self, zone: &TimeZone, calendar: &Calendar, from: Time, until: Time) -> Vec<Span> {
        let (Some(first), Some(last)) = (wall::date(from, zone), wall::date(until, zone)) else { return Vec::new() };
        // The day before may still go on at `from`: no day of duty is longer than 25 hours.
        let first = first.yesterday().unwrap_or(first).max(self.start_date);
        let last = self.until.map_or(last, |until| until.min(last));
        if first > last {
            return Vec::new();
        }
        let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last);
        let spans = days.filter_map(|day| self.span(day, zone, calendar));
        spans.filter(|span| span.from < until && from < span.until).collect()
    }

    fn span(&self, day: Date, zone: &TimeZone, calendar: &Calendar) -> Option<Span> {
        if !self.weekdays.is_empty() && !self.weekdays.iter().any(|weekday| weekday.is(day)) {
            return None;
        }
        let from = self.hand_over.on(day, zone)?;
        let end = self.end.unwrap_or(self.hand_over);
        let last = if end > self.hand_over { day } else { day.tomorrow().ok()? };
        let until = end.on(last, zone)?;
        let acts = self.needs().map_or(Some(true), |only| only.holds(day, calendar, from));
        let unknown = match acts {
            Some(true) => None,
            Some(false) => return None,
            None => Some(day.year()),
        };
        // A shift inside the hour that summer time skips has no length.
        (from < until).then(|| Span { from, until, turn: self.turn(day), unknown })
    }

    fn turn(&self, day: Date) -> i64 {
        let days = (day - self.start_date).get_days();
        self.turn_days().map_or(0, |length| i64::from(days).div_euclid(length))
    }

    /// Index of the person whose turn it is. `people` must not be empty.
    pub(crate) fn index(&self, turn: i64) -> usize {
        turn.rem_euclid(self.people.len().max(1) as i64) as usize
    }
}

impl Only {
    /// `None`: the calendar does not say.
    fn holds(self, day: Date, calendar: &Calendar, known_at: Time) -> Option<bool> {
        match self {
            Self::Workdays => calendar.is_off(day, known_at).map(|off| !off),
            Self::DaysOff => calendar.is_off(day, known_at),
            Self::Holidays => calendar.is_holiday(day, known_at),
        }
    }
}
