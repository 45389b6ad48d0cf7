//! One client's protocol state, without sockets or clocks: bytes in; bytes, publishes and a reason to close out.
//!
//! Public so that benches and fuzz targets reach it. Packets are cut and parsed by `mqtt-protocol-core`; what they mean
//! here (rights, windows, the order of acknowledgements, reason codes) is ours. Never panics on input.
//!
//! Invariants: acknowledgements leave in the order their publishes arrived, each after its verdict; after a reason to
//! close is set, nothing more is read and no further acknowledgement is written.

mod down;
mod encode;
mod login;
mod publish;
mod subscribe;

use std::collections::VecDeque;
use std::sync::Arc;

use model::Time;
use mqtt_protocol_core::mqtt::common::Cursor;
use mqtt_protocol_core::mqtt::connection::{PacketBuildResult, PacketBuilder, PacketData, RawPacket};
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use self::down::Down;
pub use self::login::Will;
use self::publish::Pending;
use super::config::Config;
use super::identity::{Identity, Login, LoginError};
use super::intake::{Publish, Retained};
use super::stats::CloseReason;

/// Room for topic and properties beside the largest payload, in bytes.
const OVERHEAD_BYTES: usize = 1_024;
/// Topic aliases a client may use.
const ALIAS_MAX: u16 = 16;
/// Subscriptions of one link.
const SUBSCRIPTIONS_MAX: usize = 64;
/// QoS 2 packet ids of a 3.1.1 client that wait for PUBREL.
const QOS2_IDS_MAX: usize = 1_024;

/// What the state machine asks of the world. All answers come at once, from memory.
pub trait Host {
    /// Who is this?
    fn identify(&mut self, login: &Login<'_>) -> Result<Identity, LoginError>;
    /// The identity fits the CONNECT: take a seat. Gives the packet ids of QoS 2 publishes that still wait for PUBREL.
    fn admit(&mut self, identity: &Arc<Identity>, will: Option<Will>, clean: bool) -> Result<Vec<u16>, CloseReason>;
    /// Retained messages that match.
    fn retained(&mut self, filter: &str) -> Vec<Retained>;
    /// The time that `Publish::received_at` gets.
    fn now(&self) -> Time;
}

/// What a step produced.
#[derive(Debug, Default)]
pub struct Output {
    /// Bytes for the socket.
    pub write: Vec<u8>,
    /// Publishes for the intake, in order: one batch (see [`Machine::batch`]).
    pub publishes: Vec<Publish>,
    /// The subscriptions changed: see [`Machine::subscriptions`].
    pub subscriptions_changed: bool,
    /// Publishes answered with an error or dropped, since last taken.
    pub refused: u64,
    /// Publishes acknowledged that hold nothing to store (ThingsBoard attributes), since last taken.
    pub ignored: u64,
    /// Down-link messages written, since last taken.
    pub down_sent: u64,
    /// Down-link messages above the client's Maximum Packet Size, since last taken.
    pub down_too_large: u64,
}

/// Limits of a link, from [`Config`].
#[derive(Clone, Debug)]
pub struct Limits {
    connect_bytes_max: u32,
    packet_bytes_max: u32,
    receive_max: u16,
    keep_alive_s: u16,
    will_delay_max_s: u32,
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let bytes = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            connect_bytes_max: bytes(config.connect_bytes_max),
            packet_bytes_max: bytes(config.payload_bytes_max.saturating_add(OVERHEAD_BYTES)),
            receive_max: config.receive_max.max(1),
            keep_alive_s: config.keep_alive_s,
            will_delay_max_s: config.will_delay_max_s,
        }
    }
}

/// A granted subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub filter: Box<str>,
    /// 0 or 1.
    pub qos: u8,
}

impl Subscription {
    /// Whether this subscription wants the topic.
    pub fn matches(&self, topic: &str) -> bool {
        super::acl::matches(&self.filter, topic)
    }
}

/// One link's protocol state. Small: an idle one owns almost no heap memory.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one link, not states of one thing")]
pub struct Machine {
    limits: Arc<Limits>,
    builder: PacketBuilder,
    /// The first byte is here, and it is a CONNECT's.
    started: bool,
    v5: bool,
    tls: bool,
    peer: std::net::SocketAddr,
    identity: Option<Arc<Identity>>,
    closed: Option<CloseReason>,
    /// Seconds; 0: none.
    keep_alive_s: u16,
    pending: VecDeque<Pending>,
    /// Pending publishes above QoS 0.
    unacked: usize,
    batch: u32,
    /// A verdict said "busy" and 3.1.1 has no code for it: acknowledge nothing more, close soon.
    busy: bool,
    qos2: Vec<u16>,
    aliases: Vec<Option<Box<str>>>,
    subscriptions: Vec<Subscription>,
    down: Down,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("v5", &self.v5).field("closed", &self.closed).finish_non_exhaustive()
    }
}

impl Machine {
    pub fn new(limits: Arc<Limits>, peer: std::net::SocketAddr, tls: bool) -> Self {
        Self {
            builder: PacketBuilder::with_maximum_packet_size(limits.connect_bytes_max),
            limits,
            started: false,
            v5: false,
            tls,
            peer,
            identity: None,
            closed: None,
            keep_alive_s: 0,
            pending: VecDeque::new(),
            unacked: 0,
            batch: 0,
            busy: false,
            qos2: Vec::new(),
            aliases: Vec::new(),
            subscriptions: Vec::new(),
            down: Down::default(),
        }
    }

