//! What the engine did and did not judge, and why. Part of the saved state, so that a restart does not forget.

use serde::{Deserialize, Serialize};

/// Counts since the engine was made. Nothing is left out silently: each sample ends in exactly one of the first group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Samples judged by at least one rule, in order and live.
    pub judged: u64,
    /// Samples of a metric for which the elder has no rule.
    pub no_rule: u64,
    /// Absent or doubtful samples (`Quality::is_judged` is false).
    pub not_judged: u64,
    /// Samples older than [`crate::LATE_US`] when received.
    pub late: u64,
    /// Live samples not newer than the last judged one of their series.
    pub out_of_order: u64,
    /// Live samples with the very time of the last judged one.
    pub duplicate: u64,
    /// Samples and events of devices that belong to nobody.
    pub unattributed: u64,
    /// Samples and events of frames marked as a test.
    pub test: u64,
    /// Samples of an elder in hospital, samples and technical events of a device under maintenance.
    pub quiet: u64,

    /// Samples and events with a time ahead of the server's; judged as taken when received.
    pub future: u64,
    /// Events judged.
    pub events: u64,
    /// Events for which the elder has no rule.
    pub events_no_rule: u64,
    /// The same event of the same device and time again.
    pub events_duplicate: u64,
    /// Conditions that went away before their hold time.
    pub fleeting: u64,
    /// Hold times broken off because the sensor came off.
    pub interrupted: u64,
    /// Conditions, values and events that would have raised outside the hours of their rule.
    pub asleep: u64,
    /// Quiet periods refused by `Quiet::check`.
    pub quiet_refused: u64,
    /// Rule sets refused by `RuleSet::check`.
    pub rules_refused: u64,
    /// Entries at or before the last one stepped; ignored.
    pub replayed: u64,
}
