//! The Date Time of Bluetooth (characteristic 2A08): seven octets, the user's local time, no zone.

use jiff::{ToSpan, civil};
use model::Quality;

use crate::{DeviceClock, DeviceTime, Malformed, Measured, Settings};

/// The first health profiles of Bluetooth LE appeared in 2011: a clock that says less was never set.
const FIRST_YEAR: i16 = 2011;

/// What a device said of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Nothing, or year 0: "not known".
    Unknown,
    Given(DeviceTime),
    /// A date was given that cannot be (month 13, hour 24): the clock is not to be believed.
    Impossible,
}

/// Reads a whole Date Time; bytes after it are ignored.
pub fn date_time(bytes: &[u8], settings: &Settings) -> Result<Stamp, Malformed> {
    bytes.first_chunk().map(|octets| Stamp::of(*octets, settings)).ok_or(Malformed::Short("the date and time"))
}

impl Stamp {
    pub(super) fn of([y0, y1, month, day, hour, minute, second]: [u8; 7], settings: &Settings) -> Self {
        let year = u16::from_le_bytes([y0, y1]);
        if year == 0 {
            return Self::Unknown;
        }
        let signed = |value: u8| i8::try_from(value).unwrap_or(-1);
        let wall = i16::try_from(year).ok().and_then(|year| {
            let time = [hour, minute, second].map(signed);
            civil::DateTime::new(year, signed(month), signed(day), time[0], time[1], time[2], 0).ok()
        });
        let offset_min = match settings.clock {
            DeviceClock::Utc => 0,
            DeviceClock::Protocol | DeviceClock::Local => settings.offset_min,
        };
        wall.map_or(Self::Impossible, |wall| {
            Self::Given(DeviceTime { wall, offset_min, suspect: wall.year() < FIRST_YEAR })
        })
    }

    /// Moved by the device's own correction.
    pub(super) fn plus_minutes(self, minutes: i16) -> Self {
        match self {
            Self::Given(at) => at
                .wall
                .checked_add(i64::from(minutes).minutes())
                .map_or(Self::Impossible, |wall| Self::Given(DeviceTime { wall, ..at })),
            other => other,
        }
    }

    /// The device says itself that its clock is not set.
    pub(super) fn distrusted(self) -> Self {
        match self {
            Self::Given(at) => Self::Given(DeviceTime { suspect: true, ..at }),
            other => other,
        }
    }

    /// The time as a reading carries it.
    pub const fn at(self) -> Option<DeviceTime> {
        match self {
            Self::Given(at) => Some(at),
            Self::Unknown | Self::Impossible => None,
        }
    }

    /// Puts the time on a reading, with the doubt that belongs to it.
    pub(super) fn on(self, reading: Measured) -> Measured {
        let reading = reading.at(self.at());
        let doubtful = matches!(self, Self::Impossible | Self::Given(DeviceTime { suspect: true, .. }));
        if doubtful { reading.doubted(Quality::ClockSuspect) } else { reading }
    }
}
