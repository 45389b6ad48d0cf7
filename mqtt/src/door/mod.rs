//! The front door: the MQTT 3.1.1 and 5 server that devices and gateways connect to.
//!
//! Promise: a PUBACK leaves only after [`Intake::submit`] called its `done`, which it does after the journal's fsync.
//! The protocol itself is `mqtt-protocol-core` (sans-I/O); sockets, sessions, rights, back-pressure and the reasons for
//! closing are ours (docs/adr/0003). One bad client is refused, counted and forgotten; nobody else notices.
//!
//! What is deliberately absent: routing between clients, shared subscriptions, sessions that outlive a link
//! (`session_present` is never claimed), outbound topic aliases. Messages to a device go through [`DoorHandle::down`].

mod acl;
mod config;
mod identity;
mod intake;
mod limiter;
mod links;
pub mod protocol;
mod server;
mod session;
mod stats;
mod tls;
mod wills;

pub use config::{Config, TlsConfig};
pub use identity::{Dialect, Gatekeeper, Identity, Login, LoginError};
pub use intake::{Done, Intake, LinkChange, Publish, Retained, RetainedStore, Verdict};
pub use server::{Door, DoorHandle};
pub use stats::{CloseReason, Stats};
