//! The list of devices: who may speak to this gateway, under which name, and with which settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::{Decoded, Happened, Settings};
use model::identity::KeyKind;
use model::{ElderId, EventKind, Name};
use serde::Deserialize;

use crate::Error;
use crate::outlet::{DeviceKey, Refused};
use crate::who::Users;

/// Most devices of one gateway. A care home with a band and a cuff for each of 500 elders fits.
pub const DEVICES_MAX: usize = 1_024;
/// Longest id a protocol may give, bytes.
pub(crate) const ID_BYTES_MAX: usize = 64;
/// Longest measurement, seconds: an ECG of a day.
const MEASURES_FOR_S_MAX: u32 = 86_400;
/// Users of one device.
const USERS_MAX: usize = 256;
/// Unknown devices that are accepted under a name of their own, at most.
const ACCEPTED_MAX: usize = 1_024;

/// One `[[devices]]` of the gateway's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// The `dev` of topics.
    pub name: Name,
    /// One of `vigil decode --list`. Not needed for a device that speaks MQTT or JSON.
    pub codec: Option<String>,
    /// As the protocol says it: IMEI, ten digits, a phone number.
    pub id: Option<String>,
    /// Bluetooth address.
    pub address: Option<String>,
    /// A cabin's: who was measured comes from a session.
    #[serde(default)]
    pub shared: bool,
    /// How long one measurement takes before its time, seconds: nobody is sure about one that a change of people falls into.
    /// Without this key: 60 for blood pressure, 0 for everything else.
    pub measures_for_s: Option<u32>,
    /// What the person is whom the device names (a patient's id it has scanned): `card`, `qr` or `elder`. Without this key what it
    /// says about people is not used.
    pub person: Option<Person>,
    /// The device's own users (a scale's): elders' numbers by what the device calls them; `unknown` is the one it does not know.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    /// A press of one of its buttons is an SOS: a Bluetooth button at the bed or in the bathroom.
    #[serde(default)]
    pub button_is_sos: bool,
    #[serde(default)]
    pub settings: Settings,
}

/// What a device's word for a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Person {
    Card,
    Qr,
    Elder,
}

/// What happens to a device that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownDevices {
    /// Refused, counted and told to the server.
    Refuse,
    /// Taken under the name `<codec>-<id>`.
    Accept,
}

/// One device as the steps of the reception know it.
#[derive(Clone, Debug)]
pub struct Device {
    pub name: Name,
    pub codec: Option<&'static str>,
    /// As the protocol says it; `None` for the only device of its wire.
    pub id: Option<String>,
    pub address: Option<[u8; 6]>,
    pub shared: bool,
    pub measures_for_s: Option<u32>,
    pub person: Option<KeyKind>,
    pub users: Users,
    pub button_is_sos: bool,
    pub settings: Settings,
}

impl Device {
    /// What a frame says, by what the list says about the device.
    pub(crate) fn read(&self, mut decoded: Decoded) -> Decoded {
        let pressed = |(word, value): (&&str, &serde_json::Value)| word.starts_with("button") && !value.is_null();
        if self.button_is_sos && decoded.device.other.iter().any(pressed) {
            decoded.events.push(Happened::new(EventKind::Sos));
        }
        decoded
    }
}

