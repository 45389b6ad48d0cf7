//! The flood limit: a device that sends too much is slowed, counted, and said so once; nobody else notices.
//!
//! A token bucket for each device. Nothing is thrown away: whoever is ahead of the bucket waits, and its link reads no
//! faster than that. SOS and events have a bucket of their own, so that a flood of readings never delays a call for help, and
//! wait [`URGENT_WAIT_MAX`] at most even when the flood is one of events.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::Name;
use serde::Deserialize;
use tokio::time::Instant;

use crate::Error;

/// Longest wait of an SOS or an event. Longer would be a call for help that nobody hears.
const URGENT_WAIT_MAX: Duration = Duration::from_secs(2);
/// Largest `frames_per_s` and `burst`.
const FRAMES_PER_S_MAX: u32 = 10_000;
const BURST_MAX: u32 = 1_000_000;

/// Keys of the limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FloodConfig {
    /// Frames a second that a device may send for long: 1 to 10,000.
    pub frames_per_s: u32,
    /// Frames a device may send at once: what it kept through a time without connection comes in one go. 1 to 1,000,000.
    pub burst: u32,
}

impl Default for FloodConfig {
    fn default() -> Self {
        Self { frames_per_s: 20, burst: 1_000 }
    }
}

impl FloodConfig {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if !(1..=FRAMES_PER_S_MAX).contains(&self.frames_per_s) || !(1..=BURST_MAX).contains(&self.burst) {
            let text = format!("[floods] frames_per_s must be 1 to {FRAMES_PER_S_MAX}, burst 1 to {BURST_MAX}");
            return Err(Error::Key(text));
        }
        Ok(())
    }
}

/// What the limit says to one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// How long the frame must wait.
    pub(crate) wait: Duration,
    /// The first wait of an episode: worth an event.
    pub(crate) begins: bool,
}

/// Buckets of all devices.
#[derive(Debug)]
pub(crate) struct Floods {
    rate: f64,
    burst: f64,
    buckets: Mutex<BTreeMap<(Name, bool), Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    /// Frames that may come at once; below zero, those that wait.
    tokens: f64,
    at: Instant,
    flooding: bool,
}

impl Floods {
    pub(crate) fn new(config: &FloodConfig) -> Self {
        let (rate, burst) = (f64::from(config.frames_per_s.max(1)), f64::from(config.burst.max(1)));
        Self { rate, burst, buckets: Mutex::new(BTreeMap::new()) }
    }

    /// One frame of a device. The list of devices is bounded, so the buckets are.
    pub(crate) fn frame(&self, device: &Name, urgent: bool, now: Instant) -> Pace {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = || Bucket { tokens: self.burst, at: now, flooding: false };
        let bucket = buckets.entry((device.clone(), urgent)).or_insert_with(full);
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.tokens = (bucket.tokens + passed * self.rate).min(self.burst);
        bucket.at = now;
        // An episode is over when half of the bucket has come back.
        bucket.flooding &= bucket.tokens < self.burst / 2.0;
        bucket.tokens -= 1.0;
        if urgent {
            bucket.tokens = bucket.tokens.max(-self.rate * URGENT_WAIT_MAX.as_secs_f64());
        }
        let wait = Duration::from_secs_f64((-bucket.tokens).max(0.0) / self.rate);
        let begins = !wait.is_zero() && !bucket.flooding;
        bucket.flooding |= begins;
        Pace { wait, begins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_slowed_to_its_rate_and_said_once() {
        let floods = Floods::new(&FloodConfig { frames_per_s: 10, burst: 5 });
        let (mad, calm) = (Name::new("mad").unwrap(), Name::new("calm").unwrap());
        let start = Instant::now();
        let mut paces: Vec<_> = (0..5).map(|_| floods.frame(&mad, false, start)).collect();
        assert!(paces.iter().all(|pace| pace.wait.is_zero()));
        paces = (0..20).map(|_| floods.frame(&mad, false, start)).collect();
        assert_eq!(paces[19].wait, Duration::from_secs(2), "20 frames ahead at 10 a second");
        assert_eq!(paces.iter().filter(|pace| pace.begins).count(), 1);
        assert_eq!(floods.frame(&calm, false, start), Pace { wait: Duration::ZERO, begins: false });
        assert_eq!(floods.frame(&mad, true, start).wait, Duration::ZERO, "an SOS does not wait for readings");
        let events: Vec<_> = (0..1_000).map(|_| floods.frame(&mad, true, start).wait).collect();
        assert!(events.iter().all(|wait| *wait <= URGENT_WAIT_MAX), "not even behind a thousand events");
        assert_eq!(events.last(), Some(&URGENT_WAIT_MAX), "but slowed");
        let later = start + Duration::from_secs(10);
        assert!(floods.frame(&mad, false, later).wait.is_zero());
        let again: Vec<_> = (0..10).map(|_| floods.frame(&mad, false, later)).collect();
        assert_eq!(again.iter().filter(|pace| pace.begins).count(), 1, "a new episode");
    }
}
