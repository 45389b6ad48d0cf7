//! Named tasks, ordered shutdown and the clock: the few things every running part of Vigil needs.
//!
//! What is deliberately absent: anything about elders, alarms or MQTT.

mod clock;
mod tasks;

pub use clock::Clock;
pub use tasks::{Stop, Tasks};
