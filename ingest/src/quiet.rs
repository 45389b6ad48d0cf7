//! Log lines about what clients do wrong: at most one a minute for each gateway and kind, so that a broken device cannot fill the
//! disk with them. The counters count every one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::GatewayId;

/// Time between two lines of one kind about one gateway.
const EVERY: Duration = Duration::from_mins(1);

/// When a line was last written, and how often it was left out since.
type Line = (Instant, u64);

/// The lines of each kind about each gateway: no more than there are registered gateways, times the few kinds.
#[derive(Debug, Default)]
pub(crate) struct Quiet(Mutex<HashMap<(&'static str, GatewayId), Line>>);

impl Quiet {
    /// `Some` when a line is due: how many were left out before it.
    pub(crate) fn due(&self, kind: &'static str, gateway: GatewayId) -> Option<u64> {
        self.due_at(kind, gateway, Instant::now())
    }

    fn due_at(&self, kind: &'static str, gateway: GatewayId, now: Instant) -> Option<u64> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match lines.get_mut(&(kind, gateway)) {
            Some((last, silent)) if now.saturating_duration_since(*last) < EVERY => {
                *silent += 1;
                None
            }
            Some(line) => Some(std::mem::replace(line, (now, 0)).1),
            None => {
                lines.insert((kind, gateway), (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_for_each_kind_and_gateway() {
        let (quiet, now, one) = (Quiet::default(), Instant::now(), GatewayId(1));
        assert_eq!(quiet.due_at("a", one, now), Some(0));
        assert_eq!(quiet.due_at("a", one, now + EVERY / 2), None);
        assert_eq!(quiet.due_at("b", one, now), Some(0));
        assert_eq!(quiet.due_at("a", GatewayId(2), now), Some(0));
        assert_eq!(quiet.due_at("a", one, now + EVERY), Some(1), "and says how many it left out");
    }
}
