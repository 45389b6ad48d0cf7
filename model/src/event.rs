//! Things a device says that are not measurements: SOS, fall, taken off.

use serde::{Deserialize, Serialize};

use crate::{Lane, Time};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $slug:literal, $zh:literal, $en:literal, $lane:ident;)*) => {
        /// What happened. Ids are stored: append only, never reuse.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[repr(u8)]
        pub enum EventKind { $($(#[$doc])* $name = $id,)* }

        impl EventKind {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug,)* } }
            pub const fn zh(self) -> &'static str { match self { $(Self::$name => $zh,)* } }
            pub const fn en(self) -> &'static str { match self { $(Self::$name => $en,)* } }
            /// The lane it travels in.
            pub const fn lane(self) -> Lane { match self { $(Self::$name => Lane::$lane,)* } }
            pub const fn id(self) -> u8 { self as u8 }
            pub fn from_id(id: u8) -> Option<Self> { Self::ALL.iter().copied().find(|kind| kind.id() == id) }
            pub fn parse(slug: &str) -> Option<Self> { Self::ALL.iter().copied().find(|kind| kind.slug() == slug) }
        }
    };
}

events! {
    /// A person pressed for help. Always an alarm, never filtered, never silenced.
    Sos = 1, "sos", "紧急呼叫", "SOS", Sos;
    Fall = 2, "fall", "跌倒", "Fall", Sos;
    DeviceRemoved = 3, "device_removed", "设备取下", "Device removed", Evt;
    LowBattery = 4, "low_battery", "电量低", "Low battery", Evt;
    MeasurementFailed = 5, "measurement_failed", "测量失败", "Measurement failed", Evt;
}

/// One happening at a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub kind: EventKind,
    /// When it happened, by the corrected device clock.
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_slugs_are_found_again() {
        for kind in EventKind::ALL.iter().copied() {
            assert_eq!(EventKind::from_id(kind.id()), Some(kind));
            assert_eq!(EventKind::parse(kind.slug()), Some(kind));
        }
    }
}
