//! The gateway against the real front door: one binary, one file per story.
#![allow(clippy::unwrap_used, missing_debug_implementations, unreachable_pub)]

mod delivery;
mod edge;
mod rules;
mod server;
mod waves;
