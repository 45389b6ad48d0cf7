//! The journal from outside, one binary, one file per story.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

extern crate vigil_journal as journal;

mod append;
mod backup;
mod damage;
mod full;
mod kill;
mod model_based;
mod open;
mod readers;
mod trim;
