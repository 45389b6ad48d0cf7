//! Times as laboratories and hospitals write them: `YYYYMMDD[HHMM[SS[.ffff]]][+ZZZZ]`.

use crate::Stamp;

/// Wall clock at `offset_min` where the text names no zone. A date without a time of day is no time of a measurement.
pub(super) fn compact(text: &str, offset_min: i16) -> Stamp {
    let text = text.trim();
    if text.is_empty() || text == "\"\"" {
        return Stamp::Silent;
    }
    let (digits, zone) = match text.find(['+', '-']) {
        Some(at) => (&text[..at], Some(&text[at..])),
        None => (text, None),
    };
    let digits = digits.split('.').next().unwrap_or_default();
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Stamp::Impossible;
    }
    let offset = match zone.map(minutes_east) {
        None => offset_min,
        Some(Some(offset)) => offset,
        Some(None) => return Stamp::Impossible,
    };
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i64>().ok());
    match (digits.len(), part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14)) {
        (12 | 14, Some(year), Some(month), Some(day), Some(hour), Some(minute), Some(second)) => {
            Stamp::civil([year, month, day, hour, minute, second], offset)
        }
        (4 | 6 | 8 | 10, ..) => Stamp::Silent,
        _ => Stamp::Impossible,
    }
}

/// `+0800` to minutes.
pub(super) fn minutes_east(zone: &str) -> Option<i16> {
    let (sign, digits) = (zone.get(..1)?, zone.get(1..)?);
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i16, i16) = (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?);
    let east = hours * 60 + minutes;
    (hours <= 14 && minutes < 60).then_some(if sign == "-" { -east } else { east })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_a_zone() {
        let said = |text| compact(text, 480).time().map(crate::DeviceTime::rfc3339);
        assert_eq!(said("20260301081500").as_deref(), Some("2026-03-01T08:15:00+08:00"));
        assert_eq!(said("202603010815").as_deref(), Some("2026-03-01T08:15:00+08:00"));
        assert_eq!(said("20260301081500.1234-0330").as_deref(), Some("2026-03-01T08:15:00-03:30"));
        for silent in ["", "20260301", "\"\""] {
            assert_eq!(compact(silent, 480), Stamp::Silent, "{silent}");
        }
        for bad in ["20261301081500", "20260301241500", "yesterday", "20260301081500+9900", "+0800", "2026030108150"] {
            assert_eq!(compact(bad, 480), Stamp::Impossible, "{bad}");
        }
    }
}
