//! What a device's clock said, before anybody decides what it is worth.

use jiff::civil::DateTime;
use model::Time;

/// A device's own time of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceTime {
    /// Date and time of day as the device gave them.
    pub wall: DateTime,
    /// Minutes east of UTC that belong to `wall`.
    pub offset_min: i16,
    /// The codec itself sees that the clock was never set (1970, 2000, no fix): not to be used as a time.
    pub suspect: bool,
}

/// What a frame says about its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Nothing, or "unknown" in the protocol's own way.
    Silent,
    /// A date or time that cannot be: month 13, hour 24.
    Impossible,
    At(DeviceTime),
}

/// A device that has reached no later year than this one has a clock that was never set.
const UNSET_UNTIL: i16 = 2000;

impl Stamp {
    /// Year, month, day, hour, minute, second of a wall clock `offset_min` minutes east of UTC.
    pub fn civil([year, month, day, hour, minute, second]: [i64; 6], offset_min: i16) -> Self {
        let part = |value: i64| i8::try_from(value).unwrap_or(-1);
        let year = i16::try_from(year).unwrap_or(i16::MAX);
        match DateTime::new(year, part(month), part(day), part(hour), part(minute), part(second), 0) {
            Ok(wall) => Self::At(DeviceTime { wall, offset_min, suspect: year <= UNSET_UNTIL }),
            Err(_) => Self::Impossible,
        }
    }

    /// Seconds since 1970 UTC; the fraction is kept to the microsecond.
    pub fn unix(seconds: f64) -> Self {
        // The cast saturates: what is too far is refused in the next line.
        let Ok(stamp) = jiff::Timestamp::from_microsecond((seconds * 1e6).round() as i64) else {
            return Self::Impossible;
        };
        let wall = jiff::tz::Offset::UTC.to_datetime(stamp);
        Self::At(DeviceTime { wall, offset_min: 0, suspect: wall.year() <= UNSET_UNTIL })
    }

    /// Moved by the device's own correction.
    pub(crate) fn plus_minutes(self, minutes: i16) -> Self {
        match self {
            Self::At(at) => {
                let moved = at.wall.checked_add(jiff::SignedDuration::from_mins(i64::from(minutes)));
                moved.map_or(Self::Impossible, |wall| Self::At(DeviceTime { wall, ..at }))
            }
            other => other,
        }
    }

    /// The device says itself that its clock is not set.
    pub(crate) fn distrusted(self) -> Self {
        match self {
            Self::At(at) => Self::At(DeviceTime { suspect: true, ..at }),
            other => other,
        }
    }

    pub const fn time(self) -> Option<DeviceTime> {
        match self {
            Self::At(time) => Some(time),
            Self::Silent | Self::Impossible => None,
        }
    }
}

impl DeviceTime {
    /// Microseconds since 1970 UTC; `None` when outside what Vigil accepts as a time.
    pub fn instant(self) -> Option<Time> {
        let offset = jiff::tz::Offset::from_seconds(i32::from(self.offset_min) * 60).ok()?;
        let stamp = offset.to_timestamp(self.wall).ok()?;
        let time = Time(stamp.as_microsecond());
        (Time::MIN..=Time::MAX).contains(&time).then_some(time)
    }

    /// RFC 3339 with the device's offset: the digits are the device's.
    pub fn rfc3339(self) -> String {
        let (sign, minutes) = if self.offset_min < 0 { ('-', -self.offset_min) } else { ('+', self.offset_min) };
        if minutes == 0 {
            format!("{}Z", self.wall)
        } else {
            format!("{}{sign}{:02}:{:02}", self.wall, minutes / 60, minutes % 60)
        }
    }

    /// Milliseconds of the device's wall clock read as if it were UTC: what a clock pair on the wire holds.
    pub fn wall_millis(self) -> Option<i64> {
        Self { offset_min: 0, ..self }.instant().map(Time::millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_clock_says() {
        let said = |stamp: Stamp| stamp.time().map(|time| (time.rfc3339(), time.suspect));
        assert_eq!(
            said(Stamp::civil([2026, 3, 1, 8, 5, 9], 480)),
            Some(("2026-03-01T08:05:09+08:00".to_owned(), false))
        );
        assert_eq!(said(Stamp::civil([2000, 1, 1, 0, 0, 5], 480)).map(|(_, suspect)| suspect), Some(true));
        assert_eq!(said(Stamp::unix(1_684_093_277.5)), Some(("2023-05-14T19:41:17.5Z".to_owned(), false)));
        for bad in [[2026, 13, 1, 0, 0, 0], [2026, 2, 30, 0, 0, 0], [2026, 1, 1, 24, 0, 0], [99_999, 1, 1, 0, 0, 0]] {
            assert_eq!(Stamp::civil(bad, 480), Stamp::Impossible, "{bad:?}");
        }
        for bad in [f64::NAN, f64::INFINITY, -1e300] {
            assert!(said(Stamp::unix(bad)).is_none_or(|(_, suspect)| suspect), "{bad}");
        }
    }
}
