//! Tests of the crate against real sockets: one binary, one file per story.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, missing_debug_implementations, unreachable_pub)]

mod broker;
mod drain;
mod uplink;
mod uplink_door;
mod uplink_plain;
