//! Planned absence of an elder and maintenance of a device: for how long nothing, or not everything, is judged. It ends by
//! itself, and it never covers a call for help or a fall (docs/alarms.md).

use serde::{Deserialize, Serialize};

use crate::alarm::words;
use crate::{DeviceId, ElderId, Time};

words! {
    /// Why it is quiet.
    QuietKind {
        /// The elder travels: silence is expected; what is heard is judged.
        Travel = "travel", "外出", "Travel";
        /// The elder is in hospital: others watch; silence is expected and values are not judged.
        Hospital = "hospital", "住院", "Hospital";
        /// The device is being served: its values and technical events are not judged.
        Maintenance = "maintenance", "设备维护", "Maintenance";
    }
}

/// One quiet period. A later one with the same `id` replaces it (also to end it early: `until` = now).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// Number in the records.
    pub id: u32,
    pub kind: QuietKind,
    pub whose: Whose,
    pub from: Time,
    /// Not part of it. At most [`Quiet::LONGEST_US`] after `from`.
    pub until: Time,
    /// When it was told.
    pub at: Time,
}

/// `travel` and `hospital` are about an elder, `maintenance` about a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    Elder(ElderId),
    Device(DeviceId),
}

impl Quiet {
    /// 90 days.
    pub const LONGEST_US: i64 = 90 * 86_400_000_000;

    /// What is wrong with it, for people.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.until < self.from {
            return Err("it ends before it begins");
        }
        if self.until.since_us(self.from) > Self::LONGEST_US {
            return Err("it is longer than 90 days: say again when it is over");
        }
        let about_device = matches!(self.whose, Whose::Device(_));
        if about_device != matches!(self.kind, QuietKind::Maintenance) {
            return Err("travel and hospital are about an elder, maintenance is about a device");
        }
        Ok(())
    }

    pub fn covers(&self, at: Time) -> bool {
        (self.from..self.until).contains(&at)
    }
}
