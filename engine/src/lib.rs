//! The alarm engine: a pure function of (state, journal entry) to (state, transitions).
//!
//! No I/O, no clock, no threads: time is in the entries, so a log replayed is the same alarms again, on the server, at
//! the edge and in a preview of "what would this threshold have raised last month?". See [`Engine`] for the rules.
//!
//! What is deliberately absent: people (claims, outcomes), pages, and every kind of storage.

mod adopt;
pub mod bench;
mod calm;
mod clock;
pub mod compare;
mod confirm;
mod count;
mod counters;
mod defaults;
mod engine;
mod event;
mod hash;
pub mod judge;
mod late;
mod layers;
mod limit;
mod live;
mod more;
pub mod news2;
mod plan;
mod saved;
mod score;
mod sounded;
mod state;
mod timers;
mod track;
mod trend;
mod worn;

pub use counters::Counters;
pub use defaults::{default_rules, for_age};
pub use engine::Engine;
pub use layers::shipped_layers;
pub use saved::BadState;

/// A reading or event older than this when it was received is late: judged, never as live (10 minutes).
pub const LATE_US: i64 = 600_000_000;
/// Microseconds in a second.
pub(crate) const SECOND_US: i64 = 1_000_000;
