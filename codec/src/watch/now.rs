//! The gateway's time, for replies that set a device's clock. A codec has no clock: the link says what time it is.

use jiff::civil::DateTime;

use crate::Settings;

/// The gateway's time in UTC; `None` when the link has not said it, and then such a reply is not made.
pub(super) fn utc(settings: &Settings) -> Option<DateTime> {
    let stamp = jiff::Timestamp::from_microsecond(settings.now?.micros()).ok()?;
    Some(jiff::tz::Offset::UTC.to_datetime(stamp))
}

/// `yyyyMMddHHmmss` in UTC.
pub(super) fn compact(settings: &Settings) -> Option<String> {
    utc(settings).map(|now| now.strftime("%Y%m%d%H%M%S").to_string())
}
