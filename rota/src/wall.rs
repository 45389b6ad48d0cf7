//! The wall clock: times of day as people write them, zones by name, and the way from there to UTC.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use model::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The zone of a rota that names none.
pub const ZONE: &str = "Asia/Shanghai";

/// A time of day, `"08:00"`, to the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall {
    hour: i8,
    minute: i8,
}

impl Wall {
    pub fn parse(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let two = |digits: &str, below: i8| {
            let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|number| plain && *number < below)
        };
        Some(Self { hour: two(hour, 24)?, minute: two(minute, 60)? })
    }

    /// This time on `date`. In the hour that a summer time skips it is as much later as was skipped; in the hour that comes
    /// twice it is the first one. So the shifts of two days always meet.
    pub(crate) fn on(self, date: Date, zone: &TimeZone) -> Option<Time> {
        let local = date.at(self.hour, self.minute, 0, 0);
        let stamp = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(Time(stamp.as_microsecond()))
    }
}

/// The zone of this IANA name. `None`: there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// The date in `zone` at `at`. `None` only for instants outside of the calendar.
pub(crate) fn date(at: Time, zone: &TimeZone) -> Option<Date> {
    let stamp = jiff::Timestamp::from_microsecond(at.0).ok()?;
    Some(zone.to_datetime(stamp).date())
}

/// `2026-11-22 08:00` by the wall clock of this zone. `None`: there is no such zone.
pub fn local(at: Time, name: &str) -> Option<String> {
    let stamp = jiff::Timestamp::from_microsecond(at.0).ok()?;
    Some(zone(name)?.to_datetime(stamp).strftime("%Y-%m-%d %H:%M").to_string())
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)
    }
}

impl Serialize for Wall {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let bad = || serde::de::Error::custom("a time of day is written HH:MM, from 00:00 to 23:59");
        Self::parse(&text).ok_or_else(bad)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_of_day_is_one() {
        for good in ["00:00", "08:30", "23:59"] {
            assert_eq!(Wall::parse(good).map(|wall| wall.to_string()).as_deref(), Some(good));
        }
        for bad in ["", "8:00", "24:00", "08:60", "08:00:00", "+8:00", "08-00", "::"] {
            assert_eq!(Wall::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_hour_that_is_skipped_or_comes_twice_has_one_instant() {
        let london = zone("Europe/London").unwrap();
        let at = |text: &str, date: Date| Wall::parse(text).unwrap().on(date, &london).unwrap().to_string();
        // 2026-03-29 01:00 -> 02:00; 2026-10-25 02:00 -> 01:00.
        assert_eq!(at("01:30", Date::constant(2026, 3, 29)), "2026-03-29T01:30:00Z");
        assert_eq!(at("02:00", Date::constant(2026, 3, 29)), "2026-03-29T01:00:00Z");
        assert_eq!(at("01:30", Date::constant(2026, 10, 25)), "2026-10-25T00:30:00Z");
        assert!(zone("Asia/Shanghai").is_some() && zone("Asia/Chang'an").is_none() && zone("").is_none());
    }
}
