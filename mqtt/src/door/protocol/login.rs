//! CONNECT: version, client id, credentials, will; and the CONNACK that says what was wrong.

use std::sync::Arc;

use bytes::Bytes;
use mqtt_protocol_core::mqtt::packet::{Property, Qos, v3_1_1, v5_0};
use mqtt_protocol_core::mqtt::result_code::MqttError;

use super::{ALIAS_MAX, Host, Machine, Output, encode};
use crate::door::acl;
use crate::door::identity::{Dialect, Identity, Login, LoginError};
use crate::door::intake::Publish;
use crate::door::stats::CloseReason;

/// Longest client id, in bytes. Ours are 32 at most; ThingsBoard devices make up their own.
const CLIENT_ID_BYTES_MAX: usize = 128;
/// Characters that would let a client id reach into topics.
const CLIENT_ID_BANNED: [char; 5] = ['+', '#', '$', '/', '\0'];

/// A client's last will, after the rights check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// With `will: None` and the time of the login; the door sets both when it fires.
    pub publish: Publish,
    /// Seconds after the end of the link.
    pub delay_s: u32,
    /// It is the client's retained state.
    pub state: bool,
}

/// The parts of a CONNECT that both versions share.
struct Connect<'a> {
    client_id: &'a str,
    username: Option<&'a str>,
    password: Option<&'a [u8]>,
    clean: bool,
    keep_alive_s: u16,
    will: Option<(&'a str, &'a [u8], Qos, bool)>,
    will_delay_s: u32,
}

