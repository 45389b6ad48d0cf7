//! What the server tells the gateway: custody and refusals (`d/ack`), its time (`d/time`).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use mqtt::topic::{Down as Kind, Topic};
use mqtt::uplink::Down;
use runtime::Clock;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::custody::Ask;

/// A difference to the server's clock above which it is worth a line in the log, milliseconds.
const CLOCK_WARN_MS: i64 = 5_000;

/// Counters of the down-link.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) acks: AtomicU64,
    pub(crate) rejected: AtomicU64,
    pub(crate) holes: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    /// Server clock minus ours, milliseconds; `i64::MIN` while unknown.
    pub(crate) clock_offset_ms: AtomicI64,
}

impl Default for Heard {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            acks: zero(),
            rejected: zero(),
            holes: zero(),
            unreadable: zero(),
            clock_offset_ms: AtomicI64::new(i64::MIN),
        }
    }
}

/// `d/ack`: all below `upto` is stored but the holes; `rej` are frames the server keeps in quarantine.
#[derive(Debug, Deserialize)]
struct Ack {
    #[serde(rename = "e")]
    epoch: u32,
    lane: String,
    upto: u64,
    #[serde(default)]
    holes: Vec<(u64, u64)>,
    #[serde(default)]
    rej: Vec<Rejected>,
}

#[derive(Debug, Deserialize)]
struct Rejected {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    code: serde_json::Value,
}

/// `d/time`: the server's clock.
#[derive(Debug, Deserialize)]
struct ServerTime {
    #[serde(alias = "time_ms", alias = "t")]
    ms: i64,
}

impl Heard {
    /// Server clock minus ours, milliseconds, once the server has told its time.
    pub(crate) fn server_offset_ms(&self) -> Option<i64> {
        Some(self.clock_offset_ms.load(Relaxed)).filter(|&offset| offset != i64::MIN)
    }

    /// Acts on a message. Requests to send again go to `asks`; when that is full they are dropped: the server repeats them.
    pub(crate) fn take(&self, message: &Down, clock: &Clock, asks: &mpsc::Sender<Ask>) {
        let known = match Topic::parse(&message.topic) {
            Ok(Topic::Down { kind: Kind::Ack, .. }) => self.ack(&message.payload),
            Ok(Topic::Down { kind: Kind::Time, .. }) => self.time(&message.payload, clock),
            Ok(Topic::Down { kind: Kind::Resend, .. }) => match serde_json::from_slice(&message.payload) {
                Ok(ask) => {
                    let _busy = asks.try_send(ask);
                    true
                }
                Err(_) => false,
            },
            _ => {
                tracing::info!(topic = message.topic, "a message this version does not act on");
                true
            }
        };
        if !known {
            self.unreadable.fetch_add(1, Relaxed);
            tracing::warn!(topic = message.topic, "a message of the server cannot be read");
        }
    }

    fn ack(&self, payload: &[u8]) -> bool {
        let Ok(ack) = serde_json::from_slice::<Ack>(payload) else { return false };
        self.acks.fetch_add(1, Relaxed);
        self.rejected.fetch_add(ack.rej.len() as u64, Relaxed);
        self.holes.fetch_add(ack.holes.len() as u64, Relaxed);
        for rejected in &ack.rej {
            tracing::error!(lane = ack.lane, seq = rejected.seq, code = %rejected.code, "the server put a frame into quarantine");
        }
        if !ack.holes.is_empty() {
            tracing::warn!(
                epoch = ack.epoch,
                lane = ack.lane,
                upto = ack.upto,
                holes = ack.holes.len(),
                "the server misses frames"
            );
        }
        true
    }

    fn time(&self, payload: &[u8], clock: &Clock) -> bool {
        let Ok(time) = serde_json::from_slice::<ServerTime>(payload) else { return false };
        let offset = time.ms.saturating_sub(clock.now().millis());
        self.clock_offset_ms.store(offset, Relaxed);
        if offset.abs() > CLOCK_WARN_MS {
            tracing::warn!(offset_ms = offset, "this clock and the server's differ");
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Time;

    fn message(kind: &str, payload: &str) -> Down {
        Down { topic: format!("vigil/1/s/g/d/{kind}"), payload: payload.to_owned().into() }
    }

    #[test]
    fn acks_and_time_are_understood_and_nonsense_is_counted() {
        let (heard, clock) = (Heard::default(), Clock::manual(Time::from_secs(100)));
        let (asks, mut asked) = mpsc::channel(1);
        for _ in 0..2 {
            heard.take(&message("resend", r#"{"e":1,"lane":"vit","from":3,"to":9}"#), &clock, &asks);
        }
        assert_eq!(asked.try_recv().unwrap(), Ask { epoch: 1, lane: model::Lane::Vit, from: 3, to: 9 });
        assert!(asked.try_recv().is_err(), "a full queue drops what the server repeats");
        heard.take(
            &message("ack", r#"{"e":1,"lane":"vit","upto":7,"holes":[[3,4]],"rej":[{"seq":5,"code":"shape"}]}"#),
            &clock,
            &asks,
        );
        heard.take(&message("time", r#"{"ms":101500}"#), &clock, &asks);
        heard.take(&message("ack", "hello"), &clock, &asks);
        heard.take(&message("cmd", "{}"), &clock, &asks);
        let counted = [&heard.acks, &heard.rejected, &heard.holes, &heard.unreadable].map(|count| count.load(Relaxed));
        assert_eq!(counted, [1, 1, 1, 1]);
        assert_eq!(heard.clock_offset_ms.load(Relaxed), 1_500);
    }
}