/// The list, and those accepted beside it.
#[derive(Debug)]
pub(crate) struct Roster {
    by_name: BTreeMap<Name, Arc<Device>>,
    by_id: BTreeMap<(&'static str, String), Arc<Device>>,
    unknown: UnknownDevices,
    accepted: BTreeMap<(&'static str, String), Arc<Device>>,
}

impl DeviceConfig {
    /// Refuses what can never work.
    pub fn device(&self) -> Result<Device, Error> {
        let fault = |what: String| Error::Key(format!("device {}: {what}", self.name));
        let codec = match &self.codec {
            None => None,
            Some(name) => match codec::find(name) {
                Some(codec) => Some(codec.name),
                None => return Err(fault(format!("there is no codec {name:?}; `vigil decode --list` names them"))),
            },
        };
        if self.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > ID_BYTES_MAX) {
            return Err(fault(format!("id must have 1 to {ID_BYTES_MAX} bytes")));
        }
        let address = match &self.address {
            None => None,
            Some(text) => Some(
                codec::bytes_of(text)
                    .ok_or_else(|| fault("address must be six bytes like A4:C1:38:56:53:84".to_owned()))?,
            ),
        };
        let settings = Settings { address: self.settings.address.or(address), ..self.settings.clone() };
        let person = self.person.map(|person| match person {
            Person::Card => KeyKind::Card,
            Person::Qr => KeyKind::Qr,
            Person::Elder => KeyKind::Elder,
        });
        if self.measures_for_s.is_some_and(|long| long > MEASURES_FOR_S_MAX) {
            return Err(fault(format!("measures_for_s must be at most {MEASURES_FOR_S_MAX}")));
        }
        if self.users.values().any(|elder| !(1..=0x7FFF_FFFF).contains(elder)) || self.users.len() > USERS_MAX {
            return Err(fault(format!("users are at most {USERS_MAX} elders' numbers")));
        }
        Ok(Device {
            name: self.name.clone(),
            codec,
            id: self.id.clone(),
            address,
            shared: self.shared,
            measures_for_s: self.measures_for_s,
            person,
            users: self.users.iter().map(|(user, elder)| (user.clone(), ElderId(*elder))).collect(),
            button_is_sos: self.button_is_sos,
            settings,
        })
    }
}

impl Roster {
    /// `None` for `unknown`: refuse once there is a list.
    pub(crate) fn new(devices: &[DeviceConfig], unknown: Option<UnknownDevices>) -> Result<Self, Error> {
        if devices.len() > DEVICES_MAX {
            return Err(Error::Key(format!("{} devices, at most {DEVICES_MAX} are possible", devices.len())));
        }
        let usual = if devices.is_empty() { UnknownDevices::Accept } else { UnknownDevices::Refuse };
        let unknown = unknown.unwrap_or(usual);
        let mut roster = Self { by_name: BTreeMap::new(), by_id: BTreeMap::new(), unknown, accepted: BTreeMap::new() };
        for config in devices {
            let device = Arc::new(config.device()?);
            if let (Some(codec), Some(id)) = (device.codec, &device.id)
                && roster.by_id.insert((codec, id.clone()), Arc::clone(&device)).is_some()
            {
                return Err(Error::Key(format!("device {}: its id is another device's", device.name)));
            }
            if let Some(twin) = roster.by_name.insert(device.name.clone(), device) {
                return Err(Error::Key(format!("two devices have the name {}", twin.name)));
            }
        }
        Ok(roster)
    }

    /// The device of a key; an unknown one as the policy says.
    pub(crate) fn find(&mut self, key: &DeviceKey) -> Result<Arc<Device>, Refused> {
        let known = match key {
            DeviceKey::Named(name) => self.by_name.get(name).cloned(),
            DeviceKey::Told { id, .. } if id.len() > ID_BYTES_MAX => return Err(Refused::UnknownDevice),
            DeviceKey::Told { codec, id } => {
                let key = (*codec, id.clone());
                self.by_id.get(&key).or_else(|| self.accepted.get(&key)).cloned()
            }
        };
        match known {
            Some(device) => Ok(device),
            None if self.unknown == UnknownDevices::Accept => self.accept(key),
            None => Err(Refused::UnknownDevice),
        }
    }

    fn accept(&mut self, key: &DeviceKey) -> Result<Arc<Device>, Refused> {
        let (codec, id) = match key {
            DeviceKey::Named(name) => return Ok(Arc::new(plain(name.clone(), None, None))),
            DeviceKey::Told { codec, id } => (*codec, id),
        };
        let name = name_of(codec, id).ok_or(Refused::UnknownDevice)?;
        if self.accepted.len() >= ACCEPTED_MAX || self.by_name.contains_key(&name) {
            return Err(Refused::UnknownDevice);
        }
        let device = Arc::new(plain(name, Some(codec), Some(id.clone())));
        self.accepted.insert((codec, id.clone()), Arc::clone(&device));
        Ok(device)
    }

    /// A device of the list.
    pub(crate) fn named(&self, name: &Name) -> Option<&Arc<Device>> {
        self.by_name.get(name)
    }

