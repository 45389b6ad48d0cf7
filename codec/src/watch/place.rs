//! Where and when: device times and positions as watch protocols write them.

use crate::{Decimal, DeviceClock, Position, Settings, Stamp};

/// Before this year there was no such device: a clock that says so was never set, or its count of GPS weeks has wrapped.
const FIRST_YEAR: i16 = 2010;
/// Digits kept of a degree: about a centimetre.
const DEGREE_SCALE: f64 = 1e7;

/// Year with its century, month, day, hour, minute, second. `protocol_offset_min` is what the protocol says about its clock,
/// unless the device's settings say otherwise. A clock that stands on the first day of a decade without a satellite fix was
/// never set.
pub(super) fn clock(parts: [i16; 6], protocol_offset_min: i16, fix: bool, settings: &Settings) -> Stamp {
    let [year, month, day, ..] = parts;
    let offset_min = match settings.clock {
        DeviceClock::Protocol => protocol_offset_min,
        DeviceClock::Local => settings.offset_min,
        DeviceClock::Utc => 0,
    };
    let unset = year < FIRST_YEAR || (!fix && year % 10 == 0 && month == 1 && day == 1);
    let stamp = Stamp::civil(parts.map(i64::from), offset_min);
    if unset { stamp.distrusted() } else { stamp }
}

/// Six groups of two binary-coded digits, the year without its century.
pub(super) fn bcd_clock(bytes: &[u8], protocol_offset_min: i16, fix: bool, settings: &Settings) -> Stamp {
    let two = |at: usize| bytes.get(at).copied().and_then(bcd).unwrap_or(-1);
    let parts = [2000 + two(0), two(1), two(2), two(3), two(4), two(5)];
    clock(parts, protocol_offset_min, fix, settings)
}

/// Two decimal digits in one byte.
pub(super) fn bcd(byte: u8) -> Option<i16> {
    let (high, low) = (byte >> 4, byte & 15);
    (high < 10 && low < 10).then(|| i16::from(high) * 10 + i16::from(low))
}

/// Digits of binary-coded decimals; `None` when a nibble is no digit.
pub(super) fn bcd_digits(bytes: &[u8]) -> Option<String> {
    bytes.iter().all(|byte| bcd(*byte).is_some()).then(|| crate::hex(bytes))
}

/// Two decimal digits of text at `at`.
pub(super) fn two(text: &str, at: usize) -> Option<i16> {
    text.get(at..at + 2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
}

/// A place on earth, or none: beyond the poles, or 0/0, which devices write when they do not know.
pub(super) fn position(lat: f64, lon: f64, fix: bool, stamp: Stamp) -> Option<Position> {
    let known = lat.abs() <= 90.0 && lon.abs() <= 180.0 && (lat != 0.0 || lon != 0.0);
    let rounded = |degrees: f64| (degrees * DEGREE_SCALE).round() / DEGREE_SCALE;
    known.then(|| Position { lat: rounded(lat), lon: rounded(lon), fix, at: stamp.time() })
}

/// Decimal degrees with their letter. A sign that is there already stands: west of a negative longitude is the same west.
pub(super) fn degrees(text: &str, letter: &str) -> Option<f64> {
    Some(sided(Decimal::parse(text.trim())?.to_f64(), letter))
}

/// Degrees and minutes in one number (`2234.9806`, with or without its point after the minutes) with their letter.
/// `places` is how many digits of degrees a number without point has: 2 for latitudes, 3 for longitudes.
pub(super) fn minutes(text: &str, letter: &str, places: usize) -> Option<f64> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let split = match digits.find('.') {
        Some(point) => point.checked_sub(2)?,
        None => places,
    };
    let (degrees, minutes) = digits.split_at_checked(split)?;
    // One maker writes -23-3.3408: the minutes carry a sign of their own.
    let (degrees, minutes) = (degrees.trim_end_matches('-'), minutes.trim_start_matches('-'));
    let minutes = if minutes.contains('.') {
        Decimal::parse(minutes)?.to_f64()
    } else {
        let (whole, fraction) = minutes.split_at_checked(2)?;
        Decimal::parse(&format!("{whole}.{fraction}"))?.to_f64()
    };
    let whole = if degrees.is_empty() { 0.0 } else { Decimal::parse(degrees)?.to_f64() };
    (minutes < 60.0).then(|| sided(if negative { -(whole + minutes / 60.0) } else { whole + minutes / 60.0 }, letter))
}

fn sided(degrees: f64, letter: &str) -> f64 {
    if matches!(letter.trim(), "S" | "W" | "s" | "w") { -degrees.abs() } else { degrees }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_never_flip_a_sign() {
        assert_eq!(degrees("-84.1422119", "W"), Some(-84.142_211_9));
        assert_eq!(degrees("84.1422119", "W"), Some(-84.142_211_9));
        assert_eq!(degrees(" 9.1574736", "E"), Some(9.157_473_6));
        assert_eq!(degrees("", "E"), None);
    }

    #[test]
    fn degrees_and_minutes_in_all_their_forms() {
        let near = |text: &str, letter: &str, places: usize, want: f64| {
            let got = minutes(text, letter, places).unwrap();
            assert!((got - want).abs() < 1e-6, "{text}: {got}");
        };
        near("2232.9806", "N", 2, 22.549_677);
        near("11404.9355", "E", 3, 114.082_258);
        near("701.8915", "S", 2, -7.031_525);
        near("37573392", "S", 2, -37.955_653);
        near("145037022", "E", 3, 145.061_703);
        near("-23-3.3408", "S", 2, -23.055_68);
        for bad in ["", "-", "1.5", "2275.0000", "22x2.9806", "."] {
            assert_eq!(minutes(bad, "N", 2), None, "{bad}");
        }
    }

    #[test]
    fn a_clock_that_was_never_set_is_suspect() {
        let settings = Settings::default();
        let new = |parts, fix| clock(parts, 0, fix, &settings).time();
        assert!(new([2020, 1, 1, 2, 59, 46], false).unwrap().suspect);
        assert!(!new([2020, 1, 1, 2, 59, 46], true).unwrap().suspect);
        assert!(!new([2026, 3, 1, 2, 59, 46], false).unwrap().suspect);
        assert!(new([2000, 3, 1, 2, 59, 46], true).unwrap().suspect);
        assert_eq!(new([2026, 13, 1, 0, 0, 0], true), None);
        assert_eq!(bcd_clock(&[0x26, 0x0A, 1, 1, 1, 1], 0, true, &settings), Stamp::Impossible);
    }
}
