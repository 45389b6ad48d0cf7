//! Little-endian fields, one after the other. A field that is not there makes the whole frame malformed.

use serde_json::Value;

use super::date_time;
use super::ieee11073::{Number, float, sfloat};
use crate::{Facts, Malformed, Settings, Stamp};

/// What is left of a characteristic's value.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self(frame)
    }

    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(Malformed::Short(what))?;
        self.0 = rest;
        Ok(*octets)
    }

    pub(super) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.take::<1>(what).map(|[octet]| octet)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.take(what).map(u16::from_le_bytes)
    }

    pub(super) fn i16(&mut self, what: &'static str) -> Result<i16, Malformed> {
        self.take(what).map(i16::from_le_bytes)
    }

    pub(super) fn u24(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.take(what).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn sfloat(&mut self, what: &'static str) -> Result<Number, Malformed> {
        self.u16(what).map(sfloat)
    }

    pub(super) fn float(&mut self, what: &'static str) -> Result<Number, Malformed> {
        self.take(what).map(u32::from_le_bytes).map(float)
    }

    /// A Date Time when its flag is set.
    pub(super) fn stamp(&mut self, flag: bool, settings: &Settings) -> Result<Stamp, Malformed> {
        Ok(self
            .when(flag, |fields| fields.take("the time stamp"))?
            .map_or(Stamp::Silent, |o| date_time::of(o, settings)))
    }

    /// A field that is there only when its flag is set.
    pub(super) fn when<T>(
        &mut self,
        flag: bool,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        flag.then(|| read(self)).transpose()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }
}

/// Bit `number` of a field of flags.
pub(super) fn bit(flags: impl Into<u32>, number: u8) -> bool {
    flags.into() >> number & 1 == 1
}

/// The names of the bits that are set, in order of the bits; bits without a name are left out.
pub(super) fn words(flags: impl Into<u32>, names: &[(u8, &'static str)]) -> Value {
    let flags = flags.into();
    names.iter().filter(|(number, _)| bit(flags, *number)).map(|(_, name)| *name).collect()
}

/// The user index of a scale or cuff. 0xFF is "somebody unknown": said as such, so that nobody's default is taken.
pub(super) fn tell_user(device: &mut Facts, user: Option<u8>) {
    match user {
        None => {}
        Some(0xFF) => _ = device.other.insert("person_unknown", true.into()),
        Some(index) => device.person = Some(index.to_string()),
    }
}
