//! Tests of all codecs: published vectors, nasty cases, random frames. One file a family of devices.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod advert;
mod ble;
mod cabin;
mod import;
mod nasty;
mod random;
mod samples;
mod vectors;
mod watch;