impl Machine {
    pub(super) fn connect(&mut self, data: &[u8], host: &mut dyn Host, out: &mut Output) {
        // Protocol name and level, before anything else: they decide how to answer.
        match data {
            [0, 4, b'M', b'Q', b'T', b'T', 4, flags, ..] => {
                if flags & 1 != 0 || !will_flags_fit(*flags) {
                    return self.refuse(CloseReason::BadConnect, out);
                }
                self.connect_v3(data, host, out);
            }
            [0, 4, b'M', b'Q', b'T', b'T', 5, flags, ..] => {
                self.v5 = true;
                if flags & 1 != 0 || !will_flags_fit(*flags) {
                    return self.refuse(CloseReason::BadConnect, out);
                }
                self.connect_v5(data, host, out);
            }
            [0, 4, b'M', b'Q', b'T', b'T', level, ..] => {
                self.v5 = *level > 5;
                self.refuse(CloseReason::BadVersion, out);
            }
            [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', ..] => self.refuse(CloseReason::BadVersion, out),
            _ => self.close(CloseReason::BadConnect, out),
        }
    }

    fn connect_v3(&mut self, data: &[u8], host: &mut dyn Host, out: &mut Output) {
        let connect = match v3_1_1::Connect::parse(data) {
            Ok((connect, used)) if used == data.len() => connect,
            Ok(_) => return self.refuse(CloseReason::BadConnect, out),
            Err(error) => return self.refuse(bad_connect(error), out),
        };
        let will = will_of(connect.will_topic(), connect.will_payload(), connect.will_qos(), connect.will_retain());
        let shared = Connect {
            client_id: connect.client_id(),
            username: connect.user_name(),
            password: connect.password(),
            clean: connect.clean_session(),
            keep_alive_s: connect.keep_alive(),
            will,
            will_delay_s: 0,
        };
        self.log_in(&shared, host, out);
    }

    fn connect_v5(&mut self, data: &[u8], host: &mut dyn Host, out: &mut Output) {
        let connect = match v5_0::Connect::parse(data) {
            Ok((connect, used)) if used == data.len() => connect,
            Ok(_) => return self.refuse(CloseReason::BadConnect, out),
            Err(error) => return self.refuse(bad_connect(error), out),
        };
        let mut session_expiry_s = 0;
        for property in connect.props() {
            match property {
                Property::AuthenticationMethod(_) => return self.refuse(CloseReason::BadAuthMethod, out),
                Property::SessionExpiryInterval(seconds) => session_expiry_s = seconds.val(),
                Property::ReceiveMaximum(count) => self.down.set_receive_max(count.val()),
                Property::MaximumPacketSize(bytes) => self.down.set_packet_max(bytes.val()),
                _ => {}
            }
        }
        let delay_s = connect.will_props.iter().find_map(|property| match property {
            Property::WillDelayInterval(seconds) => Some(seconds.val()),
            _ => None,
        });
        let will = will_of(connect.will_topic(), connect.will_payload(), connect.will_qos(), connect.will_retain());
        let shared = Connect {
            client_id: connect.client_id(),
            username: connect.user_name(),
            password: connect.password(),
            clean: connect.clean_start(),
            keep_alive_s: connect.keep_alive(),
            will,
            // The standard: the will goes out when the delay is over or the session ends, whichever is first.
            will_delay_s: delay_s.unwrap_or(0).min(session_expiry_s).min(self.limits.will_delay_max_s),
        };
        self.log_in(&shared, host, out);
    }

    fn log_in(&mut self, connect: &Connect<'_>, host: &mut dyn Host, out: &mut Output) {
        match self.check(connect, host) {
            Ok((identity, qos2)) => {
                self.identity = Some(identity);
                self.qos2 = qos2;
                self.builder.set_maximum_packet_size(self.limits.packet_bytes_max);
                let ours = self.limits.keep_alive_s;
                let announce = self.v5 && ours > 0 && (connect.keep_alive_s == 0 || connect.keep_alive_s > ours);
                self.keep_alive_s = if announce { ours } else { connect.keep_alive_s };
                self.accept(announce, out);
            }
            Err(reason) => self.refuse(reason, out),
        }
    }

    fn check(&self, connect: &Connect<'_>, host: &mut dyn Host) -> Result<(Arc<Identity>, Vec<u16>), CloseReason> {
        let id = connect.client_id;
        if id.len() > CLIENT_ID_BYTES_MAX || id.contains(CLIENT_ID_BANNED) || (id.is_empty() && !connect.clean) {
            return Err(CloseReason::BadClientId);
        }
        let login = Login {
            client_id: id,
            username: connect.username,
            password: connect.password,
            peer: self.peer,
            tls: self.tls,
        };
        let identity = host.identify(&login).map_err(|error| match error {
            LoginError::BadCredentials => CloseReason::BadCredentials,
            LoginError::NotAuthorised => CloseReason::NotAuthorised,
            LoginError::BadClientId => CloseReason::BadClientId,
            LoginError::Unavailable => CloseReason::Unavailable,
        })?;
        if identity.dialect == Dialect::Vigil && !identity.open_acl && id != identity.name.as_str() {
            return Err(CloseReason::BadClientId);
        }
        let identity = Arc::new(identity);
        let will = match connect.will {
            Some((topic, payload, qos, retain)) => {
                if self.v5 && qos == Qos::ExactlyOnce {
                    return Err(CloseReason::QosNotSupported);
                }
                if !acl::is_topic(topic) {
                    return Err(CloseReason::BadTopic);
                }
                let acl::Right::Store { state } = acl::publish(&identity, topic) else {
                    return Err(CloseReason::NotAuthorised);
                };
                let publish = Publish {
                    topic: topic.to_owned(),
                    payload: Bytes::copy_from_slice(payload),
                    qos: qos as u8,
                    retain,
                    dup: false,
                    received_at: host.now(),
                    will: None,
                };
                Some(Will { publish, delay_s: connect.will_delay_s, state })
            }
            None => None,
        };
        let qos2 = host.admit(&identity, will, connect.clean)?;
        Ok((identity, qos2))
    }

    fn accept(&mut self, announce_keep_alive: bool, out: &mut Output) {
        if !self.v5 {
            return encode::connack_v3(&mut out.write, 0);
        }
        let capabilities = encode::Capabilities {
            receive_max: self.limits.receive_max,
            packet_bytes_max: self.limits.packet_bytes_max,
            alias_max: ALIAS_MAX,
            keep_alive_s: announce_keep_alive.then_some(self.limits.keep_alive_s),
            client_packet_max: self.down.packet_max(),
        };
        encode::connack_v5(&mut out.write, capabilities);
    }

    fn refuse(&mut self, reason: CloseReason, out: &mut Output) {
        match (self.v5, encode::refusal(reason)) {
            (true, (Some(code), _)) => encode::connack_v5_refusal(&mut out.write, code),
            (false, (_, Some(code))) => encode::connack_v3(&mut out.write, code),
            _ => {}
        }
        self.close(reason, out);
    }

    /// A first packet that is too large or has no length. If its first bytes are here and are a CONNECT, say so.
    pub(super) fn unreadable_connect(&mut self, reason: CloseReason, rest: &[u8], out: &mut Output) {
        match rest {
            [0, 4, b'M', b'Q', b'T', b'T', 5, ..] => {
                self.v5 = true;
                self.refuse(reason, out);
            }
            // 3.1.1 has no code for "too large", but one for the usual cause: an endless client id.
            [0, 4, b'M', b'Q', b'T', b'T', 4, _, _, _, high, low, ..]
                if usize::from(u16::from_be_bytes([*high, *low])) > CLIENT_ID_BYTES_MAX =>
            {
                self.refuse(CloseReason::BadClientId, out);
            }
            _ => self.close(CloseReason::BadConnect, out),
        }
    }
}

/// Will QoS 3, or will bits without a will, are malformed in both versions.
fn will_flags_fit(flags: u8) -> bool {
    let (will, qos, retain) = (flags & 0x04 != 0, (flags >> 3) & 0x03, flags & 0x20 != 0);
    if will { qos < 3 } else { qos == 0 && !retain }
}

fn will_of<'a>(
    topic: Option<&'a str>,
    payload: Option<&'a [u8]>,
    qos: Qos,
    retain: bool,
) -> Option<(&'a str, &'a [u8], Qos, bool)> {
    topic.map(|topic| (topic, payload.unwrap_or_default(), qos, retain))
}

fn bad_connect(error: MqttError) -> CloseReason {
    match error {
        MqttError::ClientIdentifierNotValid => CloseReason::BadClientId,
        MqttError::BadUserNameOrPassword => CloseReason::BadCredentials,
        _ => CloseReason::BadConnect,
    }
}
