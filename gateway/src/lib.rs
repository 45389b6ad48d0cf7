//! The edge: links hear devices, the framer makes numbered frames durable, the uplink delivers them.
//!
//! ```text
//! link (simulator | recording) -> bounded queue -> framer -> outbox (journal) -> uplink -> the server's front door
//! ```
//! Everything before the outbox is held back when it is full; nothing after it can lose a frame.
//!
//! What is deliberately absent: whose a device is. Elders are bound to devices at the server.

mod config;
mod down;
pub mod fleet;
mod framer;
mod lanes;
pub mod recording;
mod replay;
mod report;
mod running;
pub mod sim;

pub use config::{Config, Encoding, Link};
pub use replay::{Replay, Replayed, replay};
pub use report::Report;
pub use running::{Stats, run, run_with};

use std::path::PathBuf;

/// Why the gateway does not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("gateway: {0}")]
    Key(String),
    #[error("{path} cannot be used: {source}")]
    Dir { path: PathBuf, source: std::io::Error },
    #[error("the outbox cannot be used: {0}")]
    Outbox(#[from] journal::Error),
    #[error("the outbox does not take a frame: {0}")]
    Append(#[from] journal::AppendError),
    #[error(transparent)]
    Uplink(#[from] mqtt::uplink::Error),
    #[error(transparent)]
    Recording(#[from] recording::Error),
    #[error("a part of the gateway ended unexpectedly")]
    Ended,
}
