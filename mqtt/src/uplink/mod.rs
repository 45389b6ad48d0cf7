//! The gateway's uplink: rumqttc around our own outbox, so that nothing accepted is ever lost.
//!
//! rumqttc drops publishes it has accepted when a session is lost and freezes on a missing ack. Therefore:
//! 1. The outbox is the only memory. An entry leaves it on the ack that means custody; `publish()` returning Ok means nothing.
//! 2. Own window below rumqttc's: it never holds more than it may have in flight, so it has no queue to lose.
//! 3. The event loop turns in a task of its own that only forwards events. On any error both are dropped and built anew.
//! 4. Acks are matched in order of hand-over; packet ids are never stored.
//! 5. After every CONNACK, whatever it says about a session, sending starts again from the cursor, with clean start.
//! 6. Limits and time-outs are set explicitly; the subscription is acknowledged before the first publish.
//! 7. Lanes in their order: SOS, events, live readings, then history (newest first, rate capped), waveforms last.
//! 8. Reasons: 0x00 advances; 0x99 goes to the local quarantine; everything else is kept and tried again later.
//!
//! MQTT 5 only: without reason codes a refused frame and a stored one look the same, and rule 8 needs the difference.
//! PUBACK means custody because the server is our front door; a foreign broker's 0x10 ("nobody stored it") is kept.

mod config;
mod connect;
mod lanes;
mod queue;
mod session;
mod stats;

pub use config::{Config, Error};
pub use stats::{Snapshot, Stats};

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runtime::{Clock, Stop};
use tokio::sync::mpsc;

use crate::outbox::Outbox;
use lanes::Lanes;
use session::{End, Session};

/// Who we are towards the server, and what we say when we come and go.
pub struct Hello {
    /// Filter of the down-link (`vigil/1/{site}/{gateway}/d/#`).
    pub down_filter: String,
    /// Topic of birth and will.
    pub state_topic: String,
    /// Sent retained after every connect. May block.
    pub birth: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// Left with the server, to be published when we vanish.
    pub will: Vec<u8>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("state_topic", &self.state_topic).finish_non_exhaustive()
    }
}

/// A message from the server. Dropped and counted when the receiver is behind: the server repeats what matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    pub topic: String,
    pub payload: Bytes,
}

/// Runs until stopped. Fails only at the start, for a reason that trying again does not cure.
pub async fn run(
    config: Config,
    outbox: Outbox,
    hello: Hello,
    down: mpsc::Sender<Down>,
    stats: Arc<Stats>,
    clock: Clock,
    stop: Stop,
) -> Result<(), Error> {
    let prepared = connect::Prepared::new(&config)?;
    let mut lanes = Lanes::new(&config, &outbox, clock.clone());
    stats.connected(false, clock.now());
    let _offline = Offline(&stats, clock);
    let mut failures = 0_u32;
    while !stop.is_requested() {
        let (client, events) = connect::start(&prepared.options(&config, &hello), config.window);
        let session = Session {
            config: &config,
            hello: &hello,
            refused: &outbox.refused,
            down: &down,
            stats: &stats,
            client,
            events,
            lanes: &mut lanes,
        };
        let end = session.run(&stop).await;
        stats.connected(false, lanes.now());
        lanes.rewind();
        match end {
            End::Stopped => break,
            End::Lost { after_connack } => failures = if after_connack { 0 } else { failures.saturating_add(1) },
            End::Refused => failures = failures.saturating_add(4),
        }
        stats.reconnecting();
        let pause = backoff(&config, failures);
        tokio::select! {
            () = stop.requested() => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    // Commits are lazy; at the end they are made to last. A failure only means a few frames twice, which the server drops.
    let flushed = tokio::task::spawn_blocking(move || lanes.flush()).await;
    if let Ok(Err(error)) = flushed {
        tracing::warn!(%error, "the outbox cursor was not flushed");
    }
    Ok(())
}

/// Says "not connected" when the uplink ends in whatever way.
struct Offline<'a>(&'a Stats, Clock);

impl Drop for Offline<'_> {
    fn drop(&mut self) {
        self.0.connected(false, self.1.now());
    }
}

/// Exponential, with jitter.
fn backoff(config: &Config, failures: u32) -> Duration {
    let longest = config.reconnect_max_ms.max(config.reconnect_min_ms);
    let wait = config.reconnect_min_ms.saturating_mul(1 << failures.min(16)).min(longest);
    jittered(wait)
}

/// Between half of `wait_ms` and all of it, so that a thousand gateways do not come back in step.
fn jittered(wait_ms: u64) -> Duration {
    let random = RandomState::new().hash_one(wait_ms);
    Duration::from_millis(wait_ms / 2 + random % (wait_ms / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_and_stays_within_its_limits() {
        let config = Config { reconnect_min_ms: 100, reconnect_max_ms: 5_000, ..Config::default() };
        for failures in 0..40 {
            let wait = backoff(&config, failures).as_millis();
            let nominal = (100_u128 << failures.min(16)).min(5_000);
            assert!((nominal / 2..=nominal + 1).contains(&wait), "{failures}: {wait}");
        }
    }
}
