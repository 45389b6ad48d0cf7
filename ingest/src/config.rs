//! The `[ingest]` part of the configuration.

use serde::{Deserialize, Serialize};

/// Limits and rhythms of ingest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Seconds between two ticks in the journal. The engine's timers (silence) are this exact.
    pub tick_s: u64,
    /// Seconds between two saves of the ledger.
    pub ledger_save_s: u64,
    /// Seconds between two looks at the registry for changes made by `vigil add` beside a running server.
    pub registry_refresh_s: u64,
    /// Readings the writer stores in one transaction, about. Of a database server at most 5,000.
    pub writer_rows_max: usize,
    /// Milliseconds: a transaction of a database server that takes longer makes the next one smaller, down to 1,000 readings.
    pub writer_commit_ms: u64,
    /// Milliseconds the writer waits to gather more readings while fewer than a quarter of that has come. Alarms do not
    /// wait for the writer, so this only trades freshness of trends for fewer transactions.
    pub writer_linger_ms: u64,
    /// Publishes waiting for the desk (unknown devices, frames for the quarantine); beyond it they are answered "busy".
    pub desk_queue_max: usize,
    /// A reading this many seconds in the future, by the server's clock, gets the time of its arrival and `clock_suspect`.
    pub future_max_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tick_s: 5,
            ledger_save_s: 10,
            registry_refresh_s: 10,
            writer_rows_max: 20_000,
            writer_commit_ms: 250,
            writer_linger_ms: 50,
            desk_queue_max: 1_024,
            future_max_s: 300,
        }
    }
}
