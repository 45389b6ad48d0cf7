//! The pause before a lost link is tried again: longer each time, and never the same for all gateways.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// First pause, at most.
const FIRST: Duration = Duration::from_millis(500);
/// Longest pause.
const MAX: Duration = Duration::from_mins(1);

/// Pauses of one link.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::between(FIRST, MAX)
    }
}

impl Backoff {
    /// Pauses of at most `first`, in the end of at most `longest`.
    pub(crate) const fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause: between half of the step and all of it. The step doubles.
    pub(crate) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        // Randomly seeded by the standard library: enough to tell gateways apart.
        let share = RandomState::new().hash_one(step) as f64 / u64::MAX as f64;
        step.mul_f64(0.5 + share / 2.0)
    }

    /// The link came up: the next pause is a short one.
    pub(crate) const fn worked(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_again() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..20).map(|_| backoff.pause()).collect();
        assert!(pauses[0] <= FIRST && pauses.iter().all(|pause| *pause <= MAX));
        assert!(pauses[10..].iter().all(|pause| *pause >= MAX / 2));
        backoff.worked();
        assert!(backoff.pause() <= FIRST);
    }
}