    /// Takes bytes from the client. Returns how many were used: fewer than given when the link is closed or paused;
    /// the rest is to be given again once it is not [`Machine::is_paused`].
    pub fn feed(&mut self, data: &[u8], host: &mut dyn Host, out: &mut Output) -> usize {
        if !self.started && data.first().is_some_and(|first| *first != 0x10) {
            // Not a CONNECT, so not worth waiting for the rest of it.
            self.close(CloseReason::BadConnect, out);
            return 0;
        }
        self.started |= !data.is_empty();
        let mut cursor = Cursor::new(data);
        while self.closed.is_none() && !self.is_paused() && (cursor.position() as usize) < data.len() {
            match self.builder.feed(&mut cursor) {
                PacketBuildResult::Complete(packet) => self.packet(&packet, host, out),
                PacketBuildResult::Incomplete => {}
                PacketBuildResult::Error(error) => {
                    self.unreadable(error, data.get(cursor.position() as usize..).unwrap_or_default(), out);
                }
            }
        }
        cursor.position() as usize
    }

    /// Too many publishes wait for their verdict, or the intake is busy: do not read.
    ///
    /// A 3.1.1 client is stopped at Receive Maximum publishes. A v5 client knows the limit, so going over it with QoS 1
    /// is an error; only a flood of QoS 0 pauses it.
    pub fn is_paused(&self) -> bool {
        let max = usize::from(self.limits.receive_max);
        self.busy || self.pending.len() >= if self.v5 { max.saturating_mul(4) } else { max }
    }

    /// Publishes without an answer.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The intake was busy and the client cannot be told: close after a pause.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Why the link is to be closed once [`Output::write`] is written.
    pub fn closed(&self) -> Option<CloseReason> {
        self.closed
    }

    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }

    /// Seconds; 0: the client need not send anything.
    pub fn keep_alive_s(&self) -> u16 {
        self.keep_alive_s
    }

    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    /// QoS 2 packet ids that wait for PUBREL.
    pub fn qos2_ids(&mut self) -> Vec<u16> {
        let pending = &self.pending;
        self.qos2.retain(|&id| !pending.iter().any(|publish| publish.is_qos2(id)));
        std::mem::take(&mut self.qos2)
    }

    /// Ends the link from our side, with a DISCONNECT where the version has one.
    pub fn close(&mut self, reason: CloseReason, out: &mut Output) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(reason);
        if self.identity.is_none() {
            return;
        }
        if let (true, Some(code)) = (self.v5, encode::goodbye(reason)) {
            encode::disconnect_v5(&mut out.write, code);
        }
    }

    fn packet(&mut self, packet: &RawPacket, host: &mut dyn Host, out: &mut Output) {
        let (kind, flags, data) = (packet.packet_type(), packet.flags(), packet.data_as_slice());
        if self.identity.is_none() {
            if kind == 1 && flags == 0 {
                self.connect(data, host, out);
            } else {
                self.close(CloseReason::BadConnect, out);
            }
            return;
        }
        let flags_wanted = match kind {
            3 => flags,
            6 | 8 | 10 => 2,
            _ => 0,
        };
        if flags != flags_wanted {
            return self.close(CloseReason::Malformed, out);
        }
        let done = match kind {
            3 => match &packet.data {
                PacketData::Publish(data) => self.publish(flags, data, host, out),
                PacketData::Normal(_) => Err(CloseReason::Malformed),
            },
            4 => self.puback(data, out),
            6 => self.pubrel(data, out),
            8 => self.subscribe(data, host, out),
            10 => self.unsubscribe(data, out),
            12 if data.is_empty() => {
                encode::pingresp(&mut out.write);
                Ok(())
            }
            14 => Err(self.goodbye(packet)),
            // A second CONNECT, PUBREC and PUBCOMP (we never send QoS 2), AUTH (never asked for), server packets.
            1 | 2 | 5 | 7 | 9 | 11 | 13 | 15 => Err(CloseReason::Protocol),
            _ => Err(CloseReason::Malformed),
        };
        if let Err(reason) = done {
            self.close(reason, out);
        }
    }

    /// What the client's DISCONNECT means.
    fn goodbye(&self, packet: &RawPacket) -> CloseReason {
        if !self.v5 {
            return match packet.parse_exact(v3_1_1::Disconnect::parse) {
                Ok(_) => CloseReason::Disconnected,
                Err(_) => CloseReason::Malformed,
            };
        }
        match packet.parse_exact(v5_0::Disconnect::parse) {
            Ok(packet) if packet.reason_code().is_none_or(|code| code as u8 == 0) => CloseReason::Disconnected,
            Ok(_) => CloseReason::DisconnectedWithWill,
            Err(_) => CloseReason::Malformed,
        }
    }

    fn unreadable(&mut self, error: MqttError, rest: &[u8], out: &mut Output) {
        let reason = match error {
            MqttError::PacketTooLarge => CloseReason::TooLarge,
            _ => CloseReason::Malformed,
        };
        if self.identity.is_none() {
            self.unreadable_connect(reason, rest, out);
        } else {
            self.close(reason, out);
        }
    }
}

/// What of the library's parse errors is worth telling apart.
fn malformed(error: MqttError) -> CloseReason {
    match error {
        MqttError::ProtocolError => CloseReason::Protocol,
        _ => CloseReason::Malformed,
    }
}
