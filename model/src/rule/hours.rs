//! A time of day, by the wall clock of Asia/Shanghai (UTC+8, no daylight saving): in which a rule may raise.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Time;

const MINUTE_US: i64 = 60_000_000;
const DAY_MIN: i64 = 1_440;
/// Asia/Shanghai is ahead of UTC by so much; it has had no daylight saving since 1991.
const ZONE_MIN: i64 = 480;

/// `"07:00-22:00"`; may go over midnight (`"22:00-06:00"`). The end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hours {
    /// Minutes since midnight, below 1440.
    from: u16,
    to: u16,
}

/// Not of the form `HH:MM-HH:MM`, or empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hours are written HH:MM-HH:MM with two different times, not {0:?}")]
pub struct BadHours(pub String);

impl Hours {
    pub fn parse(text: &str) -> Result<Self, BadHours> {
        let minute = |part: &str| {
            let (hour, minute) = part.split_once(':')?;
            let two = |digits: &str, below: u16| {
                let number: u16 = if digits.len() == 2 { digits.parse().ok()? } else { return None };
                (number < below).then_some(number)
            };
            Some(two(hour, 24)? * 60 + two(minute, 60)?)
        };
        let both = || {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute(from)?, minute(to)?);
            (from != to).then_some(Self { from, to })
        };
        both().ok_or_else(|| BadHours(text.chars().take(32).collect()))
    }

    /// The wall clock in Asia/Shanghai at `at` lies in them.
    pub fn contains(self, at: Time) -> bool {
        let minute = (at.0.div_euclid(MINUTE_US) + ZONE_MIN).rem_euclid(DAY_MIN);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from < to { (from..to).contains(&minute) } else { minute >= from || minute < to }
    }

    /// The next instant after `at` at which they begin.
    pub fn next_start(self, at: Time) -> Time {
        let minutes = at.0.div_euclid(MINUTE_US) + ZONE_MIN;
        let today = minutes - minutes.rem_euclid(DAY_MIN) + i64::from(self.from);
        let start = if today > minutes { today } else { today + DAY_MIN };
        Time((start - ZONE_MIN) * MINUTE_US)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl Serialize for Hours {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hours {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn by_the_wall_clock_of_shanghai() {
        let day = Hours::parse("07:00-22:00").unwrap();
        assert!(day.contains(at("2026-02-28T07:00:00+08:00")) && day.contains(at("2026-02-28T21:59:59+08:00")));
        assert!(!day.contains(at("2026-02-28T22:00:00+08:00")) && !day.contains(at("2026-02-28T06:59:59+08:00")));
        let night = Hours::parse("22:00-06:00").unwrap();
        assert!(night.contains(at("2026-12-31T23:30:00+08:00")) && night.contains(at("2027-01-01T05:59:00+08:00")));
        assert!(!night.contains(at("2027-01-01T06:00:00+08:00")));
        assert_eq!(night.next_start(at("2026-12-31T22:00:00+08:00")), at("2027-01-01T22:00:00+08:00"));
        assert_eq!(night.next_start(at("2026-12-31T21:59:00+08:00")), at("2026-12-31T22:00:00+08:00"));
    }

    #[test]
    fn other_forms_are_refused() {
        for text in
            ["", "7:00-22:00", "07:00", "24:00-06:00", "07:60-08:00", "07:00-07:00", "07:00–22:00", "a7:00-08:00"]
        {
            assert_eq!(Hours::parse(text), Err(BadHours(text.to_owned())));
        }
    }
}
