//! R peaks and signal quality, measured: on made strips with noise of known strength, and on recordings.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod noise;
mod pulse;
mod recordings;
mod stream;
