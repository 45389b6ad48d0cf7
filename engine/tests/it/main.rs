//! Tests of the engine as its callers see it.
#![allow(clippy::unwrap_used)]

mod day;
mod news2;
mod persist;
mod properties;
mod recording;
mod sounded;
mod stories;
