//! Settings of the console, with their limits.

use serde::{Deserialize, Serialize};

/// `[console]` of the server's configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of the pages and the API. Port 0 takes a free one.
    pub listen: String,
    /// The session cookie is only sent over HTTPS. Set it when a TLS proxy stands in front.
    pub secure_cookie: bool,
    /// How long the browser keeps the session cookie, in hours. The store may end the session earlier.
    pub session_hours: u32,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// Open connections; more wait in the listener's queue.
    pub connections_max: usize,
    /// Open event streams; more are answered 503.
    pub sse_clients_max: usize,
    /// Newest alarm events kept in memory for the streams; clients further behind are served from the store.
    pub sse_ring_events: usize,
    /// A client further behind than this many events is told to fetch the list again.
    pub sse_behind_max: u32,
    /// A sign of life on a quiet stream comes this often, in seconds; a session that has ended is noticed then.
    pub sse_heartbeat_s: u64,
    /// A client that takes no byte for this long is disconnected, in seconds.
    pub drain_s: u64,
    /// Longest time for one answer, in seconds (streams excepted).
    pub answer_s: u64,
    /// Store calls under way at once, trends excepted.
    pub store_calls_max: usize,
    /// Trend queries under way at once: they never take the place of alarm work.
    pub trend_calls_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            secure_cookie: false,
            session_hours: 12,
            body_bytes_max: 256 * 1024,
            connections_max: 1_024,
            sse_clients_max: 512,
            sse_ring_events: 2_048,
            sse_behind_max: 5_000,
            sse_heartbeat_s: 15,
            drain_s: 30,
            answer_s: 30,
            store_calls_max: 16,
            trend_calls_max: 2,
        }
    }
}
