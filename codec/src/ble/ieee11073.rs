//! The two decimal numbers of ISO/IEEE 11073-20601, as Bluetooth sends them: SFLOAT (16 bits) and FLOAT (32 bits).

use std::fmt;

use model::{Metric, Quality};

use crate::unit::Unit;
use crate::{Decimal, Measured};

/// A number, or one of the five special values. None of them is ever a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    Value(Decimal),
    Special(Special),
}

/// "No value", with its flavour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    NotANumber,
    /// Not at this resolution.
    NotAtResolution,
    PlusInfinity,
    MinusInfinity,
    Reserved,
}

/// Exponent: the high four bits; mantissa: the low twelve; both two's complement.
pub const fn sfloat(bits: u16) -> Number {
    Number::Special(match bits {
        0x07FF => Special::NotANumber,
        0x0800 => Special::NotAtResolution,
        0x07FE => Special::PlusInfinity,
        0x0802 => Special::MinusInfinity,
        0x0801 => Special::Reserved,
        _ => {
            let mantissa = (bits.cast_signed() << 4) >> 4;
            return Number::Value(Decimal::new(mantissa as i64, (bits.cast_signed() >> 12) as i8));
        }
    })
}

/// Exponent: the high eight bits; mantissa: the low 24; both two's complement.
pub const fn float(bits: u32) -> Number {
    Number::Special(match bits {
        0x007F_FFFF => Special::NotANumber,
        0x0080_0000 => Special::NotAtResolution,
        0x007F_FFFE => Special::PlusInfinity,
        0x0080_0002 => Special::MinusInfinity,
        0x0080_0001 => Special::Reserved,
        _ => {
            let mantissa = (bits.cast_signed() << 8) >> 8;
            return Number::Value(Decimal::new(mantissa as i64, (bits.cast_signed() >> 24) as i8));
        }
    })
}

impl Number {
    pub const fn value(self) -> Option<Decimal> {
        match self {
            Self::Value(value) => Some(value),
            Self::Special(_) => None,
        }
    }

    /// A reading of it; a special value is an absence whose flavour stays in `raw`.
    pub(super) fn measured(self, metric: Metric, unit: Unit) -> Measured {
        match self {
            Self::Value(value) => unit.of(metric, value),
            Self::Special(special) => Measured::absent(metric, Quality::SpecialValue).raw(special, unit.ucum),
        }
    }
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "NaN",
            Self::NotAtResolution => "NRes",
            Self::PlusInfinity => "+INF",
            Self::MinusInfinity => "-INF",
            Self::Reserved => "Reserved",
        })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => value.fmt(f),
            Self::Special(special) => special.fmt(f),
        }
    }
}
