//! Arbitrary bytes from a client, before and after login, in both versions of MQTT: the front door must not panic.
//!
//! The first byte of the input chooses: bit 0 the version, bit 1 whether a good login goes first, bit 2 whether verdicts come back.
#![no_main]

use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use vigil_model::{GatewayId, Name, Time};
use vigil_mqtt::door::protocol::{Host, Limits, Machine, Output, Will};
use vigil_mqtt::door::{CloseReason, Config, Dialect, Identity, Login, LoginError, Retained, Verdict};

const LOGIN_V3: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x1e\x00\x03gw1";
const LOGIN_V5: &[u8] = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x03gw1";

struct FuzzHost;

impl Host for FuzzHost {
    fn identify(&mut self, login: &Login<'_>) -> Result<Identity, LoginError> {
        let name = Name::new(login.client_id).map_err(|_| LoginError::BadClientId)?;
        let site = Name::new("s1").map_err(|_| LoginError::Unavailable)?;
        Ok(Identity { gateway: GatewayId(1), site, name, dialect: Dialect::Vigil, open_acl: false })
    }
    fn admit(&mut self, _: &Arc<Identity>, _: Option<Will>, _: bool) -> Result<Vec<u16>, CloseReason> {
        Ok(Vec::new())
    }
    fn retained(&mut self, filter: &str) -> Vec<Retained> {
        vec![Retained { topic: filter.to_owned(), payload: Bytes::new() }]
    }
    fn now(&self) -> Time {
        Time::default()
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, data)) = input.split_first() else { return };
    let limits = Arc::new(Limits::new(&Config::default()));
    let mut machine = Machine::new(limits, ([127, 0, 0, 1], 1).into(), false);
    let mut out = Output::default();
    if choice & 2 != 0 {
        machine.feed(if choice & 1 == 0 { LOGIN_V3 } else { LOGIN_V5 }, &mut FuzzHost, &mut out);
    }
    let mut rest = data;
    while !rest.is_empty() && machine.closed().is_none() {
        let used = machine.feed(rest, &mut FuzzHost, &mut out);
        rest = &rest[used..];
        let count = out.publishes.drain(..).count();
        if count > 0 {
            let batch = machine.batch();
            if choice & 4 != 0 {
                machine.verdicts(batch, &vec![Verdict::Stored; count], &mut out);
            }
        }
        if used == 0 && machine.is_paused() {
            return;
        }
    }
});
