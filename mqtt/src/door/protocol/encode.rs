//! The few packets a server sends, as bytes. Fixed layouts, so they are written down rather than built; the tests read
//! every one of them back with the protocol library.

use crate::door::stats::CloseReason;

/// What a v5 CONNACK tells the client about this server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capabilities {
    pub(super) receive_max: u16,
    pub(super) packet_bytes_max: u32,
    pub(super) alias_max: u16,
    /// Seconds; `None` when the client's own keep-alive stands.
    pub(super) keep_alive_s: Option<u16>,
    /// The client's Maximum Packet Size.
    pub(super) client_packet_max: u32,
}

/// User property that tells our uplink that a PUBACK from here means "on disk" (not so with other brokers).
const CUSTODY: (&str, &str) = ("vigil-custody", "puback");

pub(super) fn connack_v3(out: &mut Vec<u8>, code: u8) {
    out.extend_from_slice(&[0x20, 2, 0, code]);
}

pub(super) fn connack_v5_refusal(out: &mut Vec<u8>, code: u8) {
    out.extend_from_slice(&[0x20, 3, 0, code, 0]);
}

pub(super) fn connack_v5(out: &mut Vec<u8>, has: Capabilities) {
    let mut properties = Vec::with_capacity(64);
    properties.push(0x21);
    properties.extend_from_slice(&has.receive_max.to_be_bytes());
    properties.extend_from_slice(&[0x24, 1]); // Maximum QoS 1
    properties.push(0x27);
    properties.extend_from_slice(&has.packet_bytes_max.to_be_bytes());
    properties.push(0x22);
    properties.extend_from_slice(&has.alias_max.to_be_bytes());
    if let Some(keep_alive_s) = has.keep_alive_s {
        properties.push(0x13);
        properties.extend_from_slice(&keep_alive_s.to_be_bytes());
    }
    properties.extend_from_slice(&[0x29, 0, 0x2A, 0]); // no subscription identifiers, no shared subscriptions
    let user = 1 + 2 + CUSTODY.0.len() + 2 + CUSTODY.1.len();
    if properties.len() + user + 6 <= has.client_packet_max as usize {
        properties.push(0x26);
        string(&mut properties, CUSTODY.0);
        string(&mut properties, CUSTODY.1);
    }
    out.push(0x20);
    length(out, 2 + length_size(properties.len()) + properties.len());
    out.extend_from_slice(&[0, 0]);
    length(out, properties.len());
    out.extend_from_slice(&properties);
}

/// PUBACK, PUBREC or PUBCOMP. A reason of 0, and any reason to a 3.1.1 client, is not sent.
pub(super) fn ack(out: &mut Vec<u8>, first: u8, id: u16, reason: u8) {
    let [high, low] = id.to_be_bytes();
    if reason == 0 {
        out.extend_from_slice(&[first, 2, high, low]);
    } else {
        out.extend_from_slice(&[first, 3, high, low, reason]);
    }
}

/// SUBACK (0x90) or UNSUBACK (0xB0) with one code for each filter; a 3.1.1 UNSUBACK has none.
pub(super) fn suback(out: &mut Vec<u8>, first: u8, id: u16, codes: &[u8], v5: bool) {
    out.push(first);
    length(out, 2 + usize::from(v5) + codes.len());
    out.extend_from_slice(&id.to_be_bytes());
    if v5 {
        out.push(0);
    }
    out.extend_from_slice(codes);
}

pub(super) fn pingresp(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0xD0, 0]);
}

pub(super) fn disconnect_v5(out: &mut Vec<u8>, code: u8) {
    out.extend_from_slice(&[0xE0, 1, code]);
}

/// Bytes a PUBLISH takes, fixed header included.
pub(super) fn publish_size(topic: &str, payload: &[u8], qos: u8, v5: bool) -> usize {
    let body = publish_body(topic, payload, qos, v5);
    1 + length_size(body) + body
}

/// A PUBLISH to a client. `id` matters above QoS 0.
pub(super) fn publish(out: &mut Vec<u8>, message: (&str, &[u8]), qos: u8, retain: bool, id: u16, v5: bool) {
    let (topic, payload) = message;
    out.push(0x30 | (qos << 1) | u8::from(retain));
    length(out, publish_body(topic, payload, qos, v5));
    string(out, topic);
    if qos > 0 {
        out.extend_from_slice(&id.to_be_bytes());
    }
    if v5 {
        out.push(0);
    }
    out.extend_from_slice(payload);
}

fn publish_body(topic: &str, payload: &[u8], qos: u8, v5: bool) -> usize {
    2 + topic.len() + if qos > 0 { 2 } else { 0 } + usize::from(v5) + payload.len()
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn length_size(length: usize) -> usize {
    match length {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

fn length(out: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = (length & 0x7F) as u8;
        length >>= 7;
        if length == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// CONNACK code (v5, 3.1.1) for a refused login. `None`: the version has no code for it, the link is just closed.
pub(super) fn refusal(reason: CloseReason) -> (Option<u8>, Option<u8>) {
    match reason {
        CloseReason::BadVersion => (Some(0x84), Some(1)),
        CloseReason::BadClientId => (Some(0x85), Some(2)),
        CloseReason::BadCredentials => (Some(0x86), Some(4)),
        CloseReason::NotAuthorised => (Some(0x87), Some(5)),
        CloseReason::Unavailable => (Some(0x88), Some(3)),
        CloseReason::TooManyLinks => (Some(0x89), Some(3)),
        CloseReason::ShuttingDown => (Some(0x8B), Some(3)),
        CloseReason::BadAuthMethod => (Some(0x8C), None),
        CloseReason::TooLarge => (Some(0x95), None),
        CloseReason::QosNotSupported => (Some(0x9B), None),
        CloseReason::TooFast => (Some(0x9F), None),
        CloseReason::BadTopic => (Some(0x90), None),
        CloseReason::BadConnect => (Some(0x81), None),
        _ => (None, None),
    }
}

/// v5 DISCONNECT code for ending a link; `None` when there is nobody left to tell.
pub(super) fn goodbye(reason: CloseReason) -> Option<u8> {
    Some(match reason {
        CloseReason::Malformed => 0x81,
        CloseReason::Protocol => 0x82,
        CloseReason::NotAuthorised => 0x87,
        CloseReason::StorageFailed => 0x89,
        CloseReason::ShuttingDown => 0x8B,
        CloseReason::KeepAlive => 0x8D,
        CloseReason::TakenOver => 0x8E,
        CloseReason::BadTopic => 0x90,
        CloseReason::ReceiveMaximum => 0x93,
        CloseReason::TopicAlias => 0x94,
        CloseReason::TooLarge => 0x95,
        CloseReason::Busy => 0x97,
        CloseReason::Kicked => 0x98,
        CloseReason::QosNotSupported => 0x9B,
        _ => return None,
    })
}
