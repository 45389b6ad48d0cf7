//! Publishes from a client: checks, the window, QoS 2 of 3.1.1, topic aliases, and acknowledgements after the verdict.

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Property, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;
use mqtt_protocol_core::mqtt::{Arc as PacketArc, ArcPayload};

use super::{ALIAS_MAX, Host, Machine, Output, QOS2_IDS_MAX, encode, malformed};
use crate::door::acl::{self, Right};
use crate::door::intake::{Publish, Verdict};
use crate::door::stats::CloseReason;

/// A publish that waits for its verdict or for its turn to be acknowledged.
pub(super) struct Pending {
    qos: u8,
    id: u16,
    batch: u32,
    /// `None` until the verdict is in; then the v5 reason.
    answer: Option<u8>,
}

impl Pending {
    pub(super) fn is_qos2(&self, id: u16) -> bool {
        self.qos == 2 && self.id == id && self.answer.is_none()
    }
}

/// A parsed PUBLISH of either version.
struct Incoming<'a> {
    topic: &'a str,
    payload: &'a ArcPayload,
    qos: u8,
    dup: bool,
    retain: bool,
    id: u16,
}

/// The library refuses an alias of 0 like any bad property; the standard has a code of its own for it.
fn refused(error: MqttError, data: &[u8]) -> CloseReason {
    if data.windows(3).any(|bytes| bytes == [0x23, 0, 0]) { CloseReason::TopicAlias } else { malformed(error) }
}

/// Lets `Bytes` share the packet's own memory.
struct Shared(ArcPayload);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl Machine {
    /// The number of the batch in [`Output::publishes`]; the next publish starts a new one.
    pub fn batch(&mut self) -> u32 {
        let batch = self.batch;
        self.batch = self.batch.wrapping_add(1);
        batch
    }

    pub(super) fn publish(
        &mut self,
        flags: u8,
        data: &PacketArc<[u8]>,
        host: &mut dyn Host,
        out: &mut Output,
    ) -> Result<(), CloseReason> {
        if !self.v5 {
            let (packet, _) = v3_1_1::Publish::parse(flags, data.clone()).map_err(malformed)?;
            let incoming = Incoming {
                topic: packet.topic_name(),
                payload: packet.payload(),
                qos: packet.qos() as u8,
                dup: packet.dup(),
                retain: packet.retain(),
                id: packet.packet_id().unwrap_or(0),
            };
            return self.incoming(&incoming, host, out);
        }
        let (packet, _) = v5_0::Publish::parse(flags, data.clone()).map_err(|error| refused(error, data))?;
        let alias = packet.props().iter().find_map(|property| match property {
            Property::TopicAlias(alias) => Some(alias.val()),
            _ => None,
        });
        let known;
        let topic = match (packet.topic_name(), alias) {
            (topic, None) => topic,
            ("", Some(alias)) => {
                known = self.alias(alias)?;
                &*known
            }
            (topic, Some(alias)) => {
                self.learn_alias(alias, topic)?;
                topic
            }
        };
        let incoming = Incoming {
            topic,
            payload: packet.payload(),
            qos: packet.qos() as u8,
            dup: packet.dup(),
            retain: packet.retain(),
            id: packet.packet_id().unwrap_or(0),
        };
        self.incoming(&incoming, host, out)
    }

    fn incoming(&mut self, packet: &Incoming<'_>, host: &mut dyn Host, out: &mut Output) -> Result<(), CloseReason> {
        let Incoming { topic, qos, id, .. } = *packet;
        match (self.v5, qos) {
            (_, 0) if packet.dup => return Err(CloseReason::Malformed),
            (_, 1 | 2) if id == 0 => return Err(CloseReason::Malformed),
            (true, 2) => return Err(CloseReason::QosNotSupported),
            (true, 1) if self.unacked >= usize::from(self.limits.receive_max) => {
                return Err(CloseReason::ReceiveMaximum);
            }
            (true, 0 | 1) if topic.is_empty() => return Err(CloseReason::Protocol),
            _ => {}
        }
        if topic.contains('\0') {
            return Err(CloseReason::BadTopic);
        }
        let right = match &self.identity {
            Some(identity) if acl::is_topic(topic) => acl::publish(identity, topic),
            Some(_) => Right::Refused,
            None => return Err(CloseReason::Protocol),
        };
        match right {
            Right::Store { .. } => {}
            Right::Ignore => {
                out.ignored += 1;
                self.push(qos, id, Some(0));
                self.acknowledge(out);
                return Ok(());
            }
            Right::Refused => {
                let (code, reason) = if acl::is_topic(topic) {
                    (0x87, CloseReason::NotAuthorised)
                } else {
                    (0x90, CloseReason::BadTopic)
                };
                out.refused += 1;
                if !self.v5 {
                    return Err(reason);
                }
                self.push(qos, id, Some(code));
                self.acknowledge(out);
                return Ok(());
            }
        }
        if qos == 2 && self.seen_before(packet, out)? {
            return Ok(());
        }
        let payload = Bytes::from_owner(Shared(packet.payload.clone()));
        self.push(qos, id, None);
        out.publishes.push(Publish {
            topic: topic.to_owned(),
            payload,
            qos,
            retain: packet.retain,
            dup: packet.dup,
            received_at: host.now(),
            will: None,
        });
        Ok(())
    }

