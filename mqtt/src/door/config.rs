//! The `[mqtt]` part of the configuration. Every limit of the front door has its name and unit here.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Front door settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the plain listener, for 3.1.1 and 5 alike. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// The TLS listener; none when absent.
    pub tls: Option<TlsConfig>,
    /// Clients logged in at most, both listeners together. One more is told so (CONNACK 0x89 or 3).
    pub links_max: usize,
    /// Sockets at most that are not logged in (yet). One more, and the one that has waited longest is closed.
    pub strangers_max: usize,
    /// Time for the TLS handshake, and then again for the CONNECT. Milliseconds.
    pub login_timeout_ms: u64,
    /// Largest CONNECT, in bytes.
    pub connect_bytes_max: usize,
    /// Largest payload of a publish, in bytes. Topic and properties come on top.
    pub payload_bytes_max: usize,
    /// Publishes of one link without an answer (Receive Maximum).
    pub receive_max: u16,
    /// Keep-alive announced to v5 clients, in seconds.
    pub keep_alive_s: u16,
    /// Longest Will Delay honoured, in seconds.
    pub will_delay_max_s: u32,
    /// Down-link messages waiting for one link.
    pub down_queue_max: usize,
    /// Retained messages sent for one subscription.
    pub retained_max: usize,
    /// New links from one address, per second; four times as many at once. 0: no limit.
    pub links_per_address_per_s: u32,
    /// Time a client has to read what we wrote. Milliseconds.
    pub write_timeout_ms: u64,
    /// Pause before a 3.1.1 link is closed because the intake was busy. Milliseconds.
    pub busy_close_ms: u64,
    /// Time for stored publishes to be acknowledged when the server stops. Milliseconds.
    pub drain_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 1883)),
            tls: None,
            links_max: 50_000,
            strangers_max: 4_096,
            login_timeout_ms: 5_000,
            connect_bytes_max: 4_096,
            payload_bytes_max: 65_536,
            receive_max: 64,
            keep_alive_s: 60,
            will_delay_max_s: 3_600,
            down_queue_max: 64,
            retained_max: 1_000,
            links_per_address_per_s: 0,
            write_timeout_ms: 10_000,
            busy_close_ms: 1_000,
            drain_ms: 5_000,
        }
    }
}

/// The TLS listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// Address of the TLS listener.
    pub listen: SocketAddr,
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}
