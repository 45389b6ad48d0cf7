//! All whole-system tests, one binary, one file per story.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod arrows;
mod backup;
mod bad_input;
mod bench;
#[cfg(feature = "ble")]
mod ble;
#[cfg(feature = "ble")]
mod bluez;
mod cabin;
mod clients;
mod county;
mod custody;
mod demo;
mod disk_full;
mod doctor;
mod edge;
mod home_gateway;
mod judge;
mod kill;
mod links;
mod load;
mod migrate;
mod moving;
mod outage;
mod power_cut;
mod replay;
mod restart;
mod roster;
mod score;
mod store_down;
mod strangers;
mod unmounted;
mod waveform;
mod world;
