//! The registry as ingest sees it: tokens, devices and bindings in memory, so that login and attribution never wait for SQL.
//!
//! Rebuilt from the records store as a whole and swapped in; readers never lock.

use std::collections::{HashMap, HashSet};

use model::identity::Nobody;
use model::{DeviceId, ElderId, GatewayId, Name, PersonKey, Subject, Time};
use mqtt::door::{Dialect, Identity, Login, LoginError};
use store::records::{self, Binding, Gateway, RegistrySnapshot};

/// One device and who wore it when, oldest first.
#[derive(Clone, Debug)]
struct Worn {
    id: DeviceId,
    bindings: Vec<Binding>,
}

/// An immutable picture of the registry.
#[derive(Debug, Default)]
pub(crate) struct View {
    by_token: HashMap<String, Gateway>,
    by_id: HashMap<GatewayId, String>,
    devices: HashMap<GatewayId, HashMap<Name, Worn>>,
    /// Cards and codes of elders.
    keys: HashMap<String, ElderId>,
    elders: HashSet<ElderId>,
}

/// Nobody yet: why, and the card or code that nobody is registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unknown {
    pub(crate) why: Nobody,
    pub(crate) key: Option<PersonKey>,
}

impl View {
    pub(crate) fn new(snapshot: RegistrySnapshot) -> Self {
        let mut bindings: HashMap<DeviceId, Vec<Binding>> = HashMap::new();
        for binding in snapshot.bindings {
            bindings.entry(binding.device).or_default().push(binding);
        }
        let mut devices: HashMap<GatewayId, HashMap<Name, Worn>> = HashMap::new();
        for device in snapshot.devices {
            let mut bindings = bindings.remove(&device.id).unwrap_or_default();
            bindings.sort_by_key(|binding| binding.from);
            devices.entry(device.gateway).or_default().insert(device.name, Worn { id: device.id, bindings });
        }
        let by_id = snapshot.gateways.iter().map(|gateway| (gateway.id, gateway.token_sha256.clone())).collect();
        let by_token = snapshot.gateways.into_iter().map(|gateway| (gateway.token_sha256.clone(), gateway)).collect();
        let keys = snapshot.keys.into_iter().collect();
        let elders = snapshot.elders.into_iter().collect();
        Self { by_token, by_id, devices, keys, elders }
    }

    /// Who was measured at a shared device, by the key that came with the frame.
    pub(crate) fn person(&self, key: Option<&str>) -> Result<ElderId, Unknown> {
        let unknown = |why, key| Err(Unknown { why, key });
        let Some(text) = key else { return unknown(Nobody::NoSession, None) };
        let Some(key) = PersonKey::parse(text) else { return unknown(Nobody::UnknownKey, None) };
        if let Some(why) = key.why_nobody() {
            return unknown(why, None);
        }
        if let Some(elder) = key.elder_id() {
            return if self.elders.contains(&elder) { Ok(elder) } else { unknown(Nobody::UnknownElder, None) };
        }
        self.keys.get(text).copied().ok_or(Unknown { why: Nobody::UnknownKey, key: Some(key) })
    }

    /// The device and whose reading it is when taken at `at`. `None`: the registry does not know the device yet.
    ///
    /// Who wore the device *then* counts, so that late data do not follow it to its next owner.
    pub(crate) fn attribute(&self, gateway: GatewayId, device: &str, at: Time) -> Option<(DeviceId, Subject)> {
        let worn = self.devices.get(&gateway)?.get(device)?;
        let holds = |binding: &&Binding| binding.from <= at && binding.until.is_none_or(|until| at < until);
        let subject = match worn.bindings.iter().rev().find(holds) {
            Some(binding) => Subject::Elder(binding.elder),
            None => Subject::Unattributed(worn.id),
        };
        Some((worn.id, subject))
    }

    pub(crate) fn identity(&self, gateway: GatewayId) -> Option<Identity> {
        self.by_id.get(&gateway).and_then(|token| self.by_token.get(token)).map(identity_of)
    }

    /// Gateways that may not go on as they logged in with this picture: gone, disabled, renamed, or with another token.
    pub(crate) fn revoked(&self, newer: &Self) -> Vec<GatewayId> {
        let stands = |gateway: &Gateway| newer.by_token.get(&gateway.token_sha256).is_some_and(|now| now == gateway);
        self.by_token.values().filter(|gateway| !stands(gateway)).map(|gateway| gateway.id).collect()
    }

    /// A Vigil gateway gives its token as the password and its name as the client id. A ThingsBoard device gives its token as
    /// the user name, with any client id, as it always did.
    pub(crate) fn login(&self, login: &Login<'_>) -> Result<Identity, LoginError> {
        let token = match (login.password, login.username) {
            // Some devices send an empty password beside the token.
            (Some([]) | None, Some(username)) => username,
            (Some(password), _) => std::str::from_utf8(password).map_err(|_| LoginError::BadCredentials)?,
            (None, None) => return Err(LoginError::BadCredentials),
        };
        let gateway = self.by_token.get(&records::token_sha256(token)).ok_or(LoginError::BadCredentials)?;
        if gateway.disabled {
            return Err(LoginError::NotAuthorised);
        }
        if gateway.dialect == records::Dialect::Vigil && login.client_id != gateway.name.as_str() {
            return Err(LoginError::BadClientId);
        }
        Ok(identity_of(gateway))
    }
}

fn identity_of(gateway: &Gateway) -> Identity {
    Identity {
        gateway: gateway.id,
        site: gateway.site_name.clone(),
        name: gateway.name.clone(),
        dialect: match gateway.dialect {
            records::Dialect::Vigil => Dialect::Vigil,
            records::Dialect::Thingsboard => Dialect::ThingsBoard,
        },
        open_acl: false,
    }
}
