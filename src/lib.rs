//! Vigil 守望 as a library of its own commands: `main.rs` only parses and calls. See ARCHITECTURE.md.

pub mod bench;
pub mod cli;
pub mod commands;
pub mod control;
pub mod cpus;
pub mod data_dir;
pub mod demo;
pub mod export;
pub mod import;
pub mod limits;
pub mod metrics;
pub mod moving;
pub mod seed;
pub mod server;
pub mod stores;
mod writing;
