//! Tests of the engine as its callers see it.
#![allow(clippy::unwrap_used)]

mod day;
mod devices;
mod every_kind;
mod kinds;
mod news2;
mod outage;
mod persist;
mod properties;
mod quiet;
mod recording;
mod single;
mod sounded;
mod stands;
mod stories;
mod years;
