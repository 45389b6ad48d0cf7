//! The gates of the front door: what broke other servers must not break this one, and every rule of its design.
#![allow(clippy::unwrap_used, clippy::too_many_lines, unreachable_pub, clippy::match_wild_err_arm)]

mod acks;
mod answers;
mod clients;
mod closing;
mod disk;
mod down;
mod fuzz;
mod hostile;
mod keep_alive;
mod login;
mod memory;
mod rights;
mod support;
mod tls;
mod wills;
