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
    /// The device raised an alarm and did not say which. Treated as a call for help.
    UnspecifiedAlarm = 6, "unspecified_alarm", "未指明报警", "Unspecified alarm", Sos;
    DeviceError = 7, "device_error", "设备故障", "Device error", Evt;
    /// The device's clock cannot be right; times were taken from the gateway.
    ClockSuspect = 8, "clock_suspect", "设备时钟异常", "Device clock wrong", Evt;
    PowerCut = 9, "power_cut", "断电", "Power cut", Evt;
    FenceLeft = 10, "fence_left", "离开安全区域", "Left the safe area", Evt;
    FenceEntered = 11, "fence_entered", "进入区域", "Entered an area", Evt;
    IrregularPulse = 12, "irregular_pulse", "脉搏不齐", "Irregular pulse", Evt;
    DeviceWorn = 13, "device_worn", "设备佩戴", "Device worn", Evt;
    /// An id that is not on the gateway's list tried to connect.
    UnknownDevice = 14, "unknown_device", "未登记设备", "Unknown device", Evt;
    /// A device's id turned up on another connection while the first was alive: moved, or somebody pretends.
    DeviceMoved = 15, "device_moved", "设备连接变动", "Device moved", Evt;
    Collision = 16, "collision", "碰撞", "Collision", Evt;
    Overspeed = 17, "overspeed", "超速", "Overspeed", Evt;
    Vibration = 18, "vibration", "震动", "Vibration", Evt;
    /// A person cancelled the SOS or fall at the device.
    Cancelled = 19, "cancelled", "现场取消", "Cancelled at the device", Sos;
    /// A device sent more than its limit and was slowed down.
    Flooding = 20, "flooding", "设备发送过快", "Device floods", Evt;
    /// Bytes of a waveform were lost because a buffer was full.
    Overflow = 21, "overflow", "缓冲溢出", "Buffer overflow", Evt;
    /// No heart beat for three seconds or longer in an ECG that can be read. Seen by a program: somebody must look at the strip.
    HeartPause = 22, "heart_pause", "心搏停顿可疑", "Suspected heart pause", Evt;
}

impl EventKind {
    /// A person must look, whoever wears the device.
    pub const fn calls_for_help(self) -> bool {
        matches!(self, Self::Sos | Self::Fall | Self::UnspecifiedAlarm)
    }

    /// Is about the device itself and judged also when the device belongs to nobody.
    pub const fn is_technical(self) -> bool {
        matches!(self, Self::DeviceError | Self::UnknownDevice | Self::DeviceMoved)
    }
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
