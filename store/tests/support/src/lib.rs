//! What tests of the timescale store need of the world: a real PostgreSQL server ([`Postgres`]), a proxy that cuts, stalls and
//! slows its connections ([`Proxy`]), and PGlite with TimescaleDB ([`Pglite`]). Each ends with its test, also when the test is
//! killed. `scripts/need test` installs the programs; without them a test says SKIPPED, and fails where `CI` is set.
#![allow(clippy::unwrap_used)] // only tests link it: what cannot go on here fails the test

mod disk;
mod pglite;
mod place;
mod postgres;
mod proxy;
mod sql;

pub use disk::{Disk, FullTable};
pub use pglite::Pglite;
pub use postgres::{Options, Postgres};
pub use proxy::{Mode, Proxy};
pub use sql::{Row, Session, sqlstate};

use std::time::Duration;

/// What takes longer than this hangs: tests give up. Generous, for busy machines.
pub const STUCK: Duration = Duration::from_mins(2);

/// Says why a test is skipped; fails it where everything must be there.
pub fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}: scripts/need test installs what is missing");
    eprintln!("SKIPPED: {why}: scripts/need test installs what is missing");
}

/// Waits for something that is true soon; panics with `what` when it never is.
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(start.elapsed() < STUCK, "stuck: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
