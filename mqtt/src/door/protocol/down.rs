//! Messages to a client: its Receive Maximum and Maximum Packet Size are kept, PUBACKs may come in any order.

use std::collections::VecDeque;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{v3_1_1, v5_0};

use super::{Machine, Output, encode, malformed};
use crate::door::intake::Retained;
use crate::door::stats::CloseReason;

/// QoS 1 messages to one client without its PUBACK, at most.
const IN_FLIGHT_MAX: usize = 32;

/// The way down. Owns no heap memory while nothing is sent.
pub(super) struct Down {
    queue: VecDeque<Message>,
    in_flight: Vec<u16>,
    last_id: u16,
    in_flight_max: usize,
    packet_max: u32,
}

struct Message {
    topic: String,
    payload: Bytes,
    qos: u8,
    retain: bool,
}

impl Default for Down {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            last_id: 0,
            in_flight_max: IN_FLIGHT_MAX,
            packet_max: u32::MAX,
        }
    }
}

impl Down {
    pub(super) fn set_receive_max(&mut self, max: u16) {
        self.in_flight_max = usize::from(max).clamp(1, IN_FLIGHT_MAX);
    }

    pub(super) fn set_packet_max(&mut self, bytes: u32) {
        self.packet_max = bytes;
    }

    pub(super) fn packet_max(&self) -> u32 {
        self.packet_max
    }

    /// A free packet id. There always is one: far fewer than 65,535 are in flight.
    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.in_flight.contains(&self.last_id) {
                return self.last_id;
            }
        }
    }
}

impl Machine {
    /// Sends a message to the client, now or when its window has room. `qos` is 0 or 1.
    pub fn send(&mut self, topic: String, payload: Bytes, qos: u8, out: &mut Output) {
        self.enqueue(Message { topic, payload, qos: qos.min(1), retain: false }, out);
    }

    /// Messages that wait for the client's window.
    pub fn queued(&self) -> usize {
        self.down.queue.len()
    }

    pub(super) fn send_retained(&mut self, found: Retained, qos: u8, out: &mut Output) {
        self.enqueue(Message { topic: found.topic, payload: found.payload, qos, retain: true }, out);
    }

    fn enqueue(&mut self, message: Message, out: &mut Output) {
        if encode::publish_size(&message.topic, &message.payload, message.qos, self.v5) > self.down.packet_max as usize
        {
            out.down_too_large += 1;
            return;
        }
        self.down.queue.push_back(message);
        self.write_down(out);
    }

    fn write_down(&mut self, out: &mut Output) {
        while let Some(message) = self.down.queue.front() {
            if message.qos > 0 && self.down.in_flight.len() >= self.down.in_flight_max {
                return;
            }
            let Some(message) = self.down.queue.pop_front() else { return };
            let id = if message.qos > 0 { self.down.next_id() } else { 0 };
            if message.qos > 0 {
                self.down.in_flight.push(id);
            }
            let content = (message.topic.as_str(), &*message.payload);
            encode::publish(&mut out.write, content, message.qos, message.retain, id, self.v5);
            out.down_sent += 1;
        }
        self.down.queue = VecDeque::new();
    }

    pub(super) fn puback(&mut self, data: &[u8], out: &mut Output) -> Result<(), CloseReason> {
        let (id, used) = if self.v5 {
            let (packet, used) = v5_0::Puback::parse(data).map_err(malformed)?;
            (packet.packet_id(), used)
        } else {
            let (packet, used) = v3_1_1::Puback::parse(data).map_err(malformed)?;
            (packet.packet_id(), used)
        };
        if used != data.len() {
            return Err(CloseReason::Malformed);
        }
        // An unknown id is an answer to a link before this one: harmless.
        self.down.in_flight.retain(|&known| known != id);
        self.write_down(out);
        Ok(())
    }
}