    /// QoS 2 of 3.1.1: a packet sent again whose id we know is only told PUBREC. Without DUP it is a new message even
    /// if its id is known: the client forgot its session, and a message taken for an old one would be lost.
    fn seen_before(&mut self, packet: &Incoming<'_>, out: &mut Output) -> Result<bool, CloseReason> {
        let known = self.qos2.contains(&packet.id);
        if known && packet.dup {
            if !self.pending.iter().any(|pending| pending.is_qos2(packet.id)) {
                self.push(2, packet.id, Some(0));
                self.acknowledge(out);
            }
            return Ok(true);
        }
        if !known {
            if self.qos2.len() >= QOS2_IDS_MAX {
                return Err(CloseReason::ReceiveMaximum);
            }
            self.qos2.push(packet.id);
        }
        Ok(false)
    }

    pub(super) fn pubrel(&mut self, data: &[u8], out: &mut Output) -> Result<(), CloseReason> {
        let id = if self.v5 {
            let (packet, used) = v5_0::Pubrel::parse(data).map_err(malformed)?;
            if used != data.len() {
                return Err(CloseReason::Malformed);
            }
            packet.packet_id()
        } else {
            let (packet, used) = v3_1_1::Pubrel::parse(data).map_err(malformed)?;
            if used != data.len() {
                return Err(CloseReason::Malformed);
            }
            packet.packet_id()
        };
        if self.pending.iter().any(|pending| pending.is_qos2(id)) {
            // No PUBREC was sent for it yet: a PUBCOMP now would be an acknowledgement before the disk.
            return Err(CloseReason::Protocol);
        }
        self.qos2.retain(|&known| known != id);
        // v5 clients have no QoS 2 here, so the id is unknown.
        encode::ack(&mut out.write, 0x70, id, if self.v5 { 0x92 } else { 0 });
        Ok(())
    }

    /// The intake's answer for one batch. Writes the acknowledgements whose turn has come.
    pub fn verdicts(&mut self, batch: u32, verdicts: &[Verdict], out: &mut Output) {
        let mut verdicts = verdicts.iter().copied();
        let mut close = None;
        for pending in &mut self.pending {
            if pending.batch != batch || pending.answer.is_some() {
                continue;
            }
            // An intake that answers too little did not store the rest.
            let verdict = verdicts.next().unwrap_or(Verdict::Failed);
            if !matches!(verdict, Verdict::Stored | Verdict::Duplicate) {
                out.refused += 1;
            }
            pending.answer = Some(match verdict {
                Verdict::Stored | Verdict::Duplicate => 0x00,
                Verdict::Malformed(_) => 0x99,
                Verdict::NotAuthorised if self.v5 => 0x87,
                Verdict::Busy if self.v5 => 0x97,
                Verdict::Busy => {
                    // Stays unanswered; so do all behind it, for acknowledgements keep their order.
                    self.busy |= pending.qos > 0;
                    if pending.qos > 0 {
                        continue;
                    }
                    0x97
                }
                Verdict::NotAuthorised => {
                    close = close.or(Some(CloseReason::NotAuthorised));
                    continue;
                }
                Verdict::Failed => {
                    close = Some(CloseReason::StorageFailed);
                    continue;
                }
            });
        }
        if self.closed.is_none() {
            self.acknowledge(out);
        }
        if let Some(reason) = close {
            self.close(reason, out);
        }
    }

    /// Writes acknowledgements from the front of the queue, as far as verdicts are in.
    fn acknowledge(&mut self, out: &mut Output) {
        while let Some(&Pending { qos, id, answer: Some(answer), .. }) = self.pending.front() {
            let reason = if self.v5 { answer } else { 0 };
            match qos {
                0 => {}
                1 => encode::ack(&mut out.write, 0x40, id, reason),
                _ => encode::ack(&mut out.write, 0x50, id, reason),
            }
            self.unacked -= usize::from(qos > 0);
            self.pending.pop_front();
        }
        if self.pending.is_empty() && self.pending.capacity() > 8 {
            self.pending = std::collections::VecDeque::new();
        }
    }

    fn push(&mut self, qos: u8, id: u16, answer: Option<u8>) {
        self.unacked += usize::from(qos > 0);
        self.pending.push_back(Pending { qos, id, batch: self.batch, answer });
    }

    fn alias(&self, alias: u16) -> Result<Box<str>, CloseReason> {
        if alias == 0 || alias > ALIAS_MAX {
            return Err(CloseReason::TopicAlias);
        }
        let known = self.aliases.get(usize::from(alias) - 1).and_then(Clone::clone);
        known.ok_or(CloseReason::Protocol)
    }

    fn learn_alias(&mut self, alias: u16, topic: &str) -> Result<(), CloseReason> {
        if alias == 0 || alias > ALIAS_MAX {
            return Err(CloseReason::TopicAlias);
        }
        if topic.len() > acl::TOPIC_BYTES_MAX {
            return Err(CloseReason::BadTopic);
        }
        if self.aliases.is_empty() {
            self.aliases.resize(usize::from(ALIAS_MAX), None);
        }
        self.aliases[usize::from(alias) - 1] = Some(topic.into());
        Ok(())
    }
}