    /// Those of the list, by name.
    pub(crate) fn listed(&self) -> Vec<Arc<Device>> {
        self.by_name.values().cloned().collect()
    }
}

fn plain(name: Name, codec: Option<&'static str>, id: Option<String>) -> Device {
    Device {
        name,
        codec,
        id,
        address: None,
        shared: false,
        measures_for_s: None,
        person: None,
        users: Users::new(),
        button_is_sos: false,
        settings: Settings::default(),
    }
}

/// `<codec>-<id>` in the letters a name may have. `None` when nothing of the id is left. A long id loses its beginning:
/// the end is what tells devices of one make apart.
fn name_of(codec: &str, id: &str) -> Option<Name> {
    let clean = |text: &str| -> String {
        let lower = text.chars().map(|c| c.to_ascii_lowercase());
        lower.map(|c| if matches!(c, 'a'..='z' | '0'..='9' | '_' | '-') { c } else { '-' }).collect()
    };
    let (codec, id) = (clean(codec), clean(id));
    let room = Name::LEN_MAX.checked_sub(codec.len() + 1)?;
    let id = id.get(id.len().saturating_sub(room)..)?;
    if id.chars().all(|c| c == '-') { None } else { Name::new(&format!("{codec}-{id}")).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str, id: Option<&str>) -> DeviceConfig {
        let id = id.map(|id| format!("id = {id:?}\n")).unwrap_or_default();
        toml::from_str(&format!("name = {name:?}\n{id}")).unwrap()
    }

    #[test]
    fn a_list_refuses_strangers_and_no_list_names_them() {
        let told = |id: &str| DeviceKey::Told { codec: "watch3g", id: id.to_owned() };
        let mut open = Roster::new(&[], None).unwrap();
        assert_eq!(open.find(&told("8800000015")).unwrap().name.as_str(), "watch3g-8800000015");
        assert_eq!(open.find(&told("王")).unwrap_err(), Refused::UnknownDevice);
        let mut listed = Roster::new(&[config("cuff-1", None)], None).unwrap();
        assert_eq!(listed.find(&told("8800000015")).unwrap_err(), Refused::UnknownDevice);
        assert!(listed.find(&DeviceKey::Named(Name::new("cuff-1").unwrap())).is_ok());
        let mut both = Roster::new(&[config("cuff-1", None)], Some(UnknownDevices::Accept)).unwrap();
        assert!(both.find(&told("8800000015")).is_ok());
    }

    #[test]
    fn a_stranger_cannot_take_the_name_of_a_device() {
        let mut roster = Roster::new(&[config("iw-123", None)], Some(UnknownDevices::Accept)).unwrap();
        let key = DeviceKey::Told { codec: "iw", id: "123".to_owned() };
        assert_eq!(roster.find(&key).unwrap_err(), Refused::UnknownDevice);
    }

    #[test]
    fn a_pressed_button_is_an_sos_where_the_list_says_so() {
        let press = |code| [0x40, 0x00, 0x01, 0x3A, code];
        let bthome = codec::find("bthome").unwrap();
        let kinds = |button_is_sos: bool, code| {
            let text = format!("name = \"b\"\ncodec = \"bthome\"\nbutton_is_sos = {button_is_sos}");
            let device = toml::from_str::<DeviceConfig>(&text).unwrap().device().unwrap();
            let said = (bthome.decode)(&press(code), &device.settings).unwrap();
            device.read(said).events.iter().map(|event| event.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(true, 1), [EventKind::Sos]);
        assert_eq!(kinds(true, 4), [EventKind::Sos], "a long press");
        assert_eq!((kinds(true, 0), kinds(false, 1)), (vec![], vec![]), "not pressed; not said");
    }

    #[test]
    fn names_are_made_of_ids() {
        for (codec, id, name) in [
            ("watch3g", "8800000015", Some("watch3g-8800000015")),
            ("ble:2a35", "A4:C1:38:56:53:84", Some("ble-2a35-a4-c1-38-56-53-84")),
            ("jt808", "123456789012345678901234567890", Some("jt808-56789012345678901234567890")),
            ("iw", "", None),
            ("iw", "::", None),
        ] {
            assert_eq!(name_of(codec, id).map(|name| name.to_string()).as_deref(), name, "{id}");
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(Roster::new(&[config("a", None), config("a", None)], None).is_err());
        for text in ["name = \"a\"\ncodec = \"no-such\"", "name = \"a\"\naddress = \"x\"", "name = \"a\"\nid = \"\""] {
            assert!(toml::from_str::<DeviceConfig>(text).unwrap().device().is_err(), "{text}");
        }
    }
}
