//! One instant: microseconds since 1970-01-01 UTC in an `i64`.
//!
//! Eight bytes, ordered, never fails, the same on disk and in memory; text is RFC 3339. The readings path moves
//! hundreds of thousands of these a second, which is why it is not a calendar type. A day on screen is Asia/Shanghai.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the Unix epoch, UTC. Readings of one metric at one device time differ by `n` microseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Earliest instant Vigil accepts as a time at all (1900-01-01).
    pub const MIN: Self = Self(-2_208_988_800_000_000);
    /// Latest instant Vigil accepts (9999-01-01): later values are corrupt, not far-sighted.
    pub const MAX: Self = Self(253_370_764_800_000_000);

    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds, rounded towards the past.
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds, rounded towards the past.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Microseconds from `earlier` to `self`; negative when `self` is the earlier one.
    pub const fn since_us(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `self` moved by `us` microseconds, saturating.
    #[must_use]
    pub const fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// Parses RFC 3339 with an offset ("2026-11-22T08:00:00+08:00"). `None` when it is not one or out of range.
    pub fn parse(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.parse().ok()?;
        let time = Self(stamp.as_microsecond());
        (Self::MIN..=Self::MAX).contains(&time).then_some(time)
    }
}

impl Add<Duration> for Time {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        self.plus_us(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(stamp) => write!(f, "{stamp}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("not an RFC 3339 time: {text:?}")))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_keeps_microseconds() {
        let time = Time::parse("2026-11-22T08:00:00.000123+08:00").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T00:00:00.000123Z");
        assert_eq!(serde_json::from_str::<Time>(&serde_json::to_string(&time).unwrap()).unwrap(), time);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "2026-13-01T00:00:00Z", "2026-11-22 08:00", "now"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
    }
}
