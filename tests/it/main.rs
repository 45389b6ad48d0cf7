//! All whole-system tests, one binary, one file per story.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod arrows;
mod bench;
mod clients;
mod demo;
mod judge;
mod kill;
mod replay;
mod store_down;
mod world;
