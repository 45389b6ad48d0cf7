//! The edge: links hear devices, the framer makes numbered frames durable, the uplink delivers them.
//!
//! ```text
//! link --Outlet::hear--> reception: known? -> flood limit -> clock -> who -> hearts -> edge -> framer -> outbox (journal) -> uplink
//! ```
//! `hear` returns when the report is durable in the outbox: only then does a device get its answer. Everything before the
//! outbox is held back when it is full; nothing after it can lose a frame.
//!
//! What is deliberately absent: whose a device is. Elders are bound to devices at the server.

mod care;
mod clock;
mod config;
mod custody;
mod devices;
mod down;
mod edge;
mod figures;
pub mod fleet;
mod floods;
mod framer;
mod frames;
mod health;
mod hearts;
mod kept;
mod lanes;
pub mod link;
mod outlet;
mod reception;
pub mod recording;
mod replay;
mod report;
mod ring;
mod running;
mod sessions;
pub mod sim;
pub mod status;
mod strips;
mod timeline;
pub mod waves;
mod who;
mod whole;

pub use care::CareConfig;
pub use config::{Config, Encoding, Link};
pub use devices::{DEVICES_MAX, Device, DeviceConfig, UnknownDevices};
pub use edge::{Command, EdgeConfig, Gpio, Hook, Http};
pub use figures::{DeviceFigures, LinkFigures, Snapshot, Stranger};
pub use floods::FloodConfig;
pub use outlet::{DeviceKey, Heard, Outlet, Refused, Taken};
pub use replay::{Recorded, Replay, Replayed, replay};
pub use report::Report;
pub use running::{Stats, run, run_fed, run_with};
pub use who::{Denied, SessionConfig, SessionState};

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
    #[error(transparent)]
    Waves(#[from] waves::Error),
    #[error("a part of the gateway ended unexpectedly")]
    Ended,
}
