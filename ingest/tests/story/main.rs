//! Frames on their way through a real journal, real records and a real readings store.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod door;
mod frames;
mod notes;
mod shared;
mod waves;
mod world;
