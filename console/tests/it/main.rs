//! The console in one process with real stores: each file is one story, told over HTTP.

#![allow(clippy::unwrap_used)]

// Everywhere else the package goes by its short name.
extern crate vigil_console as console;

mod alarms;
mod answers;
mod demo;
mod elders;
mod gateways;
mod house;
mod judge;
mod layers;
mod measurements;
mod numbers;
mod policies;
mod quiet;
mod roles;
mod rota;
mod security;
mod sessions;
mod stream;
mod trends;
mod waveforms;
