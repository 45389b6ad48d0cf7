//! SUBSCRIBE and UNSUBSCRIBE. Every filter gets an answer, never silence.

use mqtt_protocol_core::mqtt::packet::{Property, RetainHandling, SubEntry, v3_1_1, v5_0};

use super::{Host, Machine, Output, SUBSCRIPTIONS_MAX, Subscription, encode, malformed};
use crate::door::acl;
use crate::door::stats::CloseReason;

impl Machine {
    pub(super) fn subscribe(&mut self, data: &[u8], host: &mut dyn Host, out: &mut Output) -> Result<(), CloseReason> {
        let (id, entries, identifier) = if self.v5 {
            let (packet, used) = v5_0::Subscribe::parse(data).map_err(malformed)?;
            exact(used, data, packet.packet_id())?;
            let identifier = packet.props().iter().any(|p| matches!(p, Property::SubscriptionIdentifier(_)));
            (packet.packet_id(), packet.entries().clone(), identifier)
        } else {
            let (packet, used) = v3_1_1::Subscribe::parse(data).map_err(malformed)?;
            exact(used, data, packet.packet_id())?;
            (packet.packet_id(), packet.entries().clone(), false)
        };
        let mut codes = Vec::with_capacity(entries.len());
        let mut retained = Vec::new();
        for entry in &entries {
            let answer = if identifier { Err(0xA1) } else { self.grant(entry) };
            match answer {
                Ok((qos, fresh)) => {
                    codes.push(qos);
                    let wanted = match entry.sub_opts().rh() {
                        RetainHandling::SendRetained => true,
                        RetainHandling::SendRetainedIfNotExists => fresh || !self.v5,
                        RetainHandling::DoNotSendRetained => !self.v5,
                    };
                    if wanted {
                        retained.extend(host.retained(entry.topic_filter()).into_iter().map(|found| (found, qos)));
                    }
                }
                Err(code) => codes.push(if self.v5 { code } else { 0x80 }),
            }
        }
        out.subscriptions_changed = true;
        encode::suback(&mut out.write, 0x90, id, &codes, self.v5);
        for (found, qos) in retained {
            self.send_retained(found, qos, out);
        }
        Ok(())
    }

    /// Grants a filter. Gives the QoS and whether it is new, or the refusal's code.
    fn grant(&mut self, entry: &SubEntry) -> Result<(u8, bool), u8> {
        let filter = entry.topic_filter();
        if !filter.starts_with("$share/") && !acl::is_filter(filter) {
            return Err(0x8F);
        }
        if !self.identity.as_ref().is_some_and(|identity| acl::subscribe(identity, filter)) {
            return Err(0x87);
        }
        let qos = (entry.sub_opts().qos() as u8).min(1);
        if let Some(known) = self.subscriptions.iter_mut().find(|known| &*known.filter == filter) {
            known.qos = qos;
            return Ok((qos, false));
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(0x97);
        }
        self.subscriptions.push(Subscription { filter: filter.into(), qos });
        Ok((qos, true))
    }

    pub(super) fn unsubscribe(&mut self, data: &[u8], out: &mut Output) -> Result<(), CloseReason> {
        let (id, filters) = if self.v5 {
            let (packet, used) = v5_0::Unsubscribe::parse(data).map_err(malformed)?;
            exact(used, data, packet.packet_id())?;
            (packet.packet_id(), packet.entries().clone())
        } else {
            let (packet, used) = v3_1_1::Unsubscribe::parse(data).map_err(malformed)?;
            exact(used, data, packet.packet_id())?;
            (packet.packet_id(), packet.entries().clone())
        };
        let mut codes = Vec::with_capacity(filters.len());
        for filter in &filters {
            let before = self.subscriptions.len();
            self.subscriptions.retain(|known| &*known.filter != filter.as_str());
            codes.push(if self.subscriptions.len() < before { 0x00 } else { 0x11 });
        }
        out.subscriptions_changed = true;
        encode::suback(&mut out.write, 0xB0, id, if self.v5 { &codes } else { &[] }, self.v5);
        Ok(())
    }
}

fn exact(used: usize, data: &[u8], id: u16) -> Result<(), CloseReason> {
    if used == data.len() && id != 0 { Ok(()) } else { Err(CloseReason::Malformed) }
}
