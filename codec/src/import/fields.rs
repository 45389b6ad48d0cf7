//! Numbers and times as they stand in headers of recordings.

use jiff::civil::{Date, DateTime, Time};

/// Decimals of a number that are kept exact.
const DECIMALS_MAX: usize = 6;

/// A decimal such as `360`, `128.5` or `1e2` without sign as a fraction `(n, 10^k)`.
pub(super) fn fraction(text: &str) -> Option<(u64, u64)> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.trim_end_matches('0');
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || decimals.len() > DECIMALS_MAX || !digits(whole) || !digits(decimals) {
        return None;
    }
    let scale = 10_u64.pow(decimals.len() as u32);
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = if decimals.is_empty() { 0 } else { decimals.parse().ok()? };
    Some((whole * scale + part, scale))
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Hours, minutes and seconds (with a fraction) parted by `mark`; without hours it is minutes and seconds after midnight.
pub(super) fn time_of_day(text: &str, mark: char) -> Option<Time> {
    let parts: Vec<&str> = text.split(mark).collect();
    let [hours, minutes, seconds] = match parts[..] {
        [h, m, s] => [h, m, s],
        [m, s] => ["0", m, s],
        _ => return None,
    };
    let (count, scale) = fraction(seconds)?;
    let (seconds, fraction) = (count / scale, (count % scale) * (1_000_000_000 / scale));
    Time::new(hours.parse().ok()?, minutes.parse().ok()?, i8::try_from(seconds).ok()?, i32::try_from(fraction).ok()?)
        .ok()
}

/// A calendar date.
pub(super) fn date(year: i16, month: i8, day: i8) -> Option<Date> {
    Date::new(year, month, day).ok()
}

/// Both, when both are known.
pub(super) fn moment(date: Option<Date>, time: Option<Time>) -> Option<DateTime> {
    Some(date?.to_datetime(time?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_fractions() {
        assert_eq!(fraction("360"), Some((360, 1)));
        assert_eq!(fraction("128.50"), Some((1_285, 10)));
        assert_eq!(fraction("0.0001"), Some((1, 10_000)));
        for bad in ["", ".", "-1", "1e5", "1.2.3", "1.12345678", "99999999999", "x"] {
            assert_eq!(fraction(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day("12:05:07.25", ':'), Time::new(12, 5, 7, 250_000_000).ok());
        assert_eq!(time_of_day("10:30", ':'), Time::new(0, 10, 30, 0).ok());
        assert_eq!(time_of_day("25.00.00", '.'), None);
    }
}
