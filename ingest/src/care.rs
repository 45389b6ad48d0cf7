//! Remote care: what a gateway is to have is sent (`d/cfg`) when it is born and when it changes, until the gateway says in a
//! note that it has it or why not. A push that is not answered for long on a connection is sent again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::GatewayId;
use model::note::Push;
use model::push::{PUSH_BYTES_MAX, Pushed};
use serde_json::value::RawValue;
use store::records::{self, CareMark};

use crate::Shared;

/// Gateways whose rules are compared and saved in one transaction.
const TOGETHER_MAX: usize = 256;

/// What the last round saw.
#[derive(Debug, Default)]
pub(crate) struct Care {
    seen: Mutex<Option<CareMark>>,
}

impl Care {
    fn seen(&self) -> MutexGuard<'_, Option<CareMark>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a birth that says which versions are in force: `{"cfg":{"rules":3}}`. Without it the gateway takes no pushes.
#[derive(serde::Deserialize)]
struct Birth {
    cfg: HashMap<Push, u64>,
}

impl Shared {
    /// A gateway was born: it gets what it is to have and has not. Blocking, at the desk.
    pub(crate) fn care_for(&self, gateway: GatewayId, birth: &[u8]) {
        let Ok(Birth { cfg }) = serde_json::from_slice(birth) else { return };
        let cared = || {
            // Whoever has rules is looked after by the rounds: a thousand births at once cost one query each.
            let wanted = self.records.push_wanted(gateway)?;
            if !wanted.iter().any(|one| one.what == Push::Rules) {
                self.save_rules(&[gateway])?;
            }
            // What it has is an answer too.
            for one in wanted.iter().filter(|one| !one.applied && cfg.get(&one.what) == Some(&one.version)) {
                self.records.push_applied(gateway, one.what, one.version)?;
            }
            self.send_wanted(gateway, |one| cfg.get(&one.what) != Some(&one.version))
        };
        if let Err(error) = cared()
            && let Some(silent) = self.quiet.due("care", gateway)
        {
            tracing::warn!(gateway.id = gateway.0, %error, silent, "what a gateway is to have cannot be read; sent at its next birth");
        }
    }

    /// Looks whether rules, bindings or ages have changed, and sends the gateways that are connected what is new. Blocking,
    /// every few seconds, so that many changes are one push.
    pub(crate) fn care_round(&self) -> Result<(), records::Error> {
        let mark = self.records.care_mark()?;
        if self.care.seen().replace(mark) != Some(mark) {
            let save_all = || {
                let gateways = self.records.gateways_with_rules()?;
                gateways.chunks(TOGETHER_MAX).try_for_each(|some| self.save_rules(some))
            };
            if let Err(error) = save_all() {
                *self.care.seen() = None;
                return Err(error);
            }
        }
        let connected = |gateway: &GatewayId| self.door.load().as_ref().is_some_and(|door| door.is_connected(*gateway));
        for gateway in self.records.gateways_to_push()?.into_iter().filter(connected) {
            self.send_wanted(gateway, |one| one.due)?;
        }
        Ok(())
    }

    /// A version for every gateway whose rules are not those it was last to have.
    fn save_rules(&self, gateways: &[GatewayId]) -> Result<(), records::Error> {
        let mut bodies = Vec::with_capacity(gateways.len());
        for (gateway, rules) in self.records.edge_rules(gateways)? {
            let body = serde_json::to_string(&rules).unwrap_or_default();
            if body.len() <= PUSH_BYTES_MAX {
                bodies.push((gateway, body));
            } else if let Some(silent) = self.quiet.due("rules", gateway) {
                let bytes = body.len();
                tracing::error!(
                    gateway.id = gateway.0,
                    bytes,
                    silent,
                    "the rules of this gateway are too large to be pushed; it keeps the old ones"
                );
            }
        }
        self.records.push_save_all(Push::Rules, &bodies).map(|_| ())
    }

    fn send_wanted(
        &self,
        gateway: GatewayId,
        choose: impl Fn(&records::PushWanted) -> bool,
    ) -> Result<(), records::Error> {
        let door = self.door.load();
        let Some(door) = &*door else { return Ok(()) };
        for mut wanted in self.records.push_wanted(gateway)?.into_iter().filter(|one| choose(one)) {
            if wanted.what == Push::Rules {
                let rules = self.records.edge_rules(&[gateway])?.pop().map(|(_, rules)| rules);
                wanted.body = rules.and_then(|rules| serde_json::to_string(&rules).ok()).unwrap_or_default();
            }
            let Ok(body) = RawValue::from_string(wanted.body) else { continue };
            let push = Pushed { what: wanted.what, version: wanted.version, body };
            let payload = serde_json::to_vec(&push).unwrap_or_default();
            if door.down(gateway, "cfg", payload.into(), 1) {
                self.records.push_sent(gateway, wanted.what, wanted.version)?;
            }
        }
        Ok(())
    }
}
