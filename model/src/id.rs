//! Identifiers as types: an elder's number can never be passed where a device's is wanted.
//!
//! Numbers are given by the records store; names are what stands in topics and on labels. No id carries personal data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(&self.0, f) }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> { text.parse().map($name) }
        }
    )*};
}

ids! {
    /// 老年人. 1 ..= `0x7FFF_FFFF`; 0 is never given.
    ElderId(u32);
    /// 设备. 1 ..= `0x7FFF_FFFF`; 0 is never given.
    DeviceId(u32);
    /// 网关. A direct MQTT device is its own gateway.
    GatewayId(u32);
    /// 机构/站点: a home, cabin, care home, clinic.
    SiteId(u32);
    /// 家庭医生团队.
    TeamId(u32);
    /// A person who signs in or is paged: dispatcher, doctor, nurse, administrator.
    PersonId(u32);
    /// 寻呼: one attempt chain to one person by one channel.
    PageId(u64);
    /// Position in the journal. The first entry is 1; 0 means "nothing read yet".
    Seq(u64);
}

/// Whose readings a series holds: an elder's, or a device's that belongs to nobody yet (unattributed).
///
/// One `u32` on disk: elders as they are, unattributed devices with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Elder(ElderId),
    /// The measurement is kept and shown as unattributed; no elder's rule ever judges it.
    Unattributed(DeviceId),
}

impl Subject {
    const DEVICE_BIT: u32 = 0x8000_0000;

    pub const fn to_u32(self) -> u32 {
        match self {
            Self::Elder(elder) => elder.0 & !Self::DEVICE_BIT,
            Self::Unattributed(device) => device.0 | Self::DEVICE_BIT,
        }
    }

    pub const fn from_u32(raw: u32) -> Self {
        if raw & Self::DEVICE_BIT == 0 {
            Self::Elder(ElderId(raw))
        } else {
            Self::Unattributed(DeviceId(raw & !Self::DEVICE_BIT))
        }
    }

    pub const fn elder(self) -> Option<ElderId> {
        match self {
            Self::Elder(elder) => Some(elder),
            Self::Unattributed(_) => None,
        }
    }
}

/// A name on the wire: `[a-z0-9_-]{1,32}`. No dot, blank, wildcard or slash, so a topic maps one to one to any broker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// Why a text is not a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a name is 1 to 32 of a-z 0-9 _ -, this one has {0} characters or another character in it")]
pub struct BadName(usize);

impl Name {
    pub const LEN_MAX: usize = 32;

    pub fn new(text: &str) -> Result<Self, BadName> {
        let fits = !text.is_empty()
            && text.len() <= Self::LEN_MAX
            && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err(BadName(text.chars().count())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

impl FromStr for Name {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

/// Transport lane. Lanes order transport; they do not change a reading's identity. Declared by urgency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Lane {
    /// SOS, fall, cancel. Overtakes everything.
    Sos = 0,
    /// Device and gateway events, technical conditions.
    Evt = 1,
    /// Live readings.
    Vit = 2,
    /// Backfill after an outage; never judged as live.
    Hist = 3,
    /// ECG and PPG blocks.
    Wav = 4,
}

impl Lane {
    pub const ALL: [Self; 5] = [Self::Sos, Self::Evt, Self::Vit, Self::Hist, Self::Wav];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sos => "sos",
            Self::Evt => "evt",
            Self::Vit => "vit",
            Self::Hist => "hist",
            Self::Wav => "wav",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.as_str() == text)
    }

    pub fn from_u8(raw: u8) -> Option<Self> {
        Self::ALL.get(usize::from(raw)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_narrow() {
        for good in ["a", "gw-01", "cabin_3", &"x".repeat(32)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "a.b", "a b", "a/b", "a+", "a#", "$sys", "网关", &"x".repeat(33)] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subject_keeps_elders_and_strangers_apart() {
        for subject in [Subject::Elder(ElderId(7)), Subject::Unattributed(DeviceId(7))] {
            assert_eq!(Subject::from_u32(subject.to_u32()), subject);
        }
        assert_ne!(Subject::Elder(ElderId(7)).to_u32(), Subject::Unattributed(DeviceId(7)).to_u32());
    }
}
