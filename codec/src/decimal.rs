//! Decimal numbers as devices send them: a whole mantissa and a power of ten. Nothing is rounded before the unit is
//! converted, and 18.9 stays 18.9.

use std::fmt;

/// `mantissa` x 10^`exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    pub mantissa: i64,
    pub exponent: i8,
}

impl Decimal {
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    pub const fn whole(value: i64) -> Self {
        Self { mantissa: value, exponent: 0 }
    }

    /// The nearest f64: the same one that reading the printed digits gives.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The f64 nearest to the exact product: 18.9 kPa x 7.50062 is 141.761718.
    pub fn times(self, factor: Self) -> f64 {
        let product = i128::from(self.mantissa) * i128::from(factor.mantissa);
        let exponent = i16::from(self.exponent) + i16::from(factor.exponent);
        format!("{product}e{exponent}").parse().unwrap_or(f64::NAN)
    }

    /// Digits with an optional sign and point, at most 18 digits. `None` for anything else (blanks, `1e5`, `nan`, empty).
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let (mut mantissa, mut decimals, mut seen, mut point) = (0_i64, 0_i8, 0_u8, false);
        for byte in digits {
            match byte {
                b'0'..=b'9' if seen < 18 => {
                    mantissa = mantissa * 10 + i64::from(byte - b'0');
                    seen += 1;
                    decimals += i8::from(point);
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        (seen > 0).then_some(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent: -decimals })
    }
}

impl fmt::Display for Decimal {
    /// Plain digits, never an exponent: `141.8`, `-51.1`, `1300`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, digits) = (if self.mantissa < 0 { "-" } else { "" }, self.mantissa.unsigned_abs().to_string());
        let places = usize::from(self.exponent.unsigned_abs());
        if self.exponent >= 0 {
            let zeros = if self.mantissa == 0 { 0 } else { places };
            return write!(f, "{sign}{digits}{:0<zeros$}", "");
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stay_as_they_were() {
        for text in ["0", "189", "18.9", "-51.1", "0.005", "26.1633"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::new(13, 2).to_string(), "1300");
        assert_eq!(Decimal::new(0, 5).to_string(), "0");
        assert_eq!(Decimal::parse("+6.60"), Some(Decimal::new(660, -2)));
        for bad in ["", "-", ".", "1e5", "nan", "1.2.3", " 1", "1234567890123456789"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
        assert_eq!(Decimal::new(189, -1).to_f64().to_bits(), 18.9_f64.to_bits());
        assert_eq!(Decimal::new(189, -1).times(Decimal::new(750_062, -5)).to_bits(), 141.761_718_f64.to_bits());
    }
}
