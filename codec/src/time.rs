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
