//! Times on the wire: binary `timestamptz` is microseconds since 2000-01-01.

use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

use super::Time;

/// Unix microseconds of 2000-01-01.
const EPOCH_2000_US: i64 = 946_684_800_000_000;
/// Earliest and latest (exclusive) instant PostgreSQL stores, in its own microseconds; `i64::MIN` and `MAX` are its infinities.
const SERVER_RANGE: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// An instant as microseconds since 1970, on the wire a `timestamptz`. Beyond what the server can hold it is an infinity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Micros(pub(super) i64);

impl Micros {
    /// The server can store exactly this instant.
    pub(super) fn is_storable(self) -> bool {
        self.0 != i64::MAX && self.0.checked_sub(EPOCH_2000_US).is_some_and(|at| SERVER_RANGE.contains(&at))
    }

    fn on_wire(self) -> i64 {
        let at = self.0.saturating_sub(EPOCH_2000_US);
        match at {
            // "For ever", also where TimescaleDB's range ends earlier.
            _ if self.0 == i64::MAX => i64::MAX,
            at if at < SERVER_RANGE.start => i64::MIN,
            at if at >= SERVER_RANGE.end => i64::MAX,
            at => at,
        }
    }

    fn from_wire(at: i64) -> Self {
        match at {
            i64::MIN | i64::MAX => Self(at),
            at => Self(at.saturating_add(EPOCH_2000_US)),
        }
    }
}

impl From<Time> for Micros {
    fn from(time: Time) -> Self {
        Self(time.0)
    }
}

impl ToSql for Micros {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.extend_from_slice(&self.on_wire().to_be_bytes());
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl FromSql<'_> for Micros {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self::from_wire(i64::from_be_bytes(raw.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_the_server_can_hold_comes_back() {
        for at in [0, 1, -1, EPOCH_2000_US, Time::MIN.0, Time::MAX.0, 1_795_000_000_123_456] {
            assert!(Micros(at).is_storable());
            assert_eq!(Micros::from_wire(Micros(at).on_wire()), Micros(at));
        }
        for (at, wire) in [(i64::MIN, i64::MIN), (i64::MAX, i64::MAX)] {
            assert!(!Micros(at).is_storable());
            assert_eq!(Micros(at).on_wire(), wire);
        }
    }
}
