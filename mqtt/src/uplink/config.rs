//! The uplink's keys and what can be wrong with them.

use std::path::PathBuf;

use serde::Deserialize;

/// How to reach the server and how hard to try.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub host: String,
    pub port: u16,
    /// Equals the gateway's name: the front door accepts nothing else.
    pub client_id: String,
    pub username: String,
    /// The gateway's token. Never logged.
    pub password: String,
    /// PEM file with the authority that signed the server's certificate. None: no TLS.
    pub tls_ca_file: Option<PathBuf>,
    /// Publishes un-acknowledged at most, 2..=200. The server's Receive Maximum lowers it.
    pub window: u16,
    /// Slots of the window that only SOS and events may use.
    pub window_urgent: u16,
    /// Seconds, at least 5.
    pub keep_alive_s: u16,
    /// TCP, TLS and CONNACK together, seconds.
    pub connect_timeout_s: u16,
    /// With something in flight and no ack for this long the link counts as dead, milliseconds.
    pub stall_ms: u64,
    /// First and longest wait between two attempts, milliseconds.
    pub reconnect_min_ms: u64,
    pub reconnect_max_ms: u64,
    /// First and longest wait before an entry is sent again that the server did not take, milliseconds.
    pub retry_min_ms: u64,
    pub retry_max_ms: u64,
    /// Seconds the server waits before it believes our will.
    pub will_delay_s: u32,
    /// What has waited longer in the lanes of readings is history: sent newest first, after what is live, and marked so.
    pub history_after_s: u32,
    /// History sent in one second at most, so that live traffic stays as it was; 0 is no limit.
    pub history_per_s: u32,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, client_id, window, .. } = self;
        write!(f, "uplink to {host}:{port} as {client_id}, window {window}")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 1883,
            client_id: String::new(),
            username: String::new(),
            password: String::new(),
            tls_ca_file: None,
            window: 48,
            window_urgent: 8,
            keep_alive_s: 30,
            connect_timeout_s: 10,
            stall_ms: 20_000,
            reconnect_min_ms: 200,
            reconnect_max_ms: 30_000,
            retry_min_ms: 1_000,
            retry_max_ms: 60_000,
            will_delay_s: 45,
            history_after_s: 60,
            history_per_s: 500,
        }
    }
}

impl Config {
    /// Refuses what can never work.
    pub fn check(&self) -> Result<(), Error> {
        let (urgent, keep_alive) = (self.window_urgent, self.keep_alive_s);
        if self.client_id.is_empty() || self.host.is_empty() {
            return Err(Error::Key("host and client_id must be given"));
        }
        if self.username.is_empty() && !self.password.is_empty() {
            return Err(Error::Key("username must be given with a password: rumqttc sends neither without it"));
        }
        if !(2..=200).contains(&self.window) || urgent == 0 || urgent >= self.window {
            return Err(Error::Key("window must be 2..=200 and window_urgent at least 1 and below it"));
        }
        if keep_alive < 5 || self.connect_timeout_s == 0 || self.stall_ms == 0 {
            return Err(Error::Key("keep_alive_s must be 5 or more; connect_timeout_s and stall_ms 1 or more"));
        }
        if self.history_after_s == 0 {
            return Err(Error::Key("history_after_s must be 1 or more"));
        }
        if self.reconnect_min_ms == 0 || self.retry_min_ms == 0 {
            return Err(Error::Key("reconnect_min_ms and retry_min_ms must be 1 or more"));
        }
        Ok(())
    }
}

/// Why the uplink cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("uplink: {0}")]
    Key(&'static str),
    #[error("uplink: the authority file {path} cannot be used: {cause}")]
    Authority { path: PathBuf, cause: String },
    #[error("the outbox cannot be used: {0}")]
    Outbox(#[from] journal::Error),
}
