//! The console in one process with real stores: each file is one story, told over HTTP.

#![allow(clippy::unwrap_used)]

mod alarms;
mod house;
mod sessions;
