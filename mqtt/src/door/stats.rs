//! Counters of the front door. Every link that ends is counted under exactly one [`CloseReason`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! close_reasons {
    ($($(#[$doc:meta])* $name:ident = $slug:literal;)*) => {
        /// Why a link ended, seen from the server.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CloseReason { $($(#[$doc])* $name,)* }

        impl CloseReason {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Name in metrics and journal entries. Never changes.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }
        }
    };
}

close_reasons! {
    /// DISCONNECT 0x00: the client is done; no will.
    Disconnected = "disconnected";
    /// DISCONNECT with another reason (0x04 asks for the will).
    DisconnectedWithWill = "disconnected_with_will";
    /// The socket was closed or reset without a DISCONNECT.
    Reset = "reset";
    /// Nothing was heard for 1.5 times the keep-alive.
    KeepAlive = "keep_alive";
    /// A newer link of the same client took its place.
    TakenOver = "taken_over";
    /// TLS did not get done in time, or failed.
    TlsHandshake = "tls_handshake";
    /// No CONNECT in time.
    ConnectTimeout = "connect_timeout";
    /// The first packet was no acceptable CONNECT, or was too large.
    BadConnect = "bad_connect";
    /// An Authentication Method; there is none here but name and password.
    BadAuthMethod = "bad_auth_method";
    /// A protocol version we do not speak.
    BadVersion = "bad_version";
    /// The client id is not allowed or not the gateway's.
    BadClientId = "bad_client_id";
    BadCredentials = "bad_credentials";
    /// Login, will topic or publish outside the client's rights.
    NotAuthorised = "not_authorised";
    /// The registry could not answer.
    Unavailable = "unavailable";
    /// The limit of links is reached.
    TooManyLinks = "too_many_links";
    /// Too many new links from one address.
    TooFast = "too_fast";
    /// A packet does not parse.
    Malformed = "malformed";
    /// A packet is not allowed at this point.
    Protocol = "protocol";
    /// A packet larger than the limit.
    TooLarge = "too_large";
    /// More than Receive Maximum publishes without an answer.
    ReceiveMaximum = "receive_maximum";
    /// Alias 0 or above the maximum.
    TopicAlias = "topic_alias";
    /// QoS 2 from a v5 client that was told not to.
    QosNotSupported = "qos_not_supported";
    /// A publish topic with a wildcard or NUL.
    BadTopic = "bad_topic";
    /// The intake could not take publishes and the protocol has no other way to say it.
    Busy = "busy";
    /// The journal failed: nothing can be acknowledged.
    StorageFailed = "storage_failed";
    /// The client did not read what we wrote.
    WriteTimeout = "write_timeout";
    /// An operator or the registry ended it.
    Kicked = "kicked";
    /// This server stops.
    ShuttingDown = "shutting_down";
}

/// Live counters.
#[derive(Debug)]
pub(crate) struct Counters {
    closed: Vec<AtomicU64>,
    pub(crate) accepted: AtomicU64,
    pub(crate) accept_errors: AtomicU64,
    pub(crate) logins: AtomicU64,
    pub(crate) taken_over: AtomicU64,
    pub(crate) publishes: AtomicU64,
    pub(crate) publishes_refused: AtomicU64,
    pub(crate) publishes_ignored: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) down_sent: AtomicU64,
    pub(crate) down_dropped: AtomicU64,
    pub(crate) down_too_large: AtomicU64,
    pub(crate) wills: AtomicU64,
    pub(crate) wills_refused: AtomicU64,
    pub(crate) paused: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        let closed = CloseReason::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self {
            closed,
            accepted: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            taken_over: AtomicU64::new(0),
            publishes: AtomicU64::new(0),
            publishes_refused: AtomicU64::new(0),
            publishes_ignored: AtomicU64::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            down_sent: AtomicU64::new(0),
            down_dropped: AtomicU64::new(0),
            down_too_large: AtomicU64::new(0),
            wills: AtomicU64::new(0),
            wills_refused: AtomicU64::new(0),
            paused: AtomicU64::new(0),
        }
    }
}

impl Counters {
    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self, links: usize, tasks: usize) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            links,
            tasks,
            accepted: get(&self.accepted),
            accept_errors: get(&self.accept_errors),
            logins: get(&self.logins),
            taken_over: get(&self.taken_over),
            publishes: get(&self.publishes),
            publishes_refused: get(&self.publishes_refused),
            publishes_ignored: get(&self.publishes_ignored),
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            down_sent: get(&self.down_sent),
            down_dropped: get(&self.down_dropped),
            down_too_large: get(&self.down_too_large),
            wills: get(&self.wills),
            wills_refused: get(&self.wills_refused),
            paused: get(&self.paused),
            closed: CloseReason::ALL.iter().map(|&reason| (reason, get(&self.closed[reason as usize]))).collect(),
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

/// A snapshot of the counters. All but `links` and `tasks` only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Clients logged in now.
    pub links: usize,
    /// Connection tasks alive now, including those not logged in yet.
    pub tasks: usize,
    /// Sockets accepted.
    pub accepted: u64,
    /// `accept` failed (no file descriptor left, for example).
    pub accept_errors: u64,
    pub logins: u64,
    /// Logins that ended an older link of the same gateway. Two devices with one id fight for ever: watch its rate.
    pub taken_over: u64,
    /// Publishes handed to the intake, wills not counted.
    pub publishes: u64,
    /// Publishes answered with an error instead.
    pub publishes_refused: u64,
    /// Publishes acknowledged that hold nothing to store: what ThingsBoard devices say beside telemetry.
    pub publishes_ignored: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Down-link messages written to a socket's buffer.
    pub down_sent: u64,
    /// Down-link messages not sent: queue full or link gone.
    pub down_dropped: u64,
    /// Down-link messages above the client's Maximum Packet Size.
    pub down_too_large: u64,
    /// Wills fired and stored.
    pub wills: u64,
    /// Wills given up: the intake refused them or was busy for too long.
    pub wills_refused: u64,
    /// Times we stopped reading a link because its publishes were not stored yet.
    pub paused: u64,
    /// Links ended, by reason.
    pub closed: BTreeMap<CloseReason, u64>,
}

impl Stats {
    /// Links ended for this reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(&reason).copied().unwrap_or(0)
    }
}
