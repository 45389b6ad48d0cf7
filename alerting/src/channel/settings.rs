//! Checks that the settings of several channels share.

use std::time::Duration;

use crate::Error;

/// No name longer than this: it is a mistake.
const SETTING_BYTES_MAX: usize = 256;

/// Names that must be there. `channel` is where they stand: `channels.feishu`.
pub(super) fn filled(channel: &'static str, settings: &[(&str, &str)]) -> Result<(), Error> {
    for (name, value) in settings {
        if value.is_empty()
            || value.len() > SETTING_BYTES_MAX
            || value.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(Error::Config { key: channel, reason: format!("{name} is empty, too long or has blanks") });
        }
    }
    Ok(())
}

/// `timeout_s` when it is not given: a P1 must not wait longer before it goes another way.
pub(super) const fn timeout_s() -> u64 {
    5
}

pub(super) fn timeout(channel: &'static str, seconds: u64) -> Result<Duration, Error> {
    if !(1..=30).contains(&seconds) {
        return Err(Error::Config { key: channel, reason: "timeout_s is not within 1 to 30".into() });
    }
    Ok(Duration::from_secs(seconds))
}
