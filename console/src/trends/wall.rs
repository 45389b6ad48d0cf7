//! The wall clock on the elders' walls: days, hours and weeks of Asia/Shanghai by the rules of the zone, not by adding eight hours.

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use model::Time;

/// Name of the zone in answers.
pub(super) const ZONE: &str = "Asia/Shanghai";

#[derive(Clone, Debug)]
pub(super) struct Wall(TimeZone);

/// What the clock shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Shown {
    pub(super) date: Date,
    /// Minutes since midnight, 0 to 1,439.
    pub(super) minute: u16,
}

impl Shown {
    pub(super) fn hour(self) -> usize {
        usize::from(self.minute / 60)
    }
}

impl Wall {
    /// The zone is in the program itself; were it missing, its offset of today would do.
    pub(super) fn new() -> Self {
        Self(TimeZone::get(ZONE).unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(8))))
    }

    /// What the clock shows at an instant. Beyond the calendar's end: its end.
    pub(super) fn at(&self, at: Time) -> Shown {
        let at = at.0.clamp(Time::MIN.0, Time::MAX.0);
        let shown = self.0.to_datetime(Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH));
        Shown { date: shown.date(), minute: shown.hour() as u16 * 60 + shown.minute() as u16 }
    }

    /// The instant at which a day begins.
    pub(super) fn midnight(&self, date: Date) -> Time {
        let at = self.0.to_ambiguous_zoned(date.to_datetime(jiff::civil::Time::midnight())).compatible();
        at.map_or(Time::MAX, |at| Time(at.timestamp().as_microsecond()))
    }

    /// The day so many days before (or, negative, after).
    pub(super) fn days_before(date: Date, days: i64) -> Date {
        date.checked_sub(jiff::Span::new().days(days)).unwrap_or(date)
    }

    /// The Monday of a day's week.
    pub(super) fn monday(date: Date) -> Date {
        Self::days_before(date, i64::from(date.weekday().since(Weekday::Monday)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_wall_shows_local_days_and_weeks() {
        let wall = Wall::new();
        let shown = wall.at(Time::parse("2026-11-21T16:00:30Z").unwrap());
        assert_eq!((shown.date, shown.minute), (date(2026, 11, 22), 0), "a new day at 16:00 UTC");
        assert_eq!(wall.at(Time::parse("2026-11-21T15:59:59Z").unwrap()).minute, 1_439);
        assert_eq!(wall.midnight(date(2026, 11, 22)), Time::parse("2026-11-21T16:00:00Z").unwrap());
        assert_eq!(Wall::monday(date(2026, 11, 22)), date(2026, 11, 16), "a Sunday");
        assert_eq!(Wall::monday(date(2026, 11, 16)), date(2026, 11, 16));
        assert_eq!(Wall::days_before(date(2026, 3, 1), 1), date(2026, 2, 28));
    }

    /// China had summer time from 1986 to 1991: a zone is more than an offset.
    #[test]
    fn the_rules_of_the_zone_count() {
        let shown = Wall::new().at(Time::parse("1988-07-01T00:00:00Z").unwrap());
        assert_eq!((shown.date, shown.hour()), (date(1988, 7, 1), 9));
    }
}
