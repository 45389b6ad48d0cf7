//! The Date Time of Bluetooth (characteristic 2A08): seven octets, the user's local time, no zone.

use crate::{DeviceClock, Malformed, Settings, Stamp};

/// Reads a whole Date Time; bytes after it are ignored. Year 0 is "not known".
pub fn date_time(bytes: &[u8], settings: &Settings) -> Result<Stamp, Malformed> {
    bytes.first_chunk().map(|octets| of(*octets, settings)).ok_or(Malformed::Short("the date and time"))
}

pub(super) fn of([y0, y1, month, day, hour, minute, second]: [u8; 7], settings: &Settings) -> Stamp {
    let year = u16::from_le_bytes([y0, y1]);
    if year == 0 {
        return Stamp::Silent;
    }
    let offset_min = match settings.clock {
        DeviceClock::Utc => 0,
        DeviceClock::Protocol | DeviceClock::Local => settings.offset_min,
    };
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(i64::from);
    Stamp::civil([i64::from(year), month, day, hour, minute, second], offset_min)
}
